//! Errors: how they are made, what they say, what the harness refuses.

use tidemill_task::{Kind, prelude::*};

use crate::three;

#[derive(Debug)]
struct Cause;

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the cause")
    }
}

impl std::error::Error for Cause {}

#[derive(Debug)]
struct Outer(Cause);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the outer")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_question_mark_keeps_the_chain_of_causes() {
    fn fails() -> Result<()> {
        Err(Outer(Cause))?;
        Ok(())
    }
    let error = fails().expect_err("fails");
    assert_eq!((error.message(), error.kind()), ("the outer: the cause", Kind::Permanent));
    let error = fails().context("open book").expect_err("fails");
    assert_eq!(error.to_string(), "open book: the outer: the cause");
}

#[test]
fn retryable_stays_retryable_under_its_context() {
    let late: Result<()> = Err(Error::retryable("the feed is late"));
    let error = late.context("read feed").expect_err("fails");
    assert_eq!((error.message(), error.kind()), ("read feed: the feed is late", Kind::Retryable));
    assert_eq!(format!("{error:?}"), "read feed: the feed is late (retryable)");
}

#[test]
fn ensure_says_the_condition_when_nothing_else_is_said() {
    fn positive(number: i32) -> Result<i32> {
        ensure!(number > 0);
        Ok(number)
    }
    assert_eq!(positive(0).expect_err("fails").message(), "`number > 0` does not hold");
}

#[task]
fn foreign(rows: RecordBatch) -> std::result::Result<RecordBatch, std::num::ParseIntError> {
    let _: u32 = "x".parse()?;
    Ok(rows)
}

#[test]
fn a_task_may_return_any_error() {
    let error = Harness::new(foreign_task).input("rows", three()).run().expect_err("fails");
    assert_eq!(error.message(), "invalid digit found in string");
}

#[task]
fn keep(prices: RecordBatch) -> RecordBatch {
    prices
}

#[test]
fn the_harness_refuses_what_a_planner_would() {
    let missing = Harness::new(keep_task).run().expect_err("refused");
    assert_eq!(missing.message(), "input `prices` takes 1 table, got 0");
    let twice =
        Harness::new(keep_task).input("prices", three()).input("prices", three()).run().expect_err("refused");
    assert_eq!(twice.message(), "input `prices` takes 1 table, got 2");
    let unequal =
        Harness::new(keep_task).input("prices", crate::Prices { close: vec![1.0].into(), ..three() });
    let unequal = unequal.run().expect_err("refused");
    assert_eq!(unequal.message(), "input `prices`: column `close` has 1 rows, `time_index` has 3");
}

#[task]
fn silent(_output: &mut Output) {}

#[test]
fn an_output_that_is_never_written_is_an_error() {
    let error = Harness::new(silent_task).run().expect_err("refused");
    assert_eq!(error.message(), "output `output` was never written, and only writing decides its columns");
}

#[task]
fn panics() {
    panic!("by hand");
}

#[test]
fn a_panic_leaves_no_session_behind() {
    let unwound = std::panic::catch_unwind(|| Harness::new(panics_task).run().map(drop));
    assert!(unwound.is_err());
    assert_eq!(Context::current().identity().node, "test");
}
