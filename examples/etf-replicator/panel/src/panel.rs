//! The matrix and the errors of making it.

use std::error::Error;
use std::fmt;

use crate::day;

/// Days × identifiers, no holes.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Microseconds since 1970-01-01 UTC, rising.
    pub days: Vec<i64>,
    /// Sorted.
    pub identifiers: Vec<String>,
    /// Day after day, one value for each identifier.
    pub values: Vec<f64>,
}

/// Why a table has no matrix. `table` is the name that the caller gave to it; times are microseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum PanelError {
    Missing { table: String, identifier: String, day: i64 },
    NotFinite { table: String, identifier: String, day: i64, value: f64 },
    OutOfOrder { table: String, identifier: String, day: i64 },
    LacksDay { table: String, other: String, day: i64 },
    LacksIdentifier { table: String, other: String, identifier: String },
}

impl Panel {
    /// From the columns of a table that is sorted by time, then identifier.
    pub fn from_long<'a>(
        table: &str,
        days: &[i64],
        identifiers: impl Iterator<Item = &'a str> + Clone,
        values: &[f64],
    ) -> Result<Self, PanelError> {
        let (names, order) = names(identifiers.clone());
        if order == Order::Same
            && let Some(days) = whole_days(days, names.len(), values)
        {
            return Ok(Self { days, identifiers: names, values: values.to_vec() });
        }
        // Something is wrong. What it is, a walk row by row finds; it takes longer.
        let mut panel =
            Self { days: Vec::new(), identifiers: names, values: Vec::with_capacity(values.len()) };
        for ((&day, identifier), &value) in days.iter().zip(identifiers).zip(values) {
            panel.push(table, day, identifier, value)?;
        }
        match panel.missing() {
            Some(identifier) => Err(panel.missing_error(table, identifier)),
            None => Ok(panel),
        }
    }

    /// How many days there are.
    pub fn rows(&self) -> usize {
        self.days.len()
    }

    /// The values of one day, in the order of the identifiers.
    pub fn row(&self, row: usize) -> &[f64] {
        let columns = self.identifiers.len();
        &self.values[row * columns..(row + 1) * columns]
    }

    /// Says which day one of two panels lacks that the other has.
    pub fn same_days(&self, table: &str, other: &Self, other_table: &str) -> Result<(), PanelError> {
        let both = self.rows().min(other.rows());
        let first = (0..both).find(|&row| self.days[row] != other.days[row]).unwrap_or(both);
        let (mine, others) = (self.days.get(first).copied(), other.days.get(first).copied());
        let lacks = |table: &str, other: &str, day| {
            Err(PanelError::LacksDay { table: table.to_owned(), other: other.to_owned(), day })
        };
        match (mine, others) {
            (None, None) => Ok(()),
            (Some(day), None) => lacks(other_table, table, day),
            (None, Some(day)) => lacks(table, other_table, day),
            (Some(mine), Some(others)) if mine < others => lacks(other_table, table, mine),
            (Some(_), Some(others)) => lacks(table, other_table, others),
        }
    }

    /// Says which identifier one of two panels lacks that the other has.
    pub fn same_identifiers(&self, table: &str, other: &Self, other_table: &str) -> Result<(), PanelError> {
        let lacks = |table: &str, other: &str, identifier: &str| PanelError::LacksIdentifier {
            table: table.to_owned(),
            other: other.to_owned(),
            identifier: identifier.to_owned(),
        };
        if let Some(identifier) = self.identifiers.iter().find(|&it| !other.identifiers.contains(it)) {
            return Err(lacks(other_table, table, identifier));
        }
        if let Some(identifier) = other.identifiers.iter().find(|&it| !self.identifiers.contains(it)) {
            return Err(lacks(table, other_table, identifier));
        }
        Ok(())
    }

    fn push(&mut self, table: &str, day: i64, identifier: &str, value: f64) -> Result<(), PanelError> {
        let (table_name, name) = (|| table.to_owned(), || identifier.to_owned());
        if !value.is_finite() {
            return Err(PanelError::NotFinite { table: table_name(), identifier: name(), day, value });
        }
        let out_of_order = || PanelError::OutOfOrder { table: table_name(), identifier: name(), day };
        let (last, missing) = (self.days.last().copied(), self.missing());
        match (last, missing) {
            (Some(last), _) if day < last => return Err(out_of_order()),
            (Some(last), Some(missing)) if last < day => return Err(self.missing_error(table, missing)),
            (Some(last), None) if last == day => return Err(out_of_order()),
            (_, None) => self.days.push(day),
            (_, Some(_)) => {}
        }
        let expected = &self.identifiers[self.values.len() % self.identifiers.len()];
        if expected != identifier {
            let is_missing = expected.as_str() < identifier;
            return Err(if is_missing { self.missing_error(table, expected) } else { out_of_order() });
        }
        self.values.push(value);
        Ok(())
    }

    /// The identifier that the last day still needs.
    fn missing(&self) -> Option<&str> {
        let next = self.values.len().checked_rem(self.identifiers.len())?;
        (next != 0 || self.values.len() < self.days.len() * self.identifiers.len())
            .then(|| self.identifiers[next].as_str())
    }

    fn missing_error(&self, table: &str, identifier: &str) -> PanelError {
        let day = self.days.last().copied().expect("an identifier is missing on a day that has begun");
        PanelError::Missing { table: table.to_owned(), identifier: identifier.to_owned(), day }
    }
}

/// How identifiers follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// All of them, sorted, again and again; the last round may be cut short.
    Same,
    Other,
}

/// The distinct identifiers, sorted. They come round in the same order each day, so that hardly any is searched for.
fn names<'a>(identifiers: impl Iterator<Item = &'a str>) -> (Vec<String>, Order) {
    let mut names: Vec<&str> = Vec::new();
    let mut order = Order::Same;
    let mut next = 0;
    for (row, identifier) in identifiers.enumerate() {
        if names.get(next) != Some(&identifier) {
            let found = names.binary_search(&identifier);
            if found != Err(row) {
                order = Order::Other;
            }
            next = found.unwrap_or_else(|at| {
                names.insert(at, identifier);
                at
            });
        }
        next += 1;
        if next == names.len() {
            next = 0;
        }
    }
    (names.into_iter().map(str::to_owned).collect(), order)
}

/// The days, where each has `columns` rows and comes after the one before, and every value is finite.
fn whole_days(rows: &[i64], columns: usize, values: &[f64]) -> Option<Vec<i64>> {
    if rows.len() != values.len() || !rows.len().is_multiple_of(columns.max(1)) {
        return None;
    }
    let mut days: Vec<i64> = Vec::with_capacity(rows.len() / columns.max(1));
    for (rows, values) in rows.chunks_exact(columns.max(1)).zip(values.chunks_exact(columns.max(1))) {
        let day = rows[0];
        let is_after = days.last().is_none_or(|last| *last < day);
        let is_whole = rows.iter().all(|it| *it == day) && values.iter().all(|it| it.is_finite());
        if !is_after || !is_whole {
            return None;
        }
        days.push(day);
    }
    Some(days)
}

impl fmt::Display for PanelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { table, identifier, day: at } => write!(
                f,
                "`{table}` has no row of `{identifier}` on {}: every identifier needs one each day; \
                 fill the gap or leave the identifier out",
                day(*at)
            ),
            Self::NotFinite { table, identifier, day: at, value } => write!(
                f,
                "`{table}` of `{identifier}` on {} is `{value}`: only finite numbers can be used; \
                 mend the data before this task",
                day(*at)
            ),
            Self::OutOfOrder { table, identifier, day: at } => write!(
                f,
                "`{table}` has a row of `{identifier}` on {} twice or out of order: sort by time, then identifier",
                day(*at)
            ),
            Self::LacksDay { table, other, day: at } => write!(
                f,
                "`{table}` has no row on {}, but `{other}` has: both need the same days; \
                 leave the day out of `{other}` or add it to `{table}`",
                day(*at)
            ),
            Self::LacksIdentifier { table, other, identifier } => write!(
                f,
                "`{table}` has no `{identifier}`, but `{other}` has: both need the same identifiers; \
                 were they computed from the same table?"
            ),
        }
    }
}

impl Error for PanelError {}

#[cfg(test)]
mod tests;
