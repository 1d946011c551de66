//! What every request can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tidemill_store::Store;
use tokio::sync::{Semaphore, watch};

use crate::ServeOptions;
use crate::clerk::Clerk;
use crate::metrics::Metrics;

/// Shared by all requests; cheap to clone.
#[derive(Clone, Debug)]
pub struct Context(Arc<Shared>);

/// See [`Context`].
#[derive(Debug)]
pub struct Shared {
    pub options: ServeOptions,
    pub store: Store,
    pub metrics: Metrics,
    pub(crate) clerk: Clerk,
    /// Requests that may be worked on at one time.
    pub(crate) slots: Semaphore,
    requests: AtomicU64,
    /// Tells this process's requests from those of others.
    request_prefix: String,
    stopping: watch::Sender<bool>,
}

/// Something that goes on beside requests and is ended with the service.
pub trait Background: Send + Sync + std::fmt::Debug {
    /// Ends it, within the time; what is not done by then is handed back.
    fn stop(&self, grace: Duration) -> BoxFuture<'_, ()>;
}

impl std::ops::Deref for Context {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Context {
    pub(crate) fn new(options: ServeOptions, store: Store, request_prefix: String) -> Self {
        let clerk = Clerk::start(store.clone());
        let slots = Semaphore::new(options.limits.requests_max);
        let metrics = Metrics::new(store.clone());
        Self(Arc::new(Shared {
            options,
            store,
            metrics,
            clerk,
            slots,
            requests: AtomicU64::new(0),
            request_prefix,
            stopping: watch::Sender::new(false),
        }))
    }
}

impl Shared {
    /// Becomes true when the service stops: what streams without end ends then.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn next_request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.request_prefix)
    }
}
