//! What differs between two runs: what went into them, and what came out. Presents nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidemill_lake::LakeError;

use crate::compare::{RunIn, TableComparison, compare_tables};
use crate::record::{NodeRecord, NodeState, RunRecord};

/// Something that is not the same in both; absent where one lacks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    pub name: String,
    pub before: Option<T>,
    pub after: Option<T>,
}

#[derive(Clone, Debug)]
pub struct RunDifference {
    /// Whether the pipelines' texts differ.
    pub pipeline: bool,
    pub parameters: Vec<Change<Value>>,
    /// `start`, `end`, `as-of`, as nanoseconds since 1970.
    pub window: Vec<Change<i64>>,
    /// Digests by reference.
    pub components: Vec<Change<String>>,
    /// Digests by source and path.
    pub files: Vec<Change<String>>,
    /// Versions of `tidemill` and of the `contract`.
    pub versions: Vec<Change<String>>,
    /// Nodes that ended otherwise; reused counts as computed.
    pub outcomes: Vec<Change<String>>,
    pub tables: Vec<TableComparison>,
}

/// Compares two runs, of one lake or of two.
///
/// # Errors
/// When a table that is there cannot be read.
pub fn diff_runs(in_before: RunIn<'_>, in_after: RunIn<'_>) -> Result<RunDifference, LakeError> {
    let (before, after) = (in_before.record, in_after.record);
    Ok(RunDifference {
        pipeline: before.pipeline_text != after.pipeline_text,
        parameters: changes(before, after, |it| {
            it.parameters.iter().map(|(name, it)| (name.clone(), it.value.clone())).collect()
        }),
        window: changes(before, after, |it| {
            let times = [("start", it.window.start), ("end", it.window.end), ("as-of", it.window.as_of)];
            times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), time?.0))).collect()
        }),
        components: changes(before, after, |it| {
            it.components.iter().map(|it| (it.reference.clone(), it.digest.clone())).collect()
        }),
        files: changes(before, after, |it| {
            let files = |node: &NodeRecord| {
                let named =
                    |it: &crate::FileRecord| (format!("{}: {}", node.node, it.path), it.digest.clone());
                node.files.iter().map(named).collect::<Vec<_>>()
            };
            it.nodes.iter().flat_map(files).collect()
        }),
        versions: changes(before, after, |it| {
            let versions = [("tidemill", &it.host), ("contract", &it.contract)];
            versions.into_iter().map(|(name, it)| (name.to_owned(), it.clone())).collect()
        }),
        outcomes: changes(before, after, |it| {
            it.nodes.iter().map(|it| (it.node.clone(), outcome(it))).collect()
        }),
        tables: compare_tables(in_before, in_after)?,
    })
}

fn outcome(node: &NodeRecord) -> String {
    let word = match node.state {
        NodeState::Computed | NodeState::Reused => "ended well",
        NodeState::Left => "not part of the run",
        NodeState::Pending => "not ended",
        NodeState::Failed => "failed",
        NodeState::Skipped => "skipped",
        NodeState::Cancelled => "cancelled",
    };
    node.error.as_ref().map_or_else(|| word.to_owned(), |it| format!("{word}: {}", it.code))
}

fn changes<T: Clone + PartialEq>(
    before: &RunRecord,
    after: &RunRecord,
    of: impl Fn(&RunRecord) -> BTreeMap<String, T>,
) -> Vec<Change<T>> {
    let (before, after) = (of(before), of(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = names.into_iter().filter(|it| before.get(*it) != after.get(*it));
    changed
        .map(|it| Change { name: it.clone(), before: before.get(it).cloned(), after: after.get(it).cloned() })
        .collect()
}
