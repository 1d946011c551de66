//! What the README's commands call. Knows no crate of the host: it starts cargo and the built binary.
#![expect(clippy::print_stderr, reason = "this program only talks")]

mod apt;
mod args;
mod bench;
mod browser;
mod checkout;
mod components;
mod demo;
mod duckdb;
mod moto;
mod program;
mod python;
mod schemathesis;
mod setup;
mod suite;
mod tidy;
mod wasm_toolchain;

use std::process::ExitCode;

use args::Command;
use checkout::Checkout;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let command = args::parse(std::env::args().skip(1).collect())?;
    let checkout = Checkout::find()?;
    match command {
        Command::Help => {
            eprint!("{}", args::HELP);
            Ok(())
        }
        Command::Setup => setup::setup_tests(&checkout),
        Command::Demo => demo::demo(&checkout),
        Command::Test(steps) => suite::test(&checkout, &steps),
        Command::Tidy => tidy::tidy(&checkout),
        Command::Bench(rest) => bench::bench(&checkout, &rest),
    }
}
