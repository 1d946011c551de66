//! Runs a task natively, without wasm: what a host would give it, and what it would check of what comes back.
//!
//! ```
//! use tidemill_task::prelude::*;
//! #[derive(Columns)]
//! struct Series { #[time] time_index: TimestampMicrosecondArray, value: Float64Array }
//! /// Twice each value.
//! #[task]
//! fn double(series: Series) -> Series {
//!     Series { value: series.value.unary(|it| it * 2.0), ..series }
//! }
//! let series = Series { time_index: vec![0, 1].into(), value: vec![1.0, 2.0].into() };
//! let outputs = Harness::new(double_task).input("series", series).run().expect("runs");
//! assert_eq!(outputs.read::<Series>("output").expect("written").value.values(), &[2.0, 4.0]);
//! ```

mod check;
mod native;
mod session;

use std::rc::Rc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
pub use serde_json::json;

pub(crate) use self::native::Native;
use self::session::{Session, Table};
use crate::columns::Columns;
use crate::context::{Level, Progress};
use crate::{Arity, Error, Result, Task, describe, ensure};

/// A table given to a port: a `#[derive(Columns)]` struct, a `RecordBatch`, or several of either in a `Vec`.
///
/// ```
/// use tidemill_task::{prelude::*, testing::IntoTable};
/// let column: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0]));
/// let batch = RecordBatch::try_from_iter([("close", column)]).expect("a batch");
/// assert_eq!(vec![batch.clone(), batch].into_table().expect("of one schema").0.num_rows(), 2);
/// ```
pub trait IntoTable {
    /// The table as one batch, and the name of its time index.
    ///
    /// # Errors
    /// Columns of unequal length, batches of unequal schemas.
    fn into_table(self) -> Result<(RecordBatch, Option<&'static str>)>;
}

impl<T: Columns> IntoTable for T {
    fn into_table(self) -> Result<(RecordBatch, Option<&'static str>)> {
        Ok((self.into_batch()?, T::index().time))
    }
}

impl<T: Columns> IntoTable for Vec<T> {
    fn into_table(self) -> Result<(RecordBatch, Option<&'static str>)> {
        let batches = self.into_iter().map(Columns::into_batch).collect::<Result<Vec<_>>>()?;
        let schema = batches.first().map(RecordBatch::schema).or_else(T::schema);
        let Some(schema) = schema else {
            return Err(Error::permanent("a table without a batch has no columns"));
        };
        Ok((concat_batches(&schema, &batches)?, T::index().time))
    }
}

/// One attempt of a task, natively.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn keep(prices: RecordBatch) -> RecordBatch { prices }
/// let column: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0]));
/// let prices = RecordBatch::try_from_iter([("close", column)]).expect("a batch");
/// let outputs = Harness::new(keep_task).input("prices", prices.clone()).run().expect("runs");
/// assert_eq!(outputs.batch("output").expect("written"), prices);
/// ```
#[derive(Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Harness {
    run: fn() -> Result<()>,
    session: Session,
    /// What was given wrongly; said by `run`, so that the calls before it need no `?`.
    mistake: Option<Error>,
}

impl Harness {
    /// For the task that `#[task]` made of a function: `returns_task` for `fn returns`.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn nothing() {}
    /// assert!(Harness::new(nothing_task).run().is_ok());
    /// ```
    pub fn new<T: Task>(_task: T) -> Self {
        Self { run: T::run, session: Session::new(describe::<T>()), mistake: None }
    }

    /// The parameters: a JSON object, see [`json!`](crate::testing::json).
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[parameters]
    /// struct Params { days: u32 }
    /// #[task]
    /// fn show(params: Params) { metric("days", params.days.into()) }
    /// let outputs = Harness::new(show_task).parameters(json!({ "days": 3 })).run().expect("runs");
    /// assert_eq!(outputs.metric("days"), Some(3.0));
    /// let error = Harness::new(show_task).parameters(json!({ "day": 3 })).run().expect_err("no such parameter");
    /// assert!(error.message().starts_with("parameters: unknown field `day`"));
    /// ```
    pub fn parameters(mut self, parameters: impl Into<serde_json::Value>) -> Self {
        self.session.parameters = parameters.into().to_string();
        self
    }

    /// A table at an input port.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn keep(prices: RecordBatch) -> RecordBatch { prices }
    /// let column: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0]));
    /// let prices = RecordBatch::try_from_iter([("close", column)]).expect("a batch");
    /// let error = Harness::new(keep_task).input("price", prices).run().expect_err("no such port");
    /// assert_eq!(error.message(), "task `keep` has no input `price`; it has `prices`");
    /// ```
    pub fn input(self, port: &str, table: impl IntoTable) -> Self {
        let node = port.to_owned();
        self.member(port, node, json!({}), table)
    }

    /// One more table at a port that takes many: the node that wrote it, and its `for_each` values.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn count(legs: Family) { metric("legs", legs.len() as f64) }
    /// let column: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0]));
    /// let leg = RecordBatch::try_from_iter([("close", column)]).expect("a batch");
    /// let outputs = Harness::new(count_task)
    ///     .member("legs", "leg[window=60]", json!({ "window": 60 }), leg.clone())
    ///     .member("legs", "leg[window=120]", json!({ "window": 120 }), leg)
    ///     .run()
    ///     .expect("runs");
    /// assert_eq!(outputs.metric("legs"), Some(2.0));
    /// ```
    pub fn member(
        mut self,
        port: &str,
        node: impl Into<String>,
        key: impl Into<serde_json::Value>,
        table: impl IntoTable,
    ) -> Self {
        match table.into_table() {
            Ok((batch, time)) => {
                let table = Table { node: node.into(), key: key.into().to_string(), batch, time };
                self.session.inputs.entry(port.to_owned()).or_default().push(table);
            }
            Err(error) => {
                self.mistake.get_or_insert(error.context(format_args!("input `{port}`")));
            }
        }
        self
    }

    /// The run's window, `[start, end)` in nanoseconds.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn show(ctx: &Context) { metric("end", ctx.logical_time() as f64) }
    /// let outputs = Harness::new(show_task).window(0, 60).run().expect("runs");
    /// assert_eq!(outputs.metric("end"), Some(60.0));
    /// ```
    pub fn window(mut self, start: impl Into<Option<i64>>, end: impl Into<Option<i64>>) -> Self {
        self.session.window.start = start.into();
        self.session.window.end = end.into();
        self
    }

    /// No row later than this can be read (nanoseconds).
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[derive(Columns)]
    /// struct Series { #[time] time_index: TimestampNanosecondArray }
    /// #[task]
    /// fn count(series: Series) { metric("rows", series.rows() as f64) }
    /// let series = Series { time_index: vec![1, 2, 3].into() };
    /// let outputs = Harness::new(count_task).input("series", series).as_of(2).run().expect("runs");
    /// assert_eq!(outputs.metric("rows"), Some(2.0));
    /// ```
    pub fn as_of(mut self, time: i64) -> Self {
        self.session.window.as_of = Some(time);
        self
    }

    /// Seed of the node's randomness; 0 otherwise.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn show(ctx: &Context) { metric("seed", ctx.identity().seed as f64) }
    /// assert_eq!(Harness::new(show_task).seed(7).run().expect("runs").metric("seed"), Some(7.0));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.session.identity.seed = seed;
        self
    }

    /// Which attempt this is; the first otherwise.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn show(ctx: &Context) { metric("attempt", ctx.identity().attempt.into()) }
    /// assert_eq!(Harness::new(show_task).attempt(2).run().expect("runs").metric("attempt"), Some(2.0));
    /// ```
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.session.identity.attempt = attempt;
        self
    }

    /// What an earlier attempt saved.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn show(ctx: &Context) { metric("bytes", ctx.checkpoint().map_or(0, |it| it.len()) as f64) }
    /// assert_eq!(Harness::new(show_task).checkpoint([1, 2]).run().expect("runs").metric("bytes"), Some(2.0));
    /// ```
    pub fn checkpoint(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        *self.session.checkpoint.get_mut() = Some(bytes.into());
        self
    }

    /// How far the table of an output port has come, for one combination of identifiers.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn show(ctx: &Context) { metric("last", ctx.progress_of("output")[0].last as f64) }
    /// let outputs = Harness::new(show_task).progress_of("output", ["A"], 7).run().expect("runs");
    /// assert_eq!(outputs.metric("last"), Some(7.0));
    /// ```
    pub fn progress_of<N: Into<String>>(
        mut self,
        port: &str,
        identifiers: impl IntoIterator<Item = N>,
        last: i64,
    ) -> Self {
        let identifiers = identifiers.into_iter().map(Into::into).collect();
        self.session.progress_of.entry(port.to_owned()).or_default().push(Progress { identifiers, last });
        self
    }

    /// Most rows of a batch; small numbers show whether a streaming task carries its state across batches.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn count(prices: Input) { metric("batches", prices.batches().count() as f64) }
    /// let column: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0; 5]));
    /// let prices = RecordBatch::try_from_iter([("close", column)]).expect("a batch");
    /// let outputs = Harness::new(count_task).input("prices", prices).batch_rows_max(2).run().expect("runs");
    /// assert_eq!(outputs.metric("batches"), Some(3.0));
    /// ```
    pub fn batch_rows_max(mut self, rows: u32) -> Self {
        self.session.batch_rows_max = rows.max(1);
        self
    }

    /// Runs the task once; what it wrote is checked as a host would: columns, order, uniqueness.
    ///
    /// # Errors
    /// The task's own, or what a host would refuse: a port that does not exist, an input that is missing, a table that is
    /// out of order.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn fails() -> Result<()> { bail!("no rows") }
    /// assert_eq!(Harness::new(fails_task).run().expect_err("fails").message(), "no rows");
    /// ```
    pub fn run(self) -> Result<Outputs> {
        let (outcome, outputs) = self.try_run();
        outcome.map(|()| outputs)
    }

    /// As [`Harness::run`]; what was logged, saved and reported is there also when the task fails.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn fails() -> Result<()> {
    ///     warn!("about to fail");
    ///     bail!("no rows")
    /// }
    /// let (outcome, outputs) = Harness::new(fails_task).try_run();
    /// assert!(outcome.is_err());
    /// assert_eq!(outputs.logs()[0].message, "about to fail");
    /// ```
    pub fn try_run(self) -> (Result<()>, Outputs) {
        let given = self.mistake.map_or_else(|| given(&self.session), Err);
        let session = Rc::new(self.session);
        let outcome =
            given.and_then(|()| session::during(&session, self.run)).and_then(|()| check::complete(&session));
        let outputs = Outputs { session };
        (outcome, outputs)
    }
}

/// Every table stands at a port that takes it, and no port lacks one.
fn given(session: &Session) -> Result<()> {
    let description = &session.description;
    let ports = description.inputs.iter().map(|it| format!("`{}`", it.name)).collect::<Vec<_>>().join(", ");
    let ports = if ports.is_empty() { "none".to_owned() } else { ports };
    for port in session.inputs.keys() {
        let known = description.inputs.iter().any(|it| it.name == *port);
        ensure!(known, "task `{}` has no input `{port}`; it has {ports}", description.name);
    }
    for port in &description.inputs {
        let tables = session.inputs.get(&port.name).map_or(&[][..], |it| it);
        match port.arity {
            Arity::One => {
                ensure!(tables.len() == 1, "input `{}` takes 1 table, got {}", port.name, tables.len())
            }
            Arity::Optional => ensure!(
                tables.len() <= 1,
                "input `{}` takes 1 table at most, got {}",
                port.name,
                tables.len()
            ),
            Arity::Many => ensure!(!tables.is_empty(), "input `{}` takes 1 table at least, got 0", port.name),
        }
        for table in tables {
            check::input(port, table)?;
        }
    }
    Ok(())
}

/// A line that a task logged.
///
/// ```
/// use tidemill_task::{Level, prelude::*};
/// #[task]
/// fn talk() { info!({ fits = 3 }, "fitted") }
/// let outputs = Harness::new(talk_task).run().expect("runs");
/// let line = &outputs.logs()[0];
/// assert_eq!((line.level, line.message.as_str()), (Level::Info, "fitted"));
/// assert_eq!(line.fields, [("fits".to_owned(), "3".to_owned())]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The text.
    pub message: String,
    /// Structured values by name.
    pub fields: Vec<(String, String)>,
}

/// What a task wrote and said.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn show() { progress(3, 10) }
/// assert_eq!(Harness::new(show_task).run().expect("runs").progress(), Some((3, Some(10))));
/// ```
#[derive(Debug)]
pub struct Outputs {
    session: Rc<Session>,
}

impl Outputs {
    /// The table of an output port, as one batch.
    ///
    /// # Errors
    /// There is no such port, or nothing was written to it.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn nothing() {}
    /// assert!(Harness::new(nothing_task).run().expect("runs").batch("output").is_err());
    /// ```
    pub fn batch(&self, port: &str) -> Result<RecordBatch> {
        let written = self.session.written.borrow();
        let Some(table) = written.get(port) else {
            return Err(Error::permanent(format!("there is no output `{port}`")));
        };
        Ok(concat_batches(&table.schema, &table.batches)?)
    }

    /// The table of an output port, typed.
    ///
    /// # Errors
    /// As [`Outputs::batch`]; a column that is not as `T` declares.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[derive(Columns)]
    /// struct One { value: Float64Array }
    /// #[task]
    /// fn one() -> One { One { value: vec![1.0].into() } }
    /// let outputs = Harness::new(one_task).run().expect("runs");
    /// assert_eq!(outputs.read::<One>("output").expect("written").value.value(0), 1.0);
    /// ```
    pub fn read<T: Columns>(&self, port: &str) -> Result<T> {
        T::from_batch(&self.batch(port)?).map_err(|it| it.context(format_args!("output `{port}`")))
    }

    /// What was logged, in order.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn talk() { info!("hello") }
    /// assert_eq!(Harness::new(talk_task).run().expect("runs").logs().len(), 1);
    /// ```
    pub fn logs(&self) -> Vec<LogLine> {
        self.session.logs.borrow().clone()
    }

    /// The last value of a metric.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn count() { metric("fits", 3.0) }
    /// assert_eq!(Harness::new(count_task).run().expect("runs").metric("fits"), Some(3.0));
    /// ```
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.session.metrics.borrow().get(name).copied()
    }

    /// A file that the task left, by its name: its media type and what it holds.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn sum() -> Result<()> { artefact("sum.txt", "text/plain", b"3") }
    /// let outputs = Harness::new(sum_task).run().expect("runs");
    /// assert_eq!(outputs.artefact("sum.txt"), Some(("text/plain".to_owned(), b"3".to_vec())));
    /// ```
    pub fn artefact(&self, name: &str) -> Option<(String, Vec<u8>)> {
        self.session.artefacts.borrow().get(name).map(|it| (it.media_type.clone(), it.bytes.clone()))
    }

    /// The names of the files that the task left, sorted.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn nothing() {}
    /// assert!(Harness::new(nothing_task).run().expect("runs").artefacts().is_empty());
    /// ```
    pub fn artefacts(&self) -> Vec<String> {
        self.session.artefacts.borrow().keys().cloned().collect()
    }

    /// The last progress told: done, total.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn half() { progress(1, 2) }
    /// assert_eq!(Harness::new(half_task).run().expect("runs").progress(), Some((1, Some(2))));
    /// ```
    pub fn progress(&self) -> Option<(u64, Option<u64>)> {
        *self.session.progress.borrow()
    }

    /// The checkpoint as it is after the attempt.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn save(ctx: &Context) -> Result<()> { ctx.save_checkpoint(&[1]) }
    /// assert_eq!(Harness::new(save_task).run().expect("runs").checkpoint(), Some(vec![1]));
    /// ```
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        self.session.checkpoint.borrow().clone()
    }
}
