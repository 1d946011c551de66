//! Writes one version of a table: checks rows, merges them with those that are there, and commits.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tidemill_plan::{Digest, TableName, WriteMode};

use crate::blocks::bytes_of;
use crate::index::{Index, IndexCheck};
use crate::lake::Place;
use crate::manifest::{Manifest, Provenance};
use crate::merge::Merge;
use crate::output::Output;
use crate::progress::ProgressTracker;
use crate::revise::{self, Revision};
use crate::{KeyProgress, Lake, LakeError, ReadOptions, WindowFolder, WriterOptions};

/// Writes rows; `finish` makes them the table, dropping it instead leaves no trace.
#[derive(Debug)]
pub struct TableWriter {
    /// Rows and decoded bytes taken by `write`.
    rows_taken: u64,
    bytes_taken: u64,
    check: IndexCheck,
    way: Way,
    /// The snapshot that an append or upsert started from.
    base: Option<Digest>,
    /// Of a table of a catalogue.
    progress: Option<ProgressTracker>,
    output: Output,
    state: State,
}

/// What becomes of the rows that are there already.
#[derive(Debug)]
enum Way {
    /// There are none, or they go.
    Anew,
    /// All are read and written again.
    Merged(Box<Merge>),
    /// Only parts that new rows fall into are.
    Revised(Box<Revision>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Writing,
    /// A write was refused: committing what came before it would make a half table.
    Failed,
    Committed,
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
        if matches!(lake.inner.place, Place::Catalogued { .. }) {
            return Self::catalogued(lake, window, table, options, index);
        }
        let mut base = None;
        let mut way = Way::Anew;
        if options.mode != WriteMode::Replace
            && let Some(old) = lake.manifest(&window, &table)?
        {
            check_same_shape(&old, &options)?;
            base = Some(old.snapshot);
            let read = ReadOptions { batch_rows_max: Some(usize::MAX), ..ReadOptions::default() };
            let reader = lake.reader(&old, read)?;
            let merge = Merge::new(table.clone(), index.clone(), options.mode, reader);
            way = Way::Merged(Box::new(merge));
        }
        let schema = options.schema.clone();
        let output = Output::new(lake, window, table, options, schema, None)?;
        Ok(Self::with(IndexCheck::new(index), way, base, None, output))
    }

    fn catalogued(
        lake: Lake,
        window: WindowFolder,
        table: TableName,
        options: WriterOptions,
        index: Option<Index>,
    ) -> Result<Self, LakeError> {
        crate::ducklake::check_types(&table, &options.schema)?;
        let old = lake.manifest(&window, &table)?;
        let progress =
            index.as_ref().map(|it| ProgressTracker::new(&table, &options.schema, it)).transpose()?;
        let check = IndexCheck::new(index);
        match old {
            Some(old) if options.mode != WriteMode::Replace => {
                let base = Some(old.snapshot);
                let (schema, catalog) = revise::evolved(&old, &options)?;
                let revision = Revision::new(lake.clone(), old, &options, &schema, &catalog);
                let output = Output::new(lake, window, table, options, schema, Some(catalog))?;
                Ok(Self::with(check, Way::Revised(Box::new(revision)), base, progress, output))
            }
            old => {
                let catalog = crate::ducklake::assign_ids(&options.schema, old.as_ref());
                let schema = options.schema.clone();
                let output = Output::new(lake, window, table, options, schema, Some(catalog))?;
                Ok(Self::with(check, Way::Anew, None, progress, output))
            }
        }
    }

    fn with(
        check: IndexCheck,
        way: Way,
        base: Option<Digest>,
        progress: Option<ProgressTracker>,
        output: Output,
    ) -> Self {
        Self { rows_taken: 0, bytes_taken: 0, check, way, base, progress, output, state: State::Writing }
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

    /// The last time of each identifier among the rows taken so far, sorted by identifiers. Only a writer of a catalogued
    /// lake keeps it, of a table with a time index, and gives up past [`crate::IDENTIFIERS_MAX`].
    #[must_use]
    pub fn progress(&self) -> Option<Vec<KeyProgress>> {
        self.progress.as_ref().and_then(ProgressTracker::progress)
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
        let Self { check, way, output, progress, .. } = self;
        let batch = crate::shape::conform(&output.table, &output.options.schema, batch, self.rows_taken)?;
        check
            .check(&batch)
            .map_err(|e| LakeError::arrow(&output.table, "compare rows", &e))?
            .map_err(|it| LakeError::violation(&output.table, it))?;
        match way {
            Way::Anew => output.push(&batch)?,
            Way::Merged(merge) => merge.push(&batch, self.rows_taken, &mut |merged| output.push(merged))?,
            Way::Revised(revision) => revision.push(&batch, self.rows_taken, output)?,
        }
        if let Some(progress) = progress {
            progress.take(&batch).map_err(|e| LakeError::arrow(&output.table, "find the last times", &e))?;
        }
        self.rows_taken += batch.num_rows() as u64;
        self.bytes_taken += bytes_of(&batch, 0, batch.num_rows());
        Ok(())
    }

    /// Commits: from here on the table is what was written. An append or upsert is `Replaced` when the table is no
    /// longer the one that it started from. In a catalogued lake the files are there and nobody sees them: the manifest
    /// tells the catalogue what to commit, and is the one that was there before where nothing was added to it.
    pub fn finish(mut self, provenance: Provenance) -> Result<Manifest, LakeError> {
        if self.state != State::Writing {
            let cause = "rows were refused before".to_owned();
            return Err(LakeError::Format { table: self.output.table.clone(), verb: "commit", cause });
        }
        let Self { way, output, base, .. } = &mut self;
        let mut snapshot = None;
        match way {
            Way::Anew => {}
            Way::Merged(merge) => merge.rest(&mut |merged| output.push(merged))?,
            Way::Revised(revision) => match revision.finish(output)? {
                None => return Ok(revision.take_base()),
                digest => snapshot = digest,
            },
        }
        let manifest = output.close(provenance, snapshot)?;
        output.commit(&manifest, *base)?;
        self.state = State::Committed;
        Ok(manifest)
    }
}

impl Drop for TableWriter {
    fn drop(&mut self) {
        if self.state != State::Committed {
            self.output.abort();
        }
    }
}

fn check_same_shape(old: &Manifest, options: &WriterOptions) -> Result<(), LakeError> {
    check_same_index(old, options)?;
    let columns = |schema: &SchemaRef| {
        let fields = schema.fields().iter();
        fields.map(|it| format!("`{}` {}", it.name(), it.data_type())).collect::<Vec<_>>().join(", ")
    };
    let (before, now) = (columns(&old.schema), columns(&options.schema));
    if before == now {
        return Ok(());
    }
    let (expected, found) = (format!("columns {before}"), format!("columns {now}"));
    Err(LakeError::SchemaDiffers { table: old.table.clone(), expected, found })
}

pub(crate) fn check_same_index(old: &Manifest, options: &WriterOptions) -> Result<(), LakeError> {
    if old.time_index == options.time_index && old.identifiers == options.identifiers {
        return Ok(());
    }
    let index = |time: Option<&String>, identifiers: &[String]| {
        format!("the index ({})", time.into_iter().chain(identifiers).cloned().collect::<Vec<_>>().join(", "))
    };
    Err(LakeError::SchemaDiffers {
        table: old.table.clone(),
        expected: index(old.time_index.as_ref(), &old.identifiers),
        found: index(options.time_index.as_ref(), &options.identifiers),
    })
}
