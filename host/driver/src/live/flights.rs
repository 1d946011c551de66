//! From memory to the store: what runs have written into their journals, and the tables that become visible with it, in
//! one transaction for each part. At most one part of a run is on its way, so parts land in order; while one flies the
//! next gathers, which is what makes a busy database carry more in each.

use std::sync::Arc;
use std::time::Duration;

use tidemill_store::{Append, Patience, RunStatus, StoreError, append, commit_tables, want_mirrors};

use super::center::Flight;
use super::{Live, Moved};
use crate::log_file::now_ns;
use crate::record::RunState;

/// How long a run rests whose journal was refused without a reason that goes away by itself.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Until the threads have ended and nothing is left to write.
pub(super) async fn fly(live: Arc<Live>) {
    let mut stop = live.stop.subscribe();
    let mut flying = tokio::task::JoinSet::new();
    loop {
        for flight in live.center.take_off() {
            flying.spawn(land(Arc::clone(&live), flight));
        }
        tokio::select! {
            () = live.center.flush.notified() => {}
            Some(_) = flying.join_next(), if !flying.is_empty() => {}
            _ = stop.wait_for(|it| *it), if flying.is_empty() && live.center.has_ended() => return,
        }
        if live.center.has_ended() && flying.is_empty() {
            return;
        }
    }
}

async fn land(live: Arc<Live>, flight: Flight) {
    let (append_to, commit) = (append_of(&flight), flight.commit.clone().map(Arc::new));
    let (host, wishes) = (flight.host.clone(), Arc::new(flight.pending.wishes.clone()));
    let landed = live.context.store.write(Patience::Always, move |tx| {
        let (host, append_to, commit) = (host.clone(), append_to.clone(), commit.clone());
        let wishes = Arc::clone(&wishes);
        Box::pin(async move {
            append(tx, &host, &append_to).await?;
            let snapshot = match &commit {
                Some(it) => Some(commit_tables(tx, it).await?),
                None => None,
            };
            want_mirrors(tx, &wishes, snapshot, now_ns()).await?;
            Ok(snapshot)
        })
    });
    match landed.await {
        Ok(snapshot) => {
            if let Some(snapshot) = snapshot {
                let tables = flight.pending.written.iter().flat_map(|it| it.tables.iter());
                live.context.tables.committed(snapshot, tables.map(|it| &**it));
            }
            live.center.landed(&flight, snapshot);
            if !flight.pending.wishes.is_empty() {
                live.behind.notify_one();
            }
            // Nobody may be listening.
            drop(live.moved.send(Moved { run: flight.run, has_ended: flight.ended.is_some() }));
        }
        Err(e) => fell(&live, &flight, &e).await,
    }
}

/// What was not written cannot be built upon. The run goes on from what is durable: here, or with whoever owns it now.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else failed, the run is given back and taken up anew"
)]
async fn fell(live: &Live, flight: &Flight, error: &StoreError) {
    let run = &flight.run;
    live.center.crashed(flight);
    for it in flight.pending.written.iter().flat_map(|it| it.tables.iter()) {
        live.context.tables.forget(&it.table);
    }
    match error {
        StoreError::Closed => {}
        StoreError::Fenced | StoreError::NotOwner { .. } => {
            tracing::warn!(%run, "the run belongs to another host now")
        }
        _ => {
            tracing::warn!(%run, %error, "what the run did could not be kept; it goes on from before");
            // A table that another has changed is another by now; all else may be the same in a moment.
            if !matches!(error, StoreError::Refused(_)) {
                tokio::time::sleep(TRY_AGAIN).await;
            }
            if let Err(e) = live.context.store.release(run.0.clone(), flight.host.clone()).await {
                tracing::error!(%run, error = %e, "the run could not be released");
            }
            live.look();
        }
    }
}

fn append_of(flight: &Flight) -> Append {
    let status = match flight.ended {
        None => RunStatus::Running,
        Some((RunState::Succeeded, _)) => RunStatus::Succeeded,
        Some((RunState::Cancelled, _)) => RunStatus::Cancelled,
        Some((RunState::Failed | RunState::Running, _)) => RunStatus::Failed,
    };
    let counts = flight.counts;
    let summary = serde_json::json!({
        "waiting": counts.waiting + counts.ready + counts.backing_off,
        "running": counts.running + counts.stopping + counts.settling,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "cancelled": counts.cancelled,
    });
    Append {
        run: flight.run.0.clone(),
        seq: flight.seq,
        entries: serde_json::to_string(&flight.pending.entries).expect("entries have only string keys"),
        status,
        began_at: Some(flight.began_at),
        ended_at: flight.ended.and_then(|(_, at)| at),
        summary: summary.to_string(),
        record: flight.record.clone(),
    }
}
