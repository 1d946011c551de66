//! Finds the guests of `tests/guests`, building them when they are missing or older than what they are made of.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use tidemill_sandbox::{Component, Options, Sandbox};

const GUESTS: [&str; 5] = ["curious", "elder", "empty", "identity", "misbehave"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// The component of a guest.
pub(crate) fn path(guest: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).join(format!("{guest}.wasm"))
}

/// A sandbox whose compile cache lasts from run to run of the tests.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("components"));
        Sandbox::new(Options { cache_dir, instances_max: 8, ..Options::default() }).expect("a sandbox")
    })
}

pub(crate) fn load(guest: &str) -> Component {
    sandbox().load(&path(guest)).expect("the guest is a good component")
}

fn build() -> PathBuf {
    let guests = root().join("tests/guests");
    let components = guests.join("components");
    fs::create_dir_all(&components).expect("the folder of components");
    let lock = File::create(components.join(".lock")).expect("the lock's file");
    lock.lock().expect("the lock");
    let sources = newest(&guests).max(newest(&root().join("wit")));
    let built =
        GUESTS.map(|it| fs::metadata(components.join(format!("{it}.wasm"))).and_then(|it| it.modified()));
    if !built.into_iter().all(|it| it.is_ok_and(|it| it > sources)) {
        compile(&guests);
        let release = target(&guests).join("wasm32-wasip2/release");
        for guest in GUESTS {
            let (from, to) =
                (release.join(format!("{guest}.wasm")), components.join(format!("{guest}.wasm")));
            fs::copy(&from, &to).unwrap_or_else(|error| panic!("copy {}: {error}", from.display()));
        }
    }
    components
}

fn target(guests: &Path) -> PathBuf {
    guests.join("target")
}

/// With rustup's target where it is installed, else with the toolchain `wasm`.
fn compile(guests: &Path) {
    let run = |toolchain: Option<&str>| {
        let mut cargo = Command::new("cargo");
        cargo.args(toolchain).args(["build", "--release", "--target", "wasm32-wasip2"]).current_dir(guests);
        for variable in
            ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC", "CARGO"]
        {
            cargo.env_remove(variable);
        }
        cargo.env("CARGO_TARGET_DIR", target(guests)).output().expect("cargo starts")
    };
    let own = run(Some("+wasm"));
    if own.status.success() {
        return;
    }
    let plain = run(None);
    assert!(
        plain.status.success(),
        "the guests do not build:\n{}\n{}",
        String::from_utf8_lossy(&own.stderr),
        String::from_utf8_lossy(&plain.stderr)
    );
}

/// When a source below a folder last changed.
fn newest(folder: &Path) -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder).expect("a folder of sources").flatten() {
        let name = entry.file_name();
        if name == "target" || name == "components" {
            continue;
        }
        let metadata = entry.metadata().expect("a file's metadata");
        let changed = if metadata.is_dir() {
            self::newest(&entry.path())
        } else {
            metadata.modified().expect("the file system knows when files change")
        };
        newest = newest.max(changed);
    }
    newest
}
