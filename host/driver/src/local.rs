//! A run in this process: the loop between the engine and the threads that carry attempts out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tidemill_engine::{
    AttemptId, Effect, Engine, Event as EngineEvent, Fact, Failure, NodeId, OnFailure, Origin, Outcome,
    Record, StopCause, Timestamp,
};
use tidemill_lake::{Lake, WindowFolder};
use tidemill_plan::{Code, Machine, Plan, Work};
use tidemill_sandbox::{Interrupt, InterruptCause};

use crate::attempt::{AttemptEnd, Reuse, Scratch, Shared, Tables, run_attempt};
use crate::catalog::Components;
use crate::failure::{DriverError, NodeFailure};
use crate::log_file::now_ns;
use crate::observer::{Event, NodeEnd, Observer};
use crate::origin::{AttemptRecord, Lineage, file_records, note_surroundings};
use crate::preview::{Preview, Prospect, preview};
use crate::record::{Beginning, ErrorRecord, NodeRecord, NodeState, RunId, RunRecord, RunState, TableRecord};
use crate::shape::Shape;

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

/// What the thread that waits is told.
#[derive(Debug)]
enum Message {
    /// Something may have changed what is waited for.
    Look,
    Cancel,
}

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

struct Sweeping<'a> {
    id: RunId,
    /// By the plan's order: whether a node's tables stay.
    kept: &'a [bool],
    sink: &'a dyn Sink,
}

/// One attempt handed to a thread.
struct Job {
    attempt: AttemptId,
    position: usize,
    interrupt: Interrupt,
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
        Self { plan, selected, lake, components, options, sweep: None, lineage, recompute, sender, receiver }
    }

    /// Lets a sweep follow the run: it decides which tables stay, and measures them.
    pub(crate) fn followed_by(mut self, id: RunId, kept: &'a [bool], sink: &'a dyn Sink) -> Self {
        self.sweep = Some(Sweeping { id, kept, sink });
        self
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
        let shared = self.shared(run, observer)?;
        for (position, tables) in shared.tables.iter().enumerate() {
            if let Some(tables) = tables.get() {
                record.nodes[position].tables = table_records(&self.plan.nodes[position], tables);
            }
        }
        let shape = Shape::new(self.plan, &self.selected, &self.options);
        let engine = Engine::new(shape.spec()).map_err(|e| impossible_run(&e))?;
        if let Some(root) = &self.options.lake_root {
            record.save(root)?;
        }
        let state = self.carry_out(&shared, &shape, engine, &mut record);
        record.state = state;
        record.ended_at = Some(now_ns());
        let unsaved = self.options.lake_root.as_ref().and_then(|root| record.save(root).err());
        Ok(Ended { record, unsaved })
    }

    fn shared<'s>(&'s self, run: RunId, observer: &'s dyn Observer) -> Result<Shared<'s>, DriverError> {
        let folder = WindowFolder::of(&self.plan.window);
        let components = self.plan.nodes.iter().map(|node| match &node.work {
            Work::Source(_) => None,
            Work::Task(task) => Some(
                self.components.by_digest(&task.digest).expect("the plan was made with these components"),
            ),
        });
        let components = components.collect();
        let tables: Vec<OnceLock<Tables>> = self.plan.nodes.iter().map(|_| OnceLock::new()).collect();
        let needed: Vec<usize> = self.needed_but_not_selected().collect();
        if !needed.is_empty() {
            let previews = preview(self.plan, Some(self.lake), &self.options.base);
            for position in needed {
                let found = self.stored(&folder, position, &previews[position])?;
                tables[position].set(found).expect("each is set once");
            }
        }
        Ok(Shared {
            plan: self.plan,
            lake: self.lake,
            scratch: self.sweep.as_ref().map(|it| Scratch { lake: Lake::in_memory(), kept: it.kept }),
            lake_root: self.options.lake_root.as_deref(),
            base: &self.options.base,
            folder,
            sandbox: self.components.sandbox(),
            components,
            run,
            reuse: self.options.reuse,
            observer,
            checkpoints: self.plan.nodes.iter().map(|_| Mutex::new(None)).collect(),
            tables,
            files: self.plan.nodes.iter().map(|_| Mutex::default()).collect(),
            recompute: &self.recompute,
        })
    }

    fn needed_but_not_selected(&self) -> impl Iterator<Item = usize> {
        let nodes = self.plan.nodes.iter().enumerate().filter(|(position, _)| self.selected[*position]);
        let needed = nodes.flat_map(|(_, node)| &node.inputs).flat_map(|it| &it.members).map(|it| it.node);
        needed.filter(|it| !self.selected[*it]).collect::<BTreeSet<_>>().into_iter()
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
            tidemill_plan::Problem::new(Code("table-not-in-lake"), what, mend)
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
        let looped = Loop {
            shared,
            shape,
            sink: self.sweep.as_ref().map(|it| it.sink),
            engine,
            record,
            began: Instant::now(),
            queue: VecDeque::new(),
            interrupts: BTreeMap::new(),
            failures: BTreeMap::new(),
            health: Health::Sound,
        };
        let center =
            Center { looped: Mutex::new(looped), work: Condvar::new(), outside: self.sender.clone() };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| center.work(shared));
            }
            center.watch(&self.receiver)
        })
    }
}

/// Where the threads of a run meet. Whoever ends an attempt takes the loop's next step and the next attempt itself:
/// a chain of nodes then needs no hand-over between threads.
struct Center<'a, 'r> {
    looped: Mutex<Loop<'a, 'r>>,
    /// There is an attempt to take, or the run has ended.
    work: Condvar,
    /// To the thread that waits for time and cancellation.
    outside: Sender<Message>,
}

impl<'a, 'r> Center<'a, 'r> {
    fn lock(&self) -> MutexGuard<'_, Loop<'a, 'r>> {
        self.looped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life: attempts until the run has ended.
    fn work(&self, shared: &Shared<'_>) {
        let _alarm = Alarm(self);
        let mut looped = self.lock();
        while looped.engine.run_state().is_none() && looped.health == Health::Sound {
            let Some(job) = looped.queue.pop_front() else {
                looped = self.work.wait(looped).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(looped);
            let end = attempt(shared, &job);
            looped = self.lock();
            let woke_at = looped.engine.wake_at();
            looped.report(job.attempt, end);
            self.tell(&looped, 1);
            if looped.engine.wake_at() != woke_at || looped.engine.run_state().is_some() {
                // A full channel has the watcher awake already.
                drop(self.outside.try_send(Message::Look));
            }
            if let Some(sink) = looped.sink {
                drop(looped);
                sink.work(shared);
                looped = self.lock();
            }
        }
    }

    /// Wakes as many threads as there are attempts to take, less those that are taken anyway.
    fn tell(&self, looped: &Loop<'_, '_>, taken: usize) {
        if looped.engine.run_state().is_some() {
            self.work.notify_all();
        }
        for _ in taken..looped.queue.len() {
            self.work.notify_one();
        }
    }

    /// Begins the run, then waits for time to pass, for someone who cancels, and for the end.
    fn watch(&self, messages: &Receiver<Message>) -> RunState {
        let _alarm = Alarm(self);
        let mut event = Some(EngineEvent::Start);
        loop {
            let mut looped = self.lock();
            assert!(looped.health == Health::Sound, "a thread of the run panicked, as told above");
            if let Some(event) = event.take() {
                looped.step(event);
                self.tell(&looped, 0);
            }
            if let Some(state) = looped.engine.run_state() {
                return match state {
                    tidemill_engine::RunState::Succeeded => RunState::Succeeded,
                    tidemill_engine::RunState::Failed => RunState::Failed,
                    tidemill_engine::RunState::Cancelled => RunState::Cancelled,
                };
            }
            let wake_at = looped.engine.wake_at().map(|it| looped.began + Duration::from_millis(it.0));
            drop(looped);
            event = match receive(messages, wake_at) {
                Some(Message::Cancel) => Some(EngineEvent::Cancel),
                Some(Message::Look) => None,
                None => Some(EngineEvent::Tick),
            };
        }
    }
}

/// Ends all threads when one of them panics, so that none waits for a step that nobody takes.
struct Alarm<'c, 'a, 'r>(&'c Center<'a, 'r>);

impl Drop for Alarm<'_, '_, '_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut looped = self.0.lock();
        looped.health = Health::Broken;
        for it in looped.interrupts.values() {
            it.set(InterruptCause::Abandoned);
        }
        self.0.work.notify_all();
        drop(self.0.outside.try_send(Message::Look));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Sound,
    /// A thread panicked while it took a step.
    Broken,
}

/// The next message, or nothing when it is time to wake.
fn receive(messages: &Receiver<Message>, wake_at: Option<Instant>) -> Option<Message> {
    let Some(deadline) = wake_at else {
        return Some(messages.recv().expect("the run itself holds a sender"));
    };
    match messages.recv_deadline(deadline) {
        Ok(it) => Some(it),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => unreachable!("the run itself holds a sender"),
    }
}

/// Runs an attempt; a failure of the host inside it is a failure of the attempt.
fn attempt(shared: &Shared<'_>, job: &Job) -> AttemptEnd {
    let attempt = AssertUnwindSafe(|| run_attempt(shared, job.position, job.attempt.number, &job.interrupt));
    std::panic::catch_unwind(attempt).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        let what =
            format!("the host failed inside: {}", what.unwrap_or_else(|| "without a message".to_owned()));
        let mend = "this is a defect of Tidemill; please report it with the pipeline and this message";
        let failure = NodeFailure::permanent(Code("internal"), what, mend);
        AttemptEnd::Failed { failure, usage: tidemill_sandbox::Usage::default() }
    })
}

struct Loop<'a, 'r> {
    shared: &'a Shared<'a>,
    shape: &'a Shape,
    sink: Option<&'a dyn Sink>,
    engine: Engine,
    record: &'r mut RunRecord,
    began: Instant,
    /// Attempts that wait for a thread; never more than the engine admits.
    queue: VecDeque<Job>,
    /// Of the attempts that run.
    interrupts: BTreeMap<AttemptId, Interrupt>,
    /// The last failure of each node, by the plan's order.
    failures: BTreeMap<usize, NodeFailure>,
    health: Health,
}

impl Loop<'_, '_> {
    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn step(&mut self, event: EngineEvent) {
        let records = self.engine.decide(self.now(), event);
        let mut effects = Vec::new();
        for it in &records {
            effects.extend(self.engine.apply(it));
            self.note(it);
        }
        for it in effects {
            self.perform(it);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Start { attempt, .. } => {
                let interrupt = Interrupt::new();
                self.interrupts.insert(attempt, interrupt.clone());
                let job = Job { attempt, position: self.shape.position(attempt.node), interrupt };
                self.queue.push_back(job);
            }
            Effect::Stop { attempt, cause } => {
                let cause = match cause {
                    StopCause::Timeout => InterruptCause::TimedOut,
                    StopCause::Cancel | StopCause::FailFast => InterruptCause::Cancelled,
                };
                if let Some(it) = self.interrupts.get(&attempt) {
                    it.set(cause);
                }
            }
            // The loop asks the engine itself when to wake.
            Effect::Wake { .. } => {}
        }
    }

    /// Takes the end of an attempt in; one that the engine has given up changes nothing.
    fn report(&mut self, attempt: AttemptId, end: AttemptEnd) {
        self.interrupts.remove(&attempt);
        let position = self.shape.position(attempt.node);
        if let Work::Source(_) = self.shared.plan.nodes[position].work {
            let files = self.shared.files[position].lock().unwrap_or_else(PoisonError::into_inner);
            self.record.nodes[position].files = file_records(&files);
        }
        let outcome = if self.engine.is_live(attempt) { self.take(position, end) } else { Outcome::Stopped };
        self.step(EngineEvent::Report { attempt, outcome });
    }

    fn take(&mut self, position: usize, end: AttemptEnd) -> Outcome {
        let node = &mut self.record.nodes[position];
        match end {
            AttemptEnd::Computed { tables, usage, metrics } => {
                node.used(&usage);
                node.metrics = metrics;
                self.keep(position, tables);
                Outcome::Succeeded(Origin::Computed)
            }
            AttemptEnd::Reused { tables, metrics } => {
                node.metrics = metrics;
                self.keep(position, tables);
                Outcome::Succeeded(Origin::Reused)
            }
            AttemptEnd::Failed { failure, usage } => {
                node.used(&usage);
                node.failed_with(failure.code);
                let kind = if failure.retryable { Failure::Retryable } else { Failure::Permanent };
                self.failures.insert(position, failure);
                Outcome::Failed(kind)
            }
            AttemptEnd::Stopped => Outcome::Stopped,
        }
    }

    fn keep(&mut self, position: usize, tables: Tables) {
        self.record.nodes[position].tables = table_records(&self.shared.plan.nodes[position], &tables);
        self.shared.tables[position].set(tables).expect("a node succeeds once");
    }

    /// Writes a fact into the record and tells whoever watches.
    fn note(&mut self, record: &Record) {
        match record.fact {
            Fact::AttemptBegan { attempt, .. } => {
                let position = self.shape.position(attempt.node);
                let node = &mut self.record.nodes[position];
                node.attempts = attempt.number;
                node.history.push(AttemptRecord::begin(attempt.number, now_ns()));
                self.shared.observer.on(Event::AttemptBegan { node: position, attempt: attempt.number });
            }
            Fact::AttemptToldToStop { attempt, cause: StopCause::Timeout, .. } => {
                let position = self.shape.position(attempt.node);
                self.failures.insert(position, self.timed_out(position));
            }
            Fact::AttemptEnded { attempt, ending } => {
                let history = &mut self.record.nodes[self.shape.position(attempt.node)].history;
                // The newest comes last, and is nearly always the one that ends.
                if let Some(it) = history.iter_mut().rev().find(|it| it.attempt == attempt.number) {
                    it.end(ending, now_ns());
                }
            }
            Fact::RetryScheduled { node, due } => {
                let position = self.shape.position(node);
                if let Some(failure) = self.failures.get(&position) {
                    let attempt = self.record.nodes[position].attempts;
                    let delay_ms = due.0.saturating_sub(record.at.0);
                    self.shared.observer.on(Event::RetryScheduled {
                        node: position,
                        attempt,
                        delay_ms,
                        failure,
                    });
                }
            }
            Fact::NodeSucceeded { node, origin } => self.note_success(node, origin),
            Fact::NodeFailed { node } => self.note_failure(node),
            Fact::NodeSkipped { node, because } => {
                let (position, because_of) = (self.shape.position(node), self.shape.position(because));
                let node = &mut self.record.nodes[position];
                node.state = NodeState::Skipped;
                node.because_of = Some(self.shared.plan.nodes[because_of].name.clone());
                self.tell(position, SinkEnd::Skipped(because_of));
                self.shared
                    .observer
                    .on(Event::NodeEnded { node: position, end: NodeEnd::Skipped { because_of } });
            }
            Fact::NodeCancelled { node } => {
                let position = self.shape.position(node);
                self.record.nodes[position].state = NodeState::Cancelled;
                self.tell(position, SinkEnd::Cancelled);
                self.shared.observer.on(Event::NodeEnded { node: position, end: NodeEnd::Cancelled });
            }
            Fact::RunBegan
            | Fact::RunCancelled
            | Fact::RunEnded { .. }
            | Fact::AttemptToldToStop { .. }
            | Fact::RetryDue { .. } => {}
        }
    }

    fn note_success(&mut self, node: NodeId, origin: Origin) {
        let position = self.shape.position(node);
        let node: &mut NodeRecord = &mut self.record.nodes[position];
        let rows = node.tables.iter().map(|it| it.rows).sum();
        let end = match origin {
            Origin::Computed => {
                node.state = NodeState::Computed;
                let bytes = node.tables.iter().map(|it| it.bytes).sum();
                NodeEnd::Computed { rows, bytes, wall_us: node.wall_us }
            }
            Origin::Reused => {
                node.state = NodeState::Reused;
                NodeEnd::Reused { rows }
            }
        };
        self.shared.observer.on(Event::NodeEnded { node: position, end });
        let tables = self.shared.tables[position].get().expect("it has just succeeded");
        self.tell(position, SinkEnd::Succeeded { tables, record: &self.record.nodes[position] });
    }

    fn tell(&self, position: usize, end: SinkEnd<'_>) {
        if let Some(sink) = self.sink {
            sink.ended(position, end);
        }
    }

    fn note_failure(&mut self, node: NodeId) {
        let position = self.shape.position(node);
        let failure = self.failures.remove(&position).unwrap_or_else(|| self.lost(position));
        let node: &mut NodeRecord = &mut self.record.nodes[position];
        node.state = NodeState::Failed;
        node.error = Some(ErrorRecord {
            code: failure.code.0.to_owned(),
            what: failure.what.clone(),
            mend: failure.mend.clone(),
        });
        self.shared
            .observer
            .on(Event::NodeEnded { node: position, end: NodeEnd::Failed { failure: &failure } });
        self.tell(position, SinkEnd::Failed(&failure));
    }

    fn timed_out(&self, position: usize) -> NodeFailure {
        let node = &self.shared.plan.nodes[position];
        let limit = Duration::from_millis(node.timeout_ms.unwrap_or_default());
        NodeFailure {
            code: Code("timeout"),
            what: format!("node `{}` did not end within its timeout of {limit:?}", node.name),
            mend: "raise the node's `timeout`, or make the task do less".to_owned(),
            retryable: true,
        }
    }

    fn lost(&self, position: usize) -> NodeFailure {
        let what =
            format!("an attempt of node `{}` ended without a result", self.shared.plan.nodes[position].name);
        NodeFailure::permanent(Code("internal"), what, "this is a defect of Tidemill; please report it")
    }
}

fn table_records(
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
fn impossible_run(error: &tidemill_engine::SpecError) -> tidemill_plan::Problem {
    tidemill_plan::Problem::new(
        Code("internal"),
        format!("the engine refuses the plan: {error}"),
        "this is a defect of Tidemill; please report it with the pipeline",
    )
}
