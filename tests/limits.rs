//! What a guest does wrong ends its attempt, with an error that says which limit; other nodes go on or not as the
//! run's policy says.

use crate::program::{Bench, guest, in_state};

/// A pipeline whose node `bad` misbehaves, beside a node `good` that does not depend on it.
pub(crate) fn misbehaving(what: &str, more: &str) -> String {
    format!(
        "[pipeline]\nname = \"limits\"\n[tasks]\nmisbehave = \"{}\"\n\
         [nodes.bad]\ntask = \"misbehave\"\nparameters = {{ do = \"{what}\" }}\n{more}\n\
         [nodes.good]\ntask = \"misbehave\"\nparameters = {{ do = \"clock\" }}\n",
        guest("misbehave")
    )
}

#[track_caller]
fn check(what: &str, more: &str, texts: &[&str]) {
    let bench = Bench::empty();
    bench.write("pipeline.toml", &misbehaving(what, more));
    let record = bench.call(&["run", ".", "--keep-going", "--json"]);
    assert_eq!(record.code, Some(1), "{}{}", record.stdout, record.stderr);
    let mut rest = record.stderr.as_str();
    for text in texts {
        let Some((_, after)) = rest.split_once(text) else {
            panic!("`{text}` is not on stderr:\n{}", record.stderr)
        };
        rest = after;
    }
    let record: serde_json::Value = serde_json::from_str(&record.stdout).expect("JSON on stdout");
    assert_eq!(in_state(&record, "failed"), ["bad"]);
    assert_eq!(in_state(&record, "computed"), ["good"], "the host goes on");
    assert_eq!(record["nodes"][0]["tables"].as_array().map(Vec::len), Some(0), "nothing is committed");
}

#[test]
fn an_endless_loop_ends_at_its_timeout() {
    check("endless-loop", "timeout = \"300ms\"", &["error[timeout]", "`bad`", "300ms", "to mend"]);
}

#[test]
fn a_memory_bomb_ends_at_its_limit() {
    check("memory-bomb", "resources = { memory = \"32MiB\" }", &["error[memory-limit]", "32", "to mend"]);
}

#[test]
fn deep_recursion_ends_at_the_stack() {
    check("deep-recursion", "", &["error[stack-limit]", "to mend"]);
}

#[test]
fn a_log_flood_ends_at_its_limit() {
    check("log-flood", "limits = { log = \"64KiB\" }", &["error[log-limit]", "64KiB"]);
}

#[test]
fn an_output_flood_ends_at_its_limit() {
    check("output-flood", "limits = { output = \"4MiB\" }", &["error[output-limit]", "to mend"]);
}

#[test]
fn a_panic_ends_the_attempt_with_its_message() {
    check("panic", "", &["error[task-panicked]", "`bad`"]);
}

#[test]
fn a_retryable_error_is_tried_again_as_told() {
    let bench = Bench::empty();
    let retry = "retry = { policy = \"fixed\", max = 2, delay = \"1ms\" }";
    bench.write("pipeline.toml", &misbehaving("retryable", retry));
    let called = bench.call(&["run", ".", "--keep-going", "--json"]);
    assert_eq!(called.code, Some(1), "{}", called.stderr);
    let record: serde_json::Value = serde_json::from_str(&called.stdout).expect("JSON on stdout");
    assert_eq!(record["nodes"][0]["attempts"], 3);
    assert!(called.stderr.contains("the feed is not there yet"), "{}", called.stderr);
    bench.write("pipeline.toml", &misbehaving("permanent", retry));
    let called = bench.call(&["run", ".", "--keep-going", "--json"]);
    let record: serde_json::Value = serde_json::from_str(&called.stdout).expect("JSON on stdout");
    assert_eq!(record["nodes"][0]["attempts"], 1, "a permanent error is not tried again");
}

#[test]
fn a_failure_stops_the_run_unless_told_to_keep_going() {
    let bench = Bench::empty();
    let text = misbehaving("permanent", "priority = 1")
        + "[nodes.after]\ntask = \"identity\"\ninputs = { in = \"good\" }\n";
    let text = text.replace("[tasks]\n", &format!("[tasks]\nidentity = \"{}\"\n", guest("identity")));
    bench.write("pipeline.toml", &text);
    let called = bench.call(&["run", ".", "--jobs", "1", "--json"]);
    assert_eq!(called.code, Some(1), "{}", called.stderr);
    let record: serde_json::Value = serde_json::from_str(&called.stdout).expect("JSON on stdout");
    assert_eq!(in_state(&record, "failed"), ["bad"]);
    assert_eq!(in_state(&record, "computed"), Vec::<String>::new(), "{record}");
}
