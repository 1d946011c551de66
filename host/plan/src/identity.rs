//! Identities: which table a node writes, which results may stand for each other. Changing an encoding here renames
//! every table: the golden tests pin it.

use serde_json::Value;

use crate::{Digest, SourcePlace, SourceSpec, Window};

const TABLE: &str = "tidemill 1 table id";
const UPDATE: &str = "tidemill 1 update id";
const CACHE: &str = "tidemill 1 cache key";
const SEED: &str = "tidemill 1 node seed";

/// Writes values so that no two sequences of values give the same bytes: each has a tag or a length before it.
struct Canonical(blake3::Hasher);

impl Canonical {
    fn new(domain: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(domain))
    }

    fn tag(&mut self, tag: u8) {
        self.0.update(&[tag]);
    }

    fn length(&mut self, length: usize) {
        self.0.update(&(length as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.update(text.as_bytes());
    }

    fn optional<T: ?Sized>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        match value {
            None => self.tag(0),
            Some(it) => {
                self.tag(1);
                write(self, it);
            }
        }
    }

    fn digest(&mut self, digest: &Digest) {
        self.0.update(&digest.0);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(0),
            Value::Bool(it) => {
                self.tag(1);
                self.tag(u8::from(*it));
            }
            Value::Number(it) => self.number(it),
            Value::String(it) => {
                self.tag(4);
                self.text(it);
            }
            Value::Array(it) => {
                self.tag(5);
                self.length(it.len());
                it.iter().for_each(|it| self.value(it));
            }
            Value::Object(it) => {
                self.tag(6);
                self.length(it.len());
                self.entries(it.iter().collect());
            }
        }
    }

    /// Of an object, whose tag and length stand before.
    fn entries(&mut self, mut entries: Vec<(&String, &Value)>) {
        entries.sort_by_key(|(key, _)| key.as_str());
        for (key, value) in entries {
            self.text(key);
            self.value(value);
        }
    }

    /// By value: `1` and `1.0` are one number, `-0.0` is `0`.
    fn number(&mut self, number: &serde_json::Number) {
        if let Some(whole) = crate::field::whole(&Value::Number(number.clone())) {
            self.tag(2);
            self.text(&whole.to_string());
        } else {
            self.tag(3);
            self.0.update(&number.as_f64().unwrap_or_default().to_bits().to_le_bytes());
        }
    }

    fn finish(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// What a table is made of.
#[derive(Debug)]
pub(crate) struct Recipe<'a> {
    /// For a source the name of the node.
    pub(crate) task: &'a str,
    pub(crate) work: RecipeWork<'a>,
}

#[derive(Debug)]
pub(crate) enum RecipeWork<'a> {
    Source(&'a SourceSpec),
    Task {
        /// An object.
        parameters: &'a Value,
        ignored: &'a [String],
        /// Ports in order of name, and the ids of their tables in order of members.
        upstream: &'a [(&'a str, Vec<Digest>)],
    },
}

impl Recipe<'_> {
    pub(crate) fn table_id(&self, port: &str) -> Digest {
        let mut to = Canonical::new(TABLE);
        to.text(self.task);
        to.text(port);
        self.write(&mut to, |name, ignored| !ignored.iter().any(|it| it == name));
        to.finish()
    }

    pub(crate) fn update_id(&self) -> Digest {
        let mut to = Canonical::new(UPDATE);
        to.text(self.task);
        self.write(&mut to, |_, _| true);
        to.finish()
    }

    fn write(&self, to: &mut Canonical, counts: impl Fn(&str, &[String]) -> bool) {
        match &self.work {
            RecipeWork::Source(spec) => {
                to.tag(b's');
                write_source(to, spec);
            }
            RecipeWork::Task { parameters, ignored, upstream } => {
                to.tag(b't');
                let all = parameters.as_object().into_iter().flatten();
                let counted: Vec<_> = all.filter(|(name, _)| counts(name, ignored)).collect();
                to.tag(6);
                to.length(counted.len());
                to.entries(counted);
                to.length(upstream.len());
                for (port, ids) in *upstream {
                    to.text(port);
                    to.length(ids.len());
                    ids.iter().for_each(|it| to.digest(it));
                }
            }
        }
    }
}

fn write_source(to: &mut Canonical, spec: &SourceSpec) {
    match &spec.place {
        SourcePlace::Files { format, path } => {
            to.text(crate::source::format_name(*format));
            to.text(path);
        }
        // No format is called so.
        SourcePlace::Table { table } => {
            to.text("table");
            to.text(&table.0);
        }
    }
    to.optional(spec.time_index.as_deref(), Canonical::text);
    to.optional(spec.identifiers.as_deref(), |to, names: &[String]| {
        to.length(names.len());
        names.iter().for_each(|it| to.text(it));
    });
    to.length(spec.columns.len());
    for (name, column) in &spec.columns {
        to.text(name);
        to.text(&column.data_type);
        to.tag(u8::from(column.finite));
        to.tag(u8::from(column.nullable));
    }
    to.tag(u8::from(spec.sort));
    // Sources without it keep the ids that they had before it came.
    if let Some(name) = &spec.knowledge_time {
        to.tag(b'k');
        to.text(name);
    }
}

/// Names a result: two attempts with one cache key write the same. `id` is the node's update id; `code` the digest of
/// its component, or of a source's files; `snapshots` are those read, in the order of ports and members; `contract`
/// is the version of the contract.
#[must_use]
pub fn cache_key(
    id: &Digest,
    code: &Digest,
    snapshots: &[Digest],
    window: &Window,
    contract: &str,
) -> Digest {
    let mut to = Canonical::new(CACHE);
    to.digest(id);
    to.digest(code);
    to.length(snapshots.len());
    snapshots.iter().for_each(|it| to.digest(it));
    for time in [window.start, window.end, window.as_of] {
        to.optional(time.as_ref(), |to, it| {
            to.0.update(&it.0.to_le_bytes());
        });
    }
    to.text(contract);
    to.finish()
}

/// Seed of all randomness of a node: the same in every attempt and replay.
#[must_use]
pub fn node_seed(update_id: &Digest) -> u64 {
    let mut to = Canonical::new(SEED);
    to.digest(update_id);
    let digest = to.finish();
    let mut seed = [0; 8];
    seed.copy_from_slice(&digest.0[..8]);
    u64::from_le_bytes(seed)
}
