//! Runs one attempt of a task in a WebAssembly sandbox: compiles, caches, links, limits, calls. It knows neither the
//! lake nor the run; what an attempt reads and writes goes through the `Host` that the driver gives to it. The only
//! crate that names wasmtime.

mod attempt;
mod cache;
mod component;
mod contract;
mod description;
mod ended;
mod engine;
mod error;
mod format;
mod host;
mod imports;
mod interrupt;
mod lift;
mod limits;
mod log;
mod lower;
mod sandbox;
mod schema;
mod standins;
mod state;
mod ticker;
mod wire;

pub use attempt::{Attempt, AttemptLimits, Ended, Failure, Outcome, Usage};
pub use component::Component;
pub use contract::{CONTRACT, CONTRACT_IDENTITY};
pub use error::SandboxError;
pub use host::{
    ArtefactWriter, BatchReader, BatchWriter, FailureKind, Fault, Host, Level, LogLine, LogSource,
    MemberInfo, ProgressEntry, ReadOptions,
};
pub use imports::artefacts::ARTEFACTS_MAX;
pub use imports::context::CHECKPOINT_BYTES_MAX;
pub use interrupt::{Interrupt, InterruptCause};
pub use sandbox::{LoadCounts, Options, Sandbox};
