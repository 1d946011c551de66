//! What Tidemill writes is what DuckDB reads, now and at every snapshot before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array as _, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Value as Json, json};
use tidemill_plan::WriteMode;

use super::{Row, Service, batch, json as rows_json, name};

pub(super) async fn duckdb_reads_what_was_replaced(service: Service) {
    let first: [Row; 3] = [(1_000_000, "a", Some(1.5)), (1_000_000, "b", None), (2_000_000, "a", Some(-2.0))];
    let second: [Row; 1] = [(3_000_000, "c", Some(f64::MIN_POSITIVE))];
    let one = service.put("prices_1", WriteMode::Replace, &first).await;
    let none = service.put("prices_1", WriteMode::Replace, &[]).await;
    let two = service.put("prices_1", WriteMode::Replace, &second).await;
    assert!(two > none && none > one);
    let now = service.newest("prices_1").await;
    assert_eq!(service.read(&now).await, rows_json(&second));
    assert_eq!(service.seen("prices_1").await, rows_json(&second));
    // Least and greatest values of the table hold for its older snapshots too, or DuckDB reads those wrongly.
    assert_eq!(service.seen_at("prices_1", one).await, rows_json(&first));
    assert_eq!(service.seen_at("prices_1", none).await, json!([]));
    let before = service.at("prices_1", one).await;
    assert_eq!(service.read(&before).await, rows_json(&first));
    let counts = format!(
        "SELECT (SELECT count(*) FROM lake.prices_1), (SELECT count(*) FROM lake.prices_1 AT (VERSION => {one})), \
         (SELECT max(value) FROM lake.prices_1 AT (VERSION => {one})), (SELECT count(*) FROM lake.prices_1 WHERE value IS NULL)"
    );
    assert_eq!(service.query(&counts).await, json!([[1, 3, 1.5, 0]]));
    let history = "SELECT author, commit_message FROM lake.snapshots() WHERE snapshot_id = 1";
    assert_eq!(service.query(history).await, json!([["ada", "run 7"]]));
}

/// xorshift: tests need variety, not quality.
struct Seed(u64);

impl Seed {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

type Model = BTreeMap<(i64, &'static str), Option<f64>>;

fn rows_of(model: &Model) -> Vec<Row> {
    model.iter().map(|((time, name), value)| (*time, *name, *value)).collect()
}

pub(super) async fn additions_come_out_as_in_a_map(service: Service) {
    let mut seed = Seed(17);
    let mut model = Model::new();
    let mut versions = Vec::new();
    for _ in 0..40 {
        // Mostly at the end, now and then anywhere.
        let from =
            if seed.below(3) > 0 { model.keys().last().map_or(0, |it| it.0) } else { seed.below(400) as i64 };
        let mut new = Model::new();
        for _ in 0..=seed.below(12) {
            let time = from + seed.below(8) as i64;
            new.insert((time, ["a", "b", "c"][seed.below(3) as usize]), Some(seed.below(100) as f64));
        }
        let version = service.put("panel", WriteMode::Upsert, &rows_of(&new)).await;
        model.extend(new);
        versions.push((version, rows_of(&model)));
        let now = service.newest("panel").await;
        assert_eq!(service.read(&now).await, rows_json(&rows_of(&model)));
        assert_eq!(now.rows, model.len() as u64);
        assert!(now.parts.len() <= 16, "{} parts", now.parts.len());
    }
    assert_eq!(service.seen("panel").await, rows_json(&rows_of(&model)));
    for (version, rows) in versions.iter().step_by(13) {
        assert_eq!(service.seen_at("panel", *version).await, rows_json(rows));
        assert_eq!(service.read(&service.at("panel", *version).await).await, rows_json(rows));
    }
}

pub(super) async fn an_addition_at_the_end_leaves_older_files_alone(service: Service) {
    let row = |it: i64| (it, "a", Some(1.0));
    let long: Vec<Row> = (0..1_000).map(row).collect();
    service.put("long", WriteMode::Append, &long).await;
    let first = service.newest("long").await.parts[0].file.clone();
    let mut written = BTreeSet::new();
    for it in 1_000..1_064 {
        service.put("long", WriteMode::Append, &[row(it)]).await;
        let parts = service.newest("long").await.parts;
        assert_eq!(parts[0].file, first);
        // One large part, and of the single rows as many parts as 64 has binary digits.
        assert!(parts.len() <= 8, "{} parts", parts.len());
        written.extend(parts.into_iter().map(|it| it.file));
    }
    let again = service.write("long", WriteMode::Append, vec![batch(&[row(5)])]).await.unwrap_err();
    assert_eq!(again.code().0, "rows-already-there");
    let all: Vec<Row> = (0..1_064).map(row).collect();
    assert_eq!(service.seen("long").await, rows_json(&all));
    // The column's values are in one range, and so is what is known of them.
    let files = "SELECT count(*) FROM ducklake_list_files('lake', 'long')";
    let parts = service.newest("long").await.parts.len();
    assert_eq!(service.query(files).await, json!([[parts]]));
}

pub(super) async fn nothing_written_is_no_version(service: Service) {
    let one = service.put("t", WriteMode::Append, &[(1, "a", None)]).await;
    let written = service.write("t", WriteMode::Append, vec![batch(&[])]).await.unwrap();
    assert_eq!(written.0.catalog.as_ref().unwrap().version, Some(one));
    assert_eq!(service.commit(&[written]).await.unwrap(), None);
    assert_eq!(service.newest("t").await.catalog.unwrap().version, Some(one));
}

pub(super) async fn tables_written_together_are_one_snapshot(service: Service) {
    let mut written = Vec::new();
    for it in 0..50 {
        let table = format!("t{it}");
        let rows = [(it, "a", Some(it as f64))];
        written.push(service.write(&table, WriteMode::Replace, vec![batch(&rows)]).await.unwrap());
    }
    let snapshot = service.commit(&written).await.unwrap().unwrap();
    assert_eq!(service.query("SELECT max(snapshot_id) FROM lake.snapshots()").await, json!([[snapshot]]));
    assert_eq!(service.seen("t49").await, rows_json(&[(49, "a", Some(49.0))]));
    assert_eq!(service.newest("t7").await.catalog.unwrap().version, Some(snapshot));
}

pub(super) async fn a_new_nullable_column_is_added(service: Service) {
    let one = service.put("t", WriteMode::Append, &[(1, "a", Some(1.0)), (2, "a", None)]).await;
    let wide = |volume: Field, values: Vec<Option<i64>>, time: i64| {
        let plain = batch(&[(time, "a", Some(2.0))]);
        let fields: Vec<Field> = plain.schema().fields().iter().map(|it| it.as_ref().clone()).collect();
        let schema = Schema::new([fields, vec![volume]].concat());
        let columns = [plain.columns().to_vec(), vec![Arc::new(Int64Array::from(values)) as _]].concat();
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    };
    let nullable = Field::new("volume", DataType::Int64, true);
    let wider = wide(nullable, vec![Some(7)], 3);
    let refused = wide(Field::new("volume", DataType::Int64, false), vec![Some(7)], 3);
    let refused = service.write("t", WriteMode::Append, vec![refused]).await.unwrap_err();
    assert_eq!(refused.code().0, "schema-differs");
    let said = refused.to_string();
    assert!(said.contains("expected columns `time`") && said.contains("`volume` Int64"), "{said}");
    let written = service.write("t", WriteMode::Append, vec![wider]).await.unwrap();
    let two = service.commit(&[written]).await.unwrap().unwrap();
    // A table without the column is added to as before.
    let three = service.put("t", WriteMode::Upsert, &[(4, "a", Some(4.0))]).await;
    let all = "SELECT epoch_us(time), value, volume FROM lake.t ORDER BY time";
    let expected = json!([[1, 1.0, null], [2, null, null], [3, 2.0, 7], [4, 4.0, null]]);
    assert_eq!(service.query(all).await, expected);
    let columns = format!("SELECT * FROM (DESCRIBE SELECT * FROM lake.t AT (VERSION => {one}))");
    assert_eq!(service.query(&columns).await.as_array().unwrap().len(), 3);
    let now = service.newest("t").await;
    assert_eq!(now.catalog.as_ref().unwrap().version, Some(three));
    assert_eq!(now.schema.fields().len(), 4);
    let lake = service.lake.clone();
    let volumes = tokio::task::spawn_blocking(move || {
        let reader = lake.reader(&now, tidemill_lake::ReadOptions::default()).unwrap();
        reader.map(|it| it.unwrap().column(3).null_count()).sum::<usize>()
    });
    assert_eq!(volumes.await.unwrap(), 3);
    assert!(two < three);
}

pub(super) async fn another_type_is_a_new_column_when_the_table_is_replaced(service: Service) {
    let one = service.put("t", WriteMode::Replace, &[(1, "a", Some(1.0))]).await;
    let plain = batch(&[(5, "b", None)]);
    let mut fields: Vec<Field> = plain.schema().fields().iter().map(|it| it.as_ref().clone()).collect();
    fields[2] = Field::new("value", DataType::Int64, true);
    let mut columns = plain.columns().to_vec();
    columns[2] = Arc::new(Int64Array::from(vec![Some(i64::MAX)]));
    let other = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let refused = service.write("t", WriteMode::Upsert, vec![other.clone()]).await.unwrap_err();
    assert_eq!(refused.code().0, "schema-differs");
    let written = service.write("t", WriteMode::Replace, vec![other]).await.unwrap();
    assert_eq!(written.0.catalog.as_ref().unwrap().column_ids, [1, 2, 4]);
    service.commit(&[written]).await.unwrap();
    assert_eq!(service.seen("t").await, json!([[5, "b", i64::MAX]]));
    assert_eq!(service.seen_at("t", one).await, json!([[1, "a", 1.0]]));
}

pub(super) async fn who_comes_second_starts_again(service: Service) {
    service.put("t", WriteMode::Append, &[(1, "a", None)]).await;
    let slow = service.write("t", WriteMode::Append, vec![batch(&[(2, "a", None)])]).await.unwrap();
    let quick = service.write("t", WriteMode::Append, vec![batch(&[(3, "a", None)])]).await.unwrap();
    service.commit(&[quick]).await.unwrap();
    let refused = service.commit(std::slice::from_ref(&slow)).await.unwrap_err();
    assert_eq!(refused.problem().code.0, "table-conflict");
    let said = refused.to_string();
    assert!(said.contains("table `t` was version 1 when it was read, and is version 2 now"), "{said}");
    service.lake.discard(&slow.0, Some(&service.newest("t").await));
    let again = service.write("t", WriteMode::Append, vec![batch(&[(2, "a", None)])]).await.unwrap();
    service.commit(&[again]).await.unwrap();
    assert_eq!(service.seen("t").await, rows_json(&[(1, "a", None), (2, "a", None), (3, "a", None)]));
}

pub(super) async fn progress_follows_the_commits(service: Service) {
    service.put("t", WriteMode::Upsert, &[(1_000, "a", None), (2_000, "b", None)]).await;
    service.put("t", WriteMode::Upsert, &[(1_500, "b", None), (3_000, "c", None)]).await;
    let progress = service.store.progress(&name("t")).await.unwrap();
    let shown: Vec<Json> = progress.iter().map(|it| json!([it.identifiers, it.last])).collect();
    // Nanoseconds; a late row of `b` takes nothing back.
    assert_eq!(shown, [json!([["a"], 1_000_000]), json!([["b"], 2_000_000]), json!([["c"], 3_000_000])]);
    service.put("t", WriteMode::Replace, &[(500, "d", None)]).await;
    let progress = service.store.progress(&name("t")).await.unwrap();
    assert_eq!(progress.len(), 1);
}
