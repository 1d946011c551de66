//! Where things are: the repository's root, its nested workspaces, cargo's target folders.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The workspaces of tasks: compiled for another target, so not part of the root's.
const TASK_WORKSPACES: [&str; 2] = ["examples", "tests/guests"];

#[derive(Debug)]
pub(crate) struct Checkout {
    root: PathBuf,
    /// `CARGO_TARGET_DIR`, absolute; all workspaces share it when it is set.
    shared_target: Option<PathBuf>,
}

impl Checkout {
    pub(crate) fn find() -> anyhow::Result<Self> {
        // Cargo sets it at run time, so a cached build of xtask finds the clone it was started in.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("start this through `cargo xtask`")?;
        let root = Path::new(&manifest).parent().context("find the repository's root")?.to_path_buf();
        let current = std::env::current_dir().context("find the current folder")?;
        let shared_target = std::env::var_os("CARGO_TARGET_DIR").map(|it| current.join(it));
        Ok(Self { root, shared_target })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Folders of the nested workspaces that are there.
    pub(crate) fn task_workspaces(&self) -> impl Iterator<Item = &'static str> {
        TASK_WORKSPACES.into_iter().filter(|it| self.root.join(it).join("Cargo.toml").is_file())
    }

    /// The target folder of the workspace in a folder of the repository; `""` is the root's.
    pub(crate) fn target(&self, workspace: &str) -> PathBuf {
        self.shared_target.clone().unwrap_or_else(|| self.root.join(workspace).join("target"))
    }

    /// The target folder for native builds of a nested workspace. Never the root's: crates that both compile get one
    /// name there for two different builds.
    pub(crate) fn native_target(&self, workspace: &str) -> PathBuf {
        let folder = self.shared_target.as_ref().map(|it| it.join(workspace));
        folder.unwrap_or_else(|| self.root.join(workspace).join("target"))
    }

    /// Where cargo puts the `tidemill` binary of a profile.
    pub(crate) fn tidemill(&self, profile_folder: &str) -> PathBuf {
        self.target("").join(profile_folder).join("tidemill")
    }
}
