//! A run on a service: begun, and followed to its end.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use reqwest::Method;
use tidemill_driver::{Event, NodeEnd, NodeFailure, NodeState, Observer as _, RunRecord};
use tidemill_plan::{Code, Problem};
use tidemill_server::wire::{AddLink, Run, RunDetail, StartRun, StateOfRun, Transition, WindowOfRun};

use crate::args::RunArgs;
use crate::client::Client;
use crate::complain::talk;
use crate::progress::Progress;
use crate::{Ending, host_logs, params, run, table_view};

/// How long to wait before looking again for a run of which nothing is heard.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Begins a pipeline of the service; `typed` is its name, perhaps with `@VERSION`.
pub(crate) fn begin(args: &RunArgs, client: &Client, typed: &str) -> anyhow::Result<Ending> {
    refuse_local_only(args)?;
    let (pipeline, version) = match typed.split_once('@') {
        Some((name, version)) => (name, Some(version_number(name, version)?)),
        None => (typed, None),
    };
    let of = &args.of;
    let (parameters, parameters_from) = params::of_file(of.params.as_deref())?;
    let service = &args.service;
    let request = StartRun {
        pipeline: pipeline.to_owned(),
        version,
        set: of.sets.clone(),
        parameters,
        parameters_from,
        window: WindowOfRun {
            start: of.window.start.clone(),
            end: of.window.end.clone(),
            as_of: of.window.as_of.clone(),
        },
        node: of.node.clone(),
        only: of.only.clone(),
        deps_only: of.deps_only.clone(),
        from_node: of.from_node.clone(),
        force: of.force,
        keep_going: args.keep_going,
        debug: service.debug,
        priority: service.priority.unwrap_or(0),
        description: service.description.clone().unwrap_or_default(),
        labels: labels(&service.labels)?,
        links: service.links.iter().map(|it| link(it)).collect(),
        idempotency_key: service.idempotency_key.clone(),
    };
    let begun: Run = client.post(&["runs"], &request)?;
    let follow = if service.debug { Follow::WithLogs } else { Follow::Quietly };
    tell(client, &begun, service.wait || service.debug, follow, of.json)
}

/// Says how to go on with a run, or follows it.
pub(crate) fn tell(
    client: &Client,
    begun: &Run,
    waits: bool,
    follow: Follow,
    is_json: bool,
) -> anyhow::Result<Ending> {
    if waits {
        return to_its_end(client, &begun.id, follow, is_json);
    }
    if is_json {
        table_view::print_json(&serde_json::to_value(begun)?)?;
    } else {
        table_view::print_lines(std::slice::from_ref(&begun.id))?;
        talk!(
            "run {0} of {1}@{2} is kept; `tidemill logs {0} -f` follows it",
            begun.id,
            begun.pipeline,
            begun.version
        );
    }
    Ok(Ending::Done)
}

/// What is seen while a run is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Progress alone.
    Quietly,
    WithLogs,
}

/// Follows a run to its end and shows what came of it.
pub(crate) fn to_its_end(client: &Client, id: &str, follow: Follow, is_json: bool) -> anyhow::Result<Ending> {
    let mut shown = Shown { names: BTreeMap::new(), progress: None, next: 0 };
    let mut logs = host_logs::Cursor::default();
    loop {
        let events = client.request(Method::GET, &["runs", id, "events"]);
        let events = match shown.next {
            0 => events,
            next => events.header("last-event-id", (next - 1).to_string()),
        };
        let answer = client.send(events)?;
        for line in BufReader::new(answer).lines() {
            // The connection may break; the run goes on, and so does whoever follows it.
            let Ok(line) = line else { break };
            let Some(data) = line.strip_prefix("data:") else { continue };
            if let Ok(transition) = serde_json::from_str::<Transition>(data.trim()) {
                shown.take(client, id, &transition)?;
                if follow == Follow::WithLogs && transition.fact == "attempt-ended" {
                    host_logs::print_new(client, id, &mut logs)?;
                }
            }
        }
        let run: RunDetail = client.get(&["runs", id])?;
        if run.run.state.is_ended() {
            shown.finish();
            return ended(&run, is_json);
        }
        // Nothing of it has begun, or the service is restarting.
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn ended(run: &RunDetail, is_json: bool) -> anyhow::Result<Ending> {
    let record: Option<RunRecord> = run.record.clone().map(serde_json::from_value).transpose()?;
    if is_json {
        table_view::print_json(&serde_json::to_value(run)?)?;
    } else if let Some(record) = &record {
        run::print_tables(record)?;
    }
    for it in &run.run.problems {
        talk!("error[{}]: {}", it.code, it.title);
        if let Some(mend) = &it.detail {
            talk!("  to mend: {mend}");
        }
    }
    if let Some(record) = &record {
        run::say_ending(record);
    }
    Ok(if run.run.state == StateOfRun::Succeeded { Ending::Done } else { Ending::Failed })
}

/// What has been shown of a run.
struct Shown {
    /// Positions of nodes, by name.
    names: BTreeMap<String, usize>,
    progress: Option<Progress>,
    /// The number of the next transition.
    next: u64,
}

impl Shown {
    fn take(&mut self, client: &Client, id: &str, transition: &Transition) -> anyhow::Result<()> {
        if transition.number < self.next {
            return Ok(());
        }
        self.next = transition.number + 1;
        if self.progress.is_none() {
            let run: RunDetail = client.get(&["runs", id])?;
            let Some(record) = run.record else { return Ok(()) };
            let record: RunRecord = serde_json::from_value(record)?;
            let names: Vec<String> = record.nodes.iter().map(|it| it.node.clone()).collect();
            let total = record.nodes.iter().filter(|it| it.state != NodeState::Left).count();
            self.names = names.iter().cloned().zip(0..).collect();
            self.progress = Some(Progress::of(names, total));
        }
        self.show(transition);
        Ok(())
    }

    fn show(&self, transition: &Transition) {
        let (Some(progress), Some(name)) = (&self.progress, &transition.node) else { return };
        let Some(node) = self.names.get(name).copied() else { return };
        let detail = &transition.detail;
        let number = |pointer: &str| detail.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let text = |pointer: &str| {
            detail.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        let ended = |end: NodeEnd<'_>| progress.on(Event::NodeEnded { node, end });
        match transition.fact.as_str() {
            "attempt-began" => {
                let attempt = u32::try_from(number("/attempt")).unwrap_or(u32::MAX);
                progress.on(Event::AttemptBegan { node, attempt });
            }
            "attempt-ended" => {
                let tables = detail.pointer("/left/tables").and_then(serde_json::Value::as_array);
                let sum = |key: &str| {
                    let each = tables.into_iter().flatten().filter_map(|it| it[key].as_u64());
                    each.sum::<u64>()
                };
                match text("/ending").as_str() {
                    "computed" => ended(NodeEnd::Computed {
                        rows: sum("rows"),
                        bytes: sum("bytes"),
                        wall_us: number("/left/wall_us"),
                    }),
                    "reused" => ended(NodeEnd::Reused { rows: sum("rows") }),
                    _ => {}
                }
            }
            "node-failed" => {
                let failure = NodeFailure {
                    code: Code("node-failed"),
                    what: text("/error/what"),
                    mend: text("/error/mend"),
                    retryable: false,
                };
                ended(NodeEnd::Failed { failure: &failure });
            }
            "node-skipped" => {
                let because_of = self.names.get(&text("/because")).copied().unwrap_or(node);
                ended(NodeEnd::Skipped { because_of });
            }
            "node-cancelled" => ended(NodeEnd::Cancelled),
            _ => {}
        }
    }

    fn finish(&self) {
        if let Some(progress) = &self.progress {
            progress.finish();
        }
    }
}

fn version_number(name: &str, text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_invalid| {
        let what = format!("`{text}` is no version of a pipeline");
        let mend =
            format!("write a number, such as `{name}@1`; `tidemill pipelines versions {name}` lists them");
        Problem::new(Code("bad-version"), what, mend)
    })
}

fn labels(typed: &[String]) -> Result<BTreeMap<String, String>, Problem> {
    let mut labels = BTreeMap::new();
    for it in typed {
        let Some((name, value)) = it.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let what = format!("`--label {it}` is no label");
            return Err(Problem::new(Code("bad-label"), what, "write `--label NAME=VALUE`"));
        };
        labels.insert(name.to_owned(), value.to_owned());
    }
    Ok(labels)
}

/// `TITLE=URL`, or a URL alone, which may hold `=`. The service says what is one.
fn link(typed: &str) -> AddLink {
    match typed.split_once('=') {
        Some((title, url)) if !title.contains("://") => {
            AddLink { url: url.to_owned(), title: title.to_owned() }
        }
        Some(_) | None => AddLink { url: typed.to_owned(), title: String::new() },
    }
}

/// What means nothing on a service would be a flag without effect.
fn refuse_local_only(args: &RunArgs) -> Result<(), Problem> {
    let typed = [
        ("--jobs", args.jobs.is_some()),
        ("--lake", args.of.lake.named.is_some()),
        ("--folder", args.of.folder.is_some()),
        ("--from-store", !args.from_store.is_empty()),
        ("--from", args.of.from.is_some()),
    ];
    let Some((flag, _)) = typed.into_iter().find(|(_, is_typed)| *is_typed) else { return Ok(()) };
    let what = format!("`{flag}` is for runs in this process, and this one is on a service");
    let mend = "leave it out; `tidemill runs retry RUN` runs one again, and the service's settings say how many attempts \
                there are at a time";
    Err(Problem::new(Code("local-only-flag"), what, mend))
}

/// What only a service makes something of, where the run is in this process.
pub(crate) fn refuse_service_only(args: &RunArgs) -> Result<(), Problem> {
    let of = &args.service;
    let typed = [
        ("--wait", of.wait),
        ("--debug", of.debug),
        ("--description", of.description.is_some()),
        ("--label", !of.labels.is_empty()),
        ("--link", !of.links.is_empty()),
        ("--priority", of.priority.is_some()),
        ("--idempotency-key", of.idempotency_key.is_some()),
    ];
    let Some((flag, _)) = typed.into_iter().find(|(_, is_typed)| *is_typed) else { return Ok(()) };
    let what = format!("`{flag}` is for runs on a service, and this one is in this process");
    let mend = "leave it out; or `tidemill deploy` the pipeline to a service and run it there by its name";
    Err(Problem::new(Code("service-only-flag"), what, mend))
}
