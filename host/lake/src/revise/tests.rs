//! A table that is added to in every way holds what a map would, in parts that are sorted and apart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use tempfile::TempDir;
use tidemill_plan::{TableName, WriteMode};

use super::chosen;
use crate::fixture::*;
use crate::{Block, Home, Lake, LakeError, Manifest, Manifests, Options, Part, ReadOptions, TimeRange};

/// The least that a catalogue does.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<TableName, Manifest>>);

impl Manifests for Kept {
    fn current(&self, table: &TableName) -> Result<Option<Manifest>, LakeError> {
        Ok(self.0.lock().unwrap().get(table).cloned())
    }
}

struct Catalogue {
    lake: Lake,
    kept: Arc<Kept>,
    _folder: TempDir,
}

fn catalogue(part_bytes_max: u64) -> Catalogue {
    let (folder, kept) = (TempDir::new().unwrap(), Arc::new(Kept::default()));
    let options = Options { cache_bytes_max: 0, part_bytes_max, ..Options::default() };
    let manifests: Arc<dyn Manifests> = kept.clone();
    let lake = Lake::catalogued(&Home::folder(folder.path()).unwrap(), manifests, options);
    Catalogue { lake, kept, _folder: folder }
}

impl Catalogue {
    fn commit(&self, mut manifest: Manifest) -> Manifest {
        let mut kept = self.kept.0.lock().unwrap();
        let version = kept.len() as i64 + manifest.written_at.0;
        manifest.catalog.as_mut().unwrap().version = Some(version);
        kept.insert(manifest.table.clone(), manifest.clone());
        manifest
    }

    fn add(&self, mode: WriteMode, batches: &[RecordBatch]) -> Result<Manifest, LakeError> {
        write(&self.lake, "t", mode, batches).map(|it| self.commit(it))
    }
}

fn key_of(batch: &RecordBatch, row: usize) -> (i64, String) {
    let time = batch.column(0).as_primitive::<TimestampMicrosecondType>().value(row);
    (time, batch.column(1).as_string::<i32>().value(row).to_owned())
}

#[test]
fn additions_merge_as_a_map_would() {
    for seed in 1..=12 {
        let mut seed = Seed(seed * 101);
        let catalogue = catalogue([1, 2_000, 1 << 30][seed.below(3)]);
        let mut expected = BTreeMap::new();
        let mut parts_max = 0;
        for _ in 0..40 {
            let at_end = expected.keys().last().map_or(0, |it: &(i64, String)| it.0);
            let from = if seed.below(2) == 0 { at_end + 500 } else { seed.below(400_000) as i64 };
            let days = 1 + seed.below(60);
            let new = panel(&mut seed, from, days);
            let is_new = (0..new.num_rows()).all(|it| !expected.contains_key(&key_of(&new, it)));
            let mode = if seed.below(2) == 0 { WriteMode::Upsert } else { WriteMode::Append };
            let written = catalogue.add(mode, &cut(&mut seed, &new));
            if mode == WriteMode::Append && !is_new {
                assert_eq!(code(written), "rows-already-there");
                continue;
            }
            let manifest = written.unwrap();
            for row in 0..new.num_rows() {
                expected.insert(key_of(&new, row), new.slice(row, 1));
            }
            let rows: Vec<_> = expected.values().cloned().collect();
            assert_eq!(read_all(&catalogue.lake, &manifest), concat_batches(&schema(), &rows).unwrap());
            assert_eq!(manifest.rows, expected.len() as u64);
            assert_eq!(manifest.time_range.unwrap().last.0, expected.keys().last().unwrap().0 * 1_000);
            for pair in manifest.parts.windows(2) {
                assert!(pair[0].range().unwrap().last < pair[1].range().unwrap().first);
            }
            parts_max = parts_max.max(manifest.parts.len());
        }
        assert!(parts_max <= 40, "{parts_max} parts");
    }
}

#[test]
fn without_an_order_new_rows_come_after_the_old() {
    let catalogue = catalogue(1 << 30);
    let mut expected = Vec::new();
    for seed in 1..=20 {
        let days = 1 + Seed(seed).below(9);
        let rows = panel(&mut Seed(seed), 0, days);
        let mut options = options(WriteMode::Append);
        (options.time_index, options.identifiers) = (None, Vec::new());
        let mut writer = catalogue.lake.writer(&WINDOW, &name("t"), options).unwrap();
        writer.write(&rows).unwrap();
        let manifest = catalogue.commit(writer.finish(provenance()).unwrap());
        expected.push(rows);
        let all = concat_batches(&schema(), &expected).unwrap();
        assert_eq!(read(&catalogue.lake, &manifest, ReadOptions::default()), all);
        assert!(manifest.parts.len() <= 8, "{} parts", manifest.parts.len());
    }
}

#[test]
fn a_dropped_writer_leaves_no_file_and_a_discarded_manifest_only_those_of_its_base() {
    let catalogue = catalogue(1 << 30);
    let base = catalogue.add(WriteMode::Append, &[panel(&mut Seed(1), 0, 200)]).unwrap();
    let files = || std::fs::read_dir(catalogue.lake.root().unwrap().join("main/t")).unwrap().count();
    let mut writer = catalogue.lake.writer(&WINDOW, &name("t"), options(WriteMode::Append)).unwrap();
    writer.write(&panel(&mut Seed(2), 1_000_000, 3)).unwrap();
    drop(writer);
    assert_eq!(files(), 1);
    let more = write(&catalogue.lake, "t", WriteMode::Append, &[panel(&mut Seed(2), 1_000_000, 3)]).unwrap();
    assert_eq!((files(), more.parts.len()), (2, 2));
    assert_eq!(more.parts[0], base.parts[0]);
    catalogue.lake.discard(&more, Some(&base));
    assert_eq!(files(), 1);
    assert_eq!(read_all(&catalogue.lake, &base).num_rows(), 600);
}

#[test]
fn the_snapshot_of_an_addition_tells_what_came_before() {
    let one = catalogue(1 << 30);
    let two = catalogue(1 << 30);
    let rows = |from| panel(&mut Seed(9), from, 5);
    let snapshots = |it: &Catalogue, parts: &[i64]| -> Vec<_> {
        parts.iter().map(|from| it.add(WriteMode::Append, &[rows(*from)]).unwrap().snapshot).collect()
    };
    let first = snapshots(&one, &[0, 100_000, 200_000]);
    assert_eq!(first, snapshots(&two, &[0, 100_000, 200_000]));
    assert_ne!(first[1], snapshots(&catalogue(1 << 30), &[0, 200_000])[1]);
    // What it holds is the same as if it had been written at once.
    let whole = [rows(0), rows(100_000), rows(200_000)];
    let at_once = write(&Lake::in_memory(), "t", WriteMode::Replace, &whole).unwrap();
    let now = one.kept.current(&name("t")).unwrap().unwrap();
    assert_eq!(one.lake.content_digest(&now).unwrap(), at_once.snapshot);
}

#[test]
fn parts_are_chosen_by_what_they_cost() {
    let parts = |rows: &[u64]| -> Vec<Part> {
        let part = |(at, rows): (usize, &u64)| Part {
            file: format!("part-{at}.parquet"),
            bytes: *rows,
            blocks: vec![Block {
                rows: *rows,
                range: Some(TimeRange {
                    first: tidemill_plan::Time(at as i64 * 10),
                    last: tidemill_plan::Time(at as i64 * 10 + 5),
                }),
            }],
            statistics: None,
            foreign: None,
        };
        rows.iter().enumerate().map(part).collect()
    };
    let check = |rows: &[u64], new: &[(u64, u64)], expected: &[bool]| {
        assert_eq!(chosen(&parts(rows), new, 1_000), expected, "{rows:?} {new:?}");
    };
    // One row at the end of 8, 4, 2, 1: all come together; of 8, 4, 2: nothing does.
    check(&[8, 4, 2, 1], &[(0, 0), (0, 0), (0, 0), (0, 0), (1, 0)], &[true; 4]);
    check(&[8, 4, 2], &[(0, 0), (0, 0), (0, 0), (1, 0)], &[false; 3]);
    // A row inside a part takes along smaller neighbours only.
    check(&[8, 4, 2, 16], &[(0, 0), (0, 1), (0, 0), (0, 0), (0, 0)], &[false, true, true, false]);
    // Large parts stay, whatever comes beside them.
    check(&[1_000, 4], &[(0, 0), (0, 0), (5_000, 0)], &[false, true]);
}
