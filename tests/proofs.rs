//! Results that can be proved: what a run's record keeps, runs repeated from it, runs compared, runs that go on from others.

mod diff;
mod from_run;
mod recorded;
mod replayed;

use serde_json::Value;

use crate::program::{Bench, guest};

fn id(record: &Value) -> &str {
    record["run"].as_str().expect("a run has an id")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// The entry of a list whose `key` is `name`.
#[track_caller]
fn named<'a>(entries: &'a Value, key: &str, name: &str) -> &'a Value {
    list(entries).iter().find(|it| it[key] == name).unwrap_or_else(|| panic!("no `{name}` in {entries}"))
}

/// Replays with `--json`, expecting this exit code.
#[track_caller]
fn replay(bench: &Bench, args: &[&str], code: i32) -> Value {
    let called = bench.call(&[&["replay", "--json"], args].concat());
    assert_eq!(called.code, Some(code), "{}{}", called.stdout, called.stderr);
    serde_json::from_str(&called.stdout).expect("JSON on stdout")
}

fn verdicts(compared: &Value) -> Vec<(String, String)> {
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    list(&compared["tables"]).iter().map(|it| (text(&it["node"]), text(&it["verdict"]))).collect()
}

fn all_equal(compared: &Value) -> bool {
    !list(&compared["tables"]).is_empty() && verdicts(compared).iter().all(|(_, it)| it == "equal")
}

/// Two days of one node that comes out otherwise at every run, and a node that copies it.
fn fickle(more: &str) -> Bench {
    let bench = Bench::empty();
    let text = format!(
        "[pipeline]\nname = \"fickle\"\n[tasks]\nfickle = \"{}\"\nidentity = \"{}\"\n\
         [nodes.days]\ntask = \"fickle\"\n{more}\n\
         [nodes.copy]\ntask = \"identity\"\ninputs = {{ in = \"days\" }}\n",
        guest("fickle"),
        guest("identity")
    );
    bench.write("pipeline.toml", &text);
    bench
}

/// Changes a record where it lies.
fn edit_record(bench: &Bench, run: &str, edit: impl FnOnce(&mut Value)) {
    let path = format!("lake/runs/{run}/run.json");
    let mut record: Value = serde_json::from_str(&bench.read(&path)).expect("a record is JSON");
    edit(&mut record);
    bench.write(&path, &record.to_string());
}

/// A component that does the same under another digest: with a custom section, as a comment in its code may give it.
fn change_component(bench: &Bench, name: &str) {
    let path = bench.path(name);
    let mut bytes = std::fs::read(&path).expect("read component");
    bytes.extend_from_slice(&[0, 5, 4, b'n', b'o', b't', b'e']);
    std::fs::write(&path, bytes).expect("write component");
}

fn digest(bench: &Bench, component: &str) -> String {
    bench.json(&["inspect", component])["digest"].as_str().expect("a digest").to_owned()
}
