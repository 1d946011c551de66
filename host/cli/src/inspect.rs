//! `tidemill inspect`: what a component says of itself, and what it needs.

use serde_json::{Value, json};
use tidemill_plan::{Arity, Problem, TaskDescription, data_type_name};
use tidemill_sandbox::Component;

use crate::args::InspectArgs;
use crate::{Ending, quantity, table_view};

pub(crate) fn inspect(args: &InspectArgs) -> anyhow::Result<Ending> {
    let sandbox = crate::run::sandbox(1)?;
    let component = sandbox.load(&args.component).map_err(|e| Problem::from(&e))?;
    if args.json {
        table_view::print_json(&to_json(&component))?;
    } else {
        print(&component)?;
    }
    Ok(Ending::Done)
}

fn to_json(component: &Component) -> Value {
    let it = component.description();
    let columns = |schema: &arrow::datatypes::Schema| {
        let fields = schema.fields().iter();
        Value::Array(
            fields
                .map(|it| json!({"name": it.name(), "type": data_type_name(it.data_type()), "nullable": it.is_nullable()}))
                .collect(),
        )
    };
    let inputs: Vec<Value> = it
        .inputs
        .iter()
        .map(|it| json!({"name": it.name, "summary": it.summary, "arity": arity(it.arity), "columns": columns(&it.columns)}))
        .collect();
    let outputs: Vec<Value> = it
        .outputs
        .iter()
        .map(|it| {
            json!({"name": it.name, "summary": it.summary, "columns": it.columns.as_ref().map(|it| columns(it)),
                "time_index": it.time_index, "identifiers": it.identifiers})
        })
        .collect();
    json!({
        "name": it.name,
        "summary": it.summary,
        "digest": component.digest().to_string(),
        "bytes": component.size_bytes(),
        "contract": component.contract(),
        "parameters": it.parameters,
        "inputs": inputs,
        "outputs": outputs,
        "hints": {"memory_bytes": it.hints.memory_bytes},
        "imports": component.imports(),
        "capabilities": component.capabilities(),
    })
}

fn arity(it: Arity) -> &'static str {
    match it {
        Arity::One => "one",
        Arity::Optional => "optional",
        Arity::Many => "many",
    }
}

fn print(component: &Component) -> anyhow::Result<()> {
    let it = component.description();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: &str, name: &str, text: String| {
        rows.push(vec![what.to_owned(), name.to_owned(), text]);
    };
    row("task", &it.name, it.summary.clone());
    row("digest", "", component.digest().to_string());
    row("size", "", quantity::bytes(component.size_bytes()));
    row("contract", "", component.contract().to_owned());
    if let Some(memory) = it.hints.memory_bytes {
        row("memory", "", quantity::bytes(memory));
    }
    for (name, text) in parameters(it) {
        row("parameter", &name, text);
    }
    for it in &it.inputs {
        row("input", &it.name, format!("{} · {}", arity(it.arity), it.summary));
        for field in it.columns.fields() {
            row("", &format!("  {}", field.name()), data_type_name(field.data_type()));
        }
    }
    for it in &it.outputs {
        row("output", &it.name, it.summary.clone());
        for field in it.columns.iter().flat_map(|it| it.fields()) {
            let role = if it.time_index.as_ref() == Some(field.name()) {
                " · time index"
            } else if it.identifiers.contains(field.name()) {
                " · identifier"
            } else {
                ""
            };
            row("", &format!("  {}", field.name()), format!("{}{role}", data_type_name(field.data_type())));
        }
    }
    for it in component.imports() {
        row("import", "", it.clone());
    }
    let capabilities = component.capabilities();
    let none = "none: it computes from its parameters and inputs alone".to_owned();
    row("capabilities", "", if capabilities.is_empty() { none } else { capabilities.join(", ") });
    table_view::print(&["", "name", ""], rows)
}

/// Name, then type, default and summary of each parameter.
fn parameters(it: &TaskDescription) -> Vec<(String, String)> {
    let properties = it.parameters.get("properties").and_then(Value::as_object);
    let required = it.parameters.get("required").and_then(Value::as_array);
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
