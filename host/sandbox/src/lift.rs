//! Arrays from the guest: nothing of them is believed. A tree of Arrow data is built node by node, each validated in
//! full before its parent is.

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, Field,
};
use arrow::error::ArrowError;

use crate::wire::NodeRecord;

/// What a guest sent for one column, its buffers copied out of its memory (aligned for any type).
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) nodes: Vec<NodeRecord>,
    pub(crate) buffers: Vec<Buffer>,
}

/// Why a column was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Row of the batch, where it can be told.
    pub(crate) row: Option<usize>,
    pub(crate) what: String,
}

impl Broken {
    fn new(what: impl Into<String>) -> Self {
        Self { row: None, what: what.into() }
    }
}

/// Builds the column of `field`; the result is valid Arrow of exactly its type, `rows` long.
pub(crate) fn lift(field: &Field, rows: u32, received: Received) -> Result<ArrayRef, Broken> {
    let mut cursor = Cursor { nodes: received.nodes.into_iter(), buffers: received.buffers.into_iter() };
    let data = cursor.array(field.data_type(), Depth::Top)?;
    if cursor.nodes.next().is_some() {
        return Err(Broken::new(format!("there are more nodes than {} has", field.data_type())));
    }
    if cursor.buffers.next().is_some() {
        return Err(Broken::new("there are more buffers than its nodes speak of"));
    }
    if data.len() != rows as usize {
        return Err(Broken::new(format!("it has {} rows, the batch {rows}", data.len())));
    }
    Ok(make_array(data))
}

/// The first null where none may be.
pub(crate) fn first_null(array: &dyn Array) -> Option<usize> {
    let nulls = array.logical_nulls().filter(|it| it.null_count() > 0)?;
    (0..nulls.len()).find(|it| nulls.is_null(*it))
}

/// Whether a node's rows are the batch's rows.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Top,
    Nested,
}

struct Cursor {
    nodes: std::vec::IntoIter<NodeRecord>,
    buffers: std::vec::IntoIter<Buffer>,
}

impl Cursor {
    fn array(&mut self, data_type: &DataType, depth: Depth) -> Result<ArrayData, Broken> {
        let node =
            self.nodes.next().ok_or_else(|| Broken::new(format!("a node for {data_type} is missing")))?;
        check_shape(node, data_type)?;
        if node.null_count > node.length {
            return Err(Broken::new(format!("{} nulls are more than {} rows", node.null_count, node.length)));
        }
        let length = node.length as usize;
        if matches!(data_type, DataType::Null) {
            return Ok(ArrayData::new_null(data_type, length));
        }
        let nulls = self.nulls(node)?;
        let mut buffers = (1..node.buffers).map(|_| self.buffer()).collect::<Result<Vec<_>, _>>()?;
        trim(data_type, length, &mut buffers)?;
        let mut children = Vec::new();
        for child in nested_types(data_type) {
            children.push(self.array(child, Depth::Nested)?);
        }
        let part = |rows| {
            ArrayData::builder(data_type.clone())
                .len(rows)
                .buffers(buffers.clone())
                .child_data(children.clone())
                .nulls(nulls.as_ref().map(|it| it.slice(0, rows)))
                .build()
        };
        let data = part(length).map_err(|error| Broken {
            row: (depth == Depth::Top).then(|| first_bad_row(length, part)).flatten(),
            what: explain(&error),
        })?;
        check_decimals(&data, depth)?;
        Ok(data)
    }

    fn buffer(&mut self) -> Result<Buffer, Broken> {
        self.buffers.next().ok_or_else(|| Broken::new("its nodes speak of more buffers than there are"))
    }

    fn nulls(&mut self, node: NodeRecord) -> Result<Option<NullBuffer>, Broken> {
        let bitmap = self.buffer()?;
        let length = node.length as usize;
        if bitmap.is_empty() && node.null_count == 0 {
            return Ok(None);
        }
        if bitmap.len() < length.div_ceil(8) {
            return Err(Broken::new(format!(
                "its validity bitmap has {} bytes; {length} rows need {}",
                bitmap.len(),
                length.div_ceil(8)
            )));
        }
        let nulls = NullBuffer::new(BooleanBuffer::new(bitmap, 0, length));
        if nulls.null_count() != node.null_count as usize {
            return Err(Broken::new(format!(
                "it claims {} nulls, its validity bitmap has {}",
                node.null_count,
                nulls.null_count()
            )));
        }
        Ok(Some(nulls).filter(|it| it.null_count() > 0))
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most types have a bitmap and values")]
fn check_shape(node: NodeRecord, data_type: &DataType) -> Result<(), Broken> {
    let nested = nested_types(data_type).len();
    let dictionary = matches!(data_type, DataType::Dictionary(_, _));
    let children = if dictionary { 0 } else { nested };
    if node.children as usize != children || node.dictionary != dictionary {
        return Err(Broken::new(format!(
            "a node of {data_type} has {children} children, not {}",
            node.children
        )));
    }
    let (least, most) = match data_type {
        DataType::Null => (0, 0),
        DataType::Struct(_) | DataType::FixedSizeList(_, _) => (1, 1),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => (3, 3),
        DataType::Utf8View | DataType::BinaryView => (2, u32::MAX),
        _ => (2, 2),
    };
    if !(least..=most).contains(&node.buffers) {
        return Err(Broken::new(format!("a node of {data_type} has {least} buffers, not {}", node.buffers)));
    }
    Ok(())
}

/// Cuts the buffer that has one entry for each row to just these rows. Too short a one is refused in the words of the
/// contract; of one with a torn entry at its end Arrow would make a panic.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other types have the width that Arrow knows")]
fn trim(data_type: &DataType, length: usize, buffers: &mut [Buffer]) -> Result<(), Broken> {
    let needed = match data_type {
        DataType::Boolean => length.div_ceil(8),
        DataType::FixedSizeBinary(width) => length * usize::try_from(*width).unwrap_or(0),
        DataType::Dictionary(key, _) => length * key.primitive_width().unwrap_or(0),
        DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(_, _) => offsets(length) * 4,
        DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_) => offsets(length) * 8,
        DataType::Utf8View | DataType::BinaryView => length * 16,
        other => length * other.primitive_width().unwrap_or(0),
    };
    let Some(buffer) = buffers.first_mut() else { return Ok(()) };
    let has = buffer.len();
    if has < needed {
        return Err(Broken::new(format!(
            "a buffer of {data_type} has {has} bytes; {length} rows need {needed}"
        )));
    }
    *buffer = buffer.slice_with_length(0, needed);
    Ok(())
}

/// Arrays without rows may come without offsets.
fn offsets(length: usize) -> usize {
    if length == 0 { 0 } else { length + 1 }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most types are flat")]
fn nested_types(data_type: &DataType) -> Vec<&DataType> {
    match data_type {
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => vec![child.data_type()],
        DataType::Struct(fields) => fields.iter().map(|it| it.data_type()).collect(),
        DataType::Dictionary(_, values) => vec![values],
        _ => Vec::new(),
    }
}

/// More rows can only add faults, so the first bad row is found by halving.
fn first_bad_row(length: usize, part: impl Fn(usize) -> Result<ArrayData, ArrowError>) -> Option<usize> {
    let (mut good, mut bad) = (0, length);
    while good + 1 < bad {
        let middle = good + (bad - good) / 2;
        if part(middle).is_ok() { good = middle } else { bad = middle }
    }
    bad.checked_sub(1)
}

/// Arrow's message without the name of its kind.
fn explain(error: &ArrowError) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("Invalid argument error: ").unwrap_or(&text);
    format!("its data is not valid Arrow: {text}")
}

/// Values of a decimal within its precision; building does not check them.
#[expect(clippy::wildcard_enum_match_arm, reason = "only decimals have digits to count")]
fn check_decimals(data: &ArrayData, depth: Depth) -> Result<(), Broken> {
    fn check<D: DecimalType>(data: &ArrayData, precision: u8, depth: Depth) -> Result<(), Broken> {
        let array = make_array(data.clone());
        let values = array.as_primitive::<D>().iter();
        let outside = values
            .enumerate()
            .find(|(_, it)| it.is_some_and(|it| !D::is_valid_decimal_precision(it, precision)));
        match outside {
            None => Ok(()),
            Some((row, _)) => Err(Broken {
                row: (depth == Depth::Top).then_some(row),
                what: format!("its value has more than the {precision} digits of {}", data.data_type()),
            }),
        }
    }
    match data.data_type() {
        DataType::Decimal32(precision, _) => check::<Decimal32Type>(data, *precision, depth),
        DataType::Decimal64(precision, _) => check::<Decimal64Type>(data, *precision, depth),
        DataType::Decimal128(precision, _) => check::<Decimal128Type>(data, *precision, depth),
        DataType::Decimal256(precision, _) => check::<Decimal256Type>(data, *precision, depth),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
