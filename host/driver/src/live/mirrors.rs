//! When tables of the mirror are brought up: at once when a run has committed one, again after a failure, and what was
//! left at the start. Runs never wait for it, and what it could not do stands in the store. How it is done is `mirror.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tidemill_plan::{MirrorTarget, Problem};
use tidemill_store::{MirrorFilter, MirrorRow, StoreError};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Live;
use crate::log_file::now_ns;
use crate::mirror::{Failed, Mirror};

/// Tables that are brought up at one time; each has a connection.
pub const MIRRORS_MAX: u32 = 4;
const BACK_OFF_FIRST: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// Tables that are asked for at a time.
const LISTED_MAX: u32 = 1_000;

/// What a table of the mirror last ran into.
struct Trouble {
    problem: Problem,
    back_off: Duration,
    again_at: Instant,
}

/// What is going on.
#[derive(Default)]
struct State {
    busy: BTreeSet<String>,
    troubles: BTreeMap<String, Trouble>,
}

/// Until the service stops. What is on its way then is undone by the mirror, and found again at the next start.
pub(super) async fn follow(live: Arc<Live>) {
    let mut stop = live.stop.subscribe();
    tokio::select! {
        () = follow_on(&live) => {}
        _ = stop.wait_for(|it| *it) => {}
    }
}

async fn follow_on(live: &Live) {
    let Some(mirror) = mirror_of(live).await else { return };
    let (mut state, mut working) = (State::default(), JoinSet::new());
    let mut back_off = BACK_OFF_FIRST;
    loop {
        // Where several hosts share a store, one may have gone away with what it was to bring up.
        let mut wait = live.context.lease;
        match begin(&mirror, &mut state, &mut working).await {
            Ok(()) => back_off = BACK_OFF_FIRST,
            Err(error) => {
                tracing::debug!(%error, "the store is away: nobody knows what the mirror lacks");
                wait = wait.min(back_off);
                back_off = (back_off * 2).min(BACK_OFF_MAX);
            }
        }
        let again_at = state.next_try().filter(|_| has_room(&working));
        let wake_at = again_at.into_iter().chain([Instant::now() + wait]).min().expect("there is one");
        tokio::select! {
            () = live.behind.notified() => {}
            Some(done) = working.join_next(), if !working.is_empty() => {
                let (row, problem) = done.expect("bringing a table up does not panic");
                settle(&mirror, &mut state, &row, problem).await;
            }
            () = tokio::time::sleep_until(wake_at) => {}
        }
    }
}

/// `None`: there is no mirror.
async fn mirror_of(live: &Live) -> Option<Mirror> {
    let context = &live.context;
    let database = context.mirror.clone()?;
    let mut back_off = BACK_OFF_FIRST;
    loop {
        match context.store.identity().await {
            Ok(identity) => {
                let (store, tables, lake) =
                    (context.store.clone(), context.tables.clone(), context.lake.clone());
                return Some(Mirror { store, tables, lake, database, identity });
            }
            Err(error) => {
                tracing::warn!(%error, "the mirror waits for the store");
                tokio::time::sleep(back_off).await;
                back_off = (back_off * 2).min(BACK_OFF_MAX);
            }
        }
    }
}

impl State {
    /// When one that is in trouble is tried again.
    fn next_try(&self) -> Option<Instant> {
        let waiting = self.troubles.iter().filter(|(target, _)| !self.busy.contains(*target));
        waiting.map(|(_, it)| it.again_at).min()
    }
}

fn has_room(working: &Working) -> bool {
    working.len() < usize::try_from(MIRRORS_MAX).unwrap_or(usize::MAX)
}

type Working = JoinSet<(MirrorRow, Option<Problem>)>;

/// Begins with what is behind and not in trouble, as far as there is room.
async fn begin(mirror: &Mirror, state: &mut State, working: &mut Working) -> Result<(), StoreError> {
    let behind = all_behind(mirror).await?;
    // Nothing is wanted of the others any more, or another host has done it.
    state.troubles.retain(|target, _| behind.iter().any(|it| it.target == *target));
    let now = Instant::now();
    for row in behind {
        let is_due = state.troubles.get(&row.target).is_none_or(|it| it.again_at <= now);
        if is_due && has_room(working) && state.busy.insert(row.target.clone()) {
            working.spawn(bring(mirror.clone(), row));
        }
    }
    Ok(())
}

async fn all_behind(mirror: &Mirror) -> Result<Vec<MirrorRow>, StoreError> {
    let mut behind: Vec<MirrorRow> = Vec::new();
    loop {
        let after = behind.last().map(|it| it.target.clone());
        let filter = MirrorFilter { is_behind: true, after, limit: LISTED_MAX, ..MirrorFilter::default() };
        let part = mirror.store.mirrors(&filter).await?;
        let is_last = part.len() < usize::try_from(LISTED_MAX).unwrap_or(usize::MAX);
        behind.extend(part);
        if is_last {
            return Ok(behind);
        }
    }
}

async fn bring(mirror: Mirror, row: MirrorRow) -> (MirrorRow, Option<Problem>) {
    let target = MirrorTarget::parse(&row.target).expect("only names that are allowed are ever wanted");
    let began = Instant::now();
    match mirror.bring(&target).await {
        Ok(brought) => {
            let (table, took_ms) = (&row.table, began.elapsed().as_millis());
            let (rows, deleted) = (brought.rows, brought.deleted);
            tracing::info!(mirror = %target, %table, rows, deleted, took_ms, "mirrored");
            (row, None)
        }
        Err(Failed(problem)) => (row, Some(problem)),
    }
}

async fn settle(mirror: &Mirror, state: &mut State, row: &MirrorRow, problem: Option<Problem>) {
    let target = &row.target;
    state.busy.remove(target);
    let Some(problem) = problem else {
        state.troubles.remove(target);
        return;
    };
    let before = state.troubles.get(target);
    let back_off = before.map_or(BACK_OFF_FIRST, |it| (it.back_off * 2).min(BACK_OFF_MAX));
    // Told once: the same trouble is there until it is gone.
    if before.is_none_or(|it| it.problem != problem) {
        let (code, table, again_ms) = (problem.code.0, &row.table, back_off.as_millis());
        tracing::warn!(mirror = %target, %table, code, again_ms, error = %problem.what, "a table could not be mirrored");
        if let Err(error) = mirror.store.note_mirror_failed(target, problem.clone(), now_ns()).await {
            tracing::debug!(%error, "what is wrong with the mirror could not be kept");
        }
    }
    let again_at = Instant::now() + back_off;
    state.troubles.insert(target.clone(), Trouble { problem, back_off, again_at });
}
