//! `/api/v1/tags`: set, listed, taken away, and where they pointed before.

use axum::Json;
use axum::extract::State;
use tidemill_plan::Code;
use tidemill_store::{TagMove, TagRow};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use super::components::read_digest;
use crate::context::Context;
use crate::extract::{JsonBody, PathOf, QueryOf};
use crate::page::{ListQuery, PageOf};
use crate::registry::new_tag;
use crate::token::Caller;
use crate::wire::{self, Page, SetTag, Tag, TagChange};
use crate::{ApiProblem, clock};

pub(super) fn routes() -> Routes {
    Routes {
        viewer: OpenApiRouter::new().routes(routes!(list_tags)).routes(routes!(tag_history)),
        operator: OpenApiRouter::new().routes(routes!(set_tag)),
        admin: OpenApiRouter::new().routes(routes!(remove_tag)),
        ..Routes::default()
    }
}

/// The tags of a component's name
#[utoipa::path(get, path = "/api/v1/tags/{name}", tag = "components",
    params(("name" = String, Path, description = "name of a component"), ListQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<Tag>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_tags(
    State(context): State<Context>,
    PathOf(name): PathOf<String>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<Tag>>, ApiProblem> {
    let page = PageOf::<String>::asked(query.limit, query.cursor.as_deref())?;
    let rows = context.store.tags(&name, page.after.clone(), page.fetch()).await?;
    Ok(Json(page.page(rows, |it| it.tag.clone(), tag)))
}

/// Where a tag pointed, newest first
#[utoipa::path(get, path = "/api/v1/tags/{name}/{tag}/history", tag = "components",
    params(("name" = String, Path, description = "name of a component"), ("tag" = String, Path, description = "the tag"), ListQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<TagChange>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn tag_history(
    State(context): State<Context>,
    PathOf((name, tag)): PathOf<(String, String)>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<TagChange>>, ApiProblem> {
    let page = PageOf::<i64>::asked(query.limit, query.cursor.as_deref())?;
    let rows = context.store.tag_moves(&name, &tag, page.after, page.fetch()).await?;
    Ok(Json(page.page(rows, |it| it.number, change)))
}

/// Point a tag at a component; a version such as `1.2.0` never moves
#[utoipa::path(put, path = "/api/v1/tags/{name}/{tag}", tag = "components", request_body = SetTag,
    params(("name" = String, Path, description = "name of a component"), ("tag" = String, Path, description = "the tag")),
    responses(
        (status = 200, description = "set", body = Tag),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn set_tag(
    State(context): State<Context>,
    caller: Caller,
    PathOf((name, tag)): PathOf<(String, String)>,
    JsonBody(set): JsonBody<SetTag>,
) -> Result<Json<Tag>, ApiProblem> {
    let digest = read_digest(&set.digest)?;
    let row = context.store.set_tag(name, new_tag(&tag)?, digest, clock::now(), caller.name).await?;
    Ok(Json(self::tag(row)))
}

/// Take a tag away; its history stays
#[utoipa::path(delete, path = "/api/v1/tags/{name}/{tag}", tag = "components",
    params(("name" = String, Path, description = "name of a component"), ("tag" = String, Path, description = "the tag")),
    responses(
        (status = 200, description = "where it pointed", body = Tag),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn remove_tag(
    State(context): State<Context>,
    caller: Caller,
    PathOf((name, tag)): PathOf<(String, String)>,
) -> Result<Json<Tag>, ApiProblem> {
    let row = context.store.remove_tag(name.clone(), tag.clone(), clock::now(), caller.name).await?;
    row.map(|it| Json(self::tag(it))).ok_or_else(|| {
        let what = format!("there is no tag `{}:{}`", name.escape_debug(), tag.escape_debug());
        ApiProblem::new(Code("unknown-tag"), what, "`tidemill components tags NAME` lists them")
    })
}

fn tag(row: TagRow) -> Tag {
    let TagRow { name, tag, digest, moved_at, moved_by } = row;
    Tag { name, tag, digest: digest.to_string(), moved_at: clock::text(moved_at), moved_by }
}

fn change(it: TagMove) -> TagChange {
    TagChange { digest: it.digest.map(|it| it.to_string()), at: clock::text(it.at), who: it.who }
}
