//! The most memory of a sweep whose points all read one large table: a source, which is read from disk for each point, or
//! what a task made, which a sweep holds in memory for as long as points need it. The input is that one table as Arrow.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::ensure;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use tidemill_lake::ExportFormat;

use crate::binary::{megabytes, peak_bytes, scratch, tidemill};
use crate::nodes::GUESTS;
use crate::row::{Row, Target};

/// A time and two numbers of 8 bytes in each row.
const ROWS: u32 = 20_833_334;
const INPUT_MB: f64 = 500.0;
const BATCH_ROWS: u32 = 65_536;
const STATISTICS: &str = "examples/etf-replicator/components/statistics.wasm";

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let folder = scratch()?;
    write_table(&folder.path().join("replica.parquet"), (0..ROWS).step_by(BATCH_ROWS as usize).map(replica))?;
    write_table(&folder.path().join("coefficients.parquet"), std::iter::once(coefficients()))?;
    let mut rows = Vec::new();
    for (read, what) in
        [("replica", "a source of 500 MB as Arrow"), ("copied", "500 MB as Arrow that a task made")]
    {
        let file = folder.path().join(format!("{read}.toml"));
        std::fs::write(&file, pipeline(read)?)?;
        rows.push(Row::once(
            &format!("peak memory: sweep of 64 points over {what}, 2 jobs"),
            megabytes(peak_bytes(&mut sweep(&file)?)?),
            Target::AtMost(INPUT_MB + 300.0),
        ));
    }
    Ok(rows)
}

fn sweep(pipeline: &Path) -> anyhow::Result<Command> {
    let mut command = tidemill()?;
    command.arg("sweep").arg(pipeline).args(["--grid", "days_per_year=200:264:1", "--jobs", "2"]);
    command.args(["--measure", "tracking_error=stats.tracking_error", "--lake"]);
    command.arg(pipeline.with_extension("lake"));
    Ok(command)
}

/// The points read the table of the node `read`.
fn pipeline(read: &str) -> anyhow::Result<String> {
    let here = std::env::current_dir()?;
    let (statistics, identity) = (here.join(STATISTICS), here.join(GUESTS).join("identity.wasm"));
    ensure!(statistics.is_file(), "{} is not there", statistics.display());
    let text = format!(
        r#"
[pipeline]
name = "large"
[tasks]
statistics = {statistics:?}
identity = {identity:?}
[parameters.days_per_year]
type = "number"
default = 252
[sources.replica]
path = "replica.parquet"
time_index = "time_index"
[sources.coefficients]
path = "coefficients.parquet"
time_index = "time_index"
identifiers = ["unique_identifier"]
[nodes.copied]
task = "identity"
inputs = {{ in = "replica" }}
[nodes.stats]
task = "statistics"
inputs = {{ replica = "{read}", coefficients = "coefficients" }}
parameters = {{ days_per_year = "{{{{ days_per_year }}}}" }}
"#
    );
    Ok(text)
}

fn write_table(path: &Path, batches: impl Iterator<Item = RecordBatch>) -> anyhow::Result<()> {
    let mut batches = batches.peekable();
    let schema = batches.peek().expect("a table has a batch").schema();
    let mut out = BufWriter::new(File::create(path)?);
    tidemill_lake::export(batches.map(Ok), &schema, ExportFormat::Parquet, &mut out)?;
    Ok(out.flush()?)
}

/// Rows from `first` on, one for each second, with returns that do not compress.
fn replica(first: u32) -> RecordBatch {
    let rows = first..ROWS.min(first + BATCH_ROWS);
    let time: ArrayRef = times(rows.clone().map(|it| i64::from(it) * 1_000_000).collect());
    let returns = |salt| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.clone().map(|it| small(u64::from(it) * 2 + salt))))
    };
    let (replicated, benchmark) = (returns(0), returns(1));
    let columns = [("time_index", time), ("replicated_return", replicated), ("benchmark_return", benchmark)];
    batch(columns)
}

fn coefficients() -> RecordBatch {
    let identifiers: ArrayRef = Arc::new(StringArray::from(vec!["A", "B"]));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 0.5]));
    batch([("time_index", times(vec![0, 0])), ("unique_identifier", identifiers), ("coefficient", values)])
}

fn times(it: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(it).with_timezone("UTC"))
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, it)| (name, it, false)))
        .expect("columns of one length")
}

/// A number in ±0.005 whose every bit looks drawn (the last step of SplitMix64).
#[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
fn small(number: u64) -> f64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_500_mb_as_arrow() {
        let first = replica(0);
        let bytes: usize =
            first.columns().iter().map(|it| it.to_data().get_slice_memory_size().expect("flat")).sum();
        let rows = f64::from(ROWS);
        let all = bytes as f64 / first.num_rows() as f64 * rows;
        assert!((all / 1e6 - INPUT_MB).abs() < 0.001, "{all}");
        assert_eq!(replica(ROWS - 1).num_rows(), 1);
    }
}
