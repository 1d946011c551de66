//! The manifest: the one small file that makes a folder a table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::convert::try_schema_from_flatbuffer_bytes;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_plan::{Digest, TableName, Time, WriteMode};

use crate::{LakeError, WindowFolder};

/// The layout that this program writes. A lake or manifest of a higher one is refused.
pub(crate) const FORMAT: u32 = 1;
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// One committed version of a table.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub table: TableName,
    pub window: WindowFolder,
    pub schema: SchemaRef,
    pub time_index: Option<String>,
    pub identifiers: Vec<String>,
    pub rows: u64,
    /// On disk; 0 in memory.
    pub bytes: u64,
    /// Decoded, in memory.
    pub memory_bytes: u64,
    /// First and last time, both included; `None` without rows or without time index.
    pub time_range: Option<TimeRange>,
    pub parts: Vec<Part>,
    /// Digest of schema and content: equal for equal tables, however the rows came.
    pub snapshot: Digest,
    pub mode: WriteMode,
    pub attempt: String,
    pub provenance: Provenance,
    pub written_at: Time,
    /// Of a table whose manifests a catalogue keeps.
    pub catalog: Option<CatalogState>,
}

/// What a catalogue knows of a table besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogState {
    /// Of all columns, each before those inside it.
    pub column_ids: Vec<i64>,
    /// Greater than the id of any column that the table ever had.
    pub column_id_next: i64,
    /// The number of this version; `None` before it is committed.
    #[serde(skip)]
    pub version: Option<i64>,
    /// The number of the version that this one was made from.
    #[serde(skip)]
    pub base: Option<i64>,
}

/// Who made a table, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    pub cache_key: Digest,
    /// For a source, the node's name.
    pub task: String,
    /// `None` for a source.
    pub component: Option<Digest>,
    pub run: String,
    pub node: String,
    /// Numbers that the task reported with the table, by name; those that are not finite as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Value>,
    /// Files that the task left with the table, by name. They are kept elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artefacts: Vec<Artefact>,
}

/// A file that a task left beside its tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    pub name: String,
    pub media_type: String,
    pub bytes: u64,
    pub digest: Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    #[serde(with = "crate::time::rfc3339")]
    pub first: Time,
    #[serde(with = "crate::time::rfc3339")]
    pub last: Time,
}

/// One Parquet file; its row groups are the blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// In the table's folder; in a catalogue it may be an absolute path.
    pub file: String,
    pub bytes: u64,
    pub blocks: Vec<Block>,
    /// For a catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<PartStatistics>,
    /// Written by another program: its rows may come in any order.
    #[serde(skip)]
    pub foreign: Option<ForeignPart>,
}

impl Part {
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.blocks.iter().map(|it| it.rows).sum()
    }

    /// First and last time; `None` without rows or without time index.
    pub(crate) fn range(&self) -> Option<TimeRange> {
        let mut ranges = self.blocks.iter().filter_map(|it| it.range);
        let first = ranges.next()?;
        Some(TimeRange { first: first.first, last: ranges.next_back().unwrap_or(first).last })
    }
}

/// What a catalogue wants to know of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartStatistics {
    pub footer_bytes: u64,
    /// Of the columns that have no others inside.
    pub columns: Vec<ColumnStatistics>,
}

/// Least and greatest as DuckLake spells them; `None` where they are not known exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    pub id: i64,
    pub bytes: u64,
    /// Without nulls.
    pub values: u64,
    pub nulls: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// `None` where the type has no such value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_nan: Option<bool>,
}

/// What is special about a file that another program wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignPart {
    /// Files that name rows of it which are gone, by absolute path.
    pub deletes: Vec<PathBuf>,
    /// The catalogue's snapshot that is read: what later ones did to the file does not count.
    pub as_of: i64,
}

/// A row group. Times stand here too, so that a read picks its row groups before it opens a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    pub rows: u64,
    #[serde(flatten)]
    pub range: Option<TimeRange>,
}

/// What stands in the file. Apart from `Manifest`, so that the file's shape does not follow the program's.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    table: TableName,
    window: WindowFolder,
    rows: u64,
    bytes: u64,
    memory_bytes: u64,
    time_range: Option<TimeRange>,
    time_index: Option<String>,
    identifiers: Vec<String>,
    /// For people; the schema is `arrow_schema`.
    columns: Vec<StoredColumn>,
    /// Arrow's own encoding (flatbuffer), in hex: keeps every type and all metadata.
    arrow_schema: String,
    snapshot: Digest,
    mode: StoredMode,
    attempt: String,
    #[serde(flatten)]
    provenance: Provenance,
    #[serde(with = "crate::time::rfc3339")]
    written_at: Time,
    parts: Vec<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    catalog: Option<CatalogState>,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    nullable: bool,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredMode {
    Replace,
    Append,
    Upsert,
}

impl Manifest {
    /// As it stands in a file, or in a catalogue.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let columns = self.schema.fields().iter().map(|it| StoredColumn {
            name: it.name().clone(),
            data_type: it.data_type().to_string(),
            nullable: it.is_nullable(),
        });
        let stored = Stored {
            format: FORMAT,
            table: self.table.clone(),
            window: self.window,
            rows: self.rows,
            bytes: self.bytes,
            memory_bytes: self.memory_bytes,
            time_range: self.time_range,
            time_index: self.time_index.clone(),
            identifiers: self.identifiers.clone(),
            columns: columns.collect(),
            arrow_schema: hex(&schema_bytes(&self.schema)),
            snapshot: self.snapshot,
            mode: match self.mode {
                WriteMode::Replace => StoredMode::Replace,
                WriteMode::Append => StoredMode::Append,
                WriteMode::Upsert => StoredMode::Upsert,
            },
            attempt: self.attempt.clone(),
            provenance: self.provenance.clone(),
            written_at: self.written_at,
            parts: self.parts.clone(),
            catalog: self.catalog.clone(),
        };
        // People read files; a catalogue keeps thousands.
        let json = match &self.catalog {
            None => serde_json::to_vec_pretty(&stored),
            Some(_) => serde_json::to_vec(&stored),
        };
        json.expect("a manifest has only text keys")
    }

    /// Reads what `to_json` wrote; `path` is where it stood, for the error.
    pub fn from_json(path: &Path, json: &[u8]) -> Result<Self, LakeError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let unreadable = |cause: String| LakeError::ManifestUnreadable { path: path.to_path_buf(), cause };
        let Format { format } = serde_json::from_slice(json).map_err(|e| unreadable(e.to_string()))?;
        if format > FORMAT {
            return Err(LakeError::Newer { path: path.to_path_buf(), found: format, supported: FORMAT });
        }
        let stored: Stored = serde_json::from_slice(json).map_err(|e| unreadable(e.to_string()))?;
        let schema = unhex(&stored.arrow_schema)
            .ok_or_else(|| "`arrow_schema` is not hex".to_owned())
            .and_then(|bytes| schema_of(&bytes))
            .map_err(unreadable)?;
        let manifest = Self {
            table: stored.table,
            window: stored.window,
            schema,
            time_index: stored.time_index,
            identifiers: stored.identifiers,
            rows: stored.rows,
            bytes: stored.bytes,
            memory_bytes: stored.memory_bytes,
            time_range: stored.time_range,
            parts: stored.parts,
            snapshot: stored.snapshot,
            mode: match stored.mode {
                StoredMode::Replace => WriteMode::Replace,
                StoredMode::Append => WriteMode::Append,
                StoredMode::Upsert => WriteMode::Upsert,
            },
            attempt: stored.attempt,
            provenance: stored.provenance,
            written_at: stored.written_at,
            catalog: stored.catalog,
        };
        manifest.check().map_err(unreadable)?;
        Ok(manifest)
    }

    /// What later code relies on: file names without folders, columns that are there.
    fn check(&self) -> Result<(), String> {
        for part in &self.parts {
            // A catalogue may name the files of other programs, which are only ever read.
            if self.catalog.is_none() && !is_part_file(&part.file) {
                return Err(format!("`{}` is not the name of a part", part.file));
            }
        }
        for column in self.time_index.iter().chain(&self.identifiers) {
            if self.schema.index_of(column).is_err() {
                return Err(format!("index column `{column}` is not in the schema"));
            }
        }
        Ok(())
    }

    pub(crate) fn folder(&self, root: &Path) -> PathBuf {
        match &self.catalog {
            None => root.join(self.window.to_string()).join(&self.table.0),
            Some(_) => crate::catalogued::folder_of(root, &self.table),
        }
    }
}

/// Only such files are ever removed.
pub(crate) fn is_part_file(name: &str) -> bool {
    name.starts_with("part-") && name.ends_with(".parquet") && !name.contains(['/', '\\'])
}

/// The schema as bytes: the same for equal schemas, so it enters the snapshot digest too.
pub(crate) fn schema_bytes(schema: &Schema) -> Vec<u8> {
    let options = IpcWriteOptions::default();
    let mut tracker = DictionaryTracker::new(false);
    IpcDataGenerator::default()
        .schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options)
        .ipc_message
}

fn schema_of(bytes: &[u8]) -> Result<SchemaRef, String> {
    let message = arrow::ipc::root_as_message(bytes).map_err(|e| e.to_string())?;
    if message.header_as_schema().is_none() {
        return Err("`arrow_schema` holds no schema".into());
    }
    try_schema_from_flatbuffer_bytes(bytes).map(Arc::new).map_err(|e| e.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(|it| u8::from_str_radix(str::from_utf8(it).ok()?, 16).ok()).collect()
}
