//! What can be typed to a service, or to start one.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use crate::settings::SettingFlags;

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) flags: SettingFlags,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    pub(crate) what: ConfigWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigWhat {
    /// Print every setting with its value and where that comes from, as `serve` would read it here
    Show(ConfigArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) flags: SettingFlags,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LoginArgs {
    /// The service's address, as `tidemill serve` prints it
    pub(crate) url: String,
    /// The token; default: asked for, or read from stdin where that is no terminal
    #[arg(long, env = "TIDEMILL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// A PEM file of a certificate to trust besides the usual ones
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LogoutArgs {
    /// The service to forget; default: the one that is used
    pub(crate) url: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TokensCommand {
    #[command(subcommand)]
    pub(crate) what: TokensWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokensWhat {
    /// Make a token; its secret is printed once, on stdout
    Create {
        /// Who or what will have it
        name: String,
        /// What it may do: viewers read, operators also run, push and deploy, admins all
        #[arg(long, value_enum, default_value = "viewer")]
        role: RoleArg,
        /// When it ends: an age such as `30d`, or a time
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all tokens
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a token out of use, for good
    Revoke {
        /// The token's id: what stands between `tm_` and the next `_`
        id: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    Viewer,
    Operator,
    Admin,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AuditArgs {
    /// Only what tokens of this name did
    #[arg(long, value_name = "NAME")]
    pub(crate) who: Option<String>,
    /// Only answers of this status
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<u16>,
    /// Only since then: an age such as `1d`, or a time
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Most entries to print
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PushArgs {
    /// A component file (.wasm)
    pub(crate) file: PathBuf,
    /// Point this tag at it, besides `latest`; may be given several times. A version such as `1.2.0` never moves
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PullArgs {
    /// `name`, `name:tag` or a digest
    pub(crate) component: String,
    /// Where to write it; default: `NAME.wasm` in this folder
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ComponentsCommand {
    #[command(subcommand)]
    pub(crate) what: Option<ComponentsWhat>,
    /// Only of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ComponentsWhat {
    /// List all components
    List {
        /// Only of this name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a component says of itself
    Show {
        /// `name`, `name:tag` or a digest
        component: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tags of a name, or where one of them pointed
    Tags {
        /// `name`, or `name:tag` for the history of a tag
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Point a tag at a component that is there
    Tag {
        /// `name`, `name:tag` or a digest
        component: String,
        /// The tag; a version such as `1.2.0` never moves
        tag: String,
    },
    /// Take a tag away; its history stays
    Untag {
        /// `name:tag`
        tag: String,
    },
    /// Delete a component and its tags; refused while a deployed pipeline or a live run uses it
    Delete {
        /// `name`, `name:tag` or a digest
        component: String,
    },
    /// Remove components without a tag and files without a pipeline that nothing uses
    Gc {
        /// Do it; without this flag, only what would be removed is listed
        #[arg(long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DeployArgs {
    /// A pipeline file, or a folder that holds a pipeline.toml
    #[arg(default_value = ".")]
    pub(crate) pipeline: PathBuf,
    /// Check with this value of a parameter that has no default; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct PipelinesCommand {
    #[command(subcommand)]
    pub(crate) what: Option<PipelinesWhat>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PipelinesWhat {
    /// List the pipelines that are deployed
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a version of a pipeline
    Show {
        /// `NAME`, or `NAME@VERSION`; default: the newest version
        pipeline: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a version, so that components and files that only it uses may go; its runs and tables stay
    Delete {
        /// `NAME@VERSION`
        pipeline: String,
    },
    /// List the versions of a pipeline
    Versions {
        /// The pipeline's name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what differs between two versions
    Diff {
        /// The pipeline's name
        name: String,
        /// The version before
        before: i64,
        /// The version after
        after: i64,
    },
}

/// What only a service makes of a run.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "On a service")]
pub(crate) struct RunOnService {
    /// Follow the run to its end; exit code 1 when it fails
    #[arg(long)]
    pub(crate) wait: bool,
    /// One node at a time, in topological order, with the logs printed as they come
    #[arg(long)]
    pub(crate) debug: bool,
    /// What the run is about, for people
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// A label; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub(crate) labels: Vec<String>,
    /// What the run refers to: a ticket, a dashboard, a paper; may be given several times
    #[arg(long = "link", value_name = "[TITLE=]URL")]
    pub(crate) links: Vec<String>,
    /// Higher begins first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: Option<i32>,
    /// Two requests with one key are one run
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunOfService {
    /// A run's id, the beginning of one, or `last`
    pub(crate) run: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RetryArgs {
    /// A run's id, the beginning of one, or `last`
    pub(crate) run: String,
    /// Compute this node and all that depends on it, even where valid; reuse the rest
    #[arg(long, value_name = "NODE")]
    pub(crate) from_node: Option<String>,
    /// Compute even what could be reused
    #[arg(long)]
    pub(crate) force: bool,
    /// Follow the run to its end; exit code 1 when it fails
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct NoteArgs {
    /// A run's id, the beginning of one, or `last`
    pub(crate) run: String,
    /// The remark; default: read from stdin
    pub(crate) text: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LinkArgs {
    /// A run's id, the beginning of one, or `last`
    pub(crate) run: String,
    /// An address of the web
    pub(crate) url: String,
    /// What to show with it
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Json,
    Csv,
    Parquet,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    /// Runs' ids, beginnings of them, or `last`; default: all
    pub(crate) runs: Vec<String>,
    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// Only runs that are no older, as `1d`, `12h` or `2026-01-02`
    #[arg(long, value_name = "AGE|TIME")]
    pub(crate) since: Option<String>,
    /// How to write it; default: what the ending of FILE says, else JSON
    #[arg(long, short, value_enum)]
    pub(crate) format: Option<ExportFormat>,
    /// Write to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
