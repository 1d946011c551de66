//! Tables: listed, described, their versions, what they were made of; and what keeps a lake small.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ComponentColumn;

/// Who made a table what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TableAuthor {
    Tidemill,
    /// Another program, such as DuckDB.
    Another,
}

/// A version of a table. What only Tidemill knows is absent where another program wrote it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TableVersion {
    pub name: String,
    /// The snapshot of the catalogue that made the table so.
    pub version: i64,
    pub author: TableAuthor,
    #[schema(format = DateTime)]
    pub committed_at: Option<String>,
    pub node: Option<String>,
    pub run: Option<String>,
    pub task: Option<String>,
    /// Digest of the component; of a source there is none.
    pub component: Option<String>,
    /// `replace`, `append` or `upsert`.
    pub mode: Option<String>,
    /// Of the table's content.
    pub digest: Option<String>,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    /// Its files are gone: it cannot be read any more.
    pub is_expired: bool,
    /// What it was made of; told in a history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<TableRead>,
}

/// A version that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableRead {
    pub table: String,
    /// Absent for what is in no catalogue.
    pub version: Option<i64>,
    pub digest: String,
}

/// A table, and what stands in it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TableDetail {
    #[serde(flatten)]
    pub newest: TableVersion,
    pub columns: Vec<ComponentColumn>,
    /// Column of the time index.
    pub time_index: Option<String>,
    pub identifiers: Vec<String>,
    /// Time of the first row.
    #[schema(format = DateTime)]
    pub first: Option<String>,
    /// Time of the last row.
    #[schema(format = DateTime)]
    pub last: Option<String>,
    /// Files that it lies in.
    pub files: usize,
    pub progress: Option<TableProgress>,
    /// Tables of PostgreSQL that are kept equal to it.
    pub mirrors: Vec<TableMirror>,
    /// How many more tables have the name that was asked for; this is the one of the newest run.
    pub others: usize,
}

/// How far a table has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableProgress {
    /// Combinations of identifiers.
    pub keys: usize,
    /// The last time of the one that is least far.
    #[schema(format = DateTime)]
    pub least: String,
    /// The last time of the one that is furthest.
    #[schema(format = DateTime)]
    pub furthest: String,
}

/// A table of PostgreSQL that is kept equal to a table of the service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TableMirror {
    /// As `schema.table`.
    pub target: String,
    pub pipeline: String,
    pub node: String,
    /// The table that it is to be equal to.
    pub table: String,
    /// The version that it is to have.
    pub version: i64,
    #[schema(format = DateTime)]
    pub wanted_at: String,
    /// It does not have that version yet.
    pub is_behind: bool,
    /// What it has; absent: nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirrored: Option<MirroredVersion>,
    /// Why it does not follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<MirrorTrouble>,
}

/// What a table of PostgreSQL has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MirroredVersion {
    pub table: String,
    pub version: i64,
    #[schema(format = DateTime)]
    pub at: String,
}

/// Why a mirror does not follow. It is tried again by itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MirrorTrouble {
    #[serde(flatten)]
    pub problem: super::SingleProblem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub since: Option<String>,
}

/// One version read another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineageStep {
    pub table: String,
    pub version: i64,
    pub read: TableRead,
    /// 1: the table that was asked for is one of the two.
    pub distance: u32,
}

/// What a table was made of, or what was made of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LineageOfTable {
    pub table: String,
    /// By distance; at most 10,000.
    pub steps: Vec<LineageStep>,
}

/// Files to look for that no table names.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CollectLake {
    /// Only say what would go.
    pub dry_run: bool,
    /// Only files that have not been touched for so many seconds; absent: a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u64>,
}

/// Files that no table named, and artefacts that no run named.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CollectedLake {
    pub files: u64,
    pub bytes: u64,
    /// The first 1,000 of them.
    pub listed: Vec<OrphanedFile>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OrphanedFile {
    pub path: String,
    pub bytes: u64,
}

/// Snapshots to forget.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpireSnapshots {
    /// Only snapshots of at least this age.
    pub older_than_seconds: u64,
    /// Of each table its newest versions stay, however old: so many.
    #[serde(default = "one")]
    #[schema(minimum = 1, default = 1)]
    pub keep: u32,
    /// Only say what would go.
    #[serde(default)]
    pub dry_run: bool,
}

fn one() -> u32 {
    1
}

/// Snapshots that went, with the files that only they named.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExpiredSnapshots {
    pub snapshots: u64,
    /// Absent where it was only looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Tables whose small files are to be put together.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompactTables {
    /// A table's name, the beginning of one, or the node that wrote it; absent: all tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

/// What became of tables whose small files were put together; those where there was nothing to do are not told.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CompactedTables {
    /// How many were looked at.
    pub tables: u64,
    pub compacted: Vec<CompactedTable>,
    /// What stood in the way, such as a run that wrote the table at the same moment.
    pub refused: Vec<RefusedTable>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CompactedTable {
    pub table: String,
    pub version: i64,
    pub files_before: usize,
    pub files_after: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RefusedTable {
    pub table: String,
    pub problem: super::SingleProblem,
}
