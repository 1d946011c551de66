//! What an attempt sees of the lake: its inputs, clipped to the run's time; its outputs, not yet committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::Value;
use tidemill_lake::{Lake, Manifest, Since, TableReader, TableWriter, WindowFolder, WriterOptions};
use tidemill_plan::{Code, PlanNode, PlanTable, SeenAs, TableName, Time, Window, Work};
use tidemill_sandbox::{
    ArtefactWriter, BatchReader, BatchWriter, Fault, Host, LogLine, MemberInfo, ProgressEntry, ReadOptions,
};

use crate::artefacts::AttemptArtefacts;
use crate::checkpoint::Checkpoint;
use crate::failure::NodeFailure;
use crate::log_file::LogWriter;
use crate::observer::{Event, Observer};
use crate::update::Update;

/// One table bound to a port.
pub(crate) struct BoundTable {
    pub(crate) lake: Lake,
    pub(crate) member: MemberInfo,
    pub(crate) manifest: Arc<Manifest>,
    /// First time that may be read.
    pub(crate) start: Option<Time>,
    /// First time that may no longer be read.
    pub(crate) end: Option<Time>,
}

impl BoundTable {
    /// The output of a node, as far as a window lets tasks read it.
    pub(crate) fn new(
        from: &PlanNode,
        seen_as: &SeenAs,
        lake: &Lake,
        manifest: &Arc<Manifest>,
        window: &Window,
    ) -> Self {
        let member = MemberInfo { node: seen_as.node.clone(), key: seen_as.key.clone() };
        let is_cut_by_knowledge = matches!(&from.work, Work::Source(it) if it.knowledge_time.is_some());
        // What a source cut by knowledge time holds was known at as-of, whatever time it is about.
        let end = if is_cut_by_knowledge { window.end } else { window.read_end() };
        Self { lake: lake.clone(), member, manifest: Arc::clone(manifest), start: None, end }
    }
}

/// A writer that the sandbox fills and the driver commits.
type SharedWriter = Arc<Mutex<Option<TableWriter>>>;

pub(crate) struct TableIo<'a> {
    /// Where outputs go.
    pub(crate) lake: &'a Lake,
    pub(crate) folder: &'a WindowFolder,
    pub(crate) node: &'a PlanNode,
    pub(crate) position: usize,
    pub(crate) attempt: u32,
    pub(crate) run: &'a str,
    pub(crate) inputs: BTreeMap<String, Vec<BoundTable>>,
    pub(crate) writers: BTreeMap<String, SharedWriter>,
    /// Of a node that adds to its tables: which rows it lacks.
    pub(crate) update: Option<Update>,
    /// `None` where runs are not kept.
    pub(crate) log: Option<LogWriter>,
    /// Numbers; those that are not finite as text, which JSON has no numbers for.
    pub(crate) metrics: BTreeMap<String, Value>,
    /// Files, not yet kept.
    pub(crate) artefacts: AttemptArtefacts,
    /// Shared by the attempts of this node run.
    pub(crate) checkpoint: Checkpoint<'a>,
    pub(crate) observer: &'a dyn Observer,
}

impl TableIo<'_> {
    /// The writers, by port, once the attempt has ended.
    pub(crate) fn take_writers(&mut self) -> BTreeMap<String, TableWriter> {
        let writers = std::mem::take(&mut self.writers).into_iter();
        writers
            .filter_map(|(port, it)| Some((port, it.lock().unwrap_or_else(PoisonError::into_inner).take()?)))
            .collect()
    }
}

/// Opens the writer of one of a node's tables.
pub(crate) fn open_writer(
    lake: &Lake,
    folder: &WindowFolder,
    node: &PlanNode,
    table: &PlanTable,
    schema: SchemaRef,
    attempt: String,
) -> Result<TableWriter, NodeFailure> {
    let options = WriterOptions {
        schema,
        time_index: table.time_index.clone(),
        identifiers: table.identifiers.clone(),
        mode: node.write_mode,
        attempt,
    };
    Ok(lake.writer(folder, &table.name, options)?)
}

/// The sandbox says which port a fault is about.
fn fault(error: tidemill_lake::LakeError) -> Fault {
    NodeFailure::from(error).into_fault()
}

impl Host for TableIo<'_> {
    fn members(&self, port: &str) -> Vec<MemberInfo> {
        self.inputs.get(port).into_iter().flatten().map(|it| it.member.clone()).collect()
    }

    fn open(&mut self, port: &str, member: u32, options: ReadOptions) -> Result<Box<dyn BatchReader>, Fault> {
        let tables = self.inputs.get(port).map_or(&[][..], Vec::as_slice);
        let position = usize::try_from(member).expect("usize has at least 32 bits");
        let Some(table) = tables.get(position) else {
            let what =
                format!("input `{port}` has {} tables, and the task opened number {member}", tables.len());
            let mend = "bind a table to the port in the pipeline, or ask `members` before opening";
            return Err(NodeFailure::permanent(Code("no-such-input"), what, mend).into_fault());
        };
        let is_timed = table.manifest.time_index.is_some();
        let (first, last) = if is_timed { (table.start, table.end) } else { (None, None) };
        let options = tidemill_lake::ReadOptions {
            columns: options.columns,
            start: options.start.max(first),
            end: options.end.into_iter().chain(last).min(),
            batch_rows_max: options.batch_rows_max.map(|it| usize::try_from(it).unwrap_or(usize::MAX)),
        };
        let reader = table.lake.reader(&table.manifest, options).map_err(fault)?;
        Ok(Box::new(PortReader(reader)))
    }

    fn create(&mut self, port: &str, schema: SchemaRef) -> Result<Box<dyn BatchWriter>, Fault> {
        let Some(table) = self.node.outputs.iter().find(|it| it.port == port) else {
            let what = format!("the plan has no table for output `{port}`");
            return Err(
                NodeFailure::permanent(Code("no-such-output"), what, "plan the pipeline again").into_fault()
            );
        };
        let attempt = format!("{}-{}", self.run, self.attempt);
        let writer = open_writer(self.lake, self.folder, self.node, table, schema, attempt)
            .map_err(NodeFailure::into_fault)?;
        let shared = Arc::new(Mutex::new(Some(writer)));
        self.writers.insert(port.to_owned(), Arc::clone(&shared));
        let since = self.update.as_ref().and_then(|it| it.since.get(port)).cloned();
        let new_only = since.zip(table.time_index.clone()).map(|(since, time_index)| NewOnly {
            since,
            table: table.name.clone(),
            time_index,
            identifiers: table.identifiers.clone(),
        });
        Ok(Box::new(PortWriter { writer: shared, new_only }))
    }

    fn artefact(&mut self, name: &str, media_type: &str) -> Result<Box<dyn ArtefactWriter>, Fault> {
        self.artefacts.begin(name, media_type)
    }

    fn progress_of(&mut self, port: &str) -> Result<Vec<ProgressEntry>, Fault> {
        let Some(table) = self.node.outputs.iter().find(|it| it.port == port) else { return Ok(Vec::new()) };
        let found = self.lake.manifest(self.folder, &table.name).map_err(fault)?;
        let Some(manifest) = found else { return Ok(Vec::new()) };
        let progress = self.lake.progress_of(&manifest).map_err(fault)?;
        Ok(progress
            .into_iter()
            .map(|it| ProgressEntry { identifiers: it.identifiers, last: it.last })
            .collect())
    }

    fn log(&mut self, line: LogLine) {
        if let Some(log) = &mut self.log {
            // A log that cannot be written must not change what the task computes; the lake's own writes tell
            // of a full disk.
            drop(log.write(line));
        }
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.observer.on(Event::Progress { node: self.position, done, total });
    }

    fn metric(&mut self, name: &str, value: f64) {
        let number = serde_json::Number::from_f64(value);
        let value = number.map_or_else(|| Value::String(value.to_string()), Value::Number);
        self.metrics.insert(name.to_owned(), value);
    }

    fn checkpoint_save(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        self.checkpoint.save(bytes);
        Ok(())
    }

    fn checkpoint_load(&mut self) -> Option<Vec<u8>> {
        self.checkpoint.load()
    }
}

struct PortReader(TableReader);

impl BatchReader for PortReader {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, Fault> {
        self.0.next_batch().map_err(fault)
    }
}

struct PortWriter {
    writer: SharedWriter,
    new_only: Option<NewOnly>,
}

/// Which rows of a table count.
struct NewOnly {
    since: Arc<Since>,
    table: TableName,
    time_index: String,
    identifiers: Vec<String>,
}

impl BatchWriter for PortWriter {
    fn write(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        let batch = match &self.new_only {
            Some(NewOnly { since, table, time_index, identifiers }) => {
                since.filter(table, &batch, time_index, identifiers).map_err(fault)?
            }
            None => batch,
        };
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = writer.as_mut().expect("the driver takes the writer after the attempt has ended");
        writer.write(&batch).map_err(fault)
    }
}
