//! What a table consists of, as one digest: its columns and its files. Another program may change it without leaving a
//! number, as when it puts files together or forgets old snapshots; this still tells.

use std::collections::BTreeMap;

use tidemill_plan::Digest;

use super::TableColumn;
use super::bulk::{flag, int, numbers, numbers_of};
use super::commit::column_of;
use super::init::data_path_of;
use super::read::folder_of;
use crate::db::Tx;
use crate::{StoreError, Value};

/// Of columns in order, and of files by absolute path.
pub(super) fn state_of<'a>(
    columns: impl Iterator<Item = &'a TableColumn>,
    files: impl Iterator<Item = &'a str>,
) -> String {
    let mut lines: Vec<String> = columns.map(|it| format!("{it:?}")).collect();
    let mut files: Vec<&str> = files.collect();
    files.sort_unstable();
    lines.extend(files.into_iter().map(str::to_owned));
    Digest::of(lines.join("\n").as_bytes()).to_string()
}

/// The states of tables after snapshot `at`; without those of which single rows are gone, which are never ours.
pub(super) async fn states(
    tx: &mut Tx,
    at: i64,
    tables: &[i64],
) -> Result<BTreeMap<i64, String>, StoreError> {
    let data_path = data_path_of(tx).await?.unwrap_or_default();
    let dialect = tx.dialect();
    let of = [Value::Int(at), numbers(tables.iter().copied())];
    let ids = numbers_of(dialect, 2);
    let alive = |it: &str| {
        format!(
            "{it}.table_id IN {ids} AND {it}.begin_snapshot <= $1 AND ({it}.end_snapshot IS NULL OR {it}.end_snapshot > $1)"
        )
    };
    let nulls = flag(dialect, "nulls_allowed");
    let sql = format!(
        "SELECT c.table_id, c.column_id, c.parent_column, c.column_name, c.column_type, {nulls} FROM ducklake_column c \
         WHERE {} ORDER BY c.table_id, c.column_order",
        alive("c")
    );
    let mut found: BTreeMap<i64, (Vec<TableColumn>, Vec<String>)> = BTreeMap::new();
    for it in tx.fetch(&sql, &of).await? {
        found.entry(int(&it, 0)?).or_default().0.push(column_of(&it)?);
    }
    let (of_file, of_table) = (flag(dialect, "f.path_is_relative"), flag(dialect, "t.path_is_relative"));
    let sql = format!(
        "SELECT f.table_id, f.path, {of_file}, t.path, {of_table} FROM ducklake_data_file f \
         JOIN ducklake_table t ON t.table_id = f.table_id WHERE {} AND {}",
        alive("f"),
        alive("t")
    );
    for it in tx.fetch(&sql, &of).await? {
        let path: String = it.get(1)?;
        let folder = folder_of(&data_path, &it.get::<String>(3)?, it.flag(4)?);
        let path = if it.flag(2)? { format!("{folder}{path}") } else { path };
        found.entry(int(&it, 0)?).or_default().1.push(path);
    }
    let sql = format!("SELECT d.table_id FROM ducklake_delete_file d WHERE {}", alive("d"));
    for it in tx.fetch(&sql, &of).await? {
        found.remove(&int(&it, 0)?);
    }
    let states = found
        .into_iter()
        .map(|(table, (columns, files))| (table, state_of(columns.iter(), files.iter().map(String::as_str))));
    Ok(states.collect())
}
