//! How far two numbers are apart.

#![expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types: a list of those that are numbers")]

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gap {
    pub(super) absolute: f64,
    /// Of the larger of the two, so that it is never more than 2 and zero has no special case.
    pub(super) relative: f64,
}

/// `None` where one of the two is no finite number. Both arrays are of one type.
pub(super) fn gap(left: &dyn Array, right: &dyn Array, row: usize) -> Option<Gap> {
    if left.is_null(row) || right.is_null(row) {
        return None;
    }
    match left.data_type() {
        DataType::Int8 => Some(whole::<Int8Type>(left, right, row)),
        DataType::Int16 => Some(whole::<Int16Type>(left, right, row)),
        DataType::Int32 => Some(whole::<Int32Type>(left, right, row)),
        DataType::Int64 => Some(whole::<Int64Type>(left, right, row)),
        DataType::UInt8 => Some(whole::<UInt8Type>(left, right, row)),
        DataType::UInt16 => Some(whole::<UInt16Type>(left, right, row)),
        DataType::UInt32 => Some(whole::<UInt32Type>(left, right, row)),
        DataType::UInt64 => Some(whole::<UInt64Type>(left, right, row)),
        DataType::Float16 => {
            let at = |it: &dyn Array| it.as_primitive::<Float16Type>().value(row).to_f64();
            real(at(left), at(right))
        }
        DataType::Float32 => {
            let at = |it: &dyn Array| f64::from(it.as_primitive::<Float32Type>().value(row));
            real(at(left), at(right))
        }
        DataType::Float64 => {
            let at = |it: &dyn Array| it.as_primitive::<Float64Type>().value(row);
            real(at(left), at(right))
        }
        DataType::Decimal128(_, scale) => {
            let at = |it: &dyn Array| it.as_primitive::<Decimal128Type>().value(row);
            let unscaled = of_whole(at(left), at(right));
            Some(Gap { absolute: unscaled.absolute / 10_f64.powi(i32::from(*scale)), ..unscaled })
        }
        _ => None,
    }
}

fn whole<T: ArrowPrimitiveType<Native: Into<i128>>>(left: &dyn Array, right: &dyn Array, row: usize) -> Gap {
    let at = |it: &dyn Array| it.as_primitive::<T>().value(row).into();
    of_whole(at(left), at(right))
}

/// The difference is taken before it becomes a float: neighbours among large whole numbers stay apart.
#[expect(clippy::cast_precision_loss, reason = "how far apart, to 15 digits")]
fn of_whole(left: i128, right: i128) -> Gap {
    let absolute = left.abs_diff(right) as f64;
    let larger = left.unsigned_abs().max(right.unsigned_abs()) as f64;
    Gap { absolute, relative: if larger > 0.0 { absolute / larger } else { 0.0 } }
}

fn real(left: f64, right: f64) -> Option<Gap> {
    if !left.is_finite() || !right.is_finite() {
        return None;
    }
    let larger = left.abs().max(right.abs());
    // Halved, so that the difference of two huge numbers is no infinity.
    let relative = if larger > 0.0 { (right / 2.0 - left / 2.0).abs() / (larger / 2.0) } else { 0.0 };
    Some(Gap { absolute: (right - left).abs(), relative })
}
