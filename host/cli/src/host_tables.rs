//! `tidemill tables` and `show` on a service.

use std::io::BufReader;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use reqwest::Method;
use reqwest::blocking::Response;
use serde_json::json;
use tidemill_plan::{Code, Problem, Window};
use tidemill_server::wire::{LineageOfTable, LineageStep, TableAuthor, TableMirror, TableVersion};

use crate::args::{HistoryArgs, LineageArgs, MirrorsArgs, ShowArgs, TablesArgs};
use crate::client::Client;
use crate::complain::talk;
use crate::show::{Shown, rows_wanted};
use crate::{Ending, quantity, table_view, tokens};

/// Newest versions that are listed where nobody says how many.
const LISTED: usize = 50;

pub(crate) fn list(args: &TablesArgs, client: &Client) -> anyhow::Result<Ending> {
    let mut query = Vec::new();
    query.extend(args.containing.clone().map(|it| ("containing", it)));
    query.extend(args.node.clone().map(|it| ("node", it)));
    query.extend(args.pipeline.clone().map(|it| ("pipeline", it)));
    let found: Vec<TableVersion> = client.list(&["tables"], &query, None)?;
    if args.json {
        table_view::print_json(&json!(found))?;
    } else if found.is_empty() {
        let is_narrowed = !query.is_empty();
        talk!("{}", if is_narrowed { "there are no such tables" } else { "there are no tables yet" });
    } else {
        let header = ["table", "node", "rows", "size", "version", "written", "run", "digest"];
        table_view::print(&header, found.into_iter().map(row).collect())?;
    }
    Ok(Ending::Done)
}

fn row(it: TableVersion) -> Vec<String> {
    let (node, run) = match it.author {
        TableAuthor::Tidemill => (it.node.unwrap_or_default(), it.run.unwrap_or_default()),
        TableAuthor::Another => ("by another program".to_owned(), String::new()),
    };
    vec![
        it.name,
        node,
        it.rows.map(quantity::count).unwrap_or_default(),
        it.bytes.map(quantity::bytes).unwrap_or_default(),
        it.version.to_string(),
        it.committed_at.as_deref().map(tokens::short_time).unwrap_or_default(),
        run,
        it.digest.map(|it| short(&it)).unwrap_or_default(),
    ]
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

pub(crate) fn history(args: &HistoryArgs, client: &Client) -> anyhow::Result<Ending> {
    let limit = args.limit.unwrap_or(LISTED);
    let mut found: Vec<TableVersion> =
        client.list(&["tables", &args.table, "history"], &[], Some(limit + 1))?;
    let is_more = found.len() > limit;
    found.truncate(limit);
    if args.json {
        table_view::print_json(&json!(found))?;
    } else {
        if let Some(newest) = found.first().filter(|it| it.name != args.table) {
            talk!("the versions of `{}`", newest.name);
        }
        let header = ["version", "written", "run", "node", "component", "mode", "rows", "size", "read"];
        table_view::print(&header, found.into_iter().map(version_row).collect())?;
    }
    if is_more {
        talk!("there are more: `--limit N` shows them");
    }
    Ok(Ending::Done)
}

fn version_row(it: TableVersion) -> Vec<String> {
    let reads = it.reads.iter().map(|it| at_version(&it.table, it.version));
    let run = match it.author {
        TableAuthor::Tidemill => it.run.unwrap_or_default(),
        TableAuthor::Another => "another program".to_owned(),
    };
    let size = if it.is_expired { "expired".to_owned() } else { String::new() };
    vec![
        it.version.to_string(),
        it.committed_at.as_deref().map(tokens::short_time).unwrap_or_default(),
        run,
        it.node.unwrap_or_default(),
        it.component.map(|it| short(&it)).unwrap_or_default(),
        it.mode.unwrap_or_default(),
        it.rows.map(quantity::count).unwrap_or_default(),
        it.bytes.filter(|_| !it.is_expired).map_or(size, quantity::bytes),
        reads.collect::<Vec<_>>().join(" "),
    ]
}

fn at_version(table: &str, version: Option<i64>) -> String {
    version.map_or_else(|| table.to_owned(), |it| format!("{table}@{it}"))
}

pub(crate) fn lineage(args: &LineageArgs, client: &Client) -> anyhow::Result<Ending> {
    let direction = if args.down { "down" } else { "up" };
    let mut query = vec![("direction", direction.to_owned())];
    query.extend(args.at.clone().map(|it| ("at", it)));
    let request = client.request(Method::GET, &["tables", &args.table, "lineage"]).query(&query);
    let found: LineageOfTable = client.answer(request)?;
    if args.json {
        table_view::print_json(&json!(found))?;
    } else if found.steps.is_empty() {
        let what = if args.down { "nothing was made of" } else { "nothing is known that was read for" };
        talk!("{what} `{}`", found.table);
    } else {
        let row = |it: LineageStep| {
            let (reader, read) =
                (at_version(&it.table, Some(it.version)), at_version(&it.read.table, it.read.version));
            vec![it.distance.to_string(), reader, read, short(&it.read.digest)]
        };
        table_view::print(
            &["step", "table", "was made of", "digest"],
            found.steps.into_iter().map(row).collect(),
        )?;
    }
    Ok(Ending::Done)
}

pub(crate) fn mirrors(args: &MirrorsArgs, client: &Client) -> anyhow::Result<Ending> {
    let query: Vec<_> = args.behind.then(|| ("behind", "true".to_owned())).into_iter().collect();
    let found: Vec<TableMirror> = client.list(&["mirrors"], &query, None)?;
    if args.json {
        table_view::print_json(&json!(found))?;
        return Ok(Ending::Done);
    }
    if found.is_empty() {
        talk!("{}", if args.behind { "no mirror is behind" } else { "nothing is mirrored yet" });
        return Ok(Ending::Done);
    }
    for (target, problem) in found.iter().filter_map(|it| Some((&it.target, &it.error.as_ref()?.problem))) {
        talk!("`{target}`: {} [{}]", problem.title, problem.code);
        if let Some(mend) = &problem.detail {
            talk!("  to mend: {mend}");
        }
    }
    let header = ["mirror", "pipeline", "node", "table", "version", "has", "since", "state"];
    table_view::print(&header, found.into_iter().map(mirror_row).collect())?;
    Ok(Ending::Done)
}

fn mirror_row(it: TableMirror) -> Vec<String> {
    let state = match (&it.error, it.is_behind) {
        (Some(error), _) => error.problem.code.clone(),
        (None, true) => "behind".to_owned(),
        (None, false) => "current".to_owned(),
    };
    let has = it.mirrored.as_ref().map(|has| match has.table == it.table {
        true => has.version.to_string(),
        false => at_version(&has.table, Some(has.version)),
    });
    let since = it.mirrored.as_ref().map(|it| tokens::short_time(&it.at));
    vec![
        it.target,
        it.pipeline,
        it.node,
        it.table,
        it.version.to_string(),
        has.unwrap_or_default(),
        since.unwrap_or_default(),
        state,
    ]
}

/// The rows that were asked for, as they arrive.
pub(crate) fn rows(args: &ShowArgs, client: &Client) -> anyhow::Result<Shown> {
    let mut query = vec![("format", "arrow".to_owned())];
    query.extend(args.at.clone().map(|it| ("at", it)));
    if !args.columns.is_empty() {
        query.push(("columns", args.columns.join(",")));
    }
    for (key, flag, time) in [("start", "--start", &args.start), ("end", "--end", &args.end)] {
        if let Some(time) = time {
            query.push((key, quantity::parse_time(flag, time)?.to_string()));
        }
    }
    if let Some(rows) = rows_wanted(args)? {
        query.push((if args.tail { "tail" } else { "limit" }, rows.to_string()));
    }
    let (reader, answer) = arriving(client, &args.table, &query)?;
    if let (Some(name), Some(others)) = (&answer.table, answer.others.filter(|it| *it > 0)) {
        let all = others + 1;
        talk!("`{}` means {all} tables; this is the one of the newest run: {name}", args.table);
    }
    Ok(Shown { schema: reader.schema(), rows: answer.rows, batches: Box::new(reader) })
}

/// What an answer with rows says besides them.
struct About {
    table: Option<String>,
    rows: Option<u64>,
    others: Option<u64>,
}

/// Rows as they arrive.
pub(crate) struct Arriving {
    reader: StreamReader<BufReader<Response>>,
    url: String,
}

fn arriving(client: &Client, table: &str, query: &[(&str, String)]) -> anyhow::Result<(Arriving, About)> {
    let request = client.request(Method::GET, &["tables", table, "rows"]).query(query);
    let answer = client.send(request)?;
    let header = |name: &str| answer.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let number = |name: &str| header(name).and_then(|it| it.parse().ok());
    let about =
        About { table: header("x-table"), rows: number("x-table-rows"), others: number("x-table-others") };
    let url = client.url().to_owned();
    let reader = StreamReader::try_new(BufReader::new(answer), None).map_err(|e| broken_off(&url, &e))?;
    Ok((Arriving { reader, url }, about))
}

/// All rows of a version of a table, within a stretch of time.
pub(crate) fn version_rows(
    client: &Client,
    table: &str,
    version: i64,
    window: &Window,
) -> anyhow::Result<Arriving> {
    let mut query = vec![("format", "arrow".to_owned()), ("at", version.to_string())];
    query.extend(window.start.map(|it| ("start", it.to_string())));
    query.extend(window.read_end().map(|it| ("end", it.to_string())));
    Ok(arriving(client, table, &query)?.0)
}

impl Arriving {
    pub(crate) fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }
}

impl Iterator for Arriving {
    type Item = anyhow::Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(|e| broken_off(&self.url, &e).into()))
    }
}

fn broken_off(url: &str, error: &ArrowError) -> Problem {
    let what = format!("the rows that the service at `{url}` sends broke off: {error}");
    Problem::new(Code("host-unreachable"), what, "try again; if it stays, look into the service's log")
}
