//! Measures Tidemill against references on the same machine, in the same run; prints a table, writes `bench.json`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is this program's result, the rest its talk"
)]

mod args;
mod binary;
mod lasso;
mod measure;
mod memory;
mod nodes;
mod peers;
mod report;
mod row;
mod sandbox;
mod service;
mod start;
mod sweep;
mod sweep_memory;
mod sweep_native;
mod sweep_plan;
mod sweep_points;
mod virtual_env;

use std::process::ExitCode;

use anyhow::bail;
use args::Command;
use row::Row;

// As in the binary: what is measured is what users run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    let options = match args::parse(std::env::args().skip(1))? {
        Command::Help => {
            print!("{}", args::HELP);
            return Ok(());
        }
        Command::Measure(options) => options,
    };
    if let Some(unknown) = options.only.iter().find(|name| SUITES.iter().all(|(it, _)| it != name)) {
        let names = SUITES.map(|(it, _)| it).join(", ");
        bail!("`--only {unknown}` names no rows; there are {names}");
    }
    let mut rows: Vec<Row> = Vec::new();
    for (name, suite) in SUITES {
        if options.includes(name) {
            eprintln!("measuring {name}");
            rows.extend(suite()?);
        }
    }
    print!("{}", report::table(&rows));
    report::write(&options.output, &rows)
}

type Suite = fn() -> anyhow::Result<Vec<Row>>;

/// By the names that `--only` knows.
const SUITES: [(&str, Suite); 11] = [
    ("memory", memory::rows),
    ("sandbox", sandbox::rows),
    ("lasso", lasso::rows),
    ("nodes", nodes::rows),
    ("start", start::rows),
    ("service", service::rows),
    ("sweep-native", sweep_native::rows),
    ("sweep-points", sweep_points::rows),
    ("sweep-memory", sweep_memory::rows),
    ("sweep-plan", sweep_plan::rows),
    ("peers", peers::rows),
];
