//! Loads components and runs attempts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tidemill_plan::Digest;
use wasmtime::component::Linker;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::attempt::{Attempt, AttemptLimits, Ended, Outcome};
use crate::cache::{self, Cache, Cached};
use crate::component::{self, Component, Loaded, Ready, Source};
use crate::description;
use crate::ended;
use crate::engine::{Metering, PoolSize, engine};
use crate::error::SandboxError;
use crate::host::{Fault, Host};
use crate::imports;
use crate::interrupt::Interrupt;
use crate::state::{State, Stop, Stopped, Surroundings};
use crate::ticker::Ticker;
use crate::wire::{DescriptionRecord, ErrorRecord, IdentityRecord};

/// What describing a task may take.
const DESCRIBE_LIMITS: AttemptLimits = AttemptLimits {
    memory_bytes: 256 << 20,
    output_bytes: 0,
    log_bytes: 1 << 20,
    time_ms: Some(10_000),
    fuel: None,
};
/// What one call may lift from a guest besides bulk data: schemas, names.
const SMALL_DATA_BYTES: u64 = 4 << 20;

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where compiled components are kept: a folder that only this user can enter, made where it is missing. `None`:
    /// every component is compiled anew.
    pub cache_dir: Option<PathBuf>,
    /// Attempts that may run at once; more of them fail, to be tried again.
    pub instances_max: u32,
    /// Linear memory that a free place keeps for the next attempt (bytes): clearing used pages is cheaper than
    /// faulting in new ones.
    pub keep_resident_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_dir: None, instances_max: 64, keep_resident_bytes: 256 << 20 }
    }
}

impl Options {
    /// `tidemill/components` in the user's cache folder.
    #[must_use]
    pub fn user_cache_dir() -> Option<PathBuf> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
        let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|it| it.join(".cache")))?;
        Some(caches.join("tidemill").join("components"))
    }
}

/// Runs tasks. Clones share engines, pool and cache; one per process is meant.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    plain: Linked,
    /// Made when an attempt first asks for fuel.
    metered: OnceLock<Linked>,
    pool: PoolSize,
    ticker: Ticker,
    cache: Option<Cache>,
    compiled: AtomicU64,
    found_compiled: AtomicU64,
}

/// How often components were loaded since the sandbox was set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadCounts {
    pub compiled: u64,
    /// Their native code was there from before.
    pub found_compiled: u64,
}

struct Linked {
    engine: Engine,
    linker: Linker<State>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("pool", &self.0.pool).finish_non_exhaustive()
    }
}

impl Linked {
    fn new(metering: Metering, pool: PoolSize) -> Result<Self, SandboxError> {
        let engine = engine(metering, pool)?;
        let linker = imports::linker(&engine)
            .map_err(|error| SandboxError::Engine { reason: format!("link the contract: {error:#}") })?;
        Ok(Self { engine, linker })
    }
}

impl Sandbox {
    /// Sets up the engine, the pool and the cache.
    pub fn new(options: Options) -> Result<Self, SandboxError> {
        let pool = PoolSize {
            instances_max: options.instances_max,
            keep_resident_bytes: options.keep_resident_bytes,
        };
        let plain = Linked::new(Metering::Epochs, pool)?;
        let ticker = Ticker::start(plain.engine.clone())
            .map_err(|error| SandboxError::Engine { reason: format!("start a thread: {error}") })?;
        let cache = options.cache_dir.map(|dir| Cache::open(&dir)).transpose()?;
        let (compiled, found_compiled) = (AtomicU64::new(0), AtomicU64::new(0));
        let metered = OnceLock::new();
        Ok(Self(Arc::new(Inner { plain, metered, pool, ticker, cache, compiled, found_compiled })))
    }

    #[must_use]
    pub fn load_counts(&self) -> LoadCounts {
        let read = |it: &AtomicU64| it.load(Ordering::Relaxed);
        LoadCounts { compiled: read(&self.0.compiled), found_compiled: read(&self.0.found_compiled) }
    }

    /// Loads a component from a file.
    pub fn load(&self, path: &Path) -> Result<Component, SandboxError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| SandboxError::Unreadable {
            component: name.clone(),
            reason: error.to_string(),
        })?;
        self.0.load(name, &bytes, Source::File(path.to_owned()))
    }

    /// Loads a component from memory; `name` stands for it in errors.
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Component, SandboxError> {
        self.0.load(name.to_owned(), bytes, Source::Bytes(bytes.into()))
    }

    /// Runs one attempt on this thread, to its end.
    pub fn run(&self, component: &Component, attempt: &Attempt<'_>, host: &mut dyn Host) -> Ended {
        self.0.run(component, attempt, host)
    }
}

impl Inner {
    fn load(&self, name: String, bytes: &[u8], source: Source) -> Result<Component, SandboxError> {
        component::check_kind(&name, bytes)?;
        let digest = Digest::of(bytes);
        let Linked { engine, linker } = &self.plain;
        let entry = cache::entry_name(engine, &digest);
        let cached = self.find(engine, &entry);
        let (compiled, known) = match cached {
            Some(Cached { component, description }) => (component, Some(description)),
            None => (compile(engine, &name, bytes)?, None),
        };
        let interface = component::interface(&name, engine, &compiled)?;
        let ready = component::link(&name, linker, &compiled, &interface.handler)?;
        let record = match &known {
            Some(record) => record.clone(),
            None => self.describe(&name, &ready)?,
        };
        let description = description::checked(&record)
            .map_err(|what| SandboxError::InvalidDescription { component: name.clone(), what })?;
        if known.is_none() {
            self.keep(&entry, &compiled, &record);
        }
        let size_bytes = bytes.len() as u64;
        let description = Arc::new(description);
        let metered = OnceLock::new();
        Ok(Component(Arc::new(Loaded {
            name,
            digest,
            size_bytes,
            interface,
            description,
            ready,
            metered,
            source,
        })))
    }

    fn find(&self, engine: &Engine, entry: &str) -> Option<Cached> {
        let found = self.cache.as_ref().and_then(|it| it.find(engine, entry));
        let counter = if found.is_some() { &self.found_compiled } else { &self.compiled };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn keep(&self, entry: &str, compiled: &wasmtime::component::Component, record: &DescriptionRecord) {
        if let Some(cache) = &self.cache {
            // A full or read-only disk costs the next start a compilation, nothing else.
            let _not_kept = cache.keep(entry, compiled, record);
        }
    }

    fn describe(&self, name: &str, ready: &Ready) -> Result<DescriptionRecord, SandboxError> {
        let failed = |reason: String| SandboxError::DescribeFailed { component: name.to_owned(), reason };
        let state = State::new(None, DESCRIBE_LIMITS, Interrupt::new(), 0);
        let mut store = self.store(&self.plain.engine, state).map_err(|error| failed(error.to_string()))?;
        let _ticking = self.ticker.ticking();
        let returned = call_describe(&mut store, ready);
        returned.map_err(|error| match store.data_mut().stop.take() {
            Some(Stop::Failed(failure)) => failed(failure.what),
            _ => failed(ended::trapped(store.data(), &error).what),
        })
    }

    fn run(&self, component: &Component, attempt: &Attempt<'_>, host: &mut dyn Host) -> Ended {
        let begin = Instant::now();
        let surroundings = Surroundings {
            host: outlive(host),
            description: Arc::clone(component.description()),
            identity: IdentityRecord {
                run: attempt.run.to_owned(),
                node: attempt.node.to_owned(),
                table: attempt.table.to_owned(),
                attempt: attempt.attempt,
                seed: attempt.seed,
            },
            parameters: attempt.parameters.to_owned(),
            window: attempt.window,
            members: BTreeMap::new(),
        };
        let state = State::new(Some(surroundings), attempt.limits, attempt.interrupt.clone(), attempt.seed);
        let (engine, ready) = match self.ready(component, attempt.limits) {
            Ok(found) => found,
            Err(error) => return refused(&error),
        };
        // The store, and with it the reference to the host, is gone when this function returns.
        let mut store = match self.store(engine, state) {
            Ok(store) => store,
            Err(error) => return refused(&SandboxError::Engine { reason: error.to_string() }),
        };
        let ticking = self.ticker.ticking();
        let returned = call_run(&mut store, ready);
        drop(ticking);
        finish(store, begin, returned)
    }

    fn ready<'a>(
        &'a self,
        component: &'a Component,
        limits: AttemptLimits,
    ) -> Result<(&'a Engine, &'a Ready), SandboxError> {
        let loaded = &component.0;
        if limits.fuel.is_none() {
            return Ok((&self.plain.engine, &loaded.ready));
        }
        let linked = match self.metered.get() {
            Some(linked) => linked,
            None => {
                let linked = Linked::new(Metering::Fuel, self.pool)?;
                self.metered.get_or_init(|| {
                    self.ticker.add(linked.engine.clone());
                    linked
                })
            }
        };
        if let Some(ready) = loaded.metered.get() {
            return Ok((&linked.engine, ready));
        }
        let ready = self.compile_metered(loaded, linked)?;
        Ok((&linked.engine, loaded.metered.get_or_init(|| ready)))
    }

    fn compile_metered(&self, loaded: &Loaded, linked: &Linked) -> Result<Ready, SandboxError> {
        let unreadable = |reason: String| SandboxError::Unreadable { component: loaded.name.clone(), reason };
        let bytes: Arc<[u8]> = match &loaded.source {
            Source::Bytes(bytes) => Arc::clone(bytes),
            Source::File(path) => std::fs::read(path).map_err(|error| unreadable(error.to_string()))?.into(),
        };
        if Digest::of(&bytes) != loaded.digest {
            return Err(unreadable("it has changed since it was loaded".into()));
        }
        let entry = cache::entry_name(&linked.engine, &loaded.digest);
        let cached = self.find(&linked.engine, &entry);
        let (compiled, fresh) = match cached {
            Some(cached) => (cached.component, None),
            None => (
                compile(&linked.engine, &loaded.name, &bytes)?,
                Some(self.describe(&loaded.name, &loaded.ready)?),
            ),
        };
        if let Some(record) = fresh {
            self.keep(&entry, &compiled, &record);
        }
        component::link(&loaded.name, &linked.linker, &compiled, &loaded.interface.handler)
    }

    fn store(&self, engine: &Engine, state: State) -> wasmtime::Result<Store<State>> {
        let limits = state.limits;
        let interrupt = state.interrupt.clone();
        let begin = Instant::now();
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.memory);
        let bulk = limits.output_bytes.min(limits.memory_bytes);
        store.set_hostcall_fuel(usize::try_from(bulk.saturating_add(SMALL_DATA_BYTES)).unwrap_or(usize::MAX));
        if let Some(fuel) = limits.fuel {
            store.set_fuel(fuel)?;
        }
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |mut store| {
            if let Some(cause) = interrupt.cause() {
                store.data_mut().stop.get_or_insert(Stop::Interrupted(cause));
                return Err(Stopped.into());
            }
            match limits.time_ms {
                Some(limit) if begin.elapsed() >= Duration::from_millis(limit) => {
                    Err(store.data_mut().fail(too_long(limit)).into())
                }
                _ => Ok(UpdateDeadline::Continue(1)),
            }
        });
        Ok(store)
    }
}

fn too_long(limit_ms: u64) -> Fault {
    Fault::retryable(
        tidemill_plan::Code("timeout"),
        format!("the task ran longer than its limit of {limit_ms} ms"),
        "look for an endless loop, or raise `timeout` of the node",
    )
}

fn compile(
    engine: &Engine,
    name: &str,
    bytes: &[u8],
) -> Result<wasmtime::component::Component, SandboxError> {
    wasmtime::component::Component::from_binary(engine, bytes).map_err(|error| {
        SandboxError::InvalidComponent { component: name.to_owned(), reason: format!("{error:#}") }
    })
}

fn call_describe(store: &mut Store<State>, ready: &Ready) -> wasmtime::Result<DescriptionRecord> {
    let instance = ready.instance.instantiate(&mut *store)?;
    // Looked up for its signature alone: `run` must not be the first to find that it does not fit.
    instance.get_typed_func::<(), (Result<(), ErrorRecord>,)>(&mut *store, &ready.run)?;
    let describe = instance.get_typed_func::<(), (DescriptionRecord,)>(&mut *store, &ready.describe)?;
    Ok(describe.call(store, ())?.0)
}

fn call_run(store: &mut Store<State>, ready: &Ready) -> ended::Returned {
    let instance = ready.instance.instantiate(&mut *store)?;
    let run = instance.get_typed_func::<(), (Result<(), ErrorRecord>,)>(&mut *store, &ready.run)?;
    Ok(run.call(store, ())?.0)
}

fn finish(mut store: Store<State>, begin: Instant, returned: ended::Returned) -> Ended {
    let fuel_left = store.get_fuel().ok();
    let state = store.data_mut();
    state.finish_lines();
    let outcome = ended::outcome(state, returned);
    let mut usage = state.usage;
    usage.memory_peak_bytes = state.memory.peak;
    usage.log_bytes = state.log.used;
    usage.fuel = state.limits.fuel.and_then(|limit| Some(limit.saturating_sub(fuel_left?)));
    drop(store);
    usage.wall_us = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ended { outcome, usage }
}

/// An attempt that could not begin.
fn refused(error: &SandboxError) -> Ended {
    let fault = Fault::permanent(error.code(), error.to_string(), error.mend());
    Ended { outcome: Outcome::Failed(fault.into()), usage: crate::attempt::Usage::default() }
}

/// wasmtime wants whatever a store holds to be `'static`.
fn outlive<'a>(host: &'a mut (dyn Host + 'a)) -> &'static mut dyn Host {
    #[expect(unsafe_code, reason = "a store cannot hold a borrowed host otherwise")]
    // SAFETY: only the lifetime changes. The one caller, `Inner::run`, moves the reference into a store that it drops
    // before it returns, also when it unwinds; `'a` covers that call. No function lets the reference, or the store,
    // get out: what a guest call returns is plain data.
    unsafe {
        std::mem::transmute::<&'a mut (dyn Host + 'a), &'static mut (dyn Host + 'static)>(host)
    }
}
