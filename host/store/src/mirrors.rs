//! Which version of which table each table of the mirror is to have, and how far that has come. What is wanted is written
//! with the commit that makes it so; the mirror itself is another database, and follows.

use tidemill_plan::{Problem, TableName};

use crate::conditions::Conditions;
use crate::db::Tx;
use crate::runs::ANSWER;
use crate::writer::text;
use crate::{Row, Store, StoreError, Value};

/// A table of the mirror is to become a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorWish {
    /// As `schema.table`.
    pub target: String,
    pub pipeline: String,
    pub node: String,
    pub table: TableName,
    /// `None`: the one that is committed with the wish.
    pub version: Option<i64>,
}

/// What a table of the mirror is to have and has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorRow {
    pub target: String,
    pub pipeline: String,
    pub node: String,
    pub table: TableName,
    pub version: i64,
    /// Nanoseconds since 1970, as all times here.
    pub wanted_at: i64,
    /// `None`: nothing yet.
    pub mirrored: Option<Mirrored>,
    /// Of the last attempt, where that failed.
    pub error: Option<MirrorError>,
}

/// What a table of the mirror has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    pub table: TableName,
    pub version: i64,
    pub at: i64,
}

/// Why a table of the mirror does not follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorError {
    pub code: String,
    pub what: String,
    pub mend: String,
    pub at: i64,
}

/// Tables of the mirror, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorCounts {
    /// They have what they are to have.
    pub current: u64,
    pub behind: u64,
    /// They are behind, and the last attempt failed.
    pub failing: u64,
}

/// Which are listed.
#[derive(Clone, Debug, Default)]
pub struct MirrorFilter {
    /// Only those of this table.
    pub table: Option<TableName>,
    /// Only those that do not have what they are to have.
    pub is_behind: bool,
    /// After this target.
    pub after: Option<String>,
    pub limit: u32,
}

impl MirrorRow {
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.mirrored.as_ref().is_none_or(|it| it.table != self.table || it.version != self.version)
    }
}

/// Writes down what is wanted: whatever was wanted of a target before is not any more. A node that reuses a table may
/// land after another run has committed a newer version of it, and changes nothing then. `snapshot` is what the commit in
/// this transaction made.
///
/// # Errors
/// What the database says.
pub async fn want_mirrors(
    tx: &mut Tx,
    wishes: &[MirrorWish],
    snapshot: Option<i64>,
    at: i64,
) -> Result<(), StoreError> {
    const UPSERT: &str = "INSERT INTO tidemill_mirrors (target, pipeline, node, table_name, version, wanted_at) \
                          VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (target) DO UPDATE SET \
                          pipeline = excluded.pipeline, node = excluded.node, table_name = excluded.table_name, \
                          version = excluded.version, wanted_at = excluded.wanted_at \
                          WHERE tidemill_mirrors.table_name <> excluded.table_name \
                          OR tidemill_mirrors.version < excluded.version";
    for it in wishes {
        let version = it.version.or(snapshot).expect("a table without a version is committed with the wish");
        let values = [
            text(it.target.clone()),
            text(it.pipeline.clone()),
            text(it.node.clone()),
            text(it.table.0.clone()),
            Value::Int(version),
            Value::Int(at),
        ];
        tx.execute(UPSERT, &values).await?;
    }
    Ok(())
}

const COLUMNS: &str = "target, pipeline, node, table_name, version, wanted_at, mirrored_table, mirrored_version, \
                       mirrored_at, error_code, error_what, error_mend, error_at";

/// As [`MirrorRow::is_behind`] says it.
const BEHIND: &str =
    "(mirrored_version IS NULL OR mirrored_version <> version OR mirrored_table <> table_name)";

impl Store {
    /// What other databases know this store by: no two stores have one, and it never changes.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn identity(&self) -> Result<String, StoreError> {
        let mut tx = self.read().await?;
        let row = tx.fetch_optional("SELECT id FROM tidemill_identity", &[]).await?;
        row.ok_or_else(|| StoreError::unreadable(&"the store has no identity"))?.get(0)
    }

    /// Tables of the mirror, in order of their names.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn mirrors(&self, filter: &MirrorFilter) -> Result<Vec<MirrorRow>, StoreError> {
        let mut conditions = Conditions::default();
        if let Some(it) = &filter.table {
            conditions.and("table_name = ?", [text(it.0.clone())]);
        }
        if let Some(it) = &filter.after {
            conditions.and("target > ?", [text(it.clone())]);
        }
        if filter.is_behind {
            conditions.and(BEHIND, []);
        }
        let (rest, values) = conditions.ordered("target", filter.limit);
        let mut tx = self.read().await?;
        let rows = tx.fetch(&format!("SELECT {COLUMNS} FROM tidemill_mirrors{rest}"), &values).await?;
        rows.iter().map(row_of).collect()
    }

    /// How many there are in each state.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn mirror_counts(&self) -> Result<MirrorCounts, StoreError> {
        let sql = format!(
            "SELECT COUNT(*), COUNT(CASE WHEN {BEHIND} THEN 1 END), COUNT(CASE WHEN {BEHIND} THEN error_code END) FROM tidemill_mirrors"
        );
        let mut tx = self.read().await?;
        let Some(row) = tx.fetch_optional(&sql, &[]).await? else { return Ok(MirrorCounts::default()) };
        let (all, behind, failing) = (row.count(0)?, row.count(1)?, row.count(2)?);
        Ok(MirrorCounts { current: all - behind, behind: behind.saturating_sub(failing), failing })
    }

    /// # Errors
    /// When the database is away.
    pub async fn mirror(&self, target: &str) -> Result<Option<MirrorRow>, StoreError> {
        let mut tx = self.read().await?;
        let sql = format!("SELECT {COLUMNS} FROM tidemill_mirrors WHERE target = $1");
        tx.fetch_optional(&sql, &[text(target)]).await?.as_ref().map(row_of).transpose()
    }

    /// The version that was wanted is gone, and this one takes its place, unless something else is wanted by now.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn want_instead(&self, gone: &MirrorRow, version: i64) -> Result<(), StoreError> {
        const UPDATE: &str =
            "UPDATE tidemill_mirrors SET version = $1 WHERE target = $2 AND table_name = $3 AND version = $4";
        let values = [
            Value::Int(version),
            text(gone.target.clone()),
            text(gone.table.0.clone()),
            Value::Int(gone.version),
        ];
        self.write(ANSWER, move |tx| {
            let values = values.clone();
            Box::pin(async move { tx.execute(UPDATE, &values).await.map(drop) })
        })
        .await
    }

    /// Nothing is wanted of a table of the mirror any more, where this pipeline wanted it.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn forget_mirror(&self, target: &str, pipeline: &str) -> Result<(), StoreError> {
        let values = [text(target), text(pipeline)];
        self.write(ANSWER, move |tx| {
            let values = values.clone();
            let sql = "DELETE FROM tidemill_mirrors WHERE target = $1 AND pipeline = $2";
            Box::pin(async move { tx.execute(sql, &values).await.map(drop) })
        })
        .await
    }

    /// A table of the mirror has become a version.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn note_mirrored(&self, target: &str, mirrored: Mirrored) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE tidemill_mirrors SET mirrored_table = $2, mirrored_version = $3, \
                              mirrored_at = $4, error_code = NULL, error_what = NULL, error_mend = NULL, \
                              error_at = NULL WHERE target = $1";
        let values =
            [text(target), text(mirrored.table.0), Value::Int(mirrored.version), Value::Int(mirrored.at)];
        self.write(ANSWER, move |tx| {
            let values = values.clone();
            Box::pin(async move { tx.execute(UPDATE, &values).await.map(drop) })
        })
        .await
    }

    /// A table of the mirror could not become what it is to be.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn note_mirror_failed(&self, target: &str, why: Problem, at: i64) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE tidemill_mirrors SET error_code = $2, error_what = $3, error_mend = $4, \
                              error_at = $5 WHERE target = $1";
        let values = [text(target), text(why.code.0), text(why.what), text(why.mend), Value::Int(at)];
        self.write(ANSWER, move |tx| {
            let values = values.clone();
            Box::pin(async move { tx.execute(UPDATE, &values).await.map(drop) })
        })
        .await
    }
}

/// From a row of `COLUMNS`.
fn row_of(row: &Row) -> Result<MirrorRow, StoreError> {
    let mirrored = match (row.get::<Option<String>>(6)?, row.get(7)?, row.get(8)?) {
        (Some(table), Some(version), Some(at)) => Some(Mirrored { table: TableName(table), version, at }),
        _ => None,
    };
    let error = match (row.get(9)?, row.get(10)?, row.get(11)?, row.get(12)?) {
        (Some(code), Some(what), Some(mend), Some(at)) => Some(MirrorError { code, what, mend, at }),
        _ => None,
    };
    let mut found = MirrorRow {
        target: row.get(0)?,
        pipeline: row.get(1)?,
        node: row.get(2)?,
        table: TableName(row.get(3)?),
        version: row.get(4)?,
        wanted_at: row.get(5)?,
        mirrored,
        error,
    };
    // What went wrong on the way to another version is over.
    if !found.is_behind() {
        found.error = None;
    }
    Ok(found)
}
