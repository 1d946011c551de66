//! `points.jsonl`: a line for each point that has ended, written at once, so that a killed sweep loses none of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use tidemill_lake::{Lake, WindowFolder};
use tidemill_plan::{Digest, Keep, TableName};

use super::results::{PointRow, PointState, list_sweeps};
use super::{SweepOptions, SweepRecord, sweep_folder};
use crate::failure::DriverError;

const FILE: &str = "points.jsonl";

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    pub(super) fn begin(folder: &Path) -> Result<Self, DriverError> {
        let path = folder.join(FILE);
        match File::create(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(source) => {
                Err(DriverError::File { action: "write", path: path.display().to_string(), source })
            }
        }
    }

    /// One write for each line: what is torn by a crash is the last line only.
    pub(super) fn add(&mut self, row: &PointRow) -> Result<(), DriverError> {
        let mut line = serde_json::to_vec(row).expect("a row has only text keys");
        line.push(b'\n');
        self.file.write_all(&line).map_err(|source| DriverError::File {
            action: "write",
            path: self.path.display().to_string(),
            source,
        })
    }
}

/// The rows of a sweep; a torn line at the end is left out.
pub(super) fn read(folder: &Path) -> Vec<PointRow> {
    let Ok(file) = File::open(folder.join(FILE)) else { return Vec::new() };
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    lines.filter_map(|it| serde_json::from_str(&it).ok()).collect()
}

/// For each point the row of an earlier sweep that has its key, measured the same and kept no fewer tables, which still
/// are what was measured.
pub(super) fn known(
    lake: &Lake,
    root: &Path,
    folder: &WindowFolder,
    keys: &[Digest],
    options: &SweepOptions,
) -> HashMap<usize, PointRow> {
    let mut known = HashMap::new();
    let Ok(sweeps) = list_sweeps(root) else { return known };
    if sweeps.is_empty() {
        return known;
    }
    // Points may be one and the same to all that is measured.
    let mut by_key: HashMap<String, Vec<usize>> = HashMap::with_capacity(keys.len());
    for (point, key) in keys.iter().enumerate() {
        by_key.entry(key.to_string()).or_default().push(point);
    }
    let is_there = |row: &PointRow| {
        options.keep == Keep::None
            || row.tables.len() == row.snapshots.len()
                && row.tables.iter().zip(&row.snapshots).all(|(name, snapshot)| {
                    let manifest = lake.manifest(folder, &TableName(name.clone()));
                    manifest.is_ok_and(|it| it.is_some_and(|it| it.snapshot.to_string() == *snapshot))
                })
    };
    for id in sweeps.iter().rev() {
        let folder = sweep_folder(root, id);
        let Ok(record) = SweepRecord::load(&folder) else { continue };
        if !record.keeps_at_least(options.keep) {
            continue;
        }
        for row in read(&folder) {
            if row.state == PointState::Failed {
                continue;
            }
            let Some(points) = by_key.get(&row.key).filter(|it| !known.contains_key(&it[0])) else {
                continue;
            };
            if is_there(&row) {
                for point in points {
                    let row = PointRow { point: *point, state: PointState::Cached, ..row.clone() };
                    known.insert(*point, row);
                }
            }
        }
        if known.len() == keys.len() {
            break;
        }
    }
    known
}
