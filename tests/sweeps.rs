//! Sweeps through the binary: what is shared, what is kept, what goes on after an interrupt, and what is refused.

mod refused;
mod replayed;

use serde_json::Value;

use crate::kill::start_and_read;
use crate::program::{Bench, Called, guest, in_state};

const SIX: [&str; 7] = [
    "sweep",
    ".",
    "--grid=in_window=60,120",
    "--grid=lasso_alpha=1e-2,1e-3,1e-4",
    "--measure=tracking_error=stats.tracking_error",
    "--measure=fits=stats.fits",
    "--minimize=tracking_error",
];

/// Calls with `--json` and expects an exit code; the sweep's record and points.
#[track_caller]
fn swept(bench: &Bench, args: &[&str], code: i32) -> (Value, Called) {
    let called = bench.call(&[args, &["--json"]].concat());
    assert_eq!(called.code, Some(code), "tidemill {args:?}\n{}{}", called.stdout, called.stderr);
    (serde_json::from_str(&called.stdout).expect("JSON on stdout"), called)
}

/// computed, cached, failed, not reached
fn counts(sweep: &Value) -> [u64; 4] {
    let counts = &sweep["sweep"]["counts"];
    ["computed", "cached", "failed", "cancelled"].map(|it| counts[it].as_u64().expect("a count"))
}

#[test]
fn what_points_share_is_computed_once_and_each_point_is_as_a_run_gives_it() {
    let bench = Bench::example("etf-replicator");
    let (sweep, called) = swept(&bench, &SIX, 0);
    assert!(called.stderr.contains("6 points, 42 nodes, 22 distinct, 0 cached"), "{}", called.stderr);
    assert_eq!(counts(&sweep), [6, 0, 0, 0]);
    let shared = sweep["sweep"]["shared"].as_array().expect("nodes");
    let distinct = |node: &str| {
        shared.iter().find(|it| it["node"] == node).unwrap_or_else(|| panic!("{node}"))["distinct"].clone()
    };
    assert_eq!((distinct("returns"), distinct("lasso")), (1.into(), 6.into()));
    let points = sweep["points"].as_array().expect("points");
    let errors: Vec<f64> =
        points.iter().map(|it| it["measures"]["tracking_error"].as_f64().expect("a number")).collect();
    assert!(errors.is_sorted() && errors.len() == 6, "the best come first: {errors:?}");
    for point in points {
        let sets = ["in_window", "lasso_alpha"].map(|it| format!("{it}={}", point["parameters"][it]));
        let single = Bench::example("etf-replicator");
        single.run(&["--set", &sets[0], "--set", &sets[1]]);
        let shown = single.done(&["show", "stats", "--format", "json"]).stdout;
        let stats: Value = serde_json::from_str(shown.trim()).expect("one row");
        assert_eq!(stats["tracking_error"], point["measures"]["tracking_error"], "to the bit, at {sets:?}");
    }
}

#[test]
fn a_second_sweep_computes_only_what_is_missing() {
    let bench = Bench::example("etf-replicator");
    let (first, _) = swept(&bench, &SIX, 0);
    let (again, called) = swept(&bench, &SIX, 0);
    assert_eq!(counts(&again), [0, 6, 0, 0], "{}", called.stderr);
    let mut wider = SIX;
    wider[2] = "--grid=in_window=60,120,180";
    let (wide, called) = swept(&bench, &wider, 0);
    assert_eq!(counts(&wide), [3, 6, 0, 0], "{}", called.stderr);
    assert_eq!(wide["sweep"]["counts"]["reused"], 2, "the returns are not kept, the sources are");
    let mut one_axis = SIX.to_vec();
    one_axis[2] = "--set=in_window=60";
    let (narrow, _) = swept(&bench, &one_axis, 0);
    assert_eq!(
        counts(&narrow),
        [0, 3, 0, 0],
        "a point is known by what it is, not by the axes that led to it"
    );
    assert!(narrow["points"][0]["parameters"]["in_window"].is_null(), "it shows its own axes: {narrow}");
    let (forced, _) = swept(&bench, &[&SIX[..], &["--force"]].concat(), 0);
    assert_eq!(counts(&forced), [6, 0, 0, 0]);
    let id = |it: &Value| it["sweep"]["sweep"].as_str().expect("an id").to_owned();
    let compared = bench.json(&["sweep", "compare", &id(&first), &id(&forced)]);
    assert_eq!((&compared["both"], &compared["equal"]), (&6.into(), &6.into()), "bit for bit");
    // Edited data is other data.
    let mut csv = bench.done(&["show", "index", "--format", "csv"]).stdout;
    csv.truncate(csv.trim_end().rfind(',').expect("cells") + 1);
    csv.push_str("4000\n");
    bench.write("data/index.csv", &csv);
    bench.edit("pipeline.toml", "data/sp500_index.parquet", "data/index.csv");
    let (edited, _) = swept(&bench, &SIX, 0);
    assert_eq!(counts(&edited), [6, 0, 0, 0]);
}

#[test]
fn results_have_a_row_for_each_point_with_every_parameter_and_measure() {
    let bench = Bench::example("etf-replicator");
    swept(&bench, &SIX, 0);
    let shown = bench.done(&["sweep", "show", "--format", "json"]).stdout;
    let rows: Vec<Value> = shown.lines().map(|it| serde_json::from_str(it).expect("JSON lines")).collect();
    assert_eq!(rows.len(), 6);
    let csv = bench.done(&["sweep", "show", "--format", "csv"]).stdout;
    let header = "in_window,lasso_alpha,refit_every,tracking_error,fits,state,error,duration_ms,table_stats";
    assert_eq!(csv.lines().next(), Some(header), "axes, other parameters, measures, and how it ended");
    assert_eq!(
        (&rows[0]["in_window"], &rows[0]["lasso_alpha"], &rows[0]["refit_every"]),
        (&60.into(), &0.01.into(), &5.into())
    );
    let table = rows[5]["table_stats"].as_str().expect("a table");
    let stats = bench.done(&["show", table, "--format", "json"]).stdout;
    let stats: Value = serde_json::from_str(stats.trim()).expect("one row");
    assert_eq!(stats["fits"].as_f64(), rows[5]["fits"].as_f64(), "the table is the one that was measured");
}

#[test]
fn keep_decides_which_tables_stay() {
    for (keep, tables, reused) in [("none", 2, 2), ("measured", 8, 3), ("all", 22, 7)] {
        let bench = Bench::example("etf-replicator");
        swept(&bench, &[&SIX[..], &["--keep", keep]].concat(), 0);
        assert_eq!(bench.json(&["tables"]).as_array().map(Vec::len), Some(tables), "--keep {keep}");
        let record = bench.run(&["--set", "in_window=120", "--set", "lasso_alpha=1e-2"]);
        // The table of `stats` is there with `measured`, but what it reads is computed anew to know that it is valid.
        assert_eq!(in_state(&record, "reused").len(), reused, "--keep {keep}: {record}");
    }
}

#[test]
fn the_best_point_is_taken_over_by_a_run() {
    let bench = Bench::example("etf-replicator");
    for file in ["best.toml", "best.json"] {
        let (sweep, _) = swept(&bench, &[&SIX[..], &["--best-to", file]].concat(), 0);
        let best = &sweep["points"][0];
        let record = bench.run(&["--params", file]);
        assert_eq!(record["parameters"]["in_window"]["value"], best["parameters"]["in_window"]);
        assert_eq!(record["parameters"]["lasso_alpha"]["value"], best["parameters"]["lasso_alpha"]);
        let shown = bench.done(&["show", "stats", "--format", "json"]).stdout;
        let stats: Value = serde_json::from_str(shown.trim()).expect("one row");
        assert_eq!(stats["tracking_error"], best["measures"]["tracking_error"]);
    }
    let worst = bench.json(&["sweep", "best", "last", "--maximize", "tracking_error", "--count", "1"]);
    let best = bench.json(&["sweep", "best", "last", "--count", "6"]);
    assert_eq!(worst[0], best[5], "the other end of the same list");
}

#[test]
fn the_pipeline_file_may_say_what_to_sweep() {
    let bench = Bench::example("etf-replicator");
    let planned = bench.json(&["sweep", ".", "--dry-run"]);
    assert_eq!(planned["points"], 165, "as the file says");
    bench.edit("pipeline.toml", "60:720:20", "60:180:60");
    bench.edit("pipeline.toml", "[1e-2, 1e-3, 1e-4, 1e-5, 1e-6]", "\"1e-4:1e-2:log3\"");
    bench.edit(
        "pipeline.toml",
        "minimize = \"tracking_error\"",
        "minimize = \"tracking_error\"\nkeep = \"none\"",
    );
    let (sweep, _) = swept(&bench, &["sweep", "."], 0);
    assert_eq!(counts(&sweep), [6, 0, 0, 0]);
    assert_eq!(
        (&sweep["sweep"]["minimize"], &sweep["sweep"]["keep"]),
        (&"tracking_error".into(), &"none".into())
    );
    let (typed, _) = swept(&bench, &["sweep", ".", "--grid", "in_window=60"], 0);
    assert_eq!(typed["sweep"]["counts"]["points"], 1, "axes that are typed take the place of the file's");
}

#[test]
fn zipped_and_drawn_axes_and_points_of_a_file() {
    let bench = Bench::example("etf-replicator");
    let measure = "--measure=fits=stats.fits";
    let points =
        |args: &[&str]| swept(&bench, &[&["sweep", "."], args, &[measure]].concat(), 0).0["points"].clone();
    let zipped = points(&["--zip", "in_window=60,120", "--zip", "lasso_alpha=1e-2,1e-3"]);
    assert_eq!(zipped.as_array().map(Vec::len), Some(2));
    let drawn = [
        "--random",
        "3",
        "--seed",
        "7",
        "--draw",
        "lasso_alpha=log:1e-5:1e-2",
        "--draw",
        "in_window=choice:60,120",
    ];
    let drawn = points(&drawn);
    assert_eq!(drawn.as_array().map(Vec::len), Some(3));
    let again = points(&[
        "--random",
        "3",
        "--seed",
        "7",
        "--draw",
        "lasso_alpha=log:1e-5:1e-2",
        "--draw",
        "in_window=choice:60,120",
    ]);
    let alphas = |it: &Value| -> Vec<Value> {
        it.as_array().expect("points").iter().map(|it| it["parameters"]["lasso_alpha"].clone()).collect()
    };
    assert_eq!(alphas(&drawn), alphas(&again), "a seed gives the same points");
    bench.write("points.csv", "in_window,lasso_alpha\n60,0.01\n120,0.001\n");
    let of_file = points(&["--points", "points.csv"]);
    assert_eq!(alphas(&of_file), alphas(&zipped));
    // A sweep's own results are points for the next one.
    bench.done(&["sweep", "show", "--format", "csv", "-o", "out.csv"]);
    let csv = bench.read("out.csv");
    let two: Vec<String> =
        csv.lines().map(|it| it.split(',').take(2).collect::<Vec<_>>().join(",")).collect();
    bench.write("again.csv", &(two.join("\n") + "\n"));
    assert_eq!(alphas(&points(&["--points", "again.csv"])), alphas(&zipped));
}

/// A node that misbehaves as the parameter `what` says; `good` writes 0, 1, 2 as `value`.
fn misbehaving() -> Bench {
    let bench = Bench::empty();
    bench.write(
        "pipeline.toml",
        &format!(
            "[pipeline]\nname = \"sweeping\"\n[tasks]\nmisbehave = \"{}\"\n\
             [parameters.what]\ntype = \"string\"\ndefault = \"good\"\n[parameters.idle]\ntype = \"integer\"\ndefault = 1\nminimum = 0\nmaximum = 9\n\
             [nodes.it]\ntask = \"misbehave\"\nparameters = {{ do = \"{{{{ what }}}}\" }}\n\
             [nodes.other]\ntask = \"misbehave\"\nparameters = {{ do = \"clock\" }}\npriority = \"{{{{ idle }}}}\"\n",
            guest("misbehave")
        ),
    );
    bench
}

#[test]
fn a_failing_point_is_a_row_with_its_error() {
    let bench = misbehaving();
    let args = [
        "sweep",
        ".",
        "--grid",
        "what=permanent,good,panic",
        "--measure",
        "sum=sum(it.value)",
        "--jobs",
        "1",
    ];
    let (sweep, called) = swept(&bench, &args, 1);
    assert_eq!(counts(&sweep), [1, 0, 2, 0]);
    assert!(
        called.stderr.contains("what=permanent") && called.stderr.contains("the model does not fit"),
        "{}",
        called.stderr
    );
    let shown = bench.done(&["sweep", "show", "--format", "json"]).stdout;
    let rows: Vec<Value> = shown.lines().map(|it| serde_json::from_str(it).expect("JSON lines")).collect();
    let states: Vec<&Value> = rows.iter().map(|it| &it["state"]).collect();
    assert_eq!(states, ["failed", "computed", "failed"]);
    assert_eq!((&rows[0]["sum"], &rows[1]["sum"]), (&Value::Null, &3.0.into()));
    assert!(rows[2]["error"].as_str().expect("why").contains("[task-panicked]"), "{}", rows[2]);
    let (again, _) = swept(&bench, &args, 1);
    assert_eq!(counts(&again), [0, 1, 2, 0], "what failed is tried again");
    let (fast, _) = swept(&bench, &[&args[..], &["--fail-fast", "--force"]].concat(), 1);
    assert_eq!(counts(&fast), [0, 0, 1, 2], "the first failure stops the rest");
}

/// Starts a sweep of which one point ends and one never does; returns once the row of the first is told.
fn half_done(bench: &Bench) -> std::process::Child {
    let args =
        ["sweep", ".", "--grid", "what=good,endless-loop", "--measure", "sum=sum(it.value)", "--jobs", "2"];
    start_and_read(bench, &args, 2)
}

#[test]
fn an_interrupted_sweep_keeps_what_is_done_and_goes_on() {
    let bench = misbehaving();
    let child = half_done(&bench);
    let told = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(told.expect("start kill").success());
    let output = child.wait_with_output().expect("wait for tidemill");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("1 computed") && stderr.contains("1 not reached"), "{stderr}");
    assert_goes_on(&bench, "cancelled");
}

#[test]
fn a_killed_sweep_keeps_what_is_done_and_goes_on() {
    let bench = misbehaving();
    let mut child = half_done(&bench);
    child.kill().expect("kill tidemill");
    child.wait().expect("wait for tidemill");
    assert_goes_on(&bench, "lost");
}

#[track_caller]
fn assert_goes_on(bench: &Bench, state: &str) {
    assert!(bench.done(&["sweep", "list"]).stdout.contains(state));
    let shown = bench.done(&["sweep", "show", "--format", "json"]).stdout;
    assert_eq!(shown.lines().count(), 1, "the point that ended is there: {shown}");
    let told = bench.done(&["sweep", "show"]).stderr;
    assert!(told.contains("1 of 2 points were not reached"), "{told}");
    let args = ["sweep", ".", "--grid", "what=good,words", "--measure", "sum=sum(it.value)"];
    let (sweep, _) = swept(bench, &[&args[..3], &["what=good,two-batches"], &args[4..]].concat(), 0);
    assert_eq!(counts(&sweep), [1, 1, 0, 0], "only what is missing is computed");
}

/// A pipeline whose node `it` runs the guest `peek`, and whose parameter `do` says what it does.
fn peeking(more: &str) -> Bench {
    let bench = Bench::empty();
    bench.write("days.csv", "time,x\n2024-01-01,1\n2024-01-02,2\n");
    bench.write(
        "pipeline.toml",
        &format!(
            "[pipeline]\nname = \"p\"\n[tasks]\npeek = \"{}\"\n[parameters.way]\ntype = \"string\"\ndefault = \"peek\"\n\
             [sources.days]\npath = \"days.csv\"\ntime_index = \"time\"\n\
             [nodes.it]\ntask = \"peek\"\ninputs = {{ in = \"days\" }}\nparameters = {{ do = \"{{{{ way }}}}\" }}\n{more}\n",
            guest("peek")
        ),
    );
    bench
}

#[test]
fn a_measure_that_is_not_finite_is_kept_as_it_is() {
    let bench = peeking("");
    // No row lies past as-of, so that the last time among them is minus infinity.
    let args = [
        "sweep",
        ".",
        "--grid",
        "way=peek,peeking",
        "--measure",
        "last=metric(it.last past as-of)",
        "--as-of",
        "2024-01-02",
    ];
    for state in ["computed", "cached"] {
        let (sweep, _) = swept(&bench, &[&args[..], &["--minimize", "last"]].concat(), 0);
        assert_eq!(sweep["points"][0]["measures"]["last"], "-inf", "{sweep}");
        assert_eq!(sweep["points"][0]["state"], state);
    }
    assert_eq!(bench.json(&["sweep", "best", "last"]).as_array().map(Vec::len), Some(2));
    assert_eq!(bench.json(&["replay", "last"])["equal"], true);
}

#[test]
fn a_cached_point_counts_only_while_its_tables_are_what_was_measured() {
    let bench = Bench::example("etf-replicator");
    swept(&bench, &SIX, 0);
    bench.done(&["clean", "--table", "stats", "--yes"]);
    let (again, _) = swept(&bench, &SIX, 0);
    assert_eq!(counts(&again), [6, 0, 0, 0], "the tables that were measured are gone");
    bench.run(&["--set", "in_window=60", "--set", "lasso_alpha=1e-2", "--as-of", "2000-12-29"]);
    let (again, _) = swept(&bench, &SIX, 0);
    assert_eq!(counts(&again), [1, 5, 0, 0], "a run as of a time has replaced one of them");
    let none = [&SIX[..], &["--keep", "none"]].concat();
    bench.done(&["clean", "--table", "stats", "--yes"]);
    let (again, _) = swept(&bench, &none, 0);
    assert_eq!(counts(&again), [0, 6, 0, 0], "whoever keeps no tables needs none");
}

#[test]
fn points_that_are_one_are_known_together() {
    let bench = Bench::example("etf-replicator");
    bench.edit(
        "pipeline.toml",
        "refit_every = \"{{ refit_every }}\"",
        "refit_every = \"{{ refit_every // 2 * 2 + 1 }}\"",
    );
    let args = ["sweep", ".", "--grid", "refit_every=4,5,6,7", "--measure", "fits=stats.fits"];
    let (sweep, called) = swept(&bench, &args, 0);
    assert_eq!(sweep["sweep"]["counts"]["distinct"], 4 + 6, "{}", called.stderr);
    let (again, _) = swept(&bench, &args, 0);
    assert_eq!(counts(&again), [0, 4, 0, 0]);
}

#[test]
fn a_task_sees_the_same_names_in_a_sweep_as_in_a_run() {
    let bench = Bench::example("long-short");
    let args = [
        "sweep",
        ".",
        "--grid",
        "count=2,3",
        "--measure",
        "sum=sum(portfolio.contributions.contribution)",
        "--keep",
        "all",
    ];
    swept(&bench, &args, 0);
    let record = bench.run(&["--set", "count=3"]);
    assert_eq!(in_state(&record, "reused").len(), 8, "what the sweep kept is what a run gives: {record}");
    let shown = bench.done(&["show", "portfolio.contributions", "--format", "csv"]).stdout;
    assert!(
        shown.contains("long_leg[window=120]") && !shown.contains("count"),
        "names are those of the file"
    );
    assert_eq!(bench.json(&["replay", "last"])["equal"], true);
    // Who reads the names is computed again when they change, and only who reads them.
    bench.edit("pipeline.toml", "[nodes.long_leg]", "[nodes.slow_leg]");
    bench.edit("pipeline.toml", "long = \"long_leg\"", "long = \"slow_leg\"");
    let record = bench.run(&["--set", "count=3"]);
    assert_eq!(in_state(&record, "computed"), ["portfolio"]);
}

#[test]
fn a_cached_point_is_of_the_nodes_that_were_measured_whatever_they_are_called_now() {
    let bench = misbehaving();
    let nodes = |a: &str, b: &str| {
        format!(
            "[pipeline]\nname = \"p\"\n[tasks]\nmisbehave = \"{}\"\n[parameters.what]\ntype = \"string\"\ndefault = \"good\"\n\
             [nodes.{a}]\ntask = \"misbehave\"\nparameters = {{ do = \"{{{{ what }}}}\" }}\n\
             [nodes.{b}]\ntask = \"misbehave\"\nparameters = {{ do = \"clock\" }}\n",
            guest("misbehave")
        )
    };
    bench.write("pipeline.toml", &nodes("one", "two"));
    let args = [
        "sweep",
        ".",
        "--grid",
        "what=good,two-batches",
        "--measure",
        "one=sum(one.value)",
        "--measure",
        "two=sum(two.value)",
    ];
    let (first, _) = swept(&bench, &args, 0);
    bench.write("pipeline.toml", &nodes("two", "one"));
    let (second, _) = swept(&bench, &args, 0);
    let measures = |it: &Value, name: &str| -> Vec<Value> {
        it["points"].as_array().expect("points").iter().map(|it| it["measures"][name].clone()).collect()
    };
    assert_eq!(measures(&first, "one"), measures(&second, "two"), "the nodes have swapped their names");
    assert_eq!(measures(&first, "two"), measures(&second, "one"));
}

#[test]
fn nodes_that_two_families_share_are_measured_under_either_name() {
    let bench = Bench::example("etf-replicator");
    let text = bench.read("pipeline.toml");
    let (head, _) = text.split_once("[nodes.lasso]").expect("the node");
    let lasso = |name: &str| {
        format!(
            "[nodes.{name}]\ntask = \"lasso\"\ninputs = {{ returns = \"returns\", benchmark = \"index_returns\" }}\n\
             parameters = {{ in_window = \"{{{{ {name} }}}}\", lasso_alpha = \"{{{{ lasso_alpha }}}}\", refit_every = \"{{{{ refit_every }}}}\" }}\n"
        )
    };
    let parameters = "[parameters.quick]\ntype = \"integer\"\ndefault = 60\n[parameters.lazy]\ntype = \"integer\"\ndefault = 120\n";
    let head = head.replace("[parameters.in_window]\ntype = \"integer\"\ndefault = 240\nminimum = 2\nsummary = \"days that a fit sees\"\n", parameters);
    bench.write("pipeline.toml", &(head + &lasso("quick") + &lasso("lazy")));
    let args = [
        "sweep",
        ".",
        "--grid",
        "quick=60,120",
        "--grid",
        "lazy=60,120",
        "--measure",
        "a=sum(quick.coefficient)",
        "--measure",
        "b=sum(lazy.coefficient)",
    ];
    let (sweep, called) = swept(&bench, &args, 0);
    assert!(called.stderr.contains("4 points, 24 nodes, 6 distinct"), "{}", called.stderr);
    for point in sweep["points"].as_array().expect("points") {
        let (parameters, measures) = (&point["parameters"], &point["measures"]);
        let is_one = parameters["quick"] == parameters["lazy"];
        assert_eq!(measures["a"] == measures["b"], is_one, "{point}");
    }
}
