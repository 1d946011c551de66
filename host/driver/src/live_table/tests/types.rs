//! Every type that a table may have, as DuckDB sees it and as it comes back.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::*;
use serde_json::{Value as Json, json};
use tidemill_lake::{ReadOptions, WindowFolder, WriterOptions};
use tidemill_plan::WriteMode;

use super::{Service, name, provenance};

/// Column, what DuckDB is asked of its second row, what it answers.
type Case = (&'static str, ArrayRef, &'static str, Json);

fn plain() -> Vec<Case> {
    [values(), times(), decimals()].concat()
}

fn values() -> Vec<Case> {
    vec![
        ("b", Arc::new(BooleanArray::from(vec![false, true])), "b", json!(true)),
        ("i8", Arc::new(Int8Array::from(vec![-128, 127])), "i8", json!(127)),
        ("i64", Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])), "i64", json!(i64::MAX)),
        ("u32", Arc::new(UInt32Array::from(vec![0, u32::MAX])), "u32", json!(u32::MAX)),
        ("u64", Arc::new(UInt64Array::from(vec![0, u64::MAX])), "u64", json!(u64::MAX)),
        ("f32", Arc::new(Float32Array::from(vec![-0.5, 0.1])), "f32 = 0.1::FLOAT", json!(true)),
        ("f64", Arc::new(Float64Array::from(vec![f64::NAN, 1e-300])), "f64", json!(1e-300)),
        ("text", Arc::new(StringArray::from(vec!["", "it's ü\u{1}"])), "text", json!("it's ü\u{1}")),
        ("large", Arc::new(LargeStringArray::from(vec!["a", "z"])), "large", json!("z")),
        (
            "view",
            Arc::new(StringViewArray::from(vec!["a", "a string longer than twelve bytes"])),
            "len(view)",
            json!(33),
        ),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..], b"a"])), "bytes::VARCHAR", json!("a")),
        (
            "fixed",
            Arc::new(FixedSizeBinaryArray::try_from_iter([[0_u8, 1], [2, 3]].iter()).unwrap()),
            "hex(fixed)",
            json!("0203"),
        ),
    ]
}

fn times() -> Vec<Case> {
    let micros = TimestampMicrosecondArray::from(vec![0, 1_577_836_800_500_000]);
    let day = 86_400_000;
    vec![
        ("date", Arc::new(Date32Array::from(vec![-1, 18_262])), "date::VARCHAR", json!("2020-01-01")),
        (
            "date64",
            Arc::new(Date64Array::from(vec![0, 18_262 * day])),
            "date64::VARCHAR",
            json!("2020-01-01 00:00:00"),
        ),
        ("t32", Arc::new(Time32SecondArray::from(vec![0, 3_661])), "t32::VARCHAR", json!("01:01:01")),
        (
            "t64",
            Arc::new(Time64MicrosecondArray::from(vec![0, 1_500_000])),
            "t64::VARCHAR",
            json!("00:00:01.5"),
        ),
        (
            "t64n",
            Arc::new(Time64NanosecondArray::from(vec![0, 1_500_000_000])),
            "t64n::VARCHAR",
            json!("00:00:01.5"),
        ),
        (
            "s",
            Arc::new(TimestampSecondArray::from(vec![0, 1_577_836_800])),
            "s::VARCHAR",
            json!("2020-01-01 00:00:00"),
        ),
        (
            "ms",
            Arc::new(TimestampMillisecondArray::from(vec![-1, 1_577_836_800_001])),
            "ms::VARCHAR",
            json!("2020-01-01 00:00:00.001"),
        ),
        ("us", Arc::new(micros.clone()), "us::VARCHAR", json!("2020-01-01 00:00:00.5")),
        (
            "ns",
            Arc::new(TimestampNanosecondArray::from(vec![0, 1_577_836_800_000_000_001])),
            "ns::VARCHAR",
            json!("2020-01-01 00:00:00.000000001"),
        ),
        (
            "zoned",
            Arc::new(micros.with_timezone("+02:00")),
            "epoch_us(zoned)",
            json!(1_577_836_800_500_000_i64),
        ),
        (
            "nszoned",
            Arc::new(TimestampNanosecondArray::from(vec![0, 1_577_836_800_000_001_000]).with_timezone("UTC")),
            "epoch_us(nszoned)",
            json!(1_577_836_800_000_001_i64),
        ),
        ("took", Arc::new(DurationMillisecondArray::from(vec![0, 5])), "took", json!(5)),
    ]
}

fn decimals() -> Vec<Case> {
    vec![
        (
            "money",
            Arc::new(Decimal128Array::from(vec![-125_000, 5]).with_precision_and_scale(18, 4).unwrap()),
            "money::VARCHAR",
            json!("0.0005"),
        ),
        (
            "wide",
            Arc::new(
                Decimal128Array::from(vec![-1, 10_i128.pow(30)]).with_precision_and_scale(38, 0).unwrap(),
            ),
            "wide::VARCHAR",
            json!("1000000000000000000000000000000"),
        ),
        (
            "words",
            Arc::new(vec!["x", "y"].into_iter().collect::<DictionaryArray<Int32Type>>()),
            "words",
            json!("y"),
        ),
    ]
}

fn nested() -> Vec<Case> {
    let item = |data_type| Arc::new(Field::new_list_field(data_type, true));
    let list = ListArray::new(
        item(DataType::Float64),
        OffsetBuffer::from_lengths([0, 2]),
        Arc::new(Float64Array::from(vec![f64::NAN, 2.0])),
        None,
    );
    let fields =
        Fields::from(vec![Field::new("x", DataType::Int32, true), Field::new("y", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(StringArray::from(vec![None, Some("q")]))];
    let both = StructArray::new(fields, columns, None);
    let mut map = MapBuilder::new(None, StringBuilder::new(), TimestampSecondBuilder::new());
    map.append(true).unwrap();
    map.keys().append_value("k");
    map.values().append_value(60);
    map.append(true).unwrap();
    vec![
        ("list", Arc::new(list), "list[2]", json!(2.0)),
        ("pair", Arc::new(both), "pair.x + len(pair.y)", json!(3)),
        ("map", Arc::new(map.finish()), "cardinality(map)", json!(1)),
    ]
}

pub(super) async fn every_type_is_read_by_both(service: Service) {
    let mut cases = plain();
    cases.extend(nested());
    let fields: Vec<Field> =
        cases.iter().map(|it| Field::new(it.0, it.1.data_type().clone(), true)).collect();
    let columns = cases.iter().map(|it| it.1.clone()).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let (lake, written) = (service.lake.clone(), rows.clone());
    let manifest = tokio::task::spawn_blocking(move || {
        let options = WriterOptions {
            schema: written.schema(),
            time_index: None,
            identifiers: Vec::new(),
            mode: WriteMode::Append,
            attempt: "run-1".into(),
        };
        let mut writer = lake.writer(&WindowFolder::default(), &name("types"), options).unwrap();
        writer.write(&written).unwrap();
        writer.finish(provenance("types")).unwrap()
    });
    let manifest = manifest.await.unwrap();
    service.commit(&[(manifest.clone(), None)]).await.unwrap();
    // With a condition, so that DuckDB uses what is known of the columns.
    let questions: Vec<String> = cases
        .iter()
        .map(|(column, _, asked, _)| {
            format!("SELECT {asked} FROM lake.types WHERE i8 = 127 AND {column} IS NOT NULL")
        })
        .collect();
    let answers = service.duckdb(&format!("for it in {questions:?}: query(it)")).await;
    assert_eq!(answers.lines().count(), cases.len());
    for (answer, (column, _, _, expected)) in answers.lines().zip(&cases) {
        assert_eq!(serde_json::from_str::<Json>(answer).unwrap(), json!([[expected]]), "{column}");
    }
    let nan = "SELECT count(*) FROM lake.types WHERE isnan(f64)";
    assert_eq!(service.query(nan).await, json!([[1]]));
    let lake = service.lake.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut reader = lake.reader(&manifest, ReadOptions::default()).unwrap();
        reader.next_batch().unwrap().unwrap()
    });
    assert_eq!(format!("{:?}", read.await.unwrap()), format!("{rows:?}"));
}

pub(super) async fn bounds_are_those_that_duckdb_would_write(service: Service) {
    // Types whose statistics DuckDB keeps as texts of its own making.
    let known =
        ["b", "i8", "i64", "u32", "u64", "f64", "text", "bytes", "date", "t64", "us", "ns", "zoned", "money"];
    let cases: Vec<Case> = plain().into_iter().filter(|it| known.contains(&it.0)).collect();
    let fields: Vec<Field> =
        cases.iter().map(|it| Field::new(it.0, it.1.data_type().clone(), true)).collect();
    let columns = cases.iter().map(|it| it.1.clone()).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let lake = service.lake.clone();
    let manifest = tokio::task::spawn_blocking(move || {
        let options = WriterOptions {
            schema: rows.schema(),
            time_index: None,
            identifiers: Vec::new(),
            mode: WriteMode::Append,
            attempt: "run-1".into(),
        };
        let mut writer = lake.writer(&WindowFolder::default(), &name("ours"), options).unwrap();
        writer.write(&rows).unwrap();
        writer.finish(provenance("ours")).unwrap()
    });
    service.commit(&[(manifest.await.unwrap(), None)]).await.unwrap();
    service.duckdb("connection.execute('CREATE TABLE lake.theirs AS SELECT * FROM lake.ours')").await;
    let mut tx = service.store.read().await.unwrap();
    let sql = "SELECT t.table_name, c.column_name, s.min_value, s.max_value FROM ducklake_file_column_stats s \
               JOIN ducklake_table t ON t.table_id = s.table_id \
               JOIN ducklake_column c ON c.table_id = s.table_id AND c.column_id = s.column_id";
    let bounds = tx.fetch(sql, &[]).await.unwrap();
    let of = |table: &str| {
        let rows = bounds.iter().filter(|it| it.get::<String>(0).unwrap() == table);
        let mut rows: Vec<_> = rows
            .map(|it| {
                let bound = |at| it.get::<Option<String>>(at).unwrap();
                (it.get::<String>(1).unwrap(), bound(2), bound(3))
            })
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(of("ours"), of("theirs"));
    assert_eq!(of("ours").len(), known.len());
}
