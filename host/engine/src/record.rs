//! The engine's words: what it is told (events), what it holds true (records), what it wants done (effects).
//! All are small values that can be copied; how a journal writes them is the journal's affair.

/// Milliseconds since an origin that the driver chooses once per run and keeps (the Unix epoch serves well).
/// A clock that steps back is read as standing still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// A node's index in [`crate::RunSpec::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One try at a node. Numbers count from 1 and are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptId {
    pub node: NodeId,
    pub number: u32,
}

/// What the driver tells the engine. Except for a stale report, every event also tells the time: what is due
/// by then is decided with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begins the run; a second one means nothing.
    Start,
    /// What became of an attempt. Stale (another number, or an attempt that has ended): means nothing.
    Report { attempt: AttemptId, outcome: Outcome },
    /// Time has passed; also the first event after recovery.
    Tick,
    /// Someone wants the run to end now.
    Cancel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The attempt's result is committed.
    Succeeded(Origin),
    Failed(Failure),
    /// It no longer runs and committed nothing. Also the answer to a [`Effect::Stop`] for an attempt that is not
    /// there. Unasked for (its worker went away), it counts as a retryable failure.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Computed,
    /// An equal cache key was found: nothing was run.
    Reused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    Retryable,
    Permanent,
}

/// Why an attempt is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopCause {
    /// Its deadline passed. Counts as a retryable failure.
    Timeout,
    /// The run was cancelled.
    Cancel,
    /// Another node failed and the run is fail-fast.
    FailFast,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Accepted from an attempt that is being stopped, too: what is committed is committed.
    Succeeded(Origin),
    Failed(Failure),
    /// It did as it was told.
    Stopped(StopCause),
    /// It was told to stop and said nothing for [`crate::RunSpec::stop_grace_ms`]. It may still run (a zombie).
    Abandoned(StopCause),
    /// It stopped without being told.
    Lost,
}

/// A fact, with the time at which it was decided. Times never decrease from one record to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub at: Timestamp,
    pub fact: Fact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    RunBegan,
    /// Nothing begins after this.
    RunCancelled,
    RunEnded {
        state: RunState,
    },
    AttemptBegan {
        attempt: AttemptId,
        /// Absent: it may take for ever.
        deadline: Option<Timestamp>,
    },
    /// The attempt keeps its cpus and memory until it ends, by a report or at `until`.
    AttemptToldToStop {
        attempt: AttemptId,
        cause: StopCause,
        until: Timestamp,
    },
    AttemptEnded {
        attempt: AttemptId,
        ending: Ending,
    },
    /// The node waits until `due`.
    RetryScheduled {
        node: NodeId,
        due: Timestamp,
    },
    /// The wait is over; the node queues for admission.
    RetryDue {
        node: NodeId,
    },
    NodeSucceeded {
        node: NodeId,
        origin: Origin,
    },
    /// Its last attempt failed for good, or with no retry left.
    NodeFailed {
        node: NodeId,
    },
    /// It needs, at whatever distance, the node `because`, which failed.
    NodeSkipped {
        node: NodeId,
        because: NodeId,
    },
    /// It would have gone on, had the run not been stopped.
    NodeCancelled {
        node: NodeId,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunState {
    /// Every node succeeded, even if someone cancelled too late.
    Succeeded,
    /// Some node failed.
    Failed,
    /// Cancelled before every node had succeeded.
    Cancelled,
}

/// What the world owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Start this attempt unless it already runs, and report what becomes of it.
    Start { attempt: AttemptId, deadline: Option<Timestamp> },
    /// Stop this attempt and report what became of it; if it does not run, report [`Outcome::Stopped`].
    Stop { attempt: AttemptId, cause: StopCause },
    /// Send [`Event::Tick`] at this time or later.
    Wake { at: Timestamp },
}
