//! Judges the records of a run, knowing the spec and the events and nothing of the engine. It keeps its own picture,
//! by scanning: slow and plain on purpose.

mod batch;
mod fates;

use std::fmt;

use tidemill_engine::{
    AttemptId, Ending, Event, Fact, Failure, NodeId, Record, RunSpec, RunState, StopCause, Timestamp,
};

macro_rules! invariants {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What must hold of every run, whatever the world does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Invariant { $($(#[doc = $doc])+ $name,)+ }

        impl Invariant {
            pub(crate) const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];
        }
    };
}

invariants! {
    /// `RunBegan` is the first record and comes once.
    RunBeginsOnceAndFirst,
    /// `RunEnded` comes when all nodes are final, not before, not later than in that batch, and nothing follows it.
    RunEndsWithItsLastNode,
    /// Succeeded only if every node did; else cancelled only if somebody cancelled, else failed.
    RunStateIsTrue,
    /// A record bears the time of its event, or of the record before if the clock stepped back.
    TimeIsTold,
    /// At no time does a node have two attempts that have not ended.
    OneLiveAttemptPerNode,
    /// A node's attempts are numbered 1, 2, 3, …
    NumbersCountUp,
    /// Nothing begins before all that it needs has succeeded.
    NeedsFirst,
    /// Live attempts together hold no more cpus than there are.
    CpusSuffice,
    /// Live attempts together hold no more memory than there is.
    MemorySuffices,
    /// No more attempts live than may.
    AttemptsMax,
    /// Nothing begins while a node of higher rank is ready: not for priority, not for fitting better.
    RankFirst,
    /// After every batch the first ready node does not fit.
    RoomIsUsed,
    /// A node has at most `max` retries.
    RetriesMax,
    /// A node fails only for good or with its retries used up.
    RetriesAreUsed,
    /// A retry is scheduled as its policy says, within its jitter.
    DelayAsSpecified,
    /// A retry begins neither before its time nor misses it.
    DelayIsKept,
    /// An attempt's deadline is its beginning plus its node's timeout.
    DeadlineAsSpecified,
    /// An attempt is told to stop at its deadline, neither before nor later than the first event after.
    DeadlineIsKept,
    /// A silent attempt is given up when the grace has passed, neither before nor later than the first event after.
    GraceIsKept,
    /// Each node gets exactly one final record.
    FinalIsFinal,
    /// Final states follow from endings: success from success, failure from failure, a retry from what can be retried.
    FateFollowsEnding,
    /// A skipped node needs the failed node that it names.
    SkipsAreDue,
    /// No node waits for something that has failed.
    SkipsAreComplete,
    /// Cancelled nodes exist only in runs that were cancelled or failed fast.
    CancelsAreDue,
    /// After a cancel, or a failure in a fail-fast run, nothing begins.
    NothingBeginsWhileClosing,
    /// After the batch that closes a run only attempts that were told to stop are left.
    ClosingIsPrompt,
    /// A cancel is on record with its event.
    CancelIsHeard,
    /// A report of anything but a live attempt yields nothing.
    StaleReportsYieldNothing,
    /// A report of a live attempt ends it, with what it says.
    ReportsCount,
    /// The engine's `wanted`, `ready` and effects are what the records amount to.
    WantedIsTrue,
    /// In a calm world the run ends within a bounded number of events.
    CalmRunsEnd,
}

#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.detail)
    }
}

pub(crate) type Judged = Result<(), Violation>;

pub(crate) fn require(holds: bool, invariant: Invariant, detail: impl fmt::Debug) -> Judged {
    if holds { Ok(()) } else { Err(Violation { invariant, detail: format!("{detail:?}") }) }
}

#[derive(Clone, Copy, Debug)]
struct Live {
    number: u32,
    deadline: Option<Timestamp>,
    told: Option<(StopCause, Timestamp)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Final {
    Succeeded,
    Failed,
    Skipped,
    Cancelled,
}

#[derive(Clone, Debug, Default)]
struct Node {
    begun_count: u32,
    live: Option<Live>,
    /// Of the last attempt, until the node's fate is known.
    ending: Option<Ending>,
    /// Scheduled and not yet due.
    due: Option<Timestamp>,
    fate: Option<Final>,
}

/// Whether all the records of a `decide` were kept, or a crash cut them short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    Whole,
    Torn,
}

#[derive(Debug)]
pub(crate) struct Checker {
    spec: RunSpec,
    nodes: Vec<Node>,
    latest: Timestamp,
    has_begun: bool,
    has_cancel: bool,
    is_closing: bool,
    ended: Option<RunState>,
}

impl Checker {
    pub(crate) fn new(spec: RunSpec) -> Self {
        let nodes = vec![Node::default(); spec.nodes.len()];
        Self {
            spec,
            nodes,
            latest: Timestamp(0),
            has_begun: false,
            has_cancel: false,
            is_closing: false,
            ended: None,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    pub(crate) fn judge(&mut self, now: Timestamp, event: Event, records: &[Record], batch: Batch) -> Judged {
        let is_stale = self.judge_event(event, records, batch)?;
        let now = now.max(self.latest);
        for record in records {
            require(record.at == now, Invariant::TimeIsTold, record)?;
            self.latest = record.at;
            self.judge_record(record, event)?;
        }
        if batch == Batch::Whole && !is_stale && self.has_begun {
            self.judge_whole(now, event)?;
        }
        Ok(())
    }

    /// What the first records must be, given the event. Says whether the event means nothing.
    fn judge_event(&self, event: Event, records: &[Record], batch: Batch) -> Result<bool, Violation> {
        if self.ended.is_some() {
            require(records.is_empty(), Invariant::RunEndsWithItsLastNode, records)?;
            return Ok(true);
        }
        if event == Event::Start && self.has_begun {
            require(records.is_empty(), Invariant::RunBeginsOnceAndFirst, records)?;
            return Ok(true);
        }
        let Event::Report { attempt, .. } = event else { return Ok(false) };
        let is_live = self
            .nodes
            .get(attempt.node.index())
            .is_some_and(|node| node.live.is_some_and(|live| live.number == attempt.number));
        if !is_live {
            require(records.is_empty(), Invariant::StaleReportsYieldNothing, (event, records))?;
            return Ok(true);
        }
        let is_first =
            |record: &Record| matches!(record.fact, Fact::AttemptEnded { attempt: it, .. } if it == attempt);
        let is_heard = records.first().map_or(batch == Batch::Torn, is_first);
        require(is_heard, Invariant::ReportsCount, (event, records))?;
        Ok(false)
    }

    fn judge_record(&mut self, record: &Record, event: Event) -> Judged {
        require(self.ended.is_none(), Invariant::RunEndsWithItsLastNode, record)?;
        let is_first = record.fact == Fact::RunBegan;
        require(is_first != self.has_begun, Invariant::RunBeginsOnceAndFirst, record)?;
        self.has_begun = true;
        match record.fact {
            Fact::RunBegan => Ok(()),
            Fact::RunCancelled => {
                require(event == Event::Cancel, Invariant::CancelIsHeard, (record, event))?;
                self.has_cancel = true;
                self.is_closing = true;
                Ok(())
            }
            Fact::RunEnded { state } => self.judge_run_end(state),
            Fact::AttemptBegan { attempt, deadline } => self.judge_beginning(record.at, attempt, deadline),
            Fact::AttemptToldToStop { attempt, cause, until } => {
                self.judge_told(record.at, attempt, cause, until)
            }
            Fact::AttemptEnded { attempt, ending } => self.judge_ending(record.at, attempt, ending, event),
            Fact::RetryScheduled { node, due } => self.judge_retry(record.at, node, due),
            Fact::RetryDue { node } => {
                let due = self.nodes[node.index()].due.take();
                require(due.is_some_and(|due| due <= record.at), Invariant::DelayIsKept, (record, due))
            }
            Fact::NodeSucceeded { node, .. } => self.judge_fate(node, Final::Succeeded),
            Fact::NodeFailed { node } => self.judge_fate(node, Final::Failed),
            Fact::NodeSkipped { node, because } => self.judge_skip(node, because),
            Fact::NodeCancelled { node } => self.judge_fate(node, Final::Cancelled),
        }
    }

    /// May begin as far as its own history and its needs go.
    fn is_ready(&self, node: NodeId) -> bool {
        let Node { live, ending, due, fate, .. } = &self.nodes[node.index()];
        let is_free = live.is_none() && ending.is_none() && due.is_none() && fate.is_none();
        is_free && self.has_needs(node)
    }

    fn has_needs(&self, node: NodeId) -> bool {
        let needs = &self.spec.nodes[node.index()].needs;
        needs.iter().all(|need| self.nodes[need.index()].fate == Some(Final::Succeeded))
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    fn outranks(&self, a: NodeId, b: NodeId) -> bool {
        let priority = |node: NodeId| self.spec.nodes[node.index()].priority;
        priority(a) > priority(b) || (priority(a) == priority(b) && a < b)
    }

    /// Cpus, memory and attempts that are held, with those of `more`.
    fn held_with(&self, more: Option<NodeId>) -> (u64, u64, u32) {
        let mut held = (0, 0, 0);
        for node in self.ids().filter(|node| self.nodes[node.index()].live.is_some()).chain(more) {
            let resources = self.spec.nodes[node.index()].resources;
            held.0 += u64::from(resources.cpus_milli);
            held.1 += resources.memory_bytes;
            held.2 += 1;
        }
        held
    }
}
