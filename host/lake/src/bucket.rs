//! A bucket of an object store as the place of a lake's files. What it is asked blocks the thread that asks.
//!
//! Credentials and the endpoint come from where every S3 client takes them: `AWS_…` variables, a web identity, or the
//! machine's role. Requests are repeated for some seconds; what fails then is reported as passing, and whoever asked
//! decides how long to go on.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig, WriteMultipart};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;

use crate::LakeError;
use crate::decode::Input;
use crate::files::{Files, Listed, NewFile};

/// How an address of a bucket begins.
pub(crate) const SCHEME: &str = "s3://";
/// Up to here a file is read in one request, and written in one.
const WHOLE_BYTES_MAX: u64 = 8 << 20;
/// The end of a file, in which its footer is, most often whole.
const TAIL_BYTES: u64 = 256 << 10;
/// Read ahead where nothing says how much is wanted.
const AHEAD_BYTES: u64 = 1 << 20;
/// Parts of a file that are on their way at one time.
const UPLOADS_MAX: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 4;
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything below `s3://BUCKET/PREFIX`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bucket {
    /// `s3://BUCKET`.
    url: String,
    store: Arc<AmazonS3>,
    runtime: Handle,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Bucket {
    /// `address` is `s3://BUCKET` or `s3://BUCKET/PREFIX`.
    pub(crate) fn open(address: &str, runtime: Handle) -> Result<Self, LakeError> {
        let bad = |cause: String| LakeError::BadAddress { address: address.to_owned(), cause };
        let rest =
            address.strip_prefix(SCHEME).ok_or_else(|| bad("it does not begin with `s3://`".into()))?;
        let name = rest.split('/').next().unwrap_or_default();
        if name.is_empty() || rest.contains("..") || rest.contains("//") {
            return Err(bad("it names no bucket".into()));
        }
        let retry = RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_TIMEOUT,
            backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
        };
        // Whoever names an endpoint without TLS wants it.
        let is_plain = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
            .iter()
            .any(|it| std::env::var(it).is_ok_and(|it| it.starts_with("http://")));
        let client = ClientOptions::new()
            .with_allow_http(is_plain)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT);
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(name)
            .with_retry(retry)
            .with_client_options(client)
            .build()
            .map_err(|e| bad(e.to_string()))?;
        Ok(Self { url: format!("{SCHEME}{name}"), store: Arc::new(store), runtime })
    }

    /// Asks whether the bucket answers, and whether it may be read.
    pub(crate) fn check(&self, root: &Path) -> Result<(), LakeError> {
        self.folders_in(root).map(|_| ()).map_err(|e| LakeError::io("read", root, e))
    }

    fn key(&self, path: &Path) -> io::Result<Key> {
        let rest = path
            .to_str()
            .and_then(|it| it.strip_prefix(&self.url))
            .filter(|it| it.is_empty() || it.starts_with('/'));
        let elsewhere = || io::Error::new(io::ErrorKind::InvalidInput, "it is not in the lake's bucket");
        Key::parse(rest.ok_or_else(elsewhere)?).map_err(|e| io::Error::other(e.to_string()))
    }

    fn path(&self, key: &Key) -> PathBuf {
        PathBuf::from(format!("{}/{key}", self.url))
    }

    /// Off the runtime's workers this blocks the thread alone; on one, others take its work over meanwhile.
    fn wait<T>(&self, answer: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        tokio::task::block_in_place(|| self.runtime.block_on(answer)).map_err(of_store)
    }

    fn get(&self, key: &Key, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        self.wait(self.store.get_ranges(key, ranges))
    }
}

fn of_store(error: object_store::Error) -> io::Error {
    use object_store::Error;
    let is_missing = matches!(error, Error::NotFound { .. });
    let is_denied = matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. });
    let kind = match (is_missing, is_denied) {
        (true, _) => io::ErrorKind::NotFound,
        (_, true) => io::ErrorKind::PermissionDenied,
        (false, false) => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Files for Bucket {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let key = self.key(path)?;
        Ok(Box::new(Upload { bucket: self.clone(), key, gathered: Vec::new(), parts: None }))
    }

    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.key(from)?, self.key(to)?);
        self.wait(self.store.rename(&from, &to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let key = self.key(path)?;
        self.wait(self.store.delete(&key))
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Asks for nothing yet: a table may have many parts, of which few are read at a time.
    fn open(&self, path: &Path, bytes: u64) -> io::Result<Input> {
        Ok(Input::Object(Object::new(self.clone(), self.key(path)?, bytes)))
    }

    fn read(&self, path: &Path) -> io::Result<Bytes> {
        let key = self.key(path)?;
        self.wait(async { self.store.get(&key).await?.bytes().await })
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        let key = self.key(path)?;
        Ok(self.wait(self.store.head(&key))?.size)
    }

    fn files_in(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let key = self.key(folder)?;
        let found: Vec<_> = self.wait(self.store.list(Some(&key)).try_collect())?;
        let listed = found.into_iter().map(|it| Listed {
            path: self.path(&it.location),
            bytes: it.size,
            modified: Some(it.last_modified.into()),
        });
        Ok(listed.collect())
    }

    fn folders_in(&self, folder: &Path) -> io::Result<Vec<String>> {
        let key = self.key(folder)?;
        let found = self.wait(self.store.list_with_delimiter(Some(&key)))?;
        Ok(found.common_prefixes.iter().filter_map(|it| Some(it.filename()?.to_owned())).collect())
    }
}

/// A file on its way into the bucket: nobody sees any of it before it is closed.
struct Upload {
    bucket: Bucket,
    key: Key,
    gathered: Vec<u8>,
    /// `None`: it may still fit one request.
    parts: Option<WriteMultipart>,
}

impl Upload {
    fn send(&mut self) -> io::Result<()> {
        let gathered = Bytes::from(std::mem::take(&mut self.gathered));
        let (bucket, key) = (&self.bucket, &self.key);
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => {
                let begun = bucket.wait(bucket.store.put_multipart(key))?;
                let part_bytes = usize::try_from(WHOLE_BYTES_MAX).unwrap_or(usize::MAX);
                WriteMultipart::new_with_chunk_size(begun, part_bytes)
            }
        };
        let sent = bucket.wait(async {
            parts.wait_for_capacity(UPLOADS_MAX).await?;
            parts.put(gathered);
            Ok(())
        });
        self.parts = Some(parts);
        sent
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() as u64 >= WHOLE_BYTES_MAX {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for Upload {
    fn close(&mut self, _is_forced: bool) -> io::Result<()> {
        if self.parts.is_some() {
            self.send()?;
        }
        match self.parts.take() {
            Some(parts) => self.bucket.wait(parts.finish()).map(|_| ()),
            None => {
                let whole = Bytes::from(std::mem::take(&mut self.gathered));
                self.bucket.wait(self.bucket.store.put(&self.key, whole.into())).map(|_| ())
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            // Parts without an end cost space until the bucket's own rule removes them.
            self.bucket.runtime.spawn(parts.abort());
        }
    }
}

/// A file in a bucket that is read piece by piece.
#[derive(Clone, Debug)]
pub(crate) struct Object(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    bucket: Bucket,
    key: Key,
    bytes: u64,
    /// Pieces that are wanted soon, by where they begin.
    fetched: Mutex<Vec<(u64, Bytes)>>,
    /// Why the last piece could not be had. A decoder tells it as its own.
    failure: Mutex<Option<io::Error>>,
}

impl Object {
    fn new(bucket: Bucket, key: Key, bytes: u64) -> Self {
        let (fetched, failure) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Opened { bucket, key, bytes, fetched, failure }))
    }

    /// Fetches what is going to be read, and forgets what was; a small file is fetched whole, once.
    pub(crate) fn fetch(&self, ranges: &[Range<u64>]) -> io::Result<()> {
        if self.0.bytes <= WHOLE_BYTES_MAX {
            return self.fetch_whole();
        }
        let pieces = self.get(ranges)?;
        let starts = ranges.iter().map(|it| it.start);
        *self.lock() = starts.zip(pieces).collect();
        Ok(())
    }

    fn fetch_whole(&self) -> io::Result<()> {
        if self.lock().is_empty() {
            let whole = self.get(std::slice::from_ref(&(0..self.0.bytes)))?;
            *self.lock() = whole.into_iter().map(|it| (0, it)).collect();
        }
        Ok(())
    }

    /// Lets go of what was fetched.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Bytes)>> {
        self.0.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cannot be had is remembered: a decoder tells it as if the file were damaged.
    fn get(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        self.0.bucket.get(&self.0.key, ranges).map_err(|e| {
            let told = io::Error::new(e.kind(), e.to_string());
            *self.0.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            told
        })
    }

    /// The end of the file.
    pub(crate) fn fetch_tail(&self) -> io::Result<()> {
        let bytes = self.0.bytes;
        self.fetch(std::slice::from_ref(&(bytes.saturating_sub(TAIL_BYTES)..bytes)))
    }

    /// Why reading failed, where it was not for what the file holds.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What is known from a place on, as far as it goes.
    fn known(&self, start: u64) -> Option<Bytes> {
        let fetched = self.lock();
        let found = fetched.iter().find(|(at, it)| (*at..at + it.len() as u64).contains(&start));
        found.and_then(|(at, it)| Some(it.slice(usize::try_from(start - at).ok()?..)))
    }

    fn read(&self, start: u64, length: u64) -> io::Result<Bytes> {
        let end = start.saturating_add(length).min(self.0.bytes);
        if start >= end {
            return Ok(Bytes::new());
        }
        let wanted = usize::try_from(end - start).unwrap_or(usize::MAX);
        if let Some(known) = self.known(start).filter(|it| it.len() >= wanted) {
            return Ok(known.slice(..wanted));
        }
        let got = self.get(std::slice::from_ref(&(start..end)))?;
        Ok(got.into_iter().next().unwrap_or_default())
    }
}

impl Length for Object {
    fn len(&self) -> u64 {
        self.0.bytes
    }
}

impl ChunkReader for Object {
    type T = ObjectReader;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(ObjectReader { object: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.read(start, length as u64)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("the file ends before byte {}", start + length as u64)));
        }
        Ok(bytes)
    }
}

/// An object from a place on.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    object: Object,
    at: u64,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let known = match self.object.known(self.at) {
            Some(known) => known,
            None => {
                let ahead = AHEAD_BYTES.max(buffer.len() as u64);
                let piece = self.object.read(self.at, ahead)?;
                self.object.lock().push((self.at, piece.clone()));
                piece
            }
        };
        let count = known.len().min(buffer.len());
        buffer[..count].copy_from_slice(&known[..count]);
        self.at += count as u64;
        Ok(count)
    }
}
