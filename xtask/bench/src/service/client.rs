//! A service that was started for a measurement, and a client of it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::blocking::{Client as Http, RequestBuilder};
use serde_json::{Value, json};

use crate::binary::tidemill;

/// A process that serves until it is dropped.
pub(crate) struct Served {
    child: Mutex<Child>,
    client: Client,
    data: PathBuf,
    store: Option<String>,
    address: String,
}

pub(crate) struct Client {
    http: Http,
    url: String,
    token: String,
}

impl Served {
    /// The token of the first start is kept beside the data.
    pub(crate) fn start(data: &Path, store: Option<&str>) -> anyhow::Result<Self> {
        let (child, url, token) = spawn(data, store, "127.0.0.1:0")?;
        let kept = data.with_extension("token");
        if let Some(token) = &token {
            std::fs::write(&kept, token)?;
        }
        let token = std::fs::read_to_string(&kept).context("the first start has shown a token")?;
        let address = url.trim_start_matches("http://").to_owned();
        let client = Client { http: http()?, url, token };
        Ok(Self {
            child: Mutex::new(child),
            client,
            data: data.to_owned(),
            store: store.map(str::to_owned),
            address,
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child().id()))?;
        let line = status.lines().find(|it| it.starts_with("VmRSS:")).context("the kernel tells it")?;
        let kib: u64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kib * 1024)
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(&self) -> anyhow::Result<()> {
        let mut child = self.child();
        std::process::Command::new("kill").arg(child.id().to_string()).status()?;
        child.wait()?;
        Ok(())
    }

    /// On the same address.
    pub(crate) fn restart(&self) -> anyhow::Result<()> {
        let (child, _, _) = spawn(&self.data, self.store.as_deref(), &self.address)?;
        *self.child() = child;
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let mut child = self.child();
        drop(child.kill());
        drop(child.wait());
    }
}

fn http() -> anyhow::Result<Http> {
    Ok(Http::builder().timeout(Duration::from_secs(120)).build()?)
}

/// The process, where it listens, and the token if it made one.
fn spawn(data: &Path, store: Option<&str>, address: &str) -> anyhow::Result<(Child, String, Option<String>)> {
    let mut command = tidemill()?;
    command
        .args(["serve", "--listen", address, "--log-level", "warn", "--requests-max", "2048", "--data-dir"])
        .arg(data);
    if let Some(url) = store {
        command.args(["--store", url]);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("it is piped")?).lines();
    let url = match lines.next() {
        Some(Ok(line)) => line.trim_start_matches("listening on ").to_owned(),
        Some(Err(_)) | None => bail!("the service did not start"),
    };
    // A second line follows only on the first start.
    let token = if data.with_extension("token").exists() {
        None
    } else {
        let line = lines.next().transpose()?.unwrap_or_default();
        line.strip_prefix("first token: ").map(str::to_owned)
    };
    Ok((child, url, token))
}

impl Client {
    /// So many clients at one time, each of which asks for these one after the other; how long each answer took.
    pub(crate) fn get_at_one_time(
        &self,
        paths: &[&str],
        clients: usize,
        each: usize,
    ) -> anyhow::Result<Vec<Duration>> {
        // One thread for all of them: they are to load the service, not the machine.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let http = reqwest::Client::builder()
                .pool_max_idle_per_host(clients)
                .tls_built_in_root_certs(false)
                .build()?;
            let mut asking = tokio::task::JoinSet::new();
            for number in 0..clients {
                let urls: Vec<String> = (0..each)
                    .map(|it| format!("{}{}", self.url, paths[(number + it) % paths.len()]))
                    .collect();
                let (http, token) = (http.clone(), self.token.clone());
                asking.spawn(async move {
                    let mut times = Vec::with_capacity(urls.len());
                    for url in urls {
                        let began = Instant::now();
                        let answer = http.get(url).bearer_auth(&token).send().await?;
                        answer.error_for_status()?.bytes().await?;
                        times.push(began.elapsed());
                    }
                    anyhow::Ok(times)
                });
            }
            let mut times = Vec::with_capacity(clients * each);
            while let Some(asked) = asking.join_next().await {
                times.extend(asked??);
            }
            Ok(times)
        })
    }

    fn send(&self, request: RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let answer = request.bearer_auth(&self.token).send()?;
        let (status, body) = (answer.status(), answer.bytes()?);
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body.to_vec())
    }

    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.send(self.http.get(format!("{}{path}", self.url)))
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.send(self.http.post(format!("{}{path}", self.url)).json(body))?;
        Ok(serde_json::from_slice(&answer)?)
    }

    pub(crate) fn push(&self, component: &Path) -> anyhow::Result<()> {
        let bytes = std::fs::read(component).with_context(|| format!("read {}", component.display()))?;
        let request = self.http.post(format!("{}/api/v1/components", self.url));
        self.send(request.header("content-type", "application/wasm").body(bytes)).map(drop)
    }

    pub(crate) fn deploy(&self, text: &str) -> anyhow::Result<()> {
        let body = json!({"text": text, "file_name": "pipeline.toml", "pins": {}, "files": []});
        self.post("/api/v1/pipelines", &body).map(drop)
    }

    /// Begins a run; its id.
    pub(crate) fn begin(&self, request: &Value) -> anyhow::Result<String> {
        let run = self.post("/api/v1/runs", request)?;
        Ok(run["id"].as_str().context("a run has an id")?.to_owned())
    }

    /// All that is known of a run.
    pub(crate) fn told(&self, id: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.get(&format!("/api/v1/runs/{id}"))?)?)
    }

    /// How long it took from the wish until the run had ended.
    pub(crate) fn cancel(&self, id: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.post(&format!("/api/v1/runs/{id}/cancel"), &json!({}))?;
        self.get(&format!("/api/v1/runs/{id}/events"))?;
        Ok(began.elapsed())
    }

    /// Begins a run and follows it to its end; all that is known of it then.
    pub(crate) fn run(&self, request: &Value) -> anyhow::Result<Value> {
        let id = self.begin(request)?;
        self.get(&format!("/api/v1/runs/{id}/events"))?;
        let run = self.told(&id)?;
        if run["state"] != "succeeded" {
            bail!("run {id} ended {}: {}", run["state"], run["problems"]);
        }
        Ok(run)
    }
}
