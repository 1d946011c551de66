//! Each command as a user types it.

use crate::program::Bench;

#[test]
fn show_prints_and_exports_in_every_format() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    let table = bench.done(&["show", "returns", "--rows", "3"]);
    assert_eq!(table.stdout.lines().count(), 4, "a header and three rows: {}", table.stdout);
    assert!(table.stderr.contains("3 of "), "{}", table.stderr);
    let tail = bench.done(&["show", "returns", "--tail", "--rows", "1"]);
    assert!(tail.stdout.contains("2022-12-28"), "{}", tail.stdout);
    let columns = bench.done(&["show", "stats", "--columns", "fits,tracking_error", "--format", "csv"]);
    assert_eq!(columns.stdout.lines().next(), Some("fits,tracking_error"));
    for file in ["x.csv", "x.json", "x.parquet", "x.arrow"] {
        bench.done(&["show", "replica", "-o", file]);
        assert!(bench.path(file).metadata().expect("the file is there").len() > 1000, "{file}");
    }
    assert!(std::fs::read(bench.path("x.parquet")).expect("read file").starts_with(b"PAR1"));
    assert!(std::fs::read(bench.path("x.arrow")).expect("read file").starts_with(b"ARROW1"));
    let ranged =
        bench.done(&["show", "index", "--start", "2000-01-03", "--end", "2000-01-05", "--format", "json"]);
    assert_eq!(ranged.stdout.lines().count(), 2, "{}", ranged.stdout);
}

#[test]
fn an_exported_table_is_a_source_again() {
    let bench = Bench::example("hello");
    bench.run(&[]);
    let tables = bench.json(&["tables"]);
    let sources = tables.as_array().expect("a list").iter().filter(|it| it["component"].is_null()).count();
    assert_eq!(sources, 1, "{tables}");
    let node =
        tables.as_array().expect("a list").iter().find(|it| it["component"].is_null()).expect("a source");
    let node = node["node"].as_str().expect("a name");
    // JSON objects have no order of keys, so the columns are named.
    let columns = "time_index,celsius";
    for ending in ["parquet", "arrow", "jsonl", "csv"] {
        let file = format!("again.{ending}");
        bench.done(&["show", node, "-o", &file]);
        bench.write(
            "again/pipeline.toml",
            &format!("[pipeline]\nname = \"again\"\n[sources.{node}]\npath = \"../{file}\"\n"),
        );
        let first = bench.done(&["show", node, "--format", "csv", "--columns", columns]).stdout;
        bench.done(&["run", "again", "--lake", "again-lake"]);
        let again = bench
            .done(&["show", node, "--lake", "again-lake", "--format", "csv", "--columns", columns])
            .stdout;
        assert_eq!(first, again, "{ending}");
    }
}

#[test]
fn inspect_tells_ports_parameters_and_imports() {
    let bench = Bench::example("etf-replicator");
    let it = bench.json(&["inspect", "components/lasso.wasm"]);
    assert_eq!(it["name"], "lasso");
    assert_eq!(it["parameters"]["properties"]["in_window"]["default"], 240);
    assert_eq!(it["capabilities"].as_array().map(Vec::len), Some(0));
    let imports = it["imports"].as_array().expect("a list");
    assert!(imports.iter().any(|it| it.as_str().is_some_and(|it| it.starts_with("tidemill:task/"))), "{it}");
    let text = bench.done(&["inspect", "components/lasso.wasm"]).stdout;
    for part in ["lasso", "in_window", "default 240", "returns", "float64", "tidemill:task/data@1.1.0"] {
        assert!(text.to_lowercase().contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn logs_tell_what_tasks_logged_per_attempt() {
    let bench = Bench::empty();
    bench.write("pipeline.toml", &crate::limits::misbehaving("talk", ""));
    bench.call(&["run", "."]);
    let lines = bench.done(&["logs"]).stdout;
    assert!(lines.contains("bad#1"), "{lines}");
    let json = bench.done(&["logs", "last", "--node", "bad", "--attempt", "1", "--json"]).stdout;
    for line in json.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(entry["node"], "bad");
    }
    assert!(!json.is_empty());
    assert_eq!(bench.done(&["logs", "--attempt", "2"]).stdout, "");
    assert_eq!(bench.done(&["logs", "-f"]).stdout, lines, "a run that has ended ends its followers");
    bench.refused(&["logs", "nope"], &["error[unknown-run]", "`nope`", "to mend", "newest"]);
    bench.refused(&["logs", "--node", "nope"], &["error[unknown-node]", "`nope`", "to mend", "bad"]);
}

#[test]
fn clean_removes_nothing_until_told_yes() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    bench.refused(&["clean"], &["error[nothing-named]"]);
    let before = bench.table_files();
    let told = bench.done(&["clean", "--table", "stats", "--all-runs"]);
    assert!(
        told.stderr.contains("would remove 1 table (") && told.stderr.contains("--yes"),
        "{}",
        told.stderr
    );
    assert_eq!(bench.table_files(), before);
    bench.done(&["clean", "--table", "stats", "--yes"]);
    assert_eq!(bench.json(&["tables"]).as_array().map(Vec::len), Some(6));
    let record = bench.run(&[]);
    assert_eq!(crate::program::in_state(&record, "computed"), ["stats"]);
    bench.done(&["clean", "--all-tables", "--older-than", "1d", "--yes"]);
    assert_eq!(bench.json(&["tables"]).as_array().map(Vec::len), Some(7), "none is a day old");
    bench.done(&["clean", "--all-tables", "--all-runs", "--yes"]);
    assert_eq!(bench.json(&["tables"]).as_array().map(Vec::len), Some(0));
    bench.refused(&["logs"], &["error[unknown-run]"]);
}

#[test]
fn new_task_makes_a_crate_that_builds_and_passes_its_test() {
    let bench = Bench::empty();
    bench.done(&["new", "task", "moving_average"]);
    // The versions that the examples were compiled with, so that nothing is fetched or compiled again.
    let lock = crate::program::repository().join("examples/Cargo.lock");
    std::fs::copy(lock, bench.path("moving_average/Cargo.lock")).expect("copy lock file");
    let code = bench.read("moving_average/src/lib.rs");
    assert!(code.lines().count() <= 40, "{} lines to read", code.lines().count());
    assert_eq!(code.matches("#[test]").count(), 1);
    // Where the examples were compiled, so that the SDK need not be compiled again.
    let shared = std::env::var_os("CARGO_TARGET_DIR").map(std::path::PathBuf::from);
    let of_examples = crate::program::repository().join("examples/target");
    let target = shared.clone().unwrap_or_else(|| of_examples.clone());
    let native_target = shared.map_or(of_examples, |it| it.join("examples"));
    let built =
        bench.command(&["build", "moving_average", "--json"]).env("CARGO_TARGET_DIR", &target).output();
    let built = crate::program::Called::new(&built.expect("start tidemill"));
    assert_eq!(built.code, Some(0), "{}{}", built.stdout, built.stderr);
    let report: serde_json::Value = serde_json::from_str(&built.stdout).expect("JSON on stdout");
    assert_eq!(report[0]["task"], "moving_average");
    let path = report[0]["path"].as_str().expect("a path").to_owned();
    assert_eq!(bench.json(&["inspect", &path])["name"], "moving_average");
    let tested = std::process::Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--offline", "--manifest-path"])
        .arg(bench.path("moving_average/Cargo.toml"))
        .env("CARGO_TARGET_DIR", &native_target)
        .output()
        .expect("start cargo");
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    bench.refused(&["new", "task", "moving_average"], &["error[folder-exists]"]);
    bench.refused(&["new", "task", "Moving"], &["error[bad-task-name]", "`Moving`"]);
}

#[test]
fn completions_and_help_are_there() {
    let bench = Bench::empty();
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.done(&["completions", shell]).stdout.contains("tidemill"), "{shell}");
    }
    assert!(bench.done(&["help", "run"]).stdout.contains("--keep-going"));
    assert_eq!(bench.call(&["rnu"]).code, Some(2));
}

#[test]
fn a_lake_that_is_not_there_is_named() {
    let bench = Bench::empty();
    for args in [&["tables"][..], &["show", "x"], &["logs"], &["clean", "--all-tables"]] {
        bench.refused(args, &["error[lake-missing]: there is no lake at `lake`", "to mend"]);
    }
}

#[test]
fn a_run_in_memory_leaves_nothing() {
    let bench = Bench::example("hello");
    let record = bench.run(&["--lake", ":memory:"]);
    assert_eq!(record["state"], "succeeded");
    assert!(!bench.path(":memory:").exists() && !bench.path("lake").exists());
}
