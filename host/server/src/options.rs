//! How a service is set up. Every value is given; defaults are the command line's affair.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tidemill_plan::{Code, Machine, Problem};

/// All that a service is told.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    pub listen: SocketAddr,
    /// Components, files of pipelines, deployments.
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://…`.
    pub store_url: String,
    /// Where tables live.
    pub lake_url: String,
    /// The PostgreSQL that mirrors tables.
    pub mirror_url: Option<String>,
    pub compile_cache_dir: PathBuf,
    pub tls: Option<TlsFiles>,
    pub proxy: Proxy,
    pub limits: RequestLimits,
    /// How long a stop waits for requests and attempts.
    pub grace: Duration,
    pub store_connect_timeout: Duration,
    pub store_heartbeat: Duration,
    /// What people call this machine.
    pub host_name: String,
    pub machine: Machine,
    /// Most attempts at a time.
    pub jobs: u32,
    /// Most runs at a time.
    pub runs_max: u32,
    /// How long another host that shares the store may be silent before its runs are taken over.
    pub lease: Duration,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificates: PathBuf,
    pub key: PathBuf,
}

/// Who talks to this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Clients themselves.
    None,
    /// A proxy that encrypts, and whose `X-Forwarded-For` is believed.
    Trusted,
}

/// What one request, and all of them together, may take.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Of a request that is no upload.
    pub body_bytes_max: u64,
    pub component_bytes_max: u64,
    pub file_bytes_max: u64,
    pub headers_max: usize,
    /// At one time; more are turned away.
    pub requests_max: usize,
    /// Until an answer begins; of an upload, from one part to the next.
    pub timeout: Duration,
}

impl ServeOptions {
    /// Whoever can reach the service sees tokens pass, unless something encrypts.
    ///
    /// # Errors
    /// `bind-in-the-clear`.
    pub fn check(&self) -> Result<(), Problem> {
        if self.listen.ip().is_loopback() || self.tls.is_some() || self.proxy == Proxy::Trusted {
            return Ok(());
        }
        let what = format!(
            "`{}` can be reached from other machines, and tokens would pass in the clear",
            self.listen
        );
        let mend = "set `tls_cert` and `tls_key`, or `--behind-proxy` where a proxy encrypts, or listen on 127.0.0.1";
        Err(Problem::new(Code("bind-in-the-clear"), what, mend))
    }

    /// Where what attempts logged is kept.
    #[must_use]
    pub fn records_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    #[must_use]
    pub fn components_dir(&self) -> PathBuf {
        self.data_dir.join("components")
    }

    #[must_use]
    pub fn files_dir(&self) -> PathBuf {
        self.data_dir.join("files")
    }

    #[must_use]
    pub fn deployments_dir(&self) -> PathBuf {
        self.data_dir.join("deployments")
    }
}
