//! Many rows in one statement: they travel as one JSON text, so that a statement is the same for any number of them and
//! is prepared once.

use serde_json::Value as Json;

use crate::db::{Dialect, Tx};
use crate::writer::text;
use crate::{Row, StoreError};

/// What PostgreSQL is told of a column; SQLite takes values as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    /// 0 or 1.
    Flag,
    Text,
    Uuid,
    Time,
}

impl Kind {
    fn postgres(self) -> &'static str {
        match self {
            Self::Int => "BIGINT",
            Self::Flag => "BOOLEAN",
            Self::Text => "VARCHAR",
            Self::Uuid => "UUID",
            Self::Time => "TIMESTAMPTZ",
        }
    }
}

/// A table and the columns of it that are written.
pub(super) struct Target {
    pub(super) table: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
    /// What follows the rows, as `ON CONFLICT …`.
    pub(super) then: &'static str,
}

/// Each row a list, in the order of the columns.
pub(super) async fn insert(tx: &mut Tx, target: &Target, rows: Vec<Json>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = target.columns.iter().map(|(name, _)| *name).collect();
    let Target { table, then, .. } = target;
    let values: Vec<String> =
        target.columns.iter().enumerate().map(|(at, (_, kind))| cell(tx.dialect(), at, *kind)).collect();
    let (names, values, from) = (names.join(", "), values.join(", "), rows_of(tx.dialect(), 1));
    // `WHERE true`: without it SQLite takes the `ON` of a conflict for one of a join.
    let sql = format!("INSERT INTO {table} ({names}) SELECT {values} FROM {from} WHERE true {then}");
    tx.execute(&sql, &[text(Json::Array(rows).to_string())]).await?;
    Ok(())
}

/// The value at a position of the row `it`.
pub(super) fn cell(dialect: Dialect, at: usize, kind: Kind) -> String {
    match dialect {
        Dialect::Sqlite => format!("it.value->>{at}"),
        Dialect::Postgres => format!("CAST(it.value->>{at} AS {})", kind.postgres()),
    }
}

/// What stands after FROM: the rows of the JSON list that is value number `number`, as `it`.
pub(super) fn rows_of(dialect: Dialect, number: usize) -> String {
    match dialect {
        Dialect::Sqlite => format!("json_each(${number}) AS it"),
        Dialect::Postgres => format!("jsonb_array_elements(CAST(${number} AS jsonb)) AS it (value)"),
    }
}

/// A subquery of the numbers in the JSON list that is value number `number`.
pub(super) fn numbers_of(dialect: Dialect, number: usize) -> String {
    match dialect {
        Dialect::Sqlite => format!("(SELECT value FROM json_each(${number}))"),
        Dialect::Postgres => {
            format!("(SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(${number} AS json)))")
        }
    }
}

/// A column of DuckLake's that holds true or false, as 0 or 1.
pub(super) fn flag(dialect: Dialect, column: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("COALESCE({column}, 0)"),
        Dialect::Postgres => format!("CAST(COALESCE(CAST({column} AS INTEGER), 0) AS BIGINT)"),
    }
}

/// A list of numbers as a value.
pub(super) fn numbers(numbers: impl IntoIterator<Item = i64>) -> crate::Value {
    text(Json::from(numbers.into_iter().collect::<Vec<_>>()).to_string())
}

/// A number that must be there.
pub(super) fn int(row: &Row, column: usize) -> Result<i64, StoreError> {
    row.get::<Option<i64>>(column)?
        .ok_or_else(|| StoreError::unreadable(&"a number of the catalog is missing"))
}
