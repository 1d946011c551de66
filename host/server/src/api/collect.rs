//! `/api/v1/collect`: components and files that nothing refers to go, when someone says so.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use tidemill_plan::Digest;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::context::Context;
use crate::extract::JsonBody;
use crate::wire::{self, CollectRequest, Collected};
use crate::{ApiProblem, clock, task};

/// What was uploaded or asked for since stays: a deployment on its way is about to refer to it.
const YOUNG: Duration = Duration::from_secs(3600);

pub(super) fn routes() -> Routes {
    Routes { admin: OpenApiRouter::new().routes(routes!(collect)), ..Routes::default() }
}

/// Remove components without a tag and files without a pipeline, older than an hour, that nothing refers to
#[utoipa::path(post, path = "/api/v1/collect", tag = "components", request_body = CollectRequest,
    responses(
        (status = 200, description = "what went, or would go", body = Collected),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn collect(
    State(context): State<Context>,
    JsonBody(request): JsonBody<CollectRequest>,
) -> Result<Json<Collected>, ApiProblem> {
    let pushed_before = clock::now() - i64::try_from(YOUNG.as_nanos()).expect("an hour fits");
    let unused = context.store.unused_components(pushed_before).await?;
    let mut bytes = 0;
    for it in &unused {
        bytes += context.store.component(*it).await?.map_or(0, |it| it.bytes);
    }
    let files = unused_files(&context).await?;
    bytes += files.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let components = if request.dry_run { unused } else { context.registry.collect(pushed_before).await? };
    if !request.dry_run {
        let (kept, gone) = (context.deployments.files().clone(), files.clone());
        task::blocking(move || gone.iter().try_for_each(|(it, _)| kept.remove(*it))).await??;
    }
    let text = |it: &Digest| it.to_string();
    let files = files.iter().map(|(it, _)| text(it)).collect();
    Ok(Json(Collected { components: components.iter().map(text).collect(), files, bytes }))
}

async fn unused_files(context: &Context) -> Result<Vec<(Digest, u64)>, ApiProblem> {
    let kept = context.deployments.files().clone();
    let untouched = task::blocking(move || kept.untouched(YOUNG)).await??;
    let mut unused = Vec::new();
    for it in untouched {
        if !context.store.is_file_used(it.0).await? {
            unused.push(it);
        }
    }
    Ok(unused)
}
