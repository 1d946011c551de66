//! What can be typed after `cargo xtask bench`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

pub(crate) const HELP: &str = "\
usage: cargo xtask bench [--peers] [--only NAME]… [--output FILE]

  --peers        install other programs of the kind in a virtual environment and measure them in the same run
  --only NAME    only these rows
  --output FILE  where the numbers go as JSON (default: bench.json)
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Measure(Options),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) peers: Peers,
    /// Empty: all.
    pub(crate) only: Vec<String>,
    pub(crate) output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    Skip,
    Measure,
}

impl Options {
    pub(crate) fn includes(&self, name: &str) -> bool {
        (name != "peers" || self.peers == Peers::Measure)
            && (self.only.is_empty() || self.only.iter().any(|it| it == name))
    }
}

pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Command> {
    let mut options = Options { peers: Peers::Skip, only: Vec::new(), output: PathBuf::from("bench.json") };
    while let Some(it) = arguments.next() {
        match it.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--peers" => options.peers = Peers::Measure,
            "--only" => options.only.push(arguments.next().context("`--only` needs a name")?),
            "--output" => options.output = arguments.next().context("`--output` needs a file")?.into(),
            _ => bail!("unknown argument `{it}`\n\n{HELP}"),
        }
    }
    Ok(Command::Measure(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_measured_only_when_asked_for() {
        let parsed = |text: &str| match parse(text.split_whitespace().map(str::to_owned)).expect("valid") {
            Command::Measure(options) => options,
            Command::Help => panic!("help was not asked for"),
        };
        assert!(!parsed("").includes("peers"));
        assert!(parsed("--peers").includes("peers"));
        assert!(parsed("--only memory").includes("memory"));
        assert!(!parsed("--only memory").includes("nodes"));
    }
}
