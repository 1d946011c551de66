//! The conditions of a statement that are known only when it is asked for: each `?` becomes the next number.

use crate::Value;

/// `WHERE` with its values, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// One more that must hold; its `?` stand for the values, in order.
    pub(crate) fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        let mut values = values.into_iter();
        for piece in condition.split_inclusive('?') {
            let Some(before) = piece.strip_suffix('?') else {
                self.sql.push_str(piece);
                continue;
            };
            self.values.push(values.next().expect("a value for each `?`"));
            self.sql.push_str(&format!("{before}${}", self.values.len()));
        }
    }

    /// The rest of the statement, at most so many rows of it.
    pub(crate) fn ordered(mut self, order: &str, limit: u32) -> (String, Vec<Value>) {
        self.values.push(Value::from(limit));
        (format!("{} ORDER BY {order} LIMIT ${}", self.sql, self.values.len()), self.values)
    }
}
