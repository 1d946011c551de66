//! Follows the run of a sweep: counts what each point still waits for, measures it when nothing is left, and drops the
//! tables that nobody needs any more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;
use tidemill_engine::OnFailure;
use tidemill_plan::{MeasureSource, TableName};

use super::journal::Journal;
use super::measure::measure;
use super::results::{PointRow, PointState};
use super::{SweepObserver, SweepRun};
use crate::attempt::{Shared, Tables};
use crate::failure::{DriverError, NodeFailure};
use crate::local::{Canceller, Sink, SinkEnd};

pub(super) struct Measuring<'r, 'a> {
    run: &'r SweepRun<'a>,
    kept: &'r [bool],
    observer: &'r dyn SweepObserver,
    /// By node: the points that wait for it.
    points: Vec<Vec<u32>>,
    inner: Mutex<Inner>,
    /// Taken after `inner` where both are.
    out: Mutex<Out>,
    canceller: OnceLock<Canceller>,
}

struct Inner {
    /// By point: nodes that have not ended.
    waits: HashMap<usize, u32>,
    /// Points that have ended and are not measured yet.
    ended: Vec<usize>,
    /// By point: why it failed.
    failures: HashMap<usize, String>,
    /// Why a node failed, and by position the node whose failure made it be skipped.
    errors: HashMap<usize, String>,
    /// Of the nodes that are measured.
    tables: HashMap<usize, (Tables, HashMap<String, f64>)>,
    /// By node: time that it took (microseconds).
    wall_us: HashMap<usize, u64>,
    /// By node: readers and measures that still need its tables.
    needs: Vec<u32>,
    /// Tables that nobody needs any more.
    idle: Vec<TableName>,
    stopped: bool,
}

struct Out {
    rows: Vec<PointRow>,
    journal: Option<Journal>,
    error: Option<DriverError>,
    /// Whether any point has been measured.
    is_any_measured: bool,
    /// Why the rest is not computed.
    gave_up: bool,
}

impl<'r, 'a> Measuring<'r, 'a> {
    pub(super) fn new(
        run: &'r SweepRun<'a>,
        selected: &[bool],
        open: &[usize],
        kept: &'r [bool],
        journal: Option<Journal>,
        observer: &'r dyn SweepObserver,
    ) -> Self {
        let nodes = &run.plan.plan.nodes;
        let mut points = vec![Vec::new(); nodes.len()];
        let mut needs = vec![0; nodes.len()];
        let mut waits = HashMap::with_capacity(open.len());
        for point in open {
            let mut count = 0;
            for node in run.plan.nodes_of(*point) {
                points[node].push(u32::try_from(*point).expect("at most 10 million points"));
                count += 1;
            }
            waits.insert(*point, count);
            for measure in &run.options.measures {
                if let Some((node, _)) = run.plan.measured(*point, measure) {
                    needs[node] += 1;
                }
            }
        }
        for (node, _) in nodes.iter().zip(selected).filter(|(_, selected)| **selected) {
            for member in node.inputs.iter().flat_map(|it| &it.members) {
                needs[member.node] += 1;
            }
        }
        let inner = Inner {
            waits,
            ended: Vec::new(),
            failures: HashMap::new(),
            errors: HashMap::new(),
            tables: HashMap::new(),
            wall_us: HashMap::new(),
            needs,
            idle: Vec::new(),
            stopped: false,
        };
        let out = Out {
            rows: Vec::with_capacity(open.len()),
            journal,
            error: None,
            is_any_measured: false,
            gave_up: false,
        };
        Self {
            run,
            kept,
            observer,
            points,
            inner: Mutex::new(inner),
            out: Mutex::new(out),
            canceller: OnceLock::new(),
        }
    }

    /// Writes the rows of earlier sweeps into this one's journal.
    pub(super) fn keep_known(&self, rows: &[PointRow]) -> Option<DriverError> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = out.journal.as_mut()?;
        rows.iter().find_map(|it| journal.add(it).err())
    }

    /// Lets a failure that would meet every point end the sweep.
    pub(super) fn may_cancel(&self, canceller: Canceller) {
        self.canceller.set(canceller).ok();
    }

    /// The rows of the points that ended, why the journal could not be written, and whether the sweep was given up.
    pub(super) fn into_rows(self) -> (Vec<PointRow>, Option<DriverError>, bool) {
        let out = self.out.into_inner().unwrap_or_else(PoisonError::into_inner);
        (out.rows, out.error, out.gave_up)
    }

    fn give_up(&self, out: &mut Out) {
        out.gave_up = true;
        if let Some(it) = self.canceller.get() {
            it.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One need less of a node's tables.
    fn release(&self, inner: &mut Inner, node: usize) {
        inner.needs[node] -= 1;
        self.drop_if_idle(inner, node);
    }

    fn drop_if_idle(&self, inner: &mut Inner, node: usize) {
        if inner.needs[node] == 0 && !self.kept[node] {
            inner.idle.extend(self.run.plan.plan.nodes[node].outputs.iter().map(|it| it.name.clone()));
        }
    }

    /// The row of a point, and whether it failed in being measured.
    fn row(&self, shared: &Shared<'_>, point: usize) -> (PointRow, bool) {
        let plan = self.run.plan;
        let (failed, own_us) = {
            let inner = self.lock();
            let own = plan.nodes_of(point).filter(|it| self.points[*it].len() == 1);
            (inner.failures.get(&point).cloned(), own.filter_map(|it| inner.wall_us.get(&it)).sum())
        };
        let mut row = PointRow {
            point,
            key: self.run.keys[point].to_string(),
            values: plan.space.values(point).into_iter().cloned().collect(),
            measures: vec![None; self.run.options.measures.len()],
            state: PointState::Failed,
            error: failed,
            own_us,
            tables: Vec::new(),
            snapshots: Vec::new(),
        };
        let mut is_unmeasurable = false;
        if row.error.is_none() {
            match self.measures(shared, point, &mut row) {
                Ok(()) => row.state = PointState::Computed,
                Err(failure) => {
                    is_unmeasurable = true;
                    let mend =
                        if failure.mend.is_empty() { String::new() } else { format!("; {}", failure.mend) };
                    row.error = Some(format!("[{}] {}{mend}", failure.code, failure.what));
                }
            }
        }
        (row, is_unmeasurable)
    }

    fn measures(&self, shared: &Shared<'_>, point: usize, row: &mut PointRow) -> Result<(), NodeFailure> {
        let mut named: Vec<String> = Vec::new();
        for (at, it) in self.run.options.measures.iter().enumerate() {
            let Some((node, output)) = self.run.plan.measured(point, it) else {
                let what = format!("measure `{}={}` names nothing at this point", it.name, it.text);
                return Err(NodeFailure::permanent(
                    tidemill_plan::Code("measure-node"),
                    what,
                    "measure a node or a member that every point has",
                ));
            };
            let (tables, metrics) = self.lock().tables.get(&node).cloned().unwrap_or_default();
            row.measures[at] =
                match &it.source {
                    MeasureSource::Metric { name, .. } => {
                        let value = metrics.get(name).copied();
                        Some(value.ok_or_else(|| {
                            unreported(&self.run.plan.plan.nodes[node].name, name, &metrics)
                        })?)
                    }
                    MeasureSource::Column { column, aggregate, .. } => {
                        let Some(table) = tables.get(output) else { continue };
                        let name = it.source.table().unwrap_or_default();
                        if !named.contains(&name) {
                            named.push(name);
                            row.tables.push(table.table.0.clone());
                            row.snapshots.push(table.snapshot.to_string());
                        }
                        measure(shared.home(table), table, column, *aggregate)?
                    }
                };
        }
        Ok(())
    }

    fn finish(&self, point: usize, row: PointRow, is_unmeasurable: bool) {
        {
            let mut inner = self.lock();
            for it in &self.run.options.measures {
                if let Some((node, _)) = self.run.plan.measured(point, it) {
                    self.release(&mut inner, node);
                    if inner.needs[node] == 0 {
                        inner.tables.remove(&node);
                    }
                }
            }
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = out.journal.as_mut().map(|it| it.add(&row)) {
            // What is computed from here on would be lost.
            out.error.get_or_insert(error);
            self.give_up(&mut out);
        }
        out.is_any_measured |= row.state == PointState::Computed;
        // A measure that nothing answers to at the first point most likely names nothing anywhere.
        let is_fail_fast = self.run.options.local.on_failure == OnFailure::FailFast;
        if is_unmeasurable && (is_fail_fast || !out.is_any_measured) {
            self.give_up(&mut out);
        }
        // What is told is kept already.
        self.observer.on_point(&row);
        out.rows.push(row);
    }
}

fn unreported(node: &str, metric: &str, metrics: &HashMap<String, f64>) -> NodeFailure {
    let mut names: Vec<&str> = metrics.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mend = if names.is_empty() {
        "it reports none; `ctx.metric(name, value)` in the task does".to_owned()
    } else {
        format!("it reports: {}", names.join(", "))
    };
    let what = format!("node `{node}` reports no metric `{metric}`");
    NodeFailure::permanent(tidemill_plan::Code("measure-metric"), what, mend)
}

impl Sink for Measuring<'_, '_> {
    fn ended(&self, node: usize, end: SinkEnd<'_>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let name = &self.run.plan.plan.nodes[node].name;
        let error = match end {
            SinkEnd::Succeeded { tables, record } => {
                inner.wall_us.insert(node, record.wall_us);
                let number = |it: &Value| it.as_f64().or_else(|| it.as_str()?.parse().ok());
                let metrics =
                    record.metrics.iter().filter_map(|(name, it)| Some((name.clone(), number(it)?)));
                inner.tables.insert(node, (tables.clone(), metrics.collect()));
                None
            }
            SinkEnd::Failed(failure) => Some(format!("[{}] node `{name}`: {}", failure.code, failure.what)),
            SinkEnd::Skipped(because) => Some(
                inner.errors.get(&because).cloned().unwrap_or_else(|| format!("node `{name}` was skipped")),
            ),
            SinkEnd::Cancelled => {
                inner.stopped = true;
                None
            }
        };
        if let Some(error) = &error {
            inner.errors.insert(node, error.clone());
        }
        let is_cancelled = matches!(end, SinkEnd::Cancelled);
        for point in &self.points[node] {
            let point = *point as usize;
            if is_cancelled {
                // It has no row: the next sweep goes on with it.
                inner.waits.remove(&point);
                continue;
            }
            if let Some(error) = &error {
                inner.failures.entry(point).or_insert_with(|| error.clone());
            }
            if let Some(waits) = inner.waits.get_mut(&point) {
                *waits -= 1;
                if *waits == 0 {
                    inner.waits.remove(&point);
                    inner.ended.push(point);
                }
            }
        }
        for member in self.run.plan.plan.nodes[node].inputs.iter().flat_map(|it| &it.members) {
            self.release(inner, member.node);
        }
        if !self.is_measured(inner, node) {
            inner.tables.remove(&node);
        }
        self.drop_if_idle(inner, node);
    }

    fn work(&self, shared: &Shared<'_>) {
        loop {
            let point = self.lock().ended.pop();
            let Some(point) = point else { break };
            let (row, is_unmeasurable) = self.row(shared, point);
            self.finish(point, row, is_unmeasurable);
        }
        let idle = std::mem::take(&mut self.lock().idle);
        if let Some(scratch) = &shared.scratch {
            for name in idle {
                // Memory only: there is nothing that can fail.
                drop(scratch.lake.remove(&shared.folder, &name));
            }
        }
    }
}

impl Measuring<'_, '_> {
    /// Whether a measure of a point that has not been measured names this node.
    fn is_measured(&self, inner: &Inner, node: usize) -> bool {
        inner.needs[node] > 0 && {
            let family = &self.run.plan.plan.nodes[node].family;
            let names = self.run.options.measures.iter().map(|it| it.source.node());
            names.into_iter().any(|it| it.split('[').next() == Some(family))
        }
    }
}
