//! ARCHITECTURE.md names exactly the workspace's members.

use super::finding::Finding;
use super::repository::Repository;

const MAP: &str = "ARCHITECTURE.md";

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(file) = repository.file(MAP) else {
        return vec![Finding::error(MAP, 1, "the map of the repository is missing: write it")];
    };
    let mut findings = Vec::new();
    let mut named = Vec::new();
    for (number, line) in file.lines() {
        // Every second part stands between backticks.
        for it in line.split('`').skip(1).step_by(2) {
            let it = it.trim_end_matches('/');
            named.push(it);
            if is_claim(it)
                && !repository.members.iter().any(|member| member.folder == it || member.name == it)
            {
                findings.push(Finding::error(
                    MAP,
                    number,
                    format!("`{it}` is no member of the workspace: drop it"),
                ));
            }
        }
    }
    for member in &repository.members {
        if !named.contains(&member.folder.as_str()) {
            let what =
                format!("the member `{}` is not named here: say what it must and must not do", member.folder);
            findings.push(Finding::error(MAP, 1, what));
        }
    }
    findings
}

/// Whether a text is written as the folder or the name of a crate: `host/plan`, `tidemill-plan`.
fn is_claim(text: &str) -> bool {
    let is_word = |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_lowercase() || it == '-');
    text.strip_prefix("host/").or_else(|| text.strip_prefix("tidemill-")).is_some_and(is_word)
}
