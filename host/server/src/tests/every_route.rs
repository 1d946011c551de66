//! What must hold for each route that the interface describes.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::{Bench, block_on};

/// Those that everybody may ask.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

async fn operations(bench: &Bench) -> Vec<(String, String, Value)> {
    let document = bench.get(crate::api::OPENAPI).await.json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            found.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

#[test]
fn no_route_answers_without_a_token_but_those_that_tell_health() {
    block_on(async {
        let bench = Bench::start().await;
        for (method, path, _) in operations(&bench).await {
            let at = path.replace(['{', '}'], "");
            let request = Request::builder().method(method.as_str()).uri(at).body(Body::empty());
            let answer = bench.send(request.expect("a request")).await;
            let is_open = OPEN.contains(&path.as_str());
            assert_eq!(answer.status == 401, !is_open, "{method} {path}: {}", answer.status);
        }
    });
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_and_says_how_it_refuses() {
    block_on(async {
        let bench = Bench::start().await;
        let mut names = BTreeSet::new();
        for (method, path, operation) in operations(&bench).await {
            let name = operation["operationId"].as_str().expect("a name").to_owned();
            assert!(names.insert(name.clone()), "two operations are called `{name}`");
            assert!(operation["summary"].as_str().is_some_and(|it| !it.is_empty()), "{method} {path}");
            let is_refusing = operation["responses"]["default"].is_object();
            assert!(is_refusing || OPEN.contains(&path.as_str()), "{method} {path}");
        }
    });
}

#[test]
fn the_viewer_and_health_are_open_and_metrics_count() {
    block_on(async {
        let bench = Bench::start().await;
        let open = |path: &str| Request::builder().uri(path).body(Body::empty()).expect("a request");
        for path in ["/healthz", "/readyz", "/api/v1/docs/", "/api/v1/openapi.json"] {
            assert_eq!(bench.send(open(path)).await.status, 200, "{path}");
        }
        bench.get("/api/v1/whoami").await;
        let text = String::from_utf8(bench.get("/metrics").await.bytes).expect("text");
        for line in [
            "tidemill_request_seconds_count{method=\"GET\",route=\"/api/v1/whoami\",status=\"200\"} 1",
            "tidemill_runs{state=\"queued\"} 0",
            "tidemill_mirrors{state=\"failing\"} 0",
            "tidemill_store_transactions_total",
            "tidemill_store_busy_seconds_total",
            "tidemill_store_batch_writes_bucket{le=\"1.0\"}",
            "tidemill_store_batch_writes_bucket{le=\"+Inf\"}",
            "tidemill_attempts_bytes_total{direction=\"out\"} 0",
            "tidemill_attempts_running 0",
            "tidemill_nodes_waiting 0",
            "tidemill_attempts_ended_total{outcome=\"failed\"} 0",
            "tidemill_attempts_seconds_total 0.0",
            "tidemill_components_loaded_total{from=\"cache\"} 0",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    });
}

#[test]
fn a_stopping_service_is_not_ready() {
    block_on(async {
        let bench = Bench::start().await;
        bench.context.stop();
        let answer = bench.get("/readyz").await;
        assert!(answer.problem().starts_with("503 not-ready: the service is not ready: it is stopping"));
        assert_eq!(bench.get("/healthz").await.status, 200);
    });
}
