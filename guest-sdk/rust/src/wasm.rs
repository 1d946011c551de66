//! The host of a component: the contract's imports, and its export. The one place that knows the bindings.

use std::rc::Rc;
use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, make_array};
use arrow_data::ArrayData;
use arrow_schema::{FieldRef, Schema, SchemaRef};

use self::tidemill::task::{arrow, artefacts, context, data, errors};
use crate::context::{Identity, Level, Progress, Window};
use crate::description::Description;
use crate::flat::{self, FlatField, FlatNode};
use crate::host::{Host, MemberInfo, ReadOptions, Value};
use crate::{Error, Kind, Result, Task};

wit_bindgen::generate!({
    world: "task",
    path: "../../wit",
    // Written buffers are lent to the host, not copied into vectors first.
    ownership: Borrowing { duplicate_if_necessary: true },
    pub_export_macro: true,
    export_macro_name: "__export_component",
    default_bindings_module: "tidemill_task::wasm",
});

pub use self::exports::tidemill::task::handler;

/// Exports a task from the crate that is the component.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($task:ident) => {
        const _: () = {
            struct Component;
            impl $crate::wasm::handler::Guest for Component {
                fn describe() -> $crate::wasm::handler::Description {
                    $crate::wasm::describe::<$task>()
                }
                fn run() -> ::core::result::Result<(), $crate::wasm::handler::Error> {
                    $crate::wasm::run::<$task>()
                }
            }
    $crate::wasm::__export_component!(Component with_types_in $crate::wasm);
        };
    };
}

pub fn run<T: Task>() -> std::result::Result<(), handler::Error> {
    T::run().map_err(|it| handler::Error {
        kind: match it.kind() {
            Kind::Retryable => errors::Kind::Retryable,
            Kind::Permanent => errors::Kind::Permanent,
        },
        message: it.message().to_owned(),
    })
}

pub fn describe<T: Task>() -> handler::Description {
    let it: Description = crate::describe::<T>();
    handler::Description {
        name: it.name,
        summary: it.summary,
        parameters: it.parameters.to_string(),
        inputs: it
            .inputs
            .into_iter()
            .map(|it| handler::InputPort {
                name: it.name,
                summary: it.summary,
                arity: match it.arity {
                    crate::Arity::One => handler::Arity::One,
                    crate::Arity::Optional => handler::Arity::Optional,
                    crate::Arity::Many => handler::Arity::Many,
                },
                columns: declared(&it.columns.unwrap_or_else(|| Arc::new(Schema::empty()))),
            })
            .collect(),
        outputs: it
            .outputs
            .into_iter()
            .map(|it| handler::OutputPort {
                name: it.name,
                summary: it.summary,
                columns: it.columns.map(|it| declared(&it)),
                time_index: it.time_index,
                identifiers: it.identifiers,
            })
            .collect(),
        hints: handler::Hints { memory_bytes: it.memory_bytes },
    }
}

fn declared(schema: &SchemaRef) -> arrow::SchemaResult {
    let fields = flat::fields_of(schema).expect("a declared type is one that the C data interface knows");
    arrow::SchemaResult {
        fields: fields
            .into_iter()
            .map(|it| arrow::FieldResult {
                name: it.name,
                format: it.format,
                nullable: it.nullable,
                metadata: it.metadata,
                children: it.children,
                dictionary: it.dictionary,
                flags: it.flags,
            })
            .collect(),
        metadata: Vec::new(),
    }
}

fn failed(it: errors::Error) -> Error {
    match it.kind {
        errors::Kind::Retryable => Error::retryable(it.message),
        errors::Kind::Permanent => Error::permanent(it.message),
    }
}

/// The host as the contract has it.
pub(crate) struct Wit;

impl Host for Wit {
    type Input = data::Input;
    type Batch = Rc<data::Batch>;
    type Column = data::Column;
    type Output = data::Output;
    type Artefact = artefacts::Artefact;

    fn open(port: &str, member: u32, options: &ReadOptions) -> Result<Self::Input> {
        let columns: Option<Vec<&str>> =
            options.columns.as_ref().map(|it| it.iter().map(String::as_str).collect());
        let options = data::ReadOptions {
            columns: columns.as_deref(),
            start: options.start,
            end: options.end,
            batch_rows_max: options.batch_rows_max,
        };
        data::open(port, member, options).map_err(failed)
    }

    fn schema(input: &Self::Input) -> Result<SchemaRef> {
        let schema = input.schema();
        let fields = schema.fields.into_iter().map(|it| FlatField {
            name: it.name,
            format: it.format,
            nullable: it.nullable,
            metadata: it.metadata,
            children: it.children,
            dictionary: it.dictionary,
            flags: it.flags,
        });
        flat::schema_of(&fields.collect::<Vec<_>>(), schema.metadata)
    }

    fn next(input: &mut Self::Input) -> Result<Option<Self::Batch>> {
        input.next().map(|it| it.map(Rc::new)).map_err(failed)
    }

    fn rest(input: &mut Self::Input) -> Result<Option<Self::Batch>> {
        input.rest().map(|it| it.map(Rc::new)).map_err(failed)
    }

    fn rows(batch: &Self::Batch) -> usize {
        batch.rows() as usize
    }

    fn column(batch: &Self::Batch, position: usize) -> Self::Column {
        batch.column(u32::try_from(position).expect("a schema has fewer columns than 2^32"))
    }

    fn read(column: &Self::Column, field: &FieldRef, rows: usize) -> Result<ArrayRef> {
        let array = column.read();
        let nodes: Vec<FlatNode> = array
            .nodes
            .iter()
            .map(|it| FlatNode {
                length: it.length,
                null_count: it.null_count,
                buffers: it.buffers,
                children: it.children,
                dictionary: it.dictionary,
            })
            .collect();
        let data = flat::unflatten(&nodes, array.buffers, field.data_type())?;
        crate::ensure!(data.len() == rows, "the host sent {} rows of {rows}", data.len());
        Ok(make_array(data))
    }

    fn create(port: &str, schema: &SchemaRef) -> Result<Self::Output> {
        let fields = flat::fields_of(schema)?;
        let metadata: Vec<Vec<(&str, &str)>> = fields.iter().map(|it| pairs(&it.metadata)).collect();
        let fields: Vec<_> = fields
            .iter()
            .zip(&metadata)
            .map(|(it, metadata)| arrow::FieldParam {
                name: &it.name,
                format: &it.format,
                nullable: it.nullable,
                metadata,
                children: it.children,
                dictionary: it.dictionary,
                flags: it.flags,
            })
            .collect();
        let mut table: Vec<(&str, &str)> =
            schema.metadata().iter().map(|(key, value)| (&**key, &**value)).collect();
        table.sort_unstable();
        data::create(port, arrow::SchemaParam { fields: &fields, metadata: &table }).map_err(failed)
    }

    fn write(output: &mut Self::Output, rows: usize, columns: &[Value<'_, Self>]) -> Result<()> {
        // Three passes, each of which lends from the one before it.
        let arrays: Vec<Option<ArrayData>> = columns
            .iter()
            .map(|it| match it {
                Value::Fresh(array) => Some(array.to_data()),
                Value::Borrowed(_) => None,
            })
            .collect();
        let flattened =
            arrays.iter().map(|it| it.as_ref().map(flat::flatten).transpose()).collect::<Result<Vec<_>>>()?;
        let parts: Vec<(Vec<arrow::Node>, Vec<&[u8]>)> = flattened
            .iter()
            .map(|it| match it {
                None => (Vec::new(), Vec::new()),
                Some(it) => {
                    (it.nodes.iter().map(node).collect(), it.buffers.iter().map(|it| &**it).collect())
                }
            })
            .collect();
        let values: Vec<_> = columns
            .iter()
            .zip(&parts)
            .map(|(it, (nodes, buffers))| match it {
                Value::Fresh(_) => data::ColumnValue::Fresh(arrow::ArrayParam { nodes, buffers }),
                Value::Borrowed(column) => data::ColumnValue::Borrowed(column),
            })
            .collect();
        let rows = u32::try_from(rows)
            .map_err(|_too_many| Error::permanent(format!("a batch of {rows} rows is too long")))?;
        output.write(rows, &values).map_err(failed)
    }

    fn artefact(name: &str, media_type: &str) -> Result<artefacts::Artefact> {
        artefacts::create(name, media_type).map_err(failed)
    }

    fn append(artefact: &mut artefacts::Artefact, bytes: &[u8]) -> Result<()> {
        artefact.write(bytes).map_err(failed)
    }

    fn parameters() -> String {
        context::parameters()
    }

    fn identity() -> Identity {
        let it = context::identity();
        Identity { run: it.run, node: it.node, table: it.table, attempt: it.attempt, seed: it.seed }
    }

    fn logical_time() -> i64 {
        context::logical_time()
    }

    fn window() -> Window {
        let it = context::window();
        Window { start: it.start, end: it.end, as_of: it.as_of }
    }

    fn members(port: &str) -> Vec<MemberInfo> {
        context::members(port).into_iter().map(|it| MemberInfo { node: it.node, key: it.key }).collect()
    }

    fn progress_of(port: &str) -> Vec<Progress> {
        let entries = context::progress_of(port);
        entries.into_iter().map(|it| Progress { identifiers: it.identifiers, last: it.last }).collect()
    }

    fn log(level: Level, message: &str, fields: &[(&str, String)]) {
        let level = match level {
            Level::Trace => context::Level::Trace,
            Level::Debug => context::Level::Debug,
            Level::Info => context::Level::Info,
            Level::Warn => context::Level::Warn,
            Level::Error => context::Level::Error,
        };
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        context::log(level, message, &fields);
    }

    fn progress(done: u64, total: Option<u64>) {
        context::progress(done, total);
    }

    fn metric(name: &str, value: f64) {
        context::metric(name, value);
    }

    fn checkpoint_save(bytes: &[u8]) -> Result<()> {
        context::checkpoint_save(bytes).map_err(failed)
    }

    fn checkpoint_load() -> Option<Vec<u8>> {
        context::checkpoint_load()
    }
}

fn node(it: &FlatNode) -> arrow::Node {
    arrow::Node {
        length: it.length,
        null_count: it.null_count,
        buffers: it.buffers,
        children: it.children,
        dictionary: it.dictionary,
    }
}

fn pairs(metadata: &[(String, String)]) -> Vec<(&str, &str)> {
    metadata.iter().map(|(key, value)| (&**key, &**value)).collect()
}
