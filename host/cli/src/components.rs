//! `tidemill push`, `pull`, `components`: the registry of a service.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;
use tidemill_plan::{Code, Digest, Problem};
use tidemill_server::wire::{
    CollectRequest, Collected, Component, ComponentSummary, PushedComponent, SetTag, Tag, TagChange,
};

use crate::args::{ComponentsCommand, ComponentsWhat, PullArgs, PushArgs};
use crate::client::{Client, require_host};
use crate::complain::talk;
use crate::{Ending, inspect, quantity, table_view, tokens};

pub(crate) fn push(args: &PushArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    let client = require_host(host)?;
    let pushed = send(&client, &args.file, &[("tags", args.tags.join(","))])?;
    if args.json {
        table_view::print_json(&json!(pushed))?;
        return Ok(Ending::Done);
    }
    let Component { description, tags, .. } = &pushed.component;
    let how = if pushed.is_new { "pushed" } else { "known already:" };
    writeln!(std::io::stdout(), "{}", description.digest)?;
    talk!("{how} `{}` ({}), tags: {}", description.name, quantity::bytes(description.bytes), tags.join(", "));
    Ok(Ending::Done)
}

/// Uploads a component file.
pub(crate) fn send(
    client: &Client,
    path: &Path,
    query: &[(&str, String)],
) -> anyhow::Result<PushedComponent> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    client.upload(Method::POST, &["components"], query, file)
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let what = format!("`{}` cannot be read: {error}", path.display());
    Problem::new(
        Code("component-unreadable"),
        what,
        "check the path, or build the task with `tidemill build`",
    )
}

pub(crate) fn pull(args: &PullArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    let client = require_host(host)?;
    let component: Component = client.get(&["components", &args.component])?;
    let description = &component.description;
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.wasm", description.name)));
    // By its digest: the tag may move in between.
    let mut response = client.download(&["components", &description.digest, "wasm"])?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = write(&mut response, &temporary, &description.digest)
        .and_then(|()| std::fs::rename(&temporary, &path).context("rename"));
    if written.is_err() {
        // What went wrong before is what is told.
        std::fs::remove_file(&temporary).ok();
    }
    written.with_context(|| format!("write `{}`", path.display()))?;
    writeln!(std::io::stdout(), "{}", path.display())?;
    talk!("pulled `{}`, {}, {}", description.name, description.digest, quantity::bytes(description.bytes));
    Ok(Ending::Done)
}

fn write(response: &mut impl std::io::Read, path: &Path, digest: &str) -> anyhow::Result<()> {
    let mut file = File::create_new(path)?;
    std::io::copy(response, &mut file)?;
    let found = Digest::of(&std::fs::read(path)?);
    anyhow::ensure!(found.to_string() == digest, "what came has the digest {found}, not {digest}");
    Ok(())
}

pub(crate) fn components(args: &ComponentsCommand, host: Option<&str>) -> anyhow::Result<Ending> {
    let client = require_host(host)?;
    match &args.what {
        None => list(&client, args.name.as_deref(), args.json)?,
        Some(ComponentsWhat::List { name, json }) => list(&client, name.as_deref(), *json)?,
        Some(ComponentsWhat::Show { component, json }) => show(&client, component, *json)?,
        Some(ComponentsWhat::Tags { name, json }) => tags(&client, name, *json)?,
        Some(ComponentsWhat::Tag { component, tag }) => {
            let found: Component = client.get(&["components", component])?;
            let (name, digest) = (found.description.name, found.description.digest);
            let set: Tag = client.put(&["tags", &name, tag], &SetTag { digest })?;
            talk!("`{}:{}` points at {}", set.name, set.tag, set.digest);
        }
        Some(ComponentsWhat::Untag { tag }) => {
            let (name, tag) = tag.split_once(':').ok_or_else(|| no_tag(tag))?;
            let was: Tag = client.delete(&["tags", name, tag])?;
            talk!("took `{}:{}` away, which pointed at {}", was.name, was.tag, was.digest);
        }
        Some(ComponentsWhat::Delete { component }) => {
            let gone: Component = client.delete(&["components", component])?;
            talk!("deleted `{}`, {}", gone.description.name, gone.description.digest);
        }
        Some(ComponentsWhat::Gc { yes, json }) => collect(&client, *yes, *json)?,
    }
    Ok(Ending::Done)
}

fn no_tag(typed: &str) -> Problem {
    Problem::new(Code("bad-tag"), format!("`{typed}` names no tag"), "write `name:tag`")
}

fn list(client: &Client, name: Option<&str>, is_json: bool) -> anyhow::Result<()> {
    let query: Vec<_> = name.map(|it| ("name", it.to_owned())).into_iter().collect();
    let components: Vec<ComponentSummary> = client.list(&["components"], &query, None)?;
    if is_json {
        return table_view::print_json(&json!(components));
    }
    let row = |it: ComponentSummary| {
        let pushed = tokens::short_time(&it.pushed_at);
        vec![it.name, it.tags.join(", "), quantity::bytes(it.bytes), pushed, it.pushed_by, it.digest]
    };
    table_view::print(
        &["name", "tags", "size", "pushed", "by", "digest"],
        components.into_iter().map(row).collect(),
    )
}

fn show(client: &Client, component: &str, is_json: bool) -> anyhow::Result<()> {
    let found: Component = client.get(&["components", component])?;
    if is_json {
        return table_view::print_json(&json!(found));
    }
    inspect::print_component(&found)
}

fn tags(client: &Client, name: &str, is_json: bool) -> anyhow::Result<()> {
    if let Some((name, tag)) = name.split_once(':') {
        let changes: Vec<TagChange> = client.list(&["tags", name, tag, "history"], &[], None)?;
        if is_json {
            return table_view::print_json(&json!(changes));
        }
        let row = |it: TagChange| {
            vec![tokens::short_time(&it.at), it.who, it.digest.unwrap_or_else(|| "taken away".to_owned())]
        };
        return table_view::print(&["time", "who", "digest"], changes.into_iter().map(row).collect());
    }
    let tags: Vec<Tag> = client.list(&["tags", name], &[], None)?;
    if is_json {
        return table_view::print_json(&json!(tags));
    }
    let row = |it: Tag| vec![it.tag, tokens::short_time(&it.moved_at), it.moved_by, it.digest];
    table_view::print(&["tag", "moved", "by", "digest"], tags.into_iter().map(row).collect())
}

fn collect(client: &Client, is_done: bool, is_json: bool) -> anyhow::Result<()> {
    let gone: Collected = client.post(&["collect"], &CollectRequest { dry_run: !is_done })?;
    if is_json {
        return table_view::print_json(&json!(gone));
    }
    let row = |kind: &str, it: &String| vec![kind.to_owned(), it.clone()];
    let components = gone.components.iter().map(|it| row("component", it));
    table_view::print_plain(components.chain(gone.files.iter().map(|it| row("file", it))).collect())?;
    let (components, files) = (gone.components.len(), gone.files.len());
    let size = quantity::bytes(gone.bytes);
    if is_done {
        talk!("removed {components} components and {files} files, {size}");
    } else {
        talk!("would remove {components} components and {files} files, {size}; `--yes` does it");
    }
    Ok(())
}
