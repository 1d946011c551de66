//! Earlier sweeps: repeated, listed, removed.

use serde_json::Value;

use super::{SIX, counts, misbehaving, swept};
use crate::program::{Bench, guest};

#[test]
fn earlier_sweeps_are_listed_removed_and_not_taken_for_runs() {
    let bench = misbehaving();
    let args = ["sweep", ".", "--grid", "what=good,two-batches", "--measure", "sum=sum(it.value)"];
    let (sweep, _) = swept(&bench, &args, 0);
    let id = sweep["sweep"]["sweep"].as_str().expect("an id");
    assert_eq!(bench.json(&["sweep", "list"]).as_array().map(Vec::len), Some(1));
    bench.refused(&["replay", "last", "--node", "it"], &["error[run-is-sweep]", id, "to mend", "--node"]);
    bench.refused(&["run", "--from", "last"], &["error[run-is-sweep]", "to mend"]);
    bench.refused(&["sweep", "show", "20200101"], &["error[unknown-sweep]", "20200101", id]);
    bench.refused(&["sweep", "best"], &["error[no-goal]", "to mend"]);
    let other = ["sweep", ".", "--grid", "what=good", "--measure", "mean=mean(it.value)"];
    swept(&bench, &other, 0);
    bench.refused(&["sweep", "compare", id, "last"], &["error[sweeps-differ]", "to mend"]);
    bench.done(&["clean", "--sweep", id, "--yes"]);
    assert_eq!(bench.json(&["sweep", "list"]).as_array().map(Vec::len), Some(1));
    let removed = bench.json(&["clean", "--all-sweeps", "--yes"]);
    assert_eq!(removed["sweeps"].as_array().map(Vec::len), Some(1));
    let (again, _) = swept(&bench, &args, 0);
    assert_eq!(counts(&again), [2, 0, 0, 0], "what a removed sweep measured is measured again");
}

#[test]
fn a_sweep_is_replayed_bit_for_bit() {
    let bench = Bench::example("etf-replicator");
    swept(&bench, &SIX, 0);
    let called = bench.done(&["replay", "last"]);
    assert!(called.stderr.contains("equal: 6 of 6 points"), "{}", called.stderr);
    let told = bench.json(&["replay", "last"]);
    assert_eq!(
        (&told["equal"], &told["equal_points"], &told["tables"]),
        (&true.into(), &6.into(), &6.into())
    );
    // A sweep whose points were all known has no run of its own.
    let (known, _) = swept(&bench, &SIX, 0);
    let id = known["sweep"]["sweep"].as_str().expect("an id");
    let told = bench.json(&["replay", id, "--into", "other"]);
    assert_eq!((&told["sweep"], &told["equal"]), (&id.into(), &true.into()));
    assert_eq!(bench.json(&["sweep", "list", "--lake", "other"]).as_array().map(Vec::len), Some(1));
    // The pipeline file may say something else by now; the record counts.
    bench.edit("pipeline.toml", "default = 5", "default = 20");
    assert_eq!(bench.json(&["replay", "last"])["equal"], true);
}

#[test]
fn a_sweep_whose_code_or_data_has_changed_is_not_replayed() {
    let bench = Bench::example("etf-replicator");
    swept(&bench, &SIX, 0);
    let component = std::fs::read(bench.path("components/lasso.wasm")).expect("read component");
    bench.write("components/lasso.wasm", "other");
    bench.refused(
        &["replay", "last"],
        &["error[component-changed]", "`lasso`", "used `", "now it is `", "to mend"],
    );
    std::fs::write(bench.path("components/lasso.wasm"), component).expect("write component");
    let prices = std::fs::read(bench.path("data/sp500_index.parquet")).expect("read file");
    std::fs::remove_file(bench.path("data/sp500_index.parquet")).expect("remove file");
    bench.refused(&["replay", "last"], &["error[source-gone]", "sp500_index.parquet", "to mend"]);
    std::fs::write(bench.path("data/sp500_index.parquet"), prices).expect("write file");
    bench.done(&["replay", "last"]);
}

#[test]
fn a_point_that_comes_out_otherwise_is_shown_with_both_values() {
    let bench = Bench::empty();
    bench.write("days.csv", "time,x\n2024-01-01,1\n");
    bench.write(
        "pipeline.toml",
        &format!(
            "[pipeline]\nname = \"p\"\n[tasks]\npeek = \"{}\"\n\
             [parameters.way]\ntype = \"string\"\ndefault = \"run\"\n\
             [nodes.named]\ntask = \"peek\"\nparameters = {{ do = \"{{{{ way }}}}\" }}\n",
            guest("peek")
        ),
    );
    swept(&bench, &["sweep", ".", "--grid", "way=run,future", "--measure", "sum=sum(named.value)"], 0);
    let called = bench.call(&["replay", "last", "--json"]);
    assert_eq!(called.code, Some(1), "{}", called.stderr);
    let told: Value = serde_json::from_str(&called.stdout).expect("JSON on stdout");
    assert_eq!((&told["points"], &told["equal_points"]), (&2.into(), &1.into()));
    let difference = &told["differences"][0];
    assert_eq!((&difference["at"]["way"], &difference["of"]), (&"run".into(), &"sum".into()));
    assert_ne!(difference["before"], difference["after"]);
    bench.fails(&["replay", "last"], &["different: 1 of 2 points"]);
}
