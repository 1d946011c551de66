//! A Python of its own for the peers: a virtual environment beside this program, made once.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::binary::{beside_this_program, ended};

/// With the version of each package.
const REQUIREMENTS: &str = "xtask/bench/peers/requirements.txt";

/// The environment's `python`, with all that is required.
pub(crate) fn python() -> anyhow::Result<PathBuf> {
    let required = std::fs::read_to_string(REQUIREMENTS).with_context(|| format!("read {REQUIREMENTS}"))?;
    let folder = beside_this_program().join("bench-peers");
    let (python, installed) = (folder.join("bin").join("python"), folder.join("installed.txt"));
    // Written last, so an environment that is only half there has none.
    if std::fs::read_to_string(&installed).is_ok_and(|it| it == required) {
        return Ok(python);
    }
    eprintln!("installing the peers in {}", folder.display());
    ended(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("make a virtual environment (Debian: `apt install python3-venv`)")?;
    ended(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS]))
        .context("install the peers from PyPI")?;
    std::fs::write(&installed, required).with_context(|| format!("write {}", installed.display()))?;
    Ok(python)
}
