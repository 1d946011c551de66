//! A lake whose manifests somebody else keeps: a catalogue in a database, where they become visible together with other
//! things. The lake writes files that nobody sees yet and says what it wrote; it removes those that are told to it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tidemill_plan::TableName;
use tokio::runtime::Handle;

use crate::bucket::Bucket;
use crate::cache::Cache;
use crate::files::{Disk, Files};
use crate::lake::{Inner, Place};
use crate::manifest::is_part_file;
use crate::{Lake, LakeError, Manifest, Options};

/// The folder of DuckLake's schema of that name, in which all tables are.
const SCHEMA_FOLDER: &str = "main";

/// Knows which files are a table.
pub trait Manifests: Send + Sync + std::fmt::Debug {
    /// The table as it is now. What a writer makes of it is checked again when it is committed.
    fn current(&self, table: &TableName) -> Result<Option<Manifest>, LakeError>;
}

/// A file of the lake that no version of a table names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub path: PathBuf,
    pub bytes: u64,
}

/// Where the tables of a catalogue lie: a folder, or a part of a bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
    pub(crate) files: Arc<dyn Files>,
}

impl Home {
    /// A folder, or `s3://BUCKET/PREFIX`, which is asked whether it answers. `runtime` carries the requests to a bucket.
    ///
    /// # Errors
    /// When the folder cannot be made, the address is none, or the bucket does not answer.
    pub fn open(address: &str, runtime: Handle) -> Result<Self, LakeError> {
        if !address.contains("://") {
            return Self::folder(Path::new(address));
        }
        let (root, bucket) = (PathBuf::from(address.trim_end_matches('/')), Bucket::open(address, runtime)?);
        bucket.check(&root)?;
        Ok(Self { root, files: Arc::new(bucket) })
    }

    /// A folder, which is made when absent.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(path: &Path) -> Result<Self, LakeError> {
        let made = fs::create_dir_all(path.join(SCHEMA_FOLDER)).and_then(|()| path.canonicalize());
        Ok(Self { root: made.map_err(|e| LakeError::io("create", path, e))?, files: Arc::new(Disk) })
    }

    /// An absolute path, or the address of a bucket: other programs find the files by it, wherever they are started.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Lake {
    /// The tables of a catalogue. Several processes may write there.
    #[must_use]
    pub fn catalogued(home: &Home, manifests: Arc<dyn Manifests>, options: Options) -> Self {
        let cache = Cache::new(&options);
        let place = Place::Catalogued { root: home.root.clone(), manifests };
        let (files, commits) = (Arc::clone(&home.files), Mutex::new(()));
        Self { inner: Arc::new(Inner { place, options, cache, files, commits }) }
    }

    /// Takes away the files of a version that was never committed, or no longer counts; those that `kept` has too stay.
    /// What cannot be removed costs space only, until the next look for orphans.
    pub fn discard(&self, manifest: &Manifest, kept: Option<&Manifest>) {
        let Some(root) = self.root() else { return };
        let folder = manifest.folder(root);
        let kept: BTreeSet<&str> =
            kept.into_iter().flat_map(|it| &it.parts).map(|it| it.file.as_str()).collect();
        for part in &manifest.parts {
            if is_part_file(&part.file) && !kept.contains(part.file.as_str()) {
                self.inner.files.remove(&folder.join(&part.file)).ok();
            }
        }
    }

    /// The folders in which tables of a catalogue lie, by table; empty for other lakes.
    pub fn table_folders(&self) -> Result<Vec<TableName>, LakeError> {
        let Place::Catalogued { root, .. } = &self.inner.place else { return Ok(Vec::new()) };
        let names = self.folders_in(&root.join(SCHEMA_FOLDER))?;
        let mut names: Vec<TableName> = names.into_iter().map(TableName).collect();
        names.retain(|it| crate::lake::check_name(it).is_ok());
        names.sort();
        Ok(names)
    }

    /// Files in a table's folder that have not been touched for `grace`, so that no attempt is still writing them. To be
    /// asked before the catalogue is: what it then names has come in between and is no orphan.
    pub fn idle_files(&self, table: &TableName, grace: Duration) -> Result<Vec<Orphan>, LakeError> {
        let Place::Catalogued { root, .. } = &self.inner.place else { return Ok(Vec::new()) };
        crate::lake::check_name(table)?;
        let folder = folder_of(root, table);
        let listed = self.inner.files.files_in(&folder).map_err(|e| LakeError::io("read", &folder, e))?;
        let mut idle = Vec::new();
        for it in listed {
            let age = it.modified.and_then(|it| SystemTime::now().duration_since(it).ok());
            // A file from the future is young.
            if age.is_some_and(|it| it >= grace) {
                idle.push(Orphan { path: it.path, bytes: it.bytes });
            }
        }
        idle.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(idle)
    }

    /// Removes files under the lake's folder; the bytes that were freed. A file that is gone already is no error, one
    /// elsewhere is left alone. Folders stay, so that no attempt that begins now loses its own.
    pub fn remove_files(&self, paths: &[PathBuf]) -> Result<u64, LakeError> {
        let Place::Catalogued { root, .. } = &self.inner.place else { return Ok(0) };
        let home = root.join(SCHEMA_FOLDER);
        let mut bytes = 0;
        for path in paths.iter().filter(|it| it.starts_with(&home) && is_plain(it)) {
            let length = self.inner.files.length(path).unwrap_or(0);
            match self.inner.files.remove(path) {
                Ok(()) => bytes += length,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(LakeError::io("remove", path, e)),
            }
        }
        Ok(bytes)
    }
}

/// Without a step upwards.
fn is_plain(path: &Path) -> bool {
    path.components().all(|it| !matches!(it, std::path::Component::ParentDir))
}

/// Where a file of a table lies that is named as the catalogue names it: within the table's folder, or absolutely.
pub(crate) fn file_of(folder: &Path, file: &str) -> PathBuf {
    if file.contains("://") { PathBuf::from(file) } else { folder.join(file) }
}

/// Where the files of a table lie.
pub(crate) fn folder_of(root: &Path, table: &TableName) -> PathBuf {
    root.join(SCHEMA_FOLDER).join(&table.0)
}
