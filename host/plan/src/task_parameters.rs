//! Fits a node's parameters to the JSON Schema that its task declares: defaults filled in, numbers by type, then
//! judged in full.

use std::cell::Cell;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use crate::field::whole;
use crate::task_schema;

/// Nested schemas followed at most this deep; a schema may refer to itself.
const DEPTH_MAX: usize = 64;

/// Schemas applied at most to the parameters of one node. Defaults that contain each other could double at each
/// level; no honest schema comes near.
const FILLS_MAX: usize = 100_000;

/// Misfits told of one node.
const ERRORS_MAX: usize = 20;

/// A task's schema, compiled once for all nodes that use it.
#[derive(Debug)]
pub(crate) struct TaskSchema {
    schema: Value,
    validator: jsonschema::Validator,
    fills_left: Cell<usize>,
}

/// One way in which parameters do not fit.
#[derive(Debug)]
pub(crate) struct Unfit {
    /// The parameter, when it is about one.
    pub(crate) parameter: Option<String>,
    /// Where in its value, as `[0].b`; empty for the whole.
    pub(crate) path: String,
    pub(crate) what: String,
}

impl TaskSchema {
    /// Errors: why the schema is none.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        task_schema::check(schema)?;
        let validator = jsonschema::draft202012::new(schema).map_err(|it| it.to_string())?;
        Ok(Self { schema: schema.clone(), validator, fills_left: Cell::new(0) })
    }

    /// Names of the parameters.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|it| it.keys())
            .map(String::as_str)
    }

    /// Whether only named parameters are allowed. Tasks that leave this open still name theirs; free ones must be
    /// allowed on purpose.
    pub(crate) fn others(&self) -> Others {
        match self.schema.get("additionalProperties") {
            None | Some(Value::Bool(false)) => Others::Refused,
            Some(_) => Others::Allowed,
        }
    }

    /// The parameters in canonical form.
    pub(crate) fn fit(&self, parameters: Map<String, Value>) -> Result<Value, Vec<Unfit>> {
        self.fills_left.set(FILLS_MAX);
        let value = self.fill(&self.schema, Value::Object(parameters), 0);
        if self.validator.is_valid(&value) {
            return Ok(value);
        }
        // Unknown parameters are told by name, once for a whole family.
        let is_told = |it: &ValidationError<'_>| {
            it.instance_path().as_str().is_empty()
                && matches!(it.kind(), ValidationErrorKind::AdditionalProperties { .. })
        };
        let errors = self.validator.iter_errors(&value).filter(|it| !is_told(it));
        Err(errors.take(ERRORS_MAX).map(|it| unfit(it.instance_path().as_str(), &it.to_string())).collect())
    }

    /// Follows `$ref` within the schema.
    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let mut schema = schema;
        for _ in 0..DEPTH_MAX {
            let target = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix('#'));
            match target.and_then(|it| self.schema.pointer(it)) {
                Some(found) => schema = found,
                None => break,
            }
        }
        schema
    }

    fn fill(&self, schema: &Value, value: Value, depth: usize) -> Value {
        let left = self.fills_left.get();
        if depth > DEPTH_MAX || left == 0 {
            return value;
        }
        self.fills_left.set(left - 1);
        let schema = self.resolve(schema);
        let mut value = by_type(schema, value);
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            value = self.fill(part, value, depth + 1);
        }
        for key in ["anyOf", "oneOf"] {
            let branches = schema.get(key).and_then(Value::as_array).into_iter().flatten();
            let mut filled = branches
                .filter(|it| self.resembles(it, &value))
                .map(|it| self.fill(it, value.clone(), depth + 1));
            if let Some(first) = filled.next() {
                value = first;
            }
        }
        match value {
            Value::Object(table) => Value::Object(self.fill_table(schema, table, depth)),
            Value::Array(items) => Value::Array(self.fill_items(schema, items, depth)),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
        }
    }

    fn fill_table(&self, schema: &Value, mut table: Map<String, Value>, depth: usize) -> Map<String, Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let default =
                || property.get("default").or_else(|| self.resolve(property).get("default")).cloned();
            if let Some(value) = table.remove(name).or_else(default) {
                table.insert(name.clone(), self.fill(property, value, depth + 1));
            }
        }
        if let Some(others @ Value::Object(_)) = schema.get("additionalProperties") {
            let named = |name: &String| properties.is_some_and(|it| it.contains_key(name));
            for (_, value) in table.iter_mut().filter(|(name, _)| !named(name)) {
                *value = self.fill(others, value.take(), depth + 1);
            }
        }
        table
    }

    fn fill_items(&self, schema: &Value, items: Vec<Value>, depth: usize) -> Vec<Value> {
        let prefix = schema.get("prefixItems").and_then(Value::as_array);
        let rest = schema.get("items");
        let fill = |(index, item): (usize, Value)| match prefix.and_then(|it| it.get(index)).or(rest) {
            Some(schema) => self.fill(schema, item, depth + 1),
            None => item,
        };
        items.into_iter().enumerate().map(fill).collect()
    }

    /// Whether a branch of a union is probably the one meant: the type fits, and constants of a tag agree.
    fn resembles(&self, schema: &Value, value: &Value) -> bool {
        let schema = self.resolve(schema);
        let types =
            schema.get("type").map(|it| it.as_array().map_or_else(|| vec![it], |it| it.iter().collect()));
        let type_fits = types.is_none_or(|it| it.iter().any(|it| is_type(it.as_str().unwrap_or(""), value)));
        let constant_fits = schema.get("const").is_none_or(|it| it == value);
        let choice_fits = schema.get("enum").and_then(Value::as_array).is_none_or(|it| it.contains(value));
        let properties = schema.get("properties").and_then(Value::as_object);
        let tags_fit = properties.into_iter().flatten().all(|(name, property)| {
            property.get("const").is_none_or(|it| value.get(name).is_none_or(|found| found == it))
        });
        type_fits && constant_fits && choice_fits && tags_fit
    }
}

/// Whether parameters beyond the named ones are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    Allowed,
    Refused,
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => whole(value).is_some(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

/// `1` for a number is `1.0`, `60.0` for an integer is `60`.
fn by_type(schema: &Value, value: Value) -> Value {
    let Value::Number(number) = &value else { return value };
    let Some(types) = schema.get("type") else { return value };
    let names =
        |name: &str| types == name || types.as_array().is_some_and(|it| it.iter().any(|it| it == name));
    if names("integer") {
        let whole = whole(&value);
        let small = whole.and_then(|it| i64::try_from(it).ok()).map(Value::from);
        return small
            .or_else(|| whole.and_then(|it| u64::try_from(it).ok()).map(Value::from))
            .unwrap_or(value);
    }
    if names("number") {
        let float = number.as_f64().and_then(serde_json::Number::from_f64);
        return float.map_or(value, Value::Number);
    }
    value
}

/// From a JSON pointer and the validator's sentence.
fn unfit(pointer: &str, said: &str) -> Unfit {
    let mut steps = pointer.split('/').skip(1).map(|it| it.replace("~1", "/").replace("~0", "~"));
    let parameter = steps.next();
    let step = |it: String| if it.parse::<usize>().is_ok() { format!("[{it}]") } else { format!(".{it}") };
    Unfit { parameter, path: steps.map(step).collect(), what: said.replace('"', "`") }
}
