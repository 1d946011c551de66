//! Every kind of array goes into a guest and comes back bit for bit.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, BinaryArray, BinaryViewArray, Float64Array, LargeBinaryArray,
    LargeStringArray, StringArray, StringViewArray, make_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use tidemill_plan::Code;
use tidemill_sandbox::Outcome;

use crate::driver::{LIMITS, TestHost, failure, run};
use crate::guests;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound as u64).unwrap()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.roll().to_le_bytes()[0]).collect()
    }

    fn nulls(&mut self, length: usize) -> Option<NullBuffer> {
        let kind = self.below(3);
        (kind > 0).then(|| (0..length).map(|_| self.below(4) > 0).collect::<BooleanBuffer>().into())
    }

    fn text(&mut self) -> String {
        let length = self.below(30);
        (0..length).map(|_| ['a', 'ß', '語', '🌊', ' '][self.below(5)]).collect()
    }

    fn texts(&mut self, length: usize) -> Vec<Option<String>> {
        (0..length).map(|_| (self.below(4) > 0).then(|| self.text())).collect()
    }

    fn blobs(&mut self, length: usize) -> Vec<Option<Vec<u8>>> {
        let blob = |dice: &mut Self| {
            let length = dice.below(30);
            dice.bytes(length)
        };
        (0..length).map(|_| (self.below(4) > 0).then(|| blob(self))).collect()
    }

    fn build(
        &mut self,
        data_type: &DataType,
        length: usize,
        buffers: Vec<Buffer>,
        children: Vec<ArrayData>,
    ) -> ArrayRef {
        let builder = ArrayData::builder(data_type.clone()).len(length).nulls(self.nulls(length));
        make_array(
            builder.buffers(buffers).child_data(children).build().expect("the test makes valid arrays"),
        )
    }

    /// Offsets of `length` lists, and how many values they need.
    fn offsets(&mut self, length: usize) -> (Vec<i64>, usize) {
        let mut offsets = vec![0];
        for _ in 0..length {
            let last = *offsets.last().unwrap();
            offsets.push(last + i64::try_from(self.below(4)).unwrap());
        }
        let values = usize::try_from(*offsets.last().unwrap()).unwrap();
        (offsets, values)
    }

    /// A slice of a longer array, as readers hand them out.
    fn slice(&mut self, data_type: &DataType, length: usize) -> ArrayRef {
        let before = self.below(12);
        let after = self.below(12);
        self.array(data_type, before + length + after).slice(before, length)
    }

    fn array(&mut self, data_type: &DataType, length: usize) -> ArrayRef {
        match data_type {
            DataType::Utf8 => Arc::new(StringArray::from_iter(self.texts(length))),
            DataType::LargeUtf8 => Arc::new(LargeStringArray::from_iter(self.texts(length))),
            DataType::Utf8View => Arc::new(StringViewArray::from_iter(self.texts(length))),
            DataType::Binary => Arc::new(BinaryArray::from_iter(self.blobs(length))),
            DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter(self.blobs(length))),
            DataType::BinaryView => Arc::new(BinaryViewArray::from_iter(self.blobs(length))),
            DataType::Null => make_array(ArrayData::new_null(data_type, length)),
            _ => self.other_array(data_type, length),
        }
    }

    fn other_array(&mut self, data_type: &DataType, length: usize) -> ArrayRef {
        match data_type {
            DataType::List(child) | DataType::Map(child, _) => {
                let (offsets, values) = self.offsets(length);
                let offsets: Vec<i32> = offsets.iter().map(|it| i32::try_from(*it).unwrap()).collect();
                let child = self.required(child, values);
                self.build(data_type, length, vec![Buffer::from_vec(offsets)], vec![child])
            }
            DataType::LargeList(child) => {
                let (offsets, values) = self.offsets(length);
                let child = self.required(child, values);
                self.build(data_type, length, vec![Buffer::from_vec(offsets)], vec![child])
            }
            DataType::FixedSizeList(child, width) => {
                let child = self.required(child, length * usize::try_from(*width).unwrap());
                self.build(data_type, length, vec![], vec![child])
            }
            DataType::Struct(fields) => {
                let children = fields.iter().map(|it| self.required(it, length)).collect();
                self.build(data_type, length, vec![], children)
            }
            DataType::Dictionary(key, values) => {
                let values = self.slice(values, 9).to_data();
                let width = key.primitive_width().unwrap();
                let keys = (0..length)
                    .flat_map(|_| self.below(9).to_le_bytes()[..width].to_vec())
                    .collect::<Vec<_>>();
                self.build(data_type, length, vec![Buffer::from(keys)], vec![values])
            }
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => {
                let width = data_type.primitive_width().unwrap();
                let value = |it: u64| [&(it as u32 % 999).to_le_bytes()[..], &vec![0; width - 4]].concat();
                let values: Vec<u8> = (0..length).flat_map(|_| value(self.roll())).collect();
                self.build(data_type, length, vec![Buffer::from(values)], vec![])
            }
            DataType::Boolean => {
                let values = self.bytes(length.div_ceil(8));
                self.build(data_type, length, vec![Buffer::from(values)], vec![])
            }
            DataType::FixedSizeBinary(width) => {
                let values = self.bytes(length * usize::try_from(*width).unwrap());
                self.build(data_type, length, vec![Buffer::from(values)], vec![])
            }
            fixed => {
                let values = self.bytes(length * fixed.primitive_width().expect("a primitive"));
                self.build(data_type, length, vec![Buffer::from(values)], vec![])
            }
        }
    }

    /// A child: without nulls where its field says so.
    fn required(&mut self, field: &Field, length: usize) -> ArrayData {
        let array = self.slice(field.data_type(), length);
        if field.is_nullable() || matches!(field.data_type(), DataType::Null) {
            return array.to_data();
        }
        array.to_data().into_builder().nulls(None).build().expect("still valid")
    }
}

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

fn flat_types() -> Vec<DataType> {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Date64, Float16, Float32, Float64, Int8, Int16, Int32, Int64,
        LargeBinary, LargeUtf8, Null, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    let mut types = vec![
        Null,
        Boolean,
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float16,
        Float32,
        Float64,
        Date32,
        Date64,
        Utf8,
        LargeUtf8,
        Utf8View,
        Binary,
        LargeBinary,
        BinaryView,
    ];
    types.extend([1, 3, 16].map(DataType::FixedSizeBinary));
    types.extend([DataType::Decimal32(9, 2), DataType::Decimal64(18, 0)]);
    types.extend([DataType::Decimal128(38, -2), DataType::Decimal256(76, 10)]);
    types.extend(
        [IntervalUnit::YearMonth, IntervalUnit::DayTime, IntervalUnit::MonthDayNano].map(DataType::Interval),
    );
    types.extend([TimeUnit::Second, TimeUnit::Millisecond].map(DataType::Time32));
    types.extend([TimeUnit::Microsecond, TimeUnit::Nanosecond].map(DataType::Time64));
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        types.push(DataType::Duration(unit));
        types.push(DataType::Timestamp(unit, None));
        types.push(DataType::Timestamp(unit, Some("Europe/Berlin".into())));
    }
    types
}

fn nested_types() -> Vec<DataType> {
    let entries = |value| {
        let fields = [Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
        Arc::new(Field::new("entries", DataType::Struct(fields.into_iter().collect()), false))
    };
    let mut types = vec![
        DataType::List(item(DataType::Float64)),
        DataType::LargeList(item(DataType::Utf8)),
        DataType::FixedSizeList(item(DataType::Boolean), 3),
        DataType::Struct(Fields::from(vec![
            Field::new("a", DataType::Utf8View, true),
            Field::new("b", DataType::Int8, false),
        ])),
        DataType::Map(entries(DataType::Int64), false),
        DataType::Map(entries(DataType::List(item(DataType::Date32))), true),
        DataType::List(item(DataType::List(item(DataType::LargeUtf8)))),
    ];
    for key in [DataType::Int8, DataType::UInt8, DataType::Int32, DataType::UInt64] {
        types.push(DataType::Dictionary(Box::new(key), Box::new(DataType::Utf8)));
    }
    let words = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
    types.push(DataType::List(item(words.clone())));
    types.push(DataType::Struct(vec![Field::new("words", words, true)].into()));
    types
}

fn batch(dice: &mut Dice, rows: usize) -> RecordBatch {
    let types = [flat_types(), nested_types()].concat();
    let fields: Vec<Field> = types
        .iter()
        .enumerate()
        .map(|(at, it)| Field::new(format!("column_{at}"), it.clone(), true))
        .collect();
    let columns = types.iter().map(|it| dice.slice(it, rows)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("arrays of these types")
}

#[track_caller]
fn comes_back(batch: &RecordBatch, parameters: &str, seed: u64) {
    let mut host = TestHost::reading(batch.clone());
    let ended = run(&guests::load("identity"), parameters, LIMITS, &mut host);
    assert_eq!(ended.outcome, Outcome::Done, "seed {seed}");
    assert_eq!(ended.usage.rows_in, batch.num_rows() as u64);
    let output = host.output();
    for (field, (sent, back)) in
        batch.schema().fields().iter().zip(batch.columns().iter().zip(output.columns()))
    {
        assert_eq!(sent, back, "seed {seed}, {} {}", field.name(), field.data_type());
        back.to_data().validate_full().expect("valid");
    }
}

#[test]
fn every_kind_of_array_comes_back_bit_for_bit() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let rows = [1, 2, 7, 8, 9, 63, 64, 65, 200][dice.below(9)];
        comes_back(&batch(&mut dice, rows), "{}", seed);
    }
}

#[test]
fn every_kind_of_array_can_be_passed_through() {
    for seed in 1000..1010 {
        comes_back(&batch(&mut Dice(seed), 100), r#"{"how": "borrowed"}"#, seed);
    }
}

#[test]
fn what_is_left_of_a_table_can_be_read_as_one_batch() {
    for seed in 2000..2010 {
        let batch = batch(&mut Dice(seed), 100);
        let pieces = [(0, 5), (5, 0), (5, 40), (45, 55)].map(|(at, rows)| batch.slice(at, rows));
        let mut host = TestHost { input: Some((batch.schema(), pieces.to_vec())), ..TestHost::default() };
        let ended = run(&guests::load("identity"), r#"{"how": "rest"}"#, LIMITS, &mut host);
        assert_eq!(ended.outcome, Outcome::Done, "seed {seed}");
        assert_eq!(ended.usage.rows_in, 100);
        let rows: Vec<_> = host.written.lock().unwrap()["out"].1.iter().map(|it| it.num_rows()).collect();
        assert_eq!(rows, [3, 97]);
        assert_eq!(host.output().columns(), batch.columns(), "seed {seed}");
    }
}

#[test]
fn a_table_larger_than_the_memory_of_its_task_is_not_put_together() {
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0; 1 << 20]));
    let piece = RecordBatch::try_from_iter([("numbers", numbers)]).unwrap();
    let mut host = TestHost { input: Some((piece.schema(), vec![piece; 9])), ..TestHost::default() };
    let ended = run(&guests::load("identity"), r#"{"how": "rest"}"#, LIMITS, &mut host);
    let failure = failure(ended);
    assert_eq!(failure.code, Code("input-too-large"));
    assert!(failure.what.starts_with("input `in`: "), "{}", failure.what);
    assert!(failure.what.contains("64MiB"), "{}", failure.what);
}

#[test]
fn columns_passed_through_are_not_copied() {
    let batch = batch(&mut Dice(7), 50);
    let mut host = TestHost::reading(batch.clone());
    let ended = run(&guests::load("identity"), r#"{"how": "borrowed"}"#, LIMITS, &mut host);
    assert_eq!(ended.usage.bytes_in, 0);
    assert!(ended.usage.bytes_out > 0);
    let written = host.written.lock().unwrap();
    for (sent, back) in batch.columns().iter().zip(written["out"].1[0].columns()) {
        assert!(Arc::ptr_eq(sent, back));
    }
}

#[test]
fn a_table_without_rows_or_columns_comes_back() {
    comes_back(&batch(&mut Dice(1), 1).slice(0, 0), "{}", 1);
    let options = RecordBatchOptions::new().with_row_count(Some(5));
    let empty = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    comes_back(&empty, "{}", 0);
}
