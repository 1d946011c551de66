//! `tidemill deploy`: a pipeline with what lies beside it, to a service.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;
use tidemill_lake::{SourceFile, source_files};
use tidemill_plan::{Code, Digest, Pipeline, Problem, SourceSpec};
use tidemill_server::wire::{
    DeployRequest, DeployedVersion, KeptFile, PipelineFile, PlanRequest, PlannedPipeline, PlannedSource,
};

use crate::args::DeployArgs;
use crate::client::{Client, require_host};
use crate::complain::{Problems, talk};
use crate::{Ending, components, quantity, run, table_view};

/// A pipeline file that was read.
struct Told {
    text: String,
    file_name: String,
    /// Its folder.
    base: PathBuf,
}

pub(crate) fn deploy(args: &DeployArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    let client = require_host(host)?;
    let told = read(&args.pipeline)?;
    let pipeline = tidemill_plan::parse(&told.text, &told.file_name).map_err(Problems)?;
    let pins = push_components(&client, &pipeline, &told.base)?;
    let Told { text, file_name, base } = told;
    let sets = args.sets.clone();
    // Before anything large is sent, the service checks what can be checked without it.
    let asked = PlanRequest {
        text: text.clone(),
        file_name: file_name.clone(),
        pins: pins.clone(),
        sets: sets.clone(),
    };
    let planned: PlannedPipeline = client.post(&["plans"], &asked)?;
    let files = send_files(&client, &planned.sources, &base)?;
    let request = DeployRequest { text, file_name, pins, files, sets };
    let deployed: DeployedVersion = client.post(&["pipelines"], &request)?;
    if args.json {
        table_view::print_json(&json!(deployed))?;
        return Ok(Ending::Done);
    }
    let pipeline = &deployed.pipeline;
    writeln!(std::io::stdout(), "{}@{}", pipeline.name, pipeline.version)?;
    if deployed.is_new {
        talk!("deployed `{}` as version {} to {}", pipeline.name, pipeline.version, client.url());
    } else {
        talk!("version {} of `{}` says the same already", pipeline.version, pipeline.name);
    }
    Ok(Ending::Done)
}

fn read(path: &Path) -> Result<Told, Problem> {
    let file = run::pipeline_file(path)?;
    let text = std::fs::read_to_string(&file).map_err(|e| run::unreadable(&file, &e))?;
    let file_name = file.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let base = match file.parent() {
        Some(it) if !it.as_os_str().is_empty() => it.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok(Told { text, file_name, base })
}

/// Sends the components that lie beside the pipeline, where the service lacks them; their digests by reference. What
/// does not lie there is a name of the service's registry.
fn push_components(
    client: &Client,
    pipeline: &Pipeline,
    base: &Path,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pins = BTreeMap::new();
    for reference in pipeline.task_references() {
        let path = base.join(pipeline.component_path(reference));
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).map_err(|e| components::unreadable(&path, &e))?;
        let digest = Digest::of(&bytes).to_string();
        if !client.has(&["components", &digest])? {
            // It belongs to this pipeline alone: `latest` stays where it is.
            components::send(client, &path, &[("latest", "false".to_owned())])?;
            talk!("sent component `{reference}`, {}", quantity::bytes(bytes.len() as u64));
        }
        pins.insert(reference.to_owned(), digest);
    }
    Ok(pins)
}

/// Sends the files of sources, where the service lacks them.
fn send_files(client: &Client, sources: &[PlannedSource], base: &Path) -> anyhow::Result<Vec<PipelineFile>> {
    let mut files = BTreeMap::new();
    for it in sources.iter().filter(|it| it.table.is_none()) {
        let spec: SourceSpec = serde_json::from_value(it.source.clone())?;
        let found = source_files(&spec, base).map_err(|e| Problem::new(e.code(), e.to_string(), e.mend()))?;
        for file in found {
            let path = relative(&file, base)?;
            files.entry(path).or_insert(file);
        }
    }
    for file in files.values() {
        send_file(client, file)?;
    }
    let wire = |(path, it): (String, SourceFile)| PipelineFile {
        path,
        digest: it.digest.to_string(),
        bytes: it.bytes,
    };
    Ok(files.into_iter().map(wire).collect())
}

fn send_file(client: &Client, file: &SourceFile) -> anyhow::Result<()> {
    let digest = file.digest.to_string();
    if client.has(&["files", &digest])? {
        return Ok(());
    }
    let opened = File::open(&file.path).map_err(|e| changed(file, &e.to_string()))?;
    let _kept: KeptFile = client.upload(Method::PUT, &["files", &digest], &[], opened)?;
    talk!("sent file `{}`, {}", file.name, quantity::bytes(file.bytes));
    Ok(())
}

fn changed(file: &SourceFile, why: &str) -> Problem {
    let what = format!("`{}` cannot be read any more: {why}", file.name);
    Problem::new(Code("source-unreadable"), what, "check that nobody removes it, and deploy again")
}

/// As the service will place it: parts in order, none of them `.`.
fn relative(file: &SourceFile, base: &Path) -> Result<String, Problem> {
    let path = file.path.strip_prefix(base).unwrap_or(&file.path);
    let parts = path.components().filter(|it| !matches!(it, std::path::Component::CurDir));
    let parts: Option<Vec<&str>> = parts.map(|it| it.as_os_str().to_str()).collect();
    parts.map(|it| it.join("/")).ok_or_else(|| {
        let what = format!("the name of `{}` is not UTF-8", file.name);
        Problem::new(Code("bad-file-path"), what, "rename the file")
    })
}
