//! From the store to memory: runs that nobody owns are claimed and begun, wishes about runs are heard, hosts that went
//! silent are given up and their runs taken over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidemill_engine::OnFailure;
use tidemill_lake::Manifests as _;
use tidemill_plan::{Code, Digest, Problem, TableName, Work};
use tidemill_store::{Append, Dialect, Patience, RunRow, RunStatus, Store, Wanted, Watch, append};
use tokio::task::JoinSet;

use super::journal::{self, Entry, What};
use super::request::{Deployed, LivePlan, RunRequest, source_table_missing};
use super::run::{Gate, LiveRun, Parts, Taken, Told};
use super::{Live, LiveContext, Seen};
use crate::attempt::{Held, Reuse};
use crate::checkpoint::Checkpoints;
use crate::failure::is_of_host;
use crate::live_table::LiveTables;
use crate::log_file::now_ns;
use crate::origin::{Lineage, note_surroundings};
use crate::record::{Beginning, RunId, RunRecord};
use crate::replay::with_what_they_read;
use crate::stored::{StoredRecord, as_it_is};

/// How often to look where other processes may write into the store.
const LOOK_SHARED: Duration = Duration::from_millis(250);
/// How often to look where everything comes through this process, which then says so.
const LOOK_ALONE: Duration = Duration::from_secs(5);

/// Until the service stops.
pub(super) async fn claim(live: Arc<Live>) {
    let mut stop = live.stop.subscribe();
    let store = &live.context.store;
    let (period, is_shared) = match store.dialect() {
        Dialect::Postgres => (LOOK_SHARED, true),
        Dialect::Sqlite => (LOOK_ALONE, false),
    };
    let mut watch = Watch::default();
    let mut beginning = JoinSet::new();
    // Nobody else can have the file open: whoever joined before is dead.
    let lease = if is_shared { live.context.lease } else { Duration::ZERO };
    loop {
        if let Err(e) = look(&live, &mut watch, lease, &mut beginning).await {
            tracing::warn!(error = %e, "looking for runs; trying again");
        }
        tokio::select! {
            () = live.center.room.notified() => {}
            Some(_) = beginning.join_next(), if !beginning.is_empty() => {}
            () = tokio::time::sleep(period) => {}
            _ = stop.wait_for(|it| *it) => break,
        }
    }
    while beginning.join_next().await.is_some() {}
}

async fn look(
    live: &Arc<Live>,
    watch: &mut Watch,
    lease: Duration,
    beginning: &mut JoinSet<()>,
) -> Result<(), tidemill_store::StoreError> {
    let store = &live.context.store;
    abandon_lost(live, &store.host());
    let neighbours = store.neighbours().await?;
    for dead in watch.silent(Instant::now(), lease, &neighbours) {
        let id = dead.id.clone();
        if store.fence(dead).await? {
            tracing::warn!(host = %id, "a host went silent; its runs go on elsewhere");
        }
    }
    hear_wishes(live, &store.wishes().await?);
    let room = live.context.runs_max.saturating_sub(live.center.ids().len() + beginning.len());
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    if room > 0 && store.has_unowned_runs().await? {
        for row in store.claim(room).await? {
            let Some(host) = row.owner.clone() else { continue };
            let live = Arc::clone(live);
            beginning.spawn(async move { begin(&live, row, host).await });
        }
    }
    Ok(())
}

/// After this process was taken for dead, what it had is others'.
fn abandon_lost(live: &Live, host: &tidemill_store::HostId) {
    for run in live.center.ids() {
        if live.center.with(&run, |it| it.host != *host) == Some(true) {
            live.center.abandon(&run);
        }
    }
}

fn hear_wishes(live: &Live, wishes: &BTreeMap<String, Wanted>) {
    for (run, wanted) in wishes {
        let run = RunId(run.clone());
        match wanted {
            Wanted::Run => live.center.set_gate(&run, Gate::Open),
            Wanted::Pause => live.center.set_gate(&run, Gate::Paused),
            Wanted::Cancel => drop(live.center.cancel(&run)),
        }
    }
}

async fn begin(live: &Arc<Live>, row: RunRow, host: tidemill_store::HostId) {
    let prepared = prepare(&live.context, &row, &host).await;
    begin_prepared(live, row, host, prepared).await;
}

/// Begins a run that was planned when it was asked for, and claimed for this process when it was kept.
pub(super) async fn begin_planned(
    live: Arc<Live>,
    row: RunRow,
    host: tidemill_store::HostId,
    (request, live_plan): (RunRequest, LivePlan),
    tables: Seen,
) {
    let prepared = async {
        if tables == Seen::Before {
            live.context.tables.refresh().await?;
        }
        let (context, row, host) = (live.context.clone(), row.clone(), host.clone());
        let taken = tokio::task::spawn_blocking(move || {
            take(&context, &row, &request, live_plan, (None, Vec::new(), 0), host)
        });
        Ok(taken.await.map_err(|e| vec![internal(&e)])??)
    };
    let prepared = prepared.await;
    begin_prepared(&live, row, host, prepared).await;
}

async fn begin_prepared(
    live: &Arc<Live>,
    row: RunRow,
    host: tidemill_store::HostId,
    prepared: Result<Taken, Unbegun>,
) {
    let run = RunId(row.id.clone());
    let wanted = row.wanted;
    match prepared {
        Ok(taken) => {
            let gate = if wanted == Wanted::Pause { Gate::Paused } else { Gate::Open };
            match LiveRun::new(taken) {
                Ok(it) => live.center.insert(it, gate),
                Err(problem) => refuse(&live.context, &row, &host, &[problem]).await,
            }
            if wanted == Wanted::Cancel {
                live.center.cancel(&run);
            }
        }
        Err(Unbegun::Refused(problems)) => {
            refuse(&live.context, &row, &host, &problems).await;
            drop(live.moved.send(super::Moved { run, has_ended: true }));
        }
        Err(Unbegun::Later(why)) => {
            give_back(&live.context, &row, &host, &why).await;
        }
    }
}

/// Why a run has not begun.
enum Unbegun {
    /// It never will.
    Refused(Vec<Problem>),
    /// The store was away, or something else that the machine needs.
    Later(tidemill_store::StoreError),
}

impl From<tidemill_store::StoreError> for Unbegun {
    fn from(error: tidemill_store::StoreError) -> Self {
        if error.is_passing() { Self::Later(error) } else { Self::Refused(vec![error.problem()]) }
    }
}

impl From<Vec<Problem>> for Unbegun {
    fn from(problems: Vec<Problem>) -> Self {
        match problems.first() {
            Some(first) if is_of_host(first.code) => Self::Later(first.clone().into()),
            Some(_) | None => Self::Refused(problems),
        }
    }
}

async fn prepare(
    context: &LiveContext,
    row: &RunRow,
    host: &tidemill_store::HostId,
) -> Result<Taken, Unbegun> {
    let request: RunRequest =
        serde_json::from_value(row.request.clone()).map_err(|e| unreadable(&row.id, "request", &e))?;
    let record = context.store.record(&row.id).await?;
    let parts = context.store.journal_from(&row.id, 0).await?;
    let record: Option<RunRecord> = record
        .map(|it| serde_json::from_str(&it))
        .transpose()
        .map_err(|e| unreadable(&row.id, "record", &e))?;
    let entries = journal::read(&parts).map_err(|e| unreadable(&row.id, "journal", &e))?;
    let deployed = deployed(context, row, &request).await?;
    // Another program may have changed tables meanwhile.
    context.tables.refresh().await?;
    let seq = i64::try_from(parts.len()).expect("a journal has fewer parts than i64 has numbers");
    let (context, row, host) = (context.clone(), row.clone(), host.clone());
    let taken = tokio::task::spawn_blocking(move || {
        let live_plan = LivePlan::new(&deployed, &request, &context.sandbox, context.machine)?;
        take(&context, &row, &request, live_plan, (record, entries, seq), host)
    });
    Ok(taken.await.map_err(|e| vec![internal(&e)])??)
}

fn take(
    context: &LiveContext,
    row: &RunRow,
    request: &RunRequest,
    live_plan: LivePlan,
    (record, entries, seq): (Option<RunRecord>, Vec<Entry>, i64),
    host: tidemill_store::HostId,
) -> Result<Taken, Vec<Problem>> {
    let run = RunId(row.id.clone());
    let mut held = Held::new(&live_plan.plan, &live_plan.components);
    held.checkpoints = Checkpoints::on_disk(live_plan.plan.nodes.len(), &context.records_root, &run);
    let mut record = record.unwrap_or_else(|| first_record(context, &run, request, &live_plan));
    pin_tables(&context.tables, &live_plan, &mut held, &mut record).map_err(|it| vec![it])?;
    restore_tables(context, &live_plan, &held, &entries).map_err(|it| vec![it])?;
    read_tables(context, &live_plan, &held).map_err(|it| vec![it])?;
    let reuse = if request.force { Reuse::Never } else { Reuse::Valid };
    Ok(Taken {
        parts: Arc::new(Parts { run, live_plan, held, reuse, told: Told::default() }),
        host,
        priority: row.priority,
        on_failure: if request.keep_going { OnFailure::KeepGoing } else { OnFailure::FailFast },
        attempts_max: if request.debug { 1 } else { context.jobs },
        record,
        entries,
        seq,
    })
}

fn first_record(context: &LiveContext, run: &RunId, request: &RunRequest, live_plan: &LivePlan) -> RunRecord {
    let lineage = Lineage {
        parameters: request.parameters_from.clone(),
        from: request.from_run.clone(),
        replay_of: None,
    };
    let mut record = RunRecord::begin(Beginning {
        run: run.clone(),
        file: &live_plan.file_name,
        base: &live_plan.base,
        plan: &live_plan.plan,
        selected: &live_plan.selected,
        components: &live_plan.components,
        lineage: &lineage,
        is_sweep: false,
        began_at: now_ns(),
    });
    note_surroundings(&mut record, &live_plan.plan, &live_plan.selected, &context.lake, &live_plan.base);
    record
}

/// The tables that sources read: as they are when the run begins, and the same however often it is taken over.
fn pin_tables(
    tables: &LiveTables,
    live_plan: &LivePlan,
    held: &mut Held,
    record: &mut RunRecord,
) -> Result<(), Problem> {
    let wanted = with_what_they_read(&live_plan.plan, live_plan.selected.clone());
    for (position, node) in live_plan.plan.nodes.iter().enumerate().filter(|(it, _)| wanted[*it]) {
        let Work::Source(spec) = &node.work else { continue };
        let Some(table) = spec.table() else { continue };
        let before = record.nodes[position].stored.first();
        let found = tables.pinned(table, before.map(|it| it.version)).map_err(|e| Problem::from(&e))?;
        let manifest = match (found, before) {
            (Some(found), Some(before)) if found.snapshot.to_string() != before.snapshot => {
                return Err(gone(table, &before.snapshot));
            }
            (None, Some(before)) => return Err(gone(table, &before.snapshot)),
            (None, None) => return Err(source_table_missing(&node.name, table)),
            (Some(found), _) => found,
        };
        record.nodes[position].stored = vec![StoredRecord::of(&manifest)];
        held.stored[position] = Some(Arc::new(manifest));
    }
    Ok(())
}

/// The tables that the run has written, before it was taken over.
fn restore_tables(
    context: &LiveContext,
    live_plan: &LivePlan,
    held: &Held,
    entries: &[Entry],
) -> Result<(), Problem> {
    for it in entries {
        let What::AttemptEnded { node, left: Some(left), .. } = &it.what else { continue };
        if left.error.is_some() {
            continue;
        }
        let mut manifests = Vec::with_capacity(left.tables.len());
        for table in &left.tables {
            let name = TableName(table.table.clone());
            let stored = held.stored[*node].as_ref().filter(|it| it.table == name);
            if let Some(stored) = stored.filter(|it| it.snapshot.to_string() == table.snapshot) {
                manifests.push(Arc::clone(stored));
                continue;
            }
            let snapshot: Digest = table.snapshot.parse().map_err(|_invalid| gone(&name, &table.snapshot))?;
            let found = context.tables.with_digest(&name, &snapshot).map_err(|e| Problem::from(&e))?;
            manifests.push(Arc::new(found.ok_or_else(|| gone(&name, &table.snapshot))?));
        }
        if manifests.len() == live_plan.plan.nodes[*node].outputs.len() {
            // Of attempts that ended without being counted there is none: the first one that is there stays.
            drop(held.tables[*node].set(manifests.into()));
        }
    }
    Ok(())
}

/// The tables that the run reads and does not compute: as they are now.
fn read_tables(context: &LiveContext, live_plan: &LivePlan, held: &Held) -> Result<(), Problem> {
    let LivePlan { plan, selected, .. } = live_plan;
    let computed = plan.nodes.iter().zip(selected).filter(|(_, is_selected)| **is_selected);
    let members = computed.flat_map(|(node, _)| &node.inputs).flat_map(|it| &it.members);
    for position in members.map(|it| it.node).filter(|it| !selected[*it]) {
        if held.tables[position].get().is_some() {
            continue;
        }
        let node = &plan.nodes[position];
        if let (Work::Source(spec), Some(stored)) = (&node.work, &held.stored[position])
            && let Some(table) = as_it_is(spec, stored, &plan.window)
        {
            drop(held.tables[position].set(vec![table].into()));
            continue;
        }
        let mut manifests = Vec::with_capacity(node.outputs.len());
        for output in &node.outputs {
            let found = context.tables.current(&output.name).map_err(|e| Problem::from(&e))?;
            manifests.push(Arc::new(found.ok_or_else(|| not_there(&node.name))?));
        }
        drop(held.tables[position].set(manifests.into()));
    }
    Ok(())
}

/// A run keeps the code that it began with, whatever tags name by now.
async fn deployed(context: &LiveContext, row: &RunRow, request: &RunRequest) -> Result<Deployed, Unbegun> {
    let pins = context.store.run_pins(&row.id).await?;
    let is_pinned = !pins.is_empty();
    let pins = if is_pinned { Some(pins) } else { request.pins.clone() };
    let found = context.deployments.materialise(&row.pipeline, row.version, pins.as_ref()).await;
    let found = found.map_err(|it| vec![it])?;
    if !is_pinned {
        let pins = found.components.iter().map(|(name, (digest, _))| (name.clone(), *digest)).collect();
        context.store.pin_run(row.id.clone(), pins).await?;
    }
    Ok(found)
}

/// Ends a run that cannot begin, and says why.
async fn refuse(context: &LiveContext, row: &RunRow, host: &tidemill_store::HostId, problems: &[Problem]) {
    let errors: Vec<_> = problems
        .iter()
        .map(|it| serde_json::json!({"code": it.code.0, "what": it.what, "mend": it.mend}))
        .collect();
    let seq = match context.store.journal_from(&row.id, 0).await {
        Ok(parts) => i64::try_from(parts.len()).unwrap_or(i64::MAX),
        Err(e) => return give_back(context, row, host, &e).await,
    };
    let part = Append {
        run: row.id.clone(),
        seq,
        entries: "[]".to_owned(),
        status: RunStatus::Failed,
        began_at: row.began_at,
        ended_at: Some(now_ns()),
        summary: serde_json::json!({ "errors": errors }).to_string(),
        record: None,
    };
    if let Err(e) = write(&context.store, host, part).await {
        tracing::error!(run = row.id, error = %e, "a run that cannot begin could not be ended");
        give_back(context, row, host, &e).await;
    }
}

/// Lets another host, or this one a little later, have the run.
async fn give_back(
    context: &LiveContext,
    row: &RunRow,
    host: &tidemill_store::HostId,
    why: &tidemill_store::StoreError,
) {
    tracing::warn!(run = row.id, error = %why, "the run cannot begin yet; trying again");
    if let Err(e) = context.store.release(row.id.clone(), host.clone()).await {
        tracing::warn!(run = row.id, error = %e, "the run could not be released");
    }
}

async fn write(
    store: &Store,
    host: &tidemill_store::HostId,
    part: Append,
) -> Result<(), tidemill_store::StoreError> {
    let host = host.clone();
    store
        .write(Patience::Always, move |tx| {
            let (host, part) = (host.clone(), part.clone());
            Box::pin(async move { append(tx, &host, &part).await })
        })
        .await
}

fn unreadable(run: &str, what: &str, error: &serde_json::Error) -> Vec<Problem> {
    let what = format!("the {what} of run `{run}` cannot be read: {error}");
    let mend = "another version may have written it: start that one, or run the pipeline again";
    vec![Problem::new(Code("run-record-unreadable"), what, mend)]
}

fn gone(table: &TableName, snapshot: &str) -> Problem {
    let what = format!("the run goes on from snapshot `{snapshot}` of table `{table}`, which is gone");
    Problem::new(
        Code("snapshot-expired"),
        what,
        "run the pipeline again: old snapshots were expired meanwhile",
    )
}

fn not_there(node: &str) -> Problem {
    let what = format!("there is no table yet of node `{node}`, which this run reads and does not compute");
    Problem::new(Code("table-not-in-lake"), what, format!("run it first: `--node {node}`"))
}

fn internal(error: &dyn std::fmt::Display) -> Problem {
    let mend = "this is a defect of Tidemill; please report it with the pipeline and this message";
    Problem::new(Code("internal"), format!("the host failed inside: {error}"), mend)
}
