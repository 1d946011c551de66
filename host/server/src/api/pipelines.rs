//! `/api/v1/pipelines`: planned, deployed as versions that never change, shown.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;
use tidemill_plan::{Digest, SourcePlace, SourceSpec, Work};
use tidemill_store::{DeployedAs, PipelineFile, Uses, Version, VersionRow};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use super::components::read_digest;
use crate::context::Context;
use crate::extract::{JsonBody, PathOf, QueryOf};
use crate::page::{ListQuery, PageOf};
use crate::planning::{self, Draft, Planned};
use crate::token::Caller;
use crate::wire::{
    self, ComponentUse, DeployRequest, DeployedVersion, Page, Pipeline, PipelineVersion, PlanRequest,
    PlannedNode, PlannedPipeline, PlannedSource,
};
use crate::{ApiProblem, clock};

pub(super) fn routes() -> Routes {
    Routes {
        viewer: OpenApiRouter::new()
            .routes(routes!(list_pipelines))
            .routes(routes!(show_pipeline))
            .routes(routes!(list_versions))
            .routes(routes!(show_version)),
        operator: OpenApiRouter::new().routes(routes!(deploy_pipeline)).routes(routes!(plan_pipeline)),
        admin: OpenApiRouter::new().routes(routes!(delete_version)),
        ..Routes::default()
    }
}

/// Plan a pipeline against the registry, without keeping it; files of sources are not looked at
#[utoipa::path(post, path = "/api/v1/plans", tag = "pipelines", request_body = PlanRequest,
    responses(
        (status = 200, description = "what would run", body = PlannedPipeline),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn plan_pipeline(
    State(context): State<Context>,
    JsonBody(request): JsonBody<PlanRequest>,
) -> Result<Json<PlannedPipeline>, ApiProblem> {
    let PlanRequest { text, file_name, pins, sets } = request;
    let draft = Draft { text, file_name, pins: read_pins(&pins)?, sets };
    let planned = planning::plan(&context.registry, draft, context.options.machine).await?;
    Ok(Json(planned_pipeline(&planned)))
}

/// Deploy a pipeline: checked as `tidemill plan` does, and kept as the next version unless the newest says the same
#[utoipa::path(post, path = "/api/v1/pipelines", tag = "pipelines", request_body = DeployRequest,
    responses(
        (status = 201, description = "a new version", body = DeployedVersion),
        (status = 200, description = "the newest version says the same", body = DeployedVersion),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn deploy_pipeline(
    State(context): State<Context>,
    caller: Caller,
    JsonBody(request): JsonBody<DeployRequest>,
) -> Result<(StatusCode, Json<DeployedVersion>), ApiProblem> {
    let DeployRequest { text, file_name, pins, files, sets } = request;
    let draft = Draft { text, file_name, pins: read_pins(&pins)?, sets };
    let file = |it: wire::PipelineFile| -> Result<PipelineFile, ApiProblem> {
        Ok(PipelineFile { digest: read_digest(&it.digest)?, path: it.path, bytes: it.bytes })
    };
    let files = files.into_iter().map(file).collect::<Result<_, _>>()?;
    let machine = context.options.machine;
    let (row, deployed) = context.deployments.deploy(draft, files, machine, caller.name).await?;
    let (status, is_new) = match deployed {
        DeployedAs::NewVersion => (StatusCode::CREATED, true),
        DeployedAs::Same => (StatusCode::OK, false),
    };
    Ok((status, Json(DeployedVersion { is_new, pipeline: version(row) })))
}

fn read_pins(pins: &BTreeMap<String, String>) -> Result<BTreeMap<String, Digest>, ApiProblem> {
    pins.iter().map(|(reference, it)| Ok((reference.clone(), read_digest(it)?))).collect()
}

/// The newest version of each pipeline, by name
#[utoipa::path(get, path = "/api/v1/pipelines", tag = "pipelines", params(ListQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<PipelineVersion>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_pipelines(
    State(context): State<Context>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<PipelineVersion>>, ApiProblem> {
    let page = PageOf::<String>::asked(query.limit, query.cursor.as_deref())?;
    let rows = context.store.pipelines(page.after.clone(), page.fetch()).await?;
    Ok(Json(page.page(rows, |it| it.name.clone(), version)))
}

/// The newest version of a pipeline
#[utoipa::path(get, path = "/api/v1/pipelines/{name}", tag = "pipelines",
    params(("name" = String, Path, description = "name of the pipeline")),
    responses(
        (status = 200, description = "the version", body = Pipeline),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn show_pipeline(
    State(context): State<Context>,
    PathOf(name): PathOf<String>,
) -> Result<Json<Pipeline>, ApiProblem> {
    let found = context.deployments.version(&name, None).await?;
    Ok(Json(pipeline(&context, found).await?))
}

/// The versions of a pipeline, newest first
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/versions", tag = "pipelines",
    params(("name" = String, Path, description = "name of the pipeline"), ListQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<PipelineVersion>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_versions(
    State(context): State<Context>,
    PathOf(name): PathOf<String>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<PipelineVersion>>, ApiProblem> {
    let page = PageOf::<i64>::asked(query.limit, query.cursor.as_deref())?;
    // One that is not there is told with the nearest.
    context.deployments.version(&name, None).await?;
    let rows = context.store.versions(&name, page.after, page.fetch()).await?;
    Ok(Json(page.page(rows, |it| it.version, version)))
}

/// One version of a pipeline
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/versions/{version}", tag = "pipelines",
    params(
        ("name" = String, Path, description = "name of the pipeline"),
        ("version" = i64, Path, description = "number of the version")),
    responses(
        (status = 200, description = "the version", body = Pipeline),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn show_version(
    State(context): State<Context>,
    PathOf((name, version)): PathOf<(String, i64)>,
) -> Result<Json<Pipeline>, ApiProblem> {
    let found = context.deployments.version(&name, Some(version)).await?;
    Ok(Json(pipeline(&context, found).await?))
}

/// Delete a version, so that its components and files may go; refused while a run of it has not ended
#[utoipa::path(delete, path = "/api/v1/pipelines/{name}/versions/{version}", tag = "pipelines",
    params(
        ("name" = String, Path, description = "name of the pipeline"),
        ("version" = i64, Path, description = "number of the version, which no other ever has")),
    responses(
        (status = 200, description = "deleted", body = PipelineVersion),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn delete_version(
    State(context): State<Context>,
    PathOf((name, number)): PathOf<(String, i64)>,
) -> Result<Json<PipelineVersion>, ApiProblem> {
    Ok(Json(version(context.deployments.remove(&name, number).await?)))
}

async fn pipeline(context: &Context, found: Version) -> Result<Pipeline, ApiProblem> {
    let mut components = BTreeMap::new();
    for (reference, uses) in &found.components {
        let digest = match uses {
            Uses::Pinned(digest) => Some(*digest),
            Uses::Tagged { name, tag } => context.store.tag(name, tag).await?.map(|it| it.digest),
        };
        let tag = match uses {
            Uses::Pinned(_) => None,
            Uses::Tagged { name, tag } => Some(format!("{name}:{tag}")),
        };
        components.insert(reference.clone(), ComponentUse { tag, digest: digest.map(|it| it.to_string()) });
    }
    let file = |it: PipelineFile| wire::PipelineFile {
        path: it.path,
        digest: it.digest.to_string(),
        bytes: it.bytes,
    };
    Ok(Pipeline {
        file_name: found.row.file_name.clone(),
        version: version(found.row),
        text: found.text,
        components,
        files: found.files.into_iter().map(file).collect(),
    })
}

fn version(row: VersionRow) -> PipelineVersion {
    PipelineVersion {
        name: row.name,
        version: row.version,
        digest: row.digest.to_string(),
        summary: row.summary,
        deployed_at: clock::text(row.deployed_at),
        deployed_by: row.deployed_by,
    }
}

fn planned_source(node: &str, spec: &SourceSpec) -> PlannedSource {
    let (path, table) = match &spec.place {
        SourcePlace::Files { path, .. } => (Some(path.clone()), None),
        SourcePlace::Table { table } => (None, Some(table.0.clone())),
    };
    PlannedSource { node: node.to_owned(), path, table, source: json!(spec) }
}

fn planned_pipeline(planned: &Planned) -> PlannedPipeline {
    let (mut nodes, mut sources) = (Vec::new(), Vec::new());
    let (pipeline, summary) = (planned.name.clone(), planned.summary.clone());
    let Some(plan) = &planned.plan else {
        let source = |(node, spec): &(String, SourceSpec)| planned_source(node, spec);
        return PlannedPipeline {
            pipeline,
            summary,
            nodes,
            sources: planned.sources.iter().map(source).collect(),
        };
    };
    for node in &plan.nodes {
        match &node.work {
            Work::Source(spec) => sources.push(planned_source(&node.name, spec)),
            Work::Task(it) => nodes.push(PlannedNode {
                node: node.name.clone(),
                task: it.description.name.clone(),
                component: it.digest.to_string(),
                parameters: (*it.parameters).clone(),
                tables: node.outputs.iter().map(|it| it.name.to_string()).collect(),
            }),
        }
    }
    PlannedPipeline { pipeline, summary, nodes, sources }
}
