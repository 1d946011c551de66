//! A source: files, or a table of a service, that become a table of the pipeline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::TableName;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceFormat {
    Parquet,
    Csv,
    /// Arrow IPC file or stream; told apart by the file's first bytes.
    Arrow,
    JsonLines,
}

/// Where a source's rows are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SourcePlace {
    Files {
        format: SourceFormat,
        /// A file, a folder, or a glob; relative to the pipeline file.
        path: String,
    },
    /// Kept by a service, whoever wrote it there.
    Table { table: TableName },
}

/// Rows that a pipeline reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    #[serde(flatten)]
    pub place: SourcePlace,
    /// The column of times; `None`: the only timestamp or date column if there is exactly one, else no time index.
    pub time_index: Option<String>,
    /// Columns that with the time make a row unique. `None`: all utf8 columns when there is a time index and the
    /// time alone is not declared unique; see the lake's `infer`.
    pub identifiers: Option<Vec<String>>,
    /// Declared columns (all others are dropped); empty: all columns, types inferred.
    pub columns: BTreeMap<String, ColumnSpec>,
    /// The column of times at which a row became known; as-of then cuts by it, and of several rows of one index the
    /// one that was known last is read. The source is sorted on reading.
    pub knowledge_time: Option<String>,
    /// Sort by (time, identifiers) on reading instead of refusing unsorted rows. Needs memory for the whole table.
    pub sort: bool,
}

impl SourceSpec {
    /// The path, or the table's name.
    #[must_use]
    pub fn location(&self) -> &str {
        match &self.place {
            SourcePlace::Files { path, .. } => path,
            SourcePlace::Table { table } => &table.0,
        }
    }

    /// `None` where it reads files.
    #[must_use]
    pub fn table(&self) -> Option<&TableName> {
        match &self.place {
            SourcePlace::Files { .. } => None,
            SourcePlace::Table { table } => Some(table),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// `boolean`, `int8`…`int64`, `uint8`…`uint64`, `float32`, `float64`, `utf8`, `binary`, `date32`,
    /// `timestamp[s|ms|us|ns]`, `timestamp[us, UTC]`, `decimal128(p, s)`.
    pub data_type: String,
    /// NaN and infinities are refused.
    pub finite: bool,
    pub nullable: bool,
}

/// As pipelines write it.
pub(crate) fn format_name(format: SourceFormat) -> &'static str {
    match format {
        SourceFormat::Parquet => "parquet",
        SourceFormat::Csv => "csv",
        SourceFormat::Arrow => "arrow",
        SourceFormat::JsonLines => "json-lines",
    }
}

/// The format that the path's extension tells.
pub(crate) fn format_of_path(path: &str) -> Option<SourceFormat> {
    match std::path::Path::new(path).extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "parquet" => Some(SourceFormat::Parquet),
        "csv" => Some(SourceFormat::Csv),
        "arrow" | "arrows" | "feather" | "ipc" => Some(SourceFormat::Arrow),
        "jsonl" | "ndjson" => Some(SourceFormat::JsonLines),
        _ => None,
    }
}
