//! The processes that share a store, and which of them still count. No clock is compared between machines: a host is
//! given up when its beat has stood still for a time that the watcher measures on its own monotonic clock.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::db::Tx;
use crate::{StoreError, Value};

/// One process that serves; never used twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostId(pub String);

impl std::fmt::Display for HostId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who this process is now: another one after each time that it was fenced.
#[derive(Clone, Debug)]
pub(crate) struct SharedHost(Arc<RwLock<HostId>>);

impl SharedHost {
    pub(crate) fn new(id: HostId) -> Self {
        Self(Arc::new(RwLock::new(id)))
    }

    pub(crate) fn id(&self) -> HostId {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, id: HostId) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = id;
    }

    /// Who it will be when it joins anew.
    pub(crate) fn next(&self) -> HostId {
        let HostId(id) = self.id();
        let (base, number) = match id.rsplit_once('~') {
            Some((base, number)) => (base, number.parse().unwrap_or(0_u64)),
            None => (id.as_str(), 0),
        };
        HostId(format!("{base}~{}", number + 1))
    }
}

/// Another host that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub id: HostId,
    /// Rises with each of its transactions.
    pub beat: i64,
}

/// Numbers this host's transactions. Every one of them advances the beat by exactly one, under the condition that the
/// host counts: so a fenced host writes nothing, and a commit whose answer was lost is recognised by its number.
#[derive(Debug)]
pub(crate) struct Beat {
    committed: i64,
    /// A commit was sent and its answer lost.
    is_unsure: bool,
}

impl Beat {
    pub(crate) fn new() -> Self {
        Self { committed: 0, is_unsure: false }
    }

    /// False when the transaction that is being repeated has been committed already.
    pub(crate) async fn advance(&mut self, tx: &mut Tx, host: &HostId) -> Result<bool, StoreError> {
        const ADVANCE: &str =
            "UPDATE tidemill_hosts SET beat = $1 WHERE id = $2 AND beat = $3 AND fenced = 0";
        let next = self.committed + 1;
        let values = [Value::Int(next), Value::Text(host.0.clone()), Value::Int(self.committed)];
        if tx.execute(ADVANCE, &values).await? == 1 {
            return Ok(true);
        }
        let row =
            tx.fetch_optional("SELECT beat, fenced FROM tidemill_hosts WHERE id = $1", &values[1..2]).await?;
        match row {
            Some(row) if self.is_unsure && row.get::<i64>(0)? == next => {
                self.settle(&Ok(()));
                Ok(false)
            }
            _ => Err(StoreError::Fenced),
        }
    }

    pub(crate) fn settle(&mut self, committed: &Result<(), StoreError>) {
        self.is_unsure = committed.is_err();
        if committed.is_ok() {
            self.committed += 1;
        }
    }
}

/// Joins: from here on the host counts until someone fences it.
pub(crate) async fn join(tx: &mut Tx, host: &HostId, name: &str, at_ns: i64) -> Result<(), StoreError> {
    let values = [Value::Text(host.0.clone()), Value::from(name), Value::Int(at_ns)];
    tx.execute(
        "INSERT INTO tidemill_hosts (id, name, began_at, beat, fenced) VALUES ($1, $2, $3, 0, 0)",
        &values,
    )
    .await?;
    Ok(())
}

/// Goes in good order: nobody need wait to see whether it still lives. What it still owns belongs to nobody.
pub(crate) async fn leave(tx: &mut Tx, host: &HostId) -> Result<(), StoreError> {
    let values = [Value::Text(host.0.clone())];
    tx.execute("UPDATE tidemill_hosts SET fenced = 1 WHERE id = $1", &values).await?;
    tx.execute(
        "UPDATE tidemill_runs SET owner = NULL WHERE owner = $1 AND state IN ('queued', 'running')",
        &values,
    )
    .await?;
    Ok(())
}

pub(crate) async fn neighbours(tx: &mut Tx, host: &HostId) -> Result<Vec<Neighbour>, StoreError> {
    let sql = "SELECT id, beat FROM tidemill_hosts WHERE fenced = 0 AND id <> $1 ORDER BY id";
    let rows = tx.fetch(sql, &[Value::Text(host.0.clone())]).await?;
    rows.iter().map(|it| Ok(Neighbour { id: HostId(it.get(0)?), beat: it.get(1)? })).collect()
}

/// Gives a host up that has not moved since; its runs belong to nobody from here on. False when it has moved.
pub(crate) async fn fence(tx: &mut Tx, dead: &Neighbour) -> Result<bool, StoreError> {
    let values = [Value::Text(dead.id.0.clone()), Value::Int(dead.beat)];
    let fenced = tx
        .execute("UPDATE tidemill_hosts SET fenced = 1 WHERE id = $1 AND beat = $2 AND fenced = 0", &values)
        .await?;
    if fenced == 0 {
        return Ok(false);
    }
    tx.execute("UPDATE tidemill_runs SET owner = NULL WHERE owner = $1", &values[..1]).await?;
    Ok(true)
}

/// What one host knows of the others' beats.
#[derive(Debug, Default)]
pub struct Watch {
    seen: BTreeMap<HostId, (i64, Instant)>,
}

impl Watch {
    /// Takes in what is seen now; those that have not moved for `lease`.
    pub fn silent(&mut self, now: Instant, lease: Duration, seen: &[Neighbour]) -> Vec<Neighbour> {
        self.seen.retain(|id, _| seen.iter().any(|it| it.id == *id));
        let mut silent = Vec::new();
        for it in seen {
            let (beat, since) = self.seen.entry(it.id.clone()).or_insert((it.beat, now));
            if *beat != it.beat {
                (*beat, *since) = (it.beat, now);
            } else if now.duration_since(*since) >= lease {
                silent.push(it.clone());
            }
        }
        silent
    }
}
