//! Writes one version of a table: checks rows, cuts blocks, hashes, and commits by one rename.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tidemill_plan::{Digest, TableName, WriteMode};

use crate::blocks::{Blocks, bytes_of};
use crate::cache::{Decoded, compact};
use crate::digest::ContentDigest;
use crate::index::{Index, IndexCheck};
use crate::lake::{InMemory, Place, lock_tables, read_manifest};
use crate::leftovers::UNFINISHED;
use crate::manifest::{Block, MANIFEST_FILE, Manifest, Provenance, TimeRange, is_part_file};
use crate::merge::Merge;
use crate::part::{Force, Parts};
use crate::{Durability, Lake, LakeError, ReadOptions, WindowFolder, WriterOptions};

/// `Durability::Auto` forces tables of this size and more; see there.
const FORCED_BYTES_MIN: u64 = 1 << 20;

/// Writes rows; `finish` makes them the table, dropping it instead leaves no trace.
#[derive(Debug)]
pub struct TableWriter {
    /// Rows and decoded bytes taken by `write`.
    rows_taken: u64,
    bytes_taken: u64,
    check: IndexCheck,
    merge: Option<Merge>,
    /// The snapshot that an append or upsert started from.
    base: Option<Digest>,
    output: Output,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Writing,
    /// A write was refused: committing what came before it would make a half table.
    Failed,
    Committed,
}

/// What is downstream of checking and merging.
#[derive(Debug)]
struct Output {
    lake: Lake,
    window: WindowFolder,
    table: TableName,
    options: WriterOptions,
    index: Option<Index>,
    blocks: Blocks,
    digest: ContentDigest,
    /// `None` in memory.
    parts: Option<Parts>,
    kept: Option<Vec<RecordBatch>>,
    rows: u64,
    memory_bytes: u64,
    times: Option<TimeRange>,
}

impl TableWriter {
    pub(crate) fn new(
        lake: Lake,
        window: WindowFolder,
        table: TableName,
        options: WriterOptions,
    ) -> Result<Self, LakeError> {
        lake.check_writable()?;
        let index = crate::shape::check_options(&table, &options)?;
        if options.mode == WriteMode::Upsert && index.is_none() {
            return Err(LakeError::NoIndex { table });
        }
        let mut base = None;
        let mut merge = None;
        if options.mode != WriteMode::Replace
            && let Some(old) = lake.manifest(&window, &table)?
        {
            check_same_shape(&old, &options)?;
            base = Some(old.snapshot);
            let read = ReadOptions { batch_rows_max: Some(usize::MAX), ..ReadOptions::default() };
            let reader = lake.reader(&old, read)?;
            merge = Some(Merge::new(table.clone(), index.clone(), options.mode, reader));
        }
        let parts = match &lake.inner.place {
            Place::Memory(_) => None,
            Place::Folder { root, .. } => {
                let folder = root.join(window.to_string()).join(&table.0);
                create_folder(&lake, &folder)?;
                let (files, bytes_max) = (lake.inner.files.clone(), lake.inner.options.part_bytes_max);
                let schema = options.schema.clone();
                Some(Parts::new(files, table.clone(), folder, &options.attempt, schema, bytes_max))
            }
        };
        let output = Output {
            window,
            table,
            blocks: Blocks::new(options.schema.clone()),
            digest: ContentDigest::new(&options.schema),
            index: index.clone(),
            lake,
            options,
            parts,
            kept: Some(Vec::new()),
            rows: 0,
            memory_bytes: 0,
            times: None,
        };
        let check = IndexCheck::new(index);
        Ok(Self { rows_taken: 0, bytes_taken: 0, check, merge, base, output, state: State::Writing })
    }

    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.output.options.schema.clone()
    }

    /// Rows taken so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows_taken
    }

    /// Bytes of the rows taken so far, decoded.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes_taken
    }

    /// Takes rows. They are refused whole with the first row that is wrong, and then nothing can be committed.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let taken = self.take(batch);
        if taken.is_err() {
            self.state = State::Failed;
        }
        taken
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let Self { check, merge, output, .. } = self;
        let batch = crate::shape::conform(&output.table, &output.options.schema, batch, self.rows_taken)?;
        check
            .check(&batch)
            .map_err(|e| LakeError::arrow(&output.table, "compare rows", &e))?
            .map_err(|it| LakeError::violation(&output.table, it))?;
        match merge {
            None => output.push(&batch)?,
            Some(merge) => merge.push(&batch, self.rows_taken, &mut |merged| output.push(merged))?,
        }
        self.rows_taken += batch.num_rows() as u64;
        self.bytes_taken += bytes_of(&batch, 0, batch.num_rows());
        Ok(())
    }

    /// Commits: from here on the table is what was written. An append or upsert is `Replaced` when the table is no
    /// longer the one that it started from.
    pub fn finish(mut self, provenance: Provenance) -> Result<Manifest, LakeError> {
        if self.state != State::Writing {
            let cause = "rows were refused before".to_owned();
            return Err(LakeError::Format { table: self.output.table.clone(), verb: "commit", cause });
        }
        let Self { merge, output, base, .. } = &mut self;
        if let Some(merge) = merge {
            merge.rest(&mut |merged| output.push(merged))?;
        }
        let manifest = output.close(provenance)?;
        output.commit(&manifest, *base)?;
        self.state = State::Committed;
        Ok(manifest)
    }
}

impl Drop for TableWriter {
    fn drop(&mut self) {
        if self.state != State::Committed
            && let Some(parts) = &mut self.output.parts
        {
            parts.abort();
            // Succeeds only when there was no table before.
            std::fs::remove_dir(parts.folder()).ok();
        }
    }
}

impl Output {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let full = self.blocks.push(batch).map_err(|e| LakeError::arrow(&self.table, "gather rows", &e))?;
        full.into_iter().try_for_each(|it| self.write_block(it))
    }

    fn write_block(&mut self, block: RecordBatch) -> Result<(), LakeError> {
        self.digest.update(&block).map_err(|e| LakeError::arrow(&self.table, "hash rows", &e))?;
        let range = self.index.as_ref().map(|it| {
            let times = it.kind.values(block.column(it.time));
            TimeRange { first: it.kind.time(times[0]), last: it.kind.time(times[times.len() - 1]) }
        });
        if let Some(range) = range {
            self.times.get_or_insert(range).last = range.last;
        }
        self.rows += block.num_rows() as u64;
        self.memory_bytes += bytes_of(&block, 0, block.num_rows());
        let force = self.force();
        if let Some(parts) = &mut self.parts {
            parts.write(&block, Block { rows: block.num_rows() as u64, range }, force)?;
            if self.memory_bytes > self.lake.inner.cache.table_bytes_max() {
                self.kept = None;
            }
        }
        if let Some(kept) = &mut self.kept {
            kept.push(compact(block));
        }
        Ok(())
    }

    fn force(&self) -> Force {
        match (self.lake.inner.options.durability, self.options.mode) {
            (Durability::Always, _) | (Durability::Auto, WriteMode::Append | WriteMode::Upsert) => Force::Yes,
            (Durability::Auto, WriteMode::Replace) => Force::FromBytes(FORCED_BYTES_MIN),
            (Durability::Never, _) => Force::No,
        }
    }

    /// Writes what is left and describes the whole.
    fn close(&mut self, provenance: Provenance) -> Result<Manifest, LakeError> {
        let last = self.blocks.take().map_err(|e| LakeError::arrow(&self.table, "gather rows", &e))?;
        if let Some(last) = last {
            self.write_block(last)?;
        }
        let force = self.force();
        let parts = self.parts.as_mut().map(|it| it.finish(force)).transpose()?.unwrap_or_default();
        let options = &self.options;
        let digest =
            std::mem::replace(&mut self.digest, ContentDigest::new(&arrow::datatypes::Schema::empty()));
        Ok(Manifest {
            table: self.table.clone(),
            window: self.window,
            schema: options.schema.clone(),
            time_index: options.time_index.clone(),
            identifiers: options.identifiers.clone(),
            rows: self.rows,
            bytes: parts.iter().map(|it| it.bytes).sum(),
            memory_bytes: self.memory_bytes,
            time_range: self.times,
            parts,
            snapshot: digest.finish(options.time_index.as_deref(), &options.identifiers),
            mode: options.mode,
            attempt: options.attempt.clone(),
            provenance,
            written_at: crate::time::now(),
        })
    }

    fn commit(&mut self, manifest: &Manifest, base: Option<Digest>) -> Result<(), LakeError> {
        let kept = self.kept.take().map(|blocks| Arc::new(Decoded { blocks, bytes: self.memory_bytes }));
        let lake = self.lake.clone();
        match &lake.inner.place {
            Place::Memory(tables) => {
                let table = kept.expect("a lake in memory keeps every block");
                let mut tables = lock_tables(tables);
                let key = (self.window, self.table.clone());
                self.check_base(base, tables.get(&key).map(|it| it.manifest.snapshot))?;
                tables.insert(key, InMemory { manifest: manifest.clone(), table });
            }
            Place::Folder { root, .. } => {
                self.commit_files(root, manifest, base)?;
                if let Some(table) = kept {
                    lake.inner.cache.put(manifest.snapshot, table);
                }
            }
        }
        Ok(())
    }

    fn check_base(&self, base: Option<Digest>, current: Option<Digest>) -> Result<(), LakeError> {
        if self.options.mode != WriteMode::Replace && base != current {
            return Err(LakeError::Replaced { table: self.table.clone() });
        }
        Ok(())
    }

    fn commit_files(
        &mut self,
        root: &Path,
        manifest: &Manifest,
        base: Option<Digest>,
    ) -> Result<(), LakeError> {
        let force = self.force().applies(manifest.bytes);
        let parts = self.parts.as_ref().expect("a lake in a folder writes parts");
        let (files, folder) = (self.lake.inner.files.clone(), parts.folder().to_path_buf());
        let unfinished = folder.join(format!("{MANIFEST_FILE}.{}{UNFINISHED}", parts.attempt()));
        let path = folder.join(MANIFEST_FILE);
        let written = || -> io::Result<()> {
            // A zombie of the same attempt may have left one.
            std::fs::remove_file(&unfinished).or_else(ignore_missing)?;
            let mut file = files.create_new(&unfinished)?;
            file.write_all(&manifest.to_json())?;
            if force { file.sync() } else { Ok(()) }
        };
        let committed = written().map_err(|e| LakeError::io("write", &unfinished, e)).and_then(|()| {
            let _commit = self.lake.lock_commits();
            let old = read_manifest(root, &self.window, &self.table);
            let current = old.as_ref().ok().and_then(|it| it.as_ref()).map(|it| it.snapshot);
            self.check_base(base, current)?;
            files.rename(&unfinished, &path).map_err(|e| LakeError::io("rename", &path, e))?;
            Ok(old)
        });
        let old = match committed {
            Ok(old) => old,
            Err(e) => {
                files.remove(&unfinished).ok();
                return Err(e);
            }
        };
        self.parts.as_mut().expect("checked above").keep();
        if force {
            files.sync_folder(&folder).map_err(|e| LakeError::io("sync", &folder, e))?;
        }
        remove_old_parts(&self.lake, &folder, manifest, old);
        Ok(())
    }
}

fn ignore_missing(e: io::Error) -> io::Result<()> {
    if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) }
}

/// What cannot be removed costs space only; nothing names it any more.
fn remove_old_parts(lake: &Lake, folder: &Path, new: &Manifest, old: Result<Option<Manifest>, LakeError>) {
    let new: HashSet<&str> = new.parts.iter().map(|it| it.file.as_str()).collect();
    let old: Vec<String> = match old {
        Ok(None) => return,
        Ok(Some(old)) => old.parts.into_iter().map(|it| it.file).collect(),
        // It named files that we cannot know: whatever is not ours is its.
        Err(_) => {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter_map(|it| it.file_name().into_string().ok()).filter(|it| is_part_file(it)).collect()
        }
    };
    for file in old.iter().filter(|it| !new.contains(it.as_str())) {
        lake.inner.files.remove(&folder.join(file)).ok();
    }
}

fn create_folder(lake: &Lake, folder: &Path) -> Result<(), LakeError> {
    let files = &lake.inner.files;
    let create = |path: &Path| match files.create_folder(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    let created = match (create(folder), folder.parent()) {
        // The first table of its window.
        (Err(e), Some(window)) if e.kind() == io::ErrorKind::NotFound => {
            create(window).and_then(|()| create(folder))
        }
        (created, _) => created,
    };
    created.map_err(|e| LakeError::io("create", folder, e))
}

fn check_same_shape(old: &Manifest, options: &WriterOptions) -> Result<(), LakeError> {
    let differs = |expected: String, found: String| {
        Err(LakeError::SchemaDiffers { table: old.table.clone(), expected, found })
    };
    let index = |time: Option<&String>, identifiers: &[String]| {
        format!("the index ({})", time.into_iter().chain(identifiers).cloned().collect::<Vec<_>>().join(", "))
    };
    if old.time_index != options.time_index || old.identifiers != options.identifiers {
        return differs(
            index(old.time_index.as_ref(), &old.identifiers),
            index(options.time_index.as_ref(), &options.identifiers),
        );
    }
    let columns = |schema: &SchemaRef| {
        let fields = schema.fields().iter();
        fields.map(|it| format!("`{}` {}", it.name(), it.data_type())).collect::<Vec<_>>().join(", ")
    };
    let (before, now) = (columns(&old.schema), columns(&options.schema));
    if before == now { Ok(()) } else { differs(format!("columns {before}"), format!("columns {now}")) }
}
