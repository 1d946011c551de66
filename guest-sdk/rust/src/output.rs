//! Tables as a task writes them: whole tables, or column by column, new arrays beside borrowed input columns.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, FieldRef, Schema, SchemaRef};

use crate::columns::{self, Column, Columns};
use crate::host::{Backend, Host, Value};
use crate::{Batch, Error, InputColumn, Result, ensure};

type HostOutput = <Backend as Host>::Output;

/// A table being written, batch by batch: an argument `output: &mut Output<Returns>` of a task.
///
/// Rows come in (time, identifiers) order and no index twice. The host commits when the task returns without an error.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[derive(Columns)]
/// struct Count { rows: UInt64Array }
/// #[task]
/// fn count(prices: Input, counts: &mut Output<Count>) -> Result<()> {
///     for batch in prices.batches() {
///         counts.write(Count { rows: vec![batch?.rows() as u64].into() })?;
///     }
///     Ok(())
/// }
/// let close: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0, 3.0, 2.0]));
/// let prices = RecordBatch::try_from_iter([("close", close)]).expect("a batch");
/// let outputs = Harness::new(count_task).input("prices", prices).batch_rows_max(2).run().expect("runs");
/// assert_eq!(outputs.read::<Count>("counts").expect("written").rows.values(), &[2, 1]);
/// ```
pub struct Output<T = RecordBatch> {
    port: &'static str,
    /// Created with the first batch when only running decides the columns.
    opened: Option<(HostOutput, SchemaRef)>,
    table: PhantomData<T>,
}

impl<T: Columns> Output<T> {
    /// A table whose columns are declared exists from here on, with or without rows.
    pub(crate) fn new(port: &'static str) -> Result<Self> {
        let mut output = Self { port, opened: None, table: PhantomData };
        if let Some(schema) = T::schema() {
            output.create(schema)?;
        }
        Ok(output)
    }

    /// Appends rows.
    ///
    /// # Errors
    /// Columns that are not as declared, or that the host refuses: out of order, an index twice, past a limit. The attempt
    /// has then failed, whatever the task returns.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn pass(table: RecordBatch, output: &mut Output) -> Result<()> { output.write(table) }
    /// ```
    pub fn write(&mut self, table: T) -> Result<()> {
        let batch = table.into_batch().map_err(|it| self.place(it))?;
        self.ready(batch.schema_ref())?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let values: Vec<_> = batch.columns().iter().map(|it| Value::Fresh(ArrayRef::clone(it))).collect();
        self.send(batch.num_rows(), &values)
    }

    /// Appends an input's batch as it is, without a copy; its columns must be those of the output, by name.
    ///
    /// # Errors
    /// As [`Output::write`].
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn pass(batch: &Batch, output: &mut Output) -> Result<()> { output.pass(batch) }
    /// ```
    pub fn pass<U: Columns>(&mut self, batch: &Batch<U>) -> Result<()> {
        batch.columns().fold(self.compose(), Composition::pass).write()
    }

    /// Begins rows that are put together column by column: new arrays, and columns of an input, which are not copied.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn double(batch: &Batch, output: &mut Output) -> Result<()> {
    ///     let close: Float64Array = batch.column("close")?.read()?;
    ///     let time = batch.column("time_index")?;
    ///     output.compose().pass(time).set("close", close.unary::<_, Float64Type>(|it| it * 2.0)).write()
    /// }
    /// ```
    pub fn compose(&mut self) -> Composition<'_, T> {
        Composition { output: self, columns: Vec::new() }
    }

    /// The output exists; its columns are these.
    fn ready(&mut self, schema: &SchemaRef) -> Result<()> {
        if self.opened.is_none() {
            self.create(SchemaRef::clone(schema))?;
        }
        let (_, declared) = self.opened.as_ref().expect("it was created above");
        if Arc::ptr_eq(declared, schema) || declared.fields() == schema.fields() {
            return Ok(());
        }
        let wanted: Vec<_> = declared.fields().iter().map(|it| (it.name(), it.data_type())).collect();
        let found: Vec<_> = schema.fields().iter().map(|it| (it.name(), it.data_type())).collect();
        if wanted == found {
            // Nullability may differ from batch to batch; the host looks at the values.
            return Ok(());
        }
        Err(Error::permanent(format!(
            "output `{}`: a batch has the columns {}, the first had {}",
            self.port,
            listing(schema),
            listing(declared)
        )))
    }

    fn create(&mut self, schema: SchemaRef) -> Result<()> {
        let output = Backend::create(self.port, &schema).map_err(|it| self.place(it))?;
        self.opened = Some((output, schema));
        Ok(())
    }

    fn send(&mut self, rows: usize, values: &[Value<'_, Backend>]) -> Result<()> {
        let (output, _) = self.opened.as_mut().expect("`ready` goes before");
        let written = Backend::write(output, rows, values);
        written.map_err(|it| self.place(it))
    }

    fn place(&self, error: Error) -> Error {
        error.context(format_args!("output `{}`", self.port))
    }
}

fn listing(schema: &Schema) -> String {
    let columns: Vec<_> =
        schema.fields().iter().map(|it| format!("`{}` {}", it.name(), it.data_type())).collect();
    columns.join(", ")
}

/// Rows of an [`Output`] that are put together column by column; nothing is written before [`Composition::write`].
///
/// ```
/// use tidemill_task::prelude::*;
/// fn double(batch: &Batch, output: &mut Output) -> Result<()> {
///     let close: Float64Array = batch.column("close")?.read()?;
///     output.compose().pass(batch.column("time_index")?).set("close", close).write()
/// }
/// ```
#[must_use = "nothing is written before `write`"]
pub struct Composition<'a, T> {
    output: &'a mut Output<T>,
    columns: Vec<(String, Part)>,
}

// Handles have nothing to show: what they are of is.

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output(`{}`)", self.port)
    }
}

impl<T> fmt::Debug for Composition<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = self.columns.iter().map(|(name, _)| name).collect();
        write!(f, "Composition(`{}`, {columns:?})", self.output.port)
    }
}

enum Part {
    Fresh(ArrayRef),
    Borrowed(InputColumn),
}

impl<T: Columns> Composition<'_, T> {
    /// An input's column under its own name, passed through without a copy.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn times(batch: &Batch, output: &mut Output) -> Result<()> {
    ///     output.compose().pass(batch.column("time_index")?).write()
    /// }
    /// ```
    pub fn pass(self, column: InputColumn) -> Self {
        let name = column.field().name().clone();
        self.pass_as(name, column)
    }

    /// An input's column under another name, passed through without a copy.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn symbols(batch: &Batch, output: &mut Output) -> Result<()> {
    ///     output.compose().pass_as("symbol", batch.column("unique_identifier")?).write()
    /// }
    /// ```
    pub fn pass_as(mut self, name: impl Into<String>, column: InputColumn) -> Self {
        self.columns.push((name.into(), Part::Borrowed(column)));
        self
    }

    /// A new array.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn one(output: &mut Output) -> Result<()> {
    ///     output.compose().set("close", Float64Array::from(vec![1.0])).write()
    /// }
    /// ```
    pub fn set<A: Column>(mut self, name: impl Into<String>, array: A) -> Self {
        self.columns.push((name.into(), Part::Fresh(array.into_array())));
        self
    }

    /// Appends the rows.
    ///
    /// # Errors
    /// Columns of unequal length, a column missing, twice, or of another type than declared; else as [`Output::write`].
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn one(output: &mut Output) -> Result<()> {
    ///     output.compose().set("close", Float64Array::from(vec![1.0])).write()
    /// }
    /// ```
    pub fn write(self) -> Result<()> {
        let Composition { output, columns } = self;
        let (rows, columns) =
            arrange::<T>(columns, output.opened.as_ref().map(|(_, it)| it)).map_err(|it| output.place(it))?;
        if output.opened.is_none() {
            let fields: Vec<FieldRef> = columns.iter().map(|(name, part)| part.field(name)).collect();
            output.create(Arc::new(Schema::new(fields)))?;
        }
        if rows == 0 {
            return Ok(());
        }
        let values: Vec<_> = columns.iter().map(|(_, part)| part.value()).collect();
        output.send(rows, &values)
    }
}

impl Part {
    fn rows(&self) -> usize {
        match self {
            Self::Fresh(array) => array.len(),
            Self::Borrowed(column) => column.rows(),
        }
    }

    fn field(&self, name: &str) -> FieldRef {
        Arc::new(match self {
            Self::Fresh(array) => Field::new(name, array.data_type().clone(), true),
            Self::Borrowed(column) => column.field().as_ref().clone().with_name(name),
        })
    }

    fn value(&self) -> Value<'_, Backend> {
        match self {
            Self::Fresh(array) => Value::Fresh(ArrayRef::clone(array)),
            Self::Borrowed(column) => Value::Borrowed(&column.column),
        }
    }
}

/// The columns in the output's order and with its types, and how many rows they have.
fn arrange<T: Columns>(
    parts: Vec<(String, Part)>,
    schema: Option<&SchemaRef>,
) -> Result<(usize, Vec<(String, Part)>)> {
    let rows = parts.first().map_or(0, |(_, it)| it.rows());
    for (name, part) in &parts {
        ensure!(part.rows() == rows, "column `{name}` has {} rows, `{}` has {rows}", part.rows(), parts[0].0);
        ensure!(parts.iter().filter(|(it, _)| it == name).count() == 1, "column `{name}` is given twice");
    }
    let Some(schema) = schema else { return Ok((rows, parts)) };
    if let Some((name, _)) = parts.iter().find(|(name, _)| schema.index_of(name).is_err()) {
        return Err(Error::permanent(format!("there is no column `{name}`; there are {}", listing(schema))));
    }
    let mut parts: Vec<_> = parts.into_iter().map(Some).collect();
    let mut columns = Vec::new();
    for field in schema.fields() {
        let found = parts.iter_mut().find(|it| it.as_ref().is_some_and(|(name, _)| name == field.name()));
        let Some((name, part)) = found.and_then(Option::take) else {
            return Err(Error::permanent(format!("column `{}` is missing", field.name())));
        };
        let part = match part {
            // A struct's columns are checked for nulls too; of a batch's own the host knows more.
            Part::Fresh(array) if T::schema().is_some() => Part::Fresh(columns::give_column(array, field)?),
            part @ (Part::Fresh(_) | Part::Borrowed(_)) => part,
        };
        let found = part.field(&name);
        ensure!(
            found.data_type() == field.data_type(),
            "column `{name}` is {}, must be {}",
            found.data_type(),
            field.data_type()
        );
        columns.push((name, part));
    }
    Ok((rows, columns))
}
