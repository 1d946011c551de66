//! What an append or upsert makes of a catalogued table: parts that new rows fall into are written again with them,
//! small neighbours with those, and all other parts stay as they are. So parts stay sorted and apart, an addition costs
//! what it adds, and the number of parts grows with the logarithm of the number of additions.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use tidemill_plan::{Digest, TableName, Time, WriteMode};

use crate::blocks::bytes_of;
use crate::digest::ContentDigest;
use crate::index::Index;
use crate::manifest::{CatalogState, Manifest, Part};
use crate::merge::Merge;
use crate::output::Output;
use crate::reader::TableReader;
use crate::writer::check_same_index;
use crate::{Lake, LakeError, WriterOptions};

/// New rows are held back up to here, so that it is known what they come to before any part is chosen. A write that is
/// larger begins with what it knows then.
const HELD_BYTES_MAX: u64 = if cfg!(test) { 2 << 10 } else { 32 << 20 };
/// Parts from this share of a full part on are never written again only because they have a neighbour.
const SETTLED_SHARE: u64 = 4;

#[derive(Debug)]
pub(crate) struct Revision {
    lake: Lake,
    table: TableName,
    /// The version before, with the columns of the new one.
    base: Manifest,
    /// As it was given.
    before: Manifest,
    index: Option<Index>,
    mode: WriteMode,
    /// Of the rows that are written.
    digest: ContentDigest,
    rows: u64,
    /// For each column of the table, where it stands in the rows that are written.
    positions: Vec<Option<usize>>,
    held: Vec<RecordBatch>,
    held_bytes: u64,
    walk: Option<Walk>,
}

/// How far the new version has come through the parts of the old one.
#[derive(Debug)]
struct Walk {
    /// The part that comes next.
    next: usize,
    /// Parts that are written again though no row may fall into them.
    chosen: Vec<bool>,
    current: Option<Run>,
}

/// Parts that are being read, and the last time in them.
#[derive(Debug)]
struct Run {
    merge: Merge,
    last: Time,
}

/// The columns that the table has from now on, and their ids: those it has, then new ones.
pub(crate) fn evolved(
    base: &Manifest,
    options: &WriterOptions,
) -> Result<(SchemaRef, CatalogState), LakeError> {
    check_same_index(base, options)?;
    let columns = |schema: &Schema| {
        let shown = schema.fields().iter().map(|it| {
            let nullable = if it.is_nullable() { " nullable" } else { "" };
            format!("`{}` {}{nullable}", it.name(), it.data_type())
        });
        format!("columns {}", shown.collect::<Vec<_>>().join(", "))
    };
    let differs = || LakeError::SchemaDiffers {
        table: base.table.clone(),
        expected: columns(&base.schema),
        found: columns(&options.schema),
    };
    let mut fields: Vec<Field> = Vec::new();
    for field in base.schema.fields() {
        let mut field = field.as_ref().clone();
        match options.schema.field_with_name(field.name()) {
            Ok(now) if !now.data_type().equals_datatype(field.data_type()) => return Err(differs()),
            Ok(now) => {
                let is_nullable = field.is_nullable() || now.is_nullable();
                field.set_nullable(is_nullable);
            }
            // Rows without it are null there.
            Err(_) if field.is_nullable() => {}
            Err(_) => return Err(differs()),
        }
        fields.push(field);
    }
    for field in options.schema.fields() {
        if base.schema.field_with_name(field.name()).is_err() {
            if !field.is_nullable() {
                return Err(differs());
            }
            fields.push(field.as_ref().clone());
        }
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, base.schema.metadata().clone()));
    let catalog = crate::ducklake::assign_ids(&schema, Some(base));
    Ok((schema, catalog))
}

impl Revision {
    pub(crate) fn new(
        lake: Lake,
        before: Manifest,
        options: &WriterOptions,
        schema: &SchemaRef,
        catalog: &CatalogState,
    ) -> Self {
        let index = Index::of(schema, options.time_index.as_deref(), &options.identifiers);
        let positions = schema.fields().iter().map(|it| options.schema.index_of(it.name()).ok()).collect();
        let mut base = before.clone();
        base.schema = schema.clone();
        base.catalog = Some(catalog.clone());
        Self {
            lake,
            table: base.table.clone(),
            base,
            before,
            index,
            mode: options.mode,
            digest: ContentDigest::new(&options.schema),
            rows: 0,
            positions,
            held: Vec::new(),
            held_bytes: 0,
            walk: None,
        }
    }

    /// The version that this began with.
    pub(crate) fn take_base(&self) -> Manifest {
        self.before.clone()
    }

    /// `batch` is sorted and comes after all before it, which were `rows` rows.
    pub(crate) fn push(
        &mut self,
        batch: &RecordBatch,
        rows: u64,
        output: &mut Output,
    ) -> Result<(), LakeError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.digest.update(batch).map_err(|e| LakeError::arrow(&self.table, "hash rows", &e))?;
        self.rows += batch.num_rows() as u64;
        let batch = self.adapted(batch)?;
        if self.walk.is_some() {
            return self.feed(&batch, rows, output);
        }
        self.held_bytes += bytes_of(&batch, 0, batch.num_rows());
        self.held.push(batch);
        if self.held_bytes > HELD_BYTES_MAX { self.begin(output) } else { Ok(()) }
    }

    /// Writes what is left; the snapshot of the new version, `None` when no row was written.
    pub(crate) fn finish(&mut self, output: &mut Output) -> Result<Option<Digest>, LakeError> {
        if self.rows == 0 {
            return Ok(None);
        }
        if self.walk.is_none() {
            self.begin(output)?;
        }
        self.end_run(output)?;
        while self.next_part().is_some() {
            self.pass_part(output)?;
        }
        let empty = ContentDigest::new(&Schema::empty());
        let options = (self.base.time_index.as_deref(), &self.base.identifiers);
        let written = std::mem::replace(&mut self.digest, empty).finish(options.0, options.1);
        let mode = match self.mode {
            WriteMode::Append => "append",
            WriteMode::Upsert => "upsert",
            WriteMode::Replace => "replace",
        };
        Ok(Some(Digest::of(format!("{} {written} {mode}", self.base.snapshot).as_bytes())))
    }

    /// The rows with the table's columns.
    fn adapted(&self, batch: &RecordBatch) -> Result<RecordBatch, LakeError> {
        let columns =
            self.positions.iter().zip(self.base.schema.fields()).map(|(position, field)| match position {
                Some(position) => batch.column(*position).clone(),
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
        let batch = RecordBatch::try_new(self.base.schema.clone(), columns.collect());
        batch.map_err(|e| LakeError::arrow(&self.table, "take rows", &e))
    }

    fn begin(&mut self, output: &mut Output) -> Result<(), LakeError> {
        let held = std::mem::take(&mut self.held);
        let chosen = if is_foreign(&self.base) {
            vec![true; self.base.parts.len()]
        } else {
            chosen(
                &self.base.parts,
                &new_rows(&self.base.parts, &held, self.index.as_ref()),
                self.settled_bytes(),
            )
        };
        self.walk = Some(Walk { next: 0, chosen, current: None });
        let mut rows = 0;
        for batch in held {
            self.feed(&batch, rows, output)?;
            rows += batch.num_rows() as u64;
        }
        Ok(())
    }

    fn settled_bytes(&self) -> u64 {
        self.lake.inner.options.part_bytes_max / SETTLED_SHARE
    }

    fn feed(&mut self, batch: &RecordBatch, rows: u64, output: &mut Output) -> Result<(), LakeError> {
        let Some(index) = self.index.clone() else {
            // Without order, what is new comes after what was there.
            while self.next_part().is_some() {
                self.pass_part(output)?;
                self.end_run(output)?;
            }
            return output.push(batch);
        };
        let values = index.kind.values(batch.column(index.time));
        // The first row from `at` on for which `is_later` holds.
        let until = |at: usize, is_later: &dyn Fn(Time) -> bool| {
            at + values[at..].partition_point(|it| !is_later(index.kind.time(*it)))
        };
        let mut at = 0;
        while at < batch.num_rows() {
            if let Some(run) = self.walk.as_mut().and_then(|it| it.current.as_mut()) {
                let last = run.last;
                let end = until(at, &|it| it > last);
                if end > at {
                    let slice = batch.slice(at, end - at);
                    run.merge.push(&slice, rows + at as u64, &mut |merged| output.push(merged))?;
                }
                at = end;
                if at < batch.num_rows() {
                    self.end_run(output)?;
                }
                continue;
            }
            let Some((part, is_chosen)) = self.next_part() else {
                output.push(&batch.slice(at, batch.num_rows() - at))?;
                return Ok(());
            };
            let time = index.kind.time(values[at]);
            match part.range() {
                // Nothing is in it.
                None if !is_chosen => self.skip_part(),
                Some(range) if !is_chosen && time > range.last => self.pass_part(output)?,
                Some(range) if !is_chosen && time < range.first => {
                    let end = until(at, &|it| it >= range.first);
                    output.push(&batch.slice(at, end - at))?;
                    at = end;
                }
                _ => self.begin_run()?,
            }
        }
        Ok(())
    }

    fn next_part(&self) -> Option<(&Part, bool)> {
        let walk = self.walk.as_ref()?;
        Some((self.base.parts.get(walk.next)?, walk.chosen[walk.next]))
    }

    fn skip_part(&mut self) {
        if let Some(walk) = &mut self.walk {
            walk.next += 1;
        }
    }

    /// Takes the next part over, as it is or with all of its rows.
    fn pass_part(&mut self, output: &mut Output) -> Result<(), LakeError> {
        let Some((part, is_chosen)) = self.next_part() else { return Ok(()) };
        if is_chosen {
            self.begin_run()?;
            return self.end_run(output);
        }
        let part = part.clone();
        self.skip_part();
        if part.rows() == 0 {
            return Ok(());
        }
        // Of the whole, by rows: what it takes in memory is not kept for each part.
        let share = u128::from(self.base.memory_bytes) * u128::from(part.rows());
        let memory_bytes = share / u128::from(self.base.rows.max(1));
        output.carry(part, u64::try_from(memory_bytes).unwrap_or(u64::MAX))
    }

    /// Begins to read the next part, and with it those that begin at the time at which it ends.
    fn begin_run(&mut self) -> Result<(), LakeError> {
        let Some(walk) = &mut self.walk else { return Ok(()) };
        let from = walk.next;
        let (reader, last) = if is_foreign(&self.base) {
            // In no order: only the whole is.
            walk.next = self.base.parts.len();
            (TableReader::of_parts(&self.lake, &self.base)?, Time(i64::MAX))
        } else {
            let range = |position: usize| self.base.parts.get(position).and_then(Part::range);
            let mut last = range(from).map_or(Time(i64::MIN), |it| it.last);
            let mut to = from + 1;
            while let Some(next) = range(to).filter(|it| it.first <= last) {
                last = last.max(next.last);
                to += 1;
            }
            walk.next = to;
            let mut some = self.base.clone();
            some.parts = self.base.parts[from..to].to_vec();
            (TableReader::of_parts(&self.lake, &some)?, last)
        };
        let merge = Merge::new(self.table.clone(), self.index.clone(), self.mode, reader);
        walk.current = Some(Run { merge, last });
        Ok(())
    }

    fn end_run(&mut self, output: &mut Output) -> Result<(), LakeError> {
        match self.walk.as_mut().and_then(|it| it.current.take()) {
            Some(mut run) => run.merge.rest(&mut |merged| output.push(merged)),
            None => Ok(()),
        }
    }
}

pub(crate) fn is_foreign(manifest: &Manifest) -> bool {
    manifest.parts.iter().any(|it| it.foreign.is_some())
}

/// How many new rows fall before each part and into it; the last entry is of those after all parts.
fn new_rows(parts: &[Part], held: &[RecordBatch], index: Option<&Index>) -> Vec<(u64, u64)> {
    let mut counts = vec![(0, 0); parts.len() + 1];
    let Some(index) = index else {
        counts[parts.len()].0 = held.iter().map(|it| it.num_rows() as u64).sum();
        return counts;
    };
    let mut at = 0;
    for batch in held {
        for value in index.kind.values(batch.column(index.time)).iter() {
            let time = index.kind.time(*value);
            while parts.get(at).is_some_and(|it| it.range().is_none_or(|it| it.last < time)) {
                at += 1;
            }
            let is_inside = parts.get(at).and_then(Part::range).is_some_and(|it| it.first <= time);
            if is_inside { counts[at].1 += 1 } else { counts[at].0 += 1 }
        }
    }
    counts
}

/// Which parts are written again: those that get rows, then their neighbours as long as they are not larger than what is
/// written already. So each row is written again only when it comes to lie in a part of twice the size.
fn chosen(parts: &[Part], new_rows: &[(u64, u64)], settled_bytes: u64) -> Vec<bool> {
    let mut chosen: Vec<bool> = (0..parts.len()).map(|it| new_rows[it].1 > 0).collect();
    let weight = |at: usize| parts[at].rows() + new_rows[at].1;
    let may = |at: usize, than: u64| weight(at) <= than && parts[at].bytes < settled_bytes;
    loop {
        let before = chosen.clone();
        // Places in order: a gap, a part, a gap, … A group is what lies between two parts that are not chosen.
        let mut from = 0;
        while from <= parts.len() {
            let mut to = from;
            let mut written = new_rows[from].0;
            while to < parts.len() && chosen[to] {
                written += weight(to) + new_rows[to + 1].0;
                to += 1;
            }
            if written > 0 {
                if from > 0 && may(from - 1, written) {
                    chosen[from - 1] = true;
                }
                if to < parts.len() && may(to, written) {
                    chosen[to] = true;
                }
            }
            from = to + 1;
        }
        if chosen == before {
            return chosen;
        }
    }
}
