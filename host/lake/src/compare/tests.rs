//! Tables that differ in one known way each.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use tidemill_plan::WriteMode;

use super::*;
use crate::WriterOptions;
use crate::fixture::{Row, Seed, WINDOW, batch, cut, name, options, panel, provenance, write};

fn difference(before: &[Row], after: &[Row]) -> TableDifference {
    let lake = Lake::in_memory();
    let before = write(&lake, "before", WriteMode::Replace, &[batch(before)]).unwrap();
    let after = write(&lake, "after", WriteMode::Replace, &[batch(after)]).unwrap();
    compare((&lake, &before), (&lake, &after)).unwrap()
}

const ROWS: [Row; 4] = [
    (1, "a", Some(1.0), Some(1)),
    (1, "b", Some(2.0), None),
    (2, "a", None, Some(3)),
    (3, "a", Some(4.0), Some(4)),
];

#[test]
fn equal_tables_are_equal() {
    let found = difference(&ROWS, &ROWS);
    assert!(found.is_equal(), "{found:?}");
    assert_eq!((found.matched_by, found.rows_before, found.first), (MatchedBy::Index, 4, None));
}

#[test]
fn rows_are_matched_by_time_and_identifiers() {
    let after = [(0, "z", None, None), ROWS[0], ROWS[2], ROWS[3], (9, "a", None, None)];
    let found = difference(&ROWS, &after);
    assert_eq!((found.rows_added, found.rows_removed, found.columns_changed.len()), (2, 1, 0), "{found:?}");
    let first = found.first.expect("they differ");
    assert_eq!((first.row.before, first.row.after, first.before), (None, Some(1), None));
    assert!(first.after.expect("the row is there").contains("unique_identifier=z"));
    assert_eq!(difference(&[], &ROWS).rows_added, 4);
    assert_eq!(difference(&ROWS, &[]).rows_removed, 4);
}

#[test]
fn the_largest_differences_are_told_with_their_rows() {
    let mut after = ROWS;
    after[1] = (1, "b", Some(2.5), Some(7));
    after[3] = (3, "a", Some(4.75), Some(4));
    let found = difference(&ROWS, &after);
    let [close, volume] = &found.columns_changed[..] else { panic!("two columns changed: {found:?}") };
    assert_eq!((close.column.as_str(), close.changed), ("close", 2));
    let absolute = close.largest_absolute.as_ref().expect("numbers");
    assert!((absolute.difference - 0.75).abs() < 1e-12);
    assert_eq!(absolute.row.before, Some(4));
    let relative = close.largest_relative.as_ref().expect("numbers");
    assert!((relative.difference - 0.2).abs() < 1e-12, "{relative:?}");
    assert_eq!((relative.before.as_str(), relative.after.as_str()), ("2.0", "2.5"));
    assert_eq!((volume.column.as_str(), volume.changed), ("volume", 1));
    assert_eq!(volume.largest_absolute, None, "null to a number is no distance");
    let first = found.first.expect("they differ");
    assert_eq!((first.column.as_deref(), first.row.before), (Some("close"), Some(2)));
    assert_eq!(first.row.index.expect("an index").rsplit(", ").next(), Some("b"));
}

#[test]
fn negative_zero_and_nan_are_values_like_any_other() {
    let row = |close: f64| [(1, "a", Some(close), None)];
    assert!(difference(&row(f64::NAN), &row(f64::NAN)).is_equal());
    assert_eq!(difference(&row(0.0), &row(-0.0)).columns_changed[0].changed, 1);
    assert_eq!(difference(&row(1.0), &row(f64::NAN)).columns_changed[0].largest_absolute, None);
}

/// A table without an index.
fn plain(lake: &Lake, table: &str, columns: Vec<(&str, ArrayRef)>) -> Manifest {
    let fields: Vec<Field> =
        columns.iter().map(|(name, it)| Field::new(*name, it.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, it)| it).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let options =
        WriterOptions { schema, time_index: None, identifiers: Vec::new(), ..options(WriteMode::Replace) };
    let mut writer = lake.writer(&WINDOW, &name(table), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish(provenance()).unwrap()
}

#[test]
fn without_an_index_rows_are_matched_by_position_and_columns_by_name() {
    let lake = Lake::in_memory();
    let whole = |it: &[i64]| -> ArrayRef { Arc::new(Int64Array::from(it.to_vec())) };
    let real = |it: &[f64]| -> ArrayRef { Arc::new(Float64Array::from(it.to_vec())) };
    let before = plain(
        &lake,
        "before",
        vec![("a", whole(&[1, 2, 3])), ("b", whole(&[1, 2, 3])), ("c", whole(&[0; 3]))],
    );
    let after =
        plain(&lake, "after", vec![("d", whole(&[0; 2])), ("b", real(&[1.0, 2.0])), ("a", whole(&[1, 9]))]);
    let found = compare((&lake, &before), (&lake, &after)).unwrap();
    assert_eq!((found.columns_added, found.columns_removed), (vec!["d".to_owned()], vec!["c".to_owned()]));
    let retyped = &found.columns_retyped[0];
    let expected = ("b", "int64, nullable", "float64, nullable");
    assert_eq!((retyped.column.as_str(), retyped.before.as_str(), retyped.after.as_str()), expected);
    assert_eq!(found.shape, ["the columns come in another order"]);
    assert_eq!((found.matched_by, found.rows_removed, found.rows_added), (MatchedBy::Position, 1, 0));
    assert_eq!((found.columns_changed.len(), found.columns_changed[0].changed), (1, 1));
    assert_eq!(found.first.expect("they differ").row.before, Some(2));
}

#[test]
fn neighbours_among_large_whole_numbers_stay_apart() {
    let lake = Lake::in_memory();
    let of = |table: &str, it: i64| plain(&lake, table, vec![("a", Arc::new(Int64Array::from(vec![it])))]);
    let (before, after) = (of("before", i64::MAX - 1), of("after", i64::MAX));
    let found = compare((&lake, &before), (&lake, &after)).unwrap();
    let largest = found.columns_changed[0].largest_absolute.clone().expect("numbers");
    assert!((largest.difference - 1.0).abs() < f64::EPSILON, "{largest:?}");
}

#[test]
fn a_column_that_may_now_be_null_is_retyped_and_still_compared() {
    let lake = Lake::in_memory();
    let before = write(&lake, "before", WriteMode::Replace, &[batch(&ROWS)]).unwrap();
    let mut fields: Vec<Field> =
        crate::fixture::schema().fields().iter().map(|it| it.as_ref().clone()).collect();
    fields[1] = Field::new("unique_identifier", DataType::Utf8, true);
    let schema = Arc::new(Schema::new(fields));
    let rows = batch(&ROWS).with_schema(Arc::clone(&schema)).unwrap();
    let options = WriterOptions { schema, ..options(WriteMode::Replace) };
    let mut writer = lake.writer(&WINDOW, &name("after"), options).unwrap();
    writer.write(&rows).unwrap();
    let after = writer.finish(provenance()).unwrap();
    let found = compare((&lake, &before), (&lake, &after)).unwrap();
    assert_eq!(found.columns_retyped[0].after, "utf8, nullable");
    assert_eq!((found.matched_by, found.rows_added, found.columns_changed.len()), (MatchedBy::Index, 0, 0));
}

/// Against the plain way: both tables whole in memory, rows looked up one by one.
#[test]
fn random_tables_differ_as_a_lookup_row_by_row_says() {
    for seed in 1..40 {
        let seed = &mut Seed(seed);
        let whole = panel(seed, 0, 60);
        let kept =
            |seed: &mut Seed| -> Vec<usize> { (0..whole.num_rows()).filter(|_| seed.below(8) > 0).collect() };
        let (left, right) = (kept(seed), kept(seed));
        let rows = |rows: &[usize]| {
            let at = arrow::array::UInt64Array::from_iter_values(rows.iter().map(|it| *it as u64));
            arrow::compute::take_record_batch(&whole, &at).unwrap()
        };
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path(), crate::Access::Write { command: "test".into() }).unwrap();
        let before = write(&lake, "before", WriteMode::Replace, &cut(seed, &rows(&left))).unwrap();
        let after = write(&lake, "after", WriteMode::Replace, &cut(seed, &rows(&right))).unwrap();
        let found = compare((&lake, &before), (&lake, &after)).unwrap();
        let missing = |from: &[usize], of: &[usize]| from.iter().filter(|it| !of.contains(it)).count() as u64;
        assert_eq!(found.rows_removed, missing(&left, &right));
        assert_eq!(found.rows_added, missing(&right, &left));
        assert!(found.columns_changed.is_empty(), "{found:?}");
        let first = left.iter().zip(&right).position(|(a, b)| a != b).expect("they differ");
        let place = found.first.expect("they differ").row;
        assert_eq!(place.before.or(place.after), Some(first as u64 + 1));
    }
}
