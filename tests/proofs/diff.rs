//! Two runs compared: what went in, and what came out.

use serde_json::{Value, json};

use super::{change_component, digest, id, list, named, verdicts};
use crate::program::Bench;

#[test]
fn a_diff_tells_the_parameter_and_what_came_of_it() {
    let bench = Bench::example("etf-replicator");
    let before = bench.run(&[]);
    let after = bench.run(&["--set", "lasso_alpha=1e-2"]);
    let diff = bench.json(&["diff", id(&before), "last"]);
    assert_eq!((&diff["before"], &diff["after"]), (&before["run"], &after["run"]));
    assert_eq!(diff["parameters"], json!([{"name": "lasso_alpha", "before": 0.001, "after": 0.01}]));
    for same in ["window", "components", "sources", "versions", "nodes"] {
        assert_eq!(diff[same], json!([]), "{same}");
    }
    assert_eq!(diff["pipeline_changed"], false);
    let differ: Vec<_> = verdicts(&diff).into_iter().filter(|(_, it)| it == "differs").collect();
    assert_eq!(
        differ.iter().map(|(node, _)| node.as_str()).collect::<Vec<_>>(),
        ["lasso", "replica", "stats"]
    );
    // Its one row, which `show` tells too.
    let value = |table: &Value| {
        let table = table["tables"][0]["table"].as_str().expect("a table").to_owned();
        let row = bench.done(&["show", &table, "--format", "json"]).stdout;
        let row: Value = serde_json::from_str(row.trim()).expect("one row");
        row["tracking_error"].as_f64().expect("a number")
    };
    let values = [&before, &after].map(|it| value(named(&it["nodes"], "node", "stats")));
    let stats = &named(&diff["tables"], "node", "stats")["difference"];
    let error = named(&stats["columns_changed"], "column", "tracking_error");
    let largest = |kind: &str| error[kind]["difference"].as_f64().expect("a number");
    let distance = (values[1] - values[0]).abs();
    assert!((largest("largest_absolute") - distance).abs() < 1e-15, "{error}");
    assert!(
        (largest("largest_relative") - distance / values[0].abs().max(values[1].abs())).abs() < 1e-12,
        "{error}"
    );
    assert_eq!(error["largest_absolute"]["row"], json!({"before": 1, "after": 1, "index": "2022-12-28"}));
    let called = bench.done(&["diff", id(&before), "last"]);
    assert!(called.stdout.contains("lasso_alpha: `0.001` → `0.01`"), "{}", called.stdout);
    assert!(called.stderr.contains("tables: 4 equal, 3 different"), "{}", called.stderr);
}

#[test]
fn a_diff_counts_rows_and_columns_and_tells_the_largest_difference() {
    let bench = Bench::example("hello");
    bench.write(
        "data/temperatures.csv",
        "time_index,celsius\n2024-03-01,1.0\n2024-03-02,2.0\n2024-03-04,4.0\n2024-03-05,0.5\n",
    );
    bench.run(&[]);
    bench.write(
        "data/temperatures.csv",
        "time_index,celsius,station\n2024-03-02,2.5,a\n2024-03-03,3.0,a\n2024-03-04,4.75,a\n2024-03-05,1.0,b\n2024-03-06,1.0,b\n",
    );
    bench.run(&["--lake", "other"]);
    let diff = bench.json(&["diff", "last", "last", "--lake-b", "other"]);
    let files = list(&diff["sources"]);
    assert_eq!((files.len(), &files[0]["name"]), (1, &"temperatures: data/temperatures.csv".into()));
    let table = &named(&diff["tables"], "node", "temperatures")["difference"];
    assert_eq!(table["matched_by"], "index");
    let rows = ["rows_before", "rows_after", "rows_added", "rows_removed"].map(|it| table[it].as_u64());
    assert_eq!(rows, [Some(4), Some(5), Some(2), Some(1)]);
    assert_eq!((&table["columns_added"], &table["columns_removed"]), (&json!(["station"]), &json!([])));
    let celsius = &table["columns_changed"][0];
    assert_eq!((&celsius["column"], &celsius["changed"]), (&"celsius".into(), &3.into()));
    let absolute = json!({
        "difference": 0.75, "row": {"before": 3, "after": 3, "index": "2024-03-04"}, "before": "4.0", "after": "4.75",
    });
    let relative = json!({
        "difference": 0.5, "row": {"before": 4, "after": 4, "index": "2024-03-05"}, "before": "0.5", "after": "1.0",
    });
    assert_eq!((&celsius["largest_absolute"], &celsius["largest_relative"]), (&absolute, &relative));
    let first = &table["first"];
    assert_eq!((&first["row"]["before"], &first["after"]), (&1.into(), &Value::Null), "a row that is gone");
    let told = bench.done(&["diff", "last", "last", "--lake-b", "other"]).stdout;
    for it in [
        "columns added: station",
        "4 → 5, 2 added, 1 removed",
        "largest relative difference 0.5: row 4 (2024-03-05), `0.5` → `1.0`",
    ] {
        assert!(told.contains(it), "`{it}` in:\n{told}");
    }
}

#[test]
fn a_diff_tells_pipeline_component_window_and_outcome() {
    let bench = Bench::example("hello");
    let before = bench.run(&[]);
    bench.edit("pipeline.toml", "name = \"hello\"", "name = \"bye\"");
    change_component(&bench, "components/anomaly.wasm");
    bench.run(&["--start", "2024-03-02"]);
    let diff = bench.json(&["diff", id(&before), "last"]);
    assert_eq!(diff["pipeline_changed"], true);
    let text = diff["pipeline_diff"].as_str().expect("a text");
    assert!(text.contains("-name = \"hello\"\n+name = \"bye\""), "{text}");
    let component = json!({"name": "anomaly", "before": before["components"][0]["digest"],
        "after": digest(&bench, "components/anomaly.wasm")});
    assert_eq!(diff["components"], json!([component]));
    assert_eq!(
        diff["window"],
        json!([{"name": "start", "before": null, "after": 1_709_337_600_000_000_000_i64}])
    );
    bench.write("data/temperatures.csv", "time_index,celsius\nnever,1\n");
    bench.fails(&["run", "."], &["error["]);
    let diff = bench.json(&["diff", id(&before), "last"]);
    assert_eq!(named(&diff["nodes"], "name", "anomaly")["after"], "skipped");
    assert_eq!(verdicts(&diff)[0], ("temperatures".to_owned(), "only-before".to_owned()));
    let told = bench.done(&["diff", id(&before), "last"]);
    assert!(told.stdout.contains("anomaly: `ended well` → `skipped`"), "{}", told.stdout);
    assert!(told.stderr.contains("tables: 2 only in the first"), "{}", told.stderr);
}

#[test]
fn a_diff_of_tables_that_are_gone_says_how_to_get_them_back() {
    let bench = Bench::example("hello");
    let data = bench.read("data/temperatures.csv");
    let first = bench.run(&[]);
    bench.edit("data/temperatures.csv", "5.5", "6.5");
    let second = bench.run(&[]);
    let diff = bench.json(&["diff", id(&first), "last"]);
    let table = named(&diff["tables"], "node", "temperatures");
    assert_eq!(table["verdict"], "gone");
    assert_eq!(table["gone"][0]["now"], table["after"]["snapshot"]);
    let told = bench.done(&["diff", id(&first), "last"]);
    assert!(
        told.stderr.contains("2 different but gone\n") && told.stderr.contains("--into DIR"),
        "{}",
        told.stderr
    );
    bench.write("data/temperatures.csv", &data);
    bench.done(&["replay", id(&first), "--into", "again"]);
    let diff = bench.json(&["diff", "last", id(&second), "--lake", "again", "--lake-b", "lake"]);
    let table = &named(&diff["tables"], "node", "temperatures")["difference"];
    assert_eq!(table["first"]["before"], "5.5");
    assert_eq!(table["first"]["after"], "6.5");
}
