//! How another thread stops an attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Why an attempt was stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterruptCause {
    /// Somebody wants the run to stop.
    Cancelled,
    /// The node's timeout has passed.
    TimedOut,
    /// Another node's failure ends the run.
    Abandoned,
}

/// A flag shared between an attempt and whoever may stop it; clones are the same flag. The guest stops within about
/// 20 ms; a call in the host is not cut short.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the attempt to stop. The first cause stays.
    pub fn set(&self, cause: InterruptCause) {
        let code = match cause {
            InterruptCause::Cancelled => 1,
            InterruptCause::TimedOut => 2,
            InterruptCause::Abandoned => 3,
        };
        // A second cause is ignored on purpose: the first one explains the end.
        let _ignored = self.0.compare_exchange(0, code, Ordering::Release, Ordering::Relaxed);
    }

    /// The cause, when it was set.
    #[must_use]
    pub fn cause(&self) -> Option<InterruptCause> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            1 => Some(InterruptCause::Cancelled),
            2 => Some(InterruptCause::TimedOut),
            _ => Some(InterruptCause::Abandoned),
        }
    }
}
