//! What can be typed. No I/O here, and no defaults that depend on the machine.

mod runs;
mod service;
mod tables;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::Ending;
pub(crate) use runs::{ArtefactsArgs, LogsArgs, RunsArgs, RunsListArgs, RunsShowArgs, RunsWhat, StateFilter};
pub(crate) use service::{
    AuditArgs, ComponentsCommand, ComponentsWhat, ConfigArgs, ConfigCommand, ConfigWhat, DeployArgs,
    ExportArgs, ExportFormat, LinkArgs, LoginArgs, LogoutArgs, NoteArgs, PipelinesCommand, PipelinesWhat,
    PullArgs, PushArgs, RetryArgs, RoleArg, RunOfService, RunOnService, ServeArgs, TokensCommand, TokensWhat,
};
pub(crate) use tables::{
    CleanArgs, CompactArgs, ExpireArgs, Format, GcArgs, HistoryArgs, LakeCommand, LakeWhat, LineageArgs,
    MirrorsArgs, ShowArgs, TablesArgs, TablesCommand, TablesWhat,
};

/// Runs pipelines of sandboxed data tasks.
///
/// A pipeline is a file that names nodes; each node's logic is a WebAssembly component; nodes exchange Arrow tables.
/// Results stay in a lake folder as Parquet, and an unchanged node is never computed twice.
#[derive(Debug, Parser)]
#[command(name = "tidemill", version, max_term_width = 110)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The service to talk to, where a command talks to one; default: the one logged in to
    #[arg(long, global = true, env = "TIDEMILL_HOST", value_name = "URL", help_heading = "Global options")]
    pub(crate) host: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start something new from a template
    New(NewArgs),
    /// Compile task crates to components
    Build(BuildArgs),
    /// Show what a component says of itself, and what it imports
    Inspect(InspectArgs),
    /// Show what would run: nodes, values, tables, and what would be reused
    Plan(PlanArgs),
    /// Run a pipeline: a file or folder in this process, on all cores; a name on the service that has it
    Run(Box<RunArgs>),
    /// Run a pipeline at many points of its parameters, sharing what they have in common
    Sweep(Box<SweepArgs>),
    /// Find nodes that look into the future, or further back than they declare
    Check(CheckArgs),
    /// List the tables of a lake or a service, and see how those of a service came to be
    Tables(TablesCommand),
    /// Print or export a table
    Show(ShowArgs),
    /// Print what the tasks of a run logged
    Logs(LogsArgs),
    /// List the runs of a lake or a service, look at them, and act on those of a service
    Runs(RunsArgs),
    /// Run a recorded run again and compare every table: exit code 0 all equal, 1 not, 2 it could not be tried
    Replay(ReplayArgs),
    /// Show what differs between two runs: what went in, and what came out
    Diff(DiffArgs),
    /// Remove tables or runs from a lake, with the artefacts that only they name
    Clean(CleanArgs),
    /// Run the host as a service
    Serve(ServeArgs),
    /// Log in to a service: keep its address and a token
    Login(LoginArgs),
    /// Forget a service
    Logout(LogoutArgs),
    /// Upload a component to a service
    Push(PushArgs),
    /// Download a component from a service
    Pull(PullArgs),
    /// List the components of a service, and look after them
    Components(ComponentsCommand),
    /// Deploy a pipeline to a service, with the components and files that lie beside it
    Deploy(DeployArgs),
    /// List the pipelines of a service, and look at them
    Pipelines(PipelinesCommand),
    /// Keep the lake of a service small
    Lake(LakeCommand),
    /// Make, list and revoke the tokens of a service
    Tokens(TokensCommand),
    /// Show who did what on a service
    Audit(AuditArgs),
    /// Show the service's settings and where each comes from
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct NewArgs {
    #[command(subcommand)]
    pub(crate) what: NewWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NewWhat {
    /// A task crate that builds, with one test
    Task {
        /// Name of the task: lower-case letters, digits, `_` and `-`; also the folder's name unless a path is given
        name: String,
        /// Where the guest SDK (guest-sdk/rust of Tidemill's repository) is
        #[arg(long, env = "TIDEMILL_SDK", value_name = "DIR")]
        sdk: Option<PathBuf>,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BuildArgs {
    /// Task crates, or folders that hold some
    #[arg(default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// Folder for the components; default: `components` beside the nearest pipeline.toml, else in PATH
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InspectArgs {
    /// A component file (.wasm), or of a service `name`, `name:tag` or a digest
    pub(crate) component: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which plan: the pipeline and what is bound to it.
#[derive(Debug, ClapArgs)]
pub(crate) struct PlanOf {
    /// A pipeline file, or a folder that holds a pipeline.toml; default: the current folder
    pub(crate) pipeline: Option<PathBuf>,
    /// Take pipeline, parameters, window and as-of from this run's record: a run's id, the beginning of one, or `last`
    #[arg(long, value_name = "RUN", conflicts_with = "pipeline")]
    pub(crate) from: Option<String>,
    /// The folder of that run's pipeline, where it is another by now
    #[arg(long, value_name = "DIR", requires = "from")]
    pub(crate) folder: Option<PathBuf>,
    /// Bind parameters from a TOML file, or a JSON file (.json), that holds a table of them
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,
    /// Bind a parameter, whatever a file or run says; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Only this node and what it depends on
    #[arg(long, value_name = "NODE", group = "selection")]
    pub(crate) node: Option<String>,
    /// Only this node; what it reads must be in the lake
    #[arg(long, value_name = "NODE", group = "selection")]
    pub(crate) only: Option<String>,
    /// Only what this node depends on
    #[arg(long, value_name = "NODE", group = "selection")]
    pub(crate) deps_only: Option<String>,
    /// Compute this node and all that depends on it, even where valid; reuse the rest
    #[arg(long, value_name = "NODE", group = "selection")]
    pub(crate) from_node: Option<String>,
    /// Compute even what could be reused
    #[arg(long)]
    pub(crate) force: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct WindowArgs {
    /// First time of the run's window: a date, or a date and time (UTC when no offset is given)
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    /// First time no longer part of the run's window
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,
    /// Hide every row later than this time from all tasks
    #[arg(long, value_name = "TIME")]
    pub(crate) as_of: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LakeArg {
    #[arg(long = "lake", env = "TIDEMILL_LAKE", value_name = "DIR", help = LAKE_HELP)]
    pub(crate) named: Option<PathBuf>,
}

const LAKE_HELP: &str = "The folder where tables live; `:memory:` keeps nothing; default: `lake`";

impl LakeArg {
    pub(crate) fn dir(&self) -> &Path {
        self.named.as_deref().unwrap_or(Path::new("lake"))
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) of: PlanOf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) of: PlanOf,
    /// Most attempts at a time; default: the number of cores
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) jobs: Option<u32>,
    /// After a failure, go on with the nodes that do not depend on it
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Copy the tables of these nodes once from the service that is named or logged in to, instead of computing them
    #[arg(long, value_name = "NODES", value_delimiter = ',')]
    pub(crate) from_store: Vec<String>,
    #[command(flatten)]
    pub(crate) service: RunOnService,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SweepArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SweepCommand>,
    #[command(flatten)]
    pub(crate) run: SweepRunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// List the sweeps of a lake
    List {
        #[command(flatten)]
        lake: LakeArg,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print or export the points of a sweep
    Show {
        /// A sweep's id, the beginning of one, or `last`
        #[arg(default_value = "last")]
        sweep: String,
        #[command(flatten)]
        lake: LakeArg,
        /// Points to print; default: 20 on a table, all in an export
        #[arg(long, short, value_name = "N")]
        rows: Option<usize>,
        /// How to write it; default: table, or what the ending of FILE says
        #[arg(long, short, value_enum)]
        format: Option<Format>,
        /// Write to a file instead of stdout
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Write the report of the sweep, one HTML file that opens offline
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Print the best points of a sweep
    Best {
        /// A sweep's id, the beginning of one, or `last`
        #[arg(default_value = "last")]
        sweep: String,
        #[command(flatten)]
        lake: LakeArg,
        #[command(flatten)]
        goal: GoalArgs,
        /// How many points to print
        #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
        count: usize,
        /// Write the parameters of the best point, for `tidemill run --params FILE`
        #[arg(long, value_name = "FILE")]
        best_to: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Compare two sweeps point by point
    Compare {
        /// A sweep's id, the beginning of one, or `last`
        a: String,
        /// The other
        b: String,
        #[command(flatten)]
        lake: LakeArg,
        /// Points to print
        #[arg(long, short, value_name = "N", default_value_t = 20)]
        rows: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct GoalArgs {
    /// The measure that is best where it is least
    #[arg(long, value_name = "MEASURE", group = "goal")]
    pub(crate) minimize: Option<String>,
    /// The measure that is best where it is greatest
    #[arg(long, value_name = "MEASURE", group = "goal")]
    pub(crate) maximize: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepArg {
    None,
    Measured,
    All,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SweepRunArgs {
    /// A pipeline file, or a folder that holds a pipeline.toml; default: the current folder
    pub(crate) pipeline: Option<PathBuf>,
    /// An axis: values `1,2,3`, a range `60:720:20` (stop left out) or `1e-6:1e-2:log5`; all grids are multiplied. Axes
    /// that are typed take the place of all those of the file's `[sweep]`
    #[arg(long, value_name = "NAME=VALUES")]
    pub(crate) grid: Vec<String>,
    /// An axis that moves together with the other zipped ones
    #[arg(long, value_name = "NAME=VALUES")]
    pub(crate) zip: Vec<String>,
    /// An axis that is drawn: `uniform:LOW:HIGH`, `log:LOW:HIGH` or `choice:a,b,c`
    #[arg(long, value_name = "NAME=DISTRIBUTION")]
    pub(crate) draw: Vec<String>,
    /// How many points to draw
    #[arg(long, value_name = "N")]
    pub(crate) random: Option<u64>,
    /// Seed of what is drawn
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// A CSV or Parquet file with a row for each point
    #[arg(long, value_name = "FILE")]
    pub(crate) points: Option<PathBuf>,
    /// What to measure: `node.column`, `last(node.column)` (also min, max, mean, sum, std) or `metric(node.name)`; quote
    /// what has parentheses, as `--measure 'loss=metric(fit.loss)'`
    #[arg(long = "measure", value_name = "NAME=WHAT")]
    pub(crate) measures: Vec<String>,
    #[command(flatten)]
    pub(crate) goal: GoalArgs,
    /// Which tables stay in the lake, besides those of sources; default: measured
    #[arg(long, value_enum)]
    pub(crate) keep: Option<KeepArg>,
    /// Write a report, one HTML file that opens offline
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// How many of the best points to print
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) best: usize,
    /// Write the parameters of the best point, for `tidemill run --params FILE`
    #[arg(long, value_name = "FILE")]
    pub(crate) best_to: Option<PathBuf>,
    /// Stop at the first point that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Bind parameters that are not swept from a TOML file, or a JSON file (.json), that holds a table of them
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,
    /// Bind a parameter that is not swept; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Compute even what could be reused
    #[arg(long)]
    pub(crate) force: bool,
    /// Most attempts at a time; default: the number of cores
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) jobs: Option<u32>,
    /// Only show how many points and nodes there are
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    /// A pipeline file, or a folder that holds a pipeline.toml; default: the current folder
    #[arg(default_value = ".")]
    pub(crate) pipeline: PathBuf,
    /// Check only this node
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Where time is cut: a number of stretches with equally many times, or their length, as `1d` or `4w`
    #[arg(long, value_name = "K", default_value = "8")]
    pub(crate) tiles: String,
    /// Bind parameters from a TOML file, or a JSON file (.json), that holds a table of them
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,
    /// Bind a parameter; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// Most attempts at a time; default: the number of cores
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) jobs: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReplayArgs {
    /// A run's id, the beginning of one, or `last`
    pub(crate) run: String,
    /// Only this node and what it depends on
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Keep the tables of the replay in this lake; without it they are kept in memory
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
    /// The pipeline's folder, where it is another by now
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DiffArgs {
    /// The run before: an id, the beginning of one, or `last`
    #[arg(value_name = "RUN_A")]
    pub(crate) before: String,
    /// The run after
    #[arg(value_name = "RUN_B")]
    pub(crate) after: String,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// The lake of RUN_B, where it is another than that of RUN_A
    #[arg(long, value_name = "DIR")]
    pub(crate) lake_b: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CompletionsArgs {
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<Ending> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "tidemill", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Ending::Done)
}
