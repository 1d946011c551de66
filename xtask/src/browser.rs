//! The browser in which the tests open reports: Debian's `chromium`.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::program::{Program, is_installed};

const PACKAGE: &str = "chromium";

pub(crate) fn install(root: &Path) -> anyhow::Result<()> {
    if is_installed(PACKAGE) {
        return Ok(());
    }
    if !is_installed("apt-get") {
        bail!("the tests of reports need `{PACKAGE}` on the path; install it with this system's packages");
    }
    eprintln!("setup: installing {PACKAGE} with apt (about a minute, once)");
    let install = || apt(root, &["install", "--yes", "--no-install-recommends", PACKAGE]);
    // A list of packages that is old, or that an image was made without, names files which are not there.
    if install()?.run().is_err() {
        apt(root, &["update"])?.run()?;
        install()?.run().context("install the browser of the tests")?;
    }
    Ok(())
}

/// `apt-get`, started as root.
fn apt(root: &Path, arguments: &[&str]) -> anyhow::Result<Program> {
    let quiet = "DEBIAN_FRONTEND=noninteractive";
    let is_root = Program::new("id", root).args(["-u"]).ask().is_some_and(|it| it == "0");
    if is_root {
        return Ok(Program::new("env", root).args([quiet, "apt-get"]).args(arguments));
    }
    // `-n`: a question for a password would hang where nobody can answer.
    if Program::new("sudo", root).args(["-n", "true"]).ask().is_some() {
        return Ok(Program::new("sudo", root).args(["-n", "env", quiet, "apt-get"]).args(arguments));
    }
    bail!("the tests of reports need a browser; as root: `apt-get install {PACKAGE}`")
}
