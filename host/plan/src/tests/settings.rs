//! Resources, limits, timeout, retry, write mode.

use expect_test::expect;

use super::{check, good, with_header};
use crate::Span;

#[test]
fn defaults_hold_where_the_file_says_nothing() {
    let plan = good(
        &with_header(
            "[nodes.a]\ntask = \"make\"\n[nodes.p]\ntask = \"portfolio\"\ninputs = { legs = \"a\" }",
        ),
        &[],
    );
    let [a, p] = plan.nodes.as_slice() else { panic!("two nodes") };
    expect![[r#"
        (
            Resources {
                cpus_milli: 1000,
                memory_bytes: 536870912,
            },
            Limits {
                output_bytes: 8589934592,
                log_bytes: 16777216,
                fuel: None,
            },
            None,
            Retry {
                policy: None,
                max: 0,
                delay_ms: 0,
                max_delay_ms: 0,
                jitter: 0.0,
            },
            Replace,
            0,
        )
    "#]]
    .assert_debug_eq(&(a.resources, a.limits, a.timeout_ms, a.retry, a.write_mode, a.priority));
    assert_eq!(p.resources.memory_bytes, 1 << 30, "the task's hint");
}

#[test]
fn everything_that_is_set_is_taken() {
    let text = r#"
[nodes.a]
task = "make"
timeout = "1h30m"
priority = -2
write_mode = "upsert"
resources = { cpus = 0.25, memory = 4096 }
limits = { output = "1.5GiB", log = "4MB", fuel = 1000 }
retry = { policy = "exponential", max = 5, delay = "2s", max_delay = "1m", jitter = 0.5 }
"#;
    let plan = good(&with_header(text), &[]);
    let a = &plan.nodes[0];
    expect![[r#"
        (
            Resources {
                cpus_milli: 250,
                memory_bytes: 4096,
            },
            Limits {
                output_bytes: 1610612736,
                log_bytes: 4000000,
                fuel: Some(
                    1000,
                ),
            },
            Some(
                5400000,
            ),
            Retry {
                policy: Exponential,
                max: 5,
                delay_ms: 2000,
                max_delay_ms: 60000,
                jitter: 0.5,
            },
            Upsert,
            -2,
        )
    "#]]
    .assert_debug_eq(&(a.resources, a.limits, a.timeout_ms, a.retry, a.write_mode, a.priority));
}

#[test]
fn more_cpus_than_the_machine_has_are_refused() {
    check(
        r#"
[nodes.a]
task = "make"
resources = { cpus = 4.5 }
"#,
        expect![[r#"
            error[infeasible-resources]: node `a` needs 4.5 cpus, but this machine has 4
              in: pipeline.toml, line 4, column 13
              to mend: ask for at most `cpus = 4`, or use a larger machine
        "#]],
    );
}

#[test]
fn more_memory_than_the_machine_has_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
resources = { memory = "64GiB" }
"#,
        expect![[r#"
            error[infeasible-resources]: node `a` needs 64GiB of memory, but this machine has 8GiB
              in: pipeline.toml, line 4, column 13
              to mend: ask for at most `memory = "8GiB"`, or use a larger machine
        "#]],
    );
}

#[test]
fn a_wrong_duration_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
timeout = "10"
[nodes.b]
task = "make"
timeout = "10parsecs"
[nodes.c]
task = "make"
timeout = 10
[nodes.d]
task = "make"
timeout = ""
"#,
        expect![[r#"
            error[bad-duration]: `timeout` of node `a` is wrong: duration `10` lacks a unit after `10`
              in: pipeline.toml, line 4, column 11
              to mend: write counts and units (ms, s, m, h, d, w), as `"10m"` or `"1h30m"`
            error[bad-duration]: `timeout` of node `b` is wrong: duration `10parsecs` has an unknown unit `parsecs`
              in: pipeline.toml, line 7, column 11
              to mend: write counts and units (ms, s, m, h, d, w), as `"10m"` or `"1h30m"`
            error[wrong-type]: `timeout` of node `c` is `10`: an integer, not a duration
              in: pipeline.toml, line 10, column 11
              to mend: write counts and units (ms, s, m, h, d, w), as `"10m"` or `"1h30m"`
            error[bad-duration]: `timeout` of node `d` is wrong: `` is not a duration
              in: pipeline.toml, line 13, column 11
              to mend: write counts and units (ms, s, m, h, d, w), as `"10m"` or `"1h30m"`
        "#]],
    );
}

#[test]
fn a_wrong_size_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
resources = { memory = "512" }
limits = { output = "4XB", log = true }
"#,
        expect![[r#"
            error[bad-size]: `memory` of `resources` of node `a` is wrong: size `512` lacks a unit
              in: pipeline.toml, line 4, column 24
              to mend: write a count and a unit (B, KiB, MiB, GiB, KB, MB, GB), as `"512MiB"`, or a number of bytes
            error[bad-size]: `output` of `limits` of node `a` is wrong: size `4XB` has an unknown unit `XB`
              in: pipeline.toml, line 5, column 21
              to mend: write a count and a unit (B, KiB, MiB, GiB, KB, MB, GB), as `"512MiB"`, or a number of bytes
            error[wrong-type]: `log` of `limits` of node `a` is `true`: a boolean, not a size
              in: pipeline.toml, line 5, column 34
              to mend: write a count and a unit (B, KiB, MiB, GiB, KB, MB, GB), as `"512MiB"`, or a number of bytes
        "#]],
    );
}

#[test]
fn values_out_of_range_are_refused() {
    check(
        r#"
[nodes.a]
task = "make"
resources = { cpus = 0 }
retry = { policy = "fixed", max = -1, jitter = 2 }
priority = 3000000000
limits = { fuel = -1 }
"#,
        expect![[r#"
            error[out-of-range]: `cpus` of `resources` of node `a` is `0`, which is out of range
              in: pipeline.toml, line 4, column 22
              to mend: use a value above 0 (at least 0.001)
            error[out-of-range]: `max` of `retry` of node `a` is `-1`, which is out of range
              in: pipeline.toml, line 5, column 35
              to mend: use a value between 0 and 4294967295
            error[out-of-range]: `jitter` of `retry` of node `a` is `2`, which is out of range
              in: pipeline.toml, line 5, column 48
              to mend: use a value between 0 and 1
            error[out-of-range]: `priority` of node `a` is `3000000000`, which is out of range
              in: pipeline.toml, line 6, column 12
              to mend: use a value between -2147483648 and 2147483647
            error[out-of-range]: `fuel` of `limits` of node `a` is `-1`, which is out of range
              in: pipeline.toml, line 7, column 19
              to mend: use a value of 0 or more
        "#]],
    );
}

#[test]
fn a_timeout_of_nothing_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
timeout = "0s"
"#,
        expect![[r#"
            error[out-of-range]: `timeout` of node `a` is zero, so that no attempt could succeed
              in: pipeline.toml, line 2, column 8
              to mend: give it time, or remove `timeout`
        "#]],
    );
}

#[test]
fn an_unknown_choice_names_the_nearest() {
    check(
        r#"
[nodes.a]
task = "make"
write_mode = "apend"
retry = { policy = "exponental" }
"#,
        expect![[r#"
            error[unknown-choice]: `write_mode` of node `a` is `apend`, which is no write mode
              in: pipeline.toml, line 4, column 14
              to mend: did you mean `append`?
            error[unknown-choice]: `policy` of `retry` of node `a` is `exponental`, which is no retry policy
              in: pipeline.toml, line 5, column 20
              to mend: did you mean `exponential`?
        "#]],
    );
}

#[test]
fn a_retry_without_policy_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
retry = { max = 3 }
"#,
        expect![[r#"
            error[retry-settings]: `retry` of node `a` names no policy
              in: pipeline.toml, line 4, column 9
              to mend: add `policy = "exponential"`, `"linear"` or `"fixed"`
        "#]],
    );
}

#[test]
fn a_retry_policy_of_none_goes_alone() {
    check(
        r#"
[nodes.a]
task = "make"
retry = { policy = "none", max = 3 }
"#,
        expect![[r#"
            error[retry-settings]: `retry` of node `a` has policy `none` and yet says how to retry
              in: pipeline.toml, line 4, column 9
              to mend: name another policy, or remove the other keys
        "#]],
    );
}

#[test]
fn a_retry_of_no_tries_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
retry = { policy = "fixed", max = 0 }
"#,
        expect![[r#"
            error[retry-settings]: `retry` of node `a` has `max = 0`, so that nothing is retried
              in: pipeline.toml, line 4, column 9
              to mend: give `max` 1 or more, or use policy `none`
        "#]],
    );
}

#[test]
fn a_longest_delay_below_the_delay_is_refused() {
    check(
        r#"
[nodes.a]
task = "make"
retry = { policy = "linear", delay = "1m", max_delay = "500ms" }
"#,
        expect![[r#"
            error[retry-settings]: `retry` of node `a` has `max_delay` 500ms below `delay` 1m
              in: pipeline.toml, line 4, column 9
              to mend: raise `max_delay`, or lower `delay`
        "#]],
    );
}

#[test]
fn a_look_back_is_a_number_of_times_or_a_duration_of_all_ports_or_of_each() {
    let with = |look_back: &str| {
        let text = format!(
            "[parameters]\ndays = {{ type = \"integer\", default = 20 }}\n\
             [nodes.a]\ntask = \"make\"\n[nodes.r]\ntask = \"returns\"\ninputs = {{ prices = \"a\" }}\n\
             parameters = {{ alpha = \"{{{{ days }}}}\" }}\n{look_back}\n"
        );
        good(&with_header(&text), &[]).nodes[1].inputs[0].look_back
    };
    assert_eq!(with(""), None);
    assert_eq!(with("look_back = 0"), Some(Span::Times(0)));
    assert_eq!(with("look_back = \"{{ days + 1 }}\""), Some(Span::Times(21)));
    assert_eq!(with("look_back = \"1d12h\""), Some(Span::Milliseconds(36 * 3_600_000)));
    assert_eq!(with("look_back = { prices = \"{{ days }}d\" }"), Some(Span::Milliseconds(20 * 86_400_000)));
    assert_eq!(with("look_back = {}"), None);
}

#[test]
fn a_look_back_changes_no_identity() {
    let with = |look_back: &str| {
        let text = format!(
            "[nodes.a]\ntask = \"make\"\n[nodes.r]\ntask = \"returns\"\ninputs = {{ prices = \"a\" }}\n{look_back}\n"
        );
        let plan = good(&with_header(&text), &[]);
        (plan.nodes[1].update_id, plan.nodes[1].outputs[0].id)
    };
    assert_eq!(
        with(""),
        with("look_back = 3"),
        "it is a promise about the task, which `tidemill check` holds it to"
    );
}

#[test]
fn settings_of_updates_on_a_node_that_replaces_its_table_are_refused() {
    check(
        r#"
[nodes.a]
task = "make"
first_time = "2015-01-01"
[nodes.b]
task = "make"
write_mode = "append"
corrections = "recompute"
"#,
        expect![[r#"
            error[update-settings]: node `a` has `first_time`, which means nothing where the whole table is written each time
              in: pipeline.toml, line 2, column 8
              to mend: set `write_mode = "upsert"`, or remove `first_time`
            error[update-settings]: node `b` has `corrections = "recompute"`, which needs rows that may be replaced
              in: pipeline.toml, line 5, column 8
              to mend: set `write_mode = "upsert"`, or remove `corrections = "recompute"`
        "#]],
    );
}
