//! From what a task says of itself to a description that the planner can rely on.

use std::collections::HashSet;

use arrow::datatypes::{DataType, SchemaRef};
use serde_json::Value;
use tidemill_plan::{Arity, Hints, InputPort, OutputPort, TaskDescription};

use crate::schema;
use crate::wire::{ArityEnum, DescriptionRecord, InputPortRecord, OutputPortRecord};

/// Longest name of a task or port (bytes): table names are made of them, and file names of those.
const NAME_BYTES_MAX: usize = 64;
/// Longest summary and parameter schema (bytes).
const TEXT_BYTES_MAX: usize = 1 << 20;
const PORTS_MAX: usize = 256;

/// Checks a description; the error says what is wrong with which part.
pub(crate) fn checked(record: &DescriptionRecord) -> Result<TaskDescription, String> {
    check_name(&record.name).map_err(|what| format!("its name {what}"))?;
    if record.summary.len() > TEXT_BYTES_MAX || record.parameters.len() > TEXT_BYTES_MAX {
        return Err(format!("its summary or parameters are longer than {TEXT_BYTES_MAX} bytes"));
    }
    if record.inputs.len() > PORTS_MAX || record.outputs.len() > PORTS_MAX {
        return Err(format!("it has more than {PORTS_MAX} ports"));
    }
    check_ports("input", record.inputs.iter().map(|it| it.name.as_str()))?;
    check_ports("output", record.outputs.iter().map(|it| it.name.as_str()))?;
    Ok(TaskDescription {
        name: record.name.clone(),
        summary: record.summary.clone(),
        parameters: parameters(&record.parameters)?,
        inputs: record.inputs.iter().map(input).collect::<Result<_, _>>()?,
        outputs: record.outputs.iter().map(output).collect::<Result<_, _>>()?,
        hints: Hints { memory_bytes: record.hints.memory_bytes },
    })
}

fn check_name(name: &str) -> Result<(), String> {
    let begins = name.starts_with(|it: char| it.is_ascii_lowercase());
    let goes_on = name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_');
    if begins && goes_on && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    Err(format!(
        "`{}` is not made of up to {NAME_BYTES_MAX} lower-case letters, digits and underscores that start with a letter",
        shown.escape_debug()
    ))
}

fn check_ports<'a>(side: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for name in names {
        check_name(name).map_err(|what| format!("the name of an {side} port {what}"))?;
        if !seen.insert(name) {
            return Err(format!("it has two {side} ports `{name}`"));
        }
    }
    Ok(())
}

fn parameters(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| format!("its parameters are not a JSON Schema: {error}"))?;
    let Value::Object(schema) = &value else {
        return Err("its parameters are not a JSON Schema of an object".into());
    };
    if schema.get("type").is_some_and(|it| it != "object") {
        return Err("its parameters are a JSON Schema of something other than an object".into());
    }
    match schema.get("properties") {
        None => {}
        Some(Value::Object(properties)) => {
            if let Some((name, _)) = properties.iter().find(|(_, it)| !it.is_object() && !it.is_boolean()) {
                return Err(format!(
                    "its parameter `{name}` is described by neither an object nor a boolean"
                ));
            }
        }
        Some(_) => return Err("the `properties` of its parameters are not an object".into()),
    }
    Ok(value)
}

fn input(record: &InputPortRecord) -> Result<InputPort, String> {
    let columns = schema::from_record(&record.columns)
        .map_err(|what| format!("input port `{}`: {what}", record.name))?;
    let arity = match record.arity {
        ArityEnum::One => Arity::One,
        ArityEnum::Optional => Arity::Optional,
        ArityEnum::Many => Arity::Many,
    };
    Ok(InputPort { name: record.name.clone(), summary: record.summary.clone(), arity, columns })
}

fn output(record: &OutputPortRecord) -> Result<OutputPort, String> {
    let within = |what: String| format!("output port `{}`: {what}", record.name);
    let columns = record.columns.as_ref().map(schema::from_record).transpose().map_err(within)?;
    if let Some(columns) = &columns {
        check_index(record, columns).map_err(within)?;
    }
    let mut seen = HashSet::new();
    for identifier in record.identifiers.iter().chain(&record.time_index) {
        if !seen.insert(identifier) {
            return Err(within(format!("`{identifier}` is named twice in its index")));
        }
    }
    Ok(OutputPort {
        name: record.name.clone(),
        summary: record.summary.clone(),
        columns,
        time_index: record.time_index.clone(),
        identifiers: record.identifiers.clone(),
    })
}

fn check_index(record: &OutputPortRecord, columns: &SchemaRef) -> Result<(), String> {
    if columns.fields().is_empty() {
        return Err("it declares no columns".into());
    }
    if let Some(time_index) = &record.time_index {
        let (_, field) = columns
            .column_with_name(time_index)
            .ok_or_else(|| format!("its time index `{time_index}` is not among its columns"))?;
        if !matches!(field.data_type(), DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64) {
            return Err(format!(
                "its time index `{time_index}` is {}, neither a timestamp nor a date",
                field.data_type()
            ));
        }
    }
    match record.identifiers.iter().find(|it| columns.column_with_name(it).is_none()) {
        Some(missing) => Err(format!("its identifier `{missing}` is not among its columns")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
