//! Writes down what nobody waits for: who did what, and when a token was last used. Many of these become one write.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tidemill_store::{AuditEntry, Patience, Store, note_audit, note_use};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What may wait to be written. What comes when that is full is logged instead.
const WAITING_MAX: usize = 4096;
const BATCH_MAX: usize = 256;
/// How exactly the last use of a token is known.
const USE_NOTED_EVERY_NS: i64 = 60_000_000_000;
/// How long an entry waits for a database that is away, before it is logged instead.
const PATIENCE: Duration = Duration::from_secs(60);

enum Message {
    Audit(AuditEntry),
    Used {
        token: String,
        at: i64,
    },
    /// Answered when all that came before is written.
    Flush(oneshot::Sender<()>),
}

/// Clones write into one book.
#[derive(Debug)]
pub(crate) struct Clerk {
    messages: mpsc::Sender<Message>,
    used: Mutex<HashMap<String, i64>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Clerk {
    pub(crate) fn start(store: Store) -> Self {
        let (messages, received) = mpsc::channel(WAITING_MAX);
        let task = Mutex::new(Some(tokio::spawn(work(store, received))));
        Self { messages, used: Mutex::default(), task }
    }

    pub(crate) fn note(&self, entry: AuditEntry) {
        if let Err(e) = self.messages.try_send(Message::Audit(entry)) {
            let (mpsc::error::TrySendError::Full(Message::Audit(entry))
            | mpsc::error::TrySendError::Closed(Message::Audit(entry))) = e
            else {
                return;
            };
            log(&entry, "too many entries wait");
        }
    }

    pub(crate) fn note_use(&self, token: &str, at: i64) {
        {
            let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match used.get(token) {
                Some(last) if at - last < USE_NOTED_EVERY_NS => return,
                Some(_) | None => drop(used.insert(token.to_owned(), at)),
            }
        }
        // One that is lost is noted a minute later.
        drop(self.messages.try_send(Message::Used { token: token.to_owned(), at }));
    }

    /// Waits until what was noted before is written, or is known not to be.
    pub(crate) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.messages.send(Message::Flush(done)).await.is_ok() {
            // Dropped without an answer: the clerk has ended, and wrote all before.
            drop(wait.await);
        }
    }

    pub(crate) async fn stop(&self) {
        self.flush().await;
        let task = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

async fn work(store: Store, mut messages: mpsc::Receiver<Message>) {
    let mut batch = Vec::new();
    while messages.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (mut entries, mut used, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for it in batch.drain(..) {
            match it {
                Message::Audit(entry) => entries.push(entry),
                Message::Used { token, at } => used.push((token, at)),
                Message::Flush(done) => waiting.push(done),
            }
        }
        if !entries.is_empty() || !used.is_empty() {
            write(&store, entries, used).await;
        }
        for it in waiting {
            // Who asked may be gone.
            it.send(()).ok();
        }
    }
}

async fn write(store: &Store, entries: Vec<AuditEntry>, used: Vec<(String, i64)>) {
    let kept = entries.clone();
    let written = store
        .write(Patience::For(PATIENCE), move |tx| {
            let (entries, used) = (entries.clone(), used.clone());
            Box::pin(async move {
                note_audit(tx, &entries).await?;
                for (token, at) in &used {
                    note_use(tx, token, *at).await?;
                }
                Ok(())
            })
        })
        .await;
    if let Err(e) = written {
        let why = e.to_string();
        kept.iter().for_each(|it| log(it, &why));
    }
}

fn log(entry: &AuditEntry, why: &str) {
    let AuditEntry { who, action, target, status, remote, request, .. } = entry;
    tracing::warn!(who, action, target, status, remote, request, why, "an audit entry could not be kept");
}
