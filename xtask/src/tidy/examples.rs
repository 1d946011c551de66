//! Every example is run by a test.

use super::finding::Finding;
use super::repository::Repository;

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let is_test = |path: &str| path.starts_with("tests/") && !path.starts_with("tests/guests/");
    let tests: Vec<&str> = repository
        .files
        .iter()
        .filter(|it| it.is_rust() && is_test(&it.path))
        .map(|it| it.text.as_str())
        .collect();
    let mut findings = Vec::new();
    for file in repository.files.iter().filter(|it| it.name() == "pipeline.toml") {
        let Some(folder) =
            file.path.strip_prefix("examples/").and_then(|it| it.strip_suffix("/pipeline.toml"))
        else {
            continue;
        };
        let ways = [format!("\"{folder}\""), format!("examples/{folder}")];
        if !tests.iter().any(|text| ways.iter().any(|it| text.contains(it))) {
            let what = format!("no test runs this example: name `examples/{folder}` in a test in tests/");
            findings.push(Finding::error(&file.path, 1, what));
        }
    }
    findings
}
