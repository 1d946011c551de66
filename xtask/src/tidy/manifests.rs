//! Versions, features and lints stand in the root manifest only, so that `-p x` and `--workspace` build the same.

use toml::{Table, Value};

use super::finding::Finding;
use super::repository::{File, Repository};

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let manifests = repository.members.iter().filter_map(|it| repository.file(&it.manifest()));
    manifests.flat_map(check_manifest).collect()
}

fn check_manifest(file: &File) -> Vec<Finding> {
    let Ok(manifest) = file.text.parse::<Table>() else {
        return vec![Finding::error(&file.path, 1, "this is not TOML")];
    };
    let mut findings = Vec::new();
    if manifest.get("lints").and_then(|it| it.get("workspace")).and_then(Value::as_bool) != Some(true) {
        findings.push(Finding::error(
            &file.path,
            1,
            "lints stand in the root: add `[lints]` with `workspace = true`",
        ));
    }
    let by_target = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    for table in std::iter::once(&manifest).chain(by_target.filter_map(Value::as_table)) {
        for kind in KINDS {
            let Some(dependencies) = table.get(kind).and_then(Value::as_table) else { continue };
            for (name, it) in dependencies {
                if let Some(what) = fault(name, it) {
                    findings.push(Finding::error(&file.path, file.line_of(name), what));
                }
            }
        }
    }
    findings
}

fn fault(name: &str, dependency: &Value) -> Option<String> {
    let inherits = dependency.get("workspace").and_then(Value::as_bool) == Some(true);
    if !inherits {
        return Some(format!(
            "`{name}` must say `workspace = true`: put its version in the root manifest's [workspace.dependencies]"
        ));
    }
    let key = ["features", "default-features"].into_iter().find(|it| dependency.get(it).is_some())?;
    Some(format!("`{name}` sets `{key}`: put it in the root manifest's [workspace.dependencies]"))
}
