//! Pipelines in, problems or plans out. This file alone knows the API; the topics are in `tests/`.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use expect_test::Expect;
use serde_json::{Map, Value, json};

use crate::nearest::did_you_mean;
use crate::{
    Arity, Catalog, CatalogEntry, Code, Digest, Hints, InputPort, Machine, OutputPort, Plan, Problem,
    Request, TaskDescription, Time, Window, Work, parse, plan,
};

mod expressions;
mod families;
mod file_rules;
mod identities;
mod inputs;
mod mirrors;
mod parameters;
mod reading;
mod schema;
mod settings;
mod sweeps;
mod task_parameters;

/// Tasks of the tests.
struct Tasks;

fn port(name: &str, arity: Arity, columns: &[(&str, DataType)]) -> InputPort {
    InputPort { name: name.to_owned(), summary: String::new(), arity, columns: columns_of(columns) }
}

fn output(name: &str, columns: Option<&[(&str, DataType)]>) -> OutputPort {
    OutputPort {
        name: name.to_owned(),
        summary: String::new(),
        columns: columns.map(columns_of),
        time_index: Some("time".to_owned()),
        identifiers: Vec::new(),
    }
}

fn columns_of(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn description(name: &str) -> Option<TaskDescription> {
    let close = [("close", DataType::Float64)];
    let made = [("time", time()), ("value", DataType::Float64)];
    let value = [("value", DataType::Float64)];
    let free = json!({"type": "object", "additionalProperties": true});
    let (parameters, inputs, outputs) = match name {
        "returns" => {
            (returns_schema(), vec![port("prices", Arity::One, &close)], vec![output("output", Some(&made))])
        }
        "leg" => (
            json!({"type": "object", "properties": {"window": {"type": "integer"}}, "required": ["window"]}),
            vec![port("returns", Arity::One, &value)],
            vec![output("output", Some(&made))],
        ),
        "portfolio" => (
            json!({"type": "object"}),
            vec![
                port("legs", Arity::Many, &value),
                port("benchmark", Arity::Optional, &[("level", DataType::Float64)]),
            ],
            vec![output("index", Some(&made)), output("statistics", None)],
        ),
        "free" => (free, vec![port("tables", Arity::Many, &[])], vec![output("output", None)]),
        "make" => (free, vec![], vec![output("output", None)]),
        _ => return None,
    };
    let hints = Hints { memory_bytes: (name == "portfolio").then_some(1 << 30) };
    Some(TaskDescription {
        name: name.to_owned(),
        summary: String::new(),
        parameters,
        inputs,
        outputs,
        hints,
    })
}

/// As schemars writes it.
fn returns_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "days": {"type": "integer", "format": "uint32", "minimum": 1, "default": 1},
            "alpha": {"type": "number", "format": "double", "default": 0.5},
            "label": {"type": ["string", "null"]},
            "scale": {"$ref": "#/$defs/Scale", "default": {"by": 1}},
            "limit": {"anyOf": [{"$ref": "#/$defs/Limit"}, {"type": "null"}]},
            "weights": {"type": "array", "items": {"type": "number"}, "default": []},
        },
        "$defs": {
            "Scale": {
                "type": "object",
                "properties": {"by": {"type": "number"}, "center": {"type": "boolean", "default": true}},
                "required": ["by"],
            },
            "Limit": {"type": "object", "properties": {"at": {"type": "number"}}, "required": ["at"]},
        },
        "additionalProperties": false,
    })
}

impl Catalog for Tasks {
    fn find(&self, reference: &str) -> Result<CatalogEntry, Problem> {
        let found = description(reference).map(Arc::new);
        found
            .map(|description| CatalogEntry { digest: Digest::of(reference.as_bytes()), description })
            .ok_or_else(|| {
                let known = ["returns", "leg", "portfolio", "free", "make"];
                let what = format!("there is no component of task `{reference}`");
                Problem::new(Code("unknown-task"), what, did_you_mean(reference, "task", known))
            })
    }
}

fn request(sets: &[&str]) -> Request {
    Request {
        sets: sets.iter().map(|it| (*it).to_owned()).collect(),
        parameters: Map::new(),
        window: Window { start: Some(Time::parse("2020-01-02").unwrap()), end: None, as_of: None },
        machine: Machine { cpus_milli: 4000, memory_bytes: 8 << 30 },
    }
}

fn plan_of(text: &str, sets: &[&str]) -> Result<Plan, Vec<Problem>> {
    plan_file(text, "pipeline.toml", sets)
}

fn plan_file(text: &str, file: &str, sets: &[&str]) -> Result<Plan, Vec<Problem>> {
    plan(&parse(text, file)?, &request(sets), &Tasks)
}

fn good(text: &str, sets: &[&str]) -> Plan {
    plan_of(text, sets).unwrap_or_else(|problems| panic!("{}", told(&problems)))
}

fn told(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |mut text, it| {
        writeln!(text, "{it}").unwrap();
        text
    })
}

/// What a plan would run: a line for each node, with the members that it reads.
fn shown(plan: &Plan) -> String {
    let mut text = String::new();
    for node in &plan.nodes {
        write!(text, "{}", node.name).unwrap();
        if let Work::Task(task) = &node.work {
            write!(text, " {}", task.parameters).unwrap();
        }
        for input in &node.inputs {
            let name = |it: &crate::Member| {
                let node = &plan.nodes[it.node];
                let port = &node.outputs[it.output].port;
                if port == "output" { node.name.clone() } else { format!("{}.{port}", node.name) }
            };
            let members: Vec<String> = input.members.iter().map(name).collect();
            write!(text, " {}=({})", input.port, members.join(", ")).unwrap();
        }
        text.push('\n');
    }
    text
}

/// The nodes of the pipeline's plan, or the problems of the pipeline. `[pipeline]` is put on the first line.
#[track_caller]
fn check(text: &str, expected: Expect) {
    check_set(text, &[], expected);
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "`expect![…]` reads best where it is checked")]
fn check_set(text: &str, sets: &[&str], expected: Expect) {
    expected.assert_eq(&match plan_of(&with_header(text), sets) {
        Ok(plan) => shown(&plan),
        Err(problems) => told(&problems),
    });
}

fn with_header(text: &str) -> String {
    format!("pipeline = {{ name = \"p\" }}\n{}", text.trim_start_matches('\n'))
}
