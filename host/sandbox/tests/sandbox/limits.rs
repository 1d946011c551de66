//! Every limit and every kind of trap ends the attempt with its name and place.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tidemill_plan::Code;
use tidemill_sandbox::{AttemptLimits, FailureKind, InterruptCause, Options, Outcome, Sandbox};

use crate::driver::{LIMITS, TestHost, attempt, fails, failure, misbehave, run};
use crate::guests;

#[test]
fn an_empty_task_is_done() {
    let ended = run(&guests::load("empty"), "{}", LIMITS, &mut TestHost::default());
    assert_eq!(ended.outcome, Outcome::Done);
    assert!(ended.usage.memory_peak_bytes > 0);
}

#[test]
fn an_endless_loop_ends_at_the_time_limit() {
    let limits = AttemptLimits { time_ms: Some(50), ..LIMITS };
    let ended =
        run(&guests::load("misbehave"), r#"{"do": "endless-loop"}"#, limits, &mut TestHost::default());
    assert!(ended.usage.wall_us >= 50_000);
    let failure = failure(ended);
    assert_eq!((failure.code, failure.kind), (Code("timeout"), FailureKind::Retryable));
    assert!(failure.what.contains("50 ms"), "{}", failure.what);
}

#[test]
fn an_interrupt_stops_an_endless_loop() {
    let component = guests::load("misbehave");
    let attempt = attempt(r#"{"do": "endless-loop"}"#, LIMITS);
    let interrupt = attempt.interrupt.clone();
    let begin = Instant::now();
    let ended = std::thread::scope(|scope| {
        let attempt = scope.spawn(|| guests::sandbox().run(&component, &attempt, &mut TestHost::default()));
        interrupt.set(InterruptCause::Cancelled);
        interrupt.set(InterruptCause::TimedOut);
        attempt.join().unwrap()
    });
    assert_eq!(ended.outcome, Outcome::Interrupted(InterruptCause::Cancelled));
    assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
}

#[test]
fn fuel_is_counted_exactly() {
    let component = guests::load("misbehave");
    let limits = AttemptLimits { fuel: Some(50_000_000), ..LIMITS };
    let used: Vec<_> = (0..2)
        .map(|_| run(&component, r#"{"do": "good"}"#, limits, &mut TestHost::default()))
        .map(|it| (it.outcome, it.usage.fuel.expect("counted")))
        .collect();
    assert_eq!(used[0], used[1]);
    assert_eq!(used[0].0, Outcome::Done);
    assert!(used[0].1 > 0);
    let ended = run(&component, r#"{"do": "endless-loop"}"#, limits, &mut TestHost::default());
    assert_eq!(ended.usage.fuel, Some(50_000_000));
    let failure = failure(ended);
    assert_eq!(failure.code, Code("fuel-limit"));
    assert!(failure.what.contains("50000000 instructions in `"), "{}", failure.what);
}

#[test]
fn a_memory_bomb_ends_at_the_memory_limit() {
    let mut host = TestHost::default();
    let ended = misbehave("memory-bomb", &mut host);
    assert!(ended.usage.memory_peak_bytes <= LIMITS.memory_bytes);
    assert!(ended.usage.memory_peak_bytes > LIMITS.memory_bytes / 2);
    fails("memory-bomb", &mut host, "memory-limit", &["64MiB of memory", "memory_bomb"]);
}

#[test]
fn deep_recursion_ends_at_the_stack_limit() {
    fails("deep-recursion", &mut TestHost::default(), "stack-limit", &["nested too deeply", "descend"]);
}

#[test]
fn floods_of_words_end_at_the_log_limit() {
    for what in ["log-flood", "stdout-flood", "endless-line", "metric-flood"] {
        let mut host = TestHost::default();
        fails(what, &mut host, "log-limit", &["64KiB"]);
        let logged: usize = host.log.iter().map(|it| it.message.len()).sum();
        assert!(logged <= 64 << 10, "{what}: {logged}");
    }
}

#[test]
fn an_output_flood_ends_at_the_output_limit() {
    let mut host = TestHost::default();
    fails("output-flood", &mut host, "output-limit", &["8MiB"]);
    assert!(host.output().num_rows() > 0);
}

#[test]
fn a_hoard_of_handles_ends_the_attempt() {
    fails("handles-held", &mut crate::outputs::host_with_numbers(), "handle-limit", &["handles"]);
}

#[test]
fn a_panic_is_told_with_its_message_and_place() {
    fails(
        "panic",
        &mut TestHost::default(),
        "task-panicked",
        &["misbehave/src/limits.rs:", "a price for every day"],
    );
}

#[test]
fn traps_are_told_with_their_function() {
    fails("trap", &mut TestHost::default(), "task-trapped", &["in `", "limits::traps", "unreachable"]);
    fails(
        "read-beyond",
        &mut TestHost::default(),
        "task-trapped",
        &["in `", "reads_beyond", "out of bounds"],
    );
    fails("abort", &mut TestHost::default(), "task-trapped", &["in `"]);
}

#[test]
fn exiting_is_not_returning() {
    fails("exit", &mut TestHost::default(), "task-exited", &["exit code"]);
}

#[test]
fn a_tasks_own_error_keeps_its_kind_and_words() {
    for (what, kind, words) in [
        ("retryable", FailureKind::Retryable, "the feed is not there yet"),
        ("permanent", FailureKind::Permanent, "the model does not fit"),
    ] {
        let failure = failure(misbehave(what, &mut TestHost::default()));
        assert_eq!((failure.code, failure.kind, failure.what.as_str()), (Code("task-failed"), kind, words));
    }
}

#[test]
fn an_attempt_too_many_may_be_tried_again() {
    let options = Options { instances_max: 1, ..Options::default() };
    let sandbox = Sandbox::new(options).expect("a sandbox");
    let component = sandbox.load(&guests::path("empty")).expect("a good component");
    let reading = sandbox.load(&guests::path("identity")).expect("a good component");
    let (inside, is_inside) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let mut host = TestHost { gate: Some((inside, released)), ..crate::outputs::host_with_numbers() };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| sandbox.run(&reading, &attempt("{}", LIMITS), &mut host));
        is_inside.recv().unwrap();
        let second = sandbox.run(&component, &attempt("{}", LIMITS), &mut TestHost::default());
        release.send(()).unwrap();
        let failure = failure(second);
        assert_eq!((failure.code, failure.kind), (Code("sandbox-full"), FailureKind::Retryable));
        assert_eq!(first.join().unwrap().outcome, Outcome::Done);
    });
    let third = sandbox.run(&component, &attempt("{}", LIMITS), &mut TestHost::default());
    assert_eq!(third.outcome, Outcome::Done);
}
