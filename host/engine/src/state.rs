//! What the records so far amount to. Only [`State::apply`] changes it; every index in it follows from the nodes'
//! states in one place ([`State::enter`]), so that no index can be forgotten. It decides nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::record::{
    AttemptId, Effect, Ending, Fact, NodeId, Origin, Record, RunState, StopCause, Timestamp,
};
use crate::spec::{CheckedSpec, OnFailure};
use crate::work;

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// For the run to begin, or for what it needs.
    Waiting,
    /// For room.
    Ready,
    /// For its next attempt's time.
    BackOff {
        due: Timestamp,
    },
    Running {
        deadline: Option<Timestamp>,
    },
    /// Told to stop; holds its room until it reports or `until` passes.
    Stopping {
        cause: StopCause,
        until: Timestamp,
    },
    /// Its attempt has ended and what follows is not yet on record. Seen only between two records of one `decide`.
    Settling {
        ending: Ending,
    },
    Succeeded(Origin),
    Failed,
    Skipped {
        because: NodeId,
    },
    Cancelled,
}

impl NodeState {
    pub fn is_final(self) -> bool {
        match self {
            Self::Succeeded(_) | Self::Failed | Self::Skipped { .. } | Self::Cancelled => true,
            Self::Waiting
            | Self::Ready
            | Self::BackOff { .. }
            | Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Settling { .. } => false,
        }
    }

    /// Has an attempt that holds room.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running { .. } | Self::Stopping { .. })
    }

    /// Not final, and nothing of it is in the world: it can be dropped at once.
    pub(crate) fn is_idle(self) -> bool {
        matches!(self, Self::Waiting | Self::Ready | Self::BackOff { .. })
    }

    fn timer(self) -> Option<Timestamp> {
        match self {
            Self::BackOff { due } => Some(due),
            Self::Running { deadline } => deadline,
            Self::Stopping { until, .. } => Some(until),
            Self::Waiting
            | Self::Ready
            | Self::Settling { .. }
            | Self::Succeeded(_)
            | Self::Failed
            | Self::Skipped { .. }
            | Self::Cancelled => None,
        }
    }
}

/// How many nodes stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub waiting: usize,
    pub ready: usize,
    pub backing_off: usize,
    pub running: usize,
    pub stopping: usize,
    pub settling: usize,
    pub succeeded: usize,
    pub failed: usize,
    pub skipped: usize,
    pub cancelled: usize,
}

impl Counts {
    /// Nodes whose state is not final.
    pub fn open(&self) -> usize {
        self.idle() + self.running + self.stopping + self.settling
    }

    pub(crate) fn idle(&self) -> usize {
        self.waiting + self.ready + self.backing_off
    }

    fn of(&mut self, node_state: NodeState) -> &mut usize {
        match node_state {
            NodeState::Waiting => &mut self.waiting,
            NodeState::Ready => &mut self.ready,
            NodeState::BackOff { .. } => &mut self.backing_off,
            NodeState::Running { .. } => &mut self.running,
            NodeState::Stopping { .. } => &mut self.stopping,
            NodeState::Settling { .. } => &mut self.settling,
            NodeState::Succeeded(_) => &mut self.succeeded,
            NodeState::Failed => &mut self.failed,
            NodeState::Skipped { .. } => &mut self.skipped,
            NodeState::Cancelled => &mut self.cancelled,
        }
    }
}

/// A place in the queue for admission: higher priority first, then node order.
pub(crate) type Rank = (Reverse<i32>, NodeId);

/// What live attempts hold together; never more than the capacity.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    pub(crate) cpus_milli: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) attempts: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) latest: Timestamp,
    pub(crate) has_begun: bool,
    pub(crate) ended: Option<RunState>,
    /// Set once, to `Cancel` or `FailFast`: from then on nothing begins.
    pub(crate) closing: Option<StopCause>,
    pub(crate) nodes: Vec<NodeState>,
    /// Of the newest attempt of each node; 0 before the first.
    pub(crate) numbers: Vec<u32>,
    /// How many of its needs have not succeeded, for each node.
    pub(crate) unmet: Vec<u32>,
    pub(crate) counts: Counts,
    pub(crate) held: Held,
    pub(crate) ready: BTreeSet<Rank>,
    /// Deadlines, ends of grace and retries. At most one per node.
    pub(crate) timers: BTreeSet<(Timestamp, NodeId)>,
    pub(crate) live: BTreeSet<NodeId>,
    pub(crate) settling: BTreeSet<NodeId>,
    /// Waiting nodes that need a failed or skipped one directly, and the failed node behind it.
    pub(crate) doomed: BTreeMap<NodeId, NodeId>,
}

impl State {
    pub(crate) fn new(spec: &CheckedSpec) -> Self {
        let nodes_count = spec.graph.len();
        Self {
            latest: Timestamp(0),
            has_begun: false,
            ended: None,
            closing: None,
            nodes: vec![NodeState::Waiting; nodes_count],
            numbers: vec![0; nodes_count],
            unmet: spec.graph.ids().map(|node| spec.graph.needs_count(node)).collect(),
            counts: Counts { waiting: nodes_count, ..Counts::default() },
            held: Held::default(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            live: BTreeSet::new(),
            settling: BTreeSet::new(),
            doomed: BTreeMap::new(),
        }
    }

    pub(crate) fn apply(&mut self, spec: &CheckedSpec, record: &Record) -> Option<Effect> {
        assert!(record.at >= self.latest, "time steps back from {:?} at {record:?}", self.latest);
        assert_eq!(self.ended, None, "the run has ended: {record:?}");
        assert_eq!(
            self.has_begun,
            record.fact != Fact::RunBegan,
            "the run begins once and first: {record:?}"
        );
        self.latest = record.at;
        match record.fact {
            Fact::RunBegan => self.begin(spec),
            Fact::RunCancelled => {
                assert_eq!(self.closing, None, "the run is already closing");
                self.closing = Some(StopCause::Cancel);
            }
            Fact::RunEnded { state } => {
                assert_eq!(self.counts.open(), 0, "the run ends with open nodes: {:?}", self.counts);
                self.ended = Some(state);
            }
            Fact::AttemptBegan { attempt, deadline } => return self.attempt_began(spec, attempt, deadline),
            Fact::AttemptToldToStop { attempt, cause, until } => {
                let node_state = self.live_state(attempt);
                assert!(
                    matches!(node_state, NodeState::Running { .. }),
                    "{attempt:?} is told twice: {node_state:?}"
                );
                self.enter(spec, attempt.node, NodeState::Stopping { cause, until });
                return Some(Effect::Stop { attempt, cause });
            }
            Fact::AttemptEnded { attempt, ending } => {
                self.live_state(attempt);
                self.enter(spec, attempt.node, NodeState::Settling { ending });
            }
            Fact::RetryScheduled { node, due } => {
                self.ending_of(node);
                self.enter(spec, node, NodeState::BackOff { due });
            }
            Fact::RetryDue { node } => {
                let node_state = self.nodes[node.index()];
                assert!(
                    matches!(node_state, NodeState::BackOff { due } if due <= record.at),
                    "{node:?}: {node_state:?}"
                );
                self.enter(spec, node, NodeState::Ready);
            }
            Fact::NodeSucceeded { node, origin } => self.node_succeeded(spec, node, origin),
            Fact::NodeFailed { node } => self.node_failed(spec, node),
            Fact::NodeSkipped { node, because } => self.node_skipped(spec, node, because),
            Fact::NodeCancelled { node } => self.node_cancelled(spec, node),
        }
        None
    }

    fn begin(&mut self, spec: &CheckedSpec) {
        self.has_begun = true;
        for node in spec.graph.ids() {
            if self.unmet[node.index()] == 0 {
                self.enter(spec, node, NodeState::Ready);
            }
        }
    }

    fn attempt_began(
        &mut self,
        spec: &CheckedSpec,
        attempt: AttemptId,
        deadline: Option<Timestamp>,
    ) -> Option<Effect> {
        let AttemptId { node, number } = attempt;
        assert_eq!(self.closing, None, "{attempt:?} begins in a run that is closing");
        assert_eq!(self.nodes[node.index()], NodeState::Ready, "{attempt:?} begins");
        assert_eq!(number, self.numbers[node.index()] + 1, "{attempt:?} is not the next of its node");
        self.numbers[node.index()] = number;
        self.enter(spec, node, NodeState::Running { deadline });
        let capacity = spec.spec.capacity;
        assert!(
            self.held.cpus_milli <= capacity.cpus_milli,
            "cpus over capacity at {attempt:?}: {:?}",
            self.held
        );
        assert!(self.held.memory_bytes <= capacity.memory_bytes, "memory over capacity: {:?}", self.held);
        assert!(self.held.attempts <= capacity.attempts_max, "attempts over capacity: {:?}", self.held);
        Some(Effect::Start { attempt, deadline })
    }

    fn node_succeeded(&mut self, spec: &CheckedSpec, node: NodeId, origin: Origin) {
        let ending = self.ending_of(node);
        assert_eq!(ending, Ending::Succeeded(origin), "{node:?} succeeded");
        self.enter(spec, node, NodeState::Succeeded(origin));
        for &dependent in spec.graph.dependents(node) {
            work::step();
            let unmet = &mut self.unmet[dependent.index()];
            assert!(*unmet > 0, "{dependent:?} has had all it needs before {node:?}");
            *unmet -= 1;
            if *unmet == 0 && self.nodes[dependent.index()] == NodeState::Waiting {
                self.enter(spec, dependent, NodeState::Ready);
            }
        }
    }

    fn node_failed(&mut self, spec: &CheckedSpec, node: NodeId) {
        self.ending_of(node);
        self.enter(spec, node, NodeState::Failed);
        if spec.spec.on_failure == OnFailure::FailFast {
            self.closing = self.closing.or(Some(StopCause::FailFast));
        }
        self.doom_dependents(spec, node, node);
    }

    fn node_skipped(&mut self, spec: &CheckedSpec, node: NodeId, because: NodeId) {
        assert_eq!(self.nodes[node.index()], NodeState::Waiting, "only a waiting node is skipped: {node:?}");
        assert_eq!(self.nodes[because.index()], NodeState::Failed, "{node:?} is skipped for {because:?}");
        self.enter(spec, node, NodeState::Skipped { because });
        self.doom_dependents(spec, node, because);
    }

    fn node_cancelled(&mut self, spec: &CheckedSpec, node: NodeId) {
        let node_state = self.nodes[node.index()];
        let is_settling = matches!(node_state, NodeState::Settling { .. });
        assert!(self.closing.is_some(), "{node:?} is cancelled in a run that goes on");
        assert!(node_state.is_idle() || is_settling, "{node:?} is cancelled while {node_state:?}");
        self.enter(spec, node, NodeState::Cancelled);
    }

    fn doom_dependents(&mut self, spec: &CheckedSpec, node: NodeId, because: NodeId) {
        for &dependent in spec.graph.dependents(node) {
            work::step();
            if self.nodes[dependent.index()] == NodeState::Waiting {
                self.doomed.entry(dependent).or_insert(because);
            }
        }
    }

    fn live_state(&self, attempt: AttemptId) -> NodeState {
        let node_state = self.nodes[attempt.node.index()];
        assert!(node_state.is_live(), "{attempt:?} is not live but {node_state:?}");
        assert_eq!(attempt.number, self.numbers[attempt.node.index()], "{attempt:?} is not the newest");
        node_state
    }

    fn ending_of(&self, node: NodeId) -> Ending {
        let node_state = self.nodes[node.index()];
        let NodeState::Settling { ending } = node_state else {
            panic!("the attempt of {node:?} has not just ended: {node_state:?}");
        };
        ending
    }

    /// The one place where a node changes its state, and every index with it.
    fn enter(&mut self, spec: &CheckedSpec, node: NodeId, new: NodeState) {
        work::step();
        let old = std::mem::replace(&mut self.nodes[node.index()], new);
        *self.counts.of(old) -= 1;
        *self.counts.of(new) += 1;
        if let Some(timer) = old.timer() {
            self.timers.remove(&(timer, node));
        }
        if let Some(timer) = new.timer() {
            self.timers.insert((timer, node));
        }
        let node_spec = spec.node(node);
        match (old.is_live(), new.is_live()) {
            (false, true) => {
                self.live.insert(node);
                self.held.cpus_milli += u64::from(node_spec.resources.cpus_milli);
                // Both are below a capacity that is itself a u64, so only a broken journal saturates, and asserts.
                self.held.memory_bytes =
                    self.held.memory_bytes.saturating_add(node_spec.resources.memory_bytes);
                self.held.attempts += 1;
            }
            (true, false) => {
                self.live.remove(&node);
                self.held.cpus_milli -= u64::from(node_spec.resources.cpus_milli);
                self.held.memory_bytes -= node_spec.resources.memory_bytes;
                self.held.attempts -= 1;
            }
            (true, true) | (false, false) => {}
        }
        let rank = (Reverse(node_spec.priority), node);
        if old == NodeState::Ready {
            self.ready.remove(&rank);
        }
        if new == NodeState::Ready {
            self.ready.insert(rank);
        }
        if matches!(old, NodeState::Settling { .. }) {
            self.settling.remove(&node);
        }
        if matches!(new, NodeState::Settling { .. }) {
            self.settling.insert(node);
        }
        if old == NodeState::Waiting && !self.doomed.is_empty() {
            self.doomed.remove(&node);
        }
    }
}
