//! Runs of the service: durable, many at a time, taken over from hosts that went away. `center` has the threads, `run`
//! one run in memory, `journal` and `fold` what is kept of it, `claims` and `flights` its way from and to the store.

mod artefacts;
mod center;
mod claims;
mod counts;
mod flights;
mod fold;
mod journal;
mod mirrors;
mod publish;
mod request;
mod run;
mod views;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tidemill_lake::Lake;
use tidemill_plan::{Machine, Problem};
use tidemill_sandbox::Sandbox;
use tidemill_store::{MirrorDatabase, RunRow, Store};
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinSet;

pub use self::counts::AttemptCounts;
pub use self::mirrors::MIRRORS_MAX;
pub use self::request::{Deployed, LivePlan, RunRequest, source_table_missing};
pub use self::views::{Follower, LiveLoad, RunView};

use self::center::Center;
use crate::live_table::LiveTables;
use crate::record::RunId;
use crate::shape::Capacities;

/// Events that a slow listener may be behind before it misses some and must read the journal instead.
const EVENTS_MAX: usize = 1024;

/// A future of a trait object.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Knows pipelines and components by name.
pub trait Deployments: Send + Sync {
    /// A version of a pipeline with what it needs in place. References stand for what `pins` says, where it says
    /// anything, else for what their tags name now.
    fn materialise<'a>(
        &'a self,
        pipeline: &'a str,
        version: i64,
        pins: Option<&'a std::collections::BTreeMap<String, tidemill_plan::Digest>>,
    ) -> Soon<'a, Result<Deployed, Problem>>;
}

/// How runs of the service are carried out.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Most attempts at a time.
    pub jobs: u32,
    /// Most runs at a time; the others wait in the store.
    pub runs_max: u32,
    pub machine: Machine,
    /// Where logs lie: `<root>/runs/<run>/logs/…`.
    pub records_root: PathBuf,
    /// How long another host may be silent before its runs are taken over.
    pub lease: Duration,
    /// Where tables are mirrored.
    pub mirror: Option<MirrorDatabase>,
}

/// What all runs share.
#[derive(Clone)]
pub(crate) struct LiveContext {
    pub(crate) store: Store,
    pub(crate) lake: Lake,
    pub(crate) tables: LiveTables,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) deployments: Arc<dyn Deployments>,
    pub(crate) machine: Machine,
    pub(crate) jobs: u32,
    pub(crate) runs_max: usize,
    pub(crate) records_root: PathBuf,
    pub(crate) lease: Duration,
    pub(crate) mirror: Option<MirrorDatabase>,
}

/// A run has moved on: its journal is longer by now.
#[derive(Clone, Debug)]
pub struct Moved {
    pub run: RunId,
    pub has_ended: bool,
}

/// Carries out the runs that this process owns.
pub struct Live {
    context: LiveContext,
    center: Arc<Center>,
    moved: broadcast::Sender<Moved>,
    /// Tables of the mirror may be behind.
    behind: Notify,
    stop: watch::Sender<bool>,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

/// When the tables that others may have changed were last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// After the run was asked for.
    Now,
    Before,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    /// Starts threads for attempts, and goes on with the runs that were left. Needs a tokio runtime.
    #[must_use]
    pub fn start(
        store: Store,
        (lake, tables): (Lake, LiveTables),
        sandbox: Arc<Sandbox>,
        deployments: Arc<dyn Deployments>,
        options: LiveOptions,
    ) -> Arc<Self> {
        let LiveOptions { jobs, runs_max, machine, records_root, lease, mirror } = options;
        let on_failure = tidemill_engine::OnFailure::FailFast;
        let capacity = Capacities { jobs, machine, on_failure }.capacity();
        let runs_max = usize::try_from(runs_max).expect("usize has at least 32 bits");
        let context = LiveContext {
            store,
            lake,
            tables,
            sandbox,
            deployments,
            machine,
            jobs,
            runs_max,
            records_root,
            lease,
            mirror,
        };
        let center = Arc::new(Center::new(context.clone(), capacity));
        let mut threads = Vec::new();
        for _ in 0..jobs {
            let center = Arc::clone(&center);
            threads.push(thread("attempts", move || center.work()));
        }
        let watcher = Arc::clone(&center);
        threads.push(thread("timers", move || watcher.watch()));
        let (moved, _) = broadcast::channel(EVENTS_MAX);
        let (stop, _) = watch::channel(false);
        let live = Arc::new(Self {
            context,
            center,
            moved,
            behind: Notify::new(),
            stop,
            tasks: tokio::sync::Mutex::new(JoinSet::new()),
            threads: Mutex::new(threads),
        });
        let mut tasks = live.tasks.try_lock().expect("nobody else has it yet");
        tasks.spawn(flights::fly(Arc::clone(&live)));
        tasks.spawn(claims::claim(Arc::clone(&live)));
        tasks.spawn(mirrors::follow(Arc::clone(&live)));
        drop(tasks);
        live
    }

    /// A run was submitted, or something is wanted of one: look at once.
    pub fn look(&self) {
        self.center.room.notify_one();
    }

    /// Whether a run that is asked for now can begin here at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.center.ids().len() < self.context.runs_max && !*self.stop.borrow()
    }

    /// Begins a run that was planned already and kept as this process's own.
    pub fn begin(self: &Arc<Self>, row: RunRow, request: RunRequest, live_plan: LivePlan, tables: Seen) {
        let Some(host) = row.owner.clone() else { return self.look() };
        tokio::spawn(claims::begin_planned(Arc::clone(self), row, host, (request, live_plan), tables));
    }

    /// Ends a run at once if this process has it; else its owner sees the wish soon.
    pub fn cancel(&self, run: &RunId) {
        if !self.center.cancel(run) {
            self.look();
        }
    }

    /// Is told of every run whose journal has grown.
    #[must_use]
    pub fn moves(&self) -> broadcast::Receiver<Moved> {
        self.moved.subscribe()
    }

    /// Ends gracefully: nothing begins any more, attempts may end within the grace, what is left is handed back and goes
    /// on when a host takes it.
    pub async fn shutdown(&self, grace: Duration) {
        self.stop.send_replace(true);
        let (center, until) = (Arc::clone(&self.center), Instant::now() + grace);
        if let Err(e) = tokio::task::spawn_blocking(move || center.drain(until)).await {
            tracing::error!(error = %e, "waiting for attempts to end");
        }
        for run in self.center.ids() {
            let host = self.center.with(&run, |it| it.host.clone());
            self.center.abandon(&run);
            if let Some(host) = host
                && let Err(e) = self.context.store.release(run.0.clone(), host).await
            {
                tracing::warn!(%run, error = %e, "a run could not be handed back; it is taken over later");
            }
        }
        self.center.end();
        let mut tasks = self.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().all(|it| it.join().is_ok())).await;
        if !matches!(joined, Ok(true)) {
            tracing::error!("a thread of attempts has panicked");
        }
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(work).expect("the system starts threads")
}
