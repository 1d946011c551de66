//! The sweep against Python programs that compute the same tracking errors on the same cores: how most would write it, and
//! how experts would. Their times leave out what ours hold: to start, to import, to start workers, to keep tables.

use std::io::Write as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::binary::scratch;
use crate::measure::Times;
use crate::row::{Quantity, Row, Target};
use crate::sweep::{PIPELINE, Point, agree, sweep};
use crate::virtual_env::python;

const RUN: &str = "xtask/bench/peers/run.py";
/// Of two tracking errors. Scikit-learn's are the furthest off, with 3e-7; `sklearn_loop.py` says why.
const RELATIVE_MAX: f64 = 1e-6;

struct Peer {
    /// Of its file in `peers/`.
    program: &'static str,
    name: &'static str,
    /// How many times faster the sweep must be.
    faster: f64,
    repeats: u32,
}

const PEERS: [Peer; 3] = [
    Peer {
        program: "sklearn_loop",
        name: "scikit-learn's Lasso per window, joblib",
        faster: 25.0,
        // Takes more than a minute.
        repeats: 1,
    },
    Peer {
        program: "numpy_one_by_one",
        name: "an expert's numpy, one fit after the other, joblib",
        faster: 3.0,
        repeats: 5,
    },
    Peer {
        program: "numpy_batched",
        name: "an expert's numpy, all refits at once, joblib",
        faster: 3.0,
        repeats: 5,
    },
];

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let python = python()?;
    let lakes = scratch()?;
    let points = sweep(&lakes.path().join("first"))?;
    PEERS.iter().map(|it| row(it, &python, lakes.path(), &points)).collect()
}

fn row(peer: &Peer, python: &Path, lakes: &Path, points: &[Point]) -> anyhow::Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut swept = || -> anyhow::Result<()> {
        let lake = lakes.join(format!("{}-{}", peer.program, ours.len()));
        let began = Instant::now();
        let again = sweep(&lake)?;
        ours.push(began.elapsed());
        ensure!(again == points, "two sweeps differ");
        Ok(())
    };
    // In turn, and ours at both ends, so that whatever else the machine does meets both alike.
    swept()?;
    for _ in 0..peer.repeats {
        theirs.push(measured(peer, python, points)?);
        swept()?;
    }
    let (ours, theirs) = (Times::new(ours), Times::new(theirs));
    let speed = |it: Duration| Quantity { value: points.len() as f64 / it.as_secs_f64(), unit: "points/s" };
    Ok(Row {
        name: format!("sweep: 165 points, against {}", peer.name),
        measured: speed(ours.median()),
        best: speed(ours.min()),
        reference: Some(speed(theirs.median())),
        target: Target::RatioAtLeast(peer.faster),
        spread: ours.spread(),
    })
}

/// What a peer prints.
#[derive(Deserialize)]
struct Printed {
    seconds: f64,
    /// In the order of the points.
    tracking_errors: Vec<f64>,
}

fn measured(peer: &Peer, python: &Path, points: &[Point]) -> anyhow::Result<Duration> {
    let pairs: Vec<_> = points.iter().map(|it| (it.in_window, it.lasso_alpha)).collect();
    let data = PathBuf::from(PIPELINE).with_file_name("data");
    let jobs = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut command = Command::new(python);
    command.arg(RUN).arg(peer.program).arg(data).arg(jobs.to_string());
    // The cores are busy with points; a matrix product that takes them all would stand in the way.
    command.envs(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"].map(|it| (it, "1")));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start Python")?;
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(json!(pairs).to_string().as_bytes()).context("give Python the points")?;
    drop(input);
    let output = child.wait_with_output().context("wait for Python")?;
    ensure!(output.status.success(), "`{}` failed ({})", peer.program, output.status);
    let printed: Printed = serde_json::from_slice(&output.stdout).context("read what Python printed")?;
    agree(points, &printed.tracking_errors, RELATIVE_MAX)
        .with_context(|| format!("compare with `{}`", peer.program))?;
    Ok(Duration::from_secs_f64(printed.seconds))
}
