//! The plan: what would run, in order, every value known.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use serde_json::Value;

use crate::{Digest, MirrorTarget, SourceSpec, TableName, TaskDescription, Time, Window};

/// A pipeline with its parameters bound.
#[derive(Clone, Debug)]
pub struct Plan {
    pub pipeline: String,
    pub summary: String,
    /// Of the pipeline file, as it was read.
    pub text: Arc<str>,
    pub parameters: BTreeMap<String, BoundParameter>,
    pub window: Window,
    /// In topological order; nodes that do not depend on each other keep the order of the file.
    pub nodes: Vec<PlanNode>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BoundParameter {
    pub value: Value,
    pub provenance: Provenance,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    Default,
    /// By `Request::parameters`; whoever filled those knows where from.
    Given,
    /// By `--set`.
    Set,
}

/// The `for_each` values of a family's member, in the order of the file.
pub type FamilyKey = Vec<(String, Value)>;

#[derive(Clone, Debug)]
pub struct PlanNode {
    /// Unique: the name in the file, for a family's member with its key, as `leg[window=60]`.
    pub name: String,
    /// The name in the file.
    pub family: String,
    pub key: FamilyKey,
    pub work: Work,
    pub inputs: Vec<Input>,
    pub outputs: Vec<PlanTable>,
    /// Table id with the ignored parameters.
    pub update_id: Digest,
    pub resources: Resources,
    pub limits: Limits,
    pub timeout_ms: Option<u64>,
    pub retry: Retry,
    pub write_mode: WriteMode,
    /// Of a node that adds to its tables: the first time that it computes; `None`: from the beginning.
    pub first_time: Option<Time>,
    /// Of a node that adds to its tables.
    pub corrections: Corrections,
    /// Higher starts first.
    pub priority: i32,
}

impl PlanNode {
    /// The name in the file, for a family's member with its key; `name` may have values of a sweep's axes besides.
    #[must_use]
    pub fn own_name(&self) -> String {
        crate::family::member_name(&self.family, &self.key)
    }
}

#[derive(Clone, Debug)]
pub enum Work {
    Source(SourceSpec),
    Task(TaskUse),
}

#[derive(Clone, Debug)]
pub struct TaskUse {
    /// As written in the file: a name, or a path of a component.
    pub reference: String,
    /// Of the component.
    pub digest: Digest,
    pub description: Arc<TaskDescription>,
    /// Canonical: keys sorted, defaults filled in, numbers by the schema's type. One for nodes of a declaration that have
    /// the same.
    pub parameters: Arc<Value>,
    pub identity_ignore: Vec<String>,
}

/// The tables bound to one input port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub port: String,
    pub members: Vec<Member>,
    /// How far back of a row's time the task reads here; `None`: all of the past.
    pub look_back: Option<Span>,
}

/// A stretch of time before a row's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many distinct times of the table.
    Times(u64),
    Milliseconds(u64),
}

/// What a task sees of a node that it reads: the names in the pipeline's file, which a sweep does not change.
#[derive(Debug, PartialEq, Eq)]
pub struct SeenAs {
    /// As `leg[window=60]`.
    pub node: String,
    /// The `for_each` values as a JSON object.
    pub key: String,
    /// Of both.
    pub digest: Digest,
}

impl SeenAs {
    pub(crate) fn new(node: &str, key: &FamilyKey) -> Self {
        let object: serde_json::Map<_, _> = key.iter().cloned().collect();
        let (node, key) = (crate::family::member_name(node, key), Value::Object(object).to_string());
        let digest = Digest::of([&*node, "\n", &*key].concat().as_bytes());
        Self { node, key, digest }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Position in `Plan::nodes`, smaller than the consumer's.
    pub node: usize,
    /// Position in that node's `outputs`.
    pub output: usize,
    pub seen_as: Arc<SeenAs>,
}

/// A table that a node writes.
#[derive(Clone, Debug)]
pub struct PlanTable {
    pub port: String,
    pub name: TableName,
    /// Table id.
    pub id: Digest,
    /// `None` when only running decides.
    pub columns: Option<SchemaRef>,
    pub time_index: Option<String>,
    pub identifiers: Vec<String>,
    /// The table of PostgreSQL that a service keeps equal to it.
    pub mirror: Option<MirrorTarget>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpus_milli: u32,
    /// Linear memory that an attempt may use, and that admission counts.
    pub memory_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub output_bytes: u64,
    pub log_bytes: u64,
    /// Instructions, counted exactly; `None`: not counted.
    pub fuel: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    pub policy: RetryPolicy,
    /// Tries after the first.
    pub max: u32,
    pub delay_ms: u64,
    pub max_delay_ms: u64,
    /// Each delay is drawn from [delay × (1 − jitter), delay × (1 + jitter)]; between 0 and 1.
    pub jitter: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryPolicy {
    None,
    Fixed,
    Linear,
    Exponential,
}

/// What follows when rows change upstream that a node has read already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrections {
    /// Nothing: what is there stays.
    Ignore,
    /// Everything from the first changed row on is computed again.
    Recompute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// The table is what the attempt wrote.
    Replace,
    /// Rows are added; an index that is already there is an error.
    Append,
    /// Rows are added; an index that is already there is replaced.
    Upsert,
}
