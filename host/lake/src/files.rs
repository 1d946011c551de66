//! What a lake needs of a file system, as a trait: a bucket has it too, and tests can fill the disk at any byte.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;

use crate::decode::{Input, WHOLE_BYTES_MAX};

/// A file being written.
pub(crate) trait NewFile: Write + Send {
    /// Ends the file, which is whole from now on for whoever opens it; `is_forced`: after a power loss, too.
    fn close(&mut self, is_forced: bool) -> io::Result<()>;
}

/// A file in a listing.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// `None`: nobody knows.
    pub(crate) modified: Option<SystemTime>,
}

pub(crate) trait Files: Send + Sync + fmt::Debug {
    /// Fails with `AlreadyExists` rather than touch a file that is there.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// A file of so many bytes, for reading.
    fn open(&self, path: &Path, bytes: u64) -> io::Result<Input>;
    /// All of a file that is small.
    fn read(&self, path: &Path) -> io::Result<Bytes>;
    fn length(&self, path: &Path) -> io::Result<u64>;
    /// The files directly in a folder; none where there is no such folder.
    fn files_in(&self, folder: &Path) -> io::Result<Vec<Listed>>;
    /// The names of what is directly in a folder and holds files; none where there is no such folder.
    fn folders_in(&self, folder: &Path) -> io::Result<Vec<String>>;
}

#[derive(Debug)]
pub(crate) struct Disk;

impl NewFile for File {
    fn close(&mut self, is_forced: bool) -> io::Result<()> {
        if is_forced { self.sync_data() } else { Ok(()) }
    }
}

impl Files for Disk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn open(&self, path: &Path, bytes: u64) -> io::Result<Input> {
        if bytes <= WHOLE_BYTES_MAX {
            return Ok(Input::Whole(self.read(path)?));
        }
        Ok(Input::File(File::open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Bytes> {
        Ok(std::fs::read(path)?.into())
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }

    fn files_in(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let mut found = Vec::new();
        for entry in entries(folder)? {
            // Gone since it was listed.
            let Ok(about) = entry.metadata() else { continue };
            if about.is_file() {
                found.push(Listed {
                    path: entry.path(),
                    bytes: about.len(),
                    modified: about.modified().ok(),
                });
            }
        }
        Ok(found)
    }

    fn folders_in(&self, folder: &Path) -> io::Result<Vec<String>> {
        Ok(entries(folder)?.into_iter().filter_map(|it| it.file_name().into_string().ok()).collect())
    }
}

fn entries(folder: &Path) -> io::Result<Vec<std::fs::DirEntry>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().collect()),
        // A file, or removed since it was listed.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(e) => Err(e),
    }
}
