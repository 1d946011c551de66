//! The Lasso node of the ETF replicator in the sandbox, against the same function compiled natively.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use lasso::{Parameters, Returns, lasso};
use tidemill_driver::{Components, LocalOptions, LocalRun, OnFailure, Reuse};
use tidemill_lake::{Lake, ReadOptions, WindowFolder};
use tidemill_plan::{Machine, Plan, Request, Selection, Window};
use tidemill_sandbox::Sandbox;
use tidemill_task::Columns as _;

use crate::measure::{Repeats, measure_pair};
use crate::nodes::Silent;
use crate::row::{Row, Target};
use crate::sandbox::{Tables, load, ms_row, run, sandbox};
use crate::sweep::PIPELINE;

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let sandbox = Arc::new(sandbox()?);
    let [returns, benchmark] = tables(&sandbox, ["returns", "index_returns"])?;
    let component = load(&sandbox, Path::new("examples/etf-replicator/components/lasso.wasm"))?;
    let parameters =
        serde_json::json!({"in_window": 240, "lasso_alpha": 1e-3, "refit_every": 5, "tol": 1e-10});
    let text = parameters.to_string();
    let parts = |it: &RecordBatch| -> Vec<RecordBatch> {
        const ROWS: usize = 65_536;
        (0..it.num_rows()).step_by(ROWS).map(|at| it.slice(at, ROWS.min(it.num_rows() - at))).collect()
    };
    let mut host = Tables::of(vec![
        ("returns".to_owned(), parts(&returns)),
        ("benchmark".to_owned(), parts(&benchmark)),
    ]);
    let sandboxed = || run(&sandbox, &component, &text, &mut host);
    let native = || {
        let parameters: Parameters = serde_json::from_value(parameters.clone())?;
        let table = |batch: &RecordBatch| Returns::from_batch(batch).map_err(|e| anyhow::anyhow!("{e}"));
        let coefficients = lasso(parameters, table(&returns)?, table(&benchmark)?);
        let coefficients = coefficients.and_then(|it| it.into_batch()).map_err(|e| anyhow::anyhow!("{e}"))?;
        ensure!(coefficients.num_rows() > 0, "the native code fitted nothing");
        Ok(())
    };
    let (sandboxed, native) = measure_pair(Repeats { warm_up: 2, counted: 11 }, sandboxed, native)?;
    let row = ms_row("lasso: the node in the sandbox, against native", &sandboxed, Some(&native));
    Ok(vec![Row { target: Target::RatioAtMost(1.3), ..row }])
}

/// Tables of nodes that the Lasso depends on, computed by the example itself.
pub(crate) fn tables<const N: usize>(
    sandbox: &Arc<Sandbox>,
    nodes: [&str; N],
) -> anyhow::Result<[RecordBatch; N]> {
    let base = PathBuf::from(PIPELINE).parent().context("a file has a folder")?.to_path_buf();
    let text = std::fs::read_to_string(PIPELINE).with_context(|| format!("read {PIPELINE}"))?;
    let pipeline = tidemill_plan::parse(&text, PIPELINE).map_err(|e| anyhow::anyhow!("{}", e[0]))?;
    let components = Components::new(Arc::clone(sandbox), base.clone(), &pipeline);
    let machine = Machine { cpus_milli: 64_000, memory_bytes: 64 << 30 };
    let request =
        Request { machine, sets: Vec::new(), parameters: serde_json::Map::new(), window: Window::default() };
    let plan =
        tidemill_plan::plan(&pipeline, &request, &components).map_err(|e| anyhow::anyhow!("{}", e[0]))?;
    let lake = Lake::in_memory();
    let selected = plan.select(&Selection::DepsOnly("lasso".to_owned()))?;
    let options = LocalOptions {
        jobs: 2,
        machine,
        on_failure: OnFailure::FailFast,
        reuse: Reuse::Valid,
        file: PIPELINE.to_owned(),
        base,
        lake_root: None,
    };
    let run = LocalRun::new(&plan, selected, &lake, &components, options);
    run.run(&Silent).map_err(|e| anyhow::anyhow!("{}", e.problem()))?;
    let tables = nodes.iter().map(|it| table(&plan, &lake, it)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(tables.try_into().expect("one table for each node"))
}

fn table(plan: &Plan, lake: &Lake, node: &str) -> anyhow::Result<RecordBatch> {
    let node = plan.nodes.iter().find(|it| it.name == node).context("the example has the node")?;
    let folder = WindowFolder::of(&plan.window);
    let manifest = lake.manifest(&folder, &node.outputs[0].name)?.context("the node has run")?;
    let mut reader = lake.reader(&manifest, ReadOptions::default())?;
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch);
    }
    Ok(concat_batches(&manifest.schema, &batches)?)
}
