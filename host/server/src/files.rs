//! Files that sources of pipelines read: kept by digest, linked into the folders of deployed versions.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tidemill_plan::{Digest, Problem};

use crate::lock::data_unusable;

#[derive(Clone, Debug)]
pub(crate) struct Files {
    dir: PathBuf,
}

impl Files {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }

    /// How large a file is, where it is kept. Whoever asks is about to refer to it: it counts as new from here on, so
    /// that collecting leaves it alone.
    pub(crate) fn touch(&self, digest: Digest) -> Result<Option<u64>, Problem> {
        let path = self.path(digest);
        let metadata = match std::fs::metadata(&path) {
            Ok(it) => it,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(data_unusable(&path, &e)),
        };
        let now = SystemTime::now();
        let touched = std::fs::File::open(&path).and_then(|it| it.set_modified(now));
        touched.map_err(|e| data_unusable(&path, &e))?;
        Ok(Some(metadata.len()))
    }

    /// Those that nobody has asked for since a while.
    pub(crate) fn untouched(&self, since: Duration) -> Result<Vec<(Digest, u64)>, Problem> {
        let unusable = |e: std::io::Error| data_unusable(&self.dir, &e);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(unusable)? {
            let entry = entry.map_err(unusable)?;
            let Some(digest) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else { continue };
            let metadata = entry.metadata().map_err(unusable)?;
            let age = metadata.modified().map_err(unusable)?.elapsed().unwrap_or_default();
            if age >= since {
                found.push((digest, metadata.len()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    pub(crate) fn remove(&self, digest: Digest) -> Result<(), Problem> {
        let path = self.path(digest);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(data_unusable(&path, &e)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
