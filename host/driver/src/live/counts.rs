//! How the attempts of this process have ended so far. Counted as they end, whether or not that becomes durable.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::attempt::AttemptEnd;

/// Since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCounts {
    pub computed: u64,
    pub reused: u64,
    pub failed: u64,
    pub stopped: u64,
    /// Of those that computed or failed.
    pub wall_us: u64,
    /// Of those that computed: bytes of Arrow that went into tasks and came out of them, and of files that sources read.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    computed: AtomicU64,
    reused: AtomicU64,
    failed: AtomicU64,
    stopped: AtomicU64,
    wall_us: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Counters {
    pub(super) fn note(&self, end: &AttemptEnd) {
        let (counter, wall_us) = match end {
            AttemptEnd::Computed { usage, .. } => (&self.computed, usage.wall_us),
            AttemptEnd::Reused { .. } => (&self.reused, 0),
            AttemptEnd::Failed { usage, .. } => (&self.failed, usage.wall_us),
            AttemptEnd::Stopped => (&self.stopped, 0),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.wall_us.fetch_add(wall_us, Ordering::Relaxed);
        if let AttemptEnd::Computed { usage, .. } = end {
            self.bytes_in.fetch_add(usage.bytes_in, Ordering::Relaxed);
            self.bytes_out.fetch_add(usage.bytes_out, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> AttemptCounts {
        let read = |it: &AtomicU64| it.load(Ordering::Relaxed);
        AttemptCounts {
            computed: read(&self.computed),
            reused: read(&self.reused),
            failed: read(&self.failed),
            stopped: read(&self.stopped),
            wall_us: read(&self.wall_us),
            bytes_in: read(&self.bytes_in),
            bytes_out: read(&self.bytes_out),
        }
    }
}
