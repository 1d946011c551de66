//! `tidemill pipelines`: what is deployed on a service.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use similar::TextDiff;
use tidemill_plan::{Code, Problem};
use tidemill_server::wire::{ComponentUse, Pipeline, PipelineVersion};

use crate::args::{PipelinesCommand, PipelinesWhat};
use crate::client::{Client, require_host};
use crate::complain::talk;
use crate::{Ending, quantity, runs, table_view, tokens};

pub(crate) fn pipelines(args: &PipelinesCommand, host: Option<&str>) -> anyhow::Result<Ending> {
    let client = require_host(host)?;
    match &args.what {
        None => list(&client, args.json)?,
        Some(PipelinesWhat::List { json }) => list(&client, *json)?,
        Some(PipelinesWhat::Show { pipeline, json }) => show(&client, pipeline, *json)?,
        Some(PipelinesWhat::Delete { pipeline }) => {
            let (name, version) = versioned(pipeline)?;
            let gone: PipelineVersion = client.delete(&["pipelines", name, "versions", version])?;
            talk!("deleted version {} of `{}`; its runs and tables stay", gone.version, gone.name);
        }
        Some(PipelinesWhat::Versions { name, json }) => versions(&client, name, *json)?,
        Some(PipelinesWhat::Diff { name, before, after }) => {
            let of = |version: i64| -> anyhow::Result<Pipeline> {
                client.get(&["pipelines", name, "versions", &version.to_string()])
            };
            table_view::print_lines(&difference(&of(*before)?, &of(*after)?))?;
        }
    }
    Ok(Ending::Done)
}

fn list(client: &Client, is_json: bool) -> anyhow::Result<()> {
    let pipelines: Vec<PipelineVersion> = client.list(&["pipelines"], &[], None)?;
    if is_json {
        return table_view::print_json(&json!(pipelines));
    }
    let row = |it: PipelineVersion| {
        let version = it.version.to_string();
        vec![it.name, version, tokens::short_time(&it.deployed_at), it.deployed_by, it.summary]
    };
    let header = ["pipeline", "version", "deployed", "by", "summary"];
    table_view::print(&header, pipelines.into_iter().map(row).collect())
}

fn versions(client: &Client, name: &str, is_json: bool) -> anyhow::Result<()> {
    let versions: Vec<PipelineVersion> = client.list(&["pipelines", name, "versions"], &[], None)?;
    if is_json {
        return table_view::print_json(&json!(versions));
    }
    let row = |it: PipelineVersion| {
        vec![
            it.version.to_string(),
            tokens::short_time(&it.deployed_at),
            it.deployed_by,
            runs::short(&it.digest),
        ]
    };
    table_view::print(&["version", "deployed", "by", "digest"], versions.into_iter().map(row).collect())
}

fn show(client: &Client, typed: &str, is_json: bool) -> anyhow::Result<()> {
    let found = find(client, typed)?;
    if is_json {
        return table_view::print_json(&json!(found));
    }
    let mut rows = vec![
        row("pipeline", &found.version.name, &found.version.summary),
        row("version", &found.version.version.to_string(), ""),
        row("deployed", &tokens::short_time(&found.version.deployed_at), &found.version.deployed_by),
    ];
    rows.extend(found.components.iter().map(|(reference, it)| row("task", reference, &used(it))));
    let size = |bytes| quantity::bytes(bytes);
    rows.extend(found.files.iter().map(|it| row("file", &it.path, &size(it.bytes))));
    table_view::print_plain(rows)?;
    table_view::print_lines(&[String::new()])?;
    table_view::print_lines(&found.text.lines().map(str::to_owned).collect::<Vec<_>>())
}

fn row(what: &str, name: &str, text: &str) -> Vec<String> {
    vec![what.to_owned(), name.to_owned(), text.to_owned()]
}

fn used(it: &ComponentUse) -> String {
    let digest = it.digest.as_deref().map_or_else(|| "which is gone".to_owned(), runs::short);
    match &it.tag {
        Some(tag) => format!("{tag}, now {digest}"),
        None => digest,
    }
}

/// `NAME` or `NAME@VERSION`.
fn find(client: &Client, typed: &str) -> anyhow::Result<Pipeline> {
    if !typed.contains('@') {
        return client.get(&["pipelines", typed]);
    }
    let (name, version) = versioned(typed)?;
    client.get(&["pipelines", name, "versions", version])
}

/// `NAME@VERSION`.
fn versioned(typed: &str) -> Result<(&str, &str), Problem> {
    let (name, version) = typed.split_once('@').unwrap_or((typed, ""));
    if version.parse::<i64>().is_err() {
        let what = format!("`{version}` is no version of a pipeline");
        let mend =
            format!("write a number, such as `{name}@1`; `tidemill pipelines versions {name}` lists them");
        return Err(Problem::new(Code("bad-version"), what, mend));
    }
    Ok((name, version))
}

/// Text line by line, then components and files that are not the same.
fn difference(before: &Pipeline, after: &Pipeline) -> Vec<String> {
    /// Lines around a change.
    const CONTEXT: usize = 3;
    let name = |it: &Pipeline| format!("{} of version {}", it.file_name, it.version.version);
    let mut lines = Vec::new();
    if before.text != after.text {
        let text = TextDiff::from_lines(&before.text, &after.text)
            .unified_diff()
            .context_radius(CONTEXT)
            .header(&name(before), &name(after))
            .to_string();
        lines.extend(text.lines().map(str::to_owned));
    }
    let components = |it: &Pipeline| -> BTreeMap<String, String> {
        it.components.iter().map(|(name, it)| (name.clone(), used(it))).collect()
    };
    let files = |it: &Pipeline| -> BTreeMap<String, String> {
        it.files.iter().map(|it| (it.path.clone(), runs::short(&it.digest))).collect()
    };
    changes(&mut lines, "task", &components(before), &components(after));
    changes(&mut lines, "file", &files(before), &files(after));
    if lines.is_empty() {
        talk!("the two versions say the same");
    }
    lines
}

fn changes(
    lines: &mut Vec<String>,
    kind: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (was, is) = (before.get(name), after.get(name));
        if was != is {
            let shown = |it: Option<&String>| it.cloned().unwrap_or_else(|| "none".to_owned());
            lines.push(format!("{kind} {name}: {} → {}", shown(was), shown(is)));
        }
    }
}
