//! What a sweep refuses, and when.

use super::{counts, misbehaving, peeking, swept};
use crate::program::Bench;

#[test]
fn bad_axes_are_named_before_anything_runs() {
    let bench = misbehaving();
    let refused = |axes: &[&str], texts: &[&str]| {
        bench.refused(&[&["sweep", "."], axes, &["--measure", "sum=sum(it.value)"]].concat(), texts);
        assert!(!bench.path("lake").exists(), "nothing runs: {axes:?}");
    };
    refused(&["--grid", "waht=good"], &["error[unknown-parameter]", "`waht`", "did you mean `what`?"]);
    refused(&["--grid", "idle=1,2"], &["error[unused-axis]", "`idle`", "to mend"]);
    refused(&["--grid", "what"], &["error[bad-axis]", "--grid what", "to mend"]);
    refused(&["--grid", "idle=0:9"], &["error[bad-range]", "0:9", "to mend"]);
    refused(&["--grid", "idle=9:0:1"], &["error[bad-range]", "9:0:1", "to mend"]);
    refused(&["--grid", "idle=NaN"], &["error[parameter-type]", "NaN", "to mend"]);
    refused(&["--grid", "idle=5:12:5"], &["error[parameter-range]", "`10`", "9"]);
    refused(&["--grid", "what="], &["error[empty-axis]", "what", "to mend"]);
    refused(&["--grid", "what=a,b,a"], &["error[duplicate-point]", "point 3", "what=\"a\"", "point 1"]);
    refused(&["--grid", "what=a", "--zip", "what=b"], &["error[axis-twice]", "`what`"]);
    refused(&["--grid", "what=a", "--set", "what=b"], &["error[set-and-swept]", "`what`"]);
    refused(&["--zip", "what=a,b", "--zip", "idle=1"], &["error[zip-lengths]", "idle", "to mend"]);
    refused(&["--random", "3"], &["error[bad-draw]", "--draw", "to mend"]);
    refused(&["--random", "3", "--draw", "idle=choice:1,2"], &["error[bad-draw]", "only 2 points"]);
    refused(&["--random", "3", "--draw", "idle=log:0:9"], &["error[bad-draw]", "log:0:9"]);
    refused(&[], &["error[no-axis]", "--grid", "[sweep]"]);
}

#[test]
fn more_than_ten_million_points_are_refused() {
    let bench = Bench::example("etf-replicator");
    let axes = ["--grid", "in_window=2:5002:1", "--grid", "lasso_alpha=1e-5:1e-2:log5000"];
    let args = [&["sweep", "."], &axes[..], &["--measure", "f=stats.fits"]].concat();
    bench.refused(&args, &["error[too-many-points]", "25000000", "10000000", "to mend"]);
}

#[test]
fn measures_that_name_nothing_are_refused() {
    let bench = misbehaving();
    let refused = |measure: &[&str], texts: &[&str]| {
        bench.refused(&[&["sweep", ".", "--grid", "what=good"], measure].concat(), texts);
        assert!(!bench.path("lake").exists(), "nothing runs: {measure:?}");
    };
    refused(&["--measure", "s=sum(itt.value)"], &["error[measure-node]", "`itt`", "did you mean `it`?"]);
    refused(
        &["--measure", "s=sum(it.values)"],
        &["error[measure-column]", "`values`", "did you mean `value`?"],
    );
    refused(&["--measure", "s=sum(it.word)"], &["error[measure-column]", "`word`", "no number"]);
    refused(&["--measure", "s=sum(it.in.value)"], &["error[measure-table]", "`it`", "to mend"]);
    refused(&["--measure", "s=median(it.value)"], &["error[bad-measure]", "median", "to mend"]);
    refused(&["--measure", "sum(it.value)"], &["error[bad-measure]", "to mend"]);
    refused(&["--measure", "what=it.value"], &["error[bad-measure]", "`what`", "parameter"]);
    refused(&["--measure", "state=it.value"], &["error[bad-measure]", "`state`", "results"]);
    refused(
        &["--measure", "s=it.value", "--measure", "s=last(it.value)"],
        &["error[bad-measure]", "`s`", "twice"],
    );
    refused(&["--measure", "s=sum(it.value)", "--minimize", "t"], &["error[unknown-measure]", "`t`"]);
    refused(&["--measure", "s=sum(it.value)", "--best-to", "b.toml"], &["error[no-goal]", "--minimize"]);
    // What only the first point can tell.
    for (measure, code) in [("s=it.value", "measure-rows"), ("s=metric(it.loss)", "measure-metric")] {
        let called = bench.call(&["sweep", ".", "--grid", "what=good", "--measure", measure]);
        assert_eq!(called.code, Some(1), "{}", called.stderr);
        assert!(called.stderr.contains(&format!("[{code}]")), "{}", called.stderr);
    }
}

#[test]
fn a_bad_points_file_is_told_with_row_and_column() {
    let bench = misbehaving();
    let refused = |csv: &str, texts: &[&str]| {
        bench.write("points.csv", csv);
        let args = ["sweep", ".", "--points", "points.csv", "--measure", "sum=sum(it.value)"];
        bench.refused(&args, &[&["points.csv"], texts].concat());
    };
    refused("what,idel\ngood,1\n", &["column `idel`", "did you mean `idle`?"]);
    refused("what,idle\ngood,1\nclock,many\n", &["row 2", "column `idle`", "\"many\"", "to mend"]);
    refused("what,idle\ngood,1\nclock,12\n", &["row 2", "column `idle`", "`12`", "to mend"]);
    refused("what\ngood\ngood\n", &["point 2", "point 1"]);
    refused("what\n", &["no rows"]);
    refused("", &["no rows"]);
    let args = ["sweep", ".", "--points", "nowhere.csv", "--measure", "sum=sum(it.value)"];
    bench.refused(&args, &["error[bad-points-file]", "nowhere.csv", "to mend"]);
}

#[test]
fn a_node_that_adds_to_its_table_is_not_swept() {
    let bench = peeking("write_mode = \"append\"");
    let args = ["sweep", ".", "--grid", "way=future,run", "--measure", "n=sum(it.value)"];
    bench.refused(&args, &["error[sweep-adds]", "`it`", "to mend", "replace"]);
}

#[test]
fn a_measure_that_nothing_answers_to_ends_the_sweep_at_its_first_point() {
    let bench = misbehaving();
    let values = (0..300).map(|it| format!("clock{it}")).collect::<Vec<_>>().join(",");
    let grid = format!("what=good,two-batches,{values}");
    let args = ["sweep", ".", "--grid", &grid, "--measure", "loss=metric(it.loss)", "--jobs", "1"];
    let (sweep, called) = swept(&bench, &args, 1);
    assert!(called.stderr.contains("[measure-metric]"), "{}", called.stderr);
    let [computed, _, failed, not_reached] = counts(&sweep);
    assert!(
        computed == 0 && failed < 150 && 150 < not_reached,
        "{failed} failed, {not_reached} were not reached"
    );
}

#[test]
fn a_full_disk_ends_a_sweep_and_what_was_kept_is_whole() {
    let bench = peeking("");
    // More than a record of the sweep needs, less than all of its rows do.
    let script = "ulimit -f 64; trap '' XFSZ; exec \"$0\" \"$@\"";
    let range = "way=".to_owned() + &(0..1000).map(|it| format!("run{it}")).collect::<Vec<_>>().join(",");
    let args = ["sweep", ".", "--grid", &range, "--measure", "n=sum(it.value)", "--keep", "none"];
    let called =
        bench.call_program("bash", &[&["-c", script, env!("CARGO_BIN_EXE_tidemill")], &args[..]].concat());
    assert_eq!(called.code, Some(1), "{}{}", called.stdout, called.stderr);
    assert!(called.stderr.contains("error[run-record-io]"), "{}", called.stderr);
    assert!(!called.stderr.contains("every point is in"), "{}", called.stderr);
    let shown = bench.done(&["sweep", "show", "--format", "json"]).stdout;
    let kept = shown.lines().count();
    assert!((50..1000).contains(&kept), "{kept} rows fit");
    let (sweep, _) = swept(&bench, &args, 0);
    assert_eq!(counts(&sweep)[0] + counts(&sweep)[1], 1000, "with room it goes on");
}

#[test]
fn ranges_and_draws_of_integers_are_exact() {
    let bench = Bench::example("etf-replicator");
    let dry = |args: &[&str]| {
        bench.json(&[&["sweep", ".", "--dry-run", "--measure", "f=stats.fits"], args].concat())
    };
    assert_eq!(dry(&["--grid", "in_window=1234567890123:1234567890133:1"])["points"], 10);
    let refused = |draw: &str, text: &str| {
        let args = ["sweep", ".", "--measure", "f=stats.fits", "--random", "2", "--draw", draw];
        bench.refused(&args, &["error[bad-draw]", text]);
    };
    refused("in_window=uniform:60.2:60.8", "no whole number");
    let args = [
        "sweep",
        ".",
        "--measure",
        "f=stats.fits",
        "--random",
        "20000000",
        "--draw",
        "in_window=uniform:2:9",
    ];
    bench.refused(&args, &["error[too-many-points]", "20000000"]);
    bench.refused(
        &["sweep", ".", "--measure", "f=stats.fits", "--grid", "lasso_alpha=-1e308:1e308:1"],
        &["error[bad-range]", "more than 10 million values"],
    );
    bench.write("fixed.toml", "refit_every = 20\n");
    let (sweep, _) = swept(
        &bench,
        &["sweep", ".", "--grid", "in_window=60", "--measure", "f=stats.fits", "--params", "fixed.toml"],
        0,
    );
    let record = &sweep["sweep"];
    assert_eq!(
        (&record["parameters"]["refit_every"], &record["parameters_from"]["refit_every"]),
        (&20.into(), &"params".into())
    );
    assert_eq!(record["parameters_from"]["lasso_alpha"], "default");
}
