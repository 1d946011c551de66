//! A pipeline file as a tree of values with positions, whatever its syntax.

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use crate::json_tree;
use crate::text::{Offset, Problems, Text};
use crate::{Code, Problem};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    pub(crate) at: Offset,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Boolean(bool),
    Number(Number),
    String(String),
    /// A date or a date with a time, as TOML prints it.
    Datetime(String),
    List(Vec<Tree>),
    /// In the order of the file.
    Table(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Offset,
    pub(crate) value: Tree,
}

impl Tree {
    /// What it is, for people.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Boolean(_) => "a boolean",
            Kind::Number(it) if it.is_f64() => "a number",
            Kind::Number(_) => "an integer",
            Kind::String(_) => "a string",
            Kind::Datetime(_) => "a date or time",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Boolean(it) => Value::Bool(*it),
            Kind::Number(it) => Value::Number(it.clone()),
            Kind::String(it) | Kind::Datetime(it) => Value::String(it.clone()),
            Kind::List(it) => Value::Array(it.iter().map(Self::to_value).collect()),
            Kind::Table(it) => Value::Object(
                it.iter().map(|it| (it.key.clone(), it.value.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Reads the text as TOML or, when the file's name ends in `.json`, JSON.
pub(crate) fn read(text: &str, source: &Text) -> Result<Vec<Entry>, Vec<Problem>> {
    let mut problems = Problems::new(source);
    let is_json = std::path::Path::new(&source.file).extension().is_some_and(|it| it == "json");
    let tree = if is_json { json_tree::read(text, &mut problems) } else { read_toml(text, &mut problems) };
    let tree = problems.into_result(tree)?;
    match tree.kind {
        Kind::Table(entries) => Ok(entries),
        Kind::Null
        | Kind::Boolean(_)
        | Kind::Number(_)
        | Kind::String(_)
        | Kind::Datetime(_)
        | Kind::List(_) => {
            let mut problems = Problems::new(source);
            let what = format!("the pipeline is {}, not a table", tree.kind_name());
            problems.add(tree.at, Code("wrong-type"), what, "write an object with `nodes`");
            problems.into_result(Vec::new())
        }
    }
}

fn read_toml(text: &str, problems: &mut Problems<'_>) -> Tree {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |it| it.start);
        let what = format!("not TOML: {}", error.message().replace('\n', ", "));
        problems.add(
            at,
            Code("malformed-file"),
            what,
            "correct the syntax at this place; see https://toml.io",
        );
    }
    from_table(table.get_ref(), 0, problems)
}

fn from_table(table: &DeTable<'_>, at: Offset, problems: &mut Problems<'_>) -> Tree {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_at: key.span().start,
            value: from_toml(value.get_ref(), value.span().start, problems),
        })
        .collect();
    // The parser's map is ordered by name.
    entries.sort_by_key(|it| it.key_at);
    Tree { at, kind: Kind::Table(entries) }
}

fn from_toml(value: &DeValue<'_>, at: Offset, problems: &mut Problems<'_>) -> Tree {
    let kind = match value {
        DeValue::String(it) => Kind::String(it.to_string()),
        DeValue::Integer(it) => match i64::from_str_radix(it.as_str(), it.radix()) {
            Ok(it) => Kind::Number(it.into()),
            Err(_) => not_a_number(at, &it.to_string(), problems),
        },
        DeValue::Float(it) => match it.as_str().parse().ok().and_then(Number::from_f64) {
            Some(it) => Kind::Number(it),
            None => not_a_number(at, it.as_str(), problems),
        },
        DeValue::Boolean(it) => Kind::Boolean(*it),
        DeValue::Datetime(it) => Kind::Datetime(it.to_string()),
        DeValue::Array(it) => {
            Kind::List(it.iter().map(|it| from_toml(it.get_ref(), it.span().start, problems)).collect())
        }
        DeValue::Table(it) => return from_table(it, at, problems),
    };
    Tree { at, kind }
}

fn not_a_number(at: Offset, text: &str, problems: &mut Problems<'_>) -> Kind {
    let what = format!("`{text}` is not a finite number of 64 bits");
    problems.add(at, Code("malformed-file"), what, "use a smaller, finite number");
    Kind::Null
}
