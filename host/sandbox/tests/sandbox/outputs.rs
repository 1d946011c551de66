//! What a task writes is what it declared, and valid, or the attempt fails.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};
use arrow::record_batch::RecordBatch;
use tidemill_plan::Code;
use tidemill_sandbox::{FailureKind, Fault, Outcome};

use crate::driver::{TestHost, fails, failure, misbehave};

pub(crate) fn host_with_numbers() -> TestHost {
    let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    TestHost::reading(RecordBatch::try_from_iter([("words", words)]).unwrap())
}

#[test]
fn good_batches_arrive_as_they_were_written() {
    let mut host = TestHost::default();
    let ended = misbehave("two-batches", &mut host);
    assert_eq!(ended.outcome, Outcome::Done);
    assert_eq!((ended.usage.rows_out, host.output().num_rows()), (5, 5));
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![0.0, 1.0, 2.0, 0.0, 1.0]));
    assert_eq!(host.output().column(0), &numbers);
}

#[test]
fn a_batch_without_rows_is_no_batch() {
    let mut host = TestHost::default();
    assert_eq!(misbehave("no-rows", &mut host).outcome, Outcome::Done);
    assert_eq!(host.written.lock().unwrap()["out"].1.len(), 0);
}

#[test]
fn every_declared_output_must_be_created() {
    fails("no-output", &mut TestHost::default(), "output-missing", &["`out`"]);
}

#[test]
fn an_output_is_created_once_and_as_declared() {
    for (what, code, words) in [
        ("create-twice", "created-twice", &["`out`"] as &[_]),
        ("create-unknown", "unknown-port", &["`elsewhere`"]),
        ("create-fewer", "output-schema", &["output `out`", "`word` is missing"]),
        ("create-more", "output-schema", &["output `out`", "`extra` is not declared"]),
        ("create-renamed", "output-schema", &["output `out`", "column 1 is `wort`, declared is `word`"]),
        (
            "create-retyped",
            "output-schema",
            &["output `out`", "column `value` is Float32, declared is Float64"],
        ),
        ("create-unreadable", "output-schema", &["output `out`", "column `value`", "`?`"]),
        ("create-children", "output-schema", &["output `out`", "column `word`"]),
    ] {
        fails(what, &mut TestHost::default(), code, words);
    }
}

#[test]
fn a_batch_has_the_columns_of_its_table() {
    fails(
        "fewer-columns",
        &mut TestHost::default(),
        "output-columns",
        &["output `out`", "`word` is missing"],
    );
    fails(
        "more-columns",
        &mut TestHost::default(),
        "output-columns",
        &["output `out`", "3 columns, the table 2"],
    );
}

#[test]
fn invalid_data_is_told_with_port_column_and_row() {
    for (what, words) in [
        ("short-column", &["`word`", "2 rows, the batch 3"] as &[_]),
        ("short-buffer", &["`value`", "23 bytes; 3 rows need 24"]),
        ("null-in-required", &["`value`, row 1 of the batch", "null"]),
        ("offsets-decrease", &["`word`, row 1 of the batch"]),
        ("offsets-beyond", &["`word`, row 2 of the batch"]),
        ("offsets-short", &["`word`", "8 bytes; 3 rows need 16"]),
        ("offsets-negative", &["`word`"]),
        ("not-utf8", &["`word`, row 1 of the batch", "utf-8"]),
        ("split-character", &["`word`, row 0 of the batch"]),
        ("wrong-null-count", &["`word`", "claims 2 nulls", "has 1"]),
        ("too-many-nulls", &["`word`", "9 nulls are more than 3 rows"]),
        ("short-bitmap", &["`word`", "validity bitmap has 0 bytes"]),
        ("missing-buffer", &["`word`", "3 buffers, not 2"]),
        ("surplus-buffer", &["`word`", "more buffers"]),
        ("no-nodes", &["`word`", "node"]),
    ] {
        let mut host = TestHost::default();
        fails(what, &mut host, "invalid-data", &[&["output `out`"], words].concat());
        assert_eq!(host.output().num_rows(), 0, "{what}");
    }
}

#[test]
fn a_borrowed_column_has_the_type_of_the_output() {
    fails(
        "borrow-mistyped",
        &mut host_with_numbers(),
        "invalid-data",
        &["output `out`", "`value`", "passed through as Utf8, the column is Float64"],
    );
}

#[test]
fn ports_and_members_exist_or_the_attempt_fails() {
    fails("open-unknown", &mut host_with_numbers(), "unknown-port", &["`elsewhere`"]);
    fails("open-member", &mut host_with_numbers(), "no-such-member", &["member 9", "`in`, which has 1"]);
    fails("column-out-of-range", &mut host_with_numbers(), "no-such-column", &["column 99; it has 1"]);
}

#[test]
fn a_fault_cannot_be_swallowed() {
    fails("swallowed-fault", &mut TestHost::default(), "output-columns", &["0 columns"]);
    fails("unwrapped-fault", &mut TestHost::default(), "output-columns", &["0 columns"]);
}

#[test]
fn a_fault_of_the_writer_names_the_port() {
    let fault = Fault::permanent(Code("unsorted"), "column `time`, row 7: earlier than row 6", "sort it");
    let mut host = TestHost { write_fault: Some(fault), ..TestHost::default() };
    let failure = failure(misbehave("good", &mut host));
    assert_eq!(failure.code, Code("unsorted"));
    assert_eq!(failure.what, "output `out`: column `time`, row 7: earlier than row 6");
    assert_eq!(failure.mend, "sort it");
}

#[test]
fn a_fault_of_the_reader_names_the_port_and_keeps_its_kind() {
    let fault = Fault::retryable(Code("read-failed"), "the disk is away", "");
    let mut host = TestHost { read_fault: Some(fault), ..host_with_numbers() };
    let identity = crate::guests::load("identity");
    let failure = failure(crate::driver::run(&identity, "{}", crate::driver::LIMITS, &mut host));
    assert_eq!((failure.code, failure.kind), (Code("read-failed"), FailureKind::Retryable));
    assert_eq!(failure.what, "input `in`: the disk is away");
}

#[test]
fn a_checkpoint_has_a_size_limit() {
    let mut host = TestHost::default();
    fails("large-checkpoint", &mut host, "checkpoint-too-large", &["1048577 bytes"]);
    assert_eq!(host.checkpoint, Some(vec![1, 2, 3]));
}
