//! Which rows may differ between two versions of a table, told from their manifests: a part that both have is the same in
//! both, and parts are sorted by time.

use tidemill_lake::{Manifest, Part, TimeRange};
use tidemill_plan::Time;

/// Past it everything is compared: a statement with thousands of ranges is slower than that.
const RANGES_MAX: usize = 200;

/// Where rows may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    All,
    /// Both ends included, in order.
    Times(Vec<TimeRange>),
}

/// A part of either version.
struct Stretch {
    range: TimeRange,
    is_changed: bool,
}

pub(super) fn changed(before: &Manifest, now: &Manifest) -> Changed {
    if before.time_index.is_none() || before.time_index != now.time_index {
        return Changed::All;
    }
    let is_in = |part: &Part, other: &Manifest| {
        other.parts.iter().any(|it| it.file == part.file && it.bytes == part.bytes)
    };
    let mut stretches = Vec::new();
    for (parts, other, is_first) in [(&before.parts, now, true), (&now.parts, before, false)] {
        for part in parts {
            let is_kept = is_in(part, other);
            if part.foreign.is_some() {
                return Changed::All;
            }
            if part.rows() == 0 || (is_kept && !is_first) {
                continue;
            }
            match range_of(part) {
                Some(range) => stretches.push(Stretch { range, is_changed: !is_kept }),
                None => return Changed::All,
            }
        }
    }
    widen(&mut stretches);
    stretches.sort_by_key(|it| (it.range.first, it.range.last));
    let mut ranges: Vec<TimeRange> = Vec::new();
    let mut goes_on = false;
    for it in &stretches {
        match ranges.last_mut().filter(|_| goes_on && it.is_changed) {
            // Nothing that stays lies in between.
            Some(last) => last.last = last.last.max(it.range.last),
            None if it.is_changed => ranges.push(it.range),
            None => {}
        }
        goes_on = it.is_changed;
    }
    let is_all = stretches.iter().all(|it| it.is_changed) && !stretches.is_empty();
    if is_all || ranges.len() > RANGES_MAX { Changed::All } else { Changed::Times(ranges) }
}

/// Two parts may share a time, with other identifiers on each side: what changes on one side is compared on both.
fn widen(stretches: &mut [Stretch]) {
    let meets = |a: &TimeRange, b: &TimeRange| a.first <= b.last && b.first <= a.last;
    loop {
        let changed: Vec<TimeRange> =
            stretches.iter().filter(|it| it.is_changed).map(|it| it.range).collect();
        let mut is_wider = false;
        for it in stretches.iter_mut().filter(|it| !it.is_changed) {
            if changed.iter().any(|range| meets(range, &it.range)) {
                it.is_changed = true;
                is_wider = true;
            }
        }
        if !is_wider {
            return;
        }
    }
}

/// `None` where it is not known exactly: a time that does not fit nanoseconds stands at their end.
fn range_of(part: &Part) -> Option<TimeRange> {
    let mut ranges = part.blocks.iter().map(|it| it.range);
    let first = ranges.next()??;
    let last = ranges.next_back().unwrap_or(Some(first))?;
    let is_exact = |it: Time| it.0 != i64::MIN && it.0 != i64::MAX;
    (is_exact(first.first) && is_exact(last.last))
        .then_some(TimeRange { first: first.first, last: last.last })
}
