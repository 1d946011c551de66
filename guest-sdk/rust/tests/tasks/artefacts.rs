//! Files that a task leaves, as a test sees them.

use std::io::Write as _;

use tidemill_task::prelude::*;

/// Two files in turns, one of them in pieces larger and smaller than what is gathered.
#[task]
fn papers(ctx: &Context) -> Result<()> {
    let mut table = Artefact::create("table.csv", "text/csv")?;
    writeln!(table, "day,value")?;
    ctx.artefact("note.txt", "text/plain", b"done")?;
    table.write_all(&[b'x'; 100_000])?;
    write!(table, "end")?;
    Ok(())
}

#[test]
fn files_hold_what_was_written_in_its_order() {
    let outputs = Harness::new(papers_task).run().expect("runs");
    assert_eq!(outputs.artefacts(), ["note.txt", "table.csv"]);
    assert_eq!(outputs.artefact("note.txt"), Some(("text/plain".to_owned(), b"done".to_vec())));
    let (_, table) = outputs.artefact("table.csv").expect("left");
    assert_eq!(table, [b"day,value\n".as_slice(), &[b'x'; 100_000], b"end"].concat());
    assert_eq!(outputs.artefact("other"), None);
}

#[parameters]
struct Called {
    #[default = "a"]
    first: String,
    #[default = "b"]
    second: String,
    #[default = "text/plain"]
    kind: String,
}

#[task]
fn called(parameters: Called) -> Result<()> {
    artefact(&parameters.first, &parameters.kind, b"")?;
    artefact(&parameters.second, &parameters.kind, b"")
}

#[test]
fn names_and_media_types_that_a_host_refuses_fail_a_test_too() {
    let fails = |parameters: serde_json::Value| {
        let (outcome, _) = Harness::new(called_task).parameters(parameters).try_run();
        outcome.expect_err("a host refuses it").message().to_owned()
    };
    assert!(fails(json!({"first": "../a"})).contains("`../a` cannot name an artefact"));
    assert!(fails(json!({"first": ".a"})).contains("cannot name an artefact"));
    assert!(fails(json!({"second": "a"})).contains("`a` was created before"));
    assert!(fails(json!({"kind": "plain"})).contains("`plain` is no media type"));
    assert!(fails(json!({"kind": "text/plain\r\nA: b"})).contains("is no media type"));
}
