//! How soon a small run by the built binary ends, and how much memory a real one takes.

use std::path::Path;
use std::process::Command;

use crate::binary::{ended, megabytes, ms, peak_bytes, scratch, tidemill};
use crate::measure::{Repeats, measure};
use crate::row::{Row, Target};

const HELLO: &str = "examples/hello/pipeline.toml";
const REPLICATOR: &str = "examples/etf-replicator/pipeline.toml";
const REPEATS: Repeats = Repeats { warm_up: 2, counted: 21 };

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let version = measure(REPEATS, || ended(tidemill()?.arg("--version")).map(drop))?;
    let lake = scratch()?;
    let hello = measure(REPEATS, || ended(&mut run(HELLO, lake.path())?).map(drop))?;
    let peak_bytes = peak_bytes(&mut run(REPLICATOR, lake.path())?)?;
    Ok(vec![
        Row {
            name: "start: run examples/hello".to_owned(),
            measured: ms(hello.median()),
            best: ms(hello.min()),
            reference: Some(ms(version.median())),
            target: Target::AtMost(60.0),
            spread: hello.spread(),
        },
        Row::once("peak memory: etf-replicator", megabytes(peak_bytes), Target::AtMost(300.0)),
    ])
}

fn run(pipeline: &str, lake: &Path) -> anyhow::Result<Command> {
    let mut command = tidemill()?;
    command.args(["run", pipeline, "--force", "--lake"]).arg(lake);
    Ok(command)
}
