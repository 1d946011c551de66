//! Removes what crashed attempts left: parts that no manifest names, manifests that were never renamed.
//!
//! Only ever called by the holder of the lake's lock, before it writes.

use std::fs;
use std::path::Path;

use crate::WindowFolder;
use crate::manifest::{MANIFEST_FILE, Manifest, is_part_file};

/// The ending of manifests that wait for their rename.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// What cannot be read or removed stays: leftovers cost space, not correctness.
pub(crate) fn remove_leftovers(root: &Path) {
    for window in folders_in(root) {
        let is_window = window
            .file_name()
            .and_then(|it| it.to_str())
            .is_some_and(|it| it.parse::<WindowFolder>().is_ok());
        if is_window {
            for table in folders_in(&window) {
                tidy_table(&table);
            }
        }
    }
}

fn folders_in(path: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|it| it.file_type().is_ok_and(|it| it.is_dir())).map(|it| it.path())
}

fn tidy_table(folder: &Path) {
    let path = folder.join(MANIFEST_FILE);
    let named: Vec<String> = match fs::read(&path) {
        Ok(json) => match Manifest::from_json(&path, &json) {
            Ok(manifest) => manifest.parts.into_iter().map(|it| it.file).collect(),
            // We cannot tell what it names; a person decides.
            Err(_) => return,
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(_) => return,
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_leftover =
            name.ends_with(UNFINISHED) || is_part_file(name) && !named.iter().any(|it| it == name);
        if is_leftover {
            fs::remove_file(entry.path()).ok();
        }
    }
    // Succeeds only on an empty folder.
    fs::remove_dir(folder).ok();
}
