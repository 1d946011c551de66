//! Compiled components on disk, in a folder that only this user can enter. Each is sealed with a key of this user:
//! compiled code is trusted like our own, so what is damaged, or was not written by us, is never loaded.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tidemill_plan::Digest;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::SandboxError;
use crate::wire::DescriptionRecord;

/// Goes up when the seal or the record of a description changes.
const FORMAT: &str = "tidemill compiled component 1";
const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;
const SEAL_BYTES: usize = 32;
/// Compiled code that the folder may hold; what has not been used for longest goes first.
const COMPILED_BYTES_MAX: u64 = 1 << 30;
/// A use is noted no more often than this.
const NOTED_EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
}

/// A compiled component with what it says of itself.
pub(crate) struct Cached {
    pub(crate) component: Component,
    pub(crate) description: DescriptionRecord,
}

/// Names the compiled form of a component: by its bytes, and by all that shapes the compiler's output.
pub(crate) fn entry_name(engine: &Engine, digest: &Digest) -> String {
    struct Feed(blake3::Hasher);
    impl std::hash::Hasher for Feed {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut feed = Feed(blake3::Hasher::new());
    feed.0.update(FORMAT.as_bytes());
    std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut feed);
    let configuration = feed.0.finalize().to_hex();
    format!("{digest}-{}", configuration.chars().take(16).collect::<String>())
}

impl Cache {
    /// Opens the folder, making it and its key where they are missing.
    pub(crate) fn open(dir: &Path) -> Result<Self, SandboxError> {
        let refuse = |reason: String| SandboxError::CacheDir { dir: dir.display().to_string(), reason };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| refuse(error.to_string()))?;
        let metadata = fs::metadata(dir).map_err(|error| refuse(error.to_string()))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(refuse("it belongs to somebody else".into()));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(refuse(format!("others may enter it (mode {:o})", metadata.mode() & 0o777)));
        }
        let key = key(dir).map_err(|error| refuse(format!("its key: {error}")))?;
        Ok(Self { dir: dir.to_owned(), key })
    }

    /// Loads an entry; whatever is wrong with it, it counts as missing.
    pub(crate) fn find(&self, engine: &Engine, name: &str) -> Option<Cached> {
        let sealed = fs::read(self.seal_path(name)).ok()?;
        let (seal, description) = sealed.split_at_checked(SEAL_BYTES)?;
        let compiled = fs::read(self.compiled_path(name)).ok()?;
        let expected = self.seal(name, description, &compiled);
        // Comparing `blake3::Hash`es takes the same time wherever they differ.
        if blake3::Hash::from_slice(seal).ok()? != expected {
            return None;
        }
        let description = serde_json::from_slice(description).ok()?;
        let component = deserialize(engine, &self.compiled_path(name)).ok()?;
        self.note_use(name);
        Some(Cached { component, description })
    }

    /// Keeps an entry. Whether that works does not matter to the component: it is in memory.
    pub(crate) fn keep(
        &self,
        name: &str,
        component: &Component,
        description: &DescriptionRecord,
    ) -> io::Result<()> {
        let compiled = component.serialize().map_err(|error| io::Error::other(error.to_string()))?;
        let description = serde_json::to_vec(description)?;
        let seal = self.seal(name, &description, &compiled);
        write_whole(&self.compiled_path(name), &compiled)?;
        write_whole(&self.seal_path(name), &[seal.as_bytes().as_slice(), &description].concat())?;
        self.evict(COMPILED_BYTES_MAX)
    }

    /// By the time of the seal's file. That it cannot be set changes only what is evicted first.
    fn note_use(&self, name: &str) {
        let path = self.seal_path(name);
        let noted = fs::metadata(&path).and_then(|it| it.modified());
        let is_recent = noted.is_ok_and(|it| it.elapsed().is_ok_and(|age| age < NOTED_EVERY));
        if !is_recent && let Ok(file) = OpenOptions::new().append(true).open(&path) {
            drop(file.set_modified(SystemTime::now()));
        }
    }

    /// Removes what has not been used for longest until the rest is small enough. A process that has it mapped keeps it;
    /// one that was about to load it compiles anew.
    fn evict(&self, bytes_max: u64) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, u64, String)> = Vec::new();
        for file in fs::read_dir(&self.dir)?.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let Some(name) = name.strip_suffix(".cwasm") else { continue };
            let Ok(compiled) = file.metadata() else { continue };
            let used = fs::metadata(self.seal_path(name)).and_then(|it| it.modified());
            entries.push((used.unwrap_or(SystemTime::UNIX_EPOCH), compiled.len(), name.to_owned()));
        }
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, name) in entries {
            if total <= bytes_max {
                break;
            }
            // Without its seal it counts for nothing.
            drop(fs::remove_file(self.seal_path(&name)));
            drop(fs::remove_file(self.compiled_path(&name)));
            total -= bytes;
        }
        Ok(())
    }

    fn seal(&self, name: &str, description: &[u8], compiled: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [FORMAT.as_bytes(), name.as_bytes(), description, blake3::hash(compiled).as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }

    fn compiled_path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.cwasm"))
    }

    fn seal_path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.seal"))
    }
}

/// Maps a compiled component.
fn deserialize(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "wasmtime runs what a compiled component says")]
    // SAFETY: the caller has just verified the keyed seal over this file's bytes, and only this user, who holds the
    // key, can change the folder that it lies in (`Cache::open`); files are replaced by rename, never written to.
    unsafe {
        Component::deserialize_file(engine, path)
    }
}

fn key(dir: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let path = dir.join(KEY_FILE);
    if let Some(key) = read_key(&path)? {
        return Ok(key);
    }
    let mut key = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    // The first of several processes wins: linking fails where the name is taken.
    let temporary = temporary_path(&path);
    write_new(&temporary, &key)?;
    let linked = fs::hard_link(&temporary, &path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_key(&path)?.ok_or_else(|| io::Error::other(format!("`{KEY_FILE}` is not a key"))),
    }
}

fn read_key(path: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    match fs::read(path) {
        Ok(bytes) => match bytes.try_into() {
            Ok(key) => Ok(Some(key)),
            Err(_) => Err(io::Error::other(format!("`{KEY_FILE}` is not a key; remove it"))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn temporary_path(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{count}.tmp", std::process::id()))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// Readers see the old file, the new one or none; a torn one after a crash fails its seal.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path);
    write_new(&temporary, bytes)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_been_used_for_longest_is_evicted_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&folder.path().join("compiled")).expect("open cache");
        for (age, name) in [(3, "old"), (1, "new"), (2, "middle")] {
            fs::write(cache.compiled_path(name), [0; 100]).expect("write");
            fs::write(cache.seal_path(name), []).expect("write");
            let used = SystemTime::now() - Duration::from_secs(age * 86_400);
            let file = OpenOptions::new().append(true).open(cache.seal_path(name)).expect("open");
            file.set_modified(used).expect("set time");
        }
        fs::write(cache.compiled_path("without-seal"), [0; 100]).expect("write");
        let left = || -> Vec<&str> {
            ["old", "middle", "new", "without-seal"]
                .into_iter()
                .filter(|it| cache.compiled_path(it).exists())
                .collect()
        };
        cache.evict(400).expect("evict");
        assert_eq!(left().len(), 4, "all of it is small enough");
        cache.note_use("old");
        cache.evict(250).expect("evict");
        assert_eq!(left(), ["old", "new"], "what was used is new again; the rest goes by age");
        assert!(!cache.seal_path("middle").exists());
    }
}
