//! Runs on a service, by the binary alone: begun, followed, ended, run again, annotated; tables that grow day by day.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::duckdb;
use crate::postgres;
use crate::program::{Bench, in_state, repository};
use crate::service::Service;

/// A service, and the pipeline of an example deployed on it.
fn with_example(name: &str) -> (Bench, Service) {
    let bench = Bench::example(name);
    let service = Service::with_login(&bench);
    bench.done(&["deploy", "."]);
    (bench, service)
}

/// A service, and a pipeline of one task that misbehaves as told.
fn with_misbehaving(what: &str) -> (Bench, Service) {
    let bench = Bench::empty();
    let service = Service::with_login(&bench);
    let guest = repository().join("tests/guests/components/misbehave.wasm");
    bench.done(&["push", &guest.display().to_string()]);
    let text = format!(
        "[pipeline]\nname = \"bad\"\n[nodes.it]\ntask = \"misbehave\"\nparameters = {{ do = \"{what}\" }}\n"
    );
    bench.write("pipeline.toml", &text);
    bench.done(&["deploy", "."]);
    (bench, service)
}

fn state(bench: &Bench, run: &str) -> String {
    bench.json(&["runs", "show", run])["state"].as_str().expect("a state").to_owned()
}

fn ids(bench: &Bench, more: &[&str]) -> Vec<String> {
    let runs = bench.json(&[&["runs"], more].concat());
    runs.as_array().expect("a list").iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_run_is_begun_by_name_followed_and_told_of() {
    let (bench, _service) = with_example("hello");
    let run = bench.json(&["run", "hello", "--wait", "--description", "the first", "--label", "desk=rates"]);
    assert_eq!(run["state"], "succeeded");
    assert_eq!(in_state(&run["record"], "computed"), ["temperatures", "anomaly"]);
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("this machine has a name");
    assert_eq!(run["host"], machine.trim());
    let again = bench.done(&["run", "hello", "--wait"]);
    assert!(again.stderr.contains("nothing to compute: 2 of 2 nodes reused"), "{}", again.stderr);
    let id = run["id"].as_str().expect("an id");
    bench.done(&["runs", "note", id, "looks right"]);
    let shown = bench.done(&["runs", "show", id]).stdout;
    for text in ["the first", "desk=rates", "looks right", "anomaly", "succeeded"] {
        assert!(shown.contains(text), "{text} is not in\n{shown}");
    }
    assert_eq!(ids(&bench, &["--pipeline", "hello"]).len(), 2);
    assert_eq!(ids(&bench, &["--state", "failed"]).len(), 0);
    assert_eq!(ids(&bench, &["-n", "1", "--since", "1d"]).len(), 1);
    let logged = bench.done(&["logs", id]).stdout;
    assert!(logged.contains("anomaly#1"), "{logged}");
    let csv = bench.done(&["runs", "export", "--format", "csv"]).stdout;
    assert!(csv.starts_with("run,pipeline,version,state,"), "{csv}");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.contains(",hello,1,succeeded,"), "{csv}");
}

#[test]
fn links_are_given_added_shown_and_exported() {
    let (bench, _service) = with_example("hello");
    let ticket = "https://tickets.example.com/7?a=b";
    let run =
        bench.json(&["run", "hello", "--wait", "--link", &format!("ticket 7={ticket}"), "--link", ticket]);
    let id = run["id"].as_str().expect("an id");
    bench.done(&["runs", "link", id, "http://localhost:3000/d/1", "--title", "dashboard"]);
    let links = &bench.json(&["runs", "show", id])["links"];
    let pair =
        |it: &Value| (it["title"].as_str().unwrap().to_owned(), it["url"].as_str().unwrap().to_owned());
    let found: Vec<_> = links.as_array().expect("a list").iter().map(pair).collect();
    let expected = [("ticket 7", ticket), ("", ticket), ("dashboard", "http://localhost:3000/d/1")];
    assert_eq!(found, expected.map(|(title, url)| (title.to_owned(), url.to_owned())));
    assert_eq!(links[2]["who"], run["created_by"]);
    let shown = bench.done(&["runs", "show", id]).stdout;
    assert!(shown.contains("dashboard") && shown.contains(ticket), "{shown}");
    let csv = bench.done(&["runs", "export", id, "--format", "csv"]).stdout;
    assert!(csv.contains(&format!("ticket 7: {ticket}\n{ticket}\ndashboard: http://")), "{csv}");
    let audit = bench.done(&["audit"]).stdout;
    assert!(audit.contains(&format!("/api/v1/runs/{id}/links")), "{audit}");
}

#[test]
fn what_is_no_address_of_the_web_is_no_link() {
    let (bench, _service) = with_example("hello");
    bench.refused(
        &["run", "hello", "--link", "x=javascript:alert(1)"],
        &["error[bad-link]", "javascript:alert(1)", "to mend", "https://"],
    );
    assert_eq!(bench.json(&["runs"]), json!([]), "nothing of it was kept");
    bench.done(&["run", "hello", "--wait"]);
    bench.refused(&["runs", "link", "last", "file:///etc/passwd"], &["error[bad-link]"]);
    bench.refused(&["runs", "link", "last", "https://ann:pw@example.com"], &["error[bad-link]", "password"]);
    let long = format!("https://example.com/{}", "x".repeat(2000));
    bench.refused(&["runs", "link", "last", &long], &["error[bad-request]", "`url`", "2000"]);
    bench.refused(
        &["runs", "link", "last", "https://a.example", "--title", "a\u{1b}[2J"],
        &["error[bad-link]"],
    );
    bench.refused(&["runs", "link", "none", "https://a.example"], &["error[unknown-run]"]);
    bench.refused(&["run", ".", "--link", "https://a.example"], &["error[service-only-flag]", "--link"]);
}

#[test]
fn what_a_run_is_told_is_checked_before_it_is_kept() {
    let (bench, _service) = with_example("etf-replicator");
    let refused = |args: &[&str], texts: &[&str]| bench.refused(&[&["run"], args].concat(), texts);
    refused(&["etf-replicater"], &["error[unknown-pipeline]", "did you mean `etf-replicator`?"]);
    refused(&["etf-replicator@7"], &["error[unknown-pipeline]", "no version 7"]);
    refused(&["etf-replicator", "--set", "lasso_alfa=1"], &["error[unknown-parameter]", "`lasso_alpha`"]);
    refused(&["etf-replicator", "--set", "in_window=many"], &["error[", "in_window", "to mend"]);
    refused(&["etf-replicator", "--node", "laso"], &["error[unknown-node]", "`lasso`"]);
    refused(&["etf-replicator", "--start", "2020-01-02", "--end", "2020-01-01"], &["error[empty-window]"]);
    refused(&["etf-replicator", "--jobs", "3"], &["error[local-only-flag]", "--jobs"]);
    refused(&[".", "--wait"], &["error[service-only-flag]", "--wait"]);
    assert_eq!(ids(&bench, &[]).len(), 0, "nothing of it was kept");
}

#[test]
fn a_failed_run_says_why_and_is_retried() {
    let (bench, _service) = with_misbehaving("permanent");
    bench.fails(&["run", "bad", "--wait"], &["the model does not fit"]);
    let shown = bench.done(&["runs", "show", "last"]).stdout;
    assert!(shown.contains("the model does not fit"), "{shown}");
    bench.fails(&["runs", "retry", "last", "--wait"], &["the model does not fit"]);
    assert_eq!(ids(&bench, &["--state", "failed"]).len(), 2);
    let record = &bench.json(&["runs", "show", "last"])["record"];
    assert_eq!(record["from"].as_str(), Some(ids(&bench, &[])[1].as_str()), "it says what it goes back to");
}

#[test]
fn a_cancel_stops_a_guest_in_an_endless_loop_and_waiting_runs_are_paused() {
    let (bench, _service) = with_misbehaving("endless-loop");
    let id = bench.done(&["run", "bad"]).stdout.trim().to_owned();
    bench.refused(&["runs", "retry", &id], &["error[run-not-over]", "runs cancel"]);
    bench.done(&["runs", "pause", &id]);
    assert_eq!(state(&bench, &id), "paused");
    bench.done(&["runs", "resume", &id]);
    let asked = Instant::now();
    bench.done(&["runs", "cancel", &id]);
    // Following it ends when the run has ended.
    bench.done(&["logs", &id, "-f"]);
    assert_eq!(state(&bench, &id), "cancelled");
    assert!(asked.elapsed() < Duration::from_secs(20), "it took {:?}", asked.elapsed());
    bench.refused(&["runs", "resume", &id], &["error[run-ended]", "cancelled"]);
}

/// Days up to which the tables are brought, one run after the other.
const ENDS: [&str; 6] = ["1991-01-01", "1991-01-03", "1992-06-01", "1992-06-02", "1992-06-03", "1993-01-01"];

/// The two nodes of the example that compute returns add to their tables instead of writing them anew.
fn updating() -> Bench {
    let bench = Bench::example("etf-replicator");
    bench.edit(
        "pipeline.toml",
        "look_back = 1\n",
        "look_back = 1\nwrite_mode = \"upsert\"\ncorrections = \"recompute\"\nfirst_time = \"1990-01-02\"\n",
    );
    bench
}

/// All rows of the tables of a service, in order, by table.
fn rows(bench: &Bench) -> Value {
    let address = duckdb::address(&format!("sqlite:{}", bench.path("tidemill-data/tidemill.db").display()));
    let program = format!(
        r#"
attach({address:?})
names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' ORDER BY 1").fetchall()]
tables = {{}}
for name in names:
    if not name.startswith("statistics"):
        found = connection.execute(f'SELECT COLUMNS(*)::VARCHAR FROM lake."{{name}}" ORDER BY ALL')
        tables[name] = [list(row) for row in found.fetchall()]
print(json.dumps(tables))
"#
    );
    serde_json::from_str(&duckdb::python(&program)).expect("JSON of DuckDB")
}

#[test]
fn updates_day_by_day_through_kills_are_one_run_over_the_range() {
    let (whole, daily) = (updating(), updating());
    let _service = Service::with_login(&whole);
    whole.done(&["deploy", "."]);
    whole.done(&["run", "etf-replicator", "--end", ENDS[ENDS.len() - 1], "--wait"]);
    let mut service = Service::with_login(&daily);
    let token = service.token.clone().expect("a first token");
    daily.done(&["deploy", "."]);
    for end in ENDS {
        let mut client = daily.command(&["run", "etf-replicator", "--end", end, "--wait"]);
        let mut client = client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start tidemill");
        // Once it is kept, the service is killed, and the next one goes on with it.
        while ids(&daily, &["-n", "1"]).is_empty() {}
        service.process.kill().expect("kill the service");
        service.process.wait().expect("it was started here");
        client.kill().expect("end the client");
        client.wait().expect("it was started here");
        service = Service::start(&daily, &[]);
        daily.done(&["login", &service.url, "--token", &token]);
        daily.done(&["run", "etf-replicator", "--end", end, "--wait"]);
    }
    let (whole, daily) = (rows(&whole), rows(&daily));
    let (whole, daily) = (whole.as_object().expect("tables"), daily.as_object().expect("tables"));
    assert_eq!(whole.keys().collect::<Vec<_>>(), daily.keys().collect::<Vec<_>>());
    for (table, rows) in whole {
        let both = rows.as_array().expect("rows").iter().zip(daily[table].as_array().expect("rows"));
        for (one, many) in both {
            assert_eq!(one, many, "{table}");
        }
        assert_eq!(rows.as_array().map(Vec::len), daily[table].as_array().map(Vec::len), "{table}");
    }
}

#[test]
fn a_late_correction_is_found_and_what_follows_is_computed_again() {
    let bench = Bench::example("hello");
    bench.edit(
        "pipeline.toml",
        "task = \"anomaly\"\n",
        "task = \"anomaly\"\nwrite_mode = \"upsert\"\ncorrections = \"recompute\"\n",
    );
    let _service = Service::with_login(&bench);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    let before = rows(&bench);
    let csv = bench.read("data/temperatures.csv");
    let third = csv.lines().nth(3).expect("a third row").to_owned();
    let (day, _) = third.split_once(',').expect("two columns");
    bench.write("data/temperatures.csv", &csv.replace(&third, &format!("{day},99.5")));
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    let corrected = rows(&bench);
    let of = |tables: &Value| {
        let tables = tables.as_object().expect("tables");
        let (_, rows) = tables.iter().find(|(name, _)| name.starts_with("anomaly")).expect("the table");
        rows.as_array().expect("rows").clone()
    };
    let (before, corrected) = (of(&before), of(&corrected));
    assert_eq!(before[..2], corrected[..2], "what came before the correction stays");
    assert_ne!(before[2..], corrected[2..], "what follows is computed again");
    // A service that never knew anything else says the same.
    let fresh = Bench::example("hello");
    fresh.write("data/temperatures.csv", &bench.read("data/temperatures.csv"));
    let _other = Service::with_login(&fresh);
    fresh.done(&["deploy", "."]);
    fresh.done(&["run", "hello", "--wait"]);
    assert_eq!(of(&rows(&fresh)), corrected);
}

#[test]
fn runs_outlast_a_database_that_goes_away() {
    let (mut server, bench) = (postgres::Postgres::start(), Bench::example("hello"));
    let store = server.database();
    let service = Service::start(&bench, &["--store", &store]);
    let token = service.token.clone().expect("a first token");
    bench.done(&["login", &service.url, "--token", &token]);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    server.crash();
    bench.refused(&["run", "hello", "--force"], &["error[store-unreachable]", "to mend"]);
    server.restart(&["fsync=off"]);
    // Connections of the pool that are dead by now are found so one by one.
    let began = Instant::now();
    while bench.call(&["run", "hello", "--force", "--wait"]).code != Some(0) {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not come back");
    }
}

#[test]
fn a_checkpoint_outlives_the_process_that_kept_it() {
    let (bench, mut service) = with_misbehaving("checkpoint-once");
    let token = service.token.clone().expect("a token");
    let run = bench.json(&["run", "bad"])["id"].as_str().expect("an id").to_owned();
    let until = Instant::now() + Duration::from_secs(60);
    while bench.json(&["runs", "show", &run])["progress"]["it"]["done"] != 1 {
        assert!(Instant::now() < until, "the attempt never says how far it is");
    }
    let checkpoints = bench.path(&format!("tidemill-data/runs/{run}/checkpoints"));
    assert!(checkpoints.exists());
    service.process.kill().expect("kill the service");
    service.process.wait().expect("it was started here");
    let again = Service::start(&bench, &[]);
    bench.done(&["login", &again.url, "--token", &token]);
    bench.done(&["logs", &run, "-f"]);
    assert_eq!(state(&bench, &run), "succeeded");
    assert!(bench.done(&["logs", &run]).stdout.contains("went on half way"));
    assert!(!checkpoints.exists(), "nobody needs them any more");
}
