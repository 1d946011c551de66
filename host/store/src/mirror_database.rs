//! The PostgreSQL that mirrors tables: another database than the store's, which others read. Knows nothing of tables:
//! carries out what it is told, in transactions, and sends rows as they come.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::sync::mpsc;

use crate::db::{Tx, without_password};
use crate::{Row, StoreError, Value};

/// How long a transaction may do nothing before the server ends it: a host that is paused must not keep the others out.
/// Far above the time from one batch of rows to the next.
const IDLE_MAX: &str = "120s";

/// How long to wait for whoever holds what is to be changed, before other tables have their turn.
const LOCK_MAX: &str = "60s";
/// How often to show the server that a transaction is at work which sends nothing: well below `IDLE_MAX`.
const AWAKE_EVERY: Duration = Duration::from_secs(30);

/// Connections to the mirror, made when they are needed.
#[derive(Clone, Debug)]
pub struct MirrorDatabase {
    pool: PgPool,
    shown: String,
}

/// A transaction in the mirror. Dropped without `commit` it changes nothing.
#[derive(Debug)]
pub struct MirrorTx(Tx);

impl MirrorDatabase {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When `url` is no address of a PostgreSQL.
    pub fn new(url: &str, connections_max: u32, connect_timeout: Duration) -> Result<Self, StoreError> {
        let shown = without_password(url);
        if !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
            let cause = "it does not begin with `postgres:`".to_owned();
            return Err(StoreError::BadUrl { url: shown, cause });
        }
        let options = PgConnectOptions::from_str(url).map_err(|e| StoreError::of(&shown, &e))?;
        let options = options
            .application_name("tidemill mirror")
            .options([("idle_in_transaction_session_timeout", IDLE_MAX), ("lock_timeout", LOCK_MAX)]);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(connect_timeout)
            .idle_timeout(Some(Duration::from_secs(60)))
            .connect_lazy_with(options);
        Ok(Self { pool, shown })
    }

    /// Its address, without a password.
    #[must_use]
    pub fn shown_url(&self) -> &str {
        &self.shown
    }

    /// # Errors
    /// When the database is away.
    pub async fn begin(&self) -> Result<MirrorTx, StoreError> {
        let begun = self.pool.begin().await.map_err(|e| StoreError::of(&self.shown, &e))?;
        Ok(MirrorTx(Tx::of_postgres(begun, self.shown.clone())))
    }
}

impl MirrorTx {
    /// From here to its end no other transaction holds the lock of that name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn lock(&mut self, name: &str) -> Result<(), StoreError> {
        self.0.lock(name).await
    }

    /// Carries a statement out; how many rows it changed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.0.execute(sql, values).await
    }

    /// Waits for something else to be done, and keeps the transaction meanwhile.
    ///
    /// # Errors
    /// What the database says.
    pub async fn while_busy<T>(&mut self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(AWAKE_EVERY, &mut work).await {
                Ok(done) => return Ok(done),
                Err(_) => drop(self.0.execute("SELECT 1", &[]).await?),
            }
        }
    }

    /// # Errors
    /// What the database says.
    pub async fn fetch(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.0.fetch(sql, values).await
    }

    /// Carries out a `COPY … FROM STDIN` with the bytes that arrive, until the sender is dropped; how many rows that were.
    /// A sender that gives up says so by an `Err`, and then nothing of the transaction can be kept.
    ///
    /// # Errors
    /// What the database says; what the sender said.
    pub async fn copy_in<E: From<StoreError>>(
        &mut self,
        sql: &str,
        bytes: &mut mpsc::Receiver<Result<Vec<u8>, E>>,
    ) -> Result<u64, E> {
        self.0.copy_in(sql, bytes).await
    }

    /// # Errors
    /// What the database says; the transaction may then have happened or not.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.0.commit().await
    }
}
