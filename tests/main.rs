//! Whole-program tests: the built binary from outside. No product code is linked.

mod artefacts;
mod bad_input;
mod browser;
mod check;
mod commands;
mod durability;
mod examples;
mod kill;
mod larger_than_memory;
mod limits;
mod openapi;
mod program;
mod proofs;
mod readme;
mod reuse;
mod service;
mod service_bucket;
mod service_mirror;
mod service_runs;
mod service_tables;
mod sources;
mod sweeps;

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/duckdb.rs"]
mod duckdb;
#[path = "support/postgres.rs"]
mod postgres;
