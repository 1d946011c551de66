//! The digest of a table's content: equal for equal tables, however the rows were cut into batches and whatever
//! lies in slots that mean nothing (under nulls, in unused bits, in unreferenced dictionary values).
//!
//! Each column is hashed by itself as up to three streams — positions of nulls, lengths, values — whose bytes depend
//! only on the rows. Values under nulls are left out. A dictionary counts as its values.

#![expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: the rest is told apart by layout")]

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, filter};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use tidemill_plan::Digest;

use crate::{Lake, LakeError, Manifest, ReadOptions};

/// The digest of what is stored of a table, which its manifest's snapshot should be.
pub(crate) fn digest_of(lake: &Lake, manifest: &Manifest) -> Result<Digest, LakeError> {
    let mut reader = lake.reader(manifest, ReadOptions::default())?;
    let mut content = ContentDigest::new(&manifest.schema);
    while let Some(batch) = reader.next_batch()? {
        content.update(&batch).map_err(|e| LakeError::arrow(&manifest.table, "digest", &e))?;
    }
    Ok(content.finish(manifest.time_index.as_deref(), &manifest.identifiers))
}

/// Feeds on batches in order.
#[derive(Debug)]
pub(crate) struct ContentDigest {
    schema: Vec<u8>,
    rows: u64,
    columns: Vec<ColumnDigest>,
}

impl ContentDigest {
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            schema: crate::manifest::schema_bytes(schema),
            rows: 0,
            columns: schema.fields().iter().map(|_| ColumnDigest::default()).collect(),
        }
    }

    pub(crate) fn update(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows() as u64;
        for (digest, column) in self.columns.iter_mut().zip(batch.columns()) {
            digest.update(column, column.logical_nulls().as_ref())?;
        }
        Ok(())
    }

    /// `index` tells apart tables that differ only in what their index is.
    pub(crate) fn finish(self, time_index: Option<&str>, identifiers: &[String]) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tidemill table 1");
        sized(&mut hasher, &self.schema);
        sized(&mut hasher, time_index.unwrap_or_default().as_bytes());
        hasher.update(&(identifiers.len() as u64).to_le_bytes());
        for identifier in identifiers {
            sized(&mut hasher, identifier.as_bytes());
        }
        hasher.update(&self.rows.to_le_bytes());
        for column in &self.columns {
            column.finish(&mut hasher);
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

fn sized(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

#[derive(Debug, Default)]
struct ColumnDigest {
    rows: u64,
    nulls: Option<blake3::Hasher>,
    lengths: Option<blake3::Hasher>,
    values: Option<blake3::Hasher>,
    children: Vec<Self>,
}

impl ColumnDigest {
    fn finish(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.rows.to_le_bytes());
        for stream in [&self.nulls, &self.lengths, &self.values] {
            // A stream that was never fed hashes as one that was fed nothing.
            let digest = stream.as_ref().map_or_else(|| blake3::hash(b""), blake3::Hasher::finalize);
            hasher.update(digest.as_bytes());
        }
        hasher.update(&(self.children.len() as u64).to_le_bytes());
        for child in &self.children {
            child.finish(hasher);
        }
    }

    /// `nulls` are the array's own with those of the structs around it.
    fn update(&mut self, array: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<(), ArrowError> {
        let nulls = nulls.filter(|it| it.null_count() > 0);
        if let Some(nulls) = nulls {
            let hasher = self.nulls.get_or_insert_default();
            let rows = nulls.iter().enumerate().filter(|(_, is_valid)| !is_valid);
            for (row, _) in rows {
                hasher.update(&(self.rows + row as u64).to_le_bytes());
            }
        }
        self.rows += array.len() as u64;
        if let DataType::Struct(fields) = array.data_type() {
            self.children.resize_with(fields.len(), Self::default);
            for (digest, child) in self.children.iter_mut().zip(array.as_struct().columns()) {
                digest.update(child, NullBuffer::union(nulls, child.logical_nulls().as_ref()).as_ref())?;
            }
            return Ok(());
        }
        match nulls {
            None => self.update_values(array),
            Some(nulls) => self.update_values(&filter(array, &nulls.inner().clone().into())?),
        }
    }

    /// The array's nulls are out.
    fn update_values(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        match array.data_type() {
            DataType::Null => {}
            DataType::Boolean => {
                let bytes: Vec<u8> = array.as_boolean().values().iter().map(u8::from).collect();
                self.values.get_or_insert_default().update(&bytes);
            }
            DataType::Binary => {
                let array = array.as_binary::<i32>();
                self.update_lengths(array.value_offsets().windows(2).map(|it| i64::from(it[1] - it[0])));
                self.update_bytes(array.values(), array.value_offsets().iter().map(|it| *it as usize));
            }
            DataType::LargeBinary => {
                let array = array.as_binary::<i64>();
                self.update_lengths(array.value_offsets().windows(2).map(|it| it[1] - it[0]));
                self.update_bytes(array.values(), array.value_offsets().iter().map(|it| *it as usize));
            }
            DataType::Utf8 => self.update_values(&cast(array, &DataType::Binary)?)?,
            DataType::LargeUtf8 | DataType::Utf8View | DataType::BinaryView => {
                self.update_values(&cast(array, &DataType::LargeBinary)?)?;
            }
            DataType::Dictionary(_, values) => {
                let values = cast(array, values)?;
                self.update(&values, values.logical_nulls().as_ref())?;
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::Map(_, _) => self.update_lists(array)?,
            DataType::FixedSizeList(_, size) => {
                let array = array.as_fixed_size_list();
                let size = usize::try_from(*size).unwrap_or(0);
                // A slice's `values()` are sliced too; an offset remains only in arrays built by hand.
                let is_sliced = array.values().len() == array.len() * size;
                let from = if is_sliced { 0 } else { array.value_offset(0) as usize };
                self.update_child(&array.values().slice(from, array.len() * size))?;
            }
            other => {
                let width = fixed_width(other)
                    .ok_or_else(|| ArrowError::NotYetImplemented(format!("digest of a column of {other}")))?;
                let data = array.to_data();
                let bytes = data.buffers()[0].as_slice();
                let (from, to) = (data.offset() * width, (data.offset() + data.len()) * width);
                self.values.get_or_insert_default().update(&bytes[from..to]);
            }
        }
        Ok(())
    }

    fn update_lengths(&mut self, lengths: impl Iterator<Item = i64>) {
        let bytes: Vec<u8> = lengths.flat_map(i64::to_le_bytes).collect();
        self.lengths.get_or_insert_default().update(&bytes);
    }

    fn update_bytes(&mut self, values: &[u8], mut offsets: impl DoubleEndedIterator<Item = usize>) {
        let first = offsets.next().unwrap_or(0);
        let last = offsets.next_back().unwrap_or(first);
        self.values.get_or_insert_default().update(&values[first..last]);
    }

    fn update_child(&mut self, values: &ArrayRef) -> Result<(), ArrowError> {
        self.children.resize_with(1, Self::default);
        self.children[0].update(values, values.logical_nulls().as_ref())
    }

    fn update_lists(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        let (offsets, values): (Vec<i64>, ArrayRef) = match array.data_type() {
            DataType::Map(_, _) => {
                let array = array.as_map();
                let entries: ArrayRef = std::sync::Arc::new(array.entries().clone());
                (array.value_offsets().iter().map(|it| i64::from(*it)).collect(), entries)
            }
            DataType::LargeList(_) => {
                let array = array.as_list::<i64>();
                (array.value_offsets().to_vec(), array.values().clone())
            }
            _ => {
                let array = array.as_list::<i32>();
                (array.value_offsets().iter().map(|it| i64::from(*it)).collect(), array.values().clone())
            }
        };
        self.update_lengths(offsets.windows(2).map(|it| it[1] - it[0]));
        let first = *offsets.first().unwrap_or(&0);
        let last = *offsets.last().unwrap_or(&0);
        self.update_child(&values.slice(first as usize, (last - first) as usize))
    }
}

/// Bytes of a value in its buffer; `None` for types of other layouts.
pub(crate) fn fixed_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeBinary(size) => usize::try_from(*size).ok(),
        other => other.primitive_width(),
    }
}
