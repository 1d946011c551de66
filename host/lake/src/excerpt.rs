//! The first or the last rows of what a reader reads, in constant memory.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::{Lake, LakeError, Manifest, ReadOptions, TableReader};

/// Which rows are wanted, of those in the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichRows {
    All,
    First(u64),
    Last(u64),
}

/// Streams these rows.
#[derive(Debug)]
pub struct Excerpt {
    reader: TableReader,
    /// Rows before what is wanted.
    skip: u64,
    left: u64,
}

impl Excerpt {
    pub fn open(
        lake: &Lake,
        manifest: &Manifest,
        options: ReadOptions,
        which: WhichRows,
    ) -> Result<Self, LakeError> {
        let (skip, left) = match which {
            WhichRows::All => (0, u64::MAX),
            WhichRows::First(rows) => (0, rows),
            WhichRows::Last(rows) => (count(lake, manifest, &options)?.saturating_sub(rows), rows),
        };
        let mut reader = lake.reader(manifest, options)?;
        let skip = skip - reader.skip_blocks(skip);
        Ok(Self { reader, skip, left })
    }

    /// Of the batches, also when there are none.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    /// The next batch, never empty; `None` at the end.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        while self.left > 0 {
            let Some(batch) = self.reader.next_batch()? else { return Ok(None) };
            let wanted = self.cut(&batch);
            if wanted.num_rows() > 0 {
                return Ok(Some(wanted));
            }
        }
        Ok(None)
    }

    /// What of a batch is wanted.
    fn cut(&mut self, batch: &RecordBatch) -> RecordBatch {
        let rows = batch.num_rows() as u64;
        let skipped = self.skip.min(rows);
        self.skip -= skipped;
        let taken = (rows - skipped).min(self.left);
        self.left -= taken;
        let within = |it: u64| usize::try_from(it).expect("not more than the batch's rows");
        batch.slice(within(skipped), within(taken))
    }
}

impl Iterator for Excerpt {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

/// Rows in a time range; without one, the manifest knows.
fn count(lake: &Lake, manifest: &Manifest, options: &ReadOptions) -> Result<u64, LakeError> {
    let is_open = options.start.is_none() && options.end.is_none();
    let Some(time) = manifest.time_index.clone().filter(|_| !is_open) else { return Ok(manifest.rows) };
    let mut reader = lake.reader(manifest, ReadOptions { columns: Some(vec![time]), ..options.clone() })?;
    let mut rows = 0;
    while let Some(batch) = reader.next_batch()? {
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use arrow::compute::concat_batches;
    use tidemill_plan::{Time, WriteMode};

    use super::*;
    use crate::fixture::{Seed, panel, read, write};
    use crate::{Access, Options};

    #[test]
    fn an_excerpt_is_a_slice_of_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let whole = panel(&mut Seed(7), 0, 60_000);
        {
            let lake = Lake::open(folder.path(), Access::Write { command: "test".into() }).unwrap();
            write(&lake, "t", WriteMode::Replace, &[whole]).unwrap();
        }
        // One lake reads blocks from the disk, the other has them in memory.
        for cache_bytes_max in [0, 1 << 30] {
            let options = Options { cache_bytes_max, ..Options::default() };
            let lake = Lake::open_with(folder.path(), Access::Read, options).unwrap();
            let manifest = lake.tables().unwrap().remove(0).state.unwrap();
            assert!(manifest.parts[0].blocks.len() > 1);
            let cut = ReadOptions {
                start: Some(Time(12_345_000)),
                end: Some(Time(50_000_000_000)),
                ..ReadOptions::default()
            };
            for options in [ReadOptions::default(), cut] {
                let all = read(&lake, &manifest, options.clone());
                let rows = all.num_rows();
                for (which, from, to) in [
                    (WhichRows::All, 0, rows),
                    (WhichRows::First(0), 0, 0),
                    (WhichRows::First(100_000), 0, 100_000),
                    (WhichRows::First(u64::MAX), 0, rows),
                    (WhichRows::Last(0), rows, rows),
                    (WhichRows::Last(7), rows - 7, rows),
                    (WhichRows::Last(140_000), rows - 140_000, rows),
                    (WhichRows::Last(u64::MAX), 0, rows),
                ] {
                    let excerpt = Excerpt::open(&lake, &manifest, options.clone(), which).unwrap();
                    let schema = excerpt.schema();
                    let batches: Vec<RecordBatch> = excerpt.map(Result::unwrap).collect();
                    let found = concat_batches(&schema, &batches).unwrap();
                    assert_eq!(found, all.slice(from, to - from), "{which:?}");
                }
            }
        }
    }
}
