//! What follows from an event: the only place that decides. It reads the state and drafts records; everything it
//! must know of its own earlier records stands in the [`Draft`], so nothing is cloned and nothing is scanned, save
//! once in a run, when it closes.
//!
//! Each part below looks at the state as much as at the draft. That is what makes recovery from half a batch of
//! records no special case: what the lost half would have said is decided again.
//!
//! **Zombies.** An attempt whose deadline has passed may still run, and may be past stopping (a host call that does
//! not return). To begin the retry at once would run a node twice at a time and overbook the machine. So it is told to
//! stop and keeps its room until the world reports; only after `stop_grace_ms` of silence is it given up, so that a dead
//! worker cannot hold the run for ever. Whoever commits an attempt's output asks `Engine::is_live` first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

use crate::admission::{self, Room};
use crate::record::{
    AttemptId, Ending, Event, Fact, Failure, NodeId, Origin, Outcome, Record, RunState, StopCause, Timestamp,
};
use crate::retry;
use crate::spec::{Capacity, CheckedSpec, OnFailure};
use crate::state::{NodeState, Rank, State};
use crate::work;

pub(crate) fn decide(
    spec: &CheckedSpec,
    state: &State,
    lent: Capacity,
    now: Timestamp,
    event: Event,
) -> Vec<Record> {
    let mut draft = Draft::new(spec, state, lent, now);
    let is_news = match event {
        _ if state.ended.is_some() => false,
        Event::Start => draft.start(),
        Event::Report { attempt, outcome } => draft.report(attempt, outcome),
        Event::Tick => state.has_begun,
        Event::Cancel => draft.cancel(),
    };
    if is_news {
        draft.look_at_timers();
        draft.settle();
        draft.skip_doomed();
        draft.close();
        draft.begin_attempts();
        draft.end_run();
    }
    draft.records
}

/// What an ended attempt means for its node, before the run has its say.
enum Verdict {
    Succeeded(Origin),
    Failed,
    /// Another attempt would follow.
    Retry {
        delay_ms: u64,
    },
    /// The run told it to stop and it did.
    Cancelled,
}

struct Draft<'a> {
    spec: &'a CheckedSpec,
    state: &'a State,
    now: Timestamp,
    records: Vec<Record>,
    closing: Option<StopCause>,
    /// Nodes whose live attempt this draft has ended or told to stop.
    handled: BTreeSet<NodeId>,
    /// Nodes whose attempt has ended, in this draft or in the state, and whose fate is open.
    settling: Vec<(NodeId, Ending)>,
    newly_failed: Vec<NodeId>,
    newly_ready: Vec<Rank>,
    skipped: BTreeSet<NodeId>,
    room: Room,
    finished_count: usize,
    succeeded_count: usize,
}

impl<'a> Draft<'a> {
    fn new(spec: &'a CheckedSpec, state: &'a State, lent: Capacity, now: Timestamp) -> Self {
        let settling = state.settling.iter().map(|&node| {
            let NodeState::Settling { ending } = state.nodes[node.index()] else {
                panic!("{node:?} is not settling but {:?}", state.nodes[node.index()]);
            };
            (node, ending)
        });
        Self {
            spec,
            state,
            now: now.max(state.latest),
            records: Vec::new(),
            closing: state.closing,
            handled: BTreeSet::new(),
            settling: settling.collect(),
            newly_failed: Vec::new(),
            newly_ready: Vec::new(),
            skipped: BTreeSet::new(),
            room: Room::new(lent, state.held),
            finished_count: 0,
            succeeded_count: 0,
        }
    }

    fn push(&mut self, fact: Fact) {
        work::step();
        self.records.push(Record { at: self.now, fact });
    }

    fn push_final(&mut self, fact: Fact) {
        self.finished_count += 1;
        self.push(fact);
    }

    fn rank(&self, node: NodeId) -> Rank {
        (Reverse(self.spec.node(node).priority), node)
    }

    fn newest(&self, node: NodeId) -> AttemptId {
        AttemptId { node, number: self.state.numbers[node.index()] }
    }

    fn start(&mut self) -> bool {
        if self.state.has_begun {
            return false;
        }
        self.push(Fact::RunBegan);
        let graph = &self.spec.graph;
        let roots = graph.ids().filter(|node| graph.needs_count(*node) == 0);
        self.newly_ready = roots.map(|node| self.rank(node)).collect();
        true
    }

    fn cancel(&mut self) -> bool {
        if !self.state.has_begun {
            self.push(Fact::RunBegan);
        }
        // A run that is failing fast is stopping already and stays a failed one.
        if self.closing.is_none() {
            self.closing = Some(StopCause::Cancel);
            self.push(Fact::RunCancelled);
        }
        true
    }

    fn report(&mut self, attempt: AttemptId, outcome: Outcome) -> bool {
        let Some(&node_state) = self.state.nodes.get(attempt.node.index()) else { return false };
        if !node_state.is_live() || attempt != self.newest(attempt.node) {
            return false;
        }
        let ending = match (outcome, node_state) {
            (Outcome::Succeeded(origin), _) => Ending::Succeeded(origin),
            (Outcome::Failed(failure), _) => Ending::Failed(failure),
            (Outcome::Stopped, NodeState::Stopping { cause, .. }) => Ending::Stopped(cause),
            (Outcome::Stopped, _) => Ending::Lost,
        };
        self.end_attempt(attempt.node, ending);
        true
    }

    fn end_attempt(&mut self, node: NodeId, ending: Ending) {
        self.push(Fact::AttemptEnded { attempt: self.newest(node), ending });
        self.handled.insert(node);
        self.settling.push((node, ending));
        self.room.give(self.spec.node(node).resources);
    }

    fn tell_to_stop(&mut self, node: NodeId, cause: StopCause) {
        let until = self.now.plus_ms(self.spec.spec.stop_grace_ms);
        self.push(Fact::AttemptToldToStop { attempt: self.newest(node), cause, until });
        self.handled.insert(node);
    }

    fn look_at_timers(&mut self) {
        for &(_, node) in self.state.timers.range(..=(self.now, NodeId(u32::MAX))) {
            work::step();
            if self.handled.contains(&node) {
                continue;
            }
            match self.state.nodes[node.index()] {
                NodeState::Running { .. } => self.tell_to_stop(node, StopCause::Timeout),
                NodeState::Stopping { cause, .. } => self.end_attempt(node, Ending::Abandoned(cause)),
                NodeState::BackOff { .. } if self.closing.is_none() => {
                    self.push(Fact::RetryDue { node });
                    self.newly_ready.push(self.rank(node));
                }
                NodeState::BackOff { .. } => {}
                other @ (NodeState::Waiting
                | NodeState::Ready
                | NodeState::Settling { .. }
                | NodeState::Succeeded(_)
                | NodeState::Failed
                | NodeState::Skipped { .. }
                | NodeState::Cancelled) => panic!("{node:?} has a timer while {other:?}"),
            }
        }
    }

    /// Failures first: whether the run closes decides what becomes of the others.
    fn settle(&mut self) {
        let mut succeeded = Vec::new();
        let mut undone = Vec::new();
        for (node, ending) in std::mem::take(&mut self.settling) {
            match self.verdict(node, ending) {
                Verdict::Failed => self.newly_failed.push(node),
                Verdict::Succeeded(origin) => succeeded.push((node, origin)),
                Verdict::Retry { delay_ms } => undone.push((node, Some(delay_ms))),
                Verdict::Cancelled => undone.push((node, None)),
            }
        }
        for index in 0..self.newly_failed.len() {
            self.push_final(Fact::NodeFailed { node: self.newly_failed[index] });
            if self.spec.spec.on_failure == OnFailure::FailFast {
                self.closing = self.closing.or(Some(StopCause::FailFast));
            }
        }
        for &(node, origin) in &succeeded {
            self.succeeded_count += 1;
            self.push_final(Fact::NodeSucceeded { node, origin });
        }
        self.unlock(&succeeded);
        for (node, delay_ms) in undone {
            match delay_ms {
                Some(delay_ms) if self.closing.is_none() => {
                    self.push(Fact::RetryScheduled { node, due: self.now.plus_ms(delay_ms) });
                }
                Some(_) | None => self.push_final(Fact::NodeCancelled { node }),
            }
        }
    }

    fn verdict(&self, node: NodeId, ending: Ending) -> Verdict {
        match ending {
            Ending::Succeeded(origin) => Verdict::Succeeded(origin),
            Ending::Failed(Failure::Permanent) => Verdict::Failed,
            Ending::Failed(Failure::Retryable)
            | Ending::Stopped(StopCause::Timeout)
            | Ending::Abandoned(StopCause::Timeout)
            | Ending::Lost => {
                let delay_ms = retry::delay_ms_after(
                    &self.spec.node(node).retry,
                    self.spec.spec.seed,
                    self.newest(node),
                );
                delay_ms.map_or(Verdict::Failed, |delay_ms| Verdict::Retry { delay_ms })
            }
            Ending::Stopped(StopCause::Cancel | StopCause::FailFast)
            | Ending::Abandoned(StopCause::Cancel | StopCause::FailFast) => Verdict::Cancelled,
        }
    }

    /// Finds the dependents whose last unmet needs are among the `succeeded`.
    fn unlock(&mut self, succeeded: &[(NodeId, Origin)]) {
        if self.closing.is_some() {
            return;
        }
        let graph = &self.spec.graph;
        let mut met: Vec<NodeId> =
            succeeded.iter().flat_map(|(node, _)| graph.dependents(*node)).copied().collect();
        met.sort_unstable();
        for same in met.chunk_by(|a, b| a == b) {
            work::step();
            let node = same[0];
            let is_waiting = self.state.nodes[node.index()] == NodeState::Waiting;
            if is_waiting && self.state.unmet[node.index()] as usize == same.len() {
                self.newly_ready.push(self.rank(node));
            }
        }
    }

    fn skip_doomed(&mut self) {
        let mut queue: VecDeque<(NodeId, NodeId)> =
            self.state.doomed.iter().map(|(node, because)| (*node, *because)).collect();
        for &failed in &self.newly_failed {
            queue.extend(self.spec.graph.dependents(failed).iter().map(|node| (*node, failed)));
        }
        while let Some((node, because)) = queue.pop_front() {
            work::step();
            if self.state.nodes[node.index()] == NodeState::Waiting && self.skipped.insert(node) {
                self.push_final(Fact::NodeSkipped { node, because });
                queue.extend(self.spec.graph.dependents(node).iter().map(|node| (*node, because)));
            }
        }
    }

    /// A closing run drops at once whatever is not alive: a node that waits for its retry must not hold it.
    fn close(&mut self) {
        let Some(cause) = self.closing else { return };
        // Once these records are applied nothing is idle any more: the scan happens once in a run.
        if self.state.counts.idle() > 0 {
            for node in self.spec.graph.ids() {
                work::step();
                if self.state.nodes[node.index()].is_idle() && !self.skipped.contains(&node) {
                    self.push_final(Fact::NodeCancelled { node });
                }
            }
        }
        if self.state.counts.running > 0 {
            for &node in &self.state.live {
                work::step();
                let is_running = matches!(self.state.nodes[node.index()], NodeState::Running { .. });
                if is_running && !self.handled.contains(&node) {
                    self.tell_to_stop(node, cause);
                }
            }
        }
    }

    fn begin_attempts(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let newly_ready = std::mem::take(&mut self.newly_ready);
        for node in admission::admit(self.spec, self.state, newly_ready, self.room) {
            let attempt = AttemptId { node, number: self.state.numbers[node.index()] + 1 };
            let deadline = self.spec.node(node).timeout_ms.map(|timeout_ms| self.now.plus_ms(timeout_ms));
            self.push(Fact::AttemptBegan { attempt, deadline });
        }
    }

    fn end_run(&mut self) {
        if self.state.counts.open() > self.finished_count {
            return;
        }
        let succeeded_count = self.state.counts.succeeded + self.succeeded_count;
        let state = if succeeded_count == self.spec.graph.len() {
            RunState::Succeeded
        } else if self.closing == Some(StopCause::Cancel) {
            RunState::Cancelled
        } else {
            RunState::Failed
        };
        self.push(Fact::RunEnded { state });
    }
}
