//! From when on a table says something else than it said before. Stops at the first such row.

use std::cmp::Ordering;

use arrow::array::RecordBatch;

use super::{Side, common_index};
use crate::index::Index;
use crate::value::value_text;
use crate::{Lake, LakeError, Manifest, ReadOptions, Since};
use tidemill_plan::Time;

/// The time of the first row that was changed, taken away, or put in before the last one that its identifiers had; `None`
/// when all that was there still is. Rows that merely came after are no change. Tables of another index or without one
/// have changed from the beginning.
pub fn first_change(
    before: (&Lake, &Manifest),
    after: (&Lake, &Manifest),
) -> Result<Option<Time>, LakeError> {
    let beginning = before.1.time_range.map(|it| it.first);
    let Some((of_before, of_after)) = common_index(before.1, after.1) else { return Ok(beginning) };
    if before.1.schema.fields() != after.1.schema.fields() {
        return Ok(beginning);
    }
    let known = Since::new(before.0.progress_of(before.1)?, None);
    let all = ReadOptions::default();
    let mut left = Side::open(before.0, before.1, &all)?;
    let mut right = Side::open(after.0, after.1, &all)?;
    let failed = |e| LakeError::arrow(&after.1.table, "compare rows", &e);
    loop {
        match (left.fill()?, right.fill()?) {
            (None, None) => return Ok(None),
            (Some(rows), None) => return Ok(Some(time(&of_before, left.batch(), rows.start))),
            (None, Some(rows)) => {
                if let Some(row) = rows.clone().find(|row| is_late(&known, &of_after, right.batch(), *row)) {
                    return Ok(Some(time(&of_after, right.batch(), row)));
                }
                right.at = rows.end;
            }
            (Some(l), Some(r)) => {
                let order =
                    of_before.comparator_with(left.batch(), right.batch(), &of_after).map_err(failed)?;
                let (mut at, mut other) = (l.start, r.start);
                while at < l.end && other < r.end {
                    match order.compare(at, other) {
                        Ordering::Equal if is_equal(left.batch(), at, right.batch(), other) => {
                            at += 1;
                            other += 1;
                        }
                        Ordering::Equal | Ordering::Less => {
                            return Ok(Some(time(&of_before, left.batch(), at)));
                        }
                        Ordering::Greater if is_late(&known, &of_after, right.batch(), other) => {
                            return Ok(Some(time(&of_after, right.batch(), other)));
                        }
                        Ordering::Greater => other += 1,
                    }
                }
                (left.at, right.at) = (at, other);
            }
        }
    }
}

fn time(index: &Index, batch: &RecordBatch, row: usize) -> Time {
    index.kind.time(index.kind.values(&batch.column(index.time).slice(row, 1))[0])
}

fn is_late(known: &Since, index: &Index, batch: &RecordBatch, row: usize) -> bool {
    let key: Vec<String> =
        index.identifiers.iter().map(|it| value_text(batch.column(*it).as_ref(), row)).collect();
    known.last(&key).is_some_and(|last| time(index, batch, row) <= last)
}

/// Bit for bit, as a snapshot's digest tells apart.
fn is_equal(left: &RecordBatch, at: usize, right: &RecordBatch, other: usize) -> bool {
    left.columns().iter().zip(right.columns()).all(|(a, b)| {
        let (a, b) = (a.slice(at, 1), b.slice(other, 1));
        a.to_data() == b.to_data()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Float64Array, StringArray};
    use tidemill_plan::{Digest, TableName, Window, WriteMode};

    use super::*;
    use crate::{Provenance, WindowFolder, WriterOptions};

    const DAY: i64 = 86_400_000_000_000;

    fn table(rows: &[(i32, &str, f64)]) -> (Lake, Manifest) {
        let days: ArrayRef = Arc::new(rows.iter().map(|it| Some(it.0)).collect::<Date32Array>());
        let names: ArrayRef = Arc::new(rows.iter().map(|it| Some(it.1)).collect::<StringArray>());
        let values: ArrayRef = Arc::new(rows.iter().map(|it| Some(it.2)).collect::<Float64Array>());
        let batch = RecordBatch::try_from_iter([("day", days), ("name", names), ("value", values)]);
        let batch = batch.expect("three columns");
        let lake = Lake::in_memory();
        let options = WriterOptions {
            schema: batch.schema(),
            time_index: Some("day".to_owned()),
            identifiers: vec!["name".to_owned()],
            mode: WriteMode::Replace,
            attempt: "1".to_owned(),
        };
        let name = TableName("t".to_owned());
        let mut writer =
            lake.writer(&WindowFolder::of(&Window::default()), &name, options).expect("a writer");
        writer.write(&batch).expect("rows in order");
        let provenance = Provenance {
            cache_key: Digest::of(b""),
            task: String::new(),
            component: None,
            run: String::new(),
            node: String::new(),
            metrics: std::collections::BTreeMap::default(),
            artefacts: Vec::new(),
        };
        let manifest = writer.finish(provenance).expect("it is kept");
        (lake, manifest)
    }

    fn changed(after: &[(i32, &str, f64)]) -> Option<i64> {
        let before = table(&[(1, "a", 1.0), (1, "b", f64::NAN), (2, "a", 2.0), (3, "a", 3.0), (3, "b", 4.0)]);
        let after = table(after);
        first_change((&before.0, &before.1), (&after.0, &after.1)).expect("compared").map(|it| it.0 / DAY)
    }

    #[test]
    fn rows_that_come_after_and_new_identifiers_are_no_change() {
        let same = [(1, "a", 1.0), (1, "b", f64::NAN), (2, "a", 2.0), (3, "a", 3.0), (3, "b", 4.0)];
        assert_eq!(changed(&same), None);
        let mut more = same.to_vec();
        more.extend([(4, "a", 5.0)]);
        more.insert(2, (1, "c", 0.0));
        assert_eq!(changed(&more), None);
    }

    #[test]
    fn a_changed_a_missing_and_a_late_row_are() {
        assert_eq!(
            changed(&[(1, "a", 1.0), (1, "b", f64::NAN), (2, "a", 2.5), (3, "a", 3.0), (3, "b", 4.0)]),
            Some(2)
        );
        assert_eq!(changed(&[(1, "a", 1.0), (1, "b", f64::NAN), (3, "a", 3.0), (3, "b", 4.0)]), Some(2));
        assert_eq!(changed(&[(1, "a", 1.0), (1, "b", f64::NAN), (2, "a", 2.0), (3, "a", 3.0)]), Some(3));
        let late =
            [(1, "a", 1.0), (1, "b", f64::NAN), (2, "a", 2.0), (2, "b", 9.0), (3, "a", 3.0), (3, "b", 4.0)];
        assert_eq!(changed(&late), Some(2));
    }
}
