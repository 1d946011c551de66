//! Runs that go on from others, and parameters from files.

use serde_json::{Value, json};

use super::{all_equal, id, list, replay};
use crate::program::{Bench, in_state};

#[test]
fn a_run_from_another_takes_it_over_and_is_linked_to_it() {
    let bench = Bench::example("etf-replicator");
    let first = bench.run(&["--set", "in_window=120", "--end", "2020-01-01"]);
    bench.edit("pipeline.toml", "default = 5", "default = 7");
    let second = bench.json(&["run", "--from", "last", "--set", "lasso_alpha=1e-2"]);
    let from = format!("run {}", id(&first));
    assert_eq!(second["from"], first["run"]);
    assert_eq!(second["parameters"]["in_window"], json!({"value": 120, "from": from}));
    assert_eq!(second["parameters"]["lasso_alpha"], json!({"value": 0.01, "from": "set"}));
    assert_eq!(
        second["parameters"]["refit_every"],
        json!({"value": 5, "from": from}),
        "the file is not read again"
    );
    assert_eq!((&second["window"], &second["pipeline_text"]), (&first["window"], &first["pipeline_text"]));
    assert_eq!(in_state(&second, "computed"), ["lasso", "replica", "stats"]);
    let third = bench.json(&["run", "--from", id(&second), "--set", "in_window=60", "--end", "2019-01-01"]);
    assert_ne!(third["window"], second["window"]);
    let shown = bench.json(&["runs", "show"]);
    let chain: Vec<&Value> = list(&shown["chain"]).iter().map(|it| &it["run"]).collect();
    assert_eq!(chain, [&second["run"], &first["run"]]);
    assert_eq!(shown["chain"][0]["parameters"]["lasso_alpha"]["from"], "set");
    let told = bench.done(&["runs", "show"]).stdout;
    assert!(told.contains(&format!("from      {}: succeeded  lasso_alpha=0.01\n", id(&second))), "{told}");
    assert!(told.contains(&format!("from      {}: succeeded  in_window=120\n", id(&first))), "{told}");
    assert!(all_equal(&replay(&bench, &["last"], 0)), "{told}");
    bench.done(&["clean", "--run", id(&second), "--yes"]);
    let told = bench.done(&["runs", "show"]).stdout;
    assert!(told.contains(&format!("from      {}: its record is gone\n", id(&second))), "{told}");
}

#[test]
fn a_run_from_another_may_compute_one_node_or_all_from_one_on() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    let one = bench.json(&["run", "--from", "last", "--only", "lasso", "--set", "lasso_alpha=1e-2"]);
    assert_eq!(in_state(&one, "computed"), ["lasso"]);
    let left = in_state(&one, "left");
    assert_eq!(left.len(), 6, "{left:?}");
    bench.refused(
        &["run", "--from", "last", "--only", "stats"],
        &["error[table-not-in-lake]", "`replica`", "to mend"],
    );
    let on = bench.json(&["run", "--from", "last", "--from-node", "replica"]);
    assert_eq!(in_state(&on, "computed"), ["replica", "stats"]);
    let again = bench.json(&["run", "--from", "last", "--from-node", "replica"]);
    assert_eq!(in_state(&again, "computed"), ["replica", "stats"], "even where it is valid");
    assert_eq!(in_state(&again, "reused").len(), 5);
    for flag in ["--only", "--from-node"] {
        bench.refused(
            &["run", "--from", "last", flag, "lasos"],
            &["error[unknown-node]", "did you mean `lasso`?"],
        );
    }
    bench.refused(&["run", "--from", "last", "--set", "windo=1"], &["error[unknown-parameter]", "`windo`"]);
}

#[test]
fn parameters_come_from_a_file_and_set_wins() {
    let bench = Bench::example("etf-replicator");
    bench.write("p.toml", "# of the best point\nin_window = 120\nlasso_alpha = 1e-2\n");
    bench.write("p.json", r#"{"in_window": 60, "refit_every": 10}"#);
    let first = bench.run(&["--params", "p.toml", "--set", "lasso_alpha=5e-3"]);
    assert_eq!(first["parameters"]["in_window"], json!({"value": 120, "from": "params p.toml"}));
    assert_eq!(first["parameters"]["lasso_alpha"], json!({"value": 0.005, "from": "set"}));
    assert_eq!(first["parameters"]["refit_every"], json!({"value": 5, "from": "default"}));
    let second = bench.json(&["run", "--from", "last", "--params", "p.json"]);
    assert_eq!(second["parameters"]["in_window"], json!({"value": 60, "from": "params p.json"}));
    assert_eq!(
        second["parameters"]["lasso_alpha"],
        json!({"value": 0.005, "from": format!("run {}", id(&first))})
    );
    let plan = bench.json(&["plan", ".", "--params", "p.toml"]);
    assert_eq!(plan["parameters"]["in_window"]["value"], 120, "{}", plan["parameters"]);
    for (file, text, told) in [
        ("a.toml", "in_window 120", &["error[params-unreadable]", "a.toml, line 1", "to mend"][..]),
        ("a.json", "{\"in_window\": }", &["error[params-unreadable]", "a.json, line 1", "to mend"]),
        ("b.json", "[1]", &["error[params-unreadable]", "`b.json`", "no object"]),
        ("b.toml", "in_windo = 1", &["error[unknown-parameter]", "b.toml", "did you mean `in_window`?"]),
        ("c.toml", "in_window = \"x\"", &["error[parameter-type]", "c.toml", "`in_window`"]),
        ("d.toml", "in_window = 1", &["error[", "d.toml", "`in_window`"]),
    ] {
        bench.write(file, text);
        bench.refused(&["run", ".", "--params", file], told);
    }
    bench.refused(&["run", ".", "--params", "none.toml"], &["error[params-unreadable]", "`none.toml`"]);
    assert_eq!(list(&bench.json(&["runs"])).len(), 2, "nothing else ran");
}
