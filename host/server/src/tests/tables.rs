//! Tables that runs have written, as others read them.

use std::fmt::Write as _;
use std::io::Cursor;
use std::time::Duration;

use arrow::ipc::reader::{FileReader, StreamReader};
use axum::body::Body;
use expect_test::expect;
use serde_json::{Value, json};
use tidemill_plan::{Digest, TableName};
use tidemill_store::{Patience, Role};

use super::{Answer, Bench, block_on, component, digest};

const PIPELINE: &str = r#"[pipeline]
name = "hello"

[parameters.sorted]
type = "boolean"
default = false

[sources.temperatures]
path = "data/t.csv"
time_index = "time_index"
sort = "{{ sorted }}"

[nodes.anomaly]
task = "anomaly"
inputs = { temperatures = "temperatures" }
"#;

const DAYS: usize = 40;

fn csv() -> String {
    let mut text = "time_index,celsius\n".to_owned();
    for day in 0..DAYS {
        writeln!(text, "2024-{:02}-{:02}T00:00:00Z,{}.5", day / 28 + 1, day % 28 + 1, day).expect("text");
    }
    text
}

/// A service with a deployed pipeline.
async fn deployed() -> Bench {
    let bench = Bench::start().await;
    let pushed = bench.upload("POST", "/api/v1/components", component("hello", "anomaly")).await;
    assert_eq!(pushed.status, 201, "{}", pushed.shown());
    let text = csv();
    let digest = digest(text.as_bytes());
    let kept = bench.upload("PUT", &format!("/api/v1/files/{digest}"), text.clone()).await;
    assert_eq!(kept.status, 201, "{}", kept.shown());
    let file = json!({"path": "data/t.csv", "digest": digest, "bytes": text.len()});
    let request = json!({"text": PIPELINE, "file_name": "p.toml", "files": [file]});
    let deployed = bench.json("POST", "/api/v1/pipelines", &request).await;
    assert_eq!(deployed.status, 201, "{}", deployed.shown());
    bench
}

/// Runs the pipeline to its end; the run's id.
async fn run(bench: &Bench, set: &[&str]) -> String {
    let mut moves = bench.context.live.moves();
    let request = json!({"pipeline": "hello", "set": set});
    let begun = bench.json("POST", "/api/v1/runs", &request).await;
    assert_eq!(begun.status, 201, "{}", begun.shown());
    let id = begun.json()["id"].as_str().expect("an id").to_owned();
    loop {
        let moved = tokio::time::timeout(Duration::from_secs(60), moves.recv()).await;
        let moved = moved.expect("it goes on").expect("the service is there");
        if moved.run.0 == id && moved.has_ended {
            break;
        }
    }
    let ended = bench.get(&format!("/api/v1/runs/{id}")).await.json();
    assert_eq!(ended["state"], "succeeded", "{ended}");
    id
}

/// Ids of tables made equal, besides all else that differs.
fn masked(answer: &Answer) -> String {
    let mut shown = String::new();
    for part in answer.shown().split_inclusive(['"', '`', ' ', '\n']) {
        let is_id = |it: &str| it.len() == 32 && it.bytes().all(|it| it.is_ascii_hexdigit());
        match part.trim_end_matches(['"', '`', ',']).rsplit_once('_').filter(|(_, it)| is_id(it)) {
            Some((name, id)) => {
                shown.push_str(&part.replace(&format!("{name}_{id}"), &format!("{name}_<id>")))
            }
            None => shown.push_str(part),
        }
    }
    shown
}

/// The full name of the only table of a node.
async fn name_of(bench: &Bench, node: &str) -> String {
    let shown = bench.get(&format!("/api/v1/tables/{node}")).await;
    assert_eq!(shown.status, 200, "{}", shown.shown());
    shown.json()["name"].as_str().expect("a name").to_owned()
}

#[test]
fn tables_are_listed_with_who_wrote_them() {
    block_on(async {
        let bench = deployed().await;
        assert_eq!(bench.get("/api/v1/tables").await.json(), json!({"items": []}));
        let id = run(&bench, &[]).await;
        let answer = bench.get("/api/v1/tables?limit=1").await;
        let next = answer.json()["next"].as_str().expect("there is more").to_owned();
        expect![[r#"
            200
            {
              "items": [
                {
                  "author": "tidemill",
                  "bytes": 1630,
                  "committed_at": "<time>",
                  "component": "<digest>",
                  "digest": "<digest>",
                  "is_expired": false,
                  "mode": "replace",
                  "name": "anomaly_<id>",
                  "node": "anomaly",
                  "rows": 40,
                  "run": "<run>",
                  "task": "anomaly",
                  "version": 2
                }
              ],
              "next": "<cursor>"
            }
        "#]]
        .assert_eq(&masked(&answer).replace(&id, "<run>").replace(&next, "<cursor>"));
        let rest = bench.get(&format!("/api/v1/tables?cursor={next}")).await.json();
        assert_eq!((rest["items"][0]["node"].as_str(), rest.get("next")), (Some("temperatures"), None));
        let count = async |query: &str| {
            let found = bench.get(&format!("/api/v1/tables?{query}")).await.json();
            found["items"].as_array().expect("a list").len()
        };
        assert_eq!(count("containing=ANOM").await, 1);
        assert_eq!(count("containing=x").await, 0);
        assert_eq!(count("node=temperatures").await, 1);
        assert_eq!(count("pipeline=hello").await, 2);
        assert_eq!(count("pipeline=other").await, 0);
        let refused = bench.get("/api/v1/tables?containing=%00").await.problem();
        assert!(refused.starts_with("400 bad-request"), "{refused}");
    });
}

#[test]
fn a_table_is_described() {
    block_on(async {
        let bench = deployed().await;
        let id = run(&bench, &[]).await;
        let answer = bench.get("/api/v1/tables/anomaly").await;
        expect![[r#"
            200
            {
              "author": "tidemill",
              "bytes": 1630,
              "columns": [
                {
                  "name": "time_index",
                  "nullable": false,
                  "type": "timestamp[us, UTC]"
                },
                {
                  "name": "celsius",
                  "nullable": false,
                  "type": "float64"
                }
              ],
              "committed_at": "<time>",
              "component": "<digest>",
              "digest": "<digest>",
              "files": 1,
              "first": "<time>",
              "identifiers": [],
              "is_expired": false,
              "last": "<time>",
              "mirrors": [],
              "mode": "replace",
              "name": "anomaly_<id>",
              "node": "anomaly",
              "others": 0,
              "progress": {
                "furthest": "<time>",
                "keys": 1,
                "least": "<time>"
              },
              "rows": 40,
              "run": "<run>",
              "task": "anomaly",
              "time_index": "time_index",
              "version": 2
            }
        "#]]
        .assert_eq(&masked(&answer).replace(&id, "<run>"));
    });
}

#[test]
fn a_name_means_a_table_its_beginning_or_the_newest_of_a_node() {
    block_on(async {
        let bench = deployed().await;
        run(&bench, &[]).await;
        let first = name_of(&bench, "anomaly").await;
        run(&bench, &["sorted=true"]).await;
        let second = bench.get("/api/v1/tables/anomaly").await.json();
        assert_ne!(second["name"], first);
        assert_eq!(second["others"], 1);
        // A run that reuses a table is newer than the one that wrote another.
        run(&bench, &[]).await;
        assert_eq!(name_of(&bench, "anomaly").await, first);
        let (beginning, _) = first.split_at(first.len() - 5);
        for typed in [&*first, beginning] {
            assert_eq!(name_of(&bench, typed).await, first, "{typed}");
        }
        let several = bench.get("/api/v1/tables/anomaly_").await.problem();
        assert!(several.starts_with("422 ambiguous-table: `anomaly_` means 2 tables"), "{several}");
        assert!(several.contains(&format!("`{first}` (node `anomaly`)")), "{several}");
        let unknown = bench.get("/api/v1/tables/anomly").await.problem();
        expect![[r#"
            404 unknown-table: there is no table `anomly`
              to mend: did you mean `anomaly`? `tidemill tables` lists them all"#]]
        .assert_eq(&unknown);
        for typed in ["%00", "anomaly%00", "anom", &"x".repeat(600)] {
            let unknown = bench.get(&format!("/api/v1/tables/{typed}")).await.problem();
            assert!(unknown.starts_with("404 unknown-table"), "{unknown}");
        }
    });
}

#[test]
fn versions_are_told_with_what_they_were_made_of() {
    block_on(async {
        let bench = deployed().await;
        let id = run(&bench, &[]).await;
        let answer = bench.get("/api/v1/tables/anomaly/history").await;
        expect![[r#"
            200
            {
              "items": [
                {
                  "author": "tidemill",
                  "bytes": 1630,
                  "committed_at": "<time>",
                  "component": "<digest>",
                  "digest": "<digest>",
                  "is_expired": false,
                  "mode": "replace",
                  "name": "anomaly_<id>",
                  "node": "anomaly",
                  "reads": [
                    {
                      "digest": "<digest>",
                      "table": "temperatures_<id>",
                      "version": 1
                    }
                  ],
                  "rows": 40,
                  "run": "<run>",
                  "task": "anomaly",
                  "version": 2
                }
              ]
            }
        "#]]
        .assert_eq(&masked(&answer).replace(&id, "<run>"));
        let up = bench.get("/api/v1/tables/anomaly/lineage?direction=up").await;
        expect![[r#"
            200
            {
              "steps": [
                {
                  "distance": 1,
                  "read": {
                    "digest": "<digest>",
                    "table": "temperatures_<id>",
                    "version": 1
                  },
                  "table": "anomaly_<id>",
                  "version": 2
                }
              ],
              "table": "anomaly_<id>"
            }
        "#]]
        .assert_eq(&masked(&up));
        let down = bench.get("/api/v1/tables/temperatures/lineage?direction=down").await.json();
        assert_eq!(down["steps"], up.json()["steps"]);
        let of_one = bench.get("/api/v1/tables/temperatures/lineage?direction=down&at=1").await.json();
        assert_eq!(of_one["steps"].as_array().map(Vec::len), Some(1), "{of_one}");
        for query in ["", "?direction=sideways", "?direction=up&at=never"] {
            let refused = bench.get(&format!("/api/v1/tables/anomaly/lineage{query}")).await;
            assert!(refused.status.is_client_error(), "{}", refused.shown());
        }
    });
}

#[test]
fn rows_come_in_the_format_that_is_asked_for() {
    block_on(async {
        let bench = deployed().await;
        run(&bench, &[]).await;
        let path = "/api/v1/tables/temperatures/rows";
        let as_json = bench.get(path).await;
        assert_eq!(as_json.headers["content-type"], "application/json");
        assert_eq!(as_json.headers["x-table-rows"], DAYS.to_string());
        let rows = as_json.json();
        assert_eq!(rows.as_array().map(Vec::len), Some(DAYS));
        assert_eq!(rows[1], json!({"time_index": "2024-01-02T00:00:00Z", "celsius": 1.5}));
        let lines = bench.get(&format!("{path}?format=json-lines&limit=2")).await;
        let text = String::from_utf8(lines.bytes).expect("text");
        let parsed: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).expect("JSON")).collect();
        assert_eq!(parsed, rows.as_array().expect("a list")[..2]);
        let csv = bench.get(&format!("{path}?format=csv&columns=celsius,time_index&tail=1")).await;
        assert_eq!(csv.headers["content-type"], "text/csv");
        assert_eq!(
            String::from_utf8(csv.bytes).expect("text"),
            "celsius,time_index\n39.5,2024-02-12T00:00:00Z\n"
        );
        let request = bench.request("GET", path).header("accept", "application/vnd.apache.arrow.stream");
        let stream = bench.send(request.body(Body::empty()).expect("a request")).await;
        let reader = StreamReader::try_new(Cursor::new(stream.bytes), None).expect("a stream");
        assert_eq!(reader.map(|it| it.expect("a batch").num_rows()).sum::<usize>(), DAYS);
        let file = bench.get(&format!("{path}?format=arrow-file&start=2024-01-10&end=2024-01-12")).await;
        let reader = FileReader::try_new(Cursor::new(file.bytes), None).expect("a file");
        assert_eq!(reader.map(|it| it.expect("a batch").num_rows()).sum::<usize>(), 2);
        let parquet = bench.get(&format!("{path}?format=parquet&limit=0")).await;
        assert!(parquet.bytes.starts_with(b"PAR1") && parquet.bytes.ends_with(b"PAR1"));
        assert_eq!(bench.get(&format!("{path}?limit=0")).await.json(), json!([]));
        let request = bench.request("GET", path).header("accept", "image/png");
        let refused = bench.send(request.body(Body::empty()).expect("a request")).await.problem();
        assert!(refused.starts_with("406 not-acceptable"), "{refused}");
        for (query, expected) in [
            ("limit=1&tail=1", "400 bad-request"),
            ("columns=celcius", "422 column-unknown"),
            ("start=never", "422 bad-time"),
            ("at=never", "422 bad-time"),
            ("at=99", "404 unknown-snapshot"),
            ("at=0", "404 unknown-snapshot"),
            ("at=2020-01-01", "404 unknown-snapshot"),
            ("format=xml", "400 bad-request"),
        ] {
            let refused = bench.get(&format!("{path}?{query}")).await.problem();
            assert!(refused.starts_with(expected), "{query}: {refused}");
        }
    });
}

/// Makes the table of a node again from `base`, with the same rows.
async fn write_again(bench: &Bench, node: &str) -> i64 {
    let name = TableName(name_of(bench, node).await);
    let (lake, tables) = (bench.context.lake.clone(), bench.context.tables.clone());
    let written = tokio::task::spawn_blocking(move || {
        let manifest = tidemill_lake::Manifests::current(&tables, &name).expect("a lake").expect("a table");
        let options = tidemill_lake::WriterOptions {
            schema: manifest.schema.clone(),
            time_index: manifest.time_index.clone(),
            identifiers: manifest.identifiers.clone(),
            mode: tidemill_plan::WriteMode::Replace,
            attempt: "again-1".to_owned(),
        };
        let reader = lake.reader(&manifest, tidemill_lake::ReadOptions::default()).expect("a reader");
        let mut writer = lake.writer(&manifest.window, &manifest.table, options).expect("a writer");
        for it in reader {
            // Not all rows, so that it is another snapshot.
            writer.write(&it.expect("a batch").slice(0, DAYS - 1)).expect("written");
        }
        let progress = writer.progress();
        let provenance = tidemill_lake::Provenance { cache_key: Digest::of(b"again"), ..manifest.provenance };
        (writer.finish(provenance).expect("finished"), progress)
    });
    let (manifest, progress) = written.await.expect("it does not panic");
    let write = tidemill_driver::table_write(&manifest, progress, &tidemill_driver::Making::default());
    let commit = tidemill_store::CatalogCommit {
        at: crate::clock::now(),
        author: "test".to_owned(),
        message: "again".to_owned(),
        tables: vec![write.expect("it is new")],
    };
    let patience = Patience::For(Duration::from_secs(5));
    let committed = bench.context.store.write(patience, move |tx| {
        let commit = commit.clone();
        Box::pin(async move { tidemill_store::commit_tables(tx, &commit).await })
    });
    committed.await.expect("committed")
}

#[test]
fn older_snapshots_are_read_until_they_expire() {
    block_on(async {
        let bench = deployed().await;
        run(&bench, &[]).await;
        let one = bench.get("/api/v1/tables/temperatures").await.json();
        let before = one["version"].as_i64().expect("a number");
        let after = write_again(&bench, "temperatures").await;
        let path = "/api/v1/tables/temperatures/rows";
        let rows = async |at: String| bench.get(&format!("{path}?at={at}")).await;
        assert_eq!(rows(before.to_string()).await.headers["x-table-rows"], DAYS.to_string());
        assert_eq!(rows(after.to_string()).await.headers["x-table-rows"], (DAYS - 1).to_string());
        let at = one["committed_at"].as_str().expect("a time");
        assert_eq!(rows(at.to_owned()).await.headers["x-table-version"], before.to_string());
        let look = json!({"older_than_seconds": 0, "dry_run": true});
        let would = bench.json("POST", "/api/v1/lake/expire", &look).await.json();
        assert_eq!(would, json!({"snapshots": 3}));
        assert_eq!(rows(before.to_string()).await.status, 200);
        let done = bench.json("POST", "/api/v1/lake/expire", &json!({"older_than_seconds": 0})).await.json();
        assert_eq!((&done["snapshots"], &done["files"]), (&json!(3), &json!(1)));
        let expired = rows(before.to_string()).await.problem();
        assert!(expired.starts_with("410 snapshot-expired"), "{expired}");
        let history = bench.get("/api/v1/tables/temperatures/history").await.json();
        assert_eq!(history["items"][1]["is_expired"], true);
        let refused = json!({"older_than_seconds": 0, "keep": 0});
        let refused = bench.json("POST", "/api/v1/lake/expire", &refused).await.problem();
        assert!(refused.starts_with("400 bad-request"), "{refused}");
    });
}

#[test]
fn files_that_nothing_names_are_found_and_removed_and_small_ones_put_together() {
    block_on(async {
        let bench = deployed().await;
        run(&bench, &[]).await;
        let name = name_of(&bench, "temperatures").await;
        let orphan = bench.folder.path().join("data/lake/main").join(&name).join("part-x-1.parquet");
        std::fs::write(&orphan, "12345").expect("write a file");
        let collect = async |body: Value| bench.json("POST", "/api/v1/lake/gc", &body).await.json();
        assert_eq!(collect(json!({})).await["files"], 0, "it is young");
        let would = collect(json!({"grace_seconds": 0, "dry_run": true})).await;
        assert_eq!((&would["files"], &would["bytes"]), (&json!(1), &json!(5)));
        assert!(would["listed"][0]["path"].as_str().is_some_and(|it| it.ends_with("part-x-1.parquet")));
        assert!(orphan.exists());
        collect(json!({"grace_seconds": 0})).await;
        assert!(!orphan.exists());
        let compacted = bench.json("POST", "/api/v1/lake/compact", &json!({})).await.json();
        assert_eq!(compacted, json!({"tables": 2, "compacted": [], "refused": []}));
        let one = bench.json("POST", "/api/v1/lake/compact", &json!({"table": "anomaly"})).await.json();
        assert_eq!(one["tables"], 1);
        let unknown = bench.json("POST", "/api/v1/lake/compact", &json!({"table": "nope"})).await.problem();
        assert!(unknown.starts_with("404 unknown-table"), "{unknown}");
        let operator = bench.token(Role::Operator, None).await;
        for path in ["gc", "expire", "compact"] {
            let request = axum::http::Request::builder().method("POST").uri(format!("/api/v1/lake/{path}"));
            let request = request.header("authorization", format!("Bearer {}", operator.secret));
            let refused = bench.send(request.body(Body::empty()).expect("a request")).await.problem();
            assert!(refused.starts_with("403 role-too-small"), "{refused}");
        }
        let audit = bench.get("/api/v1/audit").await.json();
        assert_eq!(audit["items"][3]["action"], "POST /api/v1/lake/compact", "{audit}");
    });
}
