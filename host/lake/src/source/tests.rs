//! Each row of bad input gets its error; good input of every format gives the same table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use tempfile::TempDir;
use tidemill_plan::{ColumnSpec, SourceFormat, SourcePlace, SourceSpec, TableName, Time, Window};

use crate::fixture::{Seed, panel, schema};
use crate::{
    ExportFormat, RowOrder, SourceError, TableRows, export, open_source, open_table_source, source_files,
};

fn spec(path: &str) -> SourceSpec {
    let format = match path.rsplit('.').next() {
        Some("parquet") => SourceFormat::Parquet,
        Some("arrow") => SourceFormat::Arrow,
        Some("jsonl") => SourceFormat::JsonLines,
        _ => SourceFormat::Csv,
    };
    let (time_index, identifiers) = (None, None);
    SourceSpec {
        place: SourcePlace::Files { format, path: path.into() },
        time_index,
        identifiers,
        knowledge_time: None,
        columns: BTreeMap::new(),
        sort: false,
    }
}

fn column(data_type: &str) -> ColumnSpec {
    ColumnSpec { data_type: data_type.into(), finite: false, nullable: true }
}

fn read(spec: &SourceSpec, base: &Path, window: &Window) -> Result<RecordBatch, SourceError> {
    let files = source_files(spec, base)?;
    let mut reader = open_source(spec, base, &files, window)?;
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch);
    }
    Ok(concat_batches(&reader.schema(), &batches).unwrap())
}

/// A CSV with this text gives this error.
#[track_caller]
fn refused(text: &str, change: impl Fn(&mut SourceSpec), expected: &str) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("p.csv"), text).unwrap();
    let mut spec = spec("p.csv");
    change(&mut spec);
    let error = read(&spec, folder.path(), &Window::default()).unwrap_err();
    assert!(!error.mend().is_empty());
    assert_eq!(format!("{}: {error}", error.code()), expected);
}

#[test]
fn every_format_gives_the_same_rows() {
    let folder = TempDir::new().unwrap();
    let whole = panel(&mut Seed(1), 0, 300);
    let formats = [
        ("p.csv", ExportFormat::Csv),
        ("p.jsonl", ExportFormat::JsonLines),
        ("p.parquet", ExportFormat::Parquet),
        ("p.arrow", ExportFormat::Arrow),
    ];
    for (name, format) in formats {
        let file = fs::File::create(folder.path().join(name)).unwrap();
        let batches = [Ok(whole.slice(0, 400)), Ok(whole.slice(400, 500))];
        assert_eq!(export(batches.into_iter(), &schema(), format, file).unwrap(), 900);
        let files = source_files(&spec(name), folder.path()).unwrap();
        let reader = open_source(&spec(name), folder.path(), &files, &Window::default()).unwrap();
        assert_eq!(reader.time_index(), Some("time_index"), "{name}");
        assert_eq!(reader.identifiers(), ["unique_identifier"], "{name}");
        let rows = read(&spec(name), folder.path(), &Window::default()).unwrap();
        for (column, field) in whole.columns().iter().zip(schema().fields()) {
            assert_eq!(rows.column_by_name(field.name()).unwrap(), column, "{name}");
        }
    }
}

#[test]
fn rows_outside_of_the_window_are_left_out_unseen() {
    let folder = TempDir::new().unwrap();
    let text = "date,close\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2020-01-03,tomorrow\n";
    fs::write(folder.path().join("p.csv"), text).unwrap();
    let mut spec = spec("p.csv");
    spec.columns.insert("close".into(), column("float64"));
    spec.time_index = Some("date".into());
    let day = |day: i64| Some(Time((18_262 + day - 1) * 86_400_000_000_000));
    // A row at as-of is read.
    let window = Window { start: day(2), end: day(9), as_of: day(2) };
    let rows = read(&spec, folder.path(), &window).unwrap();
    assert_eq!(rows.num_rows(), 1);
    let seen = read(&spec, folder.path(), &Window { as_of: day(3), ..window }).unwrap_err();
    let expected = "source `p.csv`, column `close`, row 4: `tomorrow` is not of type `float64`";
    assert_eq!(seen.to_string(), expected);
}

#[test]
fn csv_types_are_the_narrowest_that_fit_all_values() {
    let folder = TempDir::new().unwrap();
    let text = "\u{feff}time,i,f,b,s,code,nothing\n\
                2020-01-01,1,1,true,x,007,\n2020-01-02T10:00:00+02:00,2,2.5,FALSE,,008,\n";
    fs::write(folder.path().join("p.csv"), text).unwrap();
    let rows = read(&spec("p.csv"), folder.path(), &Window::default()).unwrap();
    let schema = rows.schema();
    let types: Vec<_> = schema.fields().iter().skip(1).map(|it| it.data_type().clone()).collect();
    let expected = [
        DataType::Int64,
        DataType::Float64,
        DataType::Boolean,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Utf8,
    ];
    assert_eq!(types, expected);
    let times = rows.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.value(1) - times.value(0), (24 + 8) * 3_600_000_000);
    assert_eq!(times.timezone(), Some("UTC"));
}

#[test]
fn a_folder_and_a_glob_are_read_by_name() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    for (file, day) in [("b.csv", 2), ("a.csv", 1), ("c.csv", 3)] {
        fs::write(folder.path().join("d").join(file), format!("date,close\n2020-01-0{day},{day}\n")).unwrap();
    }
    fs::write(folder.path().join("d/readme.txt"), "x").unwrap();
    let all = read(&spec("d"), folder.path(), &Window::default()).unwrap();
    assert_eq!(all.num_rows(), 3);
    assert_eq!(read(&spec("d/[ab].csv"), folder.path(), &Window::default()).unwrap(), all.slice(0, 2));
    let names: Vec<_> =
        source_files(&spec("d"), folder.path()).unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["d/a.csv", "d/b.csv", "d/c.csv"]);

    // Order is a matter of all files together.
    fs::write(folder.path().join("d/d.csv"), "date,close\n2020-01-02,2\n").unwrap();
    let error = read(&spec("d"), folder.path(), &Window::default()).unwrap_err();
    let expected = "source `d/d.csv`, column `date`, row 1: index `2020-01-02` comes after `2020-01-03`";
    assert_eq!(error.to_string(), expected);
    fs::write(folder.path().join("d/d.csv"), "date,open\n2020-01-04,2\n").unwrap();
    let error = read(&spec("d"), folder.path(), &Window::default()).unwrap_err();
    assert_eq!(error.to_string(), "source `d/d.csv`: there is no column `close`, but in `d/a.csv` there is");
}

#[test]
fn missing_empty_and_unreadable_files_are_named() {
    let folder = TempDir::new().unwrap();
    let check = |path: &str, expected: &str| {
        let error = read(&spec(path), folder.path(), &Window::default()).unwrap_err();
        assert_eq!((error.code().0, error.to_string().contains(path)), (expected, true), "{error}");
    };
    check("none.csv", "source-missing");
    check("none*.csv", "source-missing");
    for path in ["e.csv", "e.parquet", "e.arrow", "e.jsonl"] {
        fs::write(folder.path().join(path), "").unwrap();
        check(path, "source-empty");
    }
    fs::write(folder.path().join("h.csv"), "date,close\n").unwrap();
    check("h.csv", "source-empty");
    for path in ["x.parquet", "x.arrow", "x.jsonl"] {
        fs::write(folder.path().join(path), "no such thing, whatever it is called").unwrap();
        check(path, "source-unreadable");
    }
    fs::write(folder.path().join("r.csv"), "date,close\n2020-01-01,1\n2020-01-02\n").unwrap();
    check("r.csv", "source-unreadable");
}

#[test]
fn torn_files_are_errors_not_panics() {
    let folder = TempDir::new().unwrap();
    let whole = panel(&mut Seed(1), 0, 100);
    let mut seed = Seed(4);
    for (name, format) in [("p.parquet", ExportFormat::Parquet), ("p.arrow", ExportFormat::Arrow)] {
        let path = folder.path().join(name);
        export([Ok(whole.clone())].into_iter(), &schema(), format, fs::File::create(&path).unwrap()).unwrap();
        let sound = fs::read(&path).unwrap();
        for _ in 0..100 {
            let mut torn = sound.clone();
            let from = seed.below(torn.len());
            let to = (from + 1 + seed.below(32)).min(torn.len());
            torn[from..to].fill(seed.below(256) as u8);
            fs::write(&path, &torn).unwrap();
            read(&spec(name), folder.path(), &Window::default()).ok();
        }
    }
}

#[test]
fn wrong_columns_and_types_are_named() {
    let text = "date,close\n2020-01-01,1\n2020-01-02,x\n";
    let declare = |name: &'static str, data_type: &'static str| {
        move |spec: &mut SourceSpec| drop(spec.columns.insert(name.into(), column(data_type)))
    };
    refused(
        text,
        declare("clse", "float64"),
        "source-column-missing: source `p.csv` has no column `clse` (nearest: `close`)",
    );
    refused(
        text,
        declare("close", "double"),
        "unknown-data-type: source `p.csv`: column `close` has the unknown type `double`",
    );
    refused(
        text,
        declare("close", "float64"),
        "source-value-type: source `p.csv`, column `close`, row 2: `x` is not of type `float64`",
    );
    refused(
        "date,close\n2020-01-01,1\nsoon,2\n",
        |it| it.time_index = Some("date".into()),
        "source-value-type: source `p.csv`, column `date`, row 2: `soon` is not of type `timestamp[us, UTC]`",
    );
    refused(
        "date,close\n2020-01-01,1\n",
        |it| {
            it.time_index = Some("close".into());
            it.columns.insert("close".into(), column("float64"));
        },
        "source-not-a-time: source `p.csv`: column `close` is of type `float64`, not a timestamp or date",
    );
    refused("a,a\n1,2\n", |_| {}, "source-column-twice: source `p.csv` has two columns named `a`");
}

#[test]
fn wrong_values_are_named_with_their_row() {
    let with = |finite, nullable| {
        move |spec: &mut SourceSpec| {
            spec.time_index = Some("date".into());
            spec.columns.insert("close".into(), ColumnSpec { data_type: "float64".into(), finite, nullable });
        }
    };
    refused(
        "date,close\n2020-01-01,1\n2020-01-02,\n",
        with(false, false),
        "source-null: source `p.csv`, column `close`, row 2: null where no null may be",
    );
    for value in ["NaN", "inf", "-inf"] {
        refused(
            &format!("date,close\n2020-01-01,1\n2020-01-02,\n2020-01-03,{value}\n"),
            with(true, true),
            &format!("source-not-finite: source `p.csv`, column `close`, row 3: `{value}` is not finite"),
        );
    }
    refused(
        "date,close\n2020-01-01,1\n,2\n",
        with(false, true),
        "source-null: source `p.csv`, column `date`, row 2: null where no null may be",
    );
    refused(
        "date,symbol,close\n2020-01-01,b,1\n2020-01-01,a,2\n",
        |_| {},
        "source-unsorted: source `p.csv`, column `date`, row 2: index `2020-01-01, a` comes after `2020-01-01, b`",
    );
    refused(
        "date,symbol,close\n2020-01-01,a,1\n2020-01-01,b,1\n2020-01-01,b,2\n",
        |_| {},
        "source-duplicate: source `p.csv`, column `date`, row 3: index `2020-01-01, b` is there twice",
    );
    refused(
        "date,close\n2020-01-02,1\n2020-01-01,1\n2020-01-02,2\n",
        |it| it.sort = true,
        "source-duplicate: source `p.csv`, column `date`, row 3: index `2020-01-02` is there twice",
    );
}

#[test]
fn unsorted_files_are_sorted_when_asked() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("p.csv"), "date,id,x\n2020-01-02,b,1\n2020-01-02,a,2\n2020-01-01,c,3\n")
        .unwrap();
    let spec = SourceSpec { sort: true, ..spec("p.csv") };
    let rows = read(&spec, folder.path(), &Window::default()).unwrap();
    assert_eq!(rows.column(2).as_primitive::<arrow::datatypes::Int64Type>().values(), &[3, 2, 1]);
}

/// Quarters of a figure, as first told and as revised.
const VINTAGES: &str = "quarter,known,gdp\n2020-01-01,2020-04-29,1.0\n2020-01-01,2020-05-28,1.1\n\
                        2020-04-01,2020-07-30,2.0\n2020-01-01,2020-07-30,1.2\n";

fn vintages_as_of(as_of: Option<i64>) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("p.csv"), VINTAGES).unwrap();
    let spec = SourceSpec { knowledge_time: Some("known".into()), ..spec("p.csv") };
    let as_of = as_of.map(|day| Time((18_262 + day) * 86_400_000_000_000));
    let rows = read(&spec, folder.path(), &Window { as_of, ..Window::default() }).unwrap();
    let texts = (0..rows.num_rows()).map(|row| {
        let cells = rows.columns().iter().map(|it| crate::value::value_text(it, row));
        cells.map(|it| it.replace("T00:00:00Z", "")).collect::<Vec<_>>().join(" ")
    });
    texts.collect::<Vec<_>>().join("; ")
}

#[test]
fn of_rows_told_several_times_the_one_known_last_by_as_of_is_read() {
    assert_eq!(vintages_as_of(Some(118)), "");
    assert_eq!(vintages_as_of(Some(119)), "2020-01-01 2020-04-29 1.0");
    assert_eq!(vintages_as_of(Some(148)), "2020-01-01 2020-05-28 1.1");
    assert_eq!(vintages_as_of(None), "2020-01-01 2020-07-30 1.2; 2020-04-01 2020-07-30 2.0");
}

#[test]
fn a_row_of_the_future_that_is_known_already_is_read() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("p.csv"), "date,known,holiday\n2030-01-01,2020-01-01,true\n").unwrap();
    let spec = SourceSpec { knowledge_time: Some("known".into()), ..spec("p.csv") };
    let window = Window { as_of: Some(Time(18_300 * 86_400_000_000_000)), ..Window::default() };
    assert_eq!(read(&spec, folder.path(), &window).unwrap().num_rows(), 1);
}

#[test]
fn a_knowledge_time_must_be_a_time_that_each_row_has_once() {
    let known = |it: &mut SourceSpec| it.knowledge_time = Some("known".into());
    refused(
        "date,known,x\n2020-01-01,5,1\n",
        known,
        "source-value-type: source `p.csv`, column `known`, row 1: `5` is not of type `timestamp[us, UTC]`",
    );
    refused(
        "date,known,x\n2020-01-01,2020-01-02,1\n2020-01-02,,1\n",
        known,
        "source-null: source `p.csv`, column `known`, row 2: null where no null may be",
    );
    refused(
        "date,known,x\n2020-01-01,2020-01-02,1\n2020-01-01,2020-01-02,2\n",
        known,
        "source-duplicate: source `p.csv`, column `date`, row 2: index `2020-01-01, 2020-01-02` is there twice",
    );
    refused("date,x\n2020-01-01,1\n", known, "source-column-missing: source `p.csv` has no column `known`");
}

fn of_table(
    change: impl FnOnce(&mut SourceSpec),
    batches: Vec<RecordBatch>,
    order: RowOrder,
) -> Result<RecordBatch, SourceError> {
    let mut spec = spec("p.csv");
    spec.place = SourcePlace::Table { table: TableName("t".into()) };
    change(&mut spec);
    let batches = Box::new(batches.into_iter().map(Ok));
    let rows = TableRows { table: TableName("t".into()), schema: schema(), order, batches };
    let mut reader = open_table_source(&spec, rows, &Window::default())?;
    let mut read = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        read.push(batch);
    }
    Ok(concat_batches(&reader.schema(), &read).unwrap())
}

#[test]
fn a_table_is_read_as_files_of_its_rows_are() {
    let whole = panel(&mut Seed(3), 0, 50);
    let (first, last) = (whole.slice(0, 60), whole.slice(60, 90));
    let sorted = of_table(|_| (), vec![first.clone(), last.clone()], RowOrder::AsFiles).unwrap();
    assert_eq!(sorted, whole);
    let turned = || vec![last.clone(), first.clone()];
    let refused = of_table(|_| (), turned(), RowOrder::AsFiles).unwrap_err();
    assert_eq!(refused.code().0, "source-unsorted");
    assert!(refused.to_string().starts_with("source `table t`, column `time_index`, row 91"), "{refused}");
    for (sort, order) in [(true, RowOrder::AsFiles), (false, RowOrder::Any)] {
        assert_eq!(of_table(|it| it.sort = sort, turned(), order).unwrap(), whole);
    }
    let declared = |it: &mut SourceSpec| drop(it.columns.insert("volume".into(), column("float64")));
    let cast = of_table(declared, vec![first], RowOrder::AsFiles).unwrap();
    let types: Vec<String> = cast.schema().fields().iter().map(|it| it.data_type().to_string()).collect();
    assert_eq!(types, ["Float64"]);
    assert_eq!(of_table(|_| (), Vec::new(), RowOrder::Any).unwrap().num_rows(), 0);
    let files = source_files(
        &SourceSpec { place: SourcePlace::Table { table: TableName("t".into()) }, ..spec("p.csv") },
        Path::new("."),
    );
    assert_eq!(files.unwrap_err().code().0, "source-of-service");
}
