//! `/api/v1/runs`: begun, listed, shown, told to stop, pause and go on, annotated.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tidemill_driver::{ErrorRecord, LivePlan, RunId, RunRequest, Seen};
use tidemill_plan::{Code, Time, Window};
use tidemill_store::{Claim, NewRun, Note, RunFilter, RunRow, RunStatus, Wanted, Wish};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Routes, run_artefacts, run_links};
use crate::context::Context;
use crate::extract::{JsonBody, PathOf, QueryOf};
use crate::page::PageOf;
use crate::token::Caller;
use crate::wire::{
    self, AddNote, NodeCounts, NoteOnRun, Page, RetryRun, Run, RunDetail, SingleProblem, StartRun,
    StateOfRun, TaskProgress, Transition, WindowOfRun,
};
use crate::{ApiProblem, clock, task};

const DESCRIPTION_CHARS_MAX: usize = 10_000;
const LABELS_MAX: usize = 64;
const LABEL_CHARS_MAX: usize = 200;

pub(super) fn routes() -> Routes {
    Routes {
        viewer: OpenApiRouter::new()
            .routes(routes!(list_runs))
            .routes(routes!(show_run))
            .routes(routes!(list_transitions)),
        operator: OpenApiRouter::new()
            .routes(routes!(start_run))
            .routes(routes!(retry_run))
            .routes(routes!(cancel_run))
            .routes(routes!(pause_run))
            .routes(routes!(resume_run))
            .routes(routes!(add_note)),
        ..Routes::default()
    }
}

/// Which runs are listed.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RunsQuery {
    pipeline: Option<String>,
    #[param(inline)]
    state: Option<StateOfRun>,
    /// Created at this time or later, as `2020-01-02` or RFC 3339.
    since: Option<String>,
    /// Most items to answer with.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// Begin a run
#[utoipa::path(post, path = "/api/v1/runs", tag = "runs", request_body = StartRun,
    responses(
        (status = 201, description = "it is kept, and begins when there is room", body = Run),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn start_run(
    State(context): State<Context>,
    caller: Caller,
    JsonBody(asked): JsonBody<StartRun>,
) -> Result<(StatusCode, Json<Run>), ApiProblem> {
    check_words(&asked)?;
    let request = RunRequest {
        set: asked.set,
        parameters: asked.parameters,
        parameters_from: asked.parameters_from,
        window: window(&asked.window)?,
        node: asked.node,
        only: asked.only,
        deps_only: asked.deps_only,
        from_node: asked.from_node,
        force: asked.force,
        keep_going: asked.keep_going,
        debug: asked.debug,
        from_run: None,
        pins: None,
    };
    let version = match asked.version {
        Some(it) => it,
        None => newest_version(&context, &asked.pipeline).await?,
    };
    let links = run_links::given(&asked.links, &caller)?;
    let new = NewRun {
        id: context.new_run_id().0,
        pipeline: asked.pipeline,
        version,
        priority: asked.priority.into(),
        created_at: clock::now(),
        created_by: caller.name,
        description: asked.description,
        labels: asked.labels,
        links,
        idempotency_key: asked.idempotency_key,
        request: Value::Null,
        pins: BTreeMap::new(),
        claim: Claim::Anywhere,
    };
    begin(&context, new, &request).await
}

/// Run again, with the pipeline, parameters, window and code of a run
#[utoipa::path(post, path = "/api/v1/runs/{id}/retry", tag = "runs", request_body = RetryRun,
    params(("id" = String, Path, description = "the run, or the beginning of its id")),
    responses(
        (status = 201, description = "the new run", body = Run),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn retry_run(
    State(context): State<Context>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    JsonBody(asked): JsonBody<RetryRun>,
) -> Result<(StatusCode, Json<Run>), ApiProblem> {
    let row = find(&context, &id).await?;
    if !row.status.is_ended() {
        let what = format!("run `{}` has not ended", row.id);
        let mend = format!("wait for its end, or end it: `tidemill runs cancel {}`", row.id);
        return Err(ApiProblem::new(Code("run-not-over"), what, mend));
    }
    let before: RunRequest =
        serde_json::from_value(row.request.clone()).map_err(|e| unreadable(&row.id, &e))?;
    let pins = Some(context.store.run_pins(&row.id).await?).filter(|it| !it.is_empty());
    let request = RunRequest {
        from_node: asked.from_node.or(before.from_node.clone()),
        force: asked.force,
        from_run: Some(RunId(row.id.clone())),
        pins: pins.or(before.pins.clone()),
        ..before
    };
    let new = NewRun {
        id: context.new_run_id().0,
        created_at: clock::now(),
        created_by: caller.name,
        idempotency_key: None,
        request: Value::Null,
        pins: BTreeMap::new(),
        claim: Claim::Anywhere,
        pipeline: row.pipeline,
        version: row.version,
        priority: row.priority,
        description: row.description,
        labels: row.labels,
        // As notes, they are about the run that they were put on.
        links: Vec::new(),
    };
    begin(&context, new, &request).await
}

/// Checks all that a plan checks, then keeps the run.
async fn begin(
    context: &Context,
    mut new: NewRun,
    request: &RunRequest,
) -> Result<(StatusCode, Json<Run>), ApiProblem> {
    let deployed = context.deployments.materialise(&new.pipeline, new.version, request.pins.as_ref()).await?;
    let (sandbox, machine) = (Arc::clone(context.registry.sandbox()), context.options.machine);
    let wanted = request.clone();
    new.pins = deployed.components.iter().map(|(name, (digest, _))| (name.clone(), *digest)).collect();
    let live_plan = task::blocking(move || LivePlan::new(&deployed, &wanted, &sandbox, machine)).await??;
    for (source, table) in live_plan.source_tables() {
        if context.store.table_version(table).await?.is_none() {
            return Err(tidemill_driver::source_table_missing(source, table).into());
        }
    }
    new.request = serde_json::to_value(request).expect("a request has only string keys");
    new.claim = if context.live.has_room() { Claim::Here } else { Claim::Anywhere };
    let (id, claim) = (new.id.clone(), new.claim);
    // While the run is being kept: it is to see what was committed before it was asked for.
    let (row, refreshed) = tokio::join!(context.store.submit(new), context.tables.refresh());
    let row = row?;
    // One that the key has begun before is another's affair.
    if row.id == id && claim == Claim::Here {
        let tables = if refreshed.is_ok() { Seen::Now } else { Seen::Before };
        context.live.begin(row.clone(), request.clone(), live_plan, tables);
    } else {
        context.live.look();
    }
    Ok((StatusCode::CREATED, Json(run(row))))
}

/// Runs, newest first
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(RunsQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<Run>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_runs(
    State(context): State<Context>,
    QueryOf(query): QueryOf<RunsQuery>,
) -> Result<Json<Page<Run>>, ApiProblem> {
    let page = PageOf::<(i64, String)>::asked(query.limit, query.cursor.as_deref())?;
    let filter = RunFilter {
        pipeline: query.pipeline,
        status: query.state.map(status),
        is_paused: query.state.and_then(|it| match it {
            StateOfRun::Paused => Some(true),
            StateOfRun::Running => Some(false),
            StateOfRun::Queued | StateOfRun::Succeeded | StateOfRun::Failed | StateOfRun::Cancelled => None,
        }),
        since: query.since.as_deref().map(|it| time("since", it)).transpose()?.map(|it| it.0),
        before: page.after.clone(),
        limit: page.fetch(),
    };
    let rows = context.store.runs(&filter).await?;
    Ok(Json(page.page(rows, |it| (it.created_at, it.id.clone()), run)))
}

/// One run, with all that is known of it
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = String, Path, description = "the run, or the beginning of its id")),
    responses(
        (status = 200, description = "the run", body = RunDetail),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn show_run(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
) -> Result<Json<RunDetail>, ApiProblem> {
    let row = find(&context, &id).await?;
    let id = RunId(row.id.clone());
    let view = context.live.view(&id).await?;
    let notes = context.store.notes(&row.id).await?;
    let note = |it: Note| NoteOnRun { at: clock::text(it.at), who: it.who, text: it.text };
    let links = context.store.links(&row.id).await?;
    let artefacts = view.record.iter().flat_map(|it| it.artefacts()).map(run_artefacts::told).collect();
    let progress =
        view.progress.into_iter().map(|(node, (done, total))| (node, TaskProgress { done, total }));
    Ok(Json(RunDetail {
        request: row.request.clone(),
        run: run(row),
        record: view.record.map(|it| serde_json::to_value(it).expect("a record has only string keys")),
        notes: notes.into_iter().map(note).collect(),
        links: links.into_iter().map(run_links::told).collect(),
        artefacts,
        progress: progress.collect(),
        troubles: view.troubles.into_iter().map(trouble).collect(),
    }))
}

fn trouble((node, error): (String, ErrorRecord)) -> (String, SingleProblem) {
    let ErrorRecord { code, what, mend } = error;
    (node, SingleProblem { code, title: what, detail: Some(mend), place: None })
}

/// Which steps are listed.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TransitionsQuery {
    /// Most items to answer with.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// What happened in a run, in its order: every step with time and cause
#[utoipa::path(get, path = "/api/v1/runs/{id}/transitions", tag = "runs",
    params(("id" = String, Path, description = "the run, or the beginning of its id"), TransitionsQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<Transition>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_transitions(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<TransitionsQuery>,
) -> Result<Json<Page<Transition>>, ApiProblem> {
    let page = PageOf::<u64>::asked(query.limit, query.cursor.as_deref())?;
    let row = find(&context, &id).await?;
    let from = page.after.map_or(0, |it| it + 1);
    let skip = usize::try_from(from).unwrap_or(usize::MAX);
    let facts = context.live.transitions(&RunId(row.id), skip).await?;
    let rows = (from..).zip(facts).take(page.fetch() as usize).collect();
    Ok(Json(page.page(rows, |(number, _)| *number, |(number, it)| transition(number, it))))
}

pub(super) fn transition(number: u64, fact: Value) -> Transition {
    let mut detail = match fact {
        Value::Object(it) => it,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            serde_json::Map::new()
        }
    };
    let mut text = |key: &str| detail.remove(key).and_then(|it| it.as_str().map(str::to_owned));
    let (name, node) = (text("fact").unwrap_or_default(), text("node"));
    let at = detail.remove("at").and_then(|it| it.as_i64()).unwrap_or_default();
    detail.remove("ms");
    Transition { number, at: clock::text(at), fact: name, node, detail: Value::Object(detail) }
}

/// End a run now; what runs of it is stopped
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "runs",
    params(("id" = String, Path, description = "the run, or the beginning of its id")),
    responses(
        (status = 200, description = "the run; ended already, or about to", body = Run),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn cancel_run(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
) -> Result<Json<Run>, ApiProblem> {
    want(&context, &id, Wanted::Cancel).await
}

/// Let nothing more of a run begin
#[utoipa::path(post, path = "/api/v1/runs/{id}/pause", tag = "runs",
    params(("id" = String, Path, description = "the run, or the beginning of its id")),
    responses(
        (status = 200, description = "the run", body = Run),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn pause_run(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
) -> Result<Json<Run>, ApiProblem> {
    want(&context, &id, Wanted::Pause).await
}

/// Let a paused run go on
#[utoipa::path(post, path = "/api/v1/runs/{id}/resume", tag = "runs",
    params(("id" = String, Path, description = "the run, or the beginning of its id")),
    responses(
        (status = 200, description = "the run", body = Run),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn resume_run(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
) -> Result<Json<Run>, ApiProblem> {
    want(&context, &id, Wanted::Run).await
}

async fn want(context: &Context, id: &str, wanted: Wanted) -> Result<Json<Run>, ApiProblem> {
    let row = find(context, id).await?;
    let wish = context.store.want(row.id.clone(), wanted, clock::now()).await?;
    match wish {
        Wish::Noted if wanted == Wanted::Cancel => context.live.cancel(&RunId(row.id.clone())),
        Wish::Noted | Wish::Done => context.live.look(),
        // Whoever cancels twice, or too late, has what was wanted.
        Wish::AlreadyEnded(_) if wanted == Wanted::Cancel => {}
        Wish::AlreadyEnded(status) => {
            let what = format!("run `{}` has ended: it {}", row.id, status.name());
            let mend = format!("run it again: `tidemill runs retry {}`", row.id);
            return Err(ApiProblem::new(Code("run-ended"), what, mend));
        }
    }
    Ok(Json(run(find(context, &row.id).await?)))
}

/// Add a remark to a run, at any time
#[utoipa::path(post, path = "/api/v1/runs/{id}/notes", tag = "runs", request_body = AddNote,
    params(("id" = String, Path, description = "the run, or the beginning of its id")),
    responses(
        (status = 201, description = "added", body = NoteOnRun),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn add_note(
    State(context): State<Context>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    JsonBody(asked): JsonBody<AddNote>,
) -> Result<(StatusCode, Json<NoteOnRun>), ApiProblem> {
    let row = find(&context, &id).await?;
    check_text("text", &asked.text, DESCRIPTION_CHARS_MAX)?;
    if asked.text.trim().is_empty() {
        return Err(ApiProblem::new(Code("bad-request"), "the note is empty", "write something"));
    }
    let note = Note { at: clock::now(), who: caller.name, text: asked.text };
    context.store.add_note(row.id, note.clone()).await?;
    let told = NoteOnRun { at: clock::text(note.at), who: note.who, text: note.text };
    Ok((StatusCode::CREATED, Json(told)))
}

/// By the whole id, the beginning of it, or `last`.
pub(super) async fn find(context: &Context, id: &str) -> Result<RunRow, ApiProblem> {
    if id == "last" {
        let newest = RunFilter { limit: 1, ..RunFilter::default() };
        let found = context.store.runs(&newest).await?.into_iter().next();
        return found.ok_or_else(|| unknown(id));
    }
    if let Some(row) = context.store.run(id).await? {
        return Ok(row);
    }
    let is_id = |it: char| it.is_ascii_alphanumeric() || it == '-';
    if id.is_empty() || !id.chars().all(is_id) {
        return Err(unknown(id));
    }
    let mut found = context.store.runs_beginning(id).await?;
    if found.len() > 1 {
        let what = format!("`{id}` begins the ids of several runs");
        return Err(ApiProblem::new(Code("ambiguous-run"), what, "type more of the run's id"));
    }
    found.pop().ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> ApiProblem {
    let what = format!("there is no run `{}`", id.escape_debug());
    ApiProblem::new(Code("unknown-run"), what, "`tidemill runs` lists them; `last` is the newest")
}

async fn newest_version(context: &Context, pipeline: &str) -> Result<i64, ApiProblem> {
    match context.store.versions(pipeline, None, 1).await?.first() {
        Some(newest) => Ok(newest.version),
        // Says what is near.
        None => Ok(context.deployments.version(pipeline, None).await?.row.version),
    }
}

fn status(state: StateOfRun) -> RunStatus {
    match state {
        StateOfRun::Queued => RunStatus::Queued,
        StateOfRun::Running | StateOfRun::Paused => RunStatus::Running,
        StateOfRun::Succeeded => RunStatus::Succeeded,
        StateOfRun::Failed => RunStatus::Failed,
        StateOfRun::Cancelled => RunStatus::Cancelled,
    }
}

pub(super) fn run(row: RunRow) -> Run {
    let state = match (row.status, row.wanted) {
        (RunStatus::Queued | RunStatus::Running, Wanted::Pause) => StateOfRun::Paused,
        (RunStatus::Queued, Wanted::Run | Wanted::Cancel) => StateOfRun::Queued,
        (RunStatus::Running, Wanted::Run | Wanted::Cancel) => StateOfRun::Running,
        (RunStatus::Succeeded, _) => StateOfRun::Succeeded,
        (RunStatus::Failed, _) => StateOfRun::Failed,
        (RunStatus::Cancelled, _) => StateOfRun::Cancelled,
    };
    let summary = row.summary.unwrap_or_default();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let problem = |it: &Value| SingleProblem {
        code: text(it, "code"),
        title: text(it, "what"),
        detail: Some(text(it, "mend")).filter(|it| !it.is_empty()),
        place: None,
    };
    Run {
        id: row.id,
        pipeline: row.pipeline,
        version: row.version,
        state,
        priority: row.priority,
        created_at: clock::text(row.created_at),
        created_by: row.created_by,
        began_at: row.began_at.map(clock::text),
        ended_at: row.ended_at.map(clock::text),
        description: row.description,
        labels: row.labels,
        problems: summary["errors"].as_array().into_iter().flatten().map(problem).collect(),
        nodes: serde_json::from_value::<NodeCounts>(summary).unwrap_or_default(),
        host: row.owner_name,
        process: row.owner.map(|it| it.0),
    }
}

fn check_words(asked: &StartRun) -> Result<(), ApiProblem> {
    check_text("description", &asked.description, DESCRIPTION_CHARS_MAX)?;
    if asked.labels.len() > LABELS_MAX {
        let what = format!("there are {} labels", asked.labels.len());
        return Err(ApiProblem::new(Code("bad-request"), what, format!("use at most {LABELS_MAX}")));
    }
    for (name, value) in &asked.labels {
        check_text("a label", name, LABEL_CHARS_MAX)?;
        check_text("a label", value, LABEL_CHARS_MAX)?;
    }
    let key = asked.idempotency_key.as_deref().unwrap_or("none");
    check_text("idempotency_key", key, LABEL_CHARS_MAX)?;
    if key.is_empty() {
        let mend = "give a key, or leave it out";
        return Err(ApiProblem::new(Code("bad-request"), "`idempotency_key` is empty", mend));
    }
    Ok(())
}

/// What both databases keep as it is: PostgreSQL has no text with a zero byte.
pub(super) fn check_text(what: &str, text: &str, chars_max: usize) -> Result<(), ApiProblem> {
    if text.chars().count() > chars_max {
        let what = format!("`{what}` has more than {chars_max} characters");
        return Err(ApiProblem::new(Code("bad-request"), what, "shorten it"));
    }
    if text.contains('\0') {
        let what = format!("`{what}` holds a zero byte");
        return Err(ApiProblem::new(Code("bad-request"), what, "send text"));
    }
    Ok(())
}

fn window(asked: &WindowOfRun) -> Result<Window, ApiProblem> {
    let at = |key, it: &Option<String>| it.as_deref().map(|it| time(key, it)).transpose();
    let window = Window {
        start: at("window.start", &asked.start)?,
        end: at("window.end", &asked.end)?,
        as_of: at("window.as_of", &asked.as_of)?,
    };
    if let (Some(start), Some(end)) = (window.start, window.read_end())
        && start >= end
    {
        let what = format!("the window from {start} to {end} holds no time");
        let mend = "choose a start before the end and not after as-of";
        return Err(ApiProblem::new(Code("empty-window"), what, mend));
    }
    Ok(window)
}

fn time(key: &str, text: &str) -> Result<Time, ApiProblem> {
    let mend = "write a time, such as `2020-01-02` or `2020-01-02T09:30:00Z`";
    Time::parse(text).map_err(|why| ApiProblem::new(Code("bad-time"), format!("`{key}`: {why}"), mend))
}

fn unreadable(run: &str, error: &serde_json::Error) -> ApiProblem {
    let what = format!("the request of run `{run}` cannot be read: {error}");
    let mend = "another version may have written it: begin a new run";
    ApiProblem::new(Code("run-record-unreadable"), what, mend)
}
