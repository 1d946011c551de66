//! Whether this machine can compile for `wasm32-wasip2`, and how it learns to.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, bail};

use crate::checkout::Checkout;
use crate::program::{Program, is_installed};

const TARGET: &str = "wasm32-wasip2";
const SCRIPT: &str = "xtask/debian-wasm-toolchain";
/// Long enough for 30 MB over a slow line; a server that cannot be reached fails in seconds.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The default toolchain.
    Default,
    /// One that is linked into rustup under the name `wasm`.
    Linked,
}

/// A toolchain that has the target.
#[derive(Debug)]
pub(crate) struct WasmToolchain {
    kind: Kind,
    /// The target's standard library; its name and time tell one build of it from another.
    std: PathBuf,
}

impl WasmToolchain {
    /// The first that there is.
    pub(crate) fn find(root: &Path) -> Option<Self> {
        [Kind::Default, Kind::Linked].into_iter().find_map(|kind| {
            let question = ["--print", "target-libdir", "--target", TARGET];
            let folder = program(kind, "rustc", root).args(question).ask()?;
            Some(Self { kind, std: std_in(Path::new(&folder))? })
        })
    }

    /// `cargo build` for the target; the flags are those of `tidemill build`.
    pub(crate) fn build(&self, root: &Path) -> Program {
        let build = program(self.kind, "cargo", root).args(["build", "--release", "--target", TARGET]);
        build.env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", "-C target-feature=+simd128")
    }
}

fn program(kind: Kind, name: &str, root: &Path) -> Program {
    match kind {
        Kind::Default => Program::new(name, root),
        // What the enclosing cargo says of its own toolchain must not reach the other one.
        Kind::Linked => Program::new("rustup", root)
            .args(["run", "wasm", name])
            .without_env("RUSTUP_TOOLCHAIN")
            .without_env("CARGO"),
    }
}

fn std_in(folder: &Path) -> Option<PathBuf> {
    let mut files: Vec<PathBuf> = folder.read_dir().ok()?.flatten().map(|it| it.path()).collect();
    files.sort();
    let is_std = |it: &PathBuf| it.file_name().is_some_and(|it| it.to_string_lossy().starts_with("libstd-"));
    files.into_iter().find(is_std)
}

pub(crate) fn install(root: &Path) -> anyhow::Result<WasmToolchain> {
    if is_installed("rustup") {
        eprintln!("setup: adding the target {TARGET} with rustup");
        // One failed download is answer enough here: there is another way.
        let add = Program::new("rustup", root).args(["target", "add", TARGET]).env("RUSTUP_MAX_RETRIES", "0");
        match add.run_within(DOWNLOAD_LIMIT) {
            Ok(()) => {}
            Err(error) => eprintln!("setup: that did not work: {error:#}"),
        }
        if let Some(found) = WasmToolchain::find(root) {
            return Ok(found);
        }
    }
    if !is_installed("apt-get") {
        bail!(
            "no Rust toolchain here can compile for {TARGET}; run `rustup target add {TARGET}` where rustup's server can be reached"
        );
    }
    eprintln!("setup: building the toolchain `wasm` from Debian's packages (about two minutes, once)");
    as_root(root)?.run().context("build the toolchain `wasm`")?;
    WasmToolchain::find(root)
        .with_context(|| format!("{SCRIPT} ended well, but no toolchain can compile for {TARGET}"))
}

/// The script, started as root.
fn as_root(root: &Path) -> anyhow::Result<Program> {
    let is_root = Program::new("id", root).args(["-u"]).ask().is_some_and(|it| it == "0");
    if is_root {
        return Ok(Program::new("bash", root).args([SCRIPT]));
    }
    // `-n`: a question for a password would hang where nobody can answer.
    if Program::new("sudo", root).args(["-n", "true"]).ask().is_some() {
        let path = std::env::var("PATH").unwrap_or_default();
        let home = std::env::home_dir().unwrap_or_default().to_string_lossy().into_owned();
        // Its own downloads stay apart: files of root in the user's cargo folder would lock the user out.
        let cargo_home = std::env::temp_dir().join("tidemill-setup-cargo");
        let env =
            [format!("PATH={path}"), format!("HOME={home}"), format!("CARGO_HOME={}", cargo_home.display())];
        return Ok(Program::new("sudo", root).args(["-n", "env"]).args(env).args(["bash", SCRIPT]));
    }
    bail!(
        "no Rust toolchain here can compile for {TARGET}; run `rustup target add {TARGET}`, or on Debian, as root, `{SCRIPT}`"
    )
}

/// Removes what was compiled for the target against another build of its standard library.
///
/// Cargo does not see that std was rebuilt, and the linker then complains about symbols that are not there.
pub(crate) fn remove_stale(checkout: &Checkout, toolchain: &WasmToolchain) -> anyhow::Result<()> {
    let stamp = stamp(&toolchain.std)?;
    let mut folders: Vec<PathBuf> = checkout.task_workspaces().map(|it| objects(checkout, it)).collect();
    folders.dedup();
    for folder in folders {
        refresh(&folder, &stamp)?;
    }
    Ok(())
}

/// Where cargo puts what it compiles for the target in a nested workspace.
pub(crate) fn objects(checkout: &Checkout, workspace: &str) -> PathBuf {
    checkout.target(workspace).join(TARGET)
}

fn refresh(folder: &Path, stamp: &str) -> anyhow::Result<()> {
    let file = folder.join(".std-of-target");
    if std::fs::read_to_string(&file).is_ok_and(|it| it == stamp) {
        return Ok(());
    }
    if folder.exists() {
        eprintln!("setup: removing {}, which was compiled against another std", folder.display());
        std::fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    std::fs::write(&file, stamp).with_context(|| format!("write {}", file.display()))
}

fn stamp(std: &Path) -> anyhow::Result<String> {
    let metadata = std.metadata().with_context(|| format!("read {}", std.display()))?;
    let modified = metadata.modified().context("read a file's time")?;
    let seconds = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(format!("{} {} {seconds}\n", std.display(), metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_another_std_are_removed_and_those_of_this_one_stay() {
        let target = tempfile::tempdir().expect("a temporary folder");
        let folder = target.path().join(TARGET);
        let object = folder.join("object");
        refresh(&folder, "first").expect("stamped");
        std::fs::write(&object, "").expect("write object");
        refresh(&folder, "first").expect("nothing to do");
        assert!(object.exists());
        refresh(&folder, "second").expect("removed");
        assert!(!object.exists());
    }

    #[test]
    fn a_target_without_std_is_not_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        assert!(std_in(path).is_none());
        std::fs::write(folder.path().join("libstd-1a2b.rlib"), "").expect("write library");
        assert!(std_in(path).is_some());
        assert!(std_in(Path::new("/no/such/folder")).is_none());
    }
}
