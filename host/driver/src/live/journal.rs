//! What a run's journal says, and what follows from reading it again: the engine's facts with the time of the clock,
//! and what each attempt left behind. Nodes are named by their positions in the plan.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_engine::{
    AttemptId, Ending, Fact, Failure, NodeId, Origin, Record, RunState, StopCause, Timestamp,
};
use tidemill_sandbox::Usage;

use crate::artefacts::ArtefactRecord;
use crate::origin::FileRecord;
use crate::record::{ErrorRecord, TableRecord};
use crate::shape::Shape;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Milliseconds of the run's own clock, which stands still while no host has the run.
    pub(crate) ms: u64,
    /// Nanoseconds since 1970.
    pub(crate) at: i64,
    #[serde(flatten)]
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub(crate) enum What {
    RunBegan,
    /// A host took the run over; attempts without an end ended with the host before.
    RunResumed,
    RunCancelled,
    RunEnded {
        state: Ended,
    },
    AttemptBegan {
        node: usize,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<u64>,
    },
    AttemptToldToStop {
        node: usize,
        attempt: u32,
        cause: Cause,
        until: u64,
    },
    AttemptEnded {
        node: usize,
        attempt: u32,
        ending: AttemptEnding,
        /// What it left, where it reported anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<Box<Left>>,
    },
    RetryScheduled {
        node: usize,
        due: u64,
    },
    RetryDue {
        node: usize,
    },
    NodeSucceeded {
        node: usize,
        is_reused: bool,
    },
    NodeFailed {
        node: usize,
        error: ErrorRecord,
    },
    NodeSkipped {
        node: usize,
        because: usize,
    },
    NodeCancelled {
        node: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ended {
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    Timeout,
    Cancel,
    FailFast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AttemptEnding {
    Computed,
    Reused,
    FailedRetryable,
    FailedPermanent,
    StoppedTimeout,
    StoppedCancel,
    StoppedFailFast,
    AbandonedTimeout,
    AbandonedCancel,
    AbandonedFailFast,
    Lost,
}

/// What an attempt left behind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Left {
    pub(crate) wall_us: u64,
    pub(crate) memory_peak_bytes: u64,
    pub(crate) rows_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) rows_out: u64,
    pub(crate) bytes_out: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tables: Vec<TableRecord>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metrics: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) artefacts: Vec<ArtefactRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<FileRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<ErrorRecord>,
}

impl Left {
    pub(crate) fn used(usage: &Usage) -> Self {
        Self {
            wall_us: usage.wall_us,
            memory_peak_bytes: usage.memory_peak_bytes,
            rows_in: usage.rows_in,
            bytes_in: usage.bytes_in,
            rows_out: usage.rows_out,
            bytes_out: usage.bytes_out,
            ..Self::default()
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            wall_us: self.wall_us,
            memory_peak_bytes: self.memory_peak_bytes,
            rows_in: self.rows_in,
            bytes_in: self.bytes_in,
            rows_out: self.rows_out,
            bytes_out: self.bytes_out,
            ..Usage::default()
        }
    }
}

impl What {
    /// A fact of the engine in the journal's words. What an attempt left and why a node failed is not the engine's to
    /// know: the caller adds it.
    pub(crate) fn of(fact: Fact, shape: &Shape) -> Self {
        let at = |node: NodeId| shape.position(node);
        match fact {
            Fact::RunBegan => Self::RunBegan,
            Fact::RunCancelled => Self::RunCancelled,
            Fact::RunEnded { state } => Self::RunEnded { state: state.into() },
            Fact::AttemptBegan { attempt, deadline } => Self::AttemptBegan {
                node: at(attempt.node),
                attempt: attempt.number,
                deadline: deadline.map(|it| it.0),
            },
            Fact::AttemptToldToStop { attempt, cause, until } => Self::AttemptToldToStop {
                node: at(attempt.node),
                attempt: attempt.number,
                cause: cause.into(),
                until: until.0,
            },
            Fact::AttemptEnded { attempt, ending } => Self::AttemptEnded {
                node: at(attempt.node),
                attempt: attempt.number,
                ending: ending.into(),
                left: None,
            },
            Fact::RetryScheduled { node, due } => Self::RetryScheduled { node: at(node), due: due.0 },
            Fact::RetryDue { node } => Self::RetryDue { node: at(node) },
            Fact::NodeSucceeded { node, origin } => {
                Self::NodeSucceeded { node: at(node), is_reused: origin == Origin::Reused }
            }
            Fact::NodeFailed { node } => Self::NodeFailed { node: at(node), error: ErrorRecord::default() },
            Fact::NodeSkipped { node, because } => Self::NodeSkipped { node: at(node), because: at(because) },
            Fact::NodeCancelled { node } => Self::NodeCancelled { node: at(node) },
        }
    }

    /// `None` for what is no fact of the engine.
    fn fact(&self, shape: &Shape) -> Option<Fact> {
        let node = |position: usize| shape.node(position);
        let attempt = |position: usize, number: u32| Some(AttemptId { node: node(position)?, number });
        Some(match self {
            Self::RunResumed => return None,
            Self::RunBegan => Fact::RunBegan,
            Self::RunCancelled => Fact::RunCancelled,
            Self::RunEnded { state } => Fact::RunEnded { state: (*state).into() },
            Self::AttemptBegan { node, attempt: number, deadline } => {
                Fact::AttemptBegan { attempt: attempt(*node, *number)?, deadline: deadline.map(Timestamp) }
            }
            Self::AttemptToldToStop { node, attempt: number, cause, until } => Fact::AttemptToldToStop {
                attempt: attempt(*node, *number)?,
                cause: (*cause).into(),
                until: Timestamp(*until),
            },
            Self::AttemptEnded { node, attempt: number, ending, .. } => {
                Fact::AttemptEnded { attempt: attempt(*node, *number)?, ending: (*ending).into() }
            }
            Self::RetryScheduled { node: position, due } => {
                Fact::RetryScheduled { node: node(*position)?, due: Timestamp(*due) }
            }
            Self::RetryDue { node: position } => Fact::RetryDue { node: node(*position)? },
            Self::NodeSucceeded { node: position, is_reused } => {
                let origin = if *is_reused { Origin::Reused } else { Origin::Computed };
                Fact::NodeSucceeded { node: node(*position)?, origin }
            }
            Self::NodeFailed { node: position, .. } => Fact::NodeFailed { node: node(*position)? },
            Self::NodeSkipped { node: position, because } => {
                Fact::NodeSkipped { node: node(*position)?, because: node(*because)? }
            }
            Self::NodeCancelled { node: position } => Fact::NodeCancelled { node: node(*position)? },
        })
    }
}

/// The entries of a journal, from its parts in their order.
pub(crate) fn read(parts: &[String]) -> serde_json::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for part in parts {
        entries.extend(serde_json::from_str::<Vec<Entry>>(part)?);
    }
    Ok(entries)
}

/// The engine's records of a journal, to be applied by whoever takes the run over. An attempt that no host reported
/// and nobody told to stop never began: it begins anew, under the same number and with all of its time. Nothing that
/// it wrote can have become visible, for that needs its end.
pub(crate) fn engine_records(entries: &[Entry], shape: &Shape) -> Vec<Record> {
    let ends = |it: &Entry| match it.what {
        What::AttemptEnded { node, attempt, .. } | What::AttemptToldToStop { node, attempt, .. } => {
            Some((node, attempt))
        }
        What::RunBegan
        | What::RunResumed
        | What::RunCancelled
        | What::RunEnded { .. }
        | What::AttemptBegan { .. }
        | What::RetryScheduled { .. }
        | What::RetryDue { .. }
        | What::NodeSucceeded { .. }
        | What::NodeFailed { .. }
        | What::NodeSkipped { .. }
        | What::NodeCancelled { .. } => None,
    };
    let ended: BTreeSet<(usize, u32)> = entries.iter().filter_map(ends).collect();
    // The same attempt may have begun on several hosts, one after the other; what counts is the last time.
    let mut began = BTreeSet::new();
    let mut counts = vec![true; entries.len()];
    for (place, it) in entries.iter().enumerate().rev() {
        if let What::AttemptBegan { node, attempt, .. } = it.what {
            counts[place] = ended.contains(&(node, attempt)) && began.insert((node, attempt));
        }
    }
    let counted = entries.iter().zip(counts).filter(|(_, counts)| *counts);
    counted.filter_map(|(it, _)| Some(Record { at: Timestamp(it.ms), fact: it.what.fact(shape)? })).collect()
}

impl From<RunState> for Ended {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Succeeded => Self::Succeeded,
            RunState::Failed => Self::Failed,
            RunState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Ended> for RunState {
    fn from(state: Ended) -> Self {
        match state {
            Ended::Succeeded => Self::Succeeded,
            Ended::Failed => Self::Failed,
            Ended::Cancelled => Self::Cancelled,
        }
    }
}

impl From<StopCause> for Cause {
    fn from(cause: StopCause) -> Self {
        match cause {
            StopCause::Timeout => Self::Timeout,
            StopCause::Cancel => Self::Cancel,
            StopCause::FailFast => Self::FailFast,
        }
    }
}

impl From<Cause> for StopCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Timeout => Self::Timeout,
            Cause::Cancel => Self::Cancel,
            Cause::FailFast => Self::FailFast,
        }
    }
}

impl From<Ending> for AttemptEnding {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Succeeded(Origin::Computed) => Self::Computed,
            Ending::Succeeded(Origin::Reused) => Self::Reused,
            Ending::Failed(Failure::Retryable) => Self::FailedRetryable,
            Ending::Failed(Failure::Permanent) => Self::FailedPermanent,
            Ending::Stopped(StopCause::Timeout) => Self::StoppedTimeout,
            Ending::Stopped(StopCause::Cancel) => Self::StoppedCancel,
            Ending::Stopped(StopCause::FailFast) => Self::StoppedFailFast,
            Ending::Abandoned(StopCause::Timeout) => Self::AbandonedTimeout,
            Ending::Abandoned(StopCause::Cancel) => Self::AbandonedCancel,
            Ending::Abandoned(StopCause::FailFast) => Self::AbandonedFailFast,
            Ending::Lost => Self::Lost,
        }
    }
}

impl From<AttemptEnding> for Ending {
    fn from(ending: AttemptEnding) -> Self {
        match ending {
            AttemptEnding::Computed => Self::Succeeded(Origin::Computed),
            AttemptEnding::Reused => Self::Succeeded(Origin::Reused),
            AttemptEnding::FailedRetryable => Self::Failed(Failure::Retryable),
            AttemptEnding::FailedPermanent => Self::Failed(Failure::Permanent),
            AttemptEnding::StoppedTimeout => Self::Stopped(StopCause::Timeout),
            AttemptEnding::StoppedCancel => Self::Stopped(StopCause::Cancel),
            AttemptEnding::StoppedFailFast => Self::Stopped(StopCause::FailFast),
            AttemptEnding::AbandonedTimeout => Self::Abandoned(StopCause::Timeout),
            AttemptEnding::AbandonedCancel => Self::Abandoned(StopCause::Cancel),
            AttemptEnding::AbandonedFailFast => Self::Abandoned(StopCause::FailFast),
            AttemptEnding::Lost => Self::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemill_engine::OnFailure;

    use super::*;

    fn entries(text: &str) -> Vec<Entry> {
        let of = |it: &str| {
            let (name, node) = it.split_once(' ').unwrap_or((it, "0"));
            let node = node.parse().expect("a number");
            let what = match name {
                "run" => What::RunBegan,
                "resumed" => What::RunResumed,
                "began" => What::AttemptBegan { node, attempt: 1, deadline: None },
                "computed" => {
                    What::AttemptEnded { node, attempt: 1, ending: AttemptEnding::Computed, left: None }
                }
                "told" => What::AttemptToldToStop { node, attempt: 1, cause: Cause::Cancel, until: 9 },
                "succeeded" => What::NodeSucceeded { node, is_reused: false },
                other => panic!("{other}"),
            };
            Entry { ms: 0, at: 0, what }
        };
        text.split(", ").map(of).collect()
    }

    fn applied(text: &str) -> String {
        let shape = Shape::of_nodes(2, OnFailure::FailFast);
        let fact = |it: &Record| match it.fact {
            Fact::RunBegan => "run".to_owned(),
            Fact::AttemptBegan { attempt, .. } => format!("began {}", attempt.node.0),
            Fact::AttemptEnded { attempt, .. } => format!("ended {}", attempt.node.0),
            Fact::AttemptToldToStop { attempt, .. } => format!("told {}", attempt.node.0),
            Fact::NodeSucceeded { node, .. } => format!("succeeded {}", node.0),
            Fact::RunCancelled
            | Fact::RunEnded { .. }
            | Fact::RetryScheduled { .. }
            | Fact::RetryDue { .. }
            | Fact::NodeFailed { .. }
            | Fact::NodeSkipped { .. }
            | Fact::NodeCancelled { .. } => "other".to_owned(),
        };
        engine_records(&entries(text), &shape).iter().map(fact).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn an_attempt_that_nobody_ended_never_began() {
        assert_eq!(
            applied("run, began 0, began 1, computed 1, succeeded 1"),
            "run, began 1, ended 1, succeeded 1"
        );
    }

    #[test]
    fn of_an_attempt_that_began_on_several_hosts_the_last_time_counts() {
        assert_eq!(applied("run, began 0, resumed, began 0, computed 0"), "run, began 0, ended 0");
    }

    #[test]
    fn an_attempt_that_was_told_to_stop_is_still_owed_its_stop() {
        assert_eq!(applied("run, began 0, told 0"), "run, began 0, told 0");
    }
}
