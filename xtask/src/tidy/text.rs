//! What files say line by line: length, the first line, unfinished marks, waits in tests, paths of one machine.

use super::finding::Finding;
use super::repository::{File, Repository};

/// Stands in the README as it is, where every line counts.
const README_TASK: &str = "readme_task.rs";

const LINES_WARN: usize = 600;
const LINES_MAX: usize = 1_000;

/// Put together here, so that this file does not find itself.
const MARKS: [&str; 7] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
    concat!("#[ign", "ore"),
    concat!("allow(dead", "_code"),
];
const SLEEP: &str = concat!("sle", "ep(");
const MACHINE_PATH: &str = concat!("/wo", "rk/");

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    repository.files.iter().filter(|it| it.name() != "Cargo.lock").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.is_rust() {
        findings.extend(check_shape(file));
    }
    let ending = file.path.rsplit('.').next().unwrap_or_default();
    let is_code = matches!(ending, "rs" | "toml" | "wit" | "sh" | "py" | "yml" | "yaml" | "template");
    let tests_from = file.tests_from().unwrap_or(usize::MAX);
    for (number, line) in file.lines() {
        if let Some(mark) = MARKS.into_iter().find(|it| is_code && holds(line, it)) {
            let what = format!("`{mark}`: do it now, or open an issue and name the limit in the docs");
            findings.push(Finding::error(&file.path, number, what));
        }
        if number >= tests_from && holds(line, SLEEP) {
            let what = "a test that waits is slow or flaky: wait for an event, or pass the time in";
            findings.push(Finding::error(&file.path, number, what));
        }
        if line.contains(MACHINE_PATH) {
            let what = format!("`{MACHINE_PATH}…` exists on one machine only: make the path relative");
            findings.push(Finding::error(&file.path, number, what));
        }
    }
    findings
}

fn check_shape(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        let what = format!("{lines} lines, more than {LINES_MAX}: split it by the things it does");
        return Some(Finding::error(&file.path, LINES_MAX + 1, what));
    }
    if !file.text.starts_with("//!") && file.name() != "build.rs" && file.name() != README_TASK {
        let what = "line one must be `//!`: what this decides or does, and what it must not";
        return Some(Finding::error(&file.path, 1, what));
    }
    let what = format!("{lines} lines, more than {LINES_WARN}: plan the split");
    (lines > LINES_WARN).then(|| Finding::warning(&file.path, LINES_WARN + 1, what))
}

/// Whether a line holds a text that does not continue a longer word.
fn holds(line: &str, text: &str) -> bool {
    let is_part = |it: char| it.is_alphanumeric() || it == '_';
    let ends_as_word = text.ends_with(is_part);
    line.match_indices(text).any(|(at, _)| {
        let before = line.get(..at).and_then(|it| it.chars().next_back());
        let after = line.get(at + text.len()..).and_then(|it| it.chars().next());
        let starts_inside = text.starts_with(is_part) && before.is_some_and(is_part);
        let ends_inside = ends_as_word && after.is_some_and(is_part);
        !starts_inside && !ends_inside
    })
}
