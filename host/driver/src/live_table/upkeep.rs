//! What keeps a lake small, by command: expiry of old snapshots, removal of files that nothing names, compaction.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill_lake::{Lake, LakeError, Orphan};
use tidemill_plan::{Problem, TableName, Window};
use tidemill_store::{
    CatalogCommit, Direction, Expiry, Patience, Store, StoreError, TableState, commit_tables,
};

use super::{LiveTables, Making, table_write};

/// How long a compaction outlasts a database that is away.
const PATIENCE: Patience = Patience::For(Duration::from_secs(10));

/// What an expiry or a sweep has removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub snapshots: u64,
    pub files: u64,
    pub bytes: u64,
}

/// What a compaction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// `None`: there was nothing to do.
    pub version: Option<i64>,
    pub parts_before: usize,
    pub parts_after: usize,
}

/// Forgets old snapshots, then removes the files that only they named.
///
/// # Errors
/// When the database is away or a file cannot be removed; the snapshots are then gone all the same, and a sweep removes
/// the files later.
pub async fn expire(tables: &LiveTables, lake: &Lake, expiry: Expiry) -> Result<Swept, Problem> {
    let expired = tables.store().expire_snapshots(expiry).await.map_err(|e| e.problem())?;
    let files: Vec<PathBuf> = expired.files.iter().map(PathBuf::from).collect();
    let count = files.len() as u64;
    let lake = lake.clone();
    let bytes = blocking(move || lake.remove_files(&files)).await?;
    Ok(Swept { snapshots: expired.snapshots, files: count, bytes })
}

/// Removes the files that no version of any table names, that have not been touched for `grace`, and that belong to no
/// run which may still commit them: what attempts left that did not come to their commit.
///
/// # Errors
/// When the database is away or a file cannot be removed.
pub async fn sweep(
    tables: &LiveTables,
    lake: &Lake,
    grace: Duration,
    what: Sweep,
) -> Result<(Swept, Vec<Orphan>), Problem> {
    let asked = lake.clone();
    let folders = blocking(move || asked.table_folders()).await?;
    let (mut swept, mut orphans) = (Swept::default(), Vec::new());
    for folder in folders {
        // Files first: whatever is committed in between is known afterwards.
        let (asked, name) = (lake.clone(), folder.clone());
        let mut idle = blocking(move || asked.idle_files(&name, grace)).await?;
        if idle.is_empty() {
            continue;
        }
        // Then runs: what one of them commits before it ends is known after that.
        let unended = tables.store().unended_runs().await.map_err(|e| e.problem())?;
        let known = tables.store().known_files(&folder).await.map_err(|e| e.problem())?;
        idle.retain(|it| it.path.to_str().is_some_and(|it| !known.contains(it)));
        idle.retain(|it| !is_of_run(&it.path, &unended));
        swept.files += idle.len() as u64;
        swept.bytes += idle.iter().map(|it| it.bytes).sum::<u64>();
        if what == Sweep::Remove {
            let (lake, paths) = (lake.clone(), idle.iter().map(|it| it.path.clone()).collect::<Vec<_>>());
            blocking(move || lake.remove_files(&paths)).await?;
        }
        orphans.extend(idle);
    }
    Ok((swept, orphans))
}

/// Parts are named after the attempt that writes them, which is named after its run.
fn is_of_run(path: &Path, runs: &BTreeSet<String>) -> bool {
    let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let Some(attempt) = name.strip_prefix("part-") else { return false };
    let ends = attempt.match_indices('-').map(|(at, _)| at);
    ends.filter_map(|at| attempt.get(..at)).any(|it| runs.contains(it))
}

/// Whether a sweep only looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    Look,
    Remove,
}

/// Puts the small parts of a table together. Its content and its snapshot's digest stay, so nothing is computed again.
///
/// # Errors
/// `table-conflict` when the table is written at the same moment; when the database is away.
pub async fn compact(
    tables: &LiveTables,
    lake: &Lake,
    table: &TableName,
    attempt: String,
    at: i64,
) -> Result<Option<Compacted>, Problem> {
    let version = tables.store().table_version(table).await.map_err(|e| e.problem())?;
    let Some(version) = version else { return Ok(None) };
    let (window, committed) = match &version.state {
        TableState::Ours(own) => (own.origin.window, Some(version.version)),
        TableState::Foreign(_) => (Window::default(), None),
    };
    let reads = match committed {
        Some(version) => direct_reads(tables.store(), table, version).await?,
        None => Vec::new(),
    };
    let base = tables.manifest(version).await.map_err(|e| Problem::from(&e))?;
    let (parts_before, writer) = (base.parts.len(), lake.clone());
    let compacted = blocking(move || writer.compacted(&base, &attempt)).await?;
    let Some(manifest) = compacted else {
        return Ok(Some(Compacted { version: None, parts_before, parts_after: parts_before }));
    };
    // It is as far as it was.
    let Some(mut write) = table_write(&manifest, None, &Making { window, reads }) else { return Ok(None) };
    write.progress = tidemill_store::ProgressChange::Reaches(Vec::new());
    let commit = CatalogCommit {
        at,
        author: "tidemill".to_owned(),
        message: format!("compacted `{table}`"),
        tables: vec![write],
    };
    let committed = tables.store().write(PATIENCE, move |tx| {
        let commit = commit.clone();
        Box::pin(async move { commit_tables(tx, &commit).await })
    });
    let committed = committed.await;
    match committed {
        Ok(snapshot) => {
            tables.committed(snapshot, [&manifest]);
            let parts_after = manifest.parts.len();
            Ok(Some(Compacted { version: Some(snapshot), parts_before, parts_after }))
        }
        Err(e) => {
            tables.forget(table);
            if is_certain(&e) {
                let before = tables.newest(table).await.ok().flatten();
                let lake = lake.clone();
                let discarded = move || {
                    lake.discard(&manifest, before.as_ref());
                    Ok(())
                };
                blocking(discarded).await?;
            }
            Err(e.problem())
        }
    }
}

/// False where the commit may have happened all the same.
fn is_certain(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused(_))
}

async fn direct_reads(
    store: &Store,
    table: &TableName,
    version: i64,
) -> Result<Vec<tidemill_store::ReadVersion>, Problem> {
    let related = store.lineage(table, Some(version), Direction::Up).await.map_err(|e| e.problem())?;
    Ok(related.into_iter().filter(|it| it.distance == 1).map(|it| it.read).collect())
}

/// Carries out what blocks, off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LakeError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.expect("the lake does not panic").map_err(|e| Problem::from(&e))
}
