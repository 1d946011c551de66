//! Logs of this process on stderr, as text or JSON; spans to an OTLP collector where one is named.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tidemill_plan::{Code, Problem};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug)]
pub struct TelemetryOptions {
    pub format: LogFormat,
    /// A level, or levels by module, as `tracing` writes them.
    pub filter: String,
    /// As `http://collector:4318`.
    pub otlp_endpoint: Option<String>,
}

/// Sends what is left when dropped.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider
            && let Err(e) = provider.shutdown()
        {
            tracing::warn!(error = %e, "the last spans could not be sent");
        }
    }
}

/// Sets up the log of this process, once.
///
/// # Errors
/// When the filter or the address cannot be read.
pub fn start(options: &TelemetryOptions) -> Result<Telemetry, Problem> {
    let filter = EnvFilter::try_new(&options.filter).map_err(|e| {
        let what = format!("`log_level` is `{}`, which is no filter: {e}", options.filter);
        Problem::new(Code("bad-setting"), what, "write `info`, `debug`, or `info,tidemill_server=debug`")
    })?;
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = match options.format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => logs.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let provider = options.otlp_endpoint.as_deref().map(provider).transpose()?;
    let spans = provider.as_ref().map(|it| tracing_opentelemetry::layer().with_tracer(it.tracer("tidemill")));
    let registry = tracing_subscriber::registry().with(filter).with(logs).with(spans);
    registry
        .try_init()
        .map_err(|e| Problem::new(Code("internal"), format!("logs cannot be set up: {e}"), ""))?;
    Ok(Telemetry { provider })
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, Problem> {
    let address = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(address)
        .build()
        .map_err(|e| {
            let what = format!("spans cannot be sent to `{endpoint}`: {e}");
            Problem::new(
                Code("bad-setting"),
                what,
                "name a collector as `otlp_endpoint = \"http://host:4318\"`",
            )
        })?;
    let resource = Resource::builder().with_service_name("tidemill").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
