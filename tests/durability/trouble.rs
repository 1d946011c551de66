//! What a service depends on fails while it works: the disk is full, the database only reads, the clock steps. It says so,
//! nothing is lost, and runs go on by themselves.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::checker::Checker;
use super::{BOOKS, Caller, HASTY, PATIENCE};
use crate::duckdb;
use crate::postgres::Postgres;
use crate::program::{Bench, repository};
use crate::service::Service;

/// A service whose folder of that name is a disk of so many bytes: a file system in memory that no other process sees.
fn with_small_disk(bench: &Bench, folder: &str, bytes: u64) -> (Service, PathBuf) {
    let disk = bench.path(folder);
    std::fs::create_dir_all(&disk).expect("a folder");
    let script = format!("mount -t tmpfs -o size={bytes} tmpfs \"$0\" && exec \"$@\"");
    let serve = bench.command(&["serve"]);
    let mut command = Command::new("unshare");
    command
        .args(["-r", "-m", "sh", "-c", &script])
        .arg(&disk)
        .arg(serve.get_program())
        .args(serve.get_args());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = serve.get_current_dir() {
        command.current_dir(folder);
    }
    let service = Service::spawn(bench, command);
    let inside = PathBuf::from(format!("/proc/{}/root{}", service.process.id(), disk.display()));
    (service, inside)
}

/// Takes all that is left of a disk.
fn fill(disk: &std::path::Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).expect("a file");
    for size in [1 << 20, 4 << 10, 1] {
        let piece = vec![b'x'; size];
        while file.write_all(&piece).is_ok() {}
    }
    path
}

fn body(day: u64) -> Value {
    json!({"pipeline": "books", "parameters": {"day": day}, "idempotency_key": format!("day-{day}")})
}

/// Asks for days until a service that cannot write says so: what room is left in its log is used first. The next day.
fn until_it_cannot_write(caller: &Caller, mut day: u64) -> u64 {
    let (status, text) = loop {
        let answer = caller.post("/api/v1/runs", &body(day)).expect("it answers");
        if !answer.status().is_success() {
            break (answer.status(), answer.text().expect("text"));
        }
        day += 1;
        assert!(day < 2_000, "it can write all the time");
    };
    assert_eq!(status, 503, "{text}");
    let problem: Value = serde_json::from_str(&text).expect("a problem");
    assert_eq!(problem["code"], "store-not-writable", "{text}");
    assert!(!problem["detail"].as_str().expect("how to mend it").is_empty());
    day
}

#[test]
fn a_service_whose_disk_is_full_loses_nothing_and_goes_on_when_there_is_room() {
    const DAYS: u64 = 30;
    let bench = Bench::empty();
    let (service, disk) = with_small_disk(&bench, "tidemill-data", 64 << 20);
    let token = service.token.clone().expect("an empty store gives a first token");
    let caller = Caller::of(&service, &token);
    caller.push_and_deploy(BOOKS);
    for day in 0..DAYS {
        caller.ask(day).expect("it answers");
    }
    let filler = fill(&disk);
    let days = until_it_cannot_write(&caller, DAYS) + 1;
    assert_eq!(caller.runs().len() as u64, days - 1, "what is there is still told");
    std::fs::remove_file(&filler).expect("room is made");
    caller.ask(days - 1).expect("it answers");
    caller.wait_for_all(usize::try_from(days).expect("few days"));
    let address = format!("sqlite:{}", bench.path("tidemill-data/tidemill.db").display());
    let inside = Some(service.process.id());
    Checker { address: duckdb::address(&address), inside }.check(days, &caller.runs());
}

#[test]
fn a_run_whose_tables_find_no_room_waits_for_it() {
    let bench = Bench::empty();
    std::fs::create_dir_all(bench.path("tidemill-data")).expect("a folder");
    let (service, disk) = with_small_disk(&bench, "tidemill-data/lake", 1 << 20);
    let token = service.token.clone().expect("an empty store gives a first token");
    let caller = Caller::of(&service, &token);
    caller.push_and_deploy(BOOKS);
    let filler = fill(&disk);
    caller.ask(0).expect("it answers");
    let run = caller.runs()[0]["id"].as_str().expect("an id").to_owned();
    let until = Instant::now() + PATIENCE;
    let trouble = loop {
        let shown = caller.get(&format!("/api/v1/runs/{run}"));
        if let Some(it) = shown["troubles"].get("first") {
            break it.clone();
        }
        assert!(Instant::now() < until, "it is never told: {shown}");
    };
    assert_eq!(trouble["code"], "disk-full", "{trouble}");
    std::fs::remove_file(&filler).expect("room is made");
    caller.wait_for_all(1);
    let address = format!("sqlite:{}", bench.path("tidemill-data/tidemill.db").display());
    let inside = Some(service.process.id());
    Checker { address: duckdb::address(&address), inside }.check(1, &caller.runs());
}

#[test]
fn a_database_that_only_reads_is_told_and_outlasted() {
    const DAYS: u64 = 20;
    let (server, bench) = (Postgres::start(), Bench::empty());
    let store = server.database();
    let service = Service::start(&bench, &["--store", &store]);
    let token = service.token.clone().expect("an empty store gives a first token");
    let caller = Caller::of(&service, &token);
    caller.push_and_deploy(BOOKS);
    for day in 0..DAYS {
        caller.ask(day).expect("it answers");
    }
    let set = |value: &str| {
        server.execute(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}"));
        server.execute("SELECT pg_reload_conf()");
    };
    set("on");
    let days = until_it_cannot_write(&caller, DAYS) + 1;
    set("off");
    caller.ask(days - 1).expect("it answers");
    caller.wait_for_all(usize::try_from(days).expect("few days"));
    Checker { address: duckdb::address(&store), inside: None }.check(days, &caller.runs());
}

/// A machine's clock that can be set, for one process: libfaketime, which leaves the monotonic clock alone.
struct Clock(PathBuf);

impl Clock {
    const LIBRARIES: [&str; 2] = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    ];

    fn of(bench: &Bench, name: &str) -> Self {
        let clock = Self(bench.path(name));
        clock.step("+0s");
        clock
    }

    fn step(&self, by: &str) {
        // By rename: whoever reads it meanwhile reads one or the other.
        let new = self.0.with_extension("new");
        std::fs::write(&new, format!("{by}\n")).expect("a file");
        std::fs::rename(&new, &self.0).expect("a file");
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let library = Self::LIBRARIES.into_iter().find(|it| std::path::Path::new(it).exists());
        let library = library.expect("there is no libfaketime: run `cargo xtask setup`");
        vec![
            ("LD_PRELOAD", library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

#[test]
fn a_clock_that_steps_by_an_hour_costs_no_lease_and_no_order() {
    const DAYS: u64 = 24;
    let (server, bench, log) = (Postgres::start(), Bench::empty(), Bench::empty());
    let store = server.database();
    let start = |bench: &Bench, clock: &Clock| {
        let data = bench.path("tidemill-data").display().to_string();
        let more = [&["--store", &store, "--data-dir", &data][..], &HASTY].concat();
        Service::start_in(bench, &more, &clock.environment())
    };
    let (here, there) = (Clock::of(&bench, "clock"), Clock::of(&log, "clock"));
    let one = start(&bench, &here);
    let token = one.token.clone().expect("an empty store gives a first token");
    // They share the components, as hosts do.
    std::os::unix::fs::symlink(bench.path("tidemill-data"), log.path("tidemill-data")).expect("a link");
    let two = start(&log, &there);
    let callers = [Caller::of(&one, &token), Caller::of(&two, &token)];
    callers[0].push_and_deploy(BOOKS);
    for (part, (a, b)) in
        [("+0s", "+0s"), ("+3600s", "-3600s"), ("-3600s", "+3600s"), ("+0s", "+0s")].iter().enumerate()
    {
        here.step(a);
        there.step(b);
        // Until both have seen the step, and a lease beyond.
        for (caller, offset) in callers.iter().zip([a, b]) {
            wait_for_clock(caller, offset);
        }
        let first = part as u64 * DAYS / 4;
        for day in first..first + DAYS / 4 {
            callers[(day % 2) as usize].ask(day).expect("it answers");
        }
        callers[0].wait_for_all(usize::try_from(first + DAYS / 4).expect("few days"));
    }
    for bench in [&bench, &log] {
        let said = bench.read("serve.log");
        for text in ["went silent", "given up", "belongs to another host"] {
            assert!(!said.contains(text), "{text}: {said}");
        }
    }
    let tables = callers[0].get("/api/v1/tables");
    for table in tables["items"].as_array().expect("tables") {
        let name = table["name"].as_str().expect("a name");
        let history = callers[0].get(&format!("/api/v1/tables/{name}/history?limit=1000"));
        let times: Vec<&str> = history["items"]
            .as_array()
            .expect("versions")
            .iter()
            .filter_map(|it| it["committed_at"].as_str())
            .collect();
        assert!(times.len() > 4 && times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
    }
    Checker { address: duckdb::address(&store), inside: None }.check(DAYS, &callers[0].runs());
}

/// Until a service's own clock is off by so much.
fn wait_for_clock(caller: &Caller, offset: &str) {
    let offset: i64 = offset.trim_end_matches('s').parse().expect("seconds");
    let until = Instant::now() + PATIENCE;
    let name = format!("t{}", offset.unsigned_abs());
    loop {
        let body = json!({"name": name, "role": "viewer"});
        let made = caller.post("/api/v1/tokens", &body).expect("it answers").text().expect("text");
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let at = made["token"]["created_at"].as_str().expect("a time");
        let at: std::time::SystemTime = at.parse::<jiff::Timestamp>().expect("a time").into();
        let now = std::time::SystemTime::now();
        let ahead = match at.duration_since(now) {
            Ok(it) => i64::try_from(it.as_secs()).expect("seconds"),
            Err(e) => -i64::try_from(e.duration().as_secs()).expect("seconds"),
        };
        if (ahead - offset).abs() < 600 {
            return;
        }
        assert!(Instant::now() < until, "the clock is off by {ahead} s instead of {offset}");
    }
}

#[test]
fn a_clock_that_steps_ends_no_attempt_early() {
    const TIMEOUT: Duration = Duration::from_secs(4);
    let bench = Bench::empty();
    let clock = Clock::of(&bench, "clock");
    let service = Service::start_in(&bench, &[], &clock.environment());
    let token = service.token.clone().expect("an empty store gives a first token");
    bench.done(&["login", &service.url, "--token", &token]);
    let guest = repository().join("tests/guests/components/misbehave.wasm");
    bench.done(&["push", &guest.display().to_string()]);
    let text = "[pipeline]\nname = \"endless\"\n[nodes.it]\ntask = \"misbehave\"\nparameters = { do = \"endless-loop\" }\n\
                timeout = \"4s\"\n";
    bench.write("pipeline.toml", text);
    bench.done(&["deploy", "."]);
    for step in ["+3600s", "-3600s"] {
        clock.step("+0s");
        wait_for_clock(&Caller::of(&service, &token), "+0s");
        let began = Instant::now();
        let run = bench.json(&["run", "endless"])["id"].as_str().expect("an id").to_owned();
        clock.step(step);
        wait_for_clock(&Caller::of(&service, &token), step);
        Caller::of(&service, &token).wait_for_all(1);
        assert!(began.elapsed() >= TIMEOUT, "{step}: the attempt was ended early");
        let shown = bench.json(&["runs", "show", &run]);
        assert_eq!(shown["record"]["nodes"][0]["error"]["code"], "timeout", "{shown}");
    }
}
