//! `/api/v1/tables`: listed, described, their versions, what they were made of. Rows are read in `table_rows.rs`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tidemill_plan::{Code, Problem, TableName, Time, WriteMode, data_type_name};
use tidemill_store::{
    Direction, HistoryEntry, KeyTime, MirrorFilter, Origin, ReadVersion, Related, TableFilter, TableState,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::context::Context;
use crate::extract::{PathOf, QueryOf};
use crate::page::{LIMIT_MAX, ListQuery, PageOf};
use crate::tables::{self, At};
use crate::wire::{
    self, ComponentColumn, LineageOfTable, LineageStep, Page, TableAuthor, TableDetail, TableProgress,
    TableRead, TableVersion,
};
use crate::{ApiProblem, clock};

pub(super) fn routes() -> Routes {
    Routes {
        viewer: OpenApiRouter::new()
            .routes(routes!(list_tables))
            .routes(routes!(show_table))
            .routes(routes!(list_table_versions))
            .routes(routes!(show_lineage)),
        ..Routes::default()
    }
}

/// Which tables are listed.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TablesQuery {
    /// In the name, upper or lower case.
    containing: Option<String>,
    /// Last written by this node, or a member of this family.
    node: Option<String>,
    /// Last written by a run of this pipeline.
    pipeline: Option<String>,
    /// Most items to answer with.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// Tables by name, each with its newest version
#[utoipa::path(get, path = "/api/v1/tables", tag = "tables", params(TablesQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<TableVersion>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_tables(
    State(context): State<Context>,
    QueryOf(query): QueryOf<TablesQuery>,
) -> Result<Json<Page<TableVersion>>, ApiProblem> {
    let TablesQuery { containing, node, pipeline, limit, cursor } = query;
    for it in [&containing, &node, &pipeline].into_iter().flatten() {
        check_text(it)?;
    }
    let page = PageOf::<TableName>::asked(limit, cursor.as_deref())?;
    let (after, limit) = (page.after.clone(), page.fetch());
    let filter = TableFilter { containing, node, pipeline, after, limit, beginning: None };
    let rows = context.store.tables(&filter).await?;
    Ok(Json(page.page(rows, |it| it.name.clone(), version_of)))
}

/// PostgreSQL has no text with a zero byte.
fn check_text(text: &str) -> Result<(), ApiProblem> {
    if text.contains('\0') {
        return Err(ApiProblem::new(Code("bad-request"), "a filter holds a zero byte", "send text"));
    }
    Ok(())
}

/// Which moment of a table.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AtQuery {
    /// A snapshot's number, or a time; absent: now.
    at: Option<String>,
}

/// A table: its columns, its index, how far it has come
#[utoipa::path(get, path = "/api/v1/tables/{name}", tag = "tables",
    params(("name" = String, Path, description = "the table's name, the beginning of it, or the node that wrote it"), AtQuery),
    responses(
        (status = 200, description = "the table", body = TableDetail),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn show_table(
    State(context): State<Context>,
    PathOf(typed): PathOf<String>,
    QueryOf(query): QueryOf<AtQuery>,
) -> Result<Json<TableDetail>, ApiProblem> {
    let at = At::read(query.at.as_deref())?;
    let (meant, version) = tables::version(&context, &typed, at).await?;
    let name = version.name.clone();
    let (number, own) = match &version.state {
        TableState::Ours(own) => (version.version, Some((**own).clone())),
        TableState::Foreign(_) => (version.version, None),
    };
    let manifest = tables::manifest_of(&context, version, at).await?;
    // Another program may have gone on in between.
    let number = manifest.catalog.as_ref().and_then(|it| it.version).unwrap_or(number);
    let (rows, bytes, digest) = (manifest.rows, manifest.bytes, manifest.snapshot);
    let newest = HistoryEntry {
        name: name.clone(),
        version: number,
        committed_at: own.as_ref().map(|it| it.committed_at),
        origin: own.map(|it| it.origin),
        rows: Some(rows),
        bytes: Some(bytes),
        is_expired: false,
    };
    // It is kept of the newest version only.
    let progress = match at {
        At::Newest => progress(&context.store.progress(&name).await?),
        At::Snapshot(_) | At::Time(_) => None,
    };
    let filter = MirrorFilter { table: Some(name.clone()), limit: LIMIT_MAX, ..MirrorFilter::default() };
    let mirrors = context.store.mirrors(&filter).await?;
    let mirrors = mirrors.into_iter().map(|it| super::mirrors::mirror_of(&context, it)).collect();
    let time = |it: Time| clock::text(it.0);
    let columns = manifest.schema.fields().iter().map(|it| ComponentColumn {
        name: it.name().clone(),
        data_type: data_type_name(it.data_type()),
        nullable: it.is_nullable(),
    });
    Ok(Json(TableDetail {
        newest: TableVersion { digest: Some(digest.to_string()), ..version_of(newest) },
        columns: columns.collect(),
        time_index: manifest.time_index,
        identifiers: manifest.identifiers,
        first: manifest.time_range.map(|it| time(it.first)),
        last: manifest.time_range.map(|it| time(it.last)),
        files: manifest.parts.len(),
        progress,
        mirrors,
        others: meant.others,
    }))
}

fn progress(keys: &[KeyTime]) -> Option<TableProgress> {
    let times = || keys.iter().map(|it| it.last);
    let (least, furthest) = (times().min()?, times().max()?);
    Some(TableProgress { keys: keys.len(), least: clock::text(least), furthest: clock::text(furthest) })
}

/// The versions of a table, newest first
#[utoipa::path(get, path = "/api/v1/tables/{name}/history", tag = "tables",
    params(("name" = String, Path, description = "the table's name, the beginning of it, or the node that wrote it"), ListQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<TableVersion>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_table_versions(
    State(context): State<Context>,
    PathOf(typed): PathOf<String>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<TableVersion>>, ApiProblem> {
    let page = PageOf::<i64>::asked(query.limit, query.cursor.as_deref())?;
    let name = tables::find(&context, &typed).await?.name;
    let rows = context.store.table_history(&name, page.after, page.fetch()).await?;
    Ok(Json(page.page(rows, |it| it.version, version_of)))
}

/// Which way to follow what was read, and from where.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LineageQuery {
    /// `up`: what it was made of; `down`: what was made of it.
    #[param(inline)]
    direction: LineageDirection,
    /// A snapshot's number, or a time; absent: upwards of the newest version, downwards of all.
    at: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum LineageDirection {
    Up,
    Down,
}

/// What a table was made of, or what was made of it, step by step
#[utoipa::path(get, path = "/api/v1/tables/{name}/lineage", tag = "tables",
    params(("name" = String, Path, description = "the table's name, the beginning of it, or the node that wrote it"), LineageQuery),
    responses(
        (status = 200, description = "who read what", body = LineageOfTable),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn show_lineage(
    State(context): State<Context>,
    PathOf(typed): PathOf<String>,
    QueryOf(query): QueryOf<LineageQuery>,
) -> Result<Json<LineageOfTable>, ApiProblem> {
    let (name, version) = match At::read(query.at.as_deref())? {
        At::Newest => (tables::find(&context, &typed).await?.name, None),
        at @ (At::Snapshot(_) | At::Time(_)) => {
            let (_, version) = tables::version(&context, &typed, at).await?;
            (version.name, Some(version.version))
        }
    };
    let direction = match query.direction {
        LineageDirection::Up => Direction::Up,
        LineageDirection::Down => Direction::Down,
    };
    let related = context.store.lineage(&name, version, direction).await?;
    Ok(Json(LineageOfTable { table: name.0, steps: related.into_iter().map(step).collect() }))
}

fn step(it: Related) -> LineageStep {
    let Related { reader, reader_version, read, distance } = it;
    LineageStep { table: reader.0, version: reader_version, read: read_of(read), distance }
}

fn read_of(it: ReadVersion) -> TableRead {
    TableRead { table: it.table.0, version: it.version, digest: it.digest.to_string() }
}

fn version_of(it: HistoryEntry) -> TableVersion {
    let HistoryEntry { name, version, origin, committed_at, rows, bytes, is_expired } = it;
    let author = if origin.is_some() { TableAuthor::Tidemill } else { TableAuthor::Another };
    let of = |told: fn(&Origin) -> String| origin.as_ref().map(told);
    TableVersion {
        name: name.0,
        version,
        author,
        committed_at: committed_at.map(clock::text),
        node: of(|it| it.node.clone()),
        run: of(|it| it.run.clone()),
        task: of(|it| it.task.clone()),
        component: origin.as_ref().and_then(|it| it.component).map(|it| it.to_string()),
        mode: of(|it| mode(it.mode).to_owned()),
        digest: of(|it| it.digest.to_string()),
        rows,
        bytes,
        is_expired,
        reads: origin.into_iter().flat_map(|it| it.reads).map(read_of).collect(),
    }
}

fn mode(it: WriteMode) -> &'static str {
    match it {
        WriteMode::Replace => "replace",
        WriteMode::Append => "append",
        WriteMode::Upsert => "upsert",
    }
}

/// What the lake says is wrong.
pub(super) fn of_lake(error: &tidemill_lake::LakeError) -> ApiProblem {
    Problem::from(error).into()
}
