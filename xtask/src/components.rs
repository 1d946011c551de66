//! Compiles the components that the tests run: those of the examples with the binary under test, and the tests' own
//! guests with cargo, since some of them are no tasks that `tidemill build` would take.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::checkout::Checkout;
use crate::program::Program;
use crate::setup;
use crate::wasm_toolchain;

const GUESTS: &str = "tests/guests";
const EXAMPLES: &str = "examples";

pub(crate) fn build(checkout: &Checkout) -> anyhow::Result<()> {
    if checkout.task_workspaces().any(|it| it == GUESTS) {
        build_guests(checkout)?;
    }
    Program::cargo(checkout.root()).args(["build", "--package", "tidemill"]).run()?;
    if checkout.task_workspaces().any(|it| it == EXAMPLES) {
        Program::new(checkout.tidemill("debug"), checkout.root()).args(["build", EXAMPLES]).run()?;
    }
    Ok(())
}

/// Each guest becomes `tests/guests/components/<package>.wasm`.
pub(crate) fn build_guests(checkout: &Checkout) -> anyhow::Result<()> {
    let toolchain = setup::setup(checkout)?;
    let manifest = format!("{GUESTS}/Cargo.toml");
    toolchain.build(checkout.root()).args(["--manifest-path", &manifest]).run()?;
    let compiled = wasm_toolchain::objects(checkout, GUESTS).join("release");
    let components = checkout.root().join(GUESTS).join("components");
    std::fs::create_dir_all(&components).with_context(|| format!("create {}", components.display()))?;
    for package in packages(checkout.root(), &manifest)? {
        let file = compiled.join(format!("{}.wasm", package.replace('-', "_")));
        if file.is_file() {
            put(&file, &components.join(format!("{package}.wasm")))?;
        }
    }
    Ok(())
}

fn packages(root: &Path, manifest: &str) -> anyhow::Result<Vec<String>> {
    let arguments =
        ["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path", manifest];
    let text = Program::cargo(root).args(arguments).read()?;
    let metadata: Value = serde_json::from_str(&text).context("read cargo metadata")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    Ok(packages.filter_map(|it| it["name"].as_str()).map(str::to_owned).collect())
}

/// Whole or not at all, and not when nothing changed: tests may be running.
fn put(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(from).with_context(|| format!("read {}", from.display()))?;
    if std::fs::read(to).is_ok_and(|it| it == bytes) {
        return Ok(());
    }
    let partial: PathBuf = to.with_extension(format!("partial-{}", std::process::id()));
    std::fs::write(&partial, bytes).with_context(|| format!("write {}", partial.display()))?;
    std::fs::rename(&partial, to).with_context(|| format!("write {}", to.display()))
}
