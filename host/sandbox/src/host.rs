//! What an attempt asks of its surroundings. The driver implements these; the sandbox knows neither lake nor run.

use std::fmt;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tidemill_plan::{Code, Time};

/// What the driver gives to an attempt. Calls come from the attempt's own thread, one at a time.
pub trait Host: Send {
    /// The tables bound to a declared input port, in order; empty for an unbound one. Asked once per port.
    fn members(&self, port: &str) -> Vec<MemberInfo>;
    /// Opens the table of a member that `members` lists.
    fn open(&mut self, port: &str, member: u32, options: ReadOptions) -> Result<Box<dyn BatchReader>, Fault>;
    /// Begins the table of an output port. The sandbox has checked that the port is declared, that it is the first
    /// call for it, and that the schema is the declared one.
    fn create(&mut self, port: &str, schema: SchemaRef) -> Result<Box<dyn BatchWriter>, Fault>;
    /// Begins a file. The sandbox has checked name and media type, and that it is the first call for the name.
    fn artefact(&mut self, name: &str, media_type: &str) -> Result<Box<dyn ArtefactWriter>, Fault>;
    /// Last committed time per identifier of a declared output port's table.
    fn progress_of(&mut self, port: &str) -> Result<Vec<ProgressEntry>, Fault>;
    /// One line, already within the log limit.
    fn log(&mut self, line: LogLine);
    /// How much is done, in units of the task's choice.
    fn progress(&mut self, done: u64, total: Option<u64>);
    /// A number by name; the last value counts.
    fn metric(&mut self, name: &str, value: f64);
    /// Keeps bytes, at most `CHECKPOINT_BYTES_MAX` of them, for the next attempt.
    fn checkpoint_save(&mut self, bytes: Vec<u8>) -> Result<(), Fault>;
    /// What an earlier attempt saved last.
    fn checkpoint_load(&mut self) -> Option<Vec<u8>>;
}

/// A table being read: batches of one schema, in time order. Batches without rows are skipped by the sandbox.
pub trait BatchReader: Send {
    fn schema(&self) -> SchemaRef;
    fn next(&mut self) -> Result<Option<RecordBatch>, Fault>;
}

/// A table being written. A batch has the schema of `create` and was validated in full; order and uniqueness are
/// the writer's to check. It commits nothing by itself.
pub trait BatchWriter: Send {
    fn write(&mut self, batch: RecordBatch) -> Result<(), Fault>;
}

/// A file being written; what the guest drops is complete as it is. It keeps nothing by itself.
pub trait ArtefactWriter: Send {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault>;
}

/// What a task wants of a table. Columns that are asked for twice arrive once here and are refused earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// In this order; `None` means all.
    pub columns: Option<Vec<String>>,
    /// First time wanted.
    pub start: Option<Time>,
    /// First time no longer wanted. The host clips it at the run's `Window::read_end`.
    pub end: Option<Time>,
    /// Never 0. The sandbox cuts what is longer, so a reader may ignore it.
    pub batch_rows_max: Option<u32>,
}

/// One table bound to an input port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// The node that wrote it.
    pub node: String,
    /// The node's `for_each` values as a JSON object.
    pub key: String,
}

/// How far the rows of one identifier have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressEntry {
    /// In the order of the port's identifier columns.
    pub identifiers: Vec<String>,
    /// Last committed time.
    pub last: Time,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Who wrote a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// The task, through `context.log`.
    Task,
    Stdout,
    Stderr,
}

impl LogSource {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One line of an attempt's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    pub source: LogSource,
    /// Without its line end; of stdout and stderr what is not UTF-8 is replaced.
    pub message: String,
    /// Structured values by name, in the order of the task.
    pub fields: Vec<(String, String)>,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    Retryable,
    Permanent,
}

/// Something that dooms the attempt: it fails with the first fault, whatever the guest returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: Code,
    /// What and where: lower case, no full stop, values in backticks.
    pub what: String,
    /// How to mend it; may be empty.
    pub mend: String,
    pub kind: FailureKind,
}

impl Fault {
    pub fn permanent(code: Code, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { code, what: what.into(), mend: mend.into(), kind: FailureKind::Permanent }
    }

    pub fn retryable(code: Code, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { code, what: what.into(), mend: mend.into(), kind: FailureKind::Retryable }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
