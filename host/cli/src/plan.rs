//! `tidemill plan`: what would run, and what would be reused.

use std::path::Path;

use serde_json::{Value, json};
use tidemill_driver::{Preview, Prospect, preview};
use tidemill_lake::Lake;
use tidemill_plan::{Plan, PlanNode, Provenance, Work};

use crate::args::PlanArgs;
use crate::run::{Planned, plan_of};
use crate::{Ending, lake_dir, table_view};

pub(crate) fn plan(args: &PlanArgs) -> anyhow::Result<Ending> {
    let planned = plan_of(&args.of, 1)?;
    let in_memory = args.of.lake.dir() == Path::new(lake_dir::IN_MEMORY);
    let is_there = !in_memory && !args.of.force && args.of.lake.dir().is_dir();
    let lake: Option<Lake> = is_there.then(|| lake_dir::open_to_read(&args.of.lake)).transpose()?;
    let mut previews = preview(&planned.plan, lake.as_ref(), &planned.base);
    for (it, node) in previews.iter_mut().zip(&planned.plan.nodes) {
        if args.of.force || planned.recompute.contains(&node.name) {
            it.prospect = Prospect::Compute;
        }
    }
    if args.of.json {
        table_view::print_json(&to_json(&planned, &previews))?;
    } else {
        print(&planned, &previews)?;
    }
    Ok(Ending::Done)
}

fn prospect(it: Prospect) -> &'static str {
    match it {
        Prospect::Reuse => "reuse",
        Prospect::Compute => "compute",
        Prospect::Depends => "compute unless inputs come out as before",
    }
}

/// `port=value` pairs in the order of the plan.
fn inputs(plan: &Plan, node: &PlanNode) -> Vec<(String, Vec<String>)> {
    let name = |it: &tidemill_plan::Member| {
        let from = &plan.nodes[it.node];
        match from.outputs.len() {
            1 => from.name.clone(),
            _ => format!("{}.{}", from.name, from.outputs[it.output].port),
        }
    };
    node.inputs.iter().map(|it| (it.port.clone(), it.members.iter().map(name).collect())).collect()
}

fn to_json(planned: &Planned, previews: &[Preview]) -> Value {
    let plan = &planned.plan;
    let parameters: serde_json::Map<String, Value> = plan
        .parameters
        .iter()
        .map(|(name, it)| {
            let from = match it.provenance {
                Provenance::Default => "default",
                Provenance::Given => planned.lineage.parameters.get(name).map_or("set", String::as_str),
                Provenance::Set => "set",
            };
            (name.clone(), json!({"value": it.value, "from": from}))
        })
        .collect();
    let nodes: Vec<Value> = plan
        .nodes
        .iter()
        .zip(previews)
        .zip(&planned.selected)
        .map(|((node, preview), selected)| node_json(plan, node, preview, *selected))
        .collect();
    json!({"pipeline": plan.pipeline, "summary": plan.summary, "parameters": parameters, "window": plan.window, "nodes": nodes})
}

fn node_json(plan: &Plan, node: &PlanNode, preview: &Preview, is_selected: bool) -> Value {
    let (kind, task, component, parameters) = match &node.work {
        Work::Source(spec) => ("source", json!(spec.location()), Value::Null, Value::Null),
        Work::Task(it) => {
            ("task", json!(it.description.name), json!(it.digest.to_string()), (*it.parameters).clone())
        }
    };
    let tables: Vec<Value> = node
        .outputs
        .iter()
        .map(|it| json!({"port": it.port, "table": it.name, "id": it.id.to_string()}))
        .collect();
    let inputs: serde_json::Map<String, Value> =
        inputs(plan, node).into_iter().map(|(port, members)| (port, json!(members))).collect();
    let key: serde_json::Map<String, Value> = node.key.iter().cloned().collect();
    json!({
        "node": node.name, "kind": kind, "task": task, "component": component, "parameters": parameters,
        "key": key, "inputs": inputs, "tables": tables, "selected": is_selected,
        "prospect": match preview.prospect {
            Prospect::Reuse => "reuse",
            Prospect::Compute => "compute",
            Prospect::Depends => "depends",
        },
        "cache_key": preview.cache_key.map(|it| it.to_string()),
        "problem": preview.failure.as_ref().map(|it| json!({"code": it.code.0, "what": it.what, "mend": it.mend})),
        "cpus": f64::from(node.resources.cpus_milli) / 1000.0, "memory_bytes": node.resources.memory_bytes,
        "timeout_ms": node.timeout_ms, "priority": node.priority,
    })
}

fn print(planned: &Planned, previews: &[Preview]) -> anyhow::Result<()> {
    let plan = &planned.plan;
    let mut rows = Vec::new();
    for ((node, preview), selected) in plan.nodes.iter().zip(previews).zip(&planned.selected) {
        if !selected {
            continue;
        }
        let (task, parameters) = match &node.work {
            Work::Source(spec) => (spec.location().to_owned(), String::new()),
            Work::Task(it) => (it.description.name.clone(), pairs(&it.parameters)),
        };
        let inputs =
            inputs(plan, node).into_iter().map(|(port, members)| format!("{port}={}", shorten(&members)));
        let key = preview.cache_key.map(|it| it.short()).unwrap_or_default();
        let tables = node.outputs.iter().map(|it| it.name.0.as_str()).collect::<Vec<_>>().join("\n");
        let inputs = inputs.collect::<Vec<_>>().join(" ");
        let prospect = prospect(preview.prospect).to_owned();
        rows.push(vec![node.name.clone(), task, parameters, inputs, prospect, key, tables]);
    }
    table_view::print(
        &["node", "task or path", "parameters", "inputs", "would", "cache key", "tables"],
        rows,
    )?;
    let of_run =
        || previews.iter().zip(&planned.selected).filter(|(_, selected)| **selected).map(|(it, _)| it);
    let number = |it: Prospect| of_run().filter(|preview| preview.prospect == it).count();
    let total = planned.selected.iter().filter(|it| **it).count();
    let (reuse, compute, depends) =
        (number(Prospect::Reuse), number(Prospect::Compute), number(Prospect::Depends));
    crate::complain::talk!(
        "{total} nodes: {reuse} reused, {compute} computed, {depends} computed unless their inputs come out as before"
    );
    for failure in of_run().filter_map(|it| it.failure.as_ref()) {
        crate::complain::talk!("warning: a run would fail: {failure}");
    }
    Ok(())
}

/// A family's members shown by their number.
fn shorten(members: &[String]) -> String {
    const SHOWN: usize = 3;
    match members.len() {
        0..=SHOWN => members.join(","),
        count => format!("{},… ({count})", members[..SHOWN - 1].join(",")),
    }
}

fn pairs(parameters: &Value) -> String {
    let pairs = parameters.as_object().into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}
