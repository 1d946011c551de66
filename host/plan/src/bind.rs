//! Binds the pipeline's parameters: defaults, values from a file, `--set`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::declaration::Unfit;
use crate::file::ParameterDecl;
use crate::nearest::did_you_mean;
use crate::parameter::{Step, free_value, path, put};
use crate::text::Problems;
use crate::{BoundParameter, Code, Pipeline, Problem, Provenance};

/// As `bind`, alone. Errors: every value that does not fit.
pub(crate) fn bound(
    pipeline: &Pipeline,
    sets: &[String],
    given: &Map<String, Value>,
) -> Result<BTreeMap<String, BoundParameter>, Vec<Problem>> {
    let mut problems = Problems::new(&pipeline.text);
    let bound = bind(pipeline, sets, given, &mut problems);
    problems.into_result(bound)
}

/// A later `--set` wins over an earlier one, any of them over the file.
pub(crate) fn bind(
    pipeline: &Pipeline,
    sets: &[String],
    given: &Map<String, Value>,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, BoundParameter> {
    let mut values: BTreeMap<&str, Bound> = BTreeMap::new();
    for (name, value) in given {
        let origin = format!("parameter `{name}`");
        match pipeline.file.parameters.get(name) {
            Some(it) => {
                let bound = Bound { value: value.clone(), origin, provenance: Provenance::Given };
                values.insert(&it.name, bound);
            }
            None => problems.push_nowhere(unknown(pipeline, name, &origin)),
        }
    }
    for set in sets {
        if let Err(problem) = apply(pipeline, set, &mut values) {
            problems.push_nowhere(problem);
        }
    }
    let mut bound = BTreeMap::new();
    for it in pipeline.file.parameters.iter() {
        if let Some(Bound { value, origin, provenance }) = values.remove(it.name.as_str()) {
            match it.value.fit(&value) {
                Ok(value) => {
                    bound.insert(it.name.clone(), BoundParameter { value, provenance });
                }
                Err(unfit) => problems.push_nowhere(misfit(&origin, &it.name, unfit)),
            }
        } else if let Some(default) = &it.value.default {
            let value = it.value.fit(&default.value).ok().unwrap_or(Value::Null);
            bound.insert(it.name.clone(), BoundParameter { value, provenance: Provenance::Default });
        } else {
            let what = format!("parameter `{}` has no default and is not set", it.name);
            problems.add(
                it.at,
                Code("missing-parameter"),
                what,
                format!("add `--set {}=…`, or a default", it.name),
            );
        }
    }
    bound
}

impl Pipeline {
    /// Whether values fit the parameters of these names. `origin` tells in a problem where they came from. Errors:
    /// every value of an unknown name or a wrong type.
    pub fn check_parameters(&self, given: &Map<String, Value>, origin: &str) -> Result<(), Vec<Problem>> {
        let check = |(name, value): (&String, &Value)| match self.file.parameters.get(name) {
            Some(it) => it.value.fit(value).err().map(|unfit| misfit(origin, name, unfit)),
            None => Some(unknown(self, name, origin)),
        };
        let problems: Vec<Problem> = given.iter().filter_map(check).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// A value on its way to a parameter.
struct Bound {
    value: Value,
    /// For problems.
    origin: String,
    provenance: Provenance,
}

fn misfit(origin: &str, name: &str, unfit: Unfit) -> Problem {
    Problem::new(unfit.code, format!("{origin}: `{name}` {}", unfit.what), unfit.mend)
}

fn unknown(pipeline: &Pipeline, name: &str, origin: &str) -> Problem {
    let what = format!("{origin}: pipeline `{}` has no parameter `{name}`", pipeline.name());
    let mend = did_you_mean(name, "parameter", pipeline.file.parameters.names());
    Problem::new(Code("unknown-parameter"), what, mend)
}

fn apply<'p>(
    pipeline: &'p Pipeline,
    set: &str,
    values: &mut BTreeMap<&'p str, Bound>,
) -> Result<(), Problem> {
    let origin = format!("`--set {set}`");
    let bad = |why: String| {
        Problem::new(
            Code("bad-set"),
            format!("{origin}: {why}"),
            "write `--set name=value`, `a.b=value` or `a[0]=value`",
        )
    };
    let (left, text) = set.split_once('=').ok_or_else(|| bad("there is no `=`".to_owned()))?;
    let (name, steps) = path(left.trim()).map_err(bad)?;
    let found = pipeline.file.parameters.get(&name).ok_or_else(|| unknown(pipeline, &name, &origin))?;
    let decl = &found.value;
    if steps.is_empty() {
        let value = decl.value_of_text(text);
        values.insert(&found.name, Bound { value, origin, provenance: Provenance::Set });
        return Ok(());
    }
    let default = || decl.default.as_ref().map(|it| it.value.clone());
    let current = values.get(found.name.as_str()).map(|it| it.value.clone());
    let mut whole = current.or_else(default).unwrap_or_else(|| Value::Object(Map::new()));
    put(&mut whole, &steps, inner_value(decl, &steps, text)).map_err(bad)?;
    values.insert(&found.name, Bound { value: whole, origin, provenance: Provenance::Set });
    Ok(())
}

/// An item of a list has the declared type; deeper, values are JSON where they are, else text.
fn inner_value(decl: &ParameterDecl, steps: &[Step], text: &str) -> Value {
    match (steps, decl.items) {
        ([Step::Index(_)], Some(items)) => items.0.value_of_text(None, text),
        _ => free_value(text),
    }
}
