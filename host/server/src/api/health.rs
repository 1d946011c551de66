//! Whether the service lives, whether it can work, and what it counts.

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use tidemill_plan::Code;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::context::Context;
use crate::{ApiProblem, wire};

/// How long the store may take to say that it is there.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Open to everyone: they tell nothing but themselves.
pub(super) fn routes() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

pub(super) fn metrics_route() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// The process answers
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "it lives", body = String)))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// The store can be reached, and this host counts
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses(
        (status = 200, description = "it can work", body = String),
        (status = 503, description = "not now", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn readyz(State(context): State<Context>) -> Result<&'static str, ApiProblem> {
    let not_ready = |what: &str| {
        let mend = "wait; see the service's log where it stays so";
        ApiProblem::new(Code("not-ready"), format!("the service is not ready: {what}"), mend)
    };
    if context.is_stopping() {
        return Err(not_ready("it is stopping"));
    }
    match tokio::time::timeout(READY_WITHIN, context.store.read()).await {
        Ok(Ok(_)) => Ok("ready\n"),
        Ok(Err(e)) => Err(not_ready(&e.to_string())),
        Err(_) => Err(not_ready("the store does not answer")),
    }
}

/// What the service counts, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses(
        (status = 200, description = "in the text format of OpenMetrics", body = String,
            content_type = "application/openmetrics-text"),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn metrics(State(context): State<Context>) -> Result<impl IntoResponse, ApiProblem> {
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = context.metrics.text(&context.store).await?;
    Ok(([(header::CONTENT_TYPE, KIND)], text))
}
