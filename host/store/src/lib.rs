//! What the service keeps: runs and their journal, the registry, tables as a DuckLake catalog; on SQLite or PostgreSQL.
//!
//! The only crate that names sqlx. It decides nothing about runs: it is told what to keep and says what is kept. Every
//! write goes through one writer per process, which puts as many of them as wait into one transaction, and each of these
//! transactions first proves that this process has not been given up by the others (see [`Store::write`]).

mod audit;
mod conditions;
mod db;
mod error;
mod hosts;
mod links;
mod migrate;
mod mirror_database;
mod mirrors;
mod pipelines;
mod registry;
mod runs;
mod store;
mod tables;
mod tokens;
mod value;
mod writer;

#[cfg(test)]
mod conformance;

pub use audit::{AuditEntry, AuditFilter, note_audit};
pub use db::{Dialect, Tx};
pub use error::StoreError;
pub use hosts::{HostId, Neighbour, Watch};
pub use links::Link;
pub use mirror_database::{MirrorDatabase, MirrorTx};
pub use mirrors::{MirrorCounts, MirrorError, MirrorFilter, MirrorRow, MirrorWish, Mirrored, want_mirrors};
pub use pipelines::{DeployedAs, NewVersion, PipelineFile, Uses, Version, VersionRow};
pub use registry::{ComponentFilter, ComponentRow, Motion, NewComponent, NewTag, Pushed, TagMove, TagRow};
pub use runs::{Append, Claim, NewRun, Note, RunFilter, RunRow, RunStatus, Wanted, Wish, append};
pub use store::{Store, StoreOptions};
pub use tables::{
    CatalogCommit, ColumnBounds, DeleteFile, Direction, Expired, Expiry, FileColumn, FileFacts, ForeignFile,
    ForeignVersion, HistoryEntry, KeyTime, Origin, OwnVersion, ProgressChange, ReadVersion, Related,
    TableColumn, TableFile, TableFilter, TableState, TableVersion, TableWrite, commit_tables,
};
pub use tokens::{Among, NewToken, Role, TokenRow, note_use};
pub use value::{Row, Value};
pub use writer::{Patience, WriterCounts};
