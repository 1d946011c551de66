//! `/api/v1/components`: pushed, listed, pulled, deleted.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use tidemill_plan::{Code, Digest, Problem};
use tidemill_store::{ComponentFilter, ComponentRow, NewComponent, NewTag, Pushed, StoreError};
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::context::Context;
use crate::extract::{PathOf, QueryOf};
use crate::page::PageOf;
use crate::registry::{ComponentRef, LATEST, new_tag};
use crate::token::Caller;
use crate::upload::{Terms, receive};
use crate::wire::{self, Component, ComponentDescription, ComponentSummary, Page, PushedComponent};
use crate::{ApiProblem, clock};

const DIGEST_HEADER: &str = "x-content-digest";

pub(super) fn routes() -> Routes {
    Routes {
        viewer: OpenApiRouter::new()
            .routes(routes!(list_components))
            .routes(routes!(show_component))
            .routes(routes!(pull_component)),
        admin: OpenApiRouter::new().routes(routes!(delete_component)),
        upload: OpenApiRouter::new().routes(routes!(push_component)),
        ..Routes::default()
    }
}

/// What to do with a component besides keeping it.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PushQuery {
    /// Tags to point at it, separated by commas.
    tags: Option<String>,
    /// Whether the tag `latest` moves; it does unless this says `false`.
    latest: Option<bool>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ComponentsQuery {
    /// Only of this name.
    name: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// Upload a component; it is checked, compiled once, and kept by its digest
#[utoipa::path(post, path = "/api/v1/components", tag = "components",
    params(PushQuery, ("x-content-digest" = Option<String>, Header, description = "BLAKE3 of the body; another one is refused")),
    request_body(content = wire::Bytes, content_type = "application/wasm"),
    responses(
        (status = 201, description = "kept", body = PushedComponent),
        (status = 200, description = "known already; its tags moved", body = PushedComponent),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn push_component(
    State(context): State<Context>,
    caller: Caller,
    QueryOf(query): QueryOf<PushQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<PushedComponent>), ApiProblem> {
    let tags = tags(&query)?;
    let limits = &context.options.limits;
    let digest = headers.get(DIGEST_HEADER).map(|it| read_digest(it.to_str().unwrap_or_default()));
    let terms =
        Terms { bytes_max: limits.component_bytes_max, digest: digest.transpose()?, stall: limits.timeout };
    let received = receive(body, context.registry.dir(), terms).await?;
    let (digest, bytes) = (received.digest, received.bytes);
    let component = context.registry.check(&received).await?;
    let description = ComponentDescription::of(&component);
    let new = NewComponent {
        digest,
        name: description.name.clone(),
        bytes,
        description: serde_json::to_string(&description).expect("a description has only text keys"),
        pushed_at: clock::now(),
        pushed_by: caller.name,
    };
    let (row, pushed) = context.registry.push(received, new, tags).await?;
    let (status, is_new) = match pushed {
        Pushed::New => (StatusCode::CREATED, true),
        Pushed::Known => (StatusCode::OK, false),
    };
    Ok((status, Json(PushedComponent { is_new, component: component_of(row)? })))
}

fn tags(query: &PushQuery) -> Result<Vec<NewTag>, ApiProblem> {
    let typed = query.tags.as_deref().unwrap_or_default().split(',').filter(|it| !it.is_empty());
    let mut tags = typed.map(new_tag).collect::<Result<Vec<_>, Problem>>()?;
    if query.latest != Some(false) && !tags.iter().any(|it| it.tag == LATEST) {
        tags.push(new_tag(LATEST)?);
    }
    Ok(tags)
}

pub(super) fn read_digest(text: &str) -> Result<Digest, ApiProblem> {
    text.parse().map_err(|_not_hex: String| {
        let what = format!("`{}` is no digest", text.escape_debug());
        ApiProblem::new(Code("bad-digest"), what, "write the 64 hex digits of its BLAKE3")
    })
}

/// All components, newest first
#[utoipa::path(get, path = "/api/v1/components", tag = "components", params(ComponentsQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<ComponentSummary>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_components(
    State(context): State<Context>,
    QueryOf(query): QueryOf<ComponentsQuery>,
) -> Result<Json<Page<ComponentSummary>>, ApiProblem> {
    let page = PageOf::<(i64, Digest)>::asked(query.limit, query.cursor.as_deref())?;
    let filter = ComponentFilter { name: query.name, before: page.after, limit: page.fetch() };
    let rows = context.store.components(&filter).await?;
    let mut items = Vec::with_capacity(rows.len());
    for it in rows {
        let key = (it.pushed_at, it.digest);
        items.push((key, summary(component_of(it)?)));
    }
    Ok(Json(page.page(items, |it| it.0, |it| it.1)))
}

/// What a component says of itself
#[utoipa::path(get, path = "/api/v1/components/{reference}", tag = "components",
    params(("reference" = String, Path, description = "`name`, `name:tag` or a digest")),
    responses(
        (status = 200, description = "the component", body = Component),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn show_component(
    State(context): State<Context>,
    PathOf(reference): PathOf<String>,
) -> Result<Json<Component>, ApiProblem> {
    let row = context.registry.find(&ComponentRef::read(&reference)?).await?;
    Ok(Json(component_of(row)?))
}

/// The bytes of a component
#[utoipa::path(get, path = "/api/v1/components/{reference}/wasm", tag = "components",
    params(("reference" = String, Path, description = "`name`, `name:tag` or a digest")),
    responses(
        (status = 200, description = "the file", body = wire::Bytes, content_type = "application/wasm"),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn pull_component(
    State(context): State<Context>,
    PathOf(reference): PathOf<String>,
) -> Result<impl IntoResponse, ApiProblem> {
    let row = context.registry.find(&ComponentRef::read(&reference)?).await?;
    let path = context.registry.path(row.digest);
    let file = tokio::fs::File::open(&path).await.map_err(|e| crate::lock::data_unusable(&path, &e))?;
    let headers = [
        (header::CONTENT_TYPE, "application/wasm".to_owned()),
        (header::CONTENT_LENGTH, row.bytes.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.wasm\"", row.name)),
        (header::HeaderName::from_static(DIGEST_HEADER), row.digest.to_string()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))))
}

/// Delete a component and the tags that point at it; refused while something live refers to it
#[utoipa::path(delete, path = "/api/v1/components/{reference}", tag = "components",
    params(("reference" = String, Path, description = "`name`, `name:tag` or a digest")),
    responses(
        (status = 200, description = "deleted", body = Component),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn delete_component(
    State(context): State<Context>,
    caller: Caller,
    PathOf(reference): PathOf<String>,
) -> Result<Json<Component>, ApiProblem> {
    let row = context.registry.find(&ComponentRef::read(&reference)?).await?;
    let row = context.registry.delete(row.digest, caller.name).await?;
    Ok(Json(component_of(row)?))
}

pub(super) fn component_of(row: ComponentRow) -> Result<Component, ApiProblem> {
    let description: ComponentDescription = serde_json::from_str(&row.description)
        .map_err(|e| ApiProblem::from(StoreError::Unreadable { cause: e.to_string() }))?;
    let ComponentRow { tags, pushed_at, pushed_by, .. } = row;
    Ok(Component { description, tags, pushed_at: clock::text(pushed_at), pushed_by })
}

fn summary(it: Component) -> ComponentSummary {
    let Component { description, tags, pushed_at, pushed_by } = it;
    let ComponentDescription { name, digest, summary, bytes, .. } = description;
    ComponentSummary { name, digest, summary, bytes, tags, pushed_at, pushed_by }
}
