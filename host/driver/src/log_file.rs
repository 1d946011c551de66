//! Logs of attempts: `<lake>/runs/<run>/logs/<node>/<attempt>.jsonl`, a JSON object per line, made on the first line.
//! What is a MiB and more moves into compressed chunks beside it.

use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use memchr::memmem::Finder;

use serde::{Deserialize, Serialize};
use tidemill_sandbox::{LogLine, LogSource};

use crate::failure::DriverError;
use crate::log_chunks::{self, CHUNK_BYTES, Chunks};
use crate::record::{RunId, run_folder};

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Nanoseconds since 1970, by the machine's clock: when the host received the line.
    pub at: i64,
    pub level: String,
    /// `task`, `stdout` or `stderr`.
    pub source: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
}

/// Writes one attempt's log: lines as they come, and whole chunks of them compressed.
#[derive(Debug)]
pub(crate) struct LogWriter {
    /// Of the lines that are not in a chunk yet.
    path: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// What is in the file, which becomes the next chunk.
    gathered: Vec<u8>,
    /// Lines in the chunks before.
    first_line: u64,
}

impl LogWriter {
    pub(crate) fn new(lake: &Path, run: &RunId, node: &str, attempt: u32) -> Self {
        let folder = run_folder(lake, run).join("logs").join(node_folder(node));
        Self { path: folder.join(format!("{attempt}.jsonl")), open: None }
    }

    /// Each line reaches the file at once, so that a follower sees it and a crash keeps it.
    pub(crate) fn write(&mut self, line: LogLine) -> std::io::Result<()> {
        let open = match &mut self.open {
            Some(it) => it,
            None => self.open.insert(Open::of(&self.path)?),
        };
        let entry = LogEntry {
            at: now_ns(),
            level: format!("{:?}", line.level).to_lowercase(),
            source: match line.source {
                LogSource::Task => "task",
                LogSource::Stdout => "stdout",
                LogSource::Stderr => "stderr",
            }
            .to_owned(),
            message: line.message,
            fields: line.fields,
        };
        let before = open.gathered.len();
        serde_json::to_writer(&mut open.gathered, &entry)?;
        open.gathered.push(b'\n');
        open.file.write_all(open.gathered.get(before..).unwrap_or_default())?;
        if open.gathered.len() >= CHUNK_BYTES { open.pack(&self.path) } else { Ok(()) }
    }
}

impl Open {
    /// Of an attempt that a host began and another carries out again, both tell.
    fn of(path: &Path) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let first_line = match Chunks::open(path)? {
            Some(mut it) => it.lines()?,
            None => 0,
        };
        let mut gathered = rest_of(path, first_line)?.1;
        // A line that a crash cut off.
        gathered.truncate(memchr::memrchr(b'\n', &gathered).map_or(0, |it| it + 1));
        let file = begin_rest(path, first_line, &gathered)?;
        Ok(Self { file, gathered, first_line })
    }

    fn pack(&mut self, path: &Path) -> std::io::Result<()> {
        log_chunks::append(path, &self.gathered, self.first_line)?;
        self.first_line += memchr::memchr_iter(b'\n', &self.gathered).count() as u64;
        self.gathered.clear();
        self.file = begin_rest(path, self.first_line, &[])?;
        Ok(())
    }
}

/// Begins the file of lines that are not in a chunk yet, by rename: whoever reads sees the old or the new. Where chunks
/// come before, its first line says how many lines they hold; a crash between the two is then noticed.
fn begin_rest(path: &Path, first_line: u64, lines: &[u8]) -> std::io::Result<File> {
    let unfinished = path.with_extension("jsonl.unfinished");
    let mut file = File::create(&unfinished)?;
    if first_line > 0 {
        writeln!(file, "{{\"after\":{first_line}}}")?;
    }
    file.write_all(lines)?;
    std::fs::rename(&unfinished, path)?;
    Ok(file)
}

/// The lines that are in no chunk, and how many come before them. Empty where they are in a chunk by now.
fn rest_of(path: &Path, in_chunks: u64) -> std::io::Result<(u64, Vec<u8>)> {
    #[derive(Deserialize)]
    struct After {
        after: u64,
    }
    let mut text = match std::fs::read(path) {
        Ok(it) => it,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(e),
    };
    let first = memchr::memchr(b'\n', &text).map_or(0, |it| it + 1);
    let head: Option<After> = text.get(..first).and_then(|it| serde_json::from_slice(it).ok());
    let after = head.as_ref().map_or(0, |it| it.after);
    if head.is_some() {
        text.drain(..first);
    }
    if after < in_chunks {
        text.clear();
    }
    Ok((after.max(in_chunks), text))
}

/// Nanoseconds since 1970 by the machine's clock.
pub(crate) fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// One attempt's log on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    pub node: String,
    pub attempt: u32,
    pub path: PathBuf,
}

/// Which lines of a log are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRange<'a> {
    /// Lines before the first that is wanted.
    pub from: u64,
    /// Lines handed out at most.
    pub limit: Option<u64>,
    /// Only lines that hold this text.
    pub text: Option<&'a str>,
}

/// How much a log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSize {
    pub lines: u64,
    pub bytes: u64,
}

impl LogFile {
    /// # Errors
    /// When the files cannot be read.
    pub fn size(&self) -> std::io::Result<LogSize> {
        let mut size = LogSize::default();
        if let Some(mut chunks) = Chunks::open(&self.path)? {
            size = LogSize { lines: chunks.lines()?, bytes: chunks.raw_bytes()? };
        }
        let (_, rest) = rest_of(&self.path, size.lines)?;
        size.lines += memchr::memchr_iter(b'\n', &rest).count() as u64;
        size.bytes += rest.len() as u64;
        Ok(size)
    }

    /// Hands lines out with their numbers, counted from 0, until `each` says that it has enough; returns where to go on. A
    /// line that is still being written is left for later. Holds a chunk at a time, whatever the log's size, and reads only
    /// those chunks that can hold what is wanted.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn read(
        &self,
        range: LogRange<'_>,
        mut each: impl FnMut(u64, LogEntry) -> ControlFlow<()>,
    ) -> std::io::Result<u64> {
        let mut wanted = Wanted::new(range);
        let mut in_chunks = 0;
        if let Some(mut chunks) = Chunks::open(&self.path)? {
            in_chunks = chunks.lines()?;
            let first = if range.from < in_chunks { chunks.holding(range.from)? } else { chunks.count() };
            for number in first..chunks.count() {
                if !wanted.may_be_in(&mut chunks, number)? {
                    continue;
                }
                let (line, text) = (chunks.chunk(number)?.first_line, chunks.read(number)?);
                if let ControlFlow::Break(next) = wanted.hand_out(line, &text, &mut each) {
                    return Ok(next);
                }
            }
        }
        let (line, rest) = rest_of(&self.path, in_chunks)?;
        let whole = memchr::memrchr(b'\n', &rest).map_or(0, |it| it + 1);
        let rest = rest.get(..whole).unwrap_or_default();
        match wanted.hand_out(line, rest, &mut each) {
            ControlFlow::Break(next) => Ok(next),
            ControlFlow::Continue(()) => {
                Ok(range.from.max(line + memchr::memchr_iter(b'\n', rest).count() as u64))
            }
        }
    }
}

/// What is still wanted while lines go by.
struct Wanted {
    from: u64,
    left: u64,
    /// As the text stands in a line: JSON escapes some characters.
    escaped: Option<(String, Finder<'static>)>,
}

impl Wanted {
    fn new(range: LogRange<'_>) -> Self {
        let escaped = range.text.map(|text| {
            let quoted = serde_json::to_string(text).expect("a text can be written");
            let inside = quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
            (text.to_owned(), Finder::new(inside.as_bytes()).into_owned())
        });
        Self { from: range.from, left: range.limit.unwrap_or(u64::MAX), escaped }
    }

    fn may_be_in(&self, chunks: &mut Chunks, number: u64) -> std::io::Result<bool> {
        match &self.escaped {
            Some((_, finder)) => chunks.may_hold(number, finder.needle()),
            None => Ok(true),
        }
    }

    /// Breaks with the number of the next line when there was enough.
    fn hand_out(
        &mut self,
        first_line: u64,
        text: &[u8],
        each: &mut impl FnMut(u64, LogEntry) -> ControlFlow<()>,
    ) -> ControlFlow<u64> {
        if let Some((_, finder)) = &self.escaped
            && finder.find(text).is_none()
        {
            return ControlFlow::Continue(());
        }
        for (number, line) in (first_line..).zip(text.split_inclusive(|it| *it == b'\n')) {
            let is_wanted = number >= self.from
                && self.escaped.as_ref().is_none_or(|(_, finder)| finder.find(line).is_some());
            if !is_wanted {
                continue;
            }
            if self.left == 0 {
                return ControlFlow::Break(number);
            }
            let Ok(entry) = serde_json::from_slice::<LogEntry>(line) else { continue };
            if !self.escaped.as_ref().is_none_or(|(text, _)| entry.holds(text)) {
                continue;
            }
            self.left -= 1;
            if each(number, entry).is_break() {
                return ControlFlow::Break(number + 1);
            }
        }
        ControlFlow::Continue(())
    }
}

impl LogEntry {
    fn holds(&self, text: &str) -> bool {
        self.message.contains(text)
            || self.fields.iter().any(|(name, value)| name.contains(text) || value.contains(text))
    }
}

/// The logs of a run, by node and attempt. Nodes that logged nothing have none.
///
/// # Errors
/// When a folder cannot be read.
pub fn log_files(lake: &Path, run: &RunId) -> Result<Vec<LogFile>, DriverError> {
    let folder = run_folder(lake, run).join("logs");
    let mut files = Vec::new();
    let error = |source| DriverError::File { action: "read", path: folder.display().to_string(), source };
    let nodes = match folder.read_dir() {
        Ok(it) => it,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(files),
        Err(e) => return Err(error(e)),
    };
    for node in nodes.flatten() {
        for attempt in node.path().read_dir().map_err(error)?.flatten() {
            let path = attempt.path();
            if path.extension().is_none_or(|it| it != "jsonl") {
                continue;
            }
            let number = path.file_stem().and_then(|it| it.to_str()).and_then(|it| it.parse().ok());
            if let Some(number) = number {
                let node = node_name(&node.file_name().to_string_lossy());
                files.push(LogFile { node, attempt: number, path });
            }
        }
    }
    files.sort();
    Ok(files)
}

/// A node's name as a folder name: what is not plain is written as `%` and two hex digits a byte.
#[must_use]
pub fn node_folder(node: &str) -> String {
    /// Well below the 255 bytes that file systems allow.
    const BYTES_MAX: usize = 180;
    let mut name = String::new();
    for byte in node.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'=' | b',' | b'[' | b']' => {
                name.push(char::from(byte));
            }
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() > BYTES_MAX {
        let digest = tidemill_plan::Digest::of(node.as_bytes()).short();
        name.truncate(BYTES_MAX);
        name.push('~');
        name.push_str(&digest);
    }
    name
}

fn node_name(file_name: &str) -> String {
    let mut bytes = Vec::with_capacity(file_name.len());
    let mut rest = file_name.bytes();
    while let Some(byte) = rest.next() {
        let hex = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let mut ahead = rest.clone();
        let escaped = (byte == b'%').then(|| Some(hex(ahead.next()?)? * 16 + hex(ahead.next()?)?)).flatten();
        match escaped {
            Some(it) => {
                bytes.push(it);
                rest = ahead;
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_name_survives_being_a_folder_name() {
        for name in ["lasso", "leg[window=60,kind=a/b]", "é%41", ".."] {
            let folder = node_folder(name);
            assert!(!folder.contains('/') && folder != "..", "{folder}");
            assert_eq!(node_name(&folder), name);
        }
    }

    fn log(folder: &Path) -> LogFile {
        LogFile { node: "n".to_owned(), attempt: 1, path: folder.join("1.jsonl") }
    }

    fn messages(file: &LogFile, range: LogRange<'_>) -> (Vec<(u64, String)>, u64) {
        let mut messages = Vec::new();
        let next = file.read(range, |number, it| {
            messages.push((number, it.message));
            ControlFlow::Continue(())
        });
        (messages, next.expect("read log"))
    }

    #[test]
    fn a_half_written_line_is_left_for_later() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let whole = r#"{"at":1,"level":"info","source":"task","message":"a"}"#;
        std::fs::write(folder.path().join("1.jsonl"), format!("{whole}\n{{\"at\":2,")).expect("write log");
        let (messages, next) = messages(&log(folder.path()), LogRange::default());
        assert_eq!((messages, next), (vec![(0, "a".to_owned())], 1));
    }

    fn written(path: &Path, numbers: std::ops::Range<u64>) -> LogWriter {
        let mut writer = LogWriter { path: path.join("1.jsonl"), open: None };
        for it in numbers {
            let message = format!("row {it} of a log that is long enough to be cut: {}", "x".repeat(200));
            let line = LogLine {
                level: tidemill_sandbox::Level::Info,
                source: LogSource::Task,
                message,
                fields: Vec::new(),
            };
            writer.write(line).expect("write log");
        }
        writer
    }

    #[test]
    fn a_long_log_is_read_from_any_line_and_searched() {
        const LINES: u64 = 20_000;
        let folder = tempfile::tempdir().expect("a temporary folder");
        drop(written(folder.path(), 0..LINES));
        let file = log(folder.path());
        assert!(Chunks::open(&file.path).expect("open").is_some_and(|it| it.count() > 3), "it is cut");
        assert_eq!(file.size().expect("size").lines, LINES);
        for from in [0, 1, 3_000, 4_096, LINES - 1] {
            let (found, next) = messages(&file, LogRange { from, limit: Some(2), ..LogRange::default() });
            let end = (from + 2).min(LINES);
            assert_eq!(found.iter().map(|it| it.0).collect::<Vec<_>>(), (from..end).collect::<Vec<_>>());
            assert!(found[0].1.starts_with(&format!("row {from} ")), "{}", found[0].1);
            assert_eq!(next, end);
        }
        let (found, _) = messages(&file, LogRange { text: Some("row 17771 "), ..LogRange::default() });
        assert_eq!(found.iter().map(|it| it.0).collect::<Vec<_>>(), [17_771]);
        let (found, next) = messages(&file, LogRange { text: Some("nowhere"), ..LogRange::default() });
        assert_eq!((found.len(), next), (0, LINES));
    }

    #[test]
    fn a_log_is_gone_on_with_after_a_crash_between_chunk_and_rest() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = written(folder.path(), 0..3_000);
        let gathered = first.open.as_ref().map(|it| it.gathered.clone()).expect("it is open");
        drop(first);
        let file = log(folder.path());
        // The chunk was added, and the lines that are in it now still lie beside it.
        log_chunks::append(&file.path, &gathered, 0).expect("append");
        assert_eq!(file.size().expect("size").lines, 3_000);
        drop(written(folder.path(), 3_000..3_010));
        let (found, next) = messages(&file, LogRange { from: 2_999, ..LogRange::default() });
        assert!(found.windows(2).all(|it| it[0].0 + 1 == it[1].0), "{found:?}");
        assert_eq!((found.len(), next), (11, 3_010));
    }
}
