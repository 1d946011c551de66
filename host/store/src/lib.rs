//! What the service keeps: runs and their journal, the registry, tables as a DuckLake catalog; on SQLite or PostgreSQL.
//!
//! The only crate that names sqlx. It decides nothing about runs: it is told what to keep and says what is kept. Every
//! write goes through one writer per process, which puts as many of them as wait into one transaction, and each of these
//! transactions first proves that this process has not been given up by the others (see [`Store::write`]).

mod db;
mod error;
mod hosts;
mod migrate;
mod runs;
mod store;
mod value;
mod writer;

#[cfg(test)]
mod conformance;

pub use db::{Dialect, Tx};
pub use error::StoreError;
pub use hosts::{HostId, Neighbour, Watch};
pub use runs::{Append, NewRun, Note, RunFilter, RunRow, RunStatus, Wanted, Wish, append};
pub use store::{Store, StoreOptions};
pub use value::{Row, Value};
pub use writer::{Patience, WriterCounts};
