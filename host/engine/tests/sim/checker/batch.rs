//! What must hold after all records of an event: nothing was left undone.

use super::*;

impl Checker {
    pub(super) fn judge_whole(&self, now: Timestamp, event: Event) -> Judged {
        if event == Event::Cancel {
            require(self.is_closing || self.has_ended(), Invariant::CancelIsHeard, event)?;
        }
        let is_over = self.nodes.iter().all(|node| node.fate.is_some());
        require(is_over == self.has_ended(), Invariant::RunEndsWithItsLastNode, &self.nodes)?;
        for id in self.ids() {
            let node = &self.nodes[id.index()];
            require(node.ending.is_none(), Invariant::FateFollowsEnding, ("left open", id, node))?;
            if let Some(live) = node.live {
                let is_late = live.told.is_none() && live.deadline.is_some_and(|deadline| deadline <= now);
                require(!is_late, Invariant::DeadlineIsKept, (id, live, now))?;
                let is_silent = live.told.is_some_and(|(_, until)| until <= now);
                require(!is_silent, Invariant::GraceIsKept, (id, live, now))?;
            }
            // A retry without delay is due at the next event: its own batch only schedules it.
            let is_missed = node.due.is_some_and(|due| due < now);
            require(!is_missed, Invariant::DelayIsKept, ("missed", id, node, now))?;
            if node.fate.is_none() {
                let needs = &self.spec.nodes[id.index()].needs;
                let is_doomed = needs.iter().any(|need| {
                    matches!(self.nodes[need.index()].fate, Some(Final::Failed | Final::Skipped))
                });
                require(!is_doomed, Invariant::SkipsAreComplete, (id, node))?;
                let is_stopping = node.live.is_some_and(|live| live.told.is_some());
                require(!self.is_closing || is_stopping, Invariant::ClosingIsPrompt, (id, node))?;
            }
        }
        self.judge_room()
    }

    fn judge_room(&self) -> Judged {
        let ready = self.ids().filter(|id| self.is_ready(*id));
        let first = ready.reduce(|best, id| if self.outranks(id, best) { id } else { best });
        let Some(first) = first else { return Ok(()) };
        let held = self.held_with(Some(first));
        let capacity = self.spec.capacity;
        let fits = held.0 <= capacity.cpus_milli
            && held.1 <= capacity.memory_bytes
            && held.2 <= capacity.attempts_max;
        require(!fits, Invariant::RoomIsUsed, (first, held))
    }
}
