//! The times that a table has rows at.

use tidemill_plan::Time;

use crate::time::TimeKind;
use crate::{Lake, LakeError, Manifest, ReadOptions};

/// Each time once, in order; none for a table without time index. Reads only that column.
pub fn distinct_times(lake: &Lake, manifest: &Manifest) -> Result<Vec<Time>, LakeError> {
    let Some(column) = &manifest.time_index else { return Ok(Vec::new()) };
    let options = ReadOptions { columns: Some(vec![column.clone()]), ..ReadOptions::default() };
    let mut reader = lake.reader(manifest, options)?;
    let mut times: Vec<Time> = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        let array = batch.column(0);
        let kind =
            TimeKind::of(array.data_type()).expect("a table's time index is of a type that can be one");
        for value in kind.values(array).iter() {
            let time = kind.time(*value);
            // Tables are sorted by time.
            if times.last() != Some(&time) {
                times.push(time);
            }
        }
    }
    Ok(times)
}
