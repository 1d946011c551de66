//! What the mirror's database says of itself: which version each of its tables has, of which service, in what shape. It
//! stands beside the tables, in the same transaction.

use serde::{Deserialize, Serialize};
use tidemill_lake::Manifest;
use tidemill_plan::{MirrorTarget, TableName};
use tidemill_store::{MirrorRow, MirrorTx, Value};

use super::Failed;
use super::sql::{Target, add_column, drop_column, known_table};

/// What a table of the mirror has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The store of the service that writes it.
    pub(super) store: String,
    pub(super) table: TableName,
    pub(super) version: i64,
    /// Of the content.
    pub(super) digest: String,
    pub(super) shape: Shape,
}

/// What was made in the mirror: columns that people add to it are theirs, and stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape {
    key: Vec<String>,
    /// Name and type.
    columns: Vec<(String, String)>,
}

impl Shape {
    fn of(target: &Target) -> Self {
        let columns = target.columns.iter().map(|it| (it.name.clone(), it.sql_type.clone()));
        Self { key: target.key.clone(), columns: columns.collect() }
    }

    /// The statements that make a table of this shape one of the next; `None` where it has to be made anew.
    pub(super) fn alter(&self, next: &Self, target: &Target) -> Option<Vec<String>> {
        let find = |columns: &[(String, String)], name: &str| columns.iter().find(|it| it.0 == name).cloned();
        let is_retyped =
            |it: &(String, String)| find(&next.columns, &it.0).is_some_and(|found| found.1 != it.1);
        if self.key != next.key || self.columns.iter().any(is_retyped) {
            return None;
        }
        let gone = self.columns.iter().filter(|it| find(&next.columns, &it.0).is_none());
        let new = next.columns.iter().filter(|it| find(&self.columns, &it.0).is_none());
        let gone = gone.map(|(name, _)| drop_column(target, name));
        Some(gone.chain(new.map(|(name, of_type)| add_column(target, name, of_type))).collect())
    }
}

impl Known {
    pub(super) fn of(store: &str, row: &MirrorRow, manifest: &Manifest, target: &Target) -> Self {
        Self {
            store: store.to_owned(),
            table: row.table.clone(),
            version: row.version,
            digest: manifest.snapshot.to_string(),
            shape: Shape::of(target),
        }
    }
}

pub(super) async fn read_known(tx: &mut MirrorTx, target: &MirrorTarget) -> Result<Option<Known>, Failed> {
    let sql = format!(
        "SELECT store, source, version, digest, shape FROM {} WHERE target = $1",
        known_table(&target.schema)
    );
    let rows = tx.fetch(&sql, &[Value::from(target.table.as_str())]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let shape = serde_json::from_str(&row.get::<String>(4)?);
    Ok(Some(Known {
        store: row.get(0)?,
        table: TableName(row.get(1)?),
        version: row.get(2)?,
        digest: row.get(3)?,
        // Whatever else stands there, the table is made anew.
        shape: shape.unwrap_or(Shape { key: vec![String::new()], columns: Vec::new() }),
    }))
}

pub(super) async fn write_known(
    tx: &mut MirrorTx,
    target: &MirrorTarget,
    known: &Known,
) -> Result<(), Failed> {
    let sql = format!(
        "INSERT INTO {} (target, store, source, version, digest, shape, mirrored_at) \
         VALUES ($1, $2, $3, $4, $5, $6, now()) ON CONFLICT (target) DO UPDATE SET store = excluded.store, \
         source = excluded.source, version = excluded.version, digest = excluded.digest, shape = excluded.shape, \
         mirrored_at = excluded.mirrored_at",
        known_table(&target.schema)
    );
    let shape = serde_json::to_string(&known.shape).expect("a shape is lists of texts");
    let values = [
        Value::from(target.table.as_str()),
        Value::from(&known.store),
        Value::from(&known.table.0),
        Value::Int(known.version),
        Value::from(&known.digest),
        Value::from(shape),
    ];
    tx.execute(&sql, &values).await?;
    Ok(())
}
