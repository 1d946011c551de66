//! Values and rows as both databases have them: whole numbers, floats, texts, bytes, nothing else.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use crate::StoreError;

/// An argument of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    OptionalInt(Option<i64>),
    Real(f64),
    Text(String),
    OptionalText(Option<String>),
    Bytes(Vec<u8>),
    OptionalBytes(Option<Vec<u8>>),
}

impl From<i64> for Value {
    fn from(it: i64) -> Self {
        Self::Int(it)
    }
}

impl From<i32> for Value {
    fn from(it: i32) -> Self {
        Self::Int(it.into())
    }
}

impl From<u32> for Value {
    fn from(it: u32) -> Self {
        Self::Int(it.into())
    }
}

/// Neither database has unsigned numbers; what does not fit is kept as the largest that does.
impl From<u64> for Value {
    fn from(it: u64) -> Self {
        Self::Int(i64::try_from(it).unwrap_or(i64::MAX))
    }
}

/// Truth is 0 or 1 in both databases: the same statements then serve both.
impl From<bool> for Value {
    fn from(it: bool) -> Self {
        Self::Int(it.into())
    }
}

impl From<Option<i64>> for Value {
    fn from(it: Option<i64>) -> Self {
        Self::OptionalInt(it)
    }
}

impl From<f64> for Value {
    fn from(it: f64) -> Self {
        Self::Real(it)
    }
}

impl From<&str> for Value {
    fn from(it: &str) -> Self {
        Self::Text(it.to_owned())
    }
}

impl From<&String> for Value {
    fn from(it: &String) -> Self {
        Self::Text(it.clone())
    }
}

impl From<String> for Value {
    fn from(it: String) -> Self {
        Self::Text(it)
    }
}

impl From<Option<String>> for Value {
    fn from(it: Option<String>) -> Self {
        Self::OptionalText(it)
    }
}

impl From<Option<&str>> for Value {
    fn from(it: Option<&str>) -> Self {
        Self::OptionalText(it.map(str::to_owned))
    }
}

impl From<Vec<u8>> for Value {
    fn from(it: Vec<u8>) -> Self {
        Self::Bytes(it)
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(it: Option<Vec<u8>>) -> Self {
        Self::OptionalBytes(it)
    }
}

/// A row of an answer.
#[expect(missing_debug_implementations, reason = "sqlx's rows have none")]
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The column at a position, counted from 0: `i64`, `f64`, `String`, `Vec<u8>` or an `Option` of these.
    ///
    /// # Errors
    /// When the column holds something else: the store was changed by another program.
    pub fn get<T>(&self, column: usize) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|e| StoreError::unreadable(&e))
    }

    /// # Errors
    /// As [`Row::get`].
    pub fn flag(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.get::<i64>(column)? != 0)
    }

    /// # Errors
    /// As [`Row::get`].
    pub fn count(&self, column: usize) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.get::<i64>(column)?).unwrap_or(0))
    }
}
