//! Runs: what is kept of them, who may write it.

use std::collections::BTreeMap;

use serde_json::json;

use super::Place;
use crate::writer::Patience;
use crate::{Append, Claim, Link, NewRun, Note, RunFilter, RunStatus, Store, StoreError, Wanted, Wish};

fn new_run(id: &str, created_at: i64) -> NewRun {
    NewRun {
        id: id.to_owned(),
        pipeline: "etf".to_owned(),
        version: 3,
        priority: 0,
        created_at,
        created_by: "ann".to_owned(),
        description: "smaller penalty".to_owned(),
        labels: BTreeMap::from([("desk".to_owned(), "rates".to_owned())]),
        links: Vec::new(),
        idempotency_key: None,
        request: json!({"set": {"alpha": 1e-4}}),
        pins: BTreeMap::new(),
        claim: Claim::Anywhere,
    }
}

fn part(run: &str, seq: i64, status: RunStatus) -> Append {
    Append {
        run: run.to_owned(),
        seq,
        entries: format!("[{seq}]"),
        status,
        began_at: Some(5),
        ended_at: status.is_ended().then_some(9),
        summary: json!({"succeeded": seq}).to_string(),
        record: status.is_ended().then(|| "{}".to_owned()),
    }
}

async fn append(store: &Store, part: Append) -> Result<(), StoreError> {
    let host = store.host();
    store
        .write(Patience::Always, move |tx| {
            let (host, part) = (host.clone(), part.clone());
            Box::pin(async move { crate::append(tx, &host, &part).await })
        })
        .await
}

fn ids(runs: &[crate::RunRow]) -> Vec<&str> {
    runs.iter().map(|it| it.id.as_str()).collect()
}

pub(super) async fn a_run_is_kept_claimed_journalled_and_ended(place: Place) {
    let store = place.open("h1").await;
    store.submit(new_run("r1", 10)).await.unwrap();
    let claimed = store.claim(10).await.unwrap();
    assert_eq!(ids(&claimed), ["r1"]);
    assert_eq!(ids(&store.claim(10).await.unwrap()), [""; 0], "it has an owner now");
    append(&store, part("r1", 0, RunStatus::Running)).await.unwrap();
    append(&store, part("r1", 1, RunStatus::Succeeded)).await.unwrap();
    let run = store.run("r1").await.unwrap().unwrap();
    assert_eq!((run.status, run.began_at, run.ended_at), (RunStatus::Succeeded, Some(5), Some(9)));
    assert_eq!(run.summary, Some(json!({"succeeded": 1})));
    assert_eq!(run.request, json!({"set": {"alpha": 1e-4}}));
    assert_eq!(run.labels["desk"], "rates");
    let record = store.record("r1").await.unwrap();
    let entries = store.journal_from("r1", 0).await.unwrap();
    assert_eq!((record.as_deref(), entries.join("")), (Some("{}"), "[0][1]".to_owned()));
    store.close().await;
}

pub(super) async fn one_idempotency_key_is_one_run(place: Place) {
    let store = place.open("h1").await;
    let keyed =
        |id: &str, request| NewRun { idempotency_key: Some("k".to_owned()), request, ..new_run(id, 10) };
    assert_eq!(store.submit(keyed("r1", json!(1))).await.unwrap().id, "r1");
    assert_eq!(store.submit(keyed("r2", json!(1))).await.unwrap().id, "r1");
    let other = store.submit(keyed("r3", json!(2))).await.unwrap_err();
    assert_eq!(other.problem().code.0, "idempotency-conflict");
    assert_eq!(ids(&store.runs(&RunFilter { limit: 9, ..RunFilter::default() }).await.unwrap()), ["r1"]);
    store.close().await;
}

pub(super) async fn a_run_is_appended_to_by_its_owner_only_and_in_order(place: Place) {
    let (one, two) = (place.open("h1").await, place.open("h2").await);
    one.submit(new_run("r1", 10)).await.unwrap();
    one.claim(1).await.unwrap();
    let stranger = append(&two, part("r1", 0, RunStatus::Running)).await.unwrap_err();
    assert!(matches!(stranger, StoreError::NotOwner { .. }), "{stranger}");
    append(&one, part("r1", 0, RunStatus::Running)).await.unwrap();
    let again = append(&one, part("r1", 0, RunStatus::Failed)).await.unwrap_err();
    assert!(matches!(again, StoreError::Statement { .. }), "{again}");
    assert_eq!(one.run("r1").await.unwrap().unwrap().status, RunStatus::Running, "undone as a whole");
    one.release("r1".to_owned(), one.host()).await.unwrap();
    assert_eq!(ids(&two.claim(1).await.unwrap()), ["r1"]);
    append(&two, part("r1", 1, RunStatus::Running)).await.unwrap();
    one.close().await;
    two.close().await;
}

pub(super) async fn runs_are_listed_newest_first_page_by_page(place: Place) {
    let store = place.open("h1").await;
    for (id, at) in [("a", 1), ("b", 2), ("c", 2), ("d", 3)] {
        store.submit(new_run(id, at)).await.unwrap();
    }
    let page = |before| RunFilter { before, limit: 2, ..RunFilter::default() };
    assert_eq!(ids(&store.runs(&page(None)).await.unwrap()), ["d", "c"]);
    assert_eq!(ids(&store.runs(&page(Some((2, "c".to_owned())))).await.unwrap()), ["b", "a"]);
    let since = RunFilter { since: Some(3), limit: 9, ..RunFilter::default() };
    assert_eq!(ids(&store.runs(&since).await.unwrap()), ["d"]);
    let other = RunFilter { pipeline: Some("other".to_owned()), limit: 9, ..RunFilter::default() };
    assert!(store.runs(&other).await.unwrap().is_empty());
    let failed = RunFilter { status: Some(RunStatus::Failed), limit: 9, ..RunFilter::default() };
    assert!(store.runs(&failed).await.unwrap().is_empty());
    assert_eq!(ids(&store.runs_beginning("c").await.unwrap()), ["c"]);
    assert_eq!(store.run_counts().await.unwrap()["queued"], 4);
    store.close().await;
}

pub(super) async fn runs_are_claimed_by_priority_then_age(place: Place) {
    let store = place.open("h1").await;
    for (id, at, priority) in [("old", 1, 0), ("new", 2, 0), ("urgent", 3, 5)] {
        store.submit(NewRun { priority, ..new_run(id, at) }).await.unwrap();
    }
    assert_eq!(ids(&store.claim(2).await.unwrap()), ["urgent", "old"]);
    assert_eq!(ids(&store.claim(2).await.unwrap()), ["new"]);
    store.close().await;
}

pub(super) async fn notes_are_kept_in_order(place: Place) {
    let store = place.open("h1").await;
    store.submit(new_run("r1", 10)).await.unwrap();
    for (at, text) in [(9, "first"), (3, "second")] {
        let note = Note { at, who: "ann".to_owned(), text: text.to_owned() };
        store.add_note("r1".to_owned(), note).await.unwrap();
    }
    let texts: Vec<String> = store.notes("r1").await.unwrap().into_iter().map(|it| it.text).collect();
    assert_eq!(texts, ["first", "second"]);
    let note = Note { at: 1, who: String::new(), text: String::new() };
    let unknown = store.add_note("r2".to_owned(), note).await.unwrap_err();
    assert_eq!(unknown.problem().code.0, "unknown-run");
    store.close().await;
}

pub(super) async fn links_are_kept_with_a_run_and_added_to_it(place: Place) {
    let store = place.open("h1").await;
    let link =
        |at, url: &str| Link { at, who: "ann".to_owned(), title: "it's".to_owned(), url: url.to_owned() };
    let links = vec![link(10, "https://a"), link(10, "https://b")];
    store.submit(NewRun { links: links.clone(), ..new_run("r1", 10) }).await.unwrap();
    store.submit(new_run("r2", 10)).await.unwrap();
    store.add_link("r1".to_owned(), link(3, "https://c")).await.unwrap();
    assert_eq!(store.links("r1").await.unwrap(), [links, vec![link(3, "https://c")]].concat());
    assert_eq!(store.links("r2").await.unwrap(), []);
    let unknown = store.add_link("r3".to_owned(), link(1, "https://a")).await.unwrap_err();
    assert_eq!(unknown.problem().code.0, "unknown-run");
    store.close().await;
}

pub(super) async fn records_of_ended_runs_are_found_by_what_they_hold(place: Place) {
    let store = place.open("h1").await;
    for (id, at) in [("r1", 3), ("r2", 2), ("r3", 4)] {
        store.submit(new_run(id, at)).await.unwrap();
    }
    store.claim(10).await.unwrap();
    let record = |text: &str| Some(format!("{{\"{text}\":1}}"));
    for (run, text, status) in [
        ("r1", "other", RunStatus::Failed),
        ("r2", "sought", RunStatus::Running),
        ("r3", "sought", RunStatus::Failed),
    ] {
        let ended_at = status.is_ended().then_some(9);
        append(&store, Append { record: record(text), ended_at, ..part(run, 0, status) }).await.unwrap();
    }
    let found = |after: &'static str| store.ended_records(after, "\"sought\"", 5);
    assert_eq!(found("").await.unwrap(), [("r3".to_owned(), record("sought").unwrap())]);
    assert_eq!(found("r3").await.unwrap(), []);
    assert_eq!(store.unended_since().await.unwrap(), Some(2));
    append(&store, part("r2", 1, RunStatus::Succeeded)).await.unwrap();
    assert_eq!(store.unended_since().await.unwrap(), None);
    store.close().await;
}

pub(super) async fn a_cancel_is_for_good(place: Place) {
    let store = place.open("h1").await;
    store.submit(new_run("r1", 10)).await.unwrap();
    store.claim(1).await.unwrap();
    for wanted in [Wanted::Pause, Wanted::Cancel, Wanted::Run] {
        assert_eq!(store.want("r1".to_owned(), wanted, 7).await.unwrap(), Wish::Noted);
    }
    assert_eq!(store.wishes().await.unwrap()["r1"], Wanted::Cancel);
    append(&store, part("r1", 0, RunStatus::Cancelled)).await.unwrap();
    let late = store.want("r1".to_owned(), Wanted::Run, 7).await.unwrap();
    assert_eq!(late, Wish::AlreadyEnded(RunStatus::Cancelled));
    assert_eq!(
        store.want("r2".to_owned(), Wanted::Run, 7).await.unwrap_err().problem().code.0,
        "unknown-run"
    );
    store.close().await;
}

pub(super) async fn a_run_that_waits_is_cancelled_at_once(place: Place) {
    let store = place.open("h1").await;
    store.submit(new_run("r1", 10)).await.unwrap();
    assert_eq!(store.want("r1".to_owned(), Wanted::Cancel, 7).await.unwrap(), Wish::Done);
    let run = store.run("r1").await.unwrap().unwrap();
    assert_eq!((run.status, run.ended_at), (RunStatus::Cancelled, Some(7)));
    assert!(store.claim(1).await.unwrap().is_empty());
    store.close().await;
}
