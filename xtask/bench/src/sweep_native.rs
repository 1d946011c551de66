//! The sweep against the tasks' own functions, compiled natively and called in a loop over its points: on as many
//! threads, with what the points share computed once, and with sources that are in memory already.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Float64Type;
use lasso::lasso;
use replicate::replicate;
use returns::returns_task;
use statistics::statistics_task;
use tidemill_task::testing::{Harness, json};
use tidemill_task::{Columns as _, Parameters as _};

use crate::binary::{scratch, secs};
use crate::lasso::tables;
use crate::measure::{Repeats, measure_pair};
use crate::row::{Row, Target};
use crate::sandbox::sandbox;
use crate::sweep::{Point, agree, sweep};

const REPEATS: Repeats = Repeats { warm_up: 1, counted: 5 };
/// The same operations in the same order.
const RELATIVE_MAX: f64 = 1e-12;

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let [prices, index] = tables(&Arc::new(sandbox()?), ["prices", "index"])?;
    let lakes = scratch()?;
    let points = sweep(&lakes.path().join("first"))?;
    let mut count = 0;
    let swept = || {
        count += 1;
        let again = sweep(&lakes.path().join(format!("{count}")))?;
        ensure!(again == points, "two sweeps differ");
        Ok(())
    };
    let native = || agree(&points, &native(&prices, &index, &points)?, RELATIVE_MAX);
    let (swept, native) = measure_pair(REPEATS, swept, native)?;
    Ok(vec![Row {
        name: "sweep: 165 points, against the same code natively in a loop".to_owned(),
        measured: secs(swept.median()),
        best: secs(swept.min()),
        reference: Some(secs(native.median())),
        target: Target::RatioAtMost(1.3),
        spread: swept.spread(),
    }])
}

/// Tracking errors in the order of the points.
fn native(prices: &RecordBatch, index: &RecordBatch, points: &[Point]) -> anyhow::Result<Vec<f64>> {
    let (returns, benchmark) = (returns_of(prices)?, returns_of(index)?);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(point) = points.get(at) else { return anyhow::Ok(done) };
            done.push((at, tracking_error(point, &returns, &benchmark)?));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut all = vec![f64::NAN; points.len()];
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            for (at, it) in worker.join().expect("the tasks do not panic")? {
                all[at] = it;
            }
        }
        Ok(all)
    })
}

fn returns_of(prices: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let outputs = Harness::new(returns_task).input("prices", prices.clone()).run();
    outputs.and_then(|it| it.batch("output")).map_err(|e| anyhow::anyhow!("{e}"))
}

fn tracking_error(point: &Point, returns: &RecordBatch, benchmark: &RecordBatch) -> anyhow::Result<f64> {
    let measured = || {
        let parameters = json!({"in_window": point.in_window, "lasso_alpha": point.lasso_alpha});
        let parameters = lasso::Parameters::from_json(&parameters.to_string())?;
        let table = lasso::Returns::from_batch;
        let coefficients = lasso(parameters, table(returns)?, table(benchmark)?)?.into_batch()?;
        let table = replicate::Returns::from_batch;
        let weights = replicate::Coefficients::from_batch(&coefficients)?;
        let replica = replicate(weights, table(returns)?, table(benchmark)?)?;
        let harness = Harness::new(statistics_task).input("replica", replica);
        harness.input("coefficients", coefficients).run()?.batch("output")
    };
    let statistics = measured().map_err(|e: tidemill_task::Error| anyhow::anyhow!("{point:?}: {e}"))?;
    let column = statistics.column_by_name("tracking_error");
    Ok(column.expect("the task declares it").as_primitive::<Float64Type>().value(0))
}
