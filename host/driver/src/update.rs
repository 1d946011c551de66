//! An update: a node that adds to its tables computes only what they lack. It reads its inputs from there minus its
//! look-back, and of what it writes only rows count that are new: so day by day comes out as the whole range at once,
//! for any task that `check` passes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_lake::{KeyProgress, Lake, LakeError, Manifest, Since, distinct_times};
use tidemill_plan::{Corrections, PlanNode, Span, Time, Window, WriteMode};

use crate::check::back;

/// What an attempt of an updating node computes.
#[derive(Debug)]
pub(crate) struct Update {
    /// By output port: which rows are new.
    pub(crate) since: BTreeMap<String, Arc<Since>>,
    /// The last time before the first that may be new; `None`: all times may be.
    pub(crate) after: Option<Time>,
}

/// One table that a node reads.
pub(crate) struct Read<'a> {
    pub(crate) manifest: &'a Arc<Manifest>,
    /// The same table as the node's newest version read it.
    pub(crate) before: Option<Arc<Manifest>>,
}

impl Update {
    /// `None` for a node that writes whole tables, or whose tables have no time. `outputs` are its tables as they are now.
    pub(crate) fn of(
        node: &PlanNode,
        lake: &Lake,
        outputs: &[Option<Arc<Manifest>>],
        reads: &[Read<'_>],
        window: &Window,
    ) -> Result<Option<Self>, LakeError> {
        if node.write_mode == WriteMode::Replace || node.outputs.iter().all(|it| it.time_index.is_none()) {
            return Ok(None);
        }
        let correction = match node.corrections {
            Corrections::Ignore => None,
            Corrections::Recompute => first_correction(lake, reads)?,
        };
        let first = [node.first_time, window.start].into_iter().flatten().max();
        let (mut since, mut after) = (BTreeMap::new(), After::Nothing);
        for (port, manifest) in node.outputs.iter().zip(outputs) {
            let progress = match manifest {
                Some(manifest) => lake.progress_of(manifest)?,
                None => Vec::new(),
            };
            let mut of_port = Since::new(progress, first);
            // Who names a start wants what comes after it anew.
            for time in correction.iter().chain(&window.start) {
                of_port = of_port.cut_before(*time);
            }
            after = after.and(after_of(&of_port, &port.identifiers, lake, reads)?);
            since.insert(port.port.clone(), Arc::new(of_port));
        }
        let after = match after {
            After::Nothing | After::Everything => first.map(|it| Time(it.0.saturating_sub(1))),
            After::Time(time) => Some(time),
        };
        Ok(Some(Self { since, after }))
    }

    /// From where on an input is read.
    pub(crate) fn start_of(
        &self,
        lake: &Lake,
        manifest: &Manifest,
        look_back: Option<Span>,
    ) -> Result<Option<Time>, LakeError> {
        let (Some(after), Some(span)) = (self.after, look_back) else { return Ok(None) };
        let times = match span {
            Span::Times(count) if count > 0 => distinct_times(lake, manifest)?,
            Span::Times(_) | Span::Milliseconds(_) => Vec::new(),
        };
        Ok(Some(back(Time(after.0.saturating_add(1)), span, &times)))
    }

    /// The window as the task is told it.
    pub(crate) fn window(&self, window: Window) -> Window {
        let start = self.after.map(|it| Time(it.0.saturating_add(1)));
        Window { start: start.max(window.start), ..window }
    }
}

/// Where what may be new begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// No table says anything yet.
    Nothing,
    /// There is something new that no row is before.
    Everything,
    Time(Time),
}

impl After {
    /// As far back as either wants.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, it) | (it, Self::Nothing) => it,
            (Self::Everything, _) | (_, Self::Everything) => Self::Everything,
            (Self::Time(a), Self::Time(b)) => Self::Time(a.min(b)),
        }
    }
}

/// What of a table is behind what it is made of. Where an input has the table's identifiers, those that have come as far as
/// there is anything do not hold the others back; one that the table does not have yet begins from the start.
fn after_of(
    since: &Since,
    identifiers: &[String],
    lake: &Lake,
    reads: &[Read<'_>],
) -> Result<After, LakeError> {
    if since.is_empty() {
        return Ok(After::Everything);
    }
    let earliest = since.earliest().map_or(After::Everything, After::Time);
    if identifiers.is_empty() {
        return Ok(earliest);
    }
    let mut after = After::Nothing;
    let mut is_told = false;
    for it in reads.iter().filter(|it| it.manifest.identifiers == identifiers) {
        is_told = true;
        for KeyProgress { identifiers, last } in lake.progress_of(it.manifest)? {
            after = after.and(match since.last(&identifiers) {
                None => After::Everything,
                Some(known) if last > known => After::Time(known),
                Some(_) => After::Nothing,
            });
        }
    }
    match after {
        _ if !is_told => Ok(earliest),
        // Nothing is new: a look at the last times costs little, and inputs without identifiers may say more.
        After::Nothing => Ok(since.latest().map_or(After::Everything, After::Time)),
        After::Everything | After::Time(_) => Ok(after),
    }
}

/// The first time at which an input differs from what was read of it before.
fn first_correction(lake: &Lake, reads: &[Read<'_>]) -> Result<Option<Time>, LakeError> {
    let mut first = None;
    for it in reads {
        let Some(before) = &it.before else { continue };
        if before.snapshot == it.manifest.snapshot {
            continue;
        }
        let changed = tidemill_lake::first_change((lake, before), (lake, it.manifest))?;
        first = first.into_iter().chain(changed).min();
    }
    Ok(first)
}
