//! Who did what: kept in order, never changed.

use crate::conditions::Conditions;
use crate::db::Tx;
use crate::writer::text;
use crate::{Row, Store, StoreError, Value};

/// One thing that was done, or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: i64,
    /// Name of the token; empty when nobody proved to be anybody.
    pub who: String,
    /// Public part of the token, also of one that was refused.
    pub token: Option<String>,
    /// Method and route.
    pub action: String,
    /// The path that was asked for.
    pub target: String,
    pub status: u16,
    /// Of the problem that was answered.
    pub code: Option<String>,
    /// From where.
    pub remote: String,
    /// Id of the request, which the answer and the log have as well.
    pub request: String,
}

/// Which entries are listed, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub who: Option<String>,
    pub status: Option<u16>,
    /// At this time (nanoseconds since 1970) or later.
    pub since: Option<i64>,
    /// Older than the entry of this number.
    pub before: Option<i64>,
    pub limit: u32,
}

/// Adds entries, in order.
///
/// # Errors
/// What the database says.
pub async fn note_audit(tx: &mut Tx, entries: &[AuditEntry]) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO tidemill_audit (at, who, token, action, target, status, code, remote, request) \
                          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    for it in entries {
        let values = [
            Value::Int(it.at),
            text(it.who.clone()),
            it.token.clone().into(),
            text(it.action.clone()),
            text(it.target.clone()),
            Value::Int(it.status.into()),
            it.code.clone().into(),
            text(it.remote.clone()),
            text(it.request.clone()),
        ];
        tx.execute(INSERT, &values).await?;
    }
    Ok(())
}

impl Store {
    /// Entries with their numbers, newest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Vec<(i64, AuditEntry)>, StoreError> {
        let mut conditions = Conditions::default();
        if let Some(it) = &filter.who {
            conditions.and("who = ?", [text(it.clone())]);
        }
        if let Some(it) = filter.status {
            conditions.and("status = ?", [Value::Int(it.into())]);
        }
        if let Some(it) = filter.since {
            conditions.and("at >= ?", [Value::Int(it)]);
        }
        if let Some(it) = filter.before {
            conditions.and("number < ?", [Value::Int(it)]);
        }
        let (rest, values) = conditions.ordered("number DESC", filter.limit);
        let columns = "number, at, who, token, action, target, status, code, remote, request";
        let mut tx = self.read().await?;
        let rows = tx.fetch(&format!("SELECT {columns} FROM tidemill_audit{rest}"), &values).await?;
        rows.iter().map(entry).collect()
    }
}

fn entry(row: &Row) -> Result<(i64, AuditEntry), StoreError> {
    let status = u16::try_from(row.get::<i64>(6)?).map_err(|e| StoreError::unreadable(&e))?;
    let entry = AuditEntry {
        at: row.get(1)?,
        who: row.get(2)?,
        token: row.get(3)?,
        action: row.get(4)?,
        target: row.get(5)?,
        status,
        code: row.get(7)?,
        remote: row.get(8)?,
        request: row.get(9)?,
    };
    Ok((row.get(0)?, entry))
}
