//! Every DAG of up to five nodes, every one of its nodes in turn succeeding or failing: properties that need no example.

use crate::{
    Capacity, Effect, Engine, Event, Failure, NodeId, NodeSpec, NodeState, OnFailure, Origin, Outcome,
    Resources, RunSpec, RunState, Timestamp,
};

/// The needs of node `n` are the bits below `n`, so each number below 2^(0 + 1 + … + (n − 1)) is a DAG. Up to the names
/// of its nodes every DAG is among them, as every DAG has a topological order.
fn dag(nodes_count: u32, mut edges: u32) -> Vec<NodeSpec> {
    let mut nodes = Vec::new();
    for index in 0..nodes_count {
        let needs = (0..index).filter(|need| edges >> need & 1 == 1).map(NodeId).collect();
        edges >>= index;
        let resources = Resources { cpus_milli: 1, memory_bytes: 0 };
        nodes.push(NodeSpec { needs, resources, ..NodeSpec::default() });
    }
    nodes
}

fn each_dag(mut visit: impl FnMut(Vec<NodeSpec>)) -> u32 {
    let mut dags_count = 0;
    for nodes_count in 0..=5_u32 {
        for edges in 0..1 << (nodes_count * nodes_count.saturating_sub(1) / 2) {
            visit(dag(nodes_count, edges));
            dags_count += 1;
        }
    }
    dags_count
}

/// Runs to the end, oldest attempt first; `fails` fail for good. Returns the engine and the order of beginnings.
fn run(nodes: &[NodeSpec], on_failure: OnFailure, attempts_max: u32, fails: u32) -> (Engine, Vec<NodeId>) {
    let capacity = Capacity { cpus_milli: 100, memory_bytes: 0, attempts_max };
    let spec = RunSpec { on_failure, ..RunSpec::new(nodes.to_vec(), capacity) };
    let mut engine = Engine::new(spec).unwrap();
    let mut event = Event::Start;
    let mut begun = Vec::new();
    for _ in 0..20 {
        for record in engine.decide(Timestamp(0), event) {
            if let Some(Effect::Start { attempt, .. }) = engine.apply(&record) {
                begun.push(attempt.node);
            }
        }
        let Some(effect) = engine.wanted().next() else { return (engine, begun) };
        event = match effect {
            Effect::Start { attempt, .. } if fails >> attempt.node.0 & 1 == 1 => {
                Event::Report { attempt, outcome: Outcome::Failed(Failure::Permanent) }
            }
            Effect::Start { attempt, .. } => {
                Event::Report { attempt, outcome: Outcome::Succeeded(Origin::Computed) }
            }
            Effect::Stop { attempt, .. } => Event::Report { attempt, outcome: Outcome::Stopped },
            Effect::Wake { .. } => Event::Tick,
        };
    }
    panic!("no end in sight: {nodes:?}");
}

fn needs_any(nodes: &[NodeSpec], node: usize, fails: u32) -> bool {
    let needs = &nodes[node].needs;
    needs.iter().any(|need| fails >> need.0 & 1 == 1 || needs_any(nodes, need.index(), fails))
}

#[test]
fn every_shape_runs_every_node_once_after_its_needs() {
    let dags_count = each_dag(|nodes| {
        for attempts_max in [1, 2, 9] {
            let (engine, begun) = run(&nodes, OnFailure::FailFast, attempts_max, 0);
            assert_eq!(engine.run_state(), Some(RunState::Succeeded), "{nodes:?}");
            assert_eq!(begun.len(), nodes.len(), "{nodes:?}");
            for (place, node) in begun.iter().enumerate() {
                let needs = &nodes[node.index()].needs;
                assert!(needs.iter().all(|need| begun[..place].contains(need)), "{nodes:?}: {begun:?}");
            }
        }
    });
    assert_eq!(dags_count, 1 + 1 + 2 + 8 + 64 + 1024);
}

#[test]
fn every_shape_with_every_set_of_failures_keeps_going_exactly_where_it_can() {
    each_dag(|nodes| {
        for fails in 0..1 << nodes.len() {
            let (engine, begun) = run(&nodes, OnFailure::KeepGoing, 9, fails);
            for index in 0..nodes.len() {
                let node = NodeId(index as u32);
                let node_state = engine.node_state(node);
                if needs_any(&nodes, index, fails) {
                    assert!(
                        matches!(node_state, NodeState::Skipped { because } if fails >> because.0 & 1 == 1)
                    );
                    assert!(!begun.contains(&node), "{nodes:?} failing {fails:b}: {begun:?}");
                } else if fails >> index & 1 == 1 {
                    assert_eq!(node_state, NodeState::Failed, "{nodes:?} failing {fails:b}");
                } else {
                    assert_eq!(
                        node_state,
                        NodeState::Succeeded(Origin::Computed),
                        "{nodes:?} failing {fails:b}"
                    );
                }
            }
            let expected = if fails == 0 { RunState::Succeeded } else { RunState::Failed };
            assert_eq!(engine.run_state(), Some(expected), "{nodes:?} failing {fails:b}");
        }
    });
}

#[test]
fn every_shape_with_every_first_failure_fails_fast() {
    each_dag(|nodes| {
        for failing in 0..nodes.len() {
            let (engine, begun) = run(&nodes, OnFailure::FailFast, 1, 1 << failing);
            assert_eq!(engine.run_state(), Some(RunState::Failed), "{nodes:?} failing {failing}");
            assert_eq!(begun.last(), Some(&NodeId(failing as u32)), "nothing begins after: {nodes:?}");
            for index in 0..nodes.len() {
                let node_state = engine.node_state(NodeId(index as u32));
                let is_skipped = matches!(node_state, NodeState::Skipped { .. });
                assert!(node_state.is_final(), "{nodes:?} failing {failing}: {node_state:?}");
                assert_eq!(is_skipped, needs_any(&nodes, index, 1 << failing), "{nodes:?} failing {failing}");
            }
        }
    });
}

#[test]
fn any_prefix_of_any_batch_is_enough_to_go_on_to_the_same_end() {
    each_dag(|nodes| {
        let (whole, _) = run(&nodes, OnFailure::KeepGoing, 2, 0b10);
        let capacity = Capacity { cpus_milli: 100, memory_bytes: 0, attempts_max: 2 };
        let spec = RunSpec { on_failure: OnFailure::KeepGoing, ..RunSpec::new(nodes.clone(), capacity) };
        let mut engine = Engine::new(spec).unwrap();
        // Only the first record of every batch is ever applied.
        let mut event = Event::Start;
        for _ in 0..100 {
            match engine.decide(Timestamp(0), event).first() {
                Some(record) => {
                    engine.apply(record);
                    event = Event::Tick;
                }
                None => {
                    let Some(Effect::Start { attempt, .. }) = engine.wanted().next() else { break };
                    let outcome = match attempt.node {
                        NodeId(1) => Outcome::Failed(Failure::Permanent),
                        NodeId(_) => Outcome::Succeeded(Origin::Computed),
                    };
                    event = Event::Report { attempt, outcome };
                }
            }
        }
        assert_eq!(engine.run_state(), whole.run_state(), "{nodes:?}");
        assert_eq!(engine.counts(), whole.counts(), "{nodes:?}");
    });
}
