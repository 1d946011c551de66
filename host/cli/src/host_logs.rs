//! `tidemill logs` on a service: part after part, however long the log is.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_driver::LogEntry;
use tidemill_plan::Time;
use tidemill_server::wire::{LineOfLog, LogOfAttempt, LogPart, Run, RunDetail};

use crate::Ending;
use crate::args::LogsArgs;
use crate::client::Client;
use crate::complain::talk;
use crate::logs::{is_meant, print_entry};

const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// How far each log has been printed, by node and attempt.
#[derive(Debug, Default)]
pub(crate) struct Cursor(BTreeMap<(String, u32), u64>);

pub(crate) fn logs(args: &LogsArgs, client: &Client) -> anyhow::Result<Ending> {
    let run: Run = client.get::<RunDetail>(&["runs", &args.run])?.run;
    let mut cursor = Cursor::default();
    if let Some(tail) = args.tail {
        for it in wanted(args, client, &run.id)? {
            cursor.0.insert((it.node, it.attempt), it.lines.saturating_sub(tail));
        }
    }
    loop {
        // Asked before the logs: what was logged before the run ended is then surely printed.
        let is_over = client.get::<RunDetail>(&["runs", &run.id])?.run.state.is_ended();
        let has_printed = print(args, client, &run.id, &mut cursor)?;
        if !args.follow || is_over {
            if cursor.0.is_empty() {
                talk!("run {}: nothing was logged", run.id);
            }
            return Ok(Ending::Done);
        }
        if !has_printed {
            std::thread::sleep(FOLLOW_EVERY);
        }
    }
}

/// Prints what all attempts of a run have logged since.
pub(crate) fn print_new(client: &Client, run: &str, cursor: &mut Cursor) -> anyhow::Result<bool> {
    print(&LogsArgs::all_of(run), client, run, cursor)
}

fn wanted(args: &LogsArgs, client: &Client, run: &str) -> anyhow::Result<Vec<LogOfAttempt>> {
    let mut logs: Vec<LogOfAttempt> = client.list(&["runs", run, "logs"], &[], None)?;
    logs.retain(|it| {
        args.node.as_ref().is_none_or(|node| is_meant(node, &it.node))
            && args.attempt.is_none_or(|attempt| attempt == it.attempt)
    });
    Ok(logs)
}

fn print(args: &LogsArgs, client: &Client, run: &str, cursor: &mut Cursor) -> anyhow::Result<bool> {
    let mut has_printed = false;
    for log in wanted(args, client, run)? {
        let next = cursor.0.entry((log.node.clone(), log.attempt)).or_insert(0);
        while *next < log.lines {
            let mut query = vec![
                ("node", log.node.clone()),
                ("attempt", log.attempt.to_string()),
                ("from", next.to_string()),
            ];
            query.extend(args.grep.clone().map(|it| ("text", it)));
            let request = client.request(reqwest::Method::GET, &["runs", run, "log"]).query(&query);
            let part: LogPart = serde_json::from_str(&client.send(request)?.text()?)?;
            let mut stdout = std::io::stdout().lock();
            for line in part.lines {
                has_printed = true;
                print_entry(args, &mut stdout, (&log.node, log.attempt), &entry(line))?;
            }
            if part.next <= *next {
                break;
            }
            *next = part.next;
        }
    }
    Ok(has_printed)
}

fn entry(line: LineOfLog) -> LogEntry {
    let LineOfLog { at, level, source, message, fields, .. } = line;
    LogEntry { at: Time::parse(&at).map_or(0, |it| it.0), level, source, message, fields }
}
