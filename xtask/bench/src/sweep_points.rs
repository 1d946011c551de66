//! What a sweep costs for each point when the points themselves cost nothing.

use std::path::Path;
use std::time::Duration;

use crate::binary::{ended, scratch, tidemill};
use crate::measure::{Repeats, measure};
use crate::nodes::GUESTS;
use crate::row::{Quantity, Row, Target};

const POINTS: u32 = 10_000;

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let folder = scratch()?;
    let pipeline = folder.path().join("pipeline.toml");
    let component = std::env::current_dir()?.join(GUESTS).join("noop.wasm");
    std::fs::write(&pipeline, trivial(&component))?;
    let mut rows = Vec::new();
    for (keep, how) in [("none", "no tables kept"), ("measured", "each point's table kept on disk")] {
        let mut count = 0;
        let times = measure(Repeats { warm_up: 1, counted: 5 }, || {
            count += 1;
            let lake = folder.path().join(format!("{keep}-{count}"));
            let mut command = tidemill()?;
            command.arg("sweep").arg(&pipeline).args(["--grid", &format!("i=0:{POINTS}:1")]);
            command.args(["--measure", "value=n.value", "--keep", keep, "--lake"]).arg(lake);
            ended(&mut command).map(drop)
        })?;
        let us = |it: Duration| Quantity { value: it.as_secs_f64() * 1e6 / f64::from(POINTS), unit: "µs" };
        rows.push(Row {
            name: format!("sweep: a point of 10,000 trivial ones, {how}"),
            measured: us(times.median()),
            best: us(times.min()),
            reference: None,
            target: Target::AtMost(100.0),
            spread: times.spread(),
        });
    }
    Ok(rows)
}

fn trivial(component: &Path) -> String {
    format!(
        "[pipeline]\nname = \"trivial\"\n[tasks]\nnoop = {component:?}\n[parameters.i]\ntype = \"integer\"\ndefault = 0\n\
         [nodes.n]\ntask = \"noop\"\nparameters = {{ i = \"{{{{ i }}}}\" }}\n"
    )
}
