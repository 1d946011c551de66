//! Parameters in bulk: from the record of a run (`--from`) and from a file (`--params`).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use tidemill_driver::Lineage;
use tidemill_plan::{Code, Pipeline, Place, Problem};

use crate::args::PlanOf;
use crate::complain::Problems;
use crate::run::Told;

/// The values, and where each came from. The file wins over the run.
pub(crate) fn parameters(
    args: &PlanOf,
    told: &Told,
    pipeline: &Pipeline,
) -> anyhow::Result<(Map<String, Value>, Lineage)> {
    let mut lineage = Lineage { from: told.from.as_ref().map(|it| it.run.clone()), ..Lineage::default() };
    let mut parameters = Map::new();
    let mut take = |values: Map<String, Value>, origin: &str| -> Result<(), Problems> {
        pipeline.check_parameters(&values, origin).map_err(Problems)?;
        for (name, value) in values {
            lineage.parameters.insert(name.clone(), origin.to_owned());
            parameters.insert(name, value);
        }
        Ok(())
    };
    if let Some(record) = &told.from {
        take(record.parameter_values(), &format!("run {}", record.run))?;
    }
    if let Some(file) = &args.params {
        take(read(file)?, &format!("params {}", file.display()))?;
    }
    Ok((parameters, lineage))
}

/// Where each value came from, by the name of its parameter.
type Origins = BTreeMap<String, String>;

/// The values of a file, and where each came from, for a service that checks them itself.
pub(crate) fn of_file(file: Option<&Path>) -> Result<(Map<String, Value>, Origins), Problem> {
    let Some(file) = file else { return Ok((Map::new(), BTreeMap::new())) };
    let values = read(file)?;
    let origin = format!("params {}", file.display());
    let from = values.keys().map(|name| (name.clone(), origin.clone())).collect();
    Ok((values, from))
}

/// A file of parameters that the pipeline has.
pub(crate) fn read_checked(file: &Path, pipeline: &Pipeline) -> anyhow::Result<Map<String, Value>> {
    let values = read(file)?;
    pipeline.check_parameters(&values, &format!("params {}", file.display())).map_err(Problems)?;
    Ok(values)
}

/// A table of parameters: TOML, or JSON when the file's name ends in `.json`.
fn read(file: &Path) -> Result<Map<String, Value>, Problem> {
    let unreadable = |why: String| {
        let what = format!("the file of parameters `{}` cannot be read: {why}", file.display());
        let mend = "write `name = value` lines in TOML, or one object in a file that ends in `.json`";
        Problem::new(Code("params-unreadable"), what, mend)
    };
    let text = std::fs::read_to_string(file).map_err(|e| unreadable(e.to_string()))?;
    let place = |line: usize, column: usize| {
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        Place { file: file.display().to_string(), line: count(line), column: count(column) }
    };
    if file.extension().is_some_and(|it| it == "json") {
        let value: Value = serde_json::from_str(&text)
            .map_err(|e| unreadable(e.to_string()).at(place(e.line(), e.column())))?;
        return match value {
            Value::Object(it) => Ok(it),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(unreadable("it holds no object".to_owned()))
            }
        };
    }
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let at = e.span().map_or(0, |it| it.start.min(text.len()));
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
        unreadable(e.message().to_owned()).at(place(line, column))
    })?;
    Ok(table.into_iter().map(|(name, value)| (name, json_of(value))).collect())
}

/// Dates and times become text, as in a pipeline file; a float that is no number becomes null, which no type takes.
fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(it) => Value::String(it),
        toml::Value::Integer(it) => it.into(),
        toml::Value::Float(it) => serde_json::Number::from_f64(it).map_or(Value::Null, Value::Number),
        toml::Value::Boolean(it) => it.into(),
        toml::Value::Datetime(it) => Value::String(it.to_string()),
        toml::Value::Array(it) => it.into_iter().map(json_of).collect(),
        toml::Value::Table(it) => it.into_iter().map(|(name, value)| (name, json_of(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_values_become_those_of_a_pipeline_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("p.toml");
        std::fs::write(&file, "a = 1\nb = 2024-01-02\nc = [0.5, true]\n[d]\ne = \"x\"\n")
            .expect("write file");
        let values = Value::Object(read(&file).expect("TOML"));
        assert_eq!(values, serde_json::json!({"a": 1, "b": "2024-01-02", "c": [0.5, true], "d": {"e": "x"}}));
        std::fs::write(&file, "a = 1\nb = = 2\n").expect("write file");
        let problem = read(&file).expect_err("no TOML").to_string();
        assert!(problem.contains("p.toml, line 2, column"), "{problem}");
    }
}
