//! Whole-program tests: the built binary from outside. No product code is linked.

mod bad_input;
mod browser;
mod check;
mod commands;
#[path = "support/duckdb.rs"]
mod duckdb;
mod durability;
mod examples;
mod kill;
mod larger_than_memory;
mod limits;
#[path = "support/postgres.rs"]
mod postgres;
mod program;
mod proofs;
mod readme;
mod reuse;
mod service;
mod service_runs;
mod service_tables;
mod sources;
mod sweeps;
