//! `/api/v1/tables/{name}/rows`: the rows of a version, as JSON, Arrow, Parquet or CSV. A request holds a batch at a
//! time, however long the table is, and no thread while whoever downloads takes its time.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Deserialize;
use tidemill_lake::{Excerpt, ExportError, ExportFormat, Exporter, Lake, Manifest, ReadOptions, WhichRows};
use tidemill_plan::{Code, Problem, Time};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use super::tables::of_lake;
use crate::context::Context;
use crate::extract::{PathOf, QueryOf};
use crate::tables::{self, At};
use crate::wire;
use crate::{ApiProblem, task};

/// Bytes of an answer that are made at a time, as far as batches allow.
const PIECE_BYTES: usize = 256 << 10;
/// Rows of a batch that becomes text: many times larger than it was.
const TEXT_ROWS_MAX: usize = 8192;

/// Which version the rows are of, how many it has, and how many more tables could have been meant.
const TABLE: HeaderName = HeaderName::from_static("x-table");
const VERSION: HeaderName = HeaderName::from_static("x-table-version");
const ROWS: HeaderName = HeaderName::from_static("x-table-rows");
const OTHERS: HeaderName = HeaderName::from_static("x-table-others");

pub(super) fn routes() -> Routes {
    Routes { viewer: OpenApiRouter::new().routes(routes!(read_rows)), ..Routes::default() }
}

/// Which rows, and how they are written.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RowsQuery {
    /// A snapshot's number, or a time; absent: now.
    at: Option<String>,
    /// Names of columns, separated by commas, in the order wanted; absent: all.
    columns: Option<String>,
    /// First time that is wanted.
    start: Option<String>,
    /// First time that is no longer wanted.
    end: Option<String>,
    /// The first so many rows; absent: all.
    limit: Option<u64>,
    /// The last so many rows.
    tail: Option<u64>,
    /// Instead of what `Accept` says.
    #[param(inline)]
    format: Option<RowsFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
enum RowsFormat {
    /// A list of objects; nulls are left out.
    Json,
    /// An object a line.
    JsonLines,
    /// The stream format of Arrow IPC.
    Arrow,
    /// The file format of Arrow IPC.
    ArrowFile,
    Parquet,
    Csv,
}

impl RowsFormat {
    const ALL: [Self; 6] =
        [Self::Json, Self::JsonLines, Self::Arrow, Self::ArrowFile, Self::Parquet, Self::Csv];

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::ArrowFile => "application/vnd.apache.arrow.file",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Csv => "text/csv",
        }
    }

    fn export(self) -> ExportFormat {
        match self {
            Self::Json => ExportFormat::JsonList,
            Self::JsonLines => ExportFormat::JsonLines,
            Self::Arrow => ExportFormat::ArrowStream,
            Self::ArrowFile => ExportFormat::Arrow,
            Self::Parquet => ExportFormat::Parquet,
            Self::Csv => ExportFormat::Csv,
        }
    }

    /// Rows of a batch at most; `None`: as the lake has them.
    fn batch_rows_max(self) -> Option<usize> {
        match self {
            Self::Json | Self::JsonLines | Self::Csv => Some(TEXT_ROWS_MAX),
            Self::Arrow | Self::ArrowFile | Self::Parquet => None,
        }
    }

    fn asked(query: Option<Self>, headers: &HeaderMap) -> Result<Self, ApiProblem> {
        if let Some(it) = query {
            return Ok(it);
        }
        let accepted: Vec<&str> =
            headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok()).collect();
        if accepted.is_empty() {
            return Ok(Self::Json);
        }
        chosen(&accepted.join(",")).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.into_iter().map(Self::media_type).collect();
            let what = "rows are not written in any format that `Accept` names";
            let mend = format!("accept one of {}, or say which with `format`", all.join(", "));
            ApiProblem::new(Code("not-acceptable"), what, mend)
        })
    }
}

/// The format that a client likes most: by `q`, then in the order in which it names them.
fn chosen(accept: &str) -> Option<RowsFormat> {
    let mut best: Option<(f32, RowsFormat)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|it| it.strip_prefix("q=")).map_or(Some(1.0), |it| it.parse().ok());
        let Some(weight) = weight.filter(|it| *it > 0.0) else { continue };
        let format = RowsFormat::ALL.into_iter().find(|it| {
            let (group, _) = it.media_type().split_once('/').expect("a media type has two parts");
            kind == it.media_type() || kind == "*/*" || kind == format!("{group}/*")
        });
        if let Some(format) = format
            && best.is_none_or(|(before, _)| weight > before)
        {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format)
}

/// The rows of a table
#[utoipa::path(get, path = "/api/v1/tables/{name}/rows", tag = "tables",
    params(("name" = String, Path, description = "the table's name, the beginning of it, or the node that wrote it"), RowsQuery),
    responses(
        (status = 200, description = "the rows; `x-table-version` says of which version, `x-table-rows` how many it has",
            content(
                (Vec<serde_json::Map<String, serde_json::Value>> = "application/json"),
                (String = "application/x-ndjson"),
                (wire::Bytes = "application/vnd.apache.arrow.stream"),
                (wire::Bytes = "application/vnd.apache.arrow.file"),
                (wire::Bytes = "application/vnd.apache.parquet"),
                (String = "text/csv"))),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn read_rows(
    State(context): State<Context>,
    PathOf(typed): PathOf<String>,
    QueryOf(query): QueryOf<RowsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let format = RowsFormat::asked(query.format, &headers)?;
    let at = At::read(query.at.as_deref())?;
    let (options, which) = (options(&query, format)?, which(&query)?);
    let (meant, version) = tables::version(&context, &typed, at).await?;
    let manifest = tables::manifest_of(&context, version, at).await?;
    let mut response_headers = HeaderMap::new();
    response_headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    if let Some(version) = manifest.catalog.as_ref().and_then(|it| it.version) {
        response_headers.insert(VERSION, version.into());
    }
    response_headers.insert(ROWS, manifest.rows.into());
    response_headers.insert(OTHERS, meant.others.into());
    // A name that another program gave may hold anything.
    if let Ok(name) = HeaderValue::from_str(&manifest.table.0) {
        response_headers.insert(TABLE, name);
    }
    // Whatever is wrong at the start is told before the answer begins.
    let lake = context.lake.clone();
    let download = task::blocking(move || Download::open(&lake, &manifest, options, which, format)).await??;
    Ok((response_headers, Body::from_stream(pieces(download))).into_response())
}

fn options(query: &RowsQuery, format: RowsFormat) -> Result<ReadOptions, ApiProblem> {
    let columns = query.columns.as_deref().filter(|it| !it.is_empty());
    Ok(ReadOptions {
        columns: columns.map(|it| it.split(',').map(|it| it.trim().to_owned()).collect()),
        start: time("start", query.start.as_deref())?,
        end: time("end", query.end.as_deref())?,
        batch_rows_max: format.batch_rows_max(),
    })
}

fn which(query: &RowsQuery) -> Result<WhichRows, ApiProblem> {
    match (query.limit, query.tail) {
        (Some(_), Some(_)) => {
            let what = "`limit` and `tail` are both given";
            Err(ApiProblem::new(Code("bad-request"), what, "ask for the first rows or for the last"))
        }
        (Some(rows), None) => Ok(WhichRows::First(rows)),
        (None, Some(rows)) => Ok(WhichRows::Last(rows)),
        (None, None) => Ok(WhichRows::All),
    }
}

fn time(key: &str, text: Option<&str>) -> Result<Option<Time>, ApiProblem> {
    let mend = "write a time, such as `2020-01-02` or `2020-01-02T09:30:00Z`";
    text.map(Time::parse)
        .transpose()
        .map_err(|why| ApiProblem::new(Code("bad-time"), format!("`{key}`: {why}"), mend))
}

/// What has been written and not yet been sent.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        // Bytes are whole at any moment.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.with(|it| it.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An answer under way.
struct Download {
    excerpt: Excerpt,
    /// `None` after the last piece.
    exporter: Option<Exporter<Written>>,
    written: Written,
    /// The first piece, which is made before the answer begins: what is wrong with it can still be told.
    first: Option<Bytes>,
}

impl Download {
    fn open(
        lake: &Lake,
        manifest: &Manifest,
        options: ReadOptions,
        which: WhichRows,
        format: RowsFormat,
    ) -> Result<Self, ApiProblem> {
        let excerpt = Excerpt::open(lake, manifest, options, which).map_err(|e| of_lake(&e))?;
        let written = Written::default();
        let exporter = Exporter::new(&excerpt.schema(), format.export(), written.clone());
        let exporter = exporter.map_err(|e| Problem::new(e.code(), e.to_string(), e.mend()))?;
        let mut opened = Self { excerpt, exporter: Some(exporter), written, first: None };
        opened.first = opened.next().map_err(|e| {
            if let ExportError::Read(e) = &e {
                return of_lake(e);
            }
            Problem::new(e.code(), e.to_string(), e.mend()).into()
        })?;
        Ok(opened)
    }

    /// The next piece; `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>, ExportError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        while let Some(exporter) = &mut self.exporter {
            match self.excerpt.next_batch().map_err(ExportError::Read)? {
                Some(batch) => exporter.write(&batch)?,
                None => {
                    if let Some(exporter) = self.exporter.take() {
                        exporter.finish()?;
                    }
                }
            }
            if self.written.with(|it| it.len() >= PIECE_BYTES) {
                break;
            }
        }
        let piece = self.written.with(std::mem::take);
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}

/// Each piece is made when the one before has been taken.
fn pieces(download: Download) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    futures::stream::try_unfold(download, |mut download| async move {
        let made = task::blocking(move || {
            let piece = download.next();
            piece.map(|it| it.map(|it| (it, download)))
        });
        // The answer has begun: it can only be broken off.
        match made.await {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(e)) => {
                tracing::error!(error = %e, "rows could not be read to their end");
                Err(std::io::Error::other(e))
            }
            Err(problem) => Err(std::io::Error::other(problem.into_first().what)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_that_is_liked_most_is_taken() {
        for (accept, expected) in [
            ("*/*", Some(RowsFormat::Json)),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Some(RowsFormat::Json)),
            ("text/csv", Some(RowsFormat::Csv)),
            ("text/*", Some(RowsFormat::Csv)),
            ("application/vnd.apache.parquet", Some(RowsFormat::Parquet)),
            ("application/json;q=0.5, application/vnd.apache.arrow.stream", Some(RowsFormat::Arrow)),
            ("application/vnd.apache.arrow.file; q=0.9, text/csv;q=0.1", Some(RowsFormat::ArrowFile)),
            ("APPLICATION/X-NDJSON", Some(RowsFormat::JsonLines)),
            ("text/csv;q=0", None),
            ("image/png", None),
            ("", None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept}");
        }
    }
}
