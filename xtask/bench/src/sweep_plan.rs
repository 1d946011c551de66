//! How long the plan of a large sweep takes, and how much memory: the ETF replicator at 100,000 points, of which each has
//! three nodes of its own, by the built binary from its start to its end.

use std::process::Command;

use crate::binary::{ended, megabytes, peak_bytes, secs, tidemill};
use crate::measure::{Repeats, measure};
use crate::row::{Row, Target};
use crate::sweep::PIPELINE;

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let times = measure(Repeats { warm_up: 1, counted: 5 }, || ended(&mut plan()?).map(drop))?;
    let peak_bytes = peak_bytes(&mut plan()?)?;
    Ok(vec![
        Row {
            name: "sweep: plan 100,000 points (300,004 nodes)".to_owned(),
            measured: secs(times.median()),
            best: secs(times.min()),
            reference: None,
            target: Target::AtMost(2.0),
            spread: times.spread(),
        },
        Row::once("peak memory: plan 100,000 points", megabytes(peak_bytes), Target::AtMost(500.0)),
    ])
}

fn plan() -> anyhow::Result<Command> {
    let mut command = tidemill()?;
    command
        .args(["sweep", PIPELINE, "--dry-run"])
        .args(["--grid", "in_window=20:1020:1", "--grid", "lasso_alpha=1e-6:1e-1:log100"])
        .args(["--measure", "tracking_error=stats.tracking_error"]);
    Ok(command)
}
