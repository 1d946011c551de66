//! The text of a pipeline file: positions, and the problems found at them. Knows nothing of what the text means.

use std::sync::Arc;

use crate::{Code, Place, Problem};

/// A byte offset into the text.
pub(crate) type Offset = usize;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) at: Offset,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, at: Offset) -> Self {
        Self { value, at }
    }
}

/// The text itself, with its file's name for people.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) file: String,
    pub(crate) text: Arc<str>,
    /// Offset of the first byte of every line.
    lines: Vec<Offset>,
}

impl Text {
    pub(crate) fn new(text: &str, file: &str) -> Self {
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        Self { file: file.to_owned(), text: text.into(), lines }
    }

    pub(crate) fn place(&self, at: Offset) -> Place {
        let at = at.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= at) - 1;
        let before = self.text.as_bytes().get(self.lines[line]..at).unwrap_or_default();
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        Place { file: self.file.clone(), line: count(line + 1), column: count(column) }
    }
}

/// What was found wrong so far.
#[derive(Debug)]
pub(crate) struct Problems<'t> {
    text: &'t Text,
    found: Vec<(Offset, Problem)>,
}

impl<'t> Problems<'t> {
    pub(crate) fn new(text: &'t Text) -> Self {
        Self { text, found: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn add(&mut self, at: Offset, code: Code, what: impl Into<String>, mend: impl Into<String>) {
        self.push(at, Problem::new(code, what, mend));
    }

    /// Adds a problem made elsewhere; keeps its place if it has one.
    pub(crate) fn push(&mut self, at: Offset, problem: Problem) {
        let problem = if problem.place.is_some() { problem } else { problem.at(self.text.place(at)) };
        if !self.found.iter().any(|(_, it)| *it == problem) {
            self.found.push((at, problem));
        }
    }

    /// Adds a problem that stands in no file, as of the command line; these come first.
    pub(crate) fn push_nowhere(&mut self, problem: Problem) {
        self.found.push((0, problem));
    }

    /// Everything, in the order of the file.
    pub(crate) fn into_result<T>(mut self, value: T) -> Result<T, Vec<Problem>> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|(at, problem)| (problem.place.is_some(), *at));
        Err(self.found.into_iter().map(|(_, problem)| problem).collect())
    }
}
