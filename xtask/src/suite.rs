//! `cargo xtask test`: everything that CI runs, what fails soonest first.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::checkout::Checkout;
use crate::program::Program;
use crate::{components, setup, tidy};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Format,
    Tidy,
    Clippy,
    /// Compiles the components that tests run, with the binary under test.
    Components,
    /// The examples' own tests, compiled natively.
    Examples,
    Tests,
    Doctests,
    Docs,
}

impl Step {
    /// In the order in which they run.
    pub(crate) const ALL: [Self; 8] = [
        Self::Format,
        Self::Tidy,
        Self::Clippy,
        Self::Components,
        Self::Examples,
        Self::Docs,
        Self::Doctests,
        Self::Tests,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Tidy => "tidy",
            Self::Clippy => "clippy",
            Self::Components => "components",
            Self::Examples => "examples",
            Self::Tests => "tests",
            Self::Doctests => "doctests",
            Self::Docs => "docs",
        }
    }

    fn run(self, checkout: &Checkout) -> anyhow::Result<()> {
        match self {
            Self::Format => format(checkout),
            Self::Tidy => tidy::tidy(checkout),
            Self::Clippy => clippy(checkout),
            Self::Components => components::build(checkout),
            Self::Examples => examples(checkout),
            Self::Tests => cargo(checkout, &["nextest", "run", "--workspace"]).run(),
            Self::Doctests => {
                cargo(checkout, &["test", "--quiet", "--doc", "--package", "tidemill-task"]).run()
            }
            Self::Docs => docs(checkout),
        }
    }
}

pub(crate) fn test(checkout: &Checkout, steps: &[Step]) -> anyhow::Result<()> {
    let began = Instant::now();
    if steps.iter().any(|it| !matches!(it, Step::Format | Step::Tidy)) {
        setup::setup_tests(checkout)?;
    }
    let mut summary = vec![("setup", began.elapsed())];
    for step in steps {
        eprintln!("\n--- {}", step.name());
        let began = Instant::now();
        let result = step.run(checkout);
        summary.push((step.name(), began.elapsed()));
        if result.is_err() {
            say(&summary);
            return result.with_context(|| {
                format!("step `{0}` failed; `cargo xtask test --only {0}` repeats it alone", step.name())
            });
        }
    }
    say(&summary);
    eprintln!("all passed in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn say(summary: &[(&str, Duration)]) {
    eprintln!();
    for (name, time) in summary {
        eprintln!("{name:<12}{:>8.1} s", time.as_secs_f64());
    }
}

fn cargo(checkout: &Checkout, arguments: &[&str]) -> Program {
    Program::cargo(checkout.root()).args(arguments)
}

/// `--manifest-path` of a nested workspace.
fn manifest(workspace: &str) -> String {
    format!("{workspace}/Cargo.toml")
}

fn format(checkout: &Checkout) -> anyhow::Result<()> {
    let check = |arguments: &[&str]| {
        cargo(checkout, arguments)
            .run()
            .context("`cargo fmt` with the same arguments, less `--check`, mends it")
    };
    check(&["fmt", "--all", "--check"])?;
    for it in checkout.task_workspaces() {
        check(&["fmt", "--all", "--check", "--manifest-path", &manifest(it)])?;
    }
    Ok(())
}

fn clippy(checkout: &Checkout) -> anyhow::Result<()> {
    cargo(checkout, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()?;
    if checkout.task_workspaces().any(|it| it == "examples") {
        let examples = manifest("examples");
        cargo(checkout, &["clippy", "--all-targets", "--manifest-path", &examples, "--", "-D", "warnings"])
            .env("CARGO_TARGET_DIR", checkout.native_target("examples"))
            .run()?;
    }
    Ok(())
}

fn examples(checkout: &Checkout) -> anyhow::Result<()> {
    if checkout.task_workspaces().all(|it| it != "examples") {
        return Ok(());
    }
    cargo(checkout, &["nextest", "run", "--manifest-path", &manifest("examples")])
        .env("CARGO_TARGET_DIR", checkout.native_target("examples"))
        .run()
}

fn docs(checkout: &Checkout) -> anyhow::Result<()> {
    cargo(checkout, &["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").run()
}
