//! One thing that tidy found: where it is, and what to do.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Warning,
    Error,
}

#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// Relative to the repository's root.
    pub(super) file: String,
    /// From 1.
    pub(super) line: usize,
    /// What is wrong, and how to mend it.
    pub(super) what: String,
}

impl Finding {
    pub(super) fn error(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { severity: Severity::Error, file: file.to_owned(), line, what: what.into() }
    }

    pub(super) fn warning(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(file, line, what) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}:{}: {}", self.file, self.line, self.what)
    }
}
