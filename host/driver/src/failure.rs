//! Why a node failed, and why a run could not be tried.

use tidemill_lake::{LakeError, SourceError};
use tidemill_plan::{Code, Problem};
use tidemill_sandbox::{Failure, Fault, SandboxError};

/// What keeps an attempt from going on that is no fault of its task: a disk, a bucket, the store.
const OF_HOST: [&str; 8] = [
    "artefact-io",
    "data-dir-unusable",
    "disk-full",
    "lake-io",
    "lake-not-writable",
    "store-busy",
    "store-not-writable",
    "store-unreachable",
];

/// Why an attempt failed: what, where, how to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFailure {
    pub code: Code,
    pub what: String,
    pub mend: String,
    /// Whether trying again may help.
    pub retryable: bool,
}

/// Whether the machine or what it depends on is in trouble: that says nothing of the task, and goes away by itself or is
/// mended by an operator.
pub(crate) fn is_of_host(code: Code) -> bool {
    OF_HOST.contains(&code.0)
}

impl NodeFailure {
    pub(crate) fn permanent(code: Code, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { code, what: what.into(), mend: mend.into(), retryable: false }
    }

    pub(crate) fn timed_out(node: &str, timeout_ms: Option<u64>) -> Self {
        let limit = std::time::Duration::from_millis(timeout_ms.unwrap_or_default());
        Self {
            code: Code("timeout"),
            what: format!("node `{node}` did not end within its timeout of {limit:?}"),
            mend: "raise the node's `timeout`, or make the task do less".to_owned(),
            retryable: true,
        }
    }

    pub(crate) fn into_fault(self) -> Fault {
        if self.retryable {
            Fault::retryable(self.code, self.what, self.mend)
        } else {
            Fault::permanent(self.code, self.what, self.mend)
        }
    }
}

impl std::fmt::Display for NodeFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Problem::new(self.code, &self.what, &self.mend).fmt(f)
    }
}

impl From<LakeError> for NodeFailure {
    fn from(error: LakeError) -> Self {
        Self { code: error.code(), what: error.to_string(), mend: error.mend(), retryable: false }
    }
}

impl From<SourceError> for NodeFailure {
    fn from(error: SourceError) -> Self {
        Self { code: error.code(), what: error.to_string(), mend: error.mend(), retryable: false }
    }
}

impl From<Failure> for NodeFailure {
    fn from(failure: Failure) -> Self {
        Self {
            retryable: failure.kind == tidemill_sandbox::FailureKind::Retryable,
            code: failure.code,
            what: failure.what,
            mend: failure.mend,
        }
    }
}

/// Why a run could not be tried, or its record not be kept.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Problem(#[from] Problem),
    #[error("could not {action} `{path}`: {source}")]
    File { action: &'static str, path: String, source: std::io::Error },
    #[error("`{path}` is no run record that this version can read: {reason}")]
    Record { path: String, reason: String },
    #[error("there is no run `{run}` in this lake")]
    UnknownRun { run: String, newest: Option<String> },
    #[error("there is no sweep `{sweep}` in this lake")]
    UnknownSweep { sweep: String, newest: Option<String> },
    #[error("`{prefix}` begins the names of {count} runs")]
    AmbiguousRun { prefix: String, count: usize },
}

impl DriverError {
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Lake(it) => it.into(),
            Self::Sandbox(it) => it.into(),
            Self::Problem(it) => it.clone(),
            Self::File { .. } => Problem::new(
                Code("run-record-io"),
                self.to_string(),
                "check that the lake's folder can be written and that the disk has room",
            ),
            Self::Record { .. } => Problem::new(
                Code("run-record-unreadable"),
                self.to_string(),
                "remove the run with `tidemill clean --run RUN --yes`, or read it with the version that wrote it",
            ),
            Self::UnknownRun { newest, .. } => Problem::new(
                Code("unknown-run"),
                self.to_string(),
                newest.as_ref().map_or_else(
                    || "no run has been made in this lake yet".to_owned(),
                    |it| format!("the newest run is `{it}`; `last` names it too"),
                ),
            ),
            Self::UnknownSweep { newest, .. } => Problem::new(
                Code("unknown-sweep"),
                self.to_string(),
                newest.as_ref().map_or_else(
                    || "no sweep has been made in this lake yet".to_owned(),
                    |it| format!("the newest sweep is `{it}`; `last` names it too"),
                ),
            ),
            Self::AmbiguousRun { .. } => {
                Problem::new(Code("ambiguous-run"), self.to_string(), "type more of the run's id")
            }
        }
    }
}
