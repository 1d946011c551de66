//! Components: pushed, listed, deleted, collected. Their bytes are kept by the server, by digest.

use std::str::FromStr as _;

use tidemill_plan::{Code, Digest, Problem};

use super::tags::{self, NewTag};
use crate::conditions::Conditions;
use crate::db::Tx;
use crate::runs::ANSWER;
use crate::writer::text;
use crate::{Row, Store, StoreError, Value};

/// A component as it is to be kept.
#[derive(Clone, Debug)]
pub struct NewComponent {
    pub digest: Digest,
    /// As it calls itself.
    pub name: String,
    pub bytes: u64,
    /// What it says of itself, as the server writes it.
    pub description: String,
    pub pushed_at: i64,
    pub pushed_by: String,
}

/// A component as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentRow {
    pub digest: Digest,
    pub name: String,
    pub bytes: u64,
    pub description: String,
    pub pushed_at: i64,
    pub pushed_by: String,
    /// Those that point at it, in order.
    pub tags: Vec<String>,
}

/// Whether a push brought something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    New,
    Known,
}

/// Which components are listed, newest first.
#[derive(Clone, Debug, Default)]
pub struct ComponentFilter {
    pub name: Option<String>,
    /// Older than this one, by time of the push and digest.
    pub before: Option<(i64, Digest)>,
    pub limit: u32,
}

const COLUMNS: &str = "digest, name, bytes, description, pushed_at, pushed_by";

impl ComponentRow {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            digest: digest(row, 0)?,
            name: row.get(1)?,
            bytes: row.count(2)?,
            description: row.get(3)?,
            pushed_at: row.get(4)?,
            pushed_by: row.get(5)?,
            tags: Vec::new(),
        })
    }
}

impl Store {
    /// Keeps a component and points tags at it. One that is known stays as it is; its tags move all the same.
    ///
    /// # Errors
    /// `tag-fixed`.
    pub async fn push_component(
        &self,
        component: NewComponent,
        new_tags: Vec<NewTag>,
    ) -> Result<(ComponentRow, Pushed), StoreError> {
        self.write(ANSWER, move |tx| {
            let (component, new_tags) = (component.clone(), new_tags.clone());
            Box::pin(async move { push(tx, &component, &new_tags).await })
        })
        .await
    }

    /// # Errors
    /// When the database is away.
    pub async fn component(&self, digest: Digest) -> Result<Option<ComponentRow>, StoreError> {
        component(&mut self.read().await?, digest).await
    }

    /// # Errors
    /// When the database is away.
    pub async fn components(&self, filter: &ComponentFilter) -> Result<Vec<ComponentRow>, StoreError> {
        let mut conditions = Conditions::default();
        if let Some(it) = &filter.name {
            conditions.and("name = ?", [text(it.clone())]);
        }
        if let Some((at, digest)) = filter.before {
            let values = [Value::Int(at), Value::Int(at), text(digest.to_string())];
            conditions.and("(pushed_at < ? OR (pushed_at = ? AND digest < ?))", values);
        }
        let (rest, values) = conditions.ordered("pushed_at DESC, digest DESC", filter.limit);
        let mut tx = self.read().await?;
        let rows = tx.fetch(&format!("SELECT {COLUMNS} FROM tidemill_components{rest}"), &values).await?;
        let mut found = rows.iter().map(ComponentRow::of).collect::<Result<Vec<_>, _>>()?;
        for it in &mut found {
            it.tags = tags::of_digest(&mut tx, it.digest).await?;
        }
        Ok(found)
    }

    /// Names of components, in order; for the nearest one to what was typed.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn component_names(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        let mut tx = self.read().await?;
        let sql = "SELECT DISTINCT name FROM tidemill_components ORDER BY name LIMIT $1";
        tx.fetch(sql, &[Value::from(limit)]).await?.iter().map(|it| it.get(0)).collect()
    }

    /// Forgets a component and the tags that point at it.
    ///
    /// # Errors
    /// `unknown-component`; `component-in-use` naming what refers to it.
    pub async fn delete_component(
        &self,
        digest: Digest,
        at: i64,
        who: String,
    ) -> Result<ComponentRow, StoreError> {
        self.write(ANSWER, move |tx| {
            let who = who.clone();
            Box::pin(async move { delete(tx, digest, at, &who).await })
        })
        .await
    }

    /// Components that nothing points at: no tag, no version of a pipeline, no run that has not ended; pushed before
    /// a time, so that what is just being deployed stays.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn unused_components(&self, pushed_before: i64) -> Result<Vec<Digest>, StoreError> {
        unused(&mut self.read().await?, pushed_before).await
    }

    /// Forgets what [`Store::unused_components`] finds; what it forgot.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn collect_components(&self, pushed_before: i64) -> Result<Vec<Digest>, StoreError> {
        self.write(ANSWER, move |tx| Box::pin(async move { collect(tx, pushed_before).await })).await
    }
}

async fn push(
    tx: &mut Tx,
    new: &NewComponent,
    new_tags: &[NewTag],
) -> Result<(ComponentRow, Pushed), StoreError> {
    tx.lock("registry").await?;
    let sql = "INSERT INTO tidemill_components (digest, name, bytes, description, pushed_at, pushed_by) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (digest) DO NOTHING";
    let values = [
        text(new.digest.to_string()),
        text(new.name.clone()),
        Value::from(new.bytes),
        text(new.description.clone()),
        Value::Int(new.pushed_at),
        text(new.pushed_by.clone()),
    ];
    let pushed = if tx.execute(sql, &values).await? == 1 { Pushed::New } else { Pushed::Known };
    for it in new_tags {
        tags::point(tx, &new.name, it, new.digest, new.pushed_at, &new.pushed_by).await?;
    }
    Ok((known(tx, new.digest).await?, pushed))
}

pub(super) async fn component(tx: &mut Tx, digest: Digest) -> Result<Option<ComponentRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tidemill_components WHERE digest = $1");
    let row = tx.fetch_optional(&sql, &[text(digest.to_string())]).await?;
    let Some(row) = row else { return Ok(None) };
    let mut row = ComponentRow::of(&row)?;
    row.tags = tags::of_digest(tx, digest).await?;
    Ok(Some(row))
}

/// # Errors
/// `unknown-component`.
pub(crate) async fn known(tx: &mut Tx, digest: Digest) -> Result<ComponentRow, StoreError> {
    let found = component(tx, digest).await?;
    found.ok_or_else(|| {
        let what = format!("there is no component `{digest}`");
        Problem::new(Code("unknown-component"), what, "`tidemill components` lists them; push it first")
            .into()
    })
}

async fn delete(tx: &mut Tx, digest: Digest, at: i64, who: &str) -> Result<ComponentRow, StoreError> {
    tx.lock("registry").await?;
    let row = known(tx, digest).await?;
    if let Some(user) = user(tx, digest).await? {
        let what = format!("component `{}` ({}) is in use by {user}", row.name, digest.short());
        let mend = "deploy a version of the pipeline without it, or wait until the run has ended";
        return Err(Problem::new(Code("component-in-use"), what, mend).into());
    }
    forget(tx, &row, at, who).await?;
    Ok(row)
}

async fn forget(tx: &mut Tx, row: &ComponentRow, at: i64, who: &str) -> Result<(), StoreError> {
    for tag in &row.tags {
        tags::remove(tx, &row.name, tag, at, who).await?;
    }
    tx.execute("DELETE FROM tidemill_components WHERE digest = $1", &[text(row.digest.to_string())]).await?;
    Ok(())
}

/// What refers to a component, for people: the newest version of a pipeline, or a run that has not ended.
async fn user(tx: &mut Tx, digest: Digest) -> Result<Option<String>, StoreError> {
    const NEWEST: &str = "SELECT p.name, p.version FROM tidemill_pipeline_components p \
        LEFT JOIN tidemill_tags t ON t.name = p.task AND t.tag = p.tag \
        WHERE COALESCE(p.digest, t.digest) = $1 \
        AND p.version = (SELECT MAX(version) FROM tidemill_pipelines WHERE name = p.name) \
        ORDER BY p.name LIMIT 1";
    const PINNED: &str = "SELECT r.id FROM tidemill_run_components c JOIN tidemill_runs r ON r.id = c.run \
        WHERE c.digest = $1 AND r.state IN ('queued', 'running') ORDER BY r.id LIMIT 1";
    // A run that has not begun will take what the tags point at then.
    const QUEUED: &str = "SELECT r.id FROM tidemill_runs r JOIN tidemill_pipeline_components p \
        ON p.name = r.pipeline AND p.version = r.version \
        LEFT JOIN tidemill_tags t ON t.name = p.task AND t.tag = p.tag \
        WHERE r.state IN ('queued', 'running') AND COALESCE(p.digest, t.digest) = $1 \
        AND NOT EXISTS (SELECT 1 FROM tidemill_run_components c WHERE c.run = r.id) ORDER BY r.id LIMIT 1";
    let of = [text(digest.to_string())];
    if let Some(row) = tx.fetch_optional(NEWEST, &of).await? {
        let (name, version): (String, i64) = (row.get(0)?, row.get(1)?);
        return Ok(Some(format!("pipeline `{name}`, version {version}")));
    }
    for sql in [PINNED, QUEUED] {
        if let Some(row) = tx.fetch_optional(sql, &of).await? {
            return Ok(Some(format!("run `{}`", row.get::<String>(0)?)));
        }
    }
    Ok(None)
}

async fn unused(tx: &mut Tx, pushed_before: i64) -> Result<Vec<Digest>, StoreError> {
    const UNUSED: &str = "SELECT c.digest FROM tidemill_components c WHERE c.pushed_at < $1 \
        AND NOT EXISTS (SELECT 1 FROM tidemill_tags t WHERE t.digest = c.digest) \
        AND NOT EXISTS (SELECT 1 FROM tidemill_pipeline_components p WHERE p.digest = c.digest) \
        AND NOT EXISTS (SELECT 1 FROM tidemill_run_components r JOIN tidemill_runs u ON u.id = r.run \
            WHERE r.digest = c.digest AND u.state IN ('queued', 'running')) ORDER BY c.digest";
    let rows = tx.fetch(UNUSED, &[Value::Int(pushed_before)]).await?;
    rows.iter().map(|it| digest(it, 0)).collect()
}

async fn collect(tx: &mut Tx, pushed_before: i64) -> Result<Vec<Digest>, StoreError> {
    tx.lock("registry").await?;
    let unused = unused(tx, pushed_before).await?;
    for it in &unused {
        tx.execute("DELETE FROM tidemill_components WHERE digest = $1", &[text(it.to_string())]).await?;
    }
    Ok(unused)
}

/// The digest in a column.
pub(crate) fn digest(row: &Row, column: usize) -> Result<Digest, StoreError> {
    let found: String = row.get(column)?;
    Digest::from_str(&found).map_err(|e| StoreError::unreadable(&e))
}
