//! A pipeline file that makes sense by itself: read, its names checked, its graph known. Knows no task and no value.

use std::collections::{BTreeMap, BTreeSet};

use crate::declaration;
use crate::expression::{RUN_NAMES, environment, names};
use crate::field::Field;
use crate::file::{NodeDecl, PipelineFile, SourceDecl};
use crate::file_names::{check_identifier, check_name};
use crate::graph::{self, Decl};
use crate::nearest::did_you_mean;
use crate::source::format_of_path;
use crate::text::{At, Problems, Text};
use crate::{Code, MirrorTarget, Problem, SourcePlace, SourceSpec, tree};

/// A checked pipeline file.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub(crate) text: Text,
    pub(crate) file: PipelineFile,
    /// Sources and nodes, each after what it reads.
    pub(crate) order: Vec<Decl>,
}

/// Reads a pipeline: TOML or, when the name of `file` ends in `.json`, JSON. `file` only names the text in problems.
/// Errors: every problem found, in the order of the file.
pub fn parse(text: &str, file: &str) -> Result<Pipeline, Vec<Problem>> {
    let source = Text::new(text, file);
    let entries = tree::read(text, &source)?;
    let mut problems = Problems::new(&source);
    let file = PipelineFile::read(entries, &mut problems);
    check_names(&file, &mut problems);
    for parameter in file.parameters.iter() {
        declaration::check(parameter, &mut problems);
    }
    check_expressions(&file, &mut problems);
    let order = graph::order(&file, &mut problems);
    problems.into_result(())?;
    Ok(Pipeline { text: source, file, order })
}

impl Pipeline {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.file.pipeline.name
    }

    #[must_use]
    pub fn summary(&self) -> &str {
        &self.file.pipeline.summary
    }

    /// What the file says of a parameter, for people; empty where it says nothing.
    #[must_use]
    pub fn parameter_summary(&self, name: &str) -> &str {
        self.file.parameters.get(name).map_or("", |it| &it.value.summary)
    }

    /// What the file says of a node, for people; empty where it says nothing.
    #[must_use]
    pub fn node_summary(&self, name: &str) -> &str {
        self.file.nodes.get(name).map_or("", |it| &it.value.summary)
    }

    /// The first source or node that says where it is mirrored.
    #[must_use]
    pub fn mirrored(&self) -> Option<&str> {
        let sources = self.file.sources.iter().filter(|it| it.value.mirror.is_some()).map(|it| &it.name);
        let nodes = self.file.nodes.iter().filter(|it| it.value.mirror.is_some()).map(|it| &it.name);
        sources.chain(nodes).next().map(String::as_str)
    }

    /// Whether some parameters may lead to a table being mirrored there.
    #[must_use]
    pub fn may_mirror(&self, target: &MirrorTarget) -> bool {
        let sources = self.file.sources.iter().filter_map(|it| it.value.mirror.as_ref());
        let nodes = self.file.nodes.iter().filter_map(|it| it.value.mirror.as_ref());
        sources.chain(nodes).any(|it| match it {
            Field::Is(it) => it.targets().any(|it| it == target),
            Field::Later(..) => true,
        })
    }

    /// Where sources read, by name: enough to find their files before anything is bound. `None` where one of them needs
    /// parameters to say it.
    #[must_use]
    pub fn source_places(&self) -> Option<Vec<(String, SourceSpec)>> {
        let mut places = Vec::new();
        for it in self.file.sources.iter() {
            // One that reads a table has no files.
            let Some(path) = &it.value.path else { continue };
            let Field::Is(path) = path else { return None };
            let format = match &it.value.format {
                Some(Field::Is(format)) => *format,
                Some(Field::Later(..)) => return None,
                None => format_of_path(path)?,
            };
            let spec = SourceSpec {
                place: SourcePlace::Files { format, path: path.clone() },
                time_index: None,
                knowledge_time: None,
                identifiers: None,
                columns: BTreeMap::new(),
                sort: false,
            };
            places.push((it.name.clone(), spec));
        }
        Some(places)
    }

    /// Path of a task's component, relative to the pipeline file: from `[tasks]`, the reference itself where it is a
    /// path, else `components/<name>.wasm`.
    #[must_use]
    pub fn component_path(&self, reference: &str) -> String {
        match self.file.tasks.get(reference) {
            Some(found) => found.value.value.clone(),
            None if is_path(reference) => reference.to_owned(),
            None => format!("components/{reference}.wasm"),
        }
    }

    /// The tasks that nodes name, each once, in the order of the file.
    #[must_use]
    pub fn task_references(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let references = self.file.nodes.iter().map(|it| it.value.task.value.as_str());
        references.filter(|it| seen.insert(*it)).collect()
    }
}

fn is_path(reference: &str) -> bool {
    reference.contains(['/', '\\']) || reference.ends_with(".wasm")
}

fn check_names(file: &PipelineFile, problems: &mut Problems<'_>) {
    for it in file.parameters.iter() {
        check_identifier("parameter", &it.name, it.at, problems);
    }
    let mut seen = BTreeMap::new();
    let sources = file.sources.iter().map(|it| ("source", &it.name, it.at));
    let nodes = file.nodes.iter().map(|it| ("node", &it.name, it.at));
    for (kind, name, at) in sources.chain(nodes) {
        check_name(kind, name, at, problems);
        if let Some(other) = seen.insert(name, kind) {
            let what = format!("{kind} `{name}` has the name of a {other}");
            problems.add(at, Code("duplicate-name"), what, "inputs are found by name: rename one of the two");
        }
    }
    for node in file.nodes.iter() {
        for key in node.value.for_each.iter() {
            check_identifier(
                &format!("`for_each` of node `{}`: key", node.name),
                &key.name,
                key.at,
                problems,
            );
        }
    }
}

/// Unknown names in expressions, expressions that make no sense, and parameters that nothing reads.
fn check_expressions(file: &PipelineFile, problems: &mut Problems<'_>) {
    let env = environment();
    let mut used = BTreeSet::new();
    let mut check = |expression: &At<String>, keys: &[&str]| {
        let text = &expression.value;
        let names = match names(&env, text) {
            Ok(it) => it,
            Err(why) => {
                let what = format!("expression `{text}` is not understood: {why}");
                let mend = "write a minijinja expression, as `{{ window * 2 }}`";
                problems.add(expression.at, Code("bad-expression"), what, mend);
                return;
            }
        };
        for name in names {
            let (first, rest) = name.split_once('.').unwrap_or((&name, ""));
            if keys.contains(&first) {
                continue;
            }
            if file.parameters.declares(first) {
                used.insert(first.to_owned());
            } else if first == "run" {
                let field = rest.split('.').next().unwrap_or(rest);
                if !RUN_NAMES.contains(&field) {
                    let what = format!("expression `{text}` reads `{name}`, but `run` has no `{field}`");
                    problems.add(
                        expression.at,
                        Code("unknown-name"),
                        what,
                        did_you_mean(field, "name", RUN_NAMES),
                    );
                }
            } else {
                let known = file.parameters.names().chain(keys.iter().copied()).chain(["run"]);
                let what = format!("expression `{text}` reads `{first}`, which is not defined here");
                problems.add(expression.at, Code("unknown-name"), what, did_you_mean(first, "name", known));
            }
        }
    };
    for source in file.sources.iter() {
        source.value.visit(&mut |it| check(it, &[]));
    }
    for node in file.nodes.iter() {
        for key in node.value.for_each.iter() {
            key.value.value.visit(&mut |it| check(it, &[]));
        }
        let keys: Vec<&str> = node.value.for_each.names().collect();
        node.value.visit(&mut |it| check(it, &keys));
    }
    check_used(file, &used, problems);
}

fn check_used(file: &PipelineFile, used: &BTreeSet<String>, problems: &mut Problems<'_>) {
    for it in file.parameters.iter().filter(|it| !used.contains(&it.name)) {
        let what = format!("parameter `{}` is declared, but nothing reads it", it.name);
        let mend = format!("use it as `\"{{{{ {} }}}}\"`, or remove it", it.name);
        problems.add(it.at, Code("unused-parameter"), what, mend);
    }
}

impl SourceDecl {
    /// Every expression.
    pub(crate) fn visit<'a>(&'a self, see: &mut impl FnMut(&'a At<String>)) {
        self.path.iter().chain(&self.table).for_each(|it| it.visit(see));
        self.format.iter().for_each(|it| it.visit(see));
        self.time_index.iter().for_each(|it| it.visit(see));
        self.knowledge_time.iter().for_each(|it| it.visit(see));
        self.sort.iter().for_each(|it| it.visit(see));
        self.mirror.iter().for_each(|it| it.visit(see));
    }
}

impl NodeDecl {
    /// Every expression of a member, those of `for_each` left out.
    pub(crate) fn visit<'a>(&'a self, see: &mut impl FnMut(&'a At<String>)) {
        self.parameters.iter().for_each(|it| it.value.value.visit(see));
        for reference in self.inputs.iter().flat_map(|it| &it.value.0) {
            reference.wanted.iter().for_each(|(_, it)| it.visit(see));
        }
        self.write_mode.iter().for_each(|it| it.visit(see));
        self.mirror.iter().for_each(|it| it.visit(see));
        self.first_time.iter().for_each(|it| it.visit(see));
        self.corrections.iter().for_each(|it| it.visit(see));
        self.timeout.iter().for_each(|it| it.visit(see));
        self.look_back.iter().for_each(|it| it.visit(see));
        self.priority.iter().for_each(|it| it.visit(see));
        if let Some(it) = &self.resources {
            it.cpus.iter().for_each(|it| it.visit(see));
            it.memory.iter().for_each(|it| it.visit(see));
        }
        if let Some(it) = &self.limits {
            it.output.iter().chain(&it.log).for_each(|it| it.visit(see));
            it.fuel.iter().for_each(|it| it.visit(see));
        }
        if let Some(it) = &self.retry {
            it.policy.iter().for_each(|it| it.visit(see));
            it.max.iter().for_each(|it| it.visit(see));
            it.delay.iter().chain(&it.max_delay).for_each(|it| it.visit(see));
            it.jitter.iter().for_each(|it| it.visit(see));
        }
    }
}
