//! Reads a table: only the columns and blocks asked for, cut to the time range exactly.
//!
//! Batches end where blocks end, and inside a block at multiples of `batch_rows_max` from its start. So a task sees the
//! same batches whether a table comes from disk or from the cache, and at every run.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tidemill_plan::{Digest, TableName, Time};

use crate::cache::Decoded;
use crate::catalogued::file_of;
use crate::decode::{PartReader, Rows, Undecoded, unread};
use crate::index::Index;
use crate::lake::{Place, lock_tables};
use crate::manifest::{Block, Manifest};
use crate::revise::is_foreign;
use crate::shape::unknown_column;
use crate::time::TimeKind;
use crate::{Lake, LakeError, ReadOptions};

const BATCH_ROWS_MAX: usize = 65_536;
/// A table up to this size is decoded whole when any of it is read: it will be read again by a neighbour, and decoding
/// it takes milliseconds.
const LOAD_WHOLE_BYTES_MAX: u64 = 16 << 20;

/// Streams the batches of one snapshot.
#[derive(Debug)]
pub struct TableReader {
    table: TableName,
    /// Of the batches: the columns asked for.
    schema: SchemaRef,
    /// Positions of these columns in the table.
    columns: Vec<usize>,
    range: Range,
    batch_rows_max: usize,
    origin: Origin,
    /// The next block of `origin`.
    next: usize,
    current: Option<Current>,
    keep: Option<Keep>,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    /// Position of the time index in the table; `None`: there is none, or all times are read.
    time: Option<(usize, TimeKind)>,
    start: Option<Time>,
    end: Option<Time>,
}

#[derive(Debug)]
enum Origin {
    Decoded(Arc<Decoded>),
    Parts {
        schema: SchemaRef,
        folder: PathBuf,
        parts: Vec<PartReader>,
        names: Vec<String>,
        blocks: Vec<BlockPlace>,
    },
}

/// A block that overlaps the range.
#[derive(Debug)]
struct BlockPlace {
    part: usize,
    group: usize,
    block: Block,
}

/// Rows of a block that are wanted, being handed out.
#[derive(Debug)]
struct Current {
    rows: RecordBatch,
    /// Where `rows` begins in its block.
    offset: usize,
    done: usize,
}

/// Collects what a full read decodes, for the cache.
#[derive(Debug)]
struct Keep {
    lake: Lake,
    snapshot: Digest,
    blocks: Vec<RecordBatch>,
    bytes: u64,
}

impl TableReader {
    pub(crate) fn open(lake: &Lake, manifest: &Manifest, options: &ReadOptions) -> Result<Self, LakeError> {
        let table = &manifest.table;
        let columns = match &options.columns {
            None => (0..manifest.schema.fields().len()).collect(),
            Some(names) => positions_of(manifest, names)?,
        };
        let schema =
            manifest.schema.project(&columns).map_err(|e| LakeError::arrow(table, "read columns", &e))?;
        let range = Range::of(manifest, options);
        let reads_all = range.time.is_none() && columns.iter().copied().eq(0..manifest.schema.fields().len());
        let (origin, keep) = Self::origin(lake, manifest, range, reads_all)?;
        Ok(Self {
            table: table.clone(),
            schema: Arc::new(schema),
            columns,
            range,
            batch_rows_max: options.batch_rows_max.unwrap_or(BATCH_ROWS_MAX).max(1),
            origin,
            next: 0,
            current: None,
            keep,
        })
    }

    /// All of these parts, past the cache: they need not be all of the snapshot.
    pub(crate) fn of_parts(lake: &Lake, manifest: &Manifest) -> Result<Self, LakeError> {
        let range = Range { time: None, start: None, end: None };
        let origin = if is_foreign(manifest) {
            Origin::Decoded(crate::foreign::load(lake, manifest)?)
        } else {
            open_parts(lake, manifest, range)?
        };
        Ok(Self {
            table: manifest.table.clone(),
            schema: manifest.schema.clone(),
            columns: (0..manifest.schema.fields().len()).collect(),
            range,
            batch_rows_max: usize::MAX,
            origin,
            next: 0,
            current: None,
            keep: None,
        })
    }

    fn origin(
        lake: &Lake,
        manifest: &Manifest,
        range: Range,
        reads_all: bool,
    ) -> Result<(Origin, Option<Keep>), LakeError> {
        if let Place::Memory(tables) = &lake.inner.place {
            let found = lock_tables(tables).get(&(manifest.window, manifest.table.clone())).cloned();
            let found = found.filter(|it| it.manifest.snapshot == manifest.snapshot);
            let found = found.ok_or_else(|| LakeError::Replaced { table: manifest.table.clone() })?;
            return Ok((Origin::Decoded(found.table), None));
        }
        if let Some(table) = lake.inner.cache.get(&manifest.snapshot) {
            return Ok((Origin::Decoded(table), None));
        }
        if is_foreign(manifest) {
            let table = crate::foreign::load(lake, manifest)?;
            lake.inner.cache.put(manifest.snapshot, table.clone());
            return Ok((Origin::Decoded(table), None));
        }
        let fits = manifest.memory_bytes <= lake.inner.cache.table_bytes_max();
        if fits && !reads_all && manifest.memory_bytes <= LOAD_WHOLE_BYTES_MAX {
            let mut whole = Self::open(lake, manifest, &ReadOptions::default())?;
            while whole.next_batch()?.is_some() {}
            if let Some(table) = lake.inner.cache.get(&manifest.snapshot) {
                return Ok((Origin::Decoded(table), None));
            }
        }
        let origin = open_parts(lake, manifest, range)?;
        let keep = Keep { lake: lake.clone(), snapshot: manifest.snapshot, blocks: Vec::new(), bytes: 0 };
        Ok((origin, (fits && reads_all).then_some(keep)))
    }

    /// Of the batches, also when there are none.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Passes over whole blocks of at most so many rows, without reading them; how many rows that were. To be called
    /// before the first batch is taken.
    pub(crate) fn skip_blocks(&mut self, rows_max: u64) -> u64 {
        let mut skipped = 0;
        loop {
            let rows = match &self.origin {
                Origin::Decoded(table) => table.blocks.get(self.next).map(|it| {
                    let rows = self.range.rows_of(it);
                    (rows.to - rows.from) as u64
                }),
                // Of a block that the range cuts, only its times tell how many.
                Origin::Parts { blocks, .. } => blocks
                    .get(self.next)
                    .filter(|it| self.range.time.is_none() || self.range.covers(&it.block))
                    .map(|it| it.block.rows),
            };
            let Some(rows) = rows.filter(|it| skipped + it <= rows_max) else { return skipped };
            skipped += rows;
            self.next += 1;
            // What is not read whole is not kept.
            self.keep = None;
        }
    }

    /// The next batch, never empty; `None` at the end. `Damaged` when a file does not hold what was written.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(batch) = current.next(self.batch_rows_max) {
                    return Ok(Some(batch));
                }
                self.current = None;
            }
            let Some(current) = self.next_block()? else {
                self.keep_all();
                return Ok(None);
            };
            if let Some(keep) = &mut self.keep {
                keep.bytes += crate::blocks::bytes_of(&current.rows, 0, current.rows.num_rows());
                keep.blocks.push(current.rows.clone());
                // The manifest said that it fits; trust the data more.
                if keep.bytes > keep.lake.inner.cache.table_bytes_max() {
                    self.keep = None;
                }
            }
            self.current = Some(current);
        }
    }

    fn keep_all(&mut self) {
        if let Some(Keep { lake, snapshot, blocks, bytes }) = self.keep.take() {
            lake.inner.cache.put(snapshot, Arc::new(Decoded { blocks, bytes }));
        }
    }

    fn next_block(&mut self) -> Result<Option<Current>, LakeError> {
        let position = self.next;
        self.next += 1;
        match &mut self.origin {
            Origin::Decoded(table) => {
                let Some(block) = table.blocks.get(position) else { return Ok(None) };
                let rows = self.range.rows_of(block);
                let rows_wanted = block
                    .slice(rows.from, rows.to - rows.from)
                    .project(&self.columns)
                    .and_then(|it| it.with_schema(self.schema.clone()))
                    .map_err(|e| LakeError::arrow(&self.table, "read columns", &e))?;
                Ok(Some(Current { rows: rows_wanted, offset: rows.from, done: 0 }))
            }
            Origin::Parts { schema, folder, parts, names, blocks } => {
                let Some(BlockPlace { part, group, block }) = blocks.get(position) else { return Ok(None) };
                // Blocks come in order: those before are done with.
                if *part > 0 {
                    parts[*part - 1].forget();
                }
                let failed = |e: Undecoded| e.of(&self.table, &names[*part], &folder.join(&names[*part]));
                let file = &mut parts[*part];
                let all = Rows { from: 0, to: usize::try_from(block.rows).unwrap_or(usize::MAX) };
                let rows = match self.range.time {
                    Some((time, kind)) if !self.range.covers(block) => {
                        // Sorted, so the time column alone tells the rows; the others are decoded only there.
                        let time_only =
                            Arc::new(schema.project(&[time]).map_err(|e| failed(e.to_string().into()))?);
                        let times = file.decode(*group, all, &[time], &time_only).map_err(failed)?;
                        let (from, to) = kind.range_of(times.column(0), self.range.start, self.range.end);
                        Rows { from, to }
                    }
                    _ => all,
                };
                let rows_wanted = file.decode(*group, rows, &self.columns, &self.schema).map_err(failed)?;
                Ok(Some(Current { rows: rows_wanted, offset: rows.from, done: 0 }))
            }
        }
    }
}

impl Iterator for TableReader {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

impl Current {
    fn next(&mut self, batch_rows_max: usize) -> Option<RecordBatch> {
        let left = self.rows.num_rows() - self.done;
        if left == 0 {
            return None;
        }
        let to_cut = batch_rows_max - (self.offset + self.done) % batch_rows_max;
        let batch = self.rows.slice(self.done, to_cut.min(left));
        self.done += batch.num_rows();
        Some(batch)
    }
}

impl Range {
    fn of(manifest: &Manifest, options: &ReadOptions) -> Self {
        let all = Self { time: None, start: None, end: None };
        let index = Index::of(&manifest.schema, manifest.time_index.as_deref(), &[]);
        let (Some(index), Some(times)) = (index, manifest.time_range) else { return all };
        let range = Self { time: Some((index.time, index.kind)), start: options.start, end: options.end };
        // A range around everything is no range: such a read may fill the cache.
        let whole = Block { rows: manifest.rows, range: Some(times) };
        if range.covers(&whole) { all } else { range }
    }

    /// True when every row of the block is wanted.
    fn covers(&self, block: &Block) -> bool {
        let Some(times) = block.range else { return true };
        self.start.is_none_or(|it| it <= times.first) && self.end.is_none_or(|it| times.last < it)
    }

    /// False when no row of the block can be wanted. A time that does not fit nanoseconds stands at their end, so the
    /// last nanosecond is never excluded here.
    fn overlaps(&self, block: &Block) -> bool {
        let Some(times) = block.range else { return true };
        self.time.is_none()
            || (self.start.is_none_or(|it| it <= times.last) && self.end.is_none_or(|it| times.first < it))
    }

    fn rows_of(&self, block: &RecordBatch) -> Rows {
        match self.time {
            None => Rows { from: 0, to: block.num_rows() },
            Some((time, kind)) => {
                let (from, to) = kind.range_of(block.column(time), self.start, self.end);
                Rows { from, to }
            }
        }
    }
}

fn positions_of(manifest: &Manifest, names: &[String]) -> Result<Vec<usize>, LakeError> {
    let mut positions = Vec::with_capacity(names.len());
    for name in names {
        let position = manifest.schema.index_of(name).ok();
        let position = position.ok_or_else(|| unknown_column(&manifest.table, &manifest.schema, name))?;
        if positions.contains(&position) {
            return Err(LakeError::ColumnTwice { table: manifest.table.clone(), column: name.clone() });
        }
        positions.push(position);
    }
    Ok(positions)
}

/// Opens the parts that hold wanted blocks, all at once, so that a replace from now on does no harm.
fn open_parts(lake: &Lake, manifest: &Manifest, range: Range) -> Result<Origin, LakeError> {
    let root = lake.root().expect("a lake in memory has no parts");
    let folder = manifest.folder(root);
    let ids = crate::ducklake::root_ids(manifest).map(Arc::new);
    let (mut parts, mut names, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    for part in &manifest.parts {
        let wanted: Vec<_> =
            part.blocks.iter().enumerate().filter(|(_, block)| range.overlaps(block)).collect();
        if wanted.is_empty() {
            continue;
        }
        let path = file_of(&folder, &part.file);
        match PartReader::open(lake.inner.files.as_ref(), &path, part.bytes, ids.clone()) {
            Ok(reader) => parts.push(reader),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(vanished(lake, root, manifest, &part.file));
            }
            Err(e) => return Err(unread(&manifest.table, &part.file, &path, e)),
        }
        names.push(part.file.clone());
        let part = parts.len() - 1;
        blocks.extend(wanted.into_iter().map(|(group, block)| BlockPlace {
            part,
            group,
            block: block.clone(),
        }));
    }
    Ok(Origin::Parts { schema: manifest.schema.clone(), folder, parts, names, blocks })
}

/// Tells a table that was replaced or removed meanwhile from one whose file is lost.
fn vanished(lake: &Lake, root: &std::path::Path, manifest: &Manifest, part: &str) -> LakeError {
    let current = match &lake.inner.place {
        Place::Catalogued { manifests, .. } => manifests.current(&manifest.table),
        Place::Folder { .. } | Place::Memory(_) => {
            crate::lake::read_manifest(root, &manifest.window, &manifest.table)
        }
    };
    match current {
        Ok(Some(current)) if current.parts == manifest.parts => LakeError::Damaged {
            table: manifest.table.clone(),
            part: part.to_owned(),
            cause: "is missing".into(),
        },
        _ => LakeError::Replaced { table: manifest.table.clone() },
    }
}
