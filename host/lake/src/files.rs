//! The writing half of a file system, as a trait so that tests can fill the disk at any byte.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A file being written.
pub(crate) trait NewFile: Write + Send {
    /// Forces the bytes to the disk.
    fn sync(&mut self) -> io::Result<()>;
}

pub(crate) trait Files: Send + Sync + fmt::Debug {
    /// Fails with `AlreadyExists` rather than touch a file that is there.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

#[derive(Debug)]
pub(crate) struct Disk;

impl NewFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
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
}
