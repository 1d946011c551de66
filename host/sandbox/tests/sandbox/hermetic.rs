//! A task sees the run's clock, seeded randomness and nothing else; what it says goes to the log.

use tidemill_sandbox::{Level, LogSource, Outcome};

use crate::driver::{LIMITS, TestHost, attempt, misbehave};
use crate::guests;

fn say(what: &str) -> Vec<String> {
    let mut host = TestHost::default();
    assert_eq!(misbehave(what, &mut host).outcome, Outcome::Done, "{what}");
    host.log.into_iter().map(|it| it.message).collect()
}

#[test]
fn the_clock_begins_at_the_logical_time() {
    let said = say("clock");
    let wall: u64 = said[0].strip_prefix("wall ").unwrap().parse().unwrap();
    assert!((1_000_000_000..1_001_000_000).contains(&wall), "{wall}");
    assert_eq!(said[1..], ["logical 1000000000", "advances true"]);
    assert_eq!(said, say("clock"), "the same at every replay");
}

#[test]
fn sleeping_takes_no_time() {
    assert_eq!(say("sleep"), ["slept 3600"]);
}

#[test]
fn randomness_comes_from_the_seed() {
    let first = say("random");
    assert_eq!(first, say("random"));
    let component = guests::load("misbehave");
    let mut host = TestHost::default();
    let other = tidemill_sandbox::Attempt { seed: 43, ..attempt(r#"{"do": "random"}"#, LIMITS) };
    assert_eq!(guests::sandbox().run(&component, &other, &mut host).outcome, Outcome::Done);
    assert_ne!(host.messages(), first);
}

#[test]
fn there_is_no_environment() {
    assert_eq!(say("environment"), ["variables 0", "arguments 0", "stdin Some(0)"]);
}

#[test]
fn there_are_no_files() {
    let said = say("files");
    assert_eq!(said.len(), 9);
    assert!(said.iter().all(|it| it.ends_with("false")), "{said:?}");
}

#[test]
fn nans_are_canonical() {
    assert_eq!(say("nan"), ["7ff8000000000000 7ff8000000000000"]);
}

#[test]
fn stdout_and_stderr_are_lines_of_the_log() {
    let mut host = TestHost::default();
    assert_eq!(misbehave("talk", &mut host).outcome, Outcome::Done);
    let said: Vec<_> = host.log.iter().map(|it| (it.source, it.message.as_str())).collect();
    let stdout = LogSource::Stdout;
    let expected = [
        (stdout, "to stdout"),
        (LogSource::Stderr, "to stderr"),
        (stdout, "two"),
        (stdout, "lines"),
        (stdout, "no end"),
    ];
    assert_eq!(said, expected);
}

#[test]
fn the_context_is_told_and_heard() {
    let mut host = crate::outputs::host_with_numbers();
    let ended = misbehave("context", &mut host);
    assert_eq!(ended.outcome, Outcome::Done);
    assert_eq!(
        host.messages(),
        [
            "run-1 leg[window=60] 0123456789abcdef0123456789abcdef",
            "attempt 2 seed 42",
            "window Some(10) Some(99) Some(1000000000)",
            "member prices {}",
            "members elsewhere 0",
            r#"progress ["a"] 5"#,
            "checkpoint None",
            "checkpoint Some(8)",
            "with fields",
        ]
    );
    assert_eq!(host.progress, [(3, Some(10))]);
    assert_eq!(host.metrics, [("loss".to_owned(), 0.5)]);
    assert_eq!(host.checkpoint.as_deref(), Some(b"half way".as_slice()));
    let last = host.log.last().unwrap();
    assert_eq!((last.level, last.source), (Level::Warn, LogSource::Task));
    assert_eq!(last.fields, [("day".to_owned(), "7".to_owned())]);
}
