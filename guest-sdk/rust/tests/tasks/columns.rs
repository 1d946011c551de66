//! Structs of arrays and record batches.

use std::sync::Arc;

use tidemill_task::prelude::*;

use crate::{Prices, three};

#[derive(Columns, Debug)]
struct Everything {
    #[time]
    time_index: TimestampNanosecondArray,
    #[timezone = "Europe/Berlin"]
    local: TimestampSecondArray,
    #[timezone(none)]
    naive: TimestampMillisecondArray,
    #[rename = "type"]
    kind: StringArray,
    #[nullable]
    volume: UInt64Array,
    #[data_type(DataType::Decimal128(20, 4))]
    cash: Decimal128Array,
    #[data_type(DataType::new_list(DataType::Int32, true))]
    #[nullable]
    list: ListArray,
    #[data_type(DataType::FixedSizeBinary(2))]
    any: ArrayRef,
    r#true: BooleanArray,
    day: Date32Array,
    bytes: BinaryViewArray,
}

fn everything() -> Everything {
    Everything {
        time_index: vec![1, 2].into(),
        local: vec![1, 2].into(),
        naive: vec![1, 2].into(),
        kind: vec!["a", "b"].into(),
        volume: vec![Some(1), None].into(),
        cash: Decimal128Array::from(vec![1, 2]).with_precision_and_scale(20, 4).expect("a decimal"),
        list: ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None]),
        any: Arc::new(FixedSizeBinaryArray::try_from_iter([[1, 2], [3, 4]].iter()).expect("of one size")),
        r#true: vec![true, false].into(),
        day: vec![1, 2].into(),
        bytes: BinaryViewArray::from_iter_values([b"a", b"b"]),
    }
}

#[test]
fn a_struct_has_exactly_the_schema_that_it_shows() {
    let batch = everything().into_batch().expect("a batch");
    let columns: Vec<String> = batch
        .schema()
        .fields()
        .iter()
        .map(|it| format!("{} {} {}", it.name(), it.data_type(), it.is_nullable()))
        .collect();
    assert_eq!(
        columns,
        [
            "time_index Timestamp(ns, \"UTC\") false",
            "local Timestamp(s, \"Europe/Berlin\") false",
            "naive Timestamp(ms) false",
            "type Utf8 false",
            "volume UInt64 true",
            "cash Decimal128(20, 4) false",
            "list List(Int32) true",
            "any FixedSizeBinary(2) false",
            "true Boolean false",
            "day Date32 false",
            "bytes BinaryView false",
        ]
    );
    assert_eq!(batch.schema(), Everything::schema().expect("a struct has columns"));
    let back = Everything::from_batch(&batch).expect("the same columns").into_batch().expect("a batch");
    assert_eq!(back, batch);
    assert_eq!(Everything::empty().expect("no rows").rows(), 0);
}

#[test]
fn other_columns_and_another_order_do_not_matter() {
    let batch = three().into_batch().expect("a batch").project(&[2, 1, 0]).expect("three columns");
    assert_eq!(Prices::from_batch(&batch).expect("by name"), three());
}

#[track_caller]
fn refused(result: Result<impl std::fmt::Debug>, message: &str) {
    assert_eq!(result.expect_err("refused").message(), message);
}

#[test]
fn what_does_not_fit_is_named() {
    let batch = three().into_batch().expect("a batch");
    refused(
        Prices::from_batch(&batch.project(&[0, 1]).expect("two columns")),
        "column `close` is missing; there are `time_index`, `symbol`",
    );
    let other = RecordBatch::try_from_iter([
        ("time_index", Arc::clone(batch.column(0))),
        ("symbol", Arc::clone(batch.column(2))),
        ("close", Arc::clone(batch.column(2))),
    ]);
    refused(Prices::from_batch(&other.expect("a batch")), "column `symbol` is Float64, must be Utf8");
    let short = Prices { close: vec![1.0].into(), ..three() };
    refused(short.into_batch(), "column `close` has 1 rows, `time_index` has 3");
    let hole = Prices { close: vec![Some(1.0), None, None].into(), ..three() };
    refused(
        hole.into_batch(),
        "column `close` has a null in row 1; mark it `#[nullable]`, or fill it before",
    );
    let zone = Prices { time_index: three().time_index.with_timezone("Asia/Tokyo"), ..three() };
    refused(
        zone.into_batch(),
        "column `time_index` is Timestamp(µs, \"Asia/Tokyo\"), must be Timestamp(µs, \"UTC\")",
    );
}
