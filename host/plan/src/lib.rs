//! From a pipeline file to a plan: parameters bound, templates rendered, families expanded, everything checked,
//! identities computed. Pure: no I/O, no clock; tasks are described to it through a `Catalog`.

mod nearest;
mod problem;
mod text;

mod data_type;
mod defaults;
mod json_tree;
mod tree;
mod units;

mod cell;
mod declaration;
mod expression;
mod field;
mod fields;
mod file;
mod file_names;
mod graph;
mod mirror;
mod parameter;
mod pipeline;
mod reference;
mod schema;

mod description;
mod digest;
mod plan;
mod source;
mod time;

mod bind;
mod columns;
mod family;
mod identity;
mod plan_inputs;
mod plan_node;
mod plan_source;
mod planner;
mod select;
mod settings;
mod sweep;
mod task_parameters;
mod task_schema;

#[cfg(test)]
mod tests;

pub use columns::misfits;
pub use data_type::{data_type, data_type_name};
pub use description::{Arity, Hints, InputPort, OutputPort, TaskDescription};
pub use digest::{Digest, Digester, TableName};
pub use identity::{cache_key, node_seed};
pub use mirror::{MIRROR_TABLE, MirrorTarget};
pub use nearest::nearest;
pub use pipeline::{Pipeline, parse};
pub use plan::{
    BoundParameter, Corrections, FamilyKey, Input, Limits, Member, Plan, PlanNode, PlanTable, Provenance,
    Resources, Retry, RetryPolicy, SeenAs, Span, TaskUse, Work, WriteMode,
};
pub use planner::{Catalog, CatalogEntry, Machine, Request, plan};
pub use problem::{Code, Place, Problem};
pub use schema::json_schema;
pub use select::Selection;
pub use source::{ColumnSpec, SourceFormat, SourcePlace, SourceSpec};
pub use sweep::{
    Aggregate, Axes, Axis, Goal, Keep, Measure, MeasureSource, POINTS_MAX, PointsTable, Space, Steps,
    SweepPlan, plan_first, plan_sweep,
};
pub use time::{Time, Window};
pub use units::{byte_size, duration_ms, duration_text, size_text};
