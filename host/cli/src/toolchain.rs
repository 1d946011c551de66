//! Finds the Rust toolchain that can compile for `wasm32-wasip2`: rustup's target, or the toolchain `wasm`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tidemill_plan::{Code, Problem};

pub(crate) const TARGET: &str = "wasm32-wasip2";

/// How to call cargo for the wasm target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The default toolchain has the target.
    Default,
    /// A toolchain linked into rustup under the name `wasm` has it.
    Wasm,
}

impl Toolchain {
    /// The first that has the target's standard library.
    pub(crate) fn find() -> Result<Self, Problem> {
        [Self::Default, Self::Wasm].into_iter().find(|it| it.has_target()).ok_or_else(|| {
            Problem::new(
                Code("no-wasm-target"),
                format!("no Rust toolchain on this machine can compile for `{TARGET}`"),
                format!(
                    "run `rustup target add {TARGET}`; where rustup's server cannot be reached, `cargo xtask setup` \
                     in Tidemill's repository builds the toolchain `wasm` from Debian's packages"
                ),
            )
        })
    }

    pub(crate) fn cargo(self) -> Command {
        self.command("cargo")
    }

    fn command(self, program: &str) -> Command {
        let mut command = match self {
            Self::Default => Command::new(program),
            Self::Wasm => {
                let mut command = Command::new("rustup");
                command.args(["run", "wasm", program]);
                command
            }
        };
        // What an enclosing `cargo run` or `cargo test` set for its own build must not reach this one.
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET"] {
            command.env_remove(name);
        }
        if self == Self::Wasm {
            command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
        }
        command
    }

    fn has_target(self) -> bool {
        self.library_folder().is_some_and(|it| holds_std(&it))
    }

    fn library_folder(self) -> Option<PathBuf> {
        let output =
            self.command("rustc").args(["--print", "target-libdir", "--target", TARGET]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| PathBuf::from(text.trim()))
    }
}

fn holds_std(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().any(|it| it.file_name().to_string_lossy().starts_with("libstd-"))
}
