//! Binds the pipeline's parameters: defaults, values from a file, `--set`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

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
    let mut values: BTreeMap<&str, (Value, String)> = BTreeMap::new();
    for (name, value) in given {
        match pipeline.file.parameters.get(name) {
            Some(it) => {
                values.insert(&it.name, (value.clone(), format!("parameter `{name}`")));
            }
            None => problems.push_nowhere(unknown(pipeline, name, &format!("parameter `{name}`"))),
        }
    }
    for set in sets {
        if let Err(problem) = apply(pipeline, set, &mut values) {
            problems.push_nowhere(problem);
        }
    }
    let mut bound = BTreeMap::new();
    for it in pipeline.file.parameters.iter() {
        if let Some((value, origin)) = values.remove(it.name.as_str()) {
            match it.value.fit(&value) {
                Ok(value) => {
                    bound.insert(it.name.clone(), BoundParameter { value, provenance: Provenance::Set });
                }
                Err(unfit) => {
                    let what = format!("{origin}: `{}` {}", it.name, unfit.what);
                    problems.push_nowhere(Problem::new(unfit.code, what, unfit.mend));
                }
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

fn unknown(pipeline: &Pipeline, name: &str, origin: &str) -> Problem {
    let what = format!("{origin}: pipeline `{}` has no parameter `{name}`", pipeline.name());
    let mend = did_you_mean(name, "parameter", pipeline.file.parameters.names());
    Problem::new(Code("unknown-parameter"), what, mend)
}

fn apply<'p>(
    pipeline: &'p Pipeline,
    set: &str,
    values: &mut BTreeMap<&'p str, (Value, String)>,
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
        values.insert(&found.name, (decl.value_of_text(text), origin));
        return Ok(());
    }
    let default = || decl.default.as_ref().map(|it| it.value.clone());
    let current = values.get(found.name.as_str()).map(|(value, _)| value.clone());
    let mut whole = current.or_else(default).unwrap_or_else(|| Value::Object(Map::new()));
    put(&mut whole, &steps, inner_value(decl, &steps, text)).map_err(bad)?;
    values.insert(&found.name, (whole, origin));
    Ok(())
}

/// An item of a list has the declared type; deeper, values are JSON where they are, else text.
fn inner_value(decl: &ParameterDecl, steps: &[Step], text: &str) -> Value {
    match (steps, decl.items) {
        ([Step::Index(_)], Some(items)) => items.0.value_of_text(None, text),
        _ => free_value(text),
    }
}
