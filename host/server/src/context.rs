//! What every request can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidemill_driver::{Live, LiveOptions, LiveTables, RunId};
use tidemill_lake::Lake;
use tidemill_plan::Digest;
use tidemill_sandbox::Sandbox;
use tidemill_store::{MirrorDatabase, Store};
use tokio::sync::{Semaphore, watch};

use crate::clerk::Clerk;
use crate::files::Files;
use crate::metrics::Metrics;
use crate::{Deployments, Registry, ServeOptions, clock};

/// Shared by all requests; cheap to clone.
#[derive(Clone, Debug)]
pub struct Context(Arc<Shared>);

/// See [`Context`].
#[derive(Debug)]
pub struct Shared {
    pub options: ServeOptions,
    pub store: Store,
    pub registry: Arc<Registry>,
    pub deployments: Deployments,
    pub live: Arc<Live>,
    pub lake: Lake,
    pub tables: LiveTables,
    pub metrics: Metrics,
    pub(crate) clerk: Clerk,
    /// Requests that may be worked on at one time.
    pub(crate) slots: Semaphore,
    requests: AtomicU64,
    /// Tells this process's requests from those of others.
    request_prefix: String,
    stopping: watch::Sender<bool>,
}

impl std::ops::Deref for Context {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Context {
    pub(crate) fn new(
        options: ServeOptions,
        store: Store,
        sandbox: Arc<Sandbox>,
        (lake, tables): (Lake, LiveTables),
        mirror: Option<MirrorDatabase>,
        request_prefix: String,
    ) -> Self {
        let clerk = Clerk::start(store.clone());
        let slots = Semaphore::new(options.limits.requests_max);
        let registry = Arc::new(Registry::new(store.clone(), options.components_dir(), sandbox));
        let deployments = Deployments::new(
            store.clone(),
            Arc::clone(&registry),
            Files::new(options.files_dir()),
            options.deployments_dir(),
            mirror.clone(),
        );
        let live_options = LiveOptions {
            jobs: options.jobs,
            runs_max: options.runs_max,
            machine: options.machine,
            records_root: options.records_dir(),
            lease: options.lease,
            mirror,
        };
        let sandbox = Arc::clone(registry.sandbox());
        let known = Arc::new(deployments.clone());
        let code = Arc::clone(&sandbox);
        let live = Live::start(store.clone(), (lake.clone(), tables.clone()), sandbox, known, live_options);
        let metrics = Metrics::new(store.clone(), Arc::clone(&live), code);
        Self(Arc::new(Shared {
            options,
            store,
            registry,
            deployments,
            live,
            lake,
            tables,
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

    pub(crate) fn new_run_id(&self) -> RunId {
        // No two of this process are alike, and hosts differ by their random prefix.
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let unique = Digest::of(format!("{}-{number}", self.request_prefix).as_bytes());
        let bytes = unique.0.first_chunk().copied().unwrap_or_default();
        RunId::at(clock::now(), u64::from_le_bytes(bytes))
    }

    pub(crate) fn next_request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.request_prefix)
    }
}
