//! `tidemill run`: a pipeline in this process.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tidemill_driver::{
    Canceller, Components, Lineage, LocalOptions, LocalRun, NodeRecord, NodeState, OnFailure, Reuse,
    RunRecord, RunState, find_run,
};
use tidemill_plan::{Code, Pipeline, Plan, Problem, Request, Selection, Window};
use tidemill_sandbox::{Options, Sandbox};

use crate::args::{PlanOf, RunArgs, WindowArgs};
use crate::complain::Problems;
use crate::machine::this_machine;
use crate::progress::Progress;
use crate::{Ending, from_store, host_run, lake_dir, params, place, quantity, runs, table_view};

/// A plan with all that is needed to run it.
pub(crate) struct Planned {
    /// As it was named.
    pub(crate) file: PathBuf,
    /// The pipeline file's folder.
    pub(crate) base: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) selected: Vec<bool>,
    pub(crate) components: Components,
    /// How it came to be: from a file of parameters, from another run.
    pub(crate) lineage: Lineage,
    /// Nodes that are computed even where valid.
    pub(crate) recompute: BTreeSet<String>,
}

pub(crate) fn run(args: &RunArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    if let Some(name) = name_on_service(args)
        && let Some(client) = place::service(&args.of.lake, host)?
    {
        return host_run::begin(args, &client, name);
    }
    host_run::refuse_service_only(args)?;
    let machine = this_machine();
    let jobs = args.jobs.unwrap_or((machine.cpus_milli / 1000).max(1));
    let planned = plan_of(&args.of, jobs)?;
    let lake = lake_dir::open_to_write(&args.of.lake, "tidemill run")?;
    let options = LocalOptions {
        jobs,
        machine,
        on_failure: if args.keep_going { OnFailure::KeepGoing } else { OnFailure::FailFast },
        reuse: if args.of.force { Reuse::Never } else { Reuse::Valid },
        file: planned.file.display().to_string(),
        base: planned.base.clone(),
        lake_root: lake.root().map(Path::to_path_buf),
    };
    let (copies, selected) = from_store::copy(&args.from_store, &planned, &lake, host)?;
    let progress = Progress::start(&planned.plan, &selected);
    let local = LocalRun::new(&planned.plan, selected, &lake, &planned.components, options)
        .with_lineage(planned.lineage.clone())
        .with_copies(copies)
        .recompute(planned.recompute.clone());
    cancel_on_signal(local.canceller())?;
    let result = local.run(&progress);
    progress.finish();
    let ended = result.map_err(|e| e.problem())?;
    let record = ended.record;
    let mut ending = if record.state == RunState::Succeeded { Ending::Done } else { Ending::Failed };
    if let Some(error) = ended.unsaved {
        crate::complain::talk!("{}", error.problem());
        ending = Ending::Failed;
    }
    // Whoever reads stdout may have gone away; that changes nothing about how the run ended.
    match report(args, &record) {
        Err(error) if !crate::complain::is_broken_pipe(&error) => Err(error),
        _ => Ok(ending),
    }
}

/// What was typed, where it is the name of a pipeline rather than a place on this machine.
fn name_on_service(args: &RunArgs) -> Option<&str> {
    let typed = args.of.pipeline.as_deref()?;
    let name = typed.to_str()?;
    let is_name = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '@');
    (!typed.exists() && name.chars().all(is_name)).then_some(name)
}

/// The first signal cancels the run; another ends the process at once, which loses nothing that is committed.
pub(crate) fn cancel_on_signal(canceller: Canceller) -> anyhow::Result<()> {
    /// What a shell reports of a program that an interrupt ended.
    const INTERRUPTED: i32 = 130;
    let told = std::sync::atomic::AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if told.swap(true, std::sync::atomic::Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        canceller.cancel();
    })
    .context("watch for interrupts")
}

/// A sandbox for so many attempts at a time, with the user's cache of compiled components.
pub(crate) fn sandbox(jobs: u32) -> Result<Arc<Sandbox>, Problem> {
    let options = Options {
        cache_dir: Options::user_cache_dir(),
        instances_max: jobs.saturating_add(2),
        ..Options::default()
    };
    let sandbox = Sandbox::new(options).map_err(|e| Problem::from(&e))?;
    Ok(Arc::new(sandbox))
}

/// From what was typed to a plan. Nothing runs, nothing is written.
pub(crate) fn plan_of(args: &PlanOf, jobs: u32) -> anyhow::Result<Planned> {
    let told = match &args.from {
        Some(run) => Told::of_run(args, run)?,
        None => Told::of_file(args)?,
    };
    check_window(&told.window)?;
    let pipeline: Pipeline = tidemill_plan::parse(&told.text, &told.shown).map_err(Problems)?;
    let (parameters, lineage) = params::parameters(args, &told, &pipeline)?;
    let components = Components::new(sandbox(jobs)?, told.base.clone(), &pipeline);
    let request =
        Request { sets: args.sets.clone(), parameters, window: told.window, machine: this_machine() };
    let plan = tidemill_plan::plan(&pipeline, &request, &components).map_err(Problems)?;
    let selection = match (&args.node, &args.only, &args.deps_only) {
        (Some(it), _, _) => Selection::Node(it.clone()),
        (_, Some(it), _) => Selection::Only(it.clone()),
        (_, _, Some(it)) => Selection::DepsOnly(it.clone()),
        _ => Selection::All,
    };
    let selected = plan.select(&selection)?;
    let recompute = match &args.from_node {
        Some(it) => plan.downstream(it)?,
        None => BTreeSet::new(),
    };
    Ok(Planned { file: told.file, base: told.base, plan, selected, components, lineage, recompute })
}

/// What is planned, before anything is bound: from a file, or from the record of a run.
pub(crate) struct Told {
    text: String,
    /// Names the text in problems.
    shown: String,
    /// As it was named.
    file: PathBuf,
    base: PathBuf,
    window: Window,
    /// The run that it was taken from.
    pub(crate) from: Option<RunRecord>,
}

impl Told {
    fn of_file(args: &PlanOf) -> Result<Self, Problem> {
        let path = args.pipeline.as_deref().unwrap_or(Path::new("."));
        let file = pipeline_file(path)?;
        let text = std::fs::read_to_string(&file).map_err(|e| unreadable(&file, &e))?;
        let base = match file.parent() {
            Some(it) if !it.as_os_str().is_empty() => it.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let window = window(&args.window, Window::default())?;
        Ok(Self { text, shown: file.display().to_string(), file, base, window, from: None })
    }

    /// The file that the run read is not read again: it may say something else by now.
    fn of_run(args: &PlanOf, run: &str) -> Result<Self, Problem> {
        let lake = args.lake.dir();
        lake_dir::require(lake)?;
        let run = find_run(lake, run).map_err(|e| e.problem())?;
        let record = RunRecord::load(lake, &run).map_err(|e| e.problem())?;
        let record = match &args.folder {
            Some(it) => record.moved_to(it),
            None => record,
        };
        let base = record.check_repeatable().map_err(|e| e.problem())?;
        let window = window(&args.window, record.window)?;
        Ok(Self {
            text: record.pipeline_text.clone(),
            shown: record.shown_file(),
            file: PathBuf::from(&record.file),
            base,
            window,
            from: Some(record),
        })
    }
}

/// The window that was typed; where nothing was, another's.
pub(crate) fn window(args: &WindowArgs, otherwise: Window) -> Result<Window, Problem> {
    Ok(Window {
        start: time("--start", args.start.as_deref())?.or(otherwise.start),
        end: time("--end", args.end.as_deref())?.or(otherwise.end),
        as_of: time("--as-of", args.as_of.as_deref())?.or(otherwise.as_of),
    })
}

/// The file itself, or the pipeline.toml of a folder.
pub(crate) fn pipeline_file(path: &Path) -> Result<PathBuf, Problem> {
    let file = if path.is_dir() { path.join("pipeline.toml") } else { path.to_path_buf() };
    if file.is_file() {
        return Ok(file);
    }
    Err(Problem::new(
        Code("no-pipeline"),
        format!("there is no pipeline file at `{}`", file.display()),
        "name a pipeline file, or a folder that holds a pipeline.toml",
    ))
}

pub(crate) fn unreadable(file: &Path, error: &std::io::Error) -> Problem {
    let what = format!("the pipeline file `{}` cannot be read: {error}", file.display());
    Problem::new(Code("no-pipeline"), what, "check that the file is text and that you may read it")
}

fn time(flag: &str, text: Option<&str>) -> Result<Option<tidemill_plan::Time>, Problem> {
    text.map(|it| quantity::parse_time(flag, it)).transpose()
}

pub(crate) fn check_window(window: &Window) -> Result<(), Problem> {
    if let (Some(start), Some(end)) = (window.start, window.read_end())
        && start >= end
    {
        return Err(Problem::new(
            Code("empty-window"),
            format!("the window from {} to {} holds no time", quantity::time(start), quantity::time(end)),
            "choose a `--start` before `--end` and not after `--as-of`",
        ));
    }
    Ok(())
}

/// Results on stdout, the summary on stderr.
fn report(args: &RunArgs, record: &RunRecord) -> anyhow::Result<()> {
    if args.of.json {
        table_view::print_json(&serde_json::to_value(record)?)?;
    } else {
        print_tables(record)?;
    }
    say_summary(args, record);
    Ok(())
}

/// Most rows of the closing table; the rest is in the run's record.
const NODES_SHOWN: usize = 40;

pub(crate) fn print_tables(record: &RunRecord) -> anyhow::Result<()> {
    let nodes: Vec<&NodeRecord> = record.nodes.iter().filter(|it| it.state != NodeState::Left).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for node in nodes.iter().take(NODES_SHOWN) {
        let state = json!(node.state).as_str().unwrap_or_default().to_owned();
        let is_computed = node.state == NodeState::Computed;
        let wall =
            if is_computed { quantity::duration(Duration::from_micros(node.wall_us)) } else { String::new() };
        if node.tables.is_empty() {
            rows.push(vec![node.node.clone(), state, String::new(), String::new(), wall, String::new()]);
            continue;
        }
        for it in &node.tables {
            let (rows_written, bytes) = (quantity::count(it.rows), quantity::bytes(it.bytes));
            rows.push(vec![
                node.node.clone(),
                state.clone(),
                rows_written,
                bytes,
                wall.clone(),
                it.table.clone(),
            ]);
        }
    }
    if nodes.len() > NODES_SHOWN {
        rows.push(vec![format!("… and {} more", nodes.len() - NODES_SHOWN)]);
    }
    table_view::print(&["node", "state", "rows", "size", "time", "table"], rows)
}

fn say_summary(args: &RunArgs, record: &RunRecord) {
    say_ending(record);
    let at_terminal = std::io::stderr().is_terminal() && !args.of.json;
    if at_terminal
        && args.of.lake.dir() != Path::new(lake_dir::IN_MEMORY)
        && record.state == RunState::Succeeded
    {
        crate::complain::talk!(
            "tables are in `{}`: `tidemill show NODE` prints one",
            args.of.lake.dir().display()
        );
    }
}

/// How a run ended, in a line; why, where it failed.
pub(crate) fn say_ending(record: &RunRecord) {
    let number = |state: NodeState| record.nodes.iter().filter(|it| it.state == state).count();
    let (computed, reused) = (number(NodeState::Computed), number(NodeState::Reused));
    let elapsed = quantity::duration(record.took().unwrap_or_default());
    let failed = record.nodes.iter().filter(|it| it.error.is_some()).take(NODES_SHOWN);
    for line in failed.flat_map(runs::error_lines) {
        crate::complain::talk!("{line}");
    }
    let run = match &record.from {
        Some(it) => format!("{}, from {it}", record.run),
        None => record.run.to_string(),
    };
    match record.state {
        RunState::Succeeded if computed == 0 => {
            crate::complain::talk!(
                "nothing to compute: {reused} of {reused} nodes reused in {elapsed} (run {run})"
            );
        }
        RunState::Succeeded => {
            crate::complain::talk!("done: {computed} computed, {reused} reused in {elapsed} (run {run})");
        }
        RunState::Failed | RunState::Cancelled | RunState::Running => {
            let (failed, skipped, cancelled) =
                (number(NodeState::Failed), number(NodeState::Skipped), number(NodeState::Cancelled));
            let word = if record.state == RunState::Cancelled { "cancelled" } else { "failed" };
            crate::complain::talk!(
                "{word}: {computed} computed, {reused} reused, {failed} failed, {skipped} skipped, {cancelled} cancelled \
                 in {elapsed} (run {run}); what was computed is kept and reused by the next run"
            );
        }
    }
}
