//! Pipelines: planned, deployed, shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A pipeline that is to be looked at.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// The pipeline file: TOML, or JSON where its name ends in `.json`.
    pub text: String,
    /// Names the text in problems.
    #[serde(default = "default_file_name")]
    #[schema(default = "pipeline.toml")]
    pub file_name: String,
    /// Components by the references of the pipeline, by digest. Other references are names and tags of the registry.
    #[serde(default)]
    pub pins: BTreeMap<String, String>,
    /// Values to plan with, as `name=value`: for parameters without a default.
    #[serde(default)]
    pub sets: Vec<String>,
}

/// A pipeline that is to be deployed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The pipeline file: TOML, or JSON where its name ends in `.json`.
    pub text: String,
    /// Names the text in problems.
    #[serde(default = "default_file_name")]
    #[schema(default = "pipeline.toml")]
    pub file_name: String,
    /// Components by the references of the pipeline, fixed for this version. Other references are names and tags of
    /// the registry, and mean what the tag points at when a run begins.
    #[serde(default)]
    pub pins: BTreeMap<String, String>,
    /// What its sources read; uploaded before.
    #[serde(default)]
    pub files: Vec<PipelineFile>,
    /// Values to check with, as `name=value`: for parameters without a default. They are not kept.
    #[serde(default)]
    pub sets: Vec<String>,
}

fn default_file_name() -> String {
    "pipeline.toml".to_owned()
}

/// A file that sources read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineFile {
    /// Relative to the pipeline file, with `/`.
    pub path: String,
    /// BLAKE3.
    pub digest: String,
    pub bytes: u64,
}

/// What would run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlannedPipeline {
    pub pipeline: String,
    pub summary: String,
    pub nodes: Vec<PlannedNode>,
    pub sources: Vec<PlannedSource>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlannedNode {
    pub node: String,
    pub task: String,
    /// Digest of the component.
    pub component: String,
    pub parameters: Value,
    /// Names of the tables that it writes.
    pub tables: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlannedSource {
    pub node: String,
    /// A file, a folder or a glob, relative to the pipeline file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Instead of files, a table of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// All that the pipeline says of it.
    pub source: Value,
}

/// A version without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineVersion {
    pub name: String,
    /// From 1 on.
    pub version: i64,
    /// Of all that makes it.
    pub digest: String,
    pub summary: String,
    #[schema(format = DateTime)]
    pub deployed_at: String,
    pub deployed_by: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeployedVersion {
    /// False where the newest version says the same.
    pub is_new: bool,
    pub pipeline: PipelineVersion,
}

/// All of a version.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Pipeline {
    #[serde(flatten)]
    pub version: PipelineVersion,
    pub file_name: String,
    pub text: String,
    /// By reference.
    pub components: BTreeMap<String, ComponentUse>,
    pub files: Vec<PipelineFile>,
}

/// Which component a reference means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComponentUse {
    /// `name:tag` where it follows a tag; absent where it is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What it means now; absent where the tag is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A file that was uploaded.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeptFile {
    pub digest: String,
    pub bytes: u64,
}
