//! Which files a source is, and their digests.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tidemill_plan::{Digest, SourceFormat, SourcePlace, SourceSpec};

use super::SourceError;

/// A file of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub path: PathBuf,
    /// As the user wrote it, or what a folder or glob expanded to: for messages.
    pub name: String,
    pub bytes: u64,
    /// Of the file's bytes.
    pub digest: Digest,
}

/// Finds the files of a source, in the order in which they are read, and hashes them. `base` is where the pipeline
/// file lies. At least one file, none of them without bytes.
pub fn source_files(spec: &SourceSpec, base: &Path) -> Result<Vec<SourceFile>, SourceError> {
    let (format, named) = match &spec.place {
        SourcePlace::Files { format, path } => (*format, path),
        SourcePlace::Table { table } => return Err(SourceError::OfService { table: table.0.clone() }),
    };
    let path = base.join(named);
    let paths = if path.is_dir() {
        files_in(&path, named, format)?
    } else if path.exists() {
        vec![path]
    } else {
        matches_of(&path, named)?
    };
    if paths.is_empty() {
        return Err(SourceError::Missing { path: named.clone() });
    }
    paths.into_iter().map(|it| describe(it, base)).collect()
}

fn describe(path: PathBuf, base: &Path) -> Result<SourceFile, SourceError> {
    let name = path.strip_prefix(base).unwrap_or(&path).display().to_string();
    let unreadable = |e: io::Error| SourceError::unreadable(&name, e);
    if !path.metadata().map_err(unreadable)?.is_file() {
        // A pipe or a device may never end.
        return Err(unreadable(io::Error::other("it is no regular file")));
    }
    let mut file = File::open(&path).map_err(unreadable)?;
    let mut hasher = blake3::Hasher::new();
    let bytes = io::copy(&mut file, &mut hasher).map_err(unreadable)?;
    if bytes == 0 {
        return Err(SourceError::Empty { file: name });
    }
    Ok(SourceFile { path, name, bytes, digest: Digest(*hasher.finalize().as_bytes()) })
}

fn files_in(folder: &Path, named: &str, format: SourceFormat) -> Result<Vec<PathBuf>, SourceError> {
    let extensions: &[&str] = match format {
        SourceFormat::Parquet => &["parquet", "pq"],
        SourceFormat::Csv => &["csv"],
        SourceFormat::Arrow => &["arrow", "arrows", "ipc", "feather"],
        SourceFormat::JsonLines => &["jsonl", "ndjson", "json"],
    };
    let entries = std::fs::read_dir(folder).map_err(|e| SourceError::unreadable(named, e))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| SourceError::unreadable(named, e))?.path();
        let is_hidden = path.file_name().and_then(|it| it.to_str()).is_none_or(|it| it.starts_with('.'));
        let extension = path.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
        if !is_hidden && extension.is_some_and(|it| extensions.contains(&it.as_str())) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn matches_of(pattern: &Path, named: &str) -> Result<Vec<PathBuf>, SourceError> {
    let Some(pattern) = pattern.to_str().filter(|_| named.contains(['*', '?', '['])) else {
        return Ok(Vec::new());
    };
    let paths = glob::glob(pattern).map_err(|e| SourceError::unreadable(named, e))?;
    let mut paths: Vec<PathBuf> =
        paths.collect::<Result<_, _>>().map_err(|e| SourceError::unreadable(named, e.error()))?;
    paths.retain(|it| it.is_file());
    paths.sort();
    Ok(paths)
}
