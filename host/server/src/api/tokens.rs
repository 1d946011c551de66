//! `/api/v1/tokens`: made, listed, revoked; and who one is.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tidemill_plan::{Code, Problem, Time};
use tidemill_store::{Among, NewToken, Role, TokenRow};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::context::Context;
use crate::extract::{JsonBody, PathOf, QueryOf};
use crate::page::{ListQuery, PageOf};
use crate::token::{Caller, mint};
use crate::wire::{self, CreateToken, CreatedToken, Page, Token, TokenRole};
use crate::{ApiProblem, clock};

const NAME_CHARS_MAX: usize = 100;

pub(super) fn routes() -> Routes {
    Routes {
        viewer: OpenApiRouter::new().routes(routes!(whoami)),
        admin: OpenApiRouter::new().routes(routes!(create_token, list_tokens)).routes(routes!(revoke_token)),
        ..Routes::default()
    }
}

/// The token of this request
#[utoipa::path(get, path = "/api/v1/whoami", tag = "tokens",
    responses(
        (status = 200, description = "the token", body = Token),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn whoami(State(context): State<Context>, caller: Caller) -> Result<Json<Token>, ApiProblem> {
    let row = context.store.token(&caller.token).await?;
    row.map(|it| Json(token(it))).ok_or_else(|| unknown(&caller.token).into())
}

/// Make a token; its secret is shown in this answer and nowhere else
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = CreateToken,
    responses(
        (status = 201, description = "made", body = CreatedToken),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn create_token(
    State(context): State<Context>,
    caller: Caller,
    JsonBody(asked): JsonBody<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiProblem> {
    let name = asked.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let what = format!("`{}` is not a name for a token", name.escape_debug());
        let mend = format!("use 1 to {NAME_CHARS_MAX} characters that say who or what has it");
        return Err(ApiProblem::new(Code("bad-token-name"), what, mend));
    }
    let now = clock::now();
    let expires_at = asked.expires_at.as_deref().map(|it| expiry(it, now)).transpose()?;
    let minted = mint()?;
    let new = NewToken {
        id: minted.id.clone(),
        name,
        hash: minted.hash,
        role: role(asked.role),
        created_at: now,
        created_by: caller.name,
        expires_at,
    };
    context.store.add_token(new, Among::Any).await?;
    let row = context.store.token(&minted.id).await?.ok_or_else(|| unknown(&minted.id))?;
    Ok((StatusCode::CREATED, Json(CreatedToken { secret: minted.secret, token: token(row) })))
}

/// All tokens, newest first
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(ListQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<Token>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_tokens(
    State(context): State<Context>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<Token>>, ApiProblem> {
    let page = PageOf::<(i64, String)>::asked(query.limit, query.cursor.as_deref())?;
    let rows = context.store.tokens(page.after.clone(), page.fetch()).await?;
    Ok(Json(page.page(rows, |it| (it.created_at, it.id.clone()), token)))
}

/// Take a token out of use, for good
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "the public part of the token")),
    responses(
        (status = 200, description = "revoked", body = Token),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn revoke_token(
    State(context): State<Context>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Json<Token>, ApiProblem> {
    let row = context.store.revoke_token(id.clone(), clock::now(), caller.name).await?;
    row.map(|it| Json(token(it))).ok_or_else(|| unknown(&id).into())
}

fn unknown(id: &str) -> Problem {
    let what = format!("there is no token `{}`", id.escape_debug());
    Problem::new(Code("unknown-token"), what, "`tidemill tokens list` shows them with their ids")
}

fn expiry(text: &str, now: i64) -> Result<i64, ApiProblem> {
    let mend = "write a time to come, such as `2030-01-02T00:00:00Z`";
    let at = Time::parse(text)
        .map_err(|why| ApiProblem::new(Code("bad-time"), format!("`expires_at`: {why}"), mend))?;
    if at.0 <= now {
        let what = format!("`expires_at`: {} is past", clock::text(at.0));
        return Err(ApiProblem::new(Code("bad-time"), what, mend));
    }
    Ok(at.0)
}

fn role(role: TokenRole) -> Role {
    match role {
        TokenRole::Viewer => Role::Viewer,
        TokenRole::Operator => Role::Operator,
        TokenRole::Admin => Role::Admin,
    }
}

fn token(row: TokenRow) -> Token {
    Token {
        id: row.id,
        name: row.name,
        role: match row.role {
            Role::Viewer => TokenRole::Viewer,
            Role::Operator => TokenRole::Operator,
            Role::Admin => TokenRole::Admin,
        },
        created_at: clock::text(row.created_at),
        created_by: row.created_by,
        expires_at: row.expires_at.map(clock::text),
        revoked_at: row.revoked_at.map(clock::text),
        revoked_by: row.revoked_by,
        used_at: row.used_at.map(clock::text),
    }
}
