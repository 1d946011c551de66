//! Engines with one fault each. A fault stands outside the engine: it falsifies the spec that the engine is given, the
//! events that it hears, or the records and effects that it answers. The checker always has the true ones.

use tidemill_engine::{
    AttemptId, Effect, Ending, Engine, Event, Fact, OnFailure, Outcome, Record, RunSpec, RunState, StopCause,
    Timestamp,
};

use crate::checker::Invariant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The engine as it is.
    None,
    // Falsified specs.
    MoreCpus,
    MoreMemory,
    MoreAttempts,
    FewerAttempts,
    MoreRetries,
    FewerRetries,
    ShorterDelay,
    LongerTimeout,
    ShorterGrace,
    ReversedPriority,
    LostNeed,
    KeepsGoing,
    // Falsified events.
    DeafToCancel,
    DeafToReports,
    NoFence,
    SlowClock,
    // Falsified records.
    ForgetsRunBegan,
    ForgetsRunEnded,
    EndsRunEarly,
    LiesAboutRun,
    BeginsTwo,
    SkipsNumber,
    Overtakes,
    BeginsWhileClosing,
    RetriesAtOnce,
    FinalTwice,
    FailsSuccess,
    SkipsForNothing,
    ForgetsSkip,
    CancelsForNothing,
    ForgetsCancelled,
    ForgetsToTell,
    ForgetsDeadline,
    GivesUpEarly,
    // Falsified effects.
    WantsLess,
    LosesStarts,
}

/// Each with the invariant that must notice.
pub(crate) const MUTANTS: [(Mutant, Invariant); 36] = [
    (Mutant::MoreCpus, Invariant::CpusSuffice),
    (Mutant::MoreMemory, Invariant::MemorySuffices),
    (Mutant::MoreAttempts, Invariant::AttemptsMax),
    (Mutant::FewerAttempts, Invariant::RoomIsUsed),
    (Mutant::MoreRetries, Invariant::RetriesMax),
    (Mutant::FewerRetries, Invariant::RetriesAreUsed),
    (Mutant::ShorterDelay, Invariant::DelayAsSpecified),
    (Mutant::LongerTimeout, Invariant::DeadlineAsSpecified),
    (Mutant::ShorterGrace, Invariant::GraceIsKept),
    (Mutant::ReversedPriority, Invariant::RankFirst),
    (Mutant::LostNeed, Invariant::NeedsFirst),
    (Mutant::KeepsGoing, Invariant::NothingBeginsWhileClosing),
    (Mutant::DeafToCancel, Invariant::CancelIsHeard),
    (Mutant::DeafToReports, Invariant::ReportsCount),
    (Mutant::NoFence, Invariant::StaleReportsYieldNothing),
    (Mutant::SlowClock, Invariant::TimeIsTold),
    (Mutant::ForgetsRunBegan, Invariant::RunBeginsOnceAndFirst),
    (Mutant::ForgetsRunEnded, Invariant::RunEndsWithItsLastNode),
    (Mutant::EndsRunEarly, Invariant::RunEndsWithItsLastNode),
    (Mutant::LiesAboutRun, Invariant::RunStateIsTrue),
    (Mutant::BeginsTwo, Invariant::OneLiveAttemptPerNode),
    (Mutant::SkipsNumber, Invariant::NumbersCountUp),
    (Mutant::Overtakes, Invariant::RankFirst),
    (Mutant::BeginsWhileClosing, Invariant::NothingBeginsWhileClosing),
    (Mutant::RetriesAtOnce, Invariant::DelayIsKept),
    (Mutant::FinalTwice, Invariant::FinalIsFinal),
    (Mutant::FailsSuccess, Invariant::FateFollowsEnding),
    (Mutant::SkipsForNothing, Invariant::SkipsAreDue),
    (Mutant::ForgetsSkip, Invariant::SkipsAreComplete),
    (Mutant::CancelsForNothing, Invariant::CancelsAreDue),
    (Mutant::ForgetsCancelled, Invariant::ClosingIsPrompt),
    (Mutant::ForgetsToTell, Invariant::ClosingIsPrompt),
    (Mutant::ForgetsDeadline, Invariant::DeadlineIsKept),
    (Mutant::GivesUpEarly, Invariant::GraceIsKept),
    (Mutant::WantsLess, Invariant::WantedIsTrue),
    (Mutant::LosesStarts, Invariant::CalmRunsEnd),
];

impl Mutant {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a mutant touches its own fault and passes on the rest"
    )]
    pub(crate) fn spec(self, spec: &RunSpec) -> RunSpec {
        let mut spec = spec.clone();
        match self {
            Self::MoreCpus => spec.capacity.cpus_milli *= 2,
            Self::MoreMemory => spec.capacity.memory_bytes *= 2,
            Self::MoreAttempts => spec.capacity.attempts_max += 1,
            Self::FewerAttempts => spec.capacity.attempts_max = (spec.capacity.attempts_max - 1).max(1),
            Self::MoreRetries => spec.nodes.iter_mut().for_each(|node| node.retry.max += 1),
            Self::FewerRetries => {
                spec.nodes.iter_mut().for_each(|node| node.retry.max = node.retry.max.saturating_sub(1));
            }
            Self::ShorterDelay => spec.nodes.iter_mut().for_each(|node| node.retry.delay_ms /= 2),
            Self::LongerTimeout => {
                for node in &mut spec.nodes {
                    node.timeout_ms = node.timeout_ms.map(|timeout_ms| timeout_ms + 1);
                }
            }
            Self::ShorterGrace => spec.stop_grace_ms -= 1,
            Self::ReversedPriority => spec.nodes.iter_mut().for_each(|node| node.priority = -node.priority),
            Self::LostNeed => {
                if let Some(node) = spec.nodes.iter_mut().find(|node| !node.needs.is_empty()) {
                    node.needs.pop();
                }
            }
            Self::KeepsGoing => spec.on_failure = OnFailure::KeepGoing,
            _ => {}
        }
        spec
    }

    pub(crate) fn decide(self, engine: &Engine, now: Timestamp, event: Event) -> Vec<Record> {
        let (now, event) = match (self, event) {
            (Self::SlowClock, _) => (Timestamp(now.0.saturating_sub(1)), event),
            (Self::DeafToCancel, Event::Cancel) => (now, Event::Tick),
            (Self::DeafToReports, Event::Report { outcome: Outcome::Stopped, .. }) => (now, Event::Tick),
            (Self::NoFence, Event::Report { attempt, outcome }) => {
                let is_known = attempt.node.index() < nodes_count(engine);
                let newest = if is_known { engine.attempt(attempt.node) } else { None };
                (now, Event::Report { attempt: newest.unwrap_or(attempt), outcome })
            }
            (_, _) => (now, event),
        };
        let mut records = engine.decide(now, event);
        self.falsify(&mut records, now);
        records
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a mutant touches its own fault and passes on the rest"
    )]
    fn falsify(self, records: &mut Vec<Record>, now: Timestamp) {
        match self {
            Self::ForgetsRunBegan => records.retain(|it| it.fact != Fact::RunBegan),
            Self::ForgetsRunEnded => records.retain(|it| !matches!(it.fact, Fact::RunEnded { .. })),
            Self::ForgetsSkip => records.retain(|it| !matches!(it.fact, Fact::NodeSkipped { .. })),
            Self::ForgetsCancelled => records.retain(|it| !matches!(it.fact, Fact::NodeCancelled { .. })),
            Self::ForgetsToTell => records.retain(|it| {
                let told = |cause| cause != StopCause::Timeout;
                !matches!(it.fact, Fact::AttemptToldToStop { cause, .. } if told(cause))
            }),
            Self::ForgetsDeadline => records
                .retain(|it| !matches!(it.fact, Fact::AttemptToldToStop { cause: StopCause::Timeout, .. })),
            Self::Overtakes => {
                let is_beginning = |it: &Record| matches!(it.fact, Fact::AttemptBegan { .. });
                if let Some(first) = records.iter().position(is_beginning) {
                    records[first..].reverse();
                }
            }
            Self::BeginsWhileClosing => {
                let cancelled = records.iter_mut().find(|it| matches!(it.fact, Fact::NodeCancelled { .. }));
                if let Some(Record { fact, .. }) = cancelled
                    && let Fact::NodeCancelled { node } = *fact
                {
                    *fact = Fact::AttemptBegan { attempt: AttemptId { node, number: 1 }, deadline: None };
                }
            }
            _ => {
                let mut falsified = Vec::new();
                for &Record { at, fact } in &*records {
                    falsified.extend(self.falsified(fact, now).into_iter().map(|fact| Record { at, fact }));
                }
                *records = falsified;
            }
        }
    }

    fn falsified(self, fact: Fact, now: Timestamp) -> Vec<Fact> {
        match (self, fact) {
            (Self::EndsRunEarly, Fact::NodeSucceeded { .. }) => {
                vec![fact, Fact::RunEnded { state: RunState::Succeeded }]
            }
            (Self::LiesAboutRun, Fact::RunEnded { state: RunState::Failed }) => {
                vec![Fact::RunEnded { state: RunState::Succeeded }]
            }
            (Self::BeginsTwo, Fact::AttemptBegan { attempt: AttemptId { node, number }, deadline }) => {
                vec![fact, Fact::AttemptBegan { attempt: AttemptId { node, number: number + 1 }, deadline }]
            }
            (Self::SkipsNumber, Fact::AttemptBegan { attempt: AttemptId { node, number }, deadline }) => {
                vec![Fact::AttemptBegan { attempt: AttemptId { node, number: number + 1 }, deadline }]
            }
            (Self::RetriesAtOnce, Fact::RetryScheduled { node, .. }) => vec![fact, Fact::RetryDue { node }],
            (Self::FinalTwice, Fact::NodeSucceeded { .. }) => vec![fact, fact],
            (Self::FailsSuccess, Fact::NodeSucceeded { node, .. }) => vec![Fact::NodeFailed { node }],
            (Self::SkipsForNothing, Fact::NodeSkipped { node, .. }) => {
                vec![Fact::NodeSkipped { node, because: node }]
            }
            (Self::CancelsForNothing, Fact::NodeFailed { node }) => vec![Fact::NodeCancelled { node }],
            (Self::GivesUpEarly, Fact::AttemptToldToStop { attempt, cause, until }) if until > now => {
                vec![fact, Fact::AttemptEnded { attempt, ending: Ending::Abandoned(cause) }]
            }
            (_, _) => vec![fact],
        }
    }

    pub(crate) fn wanted(self, engine: &Engine) -> Vec<Effect> {
        let mut wanted: Vec<Effect> = engine.wanted().collect();
        if self == Self::WantsLess {
            wanted.pop();
        }
        wanted
    }

    pub(crate) fn hides(self, effect: Effect) -> bool {
        self == Self::LosesStarts && matches!(effect, Effect::Start { .. })
    }
}

fn nodes_count(engine: &Engine) -> usize {
    let counts = engine.counts();
    counts.open() + counts.succeeded + counts.failed + counts.skipped + counts.cancelled
}
