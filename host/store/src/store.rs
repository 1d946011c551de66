//! A store: opening it, writing through its one writer, reading one state of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::db::{Db, Dialect, Tx};
use crate::hosts::{self, Beat, HostId, Neighbour, SharedHost};
use crate::writer::{Counters, Job, Patience, TypedJob, WAITING_MAX, Work, Writer, WriterCounts, join_as};
use crate::{StoreError, migrate};

/// How long closing waits for a database that is away.
const CLOSE: Duration = Duration::from_secs(5);

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: String,
    /// Never used before.
    pub host: HostId,
    /// What people call this process, as a machine's name.
    pub host_name: String,
    pub connect_timeout: Duration,
    /// How often this host shows that it lives, where several may share the store.
    pub heartbeat: Duration,
}

/// A store that is open. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    host: SharedHost,
    jobs: mpsc::Sender<Box<dyn Job>>,
    fenced: watch::Receiver<u64>,
    counters: Arc<Counters>,
    is_closed: AtomicBool,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("url", &self.db.shown).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store, brings it to the newest shape and joins as a host.
    ///
    /// # Errors
    /// When it cannot be reached, is of a newer version, or is no store.
    pub async fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let db = Db::connect(&options).await?;
        migrate::migrate(&db).await?;
        join_as(&db, &options.host, &options.host_name).await?;
        let host = SharedHost::new(options.host);
        let (sender, jobs) = mpsc::channel(WAITING_MAX);
        let (fence, fenced) = watch::channel(0);
        let counters = Arc::new(Counters::default());
        let writer = Writer {
            db: db.clone(),
            jobs,
            waiting: Vec::new(),
            host: host.clone(),
            host_name: options.host_name,
            beat: Beat::new(),
            heartbeat: (db.dialect() == Dialect::Postgres).then_some(options.heartbeat),
            fenced: fence,
            counters: Arc::clone(&counters),
        };
        let writer = Mutex::new(Some(tokio::spawn(writer.work())));
        let is_closed = AtomicBool::new(false);
        let inner = Inner { db, host, jobs: sender, fenced, counters, is_closed, writer };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Who this process is now: another one after it was fenced.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.inner.host.id()
    }

    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.inner.db.dialect()
    }

    /// Its address, without a password.
    #[must_use]
    pub fn shown_url(&self) -> &str {
        &self.inner.db.shown
    }

    /// Counts how often others have given this host up. It has then joined anew, as a host that owns nothing.
    #[must_use]
    pub fn fenced(&self) -> watch::Receiver<u64> {
        self.inner.fenced.clone()
    }

    #[must_use]
    pub fn writer_counts(&self) -> WriterCounts {
        self.inner.counters.read()
    }

    /// Carries `work` out in a transaction that it may share with others, and answers once that is committed. Where the
    /// database goes away meanwhile, `work` is called again, on a new transaction; it must not change anything else.
    ///
    /// # Errors
    /// What `work` returns; [`StoreError::Fenced`]; that the database is away, when patience ends.
    pub async fn write<T, F>(&self, patience: Patience, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut Tx) -> Work<'t, T> + Send + 'static,
    {
        if self.inner.is_closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        self.send(patience, work).await
    }

    async fn send<T, F>(&self, patience: Patience, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut Tx) -> Work<'t, T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = TypedJob { work, result: None, patience, reply };
        self.inner.jobs.send(Box::new(job)).await.map_err(|_unsent| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// A transaction that sees one committed state of the store.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        self.inner.db.begin_read().await
    }

    /// The other hosts that count.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn neighbours(&self) -> Result<Vec<Neighbour>, StoreError> {
        let mut tx = self.read().await?;
        hosts::neighbours(&mut tx, &self.host()).await
    }

    /// Gives another host up unless it has moved since; its runs then belong to nobody.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn fence(&self, dead: Neighbour) -> Result<bool, StoreError> {
        self.write(Patience::For(Duration::from_secs(5)), move |tx| {
            let dead = dead.clone();
            Box::pin(async move { hosts::fence(tx, &dead).await })
        })
        .await
    }

    /// Writes what waits, then lets the database go. Writes from here on are refused.
    pub async fn close(&self) {
        self.inner.is_closed.store(true, Ordering::Release);
        let writer = self.inner.writer.lock().await.take();
        if let Some(writer) = writer {
            // What waits is answered before this.
            let host = self.inner.host.clone();
            let left = self.send(Patience::For(CLOSE), move |tx| {
                let id = host.id();
                Box::pin(async move { hosts::leave(tx, &id).await })
            });
            if let Err(e) = left.await {
                tracing::warn!(error = %e, "what waited to be written when the store was closed");
            }
            writer.abort();
            // Aborted, it says nothing that matters.
            drop(writer.await);
        }
        self.inner.db.close().await;
    }
}
