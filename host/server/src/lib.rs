//! The service: REST, tokens, the registry of components, deployed pipelines, health and metrics.
//!
//! The only crate that names axum. It decides nothing about runs; it asks the store and the driver, and says what they
//! say. Every answer that refuses is a problem with a stable code, and every request passes the guard (`guard.rs`)
//! except those that tell whether the service lives.

mod api;
mod clerk;
mod clock;
mod context;
mod deployments;
mod extract;
mod files;
mod guard;
mod lock;
mod metrics;
mod observe;
mod options;
mod page;
mod planning;
mod problem;
mod registry;
mod serve;
mod signals;
mod tables;
mod task;
mod telemetry;
mod tls;
mod token;
mod upload;

pub mod wire;

#[cfg(test)]
mod tests;

pub use context::{Context, Shared};
pub use deployments::Deployments;
pub use metrics::Metrics;
pub use options::{Proxy, RequestLimits, ServeOptions, TlsFiles};
pub use problem::ApiProblem;
pub use registry::Registry;
pub use serve::Service;
pub use signals::stop_signal;
pub use telemetry::{LogFormat, Telemetry, TelemetryOptions, start as start_telemetry};
