//! `cargo xtask tidy`: what no compiler checks. Reads the repository, changes nothing.

mod edges;
mod errors;
mod examples;
mod finding;
mod manifests;
mod map;
mod repository;
mod text;

use anyhow::bail;

use crate::checkout::Checkout;
use finding::{Finding, Severity};
use repository::Repository;

pub(crate) fn tidy(checkout: &Checkout) -> anyhow::Result<()> {
    let repository = Repository::read(checkout.root())?;
    let findings = check(&repository);
    for it in &findings {
        eprintln!("{it}");
    }
    let errors = findings.iter().filter(|it| it.severity == Severity::Error).count();
    if errors > 0 {
        bail!("tidy found {errors} thing(s) to mend");
    }
    Ok(())
}

fn check(repository: &Repository) -> Vec<Finding> {
    let rules = [edges::check, manifests::check, map::check, errors::check, text::check, examples::check];
    let mut findings: Vec<Finding> = rules.iter().flat_map(|rule| rule(repository)).collect();
    findings.sort_by(|a, b| (&a.file, a.line, &a.what).cmp(&(&b.file, b.line, &b.what)));
    findings
}

#[cfg(test)]
mod tests;
