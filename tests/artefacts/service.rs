//! Artefacts of a service's runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{REPORT, files, kept, papers, report, rows};
use crate::program::{Bench, guest};
use crate::service::Service;

const DESK: &str = "desk[text=rates]";

fn deployed() -> (Bench, Service) {
    let bench = papers();
    let service = Service::with_login(&bench);
    bench.done(&["push", "components/papers.wasm"]);
    bench.done(&["deploy", "."]);
    (bench, service)
}

/// One request as it goes over the wire: head and body of the answer.
fn ask(service: &Service, token: &str, path: &str) -> (String, Vec<u8>) {
    let address = service.url.strip_prefix("http://").expect("it is http").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).expect("connect");
    let request = format!(
        "GET /api/v1/{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("ask");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec())
}

#[test]
fn files_of_a_service_are_listed_downloaded_and_exported() {
    let (bench, _service) = deployed();
    let run = bench.json(&["run", "papers", "--wait"]);
    let listed = bench.json(&["runs", "artefacts", "last"]);
    assert_eq!(rows(&listed)[1], (DESK, REPORT, 10));
    assert_eq!(run["artefacts"], listed);
    bench.done(&["runs", "artefacts", "last", "--to", "out"]);
    assert_eq!(files(&bench.path("out"))[3], (format!("{DESK}/{REPORT}"), report("rates")));
    let one = ["runs", "artefacts", "last", "--node", DESK, "--name", REPORT, "-o", "-"];
    assert_eq!(bench.done(&one).stdout.into_bytes(), report("rates"));
    let shown = bench.done(&["runs", "show", "last"]).stdout;
    assert!(shown.contains(REPORT) && shown.contains("text/html"), "{shown}");
    let exported: Value = serde_json::from_str(&bench.done(&["runs", "export"]).stdout).expect("JSON");
    assert_eq!(exported[0]["artefacts"], listed);
    bench.done(&["runs", "export", "-o", "runs.csv"]);
    let (csv, digest) = (bench.read("runs.csv"), listed[1]["digest"].as_str().expect("a digest"));
    assert!(csv.contains(&format!("artefact.{DESK}.{REPORT}")) && csv.contains(digest), "{csv}");
}

#[test]
fn a_browser_saves_a_file_and_never_runs_it() {
    let (bench, service) = deployed();
    bench.done(&["run", "papers", "--wait"]);
    let made = bench.json(&["tokens", "create", "reader", "--role", "viewer"]);
    let token = made["secret"].as_str().expect("a secret");
    let node = "desk%5Btext%3Dcredit%2Ffx%5D";
    let (head, body) = ask(&service, token, &format!("runs/last/artefact?node={node}&name={REPORT}"));
    assert_eq!(body, report("credit/fx"));
    for line in [
        "http/1.1 200 ok",
        "content-type: text/html; charset=utf-8",
        "content-disposition: attachment; filename=\"report.html\"; filename*=utf-8''report.html",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'; sandbox",
        "content-length: 18",
    ] {
        assert!(head.contains(line), "{line} is not in\n{head}");
    }
    for (name, attempt) in [("..%2F..%2Ftidemill.db", ""), ("report.html", "&attempt=1")] {
        let path = format!("runs/last/artefact?node={node}&name={name}{attempt}");
        let (head, body) = ask(&service, token, &path);
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(head.starts_with("http/1.1 404") && body.contains("unknown-artefact"), "{head}\n{body}");
    }
    let (head, _) = ask(&service, "tm_nobody", &format!("runs/last/artefact?node={node}&name={REPORT}"));
    assert!(head.starts_with("http/1.1 401"), "{head}");
}

#[test]
fn a_reused_table_of_a_service_brings_its_files() {
    let bench = Bench::example("etf-replicator");
    let _service = Service::with_login(&bench);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "etf-replicator", "--wait"]);
    let first = bench.json(&["runs", "artefacts", "last"]);
    let again = bench.done(&["run", "etf-replicator", "--wait"]);
    assert!(again.stderr.contains("7 of 7 nodes reused"), "{}", again.stderr);
    assert_eq!(bench.json(&["runs", "artefacts", "last"]), first);
    assert!(bench.done(&["runs", "artefacts", "last", "-o", "-"]).stdout.starts_with("<svg "));
}

#[test]
fn records_and_files_agree_whenever_the_service_is_killed() {
    let (bench, mut service) = deployed();
    let token = service.token.clone().expect("a first token");
    for _ in 0..3 {
        let id = bench.done(&["run", "papers"]).stdout.trim().to_owned();
        service.process.kill().expect("kill the service");
        service.process.wait().expect("it was started here");
        service = Service::start(&bench, &[]);
        bench.done(&["login", &service.url, "--token", &token]);
        // Following it ends when the run has ended.
        bench.done(&["logs", &id, "-f"]);
        assert_eq!(bench.json(&["runs", "show", &id])["state"], "succeeded");
        bench.done(&["runs", "artefacts", &id, "--to", &id]);
        assert_eq!(files(&bench.path(&id))[3].1, report("rates"));
    }
    bench.done(&["lake", "gc", "--grace", "0s", "--yes"]);
    assert_eq!(kept(&bench, "tidemill-data/artefacts"), 3, "what attempts left that died is gone");
}

#[test]
fn only_files_that_no_run_names_are_collected() {
    let (bench, _service) = deployed();
    bench.done(&["run", "papers", "--wait"]);
    let stray = format!("tidemill-data/artefacts/{}/{}", "ab", "ab".repeat(32));
    bench.write(&stray, "nobody's").write("tidemill-data/artefacts/.unfinished/dead", "half");
    assert_eq!(bench.json(&["lake", "gc", "--yes"])["files"], 0, "it may be on its way for a day");
    let would = bench.json(&["lake", "gc", "--grace", "0s"]);
    assert_eq!((&would["files"], &would["bytes"]), (&json!(2), &json!(12)), "{would}");
    assert!(bench.path(&stray).exists());
    bench.done(&["lake", "gc", "--grace", "0s", "--yes"]);
    assert_eq!(kept(&bench, "tidemill-data/artefacts"), 3);
    bench.done(&["runs", "artefacts", "last", "--to", "out"]);
}

#[test]
fn a_file_stays_while_a_run_goes_on_that_may_still_name_it() {
    let (bench, _service) = deployed();
    bench.done(&["push", &guest("misbehave")]);
    let text = "[pipeline]\nname = \"endless\"\n[nodes.it]\ntask = \"misbehave\"\n\
                parameters = { do = \"endless-loop\" }\n";
    bench.write("other/pipeline.toml", text).done(&["deploy", "other"]);
    let id = bench.done(&["run", "endless"]).stdout.trim().to_owned();
    let stray = format!("tidemill-data/artefacts/ab/{}", "ab".repeat(32));
    bench.write(&stray, "somebody's");
    assert_eq!(bench.json(&["lake", "gc", "--grace", "0s", "--yes"])["files"], 0);
    bench.done(&["runs", "cancel", &id]);
    // Following it ends when the run has ended.
    bench.done(&["logs", &id, "-f"]);
    assert_eq!(bench.json(&["lake", "gc", "--grace", "0s", "--yes"])["files"], 1);
    assert!(!bench.path(&stray).exists());
}
