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
mod report;
mod row;
mod sandbox;
mod start;

use std::process::ExitCode;

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
const SUITES: [(&str, Suite); 5] = [
    ("memory", memory::rows),
    ("sandbox", sandbox::rows),
    ("lasso", lasso::rows),
    ("nodes", nodes::rows),
    ("start", start::rows),
];
