//! A throw-away PostgreSQL server: its own folder, its own port, gone with the test.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The user that a server runs as where the tests run as root, which a server refuses.
const SERVER_USER: &str = "postgres";
/// A port that was free a moment ago may be taken by now.
const STARTS_MAX: u32 = 5;

#[derive(Debug)]
pub(crate) struct Postgres {
    server: Child,
    port: u16,
    databases: AtomicU32,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// # Panics
    /// When PostgreSQL is not installed (Debian: `apt-get install postgresql`) or does not start.
    pub(crate) fn start() -> Self {
        Self::start_with(&["fsync=off"])
    }

    /// With settings of `postgresql.conf`, as `fsync=on`.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("tidemill-pg-").tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("create the data folder");
        if rustix::process::geteuid().is_root() {
            for path in [folder.path(), &data] {
                run(Command::new("chown").arg(SERVER_USER).arg(path));
            }
        }
        run(as_server("initdb")
            .args(["-A", "trust", "-U", "tidemill", "-E", "UTF8", "--locale=C", "--no-sync"])
            .arg("-D")
            .arg(&data));
        for _ in 0..STARTS_MAX {
            if let Some((server, port)) = serve(&data, folder.path(), settings) {
                return Self { server, port, databases: AtomicU32::new(0), folder };
            }
        }
        panic!("PostgreSQL did not start within {STARTS_MAX} tries");
    }

    /// The address of a new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        run(as_server("createdb").args(["-h", "127.0.0.1", "-U", "tidemill", "-p", &port, &name]));
        format!("postgres://tidemill@127.0.0.1:{}/{name}", self.port)
    }

    /// Asks the server for something, as who may do everything.
    pub(crate) fn execute(&self, sql: &str) {
        let port = self.port.to_string();
        run(as_server("psql").args([
            "-h",
            "127.0.0.1",
            "-U",
            "tidemill",
            "-p",
            &port,
            "-d",
            "postgres",
            "-c",
            sql,
        ]));
    }

    /// Starts it again on the same port.
    pub(crate) fn restart(&mut self, settings: &[&str]) {
        let data = self.folder.path().join("data");
        self.server = launch(&data, self.folder.path(), self.port, settings).expect("it starts again");
    }

    /// Ends the server as a power loss would.
    pub(crate) fn crash(&mut self) {
        signal(&self.server, "-QUIT");
        self.server.wait().expect("the server was started here");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        signal(&self.server, "-QUIT");
        drop(self.server.wait());
    }
}

fn signal(server: &Child, signal: &str) {
    drop(Command::new("kill").arg(signal).arg(server.id().to_string()).status());
}

fn serve(data: &Path, folder: &Path, settings: &[&str]) -> Option<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port").port();
    Some((launch(data, folder, port, settings)?, port))
}

/// Waits until the server says that it is ready; `None` when it ended instead.
fn launch(data: &Path, folder: &Path, port: u16, settings: &[&str]) -> Option<Child> {
    let mut command = as_server("postgres");
    command.arg("-D").arg(data).arg("-k").arg(folder).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    for it in settings {
        command.args(["-c", it]);
    }
    let mut server = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("start postgres");
    let mut lines = BufReader::new(server.stderr.take().expect("it is piped")).lines();
    let is_ready = lines.by_ref().map_while(Result::ok).any(|it| it.contains("ready to accept connections"));
    // Read on, so that the server never waits for a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    is_ready.then_some(server)
}

/// A program of PostgreSQL, run by a user that it accepts, which ends when the test does.
fn as_server(program: &str) -> Command {
    let program = program_path(program);
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={SERVER_USER}"), &format!("--regid={SERVER_USER}"), "--init-groups"]);
    command.args(["--pdeathsig", "QUIT"]).arg(program).current_dir("/");
    command
}

/// Debian keeps the programs of each version in a folder of their own.
fn program_path(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|it| it.path().join("bin").join(program)).collect();
    found.retain(|it| it.is_file());
    found.sort();
    found.pop().unwrap_or_else(|| program.into())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
