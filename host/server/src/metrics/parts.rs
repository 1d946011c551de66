//! What the store, the runs and the sandbox count themselves, read when Prometheus asks.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use tidemill_driver::Live;
use tidemill_sandbox::Sandbox;
use tidemill_store::{Store, WriterCounts};

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) live: Arc<Live>,
    pub(super) sandbox: Arc<Sandbox>,
}

/// A name with what it means.
type Named = (&'static str, &'static str);

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let out = &mut encoder;
        self.store(out)?;
        self.runs(out)?;
        let loads = self.sandbox.load_counts();
        let named = ("components_loaded", "components loaded, by where their native code came from");
        let rows = [("compiled", loads.compiled), ("cache", loads.found_compiled)];
        counters_by(out, named, "from", &rows)
    }
}

impl Parts {
    fn store(&self, out: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let counts = self.store.writer_counts();
        let rows = [
            (("store_transactions", "transactions that the store's writer committed"), counts.transactions),
            (("store_writes", "writes in these transactions"), counts.jobs),
            (("store_repeats", "transactions repeated because the database was away"), counts.repeated),
        ];
        for ((name, help), count) in rows {
            let encoder = out.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(encoder)?;
        }
        batches(out, &counts)?;
        seconds(out, ("store_busy", "time that the store's writer was at work"), counts.busy_us)
    }

    fn runs(&self, out: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let load = self.live.load();
        let rows = [
            (("runs_carried_out", "runs that this process has in memory"), load.runs),
            (("attempts_running", "attempts that have begun and not ended"), load.attempts),
            (("nodes_waiting", "nodes that only wait for room"), load.ready),
        ];
        for ((name, help), value) in rows {
            let encoder = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)?;
        }
        let ended = self.live.attempt_counts();
        let rows = [
            ("computed", ended.computed),
            ("reused", ended.reused),
            ("failed", ended.failed),
            ("stopped", ended.stopped),
        ];
        counters_by(out, ("attempts_ended", "attempts that have ended, by how"), "outcome", &rows)?;
        let rows = [("in", ended.bytes_in), ("out", ended.bytes_out)];
        let named = ("attempts_bytes", "bytes that went into attempts which computed, and came out of them");
        counters_by(out, named, "direction", &rows)?;
        seconds(out, ("attempts", "time that attempts took which computed or failed"), ended.wall_us)
    }
}

/// How many writes shared a transaction.
#[expect(clippy::cast_precision_loss, reason = "counts of writes are far below 2^53")]
fn batches(out: &mut DescriptorEncoder<'_>, counts: &WriterCounts) -> Result<(), Error> {
    let last = counts.by_jobs.len() - 1;
    let bound = |place: usize| if place == last { f64::MAX } else { f64::from(1_u32 << place) };
    let buckets: Vec<(f64, u64)> =
        counts.by_jobs.iter().enumerate().map(|(place, count)| (bound(place), *count)).collect();
    let all = counts.by_jobs.iter().sum();
    let help = "writes that shared a transaction of the store";
    let mut encoder = out.encode_descriptor("store_batch_writes", help, None, MetricType::Histogram)?;
    encoder.encode_histogram::<[(&str, &str); 0]>(counts.jobs as f64, all, &buckets, None)
}

fn counters_by(
    out: &mut DescriptorEncoder<'_>,
    (name, help): Named,
    label: &'static str,
    rows: &[(&'static str, u64)],
) -> Result<(), Error> {
    let mut encoder = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in rows {
        ConstCounter::new(*count).encode(encoder.encode_family(&[(label, *value)])?)?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a microsecond more or less in three centuries")]
fn seconds(out: &mut DescriptorEncoder<'_>, (name, help): Named, us: u64) -> Result<(), Error> {
    let encoder = out.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
    ConstCounter::new(us as f64 / 1e6).encode(encoder)
}
