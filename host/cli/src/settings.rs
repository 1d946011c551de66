//! The service's settings: each has a default, a name in the configuration file, an environment variable and a flag,
//! all from one table (`settings/table.rs`). Later ones win: default, file, environment, flag.

mod layers;
mod table;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tidemill_plan::{Code, Problem};
use tidemill_server::{LogFormat, Proxy, RequestLimits, ServeOptions, TelemetryOptions, TlsFiles};

use crate::args::ConfigArgs;
use crate::{Ending, machine, table_view};
use layers::Layers;
pub(crate) use table::SettingFlags;
use value::Value;

/// What a service is told, and how it talks.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) serve: ServeOptions,
    pub(crate) telemetry: TelemetryOptions,
}

impl Settings {
    /// Reads the file and the environment.
    pub(crate) fn read(flags: &SettingFlags) -> Result<Self, Problem> {
        Self::of(&all(Layers::read(flags)?))
    }

    fn of(layers: &Layers) -> Result<Self, Problem> {
        let serve = ServeOptions {
            listen: layers.address("listen"),
            data_dir: PathBuf::from(layers.text("data_dir")),
            store_url: layers.text("store"),
            lake_url: layers.text("lake_url"),
            mirror_url: layers.optional_text("mirror_url"),
            compile_cache_dir: PathBuf::from(layers.text("compile_cache_dir")),
            tls: tls(layers)?,
            proxy: if layers.flag("behind_proxy") { Proxy::Trusted } else { Proxy::None },
            limits: RequestLimits {
                body_bytes_max: layers.number("body_bytes_max"),
                component_bytes_max: layers.number("component_bytes_max"),
                file_bytes_max: layers.number("file_bytes_max"),
                headers_max: layers.count("headers_max"),
                requests_max: layers.count("requests_max"),
                timeout: layers.duration("request_timeout"),
            },
            grace: layers.duration("shutdown_grace"),
            store_connect_timeout: layers.duration("store_connect_timeout"),
            store_heartbeat: layers.duration("store_heartbeat"),
            host_name: layers.text("host_name"),
            jobs: layers.number("jobs").try_into().unwrap_or(u32::MAX),
            runs_max: layers.number("runs_max").try_into().unwrap_or(u32::MAX),
            lease: layers.duration("lease"),
            machine: machine::this_machine(),
        };
        let telemetry = TelemetryOptions {
            format: log_format(&layers.text("log_format")),
            filter: layers.text("log_level"),
            otlp_endpoint: layers.optional_text("otlp_endpoint"),
        };
        Ok(Self { serve, telemetry })
    }
}

/// With the defaults that follow from other values.
fn all(mut layers: Layers) -> Layers {
    let data_dir = PathBuf::from(layers.text("data_dir"));
    let within = |name: &str| data_dir.join(name).display().to_string();
    layers.default_to("store", &format!("sqlite:{}", within("tidemill.db")));
    layers.default_to("lake_url", &within("lake"));
    layers.default_to("compile_cache_dir", &within("compiled"));
    layers.default_to("host_name", &machine::name());
    layers.default_to("jobs", &(machine::this_machine().cpus_milli / 1000).max(1).to_string());
    layers
}

fn tls(layers: &Layers) -> Result<Option<TlsFiles>, Problem> {
    match (layers.optional_text("tls_cert"), layers.optional_text("tls_key")) {
        (Some(certificates), Some(key)) => {
            Ok(Some(TlsFiles { certificates: certificates.into(), key: key.into() }))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => {
            let what = "only one of `tls_cert` and `tls_key` is set";
            Err(Problem::new(Code("bad-setting"), what, "set both for TLS, or none of them"))
        }
    }
}

/// Text where a person reads it.
fn log_format(name: &str) -> LogFormat {
    use std::io::IsTerminal as _;
    match name {
        "json" => LogFormat::Json,
        "text" => LogFormat::Text,
        _ if std::io::stderr().is_terminal() => LogFormat::Text,
        _ => LogFormat::Json,
    }
}

/// `tidemill config show`.
pub(crate) fn show(args: &ConfigArgs) -> anyhow::Result<Ending> {
    let layers = all(Layers::read(&args.flags)?);
    // What does not go together is told here as well.
    Settings::of(&layers)?.serve.check()?;
    let rows = layers.shown();
    if args.json {
        let list: Vec<_> = rows
            .iter()
            .map(|it| json!({"key": it.key, "value": it.value, "from": it.from, "environment": it.environment}))
            .collect();
        table_view::print_json(&json!(list))?;
    } else {
        let rows = rows.into_iter().map(|it| {
            vec![it.key.to_owned(), it.value.unwrap_or_else(|| "-".to_owned()), it.from, it.environment]
        });
        table_view::print(&["setting", "value", "from", "environment"], rows.collect())?;
    }
    Ok(Ending::Done)
}

impl Layers {
    fn text(&self, key: &str) -> String {
        self.optional_text(key).expect("the table gives it a default")
    }

    fn optional_text(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::Text(it) => Some(it.clone()),
            other @ (Value::Address(_)
            | Value::Flag(_)
            | Value::Number(_)
            | Value::Size(_)
            | Value::Duration(_)) => panic!("`{key}` is no text but {other:?}"),
        }
    }

    fn address(&self, key: &str) -> SocketAddr {
        match self.value(key) {
            Some(Value::Address(it)) => *it,
            other => panic!("`{key}` is no address but {other:?}"),
        }
    }

    fn flag(&self, key: &str) -> bool {
        match self.value(key) {
            Some(Value::Flag(it)) => *it,
            other => panic!("`{key}` is no flag but {other:?}"),
        }
    }

    fn number(&self, key: &str) -> u64 {
        match self.value(key) {
            Some(Value::Number(it) | Value::Size(it)) => *it,
            other => panic!("`{key}` is no number but {other:?}"),
        }
    }

    fn count(&self, key: &str) -> usize {
        usize::try_from(self.number(key)).unwrap_or(usize::MAX)
    }

    fn duration(&self, key: &str) -> Duration {
        match self.value(key) {
            Some(Value::Duration(ms)) => Duration::from_millis(*ms),
            other => panic!("`{key}` is no duration but {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests;
