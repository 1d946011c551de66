//! Components, tags, versions of pipelines, and what must not go because it is in use.

use std::collections::BTreeMap;

use serde_json::json;
use tidemill_plan::Digest;

use super::Place;
use crate::{
    Append, ComponentFilter, DeployedAs, Motion, NewComponent, NewRun, NewTag, NewVersion, Patience,
    PipelineFile, Pushed, RunStatus, Store, StoreError, Uses,
};

fn of(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn tag(tag: &str, motion: Motion) -> NewTag {
    NewTag { tag: tag.to_owned(), motion }
}

async fn push(store: &Store, text: &str, at: i64, tags: &[NewTag]) -> Result<Pushed, StoreError> {
    let new = NewComponent {
        digest: of(text),
        name: "returns".to_owned(),
        bytes: 7,
        description: "{}".to_owned(),
        pushed_at: at,
        pushed_by: "ann".to_owned(),
    };
    store.push_component(new, tags.to_vec()).await.map(|(_, pushed)| pushed)
}

fn version(text: &str, uses: Uses) -> NewVersion {
    NewVersion {
        name: "etf".to_owned(),
        digest: of(text),
        file_name: "pipeline.toml".to_owned(),
        text: text.to_owned(),
        summary: "s".to_owned(),
        components: BTreeMap::from([("returns".to_owned(), uses)]),
        files: vec![PipelineFile { path: "data/x.csv".to_owned(), digest: of("x"), bytes: 3 }],
        deployed_at: 5,
        deployed_by: "ann".to_owned(),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, StoreError>) -> &'static str {
    result.expect_err("refused").problem().code.0
}

async fn points_at(store: &Store, tag: &str) -> Option<Digest> {
    store.tag("returns", tag).await.unwrap().map(|it| it.digest)
}

pub(super) async fn a_component_is_kept_once_and_its_tags_move(place: Place) {
    let store = place.open("h1").await;
    let latest = [tag("latest", Motion::Free)];
    assert_eq!(push(&store, "one", 1, &latest).await.unwrap(), Pushed::New);
    assert_eq!(push(&store, "two", 2, &latest).await.unwrap(), Pushed::New);
    assert_eq!(points_at(&store, "latest").await, Some(of("two")));
    assert_eq!(push(&store, "one", 3, &latest).await.unwrap(), Pushed::Known);
    assert_eq!(points_at(&store, "latest").await, Some(of("one")));
    let moves = store.tag_moves("returns", "latest", None, 10).await.unwrap();
    let path: Vec<_> = moves.iter().map(|it| (it.digest.unwrap() == of("one"), it.at)).collect();
    assert_eq!(path, [(true, 3), (false, 2), (true, 1)]);
    let row = store.component(of("one")).await.unwrap().unwrap();
    assert_eq!((row.pushed_at, row.tags), (1, vec!["latest".to_owned()]), "a push again is no new push");
    let page = |before| ComponentFilter { before, limit: 1, ..ComponentFilter::default() };
    let first = store.components(&page(None)).await.unwrap();
    assert_eq!(first[0].digest, of("two"), "newest first");
    let second = store.components(&page(Some((2, of("two"))))).await.unwrap();
    assert_eq!(second[0].digest, of("one"));
    assert_eq!(store.component_names(10).await.unwrap(), ["returns"]);
    store.close().await;
}

pub(super) async fn a_fixed_tag_never_points_at_another(place: Place) {
    let store = place.open("h1").await;
    let fixed = [tag("latest", Motion::Free), tag("1.0.0", Motion::Fixed)];
    push(&store, "one", 1, &fixed).await.unwrap();
    push(&store, "one", 2, &fixed).await.unwrap();
    assert_eq!(code(push(&store, "two", 3, &fixed).await), "tag-fixed");
    assert!(store.component(of("two")).await.unwrap().is_none(), "undone as a whole");
    assert_eq!(points_at(&store, "latest").await, Some(of("one")));
    push(&store, "two", 4, &[]).await.unwrap();
    let remove = store.remove_tag("returns".to_owned(), "1.0.0".to_owned(), 5, "ann".to_owned());
    assert_eq!(remove.await.unwrap().map(|it| it.digest), Some(of("one")));
    let set = async |text| {
        let tag = tag("1.0.0", Motion::Fixed);
        store.set_tag("returns".to_owned(), tag, of(text), 6, "ann".to_owned()).await
    };
    assert_eq!(code(set("two").await), "tag-fixed");
    assert_eq!(set("one").await.unwrap().digest, of("one"), "back where it was");
    let other = store.set_tag("lasso".to_owned(), tag("x", Motion::Free), of("one"), 7, "ann".to_owned());
    assert_eq!(code(other.await), "tag-of-another");
    let gone = store.set_tag("returns".to_owned(), tag("x", Motion::Free), of("gone"), 7, "ann".to_owned());
    assert_eq!(code(gone.await), "unknown-component");
    store.close().await;
}

pub(super) async fn a_pipeline_has_versions_that_say_different_things(place: Place) {
    let store = place.open("h1").await;
    push(&store, "one", 1, &[]).await.unwrap();
    let pinned = Uses::Pinned(of("one"));
    let (row, how) = store.deploy(version("a", pinned.clone())).await.unwrap();
    assert_eq!((row.version, how), (1, DeployedAs::NewVersion));
    let (row, how) = store.deploy(version("a", pinned.clone())).await.unwrap();
    assert_eq!((row.version, how), (1, DeployedAs::Same));
    let tagged = Uses::Tagged { name: "returns".to_owned(), tag: "latest".to_owned() };
    assert_eq!(store.deploy(version("b", tagged.clone())).await.unwrap().0.version, 2);
    assert_eq!(store.deploy(version("a", pinned.clone())).await.unwrap().0.version, 3, "back again is new");
    assert_eq!(code(store.deploy(version("c", Uses::Pinned(of("gone")))).await), "unknown-component");
    let newest = store.pipeline("etf", None).await.unwrap().unwrap();
    assert_eq!((newest.row.version, newest.text.as_str()), (3, "a"));
    let second = store.pipeline("etf", Some(2)).await.unwrap().unwrap();
    assert_eq!(second.components["returns"], tagged);
    assert_eq!(second.files, version("b", pinned).files);
    assert!(store.pipeline("etf", Some(4)).await.unwrap().is_none());
    let versions = store.versions("etf", Some(3), 10).await.unwrap();
    assert_eq!(versions.iter().map(|it| it.version).collect::<Vec<_>>(), [2, 1]);
    let list = store.pipelines(None, 10).await.unwrap();
    assert_eq!(list.iter().map(|it| (it.name.as_str(), it.version)).collect::<Vec<_>>(), [("etf", 3)]);
    assert!(store.pipelines(Some("etf".to_owned()), 10).await.unwrap().is_empty());
    assert!(store.is_file_used(of("x")).await.unwrap() && !store.is_file_used(of("y")).await.unwrap());
    store.close().await;
}

pub(super) async fn versions_deployed_at_one_time_have_numbers_of_their_own(place: Place) {
    let (one, two) = (place.open("h1").await, place.open("h2").await);
    let tagged = || Uses::Tagged { name: "returns".to_owned(), tag: "latest".to_owned() };
    let deploy = |store: &Store, number: u32| {
        let (store, uses) = (store.clone(), tagged());
        tokio::spawn(async move { store.deploy(version(&number.to_string(), uses)).await })
    };
    let tasks: Vec<_> = (0..20).map(|it| deploy(if it % 2 == 0 { &one } else { &two }, it)).collect();
    let mut numbers = Vec::new();
    for it in tasks {
        numbers.push(it.await.unwrap().unwrap().0.version);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    one.close().await;
    two.close().await;
}

async fn submit(store: &Store, id: &str, version: i64) {
    let run = NewRun {
        id: id.to_owned(),
        pipeline: "etf".to_owned(),
        version,
        priority: 0,
        created_at: 1,
        created_by: "ann".to_owned(),
        description: String::new(),
        labels: BTreeMap::new(),
        links: Vec::new(),
        idempotency_key: None,
        request: json!({}),
        pins: BTreeMap::new(),
        claim: crate::Claim::Anywhere,
    };
    store.submit(run).await.unwrap();
    store.claim(1).await.unwrap();
}

async fn end(store: &Store, id: &str) {
    let (of, id) = (store.clone(), id.to_owned());
    store
        .write(Patience::Always, move |tx| {
            let (of, id) = (of.clone(), id.clone());
            Box::pin(async move { crate::append(tx, &of.host(), &ended(id)).await })
        })
        .await
        .unwrap();
}

fn ended(run: String) -> Append {
    Append {
        run,
        seq: 0,
        entries: String::new(),
        status: RunStatus::Succeeded,
        began_at: Some(1),
        ended_at: Some(2),
        summary: "{}".to_owned(),
        record: None,
    }
}

pub(super) async fn a_component_in_use_is_not_deleted(place: Place) {
    let store = place.open("h1").await;
    let delete = async |text| store.delete_component(of(text), 9, "ann".to_owned()).await;
    push(&store, "pinned", 1, &[]).await.unwrap();
    push(&store, "tagged", 1, &[tag("latest", Motion::Free)]).await.unwrap();
    store.deploy(version("a", Uses::Pinned(of("pinned")))).await.unwrap();
    assert_eq!(code(delete("pinned").await), "component-in-use");
    let tagged = Uses::Tagged { name: "returns".to_owned(), tag: "latest".to_owned() };
    submit(&store, "r1", 1).await;
    store.deploy(version("b", tagged)).await.unwrap();
    assert_eq!(code(delete("tagged").await), "component-in-use");
    assert_eq!(code(delete("pinned").await), "component-in-use", "a run of the first version waits");
    let pins = BTreeMap::from([("returns".to_owned(), of("pinned"))]);
    assert_eq!(store.pin_run("r1".to_owned(), pins.clone()).await.unwrap(), pins);
    let later = BTreeMap::from([("returns".to_owned(), of("tagged"))]);
    assert_eq!(store.pin_run("r1".to_owned(), later).await.unwrap(), pins, "the first pins stay");
    assert_eq!(store.run_pins("r1").await.unwrap(), pins);
    assert_eq!(code(delete("pinned").await), "component-in-use", "the run is on its way");
    end(&store, "r1").await;
    assert_eq!(delete("pinned").await.unwrap().digest, of("pinned"));
    assert_eq!(code(delete("pinned").await), "unknown-component");
    store.deploy(version("c", Uses::Tagged { name: "x".to_owned(), tag: "y".to_owned() })).await.unwrap();
    assert_eq!(delete("tagged").await.unwrap().tags, ["latest"]);
    assert_eq!(points_at(&store, "latest").await, None);
    let moves = store.tag_moves("returns", "latest", None, 10).await.unwrap();
    assert_eq!((moves[0].digest, moves[0].at), (None, 9));
    let gone = BTreeMap::from([("returns".to_owned(), of("pinned"))]);
    submit(&store, "r2", 1).await;
    assert_eq!(code(store.pin_run("r2".to_owned(), gone).await), "unknown-component");
    store.close().await;
}

pub(super) async fn what_nothing_points_at_is_collected(place: Place) {
    let store = place.open("h1").await;
    push(&store, "tagged", 1, &[tag("latest", Motion::Free)]).await.unwrap();
    push(&store, "pinned", 1, &[]).await.unwrap();
    push(&store, "old", 1, &[]).await.unwrap();
    push(&store, "running", 1, &[]).await.unwrap();
    push(&store, "young", 100, &[]).await.unwrap();
    store.deploy(version("a", Uses::Pinned(of("pinned")))).await.unwrap();
    store.deploy(version("b", Uses::Pinned(of("running")))).await.unwrap();
    submit(&store, "r1", 2).await;
    assert_eq!(store.unused_components(50).await.unwrap(), [of("old")]);
    assert_eq!(store.collect_components(50).await.unwrap(), [of("old")]);
    assert!(store.component(of("old")).await.unwrap().is_none());
    assert_eq!(store.collect_components(50).await.unwrap(), []);
    store.close().await;
}
