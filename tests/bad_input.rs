//! What is wrong before anything runs: exit code 2, one clear error, nothing written.

use crate::program::{Bench, guest};

const PIPELINE: &str = "[pipeline]\nname = \"bad\"\n\n[sources.prices]\npath = \"prices.csv\"\n";

#[track_caller]
fn refused(text: &str, texts: &[&str]) {
    let bench = Bench::empty();
    bench.write("prices.csv", "time,symbol,close\n2024-01-02,a,1.5\n").write("pipeline.toml", text);
    for command in ["plan", "run"] {
        bench.refused(&[command, "."], texts);
    }
    assert!(!bench.path("lake").exists(), "nothing runs, nothing is written");
}

#[track_caller]
fn refused_component(bytes: &[u8], texts: &[&str]) {
    let bench = Bench::empty();
    std::fs::write(bench.path("x.wasm"), bytes).expect("write component");
    bench.write(
        "pipeline.toml",
        "[pipeline]\nname = \"bad\"\n[tasks]\nx = \"x.wasm\"\n[nodes.x]\ntask = \"x\"\n",
    );
    bench.refused(&["inspect", "x.wasm"], texts);
    bench.refused(&["plan", "."], texts);
    bench.refused(&["run", "."], texts);
    assert!(!bench.path("lake").exists(), "nothing runs, nothing is written");
}

#[test]
fn a_file_that_is_not_wasm_is_refused() {
    refused_component(b"#!/bin/sh\n", &["error[not-wasm]", "x.wasm", "to mend"]);
}

#[test]
fn a_core_module_is_refused() {
    refused_component(b"\0asm\x01\0\0\0", &["error[core-module]", "x.wasm", "to mend", "tidemill build"]);
}

#[test]
fn a_component_without_the_world_is_refused() {
    refused_component(b"\0asm\x0d\0\x01\0", &["x.wasm", "tidemill:task", "to mend"]);
}

#[test]
fn a_component_for_a_newer_contract_is_refused() {
    let text = r#"(component (import "tidemill:task/data@1.7.0" (instance)))"#;
    refused_component(&wat::parse_str(text).expect("WAT"), &["x.wasm", "1.7.0", "1.1.0", "to mend"]);
}

#[test]
fn a_component_that_imports_something_unknown_is_refused() {
    let text = r#"(component (import "acme:db/query@1.0.0" (instance)))"#;
    let texts = ["error[unknown-import]", "x.wasm", "`acme:db/query@1.0.0`", "to mend"];
    refused_component(&wat::parse_str(text).expect("WAT"), &texts);
}

#[test]
fn malformed_toml_is_named_with_line_and_column() {
    refused("[pipeline]\nname = \"bad\n", &["pipeline.toml, line 2, column"]);
}

#[test]
fn a_wrong_type_is_named_with_line_and_column() {
    refused("[pipeline]\nname = 7\n", &["name", "pipeline.toml, line 2, column 8"]);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest() {
    let text = PIPELINE.replace("path", "pth");
    refused(&text, &["`pth`", "pipeline.toml, line 5, column 1", "`path`"]);
}

#[test]
fn an_unknown_task_is_named_with_how_to_build_it() {
    let text = format!("{PIPELINE}[nodes.x]\ntask = \"nope\"\n");
    refused(&text, &["error[unknown-task]", "`nope`", "pipeline.toml, line 7", "to mend", "tidemill build"]);
}

#[test]
fn an_unknown_node_is_named_with_the_nearest() {
    let bench = Bench::example("hello");
    bench.refused(
        &["run", ".", "--only", "anomly"],
        &["error[unknown-node]", "`anomly`", "to mend", "`anomaly`"],
    );
}

#[test]
fn a_cycle_is_printed() {
    let identity = guest("identity");
    let text = format!(
        "[pipeline]\nname = \"bad\"\n[tasks]\nidentity = \"{identity}\"\n\
         [nodes.a]\ntask = \"identity\"\ninputs = {{ in = \"b\" }}\n[nodes.b]\ntask = \"identity\"\ninputs = {{ in = \"a\" }}\n"
    );
    refused(&text, &["error[cycle]", "`a → b → a`", "to mend"]);
}

/// Nodes of the guest `identity`, which has one port `in`, after a source `prices`.
#[track_caller]
fn refused_nodes(nodes: &str, texts: &[&str]) {
    let identity = guest("identity");
    let text = format!("{PIPELINE}[tasks]\nidentity = \"{identity}\"\n{nodes}");
    refused(&text, texts);
}

#[test]
fn a_missing_input_is_named() {
    refused_nodes("[nodes.x]\ntask = \"identity\"\n", &["error[missing-input]", "`in`", "line 8"]);
}

#[test]
fn a_surplus_input_is_named_with_the_nearest() {
    let text = "[nodes.x]\ntask = \"identity\"\ninputs = { in = \"prices\", inn = \"prices\" }\n";
    refused_nodes(text, &["error[", "`inn`", "line 10", "`in`"]);
}

#[test]
fn a_parameter_that_nothing_uses_is_named() {
    refused_nodes("[parameters.window]\ntype = \"integer\"\n", &["error[", "`window`", "line 8"]);
}

#[test]
fn a_parameter_that_the_task_does_not_have_is_named() {
    let text = "[nodes.x]\ntask = \"identity\"\ninputs = { in = \"prices\" }\nparameters = { hwo = \"\" }\n";
    refused_nodes(text, &["error[", "`hwo`", "line 11", "`how`"]);
}

#[test]
fn a_family_of_nothing_is_named() {
    let text = "[nodes.x]\ntask = \"identity\"\ninputs = { in = \"prices\" }\nfor_each = { window = [] }\n";
    refused_nodes(text, &["error[", "`x`", "window", "line 11"]);
}

#[test]
fn two_nodes_that_would_write_one_table_are_named() {
    let node = |name| format!("[nodes.{name}]\ntask = \"identity\"\ninputs = {{ in = \"prices\" }}\n");
    refused_nodes(&(node("x") + &node("y")), &["error[duplicate-table]", "`y`", "`x`"]);
}

#[test]
fn a_table_that_does_not_fit_its_port_is_named_with_column_and_types() {
    let bench = Bench::example("etf-replicator");
    bench.edit("pipeline.toml", "coefficients = \"lasso\", returns", "coefficients = \"returns\", returns");
    for command in ["plan", "run"] {
        bench.refused(&[command, "."], &["error[", "replica", "`coefficient`", "line"]);
    }
}

#[test]
fn an_override_of_wrong_type_or_name_is_refused() {
    let bench = Bench::example("etf-replicator");
    bench.refused(&["run", ".", "--set", "in_window=soon"], &["error[", "in_window", "soon", "integer"]);
    bench.refused(&["run", ".", "--set", "in_windw=60"], &["error[", "`in_windw`", "`in_window`"]);
    bench.refused(&["run", ".", "--set", "lasso_alpha"], &["error[", "lasso_alpha"]);
}

#[test]
fn what_the_machine_does_not_have_is_refused() {
    let bench = Bench::example("etf-replicator");
    bench.edit("pipeline.toml", "[nodes.lasso]\n", "[nodes.lasso]\nresources = { cpus = 100000 }\n");
    bench.refused(&["run", "."], &["error[", "lasso", "100000"]);
}

#[test]
fn a_window_without_time_and_a_time_that_is_none_are_refused() {
    let bench = Bench::example("hello");
    bench.refused(
        &["run", ".", "--start", "2020-01-02", "--end", "2020-01-02"],
        &["error[empty-window]", "2020-01-02"],
    );
    bench.refused(
        &["plan", ".", "--as-of", "yesterday"],
        &["error[bad-time]", "--as-of", "`yesterday`", "to mend"],
    );
}

#[test]
fn a_pipeline_that_is_not_there_is_named() {
    Bench::empty().refused(&["run", "nope.toml"], &["error[no-pipeline]", "nope.toml", "to mend"]);
}

#[test]
fn a_lake_of_a_newer_version_is_refused() {
    let bench = Bench::example("hello");
    bench.run(&[]);
    let name = "lake/tidemill-lake.json";
    let mut version: serde_json::Value = serde_json::from_str(&bench.read(name)).expect("JSON");
    version["format"] = 99.into();
    bench.write(name, &version.to_string());
    for args in [&["run", "."][..], &["tables"], &["show", "x"]] {
        bench.refused(args, &["error[lake-newer]", "99", "to mend"]);
    }
}

#[test]
fn a_lake_that_cannot_be_written_is_refused() {
    // Not even root makes a folder there.
    Bench::example("hello")
        .refused(&["run", ".", "--lake", "/proc/lake"], &["error[", "/proc/lake", "to mend"]);
}

/// A file may not grow past 1 MiB: as a disk that fills up in the middle of a table.
#[test]
fn a_disk_that_fills_up_leaves_whole_tables_only() {
    let bench = Bench::empty();
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let rows: String = (0..300_000).map(|row| format!("{row},{}\n", noise())).collect();
    bench.write("large.csv", &format!("row,value\n{rows}")).write("small.csv", "row,value\n1,2\n");
    let text = "[pipeline]\nname = \"full\"\n[sources.small]\npath = \"small.csv\"\n[sources.large]\npath = \"large.csv\"\n";
    bench.write("pipeline.toml", text);
    let script =
        format!("trap '' XFSZ; ulimit -f 1024; exec '{}' run . --jobs 1", env!("CARGO_BIN_EXE_tidemill"));
    let called = bench.call_program("bash", &["-c", &script]);
    assert_eq!(called.code, Some(1), "{}{}", called.stdout, called.stderr);
    for text in ["error[disk-full]", "large", "to mend"] {
        assert!(called.stderr.contains(text), "{}", called.stderr);
    }
    let tables = bench.json(&["tables"]);
    let nodes: Vec<_> = tables.as_array().expect("a list").iter().map(|it| &it["node"]).collect();
    assert_eq!(nodes, ["small"]);
    assert_eq!(bench.done(&["show", "small", "--format", "csv"]).stdout, "row,value\n1,2\n");
    bench.run(&[]);
    assert_eq!(bench.json(&["tables"]).as_array().expect("a list").len(), 2);
}

#[test]
fn a_lake_that_is_a_file_is_refused() {
    let bench = Bench::example("hello");
    bench.write("occupied", "a file");
    bench.refused(&["run", ".", "--lake", "occupied"], &["error[", "occupied", "to mend"]);
}
