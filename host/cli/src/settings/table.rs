//! The table of settings, and the flags that it makes. A setting's key is its name in the file; its variable is
//! `TIDEMILL_` and the key in capitals; its flag has `-` for `_`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use super::value::Kind;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// `None`: absent, or derived from others; the help says which.
    pub(crate) default: Option<&'static str>,
    /// May hold a password.
    pub(crate) is_secret: bool,
    pub(crate) help: &'static str,
}

const fn setting(
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { key, kind, default, is_secret: false, help }
}

const fn secret(key: &'static str, kind: Kind, default: Option<&'static str>, help: &'static str) -> Setting {
    Setting { key, kind, default, is_secret: true, help }
}

/// In the order in which `config show` prints them.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "listen",
        Kind::Address,
        Some("127.0.0.1:7433"),
        "Address and port to listen on; port 0 takes any that is free",
    ),
    setting(
        "data_dir",
        Kind::Text,
        Some("tidemill-data"),
        "Folder for components, pipelines and, unless set otherwise, store and lake",
    ),
    secret(
        "store",
        Kind::Text,
        None,
        "The database: `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`; default: `tidemill.db` in the data folder",
    ),
    setting(
        "lake_url",
        Kind::Text,
        None,
        "Where tables live: a folder, or `s3://BUCKET/PREFIX`; default: `lake` in the data folder",
    ),
    secret(
        "mirror_url",
        Kind::Text,
        None,
        "The database that mirrors tables of nodes that say so: `postgres://USER:PASSWORD@HOST/DATABASE`; without it, such pipelines are refused",
    ),
    setting(
        "compile_cache_dir",
        Kind::Text,
        None,
        "Where compiled components are kept; default: `compiled` in the data folder",
    ),
    setting("tls_cert", Kind::Text, None, "PEM file of the TLS certificate, then those that vouch for it"),
    setting("tls_key", Kind::Text, None, "PEM file of the certificate's key"),
    setting(
        "behind_proxy",
        Kind::Flag,
        Some("false"),
        "A proxy in front encrypts: listen on any address in the clear, and believe `X-Forwarded-For`",
    ),
    setting("body_bytes_max", Kind::Size, Some("8MiB"), "Largest body of a request that is no upload"),
    setting("component_bytes_max", Kind::Size, Some("256MiB"), "Largest component"),
    setting("file_bytes_max", Kind::Size, Some("64GiB"), "Largest file that a pipeline reads"),
    setting("headers_max", Kind::Number, Some("64"), "Most headers of a request"),
    setting("requests_max", Kind::Number, Some("1024"), "Most requests at one time; more are turned away"),
    setting(
        "request_timeout",
        Kind::Duration,
        Some("30s"),
        "Longest time until an answer begins; of an upload, from one part to the next",
    ),
    setting("jobs", Kind::Number, None, "Most attempts at a time; without it, one for each core"),
    setting("runs_max", Kind::Number, Some("64"), "Most runs at a time; the others wait"),
    setting(
        "lease",
        Kind::Duration,
        Some("15s"),
        "How long another host on one PostgreSQL may be silent before its runs are taken over",
    ),
    setting("shutdown_grace", Kind::Duration, Some("30s"), "How long a stop waits for requests and attempts"),
    setting(
        "store_connect_timeout",
        Kind::Duration,
        Some("10s"),
        "How long to wait for a connection to PostgreSQL",
    ),
    setting(
        "store_heartbeat",
        Kind::Duration,
        Some("2s"),
        "How often to show other hosts on one PostgreSQL that this one lives",
    ),
    setting("host_name", Kind::Text, None, "What to call this host; default: the machine's name"),
    setting(
        "log_format",
        Kind::OneOf(&["auto", "text", "json"]),
        Some("auto"),
        "Log as text or JSON; auto: text on a terminal",
    ),
    setting(
        "log_level",
        Kind::Text,
        Some("info"),
        "What to log: `error`, `warn`, `info`, `debug`, or levels by module",
    ),
    secret("otlp_endpoint", Kind::Text, None, "Send spans to this OTLP collector, as `http://host:4318`"),
];

impl Setting {
    pub(crate) fn environment(&self) -> String {
        format!("TIDEMILL_{}", self.key.to_ascii_uppercase())
    }
}

/// What was typed: the file, and settings by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingFlags {
    pub(crate) config: Option<PathBuf>,
    pub(crate) typed: BTreeMap<&'static str, String>,
}

impl clap::Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .env("TIDEMILL_CONFIG")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The configuration file, in TOML; default: tidemill.toml in this folder, where it is");
        SETTINGS.iter().fold(command.arg(config), |command, it| command.arg(flag(it)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(it: &Setting) -> Arg {
    let default = it.default.map(|it| format!("; default: {it}")).unwrap_or_default();
    let default = if it.kind == Kind::Flag { String::new() } else { default };
    let help = format!("{}{default} [{}]", it.help, it.environment());
    let arg = Arg::new(it.key).long(it.key.replace('_', "-")).help(help);
    match it.kind {
        // `--behind-proxy` alone says yes.
        Kind::Flag => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(BoolishValueParser::new())
            .value_name("BOOL"),
        Kind::OneOf(words) => arg.value_name(words.join("|")),
        Kind::Text => arg.value_name("TEXT"),
        Kind::Address => arg.value_name("ADDRESS"),
        Kind::Number => arg.value_name("N"),
        Kind::Size => arg.value_name("SIZE"),
        Kind::Duration => arg.value_name("TIME"),
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = matches.get_one::<PathBuf>("config").cloned();
        for it in SETTINGS {
            let typed = match it.kind {
                Kind::Flag => matches.get_one::<bool>(it.key).map(bool::to_string),
                Kind::Text | Kind::OneOf(_) | Kind::Address | Kind::Number | Kind::Size | Kind::Duration => {
                    matches.get_one::<String>(it.key).cloned()
                }
            };
            if let Some(typed) = typed {
                self.typed.insert(it.key, typed);
            }
        }
        Ok(())
    }
}
