//! The slow way: what the world owes and who queues for admission, computed anew from all records.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tidemill_engine::{Effect, Fact, NodeId, Record, RunSpec, Timestamp};

/// Attempts still owed, then the wake-up, as [`tidemill_engine::Engine::wanted`] must say it.
pub(crate) fn wanted(records: &[Record]) -> Vec<Effect> {
    let mut attempts: BTreeMap<NodeId, Effect> = BTreeMap::new();
    let mut timers: BTreeMap<NodeId, Timestamp> = BTreeMap::new();
    for record in records {
        match record.fact {
            Fact::AttemptBegan { attempt, deadline } => {
                attempts.insert(attempt.node, Effect::Start { attempt, deadline });
                timers.remove(&attempt.node);
                timers.extend(deadline.map(|deadline| (attempt.node, deadline)));
            }
            Fact::AttemptToldToStop { attempt, cause, until } => {
                attempts.insert(attempt.node, Effect::Stop { attempt, cause });
                timers.insert(attempt.node, until);
            }
            Fact::AttemptEnded { attempt, .. } => {
                attempts.remove(&attempt.node);
                timers.remove(&attempt.node);
            }
            Fact::RetryScheduled { node, due } => {
                timers.insert(node, due);
            }
            Fact::RetryDue { node } | Fact::NodeCancelled { node } => {
                timers.remove(&node);
            }
            Fact::RunBegan
            | Fact::RunCancelled
            | Fact::RunEnded { .. }
            | Fact::NodeSucceeded { .. }
            | Fact::NodeFailed { .. }
            | Fact::NodeSkipped { .. } => {}
        }
    }
    let wake = timers.values().min().map(|at| Effect::Wake { at: *at });
    attempts.into_values().chain(wake).collect()
}

/// The queue for admission, first one first.
pub(crate) fn ready(spec: &RunSpec, records: &[Record]) -> Vec<NodeId> {
    let has_begun = records.iter().any(|record| record.fact == Fact::RunBegan);
    let mut succeeded = BTreeSet::new();
    let mut elsewhere = BTreeSet::new();
    for record in records {
        match record.fact {
            Fact::AttemptBegan { attempt, .. } => {
                elsewhere.insert(attempt.node);
            }
            Fact::RetryDue { node } => {
                elsewhere.remove(&node);
            }
            Fact::NodeSucceeded { node, .. } => {
                succeeded.insert(node);
            }
            Fact::NodeSkipped { node, .. } | Fact::NodeCancelled { node } => {
                elsewhere.insert(node);
            }
            Fact::RunBegan
            | Fact::RunCancelled
            | Fact::RunEnded { .. }
            | Fact::AttemptToldToStop { .. }
            | Fact::AttemptEnded { .. }
            | Fact::RetryScheduled { .. }
            | Fact::NodeFailed { .. } => {}
        }
    }
    let nodes = (0..spec.nodes.len() as u32).map(NodeId).filter(|node| {
        let needs = &spec.nodes[node.index()].needs;
        has_begun && !elsewhere.contains(node) && needs.iter().all(|need| succeeded.contains(need))
    });
    let mut nodes: Vec<NodeId> = nodes.collect();
    nodes.sort_by_key(|node| (Reverse(spec.nodes[node.index()].priority), *node));
    nodes
}
