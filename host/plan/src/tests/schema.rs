//! The JSON Schema of a pipeline file.

use expect_test::expect_file;
use serde_json::Value;

use crate::json_schema;

/// Every key that a pipeline file knows.
const SAMPLE: &str = include_str!("sample.toml");

fn sample() -> Value {
    let tree = crate::tree::read(SAMPLE, &crate::text::Text::new(SAMPLE, "sample.toml")).unwrap();
    Value::Object(tree.into_iter().map(|it| (it.key, it.value.to_value())).collect())
}

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    let text = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    expect_file!["../../pipeline.schema.json"].assert_eq(&text);
}

#[test]
fn a_full_sample_passes_the_schema() {
    let validator = jsonschema::draft202012::new(&json_schema()).unwrap();
    let sample = sample();
    let errors: Vec<String> = validator.iter_errors(&sample).map(|it| it.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn the_full_sample_is_planned() {
    assert_eq!(super::good(SAMPLE, &["windows=[20, 60]"]).nodes.len(), 6);
}

#[test]
fn the_schema_refuses_what_the_planner_refuses() {
    let validator = jsonschema::draft202012::new(&json_schema()).unwrap();
    let changes: [(&str, Value); 6] = [
        ("/nodes/leg/timeout", "10".into()),
        ("/nodes/leg/write_mode", "apend".into()),
        ("/nodes/leg/retry/policy", "often".into()),
        ("/nodes/leg/resources", serde_json::json!({"cpu": 1})),
        ("/sources/prices/columns/close", "flaot".into()),
        ("/parameters/windows/type", "lst".into()),
    ];
    for (pointer, value) in changes {
        let mut sample = sample();
        *sample.pointer_mut(pointer).unwrap() = value;
        assert!(!validator.is_valid(&sample), "{pointer}");
    }
}

/// A key read by the code but not in the schema, or the reverse, would let editors and the planner disagree.
#[test]
fn the_sample_uses_every_key_of_the_schema() {
    let schema = json_schema();
    let sample = SAMPLE.to_owned();
    let mut missing = Vec::new();
    visit(&schema, &mut |key| {
        if !sample.contains(&format!("{key} ="))
            && !sample.contains(&format!("[{key}"))
            && !sample.contains(&format!(".{key}]"))
        {
            missing.push(key.to_owned());
        }
    });
    assert_eq!(missing, Vec::<String>::new());
}

fn visit(schema: &Value, see: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(table) => {
            for key in table.get("properties").and_then(Value::as_object).into_iter().flat_map(|it| it.keys())
            {
                see(key);
            }
            table.values().for_each(|it| visit(it, see));
        }
        Value::Array(items) => items.iter().for_each(|it| visit(it, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
