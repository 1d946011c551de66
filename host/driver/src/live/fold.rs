//! A run's record from its journal: what each entry changes in it. The one place that knows, for a run under way as for
//! one that is read again.

use tidemill_engine::Ending;

use super::journal::{Ended, Entry, Left, What};
use crate::origin::{AttemptOutcome, AttemptRecord};
use crate::record::{NodeRecord, NodeState, RunRecord, RunState};

/// Takes an entry in. Entries come in their order.
pub(crate) fn take(record: &mut RunRecord, entry: &Entry) {
    match &entry.what {
        What::RunBegan | What::RunCancelled | What::RetryScheduled { .. } | What::RetryDue { .. } => {}
        What::RunResumed => record.nodes.iter_mut().for_each(|it| interrupt(it, entry.at)),
        What::RunEnded { state } => {
            record.state = match state {
                Ended::Succeeded => RunState::Succeeded,
                Ended::Failed => RunState::Failed,
                Ended::Cancelled => RunState::Cancelled,
            };
            record.ended_at = Some(entry.at);
        }
        What::AttemptBegan { node, attempt, .. } => {
            let node = &mut record.nodes[*node];
            node.attempts = *attempt;
            node.history.push(AttemptRecord::begin(*attempt, entry.at));
        }
        What::AttemptToldToStop { .. } => {}
        What::AttemptEnded { node, attempt, ending, left } => {
            let node = &mut record.nodes[*node];
            // The newest comes last, and is nearly always the one that ends.
            if let Some(it) = node.history.iter_mut().rev().find(|it| it.attempt == *attempt) {
                it.end(Ending::from(*ending), entry.at);
            }
            if let Some(left) = left {
                keep(node, left);
            }
        }
        What::NodeSucceeded { node, is_reused } => {
            record.nodes[*node].state = if *is_reused { NodeState::Reused } else { NodeState::Computed };
        }
        What::NodeFailed { node, error } => {
            record.nodes[*node].state = NodeState::Failed;
            record.nodes[*node].error = Some(error.clone());
        }
        What::NodeSkipped { node, because } => {
            let because = record.nodes[*because].node.clone();
            record.nodes[*node].state = NodeState::Skipped;
            record.nodes[*node].because_of = Some(because);
        }
        What::NodeCancelled { node } => record.nodes[*node].state = NodeState::Cancelled,
    }
}

fn keep(node: &mut NodeRecord, left: &Left) {
    node.used(&left.usage());
    node.metrics.clone_from(&left.metrics);
    node.tables.clone_from(&left.tables);
    if !left.files.is_empty() {
        node.files.clone_from(&left.files);
    }
    match (&left.error, node.history.last_mut()) {
        (Some(error), Some(it)) => {
            it.error = Some(error.code.clone());
            it.artefacts.clone_from(&left.artefacts);
        }
        (Some(_), None) => {}
        (None, _) => node.artefacts.clone_from(&left.artefacts),
    }
}

/// What ran when its host went away ended with it.
fn interrupt(node: &mut NodeRecord, at: i64) {
    for it in node.history.iter_mut().filter(|it| it.outcome == AttemptOutcome::Running) {
        it.outcome = AttemptOutcome::Lost;
        it.ended_at = Some(at);
    }
}
