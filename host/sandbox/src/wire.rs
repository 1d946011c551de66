//! The contract's records as Rust types, written by hand instead of generated: so bulk data is copied once each way,
//! and lists from a guest are looked at before anything is allocated for them. Linking a component checks every
//! signature against `wit/`.

use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lift, Lower, Resource, WasmList, WasmStr};

use crate::host::{FailureKind, Level};
use crate::state::HeldColumn;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct FieldRecord {
    pub(crate) name: String,
    pub(crate) format: String,
    pub(crate) nullable: bool,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) children: u32,
    pub(crate) dictionary: bool,
    pub(crate) flags: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct SchemaRecord {
    pub(crate) fields: Vec<FieldRecord>,
    pub(crate) metadata: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct NodeRecord {
    pub(crate) length: u32,
    #[component(name = "null-count")]
    pub(crate) null_count: u32,
    pub(crate) buffers: u32,
    pub(crate) children: u32,
    pub(crate) dictionary: bool,
}

/// To the guest: the bytes are those of the Arrow buffers, copied straight into its memory.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct ArrayOut {
    pub(crate) nodes: Vec<NodeRecord>,
    pub(crate) buffers: Vec<bytes::Bytes>,
}

/// From the guest: still in its memory.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ArrayIn {
    pub(crate) nodes: WasmList<NodeRecord>,
    pub(crate) buffers: WasmList<WasmList<u8>>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum ColumnValueIn {
    #[component(name = "fresh")]
    Fresh(ArrayIn),
    #[component(name = "borrowed")]
    Borrowed(Resource<HeldColumn>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum KindEnum {
    #[component(name = "retryable")]
    Retryable,
    #[component(name = "permanent")]
    Permanent,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct ErrorRecord {
    pub(crate) kind: KindEnum,
    pub(crate) message: String,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct ReadOptionsRecord {
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
    #[component(name = "batch-rows-max")]
    pub(crate) batch_rows_max: Option<u32>,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct IdentityRecord {
    pub(crate) run: String,
    pub(crate) node: String,
    pub(crate) table: String,
    pub(crate) attempt: u32,
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct WindowRecord {
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
    #[component(name = "as-of")]
    pub(crate) as_of: Option<i64>,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct MemberRecord {
    pub(crate) node: String,
    pub(crate) key: String,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct ProgressRecord {
    pub(crate) identifiers: Vec<String>,
    pub(crate) last: i64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "lifting makes them from numbers")]
pub(crate) enum LevelEnum {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// The named values of a log line, still in the guest's memory.
pub(crate) type LogFields = WasmList<(WasmStr, WasmStr)>;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum ArityEnum {
    #[component(name = "one")]
    One,
    #[component(name = "optional")]
    Optional,
    #[component(name = "many")]
    Many,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ComponentType, Lift)]
#[component(record)]
pub(crate) struct InputPortRecord {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) arity: ArityEnum,
    pub(crate) columns: SchemaRecord,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ComponentType, Lift)]
#[component(record)]
pub(crate) struct OutputPortRecord {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) columns: Option<SchemaRecord>,
    #[component(name = "time-index")]
    pub(crate) time_index: Option<String>,
    pub(crate) identifiers: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ComponentType, Lift)]
#[component(record)]
pub(crate) struct HintsRecord {
    #[component(name = "memory-bytes")]
    pub(crate) memory_bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ComponentType, Lift)]
#[component(record)]
pub(crate) struct DescriptionRecord {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) parameters: String,
    pub(crate) inputs: Vec<InputPortRecord>,
    pub(crate) outputs: Vec<OutputPortRecord>,
    pub(crate) hints: HintsRecord,
}

impl From<FailureKind> for KindEnum {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Retryable => Self::Retryable,
            FailureKind::Permanent => Self::Permanent,
        }
    }
}

impl From<KindEnum> for FailureKind {
    fn from(kind: KindEnum) -> Self {
        match kind {
            KindEnum::Retryable => Self::Retryable,
            KindEnum::Permanent => Self::Permanent,
        }
    }
}

impl From<LevelEnum> for Level {
    fn from(level: LevelEnum) -> Self {
        match level {
            LevelEnum::Trace => Self::Trace,
            LevelEnum::Debug => Self::Debug,
            LevelEnum::Info => Self::Info,
            LevelEnum::Warn => Self::Warn,
            LevelEnum::Error => Self::Error,
        }
    }
}
