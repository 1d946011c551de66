//! Runs: submitted, claimed by a host, journalled, ended. What a record or a journal entry says is the driver's affair.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value as Json;
use tidemill_plan::{Code, Digest, Problem};

use crate::conditions::Conditions;
use crate::db::{Dialect, Tx};
use crate::hosts::HostId;
use crate::links::{Link, add_link};
use crate::registry::pins::pin;
use crate::writer::{Patience, text};
use crate::{Row, Store, StoreError, Value};

/// How long an answer to a person may wait for a database that is away.
pub(crate) const ANSWER: Patience = Patience::For(Duration::from_secs(10));

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunStatus {
    /// Nothing of it has begun.
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl RunStatus {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// What someone wants of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Run,
    /// Nothing more of it begins.
    Pause,
    Cancel,
}

impl Wanted {
    const ALL: [Self; 3] = [Self::Run, Self::Pause, Self::Cancel];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Pause => "pause",
            Self::Cancel => "cancel",
        }
    }
}

/// A run as it is asked for.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub id: String,
    pub pipeline: String,
    pub version: i64,
    pub priority: i64,
    pub created_at: i64,
    pub created_by: String,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    pub links: Vec<Link>,
    /// Two requests with one key are one run.
    pub idempotency_key: Option<String>,
    /// Overrides, window and selection, as the driver writes them.
    pub request: Json,
    /// The components that its references stand for; empty where they are looked up when it begins.
    pub pins: BTreeMap<String, Digest>,
    pub claim: Claim,
}

/// Who begins a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This host, at once: no second transaction is needed.
    Here,
    /// Whichever host has room first.
    Anywhere,
}

/// A run as it is kept.
#[derive(Clone, Debug)]
pub struct RunRow {
    pub id: String,
    pub pipeline: String,
    pub version: i64,
    pub status: RunStatus,
    pub wanted: Wanted,
    pub priority: i64,
    pub owner: Option<HostId>,
    /// What people call the owner.
    pub owner_name: Option<String>,
    pub created_at: i64,
    pub created_by: String,
    pub began_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    pub request: Json,
    /// How many nodes it has in which state, once it has begun.
    pub summary: Option<Json>,
}

const COLUMNS: &str = "id, pipeline, version, state, wanted, priority, owner, created_at, created_by, began_at, \
                       ended_at, description, labels, request, summary, \
                       (SELECT hosts.name FROM tidemill_hosts hosts WHERE hosts.id = owner)";

impl RunRow {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let json = |column| -> Result<Json, StoreError> {
            let text: String = row.get(column)?;
            serde_json::from_str(&text).map_err(|e| StoreError::unreadable(&e))
        };
        let summary: Option<String> = row.get(14)?;
        let summary = summary.map(|it| serde_json::from_str(&it).map_err(|e| StoreError::unreadable(&e)));
        let (status, wanted): (String, String) = (row.get(3)?, row.get(4)?);
        Ok(Self {
            id: row.get(0)?,
            pipeline: row.get(1)?,
            version: row.get(2)?,
            status: RunStatus::named(&status).ok_or_else(|| StoreError::unreadable(&status))?,
            wanted: Wanted::ALL
                .into_iter()
                .find(|it| it.name() == wanted)
                .ok_or_else(|| StoreError::unreadable(&wanted))?,
            priority: row.get(5)?,
            owner: row.get::<Option<String>>(6)?.map(HostId),
            created_at: row.get(7)?,
            created_by: row.get(8)?,
            began_at: row.get(9)?,
            ended_at: row.get(10)?,
            description: row.get(11)?,
            labels: serde_json::from_value(json(12)?).map_err(|e| StoreError::unreadable(&e))?,
            request: json(13)?,
            summary: summary.transpose()?,
            owner_name: row.get(15)?,
        })
    }
}

/// Which runs are listed, newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub pipeline: Option<String>,
    pub status: Option<RunStatus>,
    /// Whether someone has paused it.
    pub is_paused: Option<bool>,
    /// Created at this time (nanoseconds since 1970) or later.
    pub since: Option<i64>,
    /// Older than this run, by time of creation and id.
    pub before: Option<(i64, String)>,
    pub limit: u32,
}

/// A part of a run's journal, and what becomes true with it.
#[derive(Clone, Debug)]
pub struct Append {
    pub run: String,
    /// How many parts came before.
    pub seq: i64,
    /// As the driver writes them.
    pub entries: String,
    pub status: RunStatus,
    pub began_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub summary: String,
    /// The run's record, when it begins and when it ends.
    pub record: Option<String>,
}

/// A remark on a run.
#[derive(Clone, Debug)]
pub struct Note {
    pub at: i64,
    pub who: String,
    pub text: String,
}

/// What came of a wish about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The run's owner will see it.
    Noted,
    /// It needed nobody else.
    Done,
    AlreadyEnded(RunStatus),
}

impl Store {
    /// Keeps a run that is to be; the one that is there already where the key was used before for the same.
    ///
    /// # Errors
    /// `idempotency-conflict` when the key was used for something else.
    pub async fn submit(&self, run: NewRun) -> Result<RunRow, StoreError> {
        let store = self.clone();
        self.write(ANSWER, move |tx| {
            let run = run.clone();
            // As whom the transaction is made.
            let owner = (run.claim == Claim::Here).then(|| store.host());
            Box::pin(async move { submit(tx, &run, owner).await })
        })
        .await
    }

    /// Takes runs that nobody owns, first those of higher priority, then the oldest.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn claim(&self, runs_max: u32) -> Result<Vec<RunRow>, StoreError> {
        let store = self.clone();
        self.write(ANSWER, move |tx| {
            // As whom the transaction is made: a host that was given up meanwhile is another by now.
            let host = store.host();
            Box::pin(async move { claim(tx, &host, runs_max).await })
        })
        .await
    }

    /// Whether there are runs to claim: asking costs no transaction that writes.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn has_unowned_runs(&self) -> Result<bool, StoreError> {
        let sql =
            "SELECT 1 FROM tidemill_runs WHERE state IN ('queued', 'running') AND owner IS NULL LIMIT 1";
        Ok(self.read().await?.fetch_optional(sql, &[]).await?.is_some())
    }

    /// The runs that have not ended.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn unended_runs(&self) -> Result<BTreeSet<String>, StoreError> {
        let sql = "SELECT id FROM tidemill_runs WHERE state IN ('queued', 'running')";
        let rows = self.read().await?.fetch(sql, &[]).await?;
        rows.iter().map(|it| it.get(0)).collect()
    }

    /// Gives a run back that `host` owns, so that another host, or this one later, takes it.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn release(&self, run: String, host: HostId) -> Result<(), StoreError> {
        self.write(ANSWER, move |tx| {
            let values = [text(run.clone()), text(host.0.clone())];
            Box::pin(async move {
                tx.execute("UPDATE tidemill_runs SET owner = NULL WHERE id = $1 AND owner = $2", &values)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Notes what someone wants of a run; its owner sees it.
    ///
    /// # Errors
    /// `unknown-run`.
    pub async fn want(&self, run: String, wanted: Wanted, now_ns: i64) -> Result<Wish, StoreError> {
        self.write(ANSWER, move |tx| {
            let run = run.clone();
            Box::pin(async move { want(tx, &run, wanted, now_ns).await })
        })
        .await
    }

    /// What is wanted of the runs that this host owns.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn wishes(&self) -> Result<BTreeMap<String, Wanted>, StoreError> {
        let mut tx = self.read().await?;
        let sql = "SELECT id, wanted FROM tidemill_runs WHERE state IN ('queued', 'running') AND owner = $1";
        let rows = tx.fetch(sql, &[text(self.host().0)]).await?;
        let wanted = |it: &Row| -> Result<_, StoreError> {
            let (id, name): (String, String) = (it.get(0)?, it.get(1)?);
            let wanted = Wanted::ALL.into_iter().find(|it| it.name() == name);
            Ok((id, wanted.ok_or_else(|| StoreError::unreadable(&name))?))
        };
        rows.iter().map(wanted).collect()
    }

    /// # Errors
    /// When the database is away.
    pub async fn run(&self, id: &str) -> Result<Option<RunRow>, StoreError> {
        run_row(&mut self.read().await?, id).await
    }

    /// Runs whose ids begin so, at most two: enough to tell whether it is one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn runs_beginning(&self, prefix: &str) -> Result<Vec<RunRow>, StoreError> {
        let mut tx = self.read().await?;
        // Ids are ASCII: what begins with the prefix lies between it and the same with the last character after it.
        let sql =
            format!("SELECT {COLUMNS} FROM tidemill_runs WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2");
        let rows = tx.fetch(&sql, &[text(prefix), text(format!("{prefix}\u{7f}"))]).await?;
        rows.iter().map(RunRow::of).collect()
    }

    /// # Errors
    /// When the database is away.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, StoreError> {
        list(&mut self.read().await?, filter).await
    }

    /// How many runs there are in each state.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn run_counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut tx = self.read().await?;
        let rows = tx.fetch("SELECT state, COUNT(*) FROM tidemill_runs GROUP BY state", &[]).await?;
        rows.iter().map(|it| Ok((it.get(0)?, it.count(1)?))).collect()
    }

    /// The record that a run has begun or ended with; `None` before that.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn record(&self, run: &str) -> Result<Option<String>, StoreError> {
        let mut tx = self.read().await?;
        let row = tx.fetch_optional("SELECT record FROM tidemill_runs WHERE id = $1", &[text(run)]).await?;
        row.map_or(Ok(None), |it| it.get(0))
    }

    /// Records of runs that have ended and whose records hold this text, by id and after one: a part of them.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn ended_records(
        &self,
        after: &str,
        text_in: &str,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT id, record FROM tidemill_runs WHERE id > $1 AND ended_at IS NOT NULL \
                   AND record LIKE $2 ORDER BY id LIMIT $3";
        let values = [text(after), text(format!("%{text_in}%")), Value::from(limit)];
        let rows = self.read().await?.fetch(sql, &values).await?;
        rows.iter().map(|it| Ok((it.get(0)?, it.get(1)?))).collect()
    }

    /// When the oldest run was asked for that has not ended.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn unended_since(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT MIN(created_at) FROM tidemill_runs WHERE state IN ('queued', 'running')";
        let row = self.read().await?.fetch_optional(sql, &[]).await?;
        row.map_or(Ok(None), |it| it.get(0))
    }

    /// The parts of a run's journal from one on.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn journal_from(&self, run: &str, seq: i64) -> Result<Vec<String>, StoreError> {
        let mut tx = self.read().await?;
        let sql = "SELECT entries FROM tidemill_journal WHERE run = $1 AND seq >= $2 ORDER BY seq";
        let rows = tx.fetch(sql, &[text(run), Value::Int(seq)]).await?;
        rows.iter().map(|it| it.get(0)).collect()
    }

    /// Adds a remark; also to a run that has ended.
    ///
    /// # Errors
    /// `unknown-run`.
    pub async fn add_note(&self, run: String, note: Note) -> Result<(), StoreError> {
        self.write(ANSWER, move |tx| {
            let (run, note) = (run.clone(), note.clone());
            Box::pin(async move { add_note(tx, &run, &note).await })
        })
        .await
    }

    /// # Errors
    /// When the database is away.
    pub async fn notes(&self, run: &str) -> Result<Vec<Note>, StoreError> {
        let mut tx = self.read().await?;
        let sql = "SELECT at, who, text FROM tidemill_notes WHERE run = $1 ORDER BY number";
        let rows = tx.fetch(sql, &[text(run)]).await?;
        rows.iter().map(|it| Ok(Note { at: it.get(0)?, who: it.get(1)?, text: it.get(2)? })).collect()
    }
}

/// Adds a part to a run's journal, within a transaction that may commit tables with it. Only the run's owner may, and
/// only the next part: a second one with the same number is refused.
///
/// # Errors
/// [`StoreError::NotOwner`] when the run is another host's.
pub async fn append(tx: &mut Tx, host: &HostId, part: &Append) -> Result<(), StoreError> {
    const UPDATE: &str = "UPDATE tidemill_runs SET state = $3, began_at = $4, ended_at = $5, summary = $6, \
                          record = COALESCE($7, record) WHERE id = $1 AND owner = $2";
    let values = [
        text(part.run.clone()),
        text(host.0.clone()),
        text(part.status.name()),
        part.began_at.into(),
        part.ended_at.into(),
        text(part.summary.clone()),
        part.record.clone().into(),
    ];
    if tx.execute(UPDATE, &values).await? == 0 {
        return Err(StoreError::NotOwner { run: part.run.clone() });
    }
    let values = [text(part.run.clone()), Value::Int(part.seq), text(part.entries.clone())];
    tx.execute("INSERT INTO tidemill_journal (run, seq, entries) VALUES ($1, $2, $3)", &values).await?;
    Ok(())
}

async fn submit(tx: &mut Tx, run: &NewRun, owner: Option<HostId>) -> Result<RunRow, StoreError> {
    const INSERT: &str = "INSERT INTO tidemill_runs (id, pipeline, version, state, wanted, priority, created_at, \
                          created_by, description, labels, idempotency_key, request, owner) \
                          VALUES ($1, $2, $3, 'queued', 'run', $4, $5, $6, $7, $8, $9, $10, $11) \
                          ON CONFLICT (idempotency_key) DO NOTHING";
    let labels = serde_json::to_string(&run.labels).expect("labels have only string keys");
    let values = [
        text(run.id.clone()),
        text(run.pipeline.clone()),
        Value::Int(run.version),
        Value::Int(run.priority),
        Value::Int(run.created_at),
        text(run.created_by.clone()),
        text(run.description.clone()),
        text(labels),
        run.idempotency_key.clone().into(),
        text(run.request.to_string()),
        owner.map(|it| it.0).into(),
    ];
    if tx.execute(INSERT, &values).await? == 1 {
        if !run.pins.is_empty() {
            pin(tx, &run.id, &run.pins).await?;
        }
        let sql =
            "SELECT 1 FROM tidemill_pipelines WHERE name = $1 AND version = $2 AND removed_at IS NOT NULL";
        if tx.fetch_optional(sql, &values[1..3]).await?.is_some() {
            let what =
                format!("version {} of pipeline `{}` has just been deleted", run.version, run.pipeline);
            let mend = "run another version; `tidemill pipelines versions` lists them";
            return Err(Problem::new(Code("unknown-pipeline"), what, mend).into());
        }
        for it in &run.links {
            add_link(tx, &run.id, it).await?;
        }
        let row = run_row(tx, &run.id).await?;
        return row.ok_or_else(|| StoreError::unreadable(&"a run that was just kept is gone"));
    }
    let key = run.idempotency_key.clone().unwrap_or_default();
    let sql = format!("SELECT {COLUMNS} FROM tidemill_runs WHERE idempotency_key = $1");
    let row = tx.fetch_optional(&sql, &[text(key.clone())]).await?;
    let known = RunRow::of(&row.ok_or_else(|| StoreError::unreadable(&"an idempotency key without a run"))?)?;
    if known.pipeline == run.pipeline && known.request == run.request {
        return Ok(known);
    }
    let what = format!("idempotency key `{key}` was used for run `{}`, which is another request", known.id);
    let mend = "use a new key for a new request; the same key answers with the run that it began";
    Err(Problem::new(Code("idempotency-conflict"), what, mend).into())
}

async fn claim(tx: &mut Tx, host: &HostId, runs_max: u32) -> Result<Vec<RunRow>, StoreError> {
    // Two hosts that claim at one time pass over each other's.
    let lock = match tx.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    };
    let sql = format!(
        "UPDATE tidemill_runs SET owner = $1 WHERE id IN (SELECT id FROM tidemill_runs \
         WHERE owner IS NULL AND state IN ('queued', 'running') \
         ORDER BY priority DESC, created_at, id LIMIT $2 {lock}) RETURNING {COLUMNS}"
    );
    let rows = tx.fetch(&sql, &[text(host.0.clone()), Value::from(runs_max)]).await?;
    let mut runs = rows.iter().map(RunRow::of).collect::<Result<Vec<_>, _>>()?;
    runs.sort_by(|a, b| (-a.priority, a.created_at, &a.id).cmp(&(-b.priority, b.created_at, &b.id)));
    Ok(runs)
}

async fn want(tx: &mut Tx, run: &str, wanted: Wanted, now_ns: i64) -> Result<Wish, StoreError> {
    let known = run_row(tx, run).await?.ok_or_else(|| unknown_run(run))?;
    if known.status.is_ended() {
        return Ok(Wish::AlreadyEnded(known.status));
    }
    if wanted == Wanted::Cancel && known.status == RunStatus::Queued {
        // Nobody has begun it, so nobody needs to stop it.
        let sql = "UPDATE tidemill_runs SET state = 'cancelled', wanted = 'cancel', ended_at = $2 \
                   WHERE id = $1 AND owner IS NULL AND state = 'queued'";
        if tx.execute(sql, &[text(run), Value::Int(now_ns)]).await? == 1 {
            return Ok(Wish::Done);
        }
    }
    // Whoever cancels, cancels for good.
    let sql = "UPDATE tidemill_runs SET wanted = $2 WHERE id = $1 AND wanted <> 'cancel'";
    tx.execute(sql, &[text(run), text(wanted.name())]).await?;
    Ok(Wish::Noted)
}

async fn add_note(tx: &mut Tx, run: &str, note: &Note) -> Result<(), StoreError> {
    if run_row(tx, run).await?.is_none() {
        return Err(unknown_run(run).into());
    }
    let sql = "INSERT INTO tidemill_notes (run, number, at, who, text) \
               SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4 FROM tidemill_notes WHERE run = $1";
    let values = [text(run), Value::Int(note.at), text(note.who.clone()), text(note.text.clone())];
    tx.execute(sql, &values).await?;
    Ok(())
}

pub(crate) async fn run_row(tx: &mut Tx, id: &str) -> Result<Option<RunRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tidemill_runs WHERE id = $1");
    let row = tx.fetch_optional(&sql, &[text(id)]).await?;
    row.as_ref().map(RunRow::of).transpose()
}

async fn list(tx: &mut Tx, filter: &RunFilter) -> Result<Vec<RunRow>, StoreError> {
    let mut conditions = Conditions::default();
    if let Some(it) = &filter.pipeline {
        conditions.and("pipeline = ?", [text(it.clone())]);
    }
    if let Some(it) = filter.status {
        conditions.and("state = ?", [text(it.name())]);
    }
    if let Some(it) = filter.is_paused {
        conditions.and(if it { "wanted = ?" } else { "wanted <> ?" }, [text(Wanted::Pause.name())]);
    }
    if let Some(it) = filter.since {
        conditions.and("created_at >= ?", [Value::Int(it)]);
    }
    if let Some((at, id)) = &filter.before {
        let of = [Value::Int(*at), Value::Int(*at), text(id.clone())];
        conditions.and("(created_at < ? OR (created_at = ? AND id < ?))", of);
    }
    let (rest, values) = conditions.ordered("created_at DESC, id DESC", filter.limit);
    let sql = format!("SELECT {COLUMNS} FROM tidemill_runs{rest}");
    let rows = tx.fetch(&sql, &values).await?;
    rows.iter().map(RunRow::of).collect()
}

pub(crate) fn unknown_run(run: &str) -> Problem {
    let what = format!("there is no run `{run}`");
    Problem::new(Code("unknown-run"), what, "`tidemill runs` lists them")
}
