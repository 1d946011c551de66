//! What can be wrong with a source: file, column, first offending row.

use std::fmt;

use tidemill_plan::Code;

use crate::error::nearest_text;
use crate::index::{Violation, ViolationKind};

/// Why a source was refused. Rows count from 1 in their file, a CSV's header not counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    #[error("source `{path}` does not exist, or no file matches it")]
    Missing { path: String },
    #[error("source `{file}` has no rows")]
    Empty { file: String },
    #[error("source `{file}` cannot be read: {cause}")]
    Unreadable { file: String, cause: String },
    #[error("source `{file}` has no column `{column}`{}", nearest_text(nearest.as_ref()))]
    ColumnMissing { file: String, column: String, nearest: Option<String> },
    #[error("source `{file}`: {found}, but in `{first}` {expected}")]
    FilesDiffer { file: String, found: String, first: String, expected: String },
    #[error("source `{file}` has two columns named `{column}`")]
    ColumnTwice { file: String, column: String },
    #[error("source `{file}`: column `{column}` has the unknown type `{data_type}`")]
    TypeUnknown { file: String, column: String, data_type: String },
    #[error("source `{file}`, column `{column}`, row {row}: `{value}` is not of type {data_type}")]
    NotOfType { file: String, column: String, row: u64, value: String, data_type: String },
    #[error("source `{file}`: column `{column}` of type {from} cannot be read as {data_type}")]
    TypeDiffers { file: String, column: String, from: String, data_type: String },
    #[error("source `{file}`: column `{column}` is of type {data_type}, not a timestamp or date")]
    NotATime { file: String, column: String, data_type: String },
    #[error("source `{file}`: column `{column}` of type {data_type} cannot be an identifier")]
    NotAnIdentifier { file: String, column: String, data_type: String },
    #[error("source `{file}`, column `{column}`, row {row}: null where no null may be")]
    Null { file: String, column: String, row: u64 },
    #[error("source `{file}`, column `{column}`, row {row}: `{value}` is not finite")]
    NotFinite { file: String, column: String, row: u64, value: String },
    #[error("source `{file}`, column `{column}`, row {row}: index `{value}` comes after `{previous}`")]
    Unsorted { file: String, column: String, row: u64, value: String, previous: String },
    #[error("source `{file}`, column `{column}`, row {row}: index `{value}` is there twice")]
    Duplicate { file: String, column: String, row: u64, value: String },
    #[error("table `{table}` is one of a service, and this run is in no service")]
    OfService { table: String },
    #[error("source `{file}` has no time index to sort by")]
    NothingToSortBy { file: String },
}

impl SourceError {
    /// The stable name of this kind of error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code("source-missing"),
            Self::Empty { .. } => Code("source-empty"),
            Self::Unreadable { .. } => Code("source-unreadable"),
            Self::ColumnMissing { .. } => Code("source-column-missing"),
            Self::FilesDiffer { .. } => Code("source-files-differ"),
            Self::ColumnTwice { .. } => Code("source-column-twice"),
            Self::TypeUnknown { .. } => Code("unknown-data-type"),
            Self::NotOfType { .. } | Self::TypeDiffers { .. } => Code("source-value-type"),
            Self::NotATime { .. } => Code("source-not-a-time"),
            Self::NotAnIdentifier { .. } => Code("source-not-an-identifier"),
            Self::Null { .. } => Code("source-null"),
            Self::NotFinite { .. } => Code("source-not-finite"),
            Self::Unsorted { .. } => Code("source-unsorted"),
            Self::Duplicate { .. } => Code("source-duplicate"),
            Self::OfService { .. } => Code("source-of-service"),
            Self::NothingToSortBy { .. } => Code("source-nothing-to-sort-by"),
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::Missing { .. } => "correct `path`; it is relative to the pipeline file".into(),
            Self::Empty { .. } => "give the source a file with rows".into(),
            Self::Unreadable { .. } => "check the file and that `format` says what it is".into(),
            Self::ColumnMissing { nearest, .. } => match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "name a column that the file has".into(),
            },
            Self::FilesDiffer { .. } => {
                "make the files' columns agree, or declare the columns wanted with their types under `columns`".into()
            }
            Self::ColumnTwice { .. } => "rename one of the columns".into(),
            Self::TypeUnknown { .. } => {
                "use a type such as `float64`, `int64`, `utf8`, `date32` or `timestamp[us, UTC]`".into()
            }
            Self::NotOfType { column, .. } => {
                format!("correct the value, or declare another type for `{column}` under `columns`")
            }
            Self::TypeDiffers { column, .. } => format!("declare another type for `{column}` under `columns`"),
            Self::NotATime { .. } => {
                "name a column of times there, or declare its type under `columns`, as `timestamp[s, UTC]`".into()
            }
            Self::NotAnIdentifier { .. } => "use a column of text or integers".into(),
            Self::Null { column, .. } => format!("fill or drop the rows where `{column}` is null"),
            Self::NotFinite { column, .. } => {
                format!("drop such rows, or declare `{column}` without `finite = true`")
            }
            Self::Unsorted { .. } => "sort the file by time, then by identifiers, or set `sort = true`".into(),
            Self::Duplicate { .. } => "drop one of the rows, or name the columns that tell them apart as `identifiers`".into(),
            Self::OfService { .. } => {
                "`tidemill deploy` the pipeline and run it there, or copy the table here once with `--from-store SOURCE`".into()
            }
            Self::NothingToSortBy { .. } => "name the `time_index`, or leave `sort` out".into(),
        }
    }

    pub(crate) fn violation(file: &str, row: u64, violation: Violation) -> Self {
        let Violation { column, kind, value, previous, .. } = violation;
        let file = file.to_owned();
        match kind {
            ViolationKind::Unsorted => Self::Unsorted { file, column, row, value, previous },
            ViolationKind::Duplicate => Self::Duplicate { file, column, row, value },
            ViolationKind::Null => Self::Null { file, column, row },
        }
    }

    pub(crate) fn unreadable(file: &str, cause: impl fmt::Display) -> Self {
        Self::Unreadable { file: file.to_owned(), cause: cause.to_string() }
    }
}
