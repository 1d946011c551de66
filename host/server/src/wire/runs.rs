//! Runs: asked for, told of, annotated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::SingleProblem;

/// A run as it is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartRun {
    pub pipeline: String,
    /// Absent: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub version: Option<i64>,
    /// `path=value`, as the command line takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
    /// Typed values by parameter; `set` wins.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Where `parameters` came from, by name; told in the run's record.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters_from: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "WindowOfRun::is_open")]
    pub window: WindowOfRun,
    /// This node and all that it depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// This node alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// What this node depends on, without itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deps_only: Option<String>,
    /// This node and what reads it is computed, valid or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_node: Option<String>,
    /// Everything is computed, valid or not.
    pub force: bool,
    /// A failed node stops only what needs it.
    pub keep_going: bool,
    /// One node at a time, in topological order.
    pub debug: bool,
    /// Higher begins first.
    pub priority: i32,
    pub description: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the run refers to: a ticket, a dashboard, a paper.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub links: Vec<AddLink>,
    /// Two requests with one key are one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub idempotency_key: Option<String>,
}

/// The part of time that a run is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WindowOfRun {
    /// First time, as `2020-01-02` or RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// First time that is no longer part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// No row after it is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

impl WindowOfRun {
    fn is_open(&self) -> bool {
        *self == Self::default()
    }
}

/// A run again from one that has ended: with its pipeline, parameters, window and code.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryRun {
    /// This node and what reads it is computed anew; absent: what has no valid result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_node: Option<String>,
    /// Everything is computed anew.
    pub force: bool,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StateOfRun {
    Queued,
    Running,
    /// Nothing more of it begins until it is resumed.
    Paused,
    Succeeded,
    Failed,
    Cancelled,
}

impl StateOfRun {
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How many nodes stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct NodeCounts {
    pub waiting: u64,
    pub running: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub skipped: u64,
    pub cancelled: u64,
}

/// A run in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Run {
    pub id: String,
    pub pipeline: String,
    pub version: i64,
    pub state: StateOfRun,
    pub priority: i64,
    #[schema(format = DateTime)]
    pub created_at: String,
    pub created_by: String,
    #[schema(format = DateTime)]
    pub began_at: Option<String>,
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    pub nodes: NodeCounts,
    /// Why it could not begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<SingleProblem>,
    /// What the host is called that carries it out, or has.
    pub host: Option<String>,
    /// That host's process, which no other is ever named like.
    pub process: Option<String>,
}

/// All that is known of a run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    #[serde(flatten)]
    pub run: Run,
    /// As it was asked for.
    #[schema(value_type = Object)]
    pub request: Value,
    /// Parameters with where they came from, window, components by digest, nodes with attempts, tables, metrics and errors;
    /// absent while nothing of it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub record: Option<Value>,
    pub notes: Vec<NoteOnRun>,
    #[serde(default)]
    pub links: Vec<LinkOnRun>,
    /// Files that its tasks left, by node.
    #[serde(default)]
    pub artefacts: Vec<ArtefactOfRun>,
    /// What tasks that run say of their progress.
    pub progress: BTreeMap<String, TaskProgress>,
    /// What keeps nodes from going on: they go on by themselves when it is mended.
    #[serde(default)]
    pub troubles: BTreeMap<String, SingleProblem>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskProgress {
    pub done: u64,
    pub total: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NoteOnRun {
    #[schema(format = DateTime)]
    pub at: String,
    pub who: String,
    pub text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddNote {
    #[schema(min_length = 1, max_length = 10000)]
    pub text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LinkOnRun {
    #[schema(format = DateTime)]
    pub at: String,
    pub who: String,
    /// May be empty.
    pub title: String,
    pub url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddLink {
    /// Of `http` or `https`, without a user's name or password.
    #[schema(min_length = 8, max_length = 2000, pattern = "^https?://")]
    pub url: String,
    /// What to show instead.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 200)]
    pub title: String,
}

/// A file that a task left beside its tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtefactOfRun {
    pub node: String,
    /// Of an attempt that failed: its number; what it left is no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_attempt: Option<u32>,
    pub name: String,
    /// As the task says.
    pub media_type: String,
    pub bytes: u64,
    /// BLAKE3 of its content.
    pub digest: String,
}

/// A step in a run's life.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// Counted from 0.
    pub number: u64,
    #[schema(format = DateTime)]
    pub at: String,
    /// As `attempt-began`, `node-failed`.
    pub fact: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What else belongs to it: attempt, cause, error, tables.
    #[schema(value_type = Object)]
    pub detail: Value,
}

/// An event of a stream that follows a run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RunEvent {
    /// The step's number, to go on after with `Last-Event-ID`.
    pub id: String,
    /// The step's `fact`.
    pub event: String,
    /// The step: a `Transition` as JSON.
    pub data: String,
}

/// What one attempt has logged.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogOfAttempt {
    pub node: String,
    pub attempt: u32,
    pub lines: u64,
    pub bytes: u64,
}

/// A part of a log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogPart {
    pub lines: Vec<LineOfLog>,
    /// The number of the line to go on from.
    pub next: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LineOfLog {
    /// Counted from 0.
    pub number: u64,
    #[schema(format = DateTime)]
    pub at: String,
    pub level: String,
    /// `task`, `stdout` or `stderr`.
    pub source: String,
    pub message: String,
    pub fields: Vec<(String, String)>,
}
