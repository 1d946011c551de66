//! What a service answers instead of what was asked for, printed as this program's own errors are.

use std::fmt;

use tidemill_server::wire::{ProblemBody, ProblemPlace, SingleProblem};

/// One or several problems. Never empty.
#[derive(Debug)]
pub(crate) struct Refusal {
    problems: Vec<SingleProblem>,
}

impl Refusal {
    /// Of the first problem.
    pub(crate) fn code(&self) -> &str {
        self.problems.first().map_or("", |it| it.code.as_str())
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let body: ProblemBody = serde_json::from_str(text).ok()?;
        let ProblemBody { title, detail, code, place, problems, .. } = body;
        let first = SingleProblem { code, title, detail, place };
        let problems = if problems.is_empty() { vec![first] } else { problems };
        Some(Self { problems })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, it) in self.problems.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "error[{}]: {}", it.code, it.title)?;
            if let Some(ProblemPlace { file, line, column }) = &it.place {
                write!(f, "\n  in: {file}, line {line}, column {column}")?;
            }
            if let Some(mend) = &it.detail {
                write!(f, "\n  to mend: {mend}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
