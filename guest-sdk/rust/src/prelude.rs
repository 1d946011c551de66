//! What a task uses, by one line: `use tidemill_task::prelude::*;`.
//!
//! ```
//! use tidemill_task::prelude::*;
//! #[task]
//! fn keep(prices: RecordBatch) -> Result<RecordBatch> {
//!     Ok(prices)
//! }
//! ```

pub use arrow_array::builder::*;
pub use arrow_array::cast::AsArray as _;
pub use arrow_array::types::*;
pub use arrow_array::*;
pub use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

#[cfg(not(target_family = "wasm"))]
pub use crate::testing::{Harness, Outputs, json};
pub use crate::{
    Artefact, Batch, Batches, Column, Columns, Context, Error, ErrorContext as _, Family, Input, InputColumn,
    Level, Member, Output, Parameters, Result, Rows, Task, Typed as _, artefact, bail, debug, ensure, error,
    info, metric, parameters, progress, task, trace, warn,
};
