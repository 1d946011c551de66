//! Files that tasks leave beside their tables: `<root>/artefacts/<2 hex digits>/<digest>`, each content once, put in place
//! by a rename before the end of its attempt is recorded. So a record names only files that are there; what no record
//! names was left by an attempt that never came to its end, or is of records that are gone.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_lake::{Durability, Lake};
use tidemill_plan::{Code, Digest, Digester, Problem};
use tidemill_sandbox::{ArtefactWriter, Fault};

use crate::failure::{DriverError, NodeFailure};
use crate::log_file::now_ns;
use crate::record::{RunRecord, file_error, list_runs};

const FOLDER: &str = "artefacts";
/// Where files lie while their attempts write them.
const UNFINISHED: &str = ".unfinished";
/// What is as large is forced to the disk in any case, as the lake does with its tables.
const SYNCED_BYTES_MIN: u64 = 1 << 20;

/// A file that a task left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtefactRecord {
    /// Of a file without folders; once per attempt.
    pub name: String,
    /// As the task says: to be believed by nobody.
    pub media_type: String,
    pub bytes: u64,
    pub digest: String,
}

impl From<&tidemill_lake::Artefact> for ArtefactRecord {
    fn from(it: &tidemill_lake::Artefact) -> Self {
        let (name, media_type) = (it.name.clone(), it.media_type.clone());
        Self { name, media_type, bytes: it.bytes, digest: it.digest.to_string() }
    }
}

impl From<&ArtefactRecord> for tidemill_lake::Artefact {
    fn from(it: &ArtefactRecord) -> Self {
        let digest = it.digest.parse().expect("it was written as a digest");
        Self { name: it.name.clone(), media_type: it.media_type.clone(), bytes: it.bytes, digest }
    }
}

/// A file that a task of a run left, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct ArtefactOf<'a> {
    pub node: &'a str,
    /// Of an attempt that failed: its number. What it left is there to find out why, and is no result.
    pub failed_attempt: Option<u32>,
    pub artefact: &'a ArtefactRecord,
}

impl RunRecord {
    /// What its tasks left, by node; of a node first its result, then what failed attempts left, the newest first.
    pub fn artefacts(&self) -> impl Iterator<Item = ArtefactOf<'_>> {
        self.nodes.iter().flat_map(|node| {
            let of =
                move |failed_attempt, artefact| ArtefactOf { node: &node.node, failed_attempt, artefact };
            let result = node.artefacts.iter().map(move |it| of(None, it));
            let failed = node.history.iter().rev();
            result.chain(failed.flat_map(move |attempt| {
                attempt.artefacts.iter().map(move |it| of(Some(attempt.attempt), it))
            }))
        })
    }
}

/// Where a file is kept; the digest is one that a record holds.
#[must_use]
pub fn artefact_path(root: &Path, digest: &Digest) -> PathBuf {
    let digits = digest.to_string();
    root.join(FOLDER).join(digits.get(..2).expect("a digest has 64 digits")).join(&digits)
}

/// Opens a file that a record names.
///
/// # Errors
/// `artefact-gone` when it is not there, or not as long as the record says.
pub fn open_artefact(root: &Path, artefact: &ArtefactRecord) -> Result<File, Problem> {
    let gone = |why: String| {
        let what = format!("the content of artefact `{}` is not there: {why}", artefact.name);
        let mend =
            "run its node again with `--force`; on a service, every host must have the same data folder";
        Problem::new(Code("artefact-gone"), what, mend)
    };
    let digest: Digest = artefact.digest.parse().map_err(gone)?;
    let path = artefact_path(root, &digest);
    let unreadable = |e: std::io::Error| gone(format!("`{}`: {e}", path.display()));
    let file = File::open(&path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    if bytes != artefact.bytes {
        return Err(gone(format!("`{}` has {bytes} bytes, not {}", path.display(), artefact.bytes)));
    }
    Ok(file)
}

/// Whether all of these are there in their full length.
pub(crate) fn are_there(root: &Path, artefacts: &[tidemill_lake::Artefact]) -> bool {
    let is_there = |it: &tidemill_lake::Artefact| {
        std::fs::metadata(artefact_path(root, &it.digest)).is_ok_and(|found| found.len() == it.bytes)
    };
    artefacts.iter().all(is_there)
}

/// Where an attempt's files go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keeping<'a> {
    /// Into the folder of artefacts below this one.
    Below(&'a Path, Durability),
    /// Nowhere: only their digests are taken.
    DigestsOnly,
}

/// The files of one attempt. What is not finished leaves nothing.
#[derive(Debug)]
pub(crate) struct AttemptArtefacts {
    /// Of those that wait to be put in place, with the beginning of their names.
    unfinished: Option<(PathBuf, String)>,
    root: PathBuf,
    durability: Durability,
    files: Vec<(String, String, SharedFile)>,
}

type SharedFile = Arc<Mutex<NewArtefact>>;

#[derive(Debug)]
struct NewArtefact {
    /// Opened for each write: a task may hold a thousand of them, and a process has fewer descriptors.
    path: Option<PathBuf>,
    digester: Digester,
    bytes: u64,
}

impl AttemptArtefacts {
    /// `attempt` is a name that no other attempt on this machine has.
    pub(crate) fn new(keeping: Keeping<'_>, attempt: &str) -> Self {
        let (root, durability) = match keeping {
            Keeping::Below(root, durability) => (root, durability),
            Keeping::DigestsOnly => {
                let (root, durability) = (PathBuf::new(), Durability::Never);
                return Self { unfinished: None, root, durability, files: Vec::new() };
            }
        };
        // An attempt may begin anew under its number, while a host that was given up still writes.
        let begins = format!("{attempt}-{}-{}", std::process::id(), now_ns());
        let unfinished = Some((root.join(FOLDER).join(UNFINISHED), begins));
        Self { unfinished, root: root.to_path_buf(), durability, files: Vec::new() }
    }

    pub(crate) fn begin(&mut self, name: &str, media_type: &str) -> Result<Box<dyn ArtefactWriter>, Fault> {
        let path = match &self.unfinished {
            None => None,
            Some((folder, begins)) => {
                let path = folder.join(format!("{begins}-{}", self.files.len()));
                let made = std::fs::create_dir_all(folder).and_then(|()| File::create_new(&path));
                made.map_err(|e| unkept(&path, &e).into_fault())?;
                Some(path)
            }
        };
        let fresh = NewArtefact { path, digester: Digester::default(), bytes: 0 };
        let shared = Arc::new(Mutex::new(fresh));
        self.files.push((name.to_owned(), media_type.to_owned(), Arc::clone(&shared)));
        Ok(Box::new(Appender(shared)))
    }

    /// Puts all of them in place, sorted by name.
    pub(crate) fn finish(&mut self) -> Result<Vec<ArtefactRecord>, NodeFailure> {
        let mut records = Vec::with_capacity(self.files.len());
        for (name, media_type, file) in std::mem::take(&mut self.files) {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let digest = file.digester.finish();
            if let Some(path) = &file.path {
                self.put(path, &digest, file.bytes).map_err(|e| unkept(path, &e))?;
                file.path = None;
            }
            records.push(ArtefactRecord { name, media_type, bytes: file.bytes, digest: digest.to_string() });
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    /// Also over the same content: so it counts as new for whoever collects what nobody names.
    fn put(&self, from: &Path, digest: &Digest, bytes: u64) -> std::io::Result<()> {
        let to = artefact_path(&self.root, digest);
        let folder = to.parent().expect("it lies in a folder of its first digits");
        std::fs::create_dir_all(folder)?;
        let is_synced = match self.durability {
            Durability::Always => true,
            Durability::Auto => bytes >= SYNCED_BYTES_MIN,
            Durability::Never => false,
        };
        if is_synced {
            File::open(from)?.sync_data()?;
        }
        std::fs::rename(from, &to)?;
        if is_synced { File::open(folder)?.sync_all() } else { Ok(()) }
    }
}

impl Drop for NewArtefact {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What stays is removed by whoever collects.
            drop(std::fs::remove_file(path));
        }
    }
}

struct Appender(SharedFile);

impl ArtefactWriter for Appender {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &file.path {
            let appended = OpenOptions::new().append(true).open(path).and_then(|mut it| it.write_all(bytes));
            appended.map_err(|e| unkept(path, &e).into_fault())?;
        }
        file.digester.update(bytes);
        file.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn unkept(path: &Path, error: &std::io::Error) -> NodeFailure {
    NodeFailure {
        code: Code("artefact-io"),
        what: format!("an artefact cannot be written to `{}`: {error}", path.display()),
        mend: "check that the folder can be written and that the disk has room".to_owned(),
        retryable: true,
    }
}

/// Removes what attempts left that died. Only ever called by the holder of the lake's lock, before it writes.
pub(crate) fn clear_unfinished(root: &Path) {
    for it in entries(&root.join(FOLDER).join(UNFINISHED)).unwrap_or_default() {
        // What stays costs space, nothing else.
        drop(std::fs::remove_file(it));
    }
}

/// A file that no record names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnnamedArtefact {
    pub path: PathBuf,
    pub bytes: u64,
}

/// The kept files whose digests are none of these, and what attempts left that died, not touched for `grace`.
///
/// # Errors
/// When a folder cannot be read.
pub fn unnamed_artefacts(
    root: &Path,
    named: &BTreeSet<String>,
    grace: Duration,
) -> Result<Vec<UnnamedArtefact>, DriverError> {
    let mut unnamed = Vec::new();
    for folder in entries(&root.join(FOLDER))? {
        for path in entries(&folder)? {
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let is_idle = metadata.modified().is_ok_and(|it| it.elapsed().unwrap_or_default() >= grace);
            let is_named = path.file_name().and_then(|it| it.to_str()).is_some_and(|it| named.contains(it));
            if metadata.is_file() && is_idle && !is_named {
                unnamed.push(UnnamedArtefact { path, bytes: metadata.len() });
            }
        }
    }
    unnamed.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(unnamed)
}

/// What is in a folder; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DriverError> {
    match folder.read_dir() {
        Ok(it) => Ok(it.flatten().map(|it| it.path()).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(file_error("read", folder, e)),
    }
}

/// # Errors
/// When a file is there and cannot be removed.
pub fn remove_artefacts(unnamed: &[UnnamedArtefact]) -> Result<(), DriverError> {
    for it in unnamed {
        match std::fs::remove_file(&it.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(file_error("remove", &it.path, e));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The digests that a record names.
pub fn named_by(record: &RunRecord) -> impl Iterator<Item = String> + '_ {
    record.artefacts().map(|it| it.artefact.digest.clone())
}

/// The digests that the records of a local lake's runs and its tables name, without what is about to go. `is_kept` tells of
/// a run's id, `is_kept_table` of a table's window and name.
///
/// # Errors
/// When a record or a manifest cannot be read: what it names is not known, so nothing may go.
pub fn named_in_lake(
    root: &Path,
    lake: &Lake,
    is_kept: impl Fn(&str) -> bool,
    is_kept_table: impl Fn(&tidemill_lake::TableEntry) -> bool,
) -> Result<BTreeSet<String>, DriverError> {
    let mut named = BTreeSet::new();
    for run in list_runs(root)?.into_iter().filter(|it| is_kept(&it.0)) {
        named.extend(named_by(&RunRecord::load(root, &run)?));
    }
    for table in lake.tables()?.into_iter().filter(|it| is_kept_table(it)) {
        named.extend(table.state?.provenance.artefacts.iter().map(|it| it.digest.to_string()));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(root: &Path, texts: &[(&str, &[&str])]) -> Vec<ArtefactRecord> {
        let mut attempt = AttemptArtefacts::new(Keeping::Below(root, Durability::Always), "r-0-1");
        for (name, pieces) in texts {
            let mut writer = attempt.begin(name, "text/plain").expect("begin");
            for it in *pieces {
                writer.write(it.as_bytes()).expect("write");
            }
        }
        attempt.finish().expect("finish")
    }

    fn files(root: &Path) -> usize {
        let folders = entries(&root.join(FOLDER)).expect("read");
        folders.iter().map(|it| entries(it).expect("read").len()).sum()
    }

    #[test]
    fn one_content_is_kept_once_under_its_digest() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let records = written(root.path(), &[("b", &["on", "e"]), ("a", &["one"]), ("c", &[])]);
        let names: Vec<_> = records.iter().map(|it| (it.name.as_str(), it.bytes)).collect();
        assert_eq!(names, [("a", 3), ("b", 3), ("c", 0)]);
        assert_eq!(records[0].digest, Digest::of(b"one").to_string());
        assert_eq!(records[0].digest, records[1].digest);
        assert_eq!(files(root.path()), 2);
        let kept = std::fs::read(artefact_path(root.path(), &Digest::of(b"one"))).expect("read");
        assert_eq!(kept, b"one");
    }

    #[test]
    fn without_a_folder_the_digests_are_the_same() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut attempt = AttemptArtefacts::new(Keeping::DigestsOnly, "r-0-1");
        let mut writer = attempt.begin("a", "text/plain").expect("begin");
        writer.write(b"one").expect("write");
        assert_eq!(attempt.finish().expect("finish"), written(root.path(), &[("a", &["one"])]));
    }

    #[test]
    fn an_attempt_that_is_stopped_leaves_nothing() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut attempt = AttemptArtefacts::new(Keeping::Below(root.path(), Durability::Auto), "r-0-1");
        let mut writer = attempt.begin("a", "text/plain").expect("begin");
        writer.write(b"one").expect("write");
        assert_eq!(files(root.path()), 1);
        drop((attempt, writer));
        assert_eq!(files(root.path()), 0);
    }

    #[test]
    fn what_is_gone_or_torn_is_not_taken_for_what_it_was() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let record = written(root.path(), &[("a", &["one"])]).remove(0);
        let (path, as_kept) = (artefact_path(root.path(), &Digest::of(b"one")), (&record).into());
        assert!(open_artefact(root.path(), &record).is_ok());
        assert!(are_there(root.path(), std::slice::from_ref(&as_kept)));
        for text in [Some("on"), None] {
            match text {
                Some(text) => std::fs::write(&path, text).expect("tear"),
                None => std::fs::remove_file(&path).expect("remove"),
            }
            let problem = open_artefact(root.path(), &record).expect_err("it is not as it was");
            assert_eq!(problem.code, Code("artefact-gone"));
            assert!(!are_there(root.path(), std::slice::from_ref(&as_kept)));
        }
    }

    #[test]
    fn only_what_is_idle_and_unnamed_is_collected() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let records = written(root.path(), &[("a", &["one"]), ("b", &["two"])]);
        std::fs::create_dir_all(root.path().join(FOLDER).join(UNFINISHED)).expect("create");
        std::fs::write(root.path().join(FOLDER).join(UNFINISHED).join("r-0-2-0"), "dead").expect("write");
        let named = BTreeSet::from([records[0].digest.clone()]);
        assert_eq!(unnamed_artefacts(root.path(), &named, Duration::from_secs(60)).expect("read"), []);
        let unnamed = unnamed_artefacts(root.path(), &named, Duration::ZERO).expect("read");
        assert_eq!(unnamed.iter().map(|it| it.bytes).collect::<Vec<_>>(), [4, 3]);
        remove_artefacts(&unnamed).expect("remove");
        remove_artefacts(&unnamed).expect("it is gone already");
        assert_eq!(files(root.path()), 1);
        assert!(open_artefact(root.path(), &records[0]).is_ok());
    }
}
