//! A service whose tables lie in a bucket: the same tables, read by DuckDB from there, and outages outlasted.

use std::time::{Duration, Instant};

use crate::bucket::Bucket;
use crate::duckdb;
use crate::program::{Bench, guest};
use crate::service::{Service, assert_quiet};

/// A service on a bucket, the folder's commands logged in to it.
fn on(bench: &Bench, bucket: &Bucket) -> Service {
    let service = again_on(bench, bucket);
    let token = service.token.clone().expect("an empty store gives a first token");
    bench.done(&["login", &service.url, "--token", &token]);
    service
}

fn again_on(bench: &Bench, bucket: &Bucket) -> Service {
    Service::start_in(bench, &["--lake-url", Bucket::URL], &bucket.environment())
}

/// Asks for a run until it is as wanted.
#[track_caller]
fn until(bench: &Bench, run: &str, is_so: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let last = Instant::now() + Duration::from_secs(60);
    loop {
        let shown = bench.json(&["runs", "show", run]);
        if is_so(&shown) {
            return shown;
        }
        assert!(Instant::now() < last, "it never comes: {shown}");
    }
}

#[test]
fn tables_in_a_bucket_are_those_of_a_folder_and_duckdb_reads_them_there() {
    let bench = Bench::example("hello");
    bench.done(&["run", "."]);
    let mut bucket = Bucket::start();
    let _service = on(&bench, &bucket);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    let local = bench.done(&["show", "anomaly", "--lake", "lake", "--rows", "1000"]).stdout;
    assert_eq!(bench.done(&["show", "anomaly", "--rows", "1000"]).stdout, local);
    let keys = bucket.keys();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys.iter().all(|it| it.starts_with("tables/main/")), "{keys:?}");
    assert!(!bench.path("tidemill-data/lake").exists(), "nothing of it is on the disk");

    let secret = format!(
        "CREATE SECRET (TYPE s3, KEY_ID 'someone', SECRET 'tops3cret', REGION 'us-east-1', ENDPOINT '{}', \
         USE_SSL false, URL_STYLE 'path')",
        bucket.endpoint()
    );
    let address = duckdb::address(&format!("sqlite:{}", bench.path("tidemill-data/tidemill.db").display()));
    let table = bench.json(&["tables", "--node", "anomaly"])[0]["name"].as_str().expect("a name").to_owned();
    let rows = duckdb::python(&format!(
        "connection.execute(\"{secret}\")\nattach('{address}')\nquery('SELECT count(*) FROM lake.main.\"{table}\"')"
    ));
    let shown = bench.done(&["show", "anomaly", "--rows", "1000", "--format", "csv"]).stdout;
    assert_eq!(rows.trim(), format!("[[{}]]", shown.lines().count() - 1));

    // What nothing names is found there, and removed.
    bench.edit("pipeline.toml", "how warm", "how very warm");
    let data = bench.read("data/temperatures.csv");
    bench.write("data/temperatures.csv", data.trim_end().rsplit_once('\n').expect("several lines").0);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    assert_eq!(bucket.keys().len(), 4);
    assert_eq!(bench.json(&["lake", "expire", "--older-than", "0s", "--yes"])["files"], 2);
    assert_eq!(bucket.keys().len(), 2);
    assert_eq!(bench.json(&["lake", "gc", "--grace", "0s", "--yes"])["files"], 0);
    assert_quiet(&bench);
    assert!(!bench.read("serve.log").contains("tops3cret"));
}

#[test]
fn a_large_table_goes_in_parts_and_is_read_in_pieces() {
    let bench = Bench::empty();
    let mut csv = String::from("time,a,b,c,d\n");
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    for row in 0..450_000 {
        let (minute, second) = (row / 60, row % 60);
        let (hour, day) = (minute / 60 % 24, 1 + minute / 1440);
        let time = format!("2024-01-{day:02}T{hour:02}:{:02}:{second:02}Z", minute % 60);
        csv.push_str(&format!("{time},{},{},{},{}\n", random(), random(), random(), random()));
    }
    bench.write("ticks.csv", &csv);
    let text = format!(
        "[pipeline]\nname = \"large\"\n[tasks]\nidentity = \"{}\"\n[sources.ticks]\npath = \"ticks.csv\"\n\
         [nodes.copy]\ntask = \"identity\"\ninputs = {{ in = \"ticks\" }}\n",
        guest("identity")
    );
    bench.write("pipeline.toml", &text);
    bench.done(&["run", "."]);
    let mut bucket = Bucket::start();
    let mut service = on(&bench, &bucket);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "large", "--wait"]);
    // A process that has not just written it reads it from the bucket.
    let token = service.token.clone().expect("a token");
    assert_eq!(service.stop(), Some(0));
    let again = again_on(&bench, &bucket);
    bench.done(&["login", &again.url, "--token", &token]);
    bucket.down();
    let rows = ["show", "copy", "--columns", "a", "--rows", "7"];
    bench.refused(&rows, &["error[lake-io]", Bucket::URL, "to mend"]);
    bucket.up();
    for more in [
        &["--columns", "c,time", "--start", "2024-01-02T03:04:05Z", "--end", "2024-01-02T03:05:00Z"][..],
        &["--columns", "a", "--tail", "--rows", "7"],
    ] {
        let local = bench.done(&[&["show", "copy", "--lake", "lake"], more].concat());
        assert_eq!(bench.done(&[&["show", "copy"], more].concat()).stdout, local.stdout, "{more:?}");
    }
    bench.done(&["show", "copy", "--lake", "lake", "-o", "local.parquet"]);
    bench.done(&["show", "copy", "-o", "remote.parquet"]);
    let bytes = |name: &str| std::fs::read(bench.path(name)).expect("a file");
    assert!(bytes("local.parquet") == bytes("remote.parquet"));
    assert!(bytes("local.parquet").len() > 2 * (8 << 20), "it does not fit one part");
}

#[test]
fn an_outage_of_the_bucket_is_told_and_outlasted() {
    let bench = Bench::example("hello");
    let mut bucket = Bucket::start();
    let _service = on(&bench, &bucket);
    bench.done(&["deploy", "."]);
    bucket.down();
    let run = bench.json(&["run", "hello"])["id"].as_str().expect("an id").to_owned();
    let troubled = until(&bench, &run, |it| it["troubles"].get("temperatures").is_some());
    let troubles = &troubled["troubles"]["temperatures"];
    assert_eq!(troubles["code"], "lake-io");
    assert!(troubles["title"].as_str().expect("text").contains(Bucket::URL), "{troubles}");
    assert!(bench.read("serve.log").contains("the attempt begins again"));
    bucket.up();
    let ended = until(&bench, &run, |it| !it["ended_at"].is_null());
    assert_eq!(ended["state"], "succeeded");
    assert_eq!(ended["troubles"], serde_json::json!({}));
    assert_eq!(ended["record"]["nodes"][0]["attempts"], 1, "it is no failure");
    assert_eq!(bucket.keys().len(), 2, "what was begun and not ended is not left");
}

#[test]
fn a_bucket_that_cannot_be_had_is_told_at_the_start() {
    let bench = Bench::empty();
    let refused = |address: &str, texts: &[&str]| {
        let mut command = bench.command(&["serve", "--lake-url", address, "--listen", "127.0.0.1:0"]);
        for (name, value) in [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            ("AWS_ACCESS_KEY_ID", "someone"),
            ("AWS_SECRET_ACCESS_KEY", "tops3cret"),
        ] {
            command.env(name, value);
        }
        let called = crate::program::Called::new(&command.output().expect("start tidemill"));
        assert_eq!(called.code, Some(2), "{}", called.stderr);
        for text in texts {
            assert!(called.stderr.contains(text), "{text} is not in {}", called.stderr);
        }
        assert!(!called.stderr.contains("tops3cret"));
    };
    refused("s3://desk/tables", &["error[lake-io]", "s3://desk/tables", "to mend"]);
    refused("gs://desk/tables", &["error[lake-address]", "`s3://BUCKET/PREFIX`"]);
    refused("s3://", &["error[lake-address]", "names no bucket"]);
}

#[test]
fn a_bucket_without_a_prefix_is_a_lake_too() {
    let (bench, mut bucket) = (Bench::example("hello"), Bucket::start());
    let service = Service::start_in(&bench, &["--lake-url", "s3://desk/"], &bucket.environment());
    bench.done(&["login", &service.url, "--token", service.token.as_deref().expect("a token")]);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    assert!(bucket.keys().iter().all(|it| it.starts_with("main/")), "{:?}", bucket.keys());
    assert!(bench.done(&["show", "anomaly"]).stdout.lines().count() > 3);
}
