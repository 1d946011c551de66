//! Who may pass: the token of a request, its role, and the audit log of what was done and what was refused.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tidemill_plan::{Code, Problem};
use tidemill_store::{AuditEntry, Role};

use crate::context::Context;
use crate::observe::RequestId;
use crate::problem::AnsweredCode;
use crate::token::{Caller, Presented};
use crate::{ApiProblem, Proxy, clock, extract};

/// The longest part of a path that is written down.
const TARGET_CHARS_MAX: usize = 500;

/// Lets a request pass that has a good token, and writes down what changes something or is refused.
pub(crate) async fn guard(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    let at = clock::now();
    let header = request.headers().get(header::AUTHORIZATION);
    let presented = Presented::of_header(header.map(|it| it.to_str().unwrap_or_default()));
    let mut entry = entry(&context, &request, at);
    // The same work for each: also a request without a token, or with one that nobody has, is looked up and compared.
    let checked = match context.store.token(&presented.id).await {
        Ok(kept) => presented.check(kept.as_ref()).map_err(ApiProblem::from),
        Err(e) => Err(e.into()),
    };
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let response = match checked {
        Ok(caller) => {
            context.clerk.note_use(&caller.token, at);
            (entry.who, entry.token) = (caller.name.clone(), Some(caller.token.clone()));
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => {
            extract::drain(request.into_body().into_data_stream()).await;
            entry.token = Some(presented.id).filter(|it| it.bytes().any(|it| it != b'0'));
            problem.into_response()
        }
    };
    let status = response.status();
    if is_change || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        entry.status = status.as_u16();
        entry.code = response.extensions().get::<AnsweredCode>().map(|it| it.0.0.to_owned());
        context.clerk.note(entry);
    }
    response
}

fn entry(context: &Context, request: &Request, at: i64) -> AuditEntry {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let id = request.extensions().get::<RequestId>().map_or(String::new(), |it| it.0.clone());
    AuditEntry {
        at,
        who: String::new(),
        token: None,
        action: format!("{} {route}", request.method()),
        target: request.uri().path().chars().take(TARGET_CHARS_MAX).collect(),
        status: 0,
        code: None,
        remote: remote(context, request),
        request: id,
    }
}

/// Where a request came from, as far as it can be known.
fn remote(context: &Context, request: &Request) -> String {
    let forwarded = || {
        let header = request.headers().get("x-forwarded-for")?.to_str().ok()?;
        // The proxy's own word is the last; what stands before came from the client.
        Some(header.rsplit(',').next()?.trim().chars().take(64).collect::<String>())
    };
    let direct = || request.extensions().get::<ConnectInfo<SocketAddr>>().map(|it| it.0.ip().to_string());
    let found = match context.options.proxy {
        Proxy::Trusted => forwarded().or_else(direct),
        Proxy::None => direct(),
    };
    found.unwrap_or_default()
}

/// Lets a request pass whose caller has the role, or a greater one.
pub(crate) async fn require(
    State(role): State<Role>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    if caller.role >= role {
        return next.run(request).await;
    }
    extract::drain(request.into_body().into_data_stream()).await;
    let what = format!(
        "token `{}` has the role {}, and this takes {}",
        caller.name,
        caller.role.name(),
        role.name()
    );
    let mend = "use a token of that role; an admin makes one with `tidemill tokens create`";
    ApiProblem::from(Problem::new(Code("role-too-small"), what, mend)).into_response()
}
