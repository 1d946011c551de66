//! Every error code of the host has its heading in docs/errors.md, and every heading its code.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::repository::{File, Repository};

const PAGE: &str = "docs/errors.md";
const CALL: &str = "Code(\"";

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The first place of each.
    let mut codes: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    let of_host = |it: &&File| it.is_rust() && it.path.starts_with("host/") && it.path.contains("/src/");
    for file in repository.files.iter().filter(of_host) {
        let product = file.lines().take_while(|(number, _)| file.tests_from().is_none_or(|it| *number < it));
        for (number, line) in product {
            for code in codes_in(line) {
                if !is_code(code) {
                    let what = format!("`{code}` is not kebab-case: letters, digits and single `-`");
                    findings.push(Finding::error(&file.path, number, what));
                    continue;
                }
                codes.entry(code).or_insert((&file.path, number));
            }
        }
    }
    let mut headings: BTreeMap<&str, usize> = BTreeMap::new();
    let page = repository.file(PAGE);
    for (number, line) in page.iter().flat_map(|it| it.lines()) {
        let Some(heading) = heading(line) else { continue };
        if !codes.contains_key(heading) {
            let what =
                format!("no code of the host is `{heading}`: drop the section, or rename it as the code is");
            findings.push(Finding::error(PAGE, number, what));
        }
        if let Some(first) = headings.insert(heading, number) {
            findings.push(Finding::error(
                PAGE,
                number,
                format!("`{heading}` stands in line {first} already"),
            ));
        }
    }
    for (code, (file, line)) in codes {
        if !headings.contains_key(code) {
            let what = format!("`{code}` is not explained: add `## {code}` to {PAGE}");
            findings.push(Finding::error(file, line, what));
        }
    }
    findings
}

/// Comments are left out.
fn codes_in(line: &str) -> impl Iterator<Item = &str> {
    let code = if line.trim_start().starts_with("//") { "" } else { line };
    code.split(CALL).skip(1).filter_map(|it| Some(it.split_once('"')?.0))
}

/// The code that a heading explains; headings of prose start with a capital.
fn heading(line: &str) -> Option<&str> {
    let text = line.strip_prefix("## ")?.trim().trim_matches('`');
    is_code(text).then_some(text)
}

fn is_code(text: &str) -> bool {
    let is_part =
        |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    text.split('-').all(is_part)
}
