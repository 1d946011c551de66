//! Downstream of checking and merging: cuts rows into blocks, writes parts, describes and commits the whole.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use tidemill_plan::{Digest, TableName, WriteMode};

use crate::blocks::{Blocks, bytes_of};
use crate::cache::{Decoded, compact};
use crate::digest::ContentDigest;
use crate::index::Index;
use crate::lake::{InMemory, Place, lock_tables, read_manifest};
use crate::leftovers::UNFINISHED;
use crate::manifest::{
    Block, CatalogState, MANIFEST_FILE, Manifest, Part, Provenance, TimeRange, is_part_file,
};
use crate::part::{Force, Parts, Reader};
use crate::{Durability, Lake, LakeError, WindowFolder, WriterOptions};

/// `Durability::Auto` forces tables of this size and more; see there.
const FORCED_BYTES_MIN: u64 = 1 << 20;

/// What the writer of a table fills.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) lake: Lake,
    pub(crate) window: WindowFolder,
    pub(crate) table: TableName,
    pub(crate) options: WriterOptions,
    /// Of the table, which may have columns that are not written.
    schema: SchemaRef,
    index: Option<Index>,
    catalog: Option<CatalogState>,
    blocks: Blocks,
    digest: ContentDigest,
    /// `None` in memory.
    parts: Option<Parts>,
    /// Of the files.
    file_schema: SchemaRef,
    kept: Option<Vec<RecordBatch>>,
    rows: u64,
    memory_bytes: u64,
    times: Option<TimeRange>,
}

impl Output {
    /// `catalog` for a table of a catalogue.
    pub(crate) fn new(
        lake: Lake,
        window: WindowFolder,
        table: TableName,
        options: WriterOptions,
        schema: SchemaRef,
        catalog: Option<CatalogState>,
    ) -> Result<Self, LakeError> {
        let file_schema = match &catalog {
            None => schema.clone(),
            Some(state) => crate::ducklake::file_schema(&schema, &state.column_ids),
        };
        let place = match &lake.inner.place {
            Place::Memory(_) => None,
            Place::Folder { root, .. } => {
                Some((root.join(window.to_string()).join(&table.0), Reader::Ourselves))
            }
            Place::Catalogued { root, .. } => {
                Some((crate::catalogued::folder_of(root, &table), Reader::Anybody))
            }
        };
        let parts = match place {
            None => None,
            Some((folder, reader)) => {
                create_folder(&lake, &folder)?;
                let (files, bytes_max) = (lake.inner.files.clone(), lake.inner.options.part_bytes_max);
                let (table, schema) = (table.clone(), file_schema.clone());
                Some(Parts::new(files, table, folder, &options.attempt, schema, reader, bytes_max))
            }
        };
        let index = Index::of(&schema, options.time_index.as_deref(), &options.identifiers);
        Ok(Self {
            lake,
            window,
            table,
            blocks: Blocks::new(schema.clone()),
            digest: ContentDigest::new(&schema),
            index,
            options,
            schema,
            catalog,
            parts,
            file_schema,
            kept: Some(Vec::new()),
            rows: 0,
            memory_bytes: 0,
            times: None,
        })
    }

    /// Takes away what was written.
    pub(crate) fn abort(&mut self) {
        let Some(parts) = &mut self.parts else { return };
        parts.abort();
        if self.catalog.is_none() {
            // Succeeds only when there was no table before.
            std::fs::remove_dir(parts.folder()).ok();
        }
    }

    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let full = self.blocks.push(batch).map_err(|e| LakeError::arrow(&self.table, "gather rows", &e))?;
        full.into_iter().try_for_each(|it| self.write_block(it))
    }

    /// Takes a part of the version before as it is, whose rows come after all that were pushed.
    pub(crate) fn carry(&mut self, part: Part, memory_bytes: u64) -> Result<(), LakeError> {
        self.write_last()?;
        let force = self.force();
        self.rows += part.rows();
        self.memory_bytes += memory_bytes;
        if let Some(range) = part.range() {
            self.times.get_or_insert(range).last = range.last;
        }
        self.kept = None;
        match &mut self.parts {
            Some(parts) => parts.carry(part, force),
            None => Ok(()),
        }
    }

    fn write_block(&mut self, block: RecordBatch) -> Result<(), LakeError> {
        self.digest.update(&block).map_err(|e| LakeError::arrow(&self.table, "hash rows", &e))?;
        self.memory_bytes += bytes_of(&block, 0, block.num_rows());
        self.rows += block.num_rows() as u64;
        if self.parts.is_some() && self.memory_bytes > self.lake.inner.cache.table_bytes_max() {
            self.kept = None;
        }
        self.write_rows(block)
    }

    fn range_of(&self, block: &RecordBatch) -> Option<TimeRange> {
        self.index.as_ref().map(|it| {
            let times = it.kind.values(block.column(it.time));
            TimeRange { first: it.kind.time(times[0]), last: it.kind.time(times[times.len() - 1]) }
        })
    }

    fn write_rows(&mut self, block: RecordBatch) -> Result<(), LakeError> {
        let range = self.range_of(&block);
        let last = self.times.map(|it| it.last);
        if let Some(range) = range {
            self.times.get_or_insert(range).last = range.last;
        }
        let force = self.force();
        let is_full = self.parts.as_ref().is_some_and(Parts::is_full);
        if self.catalog.is_some() && is_full {
            // No time is in two parts of a catalogued table: a later write then knows by times alone which parts it
            // meets.
            let tied = match (&self.index, last) {
                (Some(index), Some(last)) => {
                    let times = index.kind.values(block.column(index.time));
                    times.partition_point(|it| index.kind.time(*it) <= last)
                }
                _ => 0,
            };
            if tied > 0 {
                self.write_to_part(block.slice(0, tied))?;
            }
            if let Some(parts) = &mut self.parts {
                parts.close(force)?;
            }
            if tied < block.num_rows() {
                self.write_to_part(block.slice(tied, block.num_rows() - tied))?;
            }
            return Ok(());
        }
        self.write_to_part(block)?;
        match &mut self.parts {
            Some(parts) if self.catalog.is_none() && parts.is_full() => parts.close(force),
            _ => Ok(()),
        }
    }

    fn write_to_part(&mut self, rows: RecordBatch) -> Result<(), LakeError> {
        let block = Block { rows: rows.num_rows() as u64, range: self.range_of(&rows) };
        if let Some(parts) = &mut self.parts {
            if self.catalog.is_none() {
                parts.write(&rows, block)?;
            } else {
                let typed = retyped(&rows, &self.file_schema);
                let typed = typed.map_err(|e| LakeError::arrow(&self.table, "write rows", &e))?;
                parts.write(&typed, block)?;
            }
        }
        if let Some(kept) = &mut self.kept {
            kept.push(compact(rows));
        }
        Ok(())
    }

    fn force(&self) -> Force {
        if self.catalog.is_some() {
            // The commit is in a database that is durable by itself: what it names must be there.
            return match self.lake.inner.options.durability {
                Durability::Auto | Durability::Always => Force::Yes,
                Durability::Never => Force::No,
            };
        }
        match (self.lake.inner.options.durability, self.options.mode) {
            (Durability::Always, _) | (Durability::Auto, WriteMode::Append | WriteMode::Upsert) => Force::Yes,
            (Durability::Auto, WriteMode::Replace) => Force::FromBytes(FORCED_BYTES_MIN),
            (Durability::Never, _) => Force::No,
        }
    }

    fn write_last(&mut self) -> Result<(), LakeError> {
        let last = self.blocks.take().map_err(|e| LakeError::arrow(&self.table, "gather rows", &e))?;
        last.map_or(Ok(()), |it| self.write_block(it))
    }

    /// Writes what is left and describes the whole. `snapshot` where it is not the digest of the content.
    pub(crate) fn close(
        &mut self,
        provenance: Provenance,
        snapshot: Option<Digest>,
    ) -> Result<Manifest, LakeError> {
        self.write_last()?;
        let force = self.force();
        let parts = self.parts.as_mut().map(|it| it.finish(force)).transpose()?.unwrap_or_default();
        let options = &self.options;
        let digest = std::mem::replace(&mut self.digest, ContentDigest::new(&Schema::empty()));
        let content = digest.finish(options.time_index.as_deref(), &options.identifiers);
        Ok(Manifest {
            table: self.table.clone(),
            window: self.window,
            schema: self.schema.clone(),
            time_index: options.time_index.clone(),
            identifiers: options.identifiers.clone(),
            rows: self.rows,
            bytes: parts.iter().map(|it| it.bytes).sum(),
            memory_bytes: self.memory_bytes,
            time_range: self.times,
            parts,
            snapshot: snapshot.unwrap_or(content),
            mode: options.mode,
            attempt: options.attempt.clone(),
            provenance,
            written_at: crate::time::now(),
            catalog: self.catalog.clone(),
        })
    }

    pub(crate) fn commit(&mut self, manifest: &Manifest, base: Option<Digest>) -> Result<(), LakeError> {
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
            Place::Catalogued { root, .. } => {
                let folder = manifest.folder(root);
                if self.force() == Force::Yes {
                    lake.inner.files.sync_folder(&folder).map_err(|e| LakeError::io("sync", &folder, e))?;
                }
                self.parts.as_mut().expect("a lake in a folder writes parts").keep();
                if let Some(table) = kept {
                    lake.inner.cache.put(manifest.snapshot, table);
                }
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
            file.close(force)
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

/// The same rows under a schema whose types can hold them.
pub(crate) fn retyped(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        arrow::compute::cast_with_options(column, field.data_type(), &strict)
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}
