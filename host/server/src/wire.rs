//! What crosses the wire as JSON: requests, answers, problems. The command line reads answers with the same types.

mod components;
mod pipelines;
mod problem;
mod runs;
mod tables;
mod tokens;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use components::{
    CollectRequest, Collected, Component, ComponentColumn, ComponentDescription, ComponentHints,
    ComponentInput, ComponentOutput, ComponentSummary, PushedComponent, SetTag, Tag, TagChange,
};
pub use pipelines::{
    ComponentUse, DeployRequest, DeployedVersion, KeptFile, Pipeline, PipelineFile, PipelineVersion,
    PlanRequest, PlannedNode, PlannedPipeline, PlannedSource,
};
pub use problem::{ProblemBody, ProblemPlace, SingleProblem};
pub use runs::{
    AddLink, AddNote, ArtefactOfRun, LineOfLog, LinkOnRun, LogOfAttempt, LogPart, NodeCounts, NoteOnRun,
    RetryRun, Run, RunDetail, RunEvent, StartRun, StateOfRun, TaskProgress, Transition, WindowOfRun,
};
pub use tables::{
    CollectLake, CollectedLake, CompactTables, CompactedTable, CompactedTables, ExpireSnapshots,
    ExpiredSnapshots, LineageOfTable, LineageStep, MirrorTrouble, MirroredVersion, OrphanedFile,
    RefusedTable, TableAuthor, TableDetail, TableMirror, TableProgress, TableRead, TableVersion,
};
pub use tokens::{AuditRecord, CreateToken, CreatedToken, Token, TokenRole};

/// A file as it is. It stands for bodies that are no JSON, and is never made.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Bytes(pub Vec<u8>);

/// A part of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give it as `cursor` for what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
