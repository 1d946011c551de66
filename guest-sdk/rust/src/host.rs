//! What the SDK needs of a host: the contract's imports as a trait, and the one that this build uses.
//!
//! In a component that is the WIT (`wasm`); natively the test harness (`testing`). Nothing else in the SDK knows which.

use arrow_array::ArrayRef;
use arrow_schema::{FieldRef, SchemaRef};

use crate::Result;
use crate::context::{Identity, Level, Progress, Window};

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::Native as Backend;
#[cfg(target_family = "wasm")]
pub(crate) use crate::wasm::Wit as Backend;

/// What a task wants of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ReadOptions {
    /// The columns wanted, in this order; `None` means all.
    pub(crate) columns: Option<Vec<String>>,
    /// First time wanted (nanoseconds).
    pub(crate) start: Option<i64>,
    /// First time no longer wanted (nanoseconds).
    pub(crate) end: Option<i64>,
    pub(crate) batch_rows_max: Option<u32>,
}

/// One table bound to an input port.
#[derive(Clone, Debug)]
pub(crate) struct MemberInfo {
    pub(crate) node: String,
    /// A JSON object.
    pub(crate) key: String,
}

/// One column of a batch that is written.
pub(crate) enum Value<'a, H: Host + ?Sized> {
    Fresh(ArrayRef),
    Borrowed(&'a H::Column),
}

pub(crate) trait Host {
    type Input;
    type Batch;
    type Column;
    type Output;
    type Artefact;

    fn open(port: &str, member: u32, options: &ReadOptions) -> Result<Self::Input>;
    fn schema(input: &Self::Input) -> Result<SchemaRef>;
    fn next(input: &mut Self::Input) -> Result<Option<Self::Batch>>;
    /// All rows that are left, as one batch.
    fn rest(input: &mut Self::Input) -> Result<Option<Self::Batch>>;
    fn rows(batch: &Self::Batch) -> usize;
    /// The caller has checked the position.
    fn column(batch: &Self::Batch, position: usize) -> Self::Column;
    fn read(column: &Self::Column, field: &FieldRef, rows: usize) -> Result<ArrayRef>;

    fn create(port: &str, schema: &SchemaRef) -> Result<Self::Output>;
    /// The caller has checked number, lengths and types of the columns.
    fn write(output: &mut Self::Output, rows: usize, columns: &[Value<'_, Self>]) -> Result<()>;

    fn artefact(name: &str, media_type: &str) -> Result<Self::Artefact>;
    fn append(artefact: &mut Self::Artefact, bytes: &[u8]) -> Result<()>;

    fn parameters() -> String;
    fn identity() -> Identity;
    fn logical_time() -> i64;
    fn window() -> Window;
    fn members(port: &str) -> Vec<MemberInfo>;
    fn progress_of(port: &str) -> Vec<Progress>;
    fn log(level: Level, message: &str, fields: &[(&str, String)]);
    fn progress(done: u64, total: Option<u64>);
    fn metric(name: &str, value: f64);
    fn checkpoint_save(bytes: &[u8]) -> Result<()>;
    fn checkpoint_load() -> Option<Vec<u8>>;
}
