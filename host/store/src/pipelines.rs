//! Pipelines as they were deployed: versions that never change.

use std::collections::BTreeMap;

use tidemill_plan::{Code, Digest, Problem};

use crate::conditions::Conditions;
use crate::db::Tx;
use crate::registry::{self, digest};
use crate::runs::ANSWER;
use crate::writer::text;
use crate::{Row, Store, StoreError, Value};

/// Which component a reference of a pipeline means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uses {
    /// This one, for good.
    Pinned(Digest),
    /// Whatever the tag points at when a run begins.
    Tagged { name: String, tag: String },
}

/// A file that a pipeline's sources read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineFile {
    /// Relative to the pipeline file, with `/`.
    pub path: String,
    pub digest: Digest,
    pub bytes: u64,
}

/// A version as it is to be.
#[derive(Clone, Debug)]
pub struct NewVersion {
    pub name: String,
    /// Of all that makes it: equal digests are equal versions.
    pub digest: Digest,
    pub file_name: String,
    pub text: String,
    pub summary: String,
    /// By reference.
    pub components: BTreeMap<String, Uses>,
    pub files: Vec<PipelineFile>,
    pub deployed_at: i64,
    pub deployed_by: String,
}

/// A version without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    pub name: String,
    pub version: i64,
    pub digest: Digest,
    pub file_name: String,
    pub summary: String,
    pub deployed_at: i64,
    pub deployed_by: String,
}

/// All of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub row: VersionRow,
    pub text: String,
    pub components: BTreeMap<String, Uses>,
    pub files: Vec<PipelineFile>,
}

/// Whether a deployment brought something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeployedAs {
    NewVersion,
    /// The newest version says the same.
    Same,
}

const COLUMNS: &str = "name, version, digest, file_name, summary, deployed_at, deployed_by";

impl VersionRow {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.get(0)?,
            version: row.get(1)?,
            digest: digest(row, 2)?,
            file_name: row.get(3)?,
            summary: row.get(4)?,
            deployed_at: row.get(5)?,
            deployed_by: row.get(6)?,
        })
    }
}

impl Store {
    /// Keeps a version after the newest one, unless that says the same.
    ///
    /// # Errors
    /// `unknown-component` when a pinned one is gone.
    pub async fn deploy(&self, new: NewVersion) -> Result<(VersionRow, DeployedAs), StoreError> {
        self.write(ANSWER, move |tx| {
            let new = new.clone();
            Box::pin(async move { deploy(tx, &new).await })
        })
        .await
    }

    /// A version; `None` as version: the newest.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn pipeline(&self, name: &str, version: Option<i64>) -> Result<Option<Version>, StoreError> {
        let mut tx = self.read().await?;
        let Some(row) = row(&mut tx, name, version).await? else { return Ok(None) };
        let of = [text(name), Value::Int(row.version)];
        let sql = "SELECT text FROM tidemill_pipelines WHERE name = $1 AND version = $2";
        let found = tx.fetch_optional(sql, &of).await?;
        let text = found.map_or(Ok(String::new()), |it| it.get(0))?;
        let sql = "SELECT reference, digest, task, tag FROM tidemill_pipeline_components \
                   WHERE name = $1 AND version = $2";
        let components = tx.fetch(sql, &of).await?.iter().map(uses).collect::<Result<_, _>>()?;
        let sql = "SELECT path, digest, bytes FROM tidemill_pipeline_files WHERE name = $1 AND version = $2 \
                   ORDER BY path";
        let file = |it: &Row| -> Result<_, StoreError> {
            Ok(PipelineFile { path: it.get(0)?, digest: digest(it, 1)?, bytes: it.count(2)? })
        };
        let files = tx.fetch(sql, &of).await?.iter().map(file).collect::<Result<_, _>>()?;
        Ok(Some(Version { row, text, components, files }))
    }

    /// The newest version of each pipeline, by name, those after one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn pipelines(&self, after: Option<String>, limit: u32) -> Result<Vec<VersionRow>, StoreError> {
        let mut conditions = Conditions::default();
        let newest = "version = (SELECT MAX(version) FROM tidemill_pipelines n WHERE n.name = p.name \
                      AND n.removed_at IS NULL)";
        conditions.and(newest, []);
        if let Some(it) = after {
            conditions.and("name > ?", [text(it)]);
        }
        let (rest, values) = conditions.ordered("name", limit);
        let mut tx = self.read().await?;
        let rows = tx.fetch(&format!("SELECT {COLUMNS} FROM tidemill_pipelines p{rest}"), &values).await?;
        rows.iter().map(VersionRow::of).collect()
    }

    /// The versions of a pipeline, newest first, those before one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn versions(
        &self,
        name: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<VersionRow>, StoreError> {
        let mut conditions = Conditions::default();
        conditions.and("name = ? AND removed_at IS NULL", [text(name)]);
        if let Some(it) = before {
            conditions.and("version < ?", [Value::Int(it)]);
        }
        let (rest, values) = conditions.ordered("version DESC", limit);
        let mut tx = self.read().await?;
        let rows = tx.fetch(&format!("SELECT {COLUMNS} FROM tidemill_pipelines{rest}"), &values).await?;
        rows.iter().map(VersionRow::of).collect()
    }

    /// Forgets a version: what only it refers to may go then. `None` where there is no such version.
    ///
    /// # Errors
    /// `pipeline-in-use` while a run of it has not ended; as [`Store::write`].
    pub async fn remove_version(
        &self,
        name: &str,
        version: i64,
        at: i64,
    ) -> Result<Option<VersionRow>, StoreError> {
        let name = name.to_owned();
        self.write(ANSWER, move |tx| {
            let name = name.clone();
            Box::pin(async move { remove(tx, &name, version, at).await })
        })
        .await
    }

    /// Whether any version of a pipeline has the file.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn is_file_used(&self, digest: Digest) -> Result<bool, StoreError> {
        let mut tx = self.read().await?;
        let sql = "SELECT 1 FROM tidemill_pipeline_files WHERE digest = $1 LIMIT 1";
        Ok(tx.fetch_optional(sql, &[text(digest.to_string())]).await?.is_some())
    }
}

async fn row(tx: &mut Tx, name: &str, version: Option<i64>) -> Result<Option<VersionRow>, StoreError> {
    let (condition, mut values) = match version {
        Some(it) => ("AND version = $2", vec![Value::Int(it)]),
        None => ("ORDER BY version DESC LIMIT 1", Vec::new()),
    };
    values.insert(0, text(name));
    let sql = format!(
        "SELECT {COLUMNS} FROM tidemill_pipelines WHERE name = $1 AND removed_at IS NULL {condition}"
    );
    tx.fetch_optional(&sql, &values).await?.as_ref().map(VersionRow::of).transpose()
}

async fn remove(tx: &mut Tx, name: &str, version: i64, at: i64) -> Result<Option<VersionRow>, StoreError> {
    tx.lock("registry").await?;
    let Some(found) = row(tx, name, Some(version)).await? else { return Ok(None) };
    let of = [text(name), Value::Int(version)];
    let sql = "SELECT id FROM tidemill_runs WHERE pipeline = $1 AND version = $2 \
               AND state IN ('queued', 'running') ORDER BY id LIMIT 1";
    if let Some(run) = tx.fetch_optional(sql, &of).await? {
        let what = format!(
            "run `{}` of version {version} of pipeline `{name}` has not ended",
            run.get::<String>(0)?
        );
        let mend = "wait for it, or end it with `tidemill runs cancel`";
        return Err(Problem::new(Code("pipeline-in-use"), what, mend).into());
    }
    for table in ["tidemill_pipeline_components", "tidemill_pipeline_files"] {
        tx.execute(&format!("DELETE FROM {table} WHERE name = $1 AND version = $2"), &of).await?;
    }
    let sql = "UPDATE tidemill_pipelines SET removed_at = $3, text = '' WHERE name = $1 AND version = $2";
    tx.execute(sql, &[&of[..], &[Value::Int(at)]].concat()).await?;
    Ok(Some(found))
}

async fn deploy(tx: &mut Tx, new: &NewVersion) -> Result<(VersionRow, DeployedAs), StoreError> {
    tx.lock("registry").await?;
    let newest = row(tx, &new.name, None).await?;
    if let Some(it) = newest.clone().filter(|it| it.digest == new.digest) {
        return Ok((it, DeployedAs::Same));
    }
    // A number that was given once means one version for ever, also when that was removed.
    let sql = "SELECT MAX(version) FROM tidemill_pipelines WHERE name = $1";
    let given = tx.fetch_optional(sql, &[text(new.name.clone())]).await?;
    let version = given.map_or(Ok(None), |it| it.get::<Option<i64>>(0))?.unwrap_or(0) + 1;
    let sql = "INSERT INTO tidemill_pipelines (name, version, digest, file_name, text, summary, deployed_at, \
               deployed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = [
        text(new.name.clone()),
        Value::Int(version),
        text(new.digest.to_string()),
        text(new.file_name.clone()),
        text(new.text.clone()),
        text(new.summary.clone()),
        Value::Int(new.deployed_at),
        text(new.deployed_by.clone()),
    ];
    tx.execute(sql, &values).await?;
    for (reference, uses) in &new.components {
        let (digest, name, tag) = match uses {
            Uses::Pinned(digest) => {
                registry::known(tx, *digest).await?;
                (Some(digest.to_string()), None, None)
            }
            Uses::Tagged { name, tag } => (None, Some(name.clone()), Some(tag.clone())),
        };
        let sql = "INSERT INTO tidemill_pipeline_components (name, version, reference, digest, task, tag) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let of = [values[0].clone(), Value::Int(version), text(reference.clone())];
        let uses = [Value::from(digest), Value::from(name), Value::from(tag)];
        tx.execute(sql, &[&of[..], &uses[..]].concat()).await?;
    }
    for it in &new.files {
        let sql = "INSERT INTO tidemill_pipeline_files (name, version, path, digest, bytes) \
                   VALUES ($1, $2, $3, $4, $5)";
        let of = [values[0].clone(), Value::Int(version), text(it.path.clone())];
        let file = [text(it.digest.to_string()), Value::from(it.bytes)];
        tx.execute(sql, &[&of[..], &file[..]].concat()).await?;
    }
    let row = row(tx, &new.name, Some(version)).await?;
    let row = row.ok_or_else(|| StoreError::unreadable(&"a version that was just kept is gone"))?;
    Ok((row, DeployedAs::NewVersion))
}

fn uses(row: &Row) -> Result<(String, Uses), StoreError> {
    let uses = match row.get::<Option<String>>(1)? {
        Some(_) => Uses::Pinned(digest(row, 1)?),
        None => {
            let part = |column| -> Result<String, StoreError> {
                row.get::<Option<String>>(column)?
                    .ok_or_else(|| StoreError::unreadable(&"a reference without a component"))
            };
            Uses::Tagged { name: part(2)?, tag: part(3)? }
        }
    };
    Ok((row.get(0)?, uses))
}
