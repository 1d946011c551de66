//! What a guest says: counted against the log limit; stdout and stderr cut into lines.

use crate::host::{Level, LogLine, LogSource};

/// Longest line of stdout or stderr; a longer one is cut into several.
const LINE_BYTES_MAX: usize = 16 << 10;
/// How much of the end of stderr is kept to explain a trap.
const TAIL_BYTES_MAX: usize = 8 << 10;

/// The log limit was reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogFull;

/// Counts what was said.
#[derive(Debug)]
pub(crate) struct LogMeter {
    limit: u64,
    pub(crate) used: u64,
}

impl LogMeter {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Takes room for so many bytes, or none.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), LogFull> {
        let used = self.used.saturating_add(bytes);
        if used > self.limit {
            return Err(LogFull);
        }
        self.used = used;
        Ok(())
    }
}

/// stdout or stderr of one attempt: holds the line that has not ended yet.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    source: LogSource,
    partial: Vec<u8>,
    tail: Vec<u8>,
}

impl LineSplitter {
    pub(crate) fn new(source: LogSource) -> Self {
        Self { source, partial: Vec::new(), tail: Vec::new() }
    }

    /// Takes bytes in, hands whole lines out.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Vec<LogLine> {
        if self.source == LogSource::Stderr {
            self.remember(bytes);
        }
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|it| *it == b'\n') {
            self.partial.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            lines.extend(self.end_line());
        }
        self.partial.extend_from_slice(bytes);
        while self.partial.len() > LINE_BYTES_MAX {
            let rest = self.partial.split_off(LINE_BYTES_MAX);
            lines.push(self.line(LINE_BYTES_MAX));
            self.partial = rest;
        }
        lines
    }

    /// The line that nobody ended.
    pub(crate) fn finish(&mut self) -> Vec<LogLine> {
        if self.partial.is_empty() { Vec::new() } else { self.end_line() }
    }

    fn end_line(&mut self) -> Vec<LogLine> {
        let mut lines = Vec::new();
        while self.partial.len() > LINE_BYTES_MAX {
            let rest = self.partial.split_off(LINE_BYTES_MAX);
            lines.push(self.line(LINE_BYTES_MAX));
            self.partial = rest;
        }
        lines.push(self.line(self.partial.len()));
        self.partial.clear();
        lines
    }

    fn line(&self, length: usize) -> LogLine {
        let level = if self.source == LogSource::Stderr { Level::Warn } else { Level::Info };
        let bytes = &self.partial[..length];
        let message = String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).into_owned();
        LogLine { level, source: self.source, message, fields: Vec::new() }
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.tail
            .extend_from_slice(bytes.get(bytes.len().saturating_sub(TAIL_BYTES_MAX)..).unwrap_or_default());
        if self.tail.len() > TAIL_BYTES_MAX {
            self.tail.drain(..self.tail.len() - TAIL_BYTES_MAX);
        }
    }

    /// The end of what was written (of stderr only).
    pub(crate) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|it| it.message.as_str()).collect()
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut splitter = LineSplitter::new(LogSource::Stdout);
        assert!(splitter.push(b"one ").is_empty());
        assert_eq!(messages(&splitter.push(b"line\r\n\nnext\nand")), ["one line", "", "next"]);
        assert_eq!(messages(&splitter.finish()), ["and"]);
        assert!(splitter.finish().is_empty());
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut splitter = LineSplitter::new(LogSource::Stdout);
        let lines = splitter.push(&vec![b'x'; 3 * LINE_BYTES_MAX + 1]);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|it| it.message.len() == LINE_BYTES_MAX));
        assert_eq!(messages(&splitter.finish()), ["x"]);
    }

    #[test]
    fn only_the_end_of_stderr_is_kept() {
        let mut splitter = LineSplitter::new(LogSource::Stderr);
        splitter.push(&vec![b'x'; 3 * TAIL_BYTES_MAX]);
        splitter.push(b"the end");
        assert_eq!(splitter.tail().len(), TAIL_BYTES_MAX);
        assert!(splitter.tail().ends_with("xthe end"));
    }

    #[test]
    fn the_meter_takes_all_or_nothing() {
        let mut meter = LogMeter::new(10);
        assert_eq!(meter.take(8), Ok(()));
        assert_eq!(meter.take(3), Err(LogFull));
        assert_eq!(meter.take(2), Ok(()));
        assert_eq!(meter.used, 10);
    }
}
