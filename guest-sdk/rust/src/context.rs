//! What a task knows of its run, and what it can say: identity, time, window, log, progress, metrics, checkpoint.

use std::fmt;

use crate::Result;
use crate::host::{Backend, Host};

/// Who is running.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn who(ctx: &Context) -> Result<()> {
///     info!("attempt {} of {}", ctx.identity().attempt, ctx.identity().node);
///     Ok(())
/// }
/// assert_eq!(Harness::new(who_task).run().expect("runs").logs()[0].message, "attempt 1 of who");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The run.
    pub run: String,
    /// The node within the pipeline, for example `leg[window=60]`.
    pub node: String,
    /// 32 hex digits that name this use of the task: task, parameters and upstream tables, not its code.
    pub table: String,
    /// 1 for the first attempt of a node.
    pub attempt: u32,
    /// Seed of all randomness of this node; the same for every attempt and every replay.
    pub seed: u64,
}

/// The part of time that the run is about: `[start, end)` in nanoseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn recent(ctx: &Context, prices: Input<RecordBatch>) -> Result<RecordBatch> {
///     let window = ctx.window();
///     prices.between(window.start, window.end).read()
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// First time; `None` means from the beginning.
    pub start: Option<i64>,
    /// First time no longer part of it; `None` means open.
    pub end: Option<i64>,
    /// No row later than this can be read; `None` means no limit.
    pub as_of: Option<i64>,
}

/// How far an output's table has come, for one combination of identifiers.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn resume(ctx: &Context) -> Result<()> {
///     let last = ctx.progress_of("output").iter().map(|it| it.last).max();
///     info!("goes on after {last:?}");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Values of the identifier columns, in the order of the port.
    pub identifiers: Vec<String>,
    /// Last committed time (nanoseconds).
    pub last: i64,
}

/// How much a log line matters.
///
/// ```
/// use tidemill_task::Level;
/// assert!(Level::Error > Level::Info);
/// assert_eq!(Level::Warn.to_string(), "warn");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// The run as a task sees it: an argument `ctx: &Context`, or [`Context::current`] anywhere.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn seeded(ctx: &Context) -> Result<()> {
///     ctx.metric("seed", ctx.identity().seed as f64);
///     Ok(())
/// }
/// let outputs = Harness::new(seeded_task).seed(7).run().expect("runs");
/// assert_eq!(outputs.metric("seed"), Some(7.0));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Context(());

impl Context {
    /// The context of the attempt that is running.
    ///
    /// ```
    /// assert_eq!(tidemill_task::Context::current().window().start, None);
    /// ```
    pub fn current() -> Self {
        Self(())
    }

    /// Who is running.
    ///
    /// ```
    /// assert_eq!(tidemill_task::Context::current().identity().attempt, 1);
    /// ```
    pub fn identity(&self) -> Identity {
        Backend::identity()
    }

    /// The run's time (nanoseconds): its as-of, else its window's end, else 0. Clocks start here.
    ///
    /// ```
    /// assert_eq!(tidemill_task::Context::current().logical_time(), 0);
    /// ```
    pub fn logical_time(&self) -> i64 {
        Backend::logical_time()
    }

    /// The run's window.
    ///
    /// ```
    /// assert_eq!(tidemill_task::Context::current().window(), tidemill_task::Window::default());
    /// ```
    pub fn window(&self) -> Window {
        Backend::window()
    }

    /// The parameters as the JSON object that the host gave.
    ///
    /// ```
    /// assert_eq!(tidemill_task::Context::current().parameters_json(), "{}");
    /// ```
    pub fn parameters_json(&self) -> String {
        Backend::parameters()
    }

    /// Last committed time per identifier of an output port's table; empty when there is none yet.
    ///
    /// ```
    /// assert!(tidemill_task::Context::current().progress_of("output").is_empty());
    /// ```
    pub fn progress_of(&self, port: &str) -> Vec<Progress> {
        Backend::progress_of(port)
    }

    /// Tells how much is done, in units of your choice.
    ///
    /// ```
    /// tidemill_task::Context::current().progress(3, 10);
    /// ```
    pub fn progress(&self, done: u64, total: impl Into<Option<u64>>) {
        Backend::progress(done, total.into());
    }

    /// Reports a number by name; the last value counts.
    ///
    /// ```
    /// tidemill_task::Context::current().metric("fits", 1615.0);
    /// ```
    pub fn metric(&self, name: &str, value: f64) {
        Backend::metric(name, value);
    }

    /// Leaves a file beside the task's tables; see [`artefact()`](crate::artefact()).
    ///
    /// # Errors
    /// As [`artefact()`](crate::artefact()).
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn fit(ctx: &Context) -> Result<()> {
    ///     ctx.artefact("weights.json", "application/json", b"[0.7, 0.3]")
    /// }
    /// assert_eq!(Harness::new(fit_task).run().expect("runs").artefacts(), ["weights.json"]);
    /// ```
    pub fn artefact(&self, name: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
        crate::artefact(name, media_type, bytes)
    }

    /// Keeps a few bytes (at most 1 MiB) for the next attempt of this node run.
    ///
    /// # Errors
    /// Permanent when there are more.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn counts(ctx: &Context) -> Result<()> {
    ///     let done = ctx.checkpoint().map_or(0, |it| it[0]);
    ///     ctx.save_checkpoint(&[done + 1])
    /// }
    /// let outputs = Harness::new(counts_task).checkpoint([4]).run().expect("runs");
    /// assert_eq!(outputs.checkpoint(), Some(vec![5]));
    /// ```
    pub fn save_checkpoint(&self, bytes: &[u8]) -> Result<()> {
        Backend::checkpoint_save(bytes)
    }

    /// What an earlier attempt of this node run saved last.
    ///
    /// ```
    /// assert_eq!(tidemill_task::Context::current().checkpoint(), None);
    /// ```
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        Backend::checkpoint_load()
    }
}

/// Reports a number by name; the last value of an attempt counts.
///
/// ```
/// use tidemill_task::prelude::*;
/// metric("tracking_error", 0.04963);
/// ```
pub fn metric(name: &str, value: f64) {
    Backend::metric(name, value);
}

/// Tells how much is done, in units of your choice; `total` may be `None`.
///
/// ```
/// use tidemill_task::prelude::*;
/// progress(3, 10);
/// progress(4, None);
/// ```
pub fn progress(done: u64, total: impl Into<Option<u64>>) {
    Backend::progress(done, total.into());
}

#[doc(hidden)]
pub fn log(level: Level, message: &str, fields: &[(&str, String)]) {
    Backend::log(level, message, fields);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, { $($key:ident = $value:expr),* $(,)? }, $($message:tt)+) => {
        $crate::__private::log(
            $crate::Level::$level,
            &::std::format!($($message)+),
            &[$((::core::stringify!($key), ::std::string::ToString::to_string(&$value))),*],
        )
    };
    ($level:ident, $($message:tt)+) => {
        $crate::__private::log($crate::Level::$level, &::std::format!($($message)+), &[])
    };
}

/// Logs what matters only when looking for a fault, line by line; see [`info!`](crate::info).
///
/// ```
/// tidemill_task::trace!("row {}", 7);
/// ```
#[macro_export]
macro_rules! trace { ($($arguments:tt)+) => { $crate::__log!(Trace, $($arguments)+) } }

/// Logs what matters only when looking for a fault; see [`info!`](crate::info).
///
/// ```
/// tidemill_task::debug!("window {}", 240);
/// ```
#[macro_export]
macro_rules! debug { ($($arguments:tt)+) => { $crate::__log!(Debug, $($arguments)+) } }

/// Logs a line: a format string, before it perhaps structured values by name.
///
/// ```
/// use tidemill_task::prelude::*;
/// let fits = 1615;
/// info!("fitted {fits} models");
/// info!({ fits = fits, alpha = 1e-3 }, "fitted");
/// ```
#[macro_export]
macro_rules! info { ($($arguments:tt)+) => { $crate::__log!(Info, $($arguments)+) } }

/// Logs what someone should look at; see [`info!`](crate::info).
///
/// ```
/// tidemill_task::warn!("{} rows without a price", 3);
/// ```
#[macro_export]
macro_rules! warn { ($($arguments:tt)+) => { $crate::__log!(Warn, $($arguments)+) } }

/// Logs what went wrong; see [`info!`](crate::info). To fail, return an error instead.
///
/// ```
/// tidemill_task::error!("gave up on symbol {}", "A");
/// ```
#[macro_export]
macro_rules! error { ($($arguments:tt)+) => { $crate::__log!(Error, $($arguments)+) } }
