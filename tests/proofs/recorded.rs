//! What a run's record keeps, and how `runs` shows it.

use std::path::Path;

use serde_json::{Value, json};

use super::{digest, edit_record, id, list, named, replay, verdicts};
use crate::kill::start_and_read;
use crate::limits::misbehaving;
use crate::program::Bench;

#[test]
fn a_record_holds_all_that_repeats_a_run() {
    let bench = Bench::example("etf-replicator");
    bench.run(&["--set", "in_window=120", "--start", "2000-01-03", "--as-of", "2020-01-02"]);
    let record = bench.json(&["runs", "show"]);
    assert_eq!(record["pipeline_text"], bench.read("pipeline.toml"));
    assert_eq!(record["parameters"]["in_window"], json!({"value": 120, "from": "set"}));
    assert_eq!(record["parameters"]["lasso_alpha"], json!({"value": 0.001, "from": "default"}));
    assert_eq!((&record["host"], &record["contract"]), (&"0.1.0".into(), &"1.1.0".into()));
    // Nanoseconds since 1970.
    let window =
        json!({"start": 946_857_600_000_000_000_i64, "end": null, "as_of": 1_577_923_200_000_000_000_i64});
    assert_eq!(record["window"], window);
    let components = list(&record["components"]);
    assert_eq!(components.len(), 4, "each once: {components:?}");
    let lasso = named(&record["components"], "reference", "lasso");
    assert_eq!(lasso["digest"], digest(&bench, "components/lasso.wasm"));
    assert!(Path::new(lasso["path"].as_str().expect("a path")).is_absolute(), "{lasso}");
    let prices = named(&record["nodes"], "node", "prices");
    let bytes = std::fs::metadata(bench.path("data/sp500_prices.parquet")).expect("the file is there").len();
    let file = &prices["files"][0];
    assert_eq!((&file["path"], &file["bytes"]), (&"data/sp500_prices.parquet".into(), &bytes.into()));
    assert_eq!(file["digest"].as_str().map(str::len), Some(64));
    assert_eq!((&prices["seed"], &prices["component"]), (&Value::Null, &Value::Null), "of a source");
    let node = named(&record["nodes"], "node", "lasso");
    assert_eq!(node["seed"].as_str().map(str::len), Some(16));
    assert_eq!(node["component"], lasso["digest"]);
    assert_eq!(node["resources"], json!({"cpus_milli": 1000, "memory_bytes": 512 << 20}));
    assert_eq!(node["limits"]["log_bytes"], 16 << 20);
    let attempt = &node["history"][0];
    let rows =
        |node: &str| named(&record["nodes"], "node", node)["tables"][0]["rows"].as_u64().expect("rows");
    assert_eq!((&attempt["attempt"], &attempt["outcome"]), (&1.into(), &"computed".into()));
    assert_eq!(attempt["rows_in"], rows("returns") + rows("index_returns"));
    assert_eq!(attempt["rows_out"], rows("lasso"));
    for it in ["bytes_in", "bytes_out", "memory_peak_bytes", "wall_us"] {
        assert!(attempt[it].as_u64().is_some_and(|it| it > 0), "{it} of {attempt}");
    }
    assert!(attempt["began_at"].as_i64() <= attempt["ended_at"].as_i64(), "{attempt}");
    let shown = bench.done(&["runs", "show"]).stdout;
    let times = ["start     2000-01-03", "as of     2020-01-02"];
    for it in
        [&["in_window", "data/sp500_prices.parquet", "lasso#1", "512 MiB", "contract 1.1.0"][..], &times]
            .concat()
    {
        assert!(shown.contains(it), "`{it}` in:\n{shown}");
    }
}

#[test]
fn every_attempt_is_recorded_with_what_ended_it() {
    let bench = Bench::empty();
    let retry = "retry = { policy = \"fixed\", max = 2, delay = \"1ms\" }\ntimeout = \"90s\"";
    bench.write("pipeline.toml", &misbehaving("retryable", retry));
    bench.fails(&["run", ".", "--keep-going"], &["the feed is not there yet"]);
    let record = bench.json(&["runs", "show"]);
    let bad = named(&record["nodes"], "node", "bad");
    let outcomes: Vec<_> =
        list(&bad["history"]).iter().map(|it| (it["attempt"].clone(), it["outcome"].clone())).collect();
    let failed = |attempt: u32| (attempt.into(), "failed".into());
    assert_eq!(outcomes, [failed(1), failed(2), failed(3)]);
    assert!(list(&bad["history"]).iter().all(|it| it["error"] == bad["error"]["code"]), "{bad}");
    assert_eq!(bad["limits"]["timeout_ms"], 90_000);
    let shown = bench.done(&["runs", "show"]).stdout;
    assert!(shown.contains("64 MiB, 1m30s"), "limits:\n{shown}");
    let (_, errors) = shown.split_once("bad#3").expect("three attempts");
    assert!(errors.contains("the feed is not there yet\n  in: node `bad`, attempt 3"), "{shown}");
}

#[test]
fn runs_are_listed_newest_first_and_by_how_they_ended() {
    let bench = Bench::example("hello");
    let first = bench.run(&[]);
    let reused = bench.run(&[]);
    std::fs::remove_file(bench.path("data/temperatures.csv")).expect("remove file");
    bench.fails(&["run", "."], &["error[source-missing]"]);
    let runs = bench.json(&["runs"]);
    let states: Vec<&Value> = list(&runs).iter().map(|it| &it["state"]).collect();
    assert_eq!(states, ["failed", "succeeded", "succeeded"]);
    assert_eq!((id(&runs[1]), id(&runs[2])), (id(&reused), id(&first)));
    assert_eq!((&runs[0]["nodes"]["failed"], &runs[0]["nodes"]["skipped"]), (&1.into(), &1.into()));
    assert_eq!((&runs[1]["nodes"]["reused"], &runs[2]["nodes"]["computed"]), (&2.into(), &2.into()));
    assert_eq!(list(&bench.json(&["runs", "--state", "failed"])), &list(&runs)[..1]);
    assert_eq!(list(&bench.json(&["runs", "--pipeline", "hello"])).len(), 3);
    let none = bench.done(&["runs", "--pipeline", "helo"]);
    assert_eq!(none.stdout, "");
    assert!(none.stderr.contains("no such runs; did you mean `hello`?"), "{}", none.stderr);
    let shown = bench.done(&["runs"]).stdout;
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(shown.contains("1 failed, 1 skipped"), "{shown}");
}

#[test]
fn a_reused_table_tells_the_run_that_wrote_it() {
    let bench = Bench::example("hello");
    let first = bench.run(&[]);
    let reused = bench.run(&[]);
    assert_eq!(named(&reused["nodes"], "node", "anomaly")["tables"][0]["written_by"], *id(&first));
    let shown = bench.done(&["runs", "show"]).stdout;
    assert!(shown.contains("written by") && shown.contains(id(&first)), "{shown}");
    assert!(!bench.done(&["runs", "show", id(&first)]).stdout.contains("written by"), "its own tables");
}

#[test]
fn a_run_is_named_by_its_id_or_the_beginning_of_it() {
    let bench = Bench::example("hello");
    bench.refused(&["runs"], &["error[lake-missing]", "to mend"]);
    let first = bench.run(&[]);
    bench.run(&[]);
    // Milliseconds and some of what tells runs of one apart.
    let prefix = id(&first).get(..id(&first).len() - 2).expect("an id is ASCII");
    let later = bench.json(&["runs"]);
    assert_eq!(bench.json(&["runs", "show", prefix])["run"], first["run"]);
    for command in
        [&["runs", "show", "2"][..], &["replay", "2"], &["diff", "last", "2"], &["run", "--from", "2"]]
    {
        bench.refused(command, &["error[ambiguous-run]: `2` begins the names of 2 runs", "to mend"]);
    }
    for command in [
        &["runs", "show", "nope"][..],
        &["replay", "nope"],
        &["diff", "nope", "last"],
        &["run", "--from", "nope"],
    ] {
        bench.refused(command, &["error[unknown-run]", "`nope`", "to mend", id(&later[0])]);
    }
}

#[test]
fn a_killed_run_is_running_until_it_is_lost() {
    let bench = Bench::empty();
    bench.write("pipeline.toml", &misbehaving("endless-loop", ""));
    let mut child = start_and_read(&bench, &["run", ".", "--jobs", "2"], 1);
    assert_eq!(bench.json(&["runs", "show"])["state"], "running");
    bench.refused(&["replay", "last"], &["error[run-not-over]", "to mend"]);
    child.kill().expect("kill tidemill");
    child.wait().expect("wait for tidemill");
    let runs = bench.json(&["runs", "--state", "lost"]);
    assert_eq!(list(&runs).len(), 1, "{runs}");
    assert_eq!((&runs[0]["state"], &runs[0]["ended_at"]), (&"lost".into(), &Value::Null));
    assert_eq!(bench.json(&["runs", "show"])["state"], "lost");
    bench.refused(&["replay", "last"], &["error[nothing-to-replay]", id(&runs[0]), "to mend"]);
}

#[test]
fn of_a_cancelled_run_what_had_ended_well_is_replayed() {
    let bench = Bench::empty();
    bench.write("pipeline.toml", &misbehaving("endless-loop", ""));
    let child = start_and_read(&bench, &["run", ".", "--jobs", "2"], 1);
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("start kill").success());
    assert_eq!(child.wait_with_output().expect("wait for tidemill").status.code(), Some(1));
    let record = bench.json(&["runs", "show"]);
    assert_eq!(record["state"], "cancelled");
    assert_eq!(named(&record["nodes"], "node", "bad")["history"][0]["outcome"], "stopped");
    let replayed = replay(&bench, &["last"], 0);
    assert_eq!(verdicts(&replayed), [("good".to_owned(), "equal".to_owned())]);
    assert_eq!(replayed["left_out"], json!(["bad"]));
    let told = bench.done(&["replay", "last"]).stderr;
    assert!(told.contains("not replayed, since they had not ended well: bad"), "{told}");
    bench.refused(&["replay", "last", "--node", "bad"], &["error[nothing-to-replay]", "`bad`", "to mend"]);
}

#[test]
fn a_record_that_is_damaged_or_odd_is_told_and_hides_no_other() {
    let bench = Bench::example("hello");
    let first = bench.run(&[]);
    let second = bench.run(&[]);
    let path = format!("lake/runs/{}/run.json", id(&second));
    let whole = bench.read(&path);
    bench.write(&path, "{");
    let told = bench.done(&["runs", "--json"]);
    assert!(told.stderr.contains("error[run-record-unreadable]"), "{}", told.stderr);
    let runs: Value = serde_json::from_str(&told.stdout).expect("JSON on stdout");
    assert_eq!((list(&runs).len(), id(&runs[0])), (1, id(&first)));
    for command in [&["runs", "show"][..], &["replay", "last"], &["diff", "last", id(&first)]] {
        bench.refused(command, &["error[run-record-unreadable]", "run.json", "to mend"]);
    }
    bench.write(&path, &whole.replace("\"format\": 2", "\"format\": 99"));
    bench.refused(&["runs", "show"], &["error[run-record-unreadable]", "its format is 99"]);
    // Times and nodes that no run of ours leaves behind.
    bench.write(&path, &whole);
    edit_record(&bench, id(&second), |it| {
        it["began_at"] = i64::MAX.into();
        it["ended_at"] = i64::MIN.into();
        it["nodes"] = json!([]);
    });
    assert!(bench.done(&["runs"]).stdout.contains(id(&second)));
    assert!(bench.done(&["runs", "show"]).stdout.contains(id(&second)));
    bench.done(&["diff", id(&first), "last"]);
}
