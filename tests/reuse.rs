//! What is computed again, and what is not.

use crate::program::{Bench, in_state, states};

fn table_of(plan: &serde_json::Value, node: &str) -> String {
    let nodes = plan["nodes"].as_array().expect("nodes");
    let found = nodes.iter().find(|it| it["node"] == node).expect("the node is planned");
    found["tables"][0]["table"].as_str().expect("a table").to_owned()
}

#[test]
fn a_second_run_computes_nothing_and_says_so() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    let called = bench.done(&["run", "."]);
    assert!(called.stderr.contains("nothing to compute: 7 of 7 nodes reused"), "{}", called.stderr);
}

#[test]
fn a_plan_tells_what_a_run_would_reuse() {
    let bench = Bench::example("etf-replicator");
    let prospects = |plan: &serde_json::Value| -> Vec<String> {
        let nodes = plan["nodes"].as_array().expect("nodes").iter();
        nodes.map(|it| it["prospect"].as_str().expect("a prospect").to_owned()).collect()
    };
    let before = bench.json(&["plan", "."]);
    assert!(prospects(&before).iter().all(|it| it == "compute"), "{before}");
    assert!(!bench.path("lake").exists(), "planning writes nothing");
    bench.run(&[]);
    let after = bench.json(&["plan", "."]);
    assert!(prospects(&after).iter().all(|it| it == "reuse"), "{after}");
    let changed = bench.json(&["plan", ".", "--set", "in_window=120"]);
    assert_eq!(prospects(&changed).iter().filter(|it| *it == "reuse").count(), 4, "{changed}");
}

#[test]
fn changed_code_is_computed_into_the_same_table() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    let before = bench.json(&["plan", "."]);
    // A custom section changes the component's digest and not what it does, as a comment in the code may.
    let path = bench.path("components/returns.wasm");
    let mut bytes = std::fs::read(&path).expect("read component");
    bytes.extend_from_slice(&[0, 5, 4, b'n', b'o', b't', b'e']);
    std::fs::write(&path, bytes).expect("write component");
    let after = bench.json(&["plan", "."]);
    assert_eq!(table_of(&before, "returns"), table_of(&after, "returns"));
    let record = bench.run(&[]);
    assert_eq!(
        in_state(&record, "computed"),
        ["returns", "index_returns"],
        "what they write came out as before"
    );
    assert_eq!(in_state(&record, "reused").len(), 5);
}

#[test]
fn changed_data_is_read_again() {
    let bench = Bench::example("hello");
    bench.run(&[]);
    let data = std::fs::read_dir(bench.path("data")).expect("read folder").flatten();
    let csv =
        data.map(|it| it.path()).find(|it| it.extension().is_some_and(|it| it == "csv")).expect("a CSV file");
    let text = std::fs::read_to_string(&csv).expect("read data");
    let shorter: Vec<&str> = text.lines().collect();
    std::fs::write(&csv, shorter[..shorter.len() - 1].join("\n") + "\n").expect("write data");
    let record = bench.run(&[]);
    assert_eq!(in_state(&record, "reused"), Vec::<String>::new());
}

#[test]
fn one_and_one_point_zero_are_one_identity() {
    let bench = Bench::example("etf-replicator");
    let one = bench.json(&["plan", ".", "--set", "lasso_alpha=1"]);
    let float = bench.json(&["plan", ".", "--set", "lasso_alpha=1.0"]);
    assert_eq!(table_of(&one, "stats"), table_of(&float, "stats"));
    let other = bench.json(&["plan", ".", "--set", "lasso_alpha=1.5"]);
    assert_ne!(table_of(&one, "stats"), table_of(&other, "stats"));
}

#[test]
fn only_a_node_takes_what_it_reads_from_the_lake() {
    let bench = Bench::example("etf-replicator");
    bench.refused(
        &["run", ".", "--only", "lasso"],
        &["error[table-not-in-lake]", "`returns`", "to mend", "--node returns"],
    );
    let record = bench.run(&["--deps-only", "lasso"]);
    assert_eq!(in_state(&record, "left"), ["lasso", "replica", "stats"]);
    let record = bench.run(&["--only", "lasso"]);
    assert_eq!(in_state(&record, "computed"), ["lasso"]);
    bench.refused(
        &["run", ".", "--only", "lasso", "--as-of", "2000-12-29"],
        &["error[table-not-in-lake]", "`returns`", "as-of differ", "to mend"],
    );
    let record = bench.run(&["--node", "stats"]);
    assert_eq!(in_state(&record, "reused").len(), 5);
    assert_eq!(states(&record).len(), 7);
}

#[test]
fn as_of_hides_what_is_later_from_every_node() {
    let bench = Bench::example("etf-replicator");
    bench.run(&["--as-of", "2000-12-29"]);
    for table in bench.json(&["tables"]).as_array().expect("a list") {
        let last = table["last"].as_str().expect("every table has rows and times");
        assert!(last <= "2000-12-29", "{table}");
    }
    let record = bench.run(&[]);
    assert_eq!(in_state(&record, "reused"), Vec::<String>::new(), "another as-of is another result");
}

#[test]
fn a_window_has_a_folder_of_its_own() {
    let bench = Bench::example("etf-replicator");
    bench.run(&["--start", "2010-01-04", "--end", "2015-01-01"]);
    let tables = bench.json(&["tables"]);
    for table in tables.as_array().expect("a list") {
        assert_eq!(table["window"], "20100104_20150101", "{table}");
        assert!(table["first"].as_str().expect("a time") >= "2010-01-04", "{table}");
        assert!(table["last"].as_str().expect("a time") < "2015-01-01", "{table}");
    }
}
