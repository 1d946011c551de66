//! What became of a table over time, of what it was made, and what was made of it.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_plan::TableName;

use super::bulk::{int, numbers, numbers_of};
use super::heads::{Author, Head};
use super::init::SCHEMA_ID;
use super::read::{OWN, origin_of, own_rows};
use super::words::time_of;
use super::{Origin, ReadVersion};
use crate::db::{Dialect, Tx};
use crate::writer::text;
use crate::{Row, Store, StoreError, Value};

/// Where a walk through what was read ends: more than anybody looks at.
const RELATED_MAX: usize = 10_000;

/// A version in a listing.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    pub name: TableName,
    pub version: i64,
    /// `None`: another program made it. What was read is in `reads` only of a history.
    pub origin: Option<Origin>,
    /// Nanoseconds since 1970; `None` where the snapshot has been expired by another program.
    pub committed_at: Option<i64>,
    /// `None` where another program made it.
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    /// It cannot be read any more.
    pub is_expired: bool,
}

/// Which way to follow what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What it was made of.
    Up,
    /// What was made of it.
    Down,
}

/// One version read another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    pub reader: TableName,
    pub reader_version: i64,
    pub read: ReadVersion,
    /// 1: the table that was asked for is one of the two.
    pub distance: u32,
}

impl Store {
    /// Versions of a table, newest first: those before `before`, and at most so many.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn table_history(
        &self,
        name: &TableName,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let mut tx = self.read().await?;
        let before = before.unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT {OWN}, CAST(CASE WHEN manifest IS NULL THEN 1 ELSE 0 END AS BIGINT) FROM tidemill_versions \
             WHERE name = $1 AND version < $2 ORDER BY version DESC LIMIT $3"
        );
        let values = [text(name.0.clone()), Value::Int(before), limit.into()];
        let mut history = Vec::new();
        let mut ids = BTreeSet::new();
        for it in tx.fetch(&sql, &values).await? {
            ids.insert(int(&it, 0)?);
            history.push(entry_of(&it)?);
        }
        // Where there are more of ours than were asked for, what others did before the last of these comes later.
        let is_full = history.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let from = history.last().filter(|_| is_full).map_or(i64::MIN, |it| it.version);
        let mut reads = reads_between(&mut tx, &ids, from, before).await?;
        for it in &mut history {
            if let Some(origin) = &mut it.origin {
                origin.reads = reads.remove(&it.version).unwrap_or_default();
            }
        }
        let ours: BTreeSet<i64> = history.iter().map(|it| it.version).collect();
        let sql = format!(
            "SELECT table_id FROM ducklake_table WHERE table_name = $1 AND schema_id = {SCHEMA_ID} \
             AND end_snapshot IS NULL"
        );
        if let Some(row) = tx.fetch_optional(&sql, &values[..1]).await? {
            history.extend(foreign_changes(&mut tx, name, int(&row, 0)?, &ours, (from, before)).await?);
        }
        history.sort_by_key(|it| std::cmp::Reverse(it.version));
        history.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(history)
    }

    /// What the newest version of ours was made of.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn read_by_newest(&self, name: &TableName) -> Result<Vec<ReadVersion>, StoreError> {
        let mut tx = self.read().await?;
        let sql =
            "SELECT table_id, version FROM tidemill_versions WHERE name = $1 ORDER BY version DESC LIMIT 1";
        let Some(row) = tx.fetch_optional(sql, &[text(name.0.clone())]).await? else { return Ok(Vec::new()) };
        reads_of(&mut tx, int(&row, 0)?, row.get(1)?).await
    }

    /// What a table was made of, or what was made of it, step by step: of one version, or upwards of the newest and
    /// downwards of all.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn lineage(
        &self,
        name: &TableName,
        version: Option<i64>,
        direction: Direction,
    ) -> Result<Vec<Related>, StoreError> {
        let mut tx = self.read().await?;
        let start = match (direction, version) {
            (Direction::Up, None) => newest_of(&mut tx, name).await?,
            (_, version) => version,
        };
        let mut found: Vec<Related> = Vec::new();
        let mut seen = BTreeSet::from([(name.clone(), start)]);
        let mut wave = vec![(name.clone(), start)];
        let mut distance = 0;
        while !wave.is_empty() && found.len() < RELATED_MAX {
            distance += 1;
            let mut next = Vec::new();
            for (name, version) in wave {
                for it in step(&mut tx, &name, version, direction, distance).await? {
                    let place = match direction {
                        Direction::Up => (it.read.table.clone(), it.read.version),
                        Direction::Down => (it.reader.clone(), Some(it.reader_version)),
                    };
                    if !found.contains(&it) {
                        found.push(it);
                    }
                    // What is in no catalog was made of nothing that is known.
                    if place.1.is_some() && seen.insert(place.clone()) {
                        next.push(place);
                    }
                }
            }
            wave = next;
        }
        found.truncate(RELATED_MAX);
        Ok(found)
    }
}

/// The tables' newest versions.
pub(super) async fn entries_of(
    tx: &mut Tx,
    heads: BTreeMap<TableName, Head>,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let ids: Vec<i64> = heads.values().map(|it| it.table_id).collect();
    let mut known = BTreeMap::new();
    for it in own_rows(tx, &ids).await? {
        known.insert(int(&it, 0)?, entry_of(&it)?);
    }
    let mut entries = Vec::with_capacity(heads.len());
    for (name, head) in heads {
        match (head.author, known.remove(&head.table_id)) {
            (Author::Us, Some(entry)) => entries.push(entry),
            _ => entries.push(foreign_entry(tx, &name, head.version).await?),
        }
    }
    Ok(entries)
}

/// From a row of `OWN` and whether it is expired.
fn entry_of(row: &Row) -> Result<HistoryEntry, StoreError> {
    let (origin, rows, bytes, committed_at) = origin_of(row)?;
    Ok(HistoryEntry {
        name: TableName(row.get(2)?),
        version: row.get(1)?,
        origin: Some(origin),
        committed_at: Some(committed_at),
        rows: Some(rows),
        bytes: Some(bytes),
        is_expired: row.flag(18)?,
    })
}

async fn foreign_entry(tx: &mut Tx, name: &TableName, version: i64) -> Result<HistoryEntry, StoreError> {
    let time = match tx.dialect() {
        Dialect::Sqlite => "snapshot_time",
        Dialect::Postgres => "to_char(snapshot_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'",
    };
    let sql = format!("SELECT {time} FROM ducklake_snapshot WHERE snapshot_id = $1");
    let row = tx.fetch_optional(&sql, &[Value::Int(version)]).await?;
    let committed_at = row.map(|it| time_of(&it.get::<String>(0)?)).transpose()?;
    Ok(HistoryEntry {
        name: name.clone(),
        version,
        origin: None,
        is_expired: committed_at.is_none(),
        committed_at,
        rows: None,
        bytes: None,
    })
}

/// Snapshots from one to before another that changed the table and are not ours.
async fn foreign_changes(
    tx: &mut Tx,
    name: &TableName,
    table: i64,
    ours: &BTreeSet<i64>,
    (from, before): (i64, i64),
) -> Result<Vec<HistoryEntry>, StoreError> {
    // Each change that a snapshot made stands there as `what:table`.
    let sql = "SELECT snapshot_id, changes_made FROM ducklake_snapshot_changes WHERE changes_made LIKE $1 \
               AND snapshot_id >= $2 AND snapshot_id < $3";
    let values = [text(format!("%:{table}%")), Value::Int(from), Value::Int(before)];
    let rows = tx.fetch(sql, &values).await?;
    let mut entries = Vec::new();
    for it in &rows {
        let (version, changes): (i64, String) = (it.get(0)?, it.get(1)?);
        let is_of_table = |it: &str| it.rsplit_once(':').is_some_and(|(_, id)| id.parse() == Ok(table));
        if !ours.contains(&version) && changes.split(',').any(is_of_table) {
            entries.push(foreign_entry(tx, name, version).await?);
        }
    }
    Ok(entries)
}

async fn reads_of(tx: &mut Tx, table: i64, version: i64) -> Result<Vec<ReadVersion>, StoreError> {
    let sql = "SELECT input, input_version, input_digest FROM tidemill_reads \
               WHERE table_id = $1 AND version = $2 ORDER BY input";
    let rows = tx.fetch(sql, &[Value::Int(table), Value::Int(version)]).await?;
    rows.iter().map(|it| read_of(it, 0)).collect()
}

/// What versions of ours read, by version: of tables, from one version to before another.
async fn reads_between(
    tx: &mut Tx,
    tables: &BTreeSet<i64>,
    from: i64,
    before: i64,
) -> Result<BTreeMap<i64, Vec<ReadVersion>>, StoreError> {
    let ids = numbers_of(tx.dialect(), 1);
    let sql = format!(
        "SELECT version, input, input_version, input_digest FROM tidemill_reads WHERE table_id IN {ids} \
         AND version >= $2 AND version < $3 ORDER BY version, input"
    );
    let values = [numbers(tables.iter().copied()), Value::Int(from), Value::Int(before)];
    let mut reads: BTreeMap<i64, Vec<ReadVersion>> = BTreeMap::new();
    for it in tx.fetch(&sql, &values).await? {
        reads.entry(int(&it, 0)?).or_default().push(read_of(&it, 1)?);
    }
    Ok(reads)
}

/// From a row that has input, version and digest from this column on.
fn read_of(row: &Row, from: usize) -> Result<ReadVersion, StoreError> {
    let digest = row.get::<String>(from + 2)?.parse().map_err(|e: String| StoreError::unreadable(&e))?;
    Ok(ReadVersion { table: TableName(row.get(from)?), version: row.get(from + 1)?, digest })
}

async fn newest_of(tx: &mut Tx, name: &TableName) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT MAX(version) FROM tidemill_versions WHERE name = $1";
    tx.fetch_optional(sql, &[text(name.0.clone())]).await?.map_or(Ok(None), |it| it.get(0))
}

/// What reads, or was read by, a version; without version, all of them.
async fn step(
    tx: &mut Tx,
    name: &TableName,
    version: Option<i64>,
    direction: Direction,
    distance: u32,
) -> Result<Vec<Related>, StoreError> {
    const SELECT: &str = "SELECT v.name, v.version, r.input, r.input_version, r.input_digest FROM tidemill_reads r \
                          JOIN tidemill_versions v ON v.table_id = r.table_id AND v.version = r.version WHERE";
    const ORDER: &str = "ORDER BY v.name, v.version DESC, r.input";
    let mut values = vec![text(name.0.clone())];
    values.extend(version.map(Value::Int));
    let condition = match (direction, version) {
        (Direction::Up, Some(_)) => "v.name = $1 AND v.version = $2",
        (Direction::Up, None) => "v.name = $1",
        (Direction::Down, Some(_)) => "r.input = $1 AND r.input_version = $2",
        (Direction::Down, None) => "r.input = $1",
    };
    let rows = tx.fetch(&format!("{SELECT} {condition} {ORDER}"), &values).await?;
    rows.iter()
        .map(|it| {
            let reader = TableName(it.get(0)?);
            Ok(Related { reader, reader_version: it.get(1)?, read: read_of(it, 2)?, distance })
        })
        .collect()
}
