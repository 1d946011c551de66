//! `/api/v1/runs/{id}/artefact`: files that the tasks of a run left. Whoever made them is not trusted: a browser is told to
//! save them, never to show them as a page of this service.

use std::fs::File;
use std::io::Read as _;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Deserialize;
use tidemill_driver::{ArtefactOf, ArtefactRecord, RunId, open_artefact};
use tidemill_plan::Code;
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use super::runs::find;
use crate::context::Context;
use crate::extract::{PathOf, QueryOf};
use crate::wire::{self, ArtefactOfRun};
use crate::{ApiProblem, task};

/// Bytes of a download that are read ahead of whoever takes them.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_AHEAD: usize = 4;

pub(super) fn routes() -> Routes {
    Routes { viewer: OpenApiRouter::new().routes(routes!(download_artefact)), ..Routes::default() }
}

pub(super) fn told(it: ArtefactOf<'_>) -> ArtefactOfRun {
    let ArtefactRecord { name, media_type, bytes, digest } = it.artefact.clone();
    ArtefactOfRun {
        node: it.node.to_owned(),
        failed_attempt: it.failed_attempt,
        name,
        media_type,
        bytes,
        digest,
    }
}

/// Which file.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ArtefactQuery {
    node: String,
    name: String,
    /// Of an attempt that failed; absent: of the node's result, else of the newest attempt that failed.
    #[param(minimum = 1)]
    attempt: Option<u32>,
}

/// A file that a task left, as it left it; the run's `artefacts` list them
#[utoipa::path(get, path = "/api/v1/runs/{id}/artefact", tag = "runs",
    params(("id" = String, Path, description = "the run, or the beginning of its id"), ArtefactQuery),
    responses(
        (status = 200, description = "the file, to be saved; its type is what the task says", body = wire::Bytes, content_type = "*/*"),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn download_artefact(
    State(context): State<Context>,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<ArtefactQuery>,
) -> Result<Response, ApiProblem> {
    let run = RunId(find(&context, &id).await?.id);
    let view = context.live.view(&run).await?;
    let mut artefacts = view.record.iter().flat_map(|it| it.artefacts());
    let is_asked = |it: &ArtefactOf<'_>| {
        (it.node, it.artefact.name.as_str()) == (query.node.as_str(), query.name.as_str())
            && query.attempt.is_none_or(|attempt| it.failed_attempt == Some(attempt))
    };
    let Some(found) = artefacts.find(is_asked).map(|it| it.artefact.clone()) else {
        let (node, name) = (query.node.escape_debug(), query.name.escape_debug());
        let what = format!("node `{node}` of run `{run}` left no file `{name}`");
        let mend = format!("`tidemill runs artefacts {run}` lists what there is");
        return Err(ApiProblem::new(Code("unknown-artefact"), what, mend));
    };
    let (root, asked) = (context.options.records_dir(), found.clone());
    let file = task::blocking(move || open_artefact(&root, &asked)).await??;
    Ok((headers(&found), stream(file)).into_response())
}

fn headers(artefact: &ArtefactRecord) -> [(HeaderName, HeaderValue); 6] {
    let value = |text: &str| HeaderValue::from_str(text).ok();
    let kind = value(&artefact.media_type);
    [
        // What a browser would run, it must not even guess at.
        (header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream"))),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::CONTENT_DISPOSITION, disposition(&artefact.name)),
        (header::CONTENT_LENGTH, HeaderValue::from(artefact.bytes)),
        (
            header::ETAG,
            value(&format!("\"{}\"", artefact.digest)).unwrap_or(HeaderValue::from_static("\"\"")),
        ),
    ]
}

/// To be saved under its name (RFC 6266): as UTF-8, and for old programs without what they may not know.
fn disposition(name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() || "._-".contains(it) { it } else { '_' })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|it| match it {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(it).to_string(),
            _ => format!("%{it:02X}"),
        })
        .collect();
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::from_str(&text).expect("nothing but ASCII that can be seen")
}

/// Read away from the threads that answer, a few pieces ahead.
fn stream(mut file: File) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece);
            let piece = match read {
                Ok(0) => return,
                Ok(_) => Ok(Bytes::from(piece)),
                Err(e) => Err(e),
            };
            let is_broken = piece.is_err();
            // Whoever downloads may have gone away.
            if sender.blocking_send(piece).is_err() || is_broken {
                return;
            }
        }
    });
    Body::from_stream(ReceiverStream::new(receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_letters_becomes_a_header() {
        assert_eq!(
            disposition("größe [1].csv"),
            "attachment; filename=\"gr__e__1_.csv\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%5B1%5D.csv"
        );
    }
}
