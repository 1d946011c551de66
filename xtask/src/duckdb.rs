//! DuckDB, with which the tests read and write what the service keeps: Python's packages, which hold its extensions too,
//! so that none is fetched when a test runs.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::apt;
use crate::program::Program;

/// Extensions fit only the DuckDB of their own version.
const VERSION: &str = "1.5.5";
const PACKAGES: [&str; 4] = [
    "duckdb",
    "duckdb-extension-ducklake",
    "duckdb-extension-sqlite-scanner",
    "duckdb-extension-postgres-scanner",
];
/// In the repository; `tests/support/duckdb.rs` looks for it there.
const FOLDER: &str = "target/duckdb";
/// Written last.
const STAMP: &str = "installed";

pub(crate) fn install(root: &Path) -> anyhow::Result<()> {
    let folder = root.join(FOLDER);
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|it| it == VERSION) {
        return Ok(());
    }
    eprintln!("setup: installing DuckDB {VERSION} into {FOLDER} with pip (some seconds, once)");
    let make = || Program::new("python3", root).args(["-m", "venv", "--clear", FOLDER]);
    // Debian's Python comes without the part that makes environments.
    if make().ask().is_none() {
        apt::install(root, "the tests of tables", &["python3", "python3-venv"])?;
        make().run()?;
    }
    let packages = PACKAGES.map(|it| format!("{it}=={VERSION}"));
    Program::new(folder.join("bin/pip"), root)
        .args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"])
        .args(packages)
        .run()?;
    fs::write(&stamp, VERSION).with_context(|| format!("write `{}`", stamp.display()))
}
