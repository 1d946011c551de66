//! REST request in, text out: the whole router over a store of its own, without a socket.

mod deploying;
mod every_route;
mod limits;
mod registry;
mod tables;
mod tokens;

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tidemill_plan::{Digest, Machine};
use tidemill_store::{Among, NewToken, Role};
use tower::ServiceExt as _;

use crate::{Context, Proxy, RequestLimits, ServeOptions, Service, api, token};

/// A service without a socket that anyone uses, in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
    router: Router,
    context: Context,
    admin: String,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

/// Runs a test on a runtime as the service has one.
fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime starts").block_on(test);
}

fn options(folder: &Path) -> ServeOptions {
    ServeOptions {
        listen: "127.0.0.1:0".parse().expect("an address"),
        data_dir: folder.join("data"),
        store_url: format!("sqlite:{}", folder.join("data/tidemill.db").display()),
        lake_url: folder.join("data/lake").display().to_string(),
        mirror_url: None,
        compile_cache_dir: cache(),
        tls: None,
        proxy: Proxy::None,
        limits: RequestLimits {
            body_bytes_max: 100_000,
            component_bytes_max: 2_000_000,
            file_bytes_max: 10_000,
            headers_max: 10,
            requests_max: 16,
            timeout: Duration::from_secs(20),
        },
        grace: Duration::from_secs(1),
        store_connect_timeout: Duration::from_secs(5),
        store_heartbeat: Duration::from_secs(60),
        host_name: "test".to_owned(),
        machine: Machine { cpus_milli: 2000, memory_bytes: 4 << 30 },
        jobs: 2,
        runs_max: 4,
        lease: Duration::from_secs(60),
    }
}

/// Compiled components are shared by all tests, so that each is compiled once.
fn cache() -> PathBuf {
    let program = std::env::current_exe().expect("the test is a file");
    program.parent().expect("it has a folder").join("server-tests-cache")
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let service = Service::start(options(folder.path())).await.expect("the service starts");
        let admin = service.first_token().expect("an empty store gets a token").to_owned();
        let context = service.context().clone();
        Self { folder, router: api::router(&context), context, admin }
    }

    /// A token of a role.
    async fn token(&self, role: Role, expires_at: Option<i64>) -> token::Minted {
        let minted = token::mint().expect("random numbers");
        let new = NewToken {
            id: minted.id.clone(),
            name: role.name().to_owned(),
            hash: minted.hash,
            role,
            created_at: 1,
            created_by: "test".to_owned(),
            expires_at,
        };
        assert!(self.context.store.add_token(new, Among::Any).await.expect("the store is there"));
        minted
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("the router never fails");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a whole body").to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    /// With the admin's token, and a body of JSON.
    async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).body(Body::empty()).expect("a request")).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path).body(Body::empty()).expect("a request")).await
    }

    async fn upload(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(self.request(method, path).body(body.into()).expect("a request")).await
    }

    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let token = format!("Bearer {}", self.admin);
        Request::builder().method(method).uri(path).header("authorization", token)
    }

    /// Every file below a folder of the service's data, sorted.
    fn files(&self, name: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().join("data").join(name)];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }

    /// Status and body, with what differs from run to run made equal.
    fn shown(&self) -> String {
        let text = match serde_json::from_slice::<Value>(&self.bytes) {
            Ok(json) => serde_json::to_string_pretty(&json).expect("JSON"),
            Err(_) => String::from_utf8_lossy(&self.bytes).into_owned(),
        };
        format!("{}\n{}\n", self.status.as_u16(), mask(&text))
    }

    /// Of a refusal: status, code, what and how to mend it.
    fn problem(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.shown());
        let body = self.json();
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(body["status"], self.status.as_u16());
        let place = body.get("place").map_or_else(String::new, |at| {
            format!("\n  in: {}, line {}, column {}", at["file"], at["line"], at["column"])
        });
        let (status, code) = (self.status.as_u16(), text("code"));
        mask(&format!("{status} {code}: {}{place}\n  to mend: {}", text("title"), text("detail")))
    }
}

/// Digests, tokens, ids and times by what they are.
fn mask(text: &str) -> String {
    let is_word = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | ':' | '-' | '.');
    let mut shown = String::new();
    for part in text.split_inclusive(|it| !is_word(it)) {
        let word = part.trim_end_matches(|it| !is_word(it));
        let rest = part.strip_prefix(word).unwrap_or_default();
        shown.push_str(kind(word).unwrap_or(word));
        shown.push_str(rest);
    }
    shown
}

fn kind(word: &str) -> Option<&'static str> {
    let is_hex = |it: &str| it.bytes().all(|it| it.is_ascii_hexdigit());
    match word.len() {
        64 if is_hex(word) => Some("<digest>"),
        16 if is_hex(word) => Some("<id>"),
        12 if is_hex(word) => Some("<short>"),
        _ if word.starts_with("tm_") => Some("<secret>"),
        20.. if word.starts_with("20") && word.ends_with('Z') => Some("<time>"),
        _ => None,
    }
}

/// A component of the examples, built by `cargo xtask test`.
fn component(example: &str, task: &str) -> Vec<u8> {
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples"));
    let path = examples.join(example).join("components").join(format!("{task}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|_| panic!("`{}` is not built: run `cargo xtask test`", path.display()))
}

fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}
