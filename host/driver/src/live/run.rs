//! One run of the service in memory: asks its engine what follows from an event, writes that into its journal, and says
//! which attempts are to begin. Waits for nothing and knows no other run.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidemill_engine::{
    AttemptId, Capacity, Effect, Engine, Event, Fact, Failure, Origin, Outcome, RunSpec, StopCause, Timestamp,
};
use tidemill_plan::{Code, Work};
use tidemill_sandbox::{Interrupt, InterruptCause};
use tidemill_store::{HostId, MirrorWish};

use super::fold;
use super::journal::{Entry, Left, What, engine_records};
use super::publish::{Written, mirror_wishes};
use super::request::LivePlan;
use crate::attempt::{AttemptEnd, Held, Reported, Reuse};
use crate::failure::NodeFailure;
use crate::local::table_records;
use crate::log_file::now_ns;
use crate::observer::{Event as Seen, Observer};
use crate::origin::file_records;
use crate::record::{ErrorRecord, RunId, RunRecord};
use crate::shape::{Capacities, Shape};

/// What attempts of a run share, and nobody changes.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) run: RunId,
    pub(crate) live_plan: LivePlan,
    pub(crate) held: Held,
    pub(crate) reuse: Reuse,
    pub(crate) told: Told,
}

/// What is told of nodes while they run and kept nowhere, by the plan's order.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Tales>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Tales {
    /// What tasks last said of their progress: how much is done, and of how much.
    pub(crate) progress: BTreeMap<usize, (u64, Option<u64>)>,
    /// What keeps nodes from going on, until it is mended.
    pub(crate) troubles: BTreeMap<usize, ErrorRecord>,
}

impl Told {
    pub(crate) fn read(&self) -> Tales {
        self.lock().clone()
    }

    pub(crate) fn trouble(&self, position: usize, failure: Option<&NodeFailure>) {
        let troubles = &mut self.lock().troubles;
        match failure {
            Some(it) => troubles.insert(position, error_record(it)),
            None => troubles.remove(&position),
        };
    }

    fn lock(&self) -> MutexGuard<'_, Tales> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Told {
    fn on(&self, event: Seen<'_>) {
        match event {
            Seen::Progress { node, done, total } => {
                self.lock().progress.insert(node, (done, total));
            }
            Seen::AttemptBegan { .. } | Seen::RetryScheduled { .. } | Seen::NodeEnded { .. } => {}
        }
    }
}

/// The run's own time: it goes on while a host has the run and the machine lacks nothing, whatever its clock does.
#[derive(Clone, Copy, Debug)]
struct Clock {
    base_ms: u64,
    began: Instant,
    /// How long it has stood still.
    stood: Duration,
    /// Since when it stands, and for how many attempts that rest.
    stands: Option<(Instant, usize)>,
}

impl Clock {
    fn new(base_ms: u64) -> Self {
        Self { base_ms, began: Instant::now(), stood: Duration::ZERO, stands: None }
    }

    fn now(self) -> Timestamp {
        let until = self.stands.map_or_else(Instant::now, |(since, _)| since);
        let gone = until.saturating_duration_since(self.began).saturating_sub(self.stood);
        Timestamp(self.base_ms.saturating_add(u64::try_from(gone.as_millis()).unwrap_or(u64::MAX)))
    }

    /// `None` while it stands.
    fn instant(self, at: Timestamp) -> Option<Instant> {
        let ahead = Duration::from_millis(at.0.saturating_sub(self.base_ms));
        self.stands.is_none().then(|| self.began + self.stood + ahead)
    }

    fn stop(&mut self) {
        let (since, resting) = self.stands.unwrap_or_else(|| (Instant::now(), 0));
        self.stands = Some((since, resting + 1));
    }

    fn go(&mut self) {
        let Some((since, resting)) = self.stands else { return };
        self.stands = (resting > 1).then(|| (since, resting - 1));
        if self.stands.is_none() {
            self.stood += since.elapsed();
        }
    }
}

/// Whether attempts may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Someone has paused the run.
    Paused,
}

/// An attempt for a thread to carry out.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) parts: std::sync::Arc<Parts>,
    pub(crate) attempt: AttemptId,
    pub(crate) position: usize,
    pub(crate) interrupt: Interrupt,
}

/// What is to be made durable next.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) entries: Vec<Entry>,
    /// Tables that become visible with these entries.
    pub(crate) written: Vec<Written>,
    /// Of the mirror, with these entries.
    pub(crate) wishes: Vec<MirrorWish>,
}

pub(crate) struct LiveRun {
    pub(crate) parts: std::sync::Arc<Parts>,
    /// As whom this process owns it.
    pub(crate) host: HostId,
    pub(crate) priority: i64,
    pub(crate) gate: Gate,
    /// Attempts at a time.
    pub(crate) attempts_max: u32,
    /// As it is now; what is in it may not be durable yet.
    pub(crate) record: RunRecord,
    /// As it was before anything happened: what the journal is folded into when it is read again.
    begun: String,
    pub(crate) pending: Pending,
    /// Parts of the journal that are durable.
    pub(crate) seq: i64,
    /// A part of the journal is being written.
    pub(crate) is_flushing: bool,
    /// The versions that its tables became, by the position of their node.
    pub(crate) versions: BTreeMap<usize, i64>,
    /// When it was last given room, for fairness.
    pub(crate) served: u64,
    shape: Shape,
    engine: Engine,
    clock: Clock,
    /// Of the attempts that run.
    interrupts: BTreeMap<AttemptId, Interrupt>,
    /// The last failure of each node, by the plan's order.
    failures: BTreeMap<usize, NodeFailure>,
}

impl std::fmt::Debug for LiveRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveRun").field("run", &self.parts.run).finish_non_exhaustive()
    }
}

/// How a run is taken up.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) parts: std::sync::Arc<Parts>,
    pub(crate) host: HostId,
    pub(crate) priority: i64,
    pub(crate) on_failure: tidemill_engine::OnFailure,
    pub(crate) attempts_max: u32,
    /// As the run began; entries are folded into it.
    pub(crate) record: RunRecord,
    /// All that is in its journal, and in how many parts.
    pub(crate) entries: Vec<Entry>,
    pub(crate) seq: i64,
}

impl LiveRun {
    /// # Errors
    /// When the engine refuses the plan, which the planner should have.
    pub(crate) fn new(taken: Taken) -> Result<Self, tidemill_plan::Problem> {
        let Taken { parts, host, priority, on_failure, attempts_max, mut record, entries, seq } = taken;
        let machine = tidemill_plan::Machine { cpus_milli: u32::MAX, memory_bytes: u64::MAX };
        // What it may hold is lent from one decision to the next; a journal of a larger machine must fit, too.
        let on = Capacities { jobs: u32::MAX, machine, on_failure };
        let shape = Shape::new(&parts.live_plan.plan, &parts.live_plan.selected, on);
        let spec: RunSpec = shape.spec();
        let mut engine = Engine::new(spec).map_err(|e| crate::local::impossible_run(&e))?;
        for it in engine_records(&entries, &shape) {
            engine.apply(&it);
        }
        let begun = to_json(&record);
        for it in &entries {
            fold::take(&mut record, it);
        }
        let base_ms = entries.iter().map(|it| it.ms).max().unwrap_or(0);
        let mut run = Self {
            parts,
            host,
            priority,
            gate: Gate::Open,
            attempts_max,
            record,
            begun,
            pending: Pending::default(),
            seq,
            is_flushing: false,
            versions: BTreeMap::new(),
            served: 0,
            shape,
            engine,
            clock: Clock::new(base_ms),
            interrupts: BTreeMap::new(),
            failures: BTreeMap::new(),
        };
        if !entries.is_empty() {
            run.write(run.clock.now(), What::RunResumed);
        }
        Ok(run)
    }

    pub(crate) fn id(&self) -> &RunId {
        &self.parts.run
    }

    /// What its attempts hold.
    pub(crate) fn held(&self) -> Capacity {
        self.engine.held()
    }

    /// Nodes that only wait for room.
    pub(crate) fn is_hungry(&self) -> bool {
        self.gate == Gate::Open && !self.engine.is_closing() && self.engine.counts().ready > 0
    }

    pub(crate) fn counts(&self) -> tidemill_engine::Counts {
        self.engine.counts()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.engine.run_state().is_some()
    }

    /// Attempts that run or are about to.
    pub(crate) fn attempts(&self) -> usize {
        self.interrupts.len()
    }

    /// When it wants a tick, if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.engine.wake_at().and_then(|it| self.clock.instant(it))
    }

    /// What is to be stopped after a take-over, besides what the next step says.
    pub(crate) fn resume(&mut self, lent: Capacity) -> Vec<Job> {
        let owed: Vec<Effect> = self.engine.wanted().collect();
        let mut jobs = Vec::new();
        for effect in owed {
            if let Effect::Stop { attempt, .. } = effect {
                // It does not run here, so it has stopped.
                jobs.extend(self.step(Event::Report { attempt, outcome: Outcome::Stopped }, lent));
            }
        }
        let event = if self.record_has_begun() { Event::Tick } else { Event::Start };
        jobs.extend(self.step(event, lent));
        jobs
    }

    fn record_has_begun(&self) -> bool {
        self.seq > 0
    }

    /// What the store keeps of it now.
    pub(crate) fn kept_record(&self) -> String {
        if self.has_ended() { to_json(&self.record) } else { self.begun.clone() }
    }

    /// An attempt begins to rest, or ends it: that is not the time of any attempt.
    pub(crate) fn rests(&mut self, begins: bool) {
        if begins { self.clock.stop() } else { self.clock.go() }
    }

    /// Takes the engine's next step; the attempts that are to begin.
    pub(crate) fn step(&mut self, event: Event, lent: Capacity) -> Vec<Job> {
        self.step_with(event, lent, None)
    }

    fn step_with(&mut self, event: Event, lent: Capacity, mut left: Option<Left>) -> Vec<Job> {
        self.engine.lend(lent);
        let records = self.engine.decide(self.clock.now(), event);
        let mut effects = Vec::new();
        for it in &records {
            effects.extend(self.engine.apply(it));
            let mut what = What::of(it.fact, &self.shape);
            self.add_causes(&mut what, &mut left);
            if let Fact::AttemptToldToStop { attempt, cause: StopCause::Timeout, .. } = it.fact {
                let position = self.shape.position(attempt.node);
                self.failures.insert(position, self.timed_out(position));
            }
            self.write(it.at, what);
        }
        effects.into_iter().filter_map(|it| self.perform(it)).collect()
    }

    /// What the engine does not know of its facts.
    fn add_causes(&mut self, what: &mut What, left: &mut Option<Left>) {
        match what {
            What::AttemptEnded { left: place, .. } => *place = left.take().map(Box::new),
            What::NodeFailed { node, error } => {
                let failure = self.failures.remove(node).unwrap_or_else(|| self.lost(*node));
                *error = error_record(&failure);
            }
            What::RunBegan
            | What::RunResumed
            | What::RunCancelled
            | What::RunEnded { .. }
            | What::AttemptBegan { .. }
            | What::AttemptToldToStop { .. }
            | What::RetryScheduled { .. }
            | What::RetryDue { .. }
            | What::NodeSucceeded { .. }
            | What::NodeSkipped { .. }
            | What::NodeCancelled { .. } => {}
        }
    }

    fn write(&mut self, ms: Timestamp, what: What) {
        let entry = Entry { ms: ms.0, at: now_ns(), what };
        fold::take(&mut self.record, &entry);
        self.pending.entries.push(entry);
    }

    fn perform(&mut self, effect: Effect) -> Option<Job> {
        match effect {
            Effect::Start { attempt, .. } => {
                let interrupt = Interrupt::new();
                self.interrupts.insert(attempt, interrupt.clone());
                let position = self.shape.position(attempt.node);
                Some(Job { parts: std::sync::Arc::clone(&self.parts), attempt, position, interrupt })
            }
            Effect::Stop { attempt, cause } => {
                let cause = match cause {
                    StopCause::Timeout => InterruptCause::TimedOut,
                    StopCause::Cancel | StopCause::FailFast => InterruptCause::Cancelled,
                };
                if let Some(it) = self.interrupts.get(&attempt) {
                    it.set(cause);
                }
                None
            }
            // Whoever holds the run asks it when to wake.
            Effect::Wake { .. } => None,
        }
    }

    /// Takes the end of an attempt in; one that the engine has given up changes nothing.
    pub(crate) fn report(&mut self, attempt: AttemptId, end: AttemptEnd, lent: Capacity) -> Vec<Job> {
        self.interrupts.remove(&attempt);
        let position = self.shape.position(attempt.node);
        if !self.engine.is_live(attempt) {
            return self.step(Event::Report { attempt, outcome: Outcome::Stopped }, lent);
        }
        let (outcome, mut left) = self.take(position, attempt, end);
        if let (Some(left), Work::Source(_)) = (&mut left, &self.parts.live_plan.plan.nodes[position].work) {
            let files = self.parts.held.files[position].lock().unwrap_or_else(PoisonError::into_inner);
            left.files = file_records(&files, &self.parts.live_plan.base);
        }
        self.step_with(Event::Report { attempt, outcome }, lent, left)
    }

    fn take(&mut self, position: usize, attempt: AttemptId, end: AttemptEnd) -> (Outcome, Option<Left>) {
        if let AttemptEnd::Computed { tables, .. } | AttemptEnd::Reused { tables, .. } = &end {
            let wishes = mirror_wishes(&self.parts.live_plan.plan, position, tables);
            self.pending.wishes.extend(wishes);
        }
        let plan = &self.parts.live_plan.plan;
        match end {
            AttemptEnd::Computed { tables, progress, usage, reported } => {
                let records = table_records(&plan.nodes[position], &tables);
                let Reported { metrics, artefacts } = reported;
                let left = Left { tables: records, metrics, artefacts, ..Left::used(&usage) };
                if !tables.is_empty() {
                    let tables = tables.clone();
                    self.pending.written.push(Written { position, attempt, tables, progress });
                }
                self.parts.held.tables[position].set(tables).expect("a node succeeds once");
                (Outcome::Succeeded(Origin::Computed), Some(left))
            }
            AttemptEnd::Reused { tables, reported } => {
                let records = table_records(&plan.nodes[position], &tables);
                self.parts.held.tables[position].set(tables).expect("a node succeeds once");
                let Reported { metrics, artefacts } = reported;
                let left = Left { tables: records, metrics, artefacts, ..Left::default() };
                (Outcome::Succeeded(Origin::Reused), Some(left))
            }
            AttemptEnd::Failed { failure, usage, artefacts } => {
                let left = Left { error: Some(error_record(&failure)), artefacts, ..Left::used(&usage) };
                let kind = if failure.retryable { Failure::Retryable } else { Failure::Permanent };
                self.failures.insert(position, failure);
                (Outcome::Failed(kind), Some(left))
            }
            AttemptEnd::Stopped => (Outcome::Stopped, None),
        }
    }

    /// Ends whatever runs without asking the engine: the run is not this host's any more.
    pub(crate) fn abandon(&mut self) {
        for it in self.interrupts.values() {
            it.set(InterruptCause::Abandoned);
        }
    }

    fn timed_out(&self, position: usize) -> NodeFailure {
        let node = &self.parts.live_plan.plan.nodes[position];
        NodeFailure::timed_out(&node.name, node.timeout_ms)
    }

    fn lost(&self, position: usize) -> NodeFailure {
        let name = &self.parts.live_plan.plan.nodes[position].name;
        let what = format!("an attempt of node `{name}` ended without a result");
        NodeFailure::permanent(Code("internal"), what, "this is a defect of Tidemill; please report it")
    }
}

fn to_json(record: &RunRecord) -> String {
    serde_json::to_string(record).expect("a record has only string keys")
}

fn error_record(failure: &NodeFailure) -> ErrorRecord {
    ErrorRecord { code: failure.code.0.to_owned(), what: failure.what.clone(), mend: failure.mend.clone() }
}
