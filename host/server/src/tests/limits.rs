//! What is too much, or not understood.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use expect_test::expect;
use serde_json::json;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

use super::{Bench, block_on};

#[test]
fn too_many_requests_at_one_time_are_turned_away() {
    block_on(async {
        let bench = Bench::start().await;
        let all = bench.context.options.limits.requests_max;
        let taken = bench.context.slots.acquire_many(u32::try_from(all).expect("few")).await.expect("open");
        let answer = bench.get("/healthz").await;
        assert_eq!(answer.headers["retry-after"], "1");
        expect![[r#"
            503 overloaded: the service works on 16 requests already
              to mend: try again in a moment"#]]
        .assert_eq(&answer.problem());
        drop(taken);
        assert_eq!(bench.get("/healthz").await.status, 200);
    });
}

#[test]
fn too_many_headers_and_too_large_a_body_are_refused() {
    block_on(async {
        let bench = Bench::start().await;
        let mut request = bench.request("GET", "/api/v1/whoami");
        for number in 0..10 {
            request = request.header(format!("x-{number}"), "1");
        }
        let answer = bench.send(request.body(Body::empty()).expect("a request")).await;
        assert!(answer.problem().starts_with("431 too-many-headers"), "{}", answer.problem());
        let large = json!({"name": "x".repeat(100_000), "role": "viewer"});
        let answer = bench.json("POST", "/api/v1/tokens", &large).await;
        assert!(answer.problem().starts_with("413 body-too-large"), "{}", answer.problem());
    });
}

#[test]
fn what_is_not_understood_is_told_as_a_problem() {
    block_on(async {
        let bench = Bench::start().await;
        for (path, code) in [
            ("/nope", "404 unknown-path: there is nothing at `/nope`"),
            ("/api/v1/tokens?limit=0", "400 bad-request: `limit` is 0"),
            ("/api/v1/tokens?limit=many", "400 bad-request: "),
            ("/api/v1/tokens?offset=3", "400 bad-request: "),
            ("/api/v1/tokens?cursor=zz", "400 bad-cursor: "),
            ("/api/v1/tokens?cursor=%C3%A9%C3%A9", "400 bad-cursor: "),
            ("/api/v1/pipelines/x/versions/y", "400 bad-request: "),
            ("/api/v1/tags/%ff", "400 bad-request: "),
            ("/api/v1/audit?since=soon", "422 bad-time: "),
        ] {
            let problem = bench.get(path).await.problem();
            assert!(problem.starts_with(code), "{path}: {problem}");
        }
        let put = bench.upload("PATCH", "/api/v1/tokens", "").await;
        assert!(put.problem().starts_with("405 unknown-method"), "{}", put.problem());
        let plain = bench.upload("POST", "/api/v1/tokens", "{}").await;
        assert!(plain.problem().starts_with("415 body-not-json"), "{}", plain.problem());
    });
}

#[test]
fn a_list_comes_in_parts() {
    block_on(async {
        let bench = Bench::start().await;
        for number in 0..4 {
            let asked = json!({"name": format!("t{number}"), "role": "viewer"});
            assert_eq!(bench.json("POST", "/api/v1/tokens", &asked).await.status, 201);
        }
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = bench.get(&format!("/api/v1/tokens?limit=2{cursor}")).await.json();
            let items = page["items"].as_array().expect("a list").iter();
            names.extend(items.map(|it| it["name"].as_str().expect("a name").to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(names, ["t3", "t2", "t1", "t0", "first"]);
    });
}

#[test]
fn a_panic_ends_one_request_with_a_problem() {
    block_on(async {
        let panicking: Router = Router::new()
            .route("/", get(async || -> &'static str { panic!("row 17 of salaries") }))
            .layer(CatchPanicLayer::custom(crate::observe::panicked));
        let request = Request::builder().uri("/").body(Body::empty()).expect("a request");
        let response = panicking.oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        assert!(!String::from_utf8_lossy(&body).contains("salaries"), "what went wrong inside stays inside");
    });
}

#[test]
fn every_answer_has_an_id_of_its_own() {
    block_on(async {
        let bench = Bench::start().await;
        let (one, two) = (bench.get("/healthz").await, bench.get("/nope").await);
        assert_ne!(one.headers["x-request-id"], two.headers["x-request-id"]);
    });
}
