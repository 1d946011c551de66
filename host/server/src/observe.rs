//! What surrounds every request: its id, its span, its place in the metrics, and the limits that hold for all.

use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tidemill_plan::Code;
use tracing::Instrument as _;

use crate::ApiProblem;
use crate::context::Context;

/// Names a request in its answer, in the log and in the audit log.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

const HEADER: &str = "x-request-id";

/// The outermost layer.
pub(crate) async fn observe(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = context.next_request_id();
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id, %method, route, status = tracing::field::Empty);
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, took) = (response.status(), began.elapsed());
    span.record("status", status.as_u16());
    context.metrics.request(method.as_str(), &route, status.as_u16(), took);
    let (status, took_us) = (status.as_u16(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    span.in_scope(|| {
        if method == Method::GET && status < 400 {
            tracing::debug!(status, took_us, "answered");
        } else {
            tracing::info!(status, took_us, "answered");
        }
    });
    let id = HeaderValue::from_str(&id).expect("ids are ASCII");
    response.headers_mut().insert(HEADER, id);
    response
}

/// Turns away what is too much: at one time, or of headers.
pub(crate) async fn limit(State(context): State<Context>, request: Request, next: Next) -> Response {
    let limits = &context.options.limits;
    let Ok(_slot) = context.slots.try_acquire() else {
        context.metrics.shed();
        let what = format!("the service works on {} requests already", limits.requests_max);
        return ApiProblem::new(Code("overloaded"), what, "try again in a moment").into_response();
    };
    if request.headers().len() > limits.headers_max {
        let what = format!("the request has more than {} headers", limits.headers_max);
        return ApiProblem::new(Code("too-many-headers"), what, "send fewer").into_response();
    }
    next.run(request).await
}

/// Ends what takes too long until its answer begins.
pub(crate) async fn time_out(State(context): State<Context>, request: Request, next: Next) -> Response {
    let limit = context.options.limits.timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let what = format!("the request took longer than {} ms", limit.as_millis());
            let mend = "ask for less at a time, or raise `request_timeout` in the service's configuration";
            ApiProblem::new(Code("request-timeout"), what, mend).into_response()
        }
    }
}

/// A defect of ours ends one request, not the service.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text");
    tracing::error!(panic = text, "a request panicked");
    let what = "the service met a defect of its own";
    let mend = "please report it with the `x-request-id` of this answer and what the service logged";
    ApiProblem::new(Code("internal"), what, mend).into_response()
}

/// No route has this path.
pub(crate) async fn unknown_path(request: Request) -> ApiProblem {
    let path: String = request.uri().path().chars().take(200).collect();
    let what = format!("there is nothing at `{}`", path.escape_debug());
    ApiProblem::new(Code("unknown-path"), what, "`/api/v1/docs` shows what there is")
}

/// The path is there, but not so.
pub(crate) async fn unknown_method(request: Request) -> ApiProblem {
    let what = format!("`{}` does not take `{}`", request.uri().path().escape_debug(), request.method());
    ApiProblem::new(Code("unknown-method"), what, "`/api/v1/docs` shows what it takes")
}
