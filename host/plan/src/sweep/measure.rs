//! What is measured of a point: a column of a table, reduced to one number, or a metric that a task reported.

use super::merge::SweepPlan;
use crate::nearest::{did_you_mean, list};
use crate::{Code, Plan, PlanNode, PlanTable, Problem};

/// A number for each point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    pub name: String,
    /// As it was written.
    pub text: String,
    pub source: MeasureSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeasureSource {
    Column {
        node: String,
        /// `None`: the node's only one.
        port: Option<String>,
        column: String,
        /// `None`: the table must have one row.
        aggregate: Option<Aggregate>,
    },
    Metric {
        node: String,
        name: String,
    },
}

/// How a column becomes one number; nulls do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// In the order of the table.
    Last,
    Min,
    Max,
    Mean,
    Sum,
    /// Standard deviation, ddof 1.
    Std,
}

impl Aggregate {
    const ALL: [(&'static str, Self); 6] = [
        ("last", Self::Last),
        ("min", Self::Min),
        ("max", Self::Max),
        ("mean", Self::Mean),
        ("sum", Self::Sum),
        ("std", Self::Std),
    ];
}

impl MeasureSource {
    /// The node that is measured.
    #[must_use]
    pub fn node(&self) -> &str {
        match self {
            Self::Column { node, .. } | Self::Metric { node, .. } => node,
        }
    }

    /// The table that a column is of, as `node` or `node.port`.
    #[must_use]
    pub fn table(&self) -> Option<String> {
        let Self::Column { node, port, .. } = self else { return None };
        Some(port.as_ref().map_or_else(|| node.clone(), |port| format!("{node}.{port}")))
    }
}

impl Measure {
    /// Reads `node.column`, `node.port.column`, `last(node.column)` (also min, max, mean, sum, std) or
    /// `metric(node.name)`. Errors: `bad-measure`.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problem> {
        let bad = |why: String| {
            let mend = "write `name=node.column` (a table of one row), `name=last(node.column)` (also min, max, mean, sum, \
                        std), or `name=metric(node.metric)`";
            Problem::new(Code("bad-measure"), format!("measure `{name}={text}` {why}"), mend)
        };
        let is_name =
            |it: &str| !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        if !is_name(name) {
            return Err(bad(format!("has the name `{name}`: use letters, digits, `_` and `-`")));
        }
        let trimmed = text.trim();
        let (function, inside) = match trimmed.strip_suffix(')').and_then(|it| it.split_once('(')) {
            Some((function, inside)) => (Some(function.trim()), inside.trim()),
            None => (None, trimmed),
        };
        let (node, rest) = split_node(inside).ok_or_else(|| bad("names no node and column".to_owned()))?;
        let node = node.to_owned();
        if function == Some("metric") {
            let source = MeasureSource::Metric { node, name: rest.to_owned() };
            return Ok(Self { name: name.to_owned(), text: trimmed.to_owned(), source });
        }
        let aggregate = match function {
            None => None,
            Some(function) => {
                let known = Aggregate::ALL.iter().find(|(it, _)| *it == function);
                Some(known.ok_or_else(|| bad(format!("uses `{function}`, which is no aggregate")))?.1)
            }
        };
        let (port, column) = match rest.split_once('.') {
            Some((port, column)) => (Some(port.to_owned()), column),
            None => (None, rest),
        };
        let source = MeasureSource::Column { node, port, column: column.to_owned(), aggregate };
        Ok(Self { name: name.to_owned(), text: trimmed.to_owned(), source })
    }

    /// Whether the plan of a point can give it, as far as a plan can tell.
    pub fn check(&self, plan: &Plan) -> Result<(), Problem> {
        let wrong = |code: Code, why: String, mend: String| {
            Problem::new(code, format!("measure `{}={}` {why}", self.name, self.text), mend)
        };
        let node = self.source.node();
        let Some(found) = plan.nodes.iter().find(|it| it.name == node) else {
            let family = plan.nodes.iter().find(|it| it.family == node);
            let mend = match family {
                Some(member) => format!("`{node}` is a family: name a member, as `{}`", member.name),
                None => did_you_mean(node, "node", plan.nodes.iter().map(|it| it.name.as_str())),
            };
            return Err(wrong(Code("measure-node"), format!("names `{node}`, which is no node"), mend));
        };
        let MeasureSource::Column { port, column, .. } = &self.source else { return Ok(()) };
        let table = table_of(found, port.as_deref()).ok_or_else(|| {
            let ports = list(found.outputs.iter().map(|it| it.port.as_str())).unwrap_or_default();
            wrong(
                Code("measure-table"),
                format!("names no single table of `{node}`"),
                format!("name one of its output ports: {ports}"),
            )
        })?;
        let Some(schema) = &table.columns else { return Ok(()) };
        let names = || schema.fields().iter().map(|it| it.name().as_str());
        let Ok(field) = schema.field_with_name(column) else {
            let mend = did_you_mean(column, "column", names());
            let why = format!("names `{column}`, which is no column of `{node}`");
            return Err(wrong(Code("measure-column"), why, mend));
        };
        let data_type = field.data_type();
        if !data_type.is_numeric() && *data_type != arrow_schema::DataType::Boolean {
            let why = format!("names `{column}`, whose type {data_type} is no number");
            return Err(wrong(Code("measure-column"), why, "measure a column of numbers".to_owned()));
        }
        Ok(())
    }
}

/// The table of a port, or the only one.
fn table_of<'n>(node: &'n PlanNode, port: Option<&str>) -> Option<&'n PlanTable> {
    match port {
        Some(port) => node.outputs.iter().find(|it| it.port == port),
        None => Some(&node.outputs).filter(|it| it.len() == 1)?.first(),
    }
}

/// `leg[window=0.5].x` as `leg[window=0.5]` and `x`.
fn split_node(text: &str) -> Option<(&str, &str)> {
    let end = text.find(']').filter(|_| text.contains('[')).map_or(0, |it| it + 1);
    let dot = end + text.get(end..)?.find('.')?;
    let (node, rest) = (text.get(..dot)?, text.get(dot + 1..)?);
    (!node.is_empty() && !rest.is_empty()).then_some((node, rest))
}

impl SweepPlan {
    /// Where a measure of a point is found: the node's position in the plan and, for a column, that of its output.
    #[must_use]
    pub fn measured(&self, point: usize, measure: &Measure) -> Option<(usize, usize)> {
        let name = measure.source.node();
        let family = name.split('[').next().unwrap_or(name);
        let instance = self.instance(point, family)?;
        // A node may be shared with another family, whose name it then has.
        let position = *instance.iter().find(|it| {
            let key = &self.plan.nodes[**it as usize].key;
            family == name && instance.len() == 1 || crate::family::member_name(family, key) == name
        })?;
        let position = position as usize;
        let MeasureSource::Column { port, .. } = &measure.source else { return Some((position, 0)) };
        let outputs = &self.plan.nodes[position].outputs;
        let output = match port {
            Some(port) => outputs.iter().position(|it| it.port == *port)?,
            None => 0,
        };
        Some((position, output))
    }
}
