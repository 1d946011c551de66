//! One service at a time on one SQLite file: a lock beside it whose content says who holds it. Services that share a
//! PostgreSQL need none.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use tidemill_plan::{Code, Problem};

/// Held until dropped. The kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// The lock of a store; none where several services may use it.
    pub(crate) fn of_store(url: &str, host_name: &str) -> Result<Option<Self>, Problem> {
        let Some(path) = url.strip_prefix("sqlite:") else { return Ok(None) };
        let mut path = PathBuf::from(path.trim_start_matches("//")).into_os_string();
        path.push(".lock");
        Self::take(Path::new(&path), host_name).map(Some)
    }

    fn take(path: &Path, host_name: &str) -> Result<Self, Problem> {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(|e| unusable(path, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(path, &mut file)),
            Err(TryLockError::Error(e)) => return Err(unusable(path, &e)),
        }
        let since = crate::clock::text(crate::clock::now());
        let holder = format!("process {} on `{host_name}`, since {since}", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(|e| unusable(path, &e))?;
        Ok(Self { _file: file })
    }
}

fn held(path: &Path, file: &mut File) -> Problem {
    let mut holder = String::new();
    // One that is just being written is not there yet.
    let holder = match file.take(4096).read_to_string(&mut holder) {
        Ok(length) if length > 0 => holder,
        _ => "another process".to_owned(),
    };
    let what = format!("a service uses this store already: {holder} holds `{}`", path.display());
    let mend = "stop it, or give this one another `data_dir`; several services can share a PostgreSQL";
    Problem::new(Code("store-in-use"), what, mend)
}

fn unusable(path: &Path, error: &std::io::Error) -> Problem {
    data_unusable(path, error)
}

/// A folder or file of the service's own that it cannot use.
pub(crate) fn data_unusable(path: &Path, error: &std::io::Error) -> Problem {
    let what = format!("the service cannot use `{}`: {error}", path.display());
    let mend = "let the service's user write there and make room, or name another folder with `data_dir`";
    Problem::new(Code("data-dir-unusable"), what, mend)
}
