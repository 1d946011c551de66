//! What the sandbox costs: an empty task, and columns that cross in and out.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use tidemill_plan::Window;
use tidemill_sandbox::{
    ArtefactWriter, Attempt, AttemptLimits, BatchReader, BatchWriter, Component, Fault, Host, Interrupt,
    LogLine, MemberInfo, Options, Outcome, ProgressEntry, ReadOptions, Sandbox,
};

use crate::measure::{Repeats, Times, measure, measure_pair};
use crate::memory::COLUMN_BYTES;
use crate::row::{Quantity, Row, Target};

const GUESTS: &str = "tests/guests/components";
const COLUMNS: usize = 8;
const BATCH_ROWS: usize = 65_536;

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let sandbox = sandbox()?;
    let mut rows = vec![empty(&sandbox)?];
    rows.extend(identity(&sandbox)?);
    Ok(rows)
}

pub(crate) fn sandbox() -> anyhow::Result<Sandbox> {
    let options = Options { cache_dir: Options::user_cache_dir(), instances_max: 8, ..Options::default() };
    Sandbox::new(options).map_err(|e| anyhow::anyhow!("{e}"))
}

pub(crate) fn load(sandbox: &Sandbox, path: &Path) -> anyhow::Result<Component> {
    sandbox.load(path).map_err(|e| anyhow::anyhow!("{e}; {}", e.mend()))
}

/// Calls in one measurement: far above what a clock can resolve.
const CALLS: u32 = 2000;

fn empty(sandbox: &Sandbox) -> anyhow::Result<Row> {
    let component = load(sandbox, &Path::new(GUESTS).join("empty.wasm"))?;
    let mut host = Tables::new(Vec::new());
    let times = measure(Repeats { warm_up: 1, counted: 11 }, || {
        for _ in 0..CALLS {
            run(sandbox, &component, "{}", &mut host)?;
        }
        Ok(())
    })?;
    let us = |it: Duration| Quantity { value: it.as_secs_f64() * 1e6 / f64::from(CALLS), unit: "µs" };
    Ok(Row {
        name: "sandbox: instantiate and call an empty task".to_owned(),
        measured: us(times.median()),
        best: us(times.min()),
        reference: None,
        target: Target::AtMost(40.0),
        spread: times.spread(),
    })
}

fn identity(sandbox: &Sandbox) -> anyhow::Result<Vec<Row>> {
    let component = load(sandbox, &Path::new(GUESTS).join("identity.wasm"))?;
    let batches = batches();
    let from = vec![1_u8; COLUMN_BYTES];
    let mut to = vec![0_u8; COLUMN_BYTES];
    let copy_twice = || {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&to);
        Ok(())
    };
    let repeats = Repeats { warm_up: 3, counted: 15 };
    let mut host = Tables::new(batches.clone());
    let copied = || run(sandbox, &component, "{}", &mut host);
    let (copied, reference) = measure_pair(repeats, copied, copy_twice)?;
    let mut host = Tables::new(batches);
    let borrowed = measure(repeats, || run(sandbox, &component, r#"{"how": "borrowed"}"#, &mut host))?;
    Ok(vec![
        Row {
            name: "sandbox: 64 MB of float64 in and out, against memcpy twice".to_owned(),
            measured: speed(copied.median()),
            best: speed(copied.min()),
            reference: Some(speed(reference.median())),
            target: Target::RatioAtLeast(0.5),
            spread: copied.spread(),
        },
        ms_row("sandbox: the same, in milliseconds", &copied, Some(&reference)),
        ms_row("sandbox: 64 MB passed through by handle", &borrowed, None),
    ])
}

pub(crate) fn ms_row(name: &str, times: &Times, reference: Option<&Times>) -> Row {
    let ms = |it: Duration| Quantity { value: it.as_secs_f64() * 1e3, unit: "ms" };
    Row {
        name: name.to_owned(),
        measured: ms(times.median()),
        best: ms(times.min()),
        reference: reference.map(|it| ms(it.median())),
        target: Target::None,
        spread: times.spread(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "64 million is exact")]
fn speed(it: Duration) -> Quantity {
    Quantity { value: COLUMN_BYTES as f64 / it.as_secs_f64() / 1e9, unit: "GB/s" }
}

/// 64 MB of float64 in batches as the lake gives them.
#[expect(clippy::cast_precision_loss, reason = "row numbers are far below 2^53")]
fn batches() -> Vec<RecordBatch> {
    let rows = COLUMN_BYTES / 8 / COLUMNS;
    let fields: Vec<Field> =
        (0..COLUMNS).map(|it| Field::new(format!("c{it}"), DataType::Float64, false)).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut batches = Vec::new();
    let mut at = 0;
    while at < rows {
        let here = BATCH_ROWS.min(rows - at);
        let column = |column: usize| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values((at..at + here).map(|it| (it * COLUMNS + column) as f64)))
        };
        let columns = (0..COLUMNS).map(column).collect();
        batches.push(RecordBatch::try_new(Arc::clone(&schema), columns).expect("columns fit the schema"));
        at += here;
    }
    batches
}

pub(crate) fn run(
    sandbox: &Sandbox,
    component: &Component,
    parameters: &str,
    host: &mut Tables,
) -> anyhow::Result<()> {
    let attempt = Attempt {
        run: "bench",
        node: "bench",
        table: "00000000000000000000000000000000",
        attempt: 1,
        seed: 1,
        parameters,
        window: Window::default(),
        limits: AttemptLimits::default(),
        interrupt: Interrupt::new(),
    };
    match sandbox.run(component, &attempt, host).outcome {
        Outcome::Done => Ok(()),
        it @ (Outcome::Failed(_) | Outcome::Interrupted(_)) => {
            Err(anyhow::anyhow!("{it:?}")).context("the task failed")
        }
    }
}

/// Tables by port for a task to read; what it writes is dropped.
#[derive(Debug)]
pub(crate) struct Tables {
    inputs: Vec<(String, Arc<Vec<RecordBatch>>)>,
}

impl Tables {
    pub(crate) fn new(batches: Vec<RecordBatch>) -> Self {
        Self { inputs: vec![("in".to_owned(), Arc::new(batches))] }
    }

    pub(crate) fn of(inputs: Vec<(String, Vec<RecordBatch>)>) -> Self {
        Self { inputs: inputs.into_iter().map(|(port, it)| (port, Arc::new(it))).collect() }
    }
}

struct Reader {
    batches: Arc<Vec<RecordBatch>>,
    columns: Option<Vec<usize>>,
    at: usize,
}

impl BatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        let schema = self.batches[0].schema();
        match &self.columns {
            None => schema,
            Some(columns) => Arc::new(schema.project(columns).expect("the columns were looked up")),
        }
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, Fault> {
        let batch = self.batches.get(self.at);
        self.at += 1;
        Ok(batch.map(|it| match &self.columns {
            None => it.clone(),
            Some(columns) => it.project(columns).expect("the columns were looked up"),
        }))
    }
}

struct Drain;

impl BatchWriter for Drain {
    fn write(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        drop(std::hint::black_box(batch));
        Ok(())
    }
}

impl ArtefactWriter for Drain {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        std::hint::black_box(bytes);
        Ok(())
    }
}

impl Host for Tables {
    fn members(&self, port: &str) -> Vec<MemberInfo> {
        let bound = self.inputs.iter().any(|(name, it)| name == port && !it.is_empty());
        let member = MemberInfo { node: "bench".to_owned(), key: "{}".to_owned() };
        bound.then_some(member).into_iter().collect()
    }

    fn open(&mut self, port: &str, _: u32, options: ReadOptions) -> Result<Box<dyn BatchReader>, Fault> {
        let (_, batches) = self.inputs.iter().find(|(name, _)| name == port).expect("the port is bound");
        let schema = batches[0].schema();
        let columns = options.columns.map(|names| {
            names.iter().map(|it| schema.index_of(it).expect("the bench binds what the task wants")).collect()
        });
        Ok(Box::new(Reader { batches: Arc::clone(batches), columns, at: 0 }))
    }

    fn create(&mut self, _: &str, _: SchemaRef) -> Result<Box<dyn BatchWriter>, Fault> {
        Ok(Box::new(Drain))
    }

    fn artefact(&mut self, _: &str, _: &str) -> Result<Box<dyn ArtefactWriter>, Fault> {
        Ok(Box::new(Drain))
    }

    fn progress_of(&mut self, _: &str) -> Result<Vec<ProgressEntry>, Fault> {
        Ok(Vec::new())
    }

    fn log(&mut self, _: LogLine) {}

    fn progress(&mut self, _: u64, _: Option<u64>) {}

    fn metric(&mut self, _: &str, _: f64) {}

    fn checkpoint_save(&mut self, _: Vec<u8>) -> Result<(), Fault> {
        Ok(())
    }

    fn checkpoint_load(&mut self) -> Option<Vec<u8>> {
        None
    }
}

/// Seconds of one call.
pub(crate) fn seconds(once: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = Instant::now();
    once()?;
    Ok(began.elapsed().as_secs_f64())
}
