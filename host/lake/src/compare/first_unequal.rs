//! Where two versions of a table part: up to there they are the same rows in the same order. Whole batches are compared,
//! so that what is equal costs little more than to be read.

use arrow::array::RecordBatch;
use tidemill_plan::Time;

use super::{Side, common_index};
use crate::{Lake, LakeError, Manifest, ReadOptions};

/// The time of the first row that one of the two has and the other has not at its place, within a stretch of time; `None`
/// where all rows are equal, bit for bit. Tables of another schema or index, or without one, part at the beginning.
pub fn first_unequal(
    lake: &Lake,
    before: &Manifest,
    after: &Manifest,
    within: &ReadOptions,
) -> Result<Option<Time>, LakeError> {
    let beginning = within.start.unwrap_or(Time(i64::MIN));
    let Some((of_before, of_after)) = common_index(before, after) else { return Ok(Some(beginning)) };
    if before.schema.fields() != after.schema.fields() {
        return Ok(Some(beginning));
    }
    let mut left = Side::open(lake, before, within)?;
    let mut right = Side::open(lake, after, within)?;
    let time = |side: &Side, index: &crate::index::Index, row: usize| {
        index.kind.time(index.kind.values(&side.batch().column(index.time).slice(row, 1))[0])
    };
    loop {
        let (l, r) = match (left.fill()?, right.fill()?) {
            (None, None) => return Ok(None),
            (Some(rows), None) => return Ok(Some(time(&left, &of_before, rows.start))),
            (None, Some(rows)) => return Ok(Some(time(&right, &of_after, rows.start))),
            (Some(l), Some(r)) => (l, r),
        };
        let rows = l.len().min(r.len());
        let equal = equal_rows(&left.batch().slice(l.start, rows), &right.batch().slice(r.start, rows));
        if equal < rows {
            let of_left = time(&left, &of_before, l.start + equal);
            return Ok(Some(of_left.min(time(&right, &of_after, r.start + equal))));
        }
        (left.at, right.at) = (l.start + rows, r.start + rows);
    }
}

/// How many rows at the start of two batches of one length are equal.
fn equal_rows(left: &RecordBatch, right: &RecordBatch) -> usize {
    let is_equal = |rows: usize| {
        let columns = left.columns().iter().zip(right.columns());
        columns.into_iter().all(|(a, b)| a.slice(0, rows).to_data() == b.slice(0, rows).to_data())
    };
    let (mut equal, mut unequal) = (0, left.num_rows() + 1);
    if is_equal(left.num_rows()) {
        return left.num_rows();
    }
    while equal + 1 < unequal {
        let middle = equal.midpoint(unequal);
        if is_equal(middle) {
            equal = middle;
        } else {
            unequal = middle;
        }
    }
    equal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, Row, WINDOW, batch, name, options};
    use tidemill_plan::WriteMode;

    fn table(lake: &Lake, table: &str, rows: &[Row]) -> Manifest {
        let mut writer = lake.writer(&WINDOW, &name(table), options(WriteMode::Replace)).expect("a writer");
        // Batches of one table end elsewhere than those of the other.
        for rows in rows.chunks(if table == "a" { 7 } else { 5 }) {
            writer.write(&batch(rows)).expect("rows in order");
        }
        writer.finish(fixture::provenance()).expect("it is kept")
    }

    /// Rows of each microsecond up to one.
    fn rows(count: i64) -> Vec<Row> {
        (0..count).map(|it| (it, "a", (it % 3 > 0).then_some(f64::NAN), Some(it))).collect()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Vec<Row>), within: (Option<i64>, Option<i64>), expected: Option<i64>) {
        let lake = Lake::in_memory();
        let mut changed = rows(100);
        change(&mut changed);
        let (before, after) = (table(&lake, "a", &rows(100)), table(&lake, "b", &changed));
        let time = |it: i64| Time(it * 1000);
        let within = ReadOptions {
            start: within.0.map(time),
            end: within.1.map(time),
            batch_rows_max: Some(16),
            ..ReadOptions::default()
        };
        let found = first_unequal(&lake, &before, &after, &within).expect("compared");
        assert_eq!(found, expected.map(time));
        let reverse = first_unequal(&lake, &after, &before, &within).expect("compared");
        assert_eq!(reverse, found);
    }

    #[test]
    fn the_first_row_that_differs_vanished_or_came_is_found() {
        check(|_| {}, (None, None), None);
        for at in [0, 1, 31, 32, 50, 99] {
            check(|it| it[at].3 = None, (None, None), Some(at as i64));
            check(|it| it[at].2 = Some(0.5), (None, None), Some(at as i64));
            check(|it| it.retain(|row| row.0 != at as i64), (None, None), Some(at as i64));
            check(|it| it.insert(at + 1, (at as i64, "b", None, None)), (None, None), Some(at as i64));
        }
        check(|it| it.push((100, "a", None, None)), (None, None), Some(100));
    }

    #[test]
    fn only_the_stretch_that_is_asked_for_is_looked_at() {
        check(|it| it[10].3 = None, (Some(11), None), None);
        check(|it| it[10].3 = None, (Some(5), Some(11)), Some(10));
        check(|it| it[10].3 = None, (None, Some(10)), None);
    }
}
