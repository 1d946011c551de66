//! What an input port is bound to: `node`, `node.port`, `family[window=60]`, or the same as a table.

use crate::Code;
use crate::cell::Cell;
use crate::field::Setting;
use crate::fields::Fields;
use crate::parameter::free_value;
use crate::text::{Offset, Problems};
use crate::tree::{Kind, Tree};

#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) at: Offset,
    /// Node or source; never holds an expression, so that the graph is known without values.
    pub(crate) node: String,
    pub(crate) port: Option<String>,
    /// Keys of the family and the value, or the list of values, wanted of each.
    pub(crate) wanted: Vec<(String, Cell)>,
}

/// The references of one port.
#[derive(Clone, Debug)]
pub(crate) struct References(pub(crate) Vec<Reference>);

const MEND: &str =
    "write `node`, `node.port`, `family[key=value]`, or `{ node = \"family\", where = { key = [1, 2] } }`";

impl References {
    pub(crate) fn read(what: &str, tree: Tree, problems: &mut Problems<'_>) -> Option<Self> {
        let at = tree.at;
        match tree.kind {
            Kind::List(items) => {
                let read = |it| Reference::read(what, it, problems);
                Some(Self(items.into_iter().filter_map(read).collect()))
            }
            kind @ (Kind::Null
            | Kind::Boolean(_)
            | Kind::Number(_)
            | Kind::String(_)
            | Kind::Datetime(_)
            | Kind::Table(_)) => Reference::read(what, Tree { at, kind }, problems).map(|it| Self(vec![it])),
        }
    }
}

impl Reference {
    fn read(what: &str, tree: Tree, problems: &mut Problems<'_>) -> Option<Self> {
        let at = tree.at;
        match &tree.kind {
            Kind::String(text) => {
                let parsed = Self::parse(text, at, problems);
                if parsed.is_none() {
                    let what = format!("{what} is `{text}`, which is no reference to a table");
                    problems.add(at, Code("bad-reference"), what, MEND);
                }
                parsed
            }
            Kind::Table(_) => {
                let mut fields = Fields::of(what, tree, problems)?;
                let node = fields.required::<String>("node", problems);
                let port = fields.literal::<String>("port", problems).map(|it| it.value);
                let wanted =
                    fields.entries("where", problems, |_, tree, problems| Some(Cell::of(&tree, problems)));
                fields.finish(problems);
                let wanted = wanted.list.into_iter().map(|it| (it.name, it.value)).collect();
                Some(Self { at, node: node?.value, port, wanted })
            }
            Kind::Null | Kind::Boolean(_) | Kind::Number(_) | Kind::Datetime(_) | Kind::List(_) => {
                let wrong = String::from_value(&tree.to_value()).err()?;
                problems.add(at, wrong.code, format!("{what} {}", wrong.what), MEND);
                None
            }
        }
    }

    fn parse(text: &str, at: Offset, problems: &mut Problems<'_>) -> Option<Self> {
        let text = text.trim();
        let (head, mut rest) = text.split_at(text.find(['[', '.']).unwrap_or(text.len()));
        let mut reference = Self { at, node: name(head)?, port: None, wanted: Vec::new() };
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let (port, after) = after.split_at(after.find('[').unwrap_or(after.len()));
                if reference.port.replace(name(port)?).is_some() {
                    return None;
                }
                rest = after;
                continue;
            }
            let inside = rest.strip_prefix('[')?;
            let end = end(inside)?;
            let (inside, after) = inside.split_at_checked(end)?;
            if !reference.wanted.is_empty() {
                return None;
            }
            for pair in pairs(inside) {
                let (key, value) = pair.split_once('=')?;
                reference.wanted.push((name(key)?, value_cell(value.trim(), at, problems)));
            }
            rest = after.strip_prefix(']')?;
        }
        Some(reference)
    }
}

fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    (!text.is_empty() && text.chars().all(fits)).then(|| text.to_owned())
}

fn value_cell(text: &str, at: Offset, problems: &mut Problems<'_>) -> Cell {
    if text.contains("{{") { Cell::of_text(text, at, problems) } else { Cell::Literal(free_value(text)) }
}

/// Where the closing bracket stands: not those in quotes, braces or inner brackets.
fn end(text: &str) -> Option<usize> {
    outside(text).find(|(_, c)| *c == ']').map(|(index, _)| index)
}

/// Splits at commas that stand outside of quotes, braces and brackets.
fn pairs(text: &str) -> Vec<&str> {
    let mut start = 0;
    let mut pairs = Vec::new();
    for (index, _) in outside(text).filter(|(_, c)| *c == ',') {
        pairs.extend(text.get(start..index));
        start = index + 1;
    }
    pairs.extend(text.get(start..));
    pairs
}

fn outside(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quoted = false;
    let mut depth = 0_i32;
    text.char_indices().filter(move |(_, c)| {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted && depth > 0 => {
                depth -= 1;
                return false;
            }
            _ => {}
        }
        !quoted && depth == 0
    })
}
