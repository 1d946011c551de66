//! What can be typed about tables, of a lake or of a service.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::LakeArg;

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TablesCommand {
    #[command(subcommand)]
    pub(crate) what: Option<TablesWhat>,
    #[command(flatten)]
    pub(crate) list: TablesArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TablesWhat {
    /// List the versions of a table of the service, with who wrote each
    History(HistoryArgs),
    /// Show what a table of the service was made of, or what was made of it
    Lineage(LineageArgs),
    /// List the tables of PostgreSQL that mirror tables of the service, and how far each has come
    Mirrors(MirrorsArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TablesArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Only tables with this text in their name
    #[arg(long, value_name = "TEXT")]
    pub(crate) containing: Option<String>,
    /// Only tables that this node, or a member of this family, wrote last
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Of a service: only tables that a run of this pipeline wrote last
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct HistoryArgs {
    /// A table's name, the beginning of one, or the name of the node that wrote it
    pub(crate) table: String,
    /// The newest so many
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MirrorsArgs {
    /// Only those that do not have yet what they are to have
    #[arg(long)]
    pub(crate) behind: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LineageArgs {
    /// A table's name, the beginning of one, or the name of the node that wrote it
    pub(crate) table: String,
    /// What it was made of; the default
    #[arg(long, conflicts_with = "down")]
    pub(crate) up: bool,
    /// What was made of it
    #[arg(long)]
    pub(crate) down: bool,
    /// Of this version: a snapshot's number, or a time
    #[arg(long, value_name = "SNAPSHOT|TIME")]
    pub(crate) at: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Csv,
    Json,
    Parquet,
    Arrow,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ShowArgs {
    /// A table's name, the beginning of one, or the name of the node that wrote it
    pub(crate) table: String,
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Of a service: the table as it was at a snapshot or a time
    #[arg(long, value_name = "SNAPSHOT|TIME")]
    pub(crate) at: Option<String>,
    /// Rows to print; default: 20 on a table, all in an export
    #[arg(long, short, value_name = "N")]
    pub(crate) rows: Option<usize>,
    /// Columns to print, separated by commas
    #[arg(long, short, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Only rows from this time on
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    /// Only rows before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,
    /// Print the last rows instead of the first
    #[arg(long)]
    pub(crate) tail: bool,
    /// How to write it; default: table, or what the ending of FILE says
    #[arg(long, short, value_enum)]
    pub(crate) format: Option<Format>,
    /// Write to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CleanArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArg,
    /// Remove these tables (names, or the nodes that wrote them)
    #[arg(long = "table", value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    /// Remove these runs and their logs
    #[arg(long = "run", value_name = "RUN")]
    pub(crate) runs: Vec<String>,
    /// Remove these sweeps' records and results; their tables and runs stay
    #[arg(long = "sweep", value_name = "SWEEP")]
    pub(crate) sweeps: Vec<String>,
    /// Remove every table
    #[arg(long)]
    pub(crate) all_tables: bool,
    /// Remove every sweep's record and results
    #[arg(long)]
    pub(crate) all_sweeps: bool,
    /// Remove every run and its logs
    #[arg(long)]
    pub(crate) all_runs: bool,
    /// Narrow to what is older, for example 7d or 12h
    #[arg(long, value_name = "AGE")]
    pub(crate) older_than: Option<String>,
    /// Do it; without this flag, only what would be removed is listed
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LakeCommand {
    #[command(subcommand)]
    pub(crate) what: LakeWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LakeWhat {
    /// Remove files that no version of any table names, and that no run may still commit
    Gc(GcArgs),
    /// Put the small files of a table together, or of all tables; what they hold stays the same
    Compact(CompactArgs),
    /// Forget old snapshots, and remove the files that only they named
    Expire(ExpireArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct GcArgs {
    /// Only files that have not been touched for this long; default: 1d
    #[arg(long, value_name = "AGE")]
    pub(crate) grace: Option<String>,
    /// Do it; without this flag, only what would be removed is listed
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CompactArgs {
    /// A table's name, the beginning of one, or the name of the node that wrote it; default: all tables
    pub(crate) table: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExpireArgs {
    /// Only snapshots that are older, as `30d` or `12h`
    #[arg(long, value_name = "AGE")]
    pub(crate) older_than: String,
    /// Of each table its newest versions stay, however old: so many
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// Do it; without this flag, only how many would go is told
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
