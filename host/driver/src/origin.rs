//! What a run's record keeps so that the run can be repeated: pipeline text, components, files, limits, seeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_lake::{Lake, SourceFile, WindowFolder};
use tidemill_plan::{Plan, PlanNode, Provenance, Work, WriteMode};

use crate::artefacts::ArtefactRecord;
use crate::catalog::Components;
use crate::record::{NodeRecord, NodeState, ParameterRecord, RunId, RunRecord, since};
use crate::replay::with_what_they_read;

/// Of the host that ran it, as `tidemill --version` says.
pub(crate) const HOST: &str = env!("CARGO_PKG_VERSION");

/// How a run came to be, beyond its plan.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    /// Where the parameters that were given in bulk came from, by name: `run <id>`, `params <file>`.
    pub parameters: BTreeMap<String, String>,
    /// The run whose pipeline and parameters this one took over.
    pub from: Option<RunId>,
    /// The run that this one repeats.
    pub replay_of: Option<RunId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentRecord {
    /// As nodes name it.
    pub reference: String,
    /// Absolute.
    pub path: String,
    pub digest: String,
}

/// A file that a source read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Relative to the pipeline's folder where it lies in there, else as the pipeline names it.
    pub path: String,
    pub bytes: u64,
    pub digest: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcesRecord {
    pub cpus_milli: u32,
    pub memory_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsRecord {
    pub output_bytes: u64,
    pub log_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// One try at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// From 1.
    pub attempt: u32,
    /// Nanoseconds since 1970.
    pub began_at: i64,
    pub ended_at: Option<i64>,
    pub outcome: AttemptOutcome,
    pub wall_us: u64,
    pub memory_peak_bytes: u64,
    pub rows_in: u64,
    pub bytes_in: u64,
    pub rows_out: u64,
    pub bytes_out: u64,
    /// Code of the error that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Of one that failed: files that its task left until then, as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artefacts: Vec<ArtefactRecord>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    Running,
    Computed,
    Reused,
    Failed,
    /// It was told to stop: the run was cancelled, or another node failed.
    Stopped,
    TimedOut,
    /// It stopped without being told, or did not stop when told.
    Lost,
}

impl AttemptRecord {
    pub(crate) fn begin(attempt: u32, began_at: i64) -> Self {
        Self {
            attempt,
            began_at,
            ended_at: None,
            outcome: AttemptOutcome::Running,
            wall_us: 0,
            memory_peak_bytes: 0,
            rows_in: 0,
            bytes_in: 0,
            rows_out: 0,
            bytes_out: 0,
            error: None,
            artefacts: Vec::new(),
        }
    }

    /// From beginning to end; `None` while it has not ended.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        Some(since(self.began_at, self.ended_at?))
    }

    pub(crate) fn used(&mut self, usage: &tidemill_sandbox::Usage) {
        self.wall_us = usage.wall_us;
        self.memory_peak_bytes = usage.memory_peak_bytes;
        self.rows_in = usage.rows_in;
        self.bytes_in = usage.bytes_in;
        self.rows_out = usage.rows_out;
        self.bytes_out = usage.bytes_out;
    }

    pub(crate) fn end(&mut self, ending: tidemill_engine::Ending, ended_at: i64) {
        use tidemill_engine::{Ending, Origin, StopCause};
        self.ended_at = Some(ended_at);
        self.outcome = match ending {
            Ending::Succeeded(Origin::Computed) => AttemptOutcome::Computed,
            Ending::Succeeded(Origin::Reused) => AttemptOutcome::Reused,
            Ending::Failed(_) => AttemptOutcome::Failed,
            Ending::Stopped(StopCause::Timeout) => AttemptOutcome::TimedOut,
            Ending::Stopped(StopCause::Cancel | StopCause::FailFast) => AttemptOutcome::Stopped,
            Ending::Abandoned(_) | Ending::Lost => AttemptOutcome::Lost,
        };
    }
}

pub(crate) fn parameter_records(plan: &Plan, lineage: &Lineage) -> BTreeMap<String, ParameterRecord> {
    let record = |(name, it): (&String, &tidemill_plan::BoundParameter)| {
        let from = match it.provenance {
            Provenance::Default => "default",
            Provenance::Set => "set",
            Provenance::Given => lineage.parameters.get(name).map_or("set", String::as_str),
        };
        (name.clone(), ParameterRecord { value: it.value.clone(), from: from.to_owned() })
    };
    plan.parameters.iter().map(record).collect()
}

pub(crate) fn node_record(node: &PlanNode, is_selected: bool) -> NodeRecord {
    let (task, component) = match &node.work {
        Work::Source(_) => (None, None),
        Work::Task(it) => (Some(it.description.name.clone()), Some(it.digest.to_string())),
    };
    NodeRecord {
        node: node.name.clone(),
        state: if is_selected { NodeState::Pending } else { NodeState::Left },
        // A source has no use for randomness.
        seed: task.as_ref().map(|_| format!("{:016x}", tidemill_plan::node_seed(&node.update_id))),
        task,
        component,
        attempts: 0,
        history: Vec::new(),
        files: Vec::new(),
        tables: Vec::new(),
        resources: Some(ResourcesRecord {
            cpus_milli: node.resources.cpus_milli,
            memory_bytes: node.resources.memory_bytes,
        }),
        limits: Some(LimitsRecord {
            output_bytes: node.limits.output_bytes,
            log_bytes: node.limits.log_bytes,
            fuel: node.limits.fuel,
            timeout_ms: node.timeout_ms,
        }),
        wall_us: 0,
        memory_peak_bytes: 0,
        metrics: BTreeMap::new(),
        artefacts: Vec::new(),
        error: None,
        because_of: None,
        stored: Vec::new(),
        continued: BTreeMap::new(),
    }
}

pub(crate) fn file_records(files: &[SourceFile], base: &Path) -> Vec<FileRecord> {
    let base = absolute(base);
    let record = |it: &SourceFile| {
        // The pipeline may name a file by an absolute path that lies in its folder: however the folder was named, the
        // file has one name.
        let path = absolute(&it.path);
        let inside = Path::new(&path).strip_prefix(&base).map(|it| it.display().to_string());
        FileRecord {
            path: inside.unwrap_or_else(|_| it.name.clone()),
            bytes: it.bytes,
            digest: it.digest.to_string(),
        }
    };
    files.iter().map(record).collect()
}

/// The components of a plan, each reference once.
pub(crate) fn component_records(plan: &Plan, components: &Components) -> Vec<ComponentRecord> {
    let mut records = BTreeMap::new();
    for node in &plan.nodes {
        let Work::Task(task) = &node.work else { continue };
        records.entry(task.reference.as_str()).or_insert_with(|| ComponentRecord {
            reference: task.reference.clone(),
            path: absolute(&components.path_of(&task.reference)),
            digest: task.digest.to_string(),
        });
    }
    records.into_values().collect()
}

/// Had the pipeline's folder been another: what lay in the one lies in the other.
pub(crate) fn move_components(components: &mut [ComponentRecord], before: &str, after: &str) {
    for it in components {
        if let Ok(inside) = Path::new(&it.path).strip_prefix(before) {
            it.path = Path::new(after).join(inside).display().to_string();
        }
    }
}

/// As far as the current folder is known; symbolic links stay as the user made them.
pub(crate) fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    // `a/./b` and the `.` that stands for no folder are written by us, not by the user.
    path.components().collect::<std::path::PathBuf>().display().to_string()
}

/// Notes what the run finds before it begins: the files behind what it reads and does not compute, and the tables
/// that it adds to. What cannot be read is left out; the run itself says why.
pub(crate) fn note_surroundings(
    record: &mut RunRecord,
    plan: &Plan,
    selected: &[bool],
    lake: &Lake,
    base: &Path,
) {
    let wanted = with_what_they_read(plan, selected.to_vec());
    let folder = WindowFolder::of(&plan.window);
    for (position, node) in plan.nodes.iter().enumerate() {
        if let Work::Source(spec) = &node.work
            && wanted[position]
            && !selected[position]
            && let Ok(files) = tidemill_lake::source_files(spec, base)
        {
            record.nodes[position].files = file_records(&files, base);
        }
        if node.write_mode == WriteMode::Replace || !selected[position] {
            continue;
        }
        for output in &node.outputs {
            if let Ok(Some(manifest)) = lake.manifest(&folder, &output.name) {
                record.nodes[position].continued.insert(output.port.clone(), manifest.snapshot.to_string());
            }
        }
    }
}
