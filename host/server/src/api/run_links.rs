//! `/api/v1/runs/{id}/links`: what runs refer to. Only addresses of the web: whoever follows one must not run anything.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tidemill_plan::Code;
use tidemill_store::Link;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use super::runs::{check_text, find};
use crate::context::Context;
use crate::extract::{JsonBody, PathOf};
use crate::token::Caller;
use crate::wire::{self, AddLink, LinkOnRun};
use crate::{ApiProblem, clock};

/// That a run may be begun with; more can be added.
const LINKS_MAX: usize = 64;
const URL_CHARS_MAX: usize = 2000;
const TITLE_CHARS_MAX: usize = 200;

pub(super) fn routes() -> Routes {
    Routes { operator: OpenApiRouter::new().routes(routes!(add_link)), ..Routes::default() }
}

/// Add a link to a run, at any time
#[utoipa::path(post, path = "/api/v1/runs/{id}/links", tag = "runs", request_body = AddLink,
    params(("id" = String, Path, description = "the run, or the beginning of its id")),
    responses(
        (status = 201, description = "added", body = LinkOnRun),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn add_link(
    State(context): State<Context>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    JsonBody(asked): JsonBody<AddLink>,
) -> Result<(StatusCode, Json<LinkOnRun>), ApiProblem> {
    let row = find(&context, &id).await?;
    let link = link(&asked, &caller)?;
    context.store.add_link(row.id, link.clone()).await?;
    Ok((StatusCode::CREATED, Json(told(link))))
}

pub(super) fn told(it: Link) -> LinkOnRun {
    LinkOnRun { at: clock::text(it.at), who: it.who, title: it.title, url: it.url }
}

/// Those that a run is begun with.
pub(super) fn given(asked: &[AddLink], caller: &Caller) -> Result<Vec<Link>, ApiProblem> {
    if asked.len() > LINKS_MAX {
        let what = format!("there are {} links", asked.len());
        return Err(ApiProblem::new(Code("bad-request"), what, format!("use at most {LINKS_MAX}")));
    }
    asked.iter().map(|it| link(it, caller)).collect()
}

fn link(asked: &AddLink, caller: &Caller) -> Result<Link, ApiProblem> {
    check_text("title", &asked.title, TITLE_CHARS_MAX)?;
    check_text("url", &asked.url, URL_CHARS_MAX)?;
    check_url(&asked.url)?;
    if asked.title.chars().any(char::is_control) {
        let what = "the title of a link holds characters that cannot be shown";
        return Err(ApiProblem::new(Code("bad-link"), what, "write one line of text"));
    }
    let (title, url) = (asked.title.trim().to_owned(), asked.url.clone());
    Ok(Link { at: clock::now(), who: caller.name.clone(), title, url })
}

fn check_url(url: &str) -> Result<(), ApiProblem> {
    let refused = |why: &str| {
        let what = format!("`{}` cannot be a link: {why}", url.escape_debug());
        ApiProblem::new(Code("bad-link"), what, "write it as `https://example.com/ticket/7`")
    };
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    if !["http", "https"].iter().any(|it| scheme.eq_ignore_ascii_case(it)) {
        return Err(refused("it begins with neither `https://` nor `http://`"));
    }
    if url.chars().any(|it| it.is_whitespace() || it.is_control() || "\"<>\\^`{|}".contains(it)) {
        return Err(refused("it holds characters that an address does not have"));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Err(refused("it holds a user's name or password, which everybody would see"));
    }
    if host.is_empty() || host.starts_with(':') {
        return Err(refused("it names no host"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_links() {
        for url in ["https://example.com", "HTTP://localhost:8080/a?b=c#d", "https://größe.example/µ"] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "example.com",
            "javascript:alert(1)",
            "javascript://example.com/%0aalert(1)",
            "file:///etc/passwd",
            "data:text/html,x",
            "https://",
            "https:///a",
            "https://:80",
            "https://a b",
            "https://a\n",
            "https://a\"b",
            "https://ann:secret@example.com",
        ] {
            assert_eq!(check_url(url).map_err(|it| it.into_first().code.0), Err("bad-link"), "{url:?}");
        }
    }
}
