//! What others may see of runs: only what is durable, read from the store, so that it is the same on every host.

use std::collections::BTreeMap;

use serde_json::Value;
use tidemill_plan::{Code, Problem};
use tidemill_store::StoreError;

use super::Live;
use super::counts::AttemptCounts;
use super::fold;
use super::journal::{self, Entry};
use crate::record::{ErrorRecord, RunId, RunRecord};

/// A run as its journal tells it.
#[derive(Clone, Debug)]
pub struct RunView {
    /// `None` while nothing of it has begun.
    pub record: Option<RunRecord>,
    /// What tasks say of their progress, by node, where the run is carried out by this process: done, and of how much.
    pub progress: BTreeMap<String, (u64, Option<u64>)>,
    /// What keeps nodes from going on until it is mended, likewise.
    pub troubles: BTreeMap<String, ErrorRecord>,
}

/// What this process is busy with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveLoad {
    pub runs: usize,
    pub attempts: usize,
    /// Nodes that only wait for room.
    pub ready: usize,
}

impl Live {
    #[must_use]
    pub fn load(&self) -> LiveLoad {
        self.center.load()
    }

    #[must_use]
    pub fn attempt_counts(&self) -> AttemptCounts {
        self.center.counters.read()
    }

    /// # Errors
    /// When the store is away, or holds what this version cannot read.
    pub async fn view(&self, run: &RunId) -> Result<RunView, StoreError> {
        let record = self.context.store.record(&run.0).await?;
        let record: Option<RunRecord> =
            record.map(|it| serde_json::from_str(&it)).transpose().map_err(|e| unreadable(run, &e))?;
        let record = match record {
            // What it became is kept whole.
            Some(it) if it.ended_at.is_some() => Some(it),
            Some(mut it) => {
                // It may have ended meanwhile; the journal then says that, too.
                let parts = self.context.store.journal_from(&run.0, 0).await?;
                for entry in journal::read(&parts).map_err(|e| unreadable(run, &e))? {
                    fold::take(&mut it, &entry);
                }
                Some(it)
            }
            None => None,
        };
        let told = self.center.with(run, |it| it.parts.told.read()).unwrap_or_default();
        let name =
            |position: usize| record.as_ref().and_then(|it| it.nodes.get(position)).map(|it| it.node.clone());
        let progress = told.progress.into_iter().filter_map(|(node, it)| Some((name(node)?, it))).collect();
        let troubles = told.troubles.into_iter().filter_map(|(node, it)| Some((name(node)?, it))).collect();
        Ok(RunView { record, progress, troubles })
    }

    /// A run's transitions with time and cause, in their order, from the given number on; nodes are named.
    ///
    /// # Errors
    /// As [`Live::view`].
    pub async fn transitions(&self, run: &RunId, from: usize) -> Result<Vec<Value>, StoreError> {
        let mut follower = Follower::new(run.clone());
        Ok(self.next_transitions(&mut follower).await?.into_iter().skip(from).collect())
    }

    /// What has happened in a run since the follower was last asked for.
    ///
    /// # Errors
    /// As [`Live::view`].
    pub async fn next_transitions(&self, follower: &mut Follower) -> Result<Vec<Value>, StoreError> {
        let run = &follower.run;
        if follower.names.is_empty() {
            let Some(record) = self.context.store.record(&run.0).await? else { return Ok(Vec::new()) };
            let record: RunRecord = serde_json::from_str(&record).map_err(|e| unreadable(run, &e))?;
            follower.names = record.nodes.into_iter().map(|it| it.node).collect();
        }
        let parts = self.context.store.journal_from(&run.0, follower.seq).await?;
        let entries = journal::read(&parts).map_err(|e| unreadable(run, &e))?;
        follower.seq += i64::try_from(parts.len()).expect("a journal has fewer parts than i64 has numbers");
        Ok(entries.into_iter().map(|it| named(it, &follower.names)).collect())
    }
}

/// Goes along with a run's journal.
#[derive(Clone, Debug)]
pub struct Follower {
    run: RunId,
    /// Of nodes, by the plan's order.
    names: Vec<String>,
    seq: i64,
}

impl Follower {
    #[must_use]
    pub fn new(run: RunId) -> Self {
        Self { run, names: Vec::new(), seq: 0 }
    }
}

fn named(entry: Entry, names: &[String]) -> Value {
    let mut value = serde_json::to_value(entry).expect("an entry has only string keys");
    for key in ["node", "because"] {
        let position = value.get(key).and_then(Value::as_u64).and_then(|it| usize::try_from(it).ok());
        if let Some(name) = position.and_then(|it| names.get(it)) {
            value[key] = Value::String(name.clone());
        }
    }
    value
}

pub(super) fn unreadable(run: &RunId, error: &serde_json::Error) -> StoreError {
    let what = format!("the record of run `{run}` cannot be read: {error}");
    let mend = "another version may have written it: start that one";
    Problem::new(Code("run-record-unreadable"), what, mend).into()
}
