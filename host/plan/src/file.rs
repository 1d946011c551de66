//! A pipeline file as structs: what may stand in it, and the source of its JSON Schema. Reading is in `file/read.rs`.

use schemars::JsonSchema;

use crate::cell::Cell;
use crate::field::{Cpus, Duration, Field, LookBack, Share, Size};
use crate::fields::Entries;
use crate::mirror::Mirror;
use crate::parameter::ParameterType;
use crate::reference::References;
use crate::sweep::SweepDecl;
use crate::text::{At, Offset};
use crate::{ColumnSpec, Corrections, RetryPolicy, SourceFormat, Time, WriteMode};

mod read;

/// A Tidemill pipeline: sources and nodes that form a graph, with typed parameters.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct PipelineFile {
    /// What the pipeline is.
    pub(crate) pipeline: Header,
    /// Where components are, by task name, when not `components/<name>.wasm` beside this file.
    #[schemars(with = "Option<Entries<At<String>>>")]
    pub(crate) tasks: Entries<At<String>>,
    /// Typed parameters; `--set name=value` changes them, `{{ name }}` reads them.
    #[schemars(with = "Option<Entries<ParameterDecl>>")]
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z_][a-z0-9_]*$"}))]
    pub(crate) parameters: Entries<ParameterDecl>,
    /// Files that become tables.
    #[schemars(with = "Option<Entries<SourceDecl>>")]
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z0-9_-]+$"}))]
    pub(crate) sources: Entries<SourceDecl>,
    /// Uses of tasks.
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z0-9_-]+$"}))]
    pub(crate) nodes: Entries<NodeDecl>,
    /// What `tidemill sweep` does when no axes are given.
    pub(crate) sweep: Option<SweepDecl>,
}

/// What the pipeline is.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Header {
    /// Lower-case letters, digits, `_` and `-`.
    #[schemars(regex(pattern = "^[a-z0-9_-]+$"))]
    pub(crate) name: String,
    /// One line for people; changes no identity.
    #[schemars(default)]
    pub(crate) summary: String,
}

/// A parameter of the pipeline.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ParameterDecl {
    /// Its type.
    #[schemars(rename = "type")]
    pub(crate) kind: Literal<ParameterType>,
    /// Type of the items of a list.
    pub(crate) items: Option<Literal<ParameterType>>,
    /// Its value when none is set; without a default the parameter must be set.
    #[schemars(with = "Option<serde_json::Value>")]
    pub(crate) default: Option<At<serde_json::Value>>,
    /// Least value.
    #[schemars(with = "Option<serde_json::Value>")]
    pub(crate) minimum: Option<At<serde_json::Value>>,
    /// Greatest value.
    #[schemars(with = "Option<serde_json::Value>")]
    pub(crate) maximum: Option<At<serde_json::Value>>,
    /// The only values allowed; of a list, the only items allowed.
    #[schemars(default)]
    pub(crate) choices: Vec<serde_json::Value>,
    /// One line for people; changes no identity.
    #[schemars(default)]
    pub(crate) summary: String,
}

/// Files, or a table of the service, that become a table. It has either `path` or `table`.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct SourceDecl {
    /// Format of the files; found by the path's extension where it tells.
    pub(crate) format: Option<Field<SourceFormat>>,
    /// A file, a folder, or a glob; relative to this file.
    pub(crate) path: Option<Field<String>>,
    /// The full name of a table of the service, whoever wrote it.
    pub(crate) table: Option<Field<String>>,
    /// The column of times; without it the only timestamp or date column, if there is exactly one.
    pub(crate) time_index: Option<Field<String>>,
    /// The column of times at which each row became known; as-of then hides rows by it, and of several rows of one
    /// time and identifier the one known last is read.
    pub(crate) knowledge_time: Option<Field<String>>,
    /// Columns that with the time make a row unique.
    pub(crate) identifiers: Option<Vec<String>>,
    /// Sort by time and identifiers on reading instead of refusing unsorted rows.
    pub(crate) sort: Option<Field<bool>>,
    /// The table of PostgreSQL that a service keeps equal to this one.
    pub(crate) mirror: Option<Field<Mirror>>,
    /// Declared columns; all others are dropped. Without any: all columns, types inferred.
    #[schemars(with = "Option<Entries<ColumnDecl>>")]
    pub(crate) columns: Entries<ColumnDecl>,
}

/// A column of a source: its type, or a table of its type and what its values must be.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDecl(pub(crate) ColumnSpec);

/// A use of a task.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct NodeDecl {
    /// Name of the task (see `tasks`), or the path of a component.
    #[schemars(with = "String")]
    pub(crate) task: At<String>,
    /// Input ports: port = "node", "node.port", "family[window=60]", a list of those, or a table.
    #[schemars(with = "Option<Entries<References>>")]
    pub(crate) inputs: Entries<References>,
    /// Parameters of the task.
    #[schemars(with = "Option<Entries<At<Cell>>>")]
    pub(crate) parameters: Entries<At<Cell>>,
    /// Makes the node a family: one member for each value; of several keys, for each combination.
    #[schemars(with = "Option<Entries<At<Cell>>>")]
    pub(crate) for_each: Entries<At<Cell>>,
    /// How far back of a row's time the task reads to compute it: a number of times of each input, a duration, or
    /// either by input port; without it, all of the past. `tidemill check` holds the task to it.
    pub(crate) look_back: Option<Field<LookBack>>,
    /// Parameters that do not name the table.
    #[schemars(with = "Vec<String>", default)]
    pub(crate) identity_ignore: Vec<At<String>>,
    /// What happens to rows that the table already has.
    pub(crate) write_mode: Option<Field<WriteMode>>,
    /// The table of PostgreSQL that a service keeps equal to the node's, or one for each output port.
    pub(crate) mirror: Option<Field<Mirror>>,
    /// Of a node that appends or upserts: the first time that it computes, for identifiers that come new as well.
    pub(crate) first_time: Option<Field<Time>>,
    /// Of a node that upserts: whether rows are computed again when what they were made of changes.
    pub(crate) corrections: Option<Field<Corrections>>,
    /// Longest time that an attempt may take.
    pub(crate) timeout: Option<Field<Duration>>,
    /// Higher starts first.
    pub(crate) priority: Option<Field<i32>>,
    /// What an attempt occupies.
    pub(crate) resources: Option<ResourcesDecl>,
    /// What an attempt may not exceed.
    pub(crate) limits: Option<LimitsDecl>,
    /// What happens after a failure that another try may mend.
    pub(crate) retry: Option<RetryDecl>,
    /// One line for people; changes no identity.
    #[schemars(default)]
    pub(crate) summary: String,
}

/// What an attempt occupies.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ResourcesDecl {
    /// Cores, also in fractions.
    pub(crate) cpus: Option<Field<Cpus>>,
    /// Memory of the task, as `512MiB`.
    pub(crate) memory: Option<Field<Size>>,
    #[schemars(skip)]
    pub(crate) at: Offset,
}

/// What an attempt may not exceed.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct LimitsDecl {
    /// Bytes that it may write, as `4GiB`.
    pub(crate) output: Option<Field<Size>>,
    /// Bytes that it may log, as `4MiB`.
    pub(crate) log: Option<Field<Size>>,
    /// Instructions, counted exactly; slower than a timeout, but the same on every machine.
    pub(crate) fuel: Option<Field<u64>>,
}

/// What happens after a failure that another try may mend.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RetryDecl {
    /// How delays grow.
    pub(crate) policy: Option<Field<RetryPolicy>>,
    /// Tries after the first.
    pub(crate) max: Option<Field<u32>>,
    /// Delay before the second try.
    pub(crate) delay: Option<Field<Duration>>,
    /// Longest delay.
    pub(crate) max_delay: Option<Field<Duration>>,
    /// Share of the delay by which chance moves it.
    pub(crate) jitter: Option<Field<Share>>,
    #[schemars(skip)]
    pub(crate) at: Offset,
}

/// A value that may not hold an expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal<T>(pub(crate) T);
