//! What a store knows of its attempt: the host, what is open, what was used, and why it must end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tidemill_plan::{Code, TaskDescription, Window, size_text};
use wasmtime::component::ResourceTable;

use crate::attempt::{AttemptLimits, Failure, Usage};
use crate::host::{
    ArtefactWriter, BatchReader, BatchWriter, FailureKind, Fault, Host, LogLine, LogSource, MemberInfo,
};
use crate::interrupt::{Interrupt, InterruptCause};
use crate::limits::MemoryMeter;
use crate::log::{LineSplitter, LogMeter};
use crate::standins::StandIns;
use crate::wire::{ErrorRecord, IdentityRecord};

/// Handles that a guest may hold at once, over all kinds.
pub(crate) const HANDLES_MAX: usize = 100_000;

/// A table being read.
pub(crate) struct HeldInput {
    pub(crate) port: String,
    pub(crate) reader: Box<dyn BatchReader>,
    pub(crate) schema: SchemaRef,
    pub(crate) batch_rows_max: usize,
    /// What is left of a batch that was cut.
    pub(crate) rest: Option<RecordBatch>,
}

/// Rows, at least one, in as many pieces as they came in.
pub(crate) struct HeldBatch {
    pub(crate) pieces: Vec<RecordBatch>,
    pub(crate) rows: u32,
}

/// One column of one batch.
pub(crate) struct HeldColumn(pub(crate) ArrayRef);

/// A table being written.
pub(crate) struct HeldOutput {
    pub(crate) port: String,
    pub(crate) schema: SchemaRef,
    pub(crate) writer: Box<dyn BatchWriter>,
}

/// A file being written.
pub(crate) struct HeldArtefact(pub(crate) Box<dyn ArtefactWriter>);

/// Why the guest must not go on.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    Failed(Failure),
    Interrupted(InterruptCause),
}

/// Ends a call into the guest; the reason lies in the store's state.
#[derive(Debug, thiserror::Error)]
#[error("the attempt was stopped")]
pub(crate) struct Stopped;

/// What an attempt has that a description does not.
pub(crate) struct Surroundings {
    pub(crate) host: &'static mut dyn Host,
    pub(crate) description: Arc<TaskDescription>,
    pub(crate) identity: IdentityRecord,
    pub(crate) parameters: String,
    pub(crate) window: Window,
    /// The host's answers, asked once per port: a fan-in opens thousands of members.
    pub(crate) members: BTreeMap<String, Arc<[MemberInfo]>>,
}

impl Surroundings {
    /// The tables bound to an input port; of a port that is not declared, none.
    pub(crate) fn members(&mut self, port: &str) -> Arc<[MemberInfo]> {
        if let Some(members) = self.members.get(port) {
            return Arc::clone(members);
        }
        let declared = self.description.inputs.iter().any(|it| it.name == port);
        if !declared {
            return Arc::default();
        }
        let members: Arc<[MemberInfo]> = self.host.members(port).into();
        self.members.insert(port.to_owned(), Arc::clone(&members));
        members
    }
}

pub(crate) struct State {
    /// `None` while a task describes itself.
    pub(crate) surroundings: Option<Surroundings>,
    pub(crate) limits: AttemptLimits,
    pub(crate) interrupt: Interrupt,
    pub(crate) table: ResourceTable,
    pub(crate) memory: MemoryMeter,
    pub(crate) log: LogMeter,
    pub(crate) stdout: LineSplitter,
    pub(crate) stderr: LineSplitter,
    pub(crate) stand_ins: StandIns,
    pub(crate) usage: Usage,
    /// Output ports that were created, with the number of their writes.
    pub(crate) created: BTreeMap<String, u64>,
    /// Names of the files that were begun.
    pub(crate) artefacts: BTreeSet<String>,
    pub(crate) metrics: HashSet<String>,
    /// The first fault dooms the attempt.
    pub(crate) fault: Option<Fault>,
    pub(crate) stop: Option<Stop>,
}

impl State {
    pub(crate) fn new(
        surroundings: Option<Surroundings>,
        limits: AttemptLimits,
        interrupt: Interrupt,
        seed: u64,
    ) -> Self {
        let logical_time = surroundings.as_ref().map_or(0, |it| it.window.logical_time().0);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        Self {
            surroundings,
            limits,
            interrupt,
            table,
            memory: MemoryMeter::new(limits.memory_bytes),
            log: LogMeter::new(limits.log_bytes),
            stdout: LineSplitter::new(LogSource::Stdout),
            stderr: LineSplitter::new(LogSource::Stderr),
            stand_ins: StandIns::new(logical_time, seed),
            usage: Usage::default(),
            created: BTreeMap::new(),
            artefacts: BTreeSet::new(),
            metrics: HashSet::new(),
            fault: None,
            stop: None,
        }
    }

    /// The attempt's surroundings; a task that asks for them while it describes itself is stopped.
    pub(crate) fn surroundings(&mut self, function: &str) -> Result<&mut Surroundings, Stopped> {
        if self.surroundings.is_none() {
            return Err(self.fail(Fault::permanent(
                Code("describe-failed"),
                format!("`describe` calls `{function}`, which is there only in `run`"),
                "",
            )));
        }
        Ok(self.surroundings.as_mut().expect("looked at just now"))
    }

    /// Stops the attempt with a failure. The first reason stays.
    pub(crate) fn fail(&mut self, fault: Fault) -> Stopped {
        self.stop.get_or_insert(Stop::Failed(fault.into()));
        Stopped
    }

    /// Remembers a fault and says it to the guest, whose reaction no longer matters.
    pub(crate) fn doom(&mut self, fault: Fault) -> ErrorRecord {
        let record = ErrorRecord { kind: fault.kind.into(), message: fault.what.clone() };
        self.fault.get_or_insert(fault);
        record
    }

    /// A line from the task; nobody listens while it describes itself.
    pub(crate) fn say(&mut self, line: LogLine) -> Result<(), Stopped> {
        let fields: usize = line.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.take_log((line.message.len() + fields + 1) as u64)?;
        if let Some(surroundings) = &mut self.surroundings {
            surroundings.host.log(line);
        }
        Ok(())
    }

    pub(crate) fn take_log(&mut self, bytes: u64) -> Result<(), Stopped> {
        if self.log.take(bytes).is_ok() {
            return Ok(());
        }
        let limit = size_text(self.limits.log_bytes);
        Err(self.fail(Fault {
            code: Code("log-limit"),
            what: format!("the task logged more than its limit of {limit}"),
            mend: "log less, or raise `limits.log` of the node".into(),
            kind: FailureKind::Permanent,
        }))
    }

    /// Counts bytes against the output limit.
    pub(crate) fn take_output(&mut self, bytes: u64) -> Result<(), Stopped> {
        let used = self.usage.bytes_out.saturating_add(bytes);
        let limit = self.limits.output_bytes;
        if used > limit {
            return Err(self.fail(Fault::permanent(
                Code("output-limit"),
                format!("the task wrote more than its limit of {}", size_text(limit)),
                "write less, or raise `limits.output` of the node",
            )));
        }
        self.usage.bytes_out = used;
        Ok(())
    }

    /// Bytes for stdout or stderr.
    pub(crate) fn print(&mut self, source: LogSource, bytes: &[u8]) -> Result<(), Stopped> {
        let splitter = if source == LogSource::Stderr { &mut self.stderr } else { &mut self.stdout };
        for line in splitter.push(bytes) {
            self.say(line)?;
        }
        Ok(())
    }

    /// Says what was printed without an end of line.
    pub(crate) fn finish_lines(&mut self) {
        let lines = [self.stdout.finish(), self.stderr.finish()].concat();
        for line in lines {
            if self.say(line).is_err() {
                break;
            }
        }
    }
}
