//! The service: REST, tokens, the registry of components, deployed pipelines, health and metrics.
//!
//! The only crate that names axum. It decides nothing about runs; it asks the store and the driver, and says what they
//! say. Every answer that refuses is a problem with a stable code, and every request passes the guard (`guard.rs`)
//! except those that tell whether the service lives.

mod api;
mod clerk;
mod clock;
mod context;
mod extract;
mod guard;
mod lock;
mod metrics;
mod observe;
mod options;
mod page;
mod problem;
mod serve;
mod signals;
mod telemetry;
mod tls;
mod token;

pub mod wire;

pub use context::{Background, Context, Shared};
pub use metrics::Metrics;
pub use options::{Proxy, RequestLimits, ServeOptions, TlsFiles};
pub use problem::ApiProblem;
pub use serve::Service;
pub use signals::stop_signal;
pub use telemetry::{LogFormat, Telemetry, TelemetryOptions, start as start_telemetry};
