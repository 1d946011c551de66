//! Makes the catalog when a service first starts, and sees to it that it is of this lake.

use tidemill_plan::{Code, Problem};

use super::bulk::{Kind, Target, insert};
use super::targets::SNAPSHOT;
use crate::db::{Dialect, Tx};
use crate::runs::ANSWER;
use crate::writer::text;
use crate::{Store, StoreError, Value};

/// The one schema that Tidemill writes tables into, and its number.
pub(super) const SCHEMA: &str = "main";
pub(super) const SCHEMA_ID: i64 = 0;

impl Store {
    /// Makes the catalog of tables whose files lie under `data_path`, a folder by its absolute path. Every start may
    /// do it.
    ///
    /// # Errors
    /// `lake-path-differs` when the store's tables lie elsewhere.
    pub async fn init_catalog(&self, data_path: &str, at: i64) -> Result<(), StoreError> {
        let data_path = format!("{}/", data_path.trim_end_matches('/'));
        self.write(ANSWER, move |tx| {
            let data_path = data_path.clone();
            Box::pin(async move { init(tx, &data_path, at).await })
        })
        .await
    }
}

/// Alone among those of us that commit tables; another program's commit is found by the number of its snapshot.
pub(super) async fn lock(tx: &mut Tx) -> Result<(), StoreError> {
    // Any number that nobody else uses: "ducklake" in ASCII.
    const KEY: i64 = 0x6475_636b_6c61_6b65;
    if tx.dialect() == Dialect::Postgres {
        tx.execute("SELECT pg_advisory_xact_lock($1)", &[Value::Int(KEY)]).await?;
    }
    Ok(())
}

async fn init(tx: &mut Tx, data_path: &str, at: i64) -> Result<(), StoreError> {
    lock(tx).await?;
    if let Some(found) = data_path_of(tx).await? {
        if found == data_path {
            return Ok(());
        }
        let url = tx.shown().to_owned();
        let what = format!("the tables of store `{url}` lie in `{found}`, not in `{data_path}`");
        let mend = "name that folder as the lake, or use another store";
        return Err(Problem::new(Code("lake-path-differs"), what, mend).into());
    }
    let metadata = Target {
        table: "ducklake_metadata",
        columns: &[("key", Kind::Text), ("value", Kind::Text)],
        then: "",
    };
    let rows = serde_json::json!([
        ["version", "1.0"],
        ["created_by", format!("Tidemill {}", env!("CARGO_PKG_VERSION"))],
        ["data_path", data_path],
        ["encrypted", "false"],
        // DuckDB would keep small inserts inside the catalog, in tables of its own making that only it reads.
        ["data_inlining_row_limit", "0"],
    ]);
    insert(tx, &metadata, rows.as_array().cloned().unwrap_or_default()).await?;
    let time = super::words::time_text(at)?;
    insert(tx, &SNAPSHOT, vec![serde_json::json!([0, time, 0, 1, 0])]).await?;
    let changes = "INSERT INTO ducklake_snapshot_changes (snapshot_id, changes_made) VALUES (0, 'created_schema:\"main\"')";
    tx.execute(changes, &[]).await?;
    let schema = Target {
        table: "ducklake_schema",
        columns: &[
            ("schema_id", Kind::Int),
            ("schema_uuid", Kind::Uuid),
            ("begin_snapshot", Kind::Int),
            ("schema_name", Kind::Text),
            ("path", Kind::Text),
            ("path_is_relative", Kind::Flag),
        ],
        then: "",
    };
    let uuid = super::words::uuid_of(&format!("{data_path} {at}"));
    let path = format!("{SCHEMA}/");
    insert(tx, &schema, vec![serde_json::json!([SCHEMA_ID, uuid, 0, SCHEMA, path, 1])]).await?;
    let ours = "INSERT INTO tidemill_catalog (only_row, own_snapshot, foreign_snapshot, newest_at) VALUES (1, 0, -1, $1)";
    tx.execute(ours, &[Value::Int(at)]).await?;
    Ok(())
}

/// `None`: there is no catalog yet.
pub(super) async fn data_path_of(tx: &mut Tx) -> Result<Option<String>, StoreError> {
    let sql = "SELECT value FROM ducklake_metadata WHERE key = $1 AND scope IS NULL";
    tx.fetch_optional(sql, &[text("data_path")]).await?.map(|it| it.get(0)).transpose()
}
