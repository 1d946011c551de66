//! A few bytes that an attempt of a node run leaves for the next: in memory, and in a file where runs outlive the process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_plan::Digest;

use crate::record::{RunId, run_folder, write_whole};

const FOLDER: &str = "checkpoints";

/// The checkpoints of a run's nodes, by the plan's order.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    kept: Vec<Mutex<Option<Kept>>>,
    /// `None`: they end with the process.
    folder: Option<Arc<Path>>,
}

#[derive(Clone, Debug)]
struct Kept {
    basis: Digest,
    bytes: Vec<u8>,
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

    /// `basis` stands for all that an attempt computes from: what another one has left is of no use to it.
    pub(crate) fn of(&self, node: usize, basis: Digest) -> Checkpoint<'_> {
        Checkpoint { checkpoints: self, node, basis }
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
    basis: Digest,
}

impl Checkpoint<'_> {
    /// On a disk that fails it is kept in memory alone: a checkpoint saves time, and nothing depends on it.
    pub(crate) fn save(&self, bytes: Vec<u8>) {
        if let Some(path) = self.path() {
            let folder = path.parent().unwrap_or(&path);
            let made = std::fs::create_dir_all(folder).map_err(|e| e.to_string());
            let text = [&self.basis.0[..], &Digest::of(&bytes).0, &bytes].concat();
            let kept = made.and_then(|()| write_whole(&path, &text).map_err(|e| e.to_string()));
            if let Err(error) = kept {
                tracing::warn!(path = %path.display(), %error, "a checkpoint would not survive this process");
            }
        }
        let kept = Kept { basis: self.basis, bytes };
        *self.memory().lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }

    pub(crate) fn load(&self) -> Option<Vec<u8>> {
        let kept = self.memory().lock().unwrap_or_else(PoisonError::into_inner).clone();
        match kept {
            Some(it) => (it.basis == self.basis).then_some(it.bytes),
            None => self.load_file(),
        }
    }

    /// `None` also for one that a power loss has torn.
    fn load_file(&self) -> Option<Vec<u8>> {
        let text = std::fs::read(self.path()?).ok()?;
        let (basis, rest) = text.split_first_chunk::<32>()?;
        let (digest, bytes) = rest.split_first_chunk::<32>()?;
        let is_whole = *basis == self.basis.0 && *digest == Digest::of(bytes).0;
        is_whole.then(|| bytes.to_vec())
    }

    fn memory(&self) -> &Mutex<Option<Kept>> {
        &self.checkpoints.kept[self.node]
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.checkpoints.folder.as_ref()?.join(self.node.to_string()))
    }
}
