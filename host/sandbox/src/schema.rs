//! Schemas as the contract's flattened fields, and back. What comes from a guest is bounded and checked here.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use crate::format::{self, Shape};
use crate::wire::{FieldRecord, SchemaRecord};

/// Deepest nesting of types; the walk over them recurses.
const DEPTH_MAX: u32 = 32;
/// Most fields of a schema, nested ones included.
const FIELDS_MAX: usize = 16_384;
/// Longest column name (bytes).
const NAME_BYTES_MAX: usize = 1024;

const DICTIONARY_ORDERED: u32 = 1;
const MAP_KEYS_SORTED: u32 = 4;

type Metadata = Vec<(String, String)>;

/// Flattens a schema; the error names the column whose type does not cross.
pub(crate) fn to_record(schema: &Schema) -> Result<SchemaRecord, String> {
    let mut fields = Vec::with_capacity(schema.fields.len());
    for field in schema.fields() {
        flatten(field, &mut fields).map_err(|data_type| {
            format!("column `{}` has the type {data_type}, which tasks cannot read", field.name())
        })?;
    }
    Ok(SchemaRecord { fields, metadata: sorted(schema.metadata()) })
}

fn flatten(field: &Field, records: &mut Vec<FieldRecord>) -> Result<(), DataType> {
    let data_type = field.data_type();
    let format = format::encode(data_type).ok_or_else(|| data_type.clone())?;
    let values = if let DataType::Dictionary(_, values) = data_type { Some(values) } else { None };
    let children = children_of(data_type);
    let mut flags = 0;
    if matches!(data_type, DataType::Map(_, true)) {
        flags |= MAP_KEYS_SORTED;
    }
    if field.dict_is_ordered() == Some(true) {
        flags |= DICTIONARY_ORDERED;
    }
    records.push(FieldRecord {
        name: field.name().clone(),
        format,
        nullable: field.is_nullable(),
        metadata: sorted(field.metadata()),
        children: u32::try_from(children.len()).map_err(|_too_many| data_type.clone())?,
        dictionary: values.is_some(),
        flags,
    });
    for child in children {
        flatten(child, records)?;
    }
    if let Some(values) = values {
        flatten(&Field::new("", values.as_ref().clone(), true), records)?;
    }
    Ok(())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most types are flat")]
fn children_of(data_type: &DataType) -> Vec<&Field> {
    match data_type {
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => vec![child],
        DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    }
}

fn sorted(metadata: &HashMap<String, String>) -> Metadata {
    let mut pairs: Metadata = metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    pairs.sort();
    pairs
}

/// Reads a flattened schema; the error says which field is wrong, and how.
pub(crate) fn from_record(record: &SchemaRecord) -> Result<SchemaRef, String> {
    if record.fields.len() > FIELDS_MAX {
        return Err(format!("{} fields are more than {FIELDS_MAX}", record.fields.len()));
    }
    let mut rest = record.fields.as_slice();
    let mut fields: Vec<Field> = Vec::new();
    let mut names = std::collections::HashSet::new();
    while let Some(first) = rest.first() {
        if first.name.is_empty() {
            return Err(format!("column {} has no name", fields.len()));
        }
        if !names.insert(first.name.as_str()) {
            return Err(format!("column `{}` is there twice", first.name));
        }
        let field = unflatten(&mut rest, 0).map_err(|what| format!("column `{}`: {what}", first.name))?;
        fields.push(field);
    }
    let metadata: HashMap<String, String> = record.metadata.iter().cloned().collect();
    Ok(Arc::new(Schema::new_with_metadata(Fields::from(fields), metadata)))
}

fn unflatten(rest: &mut &[FieldRecord], depth: u32) -> Result<Field, String> {
    if depth >= DEPTH_MAX {
        return Err(format!("it is nested deeper than {DEPTH_MAX}"));
    }
    let (record, others) = rest.split_first().ok_or("a child is missing")?;
    *rest = others;
    if record.name.len() > NAME_BYTES_MAX {
        return Err(format!("its name is longer than {NAME_BYTES_MAX} bytes"));
    }
    let shape = format::decode(&record.format)
        .ok_or_else(|| format!("the format `{}` is not one that crosses", record.format.escape_debug()))?;
    if let Some(expected) = shape.children()
        && expected != record.children
    {
        return Err(format!(
            "the format `{}` has {expected} children, not {}",
            record.format, record.children
        ));
    }
    let mut children = Vec::new();
    for _ in 0..record.children {
        children.push(Arc::new(unflatten(rest, depth + 1)?));
    }
    let mut data_type = nest(shape, children, record.flags)?;
    if record.dictionary {
        if !data_type.is_dictionary_key_type() {
            return Err(format!("a dictionary's keys cannot be {data_type}"));
        }
        let values = unflatten(rest, depth + 1)?;
        data_type = DataType::Dictionary(Box::new(data_type), Box::new(values.data_type().clone()));
    }
    let mut field = Field::new(&record.name, data_type, record.nullable)
        .with_metadata(record.metadata.iter().cloned().collect());
    if record.dictionary && record.flags & DICTIONARY_ORDERED != 0 {
        field = field.with_dict_is_ordered(true);
    }
    Ok(field)
}

fn nest(shape: Shape, mut children: Vec<Arc<Field>>, flags: u32) -> Result<DataType, String> {
    let mut only = || children.pop().ok_or("a child is missing");
    Ok(match shape {
        Shape::Flat(data_type) => data_type,
        Shape::List => DataType::List(only()?),
        Shape::LargeList => DataType::LargeList(only()?),
        Shape::FixedSizeList(length) => DataType::FixedSizeList(only()?, length),
        Shape::Map => {
            let entries = only()?;
            if !matches!(entries.data_type(), DataType::Struct(fields) if fields.len() == 2) {
                return Err("the entries of a map are a struct of key and value".into());
            }
            DataType::Map(entries, flags & MAP_KEYS_SORTED != 0)
        }
        Shape::Struct => DataType::Struct(Fields::from(children)),
    })
}

#[cfg(test)]
mod tests;
