//! Mirrors: what is wanted is what was committed last, what is behind is found, by whoever opens the store.

use std::time::Duration;

use tidemill_plan::{Code, Problem, TableName};

use super::Place;
use crate::{
    MirrorCounts, MirrorFilter, MirrorRow, MirrorWish, Mirrored, Patience, Store, StoreError, want_mirrors,
};

const SHORT: Patience = Patience::For(Duration::from_secs(5));

fn wish(target: &str, table: &str, version: Option<i64>) -> MirrorWish {
    let (pipeline, node) = ("p".to_owned(), "n".to_owned());
    MirrorWish { target: target.to_owned(), pipeline, node, table: TableName(table.to_owned()), version }
}

/// Wants these in one transaction that fails or not.
async fn want(
    store: &Store,
    wishes: Vec<MirrorWish>,
    outcome: Result<(), StoreError>,
) -> Result<(), StoreError> {
    store
        .write(SHORT, move |tx| {
            let (wishes, outcome) = (wishes.clone(), outcome.clone());
            Box::pin(async move {
                want_mirrors(tx, &wishes, Some(7), 100).await?;
                outcome
            })
        })
        .await
}

async fn listed(store: &Store, filter: MirrorFilter) -> Vec<String> {
    let rows = store.mirrors(&MirrorFilter { limit: 10, ..filter }).await.unwrap();
    let shown = |it: MirrorRow| format!("{} {}@{}", it.target, it.table, it.version);
    rows.into_iter().map(shown).collect()
}

fn mirrored(table: &str, version: i64) -> Mirrored {
    Mirrored { table: TableName(table.to_owned()), version, at: 200 }
}

fn behind() -> MirrorFilter {
    MirrorFilter { is_behind: true, ..MirrorFilter::default() }
}

pub(super) async fn what_is_wanted_last_is_wanted_and_only_with_its_commit(place: Place) {
    let store = place.open("h1").await;
    let refused = Problem::new(Code("table-conflict"), "refused", "").into();
    want(&store, vec![wish("s.a", "t", None)], Err(refused)).await.unwrap_err();
    assert!(listed(&store, MirrorFilter::default()).await.is_empty(), "its commit was refused");
    want(&store, vec![wish("s.a", "t", None), wish("s.b", "u", Some(3))], Ok(())).await.unwrap();
    assert_eq!(listed(&store, MirrorFilter::default()).await, ["s.a t@7", "s.b u@3"]);
    want(&store, vec![wish("s.a", "other", Some(5))], Ok(())).await.unwrap();
    assert_eq!(listed(&store, MirrorFilter::default()).await, ["s.a other@5", "s.b u@3"]);
    let after = MirrorFilter { after: Some("s.a".into()), ..MirrorFilter::default() };
    assert_eq!(listed(&store, after).await, ["s.b u@3"]);
    let of_table = MirrorFilter { table: Some(TableName("other".into())), ..MirrorFilter::default() };
    assert_eq!(listed(&store, of_table).await, ["s.a other@5"]);
    store.close().await;
}

pub(super) async fn what_a_mirror_lacks_is_found_by_the_next_host(place: Place) {
    let store = place.open("h1").await;
    want(&store, vec![wish("s.a", "t", Some(1)), wish("s.b", "u", Some(1))], Ok(())).await.unwrap();
    store.note_mirrored("s.a", mirrored("t", 1)).await.unwrap();
    assert_eq!(listed(&store, behind()).await, ["s.b u@1"]);
    let why = Problem::new(Code("mirror-refused"), "no", "do");
    store.note_mirror_failed("s.b", why, 300).await.unwrap();
    let counts = MirrorCounts { current: 1, behind: 0, failing: 1 };
    assert_eq!(store.mirror_counts().await.unwrap(), counts);
    let identity = store.identity().await.unwrap();
    store.close().await;

    let store = place.open("h2").await;
    assert_eq!(store.identity().await.unwrap(), identity);
    assert_eq!(identity.len(), 32, "{identity}");
    let row = store.mirror("s.b").await.unwrap().expect("it is wanted");
    let error = row.error.clone().expect("it failed");
    assert_eq!(
        (error.code.as_str(), error.what.as_str(), error.mend.as_str(), error.at),
        ("mirror-refused", "no", "do", 300)
    );
    assert!(row.is_behind() && row.mirrored.is_none());
    // What was mirrored is another version, or another table, than what is wanted by now.
    for (table, version) in [("t", 2), ("other", 1)] {
        want(&store, vec![wish("s.a", table, Some(version))], Ok(())).await.unwrap();
        let row = store.mirror("s.a").await.unwrap().expect("it is wanted");
        assert_eq!((row.is_behind(), row.mirrored), (true, Some(mirrored("t", 1))));
        assert_eq!(listed(&store, behind()).await.len(), 2);
    }
    store.note_mirrored("s.b", mirrored("u", 1)).await.unwrap();
    let row = store.mirror("s.b").await.unwrap().expect("it is wanted");
    assert_eq!((row.is_behind(), row.error), (false, None));
    let counts = MirrorCounts { current: 1, behind: 1, failing: 0 };
    assert_eq!(store.mirror_counts().await.unwrap(), counts);
    store.close().await;
}

pub(super) async fn a_version_that_is_gone_gives_way_unless_another_is_wanted(place: Place) {
    let store = place.open("h1").await;
    want(&store, vec![wish("s.a", "t", Some(1))], Ok(())).await.unwrap();
    let gone = store.mirror("s.a").await.unwrap().expect("it is wanted");
    store.want_instead(&gone, 4).await.unwrap();
    assert_eq!(listed(&store, behind()).await, ["s.a t@4"]);
    store.want_instead(&gone, 3).await.unwrap();
    assert_eq!(listed(&store, behind()).await, ["s.a t@4"]);
    assert_eq!(store.mirror("s.b").await.unwrap(), None);
    store.close().await;
}
