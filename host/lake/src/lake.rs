//! A lake: opening it, finding its tables, removing them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tidemill_plan::{Digest, TableName};

use crate::cache::{Cache, CacheUse, Decoded};
use crate::catalogued::Manifests;
use crate::files::{Disk, Files};
use crate::leftovers::{UNFINISHED, remove_leftovers};
use crate::lock::{Left, Lock};
use crate::manifest::{FORMAT, MANIFEST_FILE, Manifest, is_part_file};
use crate::{
    Access, KeyProgress, LakeError, Options, ReadOptions, TableReader, TableWriter, WindowFolder,
    WriterOptions,
};

const VERSION_FILE: &str = "tidemill-lake.json";
/// Times that a table may be replaced while its manifest is being read.
const REPLACED_MAX: usize = 10;

/// A folder of tables, or tables in memory. Cheap to clone; all clones share one lock and one cache.
#[derive(Clone, Debug)]
pub struct Lake {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) place: Place,
    pub(crate) options: Options,
    pub(crate) cache: Cache,
    pub(crate) files: Arc<dyn Files>,
    /// Held from reading what a commit replaces until it is replaced.
    pub(crate) commits: Mutex<()>,
}

#[derive(Debug)]
pub(crate) enum Place {
    Folder {
        root: PathBuf,
        lock: Option<Lock>,
    },
    Memory(Mutex<BTreeMap<(WindowFolder, TableName), InMemory>>),
    /// Files only: which of them are a table is known elsewhere.
    Catalogued {
        /// A folder, or an address such as `s3://bucket/prefix`.
        root: PathBuf,
        manifests: Arc<dyn Manifests>,
    },
}

/// A table of a lake without files.
#[derive(Clone, Debug)]
pub(crate) struct InMemory {
    pub(crate) manifest: Manifest,
    pub(crate) table: Arc<Decoded>,
}

/// A table in a listing.
#[derive(Debug)]
pub struct TableEntry {
    pub window: WindowFolder,
    pub name: TableName,
    /// An error when the table is there but cannot be read: reported, not hidden.
    pub state: Result<Manifest, LakeError>,
}

#[derive(Serialize, Deserialize)]
struct Version {
    format: u32,
}

impl Lake {
    /// Opens the lake at `root`; for writing, it is created when absent and leftovers of a crash are removed.
    pub fn open(root: &Path, access: Access) -> Result<Self, LakeError> {
        Self::open_with(root, access, Options::default())
    }

    pub fn open_with(root: &Path, access: Access, options: Options) -> Result<Self, LakeError> {
        Self::open_on(root, access, options, Arc::new(Disk))
    }

    pub(crate) fn open_on(
        root: &Path,
        access: Access,
        options: Options,
        files: Arc<dyn Files>,
    ) -> Result<Self, LakeError> {
        let is_lake = check_version(root)?;
        let lock = match access {
            Access::Read if is_lake => None,
            Access::Read => return Err(LakeError::Missing { root: root.to_path_buf() }),
            Access::Write { command } => {
                fs::create_dir_all(root).map_err(|e| LakeError::io("create", root, e))?;
                let (lock, left) = Lock::take(root, &command)?;
                if !check_version(root)? {
                    let path = root.join(VERSION_FILE);
                    let text = serde_json::to_vec(&Version { format: FORMAT })
                        .expect("a version has only text keys");
                    write_whole(files.as_ref(), &path, &text)?;
                }
                if left == Left::Untidy {
                    remove_leftovers(root);
                }
                Some(lock)
            }
        };
        let place = Place::Folder { root: root.to_path_buf(), lock };
        let cache = Cache::new(&options);
        Ok(Self { inner: Arc::new(Inner { place, options, cache, files, commits: Mutex::new(()) }) })
    }

    /// A lake without files: its tables are Arrow batches and end with it.
    #[must_use]
    pub fn in_memory() -> Self {
        let options = Options::default();
        let cache = Cache::new(&options);
        let place = Place::Memory(Mutex::default());
        Self {
            inner: Arc::new(Inner { place, options, cache, files: Arc::new(Disk), commits: Mutex::new(()) }),
        }
    }

    /// `None` for a lake in memory.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        match &self.inner.place {
            Place::Folder { root, .. } | Place::Catalogued { root, .. } => Some(root),
            Place::Memory(_) => None,
        }
    }

    /// The table's current manifest, `None` when there is no such table. Its parts are there in full length; an error
    /// says otherwise, and a writer that replaces the table mends it.
    pub fn manifest(&self, window: &WindowFolder, name: &TableName) -> Result<Option<Manifest>, LakeError> {
        check_name(name)?;
        match &self.inner.place {
            Place::Memory(tables) => {
                Ok(lock_tables(tables).get(&(*window, name.clone())).map(|it| it.manifest.clone()))
            }
            Place::Catalogued { manifests, .. } => manifests.current(name),
            Place::Folder { root, .. } => {
                let mut known: Option<Manifest> = None;
                for _ in 0..REPLACED_MAX {
                    let Some(manifest) = read_manifest(root, window, name)? else { return Ok(None) };
                    match check_parts(root, &manifest) {
                        Ok(()) => return Ok(Some(manifest)),
                        Err(damaged) if known.as_ref().is_some_and(|it| it.parts == manifest.parts) => {
                            return Err(damaged);
                        }
                        // Between reading the manifest and looking at its parts, another process may have replaced
                        // both: only a manifest that stays is believed.
                        Err(_) => known = Some(manifest),
                    }
                }
                Err(LakeError::Replaced { table: name.clone() })
            }
        }
    }

    /// Every table, by window and name. None of a catalogue's: that lists them itself.
    pub fn tables(&self) -> Result<Vec<TableEntry>, LakeError> {
        let root = match &self.inner.place {
            Place::Memory(tables) => {
                let tables = lock_tables(tables);
                let entries = tables.iter().map(|((window, name), it)| TableEntry {
                    window: *window,
                    name: name.clone(),
                    state: Ok(it.manifest.clone()),
                });
                return Ok(entries.collect());
            }
            Place::Catalogued { .. } => return Ok(Vec::new()),
            Place::Folder { root, .. } => root,
        };
        let mut entries = Vec::new();
        for window in self.folders_in(root)? {
            let Ok(folder) = window.parse::<WindowFolder>() else { continue };
            for name in self.folders_in(&root.join(&window))? {
                let name = TableName(name);
                let state = match self.manifest(&folder, &name) {
                    // Without manifest it is not a table: an attempt is under way, or crashed.
                    Ok(None) | Err(LakeError::BadName { .. }) => continue,
                    Ok(Some(manifest)) => Ok(manifest),
                    Err(e) => Err(e),
                };
                entries.push(TableEntry { window: folder, name, state });
            }
        }
        entries.sort_by(|a, b| (a.window, &a.name).cmp(&(b.window, &b.name)));
        Ok(entries)
    }

    pub(crate) fn folders_in(&self, folder: &Path) -> Result<Vec<String>, LakeError> {
        self.inner.files.folders_in(folder).map_err(|e| LakeError::io("read", folder, e))
    }

    /// Removes a table; false when there was none. The manifest goes first, so that a crash leaves no half table.
    pub fn remove(&self, window: &WindowFolder, name: &TableName) -> Result<bool, LakeError> {
        check_name(name)?;
        let root = match &self.inner.place {
            Place::Memory(tables) => {
                return Ok(lock_tables(tables).remove(&(*window, name.clone())).is_some());
            }
            Place::Catalogued { .. } => return Err(LakeError::InCatalog { table: name.clone() }),
            Place::Folder { root, .. } => root,
        };
        self.check_writable()?;
        let _commit = self.lock_commits();
        let folder = root.join(window.to_string()).join(&name.0);
        let path = folder.join(MANIFEST_FILE);
        match self.inner.files.remove(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(LakeError::io("remove", &path, e)),
        }
        for file in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let is_ours =
                file.file_name().to_str().is_some_and(|it| is_part_file(it) || it.ends_with(UNFINISHED));
            if is_ours {
                self.inner
                    .files
                    .remove(&file.path())
                    .map_err(|e| LakeError::io("remove", &file.path(), e))?;
            }
        }
        // Both succeed only when nothing is left inside.
        fs::remove_dir(&folder).ok();
        fs::remove_dir(root.join(window.to_string())).ok();
        Ok(true)
    }

    /// Starts writing a table; nothing is seen of it until `finish`.
    pub fn writer(
        &self,
        window: &WindowFolder,
        name: &TableName,
        options: WriterOptions,
    ) -> Result<TableWriter, LakeError> {
        check_name(name)?;
        TableWriter::new(self.clone(), *window, name.clone(), options)
    }

    /// Reads the snapshot that `manifest` names. `Replaced` when its files are gone because another took its place.
    #[expect(clippy::needless_pass_by_value, reason = "options are written where they are used")]
    pub fn reader(&self, manifest: &Manifest, options: ReadOptions) -> Result<TableReader, LakeError> {
        TableReader::open(self, manifest, &options)
    }

    /// Reads whatever snapshot is current, also while another process replaces it; `None` when there is no such table.
    pub fn read(
        &self,
        window: &WindowFolder,
        name: &TableName,
        options: &ReadOptions,
    ) -> Result<Option<(Manifest, TableReader)>, LakeError> {
        for tries_left in [1, 0] {
            let Some(manifest) = self.manifest(window, name)? else { return Ok(None) };
            match TableReader::open(self, &manifest, options) {
                Err(LakeError::Replaced { .. }) if tries_left > 0 => {}
                Ok(reader) => return Ok(Some((manifest, reader))),
                Err(e) => return Err(e),
            }
        }
        Err(LakeError::Replaced { table: name.clone() })
    }

    /// The last time of each identifier, sorted by identifiers: how far the table has come.
    pub fn progress_of(&self, manifest: &Manifest) -> Result<Vec<KeyProgress>, LakeError> {
        crate::progress::progress_of(self, manifest)
    }

    /// The digest of what is stored: another than the manifest's snapshot where someone else has written into the files.
    pub fn content_digest(&self, manifest: &Manifest) -> Result<Digest, LakeError> {
        crate::digest::digest_of(self, manifest)
    }

    #[must_use]
    pub fn cache_use(&self) -> CacheUse {
        self.inner.cache.current_use()
    }

    pub(crate) fn check_writable(&self) -> Result<(), LakeError> {
        match &self.inner.place {
            Place::Folder { root, lock: None } => Err(LakeError::OpenedForReading { root: root.clone() }),
            Place::Folder { lock: Some(_), .. } | Place::Memory(_) | Place::Catalogued { .. } => Ok(()),
        }
    }

    pub(crate) fn lock_commits(&self) -> MutexGuard<'_, ()> {
        // It guards files, which a panicking thread leaves as a crash would: whole.
        self.inner.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn lock_tables(
    tables: &Mutex<BTreeMap<(WindowFolder, TableName), InMemory>>,
) -> MutexGuard<'_, BTreeMap<(WindowFolder, TableName), InMemory>> {
    // Only whole entries are ever put in.
    tables.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names become folders: nothing that could leave the lake, nor be taken for something else in it.
pub(crate) fn check_name(name: &TableName) -> Result<(), LakeError> {
    let is_safe = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    let text = &name.0;
    if text.is_empty() || text.len() > 200 || text.starts_with('.') || !text.chars().all(is_safe) {
        return Err(LakeError::BadName { name: text.clone() });
    }
    Ok(())
}

/// False when there is no lake yet.
fn check_version(root: &Path) -> Result<bool, LakeError> {
    let path = root.join(VERSION_FILE);
    let json = match fs::read(&path) {
        Ok(json) => json,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(e) => return Err(LakeError::io("read", &path, e)),
    };
    let version: Version = serde_json::from_slice(&json)
        .map_err(|e| LakeError::VersionUnreadable { path: path.clone(), cause: e.to_string() })?;
    if version.format > FORMAT {
        return Err(LakeError::Newer { path, found: version.format, supported: FORMAT });
    }
    Ok(true)
}

/// By rename, so that a crash leaves no half file.
fn write_whole(files: &dyn Files, path: &Path, bytes: &[u8]) -> Result<(), LakeError> {
    let unfinished = path.with_extension("json.unfinished");
    fs::remove_file(&unfinished).ok();
    let mut file = files.create_new(&unfinished).map_err(|e| LakeError::io("create", &unfinished, e))?;
    let written = file.write_all(bytes).and_then(|()| file.close(false));
    written.map_err(|e| LakeError::io("write", &unfinished, e))?;
    files.rename(&unfinished, path).map_err(|e| LakeError::io("rename", path, e))
}

pub(crate) fn read_manifest(
    root: &Path,
    window: &WindowFolder,
    name: &TableName,
) -> Result<Option<Manifest>, LakeError> {
    let path = root.join(window.to_string()).join(&name.0).join(MANIFEST_FILE);
    let json = match fs::read(&path) {
        Ok(json) => json,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(LakeError::io("read", &path, e)),
    };
    let manifest = Manifest::from_json(&path, &json)?;
    if manifest.table != *name || manifest.window != *window {
        let cause = format!("it is of table `{}` in `{}`", manifest.table, manifest.window);
        return Err(LakeError::ManifestUnreadable { path, cause });
    }
    Ok(Some(manifest))
}

/// A length is enough: a part is renamed into a table only after it was written, so only a power loss can shorten it.
fn check_parts(root: &Path, manifest: &Manifest) -> Result<(), LakeError> {
    let folder = manifest.folder(root);
    for part in &manifest.parts {
        let damaged = |cause: String| {
            Err(LakeError::Damaged { table: manifest.table.clone(), part: part.file.clone(), cause })
        };
        match fs::metadata(folder.join(&part.file)) {
            Ok(found) if found.len() == part.bytes => {}
            Ok(found) => return damaged(format!("has {} bytes instead of {}", found.len(), part.bytes)),
            Err(e) => return damaged(format!("cannot be read: {e}")),
        }
    }
    Ok(())
}
