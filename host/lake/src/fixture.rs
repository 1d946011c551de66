//! Tables for tests, made from a seed.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use tidemill_plan::{Digest, TableName, WriteMode};

use crate::{Lake, LakeError, Manifest, Provenance, ReadOptions, WindowFolder, WriterOptions};

pub(crate) const WINDOW: WindowFolder = WindowFolder { start: None, end: None };

/// xorshift: tests need variety, not quality.
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

pub(crate) fn name(text: &str) -> TableName {
    TableName(text.to_owned())
}

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time_index", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("unique_identifier", DataType::Utf8, false),
        Field::new("close", DataType::Float64, true),
        Field::new("volume", DataType::Int64, true),
    ]))
}

/// A row as plain values: time in microseconds.
pub(crate) type Row = (i64, &'static str, Option<f64>, Option<i64>);

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let times: TimestampMicrosecondArray = rows.iter().map(|it| Some(it.0)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.with_timezone("UTC")),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|it| it.1))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|it| it.2))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|it| it.3))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// `days` days of three names, about a tenth of the cells missing, the first time at `from` microseconds.
pub(crate) fn panel(seed: &mut Seed, from: i64, days: usize) -> RecordBatch {
    let mut rows: Vec<Row> = Vec::new();
    for day in 0..days {
        for name in ["AAPL", "MSFT", "a much longer identifier"] {
            let close = (seed.below(10) > 0).then(|| seed.below(1000) as f64 / 8.0);
            let volume = (seed.below(10) > 0).then(|| seed.below(1000) as i64);
            rows.push((from + day as i64 * 1000, name, close, volume));
        }
    }
    batch(&rows)
}

/// The same rows in batches of random lengths, some of them empty.
pub(crate) fn cut(seed: &mut Seed, whole: &RecordBatch) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    let mut from = 0;
    while from < whole.num_rows() {
        let rows = seed.below(40).min(whole.num_rows() - from);
        batches.push(whole.slice(from, rows));
        from += rows;
    }
    batches
}

pub(crate) fn options(mode: WriteMode) -> WriterOptions {
    WriterOptions {
        schema: schema(),
        time_index: Some("time_index".into()),
        identifiers: vec!["unique_identifier".into()],
        mode,
        attempt: "run-1".into(),
    }
}

pub(crate) fn provenance() -> Provenance {
    Provenance {
        cache_key: Digest::of(b"key"),
        task: "returns".into(),
        component: Some(Digest::of(b"code")),
        run: "run".into(),
        node: "returns".into(),
        metrics: Default::default(),
        artefacts: Vec::new(),
    }
}

pub(crate) fn write(
    lake: &Lake,
    table: &str,
    mode: WriteMode,
    batches: &[RecordBatch],
) -> Result<Manifest, LakeError> {
    let mut writer = lake.writer(&WINDOW, &name(table), options(mode))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish(provenance())
}

pub(crate) fn read(lake: &Lake, manifest: &Manifest, options: ReadOptions) -> RecordBatch {
    let reader = lake.reader(manifest, options).unwrap();
    let schema = reader.schema();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

pub(crate) fn read_all(lake: &Lake, manifest: &Manifest) -> RecordBatch {
    read(lake, manifest, ReadOptions::default())
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, LakeError>) -> &'static str {
    let error = result.unwrap_err();
    assert!(!error.mend().is_empty());
    error.code().0
}
