//! What is kept of a run: `<lake>/runs/<run id>/run.json`, written when it starts and again when it ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_plan::{Code, Plan, Problem, Window};

use crate::artefacts::ArtefactRecord;
use crate::attempt::Reported;
use crate::catalog::Components;
use crate::failure::DriverError;
use crate::origin::{
    AttemptRecord, ComponentRecord, FileRecord, HOST, LimitsRecord, Lineage, ResourcesRecord, absolute,
    component_records, move_components, node_record, parameter_records,
};
use crate::stored::StoredRecord;

/// Of the record's shape; a record of a newer one is not read. 2 added what a replay needs.
const FORMAT: u32 = 2;

/// Sorts by the time when the run began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub String);

impl RunId {
    /// `20260102T030405678-1a2b3c`: UTC milliseconds, and something that makes it unique among machines.
    #[must_use]
    pub fn at(unix_ns: i64, unique: u64) -> Self {
        let stamp = stamp(unix_ns);
        Self(format!("{stamp}-{:06x}", unique & 0xff_ffff))
    }
}

/// `YYYYMMDDTHHMMSSmmm` of the civil calendar (days from civil, H. Hinnant's algorithm reversed).
fn stamp(unix_ns: i64) -> String {
    let ms = unix_ns.div_euclid(1_000_000);
    let (seconds, ms) = (ms.div_euclid(1000), ms.rem_euclid(1000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}{ms:03}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Or its process died: a record is only written at a run's start and end.
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Not part of this run.
    Left,
    Pending,
    Computed,
    Reused,
    Failed,
    Skipped,
    Cancelled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    pub format: u32,
    pub run: RunId,
    pub pipeline: String,
    /// As it was named on the command line.
    pub file: String,
    /// Absolute folder of the pipeline file, which source paths are relative to; empty in format 1.
    #[serde(default)]
    pub folder: String,
    /// Of the pipeline file; empty in format 1.
    #[serde(default)]
    pub pipeline_text: String,
    /// The run whose pipeline and parameters this one took over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RunId>,
    /// The run, perhaps of another lake, that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<RunId>,
    /// Version of Tidemill.
    #[serde(default)]
    pub host: String,
    /// Version of the contract between host and task.
    #[serde(default)]
    pub contract: String,
    /// Whether it computed the nodes of a sweep, which has its own record under the same id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_sweep: bool,
    pub state: RunState,
    /// Of the process that ran it.
    pub pid: u32,
    /// When that process began, in the kernel's ticks since the machine started: tells it from a later one with the
    /// same number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_began: Option<u64>,
    /// Nanoseconds since 1970.
    pub began_at: i64,
    pub ended_at: Option<i64>,
    pub window: Window,
    pub parameters: BTreeMap<String, ParameterRecord>,
    #[serde(default)]
    pub components: Vec<ComponentRecord>,
    pub nodes: Vec<NodeRecord>,
    /// How many nodes of a large sweep are not written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nodes_left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(it: &usize) -> bool {
    *it == 0
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParameterRecord {
    pub value: Value,
    /// `default`, `set`, `run <id>` or `params <file>`.
    pub from: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeRecord {
    pub node: String,
    pub state: NodeState,
    /// Name of its task; `None` for a source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Digest of its task's component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Of all randomness that its task sees, as 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsRecord>,
    /// How many there were.
    pub attempts: u32,
    /// Each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<AttemptRecord>,
    /// What a source read, in the order in which it was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRecord>,
    /// Of a service: the table that a source read, or the tables that were copied instead of being computed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stored: Vec<StoredRecord>,
    /// Of a node that is not part of this run: what the run read of it.
    pub tables: Vec<TableRecord>,
    /// By port, the snapshot of the table that was there already, of a node that adds to its tables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub continued: BTreeMap<String, String>,
    pub wall_us: u64,
    pub memory_peak_bytes: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Value>,
    /// Files that its task left with its tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artefacts: Vec<ArtefactRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorRecord>,
    /// The node whose end made this one be skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because_of: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    pub code: String,
    pub what: String,
    pub mend: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    pub port: String,
    pub table: String,
    pub rows: u64,
    /// On disk.
    pub bytes: u64,
    pub snapshot: String,
    /// The run that wrote it: another one when it was reused.
    #[serde(default)]
    pub written_by: String,
}

/// What a record says when its run begins.
#[derive(Debug)]
pub(crate) struct Beginning<'a> {
    pub(crate) run: RunId,
    pub(crate) file: &'a str,
    pub(crate) base: &'a Path,
    pub(crate) plan: &'a Plan,
    pub(crate) selected: &'a [bool],
    pub(crate) components: &'a Components,
    pub(crate) lineage: &'a Lineage,
    pub(crate) is_sweep: bool,
    pub(crate) began_at: i64,
}

impl NodeRecord {
    /// Of the attempt that has just ended.
    pub(crate) fn used(&mut self, usage: &tidemill_sandbox::Usage) {
        self.wall_us = usage.wall_us;
        self.memory_peak_bytes = usage.memory_peak_bytes;
        if let Some(it) = self.history.last_mut() {
            it.used(usage);
        }
    }

    /// By the attempt that ended well.
    pub(crate) fn reported(&mut self, reported: Reported) {
        self.metrics = reported.metrics;
        self.artefacts = reported.artefacts;
    }

    pub(crate) fn failed_with(&mut self, code: Code, artefacts: Vec<ArtefactRecord>) {
        if let Some(it) = self.history.last_mut() {
            it.error = Some(code.0.to_owned());
            it.artefacts = artefacts;
        }
    }
}

/// The folder that a record's paths are relative to; `whose` names the record.
pub(crate) fn folder_of(whose: &str, folder: &str) -> Result<PathBuf, DriverError> {
    let path = PathBuf::from(folder);
    if path.is_dir() {
        return Ok(path);
    }
    let what = format!(
        "the folder `{folder}`, which the sources and components of {whose} are relative to, is gone"
    );
    let mend = "say where it is now with `--folder DIR`, or put it back where it was";
    Err(Problem::new(Code("run-folder-gone"), what, mend).into())
}

impl RunRecord {
    pub(crate) fn begin(of: Beginning<'_>) -> Self {
        let nodes = of.plan.nodes.iter().zip(of.selected);
        Self {
            format: FORMAT,
            run: of.run,
            pipeline: of.plan.pipeline.clone(),
            file: of.file.to_owned(),
            folder: absolute(of.base),
            pipeline_text: of.plan.text.to_string(),
            from: of.lineage.from.clone(),
            replay_of: of.lineage.replay_of.clone(),
            host: HOST.to_owned(),
            contract: tidemill_sandbox::CONTRACT.to_owned(),
            is_sweep: of.is_sweep,
            state: RunState::Running,
            pid: std::process::id(),
            pid_began: crate::process::began(std::process::id()),
            began_at: of.began_at,
            ended_at: None,
            window: of.plan.window,
            parameters: parameter_records(of.plan, of.lineage),
            components: component_records(of.plan, of.components),
            nodes: nodes.map(|(node, is_selected)| node_record(node, *is_selected)).collect(),
            nodes_left_out: 0,
        }
    }

    /// Whether it holds what repeats it, and its folder is there; returns that folder.
    ///
    /// # Errors
    /// When the record is of a version that kept less, or the folder is gone.
    pub fn check_repeatable(&self) -> Result<PathBuf, DriverError> {
        if self.pipeline_text.is_empty() {
            let what = format!(
                "the record of run `{}` holds no pipeline: the version that wrote it did not keep it",
                self.run
            );
            let mend = format!("run `{}` itself again: from now on runs keep it", self.file);
            return Err(Problem::new(Code("run-not-repeatable"), what, mend).into());
        }
        if self.is_sweep {
            let what = format!("run `{}` is a sweep: its nodes belong to many points", self.run);
            let mend = format!(
                "`tidemill replay {0}` repeats all of it; take a point by `tidemill sweep best {0} --best-to FILE` and `tidemill run --params FILE`",
                self.run
            );
            return Err(Problem::new(Code("run-is-sweep"), what, mend).into());
        }
        folder_of(&format!("run `{}`", self.run), &self.folder)
    }

    /// The record of the same run, had its pipeline's folder been this one: what lay in the one lies in the other.
    #[must_use]
    pub fn moved_to(mut self, folder: &Path) -> Self {
        let before = std::mem::replace(&mut self.folder, absolute(folder));
        move_components(&mut self.components, &before, &self.folder);
        self
    }

    /// From beginning to end; `None` while it has not ended.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        Some(since(self.began_at, self.ended_at?))
    }

    /// Names the text of the pipeline in problems.
    #[must_use]
    pub fn shown_file(&self) -> String {
        // The name comes last: its ending tells the format.
        format!("record of run {}: {}", self.run, self.file)
    }

    #[must_use]
    pub fn parameter_values(&self) -> serde_json::Map<String, Value> {
        self.parameters.iter().map(|(name, it)| (name.clone(), it.value.clone())).collect()
    }

    /// Whether its process died before it could say how the run ended.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state == RunState::Running && !crate::process::is_alive(self.pid, self.pid_began)
    }

    /// Writes the record whole or not at all. Of a sweep, whose points have rows of their own, nodes are written only
    /// once it has ended, and only so many.
    pub(crate) fn save(&mut self, lake: &Path) -> Result<(), DriverError> {
        const SWEPT_NODES_MAX: usize = 10_000;
        let folder = run_folder(lake, &self.run);
        std::fs::create_dir_all(&folder).map_err(|e| file_error("create folder", &folder, e))?;
        let is_short =
            self.is_sweep && (self.state == RunState::Running || self.nodes.len() > SWEPT_NODES_MAX);
        let nodes = if is_short { std::mem::take(&mut self.nodes) } else { Vec::new() };
        self.nodes_left_out = nodes.len();
        let text = serde_json::to_vec_pretty(self).expect("a record has only string keys");
        if is_short {
            self.nodes = nodes;
        }
        write_whole(&folder.join("run.json"), &text)
    }

    /// Reads a run's record.
    ///
    /// # Errors
    /// When the file is not there, not a record, or of a newer format.
    pub fn load(lake: &Path, run: &RunId) -> Result<Self, DriverError> {
        let path = run_folder(lake, run).join("run.json");
        read_record(&path, FORMAT, |it: &Self| it.format)
    }
}

/// From one time to another, both in nanoseconds since 1970. None at all where a clock was set back between the two.
pub(crate) fn since(from: i64, to: i64) -> Duration {
    Duration::from_nanos(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

/// Reads a record of a format up to the newest known.
pub(crate) fn read_record<T: DeserializeOwned>(
    path: &Path,
    newest: u32,
    format: impl Fn(&T) -> u32,
) -> Result<T, DriverError> {
    let text = std::fs::read(path).map_err(|e| file_error("read", path, e))?;
    let unreadable = |reason: String| DriverError::Record { path: path.display().to_string(), reason };
    let record: T = serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
    match format(&record) {
        newer if newer > newest => {
            Err(unreadable(format!("its format is {newer}, the newest known is {newest}")))
        }
        _ => Ok(record),
    }
}

pub(crate) fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> DriverError {
    DriverError::File { action, path: path.display().to_string(), source }
}

/// Writes a file whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DriverError> {
    let partial = path.with_added_extension("partial");
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|e| {
        // On a full disk what was written of it would only be in the way.
        drop(std::fs::remove_file(&partial));
        file_error("write", path, e)
    })
}

pub(crate) fn run_folder(lake: &Path, run: &RunId) -> PathBuf {
    lake.join("runs").join(&run.0)
}

/// The runs of a lake, oldest first.
///
/// # Errors
/// When the folder of runs cannot be read; a lake without runs has none.
pub fn list_runs(lake: &Path) -> Result<Vec<RunId>, DriverError> {
    list_records(&lake.join("runs"), "run.json")
}

/// The folders that hold a record, oldest first; none where there is no such folder.
pub(crate) fn list_records(folder: &Path, file: &str) -> Result<Vec<RunId>, DriverError> {
    let entries = match folder.read_dir() {
        Ok(it) => it,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(DriverError::File { action: "read", path: folder.display().to_string(), source });
        }
    };
    let mut runs: Vec<RunId> = entries
        .flatten()
        .filter(|it| it.path().join(file).is_file())
        .map(|it| RunId(it.file_name().to_string_lossy().into_owned()))
        .collect();
    runs.sort();
    Ok(runs)
}

/// The run that is meant by an id, the beginning of one, or `last`.
///
/// # Errors
/// When no run or several are meant.
pub fn find_run(lake: &Path, text: &str) -> Result<RunId, DriverError> {
    find(list_runs(lake)?, text, |newest| DriverError::UnknownRun { run: text.to_owned(), newest })
}

/// The one of these ids, oldest first, that is meant; `unknown` gets the newest.
pub(crate) fn find(
    mut ids: Vec<RunId>,
    text: &str,
    unknown: impl Fn(Option<String>) -> DriverError,
) -> Result<RunId, DriverError> {
    let newest = ids.last().map(|it| it.0.clone());
    if text == "last" {
        return ids.pop().ok_or_else(|| unknown(newest));
    }
    ids.retain(|it| it.0.starts_with(text));
    match ids.len() {
        0 => Err(unknown(newest)),
        1 => Ok(ids.remove(0)),
        count => Err(DriverError::AmbiguousRun { prefix: text.to_owned(), count }),
    }
}

/// Removes a run's record and logs; its tables stay.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_run(lake: &Path, run: &RunId) -> Result<(), DriverError> {
    let folder = run_folder(lake, run);
    std::fs::remove_dir_all(&folder).map_err(|e| file_error("remove", &folder, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_reads_as_the_time_when_it_began() {
        let id = RunId::at(1_767_323_045_678_000_000, 0x00ab_cdef);
        assert_eq!(id.0, "20260102T030405678-abcdef");
        assert_eq!(RunId::at(951_782_400_000_000_000, 0).0, "20000229T000000000-000000");
        assert_eq!(RunId::at(-1_000_000_000, 1).0, "19691231T235959000-000001");
    }
}
