//! What is kept of a sweep: `<lake>/sweeps/<id>/sweep.json`, written when it starts and again when it ends.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_plan::{Goal, Keep, Provenance, SweepPlan, Window, Work};

use super::SweepRun;
use super::results::{PointRow, PointState};
use crate::failure::DriverError;
use crate::log_file::now_ns;
use crate::origin::{ComponentRecord, FileRecord, HOST, absolute, component_records, move_components};
use crate::record::{RunId, RunState, file_error, read_record, write_whole};

/// Of the record's shape; a record of a newer one is not read.
const FORMAT: u32 = 1;
const FILE: &str = "sweep.json";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SweepRecord {
    pub format: u32,
    /// Also the id of the run that computed its nodes.
    pub sweep: RunId,
    pub pipeline: String,
    pub summary: String,
    /// As it was named on the command line.
    pub file: String,
    /// Absolute folder of the pipeline file.
    #[serde(default)]
    pub folder: String,
    /// Of the pipeline file.
    #[serde(default)]
    pub pipeline_text: String,
    pub command: String,
    pub host_version: String,
    /// Version of the contract between host and task.
    #[serde(default)]
    pub contract: String,
    pub state: RunState,
    pub pid: u32,
    /// When that process began; see the record of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_began: Option<u64>,
    /// Nanoseconds since 1970.
    pub began_at: i64,
    pub ended_at: Option<i64>,
    pub window: Window,
    pub axes: Vec<AxisRecord>,
    pub measures: Vec<MeasureRecord>,
    /// Name of the measure that is best where it is least, or greatest.
    pub minimize: Option<String>,
    pub maximize: Option<String>,
    pub keep: String,
    /// Those that are not swept.
    pub parameters: BTreeMap<String, Value>,
    /// Where each of them came from: `default`, `set` or `params`.
    #[serde(default)]
    pub parameters_from: BTreeMap<String, String>,
    pub components: Vec<TaskRecord>,
    /// The same by what nodes call them, and where they lie.
    #[serde(default)]
    pub component_files: Vec<ComponentRecord>,
    pub sources: Vec<SourceRecord>,
    /// Tables of a point that are measured, as `node` or `node.port`.
    pub tables: Vec<String>,
    pub counts: SweepCounts,
    pub shared: Vec<SharedNode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AxisRecord {
    pub name: String,
    /// Type of the parameter.
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureRecord {
    pub name: String,
    pub source: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskRecord {
    pub task: String,
    pub digest: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceRecord {
    pub node: String,
    pub path: String,
    /// Of all its files.
    pub digest: String,
    #[serde(default)]
    pub files: Vec<FileRecord>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepCounts {
    pub points: u64,
    pub computed: u64,
    /// Measured by an earlier sweep.
    pub cached: u64,
    pub failed: u64,
    /// Not reached.
    pub cancelled: u64,
    /// Of all points, each counted by itself.
    pub nodes: u64,
    pub distinct: u64,
    /// Distinct nodes whose tables were there.
    pub reused: u64,
}

/// How often a node of the file was needed, and how often it was there to compute.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SharedNode {
    pub node: String,
    pub uses: u64,
    pub distinct: u64,
    pub reused: u64,
}

impl SweepRecord {
    pub(super) fn begin(run: &SweepRun<'_>, plan: &SweepPlan) -> Self {
        let options = &run.options;
        let mut tables: Vec<String> = Vec::new();
        for measure in &options.measures {
            if let Some(name) = measure.source.table()
                && !tables.contains(&name)
            {
                tables.push(name);
            }
        }
        let goal = options.goal.as_ref();
        Self {
            format: FORMAT,
            sweep: run.id.clone(),
            pipeline: plan.plan.pipeline.clone(),
            summary: plan.plan.summary.clone(),
            file: options.local.file.clone(),
            folder: absolute(&options.local.base),
            pipeline_text: plan.plan.text.to_string(),
            command: options.command.clone(),
            host_version: HOST.to_owned(),
            contract: tidemill_sandbox::CONTRACT.to_owned(),
            state: RunState::Running,
            pid: std::process::id(),
            pid_began: crate::process::began(std::process::id()),
            began_at: run.began_at,
            ended_at: None,
            window: plan.plan.window,
            axes: plan
                .space
                .axes
                .iter()
                .map(|it| AxisRecord { name: it.name.clone(), kind: it.kind.to_owned() })
                .collect(),
            measures: options
                .measures
                .iter()
                .map(|it| MeasureRecord { name: it.name.clone(), source: it.text.clone() })
                .collect(),
            minimize: goal.and_then(|it| matches!(it, Goal::Minimize(_)).then(|| it.measure().to_owned())),
            maximize: goal.and_then(|it| matches!(it, Goal::Maximize(_)).then(|| it.measure().to_owned())),
            keep: options.keep.name().to_owned(),
            parameters: plan
                .plan
                .parameters
                .iter()
                .map(|(name, it)| (name.clone(), it.value.clone()))
                .collect(),
            parameters_from: plan
                .plan
                .parameters
                .iter()
                .map(|(name, it)| (name.clone(), origin(it.provenance).to_owned()))
                .collect(),
            components: tasks(plan),
            component_files: component_records(&plan.plan, run.components),
            sources: run.sources.clone(),
            tables,
            counts: SweepCounts {
                points: plan.space.len() as u64,
                cached: run.known.len() as u64,
                nodes: plan.nodes_total(),
                distinct: plan.plan.nodes.len() as u64,
                ..SweepCounts::default()
            },
            shared: shared(plan),
        }
    }

    pub(super) fn end(&mut self, state: RunState, rows: &[PointRow]) {
        let count = |state| rows.iter().filter(|it| it.state == state).count() as u64;
        self.counts.computed = count(PointState::Computed);
        self.counts.failed = count(PointState::Failed);
        self.counts.cancelled = self.counts.points - rows.len() as u64;
        self.ended_at = Some(now_ns());
        self.state = match state {
            RunState::Cancelled => RunState::Cancelled,
            RunState::Running | RunState::Succeeded | RunState::Failed
                if 0 < self.counts.failed + self.counts.cancelled =>
            {
                RunState::Failed
            }
            RunState::Running | RunState::Succeeded | RunState::Failed => RunState::Succeeded,
        };
    }

    /// The record of the same sweep, had its pipeline's folder been this one.
    #[must_use]
    pub fn moved_to(mut self, folder: &Path) -> Self {
        let before = std::mem::replace(&mut self.folder, absolute(folder));
        move_components(&mut self.component_files, &before, &self.folder);
        self
    }

    /// Whether its process died before it could say how the sweep ended.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state == RunState::Running && !crate::process::is_alive(self.pid, self.pid_began)
    }

    /// Whether it kept at least the tables that are to be kept.
    pub(super) fn keeps_at_least(&self, keep: Keep) -> bool {
        let kept = [Keep::None, Keep::Measured, Keep::All].into_iter().find(|it| it.name() == self.keep);
        kept.is_some_and(|it| keep <= it)
    }

    pub(super) fn save(&self, folder: &Path) -> Result<(), DriverError> {
        std::fs::create_dir_all(folder).map_err(|e| file_error("create folder", folder, e))?;
        let text = serde_json::to_vec_pretty(self).expect("a record has only text keys");
        write_whole(&folder.join(FILE), &text)
    }

    pub(super) fn load(folder: &Path) -> Result<Self, DriverError> {
        read_record(&folder.join(FILE), FORMAT, |it: &Self| it.format)
    }

    /// The measure that is best, and whether least is best.
    #[must_use]
    pub fn goal(&self) -> Option<Goal> {
        let minimize = self.minimize.clone().map(Goal::Minimize);
        minimize.or_else(|| self.maximize.clone().map(Goal::Maximize))
    }
}

/// Each task once, by name.
fn tasks(plan: &SweepPlan) -> Vec<TaskRecord> {
    let mut tasks: BTreeMap<&str, String> = BTreeMap::new();
    for node in &plan.plan.nodes {
        if let Work::Task(task) = &node.work {
            tasks.entry(&task.description.name).or_insert_with(|| task.digest.to_string());
        }
    }
    tasks.into_iter().map(|(task, digest)| TaskRecord { task: task.to_owned(), digest }).collect()
}

fn origin(it: Provenance) -> &'static str {
    match it {
        Provenance::Default => "default",
        Provenance::Set => "set",
        Provenance::Given => "params",
    }
}

fn shared(plan: &SweepPlan) -> Vec<SharedNode> {
    let mut distinct: BTreeMap<&str, u64> = BTreeMap::new();
    for node in &plan.plan.nodes {
        *distinct.entry(&node.family).or_default() += 1;
    }
    let families = plan.families.iter().zip(plan.uses());
    families
        .map(|(name, uses)| SharedNode {
            node: name.clone(),
            uses,
            // A node that two families share counts for the first.
            distinct: distinct.get(name.as_str()).copied().unwrap_or_default(),
            reused: 0,
        })
        .collect()
}
