//! Which rows may differ between two versions of a table, told from their manifests: a part that both have is the same in
//! both, and parts are sorted by time.

use tidemill_lake::{Lake, LakeError, Manifest, Part, ReadOptions, TimeRange, first_unequal};
use tidemill_plan::Time;

use super::rows::BATCH_ROWS_MAX;

/// Past it everything is compared: a statement with thousands of ranges is slower than that.
const RANGES_MAX: usize = 200;

/// Where rows may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    All,
    /// Both ends included, in order.
    Times(Vec<TimeRange>),
}

/// Leaves out what is equal at the start of each stretch: small parts are written again with what is added to them. Blocks.
///
/// # Errors
/// When one of the two cannot be read any more.
pub(super) fn narrowed(
    lake: &Lake,
    before: &Manifest,
    now: &Manifest,
    changed: Changed,
) -> Result<Changed, LakeError> {
    let Changed::Times(ranges) = changed else { return Ok(changed) };
    let mut narrow = Vec::with_capacity(ranges.len());
    for it in ranges {
        if let Some(first) = first_unequal(lake, before, now, &read_of(&it))? {
            narrow.push(TimeRange { first: first.max(it.first), ..it });
        }
    }
    Ok(Changed::Times(narrow))
}

/// How a stretch is read, a batch at a time.
pub(super) fn read_of(range: &TimeRange) -> ReadOptions {
    let end = Time(range.last.0.saturating_add(1));
    let batch_rows_max = Some(BATCH_ROWS_MAX);
    ReadOptions { start: Some(range.first), end: Some(end), batch_rows_max, ..ReadOptions::default() }
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
    if ranges.len() > RANGES_MAX { Changed::All } else { Changed::Times(ranges) }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use tidemill_lake::{Block, Provenance, WindowFolder};
    use tidemill_plan::{Digest, TableName, WriteMode};

    use super::*;

    /// Parts as `name first last`.
    fn manifest(parts: &[&str]) -> Manifest {
        let part = |it: &&str| {
            let mut words = it.split(' ');
            let file = words.next().expect("a name").to_owned();
            let mut time = || Time(words.next().expect("a time").parse().expect("a number"));
            let range = Some(TimeRange { first: time(), last: time() });
            Part { file, bytes: 1, blocks: vec![Block { rows: 1, range }], statistics: None, foreign: None }
        };
        let digest = Digest::of(b"");
        Manifest {
            table: TableName("t".into()),
            window: WindowFolder::default(),
            schema: Arc::new(Schema::empty()),
            time_index: Some("time".into()),
            identifiers: Vec::new(),
            rows: 1,
            bytes: 1,
            memory_bytes: 1,
            time_range: None,
            parts: parts.iter().map(part).collect(),
            snapshot: digest,
            mode: WriteMode::Append,
            attempt: String::new(),
            provenance: Provenance {
                cache_key: digest,
                task: String::new(),
                component: None,
                run: String::new(),
                node: String::new(),
                metrics: BTreeMap::new(),
                artefacts: Vec::new(),
            },
            written_at: Time(0),
            catalog: None,
        }
    }

    #[track_caller]
    fn check(before: &[&str], now: &[&str], expected: &str) {
        let found = match changed(&manifest(before), &manifest(now)) {
            Changed::All => "all".to_owned(),
            Changed::Times(ranges) => {
                let shown: Vec<String> =
                    ranges.iter().map(|it| format!("{}..{}", it.first.0, it.last.0)).collect();
                shown.join(" ")
            }
        };
        assert_eq!(found, expected, "{before:?} → {now:?}");
    }

    #[test]
    fn what_both_have_is_not_looked_at() {
        check(&["a 1 2"], &["a 1 2"], "");
        check(&["a 1 2"], &["b 1 3"], "1..3");
        check(&["a 1 2"], &["a 1 2", "b 5 6"], "5..6");
        check(&["a 1 2", "b 5 6"], &["a 1 2"], "5..6");
        check(&["a 1 2", "b 3 4", "c 5 6"], &["a 1 2", "d 3 4", "c 5 6"], "3..4");
        check(&["a 1 2", "b 3 4"], &["c 1 2", "b 3 4", "d 7 8"], "1..2 7..8");
        check(&["a 1 2", "k 9 9"], &["b 3 4", "c 5 8", "k 9 9"], "1..8");
    }

    #[test]
    fn a_part_that_meets_a_changed_one_within_a_time_is_looked_at_and_what_that_meets() {
        check(&["a 1 2", "b 2 4", "c 4 6", "k 7 8"], &["d 1 2", "b 2 4", "c 4 6", "k 7 8"], "1..6");
        check(&["a 1 5", "k 7 8"], &["a 1 5", "b 5 5", "k 7 8"], "1..5");
    }

    #[test]
    fn all_is_looked_at_where_nothing_better_is_known() {
        check(&["a 1 2", "k 5 6"], &["k 5 6", "b 7 9223372036854775807"], "all");
        let parts: Vec<String> = (0..1_000).map(|it| format!("p{it} {0} {0}", it * 10)).collect();
        let others =
            parts.iter().enumerate().map(|(at, it)| if at % 2 == 0 { format!("n{it}") } else { it.clone() });
        let others: Vec<String> = others.collect();
        let texts = |it: &[String]| -> Vec<String> { it.to_vec() };
        let (parts, others) = (texts(&parts), texts(&others));
        let refs = |it: &[String]| manifest(&it.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(changed(&refs(&parts), &refs(&others)), Changed::All);
        let without = Manifest { time_index: None, ..manifest(&["a 1 2"]) };
        assert_eq!(changed(&without, &without), Changed::All);
    }
}
