//! Migrations: embedded, forward only, each in a transaction of its own. A store that knows more of them than this
//! program is refused untouched.

use crate::db::{Db, Dialect, Tx};
use crate::{StoreError, Value};

/// A step of the store's shape, in both databases' words.
struct Migration {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        [$(Migration {
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }),*]
    };
}

/// In order; one that has been released never changes.
const MIGRATIONS: &[Migration] = &migrations![
    "0001_runs",
    "0002_ducklake",
    "0003_registry",
    "0004_mirrors",
    "0005_links",
    "0006_removed_versions"
];

/// Brings the store to the newest shape. Several processes may do it at one time.
pub(crate) async fn migrate(db: &Db) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    let mut tx = db.begin().await?;
    lock(&mut tx).await?;
    tx.execute(
        "CREATE TABLE IF NOT EXISTS tidemill_migrations (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)",
        &[],
    )
    .await?;
    let row = tx.fetch_optional("SELECT COALESCE(MAX(number), 0) FROM tidemill_migrations", &[]).await?;
    let found: i64 = row.map_or(Ok(0), |it| it.get(0))?;
    if found > known {
        return Err(StoreError::Newer { url: db.shown.clone(), found, known });
    }
    for (number, it) in (1_i64..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        let script = match tx.dialect() {
            Dialect::Sqlite => it.sqlite,
            Dialect::Postgres => it.postgres,
        };
        tx.execute_script(script).await?;
        let values = [Value::Int(number), Value::from(it.name)];
        tx.execute("INSERT INTO tidemill_migrations (number, name) VALUES ($1, $2)", &values).await?;
    }
    tx.commit().await
}

/// On SQLite a transaction that writes is alone anyway.
async fn lock(tx: &mut Tx) -> Result<(), StoreError> {
    // Any number that nobody else uses: "tidemill" in ASCII.
    const KEY: i64 = 0x7469_6465_6d69_6c6c;
    if tx.dialect() == Dialect::Postgres {
        tx.execute("SELECT pg_advisory_xact_lock($1)", &[Value::Int(KEY)]).await?;
    }
    Ok(())
}
