//! The host of a native test: the contract's imports over a session of the harness.

use std::rc::Rc;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, FieldRef, SchemaRef, TimeUnit};

use super::session::{Left, Session, Table, Written, current};
use super::{LogLine, check};
use crate::context::{Identity, Level, Progress, Window};
use crate::host::{Host, MemberInfo, ReadOptions, Value};
use crate::{Error, Result, ensure};

/// As much as the contract allows.
const CHECKPOINT_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Native;

/// The rows that remain.
pub(crate) struct NativeInput {
    batch: RecordBatch,
    rows_max: usize,
    at: usize,
}

pub(crate) struct NativeArtefact {
    /// Outside a harness nobody keeps it.
    session: Option<Rc<Session>>,
    name: String,
}

pub(crate) struct NativeOutput {
    session: Rc<Session>,
    port: String,
}

fn session() -> Result<Rc<Session>> {
    current().ok_or_else(|| Error::permanent("no task runs on this thread; run it with `Harness`"))
}

impl Host for Native {
    type Input = NativeInput;
    type Batch = RecordBatch;
    type Column = ArrayRef;
    type Output = NativeOutput;
    type Artefact = NativeArtefact;

    fn open(port: &str, member: u32, options: &ReadOptions) -> Result<NativeInput> {
        let session = session()?;
        let table = session.inputs.get(port).and_then(|it| it.get(member as usize));
        let Some(table) = table else { return Err(Error::permanent(format!("there is no table {member}"))) };
        let batch = within(table, options, &session.window)?;
        let batch = match &options.columns {
            None => batch,
            Some(names) => {
                let schema = batch.schema();
                let position = |name: &String| {
                    schema.index_of(name).map_err(|_unknown| {
                        let there = schema
                            .fields()
                            .iter()
                            .map(|it| it.name().as_str())
                            .collect::<Vec<_>>()
                            .join("`, `");
                        Error::permanent(format!("column `{name}` is missing; there are `{there}`"))
                    })
                };
                batch.project(&names.iter().map(position).collect::<Result<Vec<_>>>()?)?
            }
        };
        let rows_max = session.batch_rows_max.min(options.batch_rows_max.unwrap_or(u32::MAX)).max(1);
        Ok(NativeInput { batch, rows_max: rows_max as usize, at: 0 })
    }

    fn schema(input: &NativeInput) -> Result<SchemaRef> {
        Ok(input.batch.schema())
    }

    fn next(input: &mut NativeInput) -> Result<Option<RecordBatch>> {
        let rows = (input.batch.num_rows() - input.at).min(input.rows_max);
        let batch = input.batch.slice(input.at, rows);
        input.at += rows;
        Ok((rows > 0).then_some(batch))
    }

    fn rest(input: &mut NativeInput) -> Result<Option<RecordBatch>> {
        let rows = input.batch.num_rows() - input.at;
        let batch = input.batch.slice(input.at, rows);
        input.at += rows;
        Ok((rows > 0).then_some(batch))
    }

    fn rows(batch: &RecordBatch) -> usize {
        batch.num_rows()
    }

    fn column(batch: &RecordBatch, position: usize) -> ArrayRef {
        Arc::clone(batch.column(position))
    }

    fn read(column: &ArrayRef, _field: &FieldRef, _rows: usize) -> Result<ArrayRef> {
        Ok(Arc::clone(column))
    }

    fn create(port: &str, schema: &SchemaRef) -> Result<NativeOutput> {
        let session = session()?;
        check::create(&session.description, port, schema)?;
        let fresh = Written { schema: SchemaRef::clone(schema), batches: Vec::new() };
        let before = session.written.borrow_mut().insert(port.to_owned(), fresh);
        ensure!(before.is_none(), "it was created before");
        Ok(NativeOutput { port: port.to_owned(), session })
    }

    fn write(output: &mut NativeOutput, rows: usize, columns: &[Value<'_, Self>]) -> Result<()> {
        let arrays = columns.iter().map(|it| match it {
            Value::Fresh(array) => Arc::clone(array),
            Value::Borrowed(array) => Arc::clone(array),
        });
        let mut written = output.session.written.borrow_mut();
        let table = written.get_mut(&output.port).expect("`create` has made it");
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch =
            RecordBatch::try_new_with_options(SchemaRef::clone(&table.schema), arrays.collect(), &options)?;
        check::order(&output.session.description, &output.port, table, &batch)?;
        table.batches.push(batch);
        Ok(())
    }

    fn artefact(name: &str, media_type: &str) -> Result<NativeArtefact> {
        check::artefact(name, media_type)?;
        let session = current();
        if let Some(session) = &session {
            let mut artefacts = session.artefacts.borrow_mut();
            ensure!(artefacts.len() < check::ARTEFACTS_MAX, "more than {} artefacts", check::ARTEFACTS_MAX);
            let fresh = Left { media_type: media_type.to_owned(), bytes: Vec::new() };
            let before = artefacts.insert(name.to_owned(), fresh);
            ensure!(before.is_none(), "artefact `{name}` was created before");
        }
        Ok(NativeArtefact { session, name: name.to_owned() })
    }

    fn append(artefact: &mut NativeArtefact, bytes: &[u8]) -> Result<()> {
        if let Some(session) = &artefact.session {
            let mut artefacts = session.artefacts.borrow_mut();
            let left = artefacts.get_mut(&artefact.name).expect("`artefact` has made it");
            left.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn parameters() -> String {
        current().map_or_else(|| "{}".into(), |it| it.parameters.clone())
    }

    fn identity() -> Identity {
        let outside = || Identity {
            run: "test".into(),
            node: "test".into(),
            table: "0".repeat(32),
            attempt: 1,
            seed: 0,
        };
        current().map_or_else(outside, |it| it.identity.clone())
    }

    fn logical_time() -> i64 {
        let window = Self::window();
        window.as_of.or(window.end).unwrap_or(0)
    }

    fn window() -> Window {
        current().map_or_else(Window::default, |it| it.window)
    }

    fn members(port: &str) -> Vec<MemberInfo> {
        let Some(session) = current() else { return Vec::new() };
        let tables = session.inputs.get(port).map_or(&[][..], |it| it);
        tables.iter().map(|it| MemberInfo { node: it.node.clone(), key: it.key.clone() }).collect()
    }

    fn progress_of(port: &str) -> Vec<Progress> {
        current().and_then(|it| it.progress_of.get(port).cloned()).unwrap_or_default()
    }

    fn log(level: Level, message: &str, fields: &[(&str, String)]) {
        let Some(session) = current() else { return };
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        session.logs.borrow_mut().push(LogLine { level, message: message.to_owned(), fields });
    }

    fn progress(done: u64, total: Option<u64>) {
        if let Some(session) = current() {
            session.progress.replace(Some((done, total)));
        }
    }

    fn metric(name: &str, value: f64) {
        if let Some(session) = current() {
            session.metrics.borrow_mut().insert(name.to_owned(), value);
        }
    }

    fn checkpoint_save(bytes: &[u8]) -> Result<()> {
        ensure!(
            bytes.len() <= CHECKPOINT_BYTES_MAX,
            "a checkpoint of {} bytes is larger than 1 MiB",
            bytes.len()
        );
        session()?.checkpoint.replace(Some(bytes.to_vec()));
        Ok(())
    }

    fn checkpoint_load() -> Option<Vec<u8>> {
        current().and_then(|it| it.checkpoint.borrow().clone())
    }
}

/// The rows of the times asked for, and never one past the run's as-of or window.
fn within(table: &Table, options: &ReadOptions, window: &Window) -> Result<RecordBatch> {
    let read_end = window.as_of.map(|it| it.saturating_add(1)).into_iter().chain(window.end).min();
    let end = options.end.into_iter().chain(read_end).min();
    if options.start.is_none() && end.is_none() {
        return Ok(table.batch.clone());
    }
    let Some(times) = times(table) else {
        let asked = options.start.is_some() || options.end.is_some();
        ensure!(!asked, "a range of times is asked of a table without a time index");
        return Ok(table.batch.clone());
    };
    let from = options.start.map_or(0, |start| times.partition_point(|it| *it < start));
    let to = end.map_or(times.len(), |end| times.partition_point(|it| *it < end)).max(from);
    Ok(table.batch.slice(from, to - from))
}

/// The time index in nanoseconds: the column that the table's type says, else the first of timestamps.
fn times(table: &Table) -> Option<Vec<i64>> {
    let schema = table.batch.schema_ref();
    let position = match table.time {
        Some(name) => schema.index_of(name).ok(),
        None => schema.fields().iter().position(|it| matches!(it.data_type(), DataType::Timestamp(_, _))),
    };
    let array = table.batch.column(position?);
    let DataType::Timestamp(unit, _) = array.data_type() else { return None };
    let (values, scale) = match unit {
        TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().values(), 1_000_000_000),
        TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().values(), 1_000_000),
        TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().values(), 1_000),
        TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().values(), 1),
    };
    Some(values.iter().map(|it| it.saturating_mul(scale)).collect())
}
