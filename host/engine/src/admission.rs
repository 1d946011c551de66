//! Which ready nodes begin now. Decides order and room, nothing else.
//!
//! The rule: one queue, higher priority first, then node order, and **nobody overtakes**: the first node that does
//! not fit ends the admission. So a large node cannot starve behind small ones: at the head of the queue it waits at
//! most for the attempts that are alive. The price is room left idle meanwhile. Letting small nodes fill that room
//! was weighed and left out: without knowing how long they take, it puts the large node off without bound (or by
//! a bound one has to guess), and finding who fits means looking through the queue, which costs what the queue is
//! long. With the rule, an admission costs what it admits, plus one.

use crate::record::NodeId;
use crate::spec::{Capacity, CheckedSpec, Resources};
use crate::state::{Held, Rank, State};
use crate::work;

/// What may be held, and what is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    limit: Capacity,
    held: Held,
}

impl Room {
    /// More may be held than the limit allows now: it was lower when that began.
    pub(crate) fn new(limit: Capacity, held: Held) -> Self {
        Self { limit, held }
    }

    pub(crate) fn give(&mut self, resources: Resources) {
        self.held.cpus_milli -= u64::from(resources.cpus_milli);
        self.held.memory_bytes -= resources.memory_bytes;
        self.held.attempts -= 1;
    }

    fn take(self, resources: Resources) -> Option<Self> {
        let held = Held {
            cpus_milli: self.held.cpus_milli + u64::from(resources.cpus_milli),
            memory_bytes: self.held.memory_bytes.saturating_add(resources.memory_bytes),
            attempts: self.held.attempts + 1,
        };
        let fits = held.cpus_milli <= self.limit.cpus_milli
            && held.memory_bytes <= self.limit.memory_bytes
            && held.attempts <= self.limit.attempts_max;
        fits.then_some(Self { held, ..self })
    }
}

/// The nodes that begin, in their order. `newly_ready` are not yet in the state's queue.
pub(crate) fn admit(
    spec: &CheckedSpec,
    state: &State,
    mut newly_ready: Vec<Rank>,
    mut room: Room,
) -> Vec<NodeId> {
    newly_ready.sort_unstable();
    let mut newly_ready = newly_ready.into_iter().peekable();
    let mut queue = state.ready.iter().copied().peekable();
    let mut admitted = Vec::new();
    loop {
        work::step();
        let is_new_first = match (newly_ready.peek(), queue.peek()) {
            (Some(new), Some(old)) => new < old,
            (new, _) => new.is_some(),
        };
        let next = if is_new_first { newly_ready.next() } else { queue.next() };
        let Some((_, node)) = next else { break };
        let Some(left) = room.take(spec.node(node).resources) else { break };
        room = left;
        admitted.push(node);
    }
    admitted
}
