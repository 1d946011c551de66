//! No task sees the future: as-of is enforced whatever a task asks for, and `check` finds nodes that peek all the same.

use serde_json::Value;

use crate::program::{Bench, guest};

/// Every way in which the guest `peek` reads.
const WAYS: [&str; 7] =
    ["whole", "rest", "one by one", "past as-of", "to the end of time", "from the beginning", "one column"];

fn peeking(sources: &str, input: &str) -> Bench {
    let bench = Bench::empty();
    bench.write(
        "pipeline.toml",
        &format!(
            "[pipeline]\nname = \"peeking\"\n[tasks]\npeek = \"{}\"\n{sources}\n\
             [nodes.peek]\ntask = \"peek\"\ninputs = {{ in = \"{input}\" }}\nparameters = {{ do = \"peek\" }}\n",
            guest("peek")
        ),
    );
    bench
}

/// What the node `peek` saw in each way: rows, and the last time in days since 1970.
#[track_caller]
fn seen(bench: &Bench, args: &[&str]) -> Vec<(u64, f64)> {
    let record = bench.run(args);
    let nodes = record["nodes"].as_array().expect("nodes");
    let metrics = &nodes.iter().find(|it| it["node"] == "peek").expect("the node `peek`")["metrics"];
    let number = |name: String| {
        let it = &metrics[&name];
        it.as_f64().or_else(|| it.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{name}: {metrics}"))
    };
    WAYS.iter().map(|way| (number(format!("rows {way}")) as u64, number(format!("last {way}")))).collect()
}

const DAYS: &str = "[sources.days]\npath = \"days.csv\"\ntime_index = \"time\"\n";
const JAN_2_2024: f64 = 19_724.0;

#[test]
fn no_way_of_reading_a_source_reaches_past_as_of() {
    let bench = peeking(DAYS, "days");
    bench.write(
        "days.csv",
        "time,x\n2024-01-01,1\n2024-01-02,2\n2024-01-02T00:00:00.000001,3\n2024-01-03,4\n",
    );
    let ways = seen(&bench, &["--as-of", "2024-01-02"]);
    for (way, (rows, last)) in WAYS.iter().zip(&ways) {
        let expected = if *way == "past as-of" { (0, f64::NEG_INFINITY) } else { (2, JAN_2_2024) };
        assert_eq!((*rows, *last), expected, "{way}");
    }
    assert_eq!(seen(&bench, &[])[0].0, 4, "without as-of there is more to see");
}

#[test]
fn no_way_of_reading_a_task_s_table_reaches_past_as_of() {
    let bench = peeking("[nodes.future]\ntask = \"peek\"\nparameters = { do = \"future\" }\n", "future");
    let ways = seen(&bench, &["--as-of", "2024-01-02"]);
    for (way, (rows, last)) in WAYS.iter().zip(&ways) {
        let expected = if *way == "past as-of" { (0, f64::NEG_INFINITY) } else { (2, JAN_2_2024) };
        assert_eq!((*rows, *last), expected, "{way}");
    }
}

const FIGURES: &str =
    "[sources.figures]\npath = \"figures.csv\"\ntime_index = \"time\"\nknowledge_time = \"known\"\n";

#[test]
fn rows_that_were_not_known_yet_are_hidden_whatever_time_they_are_about() {
    let bench = peeking(FIGURES, "figures");
    // Told late, told at once, revised, and known long before.
    bench.write(
        "figures.csv",
        "time,known,x\n2024-01-01,2024-01-05,1\n2024-01-02,2024-01-02,2\n2024-01-02,2024-01-04,3\n\
         2024-06-01,2023-01-01,4\n",
    );
    for ((rows, _), way) in seen(&bench, &["--as-of", "2024-01-02"]).iter().zip(WAYS) {
        let expected = if way == "past as-of" { 1 } else { 2 };
        assert_eq!(*rows, expected, "{way}: Jan 2 as first told, and June");
    }
    let shown = bench.done(&["show", "figures", "--format", "csv"]).stdout;
    assert!(shown.contains(",2\n") && !shown.contains(",3\n") && !shown.contains(",1\n"), "{shown}");
    bench.run(&["--as-of", "2024-01-04"]);
    let shown = bench.done(&["show", "figures", "--format", "csv"]).stdout;
    assert!(!shown.contains(",2\n") && shown.contains(",3\n"), "the revision takes its place: {shown}");
}

#[track_caller]
fn checked(bench: &Bench, args: &[&str], code: i32) -> (Value, String) {
    let mut all = vec!["check", ".", "--json"];
    all.extend(args);
    let called = bench.call(&all);
    assert_eq!(called.code, Some(code), "{}{}", called.stdout, called.stderr);
    assert!(!bench.path("lake").exists(), "a check leaves nothing behind");
    (serde_json::from_str(&called.stdout).expect("JSON on stdout"), called.stderr)
}

fn node<'v>(checks: &'v Value, name: &str) -> &'v Value {
    let nodes = checks["nodes"].as_array().expect("nodes");
    nodes.iter().find(|it| it["node"] == name).unwrap_or_else(|| panic!("no `{name}`: {checks}"))
}

/// `examples/look-ahead`: one sound node and one with a centred window.
#[test]
fn the_centred_window_of_examples_look_ahead_is_caught() {
    let bench = Bench::example("look-ahead");
    let (checks, stderr) = checked(&bench, &[], 1);
    assert_eq!(node(&checks, "trailing")["verdict"], "sound");
    let centred = node(&checks, "centred");
    assert_eq!(centred["verdict"], "unsound");
    let findings = centred["findings"].as_array().expect("findings");
    assert_eq!(findings.len(), 1, "its look-back is as declared: {findings:?}");
    let finding = &findings[0];
    assert_eq!((&finding["kind"], &finding["differing"]), (&"look-ahead".into(), &7.into()));
    assert_eq!(finding["to"], "2015-02-26");
    // 21 days: the first row that lacks a day of its window stands 10 trading days before the cut, less none.
    assert_eq!(finding["row"]["index"], "2015-02-12, MTUM");
    assert_eq!(finding["inputs"][0]["port"], "prices");
    for text in ["error[look-ahead]", "`centred`", "`prices`", "2015-02-12, MTUM", "2015-02-26", "to mend"] {
        assert!(stderr.contains(text), "`{text}` is not on stderr:\n{stderr}");
    }
    let (checks, _) = checked(&bench, &["--node", "trailing"], 0);
    assert_eq!(checks["nodes"].as_array().map(Vec::len), Some(1), "only what was asked for");
}

#[test]
fn a_look_back_that_is_too_short_is_told_with_what_would_do() {
    let bench = Bench::example("look-ahead");
    bench.edit(
        "pipeline.toml",
        "parameters = { days = \"{{ days }}\" }\nlook_back = \"{{ days - 1 }}\"",
        "parameters = { days = \"{{ days }}\" }\nlook_back = { prices = 12 }",
    );
    let (checks, stderr) = checked(&bench, &["--node", "trailing", "--tiles", "5"], 1);
    let finding = &node(&checks, "trailing")["findings"][0];
    assert_eq!((&finding["kind"], &finding["differing"]), (&"look-back".into(), &5.into()));
    let input = &finding["inputs"][0];
    assert_eq!((&input["declared"]["times"], &input["needed_times"]), (&12.into(), &20.into()));
    assert!(stderr.contains("12 times declared, 20 times would do here"), "{stderr}");
    bench.edit("pipeline.toml", "{ prices = 12 }", "\"6d\"");
    let (_, stderr) = checked(&bench, &["--node", "trailing"], 1);
    assert!(stderr.contains("6d declared"), "{stderr}");
    bench.edit("pipeline.toml", "\"6d\"", "\"35d\"");
    checked(&bench, &["--node", "trailing"], 0);
}

#[test]
fn day_by_day_is_checked_as_well() {
    let bench = Bench::example("look-ahead");
    let (checks, _) = checked(
        &bench,
        &["--node", "trailing", "--tiles", "1d", "--start", "2014-01-01", "--end", "2014-05-01"],
        0,
    );
    let trailing = node(&checks, "trailing");
    // 82 trading days less the 20 before the first window is full.
    assert_eq!((&trailing["tiles"], &trailing["cuts"]), (&62.into(), &61.into()), "{checks}");
}

#[test]
fn a_node_over_revised_figures_looks_ahead() {
    let smooth = Bench::example("look-ahead");
    smooth.write(
        "figures.csv",
        "time_index,known,unique_identifier,close\n2024-01-01,2024-01-01,a,1\n2024-01-02,2024-01-02,a,2\n\
         2024-01-01,2024-01-02,a,9\n",
    );
    let text = "[pipeline]\nname = \"revised\"\n[sources.figures]\npath = \"figures.csv\"\ntime_index = \"time_index\"\n\
                identifiers = [\"unique_identifier\"]\nknowledge_time = \"known\"\n\
                columns = { close = \"float64\" }\n\
                [nodes.smooth]\ntask = \"smooth\"\ninputs = { prices = \"figures\" }\nparameters = { days = 1 }\n";
    smooth.write("pipeline.toml", text);
    let (checks, _) = checked(&smooth, &["--tiles", "2"], 1);
    let finding = &node(&checks, "smooth")["findings"][0];
    assert_eq!(finding["kind"], "look-ahead");
    assert_eq!((&finding["row"]["whole"], &finding["row"]["partial"]), (&"9.0".into(), &"1.0".into()));
}

#[test]
fn a_task_that_computes_with_the_name_of_its_run_is_not_repeatable() {
    let bench = Bench::empty();
    bench.write("days.csv", "time,x\n2024-01-01,1\n2024-01-02,2\n");
    bench.write(
        "pipeline.toml",
        &format!(
            "[pipeline]\nname = \"p\"\n[tasks]\npeek = \"{}\"\n{DAYS}[nodes.named]\ntask = \"peek\"\n\
             inputs = {{ in = \"days\" }}\nparameters = {{ do = \"run\" }}\n",
            guest("peek")
        ),
    );
    let (checks, stderr) = checked(&bench, &[], 1);
    assert_eq!(node(&checks, "named")["findings"][0]["kind"], "not-repeatable");
    assert!(stderr.contains("error[not-repeatable]"), "{stderr}");
}

#[test]
fn what_cannot_be_checked_says_why() {
    let bench = Bench::example("etf-replicator");
    let (checks, _) = checked(&bench, &[], 0);
    let stats = node(&checks, "stats");
    assert_eq!(
        (&stats["verdict"], &stats["why"]),
        (&"not-checked".into(), &"all its rows have one time".into())
    );
    assert_eq!(node(&checks, "lasso")["verdict"], "sound");
    assert_eq!(node(&checks, "returns")["tiles"], 8);
}

#[test]
fn bad_input_of_check_is_told() {
    let bench = Bench::example("look-ahead");
    let cases: [(&[&str], &[&str]); 4] = [
        (&["check", ".", "--tiles", "1"], &["error[bad-tiles]", "`--tiles 1`", "to mend"]),
        (&["check", ".", "--tiles", "soon"], &["error[bad-tiles]", "`--tiles soon`", "to mend"]),
        (&["check", ".", "--node", "traling"], &["error[unknown-node]", "`traling`", "`trailing`"]),
        (&["check", "nowhere"], &["error[no-pipeline]", "nowhere"]),
    ];
    for (args, texts) in cases {
        bench.refused(args, texts);
    }
    bench.edit("pipeline.toml", "look_back = \"{{ days - 1 }}\"\n\n", "look_back = { price = 3 }\n\n");
    bench.refused(
        &["check", "."],
        &["error[surplus-input]", "`look_back`", "`price`", "did you mean `prices`?"],
    );
    bench.edit("pipeline.toml", "{ price = 3 }", "-3");
    bench.refused(&["check", "."], &["error[out-of-range]", "look_back", "-3"]);
    bench.edit("pipeline.toml", "look_back = -3", "look_back = \"3 days\"");
    bench.refused(&["check", "."], &["error[bad-duration]", "look_back", "3 days"]);
}

#[test]
fn what_a_task_reports_is_shown_with_its_run() {
    let bench = peeking(DAYS, "days");
    bench.write("days.csv", "time,x\n2024-01-01,1\n2024-01-02,2\n");
    bench.run(&[]);
    let shown = bench.done(&["runs", "show", "last"]).stdout;
    let line =
        shown.lines().find(|it| it.contains("rows whole")).unwrap_or_else(|| panic!("no metric:\n{shown}"));
    assert!(line.contains("peek") && line.trim_end().ends_with(" 2.0"), "{line}");
}
