//! Whether a recorded run can be repeated exactly: same pipeline, same components, same files. What is not as it was is
//! told with both digests, and nothing runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_lake::{Lake, SourceError, WindowFolder};
use tidemill_plan::{
    Code, Digest, Machine, Pipeline, Plan, PlanNode, Problem, Request, Selection, SourceSpec, Work, WriteMode,
};
use tidemill_sandbox::Sandbox;

use crate::catalog::Components;
use crate::local::{LocalOptions, LocalRun};
use crate::origin::{ComponentRecord, FileRecord, Lineage, file_records, node_record};
use crate::record::{NodeRecord, NodeState, RunRecord};

/// A run that can be repeated: all that it used is as it was.
#[derive(Debug)]
pub struct Replay {
    record: RunRecord,
    base: PathBuf,
    plan: Plan,
    components: Components,
    /// What is computed: the nodes that had ended well, or the one asked for, with all that they need.
    selected: Vec<bool>,
}

impl Replay {
    /// Checks everything. `runs` is the lake of the run, where the records of other runs are.
    ///
    /// # Errors
    /// Everything that is not as it was, or why the record cannot be repeated at all.
    pub fn prepare(
        record: RunRecord,
        node: Option<&str>,
        runs: &Path,
        sandbox: Arc<Sandbox>,
        machine: Machine,
    ) -> Result<Self, Vec<Problem>> {
        let base = record.check_repeatable().map_err(|e| vec![e.problem()])?;
        if record.state == crate::RunState::Running && !record.is_lost() {
            let what = format!("run `{}` has not ended yet", record.run);
            return Err(vec![Problem::new(Code("run-not-over"), what, "wait until it ends")]);
        }
        let changed = changed_components(&record.components);
        // What a changed component brings about is no news beside that it has changed.
        let or_changed = |problems: Vec<Problem>| {
            if changed.is_empty() { problems } else { changed.values().cloned().collect() }
        };
        let pipeline: Pipeline = tidemill_plan::parse(&record.pipeline_text, &record.shown_file())?;
        let components = Components::new(sandbox, base.clone(), &pipeline);
        let request = Request {
            sets: Vec::new(),
            parameters: record.parameter_values(),
            window: record.window,
            machine,
        };
        let plan = tidemill_plan::plan(&pipeline, &request, &components).map_err(or_changed)?;
        if let Some(problem) = other_plan(&record, &plan) {
            return Err(or_changed(vec![problem]));
        }
        let selected = select(&record, &plan, node).map_err(|it| vec![it])?;
        let mut problems = components_in_use(&record, &plan, &selected, &changed);
        let replay = Self { record, base, plan, components, selected };
        problems.extend(replay.changed_sources());
        problems.extend(replay.continued_tables(runs));
        some_or(problems)?;
        Ok(replay)
    }

    #[must_use]
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    #[must_use]
    pub fn selected(&self) -> &[bool] {
        &self.selected
    }

    /// Nodes of the run that had not ended well, so that there is nothing to repeat.
    #[must_use]
    pub fn left_out(&self) -> Vec<&NodeRecord> {
        let is_left_out =
            |it: &&NodeRecord| !matches!(it.state, NodeState::Computed | NodeState::Reused | NodeState::Left);
        self.record.nodes.iter().filter(is_left_out).collect()
    }

    /// The run, not begun. The options' file and folder are those of the record.
    #[must_use]
    pub fn local<'a>(&'a self, lake: &'a Lake, options: LocalOptions) -> LocalRun<'a> {
        let options = LocalOptions { file: self.record.file.clone(), base: self.base.clone(), ..options };
        let given = self.record.parameters.iter().map(|(name, it)| (name.clone(), it.from.clone()));
        let lineage =
            Lineage { parameters: given.collect(), from: None, replay_of: Some(self.record.run.clone()) };
        LocalRun::new(&self.plan, self.selected.clone(), lake, &self.components, options)
            .with_lineage(lineage)
    }

    /// Tables of another lake that the replay would add to instead of writing them anew.
    #[must_use]
    pub fn tables_in_the_way(&self, lake: &Lake) -> Vec<Problem> {
        let folder = WindowFolder::of(&self.plan.window);
        let outputs = self.adding().flat_map(|(node, _)| node.outputs.iter().map(move |it| (node, it)));
        let there =
            outputs.filter(|(_, it)| matches!(lake.manifest(&folder, &it.name), Ok(Some(_)) | Err(_)));
        there
            .map(|(node, it)| {
                let what = format!(
                    "node `{}` adds to its table, and the lake to replay into has `{}` already",
                    node.name, it.name
                );
                let mend = "name another folder with `--into`, or leave it away";
                Problem::new(Code("replay-table-there"), what, mend)
            })
            .collect()
    }

    /// The files that the replay read, against those of the record: they may have changed between being checked and
    /// being read.
    #[must_use]
    pub fn changed_meanwhile(&self, replayed: &RunRecord) -> Vec<Problem> {
        let nodes = self.record.nodes.iter().zip(&replayed.nodes).zip(&self.selected);
        let read = nodes.filter(|((_, now), is_selected)| **is_selected && !now.files.is_empty());
        read.flat_map(|((then, now), _)| changed_files(&then.node, &then.files, &now.files)).collect()
    }

    fn chosen(&self) -> impl Iterator<Item = (&PlanNode, &NodeRecord)> {
        let nodes = self.plan.nodes.iter().zip(&self.record.nodes).zip(&self.selected);
        nodes.filter(|(_, is_selected)| **is_selected).map(|(it, _)| it)
    }

    /// Nodes that add to their tables.
    fn adding(&self) -> impl Iterator<Item = (&PlanNode, &NodeRecord)> {
        self.chosen().filter(|(node, _)| node.write_mode != WriteMode::Replace)
    }

    fn changed_sources(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (node, then) in self.chosen() {
            let Work::Source(spec) = &node.work else { continue };
            problems.extend(changed_source(&node.name, spec, &self.base, &then.files));
        }
        problems
    }

    /// Tables that a run added to: what was there before them is not kept, so the same cannot be computed again.
    fn continued_tables(&self, runs: &Path) -> Vec<Problem> {
        let mut writers: BTreeMap<&str, Option<RunRecord>> = BTreeMap::new();
        let mut problems = Vec::new();
        for (node, then) in self.adding() {
            for table in &then.tables {
                let before = if table.written_by == self.record.run.0 {
                    then.continued.get(&table.port).map(|it| format!("snapshot `{it}`"))
                } else {
                    let writer = writers.entry(&table.written_by).or_insert_with(|| {
                        RunRecord::load(runs, &crate::RunId(table.written_by.clone())).ok()
                    });
                    match writer {
                        Some(it) => continued_in(it, &table.table).map(|it| format!("snapshot `{it}`")),
                        None => Some(format!("run `{}`, which wrote it, is gone", table.written_by)),
                    }
                };
                if let Some(before) = before {
                    let what = format!(
                        "node `{}` added to a table that was there before ({before}), which cannot be put back",
                        node.name
                    );
                    let mend =
                        "replay the nodes before it with `--node`; only tables that are written whole repeat";
                    problems.push(Problem::new(Code("replay-continued"), what, mend));
                }
            }
        }
        problems
    }
}

fn continued_in(writer: &RunRecord, table: &str) -> Option<String> {
    let mut nodes = writer.nodes.iter();
    nodes.find_map(|node| {
        let it = node.tables.iter().find(|it| it.table == table)?;
        node.continued.get(&it.port).cloned()
    })
}

fn some_or(problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// By reference.
pub(crate) fn changed_components(components: &[ComponentRecord]) -> BTreeMap<String, Problem> {
    let mut problems = BTreeMap::new();
    for it in components {
        let (code, what) = match std::fs::read(&it.path) {
            Ok(bytes) => {
                let now = Digest::of(&bytes).to_string();
                if now == it.digest {
                    continue;
                }
                (
                    Code("component-changed"),
                    format!("has changed: the run used `{}`, now it is `{now}`", it.digest),
                )
            }
            Err(e) => (
                Code("component-gone"),
                format!("is gone: the run used `{}`, now there is none ({e})", it.digest),
            ),
        };
        let mend = format!(
            "put the component of that digest back at `{}`; what the pipeline computes without it is another result",
            it.path
        );
        let what = format!("component `{}` {what}", it.reference);
        problems.insert(it.reference.clone(), Problem::new(code, what, mend));
    }
    problems
}

/// Of the changed components, those that a selected node runs: the others do not touch what is replayed.
fn components_in_use(
    record: &RunRecord,
    plan: &Plan,
    selected: &[bool],
    changed: &BTreeMap<String, Problem>,
) -> Vec<Problem> {
    let mut problems: BTreeMap<&str, Problem> = BTreeMap::new();
    let nodes = plan.nodes.iter().zip(&record.nodes).zip(selected).filter(|(_, is_selected)| **is_selected);
    for ((node, then), _) in nodes {
        let Work::Task(task) = &node.work else { continue };
        if let Some(it) = changed.get(&task.reference) {
            problems.insert(&task.reference, it.clone());
        } else if then.component.as_ref().is_some_and(|it| *it != task.digest.to_string()) {
            problems.insert(&task.reference, not_the_plan(record));
        }
    }
    problems.into_values().collect()
}

/// What of a source's files is not as it was.
pub(crate) fn changed_source(
    node: &str,
    spec: &SourceSpec,
    base: &Path,
    then: &[FileRecord],
) -> Vec<Problem> {
    match tidemill_lake::source_files(spec, base) {
        Ok(now) => changed_files(node, then, &file_records(&now, base)),
        Err(SourceError::Missing { .. }) => changed_files(node, then, &[]),
        Err(e) => vec![Problem::new(e.code(), e.to_string(), e.mend())],
    }
}

/// By path: files are read in the order of their paths.
pub(crate) fn changed_files(source: &str, then: &[FileRecord], now: &[FileRecord]) -> Vec<Problem> {
    let by_path = |files: &[FileRecord]| -> BTreeMap<String, String> {
        files.iter().map(|it| (it.path.clone(), it.digest.clone())).collect()
    };
    let (before, after) = (by_path(then), by_path(now));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut problems = Vec::new();
    for path in paths {
        let (code, what) = match (before.get(path), after.get(path)) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(a), Some(b)) => {
                (Code("source-changed"), format!("has changed: the run read `{a}`, now it is `{b}`"))
            }
            (Some(a), None) => {
                (Code("source-gone"), format!("is gone: the run read `{a}`, now there is none"))
            }
            (None, Some(b)) => {
                (Code("source-changed"), format!("is new: the run read no such file, now it is `{b}`"))
            }
            (None, None) => continue,
        };
        let what = format!("file `{path}` of source `{source}` {what}");
        let mend =
            "put the files back as they were; what the pipeline computes from others is another result";
        problems.push(Problem::new(code, what, mend));
    }
    problems
}

/// Whether this version makes the same plan of the record: otherwise tables would be compared that are not about
/// the same thing.
fn other_plan(record: &RunRecord, plan: &Plan) -> Option<Problem> {
    let planned = plan.nodes.iter().map(|it| node_record(it, true));
    let is_same = |(then, now): (&NodeRecord, NodeRecord)| {
        then.node == now.node && then.seed == now.seed && then.task == now.task
    };
    let tables_agree = plan.nodes.iter().zip(&record.nodes).all(|(node, then)| {
        let mut tables = then.tables.iter();
        tables.all(|table| node.outputs.iter().any(|it| it.port == table.port && it.name.0 == table.table))
    });
    let differs = record.nodes.len() != plan.nodes.len()
        || !record.nodes.iter().zip(planned).all(is_same)
        || !tables_agree;
    differs.then(|| not_the_plan(record))
}

fn not_the_plan(record: &RunRecord) -> Problem {
    let what = format!(
        "the record of run `{}` gives another plan now: other nodes, tables, components or seeds than it says",
        record.run
    );
    let mend = format!(
        "the record was edited, or Tidemill {} plans otherwise than {}: replay it with that version",
        crate::origin::HOST,
        record.host
    );
    Problem::new(Code("replay-other-plan"), what, mend)
}

/// The nodes to compute.
fn select(record: &RunRecord, plan: &Plan, node: Option<&str>) -> Result<Vec<bool>, Problem> {
    let has_ended_well = |it: &NodeRecord| {
        matches!(it.state, NodeState::Computed | NodeState::Reused) || !it.tables.is_empty()
    };
    let nothing = |what: String| {
        let mend = "a replay repeats nodes that ended well; `tidemill runs show` tells how each ended";
        Problem::new(Code("nothing-to-replay"), what, mend)
    };
    let targets: Vec<bool> = match node {
        Some(name) => {
            let named = plan.select(&Selection::Only(name.to_owned()))?;
            let mut failed =
                record.nodes.iter().zip(&named).filter(|(it, named)| **named && !has_ended_well(it));
            if let Some((it, _)) = failed.next() {
                let what = format!("node `{}` wrote nothing in run `{}`", it.node, record.run);
                return Err(nothing(what));
            }
            named
        }
        None => record.nodes.iter().map(has_ended_well).collect(),
    };
    if !targets.contains(&true) {
        return Err(nothing(format!("no node of run `{}` ended well", record.run)));
    }
    Ok(with_what_they_read(plan, targets))
}

/// These nodes, and all that they need.
pub(crate) fn with_what_they_read(plan: &Plan, mut selected: Vec<bool>) -> Vec<bool> {
    // Members stand before their consumers.
    for position in (0..plan.nodes.len()).rev() {
        if selected[position] {
            for it in plan.nodes[position].inputs.iter().flat_map(|it| &it.members) {
                selected[it.node] = true;
            }
        }
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, digest: &str) -> FileRecord {
        FileRecord { path: path.to_owned(), bytes: 1, digest: digest.to_owned() }
    }

    #[test]
    fn files_that_changed_vanished_or_came_are_told_apart() {
        let then = [file("a", "1"), file("b", "2"), file("c", "3")];
        let now = [file("a", "1"), file("b", "9"), file("d", "4")];
        let told: Vec<(&str, String)> =
            changed_files("s", &then, &now).into_iter().map(|it| (it.code.0, it.what)).collect();
        let told: Vec<(&str, &str)> = told.iter().map(|(code, what)| (*code, what.as_str())).collect();
        assert_eq!(
            told,
            [
                ("source-changed", "file `b` of source `s` has changed: the run read `2`, now it is `9`"),
                ("source-gone", "file `c` of source `s` is gone: the run read `3`, now there is none"),
                ("source-changed", "file `d` of source `s` is new: the run read no such file, now it is `4`"),
            ]
        );
        assert_eq!(changed_files("s", &then, &then), []);
    }
}
