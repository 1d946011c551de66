//! The other side of a service's REST interface; nothing else of it is used. What the service refuses reads as what
//! this program refuses itself.

mod hosts;
mod refusal;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidemill_plan::{Code, Problem};
use tidemill_server::wire::Page;

pub(crate) use hosts::{Host, Hosts, read_url};
pub(crate) use refusal::Refusal;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A host that is gone without a word is noticed within about twice this.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Items of a list in one request.
const PAGE: &str = "500";
/// Says whom to talk to, where no flag does.
const TOKEN_VARIABLE: &str = "TIDEMILL_TOKEN";

/// Talks to one service.
#[derive(Debug)]
pub(crate) struct Client {
    url: Url,
    http: Http,
    /// For uploads: an answer that comes before all is sent is seen.
    uploads: reqwest::Client,
}

/// The service to talk to: the one of `--host` or `TIDEMILL_HOST`, else the one logged in to; `None` where there is
/// none.
pub(crate) fn host_of(typed: Option<&str>) -> anyhow::Result<Option<Client>> {
    let hosts = Hosts::read()?;
    let host = match typed {
        Some(url) => {
            let url = read_url(url)?;
            let known = hosts.get(&url);
            Host {
                token: known.as_ref().and_then(|it| it.token.clone()),
                ca: known.and_then(|it| it.ca),
                url,
            }
        }
        None => match hosts.current() {
            Some(host) => host,
            None => return Ok(None),
        },
    };
    let token = std::env::var(TOKEN_VARIABLE).ok().filter(|it| !it.is_empty()).or(host.token);
    Client::new(&host.url, token.as_deref(), host.ca.as_ref()).map(Some)
}

/// As [`host_of`], where the command is about a service alone.
pub(crate) fn require_host(typed: Option<&str>) -> anyhow::Result<Client> {
    let what = "no service is named";
    let mend = "`tidemill login URL` once, or name it with `--host URL` or `TIDEMILL_HOST`; `tidemill serve` starts one";
    host_of(typed)?.ok_or_else(|| Problem::new(Code("no-host"), what, mend).into())
}

impl Client {
    pub(crate) fn new(url: &Url, token: Option<&str>, ca: Option<&PathBuf>) -> anyhow::Result<Self> {
        let http = reqwest::blocking::ClientBuilder::from(builder(token, ca)?).timeout(None).build()?;
        Ok(Self { url: url.clone(), http, uploads: builder(token, ca)?.build()? })
    }

    pub(crate) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Asks for what has a path below `/api/v1`.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &[&str]) -> anyhow::Result<T> {
        self.answer(self.request(Method::GET, path))
    }

    /// All items of a list, whatever the number of its parts; at most `limit`.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        limit: Option<usize>,
    ) -> anyhow::Result<Vec<T>> {
        let limit = limit.unwrap_or(usize::MAX);
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let request = self.request(Method::GET, path).query(&[("limit", PAGE)]).query(query);
            let request = match &cursor {
                Some(it) => request.query(&[("cursor", it)]),
                None => request,
            };
            let page: Page<T> = self.answer(request)?;
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() || items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
        }
    }

    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.answer(json(self.request(Method::POST, path), body)?)
    }

    pub(crate) fn put<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> anyhow::Result<T> {
        self.answer(json(self.request(Method::PUT, path), body)?)
    }

    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &[&str]) -> anyhow::Result<T> {
        self.answer(self.request(Method::DELETE, path))
    }

    /// Sends a file.
    pub(crate) fn upload<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        file: File,
    ) -> anyhow::Result<T> {
        let length = file.metadata()?.len();
        let request = self
            .uploads
            .request(method, self.address(path))
            .query(query)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length)
            .body(tokio::fs::File::from_std(file));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (status, text) = runtime.block_on(async {
            let response = request.send().await.map_err(|e| self.unreachable(&e))?;
            let status = response.status();
            let text = response.text().await.map_err(|e| self.unreachable(&e))?;
            Ok::<_, Problem>((status, text))
        })?;
        if status.is_success() { self.understood(&text) } else { Err(self.refused(status, &text)) }
    }

    /// The answer as it comes, to be read piece by piece.
    pub(crate) fn download(&self, path: &[&str]) -> anyhow::Result<Response> {
        self.send(self.request(Method::GET, path))
    }

    /// Whether something is there.
    pub(crate) fn has(&self, path: &[&str]) -> anyhow::Result<bool> {
        let response = self.request(Method::HEAD, path).send().map_err(|e| self.unreachable(&e))?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            it if it.is_success() => Ok(true),
            // An answer to `HEAD` says no more than its status.
            _ => self.send(self.request(Method::GET, path)).map(|_| true),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.http.request(method, self.address(path))
    }

    fn address(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        let mut parts = url.path_segments_mut().expect("an http address has a path");
        parts.pop_if_empty().extend(["api", "v1"]).extend(path);
        drop(parts);
        url
    }

    pub(crate) fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let response = self.send(request)?;
        self.understood(&response.text().map_err(|e| self.unreachable(&e))?)
    }

    pub(crate) fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(self.refused(status, &response.text().map_err(|e| self.unreachable(&e))?))
    }

    fn understood<T: DeserializeOwned>(&self, text: &str) -> anyhow::Result<T> {
        Ok(serde_json::from_str(text).map_err(|e| self.not_understood(&e.to_string()))?)
    }

    fn refused(&self, status: StatusCode, text: &str) -> anyhow::Error {
        match Refusal::read(text) {
            Some(refusal) => refusal.into(),
            None => self.not_understood(&format!("it answered {status} without a problem")).into(),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Problem {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let what = format!("the service at `{}` cannot be reached: {cause}", self.url());
        let mend = "check the address and that `tidemill serve` runs there; with a certificate of your own, `tidemill \
                    login URL --ca FILE`";
        Problem::new(Code("host-unreachable"), what, mend)
    }

    fn not_understood(&self, why: &str) -> Problem {
        let what = format!("what answers at `{}` is no Tidemill of this version: {why}", self.url());
        let mend = "check the address, and that both sides are of one version";
        Problem::new(Code("host-not-understood"), what, mend)
    }
}

fn json(request: RequestBuilder, body: &impl Serialize) -> anyhow::Result<RequestBuilder> {
    Ok(request.header(CONTENT_TYPE, "application/json").body(serde_json::to_string(body)?))
}

fn builder(token: Option<&str>, ca: Option<&PathBuf>) -> anyhow::Result<reqwest::ClientBuilder> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_unprintable| {
            let mend = "copy it as a whole: `tm_`, then letters, digits and `_`";
            Problem::new(Code("bad-token"), "the token is not of the form of one", mend)
        })?;
        header.set_sensitive(true);
        headers.insert(AUTHORIZATION, header);
    }
    let builder = reqwest::Client::builder()
        .default_headers(headers)
        .connect_timeout(CONNECT_WITHIN)
        .tcp_keepalive(KEEPALIVE)
        .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")));
    Ok(match ca {
        Some(path) => builder.add_root_certificate(certificate(path)?),
        None => builder,
    })
}

fn certificate(path: &PathBuf) -> anyhow::Result<Certificate> {
    let unusable = |why: String| {
        let what = format!("`{}` is no certificate to trust: {why}", path.display());
        Problem::new(Code("ca-unusable"), what, "name a PEM file with `tidemill login URL --ca FILE`")
    };
    let text = std::fs::read(path).map_err(|e| unusable(e.to_string()))?;
    Ok(Certificate::from_pem(&text).map_err(|e| unusable(e.to_string()))?)
}
