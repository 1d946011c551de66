//! Old snapshots, orphans and small files go; everything that counts stays.

use std::time::Duration;

use serde_json::json;
use tidemill_plan::WriteMode;
use tidemill_store::{Expiry, Wanted};

use super::{Row, Service, batch, json as rows_json, name};
use crate::live_table::{Sweep, compact, expire, sweep};

fn rows(from: i64, to: i64) -> Vec<Row> {
    (from..to).map(|it| (it, "a", Some(it as f64))).collect()
}

fn files(service: &Service, table: &str) -> usize {
    std::fs::read_dir(service.lake.root().unwrap().join("main").join(table)).unwrap().count()
}

pub(super) async fn expired_snapshots_take_their_files_along(service: Service) {
    let one = service.put("t", WriteMode::Replace, &rows(0, 10)).await;
    let two = service.put("t", WriteMode::Replace, &rows(5, 20)).await;
    service.put("u", WriteMode::Replace, &rows(0, 1)).await;
    let three = service.put("t", WriteMode::Append, &rows(20, 25)).await;
    assert_eq!(files(&service, "t"), 3);
    let expiry = Expiry { before: i64::MAX, versions_kept_min: 2 };
    let swept = expire(&service.tables, &service.lake, expiry).await.unwrap();
    assert_eq!((swept.snapshots, swept.files), (3, 1));
    assert_eq!(files(&service, "t"), 2);
    let gone = service.store.table_at(&name("t"), one).await.unwrap();
    assert!(
        gone.is_none()
            || service.tables.manifest(gone.unwrap()).await.unwrap_err().code().0 == "snapshot-expired"
    );
    assert_eq!(service.seen_at("t", two).await, rows_json(&rows(5, 20)));
    assert_eq!(service.read(&service.at("t", two).await).await, rows_json(&rows(5, 20)));

    let expiry = Expiry { before: i64::MAX, versions_kept_min: 0 };
    let swept = expire(&service.tables, &service.lake, expiry).await.unwrap();
    // The file of version two is still in version three.
    assert_eq!((swept.snapshots, swept.files), (1, 0));
    assert_eq!(service.seen_at("t", three).await, rows_json(&rows(5, 25)));
    assert_eq!(service.seen("u").await, rows_json(&rows(0, 1)));
    let history = service.store.table_history(&name("t"), None, 100).await.unwrap();
    let expired: Vec<bool> = history.iter().map(|it| it.is_expired).collect();
    assert_eq!(expired, [false, true, true]);
    service.put("t", WriteMode::Append, &rows(30, 31)).await;
    assert_eq!(service.query("SELECT count(*) FROM lake.t").await, json!([[21]]));
}

pub(super) async fn orphans_are_found_and_removed(service: Service) {
    service.put("t", WriteMode::Append, &rows(0, 10)).await;
    let lost = service.write("t", WriteMode::Append, vec![batch(&rows(10, 12))]).await.unwrap();
    assert_eq!(files(&service, "t"), 2);
    let day = Duration::from_secs(86_400);
    let (swept, _) = sweep(&service.tables, &service.lake, day, Sweep::Remove).await.unwrap();
    assert_eq!(swept.files, 0, "it may still be on its way to a commit");
    let run = lost.0.attempt.rsplit_once('-').unwrap().0.to_owned();
    service.submit(&run).await;
    let (_, orphans) = sweep(&service.tables, &service.lake, Duration::ZERO, Sweep::Look).await.unwrap();
    assert_eq!(orphans, [], "its run has not ended");
    service.store.want(run, Wanted::Cancel, 2).await.unwrap();
    let (_, orphans) = sweep(&service.tables, &service.lake, Duration::ZERO, Sweep::Look).await.unwrap();
    assert_eq!(orphans.len(), 1);
    assert!(orphans[0].path.ends_with(&lost.0.parts.last().unwrap().file));
    assert_eq!(files(&service, "t"), 2);
    let (swept, _) = sweep(&service.tables, &service.lake, Duration::ZERO, Sweep::Remove).await.unwrap();
    assert_eq!((swept.files, swept.bytes), (1, orphans[0].bytes));
    assert_eq!(service.read(&service.newest("t").await).await, rows_json(&rows(0, 10)));
    // What DuckDB wrote is known as well.
    service.duckdb("connection.execute('CREATE TABLE lake.u AS SELECT 1 AS i')").await;
    service
        .duckdb("connection.execute('INSERT INTO lake.t VALUES (make_timestamptz(99), chr(98), 1)')")
        .await;
    let (_, orphans) = sweep(&service.tables, &service.lake, Duration::ZERO, Sweep::Look).await.unwrap();
    assert_eq!(orphans, []);
}

pub(super) async fn small_parts_are_put_together(service: Service) {
    service.put("t", WriteMode::Append, &rows(0, 64)).await;
    service.put("t", WriteMode::Append, &rows(64, 80)).await;
    let three = service.put("t", WriteMode::Append, &rows(80, 84)).await;
    let before = service.newest("t").await;
    assert_eq!(before.parts.len(), 3);
    let done =
        compact(&service.tables, &service.lake, &name("t"), "compact-1".into(), 5).await.unwrap().unwrap();
    assert_eq!((done.parts_before, done.parts_after), (3, 1));
    let after = service.newest("t").await;
    assert_eq!(after.snapshot, before.snapshot);
    assert_eq!(after.catalog.as_ref().unwrap().version, done.version);
    assert_eq!(service.read(&after).await, rows_json(&rows(0, 84)));
    assert_eq!(service.seen("t").await, rows_json(&rows(0, 84)));
    assert_eq!(service.seen_at("t", three).await, rows_json(&rows(0, 84)));
    let key = before.provenance.cache_key;
    let valid = service.store.valid_version(&name("t"), &key).await.unwrap().unwrap();
    assert_eq!(Some(valid.version), done.version);
    assert_eq!(service.store.progress(&name("t")).await.unwrap()[0].last, 83_000);
    let again =
        compact(&service.tables, &service.lake, &name("t"), "compact-2".into(), 5).await.unwrap().unwrap();
    assert_eq!(again.version, None);
    service.put("t", WriteMode::Append, &rows(84, 85)).await;
    assert_eq!(service.seen("t").await, rows_json(&rows(0, 85)));
}
