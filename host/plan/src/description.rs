//! What a task says of itself.

use arrow_schema::SchemaRef;

#[derive(Clone, Debug, PartialEq)]
pub struct TaskDescription {
    pub name: String,
    pub summary: String,
    /// JSON Schema of the parameters: an object.
    pub parameters: serde_json::Value,
    pub inputs: Vec<InputPort>,
    pub outputs: Vec<OutputPort>,
    pub hints: Hints,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    One,
    Optional,
    Many,
}

#[derive(Clone, Debug, PartialEq)]
pub struct InputPort {
    pub name: String,
    pub summary: String,
    pub arity: Arity,
    /// Columns that must be there with exactly these types; no fields means any table.
    pub columns: SchemaRef,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OutputPort {
    pub name: String,
    pub summary: String,
    /// `None` when only running decides.
    pub columns: Option<SchemaRef>,
    pub time_index: Option<String>,
    pub identifiers: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    pub memory_bytes: Option<u64>,
}
