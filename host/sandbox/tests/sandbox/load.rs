//! What is not a task is refused when it is loaded, with the reason.

use std::path::Path;

use tidemill_sandbox::Outcome;

use crate::driver::{LIMITS, run};
use crate::guests;

#[track_caller]
fn refused(bytes: &[u8], code: &str, words: &[&str]) {
    let error = guests::sandbox().load_bytes("some.wasm", bytes).expect_err("it is not a task");
    assert_eq!(error.code().0, code, "{error}");
    for word in [&["some.wasm"], words].concat() {
        assert!(error.to_string().contains(word), "`{error}` does not say `{word}`");
    }
    assert!(!error.mend().is_empty());
}

#[track_caller]
fn refused_text(text: &str, code: &str, words: &[&str]) {
    refused(&wat::parse_str(text).expect("valid text"), code, words);
}

#[test]
fn a_good_task_is_described() {
    let component = guests::load("misbehave");
    let description = component.description();
    assert_eq!((description.name.as_str(), description.hints.memory_bytes), ("misbehave", Some(64 << 20)));
    let columns = description.outputs[0].columns.as_ref().expect("declared");
    assert_eq!(columns.fields().len(), 2);
    assert_eq!(component.contract(), tidemill_sandbox::CONTRACT);
    assert!(component.imports().iter().any(|it| it.starts_with("tidemill:task/data@")));
    assert!(component.imports().is_sorted());
    assert!(component.capabilities().is_empty());
    let bytes = std::fs::read(guests::path("misbehave")).unwrap();
    assert_eq!(component.digest(), tidemill_plan::Digest::of(&bytes));
    assert_eq!(component.size_bytes(), bytes.len() as u64);
}

#[test]
fn a_missing_file_is_named() {
    let error = guests::sandbox().load(Path::new("no/such.wasm")).expect_err("it is not there");
    assert_eq!(error.code().0, "component-unreadable");
    assert!(error.to_string().contains("no/such.wasm"));
}

#[test]
fn what_is_not_a_component_is_refused() {
    refused(b"", "not-wasm", &[]);
    refused(b"#!/bin/sh\n", "not-wasm", &[]);
    refused(b"\0asm", "invalid-component", &[]);
    refused_text("(module)", "core-module", &["core WebAssembly module"]);
    let mut torn = std::fs::read(guests::path("empty")).unwrap();
    torn.truncate(torn.len() / 2);
    refused(&torn, "invalid-component", &[]);
}

#[test]
fn a_component_without_the_handler_is_no_task() {
    refused_text("(component)", "not-a-task", &["tidemill:task/handler"]);
}

#[test]
fn a_newer_contract_is_named_with_ours() {
    refused_text(
        r#"(component (import "tidemill:task/data@1.7.0" (instance)))"#,
        "newer-contract",
        &["version 1.7.0", "supports 1.1.0"],
    );
    refused_text(
        r#"(component (instance $i) (export "tidemill:task/handler@2.0.0" (instance $i)))"#,
        "newer-contract",
        &["version 2.0.0", "supports 1.1.0"],
    );
    refused_text(
        r#"(component (instance $i) (export "tidemill:task/handler@0.9.0" (instance $i)))"#,
        "other-contract",
        &["version 0.9.0"],
    );
}

#[test]
fn a_task_of_an_older_minor_version_runs_as_ever() {
    let component = guests::load("elder");
    assert_eq!(component.contract(), "1.0.0");
    assert!(
        component.imports().contains(&"tidemill:task/data@1.0.0".to_owned()),
        "{:?}",
        component.imports()
    );
    let mut host = crate::outputs::host_with_numbers();
    let ended = run(&component, "{}", LIMITS, &mut host);
    assert_eq!(ended.outcome, Outcome::Done);
    let (_, given) = host.input.clone().expect("numbers");
    assert_eq!(host.output(), given[0]);
    assert_eq!(host.metrics, [("rows".to_owned(), f64::from(u32::try_from(given[0].num_rows()).unwrap()))]);
}

#[test]
fn an_unknown_import_is_named() {
    refused_text(
        r#"(component (import "acme:db/query@1.0.0" (instance)))"#,
        "unknown-import",
        &["`acme:db/query@1.0.0`"],
    );
    refused_text(
        r#"(component
            (import "wasi:cli/environment@0.2.0" (instance (export "set-environment" (func))))
            (instance $i) (export "tidemill:task/handler@1.0.0" (instance $i)))"#,
        "unknown-import",
        &["wasi:cli/environment@0.2.0#set-environment"],
    );
}

#[test]
fn the_network_is_not_granted() {
    refused_text(
        r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#,
        "capability-not-granted",
        &["`wasi:sockets/tcp@0.2.0`"],
    );
    refused_text(
        r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance)))"#,
        "capability-not-granted",
        &["`wasi:http/outgoing-handler@0.2.0`"],
    );
}

#[test]
fn other_signatures_do_not_fit() {
    refused_text(
        r#"(component (instance $i) (export "tidemill:task/handler@1.0.0" (instance $i)))"#,
        "contract-mismatch",
        &["`describe`"],
    );
    refused_text(
        r#"(component
            (import "tidemill:task/context@1.0.0" (instance (export "parameters" (func (result u32)))))
            (instance $i) (export "tidemill:task/handler@1.0.0" (instance $i)))"#,
        "contract-mismatch",
        &[],
    );
}

#[test]
fn a_task_describes_itself_without_looking_around() {
    let error = guests::sandbox().load(&guests::path("curious")).expect_err("it asks for parameters");
    assert_eq!(error.code().0, "describe-failed");
    assert!(error.to_string().contains("`context.parameters`"), "{error}");
}
