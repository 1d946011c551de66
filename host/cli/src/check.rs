//! `tidemill check`: nodes that look into the future, or further back than they declare.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tidemill_driver::{
    Check, CheckObserver, CheckVerdict, Finding, FindingKind, LeakingInput, LocalOptions, LocalRun,
    NodeCheck, NodeFailure, OnFailure, Reuse, RunRecord, RunState, Shown, Tiles,
};
use tidemill_lake::Lake;
use tidemill_plan::{Code, Problem, Selection, Span, Time, Work, duration_ms, duration_text};

use crate::args::{CheckArgs, LakeArg, PlanOf};
use crate::complain::talk;
use crate::machine::this_machine;
use crate::progress::Progress;
use crate::run::plan_of;
use crate::{Ending, lake_dir, quantity, table_view};

pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<Ending> {
    let tiles = tiles(&args.tiles)?;
    let machine = this_machine();
    let jobs = args.jobs.unwrap_or((machine.cpus_milli / 1000).max(1));
    let planned = plan_of(&plan_args(args), jobs)?;
    let asked = match &args.node {
        Some(it) => {
            let asked = planned.plan.select(&Selection::Only(it.clone()))?;
            let nodes = planned.plan.nodes.iter().zip(&asked).filter(|(_, is_asked)| **is_asked);
            if nodes.clone().all(|(node, _)| matches!(node.work, Work::Source(_))) {
                let what = format!("`{it}` is a source: it computes nothing that could look ahead");
                return Err(
                    Problem::new(Code("nothing-to-check"), what, "name a node that runs a task").into()
                );
            }
            asked
        }
        None => vec![true; planned.plan.nodes.len()],
    };
    // What is checked is what this code does with these files, not what a lake holds; and a lake stays as it is.
    let lake = Lake::in_memory();
    let options = LocalOptions {
        jobs,
        machine,
        on_failure: OnFailure::KeepGoing,
        reuse: Reuse::Never,
        file: planned.file.display().to_string(),
        base: planned.base.clone(),
        lake_root: None,
    };
    let local =
        LocalRun::new(&planned.plan, planned.selected.clone(), &lake, &planned.components, options.clone());
    // Nothing is kept, so an interrupt may end the process as it does any other.
    let progress = Progress::start(&planned.plan, &planned.selected);
    let result = local.run(&progress);
    progress.finish();
    let record = result.map_err(|e| e.problem())?.record;
    let check =
        Check { plan: &planned.plan, lake: &lake, components: &planned.components, options: &options, tiles };
    let watcher = Watcher::start();
    let checks = check.nodes(&asked, &watcher);
    watcher.bar.finish_and_clear();
    let checks = checks.map_err(|e| e.problem())?;
    report(args, &record, &checks)
}

fn plan_args(args: &CheckArgs) -> PlanOf {
    PlanOf {
        pipeline: Some(args.pipeline.clone()),
        from: None,
        folder: None,
        params: args.params.clone(),
        sets: args.sets.clone(),
        window: args.window.clone(),
        lake: LakeArg { named: Some(PathBuf::from(lake_dir::IN_MEMORY)) },
        node: args.node.clone(),
        only: None,
        deps_only: None,
        from_node: None,
        force: true,
        json: args.json,
    }
}

fn tiles(text: &str) -> Result<Tiles, Problem> {
    let found = match text.parse::<u32>() {
        Ok(count) => Some(Tiles::Count(count)).filter(|_| 2 <= count),
        Err(_) => duration_ms(text).ok().filter(|it| 0 < *it).map(Tiles::Milliseconds),
    };
    found.ok_or_else(|| {
        let what = format!("`--tiles {text}` is neither a number of 2 or more nor a duration");
        Problem::new(
            Code("bad-tiles"),
            what,
            "write `--tiles 8`, or a length as `--tiles 1d` or `--tiles 4w`",
        )
    })
}

/// Shows how far the check of a node has come; draws nothing off a terminal.
struct Watcher {
    bar: ProgressBar,
}

impl Watcher {
    fn start() -> Self {
        let is_seen = std::io::stderr().is_terminal();
        let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}").expect("a sound template");
        Self { bar: ProgressBar::with_draw_target(Some(0), target).with_style(style) }
    }
}

impl CheckObserver for Watcher {
    fn on_node(&self, _node: usize, check: &NodeCheck) {
        self.bar.set_message(format!("{}: {}", check.node, verdict(check)));
    }

    fn on_progress(&self, _node: usize, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }
}

fn verdict(check: &NodeCheck) -> String {
    match &check.verdict {
        CheckVerdict::Sound => "ok".to_owned(),
        CheckVerdict::NotChecked(_) => "not checked".to_owned(),
        CheckVerdict::Unsound(findings) => {
            let kinds = findings.iter().map(|it| match it.kind {
                FindingKind::NotRepeatable => "not repeatable",
                FindingKind::LookAhead => "looks ahead",
                FindingKind::LookBack => "look-back too short",
            });
            kinds.collect::<Vec<_>>().join(", ")
        }
    }
}

fn report(args: &CheckArgs, record: &RunRecord, checks: &[NodeCheck]) -> anyhow::Result<Ending> {
    if args.json {
        let nodes: Vec<Value> = checks.iter().map(to_json).collect();
        table_view::print_json(&json!({"pipeline": record.pipeline, "nodes": nodes}))?;
    } else {
        let rows = checks.iter().map(|it| {
            let count = |it: usize| if it == 0 { "–".to_owned() } else { it.to_string() };
            let why = match &it.verdict {
                CheckVerdict::NotChecked(why) => why.clone(),
                CheckVerdict::Sound | CheckVerdict::Unsound(_) => String::new(),
            };
            vec![it.node.clone(), verdict(it), count(it.cuts), count(it.tiles), why]
        });
        table_view::print(&["node", "verdict", "cuts", "tiles", ""], rows.collect())?;
    }
    for node in &record.nodes {
        if let Some(it) = &node.error {
            let problem = Problem::new(
                Code("check-run-failed"),
                format!("node `{}` failed over the whole range: [{}] {}", node.node, it.code, it.what),
                &it.mend,
            );
            talk!("{problem}");
        }
    }
    for check in checks {
        if let CheckVerdict::Unsound(findings) = &check.verdict {
            findings.iter().for_each(|it| talk!("{}", problem(check, it)));
        }
    }
    let unsound = checks.iter().filter(|it| matches!(it.verdict, CheckVerdict::Unsound(_))).count();
    let sound = checks.iter().filter(|it| matches!(it.verdict, CheckVerdict::Sound)).count();
    let left = checks.len() - unsound - sound;
    let left = if left == 0 { String::new() } else { format!(", {left} not checked") };
    talk!(
        "{sound} of {} nodes sound{left}{}",
        checks.len(),
        if unsound == 0 { String::new() } else { format!(", {unsound} unsound") }
    );
    // What was asked for by name must have been checked.
    let is_answered = args.node.is_none() || 0 < sound;
    let is_well = unsound == 0 && is_answered && record.state == RunState::Succeeded;
    Ok(if is_well { Ending::Done } else { Ending::Failed })
}

fn times(count: u64) -> String {
    if count == 1 { "1 time".to_owned() } else { format!("{} times", quantity::count(count)) }
}

fn span(it: Span) -> String {
    match it {
        Span::Times(count) => times(count),
        Span::Milliseconds(ms) => duration_text(ms),
    }
}

fn input(it: &LeakingInput) -> String {
    if it.port == it.node { format!("`{}`", it.port) } else { format!("`{}` (node `{}`)", it.port, it.node) }
}

fn inputs(finding: &Finding) -> String {
    let names: Vec<String> = finding.inputs.iter().map(input).collect();
    names.join(" and ")
}

fn problem(check: &NodeCheck, finding: &Finding) -> Problem {
    let node = &check.node;
    let shown = shown(finding);
    match finding.kind {
        FindingKind::NotRepeatable => Problem::new(
            Code("not-repeatable"),
            format!("node `{node}` gives another result when it is computed again\n  {shown}"),
            "a result may depend on parameters, inputs and the task's own seed alone, not on run or attempt",
        ),
        FindingKind::LookAhead => look_ahead(check, finding, &shown),
        FindingKind::LookBack => {
            let declared = finding.inputs.iter().map(|it| {
                let declared = it.declared.map_or_else(|| "all of the past".to_owned(), span);
                let needed = it.needed_times.map_or_else(
                    || "it starts from the first row".to_owned(),
                    |it| format!("{} would do here", times(it)),
                );
                format!("input {}: {declared} declared, {needed}", input(it))
            });
            Problem::new(
                Code("look-back-short"),
                format!(
                    "node `{node}` reads further back than its `look_back`\n  {shown}\n  {}\n  {} of {} tiles differ",
                    declared.collect::<Vec<_>>().join("\n  "),
                    finding.differing,
                    check.tiles
                ),
                "declare as much as the task reads, or leave `look_back` out where it needs all of the past",
            )
        }
    }
}

fn look_ahead(check: &NodeCheck, finding: &Finding, shown: &str) -> Problem {
    let known = finding.inputs.iter().find_map(|it| Some((input(it), it.knowledge_time.as_ref()?)));
    let (on, mend) = match &known {
        Some((_, column)) => (
            format!("rows of input {} that became known (`{column}`) after the time of the row it writes", inputs(finding)),
            format!(
                "rows told late or revised are not there yet on their own day: keep all versions, by adding `{column}` to the \
                 source's `identifiers`, and choose among them in the task"
            ),
        ),
        None => (
            format!("rows of input {} that are later than the row it writes", inputs(finding)),
            "compute each row from rows up to its own time: a window ends at its row, it does not surround it".to_owned(),
        ),
    };
    let what = format!(
        "node `{}` depends on {on}\n  {shown}\n  {} of {} cuts differ",
        check.node, finding.differing, check.cuts
    );
    Problem::new(Code("look-ahead"), what, mend)
}

/// How the difference shows, in a line.
fn shown(finding: &Finding) -> String {
    let day = |it: Option<Time>| it.map_or_else(|| "the end".to_owned(), quantity::time);
    let hidden = match finding.kind {
        FindingKind::NotRepeatable => "computed again".to_owned(),
        FindingKind::LookAhead => format!("with all after {} hidden", day(finding.end)),
        FindingKind::LookBack => {
            format!("for the tile from {} to {} alone", day(finding.start), day(finding.end))
        }
    };
    match &finding.row {
        Shown::Row { table, index, column, whole, partial, .. } => {
            let at = index.as_ref().map(|it| format!(" at {it}")).unwrap_or_default();
            let column = column.as_ref().map(|it| format!(", column `{it}`")).unwrap_or_default();
            let value =
                |it: &Option<String>| it.as_ref().map_or_else(|| "no row".to_owned(), |it| format!("`{it}`"));
            format!(
                "table `{table}`{at}{column}: {} over the whole range, {} {hidden}",
                value(whole),
                value(partial)
            )
        }
        Shown::Shape { table, what, .. } => format!("table `{table}` {hidden}: {what}"),
        Shown::Failure(NodeFailure { code, what, .. }) => format!("{hidden} it fails: [{code}] {what}"),
    }
}

fn to_json(check: &NodeCheck) -> Value {
    let (verdict, why) = match &check.verdict {
        CheckVerdict::Sound => ("sound", None),
        CheckVerdict::Unsound(_) => ("unsound", None),
        CheckVerdict::NotChecked(why) => ("not-checked", Some(why.clone())),
    };
    let findings = match &check.verdict {
        CheckVerdict::Unsound(findings) => findings.iter().map(finding_json).collect(),
        CheckVerdict::Sound | CheckVerdict::NotChecked(_) => Vec::new(),
    };
    json!({
        "node": check.node, "verdict": verdict, "why": why, "cuts": check.cuts, "tiles": check.tiles,
        "findings": findings,
    })
}

fn finding_json(finding: &Finding) -> Value {
    let row = match &finding.row {
        Shown::Row { port, table, index, column, whole, partial } => json!({
            "port": port, "table": table, "index": index, "column": column, "whole": whole, "partial": partial,
        }),
        Shown::Shape { port, table, what } => json!({"port": port, "table": table, "shape": what}),
        Shown::Failure(it) => json!({"failure": {"code": it.code.0, "what": it.what}}),
    };
    let inputs = finding.inputs.iter().map(|it| {
        let declared = it.declared.map(|it| match it {
            Span::Times(count) => json!({"times": count}),
            Span::Milliseconds(ms) => json!({"ms": ms}),
        });
        json!({
            "port": it.port, "node": it.node, "declared": declared, "needed_times": it.needed_times,
            "knowledge_time": it.knowledge_time,
        })
    });
    json!({
        "kind": match finding.kind {
            FindingKind::NotRepeatable => "not-repeatable",
            FindingKind::LookAhead => "look-ahead",
            FindingKind::LookBack => "look-back",
        },
        "from": finding.start.map(quantity::time), "to": finding.end.map(quantity::time),
        "differing": finding.differing, "row": row, "inputs": inputs.collect::<Vec<_>>(),
    })
}
