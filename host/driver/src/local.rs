//! A run in this process: what it needs, its beginning and its end. `center` has the threads, `steps` the loop.

mod center;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use tidemill_engine::{Engine, OnFailure};
use tidemill_lake::{Lake, WindowFolder};
use tidemill_plan::{Code, Digest, Machine, Plan, Problem};

pub(crate) use self::center::guarded;
use self::center::{Center, Message};
use self::steps::Loop;
use crate::attempt::{Held, Reuse, Scratch, Shared, Tables};
use crate::catalog::Components;
use crate::failure::{DriverError, NodeFailure};
use crate::log_file::now_ns;
use crate::observer::Observer;
use crate::origin::{Lineage, note_surroundings};
use crate::preview::{Preview, Prospect, preview};
use crate::record::{Beginning, NodeRecord, RunId, RunRecord, RunState, TableRecord};
use crate::shape::{Capacities, Shape};
use crate::stored::StoredRecord;

/// How a run is carried out.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Most attempts at a time.
    pub jobs: u32,
    pub machine: Machine,
    pub on_failure: OnFailure,
    /// Whether valid results are taken as they are.
    pub reuse: Reuse,
    /// The pipeline file, as it was named.
    pub file: String,
    /// Its folder, which source paths are relative to.
    pub base: PathBuf,
    /// Where the lake is; `None` for one in memory, which keeps no records and no logs.
    pub lake_root: Option<PathBuf>,
}

/// Enough that who cancels need not wait; more say nothing new.
const MESSAGES_MAX: usize = 8;

/// Cancels a run from any thread; harmless when the run has ended.
#[derive(Clone, Debug)]
pub struct Canceller(Sender<Message>);

impl Canceller {
    pub fn cancel(&self) {
        // Without a receiver the run has ended already.
        drop(self.0.send(Message::Cancel));
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub record: RunRecord,
    /// Why the record could not be kept, although the run ended.
    pub unsaved: Option<DriverError>,
}

/// A run that has not begun.
pub struct LocalRun<'a> {
    plan: &'a Plan,
    selected: Vec<bool>,
    lake: &'a Lake,
    components: &'a Components,
    options: LocalOptions,
    sweep: Option<Sweeping<'a>>,
    lineage: Lineage,
    /// Names of nodes that are computed even where a valid result is there.
    recompute: BTreeSet<String>,
    /// Tables that stand in the lake for what nodes would compute, by the plan's order.
    copies: BTreeMap<usize, Vec<StoredRecord>>,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
}

impl std::fmt::Debug for LocalRun<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalRun").field("pipeline", &self.plan.pipeline).finish_non_exhaustive()
    }
}

/// What a sweep sees of a run.
pub(crate) trait Sink: Sync {
    /// A node has ended. Called within a step of the loop, so it must be quick.
    fn ended(&self, node: usize, end: SinkEnd<'_>);
    /// What is to do after a step, outside of it; called by the threads that carry attempts out.
    fn work(&self, shared: &Shared<'_>);
}

/// How a node ended.
pub(crate) enum SinkEnd<'a> {
    Succeeded {
        tables: &'a Tables,
        record: &'a NodeRecord,
    },
    Failed(&'a NodeFailure),
    /// Because of this node.
    Skipped(usize),
    Cancelled,
}

/// How a sweep follows a run: which tables stay, and who measures them.
pub(crate) struct Sweeping<'a> {
    pub(crate) id: RunId,
    /// By the plan's order: whether a node's tables stay.
    pub(crate) kept: &'a [bool],
    /// By the plan's order: the digests of components and files that the sweep was planned with.
    pub(crate) codes: &'a [Digest],
    pub(crate) sink: &'a dyn Sink,
}

impl<'a> LocalRun<'a> {
    #[must_use]
    pub fn new(
        plan: &'a Plan,
        selected: Vec<bool>,
        lake: &'a Lake,
        components: &'a Components,
        options: LocalOptions,
    ) -> Self {
        assert_eq!(selected.len(), plan.nodes.len(), "one choice per node of the plan");
        let (sender, receiver) = bounded(MESSAGES_MAX);
        let (lineage, recompute) = (Lineage::default(), BTreeSet::new());
        let copies = BTreeMap::new();
        Self {
            plan,
            selected,
            lake,
            components,
            options,
            sweep: None,
            lineage,
            recompute,
            copies,
            sender,
            receiver,
        }
    }

    /// Lets a sweep follow the run: it decides which tables stay, and measures them.
    pub(crate) fn followed_by(self, sweeping: Sweeping<'a>) -> Self {
        Self { sweep: Some(sweeping), ..self }
    }

    /// Says in the record how the run came to be.
    #[must_use]
    pub fn with_lineage(self, lineage: Lineage) -> Self {
        Self { lineage, ..self }
    }

    /// Computes these nodes even where a valid result is there.
    #[must_use]
    pub fn recompute(self, nodes: BTreeSet<String>) -> Self {
        Self { recompute: nodes, ..self }
    }

    /// Takes the tables of these nodes as they are: copies of a service's, in the order of the nodes' outputs.
    #[must_use]
    pub fn with_copies(self, copies: BTreeMap<usize, Vec<StoredRecord>>) -> Self {
        Self { copies, ..self }
    }

    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(self.sender.clone())
    }

    /// Runs to the end and returns the record, which is also kept in the lake.
    ///
    /// # Errors
    /// When it could not be tried: a needed table is not in the lake, a component is gone, the record cannot be
    /// written. A failed node is no error but a record that says so.
    pub fn run(self, observer: &dyn Observer) -> Result<Ended, DriverError> {
        let began_at = now_ns();
        let unique = std::hash::RandomState::new().build_hasher().finish();
        let run = self.sweep.as_ref().map_or_else(|| RunId::at(began_at, unique), |it| it.id.clone());
        let mut record = RunRecord::begin(Beginning {
            run: run.clone(),
            file: &self.options.file,
            base: &self.options.base,
            plan: self.plan,
            selected: &self.selected,
            components: self.components,
            lineage: &self.lineage,
            is_sweep: self.sweep.is_some(),
            began_at,
        });
        note_surroundings(&mut record, self.plan, &self.selected, self.lake, &self.options.base);
        let held = self.hold()?;
        let shared = self.shared(&held, &run, observer);
        for (position, tables) in shared.tables.iter().enumerate() {
            if let Some(tables) = tables.get() {
                record.nodes[position].tables = table_records(&self.plan.nodes[position], tables);
            }
        }
        for (position, copies) in &self.copies {
            record.nodes[*position].stored.clone_from(copies);
        }
        let (jobs, machine, on_failure) = (self.options.jobs, self.options.machine, self.options.on_failure);
        let shape = Shape::new(self.plan, &self.selected, Capacities { jobs, machine, on_failure });
        let engine = Engine::new(shape.spec()).map_err(|e| impossible_run(&e))?;
        if let Some(root) = &self.options.lake_root {
            crate::artefacts::clear_unfinished(root);
            record.save(root)?;
        }
        let state = self.carry_out(&shared, &shape, engine, &mut record);
        record.state = state;
        record.ended_at = Some(now_ns());
        let unsaved = self.options.lake_root.as_ref().and_then(|root| record.save(root).err());
        Ok(Ended { record, unsaved })
    }

    /// What the run begins with: its components, and the tables that it reads and does not compute.
    fn hold(&self) -> Result<Held, DriverError> {
        let held = Held::new(self.plan, self.components);
        let needed: Vec<usize> = self.needed_but_not_selected().collect();
        if !needed.is_empty() {
            let folder = WindowFolder::of(&self.plan.window);
            let previews = preview(self.plan, Some(self.lake), &self.options.base);
            for position in needed {
                let found = match self.copies.contains_key(&position) {
                    true => self.copied(&folder, position)?,
                    false => self.stored(&folder, position, &previews[position])?,
                };
                held.tables[position].set(found).expect("each is set once");
            }
        }
        Ok(held)
    }

    fn shared<'s>(&'s self, held: &'s Held, run: &'s RunId, observer: &'s dyn Observer) -> Shared<'s> {
        Shared {
            plan: self.plan,
            lake: self.lake,
            scratch: self.sweep.as_ref().map(|it| Scratch { lake: Lake::in_memory(), kept: it.kept }),
            lake_root: self.options.lake_root.as_deref(),
            base: &self.options.base,
            folder: WindowFolder::of(&self.plan.window),
            sandbox: self.components.sandbox(),
            components: &held.components,
            run,
            reuse: self.options.reuse,
            observer,
            checkpoints: &held.checkpoints,
            tables: &held.tables,
            files: &held.files,
            stored: &held.stored,
            recompute: &self.recompute,
            expected: self.sweep.as_ref().map(|it| it.codes),
            live: None,
        }
    }

    fn needed_but_not_selected(&self) -> impl Iterator<Item = usize> {
        let nodes = self.plan.nodes.iter().enumerate().filter(|(position, _)| self.selected[*position]);
        let needed = nodes.flat_map(|(_, node)| &node.inputs).flat_map(|it| &it.members).map(|it| it.node);
        needed.filter(|it| !self.selected[*it]).collect::<BTreeSet<_>>().into_iter()
    }

    fn copied(&self, folder: &WindowFolder, position: usize) -> Result<Tables, DriverError> {
        let node = &self.plan.nodes[position];
        let mut tables = Vec::with_capacity(node.outputs.len());
        for it in &node.outputs {
            let found = self.lake.manifest(folder, &it.name).map_err(|e| Problem::from(&e))?;
            tables.push(Arc::new(found.expect("it was copied before the run")));
        }
        Ok(tables.into())
    }

    /// The tables of a node that this run does not compute. Only what a run would reuse is taken: tables of other
    /// code, data, parameters or as-of would be another result under the same name.
    fn stored(
        &self,
        folder: &WindowFolder,
        position: usize,
        preview: &Preview,
    ) -> Result<Tables, DriverError> {
        let node = &self.plan.nodes[position];
        let refused = |what: String| {
            let mend =
                format!("run it first, with the same `--set`, window and lake: `--node {}`", node.name);
            Problem::new(Code("table-not-in-lake"), what, mend)
        };
        let mut tables = Vec::new();
        for it in &node.outputs {
            let Some(manifest) = self.lake.manifest(folder, &it.name)? else {
                let what = "the lake has no table of node";
                return Err(refused(format!(
                    "{what} `{}`, which this run reads and does not compute",
                    node.name
                ))
                .into());
            };
            if preview.prospect != Prospect::Reuse {
                let what =
                    "is not what a run would give now: its code, data, parameters, inputs or as-of differ";
                return Err(refused(format!("the table of node `{}` in the lake {what}", node.name)).into());
            }
            tables.push(Arc::new(manifest));
        }
        Ok(tables.into())
    }

    fn carry_out(
        &self,
        shared: &Shared<'_>,
        shape: &Shape,
        engine: Engine,
        record: &mut RunRecord,
    ) -> RunState {
        let threads =
            usize::try_from(self.options.jobs).expect("usize has at least 32 bits").min(shape.len().max(1));
        let sink = self.sweep.as_ref().map(|it| it.sink);
        let looped = Loop::new(shared, shape, sink, engine, record);
        let center = Center::new(looped, self.sender.clone());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| center.work(shared));
            }
            center.watch(&self.receiver)
        })
    }
}

pub(crate) fn table_records(
    node: &tidemill_plan::PlanNode,
    tables: &[Arc<tidemill_lake::Manifest>],
) -> Vec<TableRecord> {
    let record = |(output, it): (&tidemill_plan::PlanTable, &Arc<tidemill_lake::Manifest>)| TableRecord {
        port: output.port.clone(),
        table: it.table.0.clone(),
        rows: it.rows,
        bytes: it.bytes,
        snapshot: it.snapshot.to_string(),
        written_by: it.provenance.run.clone(),
    };
    node.outputs.iter().zip(tables).map(record).collect()
}

/// The planner checks all that the engine refuses.
pub(crate) fn impossible_run(error: &tidemill_engine::SpecError) -> Problem {
    Problem::new(
        Code("internal"),
        format!("the engine refuses the plan: {error}"),
        "this is a defect of Tidemill; please report it with the pipeline",
    )
}
