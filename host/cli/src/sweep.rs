//! `tidemill sweep`: a pipeline at many points of its parameters.

use std::path::{Path, PathBuf};

use serde_json::json;
use tidemill_driver::{
    Components, LocalOptions, OnFailure, PointRow, Reuse, RunState, SweepEnded, SweepOptions, SweepRecord,
    SweepRun,
};
use tidemill_plan::{
    Axes, Code, Goal, Keep, Measure, Pipeline, PointsTable, Problem, Request, Space, Steps, SweepPlan, Window,
};

use crate::args::{KeepArg, SweepArgs, SweepCommand, SweepRunArgs};
use crate::complain::{Problems, talk};
use crate::machine::this_machine;
use crate::sweep_progress::SweepProgress;
use crate::{Ending, lake_dir, params, quantity, run, sweep_compare, sweep_results, table_view};

pub(crate) fn sweep(args: &SweepArgs) -> anyhow::Result<Ending> {
    match &args.command {
        None => run_sweep(&args.run),
        Some(SweepCommand::List { lake, json }) => sweep_results::list(lake, *json),
        Some(SweepCommand::Show { sweep, lake, rows, format, output, report }) => {
            let shown = sweep_results::Shown { rows: *rows, format: *format, output: output.as_deref() };
            sweep_results::show(sweep, lake, &shown, report.as_deref())
        }
        Some(SweepCommand::Best { sweep, lake, goal, count, best_to, json }) => {
            let goal = goal_of(goal.minimize.as_ref(), goal.maximize.as_ref());
            sweep_results::best(sweep, lake, goal, *count, best_to.as_deref(), *json)
        }
        Some(SweepCommand::Compare { a, b, lake, rows, json }) => {
            sweep_compare::compare(a, b, lake, *rows, *json)
        }
    }
}

/// A sweep with all that is needed to run it.
struct Planned {
    file: PathBuf,
    base: PathBuf,
    plan: SweepPlan,
    components: Components,
    measures: Vec<Measure>,
    goal: Option<Goal>,
    keep: Keep,
}

fn run_sweep(args: &SweepRunArgs) -> anyhow::Result<Ending> {
    let machine = this_machine();
    let jobs = args.jobs.unwrap_or((machine.cpus_milli / 1000).max(1));
    let planned = plan(args, jobs)?;
    if args.best_to.is_some() && planned.goal.is_none() {
        let mend = "add `--minimize MEASURE` or `--maximize MEASURE`";
        return Err(Problem::new(Code("no-goal"), "nothing says which point is best", mend).into());
    }
    if args.dry_run {
        return dry_run(args, &planned);
    }
    let lake = lake_dir::open_to_write(&args.lake, "tidemill sweep")?;
    let options = SweepOptions {
        local: LocalOptions {
            jobs,
            machine,
            on_failure: if args.fail_fast { OnFailure::FailFast } else { OnFailure::KeepGoing },
            reuse: if args.force { Reuse::Never } else { Reuse::Valid },
            file: planned.file.display().to_string(),
            base: planned.base.clone(),
            lake_root: lake.root().map(Path::to_path_buf),
        },
        measures: planned.measures.clone(),
        goal: planned.goal.clone(),
        keep: planned.keep,
        command: command_line(),
    };
    let sweep = SweepRun::new(&planned.plan, &lake, &planned.components, options).map_err(|e| e.problem())?;
    talk!("{}, {} cached", size_of(&planned.plan), quantity::count(sweep.known() as u64));
    let progress = SweepProgress::start(&planned.plan.space, &planned.measures, planned.goal.as_ref());
    let mut handler = Ok(());
    let result = sweep.run(&progress, |canceller| handler = run::cancel_on_signal(canceller));
    progress.finish();
    handler?;
    let ended = result.map_err(|e| e.problem())?;
    let mut ending = if ended.record.state == RunState::Succeeded { Ending::Done } else { Ending::Failed };
    if let Some(error) = &ended.unsaved {
        talk!("{}", error.problem());
        ending = Ending::Failed;
    }
    finish(args, &planned, &ended)?;
    Ok(ending)
}

/// What was asked for besides running: report, best parameters, what is printed.
fn finish(args: &SweepRunArgs, planned: &Planned, ended: &SweepEnded) -> anyhow::Result<()> {
    let SweepEnded { record, rows, .. } = ended;
    if let Some(path) = &args.report {
        sweep_results::write_report(path, record, rows)?;
    }
    let best: Vec<&PointRow> = match &planned.goal {
        Some(goal) => tidemill_driver::best(record, rows, goal),
        None => rows.iter().collect(),
    };
    let written = match (&args.best_to, &planned.goal) {
        (Some(path), Some(goal)) => sweep_results::write_best(path, record, goal, best.first().copied()),
        _ => Ok(()),
    };
    let shown = &best[..best.len().min(args.best)];
    // Whoever reads stdout may have gone away; that changes nothing about how the sweep ended.
    match print(args, record, shown) {
        Err(error) if !crate::complain::is_broken_pipe(&error) => return Err(error),
        _ => say_summary(args, ended),
    }
    written
}

fn print(args: &SweepRunArgs, record: &SweepRecord, shown: &[&PointRow]) -> anyhow::Result<()> {
    if args.json {
        let shown: Vec<_> = shown.iter().map(|it| sweep_results::row_json(record, it)).collect();
        let results = results_file(args, record).map(|it| it.display().to_string());
        return table_view::print_json(&json!({"sweep": record, "points": shown, "results": results}));
    }
    sweep_results::print_points(record, shown)
}

fn results_file(args: &SweepRunArgs, record: &SweepRecord) -> Option<PathBuf> {
    let is_kept = args.lake.dir() != Path::new(lake_dir::IN_MEMORY);
    is_kept.then(|| args.lake.dir().join("sweeps").join(&record.sweep.0).join("results.parquet"))
}

fn say_summary(args: &SweepRunArgs, ended: &SweepEnded) {
    const FAILURES_SHOWN: usize = 3;
    let SweepEnded { record, rows, unsaved } = ended;
    for row in rows.iter().filter(|it| it.error.is_some()).take(FAILURES_SHOWN) {
        talk!(
            "failed: {}: {}",
            sweep_results::point_text(record, row),
            row.error.as_deref().unwrap_or_default()
        );
    }
    let more = rows.iter().filter(|it| it.error.is_some()).count().saturating_sub(FAILURES_SHOWN);
    if 0 < more {
        talk!("failed: {} more points; `tidemill sweep show` lists them", quantity::count(more as u64));
    }
    let counts = &record.counts;
    let word = match record.state {
        RunState::Succeeded => "done",
        RunState::Cancelled => "cancelled",
        RunState::Failed | RunState::Running => "failed",
    };
    let elapsed = record.ended_at.unwrap_or(record.began_at) - record.began_at;
    let elapsed = quantity::duration(std::time::Duration::from_nanos(u64::try_from(elapsed).unwrap_or(0)));
    let count = quantity::count;
    talk!(
        "{word}: {} points: {} computed, {} cached, {} failed, {} not reached, in {elapsed} (sweep {})",
        count(counts.points),
        count(counts.computed),
        count(counts.cached),
        count(counts.failed),
        count(counts.cancelled),
        record.sweep
    );
    if 0 < counts.cancelled {
        talk!("the same command goes on with what is missing");
    }
    if let Some(file) = results_file(args, record).filter(|_| unsaved.is_none()) {
        talk!("every point is in `{}`; `tidemill sweep show` prints them", file.display());
    }
    if let Some(report) = &args.report {
        talk!("the report is `{}`", report.display());
    }
}

fn dry_run(args: &SweepRunArgs, planned: &Planned) -> anyhow::Result<Ending> {
    if args.json {
        let plan = &planned.plan;
        table_view::print_json(&json!({
            "points": plan.space.len(), "nodes": plan.nodes_total(), "distinct": plan.plan.nodes.len(),
        }))?;
    } else {
        talk!("{}", size_of(&planned.plan));
    }
    Ok(Ending::Done)
}

fn size_of(plan: &SweepPlan) -> String {
    let count = |it: u64| quantity::count(it);
    format!(
        "{} points, {} nodes, {} distinct",
        count(plan.space.len() as u64),
        count(plan.nodes_total()),
        count(plan.plan.nodes.len() as u64)
    )
}

/// As it was typed, quoted for a shell where that is needed.
fn command_line() -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    let quoted = |it: String| {
        if !it.is_empty() && it.chars().all(is_plain) {
            it
        } else {
            format!("'{}'", it.replace('\'', "'\\''"))
        }
    };
    let typed = std::env::args().skip(1).map(quoted).collect::<Vec<_>>().join(" ");
    format!("tidemill {typed}")
}

/// From what was typed to a plan of all points. Nothing runs, nothing is written.
fn plan(args: &SweepRunArgs, jobs: u32) -> anyhow::Result<Planned> {
    let named = args.pipeline.as_deref().unwrap_or(Path::new("."));
    let file = run::pipeline_file(named)?;
    let window = run::window(&args.window, Window::default())?;
    run::check_window(&window)?;
    let text = std::fs::read_to_string(&file).map_err(|e| run::unreadable(&file, &e))?;
    let pipeline = tidemill_plan::parse(&text, &file.display().to_string()).map_err(Problems)?;
    let base = match file.parent() {
        Some(it) if !it.as_os_str().is_empty() => it.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let axes = axes(args, &pipeline, &base)?;
    let measures = measures(args, &pipeline)?;
    let typed = goal_of(args.goal.minimize.as_ref(), args.goal.maximize.as_ref());
    // The file's goal is about the file's measures.
    let is_measured =
        |it: &Goal| args.measures.is_empty() || measures.iter().any(|one| one.name == it.measure());
    let goal = typed.or_else(|| pipeline.swept_goal().filter(is_measured));
    if let Some(goal) = &goal {
        check_goal(goal, &measures)?;
    }
    let space = Space::new(&pipeline, &axes).map_err(Problems)?;
    let components = Components::new(run::sandbox(jobs)?, base.clone(), &pipeline);
    let parameters = match &args.params {
        Some(file) => params::read_checked(file, &pipeline)?,
        None => serde_json::Map::new(),
    };
    let request = Request { sets: args.sets.clone(), parameters, window, machine: this_machine() };
    let first = tidemill_plan::plan_first(&pipeline, &request, &space, &components).map_err(Problems)?;
    let wrong: Vec<Problem> = measures.iter().filter_map(|it| it.check(&first).err()).collect();
    if !wrong.is_empty() {
        return Err(Problems(wrong).into());
    }
    let wanted: Vec<&str> = measures.iter().map(|it| it.source.node()).collect();
    let plan =
        tidemill_plan::plan_sweep(&pipeline, &request, space, &wanted, &components).map_err(Problems)?;
    check_measure_names(&measures, &plan)?;
    let keep = match args.keep {
        Some(KeepArg::None) => Keep::None,
        Some(KeepArg::Measured) => Keep::Measured,
        Some(KeepArg::All) => Keep::All,
        None => pipeline.swept_keep().unwrap_or(Keep::Measured),
    };
    Ok(Planned { file, base, plan, components, measures, goal, keep })
}

/// Those of the command line; without any, those of the pipeline file.
fn axes(args: &SweepRunArgs, pipeline: &Pipeline, base: &Path) -> Result<Axes, Problem> {
    let pair = |flag: &str, text: &String| {
        let (name, values) = text.split_once('=').ok_or_else(|| {
            let mend = format!("write `{flag} name=values`");
            Problem::new(Code("bad-axis"), format!("`{flag} {text}`: there is no `=`"), mend)
        })?;
        Ok((name.trim().to_owned(), values.to_owned()))
    };
    let steps = |flag: &'static str, texts: &[String]| {
        let step = |it| pair(flag, it).map(|(name, values)| (name, Steps::Text(values)));
        texts.iter().map(step).collect::<Result<Vec<_>, Problem>>()
    };
    let mut axes = Axes {
        grid: steps("--grid", &args.grid)?,
        zip: steps("--zip", &args.zip)?,
        draw: args.draw.iter().map(|it| pair("--draw", it)).collect::<Result<Vec<_>, Problem>>()?,
        random: args.random,
        seed: args.seed.unwrap_or(0),
        points: args.points.as_deref().map(points).transpose()?,
    };
    if axes.is_empty() {
        axes = pipeline.swept_axes();
        axes.seed = args.seed.unwrap_or(axes.seed);
        axes.points = pipeline.swept_points().map(|it| points(&base.join(it))).transpose()?;
    }
    Ok(axes)
}

fn points(path: &Path) -> Result<PointsTable, Problem> {
    let file = path.display().to_string();
    let (columns, rows) = tidemill_lake::read_rows(path).map_err(|why| {
        Problem::new(
            Code("bad-points-file"),
            format!("the points file `{file}` cannot be read: {why}"),
            "name a CSV with a header, or a Parquet file, that has a column for each axis",
        )
    })?;
    Ok(PointsTable { file, columns, rows })
}

fn measures(args: &SweepRunArgs, pipeline: &Pipeline) -> Result<Vec<Measure>, Problem> {
    let mut measures: Vec<Measure> = Vec::new();
    let typed: Vec<(&str, &str)> = if args.measures.is_empty() {
        pipeline.swept_measures()
    } else {
        let mut pairs = Vec::new();
        for it in &args.measures {
            let Some((name, text)) = it.split_once('=') else {
                let mend = "write `--measure name=node.column`";
                return Err(Problem::new(
                    Code("bad-measure"),
                    format!("`--measure {it}`: there is no `=`"),
                    mend,
                ));
            };
            pairs.push((name.trim(), text));
        }
        pairs
    };
    for (name, text) in typed {
        let measure = Measure::parse(name, text)?;
        if measures.iter().any(|it| it.name == name) {
            let what = format!("the measure `{name}` is there twice");
            return Err(Problem::new(Code("bad-measure"), what, "give each measure its own name"));
        }
        measures.push(measure);
    }
    Ok(measures)
}

/// Results have one column for each parameter and each measure.
fn check_measure_names(measures: &[Measure], plan: &SweepPlan) -> Result<(), Problem> {
    let parameters = plan.plan.parameters.keys().chain(plan.space.axes.iter().map(|it| &it.name));
    let parameters: Vec<&String> = parameters.collect();
    let taken = measures.iter().find_map(|it| {
        let name = it.name.as_str();
        let is_parameter = parameters.iter().any(|it| *it == name);
        let is_fixed = tidemill_driver::RESULT_COLUMNS.contains(&name)
            || ["table_", "parameter_"].iter().any(|it| name.starts_with(it));
        let whose = if is_parameter { "a parameter" } else { "a column of every sweep's results" };
        (is_parameter || is_fixed).then_some((name, whose))
    });
    match taken {
        Some((name, whose)) => {
            let what = format!("the measure `{name}` has the name of {whose}");
            Err(Problem::new(Code("bad-measure"), what, "give the measure another name"))
        }
        None => Ok(()),
    }
}

fn goal_of(minimize: Option<&String>, maximize: Option<&String>) -> Option<Goal> {
    minimize.cloned().map(Goal::Minimize).or_else(|| maximize.cloned().map(Goal::Maximize))
}

pub(crate) fn check_goal(goal: &Goal, measures: &[Measure]) -> Result<(), Problem> {
    if measures.iter().any(|it| it.name == goal.measure()) {
        return Ok(());
    }
    let names = measures.iter().map(|it| it.name.as_str());
    let nearest = tidemill_plan::nearest(goal.measure(), names);
    let mend = nearest.map_or_else(
        || format!("add `--measure {}=…`", goal.measure()),
        |it| format!("did you mean `{it}`?"),
    );
    let what = format!("`{}` is to be best, but it is no measure", goal.measure());
    Err(Problem::new(Code("unknown-measure"), what, mend))
}
