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

/// What is free.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    cpus_milli: u64,
    memory_bytes: u64,
    attempts: u32,
}

impl Room {
    pub(crate) fn left(capacity: Capacity, held: Held) -> Self {
        Self {
            cpus_milli: capacity.cpus_milli - held.cpus_milli,
            memory_bytes: capacity.memory_bytes - held.memory_bytes,
            attempts: capacity.attempts_max - held.attempts,
        }
    }

    pub(crate) fn give(&mut self, resources: Resources) {
        self.cpus_milli += u64::from(resources.cpus_milli);
        self.memory_bytes += resources.memory_bytes;
        self.attempts += 1;
    }

    fn take(self, resources: Resources) -> Option<Self> {
        Some(Self {
            cpus_milli: self.cpus_milli.checked_sub(u64::from(resources.cpus_milli))?,
            memory_bytes: self.memory_bytes.checked_sub(resources.memory_bytes)?,
            attempts: self.attempts.checked_sub(1)?,
        })
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
