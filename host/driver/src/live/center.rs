//! Where the runs of the service meet: they share the machine's room, the threads, and the tables that they write.
//! Decides who is next, not what.
//!
//! Attempts are carried out ahead of the journal: a task is pure, and what it wrote is seen by nobody before its end is
//! durable, so a crash takes an attempt, its output and all that was built on it together. What leaves this process
//! (tables, states, events) is durable first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidemill_engine::{AttemptId, Capacity, Event};
use tidemill_lake::WindowFolder;
use tidemill_plan::TableName;
use tokio::sync::Notify;

use super::LiveContext;
use super::counts::Counters;
use super::publish::catalog_commit;
use super::run::{Gate, Job, LiveRun, Pending};
use super::views::LiveLoad;
use crate::attempt::{AttemptEnd, Shared, run_attempt};
use crate::failure::is_of_host;
use crate::local::guarded;
use crate::record::RunId;

/// Entries of a run that may wait for the database before the run stops beginning attempts.
const PENDING_MAX: usize = 50_000;
/// How long an attempt rests that the machine keeps from going on: from the shortest, twice as long each time.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(15);
const NOTHING: Capacity = Capacity { cpus_milli: 0, memory_bytes: 0, attempts_max: 0 };

/// Why an attempt rests no longer.
enum Waked {
    Rested,
    /// It is to stop.
    Told,
    /// The process ends.
    Ended,
}

/// Whether the threads go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Working,
    /// Nothing begins any more.
    Stopping,
    /// Threads end.
    Ended,
}

pub(super) struct Center {
    state: Mutex<State>,
    /// There is an attempt to take, or the end has come.
    work: Condvar,
    /// When to wake may have changed.
    timer: Condvar,
    /// An attempt has ended, or a part of a journal is durable.
    settled: Condvar,
    /// Attempts that rest may have to stop.
    disturbed: Condvar,
    /// There is something to make durable.
    pub(super) flush: Notify,
    /// The room for one more run may be there.
    pub(super) room: Notify,
    pub(super) counters: Counters,
    context: LiveContext,
    capacity: Capacity,
}

struct State {
    runs: BTreeMap<RunId, LiveRun>,
    /// Attempts that have begun and wait for a thread, or for a table that another run's attempt writes.
    queue: VecDeque<Job>,
    /// Tables that are being written, and by whom, until they are visible or given up; two attempts never write one.
    busy: BTreeMap<TableName, (RunId, AttemptId)>,
    /// Attempts that wait for the machine's trouble to go away.
    resting: usize,
    /// Rises whenever a run is given room.
    served: u64,
    phase: Phase,
}

/// A part of a journal on its way to the store.
pub(super) struct Flight {
    pub(super) run: RunId,
    pub(super) host: tidemill_store::HostId,
    pub(super) seq: i64,
    pub(super) pending: Pending,
    pub(super) commit: Option<tidemill_store::CatalogCommit>,
    /// The record as of the last of these entries, where it is to be kept.
    pub(super) record: Option<String>,
    pub(super) began_at: i64,
    pub(super) ended: Option<(crate::record::RunState, Option<i64>)>,
    pub(super) counts: tidemill_engine::Counts,
}

impl Center {
    pub(super) fn new(context: LiveContext, capacity: Capacity) -> Self {
        let state = State {
            runs: BTreeMap::new(),
            queue: VecDeque::new(),
            busy: BTreeMap::new(),
            resting: 0,
            served: 0,
            phase: Phase::Working,
        };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            timer: Condvar::new(),
            settled: Condvar::new(),
            disturbed: Condvar::new(),
            flush: Notify::new(),
            room: Notify::new(),
            counters: Counters::default(),
            context,
            capacity,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a run in and begins it, or goes on with it.
    pub(super) fn insert(&self, mut run: LiveRun, gate: Gate) {
        let mut state = self.lock();
        run.gate = gate;
        let lent = state.lent_to(&run, self.capacity);
        let jobs = run.resume(lent);
        state.queue.extend(jobs);
        state.runs.insert(run.id().clone(), run);
        self.distribute(&mut state);
        self.tell(&state);
    }

    /// A thread's life.
    pub(super) fn work(&self) {
        let mut state = self.lock();
        while state.phase != Phase::Ended {
            let Some(job) = state.next_job() else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let end = self.carry_out(&job);
            state = self.lock();
            if let Some(end) = end {
                self.report(&mut state, &job, end);
            }
        }
    }

    /// Until the attempt has come to an end of its own: what the machine lacks is no failure of the task, so it begins
    /// again when that may have been mended. `None`: this process ends before.
    fn carry_out(&self, job: &Job) -> Option<AttemptEnd> {
        let mut pause = PAUSE_MIN;
        loop {
            let end = guarded(|| self.attempt(job));
            let AttemptEnd::Failed { failure, .. } = &end else { return Some(end) };
            if !is_of_host(failure.code) {
                return Some(end);
            }
            let node = &job.parts.live_plan.plan.nodes[job.position].name;
            tracing::warn!(run = %job.parts.run, %node, error = %failure, pause_ms = pause.as_millis(), "the attempt begins again");
            job.parts.told.trouble(job.position, Some(failure));
            let waked = self.rest(job, pause);
            job.parts.told.trouble(job.position, None);
            match waked {
                Waked::Rested => pause = (pause * 2).min(PAUSE_MAX),
                Waked::Told => return Some(AttemptEnd::Stopped),
                Waked::Ended => return None,
            }
        }
    }

    fn rest(&self, job: &Job, pause: Duration) -> Waked {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        state.rests(job, true);
        self.settled.notify_all();
        let waked = loop {
            let now = Instant::now();
            if state.phase == Phase::Ended {
                break Waked::Ended;
            }
            if job.interrupt.cause().is_some() {
                break Waked::Told;
            }
            // One that begins while the process stops would only be in the way.
            if now >= until && state.phase == Phase::Working {
                break Waked::Rested;
            }
            let wait =
                self.disturbed.wait_timeout(state, until.saturating_duration_since(now).max(PAUSE_MIN));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        };
        state.rests(job, false);
        self.timer.notify_one();
        waked
    }

    fn attempt(&self, job: &Job) -> AttemptEnd {
        let parts = &job.parts;
        let plan = &parts.live_plan.plan;
        let shared = Shared {
            plan,
            lake: &self.context.lake,
            scratch: None,
            lake_root: Some(&self.context.records_root),
            base: &parts.live_plan.base,
            folder: WindowFolder::of(&plan.window),
            sandbox: parts.live_plan.components.sandbox(),
            components: &parts.held.components,
            run: &parts.run,
            reuse: parts.reuse,
            observer: &parts.told,
            checkpoints: &parts.held.checkpoints,
            tables: &parts.held.tables,
            files: &parts.held.files,
            stored: &parts.held.stored,
            recompute: &parts.live_plan.recompute,
            expected: None,
            live: Some(&self.context.tables),
        };
        run_attempt(&shared, job.position, job.attempt.number, &job.interrupt)
    }

    fn report(&self, state: &mut State, job: &Job, end: AttemptEnd) {
        self.counters.note(&end);
        let others_wait = state.runs.values().any(|it| it.id() != &job.parts.run && it.is_hungry());
        // Given up meanwhile, and perhaps begun again: whatever it wrote is nobody's.
        let is_its = |it: &LiveRun| Arc::ptr_eq(&it.parts, &job.parts);
        let run =
            state.runs.get(&job.parts.run).is_some_and(is_its).then(|| state.runs.remove(&job.parts.run));
        let Some(mut run) = run.flatten() else {
            state.release(&job.parts.run, job.attempt);
            self.distribute(state);
            self.settled.notify_all();
            self.tell(state);
            return;
        };
        // Where others wait, room goes by turns.
        let lent = if others_wait { NOTHING } else { state.lent_to(&run, self.capacity) };
        let jobs = run.report(job.attempt, end, lent);
        if !run.pending.written.iter().any(|it| it.attempt == job.attempt) {
            state.release(&job.parts.run, job.attempt);
        }
        state.queue.extend(jobs);
        state.runs.insert(job.parts.run.clone(), run);
        if others_wait {
            self.distribute(state);
        }
        self.settled.notify_all();
        self.tell(state);
    }

    /// Gives what is free to the runs that wait for it: higher priority first, among equals whoever was served longest
    /// ago, an attempt at a time. Nobody overtakes: what does not fit waits for room, and the rest behind it.
    fn distribute(&self, state: &mut State) {
        while let Some(id) = state.hungriest() {
            let mut run = state.runs.remove(&id).expect("it was just found");
            let others_wait = state.runs.values().any(LiveRun::is_hungry);
            let mut lent = state.lent_to(&run, self.capacity);
            if others_wait {
                lent.attempts_max = lent.attempts_max.min(run.held().attempts_max + 1);
            }
            let jobs = run.step(Event::Tick, lent);
            let has_begun = !jobs.is_empty();
            if has_begun {
                state.served += 1;
                run.served = state.served;
            }
            state.queue.extend(jobs);
            state.runs.insert(id, run);
            if !has_begun {
                return;
            }
        }
    }

    /// Wakes whoever has something to do now.
    fn tell(&self, state: &State) {
        for _ in 0..state.queue.len() {
            self.work.notify_one();
        }
        if state.resting > 0 {
            self.disturbed.notify_all();
        }
        self.timer.notify_one();
        self.flush.notify_one();
    }

    /// Sends ticks when they are due; a thread of its own.
    pub(super) fn watch(&self) {
        let mut state = self.lock();
        while state.phase != Phase::Ended {
            let now = Instant::now();
            let due = state.runs.values().filter_map(LiveRun::wake_at).min();
            state = match due {
                Some(at) if at <= now => {
                    self.tick(&mut state, now);
                    state
                }
                Some(at) => {
                    let wait = self.timer.wait_timeout(state, at - now);
                    wait.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.timer.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn tick(&self, state: &mut State, now: Instant) {
        let is_due = |it: &LiveRun| it.wake_at().is_some_and(|at| at <= now);
        let due: Vec<RunId> = state.runs.values().filter(|it| is_due(it)).map(|it| it.id().clone()).collect();
        for id in due {
            self.step(state, &id, Event::Tick);
        }
        self.tell(state);
    }

    fn step(&self, state: &mut State, id: &RunId, event: Event) {
        let Some(mut run) = state.runs.remove(id) else { return };
        let lent = state.lent_to(&run, self.capacity);
        let jobs = run.step(event, lent);
        state.queue.extend(jobs);
        state.runs.insert(id.clone(), run);
    }

    /// Someone wants the run to end now. False when this process does not have it.
    pub(super) fn cancel(&self, id: &RunId) -> bool {
        let mut state = self.lock();
        let is_here = state.runs.contains_key(id);
        self.step(&mut state, id, Event::Cancel);
        let (gone, kept): (Vec<Job>, _) =
            std::mem::take(&mut state.queue).into_iter().partition(|it| it.interrupt.cause().is_some());
        state.queue = kept.into();
        // They have not begun anything: they have stopped.
        for job in gone {
            self.report(&mut state, &job, AttemptEnd::Stopped);
        }
        self.distribute(&mut state);
        self.tell(&state);
        is_here
    }

    pub(super) fn set_gate(&self, id: &RunId, gate: Gate) {
        let mut state = self.lock();
        let Some(run) = state.runs.get_mut(id) else { return };
        run.gate = gate;
        self.distribute(&mut state);
        self.tell(&state);
    }

    /// Everything that waits to be durable, of runs that have nothing on its way.
    pub(super) fn take_off(&self) -> Vec<Flight> {
        let mut state = self.lock();
        let ready = state.runs.values_mut().filter(|it| !it.is_flushing && !it.pending.entries.is_empty());
        ready.map(take_off).collect()
    }

    /// A part of a journal is durable, and its tables are what this snapshot of the catalog says.
    pub(super) fn landed(&self, flight: &Flight, snapshot: Option<i64>) {
        let mut ended = None;
        let mut state = self.lock();
        for it in &flight.pending.written {
            state.release(&flight.run, it.attempt);
        }
        if let Some(run) = state.runs.get_mut(&flight.run).filter(|it| it.host == flight.host) {
            run.is_flushing = false;
            run.seq = flight.seq + 1;
            if let Some(snapshot) = snapshot {
                run.versions.extend(flight.pending.written.iter().map(|it| (it.position, snapshot)));
            }
            if run.has_ended() && run.pending.entries.is_empty() {
                ended = state.runs.remove(&flight.run);
                self.room.notify_one();
            }
        }
        self.distribute(&mut state);
        self.settled.notify_all();
        self.tell(&state);
        drop(state);
        if let Some(run) = ended {
            run.parts.held.checkpoints.clear();
        }
    }

    /// A part of a journal will never be durable: what it wrote is nobody's, and the run ends here.
    pub(super) fn crashed(&self, flight: &Flight) {
        let mut state = self.lock();
        for it in &flight.pending.written {
            state.release(&flight.run, it.attempt);
        }
        let is_its = state.runs.get(&flight.run).is_some_and(|it| it.host == flight.host);
        drop(state);
        if is_its {
            self.abandon(&flight.run);
        }
    }

    /// The run is not this process's any more, or what it did cannot become visible: whatever runs of it ends.
    pub(super) fn abandon(&self, id: &RunId) {
        let mut state = self.lock();
        if let Some(mut run) = state.runs.remove(id) {
            run.abandon();
            for it in &run.pending.written {
                state.release(id, it.attempt);
            }
        }
        state.queue.retain(|it| it.parts.run != *id);
        self.distribute(&mut state);
        self.room.notify_one();
        self.settled.notify_all();
        self.tell(&state);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().phase == Phase::Ended
    }

    pub(super) fn ids(&self) -> BTreeSet<RunId> {
        self.lock().runs.keys().cloned().collect()
    }

    pub(super) fn with<T>(&self, id: &RunId, read: impl FnOnce(&LiveRun) -> T) -> Option<T> {
        self.lock().runs.get(id).map(read)
    }

    pub(super) fn load(&self) -> LiveLoad {
        let state = self.lock();
        let attempts = state.runs.values().map(LiveRun::attempts).sum();
        let ready = state.runs.values().map(|it| it.counts().ready).sum();
        LiveLoad { runs: state.runs.len(), attempts, ready }
    }

    /// Lets nothing begin any more, and waits until all that runs has ended and is durable, or the time is over.
    pub(super) fn drain(&self, until: Instant) {
        let mut state = self.lock();
        state.phase = Phase::Stopping;
        let is_busy = |state: &State| {
            let attempts: usize = state.runs.values().map(LiveRun::attempts).sum();
            attempts > state.resting
                || state.runs.values().any(|it| it.is_flushing || !it.pending.entries.is_empty())
        };
        while is_busy(&state) {
            let now = Instant::now();
            if now >= until {
                break;
            }
            let wait = self.settled.wait_timeout(state, until - now);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the threads.
    pub(super) fn end(&self) {
        self.lock().phase = Phase::Ended;
        self.work.notify_all();
        self.disturbed.notify_all();
        self.timer.notify_all();
        self.flush.notify_one();
    }
}

fn take_off(run: &mut LiveRun) -> Flight {
    run.is_flushing = true;
    let ended = run.has_ended();
    // The record holds all of the plan: it is kept when the run begins, and as it has become when the run ends.
    let keeps_record = run.seq == 0 || ended;
    Flight {
        run: run.id().clone(),
        host: run.host.clone(),
        seq: run.seq,
        commit: catalog_commit(run),
        pending: std::mem::take(&mut run.pending),
        record: keeps_record.then(|| run.kept_record()),
        began_at: run.record.began_at,
        ended: ended.then_some((run.record.state, run.record.ended_at)),
        counts: run.counts(),
    }
}

impl Job {
    /// The tables that its node writes.
    fn tables(&self) -> impl Iterator<Item = TableName> + '_ {
        self.parts.live_plan.plan.nodes[self.position].outputs.iter().map(|it| it.name.clone())
    }
}

impl State {
    /// What a run's attempts may hold together: what they hold, and all that is free.
    fn lent_to(&self, run: &LiveRun, capacity: Capacity) -> Capacity {
        let is_open =
            self.phase == Phase::Working && run.gate == Gate::Open && run.pending.entries.len() < PENDING_MAX;
        if !is_open {
            return NOTHING;
        }
        // The run itself may or may not be among the runs.
        let others = self.runs.values().filter(|it| it.id() != run.id()).map(LiveRun::held);
        let taken = others.fold(NOTHING, |sum, it| Capacity {
            cpus_milli: sum.cpus_milli + it.cpus_milli,
            memory_bytes: sum.memory_bytes.saturating_add(it.memory_bytes),
            attempts_max: sum.attempts_max + it.attempts_max,
        });
        Capacity {
            cpus_milli: capacity.cpus_milli.saturating_sub(taken.cpus_milli),
            memory_bytes: capacity.memory_bytes.saturating_sub(taken.memory_bytes),
            attempts_max: capacity.attempts_max.saturating_sub(taken.attempts_max).min(run.attempts_max),
        }
    }

    fn hungriest(&self) -> Option<RunId> {
        if self.phase != Phase::Working {
            return None;
        }
        let hungry = self.runs.values().filter(|it| it.is_hungry() && it.pending.entries.len() < PENDING_MAX);
        // Ids begin with the time of creation: who came first, where nobody was served yet.
        hungry.min_by_key(|it| (-it.priority, it.served, it.id().clone())).map(|it| it.id().clone())
    }

    /// Counts an attempt that rests, and stops the clock of its run meanwhile.
    fn rests(&mut self, job: &Job, begins: bool) {
        self.resting = if begins { self.resting + 1 } else { self.resting - 1 };
        let run = self.runs.get_mut(&job.parts.run).filter(|it| Arc::ptr_eq(&it.parts, &job.parts));
        if let Some(run) = run {
            run.rests(begins);
        }
    }

    /// The first attempt whose tables nobody else writes.
    fn next_job(&mut self) -> Option<Job> {
        let is_free = |it: &Job| !it.tables().any(|table| self.busy.contains_key(&table));
        let place = self.queue.iter().position(is_free)?;
        let job = self.queue.remove(place)?;
        for table in job.tables() {
            self.busy.insert(table, (job.parts.run.clone(), job.attempt));
        }
        Some(job)
    }

    /// Lets others write what an attempt has written, or has not.
    fn release(&mut self, run: &RunId, attempt: AttemptId) {
        self.busy.retain(|_, (holder, of)| holder != run || *of != attempt);
    }
}
