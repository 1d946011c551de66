//! Tables as a task reads them: streaming, batch by batch, or column by column without copying what is not looked at.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, SchemaRef};

use crate::columns::{self, Columns};
use crate::host::{Backend, Host, ReadOptions};
use crate::{Error, Result};

type HostInput = <Backend as Host>::Input;
type HostBatch = <Backend as Host>::Batch;
type HostColumn = <Backend as Host>::Column;

/// A table at an input port, not yet opened: an argument of a task, and cheap to clone.
///
/// Every loop over it opens the table again, so that several passes are natural.
///
/// ```
/// use tidemill_task::prelude::*;
/// /// The highest close, then how many rows reach it: two passes, never the whole table in memory.
/// #[task]
/// fn peaks(prices: Input<RecordBatch>) -> Result<()> {
///     let prices = prices.columns(["close"]);
///     let mut high = f64::MIN;
///     for batch in &prices {
///         let batch = batch?;
///         let close = batch.column(0).as_primitive::<Float64Type>();
///         high = close.values().iter().fold(high, |a, b| a.max(*b));
///     }
///     metric("rows", prices.iter().map(|it| it.map_or(0, |it| it.num_rows())).sum::<usize>() as f64);
///     metric("high", high);
///     Ok(())
/// }
/// let close: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0, 3.0, 2.0]));
/// let prices = RecordBatch::try_from_iter([("close", close)]).expect("a batch");
/// let outputs = Harness::new(peaks_task).input("prices", prices).batch_rows_max(2).run().expect("runs");
/// assert_eq!((outputs.metric("high"), outputs.metric("rows")), (Some(3.0), Some(3.0)));
/// ```
#[derive(Debug)]
pub struct Input<T = RecordBatch> {
    port: Rc<str>,
    member: u32,
    options: ReadOptions,
    table: PhantomData<T>,
}

impl<T> Clone for Input<T> {
    fn clone(&self) -> Self {
        Self {
            port: Rc::clone(&self.port),
            member: self.member,
            options: self.options.clone(),
            table: PhantomData,
        }
    }
}

impl<T: Columns> Input<T> {
    pub(crate) fn new(port: &str, member: u32) -> Self {
        // Storage is read only for the columns that the task declares.
        let columns = T::schema().map(|it| it.fields().iter().map(|it| it.name().clone()).collect());
        let options = ReadOptions { columns, ..ReadOptions::default() };
        Self { port: port.into(), member, options, table: PhantomData }
    }

    /// Only rows of the times `[start, end)`, in nanoseconds; `None` leaves a side open. Needs a table with a time index.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn early(prices: Input<RecordBatch>) -> Result<RecordBatch> {
    ///     prices.between(None, 86_400_000_000_000).read()
    /// }
    /// ```
    #[must_use]
    pub fn between(mut self, start: impl Into<Option<i64>>, end: impl Into<Option<i64>>) -> Self {
        self.options.start = start.into();
        self.options.end = end.into();
        self
    }

    /// Most rows that a batch may have; the host chooses otherwise (65,536).
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn slow(prices: Input<RecordBatch>) -> Result<()> {
    ///     prices.batch_rows_max(1_000).iter().try_for_each(|it| it.map(drop))
    /// }
    /// ```
    #[must_use]
    pub fn batch_rows_max(mut self, rows: u32) -> Self {
        self.options.batch_rows_max = Some(rows);
        self
    }

    /// The columns that batches will have.
    ///
    /// # Errors
    /// As the host opens the table: a column that does not exist, a time range without a time index.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn names(prices: Input<RecordBatch>) -> Result<()> {
    ///     info!("{} columns", prices.schema()?.fields().len());
    ///     Ok(())
    /// }
    /// ```
    pub fn schema(&self) -> Result<SchemaRef> {
        Backend::schema(&self.open()?).map_err(|it| self.place(it))
    }

    /// Opens the table and pulls it batch by batch, whole rows.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn count(prices: Input<RecordBatch>) -> Result<()> {
    ///     for batch in prices.iter() {
    ///         progress(batch?.num_rows() as u64, None);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn iter(&self) -> Rows<T> {
        Rows { batches: self.batches() }
    }

    /// Opens the table and pulls it batch by batch, as handles: the bytes of a column cross when it is read.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// /// Only counts: not one byte of a column crosses.
    /// #[task]
    /// fn count(prices: Input) -> Result<()> {
    ///     let rows = prices.batches().map(|it| it.map_or(0, |it| it.rows())).sum::<usize>();
    ///     metric("rows", rows as f64);
    ///     Ok(())
    /// }
    /// ```
    pub fn batches(&self) -> Batches<T> {
        Batches { input: self.clone(), state: State::New }
    }

    /// The whole table at once, put together by the host.
    ///
    /// # Errors
    /// As the host reads it; a table larger than the task's memory limit; a column that is not as declared.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn whole(prices: Input<RecordBatch>) -> Result<RecordBatch> { prices.read() }
    /// ```
    pub fn read(&self) -> Result<T> {
        let mut input = self.open()?;
        let schema = Backend::schema(&input).map_err(|it| self.place(it))?;
        match Backend::rest(&mut input).map_err(|it| self.place(it))? {
            Some(batch) => self.batch(batch, &schema).read(),
            None => T::from_batch(&RecordBatch::new_empty(schema)).map_err(|it| self.place(it)),
        }
    }

    fn batch(&self, batch: HostBatch, schema: &SchemaRef) -> Batch<T> {
        Batch {
            rows: Backend::rows(&batch),
            batch,
            schema: SchemaRef::clone(schema),
            port: Rc::clone(&self.port),
            table: PhantomData,
        }
    }

    fn open(&self) -> Result<HostInput> {
        Backend::open(&self.port, self.member, &self.options).map_err(|it| self.place(it))
    }

    fn place(&self, error: Error) -> Error {
        error.context(format_args!("input `{}`", self.port))
    }
}

impl Input<RecordBatch> {
    /// Only these columns, in this order; the host reads no others from storage.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// #[task]
    /// fn narrow(prices: Input) -> Result<RecordBatch> { prices.columns(["time_index", "close"]).read() }
    /// ```
    #[must_use]
    pub fn columns<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.options.columns = Some(names.into_iter().map(Into::into).collect());
        self
    }
}

impl<T: Columns> IntoIterator for &Input<T> {
    type Item = Result<T>;
    type IntoIter = Rows<T>;
    fn into_iter(self) -> Rows<T> {
        self.iter()
    }
}

impl<T: Columns> IntoIterator for Input<T> {
    type Item = Result<T>;
    type IntoIter = Rows<T>;
    fn into_iter(self) -> Rows<T> {
        self.iter()
    }
}

/// The batches of an [`Input`], read whole.
///
/// ```
/// use tidemill_task::prelude::*;
/// fn total(rows: Rows<RecordBatch>) -> Result<usize> {
///     rows.map(|it| it.map(|it| it.num_rows())).sum()
/// }
/// ```
pub struct Rows<T> {
    batches: Batches<T>,
}

impl<T: Columns> Iterator for Rows<T> {
    type Item = Result<T>;
    fn next(&mut self) -> Option<Result<T>> {
        Some(self.batches.next()?.and_then(|it| it.read()))
    }
}

/// The batches of an [`Input`], as handles.
///
/// ```
/// use tidemill_task::prelude::*;
/// fn total(batches: Batches<RecordBatch>) -> Result<usize> {
///     batches.map(|it| it.map(|it| it.rows())).sum()
/// }
/// ```
pub struct Batches<T> {
    input: Input<T>,
    state: State,
}

enum State {
    New,
    Open(HostInput, SchemaRef),
    Ended,
}

impl<T: Columns> Batches<T> {
    fn step(&mut self) -> Result<Option<Batch<T>>> {
        if matches!(self.state, State::New) {
            let input = self.input.open()?;
            let schema = Backend::schema(&input)?;
            self.state = State::Open(input, schema);
        }
        let State::Open(input, schema) = &mut self.state else { return Ok(None) };
        let batch = Backend::next(input)?;
        Ok(batch.map(|it| self.input.batch(it, schema)))
    }
}

impl<T: Columns> Iterator for Batches<T> {
    type Item = Result<Batch<T>>;
    fn next(&mut self) -> Option<Result<Batch<T>>> {
        let batch = self.step().transpose();
        if !matches!(batch, Some(Ok(_))) {
            // After the end, and after an error, there is nothing more.
            self.state = State::Ended;
        }
        batch
    }
}

/// One batch of rows, held by the host.
///
/// ```
/// use tidemill_task::prelude::*;
/// fn last_close(batch: &Batch) -> Result<f64> {
///     let close: Float64Array = batch.column("close")?.read()?;
///     Ok(close.value(batch.rows() - 1))
/// }
/// ```
pub struct Batch<T = RecordBatch> {
    batch: HostBatch,
    rows: usize,
    schema: SchemaRef,
    port: Rc<str>,
    table: PhantomData<T>,
}

impl<T: Columns> Batch<T> {
    /// Number of rows; never 0.
    ///
    /// ```
    /// fn rows(batch: &tidemill_task::Batch) -> usize { batch.rows() }
    /// ```
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns.
    ///
    /// ```
    /// fn width(batch: &tidemill_task::Batch) -> usize { batch.schema().fields().len() }
    /// ```
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A column by name: a handle, whose bytes have not crossed.
    ///
    /// # Errors
    /// There is no such column.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn close(batch: &Batch) -> Result<Float64Array> { batch.column("close")?.read() }
    /// ```
    pub fn column(&self, name: &str) -> Result<InputColumn> {
        match self.schema.index_of(name) {
            Ok(position) => Ok(self.column_at(position)),
            Err(_no_such) => {
                let there =
                    self.schema.fields().iter().map(|it| it.name().as_str()).collect::<Vec<_>>().join("`, `");
                Err(Error::permanent(format!(
                    "input `{}`: column `{name}` is missing; there are `{there}`",
                    self.port
                )))
            }
        }
    }

    /// All columns as handles.
    ///
    /// ```
    /// fn names(batch: &tidemill_task::Batch) -> Vec<String> {
    ///     batch.columns().map(|it| it.field().name().clone()).collect()
    /// }
    /// ```
    pub fn columns(&self) -> impl Iterator<Item = InputColumn> {
        (0..self.schema.fields().len()).map(|it| self.column_at(it))
    }

    /// The whole batch.
    ///
    /// # Errors
    /// As the host reads it; a column that is not as declared.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn read(batch: &Batch) -> Result<RecordBatch> { batch.read() }
    /// ```
    pub fn read(&self) -> Result<T> {
        let arrays = self.columns().map(|it| it.read_any()).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), arrays, &options)?;
        T::from_batch(&batch).map_err(|it| it.context(format_args!("input `{}`", self.port)))
    }

    /// The position is one of the schema.
    fn column_at(&self, position: usize) -> InputColumn {
        let field = FieldRef::clone(&self.schema.fields()[position]);
        InputColumn {
            column: Backend::column(&self.batch, position),
            field,
            rows: self.rows,
            port: Rc::clone(&self.port),
        }
    }
}

/// One column of a [`Batch`], held by the host: read it, or pass it to an output without a copy.
///
/// ```
/// use tidemill_task::prelude::*;
/// fn read(column: &InputColumn) -> Result<StringArray> { column.read() }
/// ```
pub struct InputColumn {
    pub(crate) column: HostColumn,
    pub(crate) field: FieldRef,
    rows: usize,
    port: Rc<str>,
}

impl InputColumn {
    /// Name and type.
    ///
    /// ```
    /// fn name(column: &tidemill_task::InputColumn) -> &str { column.field().name() }
    /// ```
    pub fn field(&self) -> &FieldRef {
        &self.field
    }

    /// Number of rows; never 0.
    ///
    /// ```
    /// fn rows(column: &tidemill_task::InputColumn) -> usize { column.rows() }
    /// ```
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Copies the column into the task.
    ///
    /// # Errors
    /// The column is no `A`.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn close(column: &InputColumn) -> Result<Float64Array> { column.read() }
    /// ```
    pub fn read<A: columns::Column>(&self) -> Result<A> {
        let array = self.read_any()?;
        A::from_array(&array).ok_or_else(|| {
            Error::permanent(format!(
                "input `{}`: column `{}` is {}, which is no {}",
                self.port,
                self.field.name(),
                array.data_type(),
                columns::array_name::<A>()
            ))
        })
    }

    /// Copies the column into the task, whatever its type.
    ///
    /// # Errors
    /// None from a host that keeps the contract.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn any(column: &InputColumn) -> Result<ArrayRef> { column.read_any() }
    /// ```
    pub fn read_any(&self) -> Result<ArrayRef> {
        Backend::read(&self.column, &self.field, self.rows)
            .map_err(|it| it.context(format_args!("input `{}`: column `{}`", self.port, self.field.name())))
    }
}

// Handles have nothing to show: what they are of is.

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows(`{}`)", self.batches.input.port)
    }
}

impl<T> fmt::Debug for Batches<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batches(`{}`)", self.input.port)
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch(`{}`, {} rows)", self.port, self.rows)
    }
}

impl fmt::Debug for InputColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InputColumn(`{}`, {:?})", self.port, self.field)
    }
}
