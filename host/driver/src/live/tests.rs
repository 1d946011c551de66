//! Runs of the service against a real store and sandbox: begun, ended, paused, cancelled, taken over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use tidemill_plan::{Digest, Machine, Problem};
use tidemill_sandbox::{Options, Sandbox};
use tidemill_store::{Claim, HostId, NewComponent, NewRun, RunRow, RunStatus, Store, StoreOptions, Wanted};

use tokio::runtime::Handle;

use super::{Deployed, Deployments, Live, LiveOptions, RunRequest, Soon};
use crate::live_table::LiveTables;
use crate::record::RunId;

/// Every pipeline is this text; tasks are the tests' own.
struct OnePipeline {
    text: Arc<str>,
    base: PathBuf,
}

const TASKS: [&str; 3] = ["noop", "gather", "misbehave"];

/// Its name, its digest, and where it lies.
fn guest(name: &str) -> (String, (Digest, PathBuf)) {
    let path = Path::new(GUESTS).join(format!("{name}.wasm"));
    let bytes = std::fs::read(&path).expect("`cargo xtask test` builds the guests");
    (name.to_owned(), (Digest::of(&bytes), path))
}

const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/components");

impl Deployments for OnePipeline {
    fn materialise<'a>(
        &'a self,
        _: &'a str,
        _: i64,
        _: Option<&'a BTreeMap<String, Digest>>,
    ) -> Soon<'a, Result<Deployed, Problem>> {
        let components = TASKS.into_iter().map(guest).collect();
        let (text, base) = (Arc::clone(&self.text), self.base.clone());
        Box::pin(async move { Ok(Deployed { text, file_name: "test.toml".to_owned(), base, components }) })
    }
}

/// A folder that outlives the hosts which work in it.
struct Ground {
    folder: tempfile::TempDir,
    text: Arc<str>,
    sandbox: Arc<Sandbox>,
}

impl Ground {
    fn new(text: &str) -> Self {
        let sandbox = Sandbox::new(Options { cache_dir: Options::user_cache_dir(), ..Options::default() });
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            text: format!("[pipeline]\nname = \"test\"\n{text}").into(),
            sandbox: Arc::new(sandbox.expect("a sandbox")),
        }
    }

    async fn host(&self, name: &str) -> Host {
        let options = StoreOptions {
            url: format!("sqlite:{}", self.folder.path().join("store.db").display()),
            host: HostId(name.to_owned()),
            host_name: "test".to_owned(),
            connect_timeout: Duration::from_secs(5),
            heartbeat: Duration::from_secs(1),
        };
        let store = Store::open(options).await.expect("the store opens");
        for (name, (digest, _)) in TASKS.into_iter().map(guest) {
            let (description, pushed_by) = ("{}".to_owned(), "test".to_owned());
            let component = NewComponent { digest, name, bytes: 1, description, pushed_at: 1, pushed_by };
            store.push_component(component, Vec::new()).await.expect("it is kept");
        }
        let root = self.folder.path().join("lake");
        let home = tidemill_lake::Home::folder(&root).expect("a folder for tables");
        store.init_catalog(root.to_str().expect("text"), 1).await.expect("a catalogue");
        let tables =
            LiveTables::new(store.clone(), Handle::current(), home, &tidemill_lake::Options::default());
        let lake = tables.lake(tidemill_lake::Options::default());
        let deployments = Arc::new(OnePipeline { text: Arc::clone(&self.text), base: PathBuf::from(".") });
        let options = LiveOptions {
            jobs: 2,
            runs_max: 8,
            machine: Machine { cpus_milli: 2000, memory_bytes: 1 << 30 },
            records_root: root,
            lease: Duration::from_secs(5),
            mirror: None,
        };
        let live =
            Live::start(store.clone(), (lake, tables), Arc::clone(&self.sandbox), deployments, options);
        Host { store, live }
    }
}

struct Host {
    store: Store,
    live: Arc<Live>,
}

impl Host {
    async fn submit(&self, id: &str, request: &RunRequest) {
        let request = serde_json::to_value(request).expect("only string keys");
        let run = NewRun { request, ..new_run(id) };
        self.store.submit(run).await.expect("it is kept");
        self.live.look();
    }

    async fn wait(&self, id: &str, is_it: impl Fn(&RunRow) -> bool) -> RunRow {
        let mut moves = self.live.moves();
        loop {
            let run = self.store.run(id).await.expect("the store answers").expect("it was submitted");
            if is_it(&run) {
                return run;
            }
            let moved = tokio::time::timeout(Duration::from_secs(30), moves.recv()).await;
            moved.unwrap_or_else(|_| panic!("nothing happens any more: {run:?}")).expect("it goes on");
        }
    }

    async fn end_of(&self, id: &str) -> RunRow {
        self.wait(id, |it| it.status.is_ended()).await
    }

    /// What became of each node, as one line.
    async fn nodes(&self, id: &str) -> String {
        let view = self.live.view(&RunId(id.to_owned())).await.expect("the store answers");
        let record = view.record.expect("it has begun");
        let node = |it: &crate::record::NodeRecord| {
            let state = serde_json::to_value(it.state).expect("a word");
            let error = it.error.as_ref().map(|it| format!(" ({})", it.code)).unwrap_or_default();
            format!("{} {}{error} #{}", it.node, state.as_str().unwrap_or_default(), it.attempts)
        };
        record.nodes.iter().map(node).collect::<Vec<_>>().join(", ")
    }

    async fn facts(&self, id: &str) -> String {
        let transitions = self.live.transitions(&RunId(id.to_owned()), 0).await.expect("the store answers");
        let fact = |it: &serde_json::Value| {
            let text = |key: &str| it.get(key).and_then(|it| it.as_str()).map(str::to_owned);
            let node = text("node").map(|it| format!(" {it}")).unwrap_or_default();
            text("fact").unwrap_or_default() + &node
        };
        transitions.iter().map(fact).collect::<Vec<_>>().join(", ")
    }

    async fn stop(self) {
        self.live.shutdown(Duration::from_secs(10)).await;
        self.store.close().await;
    }
}

fn block_on(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime starts").block_on(case);
}

const CHAIN: &str = "[nodes.a]\ntask = \"noop\"\n[nodes.b]\ntask = \"noop\"\ninputs = { in = \"a\" }\n";

#[test]
fn a_run_computes_and_the_next_reuses() {
    block_on(async {
        let ground = Ground::new(CHAIN);
        let host = ground.host("h1").await;
        host.submit("r1", &RunRequest::default()).await;
        assert_eq!(host.end_of("r1").await.status, RunStatus::Succeeded);
        expect!["a computed #1, b computed #1"].assert_eq(&host.nodes("r1").await);
        expect!["run-began, attempt-began a, attempt-ended a, node-succeeded a, attempt-began b, attempt-ended b, node-succeeded b, run-ended"].assert_eq(&host.facts("r1").await);
        host.submit("r2", &RunRequest::default()).await;
        host.end_of("r2").await;
        expect!["a reused #1, b reused #1"].assert_eq(&host.nodes("r2").await);
        host.submit("r3", &RunRequest { force: true, ..RunRequest::default() }).await;
        host.end_of("r3").await;
        expect!["a computed #1, b computed #1"].assert_eq(&host.nodes("r3").await);
        host.stop().await;
    });
}

#[test]
fn a_run_that_cannot_begin_fails_and_says_why() {
    block_on(async {
        let ground = Ground::new(CHAIN);
        let host = ground.host("h1").await;
        host.submit("r1", &RunRequest { set: vec!["nope=1".to_owned()], ..RunRequest::default() }).await;
        let run = host.end_of("r1").await;
        let code = run.summary.as_ref().map(|it| it["errors"][0]["code"].clone());
        assert_eq!((run.status, code), (RunStatus::Failed, Some("unknown-parameter".into())));
        host.stop().await;
    });
}

const ENDLESS: &str = "[nodes.a]\ntask = \"noop\"\n[nodes.b]\ntask = \"misbehave\"\n\
                       parameters = { do = \"endless-loop\" }\ninputs = { in = \"a\" }\n\
                       [nodes.c]\ntask = \"noop\"\ninputs = { in = \"b\" }\n";

#[test]
fn a_cancel_ends_a_guest_in_an_endless_loop() {
    block_on(async {
        let ground = Ground::new(ENDLESS);
        let host = ground.host("h1").await;
        host.submit("r1", &RunRequest::default()).await;
        host.wait("r1", |it| it.summary.as_ref().is_some_and(|it| it["succeeded"] == 1)).await;
        host.store.want("r1".to_owned(), Wanted::Cancel, 1).await.expect("it is noted");
        host.live.cancel(&RunId("r1".to_owned()));
        assert_eq!(host.end_of("r1").await.status, RunStatus::Cancelled);
        expect!["a computed #1, b cancelled #1, c cancelled #0"].assert_eq(&host.nodes("r1").await);
        host.stop().await;
    });
}

#[test]
fn a_run_goes_on_with_the_next_host_where_the_last_left_it() {
    block_on(async {
        let ground = Ground::new(ENDLESS);
        let host = ground.host("h1").await;
        host.submit("r1", &RunRequest::default()).await;
        host.wait("r1", |it| it.summary.as_ref().is_some_and(|it| it["succeeded"] == 1)).await;
        // The loop does not end within no grace: it is handed back.
        host.live.shutdown(Duration::ZERO).await;
        host.store.close().await;
        drop(host);
        let host = ground.host("h2").await;
        host.wait("r1", |it| it.owner.is_some()).await;
        host.store.want("r1".to_owned(), Wanted::Cancel, 1).await.expect("it is noted");
        host.live.look();
        assert_eq!(host.end_of("r1").await.status, RunStatus::Cancelled);
        expect!["a computed #1, b cancelled #1, c cancelled #0"].assert_eq(&host.nodes("r1").await);
        host.stop().await;
    });
}

#[test]
fn a_paused_run_begins_nothing_until_it_is_resumed() {
    block_on(async {
        let ground = Ground::new(CHAIN);
        let host = ground.host("h1").await;
        host.store.submit(new_run("r1")).await.expect("it is kept");
        host.store.want("r1".to_owned(), Wanted::Pause, 1).await.expect("it is noted");
        host.live.look();
        host.wait("r1", |it| it.status == RunStatus::Running).await;
        expect!["a pending #0, b pending #0"].assert_eq(&host.nodes("r1").await);
        host.stop().await;
        let host = ground.host("h2").await;
        host.store.want("r1".to_owned(), Wanted::Run, 1).await.expect("it is noted");
        host.live.look();
        assert_eq!(host.end_of("r1").await.status, RunStatus::Succeeded);
        host.stop().await;
    });
}

fn new_run(id: &str) -> NewRun {
    NewRun {
        id: id.to_owned(),
        pipeline: "test".to_owned(),
        version: 1,
        priority: 0,
        created_at: 1,
        created_by: "test".to_owned(),
        description: String::new(),
        labels: BTreeMap::new(),
        links: Vec::new(),
        idempotency_key: None,
        request: serde_json::to_value(RunRequest::default()).expect("only string keys"),
        pins: BTreeMap::new(),
        claim: Claim::Anywhere,
    }
}

#[test]
fn runs_that_write_one_table_take_turns() {
    block_on(async {
        let ground = Ground::new(CHAIN);
        let host = ground.host("h1").await;
        for id in ["r1", "r2", "r3", "r4"] {
            host.submit(id, &RunRequest::default()).await;
        }
        let mut computed = 0;
        for id in ["r1", "r2", "r3", "r4"] {
            assert_eq!(host.end_of(id).await.status, RunStatus::Succeeded);
            computed += host.nodes(id).await.matches("computed").count();
        }
        assert_eq!(computed, 2, "whoever comes later finds the table valid");
        host.stop().await;
    });
}
