//! DuckDB as others use it: a Python program with its extensions, from where `cargo xtask setup` installed them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Before what a test writes: `connection` has the extensions loaded, `answer` prints rows that the test reads.
const PRELUDE: &str = r#"
import glob, json, os, sys, duckdb
packages = os.path.dirname(os.path.dirname(duckdb.__file__))
def connect():
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("ducklake", "httpfs", "sqlite_scanner", "postgres_scanner"):
        (path,) = glob.glob(f"{packages}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")
        connection.execute(f"LOAD '{path}'")
    return connection
connection = connect()
def attach(address, connection=connection):
    connection.execute(f"ATTACH '{address}' AS lake")
def answer(rows):
    print(json.dumps([list(row) for row in rows], default=str))
def query(sql):
    answer(connection.execute(sql).fetchall())
"#;

/// Runs a Python program after the prelude; what it printed.
///
/// # Panics
/// When it fails, or DuckDB is not there: `cargo xtask setup` installs it.
#[track_caller]
pub(crate) fn python(program: &str) -> String {
    python_in(None, program)
}

/// The same where a process is that has mounts of its own.
///
/// # Panics
/// As [`python`].
#[track_caller]
pub(crate) fn python_in(process: Option<u32>, program: &str) -> String {
    let python = folder().join("bin/python");
    assert!(python.exists(), "there is no `{}`: run `cargo xtask setup`", python.display());
    let mut command = match process {
        None => Command::new(python),
        Some(process) => {
            let mut inside = Command::new("nsenter");
            inside.args(["--preserve-credentials", "-U", "-m", "-t", &process.to_string()]).arg(python);
            inside
        }
    };
    command.arg("-c").arg(format!("{PRELUDE}\n{program}")).env("TZ", "UTC");
    let output = command.output().expect("start Python");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this failed in DuckDB:\n{program}\n{said}");
    String::from_utf8(output.stdout).expect("JSON is text")
}

/// How DuckDB is told of the catalogue of a store.
pub(crate) fn address(store_url: &str) -> String {
    if let Some(path) = store_url.strip_prefix("sqlite:") {
        return format!("ducklake:sqlite:{path}");
    }
    let rest = store_url.strip_prefix("postgres://").expect("a store is in SQLite or PostgreSQL");
    let (user, rest) = rest.split_once('@').expect("it has a user");
    let (host, database) = rest.split_once('/').expect("it has a database");
    let (host, port) = host.split_once(':').expect("it has a port");
    format!("ducklake:postgres:host={host} port={port} user={user} dbname={database}")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/duckdb")
}
