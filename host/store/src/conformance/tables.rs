//! Tables: what is committed is found, now and later; who comes second is refused; what was read is known.

use serde_json::json;
use tidemill_plan::{Digest, TableName, Time, Window, WriteMode};

use super::Place;
use crate::{
    CatalogCommit, ColumnBounds, Direction, Expiry, FileColumn, FileFacts, KeyTime, Origin, Patience,
    ProgressChange, ReadVersion, Store, StoreError, TableColumn, TableFile, TableFilter, TableState,
    TableVersion, TableWrite, commit_tables,
};
use std::time::Duration;

const SHORT: Patience = Patience::For(Duration::from_secs(5));
const SECOND: i64 = 1_000_000_000;
const BEGAN: i64 = 1_700_000_000 * SECOND;

async fn opened(place: &Place) -> Store {
    let store = place.open("h1").await;
    store.init_catalog("/lake", BEGAN).await.unwrap();
    store
}

fn name(text: &str) -> TableName {
    TableName(text.to_owned())
}

/// A table of one column whose files have these names; the first is not new where there are several.
fn write(table: &str, base: Option<i64>, files: &[&str]) -> TableWrite {
    let facts = |file: &str| FileFacts {
        rows: 2,
        bytes: 100,
        footer_bytes: 40,
        columns: vec![FileColumn {
            id: 1,
            bytes: 30,
            values: 2,
            nulls: 0,
            min: Some(file.to_owned()),
            max: Some(file.to_owned()),
            has_nan: None,
        }],
    };
    let bounds = ColumnBounds { id: 1, has_null: false, has_nan: None, min: None, max: None };
    TableWrite {
        name: name(table),
        base,
        columns: vec![TableColumn {
            id: 1,
            parent: None,
            name: "it's".into(),
            data_type: "varchar".into(),
            is_nullable: true,
        }],
        bounds: vec![bounds],
        files: files.iter().map(|it| TableFile { path: (*it).to_owned(), facts: Some(facts(it)) }).collect(),
        rows: 2,
        bytes: 100,
        progress: ProgressChange::Is(Vec::new()),
        origin: Origin {
            digest: Digest::of(files.join(",").as_bytes()),
            cache_key: Digest::of(table.as_bytes()),
            run: "r1".into(),
            node: "n".into(),
            task: "t".into(),
            component: None,
            attempt: "r1-1".into(),
            mode: WriteMode::Append,
            window: Window { start: Some(Time(1)), end: None, as_of: Some(Time(2)) },
            metrics: json!({"it's": 1.5}),
            reads: Vec::new(),
        },
        manifest: format!("{{\"files\": {files:?}}}"),
    }
}

async fn commit(store: &Store, at: i64, tables: Vec<TableWrite>) -> Result<i64, StoreError> {
    let commit = CatalogCommit { at, author: "ada".into(), message: "run r1".into(), tables };
    store
        .write(SHORT, move |tx| {
            let commit = commit.clone();
            Box::pin(async move { commit_tables(tx, &commit).await })
        })
        .await
}

fn manifest(version: Option<TableVersion>) -> Option<String> {
    match version?.state {
        TableState::Ours(own) => own.manifest,
        TableState::Foreign(foreign) => panic!("{foreign:?}"),
    }
}

pub(super) async fn a_catalog_is_of_one_lake(place: Place) {
    let store = opened(&place).await;
    store.init_catalog("/lake/", BEGAN + 5).await.unwrap();
    let refused = store.init_catalog("/other", BEGAN).await.unwrap_err();
    assert_eq!(refused.problem().code.0, "lake-path-differs");
    assert_eq!(store.newest_snapshot().await.unwrap(), 0);
    store.close().await;
}

pub(super) async fn versions_are_found_now_and_at_any_time(place: Place) {
    let store = opened(&place).await;
    let t = name("t");
    assert!(store.table_version(&t).await.unwrap().is_none());
    let one = commit(&store, BEGAN + SECOND, vec![write("t", None, &["a"])]).await.unwrap();
    let two = commit(&store, BEGAN + 2 * SECOND, vec![write("t", Some(one), &["a", "b"])]).await.unwrap();
    // The clock has gone back; the order has not.
    let three =
        commit(&store, BEGAN, vec![write("u", None, &["c"]), write("t", Some(two), &["d"])]).await.unwrap();
    assert_eq!([one, two, three], [1, 2, 3]);
    let now = store.table_version(&t).await.unwrap().unwrap();
    assert_eq!((now.version, now.name.0.as_str()), (three, "t"));
    let TableState::Ours(own) = now.state else { panic!("another's") };
    assert_eq!(own.origin.window, Window { start: Some(Time(1)), end: None, as_of: Some(Time(2)) });
    assert_eq!((own.origin.metrics, own.rows), (json!({"it's": 1.5}), 2));
    for (at, files) in [(1, "[\"a\"]"), (2, "[\"a\", \"b\"]"), (3, "[\"d\"]"), (99, "[\"d\"]")] {
        let found = manifest(store.table_at(&t, at).await.unwrap());
        assert_eq!(found, Some(format!("{{\"files\": {files}}}")), "at {at}");
    }
    assert!(store.table_at(&t, 0).await.unwrap().is_none());
    let at = |seconds: i64| BEGAN + seconds * SECOND + SECOND / 2;
    assert!(store.table_at_time(&t, at(0)).await.unwrap().is_none());
    assert_eq!(store.table_at_time(&t, at(1)).await.unwrap().unwrap().version, one);
    assert_eq!(store.table_at_time(&t, at(9)).await.unwrap().unwrap().version, three);
    let history = store.table_history(&t, None, 9).await.unwrap();
    assert_eq!(history.iter().map(|it| it.version).collect::<Vec<_>>(), [3, 2, 1]);
    assert!(history.windows(2).all(|it| it[0].committed_at > it[1].committed_at));
    let part = store.table_history(&t, Some(3), 1).await.unwrap();
    assert_eq!(part.iter().map(|it| it.version).collect::<Vec<_>>(), [2]);
    assert!(store.has_snapshot(3).await.unwrap() && !store.has_snapshot(4).await.unwrap());
    let both = store.table_versions(&[&name("u"), &name("none"), &t]).await.unwrap();
    assert_eq!(both.iter().map(|it| it.name.0.as_str()).collect::<Vec<_>>(), ["t", "u"]);
    store.close().await;
}

pub(super) async fn a_table_that_changed_meanwhile_is_a_conflict(place: Place) {
    let store = opened(&place).await;
    let one = commit(&store, BEGAN, vec![write("t", None, &["a"])]).await.unwrap();
    commit(&store, BEGAN, vec![write("t", Some(one), &["a", "b"])]).await.unwrap();
    for base in [None, Some(one), Some(77)] {
        let refused = commit(&store, BEGAN, vec![write("u", None, &["x"]), write("t", base, &["c"])]).await;
        assert_eq!(refused.unwrap_err().problem().code.0, "table-conflict");
    }
    assert!(store.table_version(&name("u")).await.unwrap().is_none(), "all or nothing");
    let refused = commit(&store, BEGAN, vec![write("none", Some(1), &["c"])]).await.unwrap_err();
    assert!(refused.to_string().contains("and is no table now"), "{refused}");
    assert_eq!(commit(&store, BEGAN, Vec::new()).await.unwrap(), 2);
    store.close().await;
}

pub(super) async fn what_another_program_does_to_a_table_is_seen(place: Place) {
    let store = opened(&place).await;
    let one = commit(&store, BEGAN, vec![write("t", None, &["a", "b"])]).await.unwrap();
    let theirs = |sql: &'static str| {
        store.write(SHORT, move |tx| {
            Box::pin(async move {
                let snapshot = "INSERT INTO ducklake_snapshot SELECT snapshot_id + 1, snapshot_time, schema_version, \
                                next_catalog_id, next_file_id + 1 FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1";
                tx.execute(snapshot, &[]).await?;
                tx.execute(sql, &[]).await
            })
        })
    };
    theirs("DELETE FROM ducklake_snapshot_changes WHERE snapshot_id = 77").await.unwrap();
    let own = store.table_version(&name("t")).await.unwrap().unwrap();
    assert!(matches!(own.state, TableState::Ours(_)), "their snapshot was of another table");
    assert_eq!(own.version, one);
    theirs("UPDATE ducklake_data_file SET end_snapshot = 3 WHERE data_file_id = 1").await.unwrap();
    let foreign = store.table_version(&name("t")).await.unwrap().unwrap();
    assert_eq!(foreign.version, 3);
    let TableState::Foreign(state) = foreign.state else { panic!("not ours any more") };
    assert_eq!(state.files.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["/lake/main/t/a"]);
    assert_eq!((state.columns.len(), state.column_id_next), (1, 2));
    assert!(state.manifest_before.is_some_and(|it| it.contains("\"a\"")));
    let refused = commit(&store, BEGAN, vec![write("t", Some(one), &["c"])]).await.unwrap_err();
    assert!(refused.to_string().contains("written by another program"), "{refused}");
    // What was before it is still ours.
    assert!(manifest(store.table_at(&name("t"), 2).await.unwrap()).is_some());
    // That a file is missing shows even when nothing is left that says when it went.
    theirs("DELETE FROM ducklake_data_file WHERE data_file_id = 1").await.unwrap();
    let foreign = store.table_version(&name("t")).await.unwrap().unwrap();
    assert!(matches!(foreign.state, TableState::Foreign(_)));
    let four = commit(&store, BEGAN, vec![write("t", Some(foreign.version), &["a", "c"])]).await.unwrap();
    let own = store.table_version(&name("t")).await.unwrap().unwrap();
    assert!(matches!(own.state, TableState::Ours(_)));
    assert_eq!(own.version, four);
    store.close().await;
}

pub(super) async fn progress_only_goes_forward(place: Place) {
    let store = opened(&place).await;
    let with = |base, progress| TableWrite { progress, ..write("t", base, &["a"]) };
    let key = |it: &str, last| KeyTime { identifiers: vec![it.to_owned(), "it's".to_owned()], last };
    let one =
        commit(&store, BEGAN, vec![with(None, ProgressChange::Is(vec![key("a", 5), key("b", 9)]))]).await;
    let next = ProgressChange::Reaches(vec![key("a", 7), key("b", 3), key("c", i64::MIN)]);
    let two = commit(&store, BEGAN, vec![with(Some(one.unwrap()), next)]).await.unwrap();
    let progress = store.progress(&name("t")).await.unwrap();
    assert_eq!(progress, [key("a", 7), key("b", 9), key("c", i64::MIN)]);
    commit(&store, BEGAN, vec![with(Some(two), ProgressChange::Is(vec![key("b", 1)]))]).await.unwrap();
    assert_eq!(store.progress(&name("t")).await.unwrap(), [key("b", 1)]);
    store.close().await;
}

pub(super) async fn what_was_read_is_followed_up_and_down(place: Place) {
    let store = opened(&place).await;
    let reading = |table: &str, base, read: &[(&str, Option<i64>)]| {
        let mut it = write(table, base, &["a"]);
        let reads = read.iter().map(|(table, version)| ReadVersion {
            table: name(table),
            version: *version,
            digest: Digest::of(table.as_bytes()),
        });
        it.origin.reads = reads.collect();
        it
    };
    let source = commit(&store, BEGAN, vec![reading("source", None, &[("file", None)])]).await.unwrap();
    let middle = vec![
        reading("left", None, &[("source", Some(source))]),
        reading("right", None, &[("source", Some(source))]),
    ];
    let middle = commit(&store, BEGAN, middle).await.unwrap();
    let end = reading("end", None, &[("left", Some(middle)), ("right", Some(middle))]);
    let end = commit(&store, BEGAN, vec![end]).await.unwrap();
    let shown = |related: Vec<crate::Related>| {
        let rows = related.iter();
        rows.map(|it| format!("{} {} {}", it.distance, it.reader.0, it.read.table.0)).collect::<Vec<_>>()
    };
    let up = store.lineage(&name("end"), None, Direction::Up).await.unwrap();
    assert_eq!(shown(up), ["1 end left", "1 end right", "2 left source", "2 right source", "3 source file"]);
    let down = store.lineage(&name("source"), None, Direction::Down).await.unwrap();
    assert_eq!(shown(down), ["1 left source", "1 right source", "2 end left", "2 end right"]);
    let of_one = store.lineage(&name("left"), Some(middle), Direction::Down).await.unwrap();
    assert_eq!((of_one.len(), of_one[0].reader_version), (1, end));
    let history = store.table_history(&name("end"), None, 9).await.unwrap();
    assert_eq!(history[0].origin.as_ref().unwrap().reads.len(), 2);
    store.close().await;
}

pub(super) async fn a_version_is_found_by_its_cache_key_until_it_expires(place: Place) {
    let store = opened(&place).await;
    let keyed = |base, key: &str, files: &[&str]| {
        let mut it = write("t", base, files);
        it.origin.cache_key = Digest::of(key.as_bytes());
        it
    };
    let one = commit(&store, BEGAN + SECOND, vec![keyed(None, "k1", &["a"])]).await.unwrap();
    let two = commit(&store, BEGAN + 2 * SECOND, vec![keyed(Some(one), "k2", &["b"])]).await.unwrap();
    let found = |key: &str| {
        let (store, key) = (store.clone(), Digest::of(key.as_bytes()));
        async move { store.valid_version(&name("t"), &key).await.unwrap().map(|it| it.version) }
    };
    assert_eq!([found("k1").await, found("k2").await, found("k3").await], [Some(one), Some(two), None]);
    let known = store.known_files(&name("t")).await.unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ["/lake/main/t/a", "/lake/main/t/b"]);
    let nothing = Expiry { before: BEGAN, versions_kept_min: 1 };
    assert_eq!(store.expire_snapshots(nothing).await.unwrap().snapshots, 0);
    let all = Expiry { before: i64::MAX, versions_kept_min: 1 };
    assert_eq!(store.expirable_snapshots(all).await.unwrap(), 2);
    let expired = store.expire_snapshots(all).await.unwrap();
    assert_eq!(store.expirable_snapshots(all).await.unwrap(), 0);
    assert_eq!((expired.snapshots, expired.files), (2, vec!["/lake/main/t/a".to_owned()]));
    assert_eq!([found("k1").await, found("k2").await], [None, Some(two)]);
    let history = store.table_history(&name("t"), None, 9).await.unwrap();
    assert_eq!(history.iter().map(|it| it.is_expired).collect::<Vec<_>>(), [false, true]);
    assert_eq!(store.known_files(&name("t")).await.unwrap().len(), 1);
    store.close().await;
}

pub(super) async fn tables_are_listed_by_name_page_by_page(place: Place) {
    let store = opened(&place).await;
    let tables = ["b_1", "a_1", "c%1", "a_2"].map(|it| {
        let mut write = write(it, None, &["f"]);
        write.origin.node = if it == "a_1" { "leg[window=60]".to_owned() } else { format!("node-{it}") };
        write
    });
    commit(&store, BEGAN, tables.to_vec()).await.unwrap();
    let list = |filter: TableFilter| {
        let store = store.clone();
        async move {
            let found = store.tables(&TableFilter { limit: 2, ..filter }).await.unwrap();
            found.into_iter().map(|it| it.name.0).collect::<Vec<_>>()
        }
    };
    let some = |it: &str| Some(it.to_owned());
    let all = TableFilter::default;
    assert_eq!(list(all()).await, ["a_1", "a_2"]);
    assert_eq!(list(TableFilter { after: Some(name("a_2")), ..all() }).await, ["b_1", "c%1"]);
    assert_eq!(list(TableFilter { containing: some("_1"), ..all() }).await, ["a_1", "b_1"]);
    assert_eq!(list(TableFilter { containing: some("A_"), ..all() }).await, ["a_1", "a_2"]);
    assert_eq!(list(TableFilter { containing: some("%"), ..all() }).await, ["c%1"]);
    assert_eq!(list(TableFilter { beginning: some("a_"), ..all() }).await, ["a_1", "a_2"]);
    assert_eq!(list(TableFilter { beginning: some("A_"), ..all() }).await, [""; 0]);
    for node in ["leg", "leg[window=60]"] {
        assert_eq!(list(TableFilter { node: some(node), ..all() }).await, ["a_1"]);
    }
    assert_eq!(list(TableFilter { node: some("le"), ..all() }).await, [""; 0]);
    assert_eq!(list(TableFilter { pipeline: some("p"), ..all() }).await, [""; 0]);
    store.close().await;
}

pub(super) async fn two_hosts_commit_in_turn(place: Place) {
    let one = opened(&place).await;
    let two = place.open("h2").await;
    let fill = |store: Store, table: &'static str| async move {
        let mut base = None;
        for it in 0..20 {
            let file = format!("f{it}");
            base = Some(commit(&store, BEGAN, vec![write(table, base, &[&file])]).await.unwrap());
        }
    };
    tokio::join!(fill(one.clone(), "t"), fill(two.clone(), "u"));
    assert_eq!(one.newest_snapshot().await.unwrap(), 40);
    one.close().await;
    two.close().await;
}
