//! Each record in its turn: beginnings, stops, endings, retries and fates.

use tidemill_engine::{Outcome, RetryPolicy};

use super::*;

impl Checker {
    pub(super) fn judge_run_end(&mut self, state: RunState) -> Judged {
        let is_over = self.nodes.iter().all(|node| node.fate.is_some() && node.live.is_none());
        require(is_over, Invariant::RunEndsWithItsLastNode, &self.nodes)?;
        let truth = if self.nodes.iter().all(|node| node.fate == Some(Final::Succeeded)) {
            RunState::Succeeded
        } else if self.has_cancel {
            RunState::Cancelled
        } else {
            RunState::Failed
        };
        require(state == truth, Invariant::RunStateIsTrue, (state, truth))?;
        self.ended = Some(state);
        Ok(())
    }

    pub(super) fn judge_beginning(
        &mut self,
        at: Timestamp,
        attempt: AttemptId,
        deadline: Option<Timestamp>,
    ) -> Judged {
        let AttemptId { node: id, number } = attempt;
        let node = &self.nodes[id.index()];
        require(!self.is_closing, Invariant::NothingBeginsWhileClosing, attempt)?;
        require(node.fate.is_none(), Invariant::FinalIsFinal, attempt)?;
        require(node.live.is_none(), Invariant::OneLiveAttemptPerNode, attempt)?;
        require(number == node.begun_count + 1, Invariant::NumbersCountUp, (attempt, node))?;
        require(node.due.is_none(), Invariant::DelayIsKept, (attempt, node))?;
        require(node.ending.is_none(), Invariant::FateFollowsEnding, (attempt, node))?;
        require(self.has_needs(id), Invariant::NeedsFirst, attempt)?;
        let node_spec = &self.spec.nodes[id.index()];
        let retries_max = if node_spec.retry.policy == RetryPolicy::None { 0 } else { node_spec.retry.max };
        require(number <= retries_max + 1, Invariant::RetriesMax, attempt)?;
        let specified = node_spec.timeout_ms.map(|ms| at.plus_ms(ms));
        require(deadline == specified, Invariant::DeadlineAsSpecified, (attempt, deadline, specified))?;
        let first = self.ids().find(|other| self.is_ready(*other) && self.outranks(*other, id));
        require(first.is_none(), Invariant::RankFirst, (attempt, first))?;
        let held = self.held_with(Some(id));
        let capacity = self.spec.capacity;
        require(held.0 <= capacity.cpus_milli, Invariant::CpusSuffice, (attempt, held))?;
        require(held.1 <= capacity.memory_bytes, Invariant::MemorySuffices, (attempt, held))?;
        require(held.2 <= capacity.attempts_max, Invariant::AttemptsMax, (attempt, held))?;
        let node = &mut self.nodes[id.index()];
        node.begun_count = number;
        node.live = Some(Live { number, deadline, told: None });
        Ok(())
    }

    pub(super) fn judge_told(
        &mut self,
        at: Timestamp,
        attempt: AttemptId,
        cause: StopCause,
        until: Timestamp,
    ) -> Judged {
        let is_closing = self.is_closing;
        let has_cancel = self.has_cancel;
        let specified = at.plus_ms(self.spec.stop_grace_ms);
        let live = self.nodes[attempt.node.index()].live.as_mut();
        let live = live.filter(|live| live.number == attempt.number && live.told.is_none());
        let Some(live) = live else {
            return require(false, Invariant::ClosingIsPrompt, ("told for nothing", attempt));
        };
        require(until == specified, Invariant::GraceIsKept, (attempt, until, specified))?;
        live.told = Some((cause, until));
        match cause {
            StopCause::Timeout => {
                let is_due = live.deadline.is_some_and(|deadline| deadline <= at);
                require(is_due, Invariant::DeadlineIsKept, (attempt, at))
            }
            StopCause::Cancel => require(has_cancel, Invariant::CancelsAreDue, attempt),
            StopCause::FailFast => require(is_closing && !has_cancel, Invariant::CancelsAreDue, attempt),
        }
    }

    pub(super) fn judge_ending(
        &mut self,
        at: Timestamp,
        attempt: AttemptId,
        ending: Ending,
        event: Event,
    ) -> Judged {
        let node = &mut self.nodes[attempt.node.index()];
        let live = node.live.take().filter(|live| live.number == attempt.number);
        let Some(live) = live else { return require(false, Invariant::OneLiveAttemptPerNode, attempt) };
        let reported = match event {
            Event::Report { attempt: it, outcome } if it == attempt => Some(outcome),
            Event::Report { .. } | Event::Start | Event::Tick | Event::Cancel => None,
        };
        let told = live.told.map(|(cause, _)| cause);
        node.ending = Some(ending);
        let is_true = match (ending, reported) {
            (Ending::Abandoned(cause), None) => {
                let is_due = live.told.is_some_and(|(_, until)| until <= at);
                require(is_due, Invariant::GraceIsKept, (attempt, live, at))?;
                told == Some(cause)
            }
            (Ending::Succeeded(origin), Some(Outcome::Succeeded(it))) => it == origin,
            (Ending::Failed(failure), Some(Outcome::Failed(it))) => it == failure,
            (Ending::Stopped(cause), Some(Outcome::Stopped)) => told == Some(cause),
            (Ending::Lost, Some(Outcome::Stopped)) => told.is_none(),
            (_, _) => false,
        };
        require(is_true, Invariant::ReportsCount, (attempt, ending, event))
    }

    pub(super) fn judge_retry(&mut self, at: Timestamp, id: NodeId, due: Timestamp) -> Judged {
        let retry = &self.spec.nodes[id.index()].retry;
        let node = &mut self.nodes[id.index()];
        let ending = node.ending.take();
        let can_retry = ending.is_some_and(is_retryable) && node.fate.is_none();
        require(can_retry, Invariant::FateFollowsEnding, (id, ending))?;
        require(!self.is_closing, Invariant::ClosingIsPrompt, ("a retry is scheduled", id))?;
        let tries = f64::from(node.begun_count);
        let factor = match retry.policy {
            RetryPolicy::None => 0.0,
            RetryPolicy::Fixed => 1.0,
            RetryPolicy::Linear => tries,
            RetryPolicy::Exponential => 2_f64.powf(tries - 1.0),
        };
        let delay = (retry.delay_ms as f64 * factor).min(retry.max_delay_ms as f64);
        let shortest = (delay * (1.0 - retry.jitter)).floor();
        let longest = (delay * (1.0 + retry.jitter)).min(retry.max_delay_ms as f64);
        let waits = (due.0 - at.0) as f64;
        let is_specified = shortest <= waits && waits <= longest;
        require(is_specified, Invariant::DelayAsSpecified, (id, waits, shortest, longest))?;
        node.due = Some(due);
        Ok(())
    }

    pub(super) fn judge_fate(&mut self, id: NodeId, fate: Final) -> Judged {
        let is_closing = self.is_closing;
        let retry = &self.spec.nodes[id.index()].retry;
        let node = &mut self.nodes[id.index()];
        require(node.fate.is_none(), Invariant::FinalIsFinal, (id, fate, &node))?;
        require(node.live.is_none(), Invariant::OneLiveAttemptPerNode, (id, fate, &node))?;
        let ending = node.ending.take();
        let has_retry = retry.policy != RetryPolicy::None && node.begun_count <= retry.max;
        let is_true = match fate {
            Final::Succeeded => matches!(ending, Some(Ending::Succeeded(_))),
            Final::Failed => {
                let gives_up = ending.is_some_and(is_retryable) && has_retry;
                require(!gives_up, Invariant::RetriesAreUsed, (id, &node))?;
                ending.is_some_and(|ending| {
                    is_retryable(ending) || ending == Ending::Failed(Failure::Permanent)
                })
            }
            Final::Skipped => ending.is_none() && node.begun_count == 0,
            Final::Cancelled => {
                require(is_closing, Invariant::CancelsAreDue, (id, &node))?;
                let was_failure = ending == Some(Ending::Failed(Failure::Permanent));
                let was_last = ending.is_some_and(is_retryable) && !has_retry;
                !was_failure && !was_last && !matches!(ending, Some(Ending::Succeeded(_)))
            }
        };
        require(is_true, Invariant::FateFollowsEnding, (id, fate, ending))?;
        node.due = None;
        node.fate = Some(fate);
        if fate == Final::Failed && self.spec.on_failure == tidemill_engine::OnFailure::FailFast {
            self.is_closing = true;
        }
        Ok(())
    }

    pub(super) fn judge_skip(&mut self, id: NodeId, because: NodeId) -> Judged {
        let is_due = self.nodes[because.index()].fate == Some(Final::Failed) && self.reaches(id, because);
        require(is_due, Invariant::SkipsAreDue, (id, because))?;
        self.judge_fate(id, Final::Skipped)
    }

    fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        let needs = &self.spec.nodes[from.index()].needs;
        needs.iter().any(|need| *need == to || self.reaches(*need, to))
    }
}

fn is_retryable(ending: Ending) -> bool {
    match ending {
        Ending::Failed(Failure::Retryable)
        | Ending::Stopped(StopCause::Timeout)
        | Ending::Abandoned(StopCause::Timeout)
        | Ending::Lost => true,
        Ending::Succeeded(_) | Ending::Failed(Failure::Permanent) => false,
        Ending::Stopped(StopCause::Cancel | StopCause::FailFast)
        | Ending::Abandoned(StopCause::Cancel | StopCause::FailFast) => false,
    }
}
