//! Debian's packages that tests need.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::program::{Program, is_installed};

/// Installs packages; `who` needs them.
pub(crate) fn install(root: &Path, who: &str, packages: &[&str]) -> anyhow::Result<()> {
    let names = packages.join(" ");
    if !is_installed("apt-get") {
        bail!("{who} need `{names}`; install it with this system's packages");
    }
    eprintln!("setup: installing {names} with apt (about a minute, once)");
    let install = || {
        let arguments = ["install", "--yes", "--no-install-recommends"];
        apt(root, who, &[&arguments[..], packages].concat())
    };
    // A list of packages that is old, or that an image was made without, names files which are not there.
    if install()?.run().is_err() {
        apt(root, who, &["update"])?.run()?;
        install()?.run().with_context(|| format!("install {names}"))?;
    }
    Ok(())
}

/// `apt-get`, started as root.
fn apt(root: &Path, who: &str, arguments: &[&str]) -> anyhow::Result<Program> {
    let quiet = "DEBIAN_FRONTEND=noninteractive";
    let is_root = Program::new("id", root).args(["-u"]).ask().is_some_and(|it| it == "0");
    if is_root {
        return Ok(Program::new("env", root).args([quiet, "apt-get"]).args(arguments));
    }
    // `-n`: a question for a password would hang where nobody can answer.
    if Program::new("sudo", root).args(["-n", "true"]).ask().is_some() {
        return Ok(Program::new("sudo", root).args(["-n", "env", quiet, "apt-get"]).args(arguments));
    }
    bail!("{who} need something that is not installed; as root: `apt-get {}`", arguments.join(" "))
}
