//! `tidemill replay` of a sweep: all of its points again, and whether each measures the same.

use serde_json::{Value, json};
use tidemill_driver::{PointDifference, RunId, RunState, SweepEnded, SweepReplay, SweepReplayed, load_rows};
use tidemill_plan::{Code, Problem};

use crate::args::ReplayArgs;
use crate::complain::{Problems, talk};
use crate::machine::this_machine;
use crate::replay::{open_into, options};
use crate::run::{cancel_on_signal, sandbox};
use crate::sweep_progress::SweepProgress;
use crate::{Ending, lake_dir, quantity, table_view};

/// Differences that are printed; all are in the JSON.
const SHOWN: usize = 20;

pub(crate) fn replay(args: &ReplayArgs, sweep: &RunId) -> anyhow::Result<Ending> {
    if args.node.is_some() {
        let what = format!("`{sweep}` is a sweep: a node of it is one of many points");
        let mend = "replay the whole sweep: leave `--node` out";
        return Err(Problem::new(Code("run-is-sweep"), what, mend).into());
    }
    let machine = this_machine();
    let jobs = (machine.cpus_milli / 1000).max(1);
    let (record, rows) = load_rows(args.lake.dir(), sweep).map_err(|e| e.problem())?;
    let left_out = record.counts.points - rows.iter().filter(|it| it.error.is_none()).count() as u64;
    let record = match &args.folder {
        Some(it) => record.moved_to(it),
        None => record,
    };
    let original = lake_dir::open_to_read(&args.lake)?;
    let replay = SweepReplay::prepare(record, rows, sandbox(jobs)?, machine).map_err(Problems)?;
    let lake = open_into(args)?;
    let progress =
        SweepProgress::start(&replay.plan().space, replay.measures(), replay.record().goal().as_ref());
    let mut handler = Ok(());
    let result = replay.run(&lake, options(jobs, machine, &lake), &progress, |canceller| {
        handler = cancel_on_signal(canceller)
    });
    progress.finish();
    handler?;
    let ended = result.map_err(|e| e.problem())?;
    let replayed = replay.compare(&original, &lake, &ended).map_err(|e| e.problem())?;
    report(args, &replay, &ended, &replayed, left_out)
}

fn report(
    args: &ReplayArgs,
    replay: &SweepReplay,
    ended: &SweepEnded,
    replayed: &SweepReplayed,
    left_out: u64,
) -> anyhow::Result<Ending> {
    let sweep = &replay.record().sweep;
    let is_equal = replayed.differences.is_empty();
    if args.json {
        let differences: Vec<Value> = replayed.differences.iter().map(to_json).collect();
        table_view::print_json(&json!({
            "sweep": sweep, "replay": ended.record.sweep, "state": ended.record.state, "equal": is_equal,
            "points": replayed.points, "equal_points": replayed.equal, "tables": replayed.tables,
            "left_out": left_out, "differences": differences,
        }))?;
    } else if !is_equal {
        let rows = replayed.differences.iter().take(SHOWN);
        let row = |it: &PointDifference| vec![point(it), it.of.clone(), it.before.clone(), it.after.clone()];
        table_view::print(&["point", "measure", "before", "after"], rows.map(row).collect())?;
    }
    if left_out > 0 {
        talk!("not replayed, since they had not ended well: {} points", quantity::count(left_out));
    }
    let elapsed = ended.record.ended_at.unwrap_or(ended.record.began_at) - ended.record.began_at;
    let elapsed = std::time::Duration::from_nanos(u64::try_from(elapsed).unwrap_or_default());
    let word = match ended.record.state {
        RunState::Cancelled => "cancelled",
        _ if is_equal => "equal",
        RunState::Succeeded | RunState::Failed | RunState::Running => "different",
    };
    talk!(
        "{word}: {} of {} points of sweep {sweep}, and {} tables that they measured, came out bit for bit in {}",
        quantity::count(replayed.equal as u64),
        quantity::count(replayed.points as u64),
        quantity::count(replayed.tables as u64),
        quantity::duration(elapsed)
    );
    Ok(if is_equal { Ending::Done } else { Ending::Failed })
}

fn point(it: &PointDifference) -> String {
    let pairs = it.at.iter().map(|(name, value)| {
        format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    });
    pairs.collect::<Vec<_>>().join(", ")
}

fn to_json(it: &PointDifference) -> Value {
    let at: serde_json::Map<String, Value> = it.at.iter().cloned().collect();
    json!({"at": at, "of": it.of, "before": it.before, "after": it.after})
}
