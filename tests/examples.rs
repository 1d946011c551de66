//! Every program in `examples/`, run as its README says.

use crate::program::{Bench, in_state, states};

#[test]
fn hello_runs_and_its_table_opens() {
    let bench = Bench::example("hello");
    let record = bench.run(&[]);
    assert_eq!(record["state"], "succeeded");
    assert!(!in_state(&record, "computed").is_empty());
    let tables = bench.json(&["tables"]);
    assert_eq!(tables.as_array().expect("a list").len(), states(&record).len());
}

#[test]
fn etf_replicator_gives_the_known_tracking_error() {
    let bench = Bench::example("etf-replicator");
    let record = bench.run(&[]);
    assert_eq!(states(&record).len(), 7, "{record}");
    let shown = bench.done(&["show", "stats", "--format", "json"]).stdout;
    let stats: serde_json::Value = serde_json::from_str(shown.trim()).expect("one row");
    let tracking_error = stats["tracking_error"].as_f64().expect("a number");
    assert!((tracking_error - 0.04963).abs() < 5e-6, "{stats}");
    assert_eq!(stats["fits"], 1615, "{stats}");
}

#[test]
fn etf_replicator_shares_what_a_parameter_does_not_touch() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    let record = bench.run(&["--set", "lasso_alpha=1e-2"]);
    assert_eq!(in_state(&record, "computed"), ["lasso", "replica", "stats"]);
    assert_eq!(in_state(&record, "reused").len(), 4);
}

#[test]
fn long_short_joins_both_families() {
    let bench = Bench::example("long-short");
    let record = bench.run(&[]);
    assert_eq!(record["state"], "succeeded");
    let members = states(&record).iter().filter(|(node, _)| node.contains('[')).count();
    assert!(members >= 4, "two families of at least two members: {record}");
    let plan = bench.json(&["plan", "."]);
    let portfolio = plan["nodes"].as_array().expect("nodes").iter().find(|it| it["node"] == "portfolio");
    let inputs = portfolio.expect("a node `portfolio`")["inputs"].as_object().expect("ports").clone();
    let fanned_in: usize = inputs.values().map(|it| it.as_array().expect("members").len()).sum();
    assert!(fanned_in >= 4, "{inputs:?}");
}

#[test]
fn a_run_repeats_bit_for_bit() {
    let bench = Bench::example("long-short");
    let snapshots = |record: &serde_json::Value| -> Vec<serde_json::Value> {
        let nodes = record["nodes"].as_array().expect("nodes").iter();
        nodes
            .flat_map(|it| it["tables"].as_array().expect("tables"))
            .map(|it| it["snapshot"].clone())
            .collect()
    };
    let first = snapshots(&bench.run(&[]));
    let again = bench.run(&["--force", "--jobs", "1"]);
    assert!(in_state(&again, "reused").is_empty(), "--force computes all");
    assert_eq!(first, snapshots(&again));
}
