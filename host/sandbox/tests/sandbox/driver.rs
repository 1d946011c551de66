//! Plays the driver: gives batches, keeps what comes back, and can be told to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tidemill_plan::{Code, Time, Window};
use tidemill_sandbox::{
    ArtefactWriter, Attempt, AttemptLimits, BatchReader, BatchWriter, Component, Ended, Failure, Fault, Host,
    Interrupt, LogLine, MemberInfo, Outcome, ProgressEntry, ReadOptions,
};

use crate::guests;

/// What an output got: its schema and batches.
pub(crate) type Written = Arc<Mutex<BTreeMap<String, (SchemaRef, Vec<RecordBatch>)>>>;

/// Files that were left, by name, with their media types.
pub(crate) type Left = Arc<Mutex<BTreeMap<String, (String, Vec<u8>)>>>;

#[derive(Default)]
pub(crate) struct TestHost {
    /// The table of every input port's only member.
    pub(crate) input: Option<(SchemaRef, Vec<RecordBatch>)>,
    pub(crate) written: Written,
    /// What every `write` answers.
    pub(crate) write_fault: Option<Fault>,
    /// What `next` answers after the last batch.
    pub(crate) read_fault: Option<Fault>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) progress: Vec<(u64, Option<u64>)>,
    pub(crate) metrics: Vec<(String, f64)>,
    pub(crate) artefacts: Left,
    /// What every `write` to an artefact answers.
    pub(crate) artefact_fault: Option<Fault>,
    pub(crate) checkpoint: Option<Vec<u8>>,
    pub(crate) opened: Vec<ReadOptions>,
    /// Tells that a table is being opened, and waits until that may go on.
    pub(crate) gate: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
}

struct Reader {
    schema: SchemaRef,
    batches: std::vec::IntoIter<RecordBatch>,
    fault: Option<Fault>,
}

impl BatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, Fault> {
        match self.batches.next() {
            Some(batch) => Ok(Some(batch)),
            None => self.fault.take().map_or(Ok(None), Err),
        }
    }
}

struct Writer {
    port: String,
    written: Written,
    fault: Option<Fault>,
}

impl BatchWriter for Writer {
    fn write(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let mut written = self.written.lock().unwrap();
        let (schema, batches) = written.get_mut(&self.port).expect("created");
        assert_eq!(batch.schema(), *schema);
        batches.push(batch);
        Ok(())
    }
}

struct FileWriter {
    name: String,
    artefacts: Left,
    fault: Option<Fault>,
}

impl ArtefactWriter for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.artefacts.lock().unwrap().get_mut(&self.name).expect("created").1.extend_from_slice(bytes);
        Ok(())
    }
}

impl Host for TestHost {
    fn members(&self, _port: &str) -> Vec<MemberInfo> {
        self.input.iter().map(|_| MemberInfo { node: "prices".into(), key: "{}".into() }).collect()
    }

    fn open(
        &mut self,
        _port: &str,
        _member: u32,
        options: ReadOptions,
    ) -> Result<Box<dyn BatchReader>, Fault> {
        self.opened.push(options);
        if let Some((inside, released)) = &self.gate {
            inside.send(()).unwrap();
            released.recv().unwrap();
        }
        let (schema, batches) = self.input.clone().expect("a member was listed");
        Ok(Box::new(Reader { schema, batches: batches.into_iter(), fault: self.read_fault.clone() }))
    }

    fn create(&mut self, port: &str, schema: SchemaRef) -> Result<Box<dyn BatchWriter>, Fault> {
        self.written.lock().unwrap().insert(port.into(), (schema, Vec::new()));
        Ok(Box::new(Writer {
            port: port.into(),
            written: Arc::clone(&self.written),
            fault: self.write_fault.clone(),
        }))
    }

    fn artefact(&mut self, name: &str, media_type: &str) -> Result<Box<dyn ArtefactWriter>, Fault> {
        let fresh = (media_type.to_owned(), Vec::new());
        let before = self.artefacts.lock().unwrap().insert(name.to_owned(), fresh);
        assert!(before.is_none(), "the sandbox lets no name be used twice");
        Ok(Box::new(FileWriter {
            name: name.to_owned(),
            artefacts: Arc::clone(&self.artefacts),
            fault: self.artefact_fault.clone(),
        }))
    }

    fn progress_of(&mut self, _port: &str) -> Result<Vec<ProgressEntry>, Fault> {
        Ok(vec![ProgressEntry { identifiers: vec!["a".into()], last: Time(5) }])
    }

    fn log(&mut self, line: LogLine) {
        self.log.push(line);
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.progress.push((done, total));
    }

    fn metric(&mut self, name: &str, value: f64) {
        self.metrics.push((name.into(), value));
    }

    fn checkpoint_save(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        self.checkpoint = Some(bytes);
        Ok(())
    }

    fn checkpoint_load(&mut self) -> Option<Vec<u8>> {
        self.checkpoint.clone()
    }
}

impl TestHost {
    pub(crate) fn reading(batch: RecordBatch) -> Self {
        Self { input: Some((batch.schema(), vec![batch])), ..Self::default() }
    }

    pub(crate) fn messages(&self) -> Vec<&str> {
        self.log.iter().map(|it| it.message.as_str()).collect()
    }

    /// What the output `out` got, in one batch.
    pub(crate) fn output(&self) -> RecordBatch {
        let written = self.written.lock().unwrap();
        let (schema, batches) = written.get("out").expect("the output was created");
        arrow::compute::concat_batches(schema, batches).expect("batches of one schema")
    }
}

/// Small, so that floods end soon.
pub(crate) const LIMITS: AttemptLimits = AttemptLimits {
    memory_bytes: 64 << 20,
    output_bytes: 8 << 20,
    log_bytes: 64 << 10,
    time_ms: None,
    fuel: None,
};

pub(crate) const WINDOW: Window =
    Window { start: Some(Time(10)), end: Some(Time(99)), as_of: Some(Time(1_000_000_000)) };

pub(crate) fn attempt(parameters: &str, limits: AttemptLimits) -> Attempt<'_> {
    Attempt {
        run: "run-1",
        node: "leg[window=60]",
        table: "0123456789abcdef0123456789abcdef",
        attempt: 2,
        seed: 42,
        parameters,
        window: WINDOW,
        limits,
        interrupt: Interrupt::new(),
    }
}

pub(crate) fn run(
    component: &Component,
    parameters: &str,
    limits: AttemptLimits,
    host: &mut TestHost,
) -> Ended {
    guests::sandbox().run(component, &attempt(parameters, limits), host)
}

/// Lets the guest misbehave, under small limits.
pub(crate) fn misbehave(what: &str, host: &mut TestHost) -> Ended {
    run(&guests::load("misbehave"), &format!(r#"{{"do": "{what}"}}"#), LIMITS, host)
}

#[track_caller]
pub(crate) fn failure(ended: Ended) -> Failure {
    match ended.outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("the attempt should have failed: {other:?}"),
    }
}

/// The attempt must fail with this code, and say these words; afterwards the sandbox must still work.
#[track_caller]
pub(crate) fn fails(what: &str, host: &mut TestHost, code: &'static str, words: &[&str]) {
    let failure = failure(misbehave(what, host));
    assert_eq!(failure.code, Code(code), "{what}: {}", failure.what);
    for word in words {
        assert!(failure.what.contains(word), "{what}: `{}` does not say `{word}`", failure.what);
    }
    let after = run(&guests::load("empty"), "{}", LIMITS, &mut TestHost::default());
    assert_eq!(after.outcome, Outcome::Done, "the host goes on after {what}");
}
