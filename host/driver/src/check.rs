//! Whether nodes look into the future, or further back than they declare.
//!
//! A task is a function of the Arrow that it is given, so both can be found out from outside: a node is computed over
//! the whole range, then again with the end of its inputs hidden (the rows before must not change), and again tile by
//! tile with no more of the past than it declares (every tile must come out as in the whole).

mod partial;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tidemill_lake::{Lake, WindowFolder, distinct_times};
use tidemill_plan::{Input, Plan, PlanNode, Span, TaskUse, Time, Window, Work};

use crate::attempt::Tables;
use crate::catalog::Components;
use crate::failure::{DriverError, NodeFailure};
use crate::local::LocalOptions;
use partial::{Clip, Partial, Partials};

/// Where time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiles {
    /// So many stretches with equally many times.
    Count(u32),
    /// Stretches of this many milliseconds.
    Milliseconds(u64),
}

/// What came of checking one node.
#[derive(Clone, Debug)]
pub struct NodeCheck {
    pub node: String,
    pub verdict: CheckVerdict,
    /// How often it was computed with the end of its inputs hidden.
    pub cuts: usize,
    /// How often it was computed with the declared look-back alone.
    pub tiles: usize,
}

#[derive(Clone, Debug)]
pub enum CheckVerdict {
    Sound,
    Unsound(Vec<Finding>),
    /// And why.
    NotChecked(String),
}

/// One way in which a node is unsound, by the first row that shows it.
#[derive(Clone, Debug)]
pub struct Finding {
    pub kind: FindingKind,
    /// What was hidden: all from this time on, and for a look-back all before `start`.
    pub start: Option<Time>,
    pub end: Option<Time>,
    /// How many of the computations differ.
    pub differing: usize,
    pub row: Shown,
    /// The inputs, each of which alone makes the difference; all where only several together do.
    pub inputs: Vec<LeakingInput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// Two computations over the same inputs differ.
    NotRepeatable,
    /// It reads rows later than the row that it computes.
    LookAhead,
    /// It reads further back than it declares.
    LookBack,
}

/// How a difference shows.
#[derive(Clone, Debug)]
pub enum Shown {
    Row {
        port: String,
        table: String,
        /// Time and identifiers.
        index: Option<String>,
        /// `None` when one of the two lacks the row.
        column: Option<String>,
        whole: Option<String>,
        partial: Option<String>,
    },
    /// The table has other columns or another index.
    Shape { port: String, table: String, what: String },
    /// The task fails where it saw less.
    Failure(NodeFailure),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakingInput {
    pub port: String,
    /// The node whose table it is.
    pub node: String,
    pub declared: Option<Span>,
    /// The column by which the input's rows were hidden, where that is not its time index.
    pub knowledge_time: Option<String>,
    /// Of a look-back: how many distinct times of the table would do at the place of the finding.
    pub needed_times: Option<u64>,
}

/// Watches nodes being checked.
pub trait CheckObserver: Sync {
    fn on_node(&self, node: usize, check: &NodeCheck);
    /// How many of a node's computations are done.
    fn on_progress(&self, node: usize, done: usize, total: usize);
}

/// A pipeline whose whole range has been computed.
#[derive(Debug)]
pub struct Check<'a> {
    pub plan: &'a Plan,
    /// Holds what the whole range gave.
    pub lake: &'a Lake,
    pub components: &'a Components,
    pub options: &'a LocalOptions,
    pub tiles: Tiles,
}

/// What a node is computed with, and which rows must come out as in the whole.
struct Trial {
    clips: Vec<Clip>,
    window: Window,
    /// The rows that count: [start, end).
    start: Option<Time>,
    end: Option<Time>,
}

impl Check<'_> {
    /// Checks the selected nodes, in the order of the plan.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub fn nodes(
        &self,
        selected: &[bool],
        observer: &dyn CheckObserver,
    ) -> Result<Vec<NodeCheck>, DriverError> {
        let folder = WindowFolder::of(&self.plan.window);
        let mut tables: Vec<Option<Tables>> = Vec::with_capacity(self.plan.nodes.len());
        for node in &self.plan.nodes {
            let mut found = Vec::with_capacity(node.outputs.len());
            for it in &node.outputs {
                found.extend(self.lake.manifest(&folder, &it.name)?.map(std::sync::Arc::new));
            }
            tables.push((found.len() == node.outputs.len()).then(|| found.into()));
        }
        let partials = Partials::new(self, tables);
        let mut checks = Vec::new();
        for (position, node) in self.plan.nodes.iter().enumerate() {
            let (true, Work::Task(task)) = (selected[position], &node.work) else { continue };
            let check = self.node(&partials, position, task, observer)?;
            observer.on_node(position, &check);
            checks.push(check);
        }
        Ok(checks)
    }

    fn node(
        &self,
        partials: &Partials<'_>,
        position: usize,
        task: &TaskUse,
        observer: &dyn CheckObserver,
    ) -> Result<NodeCheck, DriverError> {
        let node = &self.plan.nodes[position];
        let mut check =
            NodeCheck { node: node.name.clone(), verdict: CheckVerdict::Sound, cuts: 0, tiles: 0 };
        let not_checked = |why: &str| CheckVerdict::NotChecked(why.to_owned());
        let Some(whole) = partials.tables(position) else {
            check.verdict = not_checked("it, or a node that it needs, failed");
            return Ok(check);
        };
        let mut times: Vec<Time> = Vec::new();
        for it in whole.iter() {
            times.extend(distinct_times(self.lake, it)?);
        }
        times.sort_unstable();
        times.dedup();
        if times.len() < 2 {
            let why = match times.len() {
                0 => "none of its tables has a time index, or rows",
                _ => "all its rows have one time",
            };
            check.verdict = not_checked(why);
            return Ok(check);
        }
        if partials.inputs(position).all(|it| it.manifest.time_index.is_none()) {
            check.verdict = not_checked("none of its inputs has a time index");
            return Ok(check);
        }
        let starts = tile_starts(&times, self.tiles);
        let node_of = NodeOf { check: self, partials, position, node, task };
        let mut findings = Vec::new();
        if let Some(shown) = node_of.differs(&node_of.repeated())? {
            let finding = Finding {
                kind: FindingKind::NotRepeatable,
                start: None,
                end: None,
                differing: 1,
                row: shown,
                inputs: Vec::new(),
            };
            check.verdict = CheckVerdict::Unsound(vec![finding]);
            return Ok(check);
        }
        let cuts: Vec<Trial> = starts[1..].iter().map(|it| node_of.cut(times[it - 1])).collect();
        let mut tiles = node_of.tiles(&times, &starts)?;
        (check.cuts, check.tiles) = (cuts.len(), tiles.len());
        let total = cuts.len() + tiles.len();
        let done = AtomicUsize::new(0);
        let tick = || observer.on_progress(position, done.fetch_add(1, Ordering::Relaxed) + 1, total);
        findings.extend(node_of.first_difference(FindingKind::LookAhead, &cuts, &tick)?);
        if !findings.is_empty() {
            // That it misses what follows a tile is told already: its past is to be seen by itself.
            tiles.iter_mut().flat_map(|it| &mut it.clips).for_each(|it| it.end = None);
        }
        findings.extend(node_of.first_difference(FindingKind::LookBack, &tiles, &tick)?);
        if !findings.is_empty() {
            check.verdict = CheckVerdict::Unsound(findings);
        }
        Ok(check)
    }
}

/// A node being checked.
struct NodeOf<'a> {
    check: &'a Check<'a>,
    partials: &'a Partials<'a>,
    position: usize,
    node: &'a PlanNode,
    task: &'a TaskUse,
}

impl NodeOf<'_> {
    /// The whole once more.
    fn repeated(&self) -> Trial {
        let clips = self.partials.inputs(self.position).map(|_| Clip::default()).collect();
        Trial { clips, window: self.check.plan.window, start: None, end: None }
    }

    /// As of a time: later rows of all inputs are hidden.
    fn cut(&self, as_of: Time) -> Trial {
        let after = Time(as_of.0.saturating_add(1));
        let clips =
            self.partials.inputs(self.position).map(|_| Clip { as_of: Some(as_of), ..Clip::default() });
        let window = Window { as_of: Some(as_of), ..self.check.plan.window };
        Trial { clips: clips.collect(), window, start: None, end: Some(after) }
    }

    /// A trial for each tile; none where no input declares a look-back: with all of the past at hand a tile tells
    /// nothing that a cut does not.
    fn tiles(&self, times: &[Time], starts: &[usize]) -> Result<Vec<Trial>, DriverError> {
        let spans: Vec<Option<Span>> = self.inputs().map(|(input, _)| input.look_back).collect();
        if spans.iter().all(Option::is_none) {
            return Ok(Vec::new());
        }
        let mut input_times: Vec<Vec<Time>> = Vec::with_capacity(spans.len());
        for (it, span) in self.partials.inputs(self.position).zip(&spans) {
            input_times.push(match span {
                Some(Span::Times(_)) => distinct_times(it.lake, it.manifest)?,
                Some(Span::Milliseconds(_)) | None => Vec::new(),
            });
        }
        let mut trials = Vec::with_capacity(starts.len());
        for (tile, first) in starts.iter().enumerate() {
            let start = times[*first];
            let end = starts.get(tile + 1).map(|it| times[*it]);
            let clip = |(span, times): (&Option<Span>, &Vec<Time>)| Clip {
                start: span.map(|it| back(start, it, times)),
                end,
                as_of: None,
            };
            let clips = spans.iter().zip(&input_times).map(clip).collect();
            let window = Window {
                start: Some(start),
                end: end.or(self.check.plan.window.end),
                ..self.check.plan.window
            };
            trials.push(Trial { clips, window, start: Some(start), end });
        }
        Ok(trials)
    }

    /// Ports and members, one after the other.
    fn inputs(&self) -> impl Iterator<Item = (&Input, usize)> {
        self.node.inputs.iter().flat_map(|it| it.members.iter().map(move |member| (it, member.node)))
    }

    /// Where the earliest of the trials that differ shows it, and what makes it differ.
    fn first_difference(
        &self,
        kind: FindingKind,
        trials: &[Trial],
        tick: &(dyn Fn() + Sync),
    ) -> Result<Option<Finding>, DriverError> {
        let next = AtomicUsize::new(0);
        let found: Mutex<Vec<(usize, Shown)>> = Mutex::default();
        let failed: Mutex<Option<DriverError>> = Mutex::default();
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(trial) = trials.get(number) else { return };
                match self.differs(trial) {
                    Ok(None) => {}
                    Ok(Some(shown)) => lock(&found).push((number, shown)),
                    Err(e) => {
                        lock(&failed).get_or_insert(e);
                        return;
                    }
                }
                tick();
            }
        };
        std::thread::scope(|scope| {
            let options = self.check.options;
            // As a run admits attempts: as many as their memory allows, and one in any case.
            let fitting = options.machine.memory_bytes / self.node.resources.memory_bytes.max(1);
            let jobs = u64::from(options.jobs).min(fitting.max(1));
            let jobs = usize::try_from(jobs).expect("not more than `jobs`");
            for _ in 0..jobs.min(trials.len()) {
                scope.spawn(work);
            }
        });
        if let Some(error) = lock(&failed).take() {
            return Err(error);
        }
        let mut found = std::mem::take(&mut *lock(&found));
        found.sort_by_key(|(number, _)| *number);
        let differing = found.len();
        let Some((number, row)) = found.into_iter().next() else { return Ok(None) };
        let trial = &trials[number];
        let inputs = self.leaking(kind, trial)?;
        let start = (kind == FindingKind::LookBack).then_some(trial.start).flatten();
        let end = match kind {
            FindingKind::LookAhead => trial.window.as_of,
            FindingKind::LookBack | FindingKind::NotRepeatable => trial.end,
        };
        Ok(Some(Finding { kind, start, end, differing, row, inputs }))
    }

    /// The inputs that make a trial differ when they alone are clipped.
    fn leaking(&self, kind: FindingKind, trial: &Trial) -> Result<Vec<LeakingInput>, DriverError> {
        let count = trial.clips.len();
        let mut alone = vec![false; count];
        for (at, is_alone) in alone.iter_mut().enumerate() {
            *is_alone = count == 1 || self.differs(&self.with_one(trial, at, trial.clips[at]))?.is_some();
        }
        if !alone.contains(&true) {
            alone.fill(true);
        }
        let mut leaking = Vec::new();
        for (at, (input, node)) in self.inputs().enumerate() {
            if !alone[at] {
                continue;
            }
            let needed_times = match (kind, input.look_back) {
                (FindingKind::LookBack, Some(_)) => self.needed(trial, at)?,
                _ => None,
            };
            let from = &self.check.plan.nodes[node];
            let knowledge_time = match &from.work {
                Work::Source(spec) => spec.knowledge_time.clone(),
                Work::Task(_) => None,
            };
            leaking.push(LeakingInput {
                port: input.port.clone(),
                node: from.name.clone(),
                knowledge_time,
                declared: input.look_back,
                needed_times,
            });
        }
        Ok(leaking)
    }

    /// The same trial where only one input is clipped; the end is hidden of all in a look-back, which is not about it.
    fn with_one(&self, trial: &Trial, at: usize, clip: Clip) -> Trial {
        let is_cut = clip.as_of.is_some();
        let others =
            trial.clips.iter().map(|it| if is_cut { Clip::default() } else { Clip { start: None, ..*it } });
        let mut clips: Vec<Clip> = others.collect();
        clips[at] = clip;
        Trial { clips, window: trial.window, start: trial.start, end: trial.end }
    }

    /// The fewest times before the tile with which an input makes no difference. Found by halving, as if a longer
    /// look-back were never worse than a shorter one.
    fn needed(&self, trial: &Trial, at: usize) -> Result<Option<u64>, DriverError> {
        let Some(start) = trial.start else { return Ok(None) };
        let input = self.partials.inputs(self.position).nth(at).expect("there is a clip for each input");
        let times = distinct_times(input.lake, input.manifest)?;
        let before = times.partition_point(|it| *it < start) as u64;
        let is_enough = |count: u64| -> Result<bool, DriverError> {
            let from = Some(back(start, Span::Times(count), &times));
            let clip = Clip { start: from, ..trial.clips[at] };
            Ok(self.differs(&self.with_one(trial, at, clip))?.is_none())
        };
        if !is_enough(before)? {
            return Ok(None);
        }
        let (mut low, mut high) = (0, before);
        while low < high {
            let middle = low.midpoint(high);
            if is_enough(middle)? { high = middle } else { low = middle + 1 }
        }
        Ok(Some(high))
    }

    /// Computes with less, and compares the rows that must not change.
    fn differs(&self, trial: &Trial) -> Result<Option<Shown>, DriverError> {
        let partial = self.partials.compute(self.position, self.task, &trial.clips, trial.window);
        let Partial { lake, tables } = match partial {
            Ok(it) => it,
            Err(failure) => return Ok(Some(Shown::Failure(failure))),
        };
        let whole = self.partials.tables(self.position).expect("it was computed over the whole range");
        for (at, (before, after)) in whole.iter().zip(tables.iter()).enumerate() {
            let (a, b) = ((self.check.lake, &**before), (&lake, &**after));
            let difference = tidemill_lake::compare_within(a, b, trial.start, trial.end)?;
            if difference.is_equal() {
                continue;
            }
            let (port, table) = (self.node.outputs[at].port.clone(), before.table.0.clone());
            let shown = match difference.first {
                Some(it) => Shown::Row {
                    port,
                    table,
                    index: it.row.index,
                    column: it.column,
                    whole: it.before,
                    partial: it.after,
                },
                None => Shown::Shape { port, table, what: shape_text(&difference) },
            };
            return Ok(Some(shown));
        }
        Ok(None)
    }
}

fn lock<T>(it: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shape_text(it: &tidemill_lake::TableDifference) -> String {
    let mut parts = it.shape.clone();
    parts.extend(it.columns_added.iter().map(|name| format!("column `{name}` is new")));
    parts.extend(it.columns_removed.iter().map(|name| format!("column `{name}` is gone")));
    let retyped = it.columns_retyped.iter();
    parts
        .extend(retyped.map(|it| format!("column `{}` is {} instead of {}", it.column, it.after, it.before)));
    parts.join("; ")
}

/// Positions in `times` where tiles begin; the first is 0.
fn tile_starts(times: &[Time], tiles: Tiles) -> Vec<usize> {
    match tiles {
        Tiles::Count(count) => {
            let count = usize::try_from(count).expect("usize has at least 32 bits").clamp(1, times.len());
            (0..count).map(|tile| tile * times.len() / count).collect()
        }
        Tiles::Milliseconds(ms) => {
            let length = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000).max(1);
            let tile_of = |it: Time| it.0.div_euclid(length);
            let is_start = |at: &usize| *at == 0 || tile_of(times[*at]) != tile_of(times[at - 1]);
            (0..times.len()).filter(is_start).collect()
        }
    }
}

/// The time that lies a span before another; `times` are those of the table that is read.
pub(crate) fn back(from: Time, span: Span, times: &[Time]) -> Time {
    match span {
        Span::Milliseconds(ms) => {
            let ns = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
            Time(from.0.saturating_sub(ns))
        }
        Span::Times(0) => from,
        Span::Times(count) => {
            let before = times.partition_point(|it| *it < from);
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            times.get(before.saturating_sub(count)).copied().filter(|it| *it < from).unwrap_or(from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(of: &[i64]) -> Vec<Time> {
        of.iter().map(|it| Time(*it)).collect()
    }

    #[test]
    fn tiles_hold_equally_many_times_or_equally_long_stretches() {
        let it = times(&[0, 1, 2, 3_000_000, 4_000_000, 9_000_000]);
        assert_eq!(tile_starts(&it, Tiles::Count(3)), [0, 2, 4]);
        assert_eq!(tile_starts(&it, Tiles::Count(100)), [0, 1, 2, 3, 4, 5]);
        assert_eq!(tile_starts(&it, Tiles::Count(1)), [0]);
        assert_eq!(tile_starts(&it, Tiles::Milliseconds(4)), [0, 4, 5]);
    }

    #[test]
    fn a_look_back_counts_times_of_the_table_or_time() {
        let it = times(&[10, 20, 30, 40]);
        assert_eq!(back(Time(30), Span::Times(0), &it), Time(30));
        assert_eq!(back(Time(30), Span::Times(1), &it), Time(20));
        assert_eq!(back(Time(35), Span::Times(2), &it), Time(20));
        assert_eq!(back(Time(30), Span::Times(99), &it), Time(10));
        assert_eq!(back(Time(5), Span::Times(3), &it), Time(5));
        assert_eq!(back(Time(3_000_000), Span::Milliseconds(1), &it), Time(2_000_000));
    }
}
