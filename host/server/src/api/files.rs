//! `/api/v1/files`: what sources of pipelines read, uploaded before the pipeline.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use tidemill_plan::Code;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use super::components::read_digest;
use crate::context::Context;
use crate::extract::PathOf;
use crate::upload::{Terms, receive};
use crate::wire::{self, KeptFile};
use crate::{ApiProblem, task};

pub(super) fn routes() -> Routes {
    Routes {
        operator: OpenApiRouter::new().routes(routes!(has_file)),
        upload: OpenApiRouter::new().routes(routes!(put_file)),
        ..Routes::default()
    }
}

/// Whether a file is there
#[utoipa::path(head, path = "/api/v1/files/{digest}", tag = "pipelines",
    params(("digest" = String, Path, description = "BLAKE3 of the file")),
    responses(
        (status = 200, description = "it is there"),
        (status = "default", description = "refused, without a body")))]
async fn has_file(
    State(context): State<Context>,
    PathOf(digest): PathOf<String>,
) -> Result<impl IntoResponse, ApiProblem> {
    let digest = read_digest(&digest)?;
    let files = context.deployments.files().clone();
    match task::blocking(move || files.touch(digest)).await?? {
        Some(bytes) => Ok([(header::CONTENT_LENGTH, bytes.to_string())]),
        None => {
            let what = format!("there is no file `{digest}`");
            Err(ApiProblem::new(Code("unknown-file"), what, "upload it with `PUT`"))
        }
    }
}

/// Upload a file; one that is there already is the same
#[utoipa::path(put, path = "/api/v1/files/{digest}", tag = "pipelines",
    params(("digest" = String, Path, description = "BLAKE3 of the file; another one is refused")),
    request_body(content = wire::Bytes, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "kept", body = KeptFile),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn put_file(
    State(context): State<Context>,
    PathOf(digest): PathOf<String>,
    body: Body,
) -> Result<(StatusCode, Json<KeptFile>), ApiProblem> {
    let digest = read_digest(&digest)?;
    let limits = &context.options.limits;
    let terms = Terms { bytes_max: limits.file_bytes_max, digest: Some(digest), stall: limits.timeout };
    let files = context.deployments.files();
    let received = receive(body, files.dir(), terms).await?;
    let (path, bytes) = (files.path(digest), received.bytes);
    task::blocking(move || received.keep(&path)).await??;
    Ok((StatusCode::CREATED, Json(KeptFile { digest: digest.to_string(), bytes })))
}
