//! What the harness gives to one attempt and what it remembers of it; the attempt that runs is one per thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::LogLine;
use crate::context::{Identity, Progress, Window};
use crate::{Description, Result};

/// As many rows as the host puts into a batch.
const BATCH_ROWS: u32 = 65_536;

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) node: String,
    pub(crate) key: String,
    pub(crate) batch: RecordBatch,
    /// The time index, where the table's type says it.
    pub(crate) time: Option<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

/// A file that the task left.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) description: Description,
    pub(crate) parameters: String,
    pub(crate) identity: Identity,
    pub(crate) window: Window,
    pub(crate) batch_rows_max: u32,
    pub(crate) inputs: BTreeMap<String, Vec<Table>>,
    pub(crate) progress_of: BTreeMap<String, Vec<Progress>>,
    pub(crate) checkpoint: RefCell<Option<Vec<u8>>>,
    pub(crate) written: RefCell<BTreeMap<String, Written>>,
    pub(crate) artefacts: RefCell<BTreeMap<String, Left>>,
    pub(crate) logs: RefCell<Vec<LogLine>>,
    pub(crate) metrics: RefCell<BTreeMap<String, f64>>,
    pub(crate) progress: RefCell<Option<(u64, Option<u64>)>>,
}

impl Session {
    pub(crate) fn new(description: Description) -> Self {
        let identity = Identity {
            run: "test".into(),
            node: description.name.clone(),
            table: "0".repeat(32),
            attempt: 1,
            seed: 0,
        };
        Self {
            description,
            parameters: "{}".into(),
            identity,
            window: Window::default(),
            batch_rows_max: BATCH_ROWS,
            inputs: BTreeMap::new(),
            progress_of: BTreeMap::new(),
            checkpoint: RefCell::default(),
            written: RefCell::default(),
            artefacts: RefCell::default(),
            logs: RefCell::default(),
            metrics: RefCell::default(),
            progress: RefCell::default(),
        }
    }
}

thread_local! {
    static RUNNING: RefCell<Option<Rc<Session>>> = const { RefCell::new(None) };
}

/// Runs with a session as the current one; the one before comes back also when the task panics.
pub(crate) fn during(session: &Rc<Session>, run: fn() -> Result<()>) -> Result<()> {
    struct Restore(Option<Rc<Session>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            RUNNING.set(self.0.take());
        }
    }
    let _restore = Restore(RUNNING.replace(Some(Rc::clone(session))));
    run()
}

/// The session that runs on this thread; `None` when a function is called outside a harness.
pub(crate) fn current() -> Option<Rc<Session>> {
    RUNNING.with_borrow(Clone::clone)
}
