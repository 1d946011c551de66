//! The section `[sweep]` of a pipeline file.

use schemars::JsonSchema;
use serde_json::Value;

use super::{Axes, Steps};
use crate::fields::{Entries, Fields};
use crate::file::Literal;
use crate::text::{At, Problems};
use crate::tree::Tree;
use crate::{Code, Pipeline};

/// A sweep: what `tidemill sweep` does when no axes are given.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct SweepDecl {
    /// Axes whose product is swept: a list of values, `start:stop:step` or `start:stop:logN`.
    #[schemars(with = "Option<Entries<At<Value>>>")]
    pub(crate) grid: Entries<At<Value>>,
    /// Axes that move together.
    #[schemars(with = "Option<Entries<At<Value>>>")]
    pub(crate) zip: Entries<At<Value>>,
    /// Axes that are drawn: `uniform:LOW:HIGH`, `log:LOW:HIGH` or `choice:a,b,c`.
    #[schemars(with = "Option<Entries<At<String>>>")]
    pub(crate) draw: Entries<At<String>>,
    /// How many points are drawn.
    pub(crate) random: Option<u64>,
    /// Seed of what is drawn.
    pub(crate) seed: Option<u64>,
    /// A CSV or Parquet file with a row for each point, relative to this file.
    pub(crate) points: Option<String>,
    /// What is measured: `node.column`, `last(node.column)` (also min, max, mean, sum, std) or `metric(node.name)`.
    #[schemars(with = "Option<Entries<At<String>>>")]
    pub(crate) measures: Entries<At<String>>,
    /// The measure that is best where it is least.
    pub(crate) minimize: Option<String>,
    /// The measure that is best where it is greatest.
    pub(crate) maximize: Option<String>,
    /// Which tables stay.
    pub(crate) keep: Option<Literal<Keep>>,
}

impl SweepDecl {
    pub(crate) fn read(tree: Option<Tree>, problems: &mut Problems<'_>) -> Option<Self> {
        let mut fields = Fields::of("`sweep`", tree?, problems)?;
        let value = |_: &str, tree: Tree, _: &mut Problems<'_>| Some(At::new(tree.to_value(), tree.at));
        let (grid, zip) = (fields.entries("grid", problems, value), fields.entries("zip", problems, value));
        let text = |name: &str, tree: Tree, problems: &mut Problems<'_>| {
            let value = tree.to_value();
            if let Value::String(it) = value {
                Some(At::new(it, tree.at))
            } else {
                let what = format!("`{name}` of `sweep` is `{value}`, not a string");
                problems.add(tree.at, Code("wrong-type"), what, "write it in quotes");
                None
            }
        };
        let (draw, measures) =
            (fields.entries("draw", problems, text), fields.entries("measures", problems, text));
        let mut literal = |key| fields.literal::<String>(key, problems).map(|it| it.value);
        let (points, minimize, maximize) = (literal("points"), literal("minimize"), literal("maximize"));
        if minimize.is_some() && maximize.is_some() {
            let what = "`sweep` has both `minimize` and `maximize`";
            problems.add(fields.at, Code("wrong-value"), what, "keep one of the two");
        }
        let keep = fields.literal("keep", problems).map(|it| Literal(it.value));
        let random = fields.literal("random", problems).map(|it| it.value);
        let seed = fields.literal("seed", problems).map(|it| it.value);
        fields.finish(problems);
        Some(Self { grid, zip, draw, random, seed, points, measures, minimize, maximize, keep })
    }
}

/// What is best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Name of the measure.
    Minimize(String),
    Maximize(String),
}

impl Goal {
    /// Name of the measure.
    #[must_use]
    pub fn measure(&self) -> &str {
        match self {
            Self::Minimize(it) | Self::Maximize(it) => it,
        }
    }
}

/// Which tables of a sweep stay in the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    None,
    /// Those that are measured.
    Measured,
    All,
}

impl Keep {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Measured => "measured",
            Self::All => "all",
        }
    }
}

impl Pipeline {
    /// The axes of its `[sweep]`; those of a points file are to be read by the caller.
    #[must_use]
    pub fn swept_axes(&self) -> Axes {
        let Some(sweep) = &self.file.sweep else { return Axes::default() };
        let steps = |axes: &Entries<At<Value>>| {
            let step = |it: &Value| match it {
                Value::String(text) => Steps::Text(text.clone()),
                Value::Array(values) => Steps::List(values.clone()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                    Steps::List(vec![it.clone()])
                }
            };
            axes.iter().map(|it| (it.name.clone(), step(&it.value.value))).collect()
        };
        Axes {
            grid: steps(&sweep.grid),
            zip: steps(&sweep.zip),
            draw: sweep.draw.iter().map(|it| (it.name.clone(), it.value.value.clone())).collect(),
            random: sweep.random,
            seed: sweep.seed.unwrap_or(0),
            points: None,
        }
    }

    /// The points file of its `[sweep]`, relative to the pipeline file.
    #[must_use]
    pub fn swept_points(&self) -> Option<&str> {
        self.file.sweep.as_ref()?.points.as_deref()
    }

    /// Name and text of each measure of its `[sweep]`.
    #[must_use]
    pub fn swept_measures(&self) -> Vec<(&str, &str)> {
        let measures = self.file.sweep.iter().flat_map(|it| it.measures.iter());
        measures.map(|it| (it.name.as_str(), it.value.value.as_str())).collect()
    }

    #[must_use]
    pub fn swept_goal(&self) -> Option<Goal> {
        let sweep = self.file.sweep.as_ref()?;
        let minimize = sweep.minimize.clone().map(Goal::Minimize);
        minimize.or_else(|| sweep.maximize.clone().map(Goal::Maximize))
    }

    #[must_use]
    pub fn swept_keep(&self) -> Option<Keep> {
        Some(self.file.sweep.as_ref()?.keep.as_ref()?.0)
    }
}
