//! A sweep in this process: one run over the merged plan of all points; each point is measured as soon as its nodes
//! have ended, and its row is kept at once.

mod journal;
mod measure;
mod record;
mod replay;
mod results;
mod sink;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};

use tidemill_lake::{Lake, WindowFolder};
use tidemill_plan::{
    Code, Digest, Goal, Keep, Measure, MeasureSource, PlanNode, Problem, SweepPlan, Work, WriteMode,
};

use crate::attempt::{SOURCE_CONTRACT, source_digest};
use crate::catalog::Components;
use crate::failure::DriverError;
use crate::local::{Canceller, LocalOptions, LocalRun, Sweeping};
use crate::log_file::now_ns;
use crate::observer::Quiet;
use crate::origin::file_records;
use crate::record::{NodeState, RunId, RunRecord, RunState};

pub use record::{AxisRecord, MeasureRecord, SharedNode, SourceRecord, SweepCounts, SweepRecord, TaskRecord};
pub use replay::{PointDifference, SweepReplay, SweepReplayed};
pub use results::{
    PointRow, PointState, RESULT_COLUMNS, best, find_sweep, list_sweeps, load_rows, number_json,
    remove_sweep, results_batch,
};

/// How a sweep is carried out.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    pub local: LocalOptions,
    pub measures: Vec<Measure>,
    pub goal: Option<Goal>,
    pub keep: Keep,
    /// As it was typed, to be typed again.
    pub command: String,
}

/// Watches points end. Called from the sweep's threads; must be quick.
pub trait SweepObserver: Sync {
    fn on_point(&self, row: &PointRow);
}

/// How a sweep ended.
#[derive(Debug)]
pub struct SweepEnded {
    pub record: SweepRecord,
    /// One row for each point that ended, in the order of the points.
    pub rows: Vec<PointRow>,
    /// Why record or results could not be kept, although the sweep ended.
    pub unsaved: Option<DriverError>,
}

/// A sweep that has not begun.
#[derive(Debug)]
pub struct SweepRun<'a> {
    plan: &'a SweepPlan,
    lake: &'a Lake,
    components: &'a Components,
    options: SweepOptions,
    id: RunId,
    began_at: i64,
    /// By point; what its result depends on.
    keys: Vec<Digest>,
    /// By the plan's order: the digest of a node's component, or of its source's files.
    codes: Vec<Digest>,
    /// Rows of earlier sweeps that are still right, by point.
    known: HashMap<usize, PointRow>,
    sources: Vec<SourceRecord>,
}

impl<'a> SweepRun<'a> {
    /// Looks which points earlier sweeps of this lake have measured already.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub fn new(
        plan: &'a SweepPlan,
        lake: &'a Lake,
        components: &'a Components,
        options: SweepOptions,
    ) -> Result<Self, DriverError> {
        refuse_adding(plan)?;
        let began_at = now_ns();
        let id = RunId::at(began_at, std::hash::RandomState::new().build_hasher().finish());
        let (codes, sources) = codes(plan, &options.local.base)?;
        let keys = keys(plan, &codes, &options.measures);
        let mut known = match (&options.local.lake_root, options.local.reuse) {
            (Some(root), crate::Reuse::Valid) => {
                journal::known(lake, root, &WindowFolder::of(&plan.plan.window), &keys, &options)
            }
            _ => HashMap::new(),
        };
        for (point, row) in &mut known {
            // The earlier sweep had axes of its own.
            row.values = plan.space.values(*point).into_iter().cloned().collect();
        }
        Ok(Self { plan, lake, components, options, id, began_at, keys, codes, known, sources })
    }

    /// How many points earlier sweeps have measured.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// Runs to the end; `begun` gets what cancels it.
    ///
    /// # Errors
    /// When it could not be tried. A failed point is no error but a row that says so.
    pub fn run(
        self,
        observer: &dyn SweepObserver,
        begun: impl FnOnce(Canceller),
    ) -> Result<SweepEnded, DriverError> {
        let mut selected = vec![false; self.plan.plan.nodes.len()];
        let open: Vec<usize> = (0..self.plan.space.len()).filter(|it| !self.known.contains_key(it)).collect();
        for point in &open {
            self.plan.nodes_of(*point).for_each(|it| selected[it] = true);
        }
        let kept = self.kept();
        let mut record = SweepRecord::begin(&self, self.plan);
        let folder = self.options.local.lake_root.as_ref().map(|it| sweep_folder(it, &self.id));
        if let Some(folder) = &folder {
            record.save(folder)?;
        }
        let journal = folder.as_deref().map(journal::Journal::begin).transpose()?;
        let mut rows: Vec<PointRow> = self.known.values().cloned().collect();
        rows.sort_by_key(|it| it.point);
        for row in &rows {
            observer.on_point(row);
        }
        let sink = sink::Measuring::new(&self, &selected, &open, &kept, journal, observer);
        if let Some(problem) = sink.keep_known(&rows) {
            return Err(problem);
        }
        let mut state = RunState::Succeeded;
        let mut unsaved = None;
        if !open.is_empty() {
            let local = LocalRun::new(
                &self.plan.plan,
                selected,
                self.lake,
                self.components,
                self.options.local.clone(),
            )
            .followed_by(Sweeping {
                id: self.id.clone(),
                kept: &kept,
                codes: &self.codes,
                sink: &sink,
            });
            sink.may_cancel(local.canceller());
            begun(local.canceller());
            let ended = local.run(&Quiet)?;
            unsaved = ended.unsaved;
            state = ended.record.state;
            record.count_nodes(self.plan, &ended.record);
        }
        let (measured, journal_error, gave_up) = sink.into_rows();
        if gave_up {
            state = RunState::Failed;
        }
        rows.extend(measured);
        rows.sort_by_key(|it| it.point);
        record.end(state, &rows);
        let saved = journal_error.map_or(Ok(()), Err).and_then(|()| match &folder {
            Some(folder) => record.save(folder).and_then(|()| results::save(folder, &record, &rows)),
            None => Ok(()),
        });
        let unsaved = unsaved.or(saved.err());
        Ok(SweepEnded { record, rows, unsaved })
    }

    /// By the plan's order: whether a node's tables stay.
    fn kept(&self) -> Vec<bool> {
        let is_source = |it: &PlanNode| matches!(it.work, Work::Source(_));
        let all = self.options.keep == Keep::All;
        let mut kept: Vec<bool> = self.plan.plan.nodes.iter().map(|it| all || is_source(it)).collect();
        if self.options.keep == Keep::Measured {
            for point in 0..self.plan.space.len() {
                let measured = self.options.measures.iter().filter_map(|it| self.plan.measured(point, it));
                measured.for_each(|(node, _)| kept[node] = true);
            }
        }
        kept
    }
}

/// A point must not depend on what a lake holds already.
fn refuse_adding(plan: &SweepPlan) -> Result<(), DriverError> {
    let adds = |it: &&PlanNode| it.write_mode != WriteMode::Replace;
    let Some(node) = plan.plan.nodes.iter().find(adds) else { return Ok(()) };
    let what = format!(
        "node `{}` adds to its table, so that a point would depend on what the lake held before it",
        node.family
    );
    let mend = "sweep it with `write_mode = \"replace\"`";
    Err(Problem::new(Code("sweep-adds"), what, mend).into())
}

impl SweepRecord {
    fn count_nodes(&mut self, plan: &SweepPlan, run: &RunRecord) {
        self.counts.reused = run.nodes.iter().filter(|it| it.state == NodeState::Reused).count() as u64;
        for shared in &mut self.shared {
            let nodes = plan.plan.nodes.iter().zip(&run.nodes);
            let reused =
                nodes.filter(|(node, it)| node.family == shared.node && it.state == NodeState::Reused);
            shared.reused = reused.count() as u64;
        }
    }
}

pub(crate) fn sweep_folder(lake: &Path, id: &RunId) -> PathBuf {
    lake.join("sweeps").join(&id.0)
}

/// By the plan's order: the digest of a node's component, or of its source's files.
fn codes(plan: &SweepPlan, base: &Path) -> Result<(Vec<Digest>, Vec<SourceRecord>), DriverError> {
    let mut sources = Vec::new();
    let mut codes = Vec::with_capacity(plan.plan.nodes.len());
    for node in &plan.plan.nodes {
        codes.push(match &node.work {
            Work::Task(task) => task.digest,
            Work::Source(spec) => {
                let files = tidemill_lake::source_files(spec, base).map_err(|e| {
                    let failure = crate::NodeFailure::from(e);
                    Problem::new(
                        failure.code,
                        format!("source `{}`: {}", node.name, failure.what),
                        failure.mend,
                    )
                })?;
                let digest = source_digest(&files);
                sources.push(SourceRecord {
                    node: node.name.clone(),
                    path: spec.location().to_owned(),
                    digest: digest.to_string(),
                    files: file_records(&files, base),
                });
                digest
            }
        });
    }
    Ok((codes, sources))
}

/// What a point's row depends on: its nodes with their code, data and the names that tasks see, the time of the run, and
/// what is measured of which node.
fn keys(plan: &SweepPlan, codes: &[Digest], measures: &[Measure]) -> Vec<Digest> {
    let contract = format!("{}+{SOURCE_CONTRACT}", tidemill_sandbox::CONTRACT_IDENTITY);
    let window = &plan.plan.window;
    let node_key = |(node, code): (&PlanNode, &Digest)| {
        let members = node.inputs.iter().flat_map(|it| &it.members);
        let names: Vec<Digest> = members.map(|it| it.seen_as.digest).collect();
        tidemill_plan::cache_key(&node.update_id, code, &names, window, &contract)
    };
    let nodes: Vec<Digest> = plan.plan.nodes.iter().zip(codes).map(node_key).collect();
    let asked: Vec<Digest> = measures.iter().map(|it| Digest::of(asked(it).as_bytes())).collect();
    let point_key = |point| {
        let mut of_point: Vec<Digest> = plan.nodes_of(point).map(|it| nodes[it]).collect();
        let all = Digest::of(b"measures");
        for (measure, asked) in measures.iter().zip(&asked) {
            // Under one name a file may mean another node by now.
            let node = plan.measured(point, measure).map_or(all, |(node, _)| nodes[node]);
            of_point.extend([*asked, node]);
        }
        tidemill_plan::cache_key(&all, &all, &of_point, window, &contract)
    };
    (0..plan.space.len()).map(point_key).collect()
}

/// What a measure takes of its node, whatever the node is called.
fn asked(measure: &Measure) -> String {
    match &measure.source {
        MeasureSource::Column { port, column, aggregate, .. } => {
            format!("{} column {port:?} {column} {aggregate:?}", measure.name)
        }
        MeasureSource::Metric { name, .. } => format!("{} metric {name}", measure.name),
    }
}
