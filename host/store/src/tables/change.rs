//! What a commit changes in the catalog, as rows: worked out without the database, written by `commit`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use tidemill_plan::{Digest, TableName};

use super::bounds::widened;
use super::heads::{Catalog, Head};
use super::init::{SCHEMA, SCHEMA_ID};
use super::state::state_of;
use super::words::{quoted, uuid_of};
use super::{ColumnBounds, ProgressChange, TableColumn, TableFile, TableWrite, mode_name};

/// What a table has before the commit.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// With the place of each in the order of all.
    pub(super) columns: BTreeMap<i64, (usize, TableColumn)>,
    /// Id by absolute path.
    pub(super) files: BTreeMap<String, i64>,
    pub(super) bounds: BTreeMap<i64, ColumnBounds>,
    pub(super) row_id_next: i64,
    /// Whether the table's folder is where we put our files.
    pub(super) is_at_home: bool,
}

/// Rows of each table of the catalog, and what ends.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) snapshot: i64,
    pub(super) schema_version: i64,
    pub(super) table_id_next: i64,
    pub(super) file_id_next: i64,
    data_path: String,
    at: i64,
    pub(super) changes: Vec<String>,
    pub(super) tables: Vec<Json>,
    pub(super) schema_versions: Vec<Json>,
    pub(super) columns: Vec<Json>,
    pub(super) files: Vec<Json>,
    pub(super) file_columns: Vec<Json>,
    pub(super) table_statistics: Vec<Json>,
    pub(super) bounds: Vec<Json>,
    pub(super) versions: Vec<Json>,
    pub(super) reads: Vec<Json>,
    pub(super) progress: Vec<Json>,
    /// Pairs of table and column.
    pub(super) columns_ended: Vec<Json>,
    pub(super) files_ended: Vec<i64>,
    /// Tables that were there before.
    pub(super) altered: Vec<i64>,
    /// Tables whose progress is replaced.
    pub(super) progress_ended: Vec<i64>,
}

impl Change {
    pub(super) fn new(catalog: &Catalog, data_path: &str, at: i64) -> Self {
        Self {
            snapshot: catalog.newest + 1,
            schema_version: catalog.schema_version,
            table_id_next: catalog.table_id_next,
            file_id_next: catalog.file_id_next,
            data_path: data_path.to_owned(),
            at,
            changes: Vec::new(),
            tables: Vec::new(),
            schema_versions: Vec::new(),
            columns: Vec::new(),
            files: Vec::new(),
            file_columns: Vec::new(),
            table_statistics: Vec::new(),
            bounds: Vec::new(),
            versions: Vec::new(),
            reads: Vec::new(),
            progress: Vec::new(),
            columns_ended: Vec::new(),
            files_ended: Vec::new(),
            altered: Vec::new(),
            progress_ended: Vec::new(),
        }
    }

    /// `written` are the tables of this commit and what they become.
    pub(super) fn add(
        &mut self,
        write: &TableWrite,
        head: Option<Head>,
        before: &Before,
        written: &BTreeMap<&TableName, Digest>,
    ) {
        let id = match head {
            Some(head) => {
                self.altered.push(head.table_id);
                head.table_id
            }
            None => self.create_table(write),
        };
        self.change_columns(id, write, head, before);
        let row_id_next = self.change_files(id, write, before);
        self.table_statistics.push(json!([id, write.rows, row_id_next, write.bytes]));
        self.change_bounds(id, write, before);
        self.keep_version(id, write, written);
        let (list, is_whole) = match &write.progress {
            ProgressChange::Is(list) => (list, true),
            ProgressChange::Reaches(list) => (list, false),
        };
        if is_whole && head.is_some() {
            self.progress_ended.push(id);
        }
        let rows = list.iter().map(|it| json!([id, Json::from(it.identifiers.clone()).to_string(), it.last]));
        self.progress.extend(rows);
    }

    /// What was known stays: it is about the rows of older snapshots.
    fn change_bounds(&mut self, id: i64, write: &TableWrite, before: &Before) {
        let mut bounds = before.bounds.clone();
        for it in &write.bounds {
            let column = write.columns.iter().find(|column| column.id == it.id);
            let wider =
                before.bounds.get(&it.id).zip(column).map(|(known, column)| widened(known, it, column));
            bounds.insert(it.id, wider.unwrap_or_else(|| it.clone()));
        }
        for it in bounds.values() {
            let nan = it.has_nan.map(i64::from);
            self.bounds.push(json!([id, it.id, i64::from(it.has_null), nan, it.min, it.max]));
        }
    }

    fn create_table(&mut self, write: &TableWrite) -> i64 {
        let id = self.table_id_next;
        self.table_id_next += 1;
        let name = &write.name.0;
        let uuid = uuid_of(&format!("{} {name} {id} {} {}", self.data_path, self.snapshot, self.at));
        self.tables.push(json!([id, uuid, self.snapshot, SCHEMA_ID, name, format!("{name}/"), 1]));
        self.changes.push(format!("created_table:{}.{}", quoted(SCHEMA), quoted(name)));
        id
    }

    fn change_columns(&mut self, id: i64, write: &TableWrite, head: Option<Head>, before: &Before) {
        let mut is_changed = head.is_none();
        let mut stays = BTreeSet::new();
        for (position, it) in write.columns.iter().enumerate() {
            if before.columns.get(&it.id).is_some_and(|(place, known)| *place == position && known == it) {
                stays.insert(it.id);
                continue;
            }
            is_changed = true;
            // What the extension writes: nothing for a column that has others inside.
            let default_type = match it.data_type.as_str() {
                "list" | "struct" | "map" => "",
                _ => "literal",
            };
            self.columns.push(json!([
                it.id,
                self.snapshot,
                id,
                position + 1,
                it.name,
                it.data_type,
                "NULL",
                i64::from(it.is_nullable),
                it.parent,
                default_type,
                "duckdb"
            ]));
        }
        let ended = before.columns.keys().filter(|it| !stays.contains(*it));
        self.columns_ended.extend(ended.map(|it| json!([id, it])));
        is_changed |= stays.len() < before.columns.len();
        if is_changed {
            // One number for all that change in this snapshot.
            if self.schema_versions.is_empty() {
                self.schema_version += 1;
            }
            self.schema_versions.push(json!([self.snapshot, self.schema_version, id]));
            if head.is_some() {
                self.changes.push(format!("altered_table:{id}"));
            }
        }
    }

    /// The id that the next row will have.
    fn change_files(&mut self, id: i64, write: &TableWrite, before: &Before) -> i64 {
        let mut row_id_next = before.row_id_next;
        let mut stays = BTreeSet::new();
        let files_before = self.files.len();
        for it in &write.files {
            let path = full_path(&self.data_path, write, &it.path);
            if before.files.contains_key(&path) {
                stays.insert(path);
            } else {
                self.add_file(id, it, path, before.is_at_home, &mut row_id_next);
            }
        }
        let ended = before.files.iter().filter(|(path, _)| !stays.contains(*path)).map(|(_, id)| *id);
        let ended_before = self.files_ended.len();
        self.files_ended.extend(ended);
        if self.files.len() > files_before {
            self.changes.push(format!("inserted_into_table:{id}"));
        }
        if self.files_ended.len() > ended_before {
            self.changes.push(format!("deleted_from_table:{id}"));
        }
        row_id_next
    }

    fn add_file(&mut self, id: i64, file: &TableFile, full: String, is_at_home: bool, row_id_next: &mut i64) {
        let facts = file.facts.as_ref();
        let count = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
        let (rows, bytes, footer) =
            facts.map_or((0, 0, 0), |it| (count(it.rows), count(it.bytes), count(it.footer_bytes)));
        let is_relative = is_at_home && !is_absolute(&file.path);
        let path = if is_relative { file.path.clone() } else { full };
        let (snapshot, file_id) = (self.snapshot, self.file_id_next);
        self.file_id_next += 1;
        let relative = i64::from(is_relative);
        self.files.push(json!([
            file_id,
            id,
            snapshot,
            path,
            relative,
            "parquet",
            rows,
            bytes,
            footer,
            *row_id_next
        ]));
        *row_id_next += rows;
        for it in facts.iter().flat_map(|it| &it.columns) {
            let nan = it.has_nan.map(i64::from);
            self.file_columns.push(json!([
                file_id,
                id,
                it.id,
                count(it.bytes),
                count(it.values),
                count(it.nulls),
                it.min,
                it.max,
                nan
            ]));
        }
    }

    fn keep_version(&mut self, id: i64, write: &TableWrite, written: &BTreeMap<&TableName, Digest>) {
        let it = &write.origin;
        let paths: Vec<String> =
            write.files.iter().map(|it| full_path(&self.data_path, write, &it.path)).collect();
        let state = state_of(write.columns.iter(), paths.iter().map(String::as_str));
        self.versions.push(json!([
            id,
            self.snapshot,
            write.name.0,
            it.digest.to_string(),
            it.cache_key.to_string(),
            it.run,
            it.node,
            it.task,
            it.component.map(|it| it.to_string()),
            it.attempt,
            mode_name(it.mode),
            it.window.start.map(|it| it.0),
            it.window.end.map(|it| it.0),
            it.window.as_of.map(|it| it.0),
            write.rows,
            write.bytes,
            state,
            it.metrics.to_string(),
            self.at,
            write.manifest
        ]));
        for read in &it.reads {
            // What was written on the way becomes a version here, or was never one.
            let here = (written.get(&read.table) == Some(&read.digest)).then_some(self.snapshot);
            let (version, digest) = (read.version.or(here), read.digest.to_string());
            self.reads.push(json!([id, self.snapshot, read.table.0, version, digest]));
        }
    }
}

/// Where a file of a table of ours lies.
fn full_path(data_path: &str, write: &TableWrite, path: &str) -> String {
    if is_absolute(path) { path.to_owned() } else { format!("{data_path}{SCHEMA}/{}/{path}", write.name) }
}

/// A path of a disk, or an address in a bucket.
fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || path.contains("://")
}
