//! Tables in a PostgreSQL beside the store: after any changes they are what the table is, and only what changed is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_lake::Options;
use tidemill_plan::{MirrorTarget, WriteMode};
use tidemill_store::{MirrorDatabase, MirrorWish, Mirrored, want_mirrors};

use super::{Row, SHORT, Service, block_on, folder, json, name, postgres, sqlite};
use crate::mirror::{Brought, Mirror};

const NAMES: [&str; 3] = ["a", "b", "c"];
const STEPS: u64 = 150;

struct Both {
    service: Service,
    mirror: Mirror,
    target: MirrorTarget,
}

impl Both {
    async fn open(mirror_url: &str) -> Self {
        let folder = folder();
        // Parts that are never put together with what comes after.
        let options = Options { cache_bytes_max: 0, part_bytes_max: 1, ..Options::default() };
        let service = Service::with(sqlite(folder.path()), folder, options).await;
        let database = MirrorDatabase::new(mirror_url, 2, Duration::from_secs(5)).unwrap();
        let identity = service.store.identity().await.unwrap();
        let (store, tables, lake) = (service.store.clone(), service.tables.clone(), service.lake.clone());
        let mirror = Mirror { store, tables, lake, database, identity };
        Self { service, mirror, target: MirrorTarget::parse("s.t").expect("a name") }
    }

    /// As a run does with its commit.
    async fn want(&self, table: &str, version: i64) {
        let (pipeline, node) = ("p".to_owned(), "n".to_owned());
        let target = self.target.to_string();
        let wish = MirrorWish { target, pipeline, node, table: name(table), version: Some(version) };
        let wanted = self.service.store.write(SHORT, move |tx| {
            let wish = wish.clone();
            Box::pin(async move { want_mirrors(tx, &[wish], None, 1).await })
        });
        wanted.await.unwrap();
    }

    async fn bring(&self) -> Brought {
        self.mirror.bring(&self.target).await.unwrap_or_else(|e| panic!("{}: {}", e.0.code.0, e.0.what))
    }

    /// What stands in the mirror, as `json` shows rows.
    async fn seen(&self) -> Json {
        let mut tx = self.mirror.database.begin().await.unwrap();
        let sql =
            "SELECT CAST(EXTRACT(EPOCH FROM time) * 1000000 AS BIGINT), name, value FROM s.t ORDER BY 1, 2";
        let rows = tx.fetch(sql, &[]).await.unwrap();
        let row = |it: &tidemill_store::Row| {
            let (time, name, value): (i64, String, Option<f64>) =
                (it.get(0).unwrap(), it.get(1).unwrap(), it.get(2).unwrap());
            json!([time, name, value])
        };
        Json::Array(rows.iter().map(row).collect())
    }
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

/// Rows as they are sorted by.
type Model = BTreeMap<(i64, &'static str), Option<f64>>;

fn rows_of(model: &Model) -> Vec<Row> {
    model.iter().map(|((time, name), value)| (*time, *name, *value)).collect()
}

/// A few rows around a time, so that parts meet within one.
fn some_rows(seed: &mut Seed, from: i64) -> Model {
    let row = |seed: &mut Seed| {
        let time = from + i64::try_from(seed.below(4)).expect("small");
        let name = NAMES[usize::try_from(seed.below(3)).expect("small")];
        let value = (seed.below(5) > 0).then(|| f64::from(u32::try_from(seed.below(1000)).expect("small")));
        ((time, name), value)
    };
    (0..=seed.below(4)).map(|_| row(seed)).collect()
}

/// How a sequence of changes went.
#[derive(Debug, Default)]
struct Counts {
    brought: u64,
    partly: u64,
}

async fn follow(both: &Both, mut seed: Seed) -> Counts {
    let (mut model, mut counts, mut end) = (Model::new(), Counts::default(), 0);
    for step in 0..STEPS {
        let mode = match seed.below(24) {
            0 => WriteMode::Replace,
            1..=12 => WriteMode::Append,
            _ => WriteMode::Upsert,
        };
        let version = match mode {
            WriteMode::Replace => {
                // Some rows vanish, some change.
                model.retain(|_, _| seed.below(8) > 0);
                model.extend(some_rows(&mut seed, end));
                both.service.put("t", mode, &rows_of(&model)).await
            }
            WriteMode::Append | WriteMode::Upsert => {
                let back = if mode == WriteMode::Upsert { seed.below(30) } else { 0 };
                let from = (end - i64::try_from(back).expect("small")).max(0);
                let mut new = some_rows(&mut seed, from);
                if mode == WriteMode::Append {
                    new.retain(|at, _| !model.contains_key(at));
                }
                if new.is_empty() || new.iter().all(|(at, value)| model.get(at) == Some(value)) {
                    continue;
                }
                let version = both.service.put("t", mode, &rows_of(&new)).await;
                model.extend(new);
                version
            }
        };
        end = model.keys().next_back().map_or(0, |it| it.0);
        both.want("t", version).await;
        // Versions in between are passed over.
        if seed.below(3) > 0 {
            continue;
        }
        let brought = both.bring().await;
        counts.brought += 1;
        counts.partly += u64::from(brought.rows < model.len() as u64);
        assert_eq!(both.seen().await, json(&rows_of(&model)), "step {step}, {mode:?}, {brought:?}");
        assert_eq!(both.bring().await, Brought::default(), "done twice, it changes nothing");
    }
    counts
}

#[test]
fn after_any_changes_a_mirror_is_what_the_table_is() {
    let server = postgres::Postgres::start();
    for seed in [0x9e37_79b9, 7, 23] {
        let url = server.database();
        block_on(async {
            let both = Both::open(&url).await;
            let counts = follow(&both, Seed(seed)).await;
            assert!(counts.brought > 20 && counts.partly * 2 > counts.brought, "seed {seed}: {counts:?}");
        });
    }
}

#[test]
fn of_what_is_added_only_that_is_sent() {
    let server = postgres::Postgres::start();
    let url = server.database();
    block_on(async {
        let both = Both::open(&url).await;
        let all: Vec<Row> = (0..1000).map(|it| (it, "a", Some(1.0))).collect();
        both.want("t", both.service.put("t", WriteMode::Append, &all).await).await;
        assert_eq!(both.bring().await, Brought { rows: 1000, deleted: 0 });
        both.want("t", both.service.put("t", WriteMode::Append, &[(1000, "a", None)]).await).await;
        assert_eq!(both.bring().await, Brought { rows: 1, deleted: 0 });
        // Another table takes the place of this one: all of it is compared.
        both.want("u", both.service.put("u", WriteMode::Replace, &all[..10]).await).await;
        assert_eq!(both.bring().await, Brought { rows: 10, deleted: 991 });
        assert_eq!(both.seen().await, json(&all[..10]));
    });
}

#[test]
fn what_the_store_did_not_hear_of_is_not_done_again() {
    let server = postgres::Postgres::start();
    let url = server.database();
    block_on(async {
        let both = Both::open(&url).await;
        let one = both.service.put("t", WriteMode::Append, &[(1, "a", Some(1.0))]).await;
        both.want("t", one).await;
        both.bring().await;
        let two = both.service.put("t", WriteMode::Append, &[(2, "a", Some(2.0))]).await;
        both.want("t", two).await;
        both.bring().await;
        // As after a death between the two commits: the store believes in the version before.
        let before = Mirrored { table: name("t"), version: one, at: 1 };
        both.service.store.note_mirrored("s.t", before).await.unwrap();
        assert_eq!(both.bring().await, Brought::default());
        let row = both.service.store.mirror("s.t").await.unwrap().expect("it is wanted");
        assert!(!row.is_behind(), "{row:?}");
    });
}
