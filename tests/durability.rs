//! The service killed at any moment, on both databases, and two of them on one: what was asked for happens once.

mod checker;
mod trouble;

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use self::checker::Checker;
use crate::duckdb;
use crate::kill::random;
use crate::postgres;
use crate::program::{Bench, repository};
use crate::service::Service;

/// Kills on each database.
const KILLS: u64 = 120;
/// Days that are asked for at most before a kill; each is a run that adds to the same two books.
const DAYS_PER_KILL: u64 = 4;
/// Longer than any step of these tests takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

const BOOKS: &str = r#"
[pipeline]
name = "books"

[parameters.day]
type = "integer"

[nodes.first]
task = "ledger"
parameters = { day = "{{ day }}", book = 1 }
identity_ignore = ["day"]
write_mode = "append"

[nodes.second]
task = "ledger"
parameters = { day = "{{ day }}", book = 2 }
identity_ignore = ["day"]
write_mode = "upsert"
inputs = { in = "first" }
"#;

/// A client that takes a service which is gone for granted.
struct Caller {
    http: Client,
    url: String,
    token: String,
}

impl Caller {
    fn of(service: &Service, token: &str) -> Self {
        let http = Client::builder().timeout(PATIENCE).build().expect("a client");
        Self { http, url: service.url.clone(), token: token.to_owned() }
    }

    fn post(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token).json(body).send()
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token).send();
        let answer = answer.expect("the service answers");
        let (status, text) = (answer.status(), answer.text().expect("text"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    fn push_and_deploy(&self, pipeline: &str) {
        let path = repository().join("tests/guests/components/ledger.wasm");
        let bytes = std::fs::read(path).expect("`cargo xtask test` builds the guests");
        let pushed = self
            .http
            .post(format!("{}/api/v1/components", self.url))
            .bearer_auth(&self.token)
            .header("content-type", "application/wasm")
            .body(bytes)
            .send()
            .expect("the service answers");
        assert!(pushed.status().is_success(), "{}", pushed.text().unwrap_or_default());
        let body = json!({"text": pipeline, "file_name": "pipeline.toml", "pins": {}, "files": []});
        let deployed = self.post("/api/v1/pipelines", &body).expect("the service answers");
        assert!(deployed.status().is_success(), "{}", deployed.text().unwrap_or_default());
    }

    /// Asks for a day's run; asked again it is the same run.
    fn ask(&self, day: u64) -> Option<()> {
        let key = format!("day-{day}");
        let body = json!({"pipeline": "books", "parameters": {"day": day}, "idempotency_key": key});
        let answer = self.post("/api/v1/runs", &body).ok()?;
        let (status, text) = (answer.status(), answer.text().ok()?);
        assert!(status.is_success(), "day {day}: {status} {text}");
        Some(())
    }

    /// Follows a run until it has ended; `None` when the service went away meanwhile.
    fn follow(&self, run: &str) -> Option<()> {
        let url = format!("{}/api/v1/runs/{run}/events", self.url);
        let answer = self.http.get(url).bearer_auth(&self.token).send().ok()?;
        answer.text().ok().map(drop)
    }

    fn runs(&self) -> Vec<Value> {
        let mut runs = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/api/v1/runs?limit=1000{cursor}"));
            runs.extend(page["items"].as_array().expect("a list").iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return runs,
            }
        }
    }

    fn wait_for_all(&self, count: usize) {
        let began = Instant::now();
        loop {
            let runs = self.runs();
            let open = runs.iter().find(|it| !["succeeded", "failed", "cancelled"].contains(&state(it)));
            match open {
                None if runs.len() >= count => return,
                Some(run) => drop(self.follow(run["id"].as_str().expect("an id"))),
                None => {}
            }
            assert!(began.elapsed() < PATIENCE, "runs do not end: {:?}", self.runs());
        }
    }
}

fn state(run: &Value) -> &str {
    run["state"].as_str().expect("a state")
}

/// Kills the service again and again while days are asked for; in the end every day's rows are there once.
fn killed_at_any_moment(store: Option<&str>, seed: u64) {
    let bench = Bench::empty();
    let arguments: Vec<&str> = store.map(|it| vec!["--store", it]).unwrap_or_default();
    let first = Service::start(&bench, &arguments);
    let token = first.token.clone().expect("an empty store gives a first token");
    Caller::of(&first, &token).push_and_deploy(BOOKS);
    drop(first);
    let mut days = 0;
    for kill in 0..KILLS {
        let mut service = Service::start(&bench, &arguments);
        let caller = Caller::of(&service, &token);
        // Days that were not kept are asked for again after the kill: their keys make that harmless.
        let asking = std::thread::spawn(move || {
            let mut kept = days;
            while kept < days + DAYS_PER_KILL && caller.ask(kept).is_some() {
                kept += 1;
            }
            kept
        });
        // What is random is the moment; nothing waits for it.
        let until = Instant::now() + Duration::from_micros(random(seed ^ kill) % 250_000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        service.process.kill().expect("kill the service");
        service.process.wait().expect("it was started here");
        days = asking.join().expect("no answer is wrong");
    }
    let service = Service::start(&bench, &arguments);
    let caller = Caller::of(&service, &token);
    caller.ask(days).expect("nobody kills it any more");
    let days = days + 1;
    caller.wait_for_all(usize::try_from(days).expect("few days"));
    assert!(days >= KILLS / 4, "the service was hardly ever killed at work: {days} days");
    let address = store.map_or_else(
        || format!("sqlite:{}", bench.path("tidemill-data/tidemill.db").display()),
        str::to_owned,
    );
    Checker { address: duckdb::address(&address), inside: None }.check(days, &caller.runs());
}

#[test]
fn a_service_on_sqlite_killed_at_any_moment_keeps_every_row_once() {
    killed_at_any_moment(None, 0x5eed);
}

#[test]
fn a_service_on_postgres_killed_at_any_moment_keeps_every_row_once() {
    let server = postgres::Postgres::start();
    killed_at_any_moment(Some(&server.database()), 0xfeed);
}

fn signal(service: &Service, signal: &str) {
    let sent = Command::new("kill").args([signal, &service.process.id().to_string()]).status();
    assert!(sent.expect("start kill").success());
}

/// Settings with which another host is given up soon.
const HASTY: [&str; 4] = ["--lease", "1s", "--store-heartbeat", "200ms"];

/// Two hosts on one PostgreSQL, the first of which goes away as `goes` says while it works.
fn two_hosts(goes: impl Fn(&mut Service), comes_back: impl Fn(&Service, &Caller)) {
    let (server, bench) = (postgres::Postgres::start(), Bench::empty());
    let store = server.database();
    let arguments = |more: &[&'static str]| {
        let mut all = vec!["--store".to_owned(), store.clone()];
        all.extend(HASTY.iter().chain(more).map(|it| (*it).to_owned()));
        all
    };
    let start = |more: &[&'static str]| {
        let all = arguments(more);
        Service::start(&bench, &all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut one = start(&[]);
    let token = one.token.clone().expect("an empty store gives a first token");
    let caller = Caller::of(&one, &token);
    caller.push_and_deploy(BOOKS);
    const DAYS: u64 = 60;
    for day in 0..DAYS / 2 {
        caller.ask(day).expect("the first host answers");
    }
    // It has begun and has not ended: it goes away in the middle.
    let two = start(&["--log-level", "info"]);
    let other = Caller::of(&two, &token);
    goes(&mut one);
    for day in DAYS / 2..DAYS {
        other.ask(day).expect("the second host answers");
    }
    other.wait_for_all(usize::try_from(DAYS).expect("few days"));
    comes_back(&one, &caller);
    let address = duckdb::address(&store);
    Checker { address, inside: None }.check(DAYS, &other.runs());
}

#[test]
fn two_hosts_at_work_on_the_same_tables_keep_every_row_once() {
    const DAYS: u64 = 40;
    let (server, bench) = (postgres::Postgres::start(), Bench::empty());
    let store = server.database();
    let hosts = [(); 2].map(|()| Service::start(&bench, &["--store", &store]));
    let token = hosts[0].token.clone().expect("an empty store gives a first token");
    let [one, other] = hosts.each_ref().map(|it| Caller::of(it, &token));
    one.push_and_deploy(BOOKS);
    for day in 0..DAYS {
        let caller = if day % 2 == 0 { &one } else { &other };
        caller.ask(day).expect("it answers");
    }
    one.wait_for_all(usize::try_from(DAYS).expect("few days"));
    Checker { address: duckdb::address(&store), inside: None }.check(DAYS, &one.runs());
}

#[test]
fn another_host_takes_over_what_a_killed_one_had() {
    two_hosts(
        |one| {
            one.process.kill().expect("kill the first host");
            one.process.wait().expect("it was started here");
        },
        |_, _| {},
    );
}

#[test]
fn a_host_that_wakes_up_late_commits_nothing_of_what_was_taken_over() {
    two_hosts(
        |one| signal(one, "-STOP"),
        |one, caller| {
            signal(one, "-CONT");
            // It answers again, as another host, and takes new runs.
            const LATE: u64 = 60;
            caller.ask(LATE).expect("it answers");
            caller.wait_for_all(61);
        },
    );
}
