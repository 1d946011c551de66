//! Which version each table has: ours, as long as nothing of the table has changed since we wrote it. Another program
//! tells nobody what it changes; but whatever it changes carries the number of its snapshot.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tidemill_plan::TableName;

use super::bulk::{int, numbers, numbers_of};
use super::init::SCHEMA_ID;
use crate::db::{Dialect, Tx};
use crate::writer::text;
use crate::{StoreError, Value};

/// The catalog as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Catalog {
    /// The newest snapshot.
    pub(super) newest: i64,
    pub(super) schema_version: i64,
    pub(super) table_id_next: i64,
    pub(super) file_id_next: i64,
    /// The newest snapshot that another program made; -1: none. A table that we wrote after it is ours.
    pub(super) foreign: i64,
    pub(super) newest_at: i64,
}

/// A table that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) table_id: i64,
    pub(super) version: i64,
    pub(super) author: Author,
    /// The newest version of ours, whether or not it still is the table's.
    pub(super) own: Option<i64>,
    pub(super) has_inlined_rows: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    Us,
    Another,
}

impl Catalog {
    pub(super) async fn read(tx: &mut Tx) -> Result<Self, StoreError> {
        const SQL: &str = "SELECT s.snapshot_id, s.schema_version, s.next_catalog_id, s.next_file_id, c.own_snapshot, \
                           c.foreign_snapshot, c.newest_at FROM tidemill_catalog c, ducklake_snapshot s \
                           WHERE s.snapshot_id = (SELECT MAX(snapshot_id) FROM ducklake_snapshot)";
        let row = tx.fetch_optional(SQL, &[]).await?;
        let row = row.ok_or_else(|| StoreError::unreadable(&"it has no catalog of tables"))?;
        let newest = row.get(0)?;
        let foreign = if row.get::<i64>(4)? == newest { row.get(5)? } else { newest };
        Ok(Self {
            newest,
            schema_version: int(&row, 1)?,
            table_id_next: int(&row, 2)?,
            file_id_next: int(&row, 3)?,
            foreign,
            newest_at: row.get(6)?,
        })
    }
}

/// The tables of these names as they were after snapshot `at`.
pub(super) async fn heads(
    tx: &mut Tx,
    catalog: &Catalog,
    at: i64,
    names: &[&TableName],
) -> Result<BTreeMap<TableName, Head>, StoreError> {
    let list = match tx.dialect() {
        Dialect::Sqlite => "(SELECT value AS name FROM json_each($2))",
        Dialect::Postgres => "(SELECT value AS name FROM json_array_elements_text(CAST($2 AS json)))",
    };
    // A cross join stays in this order on SQLite: few names, each looked up.
    let sql = format!(
        "SELECT t.table_name, t.table_id, \
         (SELECT MAX(v.version) FROM tidemill_versions v WHERE v.table_id = t.table_id AND v.version <= $1), \
         (SELECT COUNT(*) FROM ducklake_inlined_data_tables i WHERE i.table_id = t.table_id) \
         FROM {list} AS n CROSS JOIN ducklake_table t WHERE t.table_name = n.name AND t.schema_id = {SCHEMA_ID} \
         AND t.begin_snapshot <= $1 AND (t.end_snapshot IS NULL OR t.end_snapshot > $1)"
    );
    let wanted = Json::from(names.iter().map(|it| it.0.as_str()).collect::<Vec<_>>()).to_string();
    let rows = tx.fetch(&sql, &[Value::Int(at), text(wanted)]).await?;
    let mut found = BTreeMap::new();
    for it in &rows {
        let own: Option<i64> = it.get(2)?;
        let has_inlined_rows = int(it, 3)? > 0;
        let head = Head {
            table_id: int(it, 1)?,
            version: own.unwrap_or(0),
            author: Author::Us,
            own,
            has_inlined_rows,
        };
        found.insert(TableName(it.get(0)?), head);
    }
    find_foreign(tx, catalog, at, &mut found).await?;
    Ok(found)
}

/// Looks closer at the tables that another program may have changed.
async fn find_foreign(
    tx: &mut Tx,
    catalog: &Catalog,
    at: i64,
    heads: &mut BTreeMap<TableName, Head>,
) -> Result<(), StoreError> {
    let is_safe = |it: &Head| !it.has_inlined_rows && it.own.is_some_and(|own| own > catalog.foreign);
    let doubtful: Vec<i64> = heads.values().filter(|it| !is_safe(it)).map(|it| it.table_id).collect();
    if doubtful.is_empty() {
        return Ok(());
    }
    let changed = last_changes(tx, at, &doubtful).await?;
    let states = super::state::states(tx, at, &doubtful).await?;
    let written = written_states(tx, at, &doubtful).await?;
    for it in heads.values_mut().filter(|it| !is_safe(it)) {
        let is_ours = !it.has_inlined_rows
            && written.get(&it.table_id).is_some_and(|written| states.get(&it.table_id) == Some(written));
        if !is_ours {
            it.author = Author::Another;
            let changed = changed.get(&it.table_id).copied().unwrap_or(0);
            // What leaves no number, as putting files together: the newest of another program will do.
            it.version = if it.own == Some(changed) { catalog.foreign.min(at) } else { changed };
        }
    }
    Ok(())
}

/// Where a snapshot leaves its number.
const CHANGES: [(&str, &str); 9] = [
    ("ducklake_table", "begin_snapshot"),
    ("ducklake_column", "begin_snapshot"),
    ("ducklake_column", "end_snapshot"),
    ("ducklake_data_file", "begin_snapshot"),
    ("ducklake_data_file", "end_snapshot"),
    // A file into which DuckDB has put what several snapshots wrote has the number of the last here.
    ("ducklake_data_file", "partial_max"),
    ("ducklake_delete_file", "begin_snapshot"),
    ("ducklake_delete_file", "end_snapshot"),
    ("ducklake_delete_file", "partial_max"),
];

/// The last snapshot up to `at` that changed each of the tables.
async fn last_changes(tx: &mut Tx, at: i64, tables: &[i64]) -> Result<BTreeMap<i64, i64>, StoreError> {
    let ids = numbers_of(tx.dialect(), 2);
    let branches = CHANGES.iter().map(|(table, column)| {
        format!(
            "SELECT table_id, {column} AS changed FROM {table} WHERE table_id IN {ids} AND {column} <= $1"
        )
    });
    let branches = branches.collect::<Vec<_>>().join(" UNION ALL ");
    let sql = format!("SELECT table_id, MAX(changed) FROM ({branches}) AS changes GROUP BY table_id");
    let rows = tx.fetch(&sql, &[Value::Int(at), numbers(tables.iter().copied())]).await?;
    rows.iter().map(|it| Ok((int(it, 0)?, int(it, 1)?))).collect()
}

/// What each table was when we wrote it.
async fn written_states(tx: &mut Tx, at: i64, tables: &[i64]) -> Result<BTreeMap<i64, String>, StoreError> {
    let ids = numbers_of(tx.dialect(), 2);
    let sql = format!(
        "SELECT v.table_id, v.state FROM tidemill_versions v WHERE v.table_id IN {ids} AND v.version = \
         (SELECT MAX(o.version) FROM tidemill_versions o WHERE o.table_id = v.table_id AND o.version <= $1)"
    );
    let rows = tx.fetch(&sql, &[Value::Int(at), numbers(tables.iter().copied())]).await?;
    rows.iter().map(|it| Ok((int(it, 0)?, it.get(1)?))).collect()
}
