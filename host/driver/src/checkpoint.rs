//! A few bytes that an attempt of a node run leaves for the next: in memory, and in a file where runs outlive the process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::record::{RunId, run_folder, write_whole};

const FOLDER: &str = "checkpoints";

/// The checkpoints of a run's nodes, by the plan's order.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    kept: Vec<Mutex<Option<Vec<u8>>>>,
    /// `None`: they end with the process.
    folder: Option<Arc<Path>>,
}

impl Checkpoints {
    pub(crate) fn in_memory(nodes: usize) -> Self {
        Self { kept: (0..nodes).map(|_| Mutex::default()).collect(), folder: None }
    }

    /// Those of a run that may go on in another process, which finds them below the same `root`.
    pub(crate) fn on_disk(nodes: usize, root: &Path, run: &RunId) -> Self {
        let folder: PathBuf = run_folder(root, run).join(FOLDER);
        Self { folder: Some(folder.into()), ..Self::in_memory(nodes) }
    }

    pub(crate) fn of(&self, node: usize) -> Checkpoint<'_> {
        Checkpoint { checkpoints: self, node }
    }

    /// Removes what only attempts to come would need.
    pub(crate) fn clear(&self) {
        let Some(folder) = &self.folder else { return };
        match std::fs::remove_dir_all(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(folder = %folder.display(), error = %e, "checkpoints of a run that has ended stay");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// The checkpoint of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint<'a> {
    checkpoints: &'a Checkpoints,
    node: usize,
}

impl Checkpoint<'_> {
    /// On a disk that fails it is kept in memory alone: a checkpoint saves time, and nothing depends on it.
    pub(crate) fn save(&self, bytes: Vec<u8>) {
        if let Some(path) = self.path() {
            let folder = path.parent().unwrap_or(&path);
            let made = std::fs::create_dir_all(folder).map_err(|e| e.to_string());
            let kept = made.and_then(|()| write_whole(&path, &bytes).map_err(|e| e.to_string()));
            if let Err(error) = kept {
                tracing::warn!(path = %path.display(), %error, "a checkpoint would not survive this process");
            }
        }
        *self.memory().lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    pub(crate) fn load(&self) -> Option<Vec<u8>> {
        let kept = self.memory().lock().unwrap_or_else(PoisonError::into_inner).clone();
        kept.or_else(|| std::fs::read(self.path()?).ok())
    }

    fn memory(&self) -> &Mutex<Option<Vec<u8>>> {
        &self.checkpoints.kept[self.node]
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.checkpoints.folder.as_ref()?.join(self.node.to_string()))
    }
}
