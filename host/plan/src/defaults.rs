//! What holds where a pipeline says nothing: the only place.

use crate::{Corrections, Limits, Resources, Retry, RetryPolicy, WriteMode};

pub(crate) const CPUS_MILLI: u32 = 1_000;
/// Where neither the pipeline nor the task's hint says otherwise.
pub(crate) const MEMORY_BYTES: u64 = 512 << 20;
pub(crate) const OUTPUT_BYTES: u64 = 8 << 30;
pub(crate) const LOG_BYTES: u64 = 16 << 20;
pub(crate) const CORRECTIONS: Corrections = Corrections::Ignore;
pub(crate) const WRITE_MODE: WriteMode = WriteMode::Replace;
pub(crate) const PRIORITY: i32 = 0;

/// For a node that names a policy but not these.
pub(crate) const RETRY_MAX: u32 = 3;
pub(crate) const RETRY_DELAY_MS: u64 = 1_000;
pub(crate) const RETRY_MAX_DELAY_MS: u64 = 300_000;
pub(crate) const RETRY_JITTER: f64 = 0.1;

/// Tables of one pipeline; beyond this a `for_each` is a slip.
pub(crate) const NODES_MAX: usize = 1_000_000;

pub(crate) const RETRY: Retry =
    Retry { policy: RetryPolicy::None, max: 0, delay_ms: 0, max_delay_ms: 0, jitter: 0.0 };

pub(crate) const LIMITS: Limits = Limits { output_bytes: OUTPUT_BYTES, log_bytes: LOG_BYTES, fuel: None };

/// Of a source: it runs no wasm.
pub(crate) const RESOURCES: Resources = Resources { cpus_milli: CPUS_MILLI, memory_bytes: MEMORY_BYTES };
