//! Whether the schema that a task declares can be worked with: it comes from a guest, and must not make the host
//! recurse without end or look outside of the schema.

use std::collections::HashMap;

use serde_json::Value;

/// Keywords that apply other schemas to the same value.
const IN_PLACE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const IN_PLACE: [&str; 4] = ["not", "if", "then", "else"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Open,
    Done,
}

/// Errors: why the schema is refused.
pub(crate) fn check(schema: &Value) -> Result<(), String> {
    if !schema.is_object() {
        return Err("it is no object".to_owned());
    }
    let mut seen = HashMap::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(table) => {
                if let Some(key) = ["$dynamicRef", "$recursiveRef"].iter().find(|it| table.contains_key(**it))
                {
                    return Err(format!("`{key}` is not supported"));
                }
                ends(schema, value, &mut seen)?;
                open.extend(table.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(())
}

/// Follows what applies to the same value; coming back to where it began would never end.
fn ends<'s>(
    root: &'s Value,
    schema: &'s Value,
    seen: &mut HashMap<*const Value, Seen>,
) -> Result<(), String> {
    let id = std::ptr::from_ref(schema);
    match seen.get(&id) {
        Some(Seen::Done) => return Ok(()),
        Some(Seen::Open) => return Err("it refers to itself without end".to_owned()),
        None => {}
    }
    seen.insert(id, Seen::Open);
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|it| root.pointer(it));
        let target = target.ok_or_else(|| format!("`$ref` `{reference}` is not within it"))?;
        ends(root, target, seen)?;
    }
    for key in IN_PLACE_LISTS {
        for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            ends(root, part, seen)?;
        }
    }
    for key in IN_PLACE {
        if let Some(part) = schema.get(key) {
            ends(root, part, seen)?;
        }
    }
    seen.insert(id, Seen::Done);
    Ok(())
}
