//! Tokens and the audit log.

use super::Place;
use crate::{Among, AuditEntry, AuditFilter, NewToken, Patience, Role, Store, note_audit, note_use};

fn new_token(id: &str, created_at: i64) -> NewToken {
    NewToken {
        id: id.to_owned(),
        name: format!("{id}'s"),
        hash: [7; 32],
        role: Role::Operator,
        created_at,
        created_by: "ann".to_owned(),
        expires_at: Some(99),
    }
}

async fn used(store: &Store, id: &str, at: i64) {
    let id = id.to_owned();
    let write = store.write(Patience::Always, move |tx| {
        let id = id.clone();
        Box::pin(async move { note_use(tx, &id, at).await })
    });
    write.await.unwrap();
}

pub(super) async fn a_token_is_kept_used_and_revoked_for_good(place: Place) {
    let store = place.open("h1").await;
    assert!(store.add_token(new_token("a", 1), Among::Any).await.unwrap());
    used(&store, "a", 50).await;
    used(&store, "a", 40).await;
    let row = store.token("a").await.unwrap().unwrap();
    assert_eq!((row.hash, row.role, row.expires_at), (vec![7; 32], Role::Operator, Some(99)));
    assert_eq!(row.used_at, Some(50), "a late note changes nothing");
    let revoked = store.revoke_token("a".to_owned(), 60, "bob".to_owned()).await.unwrap().unwrap();
    assert_eq!((revoked.revoked_at, revoked.revoked_by.as_deref()), (Some(60), Some("bob")));
    let again = store.revoke_token("a".to_owned(), 70, "ann".to_owned()).await.unwrap().unwrap();
    assert_eq!((again.revoked_at, again.revoked_by.as_deref()), (Some(60), Some("bob")));
    assert!(store.revoke_token("b".to_owned(), 70, "ann".to_owned()).await.unwrap().is_none());
    assert!(store.token("b").await.unwrap().is_none());
    for (id, at) in [("b", 2), ("c", 2), ("d", 3)] {
        store.add_token(new_token(id, at), Among::Any).await.unwrap();
    }
    let ids = async |before, limit| -> String {
        store.tokens(before, limit).await.unwrap().into_iter().map(|it| it.id).collect()
    };
    assert_eq!(ids(None, 2).await, "dc");
    assert_eq!(ids(Some((2, "c".to_owned())), 9).await, "ba");
    store.close().await;
}

pub(super) async fn of_hosts_that_begin_on_an_empty_store_one_hands_out_the_first_token(place: Place) {
    let (one, two) = (place.open("h1").await, place.open("h2").await);
    let first = |store: &Store, id: String| {
        let store = store.clone();
        tokio::spawn(async move { store.add_token(new_token(&id, 1), Among::First).await })
    };
    let tasks: Vec<_> =
        (0..10).map(|it| first(if it % 2 == 0 { &one } else { &two }, format!("t{it}"))).collect();
    let mut count = 0;
    for it in tasks {
        count += usize::from(it.await.unwrap().unwrap());
    }
    assert_eq!(count, 1);
    assert_eq!(one.tokens(None, 10).await.unwrap().len(), 1);
    one.close().await;
    two.close().await;
}

pub(super) async fn the_audit_log_is_read_newest_first(place: Place) {
    let store = place.open("h1").await;
    let entry = |at: i64, who: &str, status: u16| AuditEntry {
        at,
        who: who.to_owned(),
        token: Some("t".to_owned()),
        action: "POST /x".to_owned(),
        target: "/x".to_owned(),
        status,
        code: (status == 401).then(|| "no-token".to_owned()),
        remote: "127.0.0.1".to_owned(),
        request: format!("r{at}"),
    };
    let entries = vec![entry(1, "ann", 201), entry(2, "", 401), entry(3, "bob", 201), entry(4, "ann", 403)];
    let kept = entries.clone();
    let write = store.write(Patience::Always, move |tx| {
        let entries = kept.clone();
        Box::pin(async move { note_audit(tx, &entries).await })
    });
    write.await.unwrap();
    let filter = AuditFilter { limit: 10, ..AuditFilter::default() };
    let all = store.audit(&filter).await.unwrap();
    let newest_first: Vec<_> = entries.into_iter().rev().collect();
    assert_eq!(all.iter().map(|it| it.1.clone()).collect::<Vec<_>>(), newest_first);
    let times = async |filter: AuditFilter| -> Vec<i64> {
        store.audit(&filter).await.unwrap().into_iter().map(|it| it.1.at).collect()
    };
    assert_eq!(times(AuditFilter { who: Some("ann".to_owned()), ..filter.clone() }).await, [4, 1]);
    assert_eq!(times(AuditFilter { status: Some(401), ..filter.clone() }).await, [2]);
    assert_eq!(times(AuditFilter { since: Some(3), ..filter.clone() }).await, [4, 3]);
    assert_eq!(times(AuditFilter { before: Some(all[1].0), limit: 1, ..filter }).await, [2]);
    store.close().await;
}
