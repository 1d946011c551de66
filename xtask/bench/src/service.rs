//! The service as its users meet it: the built binary behind REST, on SQLite and on PostgreSQL with fsync on.

#[path = "../../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "only tests crash it, or start it without fsync")]
mod postgres;

mod client;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tidemill_store::{HostId, Patience, Store, StoreError, StoreOptions};

use self::client::{Client, Served};
use self::postgres::Postgres;
use crate::binary::{megabytes, ms, scratch};
use crate::measure::Times;
use crate::nodes::GUESTS;
use crate::row::{Quantity, Row, Target};

const CHAIN: u32 = 40;
const WIDE: u32 = 10_000;
const READERS: usize = 500;

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let folder = scratch()?;
    let postgres = Postgres::start_with(&["fsync=on"]);
    let mut rows = Vec::new();
    for (name, store, wide_min) in
        [("SQLite", None, 8_000.0), ("PostgreSQL", Some(postgres.database()), 5_000.0)]
    {
        let data = folder.path().join(name);
        let served = Served::start(&data, store.as_deref())?;
        if store.is_none() {
            rows.push(started(&data, &served)?);
            rows.push(Row::once(
                "service: idle memory",
                megabytes(served.resident_bytes()?),
                Target::AtMost(60.0),
            ));
        }
        let client = served.client();
        for guest in ["empty", "fibonacci", "misbehave", "noop"] {
            client.push(&Path::new(GUESTS).join(format!("{guest}.wasm")))?;
        }
        rows.push(chain(name, client)?);
        let bare = bare_inserts(&match store {
            None => format!("sqlite:{}", folder.path().join("bare.db").display()),
            Some(_) => postgres.database(),
        })?;
        rows.push(Row { reference: Some(bare), ..wide(name, client, "empty", Target::AtLeast(wide_min))? });
        rows.push(wide(name, client, "noop", Target::None)?);
        rows.extend(first_line(name, client)?);
        if store.is_none() {
            rows.push(cancelled(client)?);
            rows.extend(many_readers(client)?);
            rows.extend(long_log(&served)?);
        }
    }
    Ok(rows)
}

/// From the start of the process to the first answer, on a folder that is there already.
fn started(data: &Path, served: &Served) -> anyhow::Result<Row> {
    served.stop()?;
    let mut times = Vec::new();
    for _ in 0..11 {
        let began = Instant::now();
        let again = Served::start(data, None)?;
        again.client().get("/readyz")?;
        times.push(began.elapsed());
        again.stop()?;
    }
    served.restart()?;
    let times = Times::new(times);
    Ok(Row {
        name: "service: start until ready".to_owned(),
        measured: ms(times.median()),
        best: ms(times.min()),
        reference: None,
        target: Target::AtMost(200.0),
        spread: times.spread(),
    })
}

/// Forty nodes, one after the other, each computing fibo(10).
fn chain(store: &str, client: &Client) -> anyhow::Result<Row> {
    let mut text =
        "[pipeline]\nname = \"chain\"\n[parameters.n]\ntype = \"integer\"\ndefault = 10\n".to_owned();
    for it in 0..CHAIN {
        text.push_str(&format!(
            "[nodes.n{it}]\ntask = \"fibonacci\"\nparameters = {{ n = \"{{{{ n }}}}\" }}\n"
        ));
        if it > 0 {
            text.push_str(&format!("inputs = {{ in = \"n{}\" }}\n", it - 1));
        }
    }
    client.deploy(&text)?;
    let mut times = Vec::new();
    for _ in 0..7 {
        let began = Instant::now();
        client.run(&json!({"pipeline": "chain", "force": true}))?;
        times.push(began.elapsed());
    }
    let times = Times::new(times);
    Ok(Row {
        name: format!("service: {CHAIN} nodes of fibo(10) in a row, {store}"),
        measured: ms(times.median()),
        best: ms(times.min()),
        reference: None,
        target: if store == "SQLite" { Target::AtMost(200.0) } else { Target::None },
        spread: times.spread(),
    })
}

/// Nodes that need nothing of each other, from the run's beginning to its end as its record tells.
fn wide(store: &str, client: &Client, guest: &str, target: Target) -> anyhow::Result<Row> {
    let what = if guest == "empty" { "no-op nodes" } else { "nodes that write a table of one row" };
    let count = if guest == "empty" { WIDE } else { WIDE / 10 };
    let parameters = if guest == "empty" { "" } else { "parameters = { i = \"{{ i }}\" }\n" };
    let name = format!("wide_{guest}");
    let text = format!(
        "[pipeline]\nname = \"{name}\"\n[nodes.a]\ntask = \"{guest}\"\nfor_each = {{ i = \"{{{{ range({count}) }}}}\" }}\n{parameters}"
    );
    client.deploy(&text)?;
    let mut speeds = Vec::new();
    for _ in 0..3 {
        let run = client.run(&json!({"pipeline": name, "force": true}))?;
        speeds.push(f64::from(count) / took(&run)?.as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    let quantity = |value| Quantity { value, unit: "nodes/s" };
    Ok(Row {
        name: format!("service: {count} durable {what}, {store}"),
        measured: quantity(speeds[1]),
        best: quantity(speeds[2]),
        reference: None,
        target,
        spread: (speeds[2] - speeds[0]) / speeds[1],
    })
}

/// What the same database does with the records of nodes when nobody looks at them: twenty nodes in each transaction, one
/// transaction after the other.
fn bare_inserts(url: &str) -> anyhow::Result<Quantity> {
    const NODES: u32 = 4_000;
    const BATCH: u32 = 20;
    /// Of a node: its attempt begins, ends, and it has succeeded.
    const RECORDS: usize = 3;
    const RECORD: &str =
        r#"{"ms":1234,"at":1795301421191245122,"fact":"attempt-began","node":4711,"attempt":1}"#;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let took = runtime.block_on(async {
        let store = Store::open(StoreOptions {
            url: url.to_owned(),
            host: HostId("bench".to_owned()),
            host_name: "bench".to_owned(),
            connect_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(60),
        });
        let store = store.await?;
        let table = "CREATE TABLE bare_records (entry TEXT NOT NULL)";
        store
            .write(Patience::Always, move |tx| Box::pin(async move { tx.execute(table, &[]).await }))
            .await?;
        let began = Instant::now();
        for _ in 0..NODES / BATCH {
            let written = store.write(Patience::Always, |tx| {
                Box::pin(async move {
                    let rows = ["($1)"; RECORDS].join(", ");
                    let sql = format!("INSERT INTO bare_records (entry) VALUES {rows}");
                    for _ in 0..BATCH {
                        tx.execute(&sql, &[tidemill_store::Value::from(RECORD)]).await?;
                    }
                    Ok(())
                })
            });
            written.await?;
        }
        let took = began.elapsed();
        store.close().await;
        Ok::<_, StoreError>(took)
    })?;
    Ok(Quantity { value: f64::from(NODES) / took.as_secs_f64(), unit: "nodes/s" })
}

fn took(run: &Value) -> anyhow::Result<Duration> {
    let at = |key: &str| -> anyhow::Result<i64> {
        run["record"][key].as_i64().with_context(|| format!("the record has no `{key}`"))
    };
    Ok(Duration::from_nanos(u64::try_from(at("ended_at")? - at("began_at")?)?))
}

/// From the request to the first line that the guest logs, by this machine's clock.
fn first_line(store: &str, client: &Client) -> anyhow::Result<Vec<Row>> {
    let text = "[pipeline]\nname = \"first\"\n[nodes.a]\ntask = \"fibonacci\"\nparameters = { n = 1 }\n";
    client.deploy(text)?;
    let mut times = Vec::new();
    for number in 0..210 {
        let asked = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let run = client.run(&json!({"pipeline": "first", "force": true}))?;
        let id = run["id"].as_str().context("a run has an id")?;
        let log = client.get(&format!("/api/v1/runs/{id}/log/download?node=a"))?;
        let line: Value = serde_json::from_slice(log.split(|it| *it == b'\n').next().unwrap_or_default())?;
        let logged = line["at"].as_i64().context("a line has a time")?;
        if number >= 10 {
            times.push(Duration::from_nanos(u64::try_from(logged)?).saturating_sub(asked));
        }
    }
    times.sort();
    let row = |share: usize, target| {
        let at = times[(times.len() * share / 100).min(times.len() - 1)];
        Row::once(&format!("service: POST /runs to first line of guest, p{share}, {store}"), ms(at), target)
    };
    let (median, tail) = if store == "SQLite" {
        (Target::AtMost(5.0), Target::AtMost(25.0))
    } else {
        (Target::None, Target::None)
    };
    Ok(vec![row(50, median), row(99, tail)])
}

/// From the request to cancel a run until it has ended, whose guest is in an endless loop.
fn cancelled(client: &Client) -> anyhow::Result<Row> {
    let text = "[pipeline]\nname = \"endless\"\n[nodes.a]\ntask = \"misbehave\"\nparameters = { do = \"checkpoint-once\" }\n";
    client.deploy(text)?;
    let mut times = Vec::new();
    for _ in 0..11 {
        let id = client.begin(&json!({"pipeline": "endless", "force": true}))?;
        // It says so when it is about to loop.
        while client.told(&id)?["progress"]["a"]["done"] != 1 {}
        times.push(client.cancel(&id)?);
    }
    let times = Times::new(times);
    Ok(Row {
        name: "service: cancel of an endless loop until the run has ended".to_owned(),
        measured: ms(times.median()),
        best: ms(times.min()),
        reference: None,
        target: Target::AtMost(100.0),
        spread: times.spread(),
    })
}

/// A log of a gigabyte: what a person first looks at, and one line somewhere in it.
fn long_log(served: &Served) -> anyhow::Result<Vec<Row>> {
    const LINES: u64 = 4_200_000;
    let client = served.client();
    let text = format!(
        "[pipeline]\nname = \"talker\"\n[nodes.a]\ntask = \"fibonacci\"\nparameters = {{ n = 1, lines = {LINES} }}\nlimits = {{ log = \"2GiB\" }}\n"
    );
    client.deploy(&text)?;
    let run = client.run(&json!({"pipeline": "talker", "force": true}))?;
    let id = run["id"].as_str().context("a run has an id")?;
    let logs: Value = serde_json::from_slice(&client.get(&format!("/api/v1/runs/{id}/logs"))?)?;
    let bytes = logs["items"][0]["bytes"].as_u64().context("a log has a size")?;
    ensure!(bytes > 1_000_000_000, "the log has {bytes} bytes");
    let before = served.resident_bytes()?;
    let wanted = LINES * 7 / 10;
    let looks = [
        ("first screen", "limit=100".to_owned()),
        ("last screen", "tail=100".to_owned()),
        ("a search that hits", format!("limit=1&text=fit%20{wanted}%20of")),
    ];
    let mut rows = Vec::new();
    for (what, query) in looks {
        let mut times = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            let answer = client.get(&format!("/api/v1/runs/{id}/log?node=a&{query}"))?;
            times.push(began.elapsed());
            let answer: Value = serde_json::from_slice(&answer)?;
            ensure!(answer["lines"].as_array().is_some_and(|it| !it.is_empty()), "{what}: {answer}");
        }
        let times = Times::new(times);
        rows.push(Row {
            name: format!("service: log of 1 GB, {what}"),
            measured: ms(times.median()),
            best: ms(times.min()),
            reference: None,
            target: Target::AtMost(200.0),
            spread: times.spread(),
        });
    }
    let grown = served.resident_bytes()?.saturating_sub(before);
    rows.push(Row::once("service: log of 1 GB, memory grown by", megabytes(grown), Target::AtMost(20.0)));
    Ok(rows)
}

/// Five hundred clients, each with a connection of its own, read lists and runs at one time.
fn many_readers(client: &Client) -> anyhow::Result<Vec<Row>> {
    const EACH: usize = 40;
    let paths = ["/api/v1/runs?limit=20", "/api/v1/runs/last", "/api/v1/pipelines", "/api/v1/components"];
    let mut times = client.get_at_one_time(&paths, READERS, EACH)?;
    ensure!(times.len() == READERS * EACH, "every request was answered");
    times.sort();
    let p99 = times[times.len() * 99 / 100];
    let name = format!("service: {READERS} clients reading, p99");
    Ok(vec![Row::once(&name, ms(p99), Target::AtMost(250.0))])
}
