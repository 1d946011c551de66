//! Plants one violation at a time into a small repository that is tidy.

use std::path::Path;

use tempfile::TempDir;

use super::*;

const ROOT: &str = "[workspace]\nresolver = \"3\"\nmembers = [\"host/cli\", \"host/driver\", \"host/lake\", \
                    \"host/plan\", \"guest-sdk/rust\"]\nexclude = [\"examples\", \"tests/guests\"]\n\
                    [workspace.dependencies]\n\
                    tidemill-driver = { path = \"host/driver\" }\ntidemill-lake = { path = \"host/lake\" }\n\
                    tidemill-plan = { path = \"host/plan\" }\ntidemill-task = { path = \"guest-sdk/rust\" }\n\
                    clap = \"4\"\nparquet = \"59\"\nanyhow = \"1\"\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n";
const MAP: &str = "# Map\n| `host/cli` | a |\n| `host/driver/` | b |\n| `host/lake` | c |\n| `host/plan` | d |\n| `guest-sdk/rust` | e |\n";

/// A repository with one crate per layer, an example, and a test that runs it.
fn tidy_repository() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    write(root, "Cargo.toml", ROOT);
    write(root, "ARCHITECTURE.md", MAP);
    write(root, "docs/errors.md", "# Errors\n\n## How to read this\n\n## no-lake\n\nThere is none.\n");
    plant_crate(root, "host/cli", "tidemill", "tidemill-driver.workspace = true\nclap.workspace = true\n");
    plant_crate(root, "host/driver", "tidemill-driver", "tidemill-lake.workspace = true\n");
    plant_crate(
        root,
        "host/lake",
        "tidemill-lake",
        "tidemill-plan.workspace = true\nparquet.workspace = true\n",
    );
    plant_crate(root, "host/plan", "tidemill-plan", "");
    plant_crate(root, "guest-sdk/rust", "tidemill-task", "");
    write(root, "host/lake/src/lib.rs", "//! Tables.\nconst A: Code = Code(\"no-lake\");\n");
    write(root, "examples/hello/pipeline.toml", "[pipeline]\n");
    write(root, "examples/hello/task/Cargo.toml", "[dependencies]\ntidemill-task.workspace = true\n");
    write(root, "tests/main.rs", "//! Whole programs.\nconst A: &str = \"examples/hello\";\n");
    folder
}

fn plant_crate(root: &Path, folder: &str, name: &str, dependencies: &str) {
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n[lints]\nworkspace = true\n[dependencies]\n{dependencies}"
    );
    write(root, &format!("{folder}/Cargo.toml"), &manifest);
    write(root, &format!("{folder}/src/lib.rs"), "//! One thing.\n");
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("create folder");
    std::fs::write(path, text).expect("write file");
}

fn append(root: &Path, path: &str, text: &str) {
    let before = std::fs::read_to_string(root.join(path)).expect("read file");
    write(root, path, &(before + text));
}

fn findings(folder: &TempDir) -> Vec<String> {
    let repository = Repository::read(folder.path()).expect("readable");
    check(&repository).iter().map(ToString::to_string).collect()
}

/// Exactly one finding, which starts so.
#[track_caller]
fn finds(plant: impl FnOnce(&Path), expected: &str) {
    let folder = tidy_repository();
    plant(folder.path());
    let found = findings(&folder);
    assert!(found.len() == 1 && found[0].starts_with(expected), "expected {expected}, found {found:#?}");
}

#[track_caller]
fn accepts(plant: impl FnOnce(&Path)) {
    let folder = tidy_repository();
    plant(folder.path());
    assert_eq!(findings(&folder), Vec::<String>::new());
}

#[test]
fn a_tidy_repository_has_no_findings() {
    accepts(|_| {});
}

#[test]
fn an_edge_upwards_is_found() {
    finds(
        |root| append(root, "host/plan/Cargo.toml", "tidemill-lake.workspace = true\n"),
        "error: host/plan/Cargo.toml:7: `tidemill-plan` must not depend on `tidemill-lake`",
    );
}

#[test]
fn the_guest_sdk_must_not_name_the_host_nor_the_host_the_guest_sdk() {
    finds(
        |root| append(root, "host/lake/Cargo.toml", "tidemill-task.workspace = true\n"),
        "error: host/lake/Cargo.toml:9: `tidemill-lake` must not depend on `tidemill-task`",
    );
    finds(
        |root| append(root, "examples/hello/task/Cargo.toml", "tidemill-plan.workspace = true\n"),
        "error: examples/hello/task/Cargo.toml:3: a task must not depend on `tidemill-plan`",
    );
    finds(
        |root| append(root, "examples/hello/task/Cargo.toml", "[dependencies.tidemill-lake]\npath = \"x\"\n"),
        "error: examples/hello/task/Cargo.toml:3: a task must not depend on `tidemill-lake`",
    );
}

#[test]
fn tests_of_the_driver_may_name_the_guest_sdk() {
    accepts(|root| {
        append(root, "host/driver/Cargo.toml", "[dev-dependencies]\ntidemill-task.workspace = true\n")
    });
}

#[test]
fn a_technology_outside_of_its_crate_is_found() {
    finds(
        |root| append(root, "host/driver/Cargo.toml", "parquet.workspace = true\n"),
        "error: host/driver/Cargo.toml:8: only tidemill-lake may name `parquet`",
    );
    finds(
        |root| append(root, "host/plan/Cargo.toml", "anyhow.workspace = true\n"),
        "error: host/plan/Cargo.toml:7: only tidemill, tidemill-bench, xtask may name `anyhow`",
    );
    accepts(|root| append(root, "host/plan/Cargo.toml", "[dev-dependencies]\nanyhow.workspace = true\n"));
}

#[test]
fn a_member_without_a_layer_is_found() {
    let plant = |root: &Path| {
        write(root, "Cargo.toml", &ROOT.replace("\"host/cli\"", "\"host/cli\", \"host/extra\""));
        plant_crate(root, "host/extra", "tidemill-extra", "");
        append(root, "ARCHITECTURE.md", "`host/extra`\n");
    };
    finds(plant, "error: host/extra/Cargo.toml:1: `tidemill-extra` has no layer yet");
}

#[test]
fn a_member_that_git_ignores_is_found() {
    let plant = |root: &Path| {
        let made = std::process::Command::new("git").args(["init", "--quiet"]).current_dir(root).status();
        assert!(made.expect("git starts").success());
        write(root, ".gitignore", "lake/\n");
        write(root, "docs/errors.md", "# Errors\n");
    };
    finds(plant, "error: host/lake/Cargo.toml:1: git ignores this member's manifest");
}

#[test]
fn versions_features_and_lints_outside_of_the_root_are_found() {
    let plan = "host/plan/Cargo.toml";
    finds(|root| append(root, plan, "glob = \"1\"\n"), "error: host/plan/Cargo.toml:7: `glob` must say");
    finds(
        |root| {
            append(
                root,
                "host/cli/Cargo.toml",
                "[dev-dependencies]\nclap = { workspace = true, features = [\"x\"] }\n",
            )
        },
        "error: host/cli/Cargo.toml:8: `clap` sets `features`",
    );
    finds(
        |root| append(root, plan, "[target.'cfg(unix)'.dependencies]\nglob = \"1\"\n"),
        "error: host/plan/Cargo.toml:8: `glob` must say",
    );
    finds(
        |root| write(root, plan, "[package]\nname = \"tidemill-plan\"\nedition = \"2024\"\n"),
        "error: host/plan/Cargo.toml:1: lints stand in the root",
    );
}

#[test]
fn the_map_names_exactly_the_members() {
    let without_plan = MAP.replace("`host/plan`", "plan");
    finds(
        |root| write(root, "ARCHITECTURE.md", &without_plan),
        "error: ARCHITECTURE.md:1: the member `host/plan` is not named here",
    );
    finds(
        |root| append(root, "ARCHITECTURE.md", "`host/server`\n"),
        "error: ARCHITECTURE.md:7: `host/server` is no member",
    );
    finds(
        |root| append(root, "ARCHITECTURE.md", "`tidemill-server`\n"),
        "error: ARCHITECTURE.md:7: `tidemill-server` is no member",
    );
    accepts(|root| {
        append(root, "ARCHITECTURE.md", "`host/`, `host/plan/src`, `tidemill-plan`, `tidemill-lake.json`\n")
    });
    let remove = |root: &Path| std::fs::remove_file(root.join("ARCHITECTURE.md")).expect("remove file");
    finds(remove, "error: ARCHITECTURE.md:1: the map of the repository is missing");
}

#[test]
fn codes_and_their_page_are_kept_in_step() {
    let plan = "host/plan/src/lib.rs";
    let page = "docs/errors.md";
    finds(
        |root| append(root, plan, "const A: Code = Code(\"too-deep\");\n"),
        "error: host/plan/src/lib.rs:2: `too-deep` is not explained",
    );
    finds(|root| append(root, page, "## gone\n"), "error: docs/errors.md:8: no code of the host is `gone`");
    finds(
        |root| append(root, page, "## no-lake\n"),
        "error: docs/errors.md:8: `no-lake` stands in line 5 already",
    );
    finds(
        |root| append(root, plan, "const A: Code = Code(\"no--Lake\");\n"),
        "error: host/plan/src/lib.rs:2: `no--Lake` is not",
    );
}

#[test]
fn codes_of_tests_and_comments_need_no_page() {
    accepts(|root| {
        let text = "//! x\n// Code(\"a\")\n#[cfg(test)]\nmod tests {\n    const A: Code = Code(\"b\");\n}\n";
        write(root, "host/plan/src/lib.rs", text);
        write(root, "host/plan/src/lib/tests.rs", "//! x\nconst A: Code = Code(\"c\");\n");
    });
}

#[test]
fn a_file_that_is_too_long_is_found_and_one_that_gets_long_is_warned_of() {
    let lines = |count: usize| "//! x\n".repeat(count);
    finds(
        |root| write(root, "host/plan/src/a.rs", &lines(1_001)),
        "error: host/plan/src/a.rs:1001: 1001 lines",
    );
    finds(
        |root| write(root, "host/plan/src/a.rs", &lines(601)),
        "warning: host/plan/src/a.rs:601: 601 lines",
    );
    accepts(|root| write(root, "host/plan/src/a.rs", &lines(600)));
}

#[test]
fn a_file_says_first_what_it_does() {
    finds(
        |root| write(root, "host/plan/src/a.rs", "use std::fmt;\n"),
        "error: host/plan/src/a.rs:1: line one must be `//!`",
    );
    accepts(|root| write(root, "host/plan/build.rs", "fn main() {}\n"));
}

#[test]
fn every_unfinished_mark_is_found() {
    let marks = [
        concat!("// TO", "DO: later"),
        concat!("// FIX", "ME"),
        concat!("// XX", "X"),
        concat!("fn a() { to", "do!() }"),
        concat!("fn a() { unimpl", "emented!() }"),
        concat!("#[ign", "ore = \"slow\"]"),
        concat!("#[allow(dead", "_code)]"),
    ];
    for mark in marks {
        finds(
            |root| write(root, "host/plan/src/a.rs", &format!("//! x\n{mark}\n")),
            "error: host/plan/src/a.rs:2: `",
        );
    }
    accepts(|root| write(root, "host/plan/src/a.rs", concat!("//! x\n// mktemp a.XX", "XXXX, TO", "DOS\n")));
}

#[test]
fn a_test_that_waits_is_found() {
    let wait = concat!("std::thread::sle", "ep(SECOND);\n");
    let inline = format!("//! x\n#[cfg(test)]\nmod tests {{\n    {wait}}}\n");
    finds(
        |root| write(root, "host/plan/src/a.rs", &inline),
        "error: host/plan/src/a.rs:4: a test that waits",
    );
    finds(|root| append(root, "tests/main.rs", wait), "error: tests/main.rs:3: a test that waits");
    accepts(|root| append(root, "host/plan/src/lib.rs", wait));
    accepts(|root| write(root, "tests/guests/clock/src/lib.rs", &format!("//! x\n{wait}")));
}

#[test]
fn a_path_of_one_machine_is_found() {
    finds(|root| write(root, "README.md", concat!("# x\n\nsee /wo", "rk/shared\n")), "error: README.md:3: `");
}

#[test]
fn an_example_that_no_test_runs_is_found() {
    finds(
        |root| write(root, "examples/extra/pipeline.toml", ""),
        "error: examples/extra/pipeline.toml:1: no test runs this example",
    );
}
