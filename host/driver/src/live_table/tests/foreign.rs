//! What DuckDB writes is what Tidemill reads, and writes on.

use serde_json::{Value as Json, json};
use tidemill_plan::WriteMode;
use tidemill_store::TableState;

use super::{Row, Service, batch, json as rows_json, name};

const ROWS: [Row; 4] =
    [(1_000, "a", Some(1.0)), (2_000, "a", Some(2.0)), (2_000, "b", None), (3_000, "a", Some(3.0))];

pub(super) async fn a_table_of_duckdb_is_read(service: Service) {
    service
        .duckdb(
            "connection.execute(\"CREATE TABLE lake.mine (time TIMESTAMPTZ, name VARCHAR, value DOUBLE, \
             more STRUCT(x INTEGER, y VARCHAR[]), big DECIMAL(20,3))\")\n\
             connection.execute(\"INSERT INTO lake.mine SELECT make_timestamptz(i), 'n' || i, i / 2, {'x': i, 'y': ['q']}, \
             i FROM range(5) t(i)\")\n\
             connection.execute(\"DELETE FROM lake.mine WHERE name = 'n3'\")",
        )
        .await;
    service.tables.refresh().await.unwrap();
    let mine = service.newest("mine").await;
    assert_eq!(mine.rows, 4);
    assert_eq!(mine.schema.field(4).data_type().to_string(), "Decimal128(20, 3)");
    let expected: Vec<Row> =
        vec![(0, "n0", Some(0.0)), (1, "n1", Some(0.5)), (2, "n2", Some(1.0)), (4, "n4", Some(2.0))];
    assert_eq!(service.read(&mine).await, rows_json(&expected));
    let again = service.newest("mine").await;
    assert_eq!(again.snapshot, mine.snapshot);
}

pub(super) async fn what_duckdb_changes_in_a_table_counts(service: Service) {
    let one = service.put("t", WriteMode::Upsert, &ROWS).await;
    service
        .duckdb(
            "connection.execute(\"INSERT INTO lake.t VALUES (make_timestamptz(1500), 'z', 9.5)\")\n\
             connection.execute(\"UPDATE lake.t SET value = 7 WHERE name = 'b'\")\n\
             connection.execute(\"DELETE FROM lake.t WHERE epoch_us(time) = 1000\")",
        )
        .await;
    let version = service.store.table_version(&name("t")).await.unwrap().unwrap();
    assert!(matches!(version.state, TableState::Foreign(_)), "{version:?}");
    // An attempt that began before is refused, and says why.
    let late = service.write("t", WriteMode::Upsert, vec![batch(&[(9_000, "a", None)])]).await.unwrap();
    let refused = service.commit(&[late]).await.unwrap_err();
    assert_eq!(refused.problem().code.0, "table-conflict");
    assert!(refused.to_string().contains("written by another program"), "{refused}");
    service.tables.refresh().await.unwrap();

    let changed: Vec<Row> = vec![
        (1_500, "z", Some(9.5)),
        (2_000, "a", Some(2.0)),
        (2_000, "b", Some(7.0)),
        (3_000, "a", Some(3.0)),
    ];
    let now = service.newest("t").await;
    assert_eq!(service.read(&now).await, rows_json(&changed));
    assert_eq!(now.time_index.as_deref(), Some("time"));
    assert_eq!(service.read(&service.at("t", one).await).await, rows_json(&ROWS));

    let mine = service.put("t", WriteMode::Upsert, &[(2_500, "b", Some(1.0))]).await;
    let mut after = changed.clone();
    after.insert(3, (2_500, "b", Some(1.0)));
    let now = service.newest("t").await;
    assert_eq!(now.catalog.as_ref().unwrap().version, Some(mine));
    assert_eq!(service.read(&now).await, rows_json(&after));
    assert_eq!(service.seen("t").await, rows_json(&after));
    // And DuckDB goes on from there.
    service.duckdb("connection.execute(\"DELETE FROM lake.t WHERE name = 'a'\")").await;
    after.retain(|it| it.1 != "a");
    assert_eq!(service.read(&service.newest("t").await).await, rows_json(&after));
    let history = service.store.table_history(&name("t"), None, 100).await.unwrap();
    let foreign = history.iter().filter(|it| it.origin.is_none()).count();
    assert_eq!((history.len(), foreign), (6, 4));
}

pub(super) async fn snapshots_that_duckdb_puts_into_one_file_are_told_apart(service: Service) {
    let one = service.put("t", WriteMode::Upsert, &ROWS[..2]).await;
    let two = service.put("t", WriteMode::Append, &ROWS[3..]).await;
    let (program, mut snapshots) = (
        "for i in (4, 5): connection.execute(f\"INSERT INTO lake.t VALUES (make_timestamptz({i}000), 'a', {i})\")\n\
         connection.execute(\"CALL ducklake_merge_adjacent_files('lake')\")\n\
         for i in (4, 5): connection.execute(f\"DELETE FROM lake.t WHERE value = {i}\")\n\
         query('SELECT snapshot_id FROM lake.snapshots() ORDER BY 1')",
        Vec::new(),
    );
    let answer: Json = serde_json::from_str(&service.duckdb(program).await).unwrap();
    snapshots
        .extend(answer.as_array().unwrap().iter().filter_map(|it| it[0].as_i64()).filter(|it| *it >= one));
    assert_eq!(snapshots.len(), 7);
    for snapshot in snapshots {
        let read = service.read(&service.at("t", snapshot).await).await;
        assert_eq!(read, service.seen_at("t", snapshot).await, "snapshot {snapshot}");
    }
    service.tables.refresh().await.unwrap();
    assert_eq!(service.read(&service.newest("t").await).await, service.seen("t").await);
    service.put("t", WriteMode::Upsert, &[(9_000, "z", None)]).await;
    assert_eq!(service.read(&service.newest("t").await).await, service.seen("t").await);
    assert!(two > one);
}

pub(super) async fn columns_that_duckdb_adds_and_renames_are_followed(service: Service) {
    service.put("t", WriteMode::Upsert, &ROWS[..1]).await;
    service
        .duckdb(
            "connection.execute('ALTER TABLE lake.t ADD COLUMN volume INTEGER')\n\
             connection.execute('ALTER TABLE lake.t RENAME COLUMN value TO price')\n\
             connection.execute(\"INSERT INTO lake.t VALUES (make_timestamptz(9), 'q', 1.25, 8)\")",
        )
        .await;
    service.tables.refresh().await.unwrap();
    let now = service.newest("t").await;
    let names: Vec<&str> = now.schema.fields().iter().map(|it| it.name().as_str()).collect();
    assert_eq!(names, ["time", "name", "price", "volume"]);
    let expected: Vec<Row> = vec![(9, "q", Some(1.25)), ROWS[0]];
    assert_eq!(service.read(&now).await, rows_json(&expected));
    // The pipeline still writes `value`: to it the old column is gone and a new one has come, both nullable.
    service.put("t", WriteMode::Upsert, &ROWS[1..2]).await;
    let all = "SELECT epoch_us(time), name, price, volume, value FROM lake.t ORDER BY time";
    let expected: Json =
        json!([[9, "q", 1.25, 8, null], [1_000, "a", 1.0, null, null], [2_000, "a", null, null, 2.0]]);
    assert_eq!(service.query(all).await, expected);
}

pub(super) async fn a_dropped_table_is_begun_anew(service: Service) {
    service.put("t", WriteMode::Append, &ROWS[..2]).await;
    service.duckdb("connection.execute('DROP TABLE lake.t')").await;
    service.tables.refresh().await.unwrap();
    assert!(service.tables.newest(&name("t")).await.unwrap().is_none());
    assert!(service.store.progress(&name("t")).await.unwrap().is_empty());
    service.put("t", WriteMode::Append, &ROWS[3..]).await;
    assert_eq!(service.seen("t").await, rows_json(&ROWS[3..]));
}

pub(super) async fn rows_that_break_the_index_are_refused(service: Service) {
    service.put("t", WriteMode::Upsert, &ROWS).await;
    service
        .duckdb("connection.execute(\"INSERT INTO lake.t VALUES (make_timestamptz(1000), 'a', 5)\")")
        .await;
    let refused = service.tables.newest(&name("t")).await.unwrap_err();
    assert_eq!(refused.code().0, "rows-duplicate");
}

pub(super) async fn tables_of_both_are_written_at_one_time(service: Service) {
    service.put("ours", WriteMode::Replace, &ROWS[..1]).await;
    // Snapshots of DuckDB's between ours. Where numbers meet, one of the two tries again; on SQLite, DuckDB does not by
    // itself.
    let inserts = "
def insist(sql):
    while True:
        try:
            return connection.execute(sql)
        except duckdb.TransactionException as e:
            if 'locked' not in str(e): raise
insist('CREATE TABLE lake.theirs (i INTEGER)')
for i in range(30): insist(f'INSERT INTO lake.theirs VALUES ({i})')";
    let theirs = service.duckdb(inserts);
    let ours = async {
        let mut snapshots = 0;
        for it in 0..60 {
            service.put("ours", WriteMode::Upsert, &[(5_000 + it, "a", None)]).await;
            snapshots += 1;
        }
        snapshots
    };
    let (_, snapshots) = tokio::join!(theirs, ours);
    assert_eq!(snapshots, 60);
    assert_eq!(service.query("SELECT count(*) FROM lake.theirs").await, json!([[30]]));
    assert_eq!(service.query("SELECT count(*) FROM lake.ours").await, json!([[61]]));
}
