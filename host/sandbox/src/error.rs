//! Why a component is refused.

use thiserror::Error;
use tidemill_plan::{Code, Problem};

use crate::contract::CONTRACT;

/// Why the sandbox, or a component in it, cannot be used. `component` is the path or name that was asked for.
#[derive(Debug, Error)]
pub enum SandboxError {
    #[error("the sandbox cannot start on this machine: {reason}")]
    Engine { reason: String },
    #[error("the compile cache `{dir}` cannot be used: {reason}")]
    CacheDir { dir: String, reason: String },
    #[error("component `{component}` cannot be read: {reason}")]
    Unreadable { component: String, reason: String },
    #[error("`{component}` is not WebAssembly")]
    NotWasm { component: String },
    #[error("`{component}` is a core WebAssembly module, not a component")]
    CoreModule { component: String },
    #[error("`{component}` is not a valid component: {reason}")]
    InvalidComponent { component: String, reason: String },
    #[error("component `{component}` is not a task: it does not export `tidemill:task/handler`")]
    NotATask { component: String },
    #[error(
        "component `{component}` wants version {wanted} of the task contract; this host supports {CONTRACT} and older minor versions"
    )]
    NewerContract { component: String, wanted: String },
    #[error(
        "component `{component}` wants version {wanted} of the task contract; this host supports {CONTRACT} and older minor versions"
    )]
    OtherContract { component: String, wanted: String },
    #[error("component `{component}` imports `{import}`, which a task is not granted")]
    NotGranted { component: String, import: String },
    #[error("component `{component}` imports `{import}`, which this host does not know")]
    UnknownImport { component: String, import: String },
    #[error("component `{component}` does not fit the task contract: {reason}")]
    ContractMismatch { component: String, reason: String },
    #[error("component `{component}` failed to describe itself: {reason}")]
    DescribeFailed { component: String, reason: String },
    #[error("component `{component}` describes itself wrongly: {what}")]
    InvalidDescription { component: String, what: String },
}

impl SandboxError {
    /// The stable code that `docs/errors.md` explains.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Engine { .. } => Code("sandbox-unavailable"),
            Self::CacheDir { .. } => Code("compile-cache-unusable"),
            Self::Unreadable { .. } => Code("component-unreadable"),
            Self::NotWasm { .. } => Code("not-wasm"),
            Self::CoreModule { .. } => Code("core-module"),
            Self::InvalidComponent { .. } => Code("invalid-component"),
            Self::NotATask { .. } => Code("not-a-task"),
            Self::NewerContract { .. } => Code("newer-contract"),
            Self::OtherContract { .. } => Code("other-contract"),
            Self::NotGranted { .. } => Code("capability-not-granted"),
            Self::UnknownImport { .. } => Code("unknown-import"),
            Self::ContractMismatch { .. } => Code("contract-mismatch"),
            Self::DescribeFailed { .. } => Code("describe-failed"),
            Self::InvalidDescription { .. } => Code("invalid-description"),
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::Engine { .. } => "free memory or raise the limit on address space (`ulimit -v`)".into(),
            Self::CacheDir { dir, .. } => {
                format!("make `{dir}` a folder that only you own and can enter, or name another one")
            }
            Self::Unreadable { .. } => "check the path, or build the task with `tidemill build`".into(),
            Self::NotWasm { .. } | Self::InvalidComponent { .. } => {
                "build the task with `tidemill build` and use the file that it prints".into()
            }
            Self::CoreModule { .. } => {
                "build it as a component: `tidemill build`, or the target `wasm32-wasip2`".into()
            }
            Self::NotATask { .. } => "export the world `tidemill:task/task`; the SDK's `#[task]` does".into(),
            Self::NewerContract { .. } => {
                format!("update tidemill, or build the task against version {CONTRACT} of the contract")
            }
            Self::OtherContract { .. } => format!("build the task against version {CONTRACT} of the contract"),
            Self::NotGranted { .. } => {
                "a task reads its input ports only; remove what uses the network from it".into()
            }
            Self::UnknownImport { .. } => {
                "remove what needs the import; a task may import `tidemill:task` and the WASI 0.2 interfaces of a \
                 language's runtime"
                    .into()
            }
            Self::ContractMismatch { .. } => "rebuild the task with the SDK of this release".into(),
            Self::DescribeFailed { .. } => {
                "`describe` must return without reading inputs or parameters; run the task's own tests".into()
            }
            Self::InvalidDescription { .. } => "correct what the task says of itself and rebuild it".into(),
        }
    }
}

impl From<&SandboxError> for Problem {
    fn from(error: &SandboxError) -> Self {
        Self::new(error.code(), error.to_string(), error.mend())
    }
}
