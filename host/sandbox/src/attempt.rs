//! One try at a node: what it is given, and how it ended.

use tidemill_plan::{Code, Window};

use crate::host::{FailureKind, Fault};
use crate::interrupt::{Interrupt, InterruptCause};

/// What `Sandbox::run` needs to know of an attempt, besides the component and the host.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    pub run: &'a str,
    /// For example `leg[window=60]`.
    pub node: &'a str,
    /// 32 hex digits.
    pub table: &'a str,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Seed of all randomness that the guest sees.
    pub seed: u64,
    /// A JSON object.
    pub parameters: &'a str,
    pub window: Window,
    pub limits: AttemptLimits,
    pub interrupt: Interrupt,
}

/// What an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimits {
    /// Of all linear memories together.
    pub memory_bytes: u64,
    /// Of the Arrow data written to all outputs, and of all artefacts.
    pub output_bytes: u64,
    /// Of all messages, fields and metric names.
    pub log_bytes: u64,
    /// From instantiation to return, time spent in the host included; `None`: no limit.
    pub time_ms: Option<u64>,
    /// Instructions, counted exactly (about a fifth slower); `None`: not counted.
    pub fuel: Option<u64>,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, output_bytes: 4 << 30, log_bytes: 4 << 20, time_ms: None, fuel: None }
    }
}

/// How an attempt ended, and what it used.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub outcome: Outcome,
    pub usage: Usage,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// `run` returned without an error, no fault came up, and every declared output was created.
    Done,
    Failed(Failure),
    /// The interrupt was set before the guest had ended.
    Interrupted(InterruptCause),
}

/// Why an attempt failed: what and where, how to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    /// Lower case, no full stop, values in backticks; a task's own message is quoted as it is.
    pub what: String,
    /// May be empty.
    pub mend: String,
    pub kind: FailureKind,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { code: fault.code, what: fault.what, mend: fault.mend, kind: fault.kind }
    }
}

/// What an attempt used, whatever its outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub wall_us: u64,
    /// Most linear memory at any moment.
    pub memory_peak_bytes: u64,
    /// Rows of all batches that the guest was given.
    pub rows_in: u64,
    /// Bytes that were copied into the guest.
    pub bytes_in: u64,
    /// Rows of all batches that outputs took.
    pub rows_out: u64,
    /// Bytes of these batches, columns passed through included, and of artefacts.
    pub bytes_out: u64,
    pub log_bytes: u64,
    /// Counted only under a fuel limit.
    pub fuel: Option<u64>,
}
