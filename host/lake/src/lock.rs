//! One writer at a time: a lock on `<lake>/.lock` whose content says who holds it.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tidemill_plan::Time;

use crate::LakeError;

const LOCK_FILE: &str = ".lock";

/// The process that writes a lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub host: String,
    pub command: String,
    #[serde(with = "crate::time::rfc3339")]
    pub since: Time,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, host, command, since } = self;
        write!(f, "`{command}` (process {pid} on `{host}`, since {})", crate::time::text_of(*since))
    }
}

/// How the lake was left by the last one who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Its writer put everything away.
    Tidy,
    /// Its writer ended without a goodbye: there may be files of unfinished attempts.
    Untidy,
}

/// Held until dropped. The kernel lets go of the lock when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    pub(crate) fn take(root: &Path, command: &str) -> Result<(Self, Left), LakeError> {
        let path = root.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| LakeError::io("open", &path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LakeError::Locked { root: root.to_path_buf(), holder: read_holder(&mut file) });
            }
            Err(TryLockError::Error(e)) => return Err(LakeError::io("lock", &path, e)),
        }
        let length = file.metadata().map_err(|e| LakeError::io("read", &path, e))?.len();
        let left = if length == 0 { Left::Tidy } else { Left::Untidy };
        let holder = Holder {
            pid: std::process::id(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            command: command.to_owned(),
            since: crate::time::now(),
        };
        let text = serde_json::to_vec(&holder).expect("a holder has only text keys");
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&text))
            .map_err(|e| LakeError::io("write", &path, e))?;
        Ok((Self { file }, left))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty file says that nothing needs tidying. Failing to say so only costs the next writer a look.
        self.file.set_len(0).ok();
    }
}

/// `None` when the holder has not finished saying who it is.
fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}
