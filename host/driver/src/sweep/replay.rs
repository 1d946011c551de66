//! A recorded sweep again: every point that ended well is computed anew, and its measures and measured tables compared.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tidemill_lake::{Lake, WindowFolder};
use tidemill_plan::{
    Axes, Code, Digest, Keep, Machine, Measure, PointsTable, Problem, Request, Space, SweepPlan, TableName,
    Work,
};
use tidemill_sandbox::Sandbox;

use super::{PointRow, PointState, SweepEnded, SweepObserver, SweepOptions, SweepRecord, SweepRun};
use crate::catalog::Components;
use crate::failure::DriverError;
use crate::local::{Canceller, LocalOptions};
use crate::record::{RunState, folder_of};
use crate::replay::{changed_components, changed_source};

/// A sweep that can be repeated: all that it used is as it was.
#[derive(Debug)]
pub struct SweepReplay {
    record: SweepRecord,
    /// The points that had ended well, in their order.
    rows: Vec<PointRow>,
    base: PathBuf,
    plan: SweepPlan,
    measures: Vec<Measure>,
    components: Components,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct SweepReplayed {
    pub points: usize,
    /// Points of which nothing differs.
    pub equal: usize,
    /// Measured tables of the record that were compared by their digests: those that the lake still holds.
    pub tables: usize,
    pub differences: Vec<PointDifference>,
}

/// What differs at a point.
#[derive(Clone, Debug)]
pub struct PointDifference {
    /// Name and value of each axis.
    pub at: Vec<(String, Value)>,
    /// A measure, or a table.
    pub of: String,
    pub before: String,
    pub after: String,
}

impl SweepReplay {
    /// Checks everything.
    ///
    /// # Errors
    /// Everything that is not as it was, or why the sweep cannot be repeated at all.
    pub fn prepare(
        record: SweepRecord,
        rows: Vec<PointRow>,
        sandbox: Arc<Sandbox>,
        machine: Machine,
    ) -> Result<Self, Vec<Problem>> {
        let one = |it: Problem| vec![it];
        if record.pipeline_text.is_empty() {
            let what = format!(
                "the record of sweep `{}` holds no pipeline: its version did not keep it",
                record.sweep
            );
            let mend = "make the sweep again with `--force`, and compare the two by `tidemill sweep compare`";
            return Err(one(Problem::new(Code("run-not-repeatable"), what, mend)));
        }
        let base =
            folder_of(&format!("sweep `{}`", record.sweep), &record.folder).map_err(|e| one(e.problem()))?;
        let rows: Vec<PointRow> = rows.into_iter().filter(|it| it.state != PointState::Failed).collect();
        if rows.is_empty() {
            let what = format!("no point of sweep `{}` ended well", record.sweep);
            let mend = "a replay repeats points that ended well; `tidemill sweep show` tells how each ended";
            return Err(one(Problem::new(Code("nothing-to-replay"), what, mend)));
        }
        let mut problems: Vec<Problem> = changed_components(&record.component_files).into_values().collect();
        let file = format!("record of sweep {}: {}", record.sweep, record.file);
        let pipeline = tidemill_plan::parse(&record.pipeline_text, &file)?;
        let components = Components::new(sandbox, base.clone(), &pipeline);
        let request = Request {
            sets: Vec::new(),
            parameters: record.parameters.clone().into_iter().collect(),
            window: record.window,
            machine,
        };
        let measures = record.measures.iter().map(|it| Measure::parse(&it.name, &it.source));
        let measures: Vec<Measure> = measures.collect::<Result<_, _>>().map_err(one)?;
        let points = PointsTable {
            file: format!("record of sweep {}", record.sweep),
            columns: record.axes.iter().map(|it| it.name.clone()).collect(),
            rows: rows.iter().map(|it| it.values.clone()).collect(),
        };
        let space = Space::new(&pipeline, &Axes { points: Some(points), ..Axes::default() })?;
        let wanted: Vec<&str> = measures.iter().map(|it| it.source.node()).collect();
        let plan = tidemill_plan::plan_sweep(&pipeline, &request, space, &wanted, &components);
        // What a changed component brings about is no news beside that it has changed.
        let plan = plan.map_err(|it| if problems.is_empty() { it } else { std::mem::take(&mut problems) })?;
        for node in &plan.plan.nodes {
            let Work::Source(spec) = &node.work else { continue };
            let then = record.sources.iter().find(|it| it.node == node.name);
            let files = then.map(|it| it.files.as_slice()).unwrap_or_default();
            problems.extend(changed_source(&node.name, spec, &base, files));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { record, rows, base, plan, measures, components })
    }

    #[must_use]
    pub fn record(&self) -> &SweepRecord {
        &self.record
    }

    #[must_use]
    pub fn plan(&self) -> &SweepPlan {
        &self.plan
    }

    #[must_use]
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Computes everything anew, into another lake than the sweep's.
    ///
    /// # Errors
    /// When it could not be tried.
    pub fn run(
        &self,
        lake: &Lake,
        options: LocalOptions,
        observer: &dyn SweepObserver,
        begun: impl FnOnce(Canceller),
    ) -> Result<SweepEnded, DriverError> {
        let options = SweepOptions {
            local: LocalOptions { file: self.record.file.clone(), base: self.base.clone(), ..options },
            measures: self.measures.clone(),
            goal: self.record.goal(),
            keep: Keep::Measured,
            command: format!("tidemill replay {}", self.record.sweep),
        };
        let run = SweepRun::new(&self.plan, lake, &self.components, options)?;
        let ended = run.run(observer, begun)?;
        // The files may have changed between being checked and being read.
        let read = ended.record.sources.iter().zip(&self.record.sources);
        let changed =
            read.flat_map(|(now, then)| crate::replay::changed_files(&now.node, &then.files, &now.files));
        match changed.into_iter().next() {
            Some(problem) if ended.record.state != RunState::Cancelled => Err(problem.into()),
            _ => Ok(ended),
        }
    }

    /// Compares what was measured, bit for bit, and the digests of the tables that the sweep's lake still holds.
    ///
    /// # Errors
    /// When a lake cannot be read.
    pub fn compare(
        &self,
        original: &Lake,
        replayed: &Lake,
        ended: &SweepEnded,
    ) -> Result<SweepReplayed, DriverError> {
        let mut out = SweepReplayed { points: self.rows.len(), equal: 0, tables: 0, differences: Vec::new() };
        let mut rows = ended.rows.iter().peekable();
        for (point, then) in self.rows.iter().enumerate() {
            let known = out.differences.len();
            let now = rows.next_if(|it| it.point == point);
            self.compare_measures(then, now, &mut out.differences);
            if let Some(now) = now {
                out.tables += self.compare_tables((original, then), (replayed, now), &mut out.differences)?;
            }
            out.equal += usize::from(out.differences.len() == known);
        }
        Ok(out)
    }

    fn difference(&self, row: &PointRow, of: &str, before: String, after: String) -> PointDifference {
        let names = self.record.axes.iter().map(|it| it.name.clone());
        PointDifference {
            at: names.zip(row.values.iter().cloned()).collect(),
            of: of.to_owned(),
            before,
            after,
        }
    }

    fn compare_measures(&self, then: &PointRow, now: Option<&PointRow>, out: &mut Vec<PointDifference>) {
        let text = |it: Option<f64>| it.map_or_else(|| "nothing".to_owned(), |it| it.to_string());
        for (at, measure) in self.record.measures.iter().enumerate() {
            let of = |it: &PointRow| it.measures.get(at).copied().flatten();
            let before = of(then);
            let (after, told) = match now {
                None => (None, "not reached".to_owned()),
                Some(now) => (of(now), now.error.clone().unwrap_or_else(|| text(of(now)))),
            };
            let is_failed = now.is_none_or(|it| it.state == PointState::Failed);
            if is_failed || before.map(f64::to_bits) != after.map(f64::to_bits) {
                out.push(self.difference(then, &measure.name, text(before), told));
            }
        }
    }

    /// How many tables both lakes hold.
    fn compare_tables(
        &self,
        (original, then): (&Lake, &PointRow),
        (replayed, now): (&Lake, &PointRow),
        out: &mut Vec<PointDifference>,
    ) -> Result<usize, DriverError> {
        let folder = WindowFolder::of(&self.record.window);
        // What is stored, not what a manifest says of it.
        let digest = |lake: &Lake, name: &String| -> Result<Option<Digest>, DriverError> {
            let manifest = lake.manifest(&folder, &TableName(name.clone()))?;
            Ok(manifest.map(|it| lake.content_digest(&it)).transpose()?)
        };
        let mut compared = 0;
        for (before, after) in then.tables.iter().zip(&now.tables) {
            let (Some(a), Some(b)) = (digest(original, before)?, digest(replayed, after)?) else { continue };
            compared += 1;
            if before != after || a != b {
                out.push(self.difference(then, before, a.to_string(), b.to_string()));
            }
        }
        Ok(compared)
    }
}
