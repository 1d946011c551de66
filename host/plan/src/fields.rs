//! Reads the keys of one table; what was never asked for is an unknown key.

use crate::Code;
use crate::field::{Field, Setting};
use crate::nearest::did_you_mean;
use crate::text::{At, Offset, Problems};
use crate::tree::{Entry, Kind, Tree};

/// A table being read.
#[derive(Debug)]
pub(crate) struct Fields {
    /// As in messages: `` node `returns` ``.
    pub(crate) what: String,
    pub(crate) at: Offset,
    entries: Vec<Entry>,
    known: Vec<&'static str>,
}

impl Fields {
    pub(crate) fn of(what: &str, tree: Tree, problems: &mut Problems<'_>) -> Option<Self> {
        let found = tree.kind_name();
        match tree.kind {
            Kind::Table(entries) => {
                Some(Self { what: what.to_owned(), at: tree.at, entries, known: Vec::new() })
            }
            Kind::Null
            | Kind::Boolean(_)
            | Kind::Number(_)
            | Kind::String(_)
            | Kind::Datetime(_)
            | Kind::List(_) => {
                let problem = format!("{what} is {found}, not a table");
                problems.add(tree.at, Code("wrong-type"), problem, "write a table, as `{ key = value }`");
                None
            }
        }
    }

    pub(crate) fn root(entries: Vec<Entry>) -> Self {
        Self { what: "the pipeline file".to_owned(), at: 0, entries, known: Vec::new() }
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<Tree> {
        self.known.push(key);
        let index = self.entries.iter().position(|it| it.key == key)?;
        Some(self.entries.remove(index).value)
    }

    /// Where a key stands.
    pub(crate) fn at_of(&self, key: &str) -> Option<Offset> {
        self.entries.iter().find(|it| it.key == key).map(|it| it.key_at)
    }

    /// As in messages: `` `timeout` of node `returns` ``.
    pub(crate) fn name(&self, key: &str) -> String {
        format!("`{key}` of {}", self.what)
    }

    pub(crate) fn literal<T: Setting>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<At<T>> {
        let tree = self.take(key)?;
        match T::from_value(&tree.to_value()) {
            Ok(it) => Some(At::new(it, tree.at)),
            Err(wrong) => {
                problems.add(tree.at, wrong.code, format!("{} {}", self.name(key), wrong.what), wrong.mend);
                None
            }
        }
    }

    pub(crate) fn required<T: Setting>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<At<T>> {
        self.require(key, problems);
        self.literal(key, problems)
    }

    pub(crate) fn required_field<T: Setting + Clone>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Field<T>> {
        self.require(key, problems);
        self.field(key, problems)
    }

    fn require(&self, key: &str, problems: &mut Problems<'_>) {
        if !self.entries.iter().any(|it| it.key == key) {
            let what = format!("{} lacks `{key}`", self.what);
            problems.add(self.at, Code("missing-key"), what, format!("add `{key} = …`"));
        }
    }

    pub(crate) fn field<T: Setting + Clone>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Field<T>> {
        let tree = self.take(key)?;
        Field::read(self.name(key), &tree, problems)
    }

    pub(crate) fn strings(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Vec<At<String>>> {
        let tree = self.take(key)?;
        let name = self.name(key);
        let Kind::List(items) = tree.kind else {
            let what = format!("{name} is {}, not a list of strings", tree.kind_name());
            problems.add(tree.at, Code("wrong-type"), what, "write `[\"a\", \"b\"]`");
            return None;
        };
        let mut strings = Vec::new();
        for item in items {
            match String::from_value(&item.to_value()) {
                Ok(it) => strings.push(At::new(it, item.at)),
                Err(wrong) => {
                    problems.add(item.at, wrong.code, format!("{name}: an item {}", wrong.what), wrong.mend);
                }
            }
        }
        Some(strings)
    }

    /// The entries of a table of freely named things, each read by `read` with its name as in messages.
    pub(crate) fn entries<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
        mut read: impl FnMut(&str, Tree, &mut Problems<'_>) -> Option<T>,
    ) -> Entries<T> {
        let mut entries = Entries::new();
        let Some(tree) = self.take(key) else { return entries };
        let name = if self.at == 0 { format!("`{key}`") } else { self.name(key) };
        let Some(table) = Self::of(&name, tree, problems) else { return entries };
        for entry in table.entries {
            match read(&entry.key, entry.value, problems) {
                Some(value) => entries.list.push(Named { name: entry.key, at: entry.key_at, value }),
                None => entries.unreadable.push(entry.key),
            }
        }
        entries
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self, problems: &mut Problems<'_>) {
        for entry in self.entries {
            let what = format!("{} has no key `{}`", self.what, entry.key);
            let mend = did_you_mean(&entry.key, "key", self.known.iter().copied());
            problems.add(entry.key_at, Code("unknown-key"), what, mend);
        }
    }
}

/// Named things, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Entries<T> {
    pub(crate) list: Vec<Named<T>>,
    /// Names of those with problems, so that what refers to them is not wrong as well.
    unreadable: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Named<T> {
    pub(crate) name: String,
    pub(crate) at: Offset,
    pub(crate) value: T,
}

impl<T> Entries<T> {
    pub(crate) fn new() -> Self {
        Self { list: Vec::new(), unreadable: Vec::new() }
    }

    /// Whether the file has it, readable or not.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.get(name).is_some() || self.unreadable.iter().any(|it| it == name)
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Named<T>> {
        self.list.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Named<T>> {
        self.list.iter().find(|it| it.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.list.iter().map(|it| it.name.as_str())
    }
}
