//! Nodes per second through the whole local path: plan's shape, engine, threads, sandbox, commit.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::ensure;
use tidemill_driver::{Components, Event, LocalOptions, LocalRun, Observer, OnFailure, Reuse, RunState};
use tidemill_lake::{Access, Lake};
use tidemill_plan::{Machine, Pipeline, Request, Window};
use tidemill_sandbox::Sandbox;

use crate::binary::scratch;
use crate::row::{Quantity, Row, Target};
use crate::sandbox::{sandbox, seconds};

pub(crate) const GUESTS: &str = "tests/guests/components";

pub(crate) struct Silent;

impl Observer for Silent {
    fn on(&self, _: Event<'_>) {}
}

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let sandbox = Arc::new(sandbox()?);
    let lakes = scratch()?;
    let mut rows = Vec::new();
    for (name, pipeline, nodes) in [
        ("10,000 wide", wide(), 10_000),
        ("a chain of 1,000", chain(1_000), 1_000),
        ("100 × 100 fan-in", fan_in(100), 200),
    ] {
        for (how, lake, target) in
            [("in memory", Where::Memory, 20_000.0), ("with tables on disk", Where::Folder, 1_000.0)]
        {
            let mut speeds = Vec::new();
            for repeat in 0..5 {
                let folder = lakes.path().join(format!("{}-{repeat}", rows.len()));
                speeds.push(f64::from(nodes) / once(&sandbox, &pipeline, lake, &folder)?);
            }
            speeds.sort_by(f64::total_cmp);
            let quantity = |value| Quantity { value, unit: "nodes/s" };
            rows.push(Row {
                name: format!("nodes: {name}, {how}"),
                measured: quantity(speeds[2]),
                best: quantity(speeds[4]),
                reference: None,
                target: Target::AtLeast(target),
                spread: (speeds[3] - speeds[1]) / speeds[2],
            });
        }
    }
    Ok(rows)
}

#[derive(Clone, Copy)]
enum Where {
    Memory,
    Folder,
}

/// Seconds of one run of the plan; planning is not counted, what a run keeps on disk is.
fn once(sandbox: &Arc<Sandbox>, text: &str, place: Where, folder: &Path) -> anyhow::Result<f64> {
    let base = PathBuf::from(".");
    let pipeline: Pipeline =
        tidemill_plan::parse(text, "bench.toml").map_err(|e| anyhow::anyhow!("{}", e[0]))?;
    let components = Components::new(Arc::clone(sandbox), base.clone(), &pipeline);
    let cores = u32::try_from(std::thread::available_parallelism()?.get())?;
    let machine = Machine { cpus_milli: cores * 1000, memory_bytes: 16 << 30 };
    let request =
        Request { machine, sets: Vec::new(), parameters: serde_json::Map::new(), window: Window::default() };
    let plan =
        tidemill_plan::plan(&pipeline, &request, &components).map_err(|e| anyhow::anyhow!("{}", e[0]))?;
    let lake = match place {
        Where::Memory => Lake::in_memory(),
        Where::Folder => Lake::open(folder, Access::Write { command: "bench".to_owned() })
            .map_err(|e| anyhow::anyhow!("{e}"))?,
    };
    let options = LocalOptions {
        jobs: cores,
        machine,
        on_failure: OnFailure::FailFast,
        reuse: Reuse::Valid,
        file: "bench.toml".to_owned(),
        base,
        lake_root: lake.root().map(Path::to_path_buf),
    };
    let selected = vec![true; plan.nodes.len()];
    let run = LocalRun::new(&plan, selected, &lake, &components, options);
    seconds(|| {
        let record = run.run(&Silent).map_err(|e| anyhow::anyhow!("{}", e.problem()))?.record;
        ensure!(record.state == RunState::Succeeded, "the run ended {:?}", record.state);
        Ok(())
    })
}

fn header() -> String {
    format!(
        "[pipeline]\nname = \"bench\"\n[tasks]\nnoop = \"{GUESTS}/noop.wasm\"\ngather = \"{GUESTS}/gather.wasm\"\n"
    )
}

fn wide() -> String {
    header()
        + "[nodes.a]\ntask = \"noop\"\nfor_each = { i = \"{{ range(10000) }}\" }\nparameters = { i = \"{{ i }}\" }\n"
}

fn chain(length: u32) -> String {
    let mut text = header() + "[nodes.n0]\ntask = \"noop\"\n";
    for it in 1..length {
        write!(text, "[nodes.n{it}]\ntask = \"noop\"\ninputs = {{ in = \"n{}\" }}\n", it - 1)
            .expect("a string takes all");
    }
    text
}

fn fan_in(width: u32) -> String {
    header()
        + &format!(
            "[nodes.a]\ntask = \"noop\"\nfor_each = {{ i = \"{{{{ range({width}) }}}}\" }}\nparameters = {{ i = \"{{{{ i }}}}\" }}\n\
             [nodes.b]\ntask = \"gather\"\nfor_each = {{ j = \"{{{{ range({width}) }}}}\" }}\nparameters = {{ i = \"{{{{ j }}}}\" }}\n\
             inputs = {{ in = \"a\" }}\n"
        )
}
