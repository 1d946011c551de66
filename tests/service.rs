//! The service as its users meet it: the real binary serves on a port of its own, and the same binary talks to it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use crate::program::{Bench, Called, repository};

/// A service that runs until dropped.
pub(crate) struct Service {
    pub(crate) process: Child,
    pub(crate) url: String,
    /// Printed where the store was empty.
    pub(crate) token: Option<String>,
}

impl Service {
    /// Starts a service on a folder's `tidemill-data`.
    pub(crate) fn start(bench: &Bench, more: &[&str]) -> Self {
        Self::start_in(bench, more, &[])
    }

    /// The same with these variables.
    pub(crate) fn start_in(bench: &Bench, more: &[&str], environment: &[(&str, String)]) -> Self {
        let mut command = bench.command(&[&["serve"], more].concat());
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        Self::spawn(bench, command)
    }

    /// What a command starts, which serves in the end.
    pub(crate) fn spawn(bench: &Bench, mut command: Command) -> Self {
        let is_first = !bench.path("tidemill-data/components").exists();
        command.env("TIDEMILL_LISTEN", "127.0.0.1:0");
        let log = std::fs::File::create(bench.path("serve.log")).expect("create a log file");
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().expect("start tidemill");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let Some(first) = lines.next() else { panic!("it does not start: {}", bench.read("serve.log")) };
        let line = first.expect("text on stdout");
        let url = line.strip_prefix("listening on ").expect("the first line says where").to_owned();
        // An empty store gets a token, and the next line says which.
        let token = is_first.then(|| {
            let line = lines.next().expect("another line").expect("text on stdout");
            line.strip_prefix("first token: ").expect("a token").to_owned()
        });
        Self { process, url, token }
    }

    /// A new service, and the folder's commands logged in to it.
    pub(crate) fn with_login(bench: &Bench) -> Self {
        let service = Self::start(bench, &[]);
        let token = service.token.clone().expect("an empty store gives a first token");
        bench.done(&["login", &service.url, "--token", &token]);
        service
    }

    pub(crate) fn stop(&mut self) -> Option<i32> {
        let stopped = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(stopped.expect("start kill").success());
        self.process.wait().expect("it was started here").code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Ended already, it cannot be killed.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn example(path: &str) -> String {
    repository().join("examples").join(path).display().to_string()
}

/// What a service logged besides what was asked of it; nothing, where all went well.
pub(crate) fn assert_quiet(bench: &Bench) {
    for line in bench.read("serve.log").lines() {
        assert!(!line.contains("\"WARN\"") && !line.contains("\"ERROR\""), "{line}");
    }
}

#[test]
fn a_service_starts_serves_and_stops_when_told() {
    let bench = Bench::empty();
    let mut service = Service::with_login(&bench);
    assert_eq!(bench.json(&["pipelines"]), serde_json::json!([]));
    assert_eq!(service.stop(), Some(0));
    assert_quiet(&bench);
    let mut again = Service::start(&bench, &[]);
    assert!(again.token.is_none());
    let token = service.token.as_deref().expect("a token");
    bench.done(&["login", &again.url, "--token", token]);
    assert_eq!(again.stop(), Some(0));
    bench.refused(&["pipelines"], &["error[host-unreachable]", &again.url, "to mend"]);
}

#[test]
fn two_services_on_one_folder_are_refused_with_who_holds_it() {
    let bench = Bench::empty();
    let service = Service::with_login(&bench);
    let holder = format!("process {} on", service.process.id());
    bench.refused(&["serve", "--listen", "127.0.0.1:0"], &["error[store-in-use]", &holder, "to mend"]);
}

#[test]
fn tokens_are_not_sent_in_the_clear_by_oversight() {
    let bench = Bench::empty();
    bench.refused(
        &["serve", "--listen", "0.0.0.0:0"],
        &["error[bind-in-the-clear]", "0.0.0.0", "--behind-proxy"],
    );
    assert!(!bench.path("tidemill-data").exists(), "nothing is made before it is known to be right");
    let service = Service::start(&bench, &["--listen=0.0.0.0:0", "--behind-proxy"]);
    assert!(service.token.is_some());
}

#[test]
fn settings_come_from_file_environment_and_flag() {
    let bench = Bench::empty();
    bench.write("tidemill.toml", "headers_max = 7\nstore = \"postgres://me:tops3cret@db/t\"\n");
    let mut command = bench.command(&["config", "show", "--json", "--requests-max", "9"]);
    let called = Called::new(&command.env("TIDEMILL_SHUTDOWN_GRACE", "3s").output().expect("start tidemill"));
    let rows: serde_json::Value = serde_json::from_str(&called.stdout).expect("JSON on stdout");
    let row = |key: &str| {
        let row = rows.as_array().expect("a list").iter().find(|it| it["key"] == key).expect("a setting");
        (row["value"].as_str().expect("a value").to_owned(), row["from"].as_str().expect("from").to_owned())
    };
    let pair = |value: &str, from: &str| (value.to_owned(), from.to_owned());
    assert_eq!(row("headers_max"), pair("7", "tidemill.toml"));
    assert_eq!(row("requests_max"), pair("9", "--requests-max"));
    assert_eq!(row("shutdown_grace"), pair("3s", "TIDEMILL_SHUTDOWN_GRACE"));
    assert_eq!(row("data_dir"), pair("tidemill-data", "default"));
    assert!(!called.stdout.contains("tops3cret"), "{}", called.stdout);
    bench.write("tidemill.toml", "header_max = 7\n");
    let texts = ["error[unknown-setting]", "`header_max`", "tidemill.toml, line 1", "`headers_max`"];
    bench.refused(&["config", "show"], &texts);
    bench.refused(&["serve"], &texts);
    bench.refused(&["serve", "--config", "nope.toml"], &["error[config-unreadable]", "nope.toml"]);
}

#[test]
fn a_login_is_kept_where_nobody_else_reads_it() {
    let bench = Bench::empty();
    let service = Service::with_login(&bench);
    for (kept, mode) in [("config/tidemill/hosts.toml", 0o600), ("tidemill-data", 0o700)] {
        let found = bench.path(kept).metadata().expect("it is there").permissions().mode();
        assert_eq!(found & 0o777, mode, "{kept}");
    }
    bench.refused(&["login", &service.url, "--token", "tm_1_2"], &["error[bad-token]", "to mend"]);
    bench.done(&["components"]);
    bench.done(&["logout"]);
    bench.refused(&["components"], &["error[no-host]", "tidemill login"]);
    bench.refused(&["components", "--host", &service.url], &["error[no-token]"]);
    let mut with_token = bench.command(&["components", "--host", &service.url]);
    let token = service.token.as_deref().expect("a token");
    let called = Called::new(&with_token.env("TIDEMILL_TOKEN", token).output().expect("start tidemill"));
    assert_eq!(called.code, Some(0), "{}", called.stderr);
    bench.refused(&["login", "localhost:7433"], &["error[bad-host]", "http://"]);
}

#[test]
fn components_are_pushed_tagged_inspected_pulled_and_deleted() {
    let bench = Bench::empty();
    let _service = Service::with_login(&bench);
    let file = example("hello/components/anomaly.wasm");
    let pushed = bench.json(&["push", &file, "--tag", "1.0.0", "--tag", "candidate"]);
    assert_eq!(pushed["component"]["tags"], serde_json::json!(["1.0.0", "candidate", "latest"]));
    let local = bench.json(&["inspect", &file]);
    let remote = bench.json(&["inspect", "anomaly:1.0.0"]);
    assert_eq!((&local["digest"], &local["inputs"]), (&remote["digest"], &remote["inputs"]));
    assert!(bench.done(&["components"]).stdout.contains("anomaly"));
    bench.done(&["components", "tag", "anomaly:1.0.0", "stable"]);
    assert_eq!(bench.json(&["components", "tags", "anomaly"]).as_array().map(Vec::len), Some(4));
    assert_eq!(bench.json(&["components", "tags", "anomaly:stable"]).as_array().map(Vec::len), Some(1));
    bench.done(&["pull", "anomaly:stable", "-o", "copy.wasm"]);
    assert!(std::fs::read(bench.path("copy.wasm")).expect("a file") == std::fs::read(&file).expect("a file"));
    bench.refused(&["inspect", "anomly"], &["error[unknown-component]", "did you mean `anomaly`?"]);
    bench.write("x.wasm", "no wasm");
    bench.refused(&["push", "x.wasm"], &["error[not-wasm]", "to mend"]);
    bench.refused(&["push", "nope.wasm"], &["error[component-unreadable]", "nope.wasm"]);
    bench.done(&["components", "delete", "anomaly"]);
    assert_eq!(bench.json(&["components"]), serde_json::json!([]));
}

#[test]
fn examples_are_deployed_with_what_lies_beside_them() {
    let bench = Bench::empty();
    let _service = Service::with_login(&bench);
    for (name, files) in [("hello", 1), ("etf-replicator", 2)] {
        let first = bench.done(&["deploy", &example(name)]);
        assert_eq!(first.stdout.trim(), format!("{name}@1"));
        let again = bench.done(&["deploy", &example(name)]);
        assert!(!again.stderr.contains("sent"), "what is there is not sent again: {}", again.stderr);
        assert!(again.stderr.contains("says the same"), "{}", again.stderr);
        let shown = bench.json(&["pipelines", "show", name]);
        assert_eq!(shown["files"].as_array().map(Vec::len), Some(files));
        for it in shown["components"].as_object().expect("components").values() {
            assert!(it["tag"].is_null() && it["digest"].is_string(), "what lies beside is pinned: {it}");
        }
    }
    assert_eq!(bench.json(&["pipelines"]).as_array().map(Vec::len), Some(2));
    assert_quiet(&bench);
}

#[test]
fn a_deleted_version_frees_what_only_it_used_and_its_number_stays_taken() {
    let bench = Bench::example("hello");
    let _service = Service::with_login(&bench);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    let digest = bench.json(&["components"])[0]["digest"].as_str().expect("a digest").to_owned();
    bench.refused(&["components", "delete", &digest], &["error[component-in-use]", "pipeline `hello`"]);
    bench.refused(&["pipelines", "delete", "hello"], &["error[bad-version]", "`hello@1`"]);
    bench.refused(&["pipelines", "delete", "hello@7"], &["error[unknown-pipeline]", "no version 7"]);
    bench.done(&["pipelines", "delete", "hello@1"]);
    assert_eq!(bench.json(&["pipelines"]), serde_json::json!([]));
    bench.refused(&["run", "hello"], &["error[unknown-pipeline]"]);
    assert!(!bench.path("tidemill-data/deployments/hello/1").exists());
    bench.done(&["components", "delete", &digest]);
    assert_eq!(bench.json(&["runs"]).as_array().map(Vec::len), Some(1), "its runs stay");
    assert_eq!(bench.done(&["deploy", "."]).stdout.trim(), "hello@2");
    assert_eq!(bench.json(&["pipelines", "versions", "hello"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_changed_pipeline_is_a_new_version_and_differs_where_it_was_changed() {
    let bench = Bench::example("hello");
    let _service = Service::with_login(&bench);
    bench.done(&["push", "components/anomaly.wasm", "--tag", "1.0.0"]);
    bench.done(&["deploy", "."]);
    bench.edit("pipeline.toml", "how warm", "how very warm");
    bench.edit("pipeline.toml", "task = \"anomaly\"", "task = \"anomaly:1.0.0\"");
    assert_eq!(bench.done(&["deploy", "."]).stdout.trim(), "hello@2");
    let difference = bench.done(&["pipelines", "diff", "hello", "1", "2"]).stdout;
    for text in ["+summary = \"how very warm", "task anomaly:1.0.0: none → anomaly:1.0.0, now"] {
        assert!(difference.contains(text), "{difference}");
    }
    let one = bench.done(&["pipelines", "show", "hello@1"]).stdout;
    assert!(one.contains("summary = \"how warm"), "{one}");
    bench.refused(&["pipelines", "show", "hello@3"], &["error[unknown-pipeline]", "its newest is 2"]);
    bench.refused(&["components", "delete", "anomaly"], &["error[component-in-use]", "`hello`, version 2"]);
    bench.edit("pipeline.toml", "anomaly:1.0.0", "anomaly:1.0.1");
    let texts = ["error[unknown-task]", "`anomaly:1.0.1`", "pipeline.toml, line", "`anomaly:1.0.0`"];
    bench.refused(&["deploy", "."], &texts);
}

#[test]
fn roles_bound_what_a_token_may_do() {
    let bench = Bench::empty();
    let service = Service::with_login(&bench);
    let token = bench.done(&["tokens", "create", "reader", "--expires", "1d"]).stdout;
    let as_reader = |args: &[&str]| {
        let mut command = bench.command(args);
        Called::new(&command.env("TIDEMILL_TOKEN", token.trim()).output().expect("start tidemill"))
    };
    assert_eq!(as_reader(&["components"]).code, Some(0));
    let push = as_reader(&["push", &example("hello/components/anomaly.wasm")]);
    assert!(push.code == Some(2) && push.stderr.contains("error[role-too-small]"), "{}", push.stderr);
    let id = token.split('_').nth(1).expect("a token has an id");
    bench.done(&["tokens", "revoke", id]);
    assert!(as_reader(&["components"]).stderr.contains("error[token-revoked]"));
    let refused = bench.json(&["audit", "--status", "403"]);
    assert_eq!((&refused[0]["who"], &refused[0]["code"]), (&"reader".into(), &"role-too-small".into()));
    let log = bench.read("serve.log");
    for secret in [token.trim(), service.token.as_deref().expect("a token")] {
        let hidden = secret.rsplit('_').next().expect("a secret part");
        assert!(!log.contains(hidden), "the log holds a secret");
    }
}

/// A certificate for 127.0.0.1 that vouches for itself, and its key, for tests alone.
fn tls(name: &str) -> String {
    repository().join("tests/support/tls").join(name).display().to_string()
}

#[test]
fn a_service_with_a_certificate_is_talked_to_by_who_trusts_it() {
    let bench = Bench::empty();
    let (certificate, key) = (tls("certificate.pem"), tls("key.pem"));
    let mut service = Service::start(&bench, &["--tls-cert", &certificate, "--tls-key", &key]);
    let (url, token) = (service.url.clone(), service.token.clone().expect("a token"));
    assert!(url.starts_with("https://"), "{url}");
    bench.refused(&["login", &url, "--token", &token], &["error[host-unreachable]", "certificate", "--ca"]);
    bench.done(&["login", &url, "--token", &token, "--ca", &certificate]);
    let pushed = bench.json(&["push", &example("hello/components/anomaly.wasm")]);
    assert_eq!(pushed["is_new"], true);
    assert_eq!(service.stop(), Some(0));
    bench.refused(&["serve", "--tls-cert", &certificate], &["error[bad-setting]", "`tls_key`"]);
    let texts = ["error[tls-unusable]", "certificate.pem", "to mend"];
    bench.refused(
        &["serve", "--listen=127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &certificate],
        &texts,
    );
}

#[test]
fn spans_are_sent_to_a_collector_that_is_named() {
    let bench = Bench::empty();
    let collector = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", collector.local_addr().expect("an address"));
    let received = std::thread::spawn(move || {
        let (mut stream, _) = collector.accept().expect("someone calls");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a request");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .expect("answer");
        line
    });
    let mut service = Service::start(&bench, &["--otlp-endpoint", &endpoint]);
    bench.done(&["login", &service.url, "--token", service.token.as_deref().expect("a token")]);
    // What has not been sent is sent at the end.
    assert_eq!(service.stop(), Some(0));
    assert_eq!(received.join().expect("it ends").trim(), "POST /v1/traces HTTP/1.1");
}

#[test]
fn an_upload_that_is_too_large_is_refused_with_the_reason() {
    let bench = Bench::empty();
    let service = Service::start(&bench, &["--component-bytes-max", "1MiB"]);
    bench.done(&["login", &service.url, "--token", service.token.as_deref().expect("a token")]);
    std::fs::write(bench.path("large.wasm"), vec![0; 40 << 20]).expect("write file");
    bench.refused(&["push", "large.wasm"], &["error[body-too-large]", "1048576 bytes", "to mend"]);
    assert_eq!(bench.json(&["components"]), serde_json::json!([]));
}
