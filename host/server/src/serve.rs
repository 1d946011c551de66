//! A service from its start to its end.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle as ServerHandle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use tidemill_driver::{LiveTables, MIRRORS_MAX};
use tidemill_lake::{Durability, Home};
use tidemill_plan::{Code, Problem};
use tidemill_sandbox::{Options, Sandbox};
use tidemill_store::{Among, HostId, MirrorDatabase, NewToken, Role, Store, StoreOptions};

use tokio::runtime::Handle;

use crate::context::Context;
use crate::lock::{Lock, data_unusable};
use crate::{ApiProblem, ServeOptions, api, clock, task, tls, token, upload};

/// How long a client may take to send its headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// How old a part of an upload must be to be nobody's any more.
const LEFT_OVER: Duration = Duration::from_secs(86_400);

/// A service that listens and has not begun to answer.
#[derive(Debug)]
pub struct Service {
    context: Context,
    listener: TcpListener,
    address: SocketAddr,
    first_token: Option<String>,
    tls: Option<RustlsConfig>,
    /// Held until the service has ended.
    _lock: Option<Lock>,
}

impl Service {
    /// Opens what the service needs, and listens.
    ///
    /// # Errors
    /// What cannot be had, with how to mend it.
    pub async fn start(options: ServeOptions) -> Result<Self, Problem> {
        options.check()?;
        let tls = options.tls.as_ref().map(tls::config).transpose()?;
        let mirror = options.mirror_url.as_deref().map(|url| mirror(url, &options)).transpose()?;
        // What is in there is for nobody else: rows, and hashes of tokens.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&options.data_dir);
        made.map_err(|e| data_unusable(&options.data_dir, &e))?;
        for it in [&options.components_dir(), &options.files_dir(), &options.deployments_dir()] {
            std::fs::create_dir_all(it).map_err(|e| data_unusable(it, &e))?;
        }
        let lock = Lock::of_store(&options.store_url, &options.host_name)?;
        let listener = listen(options.listen)?;
        let address = listener.local_addr().map_err(|e| cannot_listen(options.listen, &e))?;
        let id = token::mint()?.id;
        let store = Store::open(StoreOptions {
            url: options.store_url.clone(),
            host: HostId(id.clone()),
            host_name: options.host_name.clone(),
            connect_timeout: options.store_connect_timeout,
            heartbeat: options.store_heartbeat,
        })
        .await
        .map_err(|e| e.problem())?;
        let first_token = first_token(&store).await?;
        for it in [options.components_dir(), options.files_dir(), options.deployments_dir()] {
            upload::clear(&it, LEFT_OVER);
        }
        let sandbox = Options {
            cache_dir: Some(options.compile_cache_dir.clone()),
            instances_max: options.machine.cpus_milli.div_ceil(1000).saturating_add(2),
            ..Options::default()
        };
        let sandbox = Sandbox::new(sandbox).map_err(|e| Problem::from(&e))?;
        let home = lake_home(options.lake_url.clone()).await?;
        let root = home.root().display().to_string();
        store.init_catalog(&root, clock::now()).await.map_err(|e| e.problem())?;
        let lake_options =
            tidemill_lake::Options { durability: Durability::Always, ..tidemill_lake::Options::default() };
        let tables = LiveTables::new(store.clone(), Handle::current(), home, &lake_options);
        let lake = tables.lake(lake_options);
        let context = Context::new(options, store, Arc::new(sandbox), (lake, tables), mirror, id);
        Ok(Self { context, listener, address, first_token, tls, _lock: lock })
    }

    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Where it answers, as this machine's programs reach it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.context.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The secret of an admin's token, where this start made the store's first.
    #[must_use]
    pub fn first_token(&self) -> Option<&str> {
        self.first_token.as_deref()
    }

    /// Answers until `stop` is ready, then ends what goes on, within the grace time.
    ///
    /// # Errors
    /// When listening fails.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Problem> {
        let grace = self.context.options.grace;
        let handle = ServerHandle::new();
        let stopping = tokio::spawn({
            let (handle, context) = (handle.clone(), self.context.clone());
            async move {
                stop.await;
                tracing::info!(grace_s = grace.as_secs_f64(), "stopping");
                context.stop();
                handle.graceful_shutdown(Some(grace));
                context.live.shutdown(grace).await;
            }
        });
        let app = api::router(&self.context).into_make_service_with_connect_info::<SocketAddr>();
        let served = match self.tls {
            Some(tls) => {
                let mut server = axum_server::from_tcp_rustls(self.listener, tls).handle(handle);
                server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
                server.serve(app).await
            }
            None => {
                let mut server = axum_server::from_tcp(self.listener).handle(handle);
                server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
                server.serve(app).await
            }
        };
        served.map_err(|e| cannot_listen(self.address, &e))?;
        if let Err(e) = stopping.await {
            tracing::error!(error = %e, "what ran was not handed back in order");
        }
        self.context.clerk.stop().await;
        self.context.store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Where the tables lie, which may take requests to find out.
async fn lake_home(address: String) -> Result<Home, Problem> {
    let opened = task::blocking(move || Home::open(&address, Handle::current())).await;
    opened.map_err(ApiProblem::into_first)?.map_err(|e| Problem::from(&e))
}

fn mirror(url: &str, options: &ServeOptions) -> Result<MirrorDatabase, Problem> {
    MirrorDatabase::new(url, MIRRORS_MAX, options.store_connect_timeout).map_err(|_unreadable| {
        // What stands there may be a password at the wrong place.
        let what = "`mirror_url` is no address of a PostgreSQL";
        Problem::new(Code("bad-setting"), what, "write it as `postgres://USER:PASSWORD@HOST:PORT/DATABASE`")
    })
}

fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    let listener = TcpListener::bind(address).map_err(|e| cannot_listen(address, &e))?;
    listener.set_nonblocking(true).map_err(|e| cannot_listen(address, &e))?;
    Ok(listener)
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Problem {
    let what = format!("the service cannot listen on `{address}`: {error}");
    let mend =
        "end what listens there, or choose another address with `--listen`; port 0 takes any that is free";
    Problem::new(Code("cannot-listen"), what, mend)
}

/// Without any token nobody could make one.
async fn first_token(store: &Store) -> Result<Option<String>, Problem> {
    let minted = token::mint()?;
    let new = NewToken {
        id: minted.id,
        name: "first".to_owned(),
        hash: minted.hash,
        role: Role::Admin,
        created_at: clock::now(),
        created_by: "the service".to_owned(),
        expires_at: None,
    };
    let is_first = store.add_token(new, Among::First).await.map_err(|e| e.problem())?;
    Ok(is_first.then_some(minted.secret))
}
