//! Where tables are mirrored in PostgreSQL: what `mirror` says, held against the ports of a node. What is done about it
//! is the service's affair; a mirror changes no identity.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::field::{Setting, Wrong, kind_of};
use crate::nearest::did_you_mean;
use crate::planner::{Planner, Twins};
use crate::text::Offset;
use crate::{Code, PlanNode, PlanTable, Problem};

/// Of an identifier of PostgreSQL; what is longer it cuts off without a word.
const NAME_BYTES_MAX: usize = 63;
/// Where a name has no schema.
const SCHEMA: &str = "public";
/// What the mirror itself writes into each schema.
pub const MIRROR_TABLE: &str = "tidemill_mirror";

/// A table of the PostgreSQL that mirrors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MirrorTarget {
    pub schema: String,
    pub table: String,
}

impl fmt::Display for MirrorTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// Of the only output port, or by port.
#[derive(Clone, Debug)]
pub(crate) enum Mirror {
    Only(MirrorTarget),
    Ports(BTreeMap<String, MirrorTarget>),
}

impl Mirror {
    pub(crate) fn targets(&self) -> impl Iterator<Item = &MirrorTarget> {
        let (only, ports) = match self {
            Self::Only(it) => (Some(it), None),
            Self::Ports(it) => (None, Some(it)),
        };
        only.into_iter().chain(ports.into_iter().flat_map(BTreeMap::values))
    }
}

impl MirrorTarget {
    /// From `table` or `schema.table`; `None` where that is no name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (schema, table) = text.split_once('.').unwrap_or((SCHEMA, text));
        let is_taken = schema.starts_with("pg_") || schema == "information_schema" || table == MIRROR_TABLE;
        let fits = is_name(schema) && is_name(table) && !is_taken;
        fits.then(|| Self { schema: schema.to_owned(), table: table.to_owned() })
    }
}

/// Names that stand in SQL without quotes, so that nobody has to quote them.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    starts && name.len() <= NAME_BYTES_MAX && name.chars().all(fits)
}

impl Setting for Mirror {
    fn schema() -> Value {
        let name = "[a-z_][a-z0-9_]{0,62}";
        let target = json!({"type": "string", "pattern": format!("^({name}\\.)?{name}$")});
        json!({
            "anyOf": [target, {"type": "object", "additionalProperties": target}],
            "examples": ["returns", "research.returns"],
        })
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let Some(ports) = value.as_object() else { return target(value).map(Self::Only) };
        let targets = ports.iter().map(|(port, it)| {
            let target =
                target(it).map_err(|wrong| Wrong { what: format!("at `{port}` {}", wrong.what), ..wrong });
            Ok((port.clone(), target?))
        });
        targets.collect::<Result<_, _>>().map(Self::Ports)
    }
}

fn target(value: &Value) -> Result<MirrorTarget, Wrong> {
    let mend = format!(
        "name a table of PostgreSQL as `returns` or `research.returns`: lower-case letters, digits and `_`, a letter \
         first, at most {NAME_BYTES_MAX}, no schema of PostgreSQL's own, not `{MIRROR_TABLE}`"
    );
    let Some(text) = value.as_str() else {
        let what = format!("is `{value}`: {}, not the name of a table", kind_of(value));
        return Err(Wrong { code: Code("wrong-type"), what, mend });
    };
    MirrorTarget::parse(text).ok_or_else(|| Wrong {
        code: Code("mirror-name"),
        what: format!("is `{}`, which is no name of a table that can be written", text.escape_debug()),
        mend,
    })
}

/// Gives each table its target. `node` as in messages.
pub(crate) fn assign(node: &str, mirror: &Mirror, outputs: &mut [PlanTable]) -> Result<(), Problem> {
    let wrong = |what: String, mend: String| Err(Problem::new(Code("mirror-ports"), what, mend));
    match (mirror, outputs) {
        (Mirror::Only(target), [only]) => only.mirror = Some(target.clone()),
        (Mirror::Only(target), outputs) => {
            let ports: Vec<String> = outputs.iter().map(|it| format!("`{}`", it.port)).collect();
            let what = format!(
                "`mirror` of node `{node}` is one table, but its task writes {} tables: {}",
                outputs.len(),
                ports.join(", ")
            );
            let first = outputs.first().map_or("output", |it| it.port.as_str());
            return wrong(what, format!("say it by port, as `mirror = {{ {first} = \"{target}\" }}`"));
        }
        (Mirror::Ports(targets), outputs) => {
            for (port, target) in targets {
                let Some(output) = outputs.iter_mut().find(|it| it.port == *port) else {
                    let what = format!(
                        "`mirror` of node `{node}` names `{port}`, which is no output port of its task"
                    );
                    let known = outputs.iter().map(|it| it.port.as_str());
                    return wrong(what, did_you_mean(port, "output port", known));
                };
                output.mirror = Some(target.clone());
            }
        }
    }
    Ok(())
}

impl Planner<'_, '_> {
    /// `None` where another is mirrored into the same table.
    pub(crate) fn check_mirrors(&mut self, at: Offset, node: &PlanNode) -> Option<()> {
        // Points of a sweep are not mirrored.
        if self.twins != Twins::Refused {
            return Some(());
        }
        for target in node.outputs.iter().filter_map(|it| it.mirror.as_ref()) {
            let Some(other) = self.mirrored.insert(target.clone(), node.name.clone()) else { continue };
            let what = format!("`{other}` and `{}` would both be mirrored into `{target}`", node.name);
            let mend = match node.key.first() {
                Some((key, _)) => {
                    format!("use every `for_each` key in `mirror`, as `\"{}_{{{{ {key} }}}}\"`", target.table)
                }
                None => "name another table in one of the two".to_owned(),
            };
            self.problems.add(at, Code("duplicate-mirror"), what, mend);
            return None;
        }
        Some(())
    }
}
