//! Commits tables: one snapshot of the catalog within a transaction that may hold other things.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use tidemill_plan::{Code, Problem, TableName};

use super::bulk::{Kind, flag, insert, int, numbers, numbers_of, rows_of};
use super::change::{Before, Change};
use super::heads::{Author, Catalog, Head, heads};
use super::init::{data_path_of, lock};
use super::targets::{
    COLUMN, DATA_FILE, FILE_COLUMN_STATS, PROGRESS, READS, SCHEMA_VERSIONS, SNAPSHOT, SNAPSHOT_CHANGES,
    TABLE, TABLE_COLUMN_STATS, TABLE_STATS, VERSIONS,
};
use super::words::time_text;
use super::{CatalogCommit, ColumnBounds, TableColumn, TableWrite};
use crate::db::{Dialect, Tx};
use crate::writer::text;
use crate::{StoreError, Value};

/// Makes tables visible, all in one snapshot, whose number it answers; without any, the number of the newest there is.
///
/// # Errors
/// `table-conflict` when a table is no longer the one that a write started from; [`StoreError::Busy`] when another
/// program commits at the same moment, which a repetition outlasts.
pub async fn commit_tables(tx: &mut Tx, commit: &CatalogCommit) -> Result<i64, StoreError> {
    lock(tx).await?;
    let catalog = Catalog::read(tx).await?;
    if commit.tables.is_empty() {
        return Ok(catalog.newest);
    }
    let names: Vec<&TableName> = commit.tables.iter().map(|it| &it.name).collect();
    let heads = heads(tx, &catalog, catalog.newest, &names).await?;
    for it in &commit.tables {
        check_base(it, heads.get(&it.name))?;
    }
    let data_path = data_path_of(tx).await?.unwrap_or_default();
    let before = before(tx, &data_path, &heads).await?;
    // Whatever the clock says: order is by number, and times must not contradict it.
    let at = commit.at.max(catalog.newest_at + 1_000);
    let mut change = Change::new(&catalog, &data_path, at);
    let nothing = Before { is_at_home: true, ..Before::default() };
    let written: BTreeMap<_, _> = commit.tables.iter().map(|it| (&it.name, it.origin.digest)).collect();
    for it in &commit.tables {
        let head = heads.get(&it.name).copied();
        let before = head.and_then(|head| before.get(&head.table_id)).unwrap_or(&nothing);
        change.add(it, head, before, &written);
    }
    let snapshot = change.snapshot;
    write(tx, commit, change, at).await?;
    let sql = "UPDATE tidemill_catalog SET own_snapshot = $1, foreign_snapshot = $2, newest_at = $3";
    tx.execute(sql, &[snapshot.into(), catalog.foreign.into(), at.into()]).await?;
    Ok(snapshot)
}

fn check_base(write: &TableWrite, head: Option<&Head>) -> Result<(), StoreError> {
    let found = head.map(|it| it.version);
    if found == write.base {
        return Ok(());
    }
    let shown = |it: Option<i64>| it.map_or_else(|| "no table".to_owned(), |it| format!("version {it}"));
    let who = match head.map(|it| it.author) {
        Some(Author::Another) => ", written by another program",
        Some(Author::Us) | None => "",
    };
    let (base, found) = (shown(write.base), shown(found));
    let what = format!("table `{}` was {base} when it was read, and is {found} now{who}", write.name);
    let mend = "run again: the attempt then starts from what the table is now";
    Err(Problem::new(Code("table-conflict"), what, mend).into())
}

/// What the tables that are there have now, by table id.
async fn before(
    tx: &mut Tx,
    data_path: &str,
    heads: &BTreeMap<TableName, Head>,
) -> Result<BTreeMap<i64, Before>, StoreError> {
    let mut before: BTreeMap<i64, Before> =
        heads.values().map(|it| (it.table_id, Before::default())).collect();
    if before.is_empty() {
        return Ok(before);
    }
    let ids = [numbers(before.keys().copied())];
    let alive = format!("table_id IN {} AND end_snapshot IS NULL", numbers_of(tx.dialect(), 1));
    let (nulls, relative) = (flag(tx.dialect(), "nulls_allowed"), flag(tx.dialect(), "f.path_is_relative"));
    let sql = format!(
        "SELECT table_id, column_id, parent_column, column_name, column_type, {nulls} FROM ducklake_column \
         WHERE {alive} ORDER BY table_id, column_order"
    );
    for it in tx.fetch(&sql, &ids).await? {
        let (table, column) = (int(&it, 0)?, column_of(&it)?);
        let columns = &mut before.entry(table).or_default().columns;
        columns.insert(column.id, (columns.len(), column));
    }
    known_bounds(tx, &ids, &mut before).await?;
    let table_relative = flag(tx.dialect(), "t.path_is_relative");
    let sql = format!(
        "SELECT t.table_id, t.table_name, t.path, {table_relative}, s.next_row_id FROM ducklake_table t \
         LEFT JOIN ducklake_table_stats s ON s.table_id = t.table_id WHERE t.{alive}"
    );
    let mut folders = BTreeMap::new();
    for it in tx.fetch(&sql, &ids).await? {
        let (table, name): (_, String) = (int(&it, 0)?, it.get(1)?);
        let folder = super::read::folder_of(data_path, &it.get::<String>(2)?, it.flag(3)?);
        let known = before.entry(table).or_default();
        known.is_at_home = folder == super::read::home_of(data_path, &name);
        known.row_id_next = it.get::<Option<i64>>(4)?.unwrap_or(0);
        folders.insert(table, folder);
    }
    let sql = format!(
        "SELECT f.table_id, f.data_file_id, f.path, {relative} FROM ducklake_data_file f WHERE f.{alive}"
    );
    for it in tx.fetch(&sql, &ids).await? {
        let (table, path): (_, String) = (int(&it, 0)?, it.get(2)?);
        let folder = folders.get(&table).map_or("", String::as_str);
        let path = if it.flag(3)? { format!("{folder}{path}") } else { path };
        before.entry(table).or_default().files.insert(path, int(&it, 1)?);
    }
    Ok(before)
}

async fn known_bounds(
    tx: &mut Tx,
    ids: &[Value],
    before: &mut BTreeMap<i64, Before>,
) -> Result<(), StoreError> {
    let nulls = flag(tx.dialect(), "contains_null");
    let nan = match tx.dialect() {
        Dialect::Sqlite => "contains_nan",
        Dialect::Postgres => "CAST(CAST(contains_nan AS INTEGER) AS BIGINT)",
    };
    let sql = format!(
        "SELECT table_id, column_id, {nulls}, {nan}, min_value, max_value FROM ducklake_table_column_stats \
         WHERE table_id IN {}",
        numbers_of(tx.dialect(), 1)
    );
    for it in tx.fetch(&sql, ids).await? {
        let bounds = ColumnBounds {
            id: int(&it, 1)?,
            has_null: it.flag(2)?,
            has_nan: it.get::<Option<i64>>(3)?.map(|it| it != 0),
            min: it.get(4)?,
            max: it.get(5)?,
        };
        before.entry(int(&it, 0)?).or_default().bounds.insert(bounds.id, bounds);
    }
    Ok(())
}

/// From a row of table, id, parent, name, type, nullability.
pub(super) fn column_of(row: &crate::Row) -> Result<TableColumn, StoreError> {
    Ok(TableColumn {
        id: int(row, 1)?,
        parent: row.get(2)?,
        name: row.get(3)?,
        data_type: row.get(4)?,
        is_nullable: row.flag(5)?,
    })
}

async fn write(tx: &mut Tx, commit: &CatalogCommit, change: Change, at: i64) -> Result<(), StoreError> {
    // First of all: where another program has taken this number, nothing else needs to be tried.
    let snapshot = change.snapshot;
    let row =
        json!([snapshot, time_text(at)?, change.schema_version, change.table_id_next, change.file_id_next]);
    insert(tx, &SNAPSHOT, vec![row]).await?;
    let row = json!([snapshot, change.changes.join(","), commit.author, commit.message]);
    insert(tx, &SNAPSHOT_CHANGES, vec![row]).await?;
    end(tx, &change).await?;
    insert(tx, &TABLE, change.tables).await?;
    insert(tx, &SCHEMA_VERSIONS, change.schema_versions).await?;
    insert(tx, &COLUMN, change.columns).await?;
    insert(tx, &DATA_FILE, change.files).await?;
    insert(tx, &FILE_COLUMN_STATS, change.file_columns).await?;
    insert(tx, &TABLE_STATS, change.table_statistics).await?;
    insert(tx, &TABLE_COLUMN_STATS, change.bounds).await?;
    insert(tx, &VERSIONS, change.versions).await?;
    insert(tx, &READS, change.reads).await?;
    insert(tx, &PROGRESS, change.progress).await
}

/// Ends what the new versions no longer have.
async fn end(tx: &mut Tx, change: &Change) -> Result<(), StoreError> {
    let (dialect, now) = (tx.dialect(), Value::Int(change.snapshot));
    if !change.columns_ended.is_empty() {
        let from = rows_of(dialect, 2);
        let cell = |at| super::bulk::cell(dialect, at, Kind::Int);
        let sql = format!(
            "UPDATE ducklake_column SET end_snapshot = $1 WHERE end_snapshot IS NULL \
             AND (table_id, column_id) IN (SELECT {}, {} FROM {from})",
            cell(0),
            cell(1)
        );
        let pairs = text(Json::Array(change.columns_ended.clone()).to_string());
        tx.execute(&sql, &[now.clone(), pairs]).await?;
    }
    if !change.files_ended.is_empty() {
        let files = numbers(change.files_ended.iter().copied());
        let ids = numbers_of(dialect, 2);
        for table in ["ducklake_data_file", "ducklake_delete_file"] {
            let sql = format!(
                "UPDATE {table} SET end_snapshot = $1 WHERE data_file_id IN {ids} AND end_snapshot IS NULL"
            );
            tx.execute(&sql, &[now.clone(), files.clone()]).await?;
        }
    }
    if !change.altered.is_empty() {
        let altered = [numbers(change.altered.iter().copied())];
        for table in ["ducklake_table_stats", "ducklake_table_column_stats"] {
            let sql = format!("DELETE FROM {table} WHERE table_id IN {}", numbers_of(dialect, 1));
            tx.execute(&sql, &altered).await?;
        }
    }
    if !change.progress_ended.is_empty() {
        let tables = [numbers(change.progress_ended.iter().copied())];
        let sql = format!("DELETE FROM tidemill_progress WHERE table_id IN {}", numbers_of(dialect, 1));
        tx.execute(&sql, &tables).await?;
    }
    Ok(())
}
