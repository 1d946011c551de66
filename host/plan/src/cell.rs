//! Values that may hold `{{ }}` expressions, split into text and expressions once. Evaluates nothing.

use serde_json::{Map, Value};

use crate::Code;
use crate::text::{At, Offset, Problems};
use crate::tree::{Kind, Tree};

/// A value of the file. Whatever holds no expression is `Literal`, however deep.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Literal(Value),
    /// A string that is exactly one expression: the result keeps its type.
    Expression(At<String>),
    Text(Vec<Part>),
    List(Vec<Cell>),
    Table(Vec<(String, Cell)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Literal(String),
    Expression(At<String>),
}

impl Cell {
    pub(crate) fn of(tree: &Tree, problems: &mut Problems<'_>) -> Self {
        match &tree.kind {
            Kind::String(text) => Self::of_text(text, tree.at, problems),
            Kind::List(items) => {
                let cells: Vec<Self> = items.iter().map(|it| Self::of(it, problems)).collect();
                if cells.iter().all(Self::is_literal) {
                    Self::Literal(tree.to_value())
                } else {
                    Self::List(cells)
                }
            }
            Kind::Table(entries) => {
                let cells: Vec<(String, Self)> =
                    entries.iter().map(|it| (it.key.clone(), Self::of(&it.value, problems))).collect();
                if cells.iter().all(|(_, it)| it.is_literal()) {
                    Self::Literal(tree.to_value())
                } else {
                    Self::Table(cells)
                }
            }
            Kind::Null | Kind::Boolean(_) | Kind::Number(_) | Kind::Datetime(_) => {
                Self::Literal(tree.to_value())
            }
        }
    }

    pub(crate) fn of_text(text: &str, at: Offset, problems: &mut Problems<'_>) -> Self {
        let parts = match parts(text, at) {
            Ok(parts) => parts,
            Err(Unclosed) => {
                let what = format!("`{text}` opens `{{{{` and never closes it");
                let mend = "close the expression with `}}`; literal braces are written `{{ \"{{\" }}`";
                problems.add(at, Code("bad-expression"), what, mend);
                return Self::Literal(Value::Null);
            }
        };
        match <[Part; 1]>::try_from(parts) {
            Ok([Part::Expression(it)]) => Self::Expression(it),
            Ok([Part::Literal(it)]) => Self::Literal(Value::String(it)),
            Err(parts) if parts.is_empty() => Self::Literal(Value::String(String::new())),
            Err(parts) => Self::Text(parts),
        }
    }

    pub(crate) fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// Every expression within.
    pub(crate) fn visit<'a>(&'a self, see: &mut impl FnMut(&'a At<String>)) {
        match self {
            Self::Literal(_) => {}
            Self::Expression(it) => see(it),
            Self::Text(parts) => {
                for part in parts {
                    if let Part::Expression(it) = part {
                        see(it);
                    }
                }
            }
            Self::List(cells) => cells.iter().for_each(|it| it.visit(see)),
            Self::Table(cells) => cells.iter().for_each(|(_, it)| it.visit(see)),
        }
    }

    /// The value, each expression computed by `eval`.
    pub(crate) fn render<E>(
        &self,
        eval: &mut impl FnMut(&At<String>) -> Result<Value, E>,
    ) -> Result<Value, E> {
        Ok(match self {
            Self::Literal(it) => it.clone(),
            Self::Expression(it) => eval(it)?,
            Self::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(it) => text += it,
                        Part::Expression(it) => text += &plain(&eval(it)?),
                    }
                }
                Value::String(text)
            }
            Self::List(cells) => {
                Value::Array(cells.iter().map(|it| it.render(eval)).collect::<Result<_, E>>()?)
            }
            Self::Table(cells) => {
                let mut table = Map::new();
                for (key, cell) in cells {
                    table.insert(key.clone(), cell.render(eval)?);
                }
                Value::Object(table)
            }
        })
    }
}

/// Strings bare, everything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

struct Unclosed;

fn parts(text: &str, at: Offset) -> Result<Vec<Part>, Unclosed> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, after) =
            after.split_at_checked(end_of_expression(after).ok_or(Unclosed)?).ok_or(Unclosed)?;
        if !before.is_empty() {
            parts.push(Part::Literal(before.to_owned()));
        }
        parts.push(Part::Expression(At::new(inside.trim().to_owned(), at)));
        rest = after.strip_prefix("}}").ok_or(Unclosed)?;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    Ok(parts)
}

/// Where the closing `}}` stands, not counting those in string literals or in the braces of a map.
fn end_of_expression(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth > 0 => depth -= 1,
            (None, '}') => return text.get(index..)?.starts_with("}}").then_some(index),
            (None, _) => {}
        }
    }
    None
}
