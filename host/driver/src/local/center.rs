//! Where the threads of a run meet: they take attempts, and whoever ends one takes the loop's next step. Decides nothing.

use std::panic::AssertUnwindSafe;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use tidemill_engine::{AttemptId, Event as EngineEvent};
use tidemill_plan::Code;
use tidemill_sandbox::{Interrupt, InterruptCause};

use super::steps::Loop;
use crate::attempt::{AttemptEnd, Shared, run_attempt};
use crate::failure::NodeFailure;
use crate::record::RunState;

/// What the thread that waits is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Something may have changed what is waited for.
    Look,
    Cancel,
}

/// One attempt handed to a thread.
pub(super) struct Job {
    pub(super) attempt: AttemptId,
    pub(super) position: usize,
    pub(super) interrupt: Interrupt,
}

/// Where the threads of a run meet. Whoever ends an attempt takes the loop's next step and the next attempt itself:
/// a chain of nodes then needs no hand-over between threads.
pub(super) struct Center<'a, 'r> {
    looped: Mutex<Loop<'a, 'r>>,
    /// There is an attempt to take, or the run has ended.
    work: Condvar,
    /// To the thread that waits for time and cancellation.
    outside: Sender<Message>,
}

impl<'a, 'r> Center<'a, 'r> {
    pub(super) fn new(looped: Loop<'a, 'r>, outside: Sender<Message>) -> Self {
        Self { looped: Mutex::new(looped), work: Condvar::new(), outside }
    }

    fn lock(&self) -> MutexGuard<'_, Loop<'a, 'r>> {
        self.looped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life: attempts until the run has ended.
    pub(super) fn work(&self, shared: &Shared<'_>) {
        let _alarm = Alarm(self);
        let mut looped = self.lock();
        while looped.engine.run_state().is_none() && looped.health == Health::Sound {
            let Some(job) = looped.queue.pop_front() else {
                looped = self.work.wait(looped).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(looped);
            let end = guarded(|| run_attempt(shared, job.position, job.attempt.number, &job.interrupt));
            looped = self.lock();
            let woke_at = looped.engine.wake_at();
            looped.report(job.attempt, end);
            self.tell(&looped, 1);
            if looped.engine.wake_at() != woke_at || looped.engine.run_state().is_some() {
                // A full channel has the watcher awake already.
                drop(self.outside.try_send(Message::Look));
            }
            if let Some(sink) = looped.sink {
                drop(looped);
                sink.work(shared);
                looped = self.lock();
            }
        }
    }

    /// Wakes as many threads as there are attempts to take, less those that are taken anyway.
    fn tell(&self, looped: &Loop<'_, '_>, taken: usize) {
        if looped.engine.run_state().is_some() {
            self.work.notify_all();
        }
        for _ in taken..looped.queue.len() {
            self.work.notify_one();
        }
    }

    /// Begins the run, then waits for time to pass, for someone who cancels, and for the end.
    pub(super) fn watch(&self, messages: &Receiver<Message>) -> RunState {
        let _alarm = Alarm(self);
        let mut event = Some(EngineEvent::Start);
        loop {
            let mut looped = self.lock();
            assert!(looped.health == Health::Sound, "a thread of the run panicked, as told above");
            if let Some(event) = event.take() {
                looped.step(event);
                self.tell(&looped, 0);
            }
            if let Some(state) = looped.engine.run_state() {
                return match state {
                    tidemill_engine::RunState::Succeeded => RunState::Succeeded,
                    tidemill_engine::RunState::Failed => RunState::Failed,
                    tidemill_engine::RunState::Cancelled => RunState::Cancelled,
                };
            }
            let wake_at = looped.engine.wake_at().map(|it| looped.began + Duration::from_millis(it.0));
            drop(looped);
            event = match receive(messages, wake_at) {
                Some(Message::Cancel) => Some(EngineEvent::Cancel),
                Some(Message::Look) => None,
                None => Some(EngineEvent::Tick),
            };
        }
    }
}

/// Ends all threads when one of them panics, so that none waits for a step that nobody takes.
struct Alarm<'c, 'a, 'r>(&'c Center<'a, 'r>);

impl Drop for Alarm<'_, '_, '_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut looped = self.0.lock();
        looped.health = Health::Broken;
        for it in looped.interrupts.values() {
            it.set(InterruptCause::Abandoned);
        }
        self.0.work.notify_all();
        drop(self.0.outside.try_send(Message::Look));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Sound,
    /// A thread panicked while it took a step.
    Broken,
}

/// The next message, or nothing when it is time to wake.
fn receive(messages: &Receiver<Message>, wake_at: Option<Instant>) -> Option<Message> {
    let Some(deadline) = wake_at else {
        return Some(messages.recv().expect("the run itself holds a sender"));
    };
    match messages.recv_deadline(deadline) {
        Ok(it) => Some(it),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => unreachable!("the run itself holds a sender"),
    }
}

/// Runs an attempt; a failure of the host inside it is a failure of the attempt.
pub(crate) fn guarded(attempt: impl FnOnce() -> AttemptEnd) -> AttemptEnd {
    std::panic::catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        let what =
            format!("the host failed inside: {}", what.unwrap_or_else(|| "without a message".to_owned()));
        let mend = "this is a defect of Tidemill; please report it with the pipeline and this message";
        let failure = NodeFailure::permanent(Code("internal"), what, mend);
        AttemptEnd::failed(failure)
    })
}
