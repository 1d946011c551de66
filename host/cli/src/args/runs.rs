//! What can be typed about runs: their list, one of them, what it logged, and what is done to it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{ExportArgs, LakeArg, LinkArgs, NoteArgs, RetryArgs, RunOfService};

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    pub(crate) what: Option<RunsWhat>,
    #[command(flatten)]
    pub(crate) list: RunsListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsWhat {
    /// Show all that is recorded of a run
    Show(RunsShowArgs),
    /// List the files that the tasks of a run left, or download them
    Artefacts(ArtefactsArgs),
    /// End a run of the service now; what runs of it is stopped
    Cancel(RunOfService),
    /// Let nothing more of a run of the service begin
    Pause(RunOfService),
    /// Let a paused run of the service go on
    Resume(RunOfService),
    /// Run again, on the service, with the pipeline, parameters, window and code of a run that has ended
    Retry(RetryArgs),
    /// Add a remark to a run of the service, at any time
    Note(NoteArgs),
    /// Add a link to a run of the service, at any time
    Link(LinkArgs),
    /// Write runs of the service with parameters, metrics, artefacts, notes and links to a file or stdout
    Export(ExportArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunsListArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// Only runs in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<StateFilter>,
    /// Only runs that are no older, as `1d`, `12h` or `2026-01-02`
    #[arg(long, value_name = "AGE|TIME")]
    pub(crate) since: Option<String>,
    /// The newest so many
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateFilter {
    /// Of a service: nothing of it has begun
    Queued,
    Running,
    /// Of a service: it waits to be resumed
    Paused,
    Succeeded,
    Failed,
    Cancelled,
    /// Its process died before the run had ended
    Lost,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunsShowArgs {
    /// A run's id, the beginning of one, or `last`
    #[arg(default_value = "last")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ArtefactsArgs {
    /// A run's id, the beginning of one, or `last`
    #[arg(default_value = "last")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Only of this node
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Only files of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Download them to FOLDER/NODE/NAME
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["output", "json"])]
    pub(crate) to: Option<PathBuf>,
    /// Download the only one to a file; `-` is stdout
    #[arg(long, short, value_name = "FILE", conflicts_with = "json")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LogsArgs {
    /// A run's id, the beginning of one, or `last`
    #[arg(default_value = "last")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Only this node
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Only this attempt
    #[arg(long, value_name = "K")]
    pub(crate) attempt: Option<u32>,
    /// Go on printing until the run ends
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only the last lines of each attempt
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    pub(crate) tail: Option<u64>,
    /// Only lines that hold this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) grep: Option<String>,
    /// Print JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

impl LogsArgs {
    /// All that the attempts of a run logged.
    pub(crate) fn all_of(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            lake: LakeArg { named: None },
            node: None,
            attempt: None,
            follow: false,
            tail: None,
            grep: None,
            json: false,
        }
    }
}
