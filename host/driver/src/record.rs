//! What is kept of a run: `<lake>/runs/<run id>/run.json`, written when it starts and again when it ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_plan::{Plan, Provenance, Window};

use crate::failure::DriverError;

/// Of the record's shape; a record of a newer one is not read.
const FORMAT: u32 = 1;

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
    pub state: RunState,
    /// Of the process that ran it.
    pub pid: u32,
    /// Nanoseconds since 1970.
    pub began_at: i64,
    pub ended_at: Option<i64>,
    pub window: Window,
    pub parameters: BTreeMap<String, ParameterRecord>,
    pub nodes: Vec<NodeRecord>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParameterRecord {
    pub value: Value,
    /// `default` or `set`.
    pub from: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeRecord {
    pub node: String,
    pub state: NodeState,
    pub attempts: u32,
    pub tables: Vec<TableRecord>,
    pub wall_us: u64,
    pub memory_peak_bytes: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorRecord>,
    /// The node whose end made this one be skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because_of: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorRecord {
    pub code: String,
    pub what: String,
    pub mend: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableRecord {
    pub port: String,
    pub table: String,
    pub rows: u64,
    /// On disk.
    pub bytes: u64,
    pub snapshot: String,
}

impl RunRecord {
    pub(crate) fn begin(run: RunId, file: &str, plan: &Plan, selected: &[bool], began_at: i64) -> Self {
        let parameters = plan
            .parameters
            .iter()
            .map(|(name, it)| {
                let from = match it.provenance {
                    Provenance::Default => "default",
                    Provenance::Set => "set",
                };
                (name.clone(), ParameterRecord { value: it.value.clone(), from: from.to_owned() })
            })
            .collect();
        let nodes = plan.nodes.iter().zip(selected).map(|(node, selected)| NodeRecord {
            node: node.name.clone(),
            state: if *selected { NodeState::Pending } else { NodeState::Left },
            attempts: 0,
            tables: Vec::new(),
            wall_us: 0,
            memory_peak_bytes: 0,
            metrics: BTreeMap::new(),
            error: None,
            because_of: None,
        });
        Self {
            format: FORMAT,
            run,
            pipeline: plan.pipeline.clone(),
            file: file.to_owned(),
            state: RunState::Running,
            pid: std::process::id(),
            began_at,
            ended_at: None,
            window: plan.window,
            parameters,
            nodes: nodes.collect(),
        }
    }

    /// Writes the record whole or not at all.
    pub(crate) fn save(&self, lake: &Path) -> Result<(), DriverError> {
        let folder = run_folder(lake, &self.run);
        std::fs::create_dir_all(&folder).map_err(|e| file_error("create folder", &folder, e))?;
        let text = serde_json::to_vec_pretty(self).expect("a record has only string keys");
        write_whole(&folder.join("run.json"), &text)
    }

    /// Reads a run's record.
    ///
    /// # Errors
    /// When the file is not there, not a record, or of a newer format.
    pub fn load(lake: &Path, run: &RunId) -> Result<Self, DriverError> {
        let path = run_folder(lake, run).join("run.json");
        let shown = path.display().to_string();
        let text = std::fs::read(&path).map_err(|source| DriverError::File {
            action: "read",
            path: shown.clone(),
            source,
        })?;
        let record: Self = serde_json::from_slice(&text)
            .map_err(|e| DriverError::Record { path: shown.clone(), reason: e.to_string() })?;
        if record.format > FORMAT {
            let reason = format!("its format is {}, the newest known is {FORMAT}", record.format);
            return Err(DriverError::Record { path: shown, reason });
        }
        Ok(record)
    }
}

fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> DriverError {
    DriverError::File { action, path: path.display().to_string(), source }
}

/// Writes a file whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DriverError> {
    let partial = path.with_added_extension("partial");
    std::fs::write(&partial, bytes).map_err(|e| file_error("write", &partial, e))?;
    std::fs::rename(&partial, path).map_err(|e| file_error("write", path, e))
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
    let mut runs = list_runs(lake)?;
    let newest = runs.last().map(|it| it.0.clone());
    let unknown = || DriverError::UnknownRun { run: text.to_owned(), newest: newest.clone() };
    if text == "last" {
        return runs.pop().ok_or_else(unknown);
    }
    let mut matching: Vec<RunId> = runs.into_iter().filter(|it| it.0.starts_with(text)).collect();
    match matching.len() {
        0 => Err(unknown()),
        1 => Ok(matching.remove(0)),
        count => Err(DriverError::AmbiguousRun { prefix: text.to_owned(), count }),
    }
}

/// Removes a run's record and logs; its tables stay.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_run(lake: &Path, run: &RunId) -> Result<(), DriverError> {
    let folder = run_folder(lake, run);
    std::fs::remove_dir_all(&folder).map_err(|source| DriverError::File {
        action: "remove",
        path: folder.display().to_string(),
        source,
    })
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
