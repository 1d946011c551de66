//! One attempt: is a result there already; if not, read the source or run the task, then commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;
use tidemill_lake::{
    Durability, KeyProgress, Lake, LakeError, Manifest, Manifests as _, Provenance, TableWriter, WindowFolder,
};
use tidemill_plan::{Code, Digest, Input, Plan, PlanNode, SourceSpec, TaskUse, Window, Work, WriteMode};
use tidemill_sandbox::{Attempt, AttemptLimits, Component, Interrupt, Outcome, Sandbox, Usage};

use crate::artefacts::{self, ArtefactRecord, AttemptArtefacts, Keeping};
use crate::catalog::Components;
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::failure::NodeFailure;
use crate::live_table::LiveTables;
use crate::log_file::LogWriter;
use crate::observer::Observer;
use crate::record::RunId;
use crate::stored;
use crate::table_io::{BoundTable, TableIo, open_writer};
use crate::update::{Read, Update};

/// What all attempts of a run share.
pub(crate) struct Shared<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) lake: &'a Lake,
    /// For tables that do not stay.
    pub(crate) scratch: Option<Scratch<'a>>,
    /// Where the lake is; `None` for one in memory, which keeps no records and no logs.
    pub(crate) lake_root: Option<&'a Path>,
    /// Folder of the pipeline file, which source paths are relative to.
    pub(crate) base: &'a Path,
    pub(crate) folder: WindowFolder,
    pub(crate) sandbox: &'a Sandbox,
    /// By the plan's order; `None` for sources.
    pub(crate) components: &'a [Option<Component>],
    pub(crate) run: &'a RunId,
    pub(crate) reuse: Reuse,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) checkpoints: &'a Checkpoints,
    /// What each node has committed, by the plan's order; set before anything that reads it starts.
    pub(crate) tables: &'a [OnceLock<Tables>],
    /// What each source read, by the plan's order, as far as it has been read.
    pub(crate) files: &'a [Mutex<Vec<tidemill_lake::SourceFile>>],
    /// By the plan's order: the tables that sources read instead of files, where somebody keeps them.
    pub(crate) stored: &'a [Option<Arc<Manifest>>],
    /// By the plan's order: digests of the files that sources must read, where these are promised already.
    pub(crate) expected: Option<&'a [Digest]>,
    /// Nodes that are computed even where a valid result is there.
    pub(crate) recompute: &'a BTreeSet<String>,
    /// Of the service: knows what tables were made of, so that nodes which add to theirs compute only what they lack.
    pub(crate) live: Option<&'a LiveTables>,
}

/// What attempts of a run leave for each other, by the plan's order.
#[derive(Debug)]
pub(crate) struct Held {
    /// `None` for sources.
    pub(crate) components: Vec<Option<Component>>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) tables: Vec<OnceLock<Tables>>,
    pub(crate) files: Vec<Mutex<Vec<tidemill_lake::SourceFile>>>,
    pub(crate) stored: Vec<Option<Arc<Manifest>>>,
}

impl Held {
    pub(crate) fn new(plan: &Plan, components: &Components) -> Self {
        let component = |node: &PlanNode| match &node.work {
            Work::Source(_) => None,
            Work::Task(task) => {
                Some(components.by_digest(&task.digest).expect("the plan was made with these components"))
            }
        };
        Self {
            components: plan.nodes.iter().map(component).collect(),
            checkpoints: Checkpoints::in_memory(plan.nodes.len()),
            tables: plan.nodes.iter().map(|_| OnceLock::new()).collect(),
            files: plan.nodes.iter().map(|_| Mutex::default()).collect(),
            stored: vec![None; plan.nodes.len()],
        }
    }
}

/// Where tables are written that only this run reads.
pub(crate) struct Scratch<'a> {
    pub(crate) lake: Lake,
    /// By the plan's order: whether a node's tables stay.
    pub(crate) kept: &'a [bool],
}

impl Shared<'_> {
    /// Where a node's tables are written.
    fn writes_to(&self, position: usize) -> &Lake {
        match &self.scratch {
            Some(it) if !it.kept[position] => &it.lake,
            _ => self.lake,
        }
    }

    /// Where a table is: one that was there before stays where it was.
    pub(crate) fn home(&self, manifest: &Manifest) -> &Lake {
        let is_scratch =
            |it: &Scratch<'_>| matches!(it.lake.manifest(&self.folder, &manifest.table), Ok(Some(_)));
        match &self.scratch {
            Some(it) if is_scratch(it) => &it.lake,
            _ => self.lake,
        }
    }

    /// Whether what a node writes stays.
    fn keeps(&self, position: usize) -> bool {
        self.scratch.as_ref().is_none_or(|it| it.kept[position])
    }

    fn keeping(&self, position: usize) -> Keeping<'_> {
        // As the lake's tables: those of a service outlast a power loss.
        let durability = if self.live.is_some() { Durability::Always } else { Durability::Auto };
        match self.lake_root {
            Some(root) if self.keeps(position) => Keeping::Below(root, durability),
            Some(_) | None => Keeping::DigestsOnly,
        }
    }

    fn table(&self, node: usize, output: usize) -> &Arc<Manifest> {
        let tables = self.tables[node].get().expect("the engine starts a node after what it needs");
        &tables[output]
    }
}

/// Whether a valid result is taken as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    Valid,
    Never,
}

/// The committed tables of a node, in the order of its outputs.
pub(crate) type Tables = Arc<[Arc<Manifest>]>;

#[derive(Debug)]
pub(crate) enum AttemptEnd {
    Computed {
        tables: Tables,
        /// How far each has come with this, where someone else keeps that.
        progress: Vec<Option<Vec<KeyProgress>>>,
        usage: Usage,
        reported: Reported,
    },
    Reused {
        tables: Tables,
        reported: Reported,
    },
    Failed {
        failure: NodeFailure,
        usage: Usage,
        /// What it left until then.
        artefacts: Vec<ArtefactRecord>,
    },
    /// It was told to stop, and has.
    Stopped,
}

impl AttemptEnd {
    /// Of an attempt that did not come to calling its task.
    pub(crate) fn failed(failure: NodeFailure) -> Self {
        Self::Failed { failure, usage: Usage::default(), artefacts: Vec::new() }
    }
}

/// What a task said beside its tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reported {
    pub(crate) metrics: BTreeMap<String, Value>,
    pub(crate) artefacts: Vec<ArtefactRecord>,
}

/// Runs one attempt to its end.
pub(crate) fn run_attempt(
    shared: &Shared<'_>,
    position: usize,
    attempt: u32,
    interrupt: &Interrupt,
) -> AttemptEnd {
    let node = &shared.plan.nodes[position];
    let result = match &node.work {
        Work::Source(spec) if spec.table().is_some() => {
            stored::read(shared, position, spec, attempt, interrupt)
        }
        Work::Source(spec) => read_source(shared, position, spec, attempt, interrupt),
        Work::Task(task) => run_task(shared, position, task, attempt, interrupt),
    };
    result.unwrap_or_else(AttemptEnd::failed)
}

/// The cache key of a node's tables.
pub(crate) fn node_key(
    node: &PlanNode,
    plan: &Plan,
    code: &Digest,
    snapshots: &[Digest],
    contract: &str,
) -> Digest {
    tidemill_plan::cache_key(&node.update_id, code, snapshots, &plan.window, contract)
}

/// What a node reads, in the order of ports and members: the snapshot of each table and the name by which the task sees
/// it; `None` while one is not known.
pub(crate) fn snapshots<'a>(
    node: &PlanNode,
    mut table: impl FnMut(usize, usize) -> Option<&'a Manifest>,
) -> Option<Vec<Digest>> {
    let members = node.inputs.iter().flat_map(|it| &it.members);
    let read = members.map(|it| Some([table(it.node, it.output)?.snapshot, it.seen_as.digest]));
    Some(read.collect::<Option<Vec<_>>>()?.concat())
}

/// The tables of a node that a key makes valid, if all are there.
pub(crate) fn valid_tables(
    lake: &Lake,
    folder: &WindowFolder,
    node: &PlanNode,
    key: &Digest,
) -> Result<Option<Tables>, NodeFailure> {
    if node.outputs.is_empty() {
        // Nothing tells that it has run before.
        return Ok(None);
    }
    let mut tables = Vec::with_capacity(node.outputs.len());
    for it in &node.outputs {
        match lake.manifest(folder, &it.name) {
            Ok(Some(manifest)) if manifest.provenance.cache_key == *key => tables.push(Arc::new(manifest)),
            // One that cannot be read is written anew.
            Ok(_) => return Ok(None),
            // One of a newer version is not ours to overwrite.
            Err(e @ LakeError::Newer { .. }) => return Err(e.into()),
            Err(e) if e.is_passing() => return Err(e.into()),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(tables.into()))
}

pub(crate) fn reusable(
    shared: &Shared<'_>,
    node: &PlanNode,
    key: &Digest,
) -> Result<Option<AttemptEnd>, NodeFailure> {
    match shared.reuse {
        Reuse::Never => Ok(None),
        Reuse::Valid if shared.recompute.contains(&node.name) => Ok(None),
        Reuse::Valid => {
            let Some(tables) = valid_tables(shared.lake, &shared.folder, node, key)? else { return Ok(None) };
            // Each of a node's tables holds what was reported with it.
            let Some(from) = tables.first().map(|it| &it.provenance) else { return Ok(None) };
            if shared.lake_root.is_some_and(|it| !artefacts::are_there(it, &from.artefacts)) {
                return Ok(None);
            }
            let artefacts = from.artefacts.iter().map(ArtefactRecord::from).collect();
            let reported = Reported { metrics: from.metrics.clone(), artefacts };
            Ok(Some(AttemptEnd::Reused { tables, reported }))
        }
    }
}

/// Of the code that reads sources: raised when reading the same files would give other Arrow.
pub(crate) const SOURCE_CONTRACT: &str = "source@1";

/// The digest that stands for a source's code and data.
pub(crate) fn source_digest(files: &[tidemill_lake::SourceFile]) -> Digest {
    let mut text = String::new();
    for it in files {
        text.push_str(&format!("{}\n", it.digest));
    }
    Digest::of(text.as_bytes())
}

fn read_source(
    shared: &Shared<'_>,
    position: usize,
    spec: &SourceSpec,
    attempt: u32,
    interrupt: &Interrupt,
) -> Result<AttemptEnd, NodeFailure> {
    let node = &shared.plan.nodes[position];
    let began = std::time::Instant::now();
    let files = tidemill_lake::source_files(spec, shared.base)?;
    shared.files[position].lock().unwrap_or_else(PoisonError::into_inner).clone_from(&files);
    let code = source_digest(&files);
    if shared.expected.is_some_and(|it| it[position] != code) {
        let what = format!("the files of source `{}` have changed since the sweep began", node.name);
        return Err(NodeFailure::permanent(Code("source-changed"), what, "sweep again"));
    }
    let key = node_key(node, shared.plan, &code, &[], SOURCE_CONTRACT);
    if let Some(end) = reusable(shared, node, &key)? {
        return Ok(end);
    }
    let reader = tidemill_lake::open_source(spec, shared.base, &files, &shared.plan.window)?;
    let bytes_in = files.iter().map(|it| it.bytes).sum();
    let usage = |rows_in| Usage { rows_in, bytes_in, ..Usage::default() };
    keep_source(shared, (position, attempt), reader, &key, (began, usage), interrupt)
}

/// Makes the rows of a source its table; `usage` is told how many there are.
pub(crate) fn keep_source(
    shared: &Shared<'_>,
    (position, attempt): (usize, u32),
    reader: tidemill_lake::SourceReader,
    key: &Digest,
    (began, usage): (std::time::Instant, impl FnOnce(u64) -> Usage),
    interrupt: &Interrupt,
) -> Result<AttemptEnd, NodeFailure> {
    let node = &shared.plan.nodes[position];
    let to = (shared.lake, &shared.folder, format!("{}-{attempt}", shared.run));
    let Some(writer) = copy_source(node, reader, to, interrupt)? else { return Ok(AttemptEnd::Stopped) };
    let mut usage = usage(writer.rows());
    let writers = BTreeMap::from([(node.outputs[0].port.clone(), writer)]);
    let tables = commit(&shared.run.0, node, writers, key, &Reported::default(), interrupt)?;
    usage.wall_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let manifests = || tables.iter().flat_map(|it| it.tables.iter());
    usage.rows_out = manifests().map(|it| it.rows).sum();
    usage.bytes_out = manifests().map(|it| it.memory_bytes).sum();
    Ok(ended(tables, usage, Reported::default()))
}

/// Writes all rows of a source, not yet committed; `None` when it was told to stop.
pub(crate) fn copy_source(
    node: &PlanNode,
    mut reader: tidemill_lake::SourceReader,
    (lake, folder, attempt): (&Lake, &WindowFolder, String),
    interrupt: &Interrupt,
) -> Result<Option<TableWriter>, NodeFailure> {
    let mut table = node.outputs.first().expect("a source has one output").clone();
    table.time_index = reader.time_index().map(str::to_owned);
    table.identifiers = reader.identifiers().to_vec();
    let mut writer = open_writer(lake, folder, node, &table, reader.schema(), attempt)?;
    while let Some(batch) = reader.next_batch()? {
        if interrupt.cause().is_some() {
            return Ok(None);
        }
        writer.write(&batch)?;
    }
    Ok(Some(writer))
}

fn run_task(
    shared: &Shared<'_>,
    position: usize,
    task: &TaskUse,
    attempt: u32,
    interrupt: &Interrupt,
) -> Result<AttemptEnd, NodeFailure> {
    let node = &shared.plan.nodes[position];
    let component = shared.components[position].as_ref().expect("every task node has its component");
    let read = snapshots(node, |node, output| Some(&**shared.table(node, output)));
    let read = read.expect("the engine starts a node after what it needs");
    let key = node_key(node, shared.plan, &task.digest, &read, tidemill_sandbox::CONTRACT_IDENTITY);
    if let Some(end) = reusable(shared, node, &key)? {
        return Ok(end);
    }
    let update = update_of(shared, position)?;
    let window = update.as_ref().map_or(shared.plan.window, |it| it.window(shared.plan.window));
    // What of it a checkpoint is about.
    let basis = Digest::of(format!("{key} {window:?}").as_bytes());
    let checkpoint = shared.checkpoints.of(position, basis);
    let mut io = table_io(shared, position, attempt, (update, checkpoint))?;
    // The engine watches the time.
    let name = node.own_name();
    let call = Call { node, task, name: &name, run: &shared.run.0, attempt, window, time_ms: None };
    let ended = call.make(shared.sandbox, component, interrupt, &mut io);
    match ended.outcome {
        Outcome::Done => {
            let writers = io.take_writers();
            let metrics = std::mem::take(&mut io.metrics);
            // In place before anything names them.
            let mut artefacts = io.artefacts.finish()?;
            if !shared.keeps(position) {
                artefacts.clear();
            }
            let reported = Reported { metrics, artefacts };
            let tables = commit(&shared.run.0, node, writers, &key, &reported, interrupt)?;
            Ok(self::ended(tables, ended.usage, reported))
        }
        Outcome::Failed(failure) => {
            // What cannot be kept of them is no news beside the failure.
            let mut artefacts = io.artefacts.finish().unwrap_or_default();
            if !shared.keeps(position) {
                artefacts.clear();
            }
            Ok(AttemptEnd::Failed { failure: failure.into(), usage: ended.usage, artefacts })
        }
        Outcome::Interrupted(_) => Ok(AttemptEnd::Stopped),
    }
}

/// One call of a node's task.
pub(crate) struct Call<'a> {
    pub(crate) node: &'a PlanNode,
    pub(crate) task: &'a TaskUse,
    /// The node's name as the task sees it.
    pub(crate) name: &'a str,
    pub(crate) run: &'a str,
    pub(crate) attempt: u32,
    pub(crate) window: Window,
    pub(crate) time_ms: Option<u64>,
}

impl Call<'_> {
    pub(crate) fn make(
        &self,
        sandbox: &Sandbox,
        component: &Component,
        interrupt: &Interrupt,
        io: &mut TableIo<'_>,
    ) -> tidemill_sandbox::Ended {
        let node = self.node;
        let table = node.outputs.first().map(|it| it.id.to_string()).unwrap_or_default();
        let parameters = self.task.parameters.to_string();
        let attempt = Attempt {
            run: self.run,
            node: self.name,
            table: table.get(..32).unwrap_or_default(),
            attempt: self.attempt,
            seed: tidemill_plan::node_seed(&node.update_id),
            parameters: &parameters,
            window: self.window,
            limits: AttemptLimits {
                memory_bytes: node.resources.memory_bytes,
                output_bytes: node.limits.output_bytes,
                log_bytes: node.limits.log_bytes,
                time_ms: self.time_ms,
                fuel: node.limits.fuel,
            },
            interrupt: interrupt.clone(),
        };
        sandbox.run(component, &attempt, io)
    }
}

pub(crate) fn ended(committed: Option<Committed>, usage: Usage, reported: Reported) -> AttemptEnd {
    match committed {
        Some(Committed { tables, progress }) => AttemptEnd::Computed { tables, progress, usage, reported },
        None => AttemptEnd::Stopped,
    }
}

/// What a node that adds to its tables lacks, and reads for it. In local mode such a node reads everything.
fn update_of(shared: &Shared<'_>, position: usize) -> Result<Option<Update>, NodeFailure> {
    let node = &shared.plan.nodes[position];
    let Some(live) = shared.live.filter(|_| node.write_mode != WriteMode::Replace) else { return Ok(None) };
    let outputs = node.outputs.iter().map(|it| Ok(live.current(&it.name)?.map(Arc::new)));
    let outputs: Vec<Option<Arc<Manifest>>> = outputs.collect::<Result<_, LakeError>>()?;
    let before = match outputs.first() {
        Some(Some(it)) => live.read_by(&it.table)?,
        Some(None) | None => BTreeMap::new(),
    };
    let mut reads = Vec::new();
    for input in &node.inputs {
        for member in &input.members {
            let manifest = shared.table(member.node, member.output);
            let before = match before.get(&manifest.table) {
                Some(digest) => live.with_digest(&manifest.table, digest)?.map(Arc::new),
                None => None,
            };
            reads.push(Read { manifest, before });
        }
    }
    Ok(Update::of(node, shared.lake, &outputs, &reads, &shared.plan.window)?)
}

fn table_io<'a>(
    shared: &'a Shared<'a>,
    position: usize,
    attempt: u32,
    (update, checkpoint): (Option<Update>, Checkpoint<'a>),
) -> Result<TableIo<'a>, NodeFailure> {
    let node = &shared.plan.nodes[position];
    let bound = |input: &Input, it: &tidemill_plan::Member| -> Result<BoundTable, NodeFailure> {
        let manifest = shared.table(it.node, it.output);
        let from = &shared.plan.nodes[it.node];
        let mut table =
            BoundTable::new(from, &it.seen_as, shared.home(manifest), manifest, &shared.plan.window);
        if let Some(update) = &update {
            table.start = update.start_of(shared.lake, manifest, input.look_back)?;
        }
        Ok(table)
    };
    let mut inputs = BTreeMap::new();
    for input in &node.inputs {
        let members = input.members.iter().map(|it| bound(input, it)).collect::<Result<_, _>>()?;
        inputs.insert(input.port.clone(), members);
    }
    Ok(TableIo {
        lake: shared.writes_to(position),
        folder: &shared.folder,
        node,
        position,
        attempt,
        run: &shared.run.0,
        inputs,
        writers: BTreeMap::new(),
        update,
        log: shared.lake_root.map(|it| LogWriter::new(it, shared.run, &node.name, attempt)),
        metrics: BTreeMap::new(),
        artefacts: AttemptArtefacts::new(
            shared.keeping(position),
            &format!("{}-{position}-{attempt}", shared.run),
        ),
        checkpoint,
        observer: shared.observer,
    })
}

/// Tables that an attempt has finished, in the order of the node's outputs.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) tables: Tables,
    pub(crate) progress: Vec<Option<Vec<KeyProgress>>>,
}

/// Commits every table of a node; `None` when the attempt was told to stop before. A node counts only when all its
/// tables carry its key, so a crash between two of them leaves the node to be computed again.
pub(crate) fn commit(
    run: &str,
    node: &PlanNode,
    mut writers: BTreeMap<String, TableWriter>,
    key: &Digest,
    reported: &Reported,
    interrupt: &Interrupt,
) -> Result<Option<Committed>, NodeFailure> {
    if interrupt.cause().is_some() {
        return Ok(None);
    }
    let task = match &node.work {
        Work::Source(_) => None,
        Work::Task(it) => Some(it),
    };
    let mut progress = Vec::with_capacity(node.outputs.len());
    let mut tables = Vec::with_capacity(node.outputs.len());
    for it in &node.outputs {
        let Some(writer) = writers.remove(&it.port) else {
            let what = format!("the task ended without creating output `{}`", it.port);
            let mend = "create every declared output, also where it has no rows";
            return Err(NodeFailure::permanent(Code("output-missing"), what, mend));
        };
        let provenance = Provenance {
            cache_key: *key,
            node: node.name.clone(),
            task: task.map_or_else(|| node.family.clone(), |it| it.description.name.clone()),
            component: task.map(|it| it.digest),
            run: run.to_owned(),
            metrics: reported.metrics.clone(),
            artefacts: reported.artefacts.iter().map(Into::into).collect(),
        };
        progress.push(writer.progress());
        let manifest = writer.finish(provenance).map_err(|e| {
            let failure = NodeFailure::from(e);
            NodeFailure { what: format!("output `{}`: {}", it.port, failure.what), ..failure }
        })?;
        tables.push(Arc::new(manifest));
    }
    Ok(Some(Committed { tables: tables.into(), progress }))
}
