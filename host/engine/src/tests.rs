//! What the engine does, topic by topic. `check` is the one place that knows the API.

mod notation;
mod scaling;
mod shapes;

use expect_test::{Expect, expect};

use self::notation::transcript;
use crate::{
    AttemptId, Capacity, Effect, Engine, Event, NodeId, NodeSpec, Origin, Outcome, Resources, RunSpec,
    SpecError, Timestamp,
};

/// See [`notation`] for how plans and scripts are written.
#[track_caller]
fn check(plan: &str, script: &str, expected: &Expect) {
    expected.assert_eq(&transcript(plan, script));
}

#[test]
fn a_chain_runs_in_order() {
    check(
        "a; b: a; c: b",
        "start, ok a#1, reused b#1, ok c#1",
        &expect![[r#"
        start -> run began; a#1 began
        ok a#1 -> a#1 ended Succeeded(Computed); a succeeded; b#1 began
        reused b#1 -> b#1 ended Succeeded(Reused); b succeeded; c#1 began
        ok c#1 -> c#1 ended Succeeded(Computed); c succeeded; run ended Succeeded
    "#]],
    );
}

#[test]
fn a_run_of_nothing_ends_at_once() {
    check(
        "",
        "start",
        &expect![[r#"
        start -> run began; run ended Succeeded
    "#]],
    );
}

#[test]
fn a_diamond_waits_for_both_sides() {
    check(
        "a; b: a; c: a; d: b c c",
        "start, ok a#1, ok c#1, ok b#1, ok d#1",
        &expect![[r#"
        start -> run began; a#1 began
        ok a#1 -> a#1 ended Succeeded(Computed); a succeeded; b#1 began; c#1 began
        ok c#1 -> c#1 ended Succeeded(Computed); c succeeded
        ok b#1 -> b#1 ended Succeeded(Computed); b succeeded; d#1 began
        ok d#1 -> d#1 ended Succeeded(Computed); d succeeded; run ended Succeeded
    "#]],
    );
}

#[test]
fn start_comes_once_and_first() {
    check(
        "a",
        "tick, ok a#1, start, start, ok a#1, start, cancel, tick",
        &expect![[r#"
        tick -> nothing
        ok a#1 -> nothing
        start -> run began; a#1 began
        start -> nothing
        ok a#1 -> a#1 ended Succeeded(Computed); a succeeded; run ended Succeeded
        start -> nothing
        cancel -> nothing
        tick -> nothing
    "#]],
    );
}

#[test]
fn a_report_of_any_other_attempt_is_ignored() {
    check(
        "a retry=fixed/1/100",
        "start, ok a#0, ok a#2, fail a#1, ok a#1, fail a#1, @100, fail a#1, stopped a#1, ok a#2, die a#2",
        &expect![[r#"
            start -> run began; a#1 began
            ok a#0 -> nothing
            ok a#2 -> nothing
            fail a#1 -> a#1 ended Failed(Retryable); a retries at 100
            ok a#1 -> nothing
            fail a#1 -> nothing
            @100 -> a due; a#2 began
            fail a#1 -> nothing
            stopped a#1 -> nothing
            ok a#2 -> a#2 ended Succeeded(Computed); a succeeded; run ended Succeeded
            die a#2 -> nothing
        "#]],
    );
    check(
        "a; b: a",
        "start, ok b#1, ok b#0, ok z#1, ok a#1, ok b#1",
        &expect![[r#"
        start -> run began; a#1 began
        ok b#1 -> nothing
        ok b#0 -> nothing
        ok z#1 -> nothing
        ok a#1 -> a#1 ended Succeeded(Computed); a succeeded; b#1 began
        ok b#1 -> b#1 ended Succeeded(Computed); b succeeded; run ended Succeeded
    "#]],
    );
}

#[test]
fn a_retryable_failure_is_retried_until_none_is_left() {
    check(
        "a retry=linear/2/100",
        "start, fail a#1, @99, @100, fail a#2, @300, fail a#3",
        &expect![[r#"
        start -> run began; a#1 began
        fail a#1 -> a#1 ended Failed(Retryable); a retries at 100
        @99 -> nothing
        @100 -> a due; a#2 began
        fail a#2 -> a#2 ended Failed(Retryable); a retries at 300
        @300 -> a due; a#3 began
        fail a#3 -> a#3 ended Failed(Retryable); a failed; run ended Failed
    "#]],
    );
}

#[test]
fn a_permanent_failure_is_not_retried() {
    check(
        "a retry=linear/2/100",
        "start, die a#1",
        &expect![[r#"
        start -> run began; a#1 began
        die a#1 -> a#1 ended Failed(Permanent); a failed; run ended Failed
    "#]],
    );
}

#[test]
fn an_attempt_that_is_lost_is_retried() {
    check(
        "a retry=fixed/1/0",
        "start, stopped a#1, tick, stopped a#2",
        &expect![[r#"
        start -> run began; a#1 began
        stopped a#1 -> a#1 ended Lost; a retries at 0
        tick -> a due; a#2 began
        stopped a#2 -> a#2 ended Lost; a failed; run ended Failed
    "#]],
    );
}

#[test]
fn a_timed_out_attempt_keeps_its_room_until_it_reports() {
    check(
        "! attempts=1; a timeout=50 retry=fixed/1/0; b",
        "start, @49, @50, @80, stopped a#1, ok b#1, tick, ok a#2",
        &expect![[r#"
            start -> run began; a#1 began until 50
            @49 -> nothing
            @50 -> a#1 told to stop by 1050 (Timeout)
            @80 -> nothing
            stopped a#1 -> a#1 ended Stopped(Timeout); a retries at 80; b#1 began
            ok b#1 -> b#1 ended Succeeded(Computed); a due; b succeeded; a#2 began until 130
            tick -> nothing
            ok a#2 -> a#2 ended Succeeded(Computed); a succeeded; run ended Succeeded
        "#]],
    );
}

#[test]
fn a_zombie_is_given_up_after_the_grace_and_its_late_success_ignored() {
    check(
        "a timeout=50 retry=fixed/1/0",
        "start, @50, @1049, @1050, tick, ok a#1, ok a#2",
        &expect![[r#"
        start -> run began; a#1 began until 50
        @50 -> a#1 told to stop by 1050 (Timeout)
        @1049 -> nothing
        @1050 -> a#1 ended Abandoned(Timeout); a retries at 1050
        tick -> a due; a#2 began until 1100
        ok a#1 -> nothing
        ok a#2 -> a#2 ended Succeeded(Computed); a succeeded; run ended Succeeded
    "#]],
    );
}

#[test]
fn a_success_after_the_deadline_is_a_success() {
    check(
        "a timeout=50; b: a",
        "start, @50, ok a#1, ok b#1",
        &expect![[r#"
        start -> run began; a#1 began until 50
        @50 -> a#1 told to stop by 1050 (Timeout)
        ok a#1 -> a#1 ended Succeeded(Computed); a succeeded; b#1 began
        ok b#1 -> b#1 ended Succeeded(Computed); b succeeded; run ended Succeeded
    "#]],
    );
    check(
        "a timeout=50 retry=fixed/1/0; b",
        "start, @60 ok a#1, ok b#1",
        &expect![[r#"
        start -> run began; a#1 began until 50; b#1 began
        @60 ok a#1 -> a#1 ended Succeeded(Computed); a succeeded
        ok b#1 -> b#1 ended Succeeded(Computed); b succeeded; run ended Succeeded
    "#]],
    );
}

#[test]
fn a_failure_while_stopping_says_more_than_the_timeout() {
    check(
        "a timeout=50 retry=fixed/1/0",
        "start, @50, die a#1",
        &expect![[r#"
        start -> run began; a#1 began until 50
        @50 -> a#1 told to stop by 1050 (Timeout)
        die a#1 -> a#1 ended Failed(Permanent); a failed; run ended Failed
    "#]],
    );
    check(
        "a timeout=50 retry=fixed/1/0",
        "start, @50, fail a#1",
        &expect![[r#"
        start -> run began; a#1 began until 50
        @50 -> a#1 told to stop by 1050 (Timeout)
        fail a#1 -> a#1 ended Failed(Retryable); a retries at 50
    "#]],
    );
}

#[test]
fn fail_fast_stops_the_running_skips_dependents_and_cancels_the_rest() {
    check(
        "! attempts=2; a; b; c: a; d: c; e: b; f",
        "start, die a#1, stopped b#1, tick",
        &expect![[r#"
            start -> run began; a#1 began; b#1 began
            die a#1 -> a#1 ended Failed(Permanent); a failed; c skipped because of a; d skipped because of a; e cancelled; f cancelled; b#1 told to stop by 1000 (FailFast)
            stopped b#1 -> b#1 ended Stopped(FailFast); b cancelled; run ended Failed
            tick -> nothing
        "#]],
    );
}

#[test]
fn fail_fast_keeps_the_success_and_the_failure_of_attempts_it_stops() {
    check(
        "a; b; c retry=fixed/9/0; d; e: b",
        "start, die a#1, ok b#1, fail c#1, die d#1",
        &expect![[r#"
        start -> run began; a#1 began; b#1 began; c#1 began; d#1 began
        die a#1 -> a#1 ended Failed(Permanent); a failed; e cancelled; b#1 told to stop by 1000 (FailFast); c#1 told to stop by 1000 (FailFast); d#1 told to stop by 1000 (FailFast)
        ok b#1 -> b#1 ended Succeeded(Computed); b succeeded
        fail c#1 -> c#1 ended Failed(Retryable); c cancelled
        die d#1 -> d#1 ended Failed(Permanent); d failed; run ended Failed
    "#]],
    );
}

#[test]
fn a_back_off_does_not_hold_a_failed_run() {
    check(
        "a retry=fixed/9/1000; b",
        "start, fail a#1, die b#1",
        &expect![[r#"
        start -> run began; a#1 began; b#1 began
        fail a#1 -> a#1 ended Failed(Retryable); a retries at 1000
        die b#1 -> b#1 ended Failed(Permanent); b failed; a cancelled; run ended Failed
    "#]],
    );
}

#[test]
fn keep_going_skips_only_what_needs_the_failed_node() {
    check(
        "! keep-going; a; b; c: a; d: c b; e: b",
        "start, die a#1, ok b#1, ok e#1",
        &expect![[r#"
            start -> run began; a#1 began; b#1 began
            die a#1 -> a#1 ended Failed(Permanent); a failed; c skipped because of a; d skipped because of a
            ok b#1 -> b#1 ended Succeeded(Computed); b succeeded; e#1 began
            ok e#1 -> e#1 ended Succeeded(Computed); e succeeded; run ended Failed
        "#]],
    );
}

#[test]
fn keep_going_names_the_first_failure_behind_a_skip() {
    check(
        "! keep-going; a; b; c: a b",
        "start, die b#1, die a#1",
        &expect![[r#"
        start -> run began; a#1 began; b#1 began
        die b#1 -> b#1 ended Failed(Permanent); b failed; c skipped because of b
        die a#1 -> a#1 ended Failed(Permanent); a failed; run ended Failed
    "#]],
    );
}

#[test]
fn cancel_stops_everything_at_once() {
    check(
        "! attempts=2; a; b retry=fixed/1/500; c; d: a",
        "start, fail b#1, cancel, cancel, stopped a#1, ok c#1",
        &expect![[r#"
            start -> run began; a#1 began; b#1 began
            fail b#1 -> b#1 ended Failed(Retryable); b retries at 500; c#1 began
            cancel -> run cancelled; b cancelled; d cancelled; a#1 told to stop by 1000 (Cancel); c#1 told to stop by 1000 (Cancel)
            cancel -> nothing
            stopped a#1 -> a#1 ended Stopped(Cancel); a cancelled
            ok c#1 -> c#1 ended Succeeded(Computed); c succeeded; run ended Cancelled
        "#]],
    );
    check(
        "a; b: a",
        "cancel",
        &expect![[r#"
        cancel -> run began; run cancelled; a cancelled; b cancelled; run ended Cancelled
    "#]],
    );
}

#[test]
fn a_silent_attempt_does_not_hold_a_cancelled_run_beyond_the_grace() {
    check(
        "a",
        "start, @10 cancel, @1009, @1010, ok a#1",
        &expect![[r#"
        start -> run began; a#1 began
        @10 cancel -> run cancelled; a#1 told to stop by 1010 (Cancel)
        @1009 -> nothing
        @1010 -> a#1 ended Abandoned(Cancel); a cancelled; run ended Cancelled
        ok a#1 -> nothing
    "#]],
    );
}

#[test]
fn a_cancel_that_comes_too_late_changes_nothing() {
    check(
        "a",
        "start, cancel, ok a#1",
        &expect![[r#"
        start -> run began; a#1 began
        cancel -> run cancelled; a#1 told to stop by 1000 (Cancel)
        ok a#1 -> a#1 ended Succeeded(Computed); a succeeded; run ended Succeeded
    "#]],
    );
    check(
        "a; b",
        "start, die a#1, cancel, stopped b#1",
        &expect![[r#"
        start -> run began; a#1 began; b#1 began
        die a#1 -> a#1 ended Failed(Permanent); a failed; b#1 told to stop by 1000 (FailFast)
        cancel -> nothing
        stopped b#1 -> b#1 ended Stopped(FailFast); b cancelled; run ended Failed
    "#]],
    );
}

#[test]
fn higher_priority_first_then_node_order() {
    check(
        "! attempts=1; a; b prio=1; c prio=-1; d: b prio=2; e prio=1",
        "start, ok b#1, ok d#1, ok e#1, ok a#1",
        &expect![[r#"
            start -> run began; b#1 began
            ok b#1 -> b#1 ended Succeeded(Computed); b succeeded; d#1 began
            ok d#1 -> d#1 ended Succeeded(Computed); d succeeded; e#1 began
            ok e#1 -> e#1 ended Succeeded(Computed); e succeeded; a#1 began
            ok a#1 -> a#1 ended Succeeded(Computed); a succeeded; c#1 began
        "#]],
    );
}

#[test]
fn nobody_overtakes_a_large_node_of_the_same_priority() {
    check(
        "! cpus=4; a cpus=2; b cpus=4; c; d",
        "start, ok a#1, ok b#1, ok c#1, ok d#1",
        &expect![[r#"
            start -> run began; a#1 began
            ok a#1 -> a#1 ended Succeeded(Computed); a succeeded; b#1 began
            ok b#1 -> b#1 ended Succeeded(Computed); b succeeded; c#1 began; d#1 began
            ok c#1 -> c#1 ended Succeeded(Computed); c succeeded
            ok d#1 -> d#1 ended Succeeded(Computed); d succeeded; run ended Succeeded
        "#]],
    );
}

#[test]
fn memory_admits_as_cpus_do() {
    check(
        "! memory=10; a memory=6; b memory=5; c memory=1",
        "start, ok a#1",
        &expect![[r#"
        start -> run began; a#1 began
        ok a#1 -> a#1 ended Succeeded(Computed); a succeeded; b#1 began; c#1 began
    "#]],
    );
}

#[test]
fn retries_queue_by_rank_when_due() {
    check(
        "! attempts=1; a retry=fixed/1/100 prio=1; b; c; d",
        "start, fail a#1, ok b#1, @100, ok c#1, ok a#2, ok d#1",
        &expect![[r#"
            start -> run began; a#1 began
            fail a#1 -> a#1 ended Failed(Retryable); a retries at 100; b#1 began
            ok b#1 -> b#1 ended Succeeded(Computed); b succeeded; c#1 began
            @100 -> a due
            ok c#1 -> c#1 ended Succeeded(Computed); c succeeded; a#2 began
            ok a#2 -> a#2 ended Succeeded(Computed); a succeeded; d#1 began
            ok d#1 -> d#1 ended Succeeded(Computed); d succeeded; run ended Succeeded
        "#]],
    );
}

#[test]
fn a_clock_that_steps_back_stands_still() {
    check(
        "a retry=fixed/1/100",
        "@50 start, @20 fail a#1, @149, @150, @0 ok a#2",
        &expect![[r#"
        @50 start -> run began; a#1 began
        @20 fail a#1 -> a#1 ended Failed(Retryable); a retries at 150
        @149 -> nothing
        @150 -> a due; a#2 began
        @0 ok a#2 -> a#2 ended Succeeded(Computed); a succeeded; run ended Succeeded
    "#]],
    );
}

#[test]
fn what_is_due_at_one_time_is_decided_in_one_batch() {
    check(
        "! attempts=3; a timeout=50; b timeout=50; c retry=fixed/1/50; d",
        "start, fail c#1, @50, @1050",
        &expect![[r#"
            start -> run began; a#1 began until 50; b#1 began until 50; c#1 began
            fail c#1 -> c#1 ended Failed(Retryable); c retries at 50; d#1 began
            @50 -> a#1 told to stop by 1050 (Timeout); b#1 told to stop by 1050 (Timeout); c due
            @1050 -> a#1 ended Abandoned(Timeout); b#1 ended Abandoned(Timeout); a failed; b failed; c cancelled; d#1 told to stop by 2050 (FailFast)
        "#]],
    );
}

#[test]
fn successes_on_both_sides_of_a_crash_unlock_what_needs_both() {
    check(
        "a; b; c: a b",
        "start, ok a#1 ~, ok b#1, ok c#1",
        &expect![[r#"
        start -> run began; a#1 began; b#1 began
        ok a#1 ~ -> a#1 ended Succeeded(Computed)
        ok b#1 -> b#1 ended Succeeded(Computed); a succeeded; b succeeded; c#1 began
        ok c#1 -> c#1 ended Succeeded(Computed); c succeeded; run ended Succeeded
    "#]],
    );
}

#[test]
fn a_crash_right_after_a_failure_changes_nothing_of_what_follows() {
    check(
        "a; b: a; c; d",
        "start, die a#1 ~, tick, ok c#1, stopped d#1",
        &expect![[r#"
        start -> run began; a#1 began; c#1 began; d#1 began
        die a#1 ~ -> a#1 ended Failed(Permanent)
        tick -> a failed; b skipped because of a; c#1 told to stop by 1000 (FailFast); d#1 told to stop by 1000 (FailFast)
        ok c#1 -> c#1 ended Succeeded(Computed); c succeeded
        stopped d#1 -> d#1 ended Stopped(FailFast); d cancelled; run ended Failed
    "#]],
    );
    check(
        "a retry=fixed/1/100",
        "start, fail a#1 ~, tick, @100 ~, tick",
        &expect![[r#"
        start -> run began; a#1 began
        fail a#1 ~ -> a#1 ended Failed(Retryable)
        tick -> a retries at 100
        @100 ~ -> a due
        tick -> a#2 began
    "#]],
    );
    check(
        "a; b",
        "start, cancel ~, tick, stopped a#1 ~, stopped b#1",
        &expect![[r#"
        start -> run began; a#1 began; b#1 began
        cancel ~ -> run cancelled
        tick -> a#1 told to stop by 1000 (Cancel); b#1 told to stop by 1000 (Cancel)
        stopped a#1 ~ -> a#1 ended Stopped(Cancel)
        stopped b#1 -> b#1 ended Stopped(Cancel); a cancelled; b cancelled; run ended Cancelled
    "#]],
    );
}

fn refusal(nodes: Vec<NodeSpec>, capacity: Capacity) -> String {
    match Engine::new(RunSpec::new(nodes, capacity)) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_spec_that_cannot_run_is_refused() {
    let roomy = Capacity { cpus_milli: 1000, memory_bytes: 10, attempts_max: 1 };
    let needs = |needs: &[u32]| NodeSpec {
        needs: needs.iter().copied().map(NodeId).collect(),
        ..NodeSpec::default()
    };
    let resources = |cpus_milli, memory_bytes| NodeSpec {
        resources: Resources { cpus_milli, memory_bytes },
        ..NodeSpec::default()
    };
    let mut jittery = NodeSpec::default();
    jittery.retry.jitter = f64::NAN;
    let refusals = [
        refusal(vec![needs(&[]), needs(&[7])], roomy),
        refusal(vec![needs(&[0])], roomy),
        refusal(vec![needs(&[2]), needs(&[0, 3]), needs(&[1]), needs(&[])], roomy),
        refusal(vec![resources(1001, 0)], roomy),
        refusal(vec![resources(1000, 11)], roomy),
        refusal(vec![needs(&[])], Capacity { attempts_max: 0, ..roomy }),
        refusal(vec![jittery], roomy),
        refusal(vec![resources(1000, 10)], roomy),
    ];
    expect![[r#"
        node `1` needs node `7` of a run with `2` nodes
        nodes need each other in a circle: `0`
        nodes need each other in a circle: `0` `2` `1`
        node `0` needs `1001` thousandths of a core of `1000`
        node `0` needs `11` bytes of memory of `10`
        capacity allows no attempt at all: `attempts_max` is `0`
        node `0` has jitter `NaN`, which is not between 0 and 1
        accepted"#]]
    .assert_eq(&refusals.join("\n"));
    let cycle = Engine::new(RunSpec::new(vec![needs(&[1]), needs(&[0])], roomy)).map(|_| ());
    assert_eq!(cycle, Err(SpecError::Cycle { nodes: vec![NodeId(0), NodeId(1)] }));
}

#[test]
fn nothing_begins_beyond_what_is_lent_and_nothing_is_stopped_for_it() {
    let machine = Capacity { cpus_milli: 4000, memory_bytes: 4, attempts_max: 4 };
    let spec = RunSpec::new(vec![resources_of(1000, 1); 4], machine);
    let mut engine = Engine::new(spec).expect("every node fits");
    let took = |engine: &mut Engine, event: Event, lent: Capacity| -> usize {
        engine.lend(lent);
        let records = engine.decide(Timestamp(0), event);
        let effects = records.iter().filter_map(|it| engine.apply(it)).collect::<Vec<_>>();
        effects.iter().filter(|it| matches!(it, Effect::Start { .. })).count()
    };
    let two = Capacity { cpus_milli: 2000, ..machine };
    assert_eq!(took(&mut engine, Event::Start, two), 2);
    assert_eq!(engine.held(), Capacity { cpus_milli: 2000, memory_bytes: 2, attempts_max: 2 });
    let one = Capacity { attempts_max: 1, ..machine };
    assert_eq!(took(&mut engine, Event::Tick, one), 0);
    let ended = |number: u32| Event::Report {
        attempt: AttemptId { node: NodeId(number), number: 1 },
        outcome: Outcome::Succeeded(Origin::Computed),
    };
    assert_eq!(took(&mut engine, ended(0), one), 0, "what is still held is all that is lent");
    assert_eq!(took(&mut engine, ended(1), one), 1);
    assert_eq!(took(&mut engine, Event::Tick, Capacity { attempts_max: 99, ..machine }), 1, "the rest");
}

fn resources_of(cpus_milli: u32, memory_bytes: u64) -> NodeSpec {
    NodeSpec { resources: Resources { cpus_milli, memory_bytes }, ..NodeSpec::default() }
}
