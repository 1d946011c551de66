//! One step of a run at a time: asks the engine what follows from an event, carries that out, and writes it into the
//! run's record. Waits for nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::PoisonError;
use std::time::Instant;

use tidemill_engine::{
    AttemptId, Effect, Engine, Event as EngineEvent, Fact, Failure, NodeId, Origin, Outcome, Record,
    StopCause, Timestamp,
};
use tidemill_plan::{Code, Work};
use tidemill_sandbox::{Interrupt, InterruptCause};

use super::center::{Health, Job};
use super::{Sink, SinkEnd, table_records};
use crate::attempt::{AttemptEnd, Shared, Tables};
use crate::failure::NodeFailure;
use crate::log_file::now_ns;
use crate::observer::{Event, NodeEnd};
use crate::origin::{AttemptRecord, file_records};
use crate::record::{ErrorRecord, NodeRecord, NodeState, RunRecord};
use crate::shape::Shape;

pub(super) struct Loop<'a, 'r> {
    shared: &'a Shared<'a>,
    shape: &'a Shape,
    pub(super) sink: Option<&'a dyn Sink>,
    pub(super) engine: Engine,
    record: &'r mut RunRecord,
    pub(super) began: Instant,
    /// Attempts that wait for a thread; never more than the engine admits.
    pub(super) queue: VecDeque<Job>,
    /// Of the attempts that run.
    pub(super) interrupts: BTreeMap<AttemptId, Interrupt>,
    /// The last failure of each node, by the plan's order.
    failures: BTreeMap<usize, NodeFailure>,
    pub(super) health: Health,
}

impl<'a, 'r> Loop<'a, 'r> {
    pub(super) fn new(
        shared: &'a Shared<'a>,
        shape: &'a Shape,
        sink: Option<&'a dyn Sink>,
        engine: Engine,
        record: &'r mut RunRecord,
    ) -> Self {
        Self {
            shared,
            shape,
            sink,
            engine,
            record,
            began: Instant::now(),
            queue: VecDeque::new(),
            interrupts: BTreeMap::new(),
            failures: BTreeMap::new(),
            health: Health::Sound,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn step(&mut self, event: EngineEvent) {
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
    pub(super) fn report(&mut self, attempt: AttemptId, end: AttemptEnd) {
        self.interrupts.remove(&attempt);
        let position = self.shape.position(attempt.node);
        if let Work::Source(_) = self.shared.plan.nodes[position].work {
            let files = self.shared.files[position].lock().unwrap_or_else(PoisonError::into_inner);
            self.record.nodes[position].files = file_records(&files, self.shared.base);
        }
        let outcome = if self.engine.is_live(attempt) { self.take(position, end) } else { Outcome::Stopped };
        self.step(EngineEvent::Report { attempt, outcome });
    }

    fn take(&mut self, position: usize, end: AttemptEnd) -> Outcome {
        let node = &mut self.record.nodes[position];
        match end {
            AttemptEnd::Computed { tables, usage, reported, progress: _ } => {
                node.used(&usage);
                node.reported(reported);
                self.keep(position, tables);
                Outcome::Succeeded(Origin::Computed)
            }
            AttemptEnd::Reused { tables, reported } => {
                node.reported(reported);
                self.keep(position, tables);
                Outcome::Succeeded(Origin::Reused)
            }
            AttemptEnd::Failed { failure, usage, artefacts } => {
                node.used(&usage);
                node.failed_with(failure.code, artefacts);
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
        NodeFailure::timed_out(&node.name, node.timeout_ms)
    }

    fn lost(&self, position: usize) -> NodeFailure {
        let what =
            format!("an attempt of node `{}` ended without a result", self.shared.plan.nodes[position].name);
        NodeFailure::permanent(Code("internal"), what, "this is a defect of Tidemill; please report it")
    }
}
