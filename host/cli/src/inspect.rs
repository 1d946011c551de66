//! `tidemill inspect`: what a component says of itself, and what it needs; of a file, or of a service's registry.

use std::path::Path;

use serde_json::{Value, json};
use tidemill_plan::Problem;
use tidemill_server::wire::{Component, ComponentDescription};

use crate::args::InspectArgs;
use crate::client::{Client, host_of};
use crate::{Ending, quantity, table_view, tokens};

pub(crate) fn inspect(args: &InspectArgs, host: Option<&str>) -> anyhow::Result<Ending> {
    if let Some((client, reference)) = of_service(&args.component, host)? {
        let found: Component = client.get(&["components", &reference])?;
        if args.json {
            table_view::print_json(&json!(found))?;
        } else {
            print_component(&found)?;
        }
        return Ok(Ending::Done);
    }
    let sandbox = crate::run::sandbox(1)?;
    let component = sandbox.load(&args.component).map_err(|e| Problem::from(&e))?;
    let description = ComponentDescription::of(&component);
    if args.json {
        table_view::print_json(&json!(description))?;
    } else {
        table_view::print(&["", "name", ""], rows(&description))?;
    }
    Ok(Ending::Done)
}

/// What is no file, and reads like no path, is asked of the service, where there is one.
fn of_service(typed: &Path, host: Option<&str>) -> anyhow::Result<Option<(Client, String)>> {
    let Some(text) = typed.to_str() else { return Ok(None) };
    if typed.exists() || text.contains('/') || text.ends_with(".wasm") {
        return Ok(None);
    }
    Ok(host_of(host)?.map(|client| (client, text.to_owned())))
}

/// A component of a registry.
pub(crate) fn print_component(component: &Component) -> anyhow::Result<()> {
    let mut rows = rows(&component.description);
    rows.push(vec!["tags".to_owned(), String::new(), component.tags.join(", ")]);
    let pushed = format!("{} by {}", tokens::short_time(&component.pushed_at), component.pushed_by);
    rows.push(vec!["pushed".to_owned(), String::new(), pushed]);
    table_view::print(&["", "name", ""], rows)
}

fn rows(it: &ComponentDescription) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: &str, name: &str, text: String| {
        rows.push(vec![what.to_owned(), name.to_owned(), text]);
    };
    row("task", &it.name, it.summary.clone());
    row("digest", "", it.digest.clone());
    row("size", "", quantity::bytes(it.bytes));
    row("contract", "", it.contract.clone());
    if let Some(memory) = it.hints.memory_bytes {
        row("memory", "", quantity::bytes(memory));
    }
    for (name, text) in parameters(&it.parameters) {
        row("parameter", &name, text);
    }
    for it in &it.inputs {
        row("input", &it.name, format!("{} · {}", it.arity, it.summary));
        for column in &it.columns {
            row("", &format!("  {}", column.name), column.data_type.clone());
        }
    }
    for it in &it.outputs {
        row("output", &it.name, it.summary.clone());
        for column in it.columns.iter().flatten() {
            let role = if it.time_index.as_ref() == Some(&column.name) {
                " · time index"
            } else if it.identifiers.contains(&column.name) {
                " · identifier"
            } else {
                ""
            };
            row("", &format!("  {}", column.name), format!("{}{role}", column.data_type));
        }
    }
    for it in &it.imports {
        row("import", "", it.clone());
    }
    let none = "none: it computes from its parameters and inputs alone".to_owned();
    row("capabilities", "", if it.capabilities.is_empty() { none } else { it.capabilities.join(", ") });
    rows
}

/// Name, then type, default and summary of each parameter.
fn parameters(schema: &Value) -> Vec<(String, String)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array);
    let one = |(name, schema): (&String, &Value)| {
        let mut parts = Vec::new();
        match schema.get("type") {
            Some(Value::String(it)) => parts.push(it.clone()),
            Some(Value::Array(several)) => {
                parts.push(several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "));
            }
            _ => {}
        }
        if let Some(default) = schema.get("default") {
            parts.push(format!("default {default}"));
        } else if required.is_some_and(|it| it.iter().any(|it| it.as_str() == Some(name))) {
            parts.push("required".to_owned());
        }
        for (key, word) in
            [("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")]
        {
            if let Some(bound) = schema.get(key) {
                parts.push(format!("{word} {bound}"));
            }
        }
        if let Some(summary) = schema.get("description").and_then(Value::as_str) {
            parts.push(summary.replace('\n', " "));
        }
        (name.clone(), parts.join(" · "))
    };
    properties.into_iter().flatten().map(one).collect()
}
