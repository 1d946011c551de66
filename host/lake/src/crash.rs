//! What a lake in a folder does when writers crash, disks fill up, files are torn, others hold the lock.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;
use tidemill_plan::WriteMode;

use crate::decode::Input;
use crate::files::{Disk, Files, Listed, NewFile};
use crate::fixture::*;
use crate::{Access, Lake, LakeError, Options, ReadOptions};

fn writing() -> Access {
    Access::Write { command: "tidemill run".into() }
}

/// A disk that is full after so many bytes.
#[derive(Clone, Debug)]
struct Filling {
    bytes_left: Arc<AtomicI64>,
}

struct FillingFile(Box<dyn NewFile>, Arc<AtomicI64>);

impl Write for FillingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.1.fetch_sub(bytes.len() as i64, Ordering::SeqCst) < bytes.len() as i64 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl NewFile for FillingFile {
    fn close(&mut self, is_forced: bool) -> io::Result<()> {
        self.0.close(is_forced)
    }
}

impl Files for Filling {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(FillingFile(Disk.create_new(path)?, self.bytes_left.clone())))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        Disk.sync_folder(path)
    }

    fn open(&self, path: &Path, bytes: u64) -> io::Result<Input> {
        Disk.open(path, bytes)
    }

    fn read(&self, path: &Path) -> io::Result<bytes::Bytes> {
        Disk.read(path)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Disk.length(path)
    }

    fn files_in(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        Disk.files_in(folder)
    }

    fn folders_in(&self, folder: &Path) -> io::Result<Vec<String>> {
        Disk.folders_in(folder)
    }
}

fn files_of(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("open_open/t")).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_disk_that_fills_up_at_any_byte_costs_no_table() {
    let folder = TempDir::new().unwrap();
    let disk = Filling { bytes_left: Arc::new(AtomicI64::new(i64::MAX / 2)) };
    let options = Options { cache_bytes_max: 0, part_bytes_max: 4096, ..Options::default() };
    let lake = Lake::open_on(folder.path(), writing(), options, Arc::new(disk.clone())).unwrap();
    let (old, new) = (panel(&mut Seed(1), 0, 20), panel(&mut Seed(2), 0, 500));
    let first = write(&lake, "t", WriteMode::Replace, std::slice::from_ref(&old)).unwrap();
    let before = files_of(folder.path());
    let mut failures = 0;
    for bytes in (0..).step_by(97) {
        disk.bytes_left.store(bytes, Ordering::SeqCst);
        match write(&lake, "t", WriteMode::Replace, std::slice::from_ref(&new)) {
            Ok(manifest) => {
                assert_eq!(read_all(&lake, &manifest), new);
                break;
            }
            Err(error) => assert!(matches!(error, LakeError::DiskFull { .. }), "{error}"),
        }
        failures += 1;
        assert_eq!(files_of(folder.path()), before);
        assert_eq!(read_all(&lake, &first), old);
    }
    assert!(failures > 20, "{failures}");
}

#[test]
fn leftovers_of_a_crash_are_removed_by_the_next_writer() {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(folder.path(), writing()).unwrap();
    let whole = panel(&mut Seed(1), 0, 10);
    write(&lake, "t", WriteMode::Replace, std::slice::from_ref(&whole)).unwrap();
    drop(lake);
    let table = folder.path().join("open_open/t");
    let crashed = folder.path().join("open_open/crashed");
    fs::create_dir(&crashed).unwrap();
    for file in ["part-run-9-00000.parquet", "manifest.json.run-9.unfinished"] {
        fs::write(table.join(file), b"half").unwrap();
        fs::write(crashed.join(file), b"half").unwrap();
    }
    fs::write(table.join("notes.txt"), b"a person's").unwrap();
    let runs = folder.path().join("runs/part-a.parquet");
    fs::create_dir(folder.path().join("runs")).unwrap();
    fs::write(&runs, b"not ours").unwrap();

    // Put away properly, a lake is not searched.
    drop(Lake::open(folder.path(), writing()).unwrap());
    assert_eq!(files_of(folder.path()).len(), 5);
    // What a crashed writer leaves in the lock.
    fs::write(folder.path().join(".lock"), b"{\"pid\":1").unwrap();
    let reader = Lake::open(folder.path(), Access::Read).unwrap();
    assert_eq!(reader.tables().unwrap().len(), 1);
    assert_eq!(files_of(folder.path()).len(), 5);
    let lake = Lake::open(folder.path(), writing()).unwrap();
    let left = files_of(folder.path());
    assert_eq!(left[..2], ["manifest.json", "notes.txt"]);
    assert!(left.len() == 3 && left[2].starts_with("part-run-1-"), "{left:?}");
    assert!(!crashed.exists());
    assert!(runs.exists());
    let manifest = lake.manifest(&WINDOW, &name("t")).unwrap().unwrap();
    assert_eq!(read_all(&lake, &manifest), whole);
}

#[test]
fn a_second_writer_is_told_who_holds_the_lake() {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(folder.path(), writing()).unwrap();
    let refused = Lake::open(folder.path(), writing()).unwrap_err();
    let text = refused.to_string();
    assert_eq!(refused.code().0, "lake-locked");
    assert!(text.contains("`tidemill run`"), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(Lake::open(folder.path(), Access::Read).is_ok());
    drop(lake);
    assert!(Lake::open(folder.path(), writing()).is_ok());
}

#[test]
fn a_lake_opened_for_reading_cannot_be_written() {
    let folder = TempDir::new().unwrap();
    drop(Lake::open(folder.path(), writing()).unwrap());
    let lake = Lake::open(folder.path(), Access::Read).unwrap();
    assert_eq!(code(write(&lake, "t", WriteMode::Replace, &[])), "lake-opened-for-reading");
    assert_eq!(code(lake.remove(&WINDOW, &name("t"))), "lake-opened-for-reading");
}

#[test]
fn no_lake_and_newer_lakes_are_refused() {
    let folder = TempDir::new().unwrap();
    assert_eq!(code(Lake::open(folder.path(), Access::Read)), "lake-missing");
    assert_eq!(code(Lake::open(&folder.path().join("none"), Access::Read)), "lake-missing");
    fs::write(folder.path().join("tidemill-lake.json"), b"{\"format\":2}").unwrap();
    for access in [Access::Read, writing()] {
        assert_eq!(code(Lake::open(folder.path(), access)), "lake-newer");
    }
    fs::write(folder.path().join("tidemill-lake.json"), b"{").unwrap();
    assert_eq!(code(Lake::open(folder.path(), writing())), "lake-version-unreadable");
}

#[test]
fn what_the_system_refuses_is_said_plainly() {
    let path = Path::new("lake/t");
    let code = |kind: io::ErrorKind| LakeError::io("write", path, io::Error::from(kind)).code().0;
    assert_eq!(code(io::ErrorKind::ReadOnlyFilesystem), "lake-not-writable");
    assert_eq!(code(io::ErrorKind::PermissionDenied), "lake-not-writable");
    assert_eq!(code(io::ErrorKind::StorageFull), "disk-full");
    assert_eq!(code(io::ErrorKind::QuotaExceeded), "disk-full");
    assert_eq!(code(io::ErrorKind::Other), "lake-io");
}

#[test]
fn damaged_tables_are_reported_and_can_be_written_anew() {
    let folder = TempDir::new().unwrap();
    let options = Options { cache_bytes_max: 0, ..Options::default() };
    let lake = Lake::open_with(folder.path(), writing(), options).unwrap();
    let whole = panel(&mut Seed(1), 0, 300);
    let table = folder.path().join("open_open/t");
    let damage: [(&dyn Fn(), &str); 5] = [
        (&|| fs::write(table.join("manifest.json"), b"").unwrap(), "manifest-unreadable"),
        (&|| fs::write(table.join("manifest.json"), b"{\"format\": 7}").unwrap(), "lake-newer"),
        (
            &|| fs::write(table.join("manifest.json"), b"{\"format\": 1, \"table\"").unwrap(),
            "manifest-unreadable",
        ),
        (
            &|| drop(fs::File::options().write(true).open(part_of(&table)).unwrap().set_len(100)),
            "table-damaged",
        ),
        (&|| fs::remove_file(part_of(&table)).unwrap(), "table-damaged"),
    ];
    for (damage, expected) in damage {
        write(&lake, "t", WriteMode::Replace, std::slice::from_ref(&whole)).unwrap();
        damage();
        assert_eq!(code(lake.manifest(&WINDOW, &name("t"))), expected);
        assert_eq!(lake.tables().unwrap().remove(0).state.unwrap_err().code().0, expected);
        let manifest = write(&lake, "t", WriteMode::Replace, std::slice::from_ref(&whole)).unwrap();
        assert_eq!(read_all(&lake, &manifest), whole);
        assert_eq!(files_of(folder.path()).len(), 2, "{:?}", files_of(folder.path()));
    }
}

fn part_of(table: &Path) -> std::path::PathBuf {
    let mut parts = fs::read_dir(table).unwrap().map(|it| it.unwrap().path());
    parts.find(|it| it.extension().is_some_and(|it| it == "parquet")).unwrap()
}

#[test]
fn torn_bytes_inside_a_part_are_errors_not_panics() {
    let folder = TempDir::new().unwrap();
    let options = Options { cache_bytes_max: 0, ..Options::default() };
    let lake = Lake::open_with(folder.path(), writing(), options).unwrap();
    let manifest = write(&lake, "t", WriteMode::Replace, &[panel(&mut Seed(1), 0, 300)]).unwrap();
    let path = part_of(&folder.path().join("open_open/t"));
    let sound = fs::read(&path).unwrap();
    let mut seed = Seed(9);
    for _ in 0..200 {
        let mut torn = sound.clone();
        let from = seed.below(torn.len());
        let to = (from + 1 + seed.below(64)).min(torn.len());
        torn[from..to].fill(seed.below(256) as u8);
        fs::write(&path, &torn).unwrap();
        // Bytes that nobody reads may be anything; the others must be noticed or at least be survived.
        if let Ok(reader) = lake.reader(&manifest, ReadOptions::default()) {
            for batch in reader {
                match batch {
                    Ok(batch) => assert!(batch.num_rows() <= 900),
                    Err(error) => {
                        assert_eq!(error.code().0, "table-damaged");
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn a_reader_outlives_a_replace_by_another_process() {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(folder.path(), writing()).unwrap();
    let (old, new) = (panel(&mut Seed(1), 0, 300), panel(&mut Seed(2), 0, 300));
    write(&lake, "t", WriteMode::Replace, std::slice::from_ref(&old)).unwrap();
    let other = Lake::open(folder.path(), Access::Read).unwrap();
    let (first, reader) = other.read(&WINDOW, &name("t"), &ReadOptions::default()).unwrap().unwrap();
    write(&lake, "t", WriteMode::Replace, std::slice::from_ref(&new)).unwrap();
    let read: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(arrow::compute::concat_batches(&schema(), &read).unwrap(), old);
    let third = Lake::open(folder.path(), Access::Read).unwrap();
    assert_eq!(code(third.reader(&first, ReadOptions::default()).map(drop)), "table-replaced");
    let (second, _) = third.read(&WINDOW, &name("t"), &ReadOptions::default()).unwrap().unwrap();
    assert_eq!(read_all(&third, &second), new);
    assert_eq!(files_of(folder.path()).len(), 2);
}

#[test]
fn readers_never_see_anything_but_whole_tables() {
    let folder = TempDir::new().unwrap();
    let options = Options { cache_bytes_max: 0, part_bytes_max: 1, ..Options::default() };
    let lake = Lake::open_with(folder.path(), writing(), options.clone()).unwrap();
    let versions: Vec<_> = (1..=4).map(|it| panel(&mut Seed(it), 0, 50 * it as usize)).collect();
    write(&lake, "t", WriteMode::Replace, &versions[..1]).unwrap();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let lake = Lake::open_with(folder.path(), Access::Read, options.clone()).unwrap();
                    for _ in 0..200 {
                        match lake.read(&WINDOW, &name("t"), &ReadOptions::default()) {
                            Ok(Some((manifest, reader))) => {
                                let rows: usize = reader.map(|it| it.unwrap().num_rows()).sum();
                                assert_eq!(rows as u64, manifest.rows);
                            }
                            // Replaced twice within one call.
                            Err(LakeError::Replaced { .. }) => {}
                            other => panic!("{other:?}"),
                        }
                    }
                })
            })
            .collect();
        for turn in 0.. {
            write(&lake, "t", WriteMode::Replace, std::slice::from_ref(&versions[turn % 4])).unwrap();
            if readers.iter().all(|it| it.is_finished()) {
                break;
            }
        }
    });
}

#[test]
fn a_table_several_times_the_cache_streams_through() {
    let folder = TempDir::new().unwrap();
    let options = Options { cache_bytes_max: 1 << 20, part_bytes_max: 1 << 20, ..Options::default() };
    let lake = Lake::open_with(folder.path(), writing(), options).unwrap();
    let mut writer = lake.writer(&WINDOW, &name("t"), options_of("big")).unwrap();
    let mut seed = Seed(1);
    for chunk in 0..100 {
        writer.write(&panel(&mut seed, chunk * 4_000_000, 4_000)).unwrap();
    }
    let manifest = writer.finish(provenance()).unwrap();
    assert_eq!(manifest.rows, 1_200_000);
    assert!(manifest.memory_bytes > 16 << 20, "{}", manifest.memory_bytes);
    assert!(manifest.parts.len() > 2);
    for _ in 0..2 {
        let rows: usize =
            lake.reader(&manifest, ReadOptions::default()).unwrap().map(|it| it.unwrap().num_rows()).sum();
        assert_eq!(rows, 1_200_000);
    }
    assert_eq!(lake.cache_use().bytes, 0);
}

fn options_of(attempt: &str) -> crate::WriterOptions {
    crate::WriterOptions { attempt: attempt.into(), ..options(WriteMode::Replace) }
}
