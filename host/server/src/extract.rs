//! Parts of a request as types; what does not fit is answered as a problem, as everything else.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use tidemill_plan::Code;

use crate::ApiProblem;
use crate::context::Context;
use crate::token::Caller;

/// A JSON body within the limit.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

/// What follows `?`.
#[derive(Debug)]
pub(crate) struct QueryOf<T>(pub(crate) T);

/// The parts of the path.
#[derive(Debug)]
pub(crate) struct PathOf<T>(pub(crate) T);

fn bad_request(what: String) -> ApiProblem {
    ApiProblem::new(Code("bad-request"), what, "`/api/v1/docs` shows what each request takes")
}

impl<T: DeserializeOwned> FromRequest<Context> for JsonBody<T> {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, context: &Context) -> Result<Self, ApiProblem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            let what = "the body is not declared as JSON";
            let mend = "send `Content-Type: application/json`";
            return Err(ApiProblem::new(Code("body-not-json"), what, mend));
        }
        let bytes = whole(body, context.options.limits.body_bytes_max).await?;
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|e| bad_request(format!("the body is not what this request takes: {e}")))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    kind.and_then(|it| it.split(';').next())
        .is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json"))
}

/// All of a body, unless it is too large.
async fn whole(body: Body, bytes_max: u64) -> Result<Vec<u8>, ApiProblem> {
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(part) = stream.try_next().await.map_err(|_gone| cut_off())? {
        if (bytes.len() + part.len()) as u64 > bytes_max {
            drain(stream).await;
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Takes in what follows of a body that is refused, within bounds: who still sends when the connection is closed may never
/// see the answer.
pub(crate) async fn drain(mut rest: BodyDataStream) {
    const WITHIN: Duration = Duration::from_secs(1);
    const BYTES_MAX: usize = 64 << 20;
    let discard = async {
        let mut bytes = 0;
        while let Some(Ok(part)) = rest.next().await {
            bytes += part.len();
            if bytes > BYTES_MAX {
                return;
            }
        }
    };
    // What is not sent by then is not waited for.
    tokio::time::timeout(WITHIN, discard).await.ok();
}

pub(crate) fn too_large(bytes_max: u64) -> ApiProblem {
    let what = format!("the body is larger than {bytes_max} bytes");
    ApiProblem::new(
        Code("body-too-large"),
        what,
        "send less, or raise the limit in the service's configuration",
    )
}

pub(crate) fn cut_off() -> ApiProblem {
    let what = "the body ended before it was complete";
    ApiProblem::new(Code("upload-cut-off"), what, "send it again; nothing of it was kept")
}

impl<T: DeserializeOwned> FromRequestParts<Context> for QueryOf<T> {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, ApiProblem> {
        let found = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        found.map(|it| Self(it.0)).map_err(|e| bad_request(e.body_text()))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<Context> for PathOf<T> {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, ApiProblem> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, context).await;
        found.map(|it| Self(it.0)).map_err(|e| bad_request(e.body_text()))
    }
}

/// Behind the guard every request has one.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiProblem> {
        let caller = parts.extensions.get::<Self>().cloned();
        Ok(caller.expect("the guard lets nobody pass without a name"))
    }
}
