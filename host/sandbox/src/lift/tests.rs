//! Whatever a guest sends, lifting it gives valid Arrow or a reason, and never a panic.

use std::sync::Arc;

use arrow::array::{
    BinaryViewArray, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Float64Array,
    Int32Array, LargeStringArray, ListArray, MapBuilder, StringArray, StringBuilder, StringViewArray,
    StructArray,
};
use arrow::datatypes::{Int8Type, Int32Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::lower;

fn samples() -> Vec<ArrayRef> {
    let words = ["a", "longer than twelve bytes", "ß"];
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("key");
    map.values().append_value("value");
    map.append(true).expect("keys and values are of one length");
    map.append(false).expect("keys and values are of one length");
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let field = Arc::new(Field::new("n", DataType::Int32, true));
    vec![
        Arc::clone(&numbers),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Float64Array::from(vec![1.0, f64::NAN])),
        Arc::new(StringArray::from_iter_values(words)),
        Arc::new(LargeStringArray::from_iter_values(words)),
        Arc::new(StringViewArray::from_iter_values(words)),
        Arc::new(BinaryViewArray::from_iter_values(words)),
        Arc::new(FixedSizeBinaryArray::try_from_iter([[1_u8, 2, 3]].iter()).expect("one width")),
        Arc::new(Decimal128Array::from(vec![1, 2]).with_precision_and_scale(5, 2).expect("in range")),
        Arc::new(words.into_iter().collect::<DictionaryArray<Int8Type>>()),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
        ])),
        Arc::new(StructArray::from(vec![(field, numbers)])),
        Arc::new(map.finish()),
    ]
}

/// SplitMix64.
fn roll(seed: &mut u64) -> usize {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) >> 8).expect("56 bits")
}

const NUMBERS: [u32; 8] = [0, 1, 2, 3, 4, 255, i32::MAX as u32, u32::MAX];

fn damage(seed: &mut u64, nodes: &mut Vec<NodeRecord>, buffers: &mut Vec<Vec<u8>>) {
    let number = NUMBERS[roll(seed) % NUMBERS.len()];
    let node = roll(seed) % nodes.len().max(1);
    let buffer = roll(seed) % buffers.len().max(1);
    match (roll(seed) % 10, nodes.get_mut(node), buffers.get_mut(buffer)) {
        (0, Some(node), _) => node.length = number,
        (1, Some(node), _) => node.null_count = number,
        (2, Some(node), _) => node.buffers = number,
        (3, Some(node), _) => node.children = number,
        (4, Some(node), _) => node.dictionary = !node.dictionary,
        (5, _, Some(buffer)) => buffer.truncate(number as usize),
        (6, _, Some(buffer)) => buffer.extend(std::iter::repeat_n(0xff, number.min(64) as usize)),
        (7 | 8, _, Some(buffer)) if !buffer.is_empty() => {
            let at = roll(seed) % buffer.len();
            buffer[at] = [0, 1, 0x7f, 0x80, 0xff][roll(seed) % 5];
        }
        (9, Some(_), _) => drop(nodes.remove(node)),
        _ => drop(buffers.pop()),
    }
}

#[test]
fn damaged_arrays_are_refused_or_valid_but_never_a_panic() {
    let (mut refused, mut taken) = (0, 0);
    for begin in 0..40_000_u64 {
        let mut seed = begin;
        let samples = samples_once();
        let sample = &samples[roll(&mut seed) % samples.len()];
        let out = lower::lower(&sample.to_data());
        let mut nodes = out.nodes;
        let mut buffers: Vec<Vec<u8>> = out.buffers.iter().map(|it| it.to_vec()).collect();
        for _ in 0..=roll(&mut seed) % 3 {
            damage(&mut seed, &mut nodes, &mut buffers);
        }
        let rows = nodes.first().map_or(0, |it| it.length);
        let received = Received { nodes, buffers: buffers.iter().map(|it| aligned(it)).collect() };
        let field = Field::new("sample", sample.data_type().clone(), true);
        match lift(&field, rows, received) {
            Err(_) => refused += 1,
            Ok(array) => {
                taken += 1;
                array.to_data().validate_full().expect("what is taken is valid");
                let shown = ArrayFormatter::try_new(&array, &FormatOptions::default())
                    .expect("every type can be shown");
                for row in 0..array.len().min(100) {
                    let _text = shown.value(row).try_to_string();
                }
            }
        }
    }
    assert!(refused > 1000 && taken > 1000, "{refused} refused, {taken} taken");
}

fn samples_once() -> &'static [ArrayRef] {
    static SAMPLES: std::sync::OnceLock<Vec<ArrayRef>> = std::sync::OnceLock::new();
    SAMPLES.get_or_init(samples)
}

fn aligned(bytes: &[u8]) -> Buffer {
    let mut copy = arrow::buffer::MutableBuffer::with_capacity(bytes.len());
    copy.extend_from_slice(bytes);
    copy.into()
}
