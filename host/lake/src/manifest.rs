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
    /// In the table's folder.
    pub file: String,
    pub bytes: u64,
    pub blocks: Vec<Block>,
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
    pub(crate) fn to_json(&self) -> Vec<u8> {
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
        };
        serde_json::to_vec_pretty(&stored).expect("a manifest has only text keys")
    }

    pub(crate) fn from_json(path: &Path, json: &[u8]) -> Result<Self, LakeError> {
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
        };
        manifest.check().map_err(unreadable)?;
        Ok(manifest)
    }

    /// What later code relies on: file names without folders, columns that are there.
    fn check(&self) -> Result<(), String> {
        for part in &self.parts {
            if !is_part_file(&part.file) {
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
        root.join(self.window.to_string()).join(&self.table.0)
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
