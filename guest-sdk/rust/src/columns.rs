//! Tables as structs of Arrow arrays: `#[derive(Columns)]` implements [`Columns`], and [`Column`] says which arrays can be fields.

use std::any::Any;
use std::sync::Arc;

use arrow_array::types::{ByteArrayType, ByteViewType};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, GenericByteArray, GenericByteViewArray, NullArray,
    PrimitiveArray, RecordBatch, new_empty_array,
};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, SchemaRef};

use crate::description::Index;
use crate::{Error, Result, ensure};

/// A table whose columns the task knows: a struct of Arrow arrays with `#[derive(Columns)]`, or any [`RecordBatch`].
///
/// | on a field | means |
/// |---|---|
/// | `#[time]` | the time index: orders the table |
/// | `#[identifier]` | makes a row unique, together with the time |
/// | `#[nullable]` | may hold nulls; without it a null is an error |
/// | `#[rename = "type"]` | the column's name, where it is not the field's |
/// | `#[timezone = "Europe/Berlin"]`, `#[timezone(none)]` | of a timestamp; UTC without it |
/// | `#[data_type(DataType::Decimal128(20, 4))]` | where the Rust type does not tell: lists, structs, decimals, dictionaries |
///
/// ```
/// use tidemill_task::prelude::*;
/// #[derive(Columns)]
/// struct Prices {
///     #[time]
///     time_index: TimestampMicrosecondArray,
///     #[identifier]
///     symbol: StringArray,
///     close: Float64Array,
/// }
/// let prices = Prices {
///     time_index: vec![0, 1].into(), // the zone is set for you
///     symbol: vec!["A", "A"].into(),
///     close: vec![1.0, 2.0].into(),
/// };
/// let batch: RecordBatch = prices.into_batch().expect("columns of one length");
/// let prices = Prices::from_batch(&batch).expect("the same columns");
/// assert_eq!(prices.close.value(1), 2.0);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no table",
    note = "a table is a struct of Arrow arrays with `#[derive(Columns)]`, or a `RecordBatch`"
)]
pub trait Columns: Sized {
    /// The columns in order; `None` when only running decides (a [`RecordBatch`]).
    fn schema() -> Option<SchemaRef>;

    /// How rows are ordered and told apart.
    #[doc(hidden)]
    fn index() -> Index;

    /// The doc comment's first line.
    #[doc(hidden)]
    fn summary() -> &'static str;

    /// Takes the columns out of a batch, by name; other columns are ignored.
    ///
    /// # Errors
    /// A column that is missing, has another type, or holds a null where none may be.
    fn from_batch(batch: &RecordBatch) -> Result<Self>;

    /// The columns as a batch with exactly [`Columns::schema`].
    ///
    /// # Errors
    /// Columns of unequal lengths, another time zone, a null where none may be.
    fn into_batch(self) -> Result<RecordBatch>;

    /// Number of rows (of the first column; that all are as long, [`Columns::into_batch`] checks).
    fn rows(&self) -> usize;

    /// The table without rows.
    ///
    /// # Errors
    /// None for a derived struct; an empty [`RecordBatch`] has no columns.
    fn empty() -> Result<Self> {
        let schema = Self::schema().unwrap_or_else(|| Arc::new(arrow_schema::Schema::empty()));
        Self::from_batch(&RecordBatch::new_empty(schema))
    }
}

impl Columns for RecordBatch {
    fn schema() -> Option<SchemaRef> {
        None
    }
    fn index() -> Index {
        Index::default()
    }
    fn summary() -> &'static str {
        ""
    }
    fn rows(&self) -> usize {
        self.num_rows()
    }
    fn from_batch(batch: &RecordBatch) -> Result<Self> {
        Ok(batch.clone())
    }
    fn into_batch(self) -> Result<RecordBatch> {
        Ok(self)
    }
}

/// An Arrow array that can be a field of a `#[derive(Columns)]` struct: all of them.
///
/// ```
/// use tidemill_task::prelude::*;
/// let array: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0]));
/// assert!(<Float64Array as Column>::from_array(&array).is_some());
/// assert!(<Int64Array as Column>::from_array(&array).is_none());
/// ```
pub trait Column: Array + Clone + 'static {
    /// The array as this type; `None` when it is of another.
    fn from_array(array: &ArrayRef) -> Option<Self>;
    /// The array without its type.
    fn into_array(self) -> ArrayRef;
}

impl<A: Array + Clone + 'static> Column for A {
    fn from_array(array: &ArrayRef) -> Option<Self> {
        // `ArrayRef` is an array too: asked for it, hand out what there is.
        let itself = (array as &dyn Any).downcast_ref::<A>();
        itself.or_else(|| array.as_any().downcast_ref::<A>()).cloned()
    }
    fn into_array(self) -> ArrayRef {
        match (&self as &dyn Any).downcast_ref::<ArrayRef>() {
            Some(array) => Arc::clone(array),
            None => Arc::new(self),
        }
    }
}

/// An array whose Rust type tells its Arrow type, so that `#[data_type(…)]` need not.
///
/// ```
/// use tidemill_task::prelude::*;
/// assert_eq!(Float64Array::data_type_of(), DataType::Float64);
/// assert_eq!(TimestampMicrosecondArray::data_type_of(), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
/// ```
#[diagnostic::on_unimplemented(
    message = "the type `{Self}` does not tell its Arrow type",
    note = "say it on the field: `#[data_type(DataType::…)]`; a field is an Arrow array such as `Float64Array`"
)]
pub trait Typed: Column {
    /// The Arrow type; timestamps are UTC.
    fn data_type_of() -> DataType;
}

impl<T: ArrowPrimitiveType> Typed for PrimitiveArray<T> {
    fn data_type_of() -> DataType {
        zoned(T::DATA_TYPE, Some("UTC"))
    }
}

impl Typed for BooleanArray {
    fn data_type_of() -> DataType {
        DataType::Boolean
    }
}

impl Typed for NullArray {
    fn data_type_of() -> DataType {
        DataType::Null
    }
}

impl<T: ByteArrayType> Typed for GenericByteArray<T> {
    fn data_type_of() -> DataType {
        T::DATA_TYPE
    }
}

impl<T: ByteViewType> Typed for GenericByteViewArray<T> {
    fn data_type_of() -> DataType {
        T::DATA_TYPE
    }
}

/// What the derive macro writes for one field when it reads a batch.
#[doc(hidden)]
pub fn take_column<A: Column>(batch: &RecordBatch, field: &Field) -> Result<A> {
    let name = field.name();
    let Some(array) = batch.column_by_name(name) else {
        let schema = batch.schema_ref();
        let there = schema.fields().iter().map(|it| it.name().as_str()).collect::<Vec<_>>().join("`, `");
        return Err(Error::permanent(format!("column `{name}` is missing; there are `{there}`")));
    };
    ensure!(
        array.data_type() == field.data_type(),
        "column `{name}` is {}, must be {}",
        array.data_type(),
        field.data_type()
    );
    check_nulls(array, field)?;
    A::from_array(array).ok_or_else(|| {
        Error::permanent(format!(
            "column `{name}` is {}, which is no {}",
            array.data_type(),
            array_name::<A>()
        ))
    })
}

/// What the derive macro writes for one field when it makes a batch: the array with exactly the field's type.
#[doc(hidden)]
pub fn give_column<A: Column>(array: A, field: &Field) -> Result<ArrayRef> {
    let array = fit(array.into_array(), field.data_type()).map_err(|it| {
        Error::permanent(format!("column `{}` is {it}, must be {}", field.name(), field.data_type()))
    })?;
    check_nulls(&array, field)?;
    Ok(array)
}

/// What the derive macro writes to put a batch together.
#[doc(hidden)]
pub fn batch_of(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    for (field, column) in schema.fields().iter().zip(&columns) {
        let (first, rows) = (schema.field(0).name(), columns[0].len());
        ensure!(
            column.len() == rows,
            "column `{}` has {} rows, `{first}` has {rows}",
            field.name(),
            column.len()
        );
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// What the derive macro writes for `#[timezone…]`.
#[doc(hidden)]
pub fn zoned(data_type: DataType, zone: Option<&str>) -> DataType {
    if let DataType::Timestamp(unit, _) = data_type {
        return DataType::Timestamp(unit, zone.map(Into::into));
    }
    data_type
}

/// A time zone is a value and no part of the Rust type: where it was left open it is filled in. Err: the array's type.
pub(crate) fn fit(array: ArrayRef, wanted: &DataType) -> std::result::Result<ArrayRef, DataType> {
    let found = array.data_type();
    if found == wanted {
        return Ok(array);
    }
    let open = match (found, wanted) {
        (DataType::Timestamp(a, None), DataType::Timestamp(b, _)) => a == b,
        _ => false,
    };
    // Rows of no known type (an empty batch) fit everything.
    if array.is_empty() && *found == DataType::Null {
        return Ok(new_empty_array(wanted));
    }
    if !open {
        return Err(found.clone());
    }
    let data: ArrayData = array.to_data();
    let data = data.into_builder().data_type(wanted.clone()).build();
    data.map(arrow_array::make_array).map_err(|_same_layout| array.data_type().clone())
}

fn check_nulls(array: &ArrayRef, field: &Field) -> Result<()> {
    if field.is_nullable() || array.null_count() == 0 {
        return Ok(());
    }
    let row = (0..array.len()).find(|row| array.is_null(*row)).unwrap_or_default();
    Err(Error::permanent(format!(
        "column `{}` has a null in row {row}; mark it `#[nullable]`, or fill it before",
        field.name()
    )))
}

/// The array's name as people write it.
pub(crate) fn array_name<A>() -> String {
    // Module paths go, within generic arguments too.
    let parts = std::any::type_name::<A>().split_inclusive(['<', '>', ',']);
    let name: String = parts.map(|it| it.rsplit("::").next().unwrap_or(it)).collect();
    if let Some(kind) = name.strip_prefix("PrimitiveArray<").and_then(|it| it.strip_suffix("Type>")) {
        return format!("{kind}Array");
    }
    match name.as_str() {
        "GenericByteArray<GenericStringType<i32>>" => "StringArray".into(),
        "GenericByteArray<GenericStringType<i64>>" => "LargeStringArray".into(),
        "GenericByteArray<GenericBinaryType<i32>>" => "BinaryArray".into(),
        "GenericByteArray<GenericBinaryType<i64>>" => "LargeBinaryArray".into(),
        _ => name,
    }
}
