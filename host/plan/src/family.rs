//! Families: a node for each combination of `for_each` values, and finding members by their values.

use std::collections::HashMap;

use serde_json::Value;

use crate::cell::Cell;
use crate::defaults::NODES_MAX;
use crate::expression::{Expressions, Scope};
use crate::field::{kind_of, whole};
use crate::fields::{Entries, Named};
use crate::file::NodeDecl;
use crate::nearest::did_you_mean;
use crate::text::At;
use crate::{Code, FamilyKey, Problem};

/// The keys of all members, the last key changing fastest; one empty key for a node without `for_each`.
pub(crate) fn keys(
    node: &Named<NodeDecl>,
    expressions: &mut Expressions<'_>,
    scope: &Scope,
) -> Result<Vec<FamilyKey>, At<Problem>> {
    let mut keys: Vec<FamilyKey> = vec![Vec::new()];
    for entry in node.value.for_each.iter() {
        let values = values(&node.name, entry, expressions, scope)?;
        let count = keys.len().saturating_mul(values.len());
        if count > NODES_MAX {
            let what = format!("family `{}` would have {count} members, more than {NODES_MAX}", node.name);
            return Err(At::new(
                Problem::new(Code("too-many-nodes"), what, "loop over fewer values"),
                entry.at,
            ));
        }
        keys = keys
            .iter()
            .flat_map(|key| {
                values.iter().map(move |value| {
                    let mut key = key.clone();
                    key.push((entry.name.clone(), value.clone()));
                    key
                })
            })
            .collect();
    }
    Ok(keys)
}

fn values(
    node: &str,
    entry: &Named<At<Cell>>,
    expressions: &mut Expressions<'_>,
    scope: &Scope,
) -> Result<Vec<Value>, At<Problem>> {
    let (key, at) = (&entry.name, entry.value.at);
    let value = expressions.render(&entry.value.value, scope)?;
    let Value::Array(values) = value else {
        let what =
            format!("`for_each` of node `{node}`: `{key}` is {} `{value}`, not a list", kind_of(&value));
        return Err(At::new(Problem::new(Code("wrong-type"), what, "give a list, as `[20, 60]`"), at));
    };
    if values.is_empty() {
        let what = format!("`for_each` of node `{node}`: `{key}` has no values, so that no node would run");
        return Err(At::new(
            Problem::new(Code("empty-family"), what, "give the list at least one value"),
            at,
        ));
    }
    let mut seen = HashMap::new();
    for value in &values {
        if seen.insert(key_text(value), ()).is_some() {
            let what = format!("`for_each` of node `{node}`: `{key}` has `{value}` twice");
            return Err(At::new(Problem::new(Code("duplicate-member"), what, "keep one of the two"), at));
        }
    }
    Ok(values)
}

/// `leg[window=60]`; the plain name without a key.
pub(crate) fn member_name(node: &str, key: &FamilyKey) -> String {
    if key.is_empty() {
        return node.to_owned();
    }
    let pairs: Vec<String> = key.iter().map(|(name, value)| format!("{name}={}", key_text(value))).collect();
    // Of the exact size: a sweep has a name for each of a million nodes.
    [node, "[", &pairs.join(","), "]"].concat()
}

/// One text for each value: `1` and `1.0` are one; strings bare unless that could be read otherwise.
fn key_text(value: &Value) -> String {
    if let Some(it) = whole(value) {
        return it.to_string();
    }
    let Some(text) = value.as_str() else { return value.to_string() };
    let bare = !text.is_empty() && !text.contains(|c: char| ",=[]{}\"".contains(c) || c.is_control());
    let is_json = serde_json::from_str::<Value>(text).is_ok();
    if bare && !is_json { text.to_owned() } else { value.to_string() }
}

/// The members of a family, found by their values without a scan.
#[derive(Debug, Default)]
pub(crate) struct Members {
    names: Vec<String>,
    /// For each member the text of each key.
    texts: Vec<Vec<String>>,
    by_value: Vec<HashMap<String, Vec<usize>>>,
    by_all: HashMap<Vec<String>, usize>,
}

/// Why no member was found.
pub(crate) struct NoMember {
    pub(crate) what: String,
    pub(crate) mend: String,
}

impl Members {
    pub(crate) fn new<'a>(for_each: &Entries<At<Cell>>, keys: impl Iterator<Item = &'a FamilyKey>) -> Self {
        let names: Vec<String> = for_each.names().map(str::to_owned).collect();
        let by_value = vec![HashMap::new(); names.len()];
        let mut members = Self { names, by_value, ..Self::default() };
        if members.names.is_empty() {
            return members;
        }
        for (index, key) in keys.enumerate() {
            let texts: Vec<String> = key.iter().map(|(_, value)| key_text(value)).collect();
            for (texts_of_key, text) in members.by_value.iter_mut().zip(&texts) {
                texts_of_key.entry(text.clone()).or_insert_with(Vec::new).push(index);
            }
            members.by_all.insert(texts.clone(), index);
            members.texts.push(texts);
        }
        members
    }

    /// Members with the wanted values, in their own order. `wanted` names only keys that the family has.
    pub(crate) fn find(&self, wanted: &[(&str, Value)]) -> Result<Vec<usize>, NoMember> {
        let mut sets: Vec<(usize, Vec<String>)> = Vec::new();
        for (name, value) in wanted {
            let key = self.names.iter().position(|it| it == name).expect("checked against the family's keys");
            sets.push((key, self.texts_wanted(key, value)?));
        }
        if let Some(found) = self.find_one(&sets) {
            return Ok(vec![found]);
        }
        let candidates = |(key, texts): &(usize, Vec<String>)| -> Vec<usize> {
            texts.iter().flat_map(|it| &self.by_value[*key][it]).copied().collect()
        };
        let Some(mut found) = sets.iter().map(candidates).min_by_key(Vec::len) else { return Ok(Vec::new()) };
        found.retain(|index| sets.iter().all(|(key, texts)| texts.contains(&self.texts[*index][*key])));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn find_one(&self, sets: &[(usize, Vec<String>)]) -> Option<usize> {
        let mut all: Vec<&String> = Vec::new();
        for key in 0..self.names.len() {
            let (_, texts) = sets.iter().find(|(it, _)| *it == key)?;
            let [only] = texts.as_slice() else { return None };
            all.push(only);
        }
        self.by_all.get(&all.into_iter().cloned().collect::<Vec<_>>()).copied()
    }

    fn texts_wanted(&self, key: usize, value: &Value) -> Result<Vec<String>, NoMember> {
        let known = &self.by_value[key];
        let whole = key_text(value);
        let texts = match value.as_array() {
            Some(items) if !known.contains_key(&whole) => items.iter().map(key_text).collect(),
            _ => vec![whole],
        };
        for text in &texts {
            if !known.contains_key(text) {
                let name = &self.names[key];
                let mut all: Vec<(usize, &str)> =
                    known.iter().map(|(text, members)| (members[0], text.as_str())).collect();
                all.sort_unstable();
                let what = format!("no member has `{name}={text}`");
                let mend = did_you_mean(text, "member", all.iter().map(|(_, it)| *it));
                return Err(NoMember { what, mend });
            }
        }
        Ok(texts)
    }
}
