//! The JSON Schema of a pipeline file, made from the structs that the file is read into.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::cell::Cell;
use crate::field::{Field, Setting};
use crate::fields::Entries;
use crate::file::{ColumnDecl, Literal, PipelineFile};
use crate::reference::References;
use crate::text::At;

/// JSON Schema (2020-12) of a pipeline file; committed as `host/plan/pipeline.schema.json`.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<PipelineFile>().to_value();
    if let Some(table) = schema.as_object_mut() {
        table.insert("title".to_owned(), json!("Tidemill pipeline"));
    }
    without_null(&mut schema);
    schema
}

/// TOML has no null: an optional key is absent.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(table) => {
            table.values_mut().for_each(without_null);
            if let Some(Value::Array(options)) = table.get_mut("anyOf") {
                options.retain(|it| *it != json!({"type": "null"}));
                if let [only] = options.as_slice() {
                    let only = only.clone();
                    table.remove("anyOf");
                    table.extend(only.as_object().cloned().unwrap_or_default());
                }
            }
            if let Some(Value::Array(types)) = table.get_mut("type") {
                types.retain(|it| it != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    table.insert("type".to_owned(), only);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A string with an expression in it.
fn expression() -> Value {
    json!({"type": "string", "pattern": "\\{\\{.*\\}\\}"})
}

fn reference() -> Value {
    json!({
        "anyOf": [
            {"type": "string", "description": "`node`, `node.port` or `family[key=value]`"},
            {
                "type": "object",
                "properties": {
                    "node": {"type": "string", "description": "A node, a family or a source."},
                    "port": {"type": "string", "description": "Output port, where the task has several."},
                    "where": {
                        "type": "object",
                        "description": "Members wanted: a value, or a list of values, for keys of the family.",
                    },
                },
                "required": ["node"],
                "additionalProperties": false,
            },
        ],
    })
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).expect("only objects are passed")
}

macro_rules! inline {
    ($([$($generics:tt)*] $type:ty, |$generator:ident| $schema:expr;)*) => {$(
        impl<$($generics)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

inline! {
    [T: JsonSchema] At<T>, |generator| T::json_schema(generator);
    [T: Setting] Literal<T>, |_generator| schema(T::schema());
    [T: Setting] Field<T>, |_generator| schema(json!({"anyOf": [T::schema(), expression()]}));
    [] Cell, |_generator| schema(json!({}));
    [T: JsonSchema] Entries<T>, |generator| {
        let value = generator.subschema_for::<T>();
        schema(json!({"type": "object", "additionalProperties": value}))
    };
    [] References, |_generator| {
        let one = reference();
        schema(json!({"anyOf": [one, {"type": "array", "items": one}]}))
    };
    [] ColumnDecl, |_generator| {
        let pattern = "^(boolean|u?int(8|16|32|64)|float(32|64)|(large_)?utf8|binary|date32|\
                       timestamp\\[(s|ms|us|ns)(, ?.+)?\\]|decimal128\\(.+,.+\\))$";
        let data_type = json!({"type": "string", "pattern": pattern, "examples": ["float64", "timestamp[us, UTC]"]});
        schema(json!({
            "anyOf": [
                data_type,
                {
                    "type": "object",
                    "properties": {
                        "type": data_type,
                        "finite": {"type": "boolean", "description": "Refuse NaN and infinities.", "default": false},
                        "nullable": {"type": "boolean", "description": "Allow nulls.", "default": true},
                    },
                    "required": ["type"],
                    "additionalProperties": false,
                },
            ],
        }))
    };
}
