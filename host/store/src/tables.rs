//! Tables as a DuckLake catalog: what is written of them, what is kept, how it is asked for. Which files a version has
//! and what stands in them is the lake's affair; here they are names and numbers.

mod bounds;
mod bulk;
mod change;
mod commit;
mod expire;
mod heads;
mod init;
mod read;
mod state;
mod targets;
mod trace;
mod words;

use serde_json::Value as Json;
use tidemill_plan::{Digest, TableName, Window, WriteMode};

pub use commit::commit_tables;
pub use expire::{Expired, Expiry};
pub use read::TableFilter;
pub use trace::{Direction, HistoryEntry, Related};

/// Tables that become visible together: one snapshot of the catalog.
#[derive(Clone, Debug)]
pub struct CatalogCommit {
    /// Nanoseconds since 1970. A snapshot is never older than the one before it, whatever the clock does.
    pub at: i64,
    pub author: String,
    pub message: String,
    /// No name twice.
    pub tables: Vec<TableWrite>,
}

/// The new version of one table.
#[derive(Clone, Debug)]
pub struct TableWrite {
    pub name: TableName,
    /// The version that it was made from; `None`: there was no such table. Another one by now refuses the commit.
    pub base: Option<i64>,
    /// All columns, each before those inside it, in order.
    pub columns: Vec<TableColumn>,
    /// Of the whole table, for the columns that have any.
    pub bounds: Vec<ColumnBounds>,
    /// All files. Those that the table has already stay as they are; others of the table are no longer in it.
    pub files: Vec<TableFile>,
    pub rows: u64,
    pub bytes: u64,
    pub progress: ProgressChange,
    pub origin: Origin,
    /// As the lake writes it.
    pub manifest: String,
}

/// A column, or a part of a nested one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// Never used for another column of the table.
    pub id: i64,
    pub parent: Option<i64>,
    pub name: String,
    /// In DuckLake's words.
    pub data_type: String,
    pub is_nullable: bool,
}

#[derive(Clone, Debug)]
pub struct TableFile {
    /// In the table's folder, or absolute.
    pub path: String,
    /// Of a file that the table does not have yet.
    pub facts: Option<FileFacts>,
}

#[derive(Clone, Debug)]
pub struct FileFacts {
    pub rows: u64,
    pub bytes: u64,
    pub footer_bytes: u64,
    pub columns: Vec<FileColumn>,
}

/// What is known of a column in one file. Least and greatest are in DuckLake's words.
#[derive(Clone, Debug)]
pub struct FileColumn {
    pub id: i64,
    pub bytes: u64,
    /// Without nulls.
    pub values: u64,
    pub nulls: u64,
    pub min: Option<String>,
    pub max: Option<String>,
    /// `None` where the type has no such value.
    pub has_nan: Option<bool>,
}

/// What is known of a column in the whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnBounds {
    pub id: i64,
    pub has_null: bool,
    pub has_nan: Option<bool>,
    pub min: Option<String>,
    pub max: Option<String>,
}

/// What becomes of a table's progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressChange {
    /// It is this and nothing else.
    Is(Vec<KeyTime>),
    /// These have come at least so far.
    Reaches(Vec<KeyTime>),
}

/// How far a table has come for one combination of identifiers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyTime {
    pub identifiers: Vec<String>,
    /// Nanoseconds since 1970.
    pub last: i64,
}

/// Who wrote a version, and of what.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The lake's snapshot: of content, or of content and what came before.
    pub digest: Digest,
    pub cache_key: Digest,
    pub run: String,
    pub node: String,
    pub task: String,
    /// `None` for a source.
    pub component: Option<Digest>,
    pub attempt: String,
    pub mode: WriteMode,
    pub window: Window,
    pub metrics: Json,
    pub reads: Vec<ReadVersion>,
}

/// A version that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadVersion {
    pub table: TableName,
    /// `None` for what is in no catalog.
    pub version: Option<i64>,
    pub digest: Digest,
}

/// A table at some moment.
#[derive(Clone, Debug)]
pub struct TableVersion {
    pub name: TableName,
    pub table_id: i64,
    /// The snapshot of the catalog that made it so.
    pub version: i64,
    pub state: TableState,
}

/// Who made a table what it is.
#[derive(Clone, Debug)]
pub enum TableState {
    Ours(Box<OwnVersion>),
    /// Another program has changed it since, or made it.
    Foreign(Box<ForeignVersion>),
}

#[derive(Clone, Debug)]
pub struct OwnVersion {
    /// `reads` is empty here; see [`crate::Store::lineage`].
    pub origin: Origin,
    pub rows: u64,
    pub bytes: u64,
    pub committed_at: i64,
    /// `None`: expired.
    pub manifest: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ForeignVersion {
    pub columns: Vec<TableColumn>,
    /// In the order in which they were written.
    pub files: Vec<ForeignFile>,
    /// Greater than the id of any column that the table ever had.
    pub column_id_next: i64,
    /// The snapshot that was asked for: rows that a file has of later ones are not in it.
    pub as_of: i64,
    /// Some rows are in the catalog itself, where only DuckDB reads them.
    pub has_inlined_rows: bool,
    /// The newest version of ours before it, for what DuckLake does not know: the index, exact types.
    pub manifest_before: Option<String>,
}

/// A data file as another program may have written it. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignFile {
    pub path: String,
    pub format: String,
    pub rows: u64,
    pub bytes: u64,
    pub is_encrypted: bool,
    /// Files that name rows of it which are gone.
    pub deletes: Vec<DeleteFile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteFile {
    pub path: String,
    pub format: String,
    pub rows: u64,
    pub bytes: u64,
}

fn mode_name(mode: WriteMode) -> &'static str {
    match mode {
        WriteMode::Replace => "replace",
        WriteMode::Append => "append",
        WriteMode::Upsert => "upsert",
    }
}

fn mode_named(name: &str) -> Option<WriteMode> {
    [WriteMode::Replace, WriteMode::Append, WriteMode::Upsert].into_iter().find(|it| mode_name(*it) == name)
}
