//! What a sweep costs for each point when the points themselves cost nothing. Where each point's table is kept, the
//! reference is what the file system takes for as many folders with two small files, by as many threads.

use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use crate::binary::{ended, scratch, tidemill};
use crate::measure::{Repeats, measure_pair};
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
        let (mut count, mut files_count) = (0, 0);
        let swept = || {
            count += 1;
            let lake = folder.path().join(format!("{keep}-{count}"));
            let mut command = tidemill()?;
            command.arg("sweep").arg(&pipeline).args(["--grid", &format!("i=0:{POINTS}:1")]);
            command.args(["--measure", "value=n.value", "--keep", keep, "--lake"]).arg(lake);
            ended(&mut command).map(drop)
        };
        let files = || {
            files_count += 1;
            if keep == "none" {
                Ok(())
            } else {
                make_files(&folder.path().join(format!("files-{files_count}")))
            }
        };
        let (times, files) = measure_pair(Repeats { warm_up: 1, counted: 5 }, swept, files)?;
        let us = |it: Duration| Quantity { value: it.as_secs_f64() * 1e6 / f64::from(POINTS), unit: "µs" };
        rows.push(Row {
            name: format!("sweep: a point of 10,000 trivial ones, {how}"),
            measured: us(times.median()),
            best: us(times.min()),
            reference: (keep != "none").then(|| us(files.median())),
            target: Target::AtMost(100.0),
            spread: times.spread(),
        });
    }
    Ok(rows)
}

/// As a lake makes the table of each point: a part, and a manifest that is renamed when it is whole.
fn make_files(lake: &Path) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::fs::create_dir(lake)?;
    let make = |first: usize| -> std::io::Result<()> {
        for number in (first..POINTS as usize).step_by(threads) {
            let table = lake.join(number.to_string());
            std::fs::create_dir(&table)?;
            std::fs::write(table.join("part.parquet"), [0; 1024])?;
            std::fs::write(table.join("manifest.partial"), [0; 1024])?;
            std::fs::rename(table.join("manifest.partial"), table.join("manifest.json"))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..threads).map(|it| scope.spawn(move || make(it))).collect();
        makers.into_iter().try_for_each(|it| it.join().expect("it does not panic"))
    })?;
    Ok(())
}

fn trivial(component: &Path) -> String {
    format!(
        "[pipeline]\nname = \"trivial\"\n[tasks]\nnoop = {component:?}\n[parameters.i]\ntype = \"integer\"\ndefault = 0\n\
         [nodes.n]\ntask = \"noop\"\nparameters = {{ i = \"{{{{ i }}}}\" }}\n"
    )
}
