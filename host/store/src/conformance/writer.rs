//! The writer: what is in a transaction together, who may write at all, what survives.

use std::time::{Duration, Instant};

use tidemill_plan::{Code, Problem};

use super::Place;
use crate::{Patience, Store, StoreError, Tx, Value, Watch};

const SHORT: Patience = Patience::For(Duration::from_secs(5));

async fn keep(store: Store, number: i64) -> Result<(), StoreError> {
    store
        .write(SHORT, move |tx| {
            Box::pin(async move {
                let values = [Value::Int(number)];
                tx.execute("INSERT INTO tidemill_migrations (number, name) VALUES ($1, 'test')", &values)
                    .await?;
                if number % 2 == 1 {
                    let what = format!("{number} is odd");
                    return Err(Problem::new(Code("table-conflict"), what, "").into());
                }
                Ok(())
            })
        })
        .await
}

async fn kept(tx: &mut Tx) -> Vec<i64> {
    let rows =
        tx.fetch("SELECT number FROM tidemill_migrations WHERE name = 'test' ORDER BY number", &[]).await;
    rows.unwrap().iter().map(|it| it.get(0).unwrap()).collect()
}

pub(super) async fn a_refused_write_undoes_itself_alone(place: Place) {
    let store = place.open("h1").await;
    let tasks: Vec<_> = (100..110).map(|it| tokio::spawn(keep(store.clone(), it))).collect();
    for (number, task) in (100..110).zip(tasks) {
        assert_eq!(task.await.unwrap().is_ok(), number % 2 == 0, "{number}");
    }
    assert_eq!(kept(&mut store.read().await.unwrap()).await, [100, 102, 104, 106, 108]);
    store.close().await;
}

pub(super) async fn many_writes_share_transactions(place: Place) {
    let store = place.open("h1").await;
    let tasks: Vec<_> = (100..400).map(|it| tokio::spawn(keep(store.clone(), it * 2))).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let counts = store.writer_counts();
    assert_eq!(counts.jobs, 300);
    assert!(counts.transactions < 150, "{counts:?}");
    store.close().await;
}

pub(super) async fn a_fenced_host_writes_nothing(place: Place) {
    let (one, two) = (place.open("h1").await, place.open("h2").await);
    keep(one.clone(), 100).await.unwrap();
    let (mut watch, lease, now) = (Watch::default(), Duration::from_secs(10), Instant::now());
    let seen = two.neighbours().await.unwrap();
    assert!(watch.silent(now, lease, &seen).is_empty(), "nobody is given up at first sight");
    let silent = watch.silent(now + lease, lease, &seen);
    assert_eq!(silent.len(), 1);
    keep(one.clone(), 102).await.unwrap();
    assert!(!two.fence(silent[0].clone()).await.unwrap(), "it has moved meanwhile");
    let seen = two.neighbours().await.unwrap();
    assert!(two.fence(seen[0].clone()).await.unwrap());
    let late = keep(one.clone(), 104).await.unwrap_err();
    assert!(matches!(late, StoreError::Fenced), "{late}");
    keep(one.clone(), 106).await.unwrap();
    assert_eq!(*one.fenced().borrow(), 1);
    assert_eq!(one.host().0, "h1~1", "it goes on as another host");
    assert_eq!(kept(&mut two.read().await.unwrap()).await, [100, 102, 106]);
    one.close().await;
    two.close().await;
}

pub(super) async fn a_store_of_a_newer_version_is_refused(place: Place) {
    let store = place.open("h1").await;
    keep(store.clone(), 9000).await.unwrap();
    store.close().await;
    let newer = Store::open(place.options("h2")).await.unwrap_err();
    assert_eq!(newer.problem().code.0, "store-newer");
}

pub(super) async fn a_reopened_store_has_what_was_answered(place: Place) {
    let store = place.open("h1").await;
    store
        .write(SHORT, |tx| {
            Box::pin(async move {
                tx.execute("CREATE TABLE mine (it TEXT)", &[]).await?;
                tx.execute("INSERT INTO mine VALUES ($1)", &[Value::from("here")]).await?;
                Ok(())
            })
        })
        .await
        .unwrap();
    store.close().await;
    let closed = keep(store.clone(), 100).await.unwrap_err();
    assert!(matches!(closed, StoreError::Closed));
    let store = place.open("h2").await;
    let rows = store.read().await.unwrap().fetch("SELECT it FROM mine", &[]).await.unwrap();
    assert_eq!(rows[0].get::<String>(0).unwrap(), "here");
    store.close().await;
}
