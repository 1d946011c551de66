//! Every type crosses and comes back as it was, whole and sliced.

use std::sync::Arc;

use arrow_array::builder::*;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, Fields, IntervalUnit, Schema, TimeUnit, UnionFields};

use super::*;

/// As the host does it: through bytes, and back.
fn round_trip(array: &dyn Array) -> ArrayRef {
    let data = array.to_data();
    let flattened = flatten(&data).expect("it can be written");
    assert_eq!(flattened.nodes.iter().map(|it| it.buffers as usize).sum::<usize>(), flattened.buffers.len());
    let buffers = flattened.buffers.iter().map(|it| it.to_vec()).collect();
    let data = unflatten(&flattened.nodes, buffers, array.data_type()).expect("it can be read");
    data.validate_full().expect("it is whole");
    make_array(data)
}

#[track_caller]
fn check(array: impl Array + 'static) {
    let array: ArrayRef = Arc::new(array);
    let rows = array.len();
    assert!(rows >= 4, "too short to slice");
    for (start, len) in [(0, rows), (1, rows - 1), (1, rows - 2), (3, 1), (2, 0), (0, 2)] {
        let slice = array.slice(start, len);
        assert_eq!(&round_trip(&slice), &slice, "{} [{start}, +{len})", array.data_type());
    }
    let field = Field::new("column", array.data_type().clone(), true);
    let fields = fields_of(&Schema::new(vec![field.clone()])).expect("a field");
    assert_eq!(schema_of(&fields, Vec::new()).expect("a schema").field(0), &field);
}

fn primitive<T: ArrowPrimitiveType>() -> PrimitiveArray<T> {
    let zero = T::default_value();
    (0..20).map(|it| (it % 3 != 1).then_some(zero)).collect()
}

#[test]
fn primitives_come_back_as_they_were() {
    check(
        Float64Array::from(vec![1.0, -0.0, f64::NAN.copysign(1.0), 4.0, 5.0])
            .unary::<_, Float64Type>(|it| it.max(0.5)),
    );
    check(Int64Array::from(vec![Some(1), None, Some(3), None, Some(5)]));
    check(UInt8Array::from_iter_values(0..200));
    check(primitive::<Int8Type>());
    check(primitive::<Float16Type>());
    check(primitive::<Float32Type>());
    check(primitive::<Date32Type>());
    check(primitive::<Date64Type>());
    check(primitive::<Time32SecondType>());
    check(primitive::<Time64NanosecondType>());
    check(primitive::<DurationMicrosecondType>());
    check(primitive::<IntervalYearMonthType>());
    check(primitive::<IntervalDayTimeType>());
    check(primitive::<IntervalMonthDayNanoType>());
    check(primitive::<Decimal32Type>());
    check(primitive::<Decimal64Type>());
    check(primitive::<Decimal128Type>().with_precision_and_scale(20, 4).expect("a decimal"));
    check(primitive::<Decimal256Type>());
    check(TimestampMicrosecondArray::from_iter_values(0..9).with_timezone("UTC"));
    check(TimestampNanosecondArray::from_iter_values(0..9));
    check(TimestampSecondArray::from_iter_values(0..9).with_timezone("Europe/Berlin"));
    assert_ne!(DataType::Interval(IntervalUnit::DayTime), DataType::Timestamp(TimeUnit::Second, None));
}

#[test]
fn booleans_and_their_validity_are_shifted_to_bit_0() {
    check((0..37).map(|it| (it % 5 != 2).then_some(it % 3 == 0)).collect::<BooleanArray>());
    check(BooleanArray::from_iter((0..16).map(|it| Some(it % 2 == 0))));
    check(NullArray::new(7));
}

#[test]
fn offsets_of_a_slice_begin_at_0() {
    let texts = vec![Some("a"), None, Some(""), Some("größer"), Some("sehr lang, länger als zwölf Bytes")];
    check(StringArray::from(texts.clone()));
    check(LargeStringArray::from(texts.clone()));
    check(StringViewArray::from(texts.clone()));
    check(BinaryArray::from_opt_vec(texts.iter().map(|it| it.map(str::as_bytes)).collect()));
    check(LargeBinaryArray::from_opt_vec(texts.iter().map(|it| it.map(str::as_bytes)).collect()));
    check(BinaryViewArray::from_iter(texts.iter().map(|it| it.map(str::as_bytes))));
    check(
        FixedSizeBinaryArray::try_from_iter([[1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 0, 0]].iter())
            .expect("of one size"),
    );
    let slice = StringArray::from(texts).slice(3, 1);
    let data = slice.to_data();
    let flattened = flatten(&data).expect("it can be written");
    assert_eq!(&*flattened.buffers[1], [0, 0, 0, 0, 8, 0, 0, 0]);
    assert_eq!(&*flattened.buffers[2], "größer".as_bytes());
}

fn numbers() -> Vec<Option<Vec<Option<i32>>>> {
    vec![Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(4)]), Some(vec![Some(5), Some(6)])]
}

#[test]
fn lists_take_only_the_children_of_their_rows() {
    check(ListArray::from_iter_primitive::<Int32Type, _, _>(numbers()));
    check(LargeListArray::from_iter_primitive::<Int32Type, _, _>(numbers()));
    let pairs = (0..5).map(|it| (it != 2).then(|| vec![Some(it), None]));
    check(FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(pairs, 2));
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let values = Arc::new(Int32Array::from_iter_values(0..8));
    let (offsets, sizes) = (ScalarBuffer::from(vec![0, 2, 2, 6]), ScalarBuffer::from(vec![2, 2, 4, 1]));
    check(ListViewArray::new(item, offsets, sizes, values, None));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..5 {
        map.keys().append_value(format!("key {row}"));
        map.values().append_value(row);
        map.append(row != 1).expect("as many keys as values");
    }
    check(map.finish());
    let slice = ListArray::from_iter_primitive::<Int32Type, _, _>(numbers()).slice(3, 1);
    let data = slice.to_data();
    assert_eq!(flatten(&data).expect("it can be written").nodes[1].length, 1);
}

#[test]
fn nested_columns_keep_their_order() {
    let fields = Fields::from(vec![
        Field::new("number", DataType::Int32, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let number: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4)]));
    let text: ArrayRef = Arc::new(StringArray::from(vec![None, Some("b"), Some("c"), Some("d")]));
    let nulls = NullBuffer::from(vec![true, true, false, true]);
    let structs = StructArray::new(fields, vec![number, text], Some(nulls));
    check(structs.clone());
    let item = Arc::new(Field::new("item", structs.data_type().clone(), true));
    check(ListArray::new(item, OffsetBuffer::new(vec![0, 1, 1, 3, 4].into()), Arc::new(structs), None));
    let keys = Int8Array::from(vec![Some(0), None, Some(1), Some(0), Some(1)]);
    check(DictionaryArray::new(keys, Arc::new(StringArray::from(vec!["x", "y"]))));
}

#[test]
fn runs_and_unions_are_cut_where_the_slice_is() {
    let runs = RunArray::<Int32Type>::try_new(&vec![2, 3, 7].into(), &StringArray::from(vec!["a", "b", "c"]))
        .expect("runs");
    let slice = runs.slice(1, 4);
    let back = round_trip(&slice);
    let back = back.as_any().downcast_ref::<RunArray<Int32Type>>().expect("runs");
    assert_eq!(back.run_ends().values(), &[1, 2, 4]);
    assert_eq!(back.len(), 4);
    assert_eq!(&round_trip(&runs), &(Arc::new(runs.clone()) as ArrayRef));
    let fields = || {
        UnionFields::try_new(
            [0, 1],
            [Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)],
        )
        .expect("two fields")
    };
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d"]));
    let sparse =
        UnionArray::try_new(fields(), vec![0, 1, 0, 1].into(), None, vec![numbers.clone(), texts.clone()]);
    check(sparse.expect("a sparse union"));
    let dense = UnionArray::try_new(
        fields(),
        vec![0, 1, 0, 1].into(),
        Some(vec![3, 0, 1, 2].into()),
        vec![numbers, texts],
    );
    check(dense.expect("a dense union"));
}

#[test]
fn whole_columns_are_lent_and_not_copied() {
    let array = Float64Array::from_iter_values((0..100).map(f64::from));
    let data = array.slice(10, 50).to_data();
    let flattened = flatten(&data).expect("it can be written");
    assert!(flattened.buffers.iter().all(|it| matches!(it, Cow::Borrowed(_))));
    assert_eq!(flattened.buffers[1].as_ptr(), array.values()[10..].as_ptr().cast());
}

#[test]
fn bytes_that_make_no_array_are_errors() {
    let node = FlatNode { length: 2, null_count: 0, buffers: 2, children: 0, dictionary: false };
    for (nodes, buffers) in [
        (vec![], vec![]),
        (vec![node], vec![vec![]]),
        (vec![node], vec![vec![], vec![0; 3]]),
        (vec![node, node], vec![vec![], vec![0; 16], vec![], vec![0; 16]]),
    ] {
        assert!(unflatten(&nodes, buffers, &DataType::Int64).is_err());
    }
    let text = FlatNode { buffers: 3, length: 1, ..node };
    let not_utf8 = vec![vec![], vec![0, 0, 0, 0, 1, 0, 0, 0], vec![0xff]];
    assert!(unflatten(&[text], not_utf8, &DataType::Utf8).is_err());
}

#[test]
fn a_schema_keeps_metadata_and_flags() {
    let keys = [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())];
    let field = Field::new("column", DataType::Float64, false).with_metadata(keys.into());
    let schema = Schema::new(vec![field]);
    let fields = fields_of(&schema).expect("fields");
    assert_eq!(fields[0].format, "g");
    assert_eq!(fields[0].metadata, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    assert_eq!((fields[0].nullable, fields[0].flags), (false, 0));
    assert_eq!(*schema_of(&fields, Vec::new()).expect("a schema"), schema);
    let broken = FlatField { format: "no format".into(), ..fields[0].clone() };
    assert!(schema_of(&[broken], Vec::new()).is_err());
    let lying = FlatField { children: 3, ..fields[0].clone() };
    assert!(schema_of(&[lying], Vec::new()).is_err());
}
