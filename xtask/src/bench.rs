//! `cargo xtask bench`: builds the bench program in release and passes the arguments on.

use crate::checkout::Checkout;
use crate::program::Program;
use crate::{components, demo, setup};

/// A program of its own, because it names the host's crates, and xtask must start without building them.
const PACKAGE: &str = "tidemill-bench";

pub(crate) fn bench(checkout: &Checkout, arguments: &[String]) -> anyhow::Result<()> {
    setup::setup(checkout)?;
    if arguments.iter().all(|it| it != "--help" && it != "-h") {
        demo::build(checkout, "examples")?;
        components::build_guests(checkout)?;
    }
    Program::cargo(checkout.root())
        .args(["run", "--release", "--package", PACKAGE, "--"])
        .args(arguments)
        .env("TIDEMILL_BENCH_BINARY", checkout.tidemill("release"))
        .run()
}
