//! What a user reads when something is wrong: what, where, how to mend, under a stable code.

use std::fmt;

/// A stable name of an error, explained in `docs/errors.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A position in a text that the user wrote; line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}, column {}", self.file, self.line, self.column)
    }
}

/// One thing that the user must know: lower case, no full stop, values in backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    pub what: String,
    pub place: Option<Place>,
    /// How to mend it; empty where nothing useful can be said.
    pub mend: String,
}

impl Problem {
    pub fn new(code: Code, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { code, what: what.into(), place: None, mend: mend.into() }
    }

    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.what)?;
        if let Some(place) = &self.place {
            write!(f, "\n  in: {place}")?;
        }
        if !self.mend.is_empty() {
            write!(f, "\n  to mend: {}", self.mend)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
