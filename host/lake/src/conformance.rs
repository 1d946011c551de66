//! What every lake does, whether it lies in a folder or in memory; each test runs over all kinds, and those in a folder
//! are asked again after a reopen.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, TimestampMicrosecondType};
use tempfile::TempDir;
use tidemill_plan::{Time, WriteMode};

use crate::blocks::BLOCK_ROWS_MAX;
use crate::fixture::*;
use crate::{Access, Lake, LakeError, Manifest, Options, ReadOptions, WriterOptions};

/// Runs `test` over a lake in memory, one in a folder, and one in a folder with nothing cached and tiny parts. The
/// function given to it reopens the lake where that means something.
fn on_all(test: impl Fn(&Lake, &dyn Fn(&Lake) -> Option<Lake>)) {
    test(&Lake::in_memory(), &|_| None);
    let uncached = Options { cache_bytes_max: 0, part_bytes_max: 1, ..Options::default() };
    for options in [Options::default(), uncached] {
        let folder = TempDir::new().unwrap();
        let open = |access| Lake::open_with(folder.path(), access, options.clone()).unwrap();
        let lake = open(Access::Write { command: "test".into() });
        test(&lake, &|_| Some(open(Access::Read)));
    }
}

fn seconds(micros: i64) -> Option<Time> {
    Some(Time(micros * 1000))
}

#[test]
fn what_was_written_is_read() {
    on_all(|lake, reopen| {
        for seed in 1..=10 {
            let mut seed = Seed(seed);
            let days = 1 + seed.below(60);
            let whole = panel(&mut seed, 0, days);
            let manifest = write(lake, "t", WriteMode::Replace, &cut(&mut seed, &whole)).unwrap();
            assert_eq!(read_all(lake, &manifest), whole);
            assert_eq!(manifest.rows, whole.num_rows() as u64);
            if let Some(lake) = reopen(lake) {
                let again = lake.manifest(&WINDOW, &name("t")).unwrap().unwrap();
                assert_eq!(again.to_json(), manifest.to_json());
                assert_eq!(read_all(&lake, &again), whole);
            }
        }
    });
}

#[test]
fn a_table_without_rows_is_a_table() {
    on_all(|lake, reopen| {
        let manifest = write(lake, "t", WriteMode::Replace, &[]).unwrap();
        assert_eq!((manifest.rows, manifest.time_range), (0, None));
        assert_eq!(read_all(lake, &manifest).num_rows(), 0);
        let lake = reopen(lake).unwrap_or_else(|| lake.clone());
        let range =
            ReadOptions { start: seconds(5), columns: Some(vec!["close".into()]), ..ReadOptions::default() };
        assert_eq!(lake.reader(&manifest, range).unwrap().schema().fields().len(), 1);
        assert_eq!(lake.progress_of(&manifest).unwrap(), []);
    });
}

#[test]
fn nothing_is_seen_of_a_writer_that_was_dropped() {
    on_all(|lake, _| {
        let whole = panel(&mut Seed(1), 0, 10);
        let mut writer = lake.writer(&WINDOW, &name("t"), options(WriteMode::Replace)).unwrap();
        writer.write(&whole).unwrap();
        assert!(lake.manifest(&WINDOW, &name("t")).unwrap().is_none());
        drop(writer);
        assert!(lake.manifest(&WINDOW, &name("t")).unwrap().is_none());
        let old = write(lake, "t", WriteMode::Replace, std::slice::from_ref(&whole)).unwrap();
        let mut writer = lake.writer(&WINDOW, &name("t"), options(WriteMode::Replace)).unwrap();
        writer.write(&whole.slice(0, 3)).unwrap();
        drop(writer);
        assert_eq!(lake.manifest(&WINDOW, &name("t")).unwrap().unwrap().parts, old.parts);
        assert_eq!(read_all(lake, &old), whole);
    });
}

#[test]
fn the_snapshot_does_not_depend_on_batches_or_kinds_of_lake() {
    let whole = panel(&mut Seed(7), 0, 50);
    let mut snapshots = std::collections::BTreeSet::new();
    let snapshots = std::cell::RefCell::new(&mut snapshots);
    on_all(|lake, _| {
        for seed in 1..=20 {
            let manifest = write(lake, "t", WriteMode::Replace, &cut(&mut Seed(seed), &whole)).unwrap();
            snapshots.borrow_mut().insert(manifest.snapshot);
        }
    });
    assert_eq!(snapshots.borrow().len(), 1);
}

#[test]
fn a_read_of_a_range_is_a_filter_of_the_whole() {
    on_all(|lake, reopen| {
        let mut seed = Seed(3);
        let whole = panel(&mut seed, 0, 100);
        let manifest = write(lake, "t", WriteMode::Replace, &cut(&mut seed, &whole)).unwrap();
        for _ in 0..50 {
            let (start, end) = (seed.below(110_000) as i64 - 5_000, seed.below(110_000) as i64);
            let times = whole.column(0).as_primitive::<TimestampMicrosecondType>();
            let wanted = times.iter().map(|it| it.map(|it| start <= it && it < end)).collect();
            let expected = filter_record_batch(&whole, &wanted).unwrap().project(&[2, 0]).unwrap();
            let options = ReadOptions {
                columns: Some(vec!["close".into(), "time_index".into()]),
                start: seconds(start),
                end: seconds(end),
                batch_rows_max: Some(1 + seed.below(50)),
            };
            for lake in reopen(lake).iter().chain([lake]) {
                let batches: Vec<_> =
                    lake.reader(&manifest, options.clone()).unwrap().map(Result::unwrap).collect();
                assert!(
                    batches.iter().all(|it| (1..=options.batch_rows_max.unwrap()).contains(&it.num_rows()))
                );
                assert_eq!(read(lake, &manifest, options.clone()), expected);
            }
        }
    });
}

#[test]
fn batches_are_cut_alike_from_every_kind_of_lake() {
    let mut seed = Seed(5);
    let whole = panel(&mut seed, 0, 70_000);
    let cuts = std::cell::RefCell::new(Vec::new());
    on_all(|lake, _| {
        let manifest = write(lake, "t", WriteMode::Replace, std::slice::from_ref(&whole)).unwrap();
        let options =
            ReadOptions { start: seconds(1_000_000), batch_rows_max: Some(50_000), ..ReadOptions::default() };
        let rows: Vec<_> =
            lake.reader(&manifest, options).unwrap().map(|it| it.unwrap().num_rows()).collect();
        cuts.borrow_mut().push(rows);
    });
    let cuts = cuts.into_inner();
    assert!(cuts.iter().all(|it| *it == cuts[0]), "{cuts:?}");
    // 210,000 rows: a block of 131,072 and the rest, each cut at its own multiples of 50,000, from row 3,000 on.
    assert_eq!(cuts[0], [47_000, 50_000, 31_072, 50_000, 28_928]);
    assert_eq!(BLOCK_ROWS_MAX, 131_072);
}

#[test]
fn append_and_upsert_merge_as_a_map_would() {
    on_all(|lake, _| {
        for seed in 1..=20 {
            let mut seed = Seed(seed * 77);
            let table = format!("t{}", seed.0);
            let (days, from, more) = (1 + seed.below(50), seed.below(60) as i64, 1 + seed.below(50));
            let old = panel(&mut seed, 0, days);
            // Half the time between the old days, half on them.
            let offset = [0, 500][seed.below(2)];
            let new = panel(&mut seed, from * 1000 + offset, more);
            write(lake, &table, WriteMode::Replace, &cut(&mut seed, &old)).unwrap();
            let manifest = write(lake, &table, WriteMode::Upsert, &cut(&mut seed, &new)).unwrap();
            let mut expected = BTreeMap::new();
            for batch in [&old, &new] {
                for row in 0..batch.num_rows() {
                    expected.insert(key_of(batch, row), batch.slice(row, 1));
                }
            }
            let expected: Vec<_> = expected.into_values().collect();
            let expected = arrow::compute::concat_batches(&schema(), &expected).unwrap();
            assert_eq!(read_all(lake, &manifest), expected);
            let replaced = write(lake, "same", WriteMode::Replace, std::slice::from_ref(&expected)).unwrap();
            assert_eq!(manifest.snapshot, replaced.snapshot);

            write(lake, &table, WriteMode::Replace, std::slice::from_ref(&old)).unwrap();
            let appended = write(lake, &table, WriteMode::Append, &cut(&mut seed, &new));
            if expected.num_rows() == old.num_rows() + new.num_rows() {
                assert_eq!(appended.unwrap().snapshot, replaced.snapshot);
            } else {
                assert_eq!(code(appended), "rows-already-there");
                assert_eq!(read_all(lake, &lake.manifest(&WINDOW, &name(&table)).unwrap().unwrap()), old);
            }
        }
    });
}

fn key_of(batch: &RecordBatch, row: usize) -> (i64, String) {
    let time = batch.column(0).as_primitive::<TimestampMicrosecondType>().value(row);
    (time, batch.column(1).as_string::<i32>().value(row).to_owned())
}

#[test]
fn an_append_to_a_table_that_changed_meanwhile_is_refused() {
    on_all(|lake, _| {
        write(lake, "t", WriteMode::Replace, &[panel(&mut Seed(1), 0, 2)]).unwrap();
        let writer = lake.writer(&WINDOW, &name("t"), options(WriteMode::Append)).unwrap();
        write(lake, "t", WriteMode::Replace, &[panel(&mut Seed(1), 0, 3)]).unwrap();
        assert_eq!(code(writer.finish(provenance())), "table-replaced");
        assert_eq!(lake.manifest(&WINDOW, &name("t")).unwrap().unwrap().rows, 9);
    });
}

#[test]
fn the_first_wrong_row_is_named() {
    let good = panel(&mut Seed(1), 0, 10);
    let check = |rows: &[Row], expected: &str| {
        on_all(|lake, _| {
            let mut writer = lake.writer(&WINDOW, &name("t"), options(WriteMode::Replace)).unwrap();
            writer.write(&good).unwrap();
            let refused = writer.write(&batch(rows)).unwrap_err();
            assert_eq!(refused.to_string(), expected);
            assert_eq!(code(writer.finish(provenance())), "table-format");
            assert!(lake.manifest(&WINDOW, &name("t")).unwrap().is_none());
        });
    };
    let row = |time, name| (time, name, None, None);
    check(
        &[row(8_000, "AAPL")],
        "table `t`, row 31: index `1970-01-01T00:00:00.008Z, AAPL` comes after \
         `1970-01-01T00:00:00.009Z, a much longer identifier`",
    );
    check(
        &[row(9_000, "b"), row(9_000, "c"), row(9_000, "c")],
        "table `t`, row 33: index `1970-01-01T00:00:00.009Z, c` is there twice",
    );
    check(
        &[row(10_000, "b"), row(11_000, "c"), row(11_000, "a")],
        "table `t`, row 33: index `1970-01-01T00:00:00.011Z, a` comes after `1970-01-01T00:00:00.011Z, c`",
    );
}

#[test]
fn the_first_wrong_row_is_found_anywhere() {
    let lake = Lake::in_memory();
    for seed in 1..=100 {
        let mut seed = Seed(seed);
        let whole = panel(&mut seed, 0, 200);
        let wrong = 1 + seed.below(whole.num_rows() - 1);
        // The row before it comes again: a duplicate.
        let rows = (0..whole.num_rows() as u64).map(|it| if it == wrong as u64 { it - 1 } else { it });
        let rows = UInt64Array::from_iter_values(rows);
        let broken = arrow::compute::take_record_batch(&whole, &rows).unwrap();
        match write(&lake, "t", WriteMode::Replace, &cut(&mut seed, &broken)) {
            Err(LakeError::Duplicate { row, .. }) => assert_eq!(row, wrong as u64 + 1),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nulls_and_other_columns_are_refused() {
    on_all(|lake, _| {
        let good = panel(&mut Seed(1), 0, 1);
        let with = |column: usize, array: Arc<dyn Array>| {
            let fields = schema()
                .fields()
                .iter()
                .map(|it| it.as_ref().clone().with_nullable(true))
                .collect::<Vec<_>>();
            let mut columns = good.columns().to_vec();
            columns[column] = array;
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
        };
        let null = with(1, Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])));
        let refused = write(lake, "t", WriteMode::Replace, &[null]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "table `t`, row 2: column `unique_identifier` is null, but it is not nullable"
        );
        let fewer = good.project(&[0, 1, 2]).unwrap();
        assert_eq!(code(write(lake, "t", WriteMode::Replace, &[fewer])), "schema-differs");
        let other = good.project(&[0, 1, 3, 2]).unwrap();
        let refused = write(lake, "t", WriteMode::Replace, &[other]).unwrap_err();
        let expected =
            "table `t`: expected column `close` of type Float64, found column `volume` of type Int64";
        assert_eq!(refused.to_string(), expected);
    });
}

#[test]
fn what_cannot_be_a_table_is_refused_at_once() {
    on_all(|lake, _| {
        let start = |change: &dyn Fn(&mut WriterOptions)| {
            let mut options = options(WriteMode::Replace);
            change(&mut options);
            code(lake.writer(&WINDOW, &name("t"), options).map(drop))
        };
        assert_eq!(start(&|it| it.time_index = Some("close".into())), "column-type-unsupported");
        assert_eq!(start(&|it| it.identifiers = vec!["close".into()]), "column-type-unsupported");
        assert_eq!(start(&|it| it.identifiers = vec!["unique_identifer".into()]), "column-unknown");
        let upsert = |it: &mut WriterOptions| (it.mode, it.time_index) = (WriteMode::Upsert, None);
        assert_eq!(start(&upsert), "upsert-without-index");
        let twice =
            Schema::new(vec![Field::new("a", DataType::Int8, true), Field::new("a", DataType::Int8, true)]);
        assert_eq!(start(&|it| it.schema = Arc::new(twice.clone())), "column-twice");
        let null = Schema::new(vec![Field::new("a", DataType::Null, true)]);
        assert_eq!(start(&|it| it.schema = Arc::new(null.clone())), "column-type-unsupported");
        for bad in ["", "../t", ".hidden", "a/b", "a b"] {
            assert_eq!(code(lake.manifest(&WINDOW, &name(bad))), "table-name-unsafe", "{bad}");
        }
    });
}

#[test]
fn progress_is_the_last_time_of_each_identifier() {
    on_all(|lake, reopen| {
        let rows = [(1, "a", None, None), (2, "a", None, None), (2, "b", None, None), (3, "b", None, None)];
        let manifest = write(lake, "t", WriteMode::Replace, &[batch(&rows)]).unwrap();
        for lake in reopen(lake).iter().chain([lake]) {
            let progress = lake.progress_of(&manifest).unwrap();
            let progress: Vec<_> = progress.iter().map(|it| (it.identifiers[0].as_str(), it.last)).collect();
            assert_eq!(progress, [("a", Time(2_000)), ("b", Time(3_000))]);
        }
    });
}

#[test]
fn a_removed_table_is_gone() {
    on_all(|lake, reopen| {
        let manifest = write(lake, "t", WriteMode::Replace, &[panel(&mut Seed(1), 0, 1)]).unwrap();
        write(lake, "u", WriteMode::Replace, &[]).unwrap();
        assert!(lake.remove(&WINDOW, &name("t")).unwrap());
        assert!(!lake.remove(&WINDOW, &name("t")).unwrap());
        let lake = reopen(lake).unwrap_or_else(|| lake.clone());
        let names: Vec<_> = lake.tables().unwrap().into_iter().map(|it| it.name.0).collect();
        assert_eq!(names, ["u"]);
        assert_eq!(code(lake.reader(&manifest, ReadOptions::default()).map(drop)), "table-replaced");
    });
}

#[test]
fn unknown_columns_name_the_nearest() {
    on_all(|lake, _| {
        let manifest: Manifest = write(lake, "t", WriteMode::Replace, &[panel(&mut Seed(1), 0, 1)]).unwrap();
        let options = ReadOptions { columns: Some(vec!["clsoe".into()]), ..ReadOptions::default() };
        let refused = lake.reader(&manifest, options).unwrap_err();
        assert_eq!(refused.to_string(), "table `t` has no column `clsoe` (nearest: `close`)");
    });
}
