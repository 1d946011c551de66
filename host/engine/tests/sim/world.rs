//! The world around an engine: a driver that can crash, attempts that can do anything, mail that comes late, twice, in
//! another order, or was never sent. After a while it calms down, and then the run must end.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_engine::{
    AttemptId, Effect, Ending, Engine, Event, Fact, Failure, NodeId, Origin, Outcome, Record, RunSpec,
    RunState, Timestamp,
};

use crate::checker::{Batch, Checker, Invariant, Judged, Violation, require};
use crate::mutants::Mutant;
use crate::prng::Prng;
use crate::{oracle, plans};

const HOSTILE_EVENTS: u64 = 60;

/// What a run, or many, went through: hostile worlds that show nothing prove nothing.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<&'static str, u64>);

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, count)| *self.0.entry(what).or_default() += count);
    }

    /// Every kind of thing that must be seen, also if it was not.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let kinds = [
            "crash before a record",
            "crash within a batch",
            "crash after a batch",
            "run succeeded",
            "run failed",
            "run cancelled",
            "timeout",
            "abandoned",
            "lost",
            "retry",
            "skip",
            "stale report",
            "success while stopping",
        ];
        kinds.into_iter().map(|kind| (kind, self.0.get(kind).copied().unwrap_or(0)))
    }

    fn see(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

struct World {
    prng: Prng,
    spec: RunSpec,
    mutant: Mutant,
    engine: Engine,
    checker: Checker,
    /// What survives a crash.
    journal: Vec<Record>,
    now: Timestamp,
    mail: Vec<(Timestamp, Event)>,
    /// Attempts that someone may still talk about.
    heard_of: Vec<AttemptId>,
    /// Attempts wanted, as followed from what `apply` returned.
    followed: BTreeSet<Effect>,
    is_calm: bool,
    seen: Seen,
}

pub(crate) fn simulate(seed: u64, mutant: Mutant) -> Result<Seen, Violation> {
    let mut prng = Prng::new(seed);
    let spec = plans::run_spec(&mut prng);
    let mut world = World {
        engine: Engine::new(mutant.spec(&spec)).expect("random plans are valid"),
        checker: Checker::new(spec.clone()),
        journal: Vec::new(),
        now: Timestamp(prng.below(100)),
        mail: Vec::new(),
        heard_of: Vec::new(),
        followed: BTreeSet::new(),
        is_calm: false,
        seen: Seen::default(),
        prng,
        spec,
        mutant,
    };
    world.deliver(Event::Start)?;
    for _ in 0..HOSTILE_EVENTS {
        if world.checker.has_ended() {
            break;
        }
        let event = world.hostile_event();
        world.deliver(event)?;
    }
    world.calm_down()?;
    world.speak_after_the_end()?;
    Ok(world.seen)
}

impl World {
    fn hostile_event(&mut self) -> Event {
        if self.prng.percent(5) {
            self.now = self.now.plus_ms(self.prng.below(200));
        }
        match self.prng.below(100) {
            0..2 => Event::Cancel,
            2..5 => Event::Start,
            5..12 => Event::Tick,
            12..24 => self.invented_report(),
            _ => self.next_event(),
        }
    }

    /// Something that an attempt once heard of might say again, or that nobody ever could.
    fn invented_report(&mut self) -> Event {
        let mut attempt =
            AttemptId { node: NodeId(self.prng.below(10) as u32), number: self.prng.below(3) as u32 };
        if !self.heard_of.is_empty() && self.prng.percent(80) {
            attempt = self.prng.pick(&self.heard_of);
        }
        Event::Report { attempt, outcome: self.outcome() }
    }

    fn outcome(&mut self) -> Outcome {
        match self.prng.below(100) {
            0..60 => Outcome::Succeeded(self.prng.pick(&[Origin::Computed, Origin::Reused])),
            60..82 => Outcome::Failed(Failure::Retryable),
            82..90 => Outcome::Failed(Failure::Permanent),
            _ => Outcome::Stopped,
        }
    }

    /// The next mail or the wake-up, whichever is earlier; mail that is due comes in any order.
    fn next_event(&mut self) -> Event {
        let first = self.mail.iter().map(|(at, _)| *at).min();
        let wake = self.engine.wake_at();
        let Some(next) = first.into_iter().chain(wake).min() else {
            // Silence on all sides: whoever waits asks again.
            self.perform_wanted();
            return Event::Tick;
        };
        self.now = self.now.max(next);
        let due: Vec<usize> = (0..self.mail.len()).filter(|index| self.mail[*index].0 <= self.now).collect();
        if due.is_empty() {
            return Event::Tick;
        }
        let index = self.prng.pick(&due);
        self.mail.swap_remove(index).1
    }

    fn deliver(&mut self, event: Event) -> Judged {
        let steps_back = if !self.is_calm && self.prng.percent(5) { self.prng.below(100) } else { 0 };
        let now = Timestamp(self.now.0.saturating_sub(steps_back));
        let records = self.mutant.decide(&self.engine, now, event);
        if !self.is_calm && self.prng.percent(6) {
            return self.crash(now, event, &records);
        }
        self.checker.judge(now, event, &records, Batch::Whole)?;
        self.journal.extend(&records);
        self.count(event, &records);
        let mut effects = Vec::new();
        for record in &records {
            effects.extend(self.engine.apply(record));
            self.follow(record, effects.last().copied());
        }
        self.compare_with_oracle()?;
        effects.into_iter().for_each(|effect| self.perform(effect));
        Ok(())
    }

    /// The driver dies with part of the records durable: none, some, or all of them without having acted.
    fn crash(&mut self, now: Timestamp, event: Event, records: &[Record]) -> Judged {
        // Often just the first: an attempt has ended and nothing that follows from it is known.
        let kept_max = if self.prng.percent(30) { records.len().min(1) } else { records.len() };
        let kept = self.prng.below(kept_max as u64 + 1) as usize;
        self.seen.see(match kept {
            0 => "crash before a record",
            _ if kept < records.len() => "crash within a batch",
            _ => "crash after a batch",
        });
        if kept > 0 {
            self.checker.judge(now, event, &records[..kept], Batch::Torn)?;
            self.journal.extend(&records[..kept]);
        }
        // Mail is lost with the process, or sits in a queue outside; attempts elsewhere go on in any case.
        if self.prng.percent(50) {
            self.mail.clear();
        }
        self.engine = Engine::new(self.mutant.spec(&self.spec)).expect("it was valid before");
        for record in &self.journal {
            self.engine.apply(record);
        }
        self.followed = oracle::wanted(&self.journal).into_iter().collect();
        self.followed.retain(|effect| !matches!(effect, Effect::Wake { .. }));
        self.compare_with_oracle()?;
        self.perform_wanted();
        if self.prng.percent(30) {
            self.now = self.now.plus_ms(self.prng.below(1_000));
        }
        if self.journal.is_empty() {
            self.mail.push((self.now, Event::Start));
        }
        // The tick after recovery may come late: whatever comes first must do as well.
        let event = if self.prng.percent(60) { Event::Tick } else { self.hostile_event() };
        self.deliver(event)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "looks for a few facts among many")]
    fn follow(&mut self, record: &Record, effect: Option<Effect>) {
        let attempt = match record.fact {
            Fact::AttemptBegan { attempt, .. }
            | Fact::AttemptToldToStop { attempt, .. }
            | Fact::AttemptEnded { attempt, .. } => attempt,
            _ => return,
        };
        self.followed.retain(|effect| attempt_of(*effect) != Some(attempt));
        if !matches!(record.fact, Fact::AttemptEnded { .. }) {
            self.followed.extend(effect);
        }
    }

    fn compare_with_oracle(&self) -> Judged {
        let wanted = self.mutant.wanted(&self.engine);
        let expected = oracle::wanted(&self.journal);
        require(wanted == expected, Invariant::WantedIsTrue, (&wanted, &expected))?;
        let followed = expected.iter().filter(|effect| !matches!(effect, Effect::Wake { .. })).copied();
        let followed: BTreeSet<Effect> = followed.collect();
        require(followed == self.followed, Invariant::WantedIsTrue, (&followed, &self.followed))?;
        let ready: Vec<NodeId> = self.engine.ready().collect();
        let expected = oracle::ready(&self.spec, &self.journal);
        require(
            self.mutant != Mutant::None || ready == expected,
            Invariant::WantedIsTrue,
            (ready, expected),
        )?;
        for effect in &followed {
            let is_live = attempt_of(*effect).is_some_and(|attempt| self.engine.is_live(attempt));
            require(is_live, Invariant::WantedIsTrue, effect)?;
        }
        Ok(())
    }

    fn perform_wanted(&mut self) {
        let wanted: Vec<Effect> = self.engine.wanted().collect();
        wanted.into_iter().for_each(|effect| self.perform(effect));
    }

    fn perform(&mut self, effect: Effect) {
        if self.mutant.hides(effect) {
            return;
        }
        let Some(attempt) = attempt_of(effect) else { return };
        self.heard_of.push(attempt);
        let (outcome, takes_ms) = match effect {
            Effect::Start { .. } => (self.outcome(), 1 + self.prng.below(50)),
            Effect::Stop { .. } if self.prng.percent(70) => (Outcome::Stopped, self.prng.below(15)),
            Effect::Stop { .. } | Effect::Wake { .. } => (self.outcome(), self.prng.below(60)),
        };
        let is_silent = !self.is_calm && self.prng.percent(18);
        if is_silent {
            return;
        }
        let report = Event::Report { attempt, outcome };
        self.mail.push((self.now.plus_ms(takes_ms), report));
        if !self.is_calm && self.prng.percent(20) {
            self.mail.push((self.now.plus_ms(takes_ms + self.prng.below(200)), report));
        }
    }

    /// From here on nothing crashes and everyone answers.
    fn calm_down(&mut self) -> Judged {
        self.is_calm = true;
        if self.journal.is_empty() {
            self.deliver(Event::Start)?;
        }
        self.perform_wanted();
        // Each try takes at most a start, a stop, an end and a wait; and all the mail of before comes on top.
        let tries: u64 = self.spec.nodes.iter().map(|node| u64::from(node.retry.max) + 1).sum();
        let events_max = 10 + 6 * tries + self.mail.len() as u64;
        for _ in 0..events_max {
            if self.checker.has_ended() {
                break;
            }
            let event = self.next_event();
            self.deliver(event)?;
        }
        let left = (events_max, self.engine.counts());
        require(self.checker.has_ended(), Invariant::CalmRunsEnd, left)?;
        require(self.engine.run_state().is_some(), Invariant::CalmRunsEnd, left)
    }

    fn speak_after_the_end(&mut self) -> Judged {
        for _ in 0..5 {
            let event = self.invented_report();
            self.deliver(event)?;
        }
        for event in [Event::Start, Event::Cancel, Event::Tick] {
            self.now = self.now.plus_ms(1_000);
            self.deliver(event)?;
        }
        require(self.engine.wanted().count() == 0, Invariant::WantedIsTrue, "after the end")
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "looks for a few facts among many")]
    fn count(&mut self, event: Event, records: &[Record]) {
        if records.is_empty() && matches!(event, Event::Report { .. }) {
            self.seen.see("stale report");
        }
        for record in records {
            match record.fact {
                Fact::RunEnded { state: RunState::Succeeded } => self.seen.see("run succeeded"),
                Fact::RunEnded { state: RunState::Failed } => self.seen.see("run failed"),
                Fact::RunEnded { state: RunState::Cancelled } => self.seen.see("run cancelled"),
                Fact::AttemptToldToStop { cause: tidemill_engine::StopCause::Timeout, .. } => {
                    self.seen.see("timeout");
                }
                Fact::AttemptEnded { ending: Ending::Abandoned(_), .. } => self.seen.see("abandoned"),
                Fact::AttemptEnded { ending: Ending::Lost, .. } => self.seen.see("lost"),
                Fact::AttemptEnded { attempt, ending: Ending::Succeeded(_) } if self.is_told(attempt) => {
                    self.seen.see("success while stopping");
                }
                Fact::RetryDue { .. } => self.seen.see("retry"),
                Fact::NodeSkipped { .. } => self.seen.see("skip"),
                _ => {}
            }
        }
    }

    fn is_told(&self, attempt: AttemptId) -> bool {
        self.followed.iter().any(|it| matches!(it, Effect::Stop { attempt: it, .. } if *it == attempt))
    }
}

fn attempt_of(effect: Effect) -> Option<AttemptId> {
    match effect {
        Effect::Start { attempt, .. } | Effect::Stop { attempt, .. } => Some(attempt),
        Effect::Wake { .. } => None,
    }
}
