//! DuckDB, with which the tests read and write what the service keeps: Python's packages, which hold its extensions too,
//! so that none is fetched when a test runs.

use std::path::Path;

use crate::python::Environment;

/// Extensions fit only the DuckDB of their own version.
const VERSION: &str = "1.5.5";
const PACKAGES: [&str; 5] = [
    "duckdb",
    "duckdb-extension-ducklake",
    "duckdb-extension-sqlite-scanner",
    "duckdb-extension-postgres-scanner",
    "duckdb-extension-httpfs",
];
/// In the repository; `tests/support/duckdb.rs` looks for it there.
const FOLDER: &str = "target/duckdb";

pub(crate) fn install(root: &Path) -> anyhow::Result<()> {
    Environment {
        name: &format!("DuckDB {VERSION}"),
        reason: "the tests of tables",
        folder: FOLDER,
        packages: PACKAGES.map(|it| format!("{it}=={VERSION}")).into(),
    }
    .install(root)
}
