//! Introduces the lake's tables to the store's catalog: what the lake wrote becomes rows of a commit, what the store
//! knows of a version becomes a manifest. Decides nothing about runs.

mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use tidemill_lake::{
    CatalogColumn, ForeignTable, Home, KeyProgress, Lake, LakeError, Manifest, Manifests, Options,
    open_foreign,
};
use tidemill_plan::{Digest, TableName, Window, WriteMode};
use tidemill_store::{
    ColumnBounds, FileColumn, FileFacts, ForeignVersion, KeyTime, Origin, ProgressChange, ReadVersion, Store,
    StoreError, TableColumn, TableFile, TableState, TableVersion, TableWrite,
};
use tokio::runtime::Handle;

pub use upkeep::{Compacted, Sweep, Swept, compact, expire, sweep};

/// Manifests remembered; past it all are forgotten, which costs a look into the store for each.
const KNOWN_MAX: usize = 65_536;

/// What a manifest does not say of how its table was made.
#[derive(Clone, Debug, Default)]
pub struct Making {
    pub window: Window,
    pub reads: Vec<ReadVersion>,
}

/// The tables of a store, as the lake asks for them. Cheap to clone; all clones remember the same.
#[derive(Clone, Debug)]
pub struct LiveTables {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    runtime: Handle,
    home: Home,
    foreign_bytes_max: u64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// `None`: there is no such table.
    tables: HashMap<TableName, Option<Manifest>>,
    /// Every snapshot up to here is accounted for in `tables`.
    seen: i64,
    /// Snapshots after `seen` that this process made.
    own: BTreeSet<i64>,
}

impl LiveTables {
    /// `runtime` runs the store's queries while threads of others wait for them.
    #[must_use]
    pub fn new(store: Store, runtime: Handle, home: Home, options: &Options) -> Self {
        let known = Mutex::new(Known::default());
        let foreign_bytes_max = options.foreign_bytes_max;
        let inner = Inner { store, runtime, home, foreign_bytes_max, known };
        Self { inner: Arc::new(inner) }
    }

    /// The lake of these tables.
    #[must_use]
    pub fn lake(&self, options: Options) -> Lake {
        Lake::catalogued(&self.inner.home, Arc::new(self.clone()), options)
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Looks whether another program or host has committed, and forgets what is remembered if so. A writer that starts
    /// from what is out of date is refused at its commit; a reader would not be, so a run begins with this.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let newest = self.inner.store.newest_snapshot().await?;
        let mut known = self.lock();
        if (known.seen + 1..=newest).any(|it| !known.own.contains(&it)) {
            known.tables.clear();
        }
        known.seen = known.seen.max(newest);
        let seen = known.seen;
        known.own.retain(|it| *it > seen);
        Ok(())
    }

    /// The table as it is in the store at this moment.
    ///
    /// # Errors
    /// When the database is away, or another program has changed the table in a way that is not understood.
    pub async fn newest(&self, table: &TableName) -> Result<Option<Manifest>, LakeError> {
        let version = self.inner.store.table_version(table).await.map_err(|e| of_store(table, &e))?;
        let found = match version {
            None => None,
            Some(version) => match self.remembered(&version) {
                Some(it) => Some(it),
                None => Some(self.manifest(version).await?),
            },
        };
        self.remember(table.clone(), found.clone());
        Ok(found)
    }

    /// Reading what another program wrote is dear. It may put files together without a new version, so they are compared.
    fn remembered(&self, version: &TableVersion) -> Option<Manifest> {
        let TableState::Foreign(foreign) = &version.state else { return None };
        let known = self.lock().tables.get(&version.name).cloned()??;
        let is_of_version = known.catalog.as_ref()?.version == Some(version.version);
        let is_same = |(part, file): (&tidemill_lake::Part, &tidemill_store::ForeignFile)| {
            let deletes = part.foreign.iter().flat_map(|it| &it.deletes);
            part.file == file.path && deletes.eq(file.deletes.iter().map(|it| Path::new(&it.path)))
        };
        let has_same_files =
            known.parts.len() == foreign.files.len() && known.parts.iter().zip(&foreign.files).all(is_same);
        (is_of_version && has_same_files).then_some(known)
    }

    /// The manifest of a version, also of one that another program made, which is read once for it.
    ///
    /// # Errors
    /// `snapshot-expired`; and when another program has changed the table in a way that is not understood.
    pub async fn manifest(&self, version: TableVersion) -> Result<Manifest, LakeError> {
        match &version.state {
            TableState::Ours(_) => manifest_of(&version, &self.inner.home, self.inner.foreign_bytes_max),
            TableState::Foreign(_) => {
                let (home, bytes_max) = (self.inner.home.clone(), self.inner.foreign_bytes_max);
                let table = version.name.clone();
                let reading = tokio::task::spawn_blocking(move || manifest_of(&version, &home, bytes_max));
                reading.await.map_err(|e| LakeError::Foreign { table, cause: e.to_string() })?
            }
        }
    }

    /// The newest version with a digest, for whoever blocks. Not to be called on a thread of the runtime.
    pub(crate) fn with_digest(
        &self,
        table: &TableName,
        digest: &Digest,
    ) -> Result<Option<Manifest>, LakeError> {
        self.inner.runtime.block_on(async {
            match self.inner.store.version_with(table, digest).await.map_err(|e| of_store(table, &e))? {
                Some(version) => self.manifest(version).await.map(Some),
                None => Ok(None),
            }
        })
    }

    /// The table as it is now, or as it was after a snapshot, for whoever blocks.
    pub(crate) fn pinned(
        &self,
        table: &TableName,
        version: Option<i64>,
    ) -> Result<Option<Manifest>, LakeError> {
        self.inner.runtime.block_on(async {
            let Some(version) = version else { return self.newest(table).await };
            match self.inner.store.table_at(table, version).await.map_err(|e| of_store(table, &e))? {
                Some(version) => self.manifest(version).await.map(Some),
                None => Ok(None),
            }
        })
    }

    /// What the newest version of ours was made of, for whoever blocks: digests by table.
    pub(crate) fn read_by(&self, table: &TableName) -> Result<BTreeMap<TableName, Digest>, LakeError> {
        let found = self.inner.runtime.block_on(self.inner.store.read_by_newest(table));
        let reads = found.map_err(|e| of_store(table, &e))?;
        Ok(reads.into_iter().map(|it| (it.table, it.digest)).collect())
    }

    /// Remembers what was just committed as `snapshot`.
    pub fn committed<'a>(&self, snapshot: i64, manifests: impl IntoIterator<Item = &'a Manifest>) {
        for it in manifests {
            let mut manifest = it.clone();
            if let Some(state) = &mut manifest.catalog {
                (state.version, state.base) = (Some(snapshot), None);
            }
            self.remember(manifest.table.clone(), Some(manifest));
        }
        let mut known = self.lock();
        known.own.insert(snapshot);
        let mut seen = known.seen;
        while known.own.remove(&(seen + 1)) {
            seen += 1;
        }
        known.seen = seen;
    }

    /// Asks the store again next time; after a conflict.
    pub fn forget(&self, table: &TableName) {
        self.lock().tables.remove(table);
    }

    fn remember(&self, table: TableName, manifest: Option<Manifest>) {
        let version = |it: &Option<Manifest>| it.as_ref().and_then(|it| it.catalog.as_ref()?.version);
        let mut known = self.lock();
        if known.tables.len() >= KNOWN_MAX {
            known.tables.clear();
        }
        // What was asked for before a commit may come after it.
        let is_older = known.tables.get(&table).is_some_and(|it| version(it) > version(&manifest));
        if !is_older {
            known.tables.insert(table, manifest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Only whole entries are ever put in.
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manifests for LiveTables {
    /// What is remembered, else what the store says. Not to be called on a thread of the runtime.
    fn current(&self, table: &TableName) -> Result<Option<Manifest>, LakeError> {
        if let Some(known) = self.lock().tables.get(table) {
            return Ok(known.clone());
        }
        self.inner.runtime.block_on(self.newest(table))
    }
}

fn of_store(table: &TableName, error: &StoreError) -> LakeError {
    let (table, is_passing) = (table.clone(), error.is_passing());
    LakeError::Catalog { table, problem: Box::new(error.problem()), is_passing }
}

/// The digest by which a version is known where it is read.
#[must_use]
pub fn read_version(manifest: &Manifest) -> ReadVersion {
    let version = manifest.catalog.as_ref().and_then(|it| it.version);
    ReadVersion { table: manifest.table.clone(), version, digest: manifest.snapshot }
}

/// What a commit needs to know of a table that the lake has just written; `None` when that is what was committed before.
/// `progress` is what the writer noted.
#[must_use]
pub fn table_write(
    manifest: &Manifest,
    progress: Option<Vec<KeyProgress>>,
    making: &Making,
) -> Option<TableWrite> {
    let state = manifest.catalog.as_ref()?;
    if state.version.is_some() {
        return None;
    }
    let progress = progress.unwrap_or_default().into_iter();
    let progress = progress.map(|it| KeyTime { identifiers: it.identifiers, last: it.last.0 }).collect();
    let progress = match manifest.mode {
        WriteMode::Replace => ProgressChange::Is(progress),
        WriteMode::Append | WriteMode::Upsert if state.base.is_none() => ProgressChange::Is(progress),
        WriteMode::Append | WriteMode::Upsert => ProgressChange::Reaches(progress),
    };
    Some(TableWrite {
        name: manifest.table.clone(),
        base: state.base,
        columns: manifest.catalog_columns().into_iter().map(store_column).collect(),
        bounds: bounds_of(manifest),
        files: manifest.parts.iter().map(file_of).collect(),
        rows: manifest.rows,
        bytes: manifest.bytes,
        progress,
        origin: origin_of(manifest, making),
        manifest: String::from_utf8(manifest.to_json()).expect("JSON is text"),
    })
}

fn origin_of(manifest: &Manifest, making: &Making) -> Origin {
    let from = &manifest.provenance;
    let metrics = from.metrics.clone().into_iter().collect();
    Origin {
        digest: manifest.snapshot,
        cache_key: from.cache_key,
        run: from.run.clone(),
        node: from.node.clone(),
        task: from.task.clone(),
        component: from.component,
        attempt: manifest.attempt.clone(),
        mode: manifest.mode,
        window: making.window,
        metrics: Json::Object(metrics),
        reads: making.reads.clone(),
    }
}

fn bounds_of(manifest: &Manifest) -> Vec<ColumnBounds> {
    let bounds = manifest.bounds().into_iter();
    bounds
        .map(|it| ColumnBounds {
            id: it.id,
            has_null: it.has_null,
            has_nan: it.has_nan,
            min: it.min,
            max: it.max,
        })
        .collect()
}

fn file_of(part: &tidemill_lake::Part) -> TableFile {
    let facts = part.statistics.as_ref().map(|it| FileFacts {
        rows: part.rows(),
        bytes: part.bytes,
        footer_bytes: it.footer_bytes,
        columns: it
            .columns
            .iter()
            .map(|it| FileColumn {
                id: it.id,
                bytes: it.bytes,
                values: it.values,
                nulls: it.nulls,
                min: it.min.clone(),
                max: it.max.clone(),
                has_nan: it.has_nan,
            })
            .collect(),
    });
    TableFile { path: part.file.clone(), facts }
}

fn store_column(it: CatalogColumn) -> TableColumn {
    let CatalogColumn { id, parent, name, data_type, is_nullable } = it;
    TableColumn { id, parent, name, data_type, is_nullable }
}

fn lake_column(it: &TableColumn) -> CatalogColumn {
    CatalogColumn {
        id: it.id,
        parent: it.parent,
        name: it.name.clone(),
        data_type: it.data_type.clone(),
        is_nullable: it.is_nullable,
    }
}

/// The manifest of a version. One that another program made is read for it, which blocks.
///
/// # Errors
/// `snapshot-expired`; and when another program has changed the table in a way that is not understood.
pub fn manifest_of(
    version: &TableVersion,
    home: &Home,
    foreign_bytes_max: u64,
) -> Result<Manifest, LakeError> {
    let table = &version.name;
    match &version.state {
        TableState::Ours(own) => {
            let Some(text) = &own.manifest else {
                return Err(LakeError::Expired { table: table.clone(), version: version.version });
            };
            parse(table, text, version.version)
        }
        TableState::Foreign(foreign) => {
            let foreign = foreign_table(version, foreign)?;
            open_foreign(home, foreign, foreign_bytes_max)
        }
    }
}

fn parse(table: &TableName, text: &str, version: i64) -> Result<Manifest, LakeError> {
    let place = PathBuf::from(format!("{table} version {version}"));
    let mut manifest = Manifest::from_json(&place, text.as_bytes())?;
    if let Some(state) = &mut manifest.catalog {
        state.version = Some(version);
    }
    Ok(manifest)
}

/// Refuses what cannot be read.
fn foreign_table(version: &TableVersion, foreign: &ForeignVersion) -> Result<ForeignTable, LakeError> {
    let table = &version.name;
    let refused = |cause: String| Err(LakeError::Foreign { table: table.clone(), cause });
    if foreign.has_inlined_rows {
        return refused("some of its rows are in the catalogue itself".to_owned());
    }
    for it in &foreign.files {
        let path = &it.path;
        if it.format != "parquet" {
            return refused(format!("file `{path}` has format `{}`", it.format));
        }
        if it.is_encrypted {
            return refused(format!("file `{path}` is encrypted"));
        }
        if let Some(delete) = it.deletes.iter().find(|it| it.format != "parquet") {
            return refused(format!("file `{}` has format `{}`", delete.path, delete.format));
        }
    }
    let like = foreign.manifest_before.as_ref().map(|it| parse(table, it, version.version)).transpose()?;
    let files = foreign.files.iter().map(|it| {
        let deletes = it.deletes.iter().map(|it| PathBuf::from(&it.path)).collect();
        (PathBuf::from(&it.path), it.bytes, deletes)
    });
    Ok(ForeignTable {
        table: table.clone(),
        version: version.version,
        as_of: foreign.as_of,
        columns: foreign.columns.iter().map(lake_column).collect(),
        column_id_next: foreign.column_id_next,
        files: files.collect(),
        like,
    })
}

/// The newest version with this cache key, for reuse; `None` when there is none or it cannot be read.
///
/// # Errors
/// When the database is away.
pub async fn valid_manifest(
    tables: &LiveTables,
    table: &TableName,
    cache_key: &Digest,
) -> Result<Option<Manifest>, StoreError> {
    let found = tables.store().valid_version(table, cache_key).await?;
    Ok(match found {
        // Ours, so nothing is read for it.
        Some(found) => tables.manifest(found).await.ok(),
        None => None,
    })
}
