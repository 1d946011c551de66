//! `tidemill replay`: a recorded run again, and whether every table comes out as before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidemill_driver::{
    ArtefactComparison, ArtefactRecord, ArtefactVerdict, EqualBy, LocalOptions, NodeRecord, NodeState,
    OnFailure, Replay, Reuse, RunId, RunIn, RunRecord, RunState, TableComparison, Verdict, compare_artefacts,
    compare_replayed, find_run, find_sweep,
};
use tidemill_lake::Lake;
use tidemill_plan::{Code, Machine, PlanNode, Problem};

use crate::args::ReplayArgs;
use crate::complain::Problems;
use crate::machine::this_machine;
use crate::progress::Progress;
use crate::run::{cancel_on_signal, sandbox};
use crate::{Ending, difference, lake_dir, quantity, runs, sweep_replay, table_view};

pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<Ending> {
    let machine = this_machine();
    let jobs = (machine.cpus_milli / 1000).max(1);
    if let Some(sweep) = sweep_of(args)? {
        return sweep_replay::replay(args, &sweep);
    }
    let record = runs::load(args.lake.dir(), &args.run)?;
    let record = match &args.folder {
        Some(it) => record.moved_to(it),
        None => record,
    };
    let original = lake_dir::open_to_read(&args.lake)?;
    let replay = Replay::prepare(record, args.node.as_deref(), args.lake.dir(), sandbox(jobs)?, machine)
        .map_err(Problems)?;
    let lake = open_into(args)?;
    let in_the_way = replay.tables_in_the_way(&lake);
    if !in_the_way.is_empty() {
        return Err(Problems(in_the_way).into());
    }
    say_versions(replay.record());
    let local = replay.local(&lake, options(jobs, machine, &lake));
    cancel_on_signal(local.canceller())?;
    let progress = Progress::start(replay.plan(), replay.selected());
    let result = local.run(&progress);
    progress.finish();
    let ended = result.map_err(|e| e.problem())?;
    if let Some(error) = &ended.unsaved {
        crate::complain::talk!("{}", error.problem());
    }
    let meanwhile = replay.changed_meanwhile(&ended.record);
    if !meanwhile.is_empty() {
        return Err(Problems(meanwhile).into());
    }
    let before = RunIn { record: replay.record(), lake: &original };
    let after = RunIn { record: &ended.record, lake: &lake };
    let tables = compare_replayed(before, after).map_err(|e| lake_dir::problem(&e))?;
    let replayed = replayed_nodes(&replay);
    let tables = tables.into_iter().filter(|it| it.before.is_some() && replayed.contains(it.node.as_str()));
    let artefacts = compare_artefacts(replay.record(), &ended.record, &replayed, args.lake.dir());
    report(args, &replay, &ended.record, &Compared { tables: tables.collect(), artefacts })
}

/// What came out of both.
struct Compared {
    tables: Vec<TableComparison>,
    artefacts: Vec<ArtefactComparison>,
}

/// The sweep that is meant, if one is: its points were perhaps all known, so that there is no run of its id.
fn sweep_of(args: &ReplayArgs) -> anyhow::Result<Option<RunId>> {
    lake_dir::require(args.lake.dir())?;
    if args.run == "last" {
        let newest = |it: Result<RunId, _>| it.ok();
        let (run, sweep) =
            (newest(find_run(args.lake.dir(), "last")), newest(find_sweep(args.lake.dir(), "last")));
        // Ids sort by time; `None` comes before all of them.
        return Ok(sweep.filter(|it| run.as_ref() <= Some(it)));
    }
    match find_run(args.lake.dir(), &args.run) {
        Ok(run) => Ok(RunRecord::load(args.lake.dir(), &run).ok().filter(|it| it.is_sweep).map(|it| it.run)),
        Err(_) => Ok(find_sweep(args.lake.dir(), &args.run).ok()),
    }
}

/// How a run or sweep is repeated; its file and folder are those of its record.
pub(crate) fn options(jobs: u32, machine: Machine, lake: &Lake) -> LocalOptions {
    LocalOptions {
        jobs,
        machine,
        // What follows a failed node cannot be compared; everything else still can.
        on_failure: OnFailure::KeepGoing,
        reuse: Reuse::Never,
        file: String::new(),
        base: PathBuf::new(),
        lake_root: lake.root().map(Path::to_path_buf),
    }
}

/// Another lake than the run's: a replay must not write over what it is compared with.
pub(crate) fn open_into(args: &ReplayArgs) -> anyhow::Result<Lake> {
    let Some(into) = &args.into else { return Ok(Lake::in_memory()) };
    let same =
        |a: &Path, b: &Path| a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
    if same(into, args.lake.dir()) {
        let what = format!("`--into {}` is the lake of the run itself", into.display());
        let mend = "name another folder, or leave it away to replay in memory";
        return Err(Problem::new(Code("replay-into-itself"), what, mend).into());
    }
    let into = crate::args::LakeArg { named: Some(into.clone()) };
    Ok(lake_dir::open_to_write(&into, "tidemill replay")?)
}

fn say_versions(record: &RunRecord) {
    let now = env!("CARGO_PKG_VERSION");
    if record.host != now {
        crate::complain::talk!(
            "note: run {} was made by tidemill {}, this is {now}",
            record.run,
            record.host
        );
    }
}

/// The nodes that were replayed, and had ended well in the run.
fn replayed_nodes(replay: &Replay) -> BTreeSet<&str> {
    let nodes = replay.plan().nodes.iter().zip(replay.selected()).zip(&replay.record().nodes);
    let is_replayed = |is_selected: bool, then: &NodeRecord| is_selected && then.error.is_none();
    let replayed = nodes.filter(|((_, is_selected), then)| is_replayed(**is_selected, then));
    replayed.map(|((it, _), _)| it.name.as_str()).collect()
}

fn report(
    args: &ReplayArgs,
    replay: &Replay,
    replayed: &RunRecord,
    compared: &Compared,
) -> anyhow::Result<Ending> {
    let Compared { tables, artefacts } = compared;
    let same_artefacts = artefacts.iter().all(|it| it.verdict == ArtefactVerdict::Equal);
    let equal = tables.iter().filter(|it| is_equal(it)).count();
    // A node without outputs has no table that could differ, but it must end well as before.
    let failed = replayed.nodes.iter().filter(|it| it.state == NodeState::Failed).count();
    let same =
        equal == tables.len() && same_artefacts && failed == 0 && replayed.state == RunState::Succeeded;
    if args.json {
        table_view::print_json(&to_json(replay, replayed, compared, same))?;
    } else {
        print_tables(tables)?;
        print_artefacts(artefacts)?;
        let causes = causes(replay, tables);
        for it in tables.iter().filter(|it| !is_equal(it)) {
            let mut lines = vec![String::new()];
            lines.extend(difference::first_lines(it));
            let of = causes.get(it.node.as_str()).filter(|of| !of.is_empty());
            lines.extend(of.map(|of| format!("  it read what differs already: {}", of.join(", "))));
            table_view::print_lines(&lines)?;
        }
    }
    for line in replayed.nodes.iter().flat_map(runs::error_lines) {
        crate::complain::talk!("{line}");
    }
    say_summary(replay, replayed, compared, equal);
    Ok(if same { Ending::Done } else { Ending::Failed })
}

fn is_equal(it: &TableComparison) -> bool {
    matches!(it.verdict, Verdict::Equal(_))
}

/// The lake's own table is at fault, whatever the replay gave.
fn is_altered(it: &TableComparison) -> bool {
    matches!(it.verdict, Verdict::Altered(_))
}

/// By node, the nodes that it reads whose tables came out otherwise: where there are some, look at those first.
fn causes<'a>(replay: &'a Replay, tables: &[TableComparison]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let differ = tables.iter().filter(|it| !is_equal(it) && !is_altered(it));
    let differ: BTreeSet<&str> = differ.map(|it| it.node.as_str()).collect();
    let nodes = &replay.plan().nodes;
    let of = |node: &'a PlanNode| {
        let read: BTreeSet<usize> = node.inputs.iter().flat_map(|it| &it.members).map(|it| it.node).collect();
        let read = read.into_iter().map(|it| nodes[it].name.as_str());
        (node.name.as_str(), read.filter(|it| differ.contains(it)).collect())
    };
    nodes.iter().map(of).collect()
}

/// Most rows of the closing table; all that differs is told below it, and all of it by `--json`.
const TABLES_SHOWN: usize = 40;

fn print_tables(tables: &[TableComparison]) -> anyhow::Result<()> {
    let row = |it: &TableComparison| {
        let table = it.after.as_ref().or(it.before.as_ref());
        vec![
            difference::name(it),
            difference::word(it).to_owned(),
            table.map(|it| quantity::count(it.rows)).unwrap_or_default(),
            it.before.as_ref().map(|it| runs::short(&it.snapshot)).unwrap_or_default(),
            it.after.as_ref().map(|it| runs::short(&it.snapshot)).unwrap_or_default(),
        ]
    };
    let mut rows: Vec<Vec<String>> = tables.iter().take(TABLES_SHOWN).map(row).collect();
    if tables.len() > TABLES_SHOWN {
        rows.push(vec![format!("… and {} more", tables.len() - TABLES_SHOWN)]);
    }
    table_view::print(&["table", "verdict", "rows", "run", "replay"], rows)
}

fn artefact_word(verdict: ArtefactVerdict) -> &'static str {
    match verdict {
        ArtefactVerdict::Equal => "equal",
        ArtefactVerdict::Differs => "differs",
        ArtefactVerdict::Altered => "altered",
        ArtefactVerdict::OnlyBefore => "only in the run",
        ArtefactVerdict::OnlyAfter => "only in the replay",
    }
}

fn print_artefacts(artefacts: &[ArtefactComparison]) -> anyhow::Result<()> {
    let digest =
        |it: &Option<ArtefactRecord>| it.as_ref().map(|it| runs::short(&it.digest)).unwrap_or_default();
    let row = |it: &ArtefactComparison| {
        let word = artefact_word(it.verdict).to_owned();
        vec![it.node.clone(), it.name.clone(), word, digest(&it.before), digest(&it.after)]
    };
    if artefacts.is_empty() {
        return Ok(());
    }
    let rows = artefacts.iter().map(row).collect();
    table_view::print_after(&["node", "artefact", "verdict", "run", "replay"], rows)
}

fn say_summary(replay: &Replay, replayed: &RunRecord, compared: &Compared, equal: usize) {
    let Compared { tables, artefacts } = compared;
    let equal_artefacts = artefacts.iter().filter(|it| it.verdict == ArtefactVerdict::Equal).count();
    let run = &replay.record().run;
    let elapsed = quantity::duration(replayed.took().unwrap_or_default());
    let left_out = replay.left_out();
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().take(8).map(|it| it.node.as_str()).collect();
        let more = if left_out.len() > names.len() { ", …" } else { "" };
        crate::complain::talk!("not replayed, since they had not ended well: {}{more}", names.join(", "));
    }
    let word = match replayed.state {
        RunState::Succeeded if equal == tables.len() && equal_artefacts == artefacts.len() => "equal",
        RunState::Cancelled => "cancelled",
        RunState::Succeeded
            if tables.iter().all(|it| is_equal(it) || is_altered(it))
                && artefacts.iter().all(|it| is_kept_otherwise(it.verdict)) =>
        {
            "altered"
        }
        RunState::Succeeded | RunState::Failed | RunState::Running => "different",
    };
    let by_digest = tables.iter().filter(|it| matches!(it.verdict, Verdict::Equal(EqualBy::Digest))).count();
    let by_digest = match by_digest {
        0 => String::new(),
        it => format!(" ({it} by digest alone: the lake holds another table in that place)"),
    };
    let artefacts = match artefacts.len() {
        0 => String::new(),
        all => format!(", and {equal_artefacts} of {all} artefacts,"),
    };
    crate::complain::talk!(
        "{word}: {equal} of {} tables of run {run} came out bit for bit{by_digest}{artefacts} in {elapsed}",
        tables.len()
    );
}

/// The replay gave what the run did, whatever is kept.
fn is_kept_otherwise(verdict: ArtefactVerdict) -> bool {
    matches!(verdict, ArtefactVerdict::Equal | ArtefactVerdict::Altered)
}

fn to_json(replay: &Replay, replayed: &RunRecord, compared: &Compared, same: bool) -> Value {
    let Compared { tables, artefacts } = compared;
    let artefact = |it: &ArtefactComparison| {
        json!({
            "node": it.node, "name": it.name, "verdict": artefact_word(it.verdict).replace(' ', "-"),
            "before": it.before, "after": it.after,
        })
    };
    let record = replay.record();
    let errors: Vec<Value> = replayed
        .nodes
        .iter()
        .filter_map(|it| Some(json!({"node": it.node, "error": it.error.as_ref()?})))
        .collect();
    let left_out: Vec<&str> = replay.left_out().iter().map(|it| it.node.as_str()).collect();
    let causes = causes(replay, tables);
    let table = |it: &TableComparison| {
        let mut value = difference::to_json(it);
        if !is_equal(it) {
            value["after_different"] = json!(causes.get(it.node.as_str()));
        }
        value
    };
    json!({
        "run": record.run, "replay": replayed.run, "state": replayed.state, "equal": same,
        "host": {"run": record.host, "replay": replayed.host},
        "contract": {"run": record.contract, "replay": replayed.contract},
        "tables": tables.iter().map(table).collect::<Vec<_>>(),
        "artefacts": artefacts.iter().map(artefact).collect::<Vec<_>>(),
        "errors": errors, "left_out": left_out,
    })
}
