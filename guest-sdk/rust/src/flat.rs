//! Arrow as it crosses to the host: the structs of the C data interface, flattened depth-first; a parent before its children.
//!
//! Reading copies nothing (a lifted buffer becomes the array's buffer), writing borrows; only what is sliced at an odd bit,
//! or whose offsets must be rebased, is written anew. Fields are in `flat/field.rs`.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Arrow has 40 types, of which a few are laid out in their own way"
)]

mod field;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use arrow_buffer::{ArrowNativeType, Buffer, MutableBuffer};
use arrow_data::{ArrayData, layout};
use arrow_schema::{DataType, UnionMode};

pub(crate) use self::field::{FlatField, fields_of, schema_of};
use crate::{Error, Result, bail, ensure};

/// One array of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlatNode {
    pub(crate) length: u32,
    pub(crate) null_count: u32,
    pub(crate) buffers: u32,
    pub(crate) children: u32,
    pub(crate) dictionary: bool,
}

/// A column on its way to the host.
#[derive(Debug, Default)]
pub(crate) struct Flattened<'a> {
    pub(crate) nodes: Vec<FlatNode>,
    pub(crate) buffers: Vec<Cow<'a, [u8]>>,
}

/// # Errors
/// More than `u32::MAX` rows.
pub(crate) fn flatten(data: &ArrayData) -> Result<Flattened<'_>> {
    let mut out = Flattened::default();
    out.push(data, 0, data.len())?;
    Ok(out)
}

impl<'a> Flattened<'a> {
    /// `start` counts from the array's own offset.
    fn push(&mut self, data: &'a ArrayData, start: usize, len: usize) -> Result<()> {
        let place = self.nodes.len();
        let first_buffer = self.buffers.len();
        self.nodes.push(FlatNode {
            length: count(len)?,
            null_count: 0,
            buffers: 0,
            children: 0,
            dictionary: false,
        });
        let null_count = self.push_validity(data, start, len)?;
        self.nodes[place].null_count = null_count;
        let at = data.offset() + start;
        match data.data_type() {
            DataType::Null => {}
            DataType::Boolean => self.push_bits(&data.buffers()[0], at, len),
            DataType::Utf8 | DataType::Binary => self.push_bytes::<i32>(data, at, len),
            DataType::LargeUtf8 | DataType::LargeBinary => self.push_bytes::<i64>(data, at, len),
            DataType::Utf8View | DataType::BinaryView => self.push_views(data, at, len),
            DataType::Dictionary(key, _) => {
                self.push_fixed(&data.buffers()[0], key.primitive_width().unwrap_or(1), at, len);
            }
            DataType::ListView(_) => self.push_list_view(data, 4, at, len),
            DataType::LargeListView(_) => self.push_list_view(data, 8, at, len),
            DataType::Union(_, mode) => {
                self.push_fixed(&data.buffers()[0], 1, at, len);
                if *mode == UnionMode::Dense {
                    self.push_fixed(&data.buffers()[1], 4, at, len);
                }
            }
            DataType::List(_) | DataType::Map(_, _) => self.push_offsets::<i32>(data, at, len),
            DataType::LargeList(_) => self.push_offsets::<i64>(data, at, len),
            DataType::FixedSizeList(_, _) | DataType::Struct(_) | DataType::RunEndEncoded(_, _) => {}
            DataType::FixedSizeBinary(width) => {
                self.push_fixed(&data.buffers()[0], width_of(*width), at, len)
            }
            other => {
                let Some(width) = other.primitive_width() else {
                    bail!("arrays of type {other} cannot be written")
                };
                self.push_fixed(&data.buffers()[0], width, at, len);
            }
        }
        self.nodes[place].buffers = count(self.buffers.len() - first_buffer)?;
        self.push_children(place, data, at, len)
    }

    fn push_children(&mut self, place: usize, data: &'a ArrayData, at: usize, len: usize) -> Result<()> {
        let children = data.child_data();
        match data.data_type() {
            DataType::Dictionary(_, _) => {
                self.nodes[place].dictionary = true;
                return self.push(&children[0], 0, children[0].len());
            }
            _ => self.nodes[place].children = count(children.len())?,
        }
        match data.data_type() {
            DataType::List(_) | DataType::Map(_, _) => {
                let (first, last) = span::<i32>(&data.buffers()[0], at, len);
                self.push(&children[0], first, last - first)
            }
            DataType::LargeList(_) => {
                let (first, last) = span::<i64>(&data.buffers()[0], at, len);
                self.push(&children[0], first, last - first)
            }
            DataType::FixedSizeList(_, size) => {
                let size = width_of(*size);
                self.push(&children[0], at * size, len * size)
            }
            DataType::RunEndEncoded(_, _) => self.push_runs(children, at, len),
            DataType::Struct(_) | DataType::Union(_, UnionMode::Sparse) => {
                children.iter().try_for_each(|it| self.push(it, at, len))
            }
            _ => children.iter().try_for_each(|it| self.push(it, 0, it.len())),
        }
    }

    /// The number of nulls. Types without a validity bitmap get no buffer; a bitmap without nulls is empty.
    fn push_validity(&mut self, data: &'a ArrayData, start: usize, len: usize) -> Result<u32> {
        if *data.data_type() == DataType::Null {
            return count(len);
        }
        if !layout(data.data_type()).can_contain_null_mask {
            return Ok(0);
        }
        let nulls = data.nulls().map(|it| (it, it.slice(start, len))).filter(|(_, it)| it.null_count() > 0);
        match nulls {
            None => {
                self.buffers.push(Cow::Borrowed(&[]));
                Ok(0)
            }
            Some((whole, part)) => {
                self.push_bits(whole.buffer(), whole.offset() + start, len);
                count(part.null_count())
            }
        }
    }

    fn push_bits(&mut self, buffer: &'a Buffer, at: usize, len: usize) {
        let bytes = len.div_ceil(8);
        self.buffers.push(match at % 8 {
            0 => Cow::Borrowed(&buffer.as_slice()[at / 8..at / 8 + bytes]),
            _ => {
                let shifted = buffer.bit_slice(at, len);
                Cow::Owned(shifted.as_slice()[..bytes].to_vec())
            }
        });
    }

    fn push_fixed(&mut self, buffer: &'a Buffer, width: usize, at: usize, len: usize) {
        self.buffers.push(Cow::Borrowed(&buffer.as_slice()[at * width..(at + len) * width]));
    }

    fn push_offsets<O: ArrowNativeType + std::ops::Sub<Output = O>>(
        &mut self,
        data: &'a ArrayData,
        at: usize,
        len: usize,
    ) {
        let buffer = &data.buffers()[0];
        let width = size_of::<O>();
        let offsets = buffer.typed_data::<O>();
        self.buffers.push(if len == 0 || offsets.is_empty() {
            Cow::Owned(vec![0; width])
        } else if offsets[at] == O::default() {
            Cow::Borrowed(&buffer.as_slice()[at * width..(at + len + 1) * width])
        } else {
            let rebased: MutableBuffer = offsets[at..=at + len].iter().map(|it| *it - offsets[at]).collect();
            Cow::Owned(rebased.as_slice().to_vec())
        });
    }

    fn push_bytes<O: ArrowNativeType + std::ops::Sub<Output = O>>(
        &mut self,
        data: &'a ArrayData,
        at: usize,
        len: usize,
    ) {
        self.push_offsets::<O>(data, at, len);
        let (first, last) = span::<O>(&data.buffers()[0], at, len);
        self.buffers.push(Cow::Borrowed(&data.buffers()[1].as_slice()[first..last]));
    }

    /// Without the last buffer of the C data interface, how long the data buffers are: they know it.
    fn push_views(&mut self, data: &'a ArrayData, at: usize, len: usize) {
        self.push_fixed(&data.buffers()[0], 16, at, len);
        self.buffers.extend(data.buffers()[1..].iter().map(|it| Cow::Borrowed(it.as_slice())));
    }

    fn push_list_view(&mut self, data: &'a ArrayData, width: usize, at: usize, len: usize) {
        self.push_fixed(&data.buffers()[0], width, at, len);
        self.push_fixed(&data.buffers()[1], width, at, len);
    }

    /// Run ends count from the array's start, so a slice gets ends of its own.
    fn push_runs(&mut self, children: &'a [ArrayData], at: usize, len: usize) -> Result<()> {
        let (ends, values) = (&children[0], &children[1]);
        let width = ends.data_type().primitive_width().unwrap_or(4);
        let (first, kept, bytes) = match width {
            2 => runs_of::<i16>(ends, at, len),
            4 => runs_of::<i32>(ends, at, len),
            _ => runs_of::<i64>(ends, at, len),
        };
        self.nodes.push(FlatNode {
            length: count(kept)?,
            null_count: 0,
            buffers: 2,
            children: 0,
            dictionary: false,
        });
        self.buffers.extend([Cow::Borrowed(&[][..]), Cow::Owned(bytes)]);
        self.push(values, first, kept)
    }
}

/// First run, number of runs and the ends, trimmed to `[at, at + len)`.
fn runs_of<E: ArrowNativeType>(ends: &ArrayData, at: usize, len: usize) -> (usize, usize, Vec<u8>) {
    let ends = &ends.buffers()[0].typed_data::<E>()[ends.offset()..ends.offset() + ends.len()];
    let first = ends.partition_point(|it| it.as_usize() <= at);
    let last = if len == 0 { first } else { ends.partition_point(|it| it.as_usize() < at + len) + 1 };
    let trimmed = ends[first..last].iter().map(|it| E::usize_as(it.as_usize().min(at + len) - at));
    let bytes: MutableBuffer = trimmed.collect();
    (first, last - first, bytes.as_slice().to_vec())
}

/// Where the values of `len` rows begin and end.
fn span<O: ArrowNativeType>(offsets: &Buffer, at: usize, len: usize) -> (usize, usize) {
    let offsets = offsets.typed_data::<O>();
    if len == 0 || offsets.is_empty() {
        (0, 0)
    } else {
        (offsets[at].as_usize(), offsets[at + len].as_usize())
    }
}

fn count(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_too_large| {
        Error::permanent(format!("a batch of {number} rows is too long; write smaller ones"))
    })
}

fn width_of(size: i32) -> usize {
    usize::try_from(size).unwrap_or_default()
}

/// The arrays of one column as they came; `data_type` is what the schema says of it.
///
/// # Errors
/// Nodes or buffers that do not make an array of that type.
pub(crate) fn unflatten(
    nodes: &[FlatNode],
    buffers: Vec<Vec<u8>>,
    data_type: &DataType,
) -> Result<ArrayData> {
    let mut reader = Reader { nodes: nodes.iter(), buffers: buffers.into_iter() };
    let data = reader.read(data_type)?;
    ensure!(reader.nodes.len() == 0, "the host sent more nodes than {data_type} has");
    Ok(data)
}

struct Reader<'a> {
    nodes: std::slice::Iter<'a, FlatNode>,
    buffers: std::vec::IntoIter<Vec<u8>>,
}

impl Reader<'_> {
    fn read(&mut self, data_type: &DataType) -> Result<ArrayData> {
        let Some(node) = self.nodes.next() else { bail!("the host sent fewer nodes than {data_type} has") };
        let mut buffers: Vec<Buffer> =
            self.buffers.by_ref().take(node.buffers as usize).map(Buffer::from_vec).collect();
        ensure!(buffers.len() == node.buffers as usize, "the host sent fewer buffers than {data_type} has");
        let mut builder = ArrayData::builder(data_type.clone()).len(node.length as usize);
        if layout(data_type).can_contain_null_mask && !buffers.is_empty() {
            let validity = buffers.remove(0);
            if node.null_count > 0 {
                builder = builder.null_bit_buffer(Some(validity)).null_count(node.null_count as usize);
            }
        }
        let mut children = Vec::new();
        for child in children_of(data_type) {
            children.push(self.read(child)?);
        }
        // Wide types need more than the byte's alignment that a lifted list has.
        Ok(builder.buffers(buffers).child_data(children).align_buffers(true).build()?)
    }
}

/// The types of the nodes that follow, the dictionary's last.
fn children_of(data_type: &DataType) -> Vec<&DataType> {
    match data_type {
        DataType::List(it)
        | DataType::LargeList(it)
        | DataType::ListView(it)
        | DataType::LargeListView(it)
        | DataType::FixedSizeList(it, _)
        | DataType::Map(it, _) => vec![it.data_type()],
        DataType::Struct(fields) => fields.iter().map(|it| it.data_type()).collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, it)| it.data_type()).collect(),
        DataType::RunEndEncoded(ends, values) => vec![ends.data_type(), values.data_type()],
        DataType::Dictionary(_, values) => vec![values],
        _ => Vec::new(),
    }
}
