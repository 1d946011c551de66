//! How a Tidemill task is written in Rust.
//!
//! A task is a function of its parameters and of Arrow tables. [`macro@task`] makes it a WebAssembly component that a
//! Tidemill host runs in a sandbox; the test harness runs it natively.
//!
//! ```
#![doc = include_str!("../readme_task.rs")]
//! # fn main() {}
//! ```
//!
//! - Tables: [`Columns`] structs, or any [`RecordBatch`](arrow_array::RecordBatch); streaming with [`Input`] and [`Output`];
//!   the members of a family with [`Member`].
//! - Parameters: [`macro@parameters`]. What a task knows of its run, and what it can say: [`Context`], [`info!`], [`metric`].
//! - Files beside the tables, such as a report or the weights of a model: [`artefact()`], [`Artefact`].
//! - Errors: [`Error`], `?`, [`bail!`], [`ensure!`].
//! - Tests without wasm: `testing::Harness`.
//!
//! `use tidemill_task::prelude::*;` brings all of it and the Arrow arrays. One component is one crate with one task.

extern crate self as tidemill_task;

#[doc(hidden)]
pub mod __private;
mod artefact;
mod columns;
mod context;
mod description;
mod error;
#[cfg(any(target_family = "wasm", test))]
mod flat;
mod host;
mod input;
mod member;
mod output;
pub mod prelude;
mod task;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod wasm;

pub use artefact::{Artefact, artefact};
pub use columns::{Column, Columns, Typed};
pub use context::{Context, Identity, Level, Progress, Window, metric, progress};
pub use description::{Arity, Description, InputPort, OutputPort};
pub use error::{Error, ErrorContext, Kind, Result};
pub use input::{Batch, Batches, Input, InputColumn, Rows};
pub use member::{Family, Member};
pub use output::{Composition, Output};
pub use task::{Parameters, Task, describe};

/// A struct of Arrow arrays becomes a table; the attributes of its fields are listed at the trait, [`trait@Columns`].
///
/// ```
/// use tidemill_task::prelude::*;
/// #[derive(Columns)]
/// struct Legs { #[time] time_index: TimestampMicrosecondArray, #[nullable] weight: Float64Array }
/// assert!(Legs::schema().expect("columns").field(1).is_nullable());
/// ```
/// A type that is no table, and a time index that is no timestamp, do not compile:
/// ```compile_fail
/// # use tidemill_task::prelude::*;
/// #[derive(Columns)]
/// struct Legs { #[time] time_index: Float64Array }
/// ```
/// ```compile_fail
/// # use tidemill_task::prelude::*;
/// #[derive(Columns)]
/// struct Legs { windows: ListArray }
/// ```
pub use tidemill_task_macros::Columns;

/// A struct becomes the parameters of a task; an enum of plain variants becomes a choice (`LeastSquares` is written
/// `"least_squares"`); a struct in it becomes an object. All with JSON Schema: docs, defaults and ranges.
///
/// | on a field | means |
/// |---|---|
/// | `#[default = 240]` | what it is when the pipeline says nothing; any expression |
/// | `Option<…>` | may be left out |
/// | `#[range(1..=250)]`, `#[range(0.0..1.0)]`, `#[range(2..)]` | bounds, as Rust's ranges have them |
/// | `#[above(0.0)]`, `#[below(1.0)]` | bounds that are themselves excluded |
/// | `#[rename = "type"]` | the parameter's name, where it is not the field's |
///
/// ```
/// use tidemill_task::{Parameters as _, prelude::*};
/// #[parameters]
/// struct Params {
///     /// Days that the model is fitted on.
///     #[default = 240]
///     #[range(2..)]
///     in_window: usize,
///     #[default = Solver::Lasso]
///     solver: Solver,
/// }
/// #[parameters]
/// enum Solver { Lasso, LeastSquares }
/// let params = Params::from_json(r#"{"solver": "least_squares"}"#).expect("they fit");
/// assert_eq!((params.in_window, params.solver), (240, Solver::LeastSquares));
/// ```
/// ```compile_fail
/// # use tidemill_task::prelude::*;
/// #[parameters]
/// struct Params { #[range(3)] days: u32 }
/// ```
pub use tidemill_task_macros::parameters;

/// A function becomes a task: for the harness a value `<function>_task`, in a component its export.
///
/// The name is the function's, the summary its doc comment. Arguments, in any order, are bound by their types; a port is
/// called as its argument (without leading underscores), and a doc comment on the argument is its summary:
///
/// | argument | is |
/// |---|---|
/// | a [`macro@parameters`] struct | the parameters |
/// | a [`Columns`](trait@Columns) struct, `RecordBatch` | a table, read at once |
/// | [`Input<T>`](Input) | a table, streaming |
/// | `Option` of these | a table that may lack |
/// | [`Vec<Member<T>>`](Member), `&[Member<T>]` | many tables: a family |
/// | [`&mut Output<T>`](Output) | an output port, streaming |
/// | [`&Context`](Context) | identity, window, checkpoint, … |
///
/// What it returns, `T` or `Result<T>` of any error, is the port `output`; a tuple of tables is several ports.
///
/// | option | means |
/// |---|---|
/// | `#[task(name = "other")]` | another name than the function's |
/// | `#[task(outputs(index, coefficients))]` | the ports of what is returned |
/// | `#[task(outputs(table(time = "at", identifiers("symbol"))))]` | the index of a returned `RecordBatch` |
/// | `#[task(memory = "1GiB")]` | what it usually needs |
/// | `#[port(name = "x", time = "at", identifiers("symbol"))]` on an argument | the same for an argument |
///
/// ```
/// use tidemill_task::prelude::*;
/// #[derive(Columns)]
/// struct Series { #[time] time_index: TimestampMicrosecondArray, value: Float64Array }
/// /// Twice each value.
/// #[task]
/// fn double(series: Series) -> Result<Series> {
///     Ok(Series { value: series.value.unary(|it| it * 2.0), ..series })
/// }
/// assert_eq!(tidemill_task::describe::<double_task>().summary, "Twice each value.");
/// ```
/// What cannot be a task does not compile: an argument or a result that is no table, two ports of one name, a tuple
/// without names, a name that the contract does not know.
/// ```compile_fail
/// # use tidemill_task::prelude::*;
/// #[task]
/// fn double(value: f64) -> Result<()> { Ok(()) }
/// ```
/// ```compile_fail
/// # use tidemill_task::prelude::*;
/// #[task]
/// fn twice(prices: RecordBatch) -> Result<(RecordBatch, RecordBatch)> { Ok((prices.clone(), prices)) }
/// ```
/// ```compile_fail
/// # use tidemill_task::prelude::*;
/// #[task(name = "Double")]
/// fn double(prices: RecordBatch) -> RecordBatch { prices }
/// ```
/// ```compile_fail
/// # use tidemill_task::prelude::*;
/// #[task]
/// fn double(prices: RecordBatch, #[port(name = "prices")] more: RecordBatch) -> RecordBatch { prices }
/// ```
pub use tidemill_task_macros::task;

/// The arrow crates that the SDK is built with, so that a task needs no dependency of its own.
///
/// ```
/// use tidemill_task::arrow::array::builder::Float64Builder;
/// let mut builder = Float64Builder::new();
/// builder.append_value(1.0);
/// assert_eq!(builder.finish().value(0), 1.0);
/// ```
pub mod arrow {
    pub use arrow_array::{self as array, types};
    pub use arrow_buffer as buffer;
    pub use arrow_data as data;
    pub use arrow_schema as schema;
    pub use arrow_select as select;
}
