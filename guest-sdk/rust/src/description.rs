//! What a task says of itself without being run: the contract's `description` in Rust.

use arrow_schema::SchemaRef;

/// How many tables a port takes.
///
/// ```
/// use tidemill_task::{Arity, prelude::*};
/// #[task]
/// fn count(legs: Vec<Member<RecordBatch>>) -> Result<()> { Ok(()) }
/// assert_eq!(tidemill_task::describe::<count_task>().inputs[0].arity, Arity::Many);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly one.
    One,
    /// None or one.
    Optional,
    /// Any number, at least one.
    Many,
}

/// A table that the task reads.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn keep(prices: RecordBatch) -> Result<RecordBatch> { Ok(prices) }
/// assert_eq!(tidemill_task::describe::<keep_task>().inputs[0].name, "prices");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct InputPort {
    /// Lower-case letters, digits and underscores.
    pub name: String,
    /// One line.
    pub summary: String,
    /// How many tables the port takes.
    pub arity: Arity,
    /// Columns that must be there with exactly these types; `None` means any table.
    pub columns: Option<SchemaRef>,
}

/// A table that the task writes.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn keep(prices: RecordBatch) -> Result<RecordBatch> { Ok(prices) }
/// assert_eq!(tidemill_task::describe::<keep_task>().outputs[0].name, "output");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OutputPort {
    /// Lower-case letters, digits and underscores.
    pub name: String,
    /// One line.
    pub summary: String,
    /// The columns, exactly; `None` when only running decides.
    pub columns: Option<SchemaRef>,
    /// The column of times that orders the table.
    pub time_index: Option<String>,
    /// The columns that together with the time make a row unique.
    pub identifiers: Vec<String>,
}

/// What a task says of itself.
///
/// ```
/// use tidemill_task::prelude::*;
/// /// Passes prices on.
/// #[task]
/// fn keep(prices: RecordBatch) -> Result<RecordBatch> { Ok(prices) }
/// let description = tidemill_task::describe::<keep_task>();
/// assert_eq!((description.name.as_str(), description.summary.as_str()), ("keep", "Passes prices on."));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Lower-case letters, digits and underscores, starting with a letter.
    pub name: String,
    /// One line.
    pub summary: String,
    /// JSON Schema (2020-12) of the parameters: an object.
    pub parameters: serde_json::Value,
    /// In the order of the function's arguments.
    pub inputs: Vec<InputPort>,
    /// Returned tables first, then `Output` arguments.
    pub outputs: Vec<OutputPort>,
    /// Linear memory that the task usually needs (bytes).
    pub memory_bytes: Option<u64>,
}

/// How a table is indexed: said by `#[time]` and `#[identifier]`, or by `#[port(…)]` and `#[task(outputs(…))]`.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Index {
    pub time: Option<&'static str>,
    pub identifiers: &'static [&'static str],
}

/// One port as the macros write it down.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct PortSpec {
    pub name: &'static str,
    pub summary: &'static str,
    pub index: Index,
}
