//! `cargo xtask setup`: finds what the machine lacks and installs it. Silent and quick when all is there.

use crate::apt;
use crate::browser;
use crate::checkout::Checkout;
use crate::duckdb;
use crate::moto;
use crate::program::{Program, is_installed};
use crate::schemathesis;
use crate::wasm_toolchain::{self, WasmToolchain};

pub(crate) fn setup(checkout: &Checkout) -> anyhow::Result<WasmToolchain> {
    let toolchain = match WasmToolchain::find(checkout.root()) {
        Some(toolchain) => toolchain,
        None => wasm_toolchain::install(checkout.root())?,
    };
    wasm_toolchain::remove_stale(checkout, &toolchain)?;
    Ok(toolchain)
}

/// What only the tests need.
pub(crate) fn setup_tests(checkout: &Checkout) -> anyhow::Result<()> {
    setup(checkout)?;
    for (component, command) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if is_installed("rustup")
            && Program::cargo(checkout.root()).args([command, "--version"]).ask().is_none()
        {
            eprintln!("setup: adding {component} with rustup");
            Program::new("rustup", checkout.root()).args(["component", "add", component]).run()?;
        }
    }
    if !is_installed("cargo-nextest") {
        eprintln!("setup: installing cargo-nextest (some minutes, once)");
        Program::cargo(checkout.root())
            .args(["install", "cargo-nextest", "--locked", "--quiet"])
            .without_env("CARGO_TARGET_DIR")
            .run()?;
    }
    browser::install(checkout.root())?;
    if !is_installed("faketime") {
        apt::install(checkout.root(), "the tests of clocks that step", &["faketime"])?;
    }
    duckdb::install(checkout.root())?;
    schemathesis::install(checkout.root())?;
    moto::install(checkout.root())
}
