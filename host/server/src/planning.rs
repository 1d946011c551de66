//! A pipeline held against the registry: what its references mean, and the plan that follows.

use std::collections::BTreeMap;
use std::path::{Component as Part, Path};

use tidemill_plan::{
    Catalog, CatalogEntry, Code, Digest, Machine, Pipeline, Plan, Problem, Request, SourceSpec, Window, Work,
};
use tidemill_store::Uses;

use crate::registry::{ComponentRef, Registry};
use crate::{ApiProblem, task};

/// What is to be planned.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) file_name: String,
    pub(crate) pins: BTreeMap<String, Digest>,
    pub(crate) sets: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) summary: String,
    /// `None` where parameters without a default have no value yet: each run gives them one, and is planned then.
    pub(crate) plan: Option<Plan>,
    /// The first source or node that is mirrored.
    pub(crate) mirrored: Option<String>,
    /// Where sources read that need no parameter for it.
    pub(crate) sources: Vec<(String, SourceSpec)>,
    /// What each reference means.
    pub(crate) uses: BTreeMap<String, Uses>,
}

/// The tasks of one pipeline.
struct Known(BTreeMap<String, Result<CatalogEntry, Problem>>);

impl Catalog for Known {
    fn find(&self, reference: &str) -> Result<CatalogEntry, Problem> {
        self.0.get(reference).expect("every reference of the pipeline was looked up").clone()
    }
}

/// Checks all that `tidemill plan` checks but the files of sources.
pub(crate) async fn plan(registry: &Registry, draft: Draft, machine: Machine) -> Result<Planned, ApiProblem> {
    check_file_name(&draft.file_name)?;
    let pipeline = tidemill_plan::parse(&draft.text, &draft.file_name)?;
    check_pins(&pipeline, &draft.pins)?;
    let (mut uses, mut known) = (BTreeMap::new(), BTreeMap::new());
    for reference in pipeline.task_references() {
        let found = find(registry, reference, &draft.pins).await;
        let entry = match found {
            Ok((of, entry)) => {
                uses.insert(reference.to_owned(), of);
                Ok(entry)
            }
            // Who names an unknown task is told with all else that is wrong with the file.
            Err(problem) => Err(problem.into_unknown_task(reference)?),
        };
        known.insert(reference.to_owned(), entry);
    }
    let request =
        Request { sets: draft.sets, parameters: serde_json::Map::new(), window: Window::default(), machine };
    let (name, summary) = (pipeline.name().to_owned(), pipeline.summary().to_owned());
    let sources = pipeline.source_places();
    let mirrored = pipeline.mirrored().map(str::to_owned);
    let unknown: Vec<Problem> = known.values().filter_map(|it| it.as_ref().err().cloned()).collect();
    let plan = task::blocking(move || tidemill_plan::plan(&pipeline, &request, &Known(known))).await?;
    let plan = match plan {
        Ok(plan) => {
            check_sources(&plan)?;
            Some(plan)
        }
        Err(problems)
            if unknown.is_empty()
                && sources.is_some()
                && problems.iter().all(|it| it.code.0 == "missing-parameter") =>
        {
            None
        }
        Err(problems) => return Err(problems.into()),
    };
    Ok(Planned { name, summary, plan, mirrored, sources: sources.unwrap_or_default(), uses })
}

async fn find(
    registry: &Registry,
    reference: &str,
    pins: &BTreeMap<String, Digest>,
) -> Result<(Uses, CatalogEntry), ApiProblem> {
    let (uses, row) = match pins.get(reference) {
        Some(digest) => (Uses::Pinned(*digest), registry.find(&ComponentRef::Digest(*digest)).await?),
        None => {
            let named = ComponentRef::read(reference)?;
            let row = registry.find(&named).await?;
            let uses = match named {
                ComponentRef::Digest(digest) => Uses::Pinned(digest),
                ComponentRef::Tagged { name, tag } => Uses::Tagged { name, tag },
            };
            (uses, row)
        }
    };
    let component = registry.load(row.digest).await?;
    let entry =
        CatalogEntry { digest: row.digest, description: std::sync::Arc::clone(component.description()) };
    Ok((uses, entry))
}

/// A pin that no node uses is a mistake.
fn check_pins(pipeline: &Pipeline, pins: &BTreeMap<String, Digest>) -> Result<(), Problem> {
    let references = pipeline.task_references();
    let Some(unused) = pins.keys().find(|it| !references.contains(&it.as_str())) else { return Ok(()) };
    let what = format!("`pins` names `{}`, which no node of the pipeline uses", unused.escape_debug());
    let mend = match tidemill_plan::nearest(unused, references.iter().copied()) {
        Some(it) => format!("did you mean `{it}`?"),
        None => "name tasks as the pipeline's nodes do".to_owned(),
    };
    Err(Problem::new(Code("unused-pin"), what, mend))
}

/// It only names the text in problems, and tells JSON from TOML.
fn check_file_name(name: &str) -> Result<(), Problem> {
    const BYTES_MAX: usize = 255;
    let is_plain = name.len() <= BYTES_MAX && !name.chars().any(char::is_control);
    if is_plain && is_single(name) {
        return Ok(());
    }
    let what = format!("`{}` is no name of a pipeline file", name.escape_debug());
    Err(Problem::new(Code("bad-file-name"), what, "use a plain name, such as `pipeline.toml`"))
}

fn is_single(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(parts.next(), Some(Part::Normal(_))) && parts.next().is_none() && !name.contains(['/', '\\'])
}

/// Sources read what was uploaded with the pipeline, and nothing else of the service's machine.
fn check_sources(plan: &Plan) -> Result<(), ApiProblem> {
    let outside = plan.nodes.iter().filter_map(|node| match &node.work {
        Work::Source(spec) if spec.table().is_none() && !stays_inside(spec.location()) => {
            let what = format!(
                "source `{}` reads `{}`, which is outside of the pipeline's folder",
                node.name,
                spec.location()
            );
            let mend = "put the files beside the pipeline file, and name them relative to it";
            Some(Problem::new(Code("source-outside"), what, mend))
        }
        Work::Source(_) | Work::Task(_) => None,
    });
    let problems: Vec<Problem> = outside.collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
}

/// Whether a path leads nowhere but into the folder that it is relative to.
pub(crate) fn stays_inside(path: &str) -> bool {
    let parts = Path::new(path).components();
    let leads_in = |it: Part<'_>| matches!(it, Part::Normal(_) | Part::CurDir);
    !path.is_empty() && !path.contains(['\0', '\\']) && parts.clone().all(leads_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_its_folder_is_known() {
        for inside in ["data/x.csv", "./x", "data/*.csv", "a/b/c", "..x"] {
            assert!(stays_inside(inside), "{inside}");
        }
        for outside in ["", "/etc/passwd", "../x", "data/../../x", "a\\..\\b", "a/..", "x\0"] {
            assert!(!stays_inside(outside), "{outside}");
        }
    }

    #[test]
    fn a_file_name_is_one_plain_part() {
        for plain in ["pipeline.toml", "x.json", "a b.toml"] {
            assert!(check_file_name(plain).is_ok(), "{plain}");
        }
        for wrong in ["", ".", "..", "a/b", "/a", "a/", "a\nb"] {
            assert!(check_file_name(wrong).is_err(), "{wrong}");
        }
    }
}
