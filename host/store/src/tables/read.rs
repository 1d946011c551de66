//! What tables there are, now and at earlier snapshots.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tidemill_plan::{Digest, TableName, Time, Window};

use super::bulk::{flag, int, numbers, numbers_of};
use super::commit::column_of;
use super::heads::{Author, Catalog, Head, heads};
use super::init::{SCHEMA, SCHEMA_ID, data_path_of};
use super::trace::HistoryEntry;
use super::words::time_of;
use super::{
    DeleteFile, ForeignFile, ForeignVersion, KeyTime, Origin, OwnVersion, TableState, TableVersion,
    mode_named,
};
use crate::conditions::Conditions;
use crate::db::{Dialect, Tx};
use crate::writer::text;
use crate::{Row, Store, StoreError, Value};

/// How many snapshots are looked through in one go for one of a certain time.
const SNAPSHOTS_MAX: i64 = 1_000;

/// Which tables are listed, by name. All that is said must hold.
#[derive(Clone, Debug, Default)]
pub struct TableFilter {
    /// In the name, upper or lower case.
    pub containing: Option<String>,
    /// At the start of the name.
    pub beginning: Option<String>,
    /// Of the newest version of ours: the node that wrote it, or its family.
    pub node: Option<String>,
    /// Of the newest version of ours: the pipeline of the run that wrote it.
    pub pipeline: Option<String>,
    /// After this name.
    pub after: Option<TableName>,
    pub limit: u32,
}

impl Store {
    /// What the table is now.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn table_version(&self, name: &TableName) -> Result<Option<TableVersion>, StoreError> {
        Ok(self.table_versions(&[name]).await?.pop())
    }

    /// What these tables are now, all at one moment, by name; without those that there are not.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn table_versions(&self, names: &[&TableName]) -> Result<Vec<TableVersion>, StoreError> {
        let mut tx = self.read().await?;
        let catalog = Catalog::read(&mut tx).await?;
        versions(&mut tx, &catalog, catalog.newest, names).await
    }

    /// What the table was after a snapshot of the catalog.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn table_at(
        &self,
        name: &TableName,
        snapshot: i64,
    ) -> Result<Option<TableVersion>, StoreError> {
        let mut tx = self.read().await?;
        let catalog = Catalog::read(&mut tx).await?;
        Ok(versions(&mut tx, &catalog, snapshot.min(catalog.newest), &[name]).await?.pop())
    }

    /// What the table was at a time, in nanoseconds since 1970.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn table_at_time(&self, name: &TableName, at: i64) -> Result<Option<TableVersion>, StoreError> {
        let mut tx = self.read().await?;
        let catalog = Catalog::read(&mut tx).await?;
        let Some(snapshot) = snapshot_at(&mut tx, at).await? else { return Ok(None) };
        Ok(versions(&mut tx, &catalog, snapshot, &[name]).await?.pop())
    }

    /// The newest version of the table with this cache key whose files are there.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn valid_version(
        &self,
        name: &TableName,
        cache_key: &Digest,
    ) -> Result<Option<TableVersion>, StoreError> {
        let mut tx = self.read().await?;
        let sql = format!(
            "SELECT {OWN}, manifest FROM tidemill_versions WHERE name = $1 AND cache_key = $2 \
             AND manifest IS NOT NULL ORDER BY version DESC LIMIT 1"
        );
        let row = tx.fetch_optional(&sql, &[text(name.0.clone()), text(cache_key.to_string())]).await?;
        row.as_ref().map(own_of).transpose()
    }

    /// The newest version of the table with this digest whose files are there.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn version_with(
        &self,
        name: &TableName,
        digest: &Digest,
    ) -> Result<Option<TableVersion>, StoreError> {
        let mut tx = self.read().await?;
        let sql = format!(
            "SELECT {OWN}, manifest FROM tidemill_versions WHERE name = $1 AND digest = $2 \
             AND manifest IS NOT NULL ORDER BY version DESC LIMIT 1"
        );
        let row = tx.fetch_optional(&sql, &[text(name.0.clone()), text(digest.to_string())]).await?;
        row.as_ref().map(own_of).transpose()
    }

    /// Tables in order of their names.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn tables(&self, filter: &TableFilter) -> Result<Vec<HistoryEntry>, StoreError> {
        let mut tx = self.read().await?;
        let catalog = Catalog::read(&mut tx).await?;
        let (rest, values) = filter.conditions().ordered("t.table_name", filter.limit);
        let rows = tx.fetch(&format!("SELECT t.table_name FROM ducklake_table t {rest}"), &values).await?;
        let names = rows.iter().map(|it| it.get(0).map(TableName)).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<&TableName> = names.iter().collect();
        let heads = heads(&mut tx, &catalog, catalog.newest, &names).await?;
        super::trace::entries_of(&mut tx, heads).await
    }

    /// How far the table has come, as of the newest version of ours; by identifiers.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn progress(&self, name: &TableName) -> Result<Vec<KeyTime>, StoreError> {
        let mut tx = self.read().await?;
        let sql = format!(
            "SELECT p.identifiers, p.last_time FROM ducklake_table t JOIN tidemill_progress p ON p.table_id = t.table_id \
             WHERE t.table_name = $1 AND t.schema_id = {SCHEMA_ID} AND t.end_snapshot IS NULL"
        );
        let rows = tx.fetch(&sql, &[text(name.0.clone())]).await?;
        let mut progress = Vec::with_capacity(rows.len());
        for it in &rows {
            let identifiers = serde_json::from_str(&it.get::<String>(0)?);
            let identifiers = identifiers.map_err(|e| StoreError::unreadable(&e))?;
            progress.push(KeyTime { identifiers, last: it.get(1)? });
        }
        progress.sort();
        Ok(progress)
    }

    /// Whether there is such a snapshot of the catalog, and it has not been forgotten.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn has_snapshot(&self, snapshot: i64) -> Result<bool, StoreError> {
        let mut tx = self.read().await?;
        let sql = "SELECT 1 FROM ducklake_snapshot WHERE snapshot_id = $1";
        Ok(tx.fetch_optional(sql, &[Value::Int(snapshot)]).await?.is_some())
    }

    /// The number of the newest snapshot of the catalog: as long as it stays, every table stays what it is.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn newest_snapshot(&self) -> Result<i64, StoreError> {
        let mut tx = self.read().await?;
        let row = tx.fetch_optional("SELECT MAX(snapshot_id) FROM ducklake_snapshot", &[]).await?;
        row.map_or(Ok(None), |it| it.get(0)).map(|it: Option<i64>| it.unwrap_or(0))
    }
}

impl TableFilter {
    fn conditions(&self) -> Conditions {
        const NEWEST: &str = "SELECT 1 FROM tidemill_versions v WHERE v.table_id = t.table_id AND v.version = \
                              (SELECT MAX(o.version) FROM tidemill_versions o WHERE o.table_id = t.table_id)";
        let mut conditions = Conditions::default();
        conditions.and(&format!("t.schema_id = {SCHEMA_ID} AND t.end_snapshot IS NULL"), []);
        if let Some(it) = &self.after {
            conditions.and("t.table_name > ?", [text(it.0.clone())]);
        }
        if let Some(it) = &self.containing {
            let pattern = it.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
            conditions.and("lower(t.table_name) LIKE ? ESCAPE '!'", [text(format!("%{pattern}%"))]);
        }
        if let Some(it) = &self.beginning {
            // `LIKE` takes upper case for lower on one of the two databases.
            conditions.and("substr(t.table_name, 1, length(?)) = ?", [text(it.clone()), text(it.clone())]);
        }
        if let Some(it) = &self.node {
            let family = text(format!("{it}["));
            let of_node = "v.node = ? OR substr(v.node, 1, length(?)) = ?";
            conditions.and(
                &format!("EXISTS ({NEWEST} AND ({of_node}))"),
                [text(it.clone()), family.clone(), family],
            );
        }
        if let Some(it) = &self.pipeline {
            let of_pipeline = "v.run IN (SELECT id FROM tidemill_runs WHERE pipeline = ?)";
            conditions.and(&format!("EXISTS ({NEWEST} AND {of_pipeline})"), [text(it.clone())]);
        }
        conditions
    }
}

/// A table's folder.
pub(super) fn folder_of(data_path: &str, path: &str, is_relative: bool) -> String {
    if is_relative { format!("{data_path}{SCHEMA}/{path}") } else { path.to_owned() }
}

/// The folder into which we put the files of a table.
pub(super) fn home_of(data_path: &str, name: &str) -> String {
    format!("{data_path}{SCHEMA}/{name}/")
}

async fn versions(
    tx: &mut Tx,
    catalog: &Catalog,
    at: i64,
    names: &[&TableName],
) -> Result<Vec<TableVersion>, StoreError> {
    let heads = heads(tx, catalog, at, names).await?;
    let own: Vec<(i64, i64)> = heads.values().filter_map(|it| Some((it.table_id, it.own?))).collect();
    let mut known = own_versions(tx, &own).await?;
    let mut found = Vec::with_capacity(heads.len());
    for (name, head) in heads {
        let own = known.remove(&head.table_id);
        match (head.author, own) {
            (Author::Us, Some(own)) => found.push(own),
            (_, own) => found.push(foreign_version(tx, at, name, &head, own).await?),
        }
    }
    Ok(found)
}

/// What stands in the columns of a version, in this order.
pub(super) const OWN: &str = "table_id, version, name, digest, cache_key, run, node, task, component, attempt, mode, \
                              window_start, window_end, as_of, row_count, byte_count, metrics, committed_at";

/// Versions by pairs of table and version; by table.
async fn own_versions(tx: &mut Tx, wanted: &[(i64, i64)]) -> Result<BTreeMap<i64, TableVersion>, StoreError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = super::bulk::rows_of(tx.dialect(), 1);
    let cell = |at| super::bulk::cell(tx.dialect(), at, super::bulk::Kind::Int);
    let sql = format!(
        "SELECT {OWN}, manifest FROM tidemill_versions WHERE (table_id, version) IN (SELECT {}, {} FROM {rows})",
        cell(0),
        cell(1)
    );
    let pairs = Json::from(wanted.iter().map(|(table, version)| vec![*table, *version]).collect::<Vec<_>>());
    let rows = tx.fetch(&sql, &[text(pairs.to_string())]).await?;
    rows.iter().map(|it| own_of(it).map(|it| (it.table_id, it))).collect()
}

/// From a row of `OWN` and the manifest.
fn own_of(row: &Row) -> Result<TableVersion, StoreError> {
    let manifest = row.get(18)?;
    let (origin, rows, bytes, committed_at) = origin_of(row)?;
    Ok(TableVersion {
        name: TableName(row.get(2)?),
        table_id: row.get(0)?,
        version: row.get(1)?,
        state: TableState::Ours(Box::new(OwnVersion { origin, rows, bytes, committed_at, manifest })),
    })
}

/// From a row of `OWN`: the origin without what was read, rows, bytes, time.
pub(super) fn origin_of(row: &Row) -> Result<(Origin, u64, u64, i64), StoreError> {
    let digest = |column| -> Result<Digest, StoreError> {
        row.get::<String>(column)?.parse().map_err(|e: String| StoreError::unreadable(&e))
    };
    let component: Option<String> = row.get(8)?;
    let component = component.map(|it| it.parse().map_err(|e: String| StoreError::unreadable(&e)));
    let mode: String = row.get(10)?;
    let time = |column| row.get::<Option<i64>>(column).map(|it| it.map(Time));
    let origin = Origin {
        digest: digest(3)?,
        cache_key: digest(4)?,
        run: row.get(5)?,
        node: row.get(6)?,
        task: row.get(7)?,
        component: component.transpose()?,
        attempt: row.get(9)?,
        mode: mode_named(&mode).ok_or_else(|| StoreError::unreadable(&mode))?,
        window: Window { start: time(11)?, end: time(12)?, as_of: time(13)? },
        metrics: serde_json::from_str(&row.get::<String>(16)?).map_err(|e| StoreError::unreadable(&e))?,
        reads: Vec::new(),
    };
    Ok((origin, row.count(14)?, row.count(15)?, row.get(17)?))
}

async fn foreign_version(
    tx: &mut Tx,
    at: i64,
    name: TableName,
    head: &Head,
    own: Option<TableVersion>,
) -> Result<TableVersion, StoreError> {
    let data_path = data_path_of(tx).await?.unwrap_or_default();
    let dialect = tx.dialect();
    let of = [Value::Int(head.table_id), Value::Int(at)];
    let alive = "table_id = $1 AND begin_snapshot <= $2 AND (end_snapshot IS NULL OR end_snapshot > $2)";
    let nulls = flag(dialect, "nulls_allowed");
    let sql = format!(
        "SELECT table_id, column_id, parent_column, column_name, column_type, {nulls} FROM ducklake_column \
         WHERE {alive} ORDER BY column_order"
    );
    let columns = tx.fetch(&sql, &of).await?;
    let columns = columns.iter().map(column_of).collect::<Result<Vec<_>, _>>()?;
    let sql = "SELECT COALESCE(MAX(column_id), 0) + 1 FROM ducklake_column WHERE table_id = $1";
    let next = tx.fetch_optional(sql, &of[..1]).await?.map_or(Ok(1), |it| it.get(0))?;
    let relative = flag(dialect, "path_is_relative");
    let sql = format!("SELECT path, {relative} FROM ducklake_table WHERE {alive}");
    let folder = tx.fetch_optional(&sql, &of).await?;
    let folder = folder.map_or(Ok(String::new()), |it| {
        Ok::<_, StoreError>(folder_of(&data_path, &it.get::<String>(0)?, it.flag(1)?))
    })?;
    let files = foreign_files(tx, &of, &folder).await?;
    let manifest_before = own.and_then(|it| match it.state {
        TableState::Ours(it) => it.manifest,
        TableState::Foreign(_) => None,
    });
    let state = ForeignVersion {
        columns,
        files,
        column_id_next: next,
        as_of: at,
        has_inlined_rows: head.has_inlined_rows,
        manifest_before,
    };
    let state = TableState::Foreign(Box::new(state));
    Ok(TableVersion { name, table_id: head.table_id, version: head.version, state })
}

async fn foreign_files(tx: &mut Tx, of: &[Value], folder: &str) -> Result<Vec<ForeignFile>, StoreError> {
    let relative = flag(tx.dialect(), "path_is_relative");
    let alive = "table_id = $1 AND begin_snapshot <= $2 AND (end_snapshot IS NULL OR end_snapshot > $2)";
    let full = |path: String, is_relative: bool| if is_relative { format!("{folder}{path}") } else { path };
    let sql = format!(
        "SELECT data_file_id, path, {relative}, format, delete_count, file_size_bytes FROM ducklake_delete_file \
         WHERE {alive} ORDER BY delete_file_id"
    );
    let mut deletes: BTreeMap<i64, Vec<DeleteFile>> = BTreeMap::new();
    for it in tx.fetch(&sql, of).await? {
        let path = full(it.get(1)?, it.flag(2)?);
        let delete = DeleteFile { path, format: it.get(3)?, rows: it.count(4)?, bytes: it.count(5)? };
        deletes.entry(int(&it, 0)?).or_default().push(delete);
    }
    let sql = format!(
        "SELECT data_file_id, path, {relative}, file_format, record_count, file_size_bytes, \
         encryption_key FROM ducklake_data_file WHERE {alive} ORDER BY data_file_id"
    );
    let rows = tx.fetch(&sql, of).await?;
    rows.iter()
        .map(|it| {
            Ok(ForeignFile {
                path: full(it.get(1)?, it.flag(2)?),
                format: it.get(3)?,
                rows: it.count(4)?,
                bytes: it.count(5)?,
                is_encrypted: it.get::<Option<String>>(6)?.is_some_and(|it| !it.is_empty()),
                deletes: deletes.remove(&int(it, 0)?).unwrap_or_default(),
            })
        })
        .collect()
}

/// The newest snapshot that is not after a time.
async fn snapshot_at(tx: &mut Tx, at: i64) -> Result<Option<i64>, StoreError> {
    let time = match tx.dialect() {
        Dialect::Sqlite => "snapshot_time",
        Dialect::Postgres => "to_char(snapshot_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'",
    };
    // Times are text that other programs wrote in zones of their own, so they are compared here.
    let sql = format!(
        "SELECT snapshot_id, {time} FROM ducklake_snapshot WHERE snapshot_id < $1 \
         ORDER BY snapshot_id DESC LIMIT {SNAPSHOTS_MAX}"
    );
    let mut before = i64::MAX;
    loop {
        let rows = tx.fetch(&sql, &[Value::Int(before)]).await?;
        for it in &rows {
            let id = it.get(0)?;
            if time_of(&it.get::<String>(1)?)? <= at {
                return Ok(Some(id));
            }
            before = id;
        }
        if rows.is_empty() {
            return Ok(None);
        }
    }
}

/// The newest versions of ours of these tables, in rows of `OWN` and whether they are expired.
pub(super) async fn own_rows(tx: &mut Tx, tables: &[i64]) -> Result<Vec<Row>, StoreError> {
    let ids = numbers_of(tx.dialect(), 1);
    let sql = format!(
        "SELECT {OWN}, CAST(CASE WHEN manifest IS NULL THEN 1 ELSE 0 END AS BIGINT) FROM tidemill_versions v \
         WHERE table_id IN {ids} AND version = \
         (SELECT MAX(o.version) FROM tidemill_versions o WHERE o.table_id = v.table_id)"
    );
    tx.fetch(&sql, &[numbers(tables.iter().copied())]).await
}
