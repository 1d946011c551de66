//! What Prometheus is told; docs/metrics.md explains each.

mod parts;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tidemill_driver::Live;
use tidemill_sandbox::Sandbox;
use tidemill_store::{RunStatus, Store};

use self::parts::Parts;
use crate::ApiProblem;

/// Seconds: from what memory answers to what a person gives up on.
const LATENCIES: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

type LatencyFamily = Family<RouteLabels, Histogram, fn() -> Histogram>;

/// Counters and gauges of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: LatencyFamily,
    shed: Counter,
    runs: Family<StateLabels, Gauge>,
    mirrors: Family<StateLabels, Gauge>,
}

impl Metrics {
    pub(crate) fn new(store: Store, live: Arc<Live>, sandbox: Arc<Sandbox>) -> Self {
        let mut registry = Registry::with_prefix("tidemill");
        let requests = LatencyFamily::new_with_constructor(|| Histogram::new(LATENCIES) as Histogram);
        let (shed, runs) = (Counter::default(), Family::<StateLabels, Gauge>::default());
        let mirrors = Family::<StateLabels, Gauge>::default();
        registry.register_with_unit("request", "time until an answer began", Unit::Seconds, requests.clone());
        registry.register(
            "requests_shed",
            "requests turned away because too many were worked on",
            shed.clone(),
        );
        registry.register("runs", "runs in each state", runs.clone());
        registry.register("mirrors", "tables of the mirror in each state", mirrors.clone());
        registry.register_collector(Box::new(Parts { store, live, sandbox }));
        Self { registry: Mutex::new(registry), requests, shed, runs, mirrors }
    }

    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = RouteLabels { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub(crate) fn shed(&self) {
        self.shed.inc();
    }

    /// All of it, as Prometheus reads it.
    pub(crate) async fn text(&self, store: &Store) -> Result<String, ApiProblem> {
        let counts = store.run_counts().await?;
        for it in RunStatus::ALL {
            let count = counts.get(it.name()).copied().unwrap_or(0);
            let labels = StateLabels { state: it.name() };
            self.runs.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mirrors = store.mirror_counts().await?;
        let states = [("current", mirrors.current), ("behind", mirrors.behind), ("failing", mirrors.failing)];
        for (state, count) in states {
            self.mirrors.get_or_create(&StateLabels { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)
            .expect("writing to a text cannot fail");
        Ok(text)
    }
}
