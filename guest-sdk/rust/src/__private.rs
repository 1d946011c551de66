//! What the macros' expansions name; no part of the API.
#![doc(hidden)]

pub use arrow_array::{Array, RecordBatch};
pub use arrow_schema::{DataType, Field, Schema, SchemaRef};
pub use schemars;
pub use serde;
pub use serde_json::Value as Json;
#[cfg(target_family = "wasm")]
pub use wit_bindgen;

pub use crate::columns::{Typed, batch_of, give_column, take_column, zoned};
pub use crate::context::log;
pub use crate::description::{Index, PortSpec};
pub use crate::task::{Argument, Returned, describe_input, describe_parameters, take_parameters, take_table};

/// The JSON Schema of parameters.
pub fn json_schema<P: schemars::JsonSchema>() -> Json {
    schemars::schema_for!(P).into()
}
