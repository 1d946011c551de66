//! The `tidemill` binary: what was typed, then what it means. stdout is data, stderr is talk.

mod args;
mod artefacts;
mod audit;
mod build;
mod check;
mod clean;
mod client;
mod complain;
mod components;
mod deploy;
mod diff;
mod difference;
mod export_runs;
mod from_store;
mod host_lake;
mod host_logs;
mod host_run;
mod host_runs;
mod host_tables;
mod inspect;
mod lake_dir;
mod login;
mod logs;
mod machine;
mod new_task;
mod params;
mod pipelines;
mod place;
mod plan;
mod progress;
mod quantity;
mod replay;
mod report;
mod run;
mod runs;
mod serve;
mod settings;
mod show;
mod sweep;
mod sweep_compare;
mod sweep_progress;
mod sweep_replay;
mod sweep_results;
mod table_view;
mod tables;
mod tokens;
mod toolchain;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a command ended, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// 0.
    Done,
    /// 1: a run was tried and failed.
    Failed,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let host = args.host.as_deref();
    let result = match args.command {
        Command::New(it) => new_task::new(&it),
        Command::Build(it) => build::build(&it),
        Command::Inspect(it) => inspect::inspect(&it, host),
        Command::Plan(it) => plan::plan(&it),
        Command::Run(it) => run::run(&it, host),
        Command::Sweep(it) => sweep::sweep(&it),
        Command::Check(it) => check::check(&it),
        Command::Tables(it) => tables::tables(&it, host),
        Command::Show(it) => show::show(&it, host),
        Command::Logs(it) => logs::logs(&it, host),
        Command::Runs(it) => runs::runs(&it, host),
        Command::Replay(it) => replay::replay(&it),
        Command::Diff(it) => diff::diff(&it),
        Command::Clean(it) => clean::clean(&it),
        Command::Serve(it) => serve::serve(&it),
        Command::Login(it) => login::login(&it),
        Command::Logout(it) => login::logout(&it),
        Command::Push(it) => components::push(&it, host),
        Command::Pull(it) => components::pull(&it, host),
        Command::Components(it) => components::components(&it, host),
        Command::Deploy(it) => deploy::deploy(&it, host),
        Command::Pipelines(it) => pipelines::pipelines(&it, host),
        Command::Lake(it) => host_lake::lake(&it, host),
        Command::Tokens(it) => tokens::tokens(&it, host),
        Command::Audit(it) => audit::audit(&it, host),
        Command::Config(it) => match it.what {
            args::ConfigWhat::Show(it) => settings::show(&it),
        },
        Command::Completions(it) => args::completions(&it),
    };
    match result {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::from(1),
        Err(error) => complain::exit(&error),
    }
}
