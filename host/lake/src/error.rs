//! What can go wrong with a lake, each with a stable code and a way to mend it.

#![expect(clippy::wildcard_enum_match_arm, reason = "kinds of other crates: the rest is treated alike")]

use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use tidemill_plan::{Code, Problem, TableName};

use crate::index::{Violation, ViolationKind};
use crate::lock::Holder;

/// Why a lake refused or failed. Rows count from 1 over everything written to the table by one writer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    #[error("lake `{}` is being written by {}", root.display(), holder_text(holder.as_ref()))]
    Locked { root: PathBuf, holder: Option<Holder> },
    #[error("`{}` has format {found}, and this program reads up to {supported}", path.display())]
    Newer { path: PathBuf, found: u32, supported: u32 },
    #[error("`{address}` is no place for a lake: {cause}")]
    BadAddress { address: String, cause: String },
    #[error("there is no lake at `{}`", root.display())]
    Missing { root: PathBuf },
    #[error("`{}` is not a lake's version file: {cause}", path.display())]
    VersionUnreadable { path: PathBuf, cause: String },
    #[error("lake `{}` was opened for reading only", root.display())]
    OpenedForReading { root: PathBuf },
    #[error("no space left to write `{}`", path.display())]
    DiskFull { path: PathBuf },
    #[error("`{}` cannot be written: {cause}", path.display())]
    NotWritable { path: PathBuf, cause: String },
    #[error("cannot {verb} `{}`: {cause}", path.display())]
    Io { verb: &'static str, path: PathBuf, cause: io::Error },
    #[error("manifest `{}` cannot be read: {cause}", path.display())]
    ManifestUnreadable { path: PathBuf, cause: String },
    #[error("table `{table}` is damaged: part `{part}` {cause}")]
    Damaged { table: TableName, part: String, cause: String },
    #[error("table `{table}` was replaced by another process while it was used")]
    Replaced { table: TableName },
    #[error("table `{table}`, row {row}: index `{value}` comes after `{previous}`")]
    Unsorted { table: TableName, row: u64, value: String, previous: String },
    #[error("table `{table}`, row {row}: index `{value}` is there twice")]
    Duplicate { table: TableName, row: u64, value: String },
    #[error("table `{table}`, row {row}: index `{value}` is already in the table")]
    AlreadyThere { table: TableName, row: u64, value: String },
    #[error("table `{table}`, row {row}: index column `{column}` is null")]
    NullIndex { table: TableName, row: u64, column: String },
    #[error("table `{table}`, row {row}: column `{column}` is null, but it is not nullable")]
    NullValue { table: TableName, row: u64, column: String },
    #[error("table `{table}`: expected {expected}, found {found}")]
    SchemaDiffers { table: TableName, expected: String, found: String },
    #[error("table `{table}`: column `{column}` of type {data_type} cannot be {role}")]
    TypeUnsupported { table: TableName, column: String, data_type: String, role: &'static str },
    #[error("table `{table}` has no column `{column}`{}", nearest_text(nearest.as_ref()))]
    UnknownColumn { table: TableName, column: String, nearest: Option<String> },
    #[error("table `{table}` has two columns named `{column}`")]
    ColumnTwice { table: TableName, column: String },
    #[error("table `{table}` has no time index, so rows cannot be upserted")]
    NoIndex { table: TableName },
    #[error("table `{table}` has more than {max} identifiers")]
    TooManyIdentifiers { table: TableName, max: usize },
    #[error("table `{table}` belongs to a catalogue, not to its folder")]
    InCatalog { table: TableName },
    #[error("table `{table}` was written by another program in a way that is not understood: {cause}")]
    Foreign { table: TableName, cause: String },
    #[error(
        "table `{table}` was written by another program, and its {bytes} bytes are more than the {max} that are sorted in memory"
    )]
    ForeignTooLarge { table: TableName, bytes: u64, max: u64 },
    /// Whoever keeps the manifests cannot tell: what it says of that.
    #[error("table `{table}`: {}", problem.what)]
    Catalog { table: TableName, problem: Box<Problem>, is_passing: bool },
    #[error("version {version} of table `{table}` has been expired: its files are gone")]
    Expired { table: TableName, version: i64 },
    #[error("table name `{name}` is not a safe file name")]
    BadName { name: String },
    #[error("table `{table}`: cannot {verb}: {cause}")]
    Format { table: TableName, verb: &'static str, cause: String },
}

impl From<&LakeError> for Problem {
    fn from(error: &LakeError) -> Self {
        Self::new(error.code(), error.to_string(), error.mend())
    }
}

impl LakeError {
    /// The stable name of this kind of error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Locked { .. } => Code("lake-locked"),
            Self::Newer { .. } => Code("lake-newer"),
            Self::Missing { .. } => Code("lake-missing"),
            Self::BadAddress { .. } => Code("lake-address"),
            Self::VersionUnreadable { .. } => Code("lake-version-unreadable"),
            Self::OpenedForReading { .. } => Code("lake-opened-for-reading"),
            Self::DiskFull { .. } => Code("disk-full"),
            Self::NotWritable { .. } => Code("lake-not-writable"),
            Self::Io { .. } => Code("lake-io"),
            Self::ManifestUnreadable { .. } => Code("manifest-unreadable"),
            Self::Damaged { .. } => Code("table-damaged"),
            Self::Replaced { .. } => Code("table-replaced"),
            Self::Unsorted { .. } => Code("rows-unsorted"),
            Self::Duplicate { .. } => Code("rows-duplicate"),
            Self::AlreadyThere { .. } => Code("rows-already-there"),
            Self::NullIndex { .. } => Code("index-null"),
            Self::NullValue { .. } => Code("value-null"),
            Self::SchemaDiffers { .. } => Code("schema-differs"),
            Self::TypeUnsupported { .. } => Code("column-type-unsupported"),
            Self::UnknownColumn { .. } => Code("column-unknown"),
            Self::ColumnTwice { .. } => Code("column-twice"),
            Self::NoIndex { .. } => Code("upsert-without-index"),
            Self::TooManyIdentifiers { .. } => Code("identifiers-too-many"),
            Self::InCatalog { .. } => Code("table-in-catalog"),
            Self::Foreign { .. } => Code("table-foreign"),
            Self::ForeignTooLarge { .. } => Code("table-foreign-too-large"),
            Self::Catalog { problem, .. } => problem.code,
            Self::Expired { .. } => Code("snapshot-expired"),
            Self::BadName { .. } => Code("table-name-unsafe"),
            Self::Format { .. } => Code("table-format"),
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::Locked { .. } => "wait until it ends, or give this run a lake of its own with `--lake`".into(),
            Self::Newer { .. } => "use the newer tidemill that wrote it, or another lake folder".into(),
            Self::BadAddress { .. } => "write a folder, or `s3://BUCKET/PREFIX`, whose credentials and endpoint the variables `AWS_…` name".into(),
            Self::Missing { .. } => "name the folder with `--lake`, or run a pipeline first".into(),
            Self::VersionUnreadable { path, .. } => {
                format!("restore `{}`, or use another lake folder", path.display())
            }
            Self::OpenedForReading { .. } => "open the lake for writing".into(),
            Self::DiskFull { .. } => {
                "free some space (`tidemill clean` removes tables) and run again; the tables that were there are whole"
                    .into()
            }
            Self::NotWritable { path, .. } => {
                format!("give yourself write access to `{}`, or use another lake folder", path.display())
            }
            Self::Io { path, .. } if path.display().to_string().contains("://") => {
                "see that the object store answers, and that the credentials in `AWS_…` may read and write there; runs of a service go on by themselves"
                    .into()
            }
            Self::Io { path, .. } => format!("look at `{}` and its disk, then run again", path.display()),
            Self::ManifestUnreadable { path, .. } => {
                format!("remove the table's folder, which holds `{}`, and run again", path.display())
            }
            Self::Damaged { .. } => "remove the table with `tidemill clean --table NAME --yes` and run again".into(),
            Self::Replaced { .. } => "try again".into(),
            Self::Unsorted { .. } => "sort the rows by time, then by identifiers, before writing them".into(),
            Self::Duplicate { .. } => "write one row per time and identifiers, or name further identifiers".into(),
            Self::AlreadyThere { .. } => "write only new rows, use the write mode `upsert`, or remove the table first with `tidemill clean --table`"
                    .into(),
            Self::NullIndex { column, .. } => format!("drop the rows where `{column}` is null"),
            Self::NullValue { column, .. } => format!("fill the nulls, or declare `{column}` as nullable"),
            Self::SchemaDiffers { .. } => "write the columns that were declared, or use the write mode `replace`".into(),
            Self::TypeUnsupported { .. } => "convert the column to another type".into(),
            Self::UnknownColumn { nearest, .. } => match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "ask for a column that the table has".into(),
            },
            Self::ColumnTwice { column, .. } => format!("rename one of the columns `{column}`"),
            Self::NoIndex { .. } => "declare a time index, or use the write mode `append` or `replace`".into(),
            Self::TooManyIdentifiers { .. } => "use the write mode `replace`, which keeps no progress".into(),
            Self::InCatalog { .. } => "drop it with the program that keeps the catalogue".into(),
            Self::Foreign { .. } => {
                "write the table anew with plain Parquet files: `CREATE OR REPLACE TABLE … AS SELECT …` does".into()
            }
            Self::ForeignTooLarge { .. } => {
                "export it to Parquet files in order of time, and read those as a source".into()
            }
            Self::Catalog { problem, .. } => problem.mend.clone(),
            Self::Expired { .. } => "ask for a newer snapshot; `tidemill tables history` lists them".into(),
            Self::BadName { .. } => "use letters, digits, `-`, `_` and `.`".into(),
            Self::Format { .. } => "see the message; if the data is as declared, please report this".into(),
        }
    }

    /// True when the same call may succeed later without anything being changed by a person.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Replaced { .. } | Self::Catalog { is_passing: true, .. })
    }

    pub(crate) fn io(verb: &'static str, path: &Path, cause: io::Error) -> Self {
        let path = path.to_path_buf();
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { path }
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, cause: "the file system is read-only".into() }
            }
            io::ErrorKind::PermissionDenied if verb != "read" => {
                Self::NotWritable { path, cause: "permission denied".into() }
            }
            _ => Self::Io { verb, path, cause },
        }
    }

    pub(crate) fn arrow(table: &TableName, verb: &'static str, cause: &ArrowError) -> Self {
        Self::Format { table: table.clone(), verb, cause: cause.to_string() }
    }

    /// A Parquet error while writing; what the file system said comes out as that.
    pub(crate) fn writing(table: &TableName, path: &Path, cause: ParquetError) -> Self {
        match cause {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(inner) => Self::io("write", path, *inner),
                Err(inner) => {
                    Self::Format { table: table.clone(), verb: "write rows", cause: inner.to_string() }
                }
            },
            cause => Self::Format { table: table.clone(), verb: "write rows", cause: cause.to_string() },
        }
    }

    pub(crate) fn violation(table: &TableName, violation: Violation) -> Self {
        let Violation { row, column, kind, value, previous } = violation;
        let (table, row) = (table.clone(), row + 1);
        match kind {
            ViolationKind::Unsorted => Self::Unsorted { table, row, value, previous },
            ViolationKind::Duplicate => Self::Duplicate { table, row, value },
            ViolationKind::Null => Self::NullIndex { table, row, column },
        }
    }
}

fn holder_text(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process".into(), ToString::to_string)
}

pub(crate) fn nearest_text(nearest: Option<&String>) -> String {
    nearest.map_or_else(String::new, |it| format!(" (nearest: `{it}`)"))
}

/// The known name most like `name`, if any is like it.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|it| (strsim::jaro_winkler(&name.to_lowercase(), &it.to_lowercase()), it))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, it)| it.to_owned())
}
