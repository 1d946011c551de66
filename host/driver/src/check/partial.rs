//! A node computed with less than all of its inputs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tidemill_lake::{Lake, Manifest, WindowFolder};
use tidemill_plan::{Code, Digest, Member, SourceSpec, TaskUse, Time, Window, Work};
use tidemill_sandbox::{Interrupt, Outcome};

use super::{Check, lock};
use crate::artefacts::{AttemptArtefacts, Keeping};
use crate::attempt::{Call, Reported, Tables, commit, copy_source};
use crate::checkpoint::Checkpoints;
use crate::failure::NodeFailure;
use crate::observer::Quiet;
use crate::table_io::{BoundTable, TableIo};

/// What of an input may be read; without any: all that a run may read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clip {
    pub(super) start: Option<Time>,
    pub(super) end: Option<Time>,
    /// Rows that were later, or known later, are hidden.
    pub(super) as_of: Option<Time>,
}

/// What a node wrote, in a lake of its own.
pub(super) struct Partial {
    pub(super) lake: Lake,
    pub(super) tables: Tables,
}

/// A table of the whole range.
pub(super) struct WholeInput<'a> {
    pub(super) lake: &'a Lake,
    pub(super) manifest: &'a Arc<Manifest>,
}

/// Each is a whole table in memory.
const VINTAGES_MAX: usize = 16;

/// A source as it was known at a time.
type Vintage = Arc<(Lake, Arc<Manifest>)>;

/// Computes nodes with parts of the tables of a run.
pub(super) struct Partials<'a> {
    check: &'a Check<'a>,
    folder: WindowFolder,
    /// By the plan's order; `None` where a node failed.
    tables: Vec<Option<Tables>>,
    vintages: Mutex<HashMap<(usize, Time), Vintage>>,
}

impl<'a> Partials<'a> {
    pub(super) fn new(check: &'a Check<'a>, tables: Vec<Option<Tables>>) -> Self {
        let folder = WindowFolder::of(&check.plan.window);
        Self { check, folder, tables, vintages: Mutex::default() }
    }

    /// What a node wrote over the whole range; `None` when it, or what it needs, failed.
    pub(super) fn tables(&self, position: usize) -> Option<&Tables> {
        let needed = self.members(position).map(|it| it.node);
        if needed.into_iter().any(|it| self.tables[it].is_none()) {
            return None;
        }
        self.tables[position].as_ref()
    }

    /// The tables that a node reads, port by port and member by member.
    pub(super) fn inputs(&self, position: usize) -> impl Iterator<Item = WholeInput<'_>> {
        self.members(position).filter_map(|it| {
            let manifest = self.tables[it.node].as_ref()?.get(it.output)?;
            Some(WholeInput { lake: self.check.lake, manifest })
        })
    }

    fn members(&self, position: usize) -> impl Iterator<Item = &Member> {
        self.check.plan.nodes[position].inputs.iter().flat_map(|it| &it.members)
    }

    /// Computes a node with clipped inputs.
    pub(super) fn compute(
        &self,
        position: usize,
        task: &TaskUse,
        clips: &[Clip],
        window: Window,
    ) -> Result<Partial, NodeFailure> {
        const RUN: &str = "check";
        let node = &self.check.plan.nodes[position];
        let component = self.check.components.by_digest(&task.digest);
        let component = component.expect("the plan was made with these components");
        let mut clips = clips.iter();
        let mut inputs = BTreeMap::new();
        for input in &node.inputs {
            let mut members = Vec::with_capacity(input.members.len());
            for member in &input.members {
                let clip = clips.next().expect("there is a clip for each member");
                members.push(self.bound(member, clip)?);
            }
            inputs.insert(input.port.clone(), members);
        }
        let lake = Lake::in_memory();
        let checkpoints = Checkpoints::in_memory(position + 1);
        let mut io = TableIo {
            lake: &lake,
            folder: &self.folder,
            node,
            position,
            attempt: 1,
            run: RUN,
            inputs,
            writers: BTreeMap::new(),
            update: None,
            log: None,
            metrics: BTreeMap::new(),
            artefacts: AttemptArtefacts::new(Keeping::DigestsOnly, RUN),
            checkpoint: checkpoints.of(position, Digest::of(b"")),
            observer: &Quiet,
        };
        let call = Call { node, task, name: RUN, run: RUN, attempt: 1, window, time_ms: node.timeout_ms };
        let interrupt = Interrupt::new();
        let ended = call.make(self.check.components.sandbox(), &component, &interrupt, &mut io);
        match ended.outcome {
            Outcome::Done => {}
            Outcome::Failed(failure) => return Err(failure.into()),
            Outcome::Interrupted(_) => {
                let what = "the task took longer than the node's `timeout`";
                return Err(NodeFailure::permanent(Code("timeout"), what, "raise `timeout`"));
            }
        }
        let writers = io.take_writers();
        let key = Digest::of(RUN.as_bytes());
        let tables = commit(RUN, node, writers, &key, &Reported::default(), &interrupt)?;
        Ok(Partial { tables: tables.expect("nothing interrupts it").tables, lake })
    }

    fn bound(&self, member: &Member, clip: &Clip) -> Result<BoundTable, NodeFailure> {
        let from = &self.check.plan.nodes[member.node];
        let window = &self.check.plan.window;
        if let (Some(as_of), Work::Source(spec)) = (clip.as_of, &from.work)
            && spec.knowledge_time.is_some()
        {
            let vintage = self.vintage(member.node, spec, as_of)?;
            return Ok(BoundTable::new(from, &member.seen_as, &vintage.0, &vintage.1, window));
        }
        let tables = self.tables[member.node].as_ref().expect("what a node needs was computed");
        let mut bound =
            BoundTable::new(from, &member.seen_as, self.check.lake, &tables[member.output], window);
        let after = clip.as_of.map(|it| Time(it.0.saturating_add(1)));
        bound.start = clip.start;
        // Of a source cut by knowledge time, what was known may be about any time.
        let is_cut_by_knowledge = matches!(&from.work, Work::Source(it) if it.knowledge_time.is_some());
        if !is_cut_by_knowledge {
            bound.end = [bound.end, clip.end, after].into_iter().flatten().min();
        }
        Ok(bound)
    }

    /// Reads a source again as it was known; each once.
    fn vintage(&self, position: usize, spec: &SourceSpec, as_of: Time) -> Result<Vintage, NodeFailure> {
        if let Some(it) = lock(&self.vintages).get(&(position, as_of)) {
            return Ok(Arc::clone(it));
        }
        let node = &self.check.plan.nodes[position];
        let base = &self.check.options.base;
        let files = tidemill_lake::source_files(spec, base)?;
        let window = Window { as_of: Some(as_of), ..self.check.plan.window };
        let reader = tidemill_lake::open_source(spec, base, &files, &window)?;
        let lake = Lake::in_memory();
        let interrupt = Interrupt::new();
        let to = (&lake, &self.folder, "check".to_owned());
        let writer = copy_source(node, reader, to, &interrupt)?.expect("nothing interrupts it");
        let writers = BTreeMap::from([(node.outputs[0].port.clone(), writer)]);
        let key = Digest::of(b"check");
        let tables = commit("check", node, writers, &key, &Reported::default(), &interrupt)?;
        let tables = tables.expect("nothing interrupts it");
        let vintage = Arc::new((lake, Arc::clone(&tables.tables[0])));
        let mut vintages = lock(&self.vintages);
        if vintages.len() >= VINTAGES_MAX {
            vintages.clear();
        }
        vintages.insert((position, as_of), Arc::clone(&vintage));
        Ok(vintage)
    }
}
