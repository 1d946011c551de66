//! `tidemill:task/data`: tables in, tables out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use tidemill_plan::{Code, Time, size_text};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};

use crate::attempt::AttemptLimits;
use crate::contract::DATA;
use crate::host::{Fault, ReadOptions};
use crate::lift::{self, Broken, Received};
use crate::lower;
use crate::schema;
use crate::state::{HeldBatch, HeldColumn, HeldInput, HeldOutput, State};
use crate::wire::{ArrayIn, ArrayOut, ColumnValueIn, ErrorRecord, ReadOptionsRecord, SchemaRecord};

/// Most nodes, and most buffers, of one column.
const PARTS_MAX: usize = 65_536;

type Store<'a> = StoreContextMut<'a, State>;

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut data = linker.instance(DATA)?;
    data.resource("column", ResourceType::host::<HeldColumn>(), drop_handle::<HeldColumn>)?;
    data.resource("batch", ResourceType::host::<HeldBatch>(), drop_handle::<HeldBatch>)?;
    data.resource("input", ResourceType::host::<HeldInput>(), drop_handle::<HeldInput>)?;
    data.resource("output", ResourceType::host::<HeldOutput>(), drop_handle::<HeldOutput>)?;
    data.func_wrap("[method]column.read", |store: Store<'_>, (column,): (Resource<HeldColumn>,)| {
        Ok((read(store, &column)?,))
    })?;
    data.func_wrap("[method]batch.rows", |store: Store<'_>, (batch,): (Resource<HeldBatch>,)| {
        Ok((store.data().table.get(&batch)?.rows,))
    })?;
    data.func_wrap(
        "[method]batch.column",
        |store: Store<'_>, (batch, index): (Resource<HeldBatch>, u32)| Ok((column(store, &batch, index)?,)),
    )?;
    data.func_wrap("[method]input.schema", |store: Store<'_>, (input,): (Resource<HeldInput>,)| {
        let schema = &store.data().table.get(&input)?.schema;
        Ok((schema::to_record(schema).expect("checked when the table was opened"),))
    })?;
    data.func_wrap("[method]input.next", |store: Store<'_>, (input,): (Resource<HeldInput>,)| {
        Ok((give(store, &input, next_batch)?,))
    })?;
    data.func_wrap("[method]input.rest", |store: Store<'_>, (input,): (Resource<HeldInput>,)| {
        Ok((give(store, &input, rest)?,))
    })?;
    data.func_wrap(
        "[method]output.write",
        |store: Store<'_>, (output, rows, columns): (Resource<HeldOutput>, u32, Vec<ColumnValueIn>)| {
            Ok((write(store, &output, rows, columns)?,))
        },
    )?;
    data.func_wrap("open", |store: Store<'_>, (port, member, options): (String, u32, ReadOptionsRecord)| {
        Ok((open(store, &port, member, options)?,))
    })?;
    data.func_wrap("create", |store: Store<'_>, (port, schema): (String, SchemaRecord)| {
        Ok((create(store, &port, &schema)?,))
    })?;
    Ok(())
}

pub(super) fn drop_handle<T: 'static>(mut store: Store<'_>, rep: u32) -> wasmtime::Result<()> {
    store.data_mut().table.delete(Resource::<T>::new_own(rep))?;
    Ok(())
}

fn read(mut store: Store<'_>, column: &Resource<HeldColumn>) -> wasmtime::Result<ArrayOut> {
    let array = lower::lower(&store.data().table.get(column)?.0.to_data());
    store.data_mut().usage.bytes_in += array.bytes();
    Ok(array)
}

fn column(
    mut store: Store<'_>,
    batch: &Resource<HeldBatch>,
    index: u32,
) -> wasmtime::Result<Resource<HeldColumn>> {
    let state = store.data_mut();
    let pieces = &state.table.get(batch)?.pieces;
    match whole_column(pieces, index) {
        Ok(column) => push(state, HeldColumn(column)),
        Err(fault) => Err(state.fail(fault).into()),
    }
}

fn whole_column(pieces: &[RecordBatch], index: u32) -> Result<ArrayRef, Fault> {
    let width = pieces[0].num_columns();
    let position = index as usize;
    if width <= position {
        return Err(Fault::permanent(
            Code("no-such-column"),
            format!("the task asks a batch for column {index}; it has {width}"),
            "columns count from 0, in the order of the opened schema",
        ));
    }
    if let [batch] = pieces {
        return Ok(Arc::clone(batch.column(position)));
    }
    let parts: Vec<&dyn Array> = pieces.iter().map(|it| it.column(position).as_ref()).collect();
    arrow::compute::concat(&parts).map_err(|error| {
        let field = pieces[0].schema_ref().field(position).clone();
        Fault::permanent(
            Code("input-too-large"),
            format!("column `{}` does not fit one array of {}: {error}", field.name(), field.data_type()),
            "read the table batch by batch",
        )
    })
}

/// Gives out a handle; a guest that hoards them is stopped.
pub(crate) fn push<T: Send + 'static>(state: &mut State, held: T) -> wasmtime::Result<Resource<T>> {
    state.table.push(held).map_err(|_full| {
        let most = crate::state::HANDLES_MAX;
        state
            .fail(Fault::permanent(
                Code("handle-limit"),
                format!("the task holds more than {most} handles of batches, columns and tables at once"),
                "drop batches and columns when they are done with",
            ))
            .into()
    })
}

fn open(
    mut store: Store<'_>,
    port: &str,
    member: u32,
    options: ReadOptionsRecord,
) -> wasmtime::Result<Result<Resource<HeldInput>, ErrorRecord>> {
    let state = store.data_mut();
    let surroundings = state.surroundings("data.open")?;
    let opened = try_open(surroundings, port, member, options);
    match opened {
        Ok(held) => push(state, held).map(Ok),
        Err(fault) => Ok(Err(state.doom(fault))),
    }
}

fn try_open(
    surroundings: &mut crate::state::Surroundings,
    port: &str,
    member: u32,
    options: ReadOptionsRecord,
) -> Result<HeldInput, Fault> {
    if !surroundings.description.inputs.iter().any(|it| it.name == port) {
        return Err(Fault::permanent(
            Code("unknown-port"),
            format!("the task opens the input port `{}`, which it does not declare", port.escape_debug()),
            "declare the port in the task's description",
        ));
    }
    let bound = surroundings.members(port).len();
    if member as usize >= bound {
        return Err(Fault::permanent(
            Code("no-such-member"),
            format!("the task opens member {member} of the input port `{port}`, which has {bound}"),
            "members count from 0; ask `context.members` how many there are",
        ));
    }
    let batch_rows_max = options.batch_rows_max.map(|it| it.max(1));
    let options = ReadOptions {
        columns: options.columns,
        start: options.start.map(Time),
        end: options.end.map(Time),
        batch_rows_max,
    };
    let reader = surroundings.host.open(port, member, options).map_err(|it| within_input(port, it))?;
    let schema = reader.schema();
    schema::to_record(&schema).map_err(|what| {
        Fault::permanent(
            Code("unreadable-type"),
            format!("input `{port}`: {what}"),
            "give the source another type for the column, or open the port without it",
        )
    })?;
    let batch_rows_max = batch_rows_max.unwrap_or(u32::MAX) as usize;
    Ok(HeldInput { port: port.to_owned(), reader, schema, batch_rows_max, rest: None })
}

fn within_input(port: &str, fault: Fault) -> Fault {
    Fault { what: format!("input `{port}`: {}", fault.what), ..fault }
}

type Next = Result<Option<Resource<HeldBatch>>, ErrorRecord>;

/// Hands out what `take` takes of an input.
fn give(
    mut store: Store<'_>,
    input: &Resource<HeldInput>,
    take: fn(&mut HeldInput, &AttemptLimits) -> Result<Option<HeldBatch>, Fault>,
) -> wasmtime::Result<Next> {
    let state = store.data_mut();
    let held = state.table.get_mut(input)?;
    match take(held, &state.limits) {
        Ok(None) => Ok(Ok(None)),
        Ok(Some(batch)) => {
            state.usage.rows_in += u64::from(batch.rows);
            push(state, batch).map(|it| Ok(Some(it)))
        }
        Err(fault) => {
            let fault = within_input(&held.port, fault);
            Ok(Err(state.doom(fault)))
        }
    }
}

fn next_batch(input: &mut HeldInput, _: &AttemptLimits) -> Result<Option<HeldBatch>, Fault> {
    let Some(mut batch) = next_piece(input)? else { return Ok(None) };
    let rows = batch.num_rows();
    if input.batch_rows_max < rows {
        input.rest = Some(batch.slice(input.batch_rows_max, rows - input.batch_rows_max));
        batch = batch.slice(0, input.batch_rows_max);
    }
    let rows = u32::try_from(batch.num_rows()).expect("cut to u32 rows");
    Ok(Some(HeldBatch { pieces: vec![batch], rows }))
}

/// Collects no more than could fit into the guest.
fn rest(input: &mut HeldInput, limits: &AttemptLimits) -> Result<Option<HeldBatch>, Fault> {
    let (mut pieces, mut rows, mut bytes) = (Vec::new(), 0_usize, 0_u64);
    while let Some(piece) = next_piece(input)? {
        rows += piece.num_rows();
        bytes += piece.columns().iter().map(bytes_of).sum::<u64>();
        if limits.memory_bytes < bytes || u32::try_from(rows).is_err() {
            return Err(Fault::permanent(
                Code("input-too-large"),
                format!(
                    "the task reads a whole table of more than its memory limit of {}",
                    size_text(limits.memory_bytes)
                ),
                "read the table batch by batch, or raise `resources.memory` of the node",
            ));
        }
        pieces.push(piece);
    }
    let rows = u32::try_from(rows).expect("looked at above");
    Ok((0 < rows).then_some(HeldBatch { pieces, rows }))
}

/// The next rows, at least one, as the reader gives them.
fn next_piece(input: &mut HeldInput) -> Result<Option<RecordBatch>, Fault> {
    let batch = match input.rest.take() {
        Some(rest) => rest,
        None => loop {
            match input.reader.next()? {
                None => return Ok(None),
                Some(batch) if batch.num_rows() > 0 => break batch,
                Some(_empty) => {}
            }
        },
    };
    assert_eq!(batch.num_columns(), input.schema.fields().len(), "a reader keeps to its schema");
    Ok(Some(batch))
}

fn bytes_of(array: &ArrayRef) -> u64 {
    let bytes =
        array.to_data().get_slice_memory_size().unwrap_or_else(|_unknown| array.get_array_memory_size());
    bytes as u64
}

fn create(
    mut store: Store<'_>,
    port: &str,
    schema: &SchemaRecord,
) -> wasmtime::Result<Result<Resource<HeldOutput>, ErrorRecord>> {
    let state = store.data_mut();
    let again = state.created.contains_key(port);
    let surroundings = state.surroundings("data.create")?;
    let begun = if again { Err(created_twice(port)) } else { try_create(surroundings, port, schema) };
    match begun {
        Ok(held) => {
            state.created.insert(port.to_owned(), 0);
            push(state, held).map(Ok)
        }
        Err(fault) => Ok(Err(state.doom(fault))),
    }
}

fn created_twice(port: &str) -> Fault {
    Fault::permanent(
        Code("created-twice"),
        format!("the task creates the output `{port}` twice"),
        "create each output once and write batch after batch to it",
    )
}

fn try_create(
    surroundings: &mut crate::state::Surroundings,
    port: &str,
    record: &SchemaRecord,
) -> Result<HeldOutput, Fault> {
    let Some(declared) = surroundings.description.outputs.iter().find(|it| it.name == port) else {
        return Err(Fault::permanent(
            Code("unknown-port"),
            format!("the task creates the output port `{}`, which it does not declare", port.escape_debug()),
            "declare the port in the task's description",
        ));
    };
    let refuse = |what: String| {
        Fault::permanent(
            Code("output-schema"),
            format!("output `{port}`: {what}"),
            "write the columns that the task's description declares",
        )
    };
    let schema = schema::from_record(record).map_err(refuse)?;
    let schema = match &declared.columns {
        Some(columns) => {
            check_declared(columns, &schema).map_err(refuse)?;
            Arc::clone(columns)
        }
        None => schema,
    };
    let index = declared.time_index.iter().chain(&declared.identifiers);
    if let Some(missing) = index.into_iter().find(|it| schema.column_with_name(it).is_none()) {
        return Err(refuse(format!("the index column `{missing}` is missing")));
    }
    let writer = surroundings.host.create(port, Arc::clone(&schema)).map_err(|it| within_output(port, it))?;
    Ok(HeldOutput { port: port.to_owned(), schema, writer })
}

/// Names and types in order. Whether nulls are allowed is the declaration's to say and is held against the data.
fn check_declared(declared: &Schema, actual: &Schema) -> Result<(), String> {
    for (position, field) in declared.fields().iter().enumerate() {
        let Some(found) = actual.fields().get(position) else {
            return Err(format!("the declared column `{}` is missing", field.name()));
        };
        if found.name() != field.name() {
            return Err(format!("column {position} is `{}`, declared is `{}`", found.name(), field.name()));
        }
        if !found.data_type().equals_datatype(field.data_type()) {
            return Err(format!(
                "column `{}` is {}, declared is {}",
                field.name(),
                found.data_type(),
                field.data_type()
            ));
        }
    }
    match actual.fields().get(declared.fields().len()) {
        Some(surplus) => Err(format!("the column `{}` is not declared", surplus.name())),
        None => Ok(()),
    }
}

fn within_output(port: &str, fault: Fault) -> Fault {
    Fault { what: format!("output `{port}`: {}", fault.what), ..fault }
}

fn write(
    mut store: Store<'_>,
    output: &Resource<HeldOutput>,
    rows: u32,
    columns: Vec<ColumnValueIn>,
) -> wasmtime::Result<Result<(), ErrorRecord>> {
    let held = store.data().table.get(output)?;
    let (port, schema) = (held.port.clone(), Arc::clone(&held.schema));
    let batch = match batch(&mut store, &port, &schema, rows, columns)? {
        Ok(batch) => batch,
        Err(fault) => return Ok(Err(store.data_mut().doom(fault))),
    };
    let state = store.data_mut();
    if let Some(fault) = &state.fault {
        let fault = fault.clone();
        return Ok(Err(state.doom(fault)));
    }
    state.usage.rows_out += u64::from(rows);
    *state.created.entry(port.clone()).or_default() += 1;
    if rows == 0 {
        return Ok(Ok(()));
    }
    let written = state.table.get_mut(output)?.writer.write(batch);
    Ok(written.map_err(|fault| state.doom(within_output(&port, fault))))
}

/// Makes a batch of what the guest sent; the outer error ends the call, the inner one dooms the attempt.
fn batch(
    store: &mut Store<'_>,
    port: &str,
    schema: &SchemaRef,
    rows: u32,
    values: Vec<ColumnValueIn>,
) -> wasmtime::Result<Result<RecordBatch, Fault>> {
    if values.len() != schema.fields().len() {
        let what = format!(
            "output `{port}`: a batch has {} columns, the table {}{}",
            values.len(),
            schema.fields().len(),
            schema
                .fields()
                .get(values.len())
                .map(|it| format!("; `{}` is missing", it.name()))
                .unwrap_or_default()
        );
        return Ok(Err(Fault::permanent(Code("output-columns"), what, "write one value for each column")));
    }
    let mut arrays = Vec::with_capacity(values.len());
    for (field, value) in schema.fields().iter().zip(values) {
        let array = match value {
            ColumnValueIn::Borrowed(column) => borrowed(store, &column, field, rows)?,
            ColumnValueIn::Fresh(array) => match copy(store, port, &array)? {
                Ok(received) => lift::lift(field, rows, received),
                Err(fault) => return Ok(Err(fault)),
            },
        };
        match array.and_then(|it| check_nulls(field, it)) {
            Ok(array) => arrays.push(array),
            Err(broken) => return Ok(Err(broken_column(port, field, &broken))),
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows as usize));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options);
    Ok(batch.map_err(|error| Fault::permanent(Code("invalid-data"), format!("output `{port}`: {error}"), "")))
}

fn broken_column(port: &str, field: &Field, broken: &Broken) -> Fault {
    let row = broken.row.map(|it| format!(", row {it} of the batch")).unwrap_or_default();
    Fault::permanent(
        Code("invalid-data"),
        format!("output `{port}`: column `{}`{row}: {}", field.name(), broken.what),
        "the task writes data that is not what it says it is; build its arrays with the SDK",
    )
}

fn check_nulls(field: &Field, array: ArrayRef) -> Result<ArrayRef, Broken> {
    if field.is_nullable() {
        return Ok(array);
    }
    match lift::first_null(&array) {
        Some(row) => Err(Broken {
            row: Some(row),
            what: "it is null, but the column is declared without nulls".into(),
        }),
        None => Ok(array),
    }
}

fn borrowed(
    store: &mut Store<'_>,
    column: &Resource<HeldColumn>,
    field: &Field,
    rows: u32,
) -> wasmtime::Result<Result<ArrayRef, Broken>> {
    let array = Arc::clone(&store.data().table.get(column)?.0);
    if array.data_type() != field.data_type() {
        let what =
            format!("it is passed through as {}, the column is {}", array.data_type(), field.data_type());
        return Ok(Err(Broken { row: None, what }));
    }
    if array.len() != rows as usize {
        let what = format!("it is passed through with {} rows, the batch has {rows}", array.len());
        return Ok(Err(Broken { row: None, what }));
    }
    store.data_mut().take_output(bytes_of(&array))?;
    Ok(Ok(array))
}

/// Copies an array out of the guest's memory: the only copy that its bytes see on the way out.
fn copy(store: &mut Store<'_>, port: &str, array: &ArrayIn) -> wasmtime::Result<Result<Received, Fault>> {
    if array.nodes.len() > PARTS_MAX || array.buffers.len() > PARTS_MAX {
        let what = format!("output `{port}`: a column has more than {PARTS_MAX} nodes or buffers");
        return Ok(Err(Fault::permanent(Code("invalid-data"), what, "write smaller batches")));
    }
    let nodes = array.nodes.iter(&mut *store)?.collect::<wasmtime::Result<Vec<_>>>()?;
    let lists = array.buffers.iter(&mut *store)?.collect::<wasmtime::Result<Vec<_>>>()?;
    let bytes = lists.iter().map(|it| it.len() as u64).sum();
    store.data_mut().take_output(bytes)?;
    let buffers = lists
        .iter()
        .map(|list| {
            let bytes = list.as_le_slice(&*store);
            let mut buffer = MutableBuffer::with_capacity(bytes.len());
            buffer.extend_from_slice(bytes);
            Buffer::from(buffer)
        })
        .collect();
    Ok(Ok(Received { nodes, buffers }))
}
