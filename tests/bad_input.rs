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
fn a_lake_that_is_a_file_is_refused() {
    let bench = Bench::example("hello");
    bench.write("occupied", "a file");
    bench.refused(&["run", ".", "--lake", "occupied"], &["error[", "occupied", "to mend"]);
}
