//! Who may name whom: the layers between crates, and the one crate that names each outside technology.

use super::finding::Finding;
use super::repository::{Kind, Member, Repository};

/// Each member, and the members it may depend on. `cli` names the lower crates only for their options and errors;
/// the middle crates never name each other: `driver` introduces them.
const EDGES: [(&str, &[&str]); 12] = [
    (
        "tidemill",
        &[
            "tidemill-driver",
            "tidemill-lake",
            "tidemill-plan",
            "tidemill-sandbox",
            "tidemill-server",
            "tidemill-store",
        ],
    ),
    (
        "tidemill-server",
        &["tidemill-driver", "tidemill-lake", "tidemill-plan", "tidemill-sandbox", "tidemill-store"],
    ),
    (
        "tidemill-driver",
        &["tidemill-engine", "tidemill-lake", "tidemill-plan", "tidemill-sandbox", "tidemill-store"],
    ),
    ("tidemill-store", &["tidemill-engine", "tidemill-plan"]),
    ("tidemill-sandbox", &["tidemill-engine", "tidemill-plan"]),
    ("tidemill-lake", &["tidemill-engine", "tidemill-plan"]),
    ("tidemill-engine", &[]),
    ("tidemill-plan", &[]),
    ("tidemill-task", &["tidemill-task-macros"]),
    ("tidemill-task-macros", &[]),
    (
        "tidemill-bench",
        // The SDK for the sake of an example's own crate, which is what the sandbox is compared with.
        &[
            "tidemill-driver",
            "tidemill-engine",
            "tidemill-lake",
            "tidemill-plan",
            "tidemill-sandbox",
            "tidemill-store",
            "tidemill-task",
        ],
    ),
    ("xtask", &[]),
];

/// What tests may name besides.
const TEST_EDGES: [(&str, &[&str]); 3] = [
    ("tidemill-task-macros", &["tidemill-task"]),
    ("tidemill-sandbox", &["tidemill-task"]),
    ("tidemill-driver", &["tidemill-task"]),
];

/// Crates (a name, or with `*` the beginning of one) and the members that may name them outside of tests.
const TECHNOLOGIES: [(&str, &[&str]); 14] = [
    ("wasmtime*", &["tidemill-sandbox"]),
    ("cranelift*", &["tidemill-sandbox"]),
    ("parquet*", &["tidemill-lake"]),
    ("object_store", &["tidemill-lake"]),
    ("object_store", &["tidemill-lake"]),
    ("clap*", &["tidemill"]),
    ("sqlx*", &["tidemill-store"]),
    ("axum*", &["tidemill-server"]),
    ("utoipa*", &["tidemill-server"]),
    ("tonic*", &["tidemill-workers"]),
    ("arrow-flight", &["tidemill-workers"]),
    ("wit-bindgen*", &["tidemill-task"]),
    ("syn", &["tidemill-task-macros"]),
    // Libraries have errors of their own: typed, with a code.
    ("anyhow", &["tidemill", "tidemill-bench", "xtask"]),
];

/// What the crates of tasks must never name, not even in tests: they compile for another target.
const HOST: [&str; 8] = [
    "tidemill",
    "tidemill-driver",
    "tidemill-engine",
    "tidemill-lake",
    "tidemill-plan",
    "tidemill-sandbox",
    "tidemill-server",
    "tidemill-store",
];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        repository.members.iter().flat_map(|it| check_member(repository, it)).collect();
    findings.extend(check_tasks(repository));
    findings
}

fn check_member(repository: &Repository, member: &Member) -> Vec<Finding> {
    let manifest = member.manifest();
    let Some(file) = repository.file(&manifest) else {
        let what = "git ignores this member's manifest: anchor the pattern in .gitignore with a leading `/`";
        return vec![Finding::error(&manifest, 1, what)];
    };
    let Some(allowed) = lookup(&EDGES, &member.name) else {
        let what = format!("`{}` has no layer yet: add its edges to xtask/src/tidy/edges.rs", member.name);
        return vec![Finding::error(&manifest, 1, what)];
    };
    let in_tests = lookup(&TEST_EDGES, &member.name).unwrap_or_default();
    let mut findings = Vec::new();
    for it in &member.dependencies {
        let line = file.line_of(&it.name);
        let is_test = it.kind == Kind::Dev;
        let is_member = repository.member(&it.name).is_some();
        if is_member
            && !allowed.contains(&it.name.as_str())
            && !(is_test && in_tests.contains(&it.name.as_str()))
        {
            let what = format!(
                "`{}` must not depend on `{}`: pass values through the crate above both (edges: xtask/src/tidy/edges.rs)",
                member.name, it.name
            );
            findings.push(Finding::error(&manifest, line, what));
        }
        let owners = TECHNOLOGIES.iter().find(|(pattern, _)| matches(pattern, &it.name));
        if let Some((_, owners)) =
            owners.filter(|(_, owners)| !is_test && !owners.contains(&member.name.as_str()))
        {
            let what = format!("only {} may name `{}`: use what it offers", owners.join(", "), it.name);
            findings.push(Finding::error(&manifest, line, what));
        }
    }
    findings
}

/// The manifests of tasks and of the guest SDK, in whatever workspace they are.
fn check_tasks(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folders = ["examples/", "guest-sdk/", "tests/guests/"];
    let manifests = repository.files.iter().filter(|it| it.name() == "Cargo.toml");
    for file in manifests.filter(|file| folders.iter().any(|it| file.path.starts_with(it))) {
        for (number, line) in file.lines() {
            let key = line.split(['=', '.', ' ']).next().unwrap_or_default();
            let header = line.trim().trim_matches(['[', ']']).rsplit('.').next().unwrap_or_default();
            let named = [key, header].into_iter().find(|it| HOST.contains(it));
            if let Some(named) = named {
                let what =
                    format!("a task must not depend on `{named}` of the host: it knows only the contract");
                findings.push(Finding::error(&file.path, number, what));
            }
        }
    }
    findings
}

fn lookup(table: &[(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(it, _)| *it == name).map(|(_, names)| *names)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}
