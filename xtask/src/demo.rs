//! `cargo xtask demo`: from a fresh clone to a replicated index, with the binary that users get.

use crate::checkout::Checkout;
use crate::program::Program;
use crate::setup;

const EXAMPLE: &str = "examples/etf-replicator";
const PIPELINE: &str = "examples/etf-replicator/pipeline.toml";
const LAKE: &str = "lake";
/// The node with one row that says how good the replica is.
const STATISTICS: &str = "stats";

pub(crate) fn demo(checkout: &Checkout) -> anyhow::Result<()> {
    setup::setup(checkout)?;
    build(checkout, EXAMPLE)?;
    let tidemill = checkout.tidemill("release");
    let call = |arguments: &[&str]| {
        Program::new(&tidemill, checkout.root()).args(arguments).env("TIDEMILL_LAKE", LAKE)
    };

    eprintln!("\n$ tidemill run {PIPELINE}");
    call(&["run", PIPELINE]).with_stdin().run()?;
    eprintln!("\n$ tidemill show {STATISTICS}");
    call(&["show", STATISTICS]).run()?;
    eprintln!("\n$ tidemill tables");
    call(&["tables"]).run()?;
    say_what_next(checkout);
    Ok(())
}

/// Builds the release binary, and with it the components of a folder's tasks.
pub(crate) fn build(checkout: &Checkout, folder: &str) -> anyhow::Result<()> {
    eprintln!("building tidemill (release; the first time takes minutes)");
    Program::cargo(checkout.root()).args(["build", "--release", "--package", "tidemill"]).run()?;
    eprintln!("building the tasks in {folder}");
    Program::new(checkout.tidemill("release"), checkout.root()).args(["build", folder]).run()
}

fn say_what_next(checkout: &Checkout) {
    let lake = checkout.root().join(LAKE);
    eprintln!("\nThe results are Parquet files in {}", lake.display());
    eprintln!("(any Parquet reader opens them; `tidemill show NODE -o FILE.csv` exports one).\n");
    eprintln!("What to try next:");
    eprintln!("  export PATH={}:$PATH", checkout.target("").join("release").display());
    eprintln!("  tidemill run {PIPELINE}                        # again: nothing is computed twice");
    eprintln!("  tidemill run {PIPELINE} --set in_window=120    # only what depends on it");
    eprintln!("  tidemill plan {PIPELINE}                       # what would run, and why");
    eprintln!("  tidemill logs                                                       # what the tasks said");
    eprintln!("  tidemill new task my-task                                           # write your own");
}
