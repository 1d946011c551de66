//! Arrays to the guest: slices trimmed to offset 0, buffers shared with the host's until wasmtime copies them into
//! the guest's memory.

use arrow::array::{Array, ArrayData, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType};
use bytes::Bytes;

use crate::wire::{ArrayOut, NodeRecord};

/// Lets `Bytes` share an Arrow buffer.
struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Flattens one array. Types were checked when its table was opened; an array of a type that does not cross is a
/// slip of our own.
pub(crate) fn lower(data: &ArrayData) -> ArrayOut {
    let mut out = Lowering { array: ArrayOut { nodes: Vec::new(), buffers: Vec::new() } };
    out.node(data);
    out.array
}

impl ArrayOut {
    pub(crate) fn bytes(&self) -> u64 {
        self.buffers.iter().map(|it| it.len() as u64).sum()
    }
}

/// `ArrayData::slice` slices a struct's children and keeps the offset as well, so arrays do it here.
fn part(data: &ArrayData, offset: usize, length: usize) -> ArrayData {
    make_array(data.clone()).slice(offset, length).to_data()
}

struct Lowering {
    array: ArrayOut,
}

impl Lowering {
    fn node(&mut self, data: &ArrayData) {
        let at = self.array.nodes.len();
        let buffers_before = self.array.buffers.len();
        let null_count = data.null_count();
        let mut node = NodeRecord {
            length: u32::try_from(data.len())
                .expect("batches are cut to u32 rows, and their children hold fewer"),
            null_count: u32::try_from(null_count).expect("no more nulls than rows"),
            buffers: 0,
            children: 0,
            dictionary: false,
        };
        if matches!(data.data_type(), DataType::Null) {
            // Nothing but its length; Arrow's own count of nulls there is a matter of taste.
            node.null_count = node.length;
            self.array.nodes.push(node);
            return;
        }
        self.array.nodes.push(node);
        match data.nulls() {
            Some(nulls) if null_count > 0 => self.bits(nulls.inner()),
            _ => self.array.buffers.push(Bytes::new()),
        }
        let nested = self.values(data);
        node.buffers =
            u32::try_from(self.array.buffers.len() - buffers_before).expect("a handful of buffers");
        let values_of_dictionary = matches!(data.data_type(), DataType::Dictionary(_, _));
        node.dictionary = values_of_dictionary;
        if !values_of_dictionary {
            node.children = u32::try_from(nested.len()).expect("schemas are bounded");
        }
        self.array.nodes[at] = node;
        for child in &nested {
            self.node(child);
        }
    }

    /// Pushes the buffers after the validity bitmap; returns children, or a dictionary's values.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other types that cross have a fixed width")]
    fn values(&mut self, data: &ArrayData) -> Vec<ArrayData> {
        let (offset, length) = (data.offset(), data.len());
        match data.data_type() {
            DataType::Boolean => {
                self.bits(&BooleanBuffer::new(data.buffers()[0].clone(), offset, length));
                Vec::new()
            }
            DataType::Utf8 | DataType::Binary => self.variable::<i32>(data),
            DataType::LargeUtf8 | DataType::LargeBinary => self.variable::<i64>(data),
            DataType::Utf8View | DataType::BinaryView => {
                self.fixed(data, 16);
                for buffer in data.buffers().iter().skip(1) {
                    self.share(buffer.clone());
                }
                Vec::new()
            }
            DataType::List(_) | DataType::Map(_, _) => self.list::<i32>(data),
            DataType::LargeList(_) => self.list::<i64>(data),
            DataType::FixedSizeList(_, width) => {
                let width = usize::try_from(*width).expect("checked when the type was made");
                vec![part(&data.child_data()[0], offset * width, length * width)]
            }
            DataType::Struct(_) => data.child_data().iter().map(|it| part(it, offset, length)).collect(),
            DataType::Dictionary(key, _) => {
                self.fixed(data, key.primitive_width().expect("keys are integers"));
                vec![data.child_data()[0].clone()]
            }
            DataType::FixedSizeBinary(width) => {
                self.fixed(data, usize::try_from(*width).expect("checked when the type was made"));
                Vec::new()
            }
            primitive => {
                self.fixed(
                    data,
                    primitive.primitive_width().expect("every other type that crosses has a width"),
                );
                Vec::new()
            }
        }
    }

    fn share(&mut self, buffer: Buffer) {
        let bytes = if buffer.is_empty() { Bytes::new() } else { Bytes::from_owner(Shared(buffer)) };
        self.array.buffers.push(bytes);
    }

    fn fixed(&mut self, data: &ArrayData, width: usize) {
        self.share(data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width));
    }

    /// Bits from position 0 on, those after the last cleared: the guest must not see what nobody defined.
    fn bits(&mut self, bits: &BooleanBuffer) {
        let length = bits.len().div_ceil(8);
        let buffer = bits.sliced();
        let buffer = buffer.slice_with_length(0, length);
        let surplus = length * 8 - bits.len();
        let Some(last) = buffer.last().copied() else { return self.share(buffer) };
        let clean = last & (0xff >> surplus);
        if clean == last {
            return self.share(buffer);
        }
        let mut copy = buffer.to_vec();
        copy[length - 1] = clean;
        self.share(copy.into());
    }

    fn variable<O: ArrowNativeType>(&mut self, data: &ArrayData) -> Vec<ArrayData> {
        let (first, last) = self.offsets::<O>(data);
        self.share(data.buffers()[1].slice_with_length(first, last - first));
        Vec::new()
    }

    fn list<O: ArrowNativeType>(&mut self, data: &ArrayData) -> Vec<ArrayData> {
        let (first, last) = self.offsets::<O>(data);
        vec![part(&data.child_data()[0], first, last - first)]
    }

    /// Pushes offsets that begin with 0; returns the range of values that they spoke of.
    fn offsets<O: ArrowNativeType>(&mut self, data: &ArrayData) -> (usize, usize) {
        if data.is_empty() {
            self.share(Buffer::from_vec(vec![O::default()]));
            return (0, 0);
        }
        let offsets = ScalarBuffer::<O>::new(data.buffers()[0].clone(), data.offset(), data.len() + 1);
        let (first, last) = (offsets[0].as_usize(), offsets[data.len()].as_usize());
        if first == 0 {
            self.share(offsets.into_inner());
        } else {
            let rebased: Vec<O> = offsets.iter().map(|it| O::usize_as(it.as_usize() - first)).collect();
            self.share(Buffer::from_vec(rebased));
        }
        (first, last)
    }
}
