//! What a run tells whoever watches it. Watching changes nothing.

use crate::failure::NodeFailure;

/// Called from the run's threads; must be quick and must not block.
pub trait Observer: Sync {
    fn on(&self, event: Event<'_>);
}

/// Nobody watches.
pub(crate) struct Quiet;

impl Observer for Quiet {
    fn on(&self, _: Event<'_>) {}
}

/// Something that happened. `node` counts in the order of the plan.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    AttemptBegan {
        node: usize,
        attempt: u32,
    },
    /// What the task says of its progress, in units of its choice.
    Progress {
        node: usize,
        done: u64,
        total: Option<u64>,
    },
    RetryScheduled {
        node: usize,
        attempt: u32,
        delay_ms: u64,
        failure: &'a NodeFailure,
    },
    NodeEnded {
        node: usize,
        end: NodeEnd<'a>,
    },
}

/// How a node ended.
#[derive(Clone, Copy, Debug)]
pub enum NodeEnd<'a> {
    Computed {
        rows: u64,
        bytes: u64,
        wall_us: u64,
    },
    Reused {
        rows: u64,
    },
    Failed {
        failure: &'a NodeFailure,
    },
    /// A node that it needs did not succeed.
    Skipped {
        because_of: usize,
    },
    Cancelled,
}
