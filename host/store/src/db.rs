//! The two databases behind one face: statements with `$1`, values and rows of `value`.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Executor as _, Postgres, Sqlite, Transaction};
use tokio::sync::mpsc;

use crate::value::{Row, Value};
use crate::{StoreError, StoreOptions};

/// How long a statement waits for another program that holds the database.
const BUSY_MS: u64 = 5_000;
const READERS_MAX: u32 = 8;

/// Where the two databases differ, and a statement must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// Pools: one connection that writes, several that read.
#[derive(Clone, Debug)]
pub(crate) struct Db {
    pub(crate) shown: String,
    pools: Pools,
}

#[derive(Clone, Debug)]
enum Pools {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// A transaction. Dropped without `commit` it changes nothing.
#[derive(Debug)]
pub struct Tx {
    inner: Inner,
    shown: String,
}

#[derive(Debug)]
enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Db {
    pub(crate) async fn connect(options: &StoreOptions) -> Result<Self, StoreError> {
        let url = options.url.as_str();
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = PathBuf::from(path.trim_start_matches("//"));
            return Self::connect_sqlite(url, &path).await;
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Self::connect_postgres(url, options).await;
        }
        Err(StoreError::BadUrl {
            url: without_password(url),
            cause: "it begins with neither `sqlite:` nor `postgres:`".to_owned(),
        })
    }

    async fn connect_sqlite(url: &str, path: &std::path::Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was answered survives a power loss.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_millis(BUSY_MS))
            .foreign_keys(true);
        let failed = |e: sqlx::Error| StoreError::of(url, &e);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .idle_timeout(Some(Duration::from_secs(60)))
            .connect_lazy_with(options.pragma("query_only", "true"));
        Ok(Self { shown: url.to_owned(), pools: Pools::Sqlite { writer, readers } })
    }

    async fn connect_postgres(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let shown = without_password(url);
        let failed = |e: sqlx::Error| StoreError::of(&shown, &e);
        let connect =
            PgConnectOptions::from_str(url).map_err(failed)?.application_name("tidemill").options([
                // A process that is paused within a transaction holds locks that the others wait for: the server ends it.
                ("idle_in_transaction_session_timeout", idle_limit(options.heartbeat)),
            ]);
        let pool = PgPoolOptions::new()
            .max_connections(READERS_MAX + 1)
            .acquire_timeout(options.connect_timeout)
            .connect_with(connect)
            .await
            .map_err(failed)?;
        Ok(Self { shown, pools: Pools::Postgres(pool) })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.pools {
            Pools::Sqlite { .. } => Dialect::Sqlite,
            Pools::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A transaction that writes; on SQLite it is alone from its beginning.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = match &self.pools {
            Pools::Sqlite { writer, .. } => begin_alone(writer).await.map(Inner::Sqlite),
            Pools::Postgres(pool) => pool.begin().await.map(Inner::Postgres),
        };
        Ok(Tx { inner: inner.map_err(|e| StoreError::of(&self.shown, &e))?, shown: self.shown.clone() })
    }

    /// A transaction that reads one state of the database.
    pub(crate) async fn begin_read(&self) -> Result<Tx, StoreError> {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let inner = match &self.pools {
            Pools::Sqlite { readers, .. } => readers.begin().await.map(Inner::Sqlite),
            Pools::Postgres(pool) => pool.begin_with(SNAPSHOT).await.map(Inner::Postgres),
        };
        Ok(Tx { inner: inner.map_err(|e| StoreError::of(&self.shown, &e))?, shown: self.shown.clone() })
    }

    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// On a full disk SQLite ends a transaction by itself, and the connection goes on to believe that it is within one: it is
/// then closed, and another opened.
async fn begin_alone(writer: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    const ALONE: &str = "BEGIN IMMEDIATE";
    match writer.begin_with(ALONE).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            writer.acquire().await?.close().await?;
            writer.begin_with(ALONE).await
        }
        begun => begun,
    }
}

/// Well below any lease, and far above what lies between two statements of a process that runs.
fn idle_limit(heartbeat: Duration) -> String {
    const BEATS: u32 = 5;
    format!("{}ms", (heartbeat * BEATS).max(Duration::from_secs(1)).as_millis())
}

/// Binds values to a query of either database.
macro_rules! bind {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for it in $values {
            query = match it {
                Value::Int(it) => query.bind(*it),
                Value::OptionalInt(it) => query.bind(*it),
                Value::Real(it) => query.bind(*it),
                Value::Text(it) => query.bind(it.as_str()),
                Value::OptionalText(it) => query.bind(it.as_deref()),
                Value::Bytes(it) => query.bind(it.as_slice()),
                Value::OptionalBytes(it) => query.bind(it.as_deref()),
            };
        }
        query
    }};
}

impl Tx {
    pub(crate) fn of_postgres(tx: Transaction<'static, Postgres>, shown: String) -> Self {
        Self { inner: Inner::Postgres(tx), shown }
    }

    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.inner {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The database's address, without a password.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Carries a statement out; how many rows it changed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let changed = match &mut self.inner {
            Inner::Sqlite(tx) => bind!(sql, values).execute(&mut **tx).await.map(|it| it.rows_affected()),
            Inner::Postgres(tx) => bind!(sql, values).execute(&mut **tx).await.map(|it| it.rows_affected()),
        };
        changed.map_err(|e| StoreError::of(&self.shown, &e))
    }

    /// # Errors
    /// What the database says.
    pub async fn fetch(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let rows = match &mut self.inner {
            Inner::Sqlite(tx) => {
                let rows = bind!(sql, values).fetch_all(&mut **tx).await;
                rows.map(|it| it.into_iter().map(Row::Sqlite).collect())
            }
            Inner::Postgres(tx) => {
                let rows = bind!(sql, values).fetch_all(&mut **tx).await;
                rows.map(|it| it.into_iter().map(Row::Postgres).collect())
            }
        };
        rows.map_err(|e| StoreError::of(&self.shown, &e))
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_optional(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    /// From here to its end no other transaction holds the lock of that name. On SQLite one that writes is alone anyway.
    pub(crate) async fn lock(&mut self, name: &str) -> Result<(), StoreError> {
        if self.dialect() == Dialect::Postgres {
            let sql = "SELECT pg_advisory_xact_lock(hashtext('tidemill'), hashtext($1))";
            self.execute(sql, &[Value::from(name)]).await?;
        }
        Ok(())
    }

    /// Several statements without values, as migrations are.
    pub(crate) async fn execute_script(&mut self, sql: &str) -> Result<(), StoreError> {
        let done = match &mut self.inner {
            Inner::Sqlite(tx) => tx.execute(sqlx::raw_sql(sql)).await.map(drop),
            Inner::Postgres(tx) => tx.execute(sqlx::raw_sql(sql)).await.map(drop),
        };
        done.map_err(|e| StoreError::of(&self.shown, &e))
    }

    /// See [`crate::MirrorTx::copy_in`].
    pub(crate) async fn copy_in<E: From<StoreError>>(
        &mut self,
        sql: &str,
        bytes: &mut mpsc::Receiver<Result<Vec<u8>, E>>,
    ) -> Result<u64, E> {
        let Self { inner, shown } = self;
        let failed = |e: sqlx::Error| E::from(StoreError::of(shown, &e));
        let Inner::Postgres(tx) = inner else { unreachable!("only PostgreSQL is asked for a COPY") };
        let mut copy = tx.copy_in_raw(sql).await.map_err(failed)?;
        while let Some(next) = bytes.recv().await {
            match next {
                Ok(bytes) => drop(copy.send(bytes).await.map_err(failed)?),
                Err(e) => {
                    // The server answers an abort with an error, which says nothing new.
                    drop(copy.abort("the rows could not be read").await);
                    return Err(e);
                }
            }
        }
        copy.finish().await.map_err(failed)
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let done = match self.inner {
            Inner::Sqlite(tx) => tx.commit().await,
            Inner::Postgres(tx) => tx.commit().await,
        };
        done.map_err(|e| StoreError::of(&self.shown, &e))
    }
}

/// A database's address as it may be shown.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |it| rest.split_at(it));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(name, _)| name);
            [user, "@", host].concat()
        }
        None => authority.to_owned(),
    };
    // What follows `?` may hold a password as well.
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    [scheme, "://", &authority, path].concat()
}
