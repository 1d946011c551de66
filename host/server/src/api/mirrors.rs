//! `/api/v1/mirrors`: tables of PostgreSQL that are kept equal to tables of the service, and how far each has come.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tidemill_plan::{Code, Problem};
use tidemill_store::{MirrorError, MirrorFilter, MirrorRow};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::context::Context;
use crate::extract::QueryOf;
use crate::page::PageOf;
use crate::wire::{self, MirrorTrouble, MirroredVersion, Page, SingleProblem, TableMirror};
use crate::{ApiProblem, clock};

pub(super) fn routes() -> Routes {
    Routes { viewer: OpenApiRouter::new().routes(routes!(list_mirrors)), ..Routes::default() }
}

/// Which mirrors are listed.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MirrorsQuery {
    /// Only those that do not have yet what they are to have.
    behind: Option<bool>,
    /// Most items to answer with.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// Tables of PostgreSQL by name, each with what it is to have and what it has
#[utoipa::path(get, path = "/api/v1/mirrors", tag = "tables", params(MirrorsQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<TableMirror>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_mirrors(
    State(context): State<Context>,
    QueryOf(query): QueryOf<MirrorsQuery>,
) -> Result<Json<Page<TableMirror>>, ApiProblem> {
    let page = PageOf::<String>::asked(query.limit, query.cursor.as_deref())?;
    // PostgreSQL has no text with a zero byte, and no target has one.
    let after = page.after.clone().map(|it| it.replace('\0', ""));
    let is_behind = query.behind.unwrap_or(false);
    let filter = MirrorFilter { table: None, is_behind, after, limit: page.fetch() };
    let rows = context.store.mirrors(&filter).await?;
    Ok(Json(page.page(rows, |it| it.target.clone(), |it| mirror_of(&context, it))))
}

pub(super) fn mirror_of(context: &Context, row: MirrorRow) -> TableMirror {
    let is_behind = row.is_behind();
    let error = match row.error {
        Some(MirrorError { code, what, mend, at }) => {
            let problem = SingleProblem { code, title: what, detail: Some(mend), place: None };
            Some(MirrorTrouble { problem, since: Some(clock::text(at)) })
        }
        None if is_behind && context.options.mirror_url.is_none() => {
            Some(MirrorTrouble { problem: SingleProblem::of(&no_mirror(&row.node)), since: None })
        }
        None => None,
    };
    TableMirror {
        target: row.target,
        pipeline: row.pipeline,
        node: row.node,
        table: row.table.0,
        version: row.version,
        wanted_at: clock::text(row.wanted_at),
        is_behind,
        mirrored: row.mirrored.map(|it| MirroredVersion {
            table: it.table.0,
            version: it.version,
            at: clock::text(it.at),
        }),
        error,
    }
}

/// What is wrong where there is no database to mirror into.
pub(crate) fn no_mirror(node: &str) -> Problem {
    let what = format!("`{node}` has a `mirror`, and this service has no database to mirror into");
    let mend = "set `mirror_url` of the service to a PostgreSQL, or remove `mirror` from the pipeline";
    Problem::new(Code("no-mirror"), what, mend)
}
