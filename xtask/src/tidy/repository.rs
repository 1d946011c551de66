//! What tidy looks at: the text files that git would commit, and the workspace as cargo sees it.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::program::Program;

/// Larger files are data.
const TEXT_BYTES_MAX: u64 = 1 << 20;
const FOLDER_DEPTH_MAX: usize = 24;

#[derive(Debug)]
pub(super) struct Repository {
    /// In order of their paths.
    pub(super) files: Vec<File>,
    /// In order of their folders.
    pub(super) members: Vec<Member>,
}

#[derive(Debug)]
pub(super) struct File {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// A crate of the root workspace.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Relative to the root, with `/`.
    pub(super) folder: String,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Build,
    /// Of tests, examples and benches only.
    Dev,
}

impl Repository {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut paths = match list_by_git(root) {
            Some(paths) => paths,
            None => list_by_walking(root)?,
        };
        paths.sort();
        paths.dedup();
        let files = paths.into_iter().filter_map(|path| read_text(root, path)).collect();
        Ok(Self { files, members: members(root)? })
    }

    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|it| it.path == path)
    }

    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|it| it.name == name)
    }
}

impl File {
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Numbered from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// The first line that holds a text, or 1.
    pub(super) fn line_of(&self, text: &str) -> usize {
        self.lines().find(|(_, line)| line.contains(text)).map_or(1, |(number, _)| number)
    }

    /// The first line of test code, if there is any. Guests of tests are programs, not tests.
    pub(super) fn tests_from(&self) -> Option<usize> {
        if self.path.starts_with("tests/guests/") || !self.is_rust() {
            return None;
        }
        let folder_of_tests = self.path.split('/').rev().skip(1).any(|it| it == "tests");
        if folder_of_tests || self.name() == "tests.rs" {
            return Some(1);
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let starts = lines.windows(2).position(|it| {
            it[0].trim() == "#[cfg(test)]" && it[1].trim_start().starts_with("mod ") && it[1].ends_with('{')
        });
        starts.map(|it| it + 1)
    }
}

impl Member {
    pub(super) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

/// What is committed or would be, so that ignored files are nobody's concern; nothing outside a git checkout.
fn list_by_git(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Program::new("git", root).args(arguments).ask()?;
    Some(listed.split('\0').filter(|it| !it.is_empty()).map(str::to_owned).collect())
}

fn list_by_walking(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        if depth > FOLDER_DEPTH_MAX {
            bail!("folders are nested too deep at {folder}");
        }
        let path = root.join(&folder);
        for entry in path.read_dir().with_context(|| format!("read folder {}", path.display()))? {
            let entry = entry.with_context(|| format!("read folder {}", path.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let below = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type().with_context(|| format!("read {below}"))?;
            if kind.is_dir() && name != ".git" && name != "target" {
                folders.push((below, depth + 1));
            } else if kind.is_file() {
                found.push(below);
            }
        }
    }
    Ok(found)
}

/// Nothing for data, links, and files that git knows but that are gone.
fn read_text(root: &Path, path: String) -> Option<File> {
    let full = root.join(&path);
    let metadata = full.symlink_metadata().ok()?;
    if !metadata.is_file() || metadata.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = std::fs::read_to_string(full).ok()?;
    Some(File { path, text })
}

fn members(root: &Path) -> anyhow::Result<Vec<Member>> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let text = Program::cargo(root).args(arguments).read()?;
    let metadata: Value = serde_json::from_str(&text).context("read cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    // Cargo names files by their real paths.
    let root = root.canonicalize().context("resolve the repository's root")?;
    let mut members = packages.iter().map(|it| member(&root, it)).collect::<anyhow::Result<Vec<_>>>()?;
    members.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(members)
}

fn member(root: &Path, package: &Value) -> anyhow::Result<Member> {
    let name = package["name"].as_str().context("a package has no name")?.to_owned();
    let manifest = Path::new(package["manifest_path"].as_str().context("a package has no manifest")?);
    let folder = manifest.parent().context("a manifest has no folder")?;
    let folder = folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned();
    let dependencies = package["dependencies"].as_array().into_iter().flatten().map(dependency).collect();
    Ok(Member { name, folder, dependencies })
}

fn dependency(it: &Value) -> Dependency {
    let kind = match it["kind"].as_str() {
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        _ => Kind::Normal,
    };
    Dependency { name: it["name"].as_str().unwrap_or_default().to_owned(), kind }
}
