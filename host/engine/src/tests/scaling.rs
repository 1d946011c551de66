//! Cost per node, counted in steps of the engine's loops: a graph of 100,000 nodes must cost per node what one of
//! 100 costs. Indexes are ordered trees, so a step is a lookup among at most the nodes there are.

use std::collections::VecDeque;

use crate::work::steps_of;
use crate::{
    AttemptId, Capacity, Effect, Engine, Event, Failure, NodeId, NodeSpec, OnFailure, Origin, Outcome,
    Resources, RunSpec, Timestamp,
};

const SMALL: u32 = 100;
const LARGE: u32 = 100_000;

fn node(needs: impl IntoIterator<Item = u32>) -> NodeSpec {
    let resources = Resources { cpus_milli: 1000, memory_bytes: 1 };
    NodeSpec { needs: needs.into_iter().map(NodeId).collect(), resources, ..NodeSpec::default() }
}

fn chain(nodes_count: u32) -> Vec<NodeSpec> {
    (0..nodes_count).map(|index| node(index.checked_sub(1))).collect()
}

/// One root, many that need it, one that needs them all.
fn fan_out_fan_in(nodes_count: u32) -> Vec<NodeSpec> {
    let last = nodes_count - 1;
    let needs = |index| if index == last { 1..last } else { 0..u32::from(index > 0) };
    (0..nodes_count).map(|index| node(needs(index))).collect()
}

fn all_ready(nodes_count: u32) -> Vec<NodeSpec> {
    (0..nodes_count).map(|_| node([])).collect()
}

/// Layers of ten, each node needing three of the layer before.
fn layers(nodes_count: u32) -> Vec<NodeSpec> {
    let needs = |index: u32| (1..=3).filter_map(move |step| (index / 10 * 10).checked_sub(step * 3));
    (0..nodes_count).map(|index| node(needs(index))).collect()
}

struct Drive {
    on_failure: OnFailure,
    attempts_max: u32,
    outcome: fn(AttemptId) -> Outcome,
    cancel_after: Option<u32>,
}

const SUCCEED: Drive = Drive {
    on_failure: OnFailure::FailFast,
    attempts_max: 8,
    outcome: |_| Outcome::Succeeded(Origin::Computed),
    cancel_after: None,
};

/// Steps per node and edge for one whole run.
fn cost(nodes: Vec<NodeSpec>, drive: &Drive) -> f64 {
    let size = nodes.len() + nodes.iter().map(|node| node.needs.len()).sum::<usize>();
    let capacity =
        Capacity { cpus_milli: u64::MAX, memory_bytes: u64::MAX, attempts_max: drive.attempts_max };
    let spec = RunSpec { on_failure: drive.on_failure, ..RunSpec::new(nodes, capacity) };
    let mut engine = Engine::new(spec).unwrap();
    let steps = steps_of(|| {
        let mut reports = VecDeque::from([Event::Start]);
        let mut events_count = 0;
        let mut now = Timestamp(0);
        while engine.run_state().is_none() {
            events_count += 1;
            if drive.cancel_after == Some(events_count) {
                reports.push_front(Event::Cancel);
            }
            let event = reports.pop_front().unwrap_or(Event::Tick);
            if event == Event::Tick {
                now = engine.wake_at().expect("a run that waits for nothing never ends");
            }
            for record in engine.decide(now, event) {
                match engine.apply(&record) {
                    Some(Effect::Start { attempt, .. }) => {
                        reports.push_back(Event::Report { attempt, outcome: (drive.outcome)(attempt) });
                    }
                    Some(Effect::Stop { attempt, .. }) => {
                        reports.push_back(Event::Report { attempt, outcome: Outcome::Stopped });
                    }
                    Some(Effect::Wake { .. }) | None => {}
                }
            }
        }
    });
    steps as f64 / size as f64
}

#[track_caller]
fn check(large_count: u32, shape: fn(u32) -> Vec<NodeSpec>, drive: &Drive) {
    let small = cost(shape(SMALL), drive);
    let large = cost(shape(large_count), drive);
    assert!(
        large <= small * 1.1,
        "steps per node and edge: {small:.2} of {SMALL}, {large:.2} of {large_count}"
    );
    assert!(large <= 12.0, "steps per node and edge: {large:.2}");
}

#[test]
fn a_large_run_costs_per_node_what_a_small_one_costs() {
    check(LARGE, chain, &SUCCEED);
    check(LARGE, fan_out_fan_in, &SUCCEED);
    check(LARGE, all_ready, &SUCCEED);
    check(LARGE, layers, &SUCCEED);
    check(LARGE, all_ready, &Drive { attempts_max: LARGE, ..SUCCEED });
    check(LARGE, fan_out_fan_in, &Drive { attempts_max: LARGE, ..SUCCEED });
}

#[test]
fn failing_and_cancelling_a_large_run_costs_per_node_what_a_small_one_costs() {
    let fail: fn(AttemptId) -> Outcome = |_| Outcome::Failed(Failure::Permanent);
    let fail_some: fn(AttemptId) -> Outcome = |attempt| match attempt.node.0 % 3 {
        0 => Outcome::Failed(Failure::Permanent),
        _ => Outcome::Succeeded(Origin::Computed),
    };
    // Fewer nodes, as these are many runs of an unoptimized build; a scan per event would still show 100-fold.
    let large = 10_000;
    for shape in [chain, fan_out_fan_in, all_ready, layers] {
        check(large, shape, &Drive { outcome: fail, ..SUCCEED });
        check(large, shape, &Drive { outcome: fail, on_failure: OnFailure::KeepGoing, ..SUCCEED });
        check(large, shape, &Drive { outcome: fail_some, on_failure: OnFailure::KeepGoing, ..SUCCEED });
        check(large, shape, &Drive { cancel_after: Some(3), ..SUCCEED });
        check(large, shape, &Drive { cancel_after: Some(3), attempts_max: LARGE, ..SUCCEED });
    }
}
