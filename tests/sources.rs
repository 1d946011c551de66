//! Sources as users have them: every format; and every way in which they are wrong, told with file, column and row.

use crate::program::Bench;

const GOOD: &str =
    "time,symbol,close\n2024-01-02,a,1.5\n2024-01-02,b,2.5\n2024-01-03,a,1.25\n2024-01-03,b,2.75\n";

fn with_source(options: &str) -> Bench {
    let bench = Bench::empty();
    bench.write("prices.csv", GOOD);
    bench.write("pipeline.toml", &format!("[pipeline]\nname = \"sources\"\n[sources.prices]\n{options}\n"));
    bench
}

const TYPICAL: &str = "path = \"prices.csv\"\ntime_index = \"time\"\nidentifiers = [\"symbol\"]";

#[track_caller]
fn check(options: &str, data: &str, texts: &[&str]) {
    let bench = with_source(options);
    bench.write("prices.csv", data);
    bench.fails(&["run", "."], texts);
    assert_eq!(bench.json(&["tables"]).as_array().map(Vec::len), Some(0), "nothing is committed");
}

#[test]
fn a_csv_source_becomes_a_table() {
    let bench = with_source(TYPICAL);
    bench.run(&[]);
    let table = bench.json(&["tables"])[0].clone();
    assert_eq!(
        (&table["rows"], &table["first"], &table["last"]),
        (&4.into(), &"2024-01-02".into(), &"2024-01-03".into())
    );
    assert_eq!(table["identifiers"][0], "symbol");
}

#[test]
fn time_and_identifiers_are_inferred_where_they_are_plain() {
    let bench = with_source("path = \"prices.csv\"");
    bench.run(&[]);
    let table = bench.json(&["tables"])[0].clone();
    assert_eq!(
        (&table["time_index"], &table["identifiers"][0]),
        (&"time".into(), &"symbol".into()),
        "{table}"
    );
}

#[test]
fn several_files_are_one_table() {
    let bench = with_source("path = \"days/*.csv\"");
    bench.write("days/1.csv", "time,symbol,close\n2024-01-02,a,1.5\n2024-01-02,b,2.5\n");
    bench.write("days/2.csv", "time,symbol,close\n2024-01-03,a,1.25\n");
    bench.run(&[]);
    assert_eq!(bench.json(&["tables"])[0]["rows"], 3);
    bench.edit("pipeline.toml", "days/*.csv", "days");
    bench.edit("pipeline.toml", "[sources.prices]\n", "[sources.prices]\nformat = \"csv\"\n");
    bench.run(&[]);
    bench.write("days/3.csv", "time,symbol,close\n2024-01-04,a,1\n");
    bench.run(&[]);
    let mut rows: Vec<u64> = bench
        .json(&["tables"])
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["rows"].as_u64())
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, [3, 4], "glob and folder are two tables, and the folder was read again");
}

#[test]
fn an_unsorted_source_is_sorted_on_wish() {
    let unsorted = "time,symbol,close\n2024-01-03,a,1\n2024-01-02,a,2\n";
    check(TYPICAL, unsorted, &["prices.csv", "time", "row 2", "to mend", "sort"]);
    let bench = with_source(&format!("{TYPICAL}\nsort = true"));
    bench.write("prices.csv", unsorted);
    bench.run(&[]);
    assert_eq!(bench.json(&["tables"])[0]["rows"], 2);
}

#[test]
fn a_missing_source_is_named() {
    let bench = with_source("path = \"price.csv\"");
    bench.fails(&["run", "."], &["error[", "price.csv", "to mend"]);
    let told = bench.done(&["plan", "."]);
    assert!(told.stderr.contains("a run would fail") && told.stderr.contains("price.csv"), "{}", told.stderr);
}

#[test]
fn an_empty_source_is_named() {
    check(TYPICAL, "", &["error[", "prices.csv", "to mend"]);
}

#[test]
fn an_unreadable_source_is_named() {
    let bench = with_source("path = \"prices.parquet\"");
    bench.write("prices.parquet", "this is not Parquet");
    bench.fails(&["run", "."], &["error[", "prices.parquet", "to mend"]);
}

#[test]
fn a_wrong_type_is_named_with_its_row() {
    let typed = format!("{TYPICAL}\ncolumns = {{ close = \"float64\" }}");
    check(
        &typed,
        "time,symbol,close\n2024-01-02,a,1.5\n2024-01-03,a,much\n",
        &["prices.csv", "close", "row 2"],
    );
}

#[test]
fn a_missing_column_is_named() {
    let typed = format!("{TYPICAL}\ncolumns = {{ clse = \"float64\" }}");
    check(&typed, GOOD, &["prices.csv", "clse", "to mend"]);
}

#[test]
fn a_duplicate_index_is_named_with_its_row() {
    check(
        TYPICAL,
        "time,symbol,close\n2024-01-02,a,1\n2024-01-02,a,2\n",
        &["prices.csv", "row 2", "to mend"],
    );
}

#[test]
fn a_value_that_is_not_finite_is_named_where_forbidden() {
    let finite = format!("{TYPICAL}\ncolumns = {{ close = {{ type = \"float64\", finite = true }} }}");
    check(
        &finite,
        "time,symbol,close\n2024-01-02,a,1\n2024-01-03,a,NaN\n",
        &["prices.csv", "close", "row 2"],
    );
    check(
        &finite,
        "time,symbol,close\n2024-01-02,a,1\n2024-01-03,a,inf\n",
        &["prices.csv", "close", "row 2"],
    );
}

#[test]
fn a_null_is_named_where_forbidden() {
    let full = format!("{TYPICAL}\ncolumns = {{ close = {{ type = \"float64\", nullable = false }} }}");
    check(&full, "time,symbol,close\n2024-01-02,a,1\n2024-01-03,a,\n", &["prices.csv", "close", "row 2"]);
}

#[test]
fn a_time_column_that_is_none_is_named() {
    check(
        "path = \"prices.csv\"\ntime_index = \"symbol\"",
        GOOD,
        &["error[", "prices.csv", "symbol", "timestamp", "to mend"],
    );
}

#[test]
fn a_plan_tells_what_a_run_would_refuse_of_a_source_without_declared_columns() {
    let bench = Bench::example("look-ahead");
    let with = |options: &str, data: &str| {
        bench.write("prices.csv", data);
        bench.write(
            "pipeline.toml",
            &format!(
                "[pipeline]\nname = \"p\"\n[sources.prices]\npath = \"prices.csv\"\n{options}\n\
                 [nodes.smooth]\ntask = \"smooth\"\ninputs = {{ prices = \"prices\" }}\n"
            ),
        );
        bench.done(&["plan", "."]).stderr
    };
    let whole = "time_index,unique_identifier,close\n2024-01-02,a,1\n";
    let told = with("", whole);
    for text in
        ["column-type", "`close` as `float64`", "`prices` has it as `int64`", "[sources.prices.columns]"]
    {
        assert!(told.contains(text), "`{text}` is not told:\n{told}");
    }
    let told = with(
        "time_index = \"time_index\"\nidentifiers = [\"unique_identifier\"]\ncolumns = { close = \"float64\" }",
        whole,
    );
    assert!(!told.contains("would fail"), "{told}");
    let told = with("", "time_index,unique_identifier,price\n2024-01-02,a,1.5\n");
    assert!(told.contains("column-missing") && told.contains("`close`"), "{told}");
    let told = with("time_index = \"tme\"", whole);
    assert!(told.contains("source-column-missing") && told.contains("`tme`"), "{told}");
}
