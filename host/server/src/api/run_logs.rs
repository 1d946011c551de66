//! `/api/v1/runs/{id}/logs`: what the tasks of a run logged. A request holds one chunk of a log at a time, however long
//! the log is.

use std::ops::ControlFlow;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Deserialize;
use tidemill_driver::{LogEntry, LogFile, LogRange, RunId, log_files};
use tidemill_plan::Code;
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use super::runs::find;
use crate::context::Context;
use crate::extract::{PathOf, QueryOf};
use crate::page::{ListQuery, PageOf};
use crate::wire::{self, LineOfLog, LogOfAttempt, LogPart, Page};
use crate::{ApiProblem, clock, task};

/// Lines in an answer at most.
const LINES_MAX: u64 = 10_000;
const LINES_DEFAULT: u64 = 1_000;
/// Bytes of a download that are read ahead of whoever takes them.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_AHEAD: usize = 4;

pub(super) fn routes() -> Routes {
    Routes {
        viewer: OpenApiRouter::new()
            .routes(routes!(list_logs))
            .routes(routes!(read_log))
            .routes(routes!(download_log)),
        ..Routes::default()
    }
}

/// Which attempts of a run have logged something, and how much
#[utoipa::path(get, path = "/api/v1/runs/{id}/logs", tag = "logs",
    params(("id" = String, Path, description = "the run, or the beginning of its id"), ListQuery),
    responses(
        (status = 200, description = "a part of the list", body = Page<LogOfAttempt>),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn list_logs(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<LogOfAttempt>>, ApiProblem> {
    let page = PageOf::<(String, u32)>::asked(query.limit, query.cursor.as_deref())?;
    let (after, fetch) = (page.after.clone(), page.fetch() as usize);
    let rows = blocking(&context, &id, move |files| {
        let is_asked =
            |it: &LogFile| after.as_ref().is_none_or(|key| (&it.node, it.attempt) > (&key.0, key.1));
        let wanted = files.into_iter().filter(is_asked).take(fetch);
        let told = wanted.map(|it| {
            let size = it.size()?;
            Ok(LogOfAttempt { node: it.node, attempt: it.attempt, lines: size.lines, bytes: size.bytes })
        });
        told.collect::<std::io::Result<Vec<_>>>()
    });
    Ok(Json(page.page(rows.await?, |it| (it.node.clone(), it.attempt), |it| it)))
}

/// Which lines of a log.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    node: String,
    /// Absent: the newest that logged something.
    #[param(minimum = 1)]
    attempt: Option<u32>,
    /// Lines before the first that is wanted.
    from: Option<u64>,
    /// So many lines at the end.
    tail: Option<u64>,
    /// Only lines that hold this text.
    text: Option<String>,
    #[param(minimum = 1, maximum = 10000, default = 1000)]
    limit: Option<u64>,
}

/// Lines of an attempt's log
#[utoipa::path(get, path = "/api/v1/runs/{id}/log", tag = "logs",
    params(("id" = String, Path, description = "the run, or the beginning of its id"), LogQuery),
    responses(
        (status = 200, description = "lines, and where to go on", body = LogPart),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn read_log(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<LogQuery>,
) -> Result<Json<LogPart>, ApiProblem> {
    let limit = query.limit.unwrap_or(LINES_DEFAULT);
    if !(1..=LINES_MAX).contains(&limit) {
        let mend = format!("use 1 to {LINES_MAX}, and go on at `next`");
        return Err(ApiProblem::new(Code("bad-request"), format!("`limit` is {limit}"), mend));
    }
    let part = blocking(&context, &id, move |files| {
        let Some(file) = chosen(files, &query.node, query.attempt) else {
            return Ok(LogPart { lines: Vec::new(), next: query.from.unwrap_or(0) });
        };
        let from = match query.tail {
            Some(tail) => file.size()?.lines.saturating_sub(tail),
            None => query.from.unwrap_or(0),
        };
        let mut lines = Vec::new();
        let range = LogRange { from, limit: Some(limit), text: query.text.as_deref() };
        let next = file.read(range, |number, it| {
            lines.push(line(number, it));
            ControlFlow::Continue(())
        })?;
        Ok(LogPart { lines, next })
    });
    Ok(Json(part.await?))
}

/// Which log.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DownloadQuery {
    node: String,
    /// Absent: the newest that logged something.
    #[param(minimum = 1)]
    attempt: Option<u32>,
}

/// The whole log of an attempt, a JSON object per line
#[utoipa::path(get, path = "/api/v1/runs/{id}/log/download", tag = "logs",
    params(("id" = String, Path, description = "the run, or the beginning of its id"), DownloadQuery),
    responses(
        (status = 200, description = "lines", body = String, content_type = "application/x-ndjson"),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn download_log(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<DownloadQuery>,
) -> Result<Response, ApiProblem> {
    let file = blocking(&context, &id, move |files| Ok(chosen(files, &query.node, query.attempt))).await?;
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let Some(file) = file else { return };
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = file.read(LogRange::default(), |_, it| {
            serde_json::to_writer(&mut piece, &it).expect("an entry has only string keys");
            piece.push(b'\n');
            if piece.len() < PIECE_BYTES {
                return ControlFlow::Continue(());
            }
            let full = std::mem::replace(&mut piece, Vec::with_capacity(PIECE_BYTES));
            // Whoever downloads may have gone away.
            match sender.blocking_send(Ok(full.into())) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        let rest = read.map(|_| Bytes::from(piece));
        drop(sender.blocking_send(rest));
    });
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

fn line(number: u64, it: LogEntry) -> LineOfLog {
    let LogEntry { at, level, source, message, fields } = it;
    LineOfLog { number, at: clock::text(at), level, source, message, fields }
}

fn chosen(files: Vec<LogFile>, node: &str, attempt: Option<u32>) -> Option<LogFile> {
    // They are sorted by node and attempt.
    let mut of_node = files.into_iter().filter(|it| it.node == node);
    match attempt {
        Some(number) => of_node.find(|it| it.attempt == number),
        None => of_node.next_back(),
    }
}

/// Files are read away from the threads that answer.
async fn blocking<T: Send + 'static>(
    context: &Context,
    id: &str,
    read: impl FnOnce(Vec<LogFile>) -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiProblem> {
    let (root, run) = (context.options.records_dir(), RunId(find(context, id).await?.id));
    let done = task::blocking(move || {
        let files = log_files(&root, &run).map_err(|e| ApiProblem::from(e.problem()))?;
        read(files).map_err(|e| unreadable(&e))
    });
    done.await?
}

fn unreadable(error: &std::io::Error) -> ApiProblem {
    let what = format!("the log cannot be read: {error}");
    ApiProblem::new(
        Code("log-unreadable"),
        what,
        "check the disk of the service, and that its user may read it",
    )
}
