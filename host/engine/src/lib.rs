//! The state machine of a run. It decides which attempts begin, are stopped, are tried again, and when the run
//! has ended; it never does any of it: no I/O, no clock, no randomness, no dependencies.
//!
//! Three verbs, and the driver's one loop around them:
//!
//! ```
//! # use tidemill_engine::{Capacity, Effect, Engine, Event, NodeSpec, RunSpec, Timestamp};
//! # let spec = RunSpec::new(vec![NodeSpec::default()], Capacity { cpus_milli: 1000, memory_bytes: 1, attempts_max: 1 });
//! # let (now, event) = (Timestamp(0), Event::Start);
//! # let mut journal = Vec::new();
//! let mut engine = Engine::new(spec)?;
//! let records = engine.decide(now, event); // reads
//! journal.extend(records.iter().copied()); // make them durable first
//! for record in &records {
//!     let effect: Option<Effect> = engine.apply(record); // the only thing that changes state
//!     // then act: start or stop the attempt that `effect` names
//! }
//! let sleep_until = engine.wake_at(); // send `Event::Tick` then, if nothing else happens before
//! # Ok::<(), tidemill_engine::SpecError>(())
//! ```
//!
//! Recovery is: apply the journal, perform all of [`Engine::wanted`], send [`Event::Tick`]. Any prefix of the
//! records of a `decide` may be what survived: every record by itself leaves a state from which the next `decide`
//! goes on. So an effect may be performed twice; it carries its attempt number, and a report with any other
//! number means nothing and yields nothing.

mod admission;
mod decide;
mod engine;
mod graph;
mod record;
mod retry;
mod spec;
mod state;
mod work;

pub use engine::Engine;
pub use record::{
    AttemptId, Effect, Ending, Event, Fact, Failure, NodeId, Origin, Outcome, Record, RunState, StopCause,
    Timestamp,
};
pub use spec::{Capacity, NodeSpec, OnFailure, Resources, Retry, RetryPolicy, RunSpec, SpecError};
pub use state::{Counts, NodeState};

#[cfg(test)]
mod tests;
