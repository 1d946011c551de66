//! The thread that advances the engines' epochs, so that a running guest looks up now and then. It rests while no
//! attempt runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// How often a guest looks up.
const TICK: Duration = Duration::from_millis(10);
/// Ticks without an attempt before the thread rests; short attempts in a row need not wake it each time.
const LINGER_TICKS: u32 = 20;

#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    running: AtomicUsize,
    state: Mutex<State>,
    wake: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("running", &self.running).finish_non_exhaustive()
    }
}

struct State {
    engines: Vec<Engine>,
    resting: bool,
    stopping: bool,
}

/// The epochs advance while one of these exists.
#[derive(Debug)]
pub(crate) struct Ticking<'a>(&'a Shared);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            state: Mutex::new(State { engines: vec![engine], resting: false, stopping: false }),
            wake: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("tidemill-epochs".into()).spawn(move || tick(&theirs))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(crate) fn add(&self, engine: Engine) {
        self.shared.state().engines.push(engine);
    }

    pub(crate) fn ticking(&self) -> Ticking<'_> {
        // Only the first attempt after a pause can find the thread resting, so the others take no lock. The thread
        // reads `running` under the lock before it rests: either it sees this attempt, or this sees it resting.
        if self.shared.running.fetch_add(1, Ordering::SeqCst) == 0 && self.shared.state().resting {
            self.shared.wake.notify_one();
        }
        Ticking(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.state().stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the ticker was reported by its own thread.
            let _reported = thread.join();
        }
    }
}

fn tick(shared: &Shared) {
    let mut idle_ticks = 0;
    let mut state = shared.state();
    while !state.stopping {
        idle_ticks = if shared.running.load(Ordering::SeqCst) == 0 { idle_ticks + 1 } else { 0 };
        if idle_ticks > LINGER_TICKS {
            state.resting = true;
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.resting = false;
            idle_ticks = 0;
        } else {
            state = shared.wake.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        for engine in &state.engines {
            engine.increment_epoch();
        }
    }
}
