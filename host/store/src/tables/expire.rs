//! Forgets old snapshots, and says which files nothing names any more.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use tidemill_plan::TableName;

use super::bulk::{flag, int, numbers, numbers_of};
use super::heads::Catalog;
use super::init::{SCHEMA, SCHEMA_ID, data_path_of, lock};
use super::words::time_of;
use crate::db::{Dialect, Tx};
use crate::runs::ANSWER;
use crate::writer::text;
use crate::{Store, StoreError, Value};

/// What may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Only snapshots before this time, in nanoseconds since 1970.
    pub before: i64,
    /// Of each table, its newest versions stay, however old: at least the newest one.
    pub versions_kept_min: u32,
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub snapshots: u64,
    /// By absolute path: nothing names them any more. To be removed once this is committed.
    pub files: Vec<String>,
}

impl Store {
    /// Forgets old snapshots for good; what was current stays current.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn expire_snapshots(&self, expiry: Expiry) -> Result<Expired, StoreError> {
        self.write(ANSWER, move |tx| Box::pin(expire(tx, expiry))).await
    }

    /// How many snapshots that would forget.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn expirable_snapshots(&self, expiry: Expiry) -> Result<u64, StoreError> {
        let mut tx = self.read().await?;
        let catalog = Catalog::read(&mut tx).await?;
        Ok(gone(&mut tx, &catalog, expiry).await?.len() as u64)
    }

    /// The files in a table's folder that some version of a table names, by absolute path.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn known_files(&self, folder: &TableName) -> Result<BTreeSet<String>, StoreError> {
        let mut tx = self.read().await?;
        let data_path = data_path_of(&mut tx).await?.unwrap_or_default();
        let home = super::read::home_of(&data_path, &folder.0);
        let mut known = BTreeSet::new();
        for from in ["ducklake_data_file", "ducklake_delete_file"] {
            let (of_file, of_table) =
                (flag(tx.dialect(), "f.path_is_relative"), flag(tx.dialect(), "t.path_is_relative"));
            // A table may have had another name, and then its folder has that: looked up by the folder's path too.
            let sql = format!(
                "SELECT DISTINCT f.path, {of_file}, t.path, {of_table} FROM ducklake_table t \
                 JOIN {from} f ON f.table_id = t.table_id \
                 WHERE t.schema_id = {SCHEMA_ID} AND (t.table_name = $1 OR t.path = $2)"
            );
            let values = [text(folder.0.clone()), text(format!("{folder}/"))];
            for it in tx.fetch(&sql, &values).await? {
                let at = super::read::folder_of(&data_path, &it.get::<String>(2)?, it.flag(3)?);
                let path: String = it.get(0)?;
                let path = if it.flag(1)? { format!("{at}{path}") } else { path };
                if path.starts_with(&home) {
                    known.insert(path);
                }
            }
        }
        Ok(known)
    }
}

async fn expire(tx: &mut Tx, expiry: Expiry) -> Result<Expired, StoreError> {
    lock(tx).await?;
    let catalog = Catalog::read(tx).await?;
    let gone = gone(tx, &catalog, expiry).await?;
    if gone.is_empty() {
        return Ok(Expired::default());
    }
    let (ids, list) = (numbers_of(tx.dialect(), 1), [numbers(gone.iter().copied())]);
    for table in ["ducklake_snapshot_changes", "ducklake_snapshot"] {
        tx.execute(&format!("DELETE FROM {table} WHERE snapshot_id IN {ids}"), &list).await?;
    }
    let files = remove_unreachable(tx).await?;
    // What a version says of its origin is kept: only its rows are gone.
    let sql = format!(
        "UPDATE tidemill_versions SET manifest = NULL WHERE manifest IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM ducklake_snapshot s WHERE s.snapshot_id >= tidemill_versions.version AND s.snapshot_id < \
         COALESCE((SELECT MIN(n.version) FROM tidemill_versions n WHERE n.table_id = tidemill_versions.table_id \
         AND n.version > tidemill_versions.version), {}))",
        i64::MAX
    );
    tx.execute(&sql, &[]).await?;
    Ok(Expired { snapshots: gone.len() as u64, files })
}

/// Snapshots that go: old, not the newest, and of no table among those that are kept. What a table is now the newest
/// snapshot shows, whichever made it so.
async fn gone(tx: &mut Tx, catalog: &Catalog, expiry: Expiry) -> Result<BTreeSet<i64>, StoreError> {
    let time = match tx.dialect() {
        Dialect::Sqlite => "snapshot_time",
        Dialect::Postgres => "to_char(snapshot_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'",
    };
    let mut gone = BTreeSet::new();
    for it in tx.fetch(&format!("SELECT snapshot_id, {time} FROM ducklake_snapshot"), &[]).await? {
        let id: i64 = it.get(0)?;
        if id != catalog.newest && time_of(&it.get::<String>(1)?)? < expiry.before {
            gone.insert(id);
        }
    }
    let sql = "SELECT version FROM (SELECT version, ROW_NUMBER() OVER (PARTITION BY table_id ORDER BY version DESC) \
               AS place FROM tidemill_versions) AS places WHERE place > 1 AND place <= $1";
    let kept = i64::from(expiry.versions_kept_min.max(1));
    for it in tx.fetch(sql, &[Value::Int(kept)]).await? {
        gone.remove(&it.get(0)?);
    }
    Ok(gone)
}

/// Takes out of the catalog what no snapshot that is left shows; the files that were named there.
async fn remove_unreachable(tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    let data_path = data_path_of(tx).await?.unwrap_or_default();
    let dialect = tx.dialect();
    let unreachable = |it: &str| {
        format!(
            "{it}.end_snapshot IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ducklake_snapshot s \
             WHERE s.snapshot_id >= {it}.begin_snapshot AND s.snapshot_id < {it}.end_snapshot)"
        )
    };
    let mut paths = Vec::new();
    for (table, id) in [("ducklake_data_file", "data_file_id"), ("ducklake_delete_file", "delete_file_id")] {
        let (of_file, of_table) = (flag(dialect, "f.path_is_relative"), flag(dialect, "t.path_is_relative"));
        // A table that was renamed has several rows, all with one path.
        let sql = format!(
            "SELECT DISTINCT f.{id}, f.path, {of_file}, t.path, {of_table} FROM {table} f \
             JOIN ducklake_table t ON t.table_id = f.table_id WHERE {}",
            unreachable("f")
        );
        let mut ids = Vec::new();
        for it in tx.fetch(&sql, &[]).await? {
            ids.push(int(&it, 0)?);
            let path: String = it.get(1)?;
            let folder = super::read::folder_of(&data_path, &it.get::<String>(3)?, it.flag(4)?);
            paths.push(if it.flag(2)? { format!("{folder}{path}") } else { path });
        }
        let list = numbers_of(dialect, 1);
        let ids = [numbers(ids)];
        tx.execute(&format!("DELETE FROM {table} WHERE {id} IN {list}"), &ids).await?;
        if table == "ducklake_data_file" {
            let sql = format!("DELETE FROM ducklake_file_column_stats WHERE data_file_id IN {list}");
            tx.execute(&sql, &ids).await?;
        }
    }
    for table in ["ducklake_column", "ducklake_table"] {
        tx.execute(&format!("DELETE FROM {table} WHERE {}", unreachable(table)), &[]).await?;
    }
    // Named elsewhere still: a file may have been added to two tables by hand.
    let mut known = BTreeSet::new();
    let absolute = match dialect {
        Dialect::Sqlite => "path_is_relative = 0",
        Dialect::Postgres => "NOT path_is_relative",
    };
    let wanted = Json::from(paths.clone()).to_string();
    let list = match dialect {
        Dialect::Sqlite => "(SELECT value FROM json_each($1))",
        Dialect::Postgres => "(SELECT value FROM json_array_elements_text(CAST($1 AS json)))",
    };
    let sql = format!("SELECT path FROM ducklake_data_file WHERE {absolute} AND path IN {list}");
    for it in tx.fetch(&sql, &[text(wanted)]).await? {
        known.insert(it.get::<String>(0)?);
    }
    // Only what lies in the lake is ours to remove.
    let home = format!("{data_path}{SCHEMA}/");
    paths.retain(|it| it.starts_with(&home) && !known.contains(it));
    Ok(paths)
}
