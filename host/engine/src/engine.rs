//! The three verbs over one run, and what a driver may ask. Decides nothing itself.

use std::iter;

use crate::decide;
use crate::record::{AttemptId, Effect, Event, NodeId, Record, RunState, Timestamp};
use crate::spec::{Capacity, CheckedSpec, RunSpec, SpecError};
use crate::state::{Counts, NodeState, State};

/// One run. See the crate's page for the loop that drives it.
#[derive(Clone, Debug)]
pub struct Engine {
    spec: CheckedSpec,
    state: State,
    /// What attempts may hold now; never more than the run's capacity. Not a fact: it only bears on what begins next.
    lent: Capacity,
}

impl Engine {
    /// Costs what the nodes and their needs cost, sorted once.
    pub fn new(spec: RunSpec) -> Result<Self, SpecError> {
        let spec = CheckedSpec::new(spec)?;
        let (state, lent) = (State::new(&spec), spec.spec.capacity);
        Ok(Self { spec, state, lent })
    }

    /// Lets attempts hold no more than this from the next decision on, or less than they hold already: nothing is
    /// stopped, and nothing begins until it fits again. For a driver whose runs share one machine, or are paused.
    pub fn lend(&mut self, capacity: Capacity) {
        let own = self.spec.spec.capacity;
        self.lent = Capacity {
            cpus_milli: capacity.cpus_milli.min(own.cpus_milli),
            memory_bytes: capacity.memory_bytes.min(own.memory_bytes),
            attempts_max: capacity.attempts_max.min(own.attempts_max),
        };
    }

    /// What live attempts hold together.
    pub fn held(&self) -> Capacity {
        let held = self.state.held;
        Capacity { cpus_milli: held.cpus_milli, memory_bytes: held.memory_bytes, attempts_max: held.attempts }
    }

    /// All that follows from the event, in the order in which it is to be applied: nothing further happens until
    /// the next event or [`Engine::wake_at`]. Never clones the run; costs what it answers, plus the edges of the
    /// nodes that finish with it.
    pub fn decide(&self, now: Timestamp, event: Event) -> Vec<Record> {
        decide::decide(&self.spec, &self.state, self.lent, now, event)
    }

    /// The only thing that changes state. Returns the effect which this record makes newly wanted, so a driver that
    /// follows along never has to ask for [`Engine::wanted`].
    ///
    /// # Panics
    /// On a record that cannot follow: it is not from this run, or out of order.
    pub fn apply(&mut self, record: &Record) -> Option<Effect> {
        self.state.apply(&self.spec, record)
    }

    /// Everything the world owes, in node order, then the wake-up. Costs what it answers, whatever the run's size.
    pub fn wanted(&self) -> impl Iterator<Item = Effect> {
        let attempts = self.state.live.iter().map(|&node| {
            let attempt = AttemptId { node, number: self.state.numbers[node.index()] };
            match self.state.nodes[node.index()] {
                NodeState::Stopping { cause, .. } => Effect::Stop { attempt, cause },
                NodeState::Running { deadline } => Effect::Start { attempt, deadline },
                NodeState::Waiting
                | NodeState::Ready
                | NodeState::BackOff { .. }
                | NodeState::Settling { .. }
                | NodeState::Succeeded(_)
                | NodeState::Failed
                | NodeState::Skipped { .. }
                | NodeState::Cancelled => panic!("{attempt:?} is among the live and is not"),
            }
        });
        let wake = iter::once_with(|| self.wake_at().map(|at| Effect::Wake { at }));
        attempts.chain(wake.flatten())
    }

    /// When to send [`Event::Tick`] if nothing else happens before. `None`: only a report or a person moves the run.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.state.timers.first().map(|(at, _)| *at)
    }

    /// `Some` once the run has ended.
    pub fn run_state(&self) -> Option<RunState> {
        self.state.ended
    }

    /// Nothing begins any more: the run was cancelled, or is failing fast.
    pub fn is_closing(&self) -> bool {
        self.state.closing.is_some()
    }

    /// # Panics
    /// If the run has no such node.
    pub fn node_state(&self, node: NodeId) -> NodeState {
        self.state.nodes[node.index()]
    }

    /// The node's newest attempt, `None` before its first.
    ///
    /// # Panics
    /// If the run has no such node.
    pub fn attempt(&self, node: NodeId) -> Option<AttemptId> {
        let number = self.state.numbers[node.index()];
        (number > 0).then_some(AttemptId { node, number })
    }

    /// Whether a report of this attempt would still mean something: the fence to ask before its output is committed.
    pub fn is_live(&self, attempt: AttemptId) -> bool {
        let node_state = self.state.nodes.get(attempt.node.index());
        node_state.is_some_and(|it| it.is_live())
            && self.state.numbers[attempt.node.index()] == attempt.number
    }

    /// The queue for admission, first one first.
    pub fn ready(&self) -> impl Iterator<Item = NodeId> {
        self.state.ready.iter().map(|(_, node)| *node)
    }

    pub fn counts(&self) -> Counts {
        self.state.counts
    }
}
