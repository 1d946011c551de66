//! `/api/v1/audit`: who did what.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tidemill_plan::{Code, Time};
use tidemill_store::{AuditEntry, AuditFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::context::Context;
use crate::extract::QueryOf;
use crate::page::PageOf;
use crate::wire::{self, AuditRecord, Page};
use crate::{ApiProblem, clock};

pub(super) fn routes() -> Routes {
    Routes { admin: OpenApiRouter::new().routes(routes!(list_audit)), ..Routes::default() }
}

/// Which entries of the audit log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Only of tokens of this name.
    who: Option<String>,
    /// Only answers of this status.
    #[param(minimum = 100, maximum = 599)]
    status: Option<u16>,
    /// Only from this time on.
    since: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// Every change and every refusal, newest first
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<AuditRecord>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_audit(
    State(context): State<Context>,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<Json<Page<AuditRecord>>, ApiProblem> {
    let page = PageOf::<i64>::asked(query.limit, query.cursor.as_deref())?;
    let since = query.since.as_deref().map(time).transpose()?;
    let (who, status) = (query.who, query.status);
    let filter = AuditFilter { who, status, since, before: page.after, limit: page.fetch() };
    // What was answered before this request is in the list.
    context.clerk.flush().await;
    let rows = context.store.audit(&filter).await?;
    Ok(Json(page.page(rows, |it| it.0, record)))
}

fn time(text: &str) -> Result<i64, ApiProblem> {
    let mend = "write a date such as `2020-01-02`, or a time such as `2020-01-02T09:30:00Z`";
    let time = Time::parse(text);
    time.map(|it| it.0).map_err(|why| ApiProblem::new(Code("bad-time"), format!("`since`: {why}"), mend))
}

fn record((number, it): (i64, AuditEntry)) -> AuditRecord {
    AuditRecord {
        number,
        at: clock::text(it.at),
        who: it.who,
        token: it.token,
        action: it.action,
        target: it.target,
        status: it.status,
        code: it.code,
        remote: it.remote,
        request: it.request,
    }
}
