//! Sweeps: many points of a pipeline's parameters, planned together so that what points share is there once.

mod axis;
mod decl;
mod measure;
mod merge;
mod space;

pub(crate) use decl::SweepDecl;
pub use decl::{Goal, Keep};
pub use measure::{Aggregate, Measure, MeasureSource};
pub use merge::{SweepPlan, plan_first, plan_sweep};
pub use space::{Axis, Space};

use serde_json::Value;

/// Most points that one sweep may have.
pub const POINTS_MAX: u64 = 10_000_000;

/// The values of one axis, as they were written.
#[derive(Clone, Debug, PartialEq)]
pub enum Steps {
    /// `1,2,3`, `60:720:20` (the stop is left out), `1e-6:1e-2:log5` (both ends are in), or JSON, `[[20,60],[120]]`.
    Text(String),
    List(Vec<Value>),
}

/// A table of points that stands in a file: one row a point, one column an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct PointsTable {
    /// For people.
    pub file: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

/// What is swept over, as it was written: the product of every grid axis, of all zipped axes together, of all drawn
/// axes together and of the points of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axes {
    pub grid: Vec<(String, Steps)>,
    /// Of equal length; they move together.
    pub zip: Vec<(String, Steps)>,
    /// `uniform:LOW:HIGH`, `log:LOW:HIGH` or `choice:a,b,c`.
    pub draw: Vec<(String, String)>,
    /// How many points are drawn.
    pub random: Option<u64>,
    pub seed: u64,
    pub points: Option<PointsTable>,
}

impl Axes {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.grid.is_empty()
            && self.zip.is_empty()
            && self.draw.is_empty()
            && self.random.is_none()
            && self.points.is_none()
    }
}
