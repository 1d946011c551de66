//! Components and tags.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use expect_test::expect;
use serde_json::json;

use super::{Bench, block_on, component, digest};

const PUSH: &str = "/api/v1/components";

#[track_caller]
fn assert_nothing_kept(bench: &Bench) {
    assert_eq!(bench.files("components"), Vec::<std::path::PathBuf>::new());
    assert_eq!(bench.files("files"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn an_upload_that_is_wrong_is_refused_and_leaves_nothing() {
    block_on(async {
        let bench = Bench::start().await;
        let refused = async |body: Body| bench.upload("POST", PUSH, body).await.problem();
        expect![[r#"
            422 not-wasm: `the upload` is not WebAssembly
              to mend: build the task with `tidemill build` and use the file that it prints"#]]
        .assert_eq(&refused(Body::from("#!/bin/sh\n")).await);
        let core = refused(Body::from(&b"\0asm\x01\0\0\0"[..])).await;
        assert!(core.starts_with("422 core-module"), "{core}");
        let import = wat::parse_str(r#"(component (import "acme:db/query@1.0.0" (instance)))"#).expect("WAT");
        expect![[r#"
            422 unknown-import: component `the upload` imports `acme:db/query@1.0.0`, which this host does not know
              to mend: remove what needs the import; a task may import `tidemill:task` and the WASI 0.2 interfaces of a language's runtime"#]]
        .assert_eq(&refused(Body::from(import)).await);
        let network =
            wat::parse_str(r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#).expect("WAT");
        assert!(refused(Body::from(network)).await.starts_with("422 capability-not-granted"));
        let newer =
            wat::parse_str(r#"(component (import "tidemill:task/data@1.7.0" (instance)))"#).expect("WAT");
        assert!(refused(Body::from(newer)).await.starts_with("422 newer-contract"));
        expect![[r#"
            413 body-too-large: the body is larger than 2000000 bytes
              to mend: send less, or raise the limit in the service's configuration"#]]
        .assert_eq(&refused(Body::from(vec![0; 2_000_001])).await);
        assert_nothing_kept(&bench);
        assert_eq!(bench.get(PUSH).await.json()["items"], json!([]));
    });
}

#[test]
fn an_upload_that_is_cut_off_or_has_another_digest_leaves_nothing() {
    block_on(async {
        let bench = Bench::start().await;
        let bytes = component("hello", "anomaly");
        let half = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
        let parts = [Ok(half), Err(std::io::Error::other("the client is gone"))];
        let cut = bench.upload("POST", PUSH, Body::from_stream(futures::stream::iter(parts))).await;
        assert!(cut.problem().starts_with("400 upload-cut-off"), "{}", cut.problem());
        let request = bench.request("POST", PUSH).header("x-content-digest", digest(b"another"));
        let wrong = bench.send(request.body(Body::from(bytes.clone())).expect("a request")).await;
        expect![[r#"
            422 wrong-digest: the body has the digest <digest>, not <digest>
              to mend: send it again; where it stays so, the file changed while it was sent"#]]
        .assert_eq(&wrong.problem());
        let path = format!("/api/v1/files/{}", digest(b"another"));
        assert!(bench.upload("PUT", &path, "one").await.problem().starts_with("422 wrong-digest"));
        assert_nothing_kept(&bench);
    });
}

#[test]
fn who_goes_away_in_the_middle_leaves_nothing() {
    block_on(async {
        let bench = Bench::start().await;
        let (send, parts) = tokio::sync::mpsc::channel::<Result<Bytes, Infallible>>(1);
        let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(parts));
        let request = bench.request("POST", PUSH).body(body).expect("a request");
        let upload = tokio::spawn(tower::ServiceExt::oneshot(bench.router.clone(), request));
        for _ in 0..3 {
            send.send(Ok(Bytes::from(vec![0; 600_000]))).await.expect("it is read");
        }
        assert_eq!(bench.files("components").len(), 1, "it is on its way");
        upload.abort();
        assert!(upload.await.expect_err("it was ended").is_cancelled());
        assert_nothing_kept(&bench);
    });
}

#[test]
fn a_component_is_pushed_shown_listed_and_pulled() {
    block_on(async {
        let bench = Bench::start().await;
        let bytes = component("hello", "anomaly");
        let pushed = bench.upload("POST", "/api/v1/components?tags=1.0.0,candidate", bytes.clone()).await;
        assert_eq!(pushed.status, 201, "{}", pushed.shown());
        let again = bench.upload("POST", "/api/v1/components?latest=false", bytes.clone()).await;
        assert_eq!((again.status.as_u16(), &again.json()["is_new"]), (200, &json!(false)));
        let shown = bench.get("/api/v1/components/anomaly:1.0.0").await.json();
        assert_eq!(shown["tags"], json!(["1.0.0", "candidate", "latest"]));
        assert_eq!((&shown["contract"], &shown["bytes"]), (&json!("1.1.0"), &json!(bytes.len())));
        assert_eq!(
            shown["inputs"][0]["columns"][1],
            json!({"name": "celsius", "type": "float64", "nullable": false})
        );
        let path = format!("/api/v1/components/{}/wasm", digest(&bytes));
        let pulled = bench.get(&path).await;
        assert_eq!(pulled.headers["x-content-digest"], digest(&bytes).as_str());
        assert!(pulled.bytes == bytes, "what is pulled is what was pushed");
        expect![[r#"
            200
            {
              "items": [
                {
                  "bytes": 827915,
                  "digest": "<digest>",
                  "name": "anomaly",
                  "pushed_at": "<time>",
                  "pushed_by": "first",
                  "summary": "How much warmer each day is than the average of the days up to it.",
                  "tags": [
                    "1.0.0",
                    "candidate",
                    "latest"
                  ]
                }
              ]
            }
        "#]]
        .assert_eq(&bench.get(PUSH).await.shown().replace(&bytes.len().to_string(), "827915"));
    });
}

#[test]
fn what_is_not_there_is_named_with_the_nearest() {
    block_on(async {
        let bench = Bench::start().await;
        bench.upload("POST", "/api/v1/components?tags=candidate", component("hello", "anomaly")).await;
        expect![[r#"
            404 unknown-component: there is no component `anomly`
              to mend: did you mean `anomaly`? `tidemill components` lists them"#]]
        .assert_eq(&bench.get("/api/v1/components/anomly").await.problem());
        expect![[r#"
            404 unknown-tag: component `anomaly` has no tag `candidat`
              to mend: did you mean `anomaly:candidate`? `tidemill components tags anomaly` lists them"#]]
        .assert_eq(&bench.get("/api/v1/components/anomaly:candidat").await.problem());
        let path = "/api/v1/components/..%2F..%2Fetc%2Fpasswd";
        assert!(bench.get(path).await.problem().starts_with("422 bad-component-name"));
    });
}

#[test]
fn a_version_never_moves_and_other_tags_move_with_a_history() {
    block_on(async {
        let bench = Bench::start().await;
        let (one, two) = (component("hello", "anomaly"), other_anomaly());
        bench.upload("POST", "/api/v1/components?tags=1.0.0,stable", one.clone()).await;
        let refused = bench.upload("POST", "/api/v1/components?tags=stable,1.0.0", two.clone()).await;
        expect![[r#"
            409 tag-fixed: `anomaly:1.0.0` is a version and points at <short> for good, not at <short>
              to mend: push it under a new version; only other tags move"#]]
        .assert_eq(&refused.problem());
        assert_eq!(bench.files("components").len(), 1, "what was refused is not kept");
        assert_eq!(
            bench.upload("POST", "/api/v1/components?tags=stable,1.1.0", two.clone()).await.status,
            201
        );
        let tags = bench.get("/api/v1/tags/anomaly").await.json();
        let pairs = tags["items"].as_array().expect("a list").iter();
        let pairs: Vec<(&str, bool)> =
            pairs.map(|it| (it["tag"].as_str().expect("a tag"), it["digest"] == digest(&two))).collect();
        assert_eq!(pairs, [("1.0.0", false), ("1.1.0", true), ("latest", true), ("stable", true)]);
        let set = json!({"digest": digest(&one)});
        assert_eq!(bench.json("PUT", "/api/v1/tags/anomaly/stable", &set).await.status, 200);
        assert_eq!(bench.delete("/api/v1/tags/anomaly/stable").await.status, 200);
        let history = bench.get("/api/v1/tags/anomaly/stable/history").await.json();
        let moves = history["items"].as_array().expect("a list").iter();
        let moves: Vec<_> = moves.map(|it| (it["digest"].clone(), it["who"].clone())).collect();
        let (by, of) = (json!("first"), |it: &[u8]| json!(digest(it)));
        assert_eq!(
            moves,
            [(json!(null), by.clone()), (of(&one), by.clone()), (of(&two), by.clone()), (of(&one), by)]
        );
        assert_eq!(bench.delete("/api/v1/tags/anomaly/1.0.0").await.status, 200);
        let back = bench.json("PUT", "/api/v1/tags/anomaly/1.0.0", &json!({"digest": digest(&two)})).await;
        assert!(back.problem().starts_with("409 tag-fixed"), "also not by way of taking it away");
        for tag in ["..%2Fx", "a%20b", "-x"] {
            let answer = bench.json("PUT", &format!("/api/v1/tags/anomaly/{tag}"), &set).await;
            assert!(answer.problem().starts_with("422 bad-tag"), "{tag}");
        }
        let wrong = bench.json("PUT", "/api/v1/tags/lasso/x", &set).await;
        assert!(wrong.problem().starts_with("422 tag-of-another"), "{}", wrong.problem());
    });
}

/// The same task, of another digest: an empty custom section follows.
fn other_anomaly() -> Vec<u8> {
    let mut bytes = component("hello", "anomaly");
    bytes.extend([0, 2, 1, b'x']);
    bytes
}

#[test]
fn a_deleted_component_is_gone_with_its_tags_and_bytes() {
    block_on(async {
        let bench = Bench::start().await;
        bench.upload("POST", PUSH, component("hello", "anomaly")).await;
        assert_eq!(bench.delete("/api/v1/components/anomaly").await.status, 200);
        assert!(bench.get("/api/v1/components/anomaly").await.problem().starts_with("404 unknown-component"));
        assert_nothing_kept(&bench);
        assert_eq!(bench.json("POST", "/api/v1/collect", &json!({})).await.json()["components"], json!([]));
    });
}
