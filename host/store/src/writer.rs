//! The one writer of a process: puts what waits into one transaction, proves first that this host still counts, and
//! repeats the whole where the database was away. Knows nothing of what is written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::db::{Db, Tx};
use crate::hosts::{self, Beat, HostId, SharedHost};
use crate::{StoreError, Value};

/// Jobs that may wait for the writer; who comes after waits itself.
pub(crate) const WAITING_MAX: usize = 1024;
/// Jobs in one transaction: a bound on what one failure repeats.
const BATCH_MAX: usize = 512;
/// Powers of two up to `BATCH_MAX`.
pub(crate) const JOBS_BUCKETS: usize = BATCH_MAX.trailing_zeros() as usize + 1;
const BACK_OFF_FIRST: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// A future that borrows the transaction.
pub(crate) type Work<'t, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 't>>;

/// How long a write outlasts a database that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Someone waits for the answer.
    For(Duration),
    /// It must not be lost: until the store is closed or this host is fenced.
    Always,
}

/// What the writer has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterCounts {
    pub transactions: u64,
    pub jobs: u64,
    /// Transactions that had to be repeated because the database was away or busy.
    pub repeated: u64,
    pub busy_us: u64,
    /// Transactions by how many writes they held: 1, 2, up to 4, up to 8, and so on to all that one may hold.
    pub by_jobs: [u64; JOBS_BUCKETS],
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    transactions: AtomicU64,
    jobs: AtomicU64,
    repeated: AtomicU64,
    busy_us: AtomicU64,
    by_jobs: [AtomicU64; JOBS_BUCKETS],
}

impl Counters {
    fn committed(&self, jobs: usize) {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.jobs.fetch_add(jobs as u64, Ordering::Relaxed);
        // A heartbeat holds none.
        if jobs > 0 {
            let bucket = jobs.next_power_of_two().trailing_zeros() as usize;
            self.by_jobs[bucket.min(JOBS_BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> WriterCounts {
        let read = |it: &AtomicU64| it.load(Ordering::Relaxed);
        WriterCounts {
            transactions: read(&self.transactions),
            jobs: read(&self.jobs),
            repeated: read(&self.repeated),
            busy_us: read(&self.busy_us),
            by_jobs: self.by_jobs.each_ref().map(read),
        }
    }
}

/// One write on its way: may be carried out several times, and is answered once.
pub(crate) trait Job: Send {
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> Work<'t, ()>;
    fn settle(self: Box<Self>, outcome: Result<(), StoreError>);
    fn patience(&self) -> Patience;
    fn is_abandoned(&self) -> bool;
}

pub(crate) struct TypedJob<T, F> {
    pub(crate) work: F,
    pub(crate) result: Option<T>,
    pub(crate) patience: Patience,
    pub(crate) reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for TypedJob<T, F>
where
    T: Send + 'static,
    F: for<'t> FnMut(&'t mut Tx) -> Work<'t, T> + Send,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> Work<'t, ()> {
        Box::pin(async move {
            self.result = Some((self.work)(tx).await?);
            Ok(())
        })
    }

    fn settle(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let answer = outcome.map(|()| result.expect("a job that went well has a result"));
        // Whoever asked may be gone; what was written stays.
        drop(reply.send(answer));
    }

    fn patience(&self) -> Patience {
        self.patience
    }

    fn is_abandoned(&self) -> bool {
        self.patience != Patience::Always && self.reply.is_closed()
    }
}

/// A job and how it went in this transaction.
pub(crate) struct Entry {
    job: Box<dyn Job>,
    came_at: Instant,
    refused: Option<StoreError>,
}

impl Entry {
    fn new(job: Box<dyn Job>) -> Self {
        Self { job, came_at: Instant::now(), refused: None }
    }
}

pub(crate) struct Writer {
    pub(crate) db: Db,
    pub(crate) jobs: mpsc::Receiver<Box<dyn Job>>,
    /// What came while a batch could not be written.
    pub(crate) waiting: Vec<Entry>,
    pub(crate) host: SharedHost,
    /// What people call this process, as a machine's name.
    pub(crate) host_name: String,
    pub(crate) beat: Beat,
    /// How often to prove that this host lives while nothing is written; `None`: nobody watches.
    pub(crate) heartbeat: Option<Duration>,
    /// How often others have taken this process for dead.
    pub(crate) fenced: watch::Sender<u64>,
    pub(crate) counters: Arc<Counters>,
}

impl Writer {
    pub(crate) async fn work(mut self) {
        loop {
            let Some(batch) = self.next_batch().await else { return };
            self.carry_out(batch).await;
        }
    }

    /// What waits, or nothing when it is time for a heartbeat; `None` when the store is closed.
    async fn next_batch(&mut self) -> Option<Vec<Entry>> {
        if self.waiting.is_empty() {
            let first = match self.heartbeat {
                None => self.jobs.recv().await,
                Some(period) => match tokio::time::timeout(period, self.jobs.recv()).await {
                    Ok(first) => first,
                    Err(_) => return Some(Vec::new()),
                },
            };
            self.waiting.push(Entry::new(first?));
        }
        self.gather();
        Some(std::mem::take(&mut self.waiting))
    }

    fn gather(&mut self) {
        while self.waiting.len() < BATCH_MAX
            && let Ok(job) = self.jobs.try_recv()
        {
            self.waiting.push(Entry::new(job));
        }
    }

    async fn carry_out(&mut self, mut batch: Vec<Entry>) {
        let mut back_off = BACK_OFF_FIRST;
        let mut is_sent = false;
        loop {
            batch.retain(|it| !it.job.is_abandoned());
            let began = Instant::now();
            let done = self.transaction(&mut batch, &mut is_sent).await;
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.counters.busy_us.fetch_add(took, Ordering::Relaxed);
            match done {
                Ok(()) => {
                    self.counters.committed(batch.len());
                    for it in batch {
                        it.job.settle(it.refused.map_or(Ok(()), Err));
                    }
                    return;
                }
                Err(e) if e.is_passing() && !batch.is_empty() => {
                    self.counters.repeated.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(error = %e, waiting = batch.len(), "the store is away; trying again");
                    batch = give_up_on_the_impatient(batch, &e);
                    if batch.is_empty() {
                        return;
                    }
                    // The batch stays as it is, for it may have been written; what comes meanwhile waits no longer than
                    // it wants to.
                    self.gather();
                    let waiting = std::mem::take(&mut self.waiting);
                    self.waiting = give_up_on_the_impatient(waiting, &e);
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                }
                Err(e) => {
                    // Before anybody hears of it: whoever asks who this host is then gets the answer that holds.
                    if matches!(e, StoreError::Fenced) {
                        self.rejoin().await;
                    }
                    for it in batch {
                        it.job.settle(Err(e.clone()));
                    }
                    return;
                }
            }
        }
    }

    /// Others have this host's runs now. It goes on as another host, which owns nothing yet.
    async fn rejoin(&mut self) {
        let next = self.host.next();
        tracing::warn!(host = %self.host.id(), %next, "this host was given up by the others; it joins anew");
        let mut back_off = BACK_OFF_FIRST;
        while let Err(e) = join_as(&self.db, &next, &self.host_name).await {
            tracing::warn!(error = %e, "cannot join the store; trying again");
            tokio::time::sleep(back_off).await;
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
        self.beat = Beat::new();
        self.host.set(next);
        self.fenced.send_modify(|it| *it += 1);
    }

    /// Carries all jobs out in one transaction. A job that is refused is undone alone. `is_sent`: a commit of these very
    /// jobs was sent before, and is again set before one is.
    async fn transaction(&mut self, batch: &mut [Entry], is_sent: &mut bool) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        if !self.beat.advance(&mut tx, &self.host.id()).await? {
            // The commit before, whose answer was lost, did happen.
            if *is_sent {
                return Ok(());
            }
            // It was of jobs that everybody has given up since.
            drop(tx);
            tx = self.db.begin().await?;
            self.beat.advance(&mut tx, &self.host.id()).await?;
        }
        let is_shared = batch.len() > 1;
        for it in batch.iter_mut() {
            it.refused = None;
            if is_shared {
                tx.execute("SAVEPOINT job", &[]).await?;
            }
            match it.job.run(&mut tx).await {
                Ok(()) if is_shared => drop(tx.execute("RELEASE SAVEPOINT job", &[]).await?),
                Ok(()) => {}
                Err(e) if e.is_passing() || matches!(e, StoreError::Fenced) => return Err(e),
                Err(e) => {
                    it.refused = Some(e);
                    if !is_shared {
                        return Ok(());
                    }
                    tx.execute("ROLLBACK TO SAVEPOINT job", &[]).await?;
                }
            }
        }
        *is_sent = true;
        let committed = tx.commit().await;
        self.beat.settle(&committed);
        committed
    }
}

/// From here on the host counts until someone fences it.
pub(crate) async fn join_as(db: &Db, host: &HostId, name: &str) -> Result<(), StoreError> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now_ns = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
    let mut tx = db.begin().await?;
    hosts::join(&mut tx, host, name, now_ns).await?;
    tx.commit().await
}

fn give_up_on_the_impatient(batch: Vec<Entry>, error: &StoreError) -> Vec<Entry> {
    let is_patient = |it: &Entry| match it.job.patience() {
        Patience::Always => true,
        Patience::For(limit) => it.came_at.elapsed() < limit,
    };
    let (stay, go): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_patient);
    for it in go {
        it.job.settle(Err(error.clone()));
    }
    stay
}

/// A text argument, which most are.
pub(crate) fn text(it: impl Into<String>) -> Value {
    Value::Text(it.into())
}
