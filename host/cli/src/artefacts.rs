//! `tidemill runs artefacts`: the files that the tasks of a run left, of a lake or of a service.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;
use tidemill_driver::{ArtefactOf, ArtefactRecord, RunRecord, node_folder, open_artefact};
use tidemill_plan::{Code, Digester, Problem};
use tidemill_server::wire::{ArtefactOfRun, RunDetail};

use crate::args::ArtefactsArgs;
use crate::client::Client;
use crate::complain::talk;
use crate::{Ending, place, quantity, runs, table_view};

pub(crate) fn artefacts(args: &ArtefactsArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    match place::service(&args.lake, host)? {
        Some(client) => {
            let run: RunDetail = client.get(&["runs", &args.run])?;
            let from = |it: &ArtefactOfRun| download(&client, &run.run.id, it);
            act(args, &run.run.id, &run.artefacts, from)
        }
        None => {
            let record = runs::load(args.lake.dir(), &args.run)?;
            let from = |it: &ArtefactOfRun| {
                let opened = open_artefact(args.lake.dir(), &kept(it))?;
                Ok(Box::new(opened) as Box<dyn Read>)
            };
            act(args, &record.run.0, &of_record(&record), from)
        }
    }
}

/// What a record says of them, as a service tells it.
pub(crate) fn of_record(record: &RunRecord) -> Vec<ArtefactOfRun> {
    let told = |it: ArtefactOf<'_>| {
        let ArtefactRecord { name, media_type, bytes, digest } = it.artefact.clone();
        let (node, failed_attempt) = (it.node.to_owned(), it.failed_attempt);
        ArtefactOfRun { node, failed_attempt, name, media_type, bytes, digest }
    };
    record.artefacts().map(told).collect()
}

fn kept(it: &ArtefactOfRun) -> ArtefactRecord {
    let (name, media_type, digest) = (it.name.clone(), it.media_type.clone(), it.digest.clone());
    ArtefactRecord { name, media_type, bytes: it.bytes, digest }
}

fn download(client: &Client, run: &str, it: &ArtefactOfRun) -> anyhow::Result<Box<dyn Read>> {
    let mut query = vec![("node", it.node.clone()), ("name", it.name.clone())];
    query.extend(it.failed_attempt.map(|it| ("attempt", it.to_string())));
    let request = client.request(Method::GET, &["runs", run, "artefact"]).query(&query);
    Ok(Box::new(client.send(request)?))
}

fn act(
    args: &ArtefactsArgs,
    run: &str,
    all: &[ArtefactOfRun],
    open: impl Fn(&ArtefactOfRun) -> anyhow::Result<Box<dyn Read>>,
) -> anyhow::Result<Ending> {
    let is_asked = |it: &&ArtefactOfRun| {
        args.node.as_ref().is_none_or(|node| *node == it.node)
            && args.name.as_ref().is_none_or(|name| *name == it.name)
    };
    let asked: Vec<ArtefactOfRun> = all.iter().filter(is_asked).cloned().collect();
    if let Some(output) = &args.output {
        return save_one(args, run, &asked, output, open);
    }
    let Some(folder) = &args.to else {
        if args.json {
            table_view::print_json(&json!(asked))?;
        } else if asked.is_empty() {
            talk!("run {run} left no such files");
        } else {
            table_view::print(&HEADER, asked.iter().map(row).collect())?;
        }
        return Ok(Ending::Done);
    };
    for it in &asked {
        let path = folder.join(folder_of(it)).join(safe_name(&it.name)?);
        let parent = path.parent().expect("it lies in a folder of its node");
        std::fs::create_dir_all(parent).map_err(|e| unwritable(parent, &e))?;
        save(&mut open(it)?, &path, it)?;
        table_view::print_lines(&[path.display().to_string()])?;
    }
    let (count, size) = (asked.len(), quantity::bytes(asked.iter().map(|it| it.bytes).sum()));
    talk!("{count} file{} of run {run}, {size}", if count == 1 { "" } else { "s" });
    Ok(Ending::Done)
}

/// What the host lets no task use as a name, a record that someone has edited, or another program that answers as a
/// service, may hold all the same: nothing is written outside of the folder that was named.
fn safe_name(name: &str) -> Result<&str, Problem> {
    let mut parts = Path::new(name).components();
    if let (Some(Component::Normal(part)), None) = (parts.next(), parts.next())
        && part == name
    {
        return Ok(name);
    }
    let what = format!("an artefact is called `{}`, which is no name of a file", name.escape_debug());
    let mend = "download it alone with `--name` and `--output FILE`, if you trust where it comes from";
    Err(Problem::new(Code("artefact-name"), what, mend))
}

/// Of the node's result; beside it, of an attempt that failed.
fn folder_of(it: &ArtefactOfRun) -> String {
    node_folder(&whose(it))
}

/// `leg`, or `leg#2` of its second attempt, which failed.
fn whose(it: &ArtefactOfRun) -> String {
    it.failed_attempt.map_or_else(|| it.node.clone(), |attempt| format!("{}#{attempt}", it.node))
}

fn save_one(
    args: &ArtefactsArgs,
    run: &str,
    asked: &[ArtefactOfRun],
    output: &Path,
    open: impl Fn(&ArtefactOfRun) -> anyhow::Result<Box<dyn Read>>,
) -> anyhow::Result<Ending> {
    // A result is meant before what failed attempts left under the same name.
    let results: Vec<&ArtefactOfRun> = asked.iter().filter(|it| it.failed_attempt.is_none()).collect();
    let meant = if results.is_empty() { asked.iter().collect() } else { results };
    let chosen = match meant.as_slice() {
        [one] => *one,
        [] => {
            let what = format!("run `{run}` left no such file");
            let mend = format!("`tidemill runs artefacts {}` lists what there is", args.run);
            return Err(Problem::new(Code("unknown-artefact"), what, mend).into());
        }
        _ => {
            let what = format!("{} files of run `{run}` are meant, and `--output` takes one", meant.len());
            let mend = "narrow them with `--node` and `--name`, or download all with `--to FOLDER`";
            return Err(Problem::new(Code("several-artefacts"), what, mend).into());
        }
    };
    let mut content = open(chosen)?;
    if output.as_os_str() == "-" {
        copy(&mut content, &mut io::stdout().lock(), chosen)?;
    } else {
        save(&mut content, output, chosen)?;
        talk!("wrote `{}`, {}", output.display(), quantity::bytes(chosen.bytes));
    }
    Ok(Ending::Done)
}

/// Whole or not at all.
fn save(content: &mut impl Read, path: &Path, it: &ArtefactOfRun) -> anyhow::Result<()> {
    let temporary = path.with_added_extension(format!("{}.tmp", std::process::id()));
    let written =
        File::create_new(&temporary).map_err(|e| unwritable(&temporary, &e).into()).and_then(|mut file| {
            copy(content, &mut file, it)?;
            std::fs::rename(&temporary, path).map_err(|e| unwritable(path, &e).into())
        });
    if written.is_err() {
        // What went wrong before is what is told.
        std::fs::remove_file(&temporary).ok();
    }
    written
}

/// Copies, and holds what came against its digest.
fn copy(content: &mut impl Read, to: &mut impl Write, it: &ArtefactOfRun) -> anyhow::Result<()> {
    let mut digester = Digester::default();
    let mut piece = vec![0; 256 << 10];
    loop {
        let length = content.read(&mut piece).with_context(|| format!("read artefact `{}`", it.name))?;
        let piece = piece.get(..length).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        digester.update(piece);
        to.write_all(piece)?;
    }
    to.flush()?;
    let found = digester.finish().to_string();
    anyhow::ensure!(
        found == it.digest,
        "artefact `{}` came with the digest {found}, not {}",
        it.name,
        it.digest
    );
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    let what = format!("`{}` cannot be written: {error}", path.display());
    Problem::new(Code("output-not-writable"), what, "name a place that can be written")
}

const HEADER: [&str; 5] = ["node", "artefact", "media type", "size", "digest"];

fn row(it: &ArtefactOfRun) -> Vec<String> {
    vec![
        if it.failed_attempt.is_some() { format!("{} (failed)", whose(it)) } else { it.node.clone() },
        it.name.clone(),
        it.media_type.clone(),
        quantity::bytes(it.bytes),
        runs::short(&it.digest),
    ]
}

/// As a part of all that is recorded of a run.
pub(crate) fn print(all: &[ArtefactOfRun]) -> anyhow::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    table_view::print_after(&HEADER, all.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside_of_the_folder_that_was_named() {
        assert_eq!(safe_name("report.html").expect("a name"), "report.html");
        for name in ["", ".", "..", "/etc/passwd", "../a", "a/b", "a/", "./a", "a/../../b"] {
            assert_eq!(safe_name(name).map_err(|it| it.code.0), Err("artefact-name"), "{name:?}");
        }
    }
}
