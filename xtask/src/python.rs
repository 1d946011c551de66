//! Environments of Python below `target/`, each with the packages of one purpose at fixed versions.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::apt;
use crate::program::Program;

/// Written last, with the packages.
const STAMP: &str = "installed";

pub(crate) struct Environment<'a> {
    /// What is installed, for whoever waits.
    pub(crate) name: &'a str,
    /// What needs it.
    pub(crate) reason: &'a str,
    /// In the repository.
    pub(crate) folder: &'a str,
    /// `NAME==VERSION`.
    pub(crate) packages: Vec<String>,
}

impl Environment<'_> {
    pub(crate) fn install(&self, root: &Path) -> anyhow::Result<()> {
        let folder = root.join(self.folder);
        let (stamp, wanted) = (folder.join(STAMP), self.packages.join("\n"));
        if fs::read_to_string(&stamp).is_ok_and(|it| it == wanted) {
            return Ok(());
        }
        eprintln!("setup: installing {} into {} with pip (some seconds, once)", self.name, self.folder);
        let make = || Program::new("python3", root).args(["-m", "venv", "--clear", self.folder]);
        // Debian's Python comes without the part that makes environments.
        if make().ask().is_none() {
            apt::install(root, self.reason, &["python3", "python3-venv"])?;
            make().run()?;
        }
        Program::new(folder.join("bin/pip"), root)
            .args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"])
            .args(&self.packages)
            .run()?;
        fs::write(&stamp, wanted).with_context(|| format!("write `{}`", stamp.display()))
    }
}
