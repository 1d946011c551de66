//! Logs of attempts: `<lake>/runs/<run>/logs/<node>/<attempt>.jsonl`, a JSON object per line, made on the first line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidemill_sandbox::{LogLine, LogSource};

use crate::failure::DriverError;
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

/// Writes one attempt's log.
#[derive(Debug)]
pub(crate) struct LogWriter {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl LogWriter {
    pub(crate) fn new(lake: &Path, run: &RunId, node: &str, attempt: u32) -> Self {
        let folder = run_folder(lake, run).join("logs").join(file_name(node));
        Self { path: folder.join(format!("{attempt}.jsonl")), file: None }
    }

    /// Each line reaches the file at once, so that a follower sees it and a crash keeps it.
    pub(crate) fn write(&mut self, line: LogLine) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(it) => it,
            None => {
                if let Some(folder) = self.path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                // Of an attempt that a host began and another carries out again, both tell.
                let file = File::options().create(true).append(true).open(&self.path)?;
                self.file.insert(BufWriter::new(file))
            }
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
        serde_json::to_writer(&mut *file, &entry)?;
        file.write_all(b"\n")?;
        file.flush()
    }
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

impl LogFile {
    /// Entries from a byte offset on, and where to go on from. A line that is still being written is left for later.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_from(&self, offset: u64, mut each: impl FnMut(LogEntry)) -> std::io::Result<u64> {
        use std::io::Seek as _;
        let mut file = File::open(&self.path)?;
        file.seek(std::io::SeekFrom::Start(offset))?;
        let mut reader = BufReader::new(file);
        let (mut at, mut line) = (offset, Vec::new());
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                return Ok(at);
            }
            at += u64::try_from(read).expect("a line fits");
            if let Ok(entry) = serde_json::from_slice(&line) {
                each(entry);
            }
        }
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
fn file_name(node: &str) -> String {
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
            let folder = file_name(name);
            assert!(!folder.contains('/') && folder != "..", "{folder}");
            assert_eq!(node_name(&folder), name);
        }
    }

    #[test]
    fn a_half_written_line_is_left_for_later() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("1.jsonl");
        let whole = r#"{"at":1,"level":"info","source":"task","message":"a"}"#;
        std::fs::write(&path, format!("{whole}\n{{\"at\":2,")).expect("write log");
        let file = LogFile { node: "n".to_owned(), attempt: 1, path };
        let mut messages = Vec::new();
        let offset = file.read_from(0, |it| messages.push(it.message)).expect("read log");
        assert_eq!((messages, offset), (vec!["a".to_owned()], whole.len() as u64 + 1));
    }
}
