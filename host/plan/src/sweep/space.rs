//! The points of a sweep: groups of axes that move together, and their product. Points are computed, not kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{Axes, POINTS_MAX, PointsTable, Steps, axis};
use crate::file::ParameterDecl;
use crate::nearest::did_you_mean;
use crate::parameter::ParameterType;
use crate::{Code, Pipeline, Problem};

/// A parameter that is swept.
#[derive(Clone, Debug)]
pub struct Axis {
    pub name: String,
    /// Name of its type, as in the pipeline file.
    pub kind: &'static str,
    /// Distinct, canonical, in the order in which they were written.
    pub values: Vec<Value>,
}

/// Axes that move together: one row of value numbers for each of their steps.
#[derive(Clone, Debug)]
struct Group {
    axes: Vec<usize>,
    rows: Vec<u32>,
    count: usize,
}

/// Every point of a sweep, numbered from 0; the last group moves fastest.
#[derive(Clone, Debug, Default)]
pub struct Space {
    pub axes: Vec<Axis>,
    groups: Vec<Group>,
    points: usize,
}

impl Space {
    /// Errors: every axis that is unknown, twice, empty or wrong; more points than `POINTS_MAX`.
    pub fn new(pipeline: &Pipeline, written: &Axes) -> Result<Self, Vec<Problem>> {
        let mut builder = Builder { pipeline, space: Self::default(), problems: Vec::new() };
        for (name, steps) in &written.grid {
            builder.grid(name, steps);
        }
        builder.zip(&written.zip);
        builder.draw(written);
        if let Some(table) = &written.points {
            builder.table(table);
        }
        builder.finish()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.points
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points == 0
    }

    /// For each axis the number of its value at a point.
    pub(crate) fn numbers(&self, point: usize, into: &mut Vec<u32>) {
        into.clear();
        into.resize(self.axes.len(), 0);
        let mut rest = point;
        for group in self.groups.iter().rev() {
            let row = rest % group.count;
            rest /= group.count;
            let width = group.axes.len();
            for (axis, number) in group.axes.iter().zip(&group.rows[row * width..(row + 1) * width]) {
                into[*axis] = *number;
            }
        }
    }

    /// The values of a point, in the order of the axes.
    #[must_use]
    pub fn values(&self, point: usize) -> Vec<&Value> {
        let mut numbers = Vec::new();
        self.numbers(point, &mut numbers);
        self.axes.iter().zip(numbers).map(|(axis, it)| &axis.values[it as usize]).collect()
    }
}

struct Builder<'p> {
    pipeline: &'p Pipeline,
    space: Space,
    problems: Vec<Problem>,
}

impl Builder<'_> {
    fn decl(&mut self, origin: &str, name: &str) -> Option<ParameterDecl> {
        let found = self.pipeline.file.parameters.get(name).map(|it| it.value.clone());
        if found.is_none() {
            let what = format!("{origin}: pipeline `{}` has no parameter `{name}`", self.pipeline.name());
            let mend = did_you_mean(name, "parameter", self.pipeline.file.parameters.names());
            self.problems.push(Problem::new(Code("unknown-parameter"), what, mend));
        } else if self.space.axes.iter().any(|it| it.name == name) {
            let what = format!("{origin}: `{name}` is an axis already");
            self.problems.push(Problem::new(Code("axis-twice"), what, "name each parameter once"));
            return None;
        }
        found
    }

    fn axis_of(&mut self, origin: &str, name: &str, steps: &Steps) -> Option<(ParameterDecl, Vec<Value>)> {
        let decl = self.decl(origin, name)?;
        match axis::values(&decl, origin, steps) {
            Ok(values) => Some((decl, values)),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn grid(&mut self, name: &str, steps: &Steps) {
        let origin = origin("--grid", name, steps);
        let Some((decl, values)) = self.axis_of(&origin, name, steps) else { return };
        let rows: Vec<Vec<Value>> = values.into_iter().map(|it| vec![it]).collect();
        self.add(&origin, &[(name.to_owned(), decl)], rows);
    }

    fn zip(&mut self, zip: &[(String, Steps)]) {
        let mut columns: Vec<(String, ParameterDecl, Vec<Value>)> = Vec::new();
        for (name, steps) in zip {
            let origin = origin("--zip", name, steps);
            let Some((decl, values)) = self.axis_of(&origin, name, steps) else { return };
            if let Some((first, _, others)) = columns.first()
                && others.len() != values.len()
            {
                let what = format!("{origin} has {} values, `{first}` has {}", values.len(), others.len());
                let mend = "zipped axes move together: give each the same number of values";
                self.problems.push(Problem::new(Code("zip-lengths"), what, mend));
                return;
            }
            columns.push((name.clone(), decl, values));
        }
        let Some((_, _, first)) = columns.first() else { return };
        let rows = (0..first.len()).map(|row| columns.iter().map(|it| it.2[row].clone()).collect()).collect();
        let axes: Vec<_> = columns.into_iter().map(|(name, decl, _)| (name, decl)).collect();
        self.add("`--zip`", &axes, rows);
    }

    fn table(&mut self, table: &PointsTable) {
        let origin = format!("points file `{}`", table.file);
        let mut axes = Vec::new();
        for name in &table.columns {
            let Some(decl) = self.decl(&format!("{origin}, column `{name}`"), name) else { return };
            axes.push((name.clone(), decl));
        }
        let mut rows = Vec::with_capacity(table.rows.len());
        for (number, row) in table.rows.iter().enumerate() {
            let mut fitted = Vec::with_capacity(axes.len());
            for ((name, decl), value) in axes.iter().zip(row) {
                let origin = format!("{origin}, row {}, column `{name}`", number + 1);
                // Files of text say everything by text.
                let value = value.as_str().map_or_else(|| value.clone(), |it| decl.value_of_text(it));
                match axis::fit(decl, &origin, &value) {
                    Ok(it) => fitted.push(it),
                    Err(problem) => return self.problems.push(problem),
                }
            }
            rows.push(fitted);
        }
        if rows.is_empty() {
            let what = format!("{origin} has no rows");
            let mend = "write a row for each point under the names of the parameters";
            return self.problems.push(Problem::new(Code("empty-axis"), what, mend));
        }
        self.add(&origin, &axes, rows);
    }

    fn draw(&mut self, written: &Axes) {
        let count = match (written.random, written.draw.is_empty()) {
            (None, true) => return,
            (Some(count), false) if 0 < count => count,
            _ => {
                let what = "`--random N` and `--draw name=distribution` need each other";
                let mend = "write `--random 100 --draw alpha=log:1e-6:1e-2`";
                return self.problems.push(Problem::new(Code("bad-draw"), what, mend));
            }
        };
        if count > POINTS_MAX {
            // Drawing them all only to refuse them would take its time.
            self.add_too_many(count);
            return;
        }
        let mut axes = Vec::new();
        let mut distributions = Vec::new();
        for (name, text) in &written.draw {
            let origin = format!("`--draw {name}={text}`");
            let Some(decl) = self.decl(&origin, name) else { return };
            match Distribution::read(&decl, &origin, text) {
                Ok(it) => distributions.push(it),
                Err(problem) => return self.problems.push(problem),
            }
            axes.push((name.clone(), decl));
        }
        let mut dice = Dice(written.seed);
        let mut seen = HashSet::new();
        let mut rows = Vec::new();
        let mut tries = 0;
        while (rows.len() as u64) < count {
            tries += 1;
            if tries > count.saturating_mul(20) + 1000 {
                let what = format!("`--random {count}`: the distributions hold only {} points", rows.len());
                let mend = "draw fewer points, or sweep them by `--grid`";
                return self.problems.push(Problem::new(Code("bad-draw"), what, mend));
            }
            let mut row = Vec::with_capacity(axes.len());
            for ((name, decl), distribution) in axes.iter().zip(&distributions) {
                let value = distribution.draw(decl, &mut dice);
                match axis::fit(decl, &format!("`--draw` of `{name}`"), &value) {
                    Ok(it) => row.push(it),
                    Err(problem) => return self.problems.push(problem),
                }
            }
            if seen.insert(Value::Array(row.clone()).to_string()) {
                rows.push(row);
            }
        }
        self.add("`--random`", &axes, rows);
    }

    /// Adds axes that move together; a row that is there twice is an error.
    fn add(&mut self, origin: &str, axes: &[(String, ParameterDecl)], rows: Vec<Vec<Value>>) {
        let first = self.space.axes.len();
        let mut numbers: Vec<BTreeMap<String, u32>> = vec![BTreeMap::new(); axes.len()];
        for (name, decl) in axes {
            self.space.axes.push(Axis { name: name.clone(), kind: decl.kind.0.name(), values: Vec::new() });
        }
        let mut coded = Vec::with_capacity(rows.len() * axes.len());
        let mut seen: HashMap<Vec<u32>, usize> = HashMap::with_capacity(rows.len());
        let count = rows.len();
        for (number, row) in rows.into_iter().enumerate() {
            let mut codes = Vec::with_capacity(axes.len());
            let shown = || {
                let pairs = axes.iter().zip(&row).map(|((name, _), it)| format!("{name}={it}"));
                pairs.collect::<Vec<_>>().join(", ")
            };
            for (column, value) in row.iter().enumerate() {
                let known = &mut self.space.axes[first + column].values;
                let code = *numbers[column].entry(value.to_string()).or_insert_with(|| {
                    known.push(value.clone());
                    u32::try_from(known.len() - 1).expect("fewer than 10 million values")
                });
                codes.push(code);
            }
            if let Some(before) = seen.insert(codes.clone(), number) {
                let what = format!(
                    "{origin}: point {} is there twice: `{}` is point {} too",
                    number + 1,
                    shown(),
                    before + 1
                );
                return self.problems.push(Problem::new(
                    Code("duplicate-point"),
                    what,
                    "remove one of the two",
                ));
            }
            coded.extend(codes);
        }
        self.space.groups.push(Group { axes: (first..first + axes.len()).collect(), rows: coded, count });
    }

    fn add_too_many(&mut self, points: u64) {
        let what = format!("the sweep has {points} points, more than {POINTS_MAX}");
        self.problems.push(Problem::new(Code("too-many-points"), what, "sweep over fewer values"));
    }

    fn finish(mut self) -> Result<Space, Vec<Problem>> {
        let counts = self.space.groups.iter().map(|it| it.count as u64);
        let points = counts.fold(1_u64, u64::saturating_mul);
        if POINTS_MAX < points {
            self.add_too_many(points);
        }
        if self.space.groups.is_empty() && self.problems.is_empty() {
            let what = "the sweep has no axis";
            let mend = "add `--grid name=values`, or a `[sweep]` section to the pipeline file";
            self.problems.push(Problem::new(Code("no-axis"), what, mend));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        self.space.points = usize::try_from(points).expect("at most 10 million");
        Ok(self.space)
    }
}

fn origin(flag: &str, name: &str, steps: &Steps) -> String {
    match steps {
        Steps::Text(text) => format!("`{flag} {name}={text}`"),
        Steps::List(_) => format!("axis `{name}`"),
    }
}

/// What a value is drawn from.
enum Distribution {
    Uniform(f64, f64),
    /// Uniform in the logarithm.
    Log(f64, f64),
    Choice(Vec<Value>),
}

impl Distribution {
    fn read(decl: &ParameterDecl, origin: &str, text: &str) -> Result<Self, Problem> {
        let bad = |why: &str| {
            let mend = "write `uniform:LOW:HIGH`, `log:LOW:HIGH` or `choice:a,b,c`";
            Problem::new(Code("bad-draw"), format!("{origin} {why}"), mend)
        };
        let (kind, rest) = text.split_once(':').ok_or_else(|| bad("names no distribution"))?;
        if kind == "choice" {
            return axis::values(decl, origin, &Steps::Text(rest.to_owned())).map(Self::Choice);
        }
        if !matches!(decl.kind.0, ParameterType::Integer | ParameterType::Number) {
            return Err(bad("draws numbers for a parameter that is none"));
        }
        let bounds = rest.split_once(':').and_then(|(low, high)| {
            Some((low.trim().parse::<f64>().ok()?, high.trim().parse::<f64>().ok()?))
        });
        let (low, high) = bounds
            .filter(|(low, high)| low.is_finite() && high.is_finite() && low < high)
            .ok_or_else(|| bad("needs two finite bounds, the lower first"))?;
        if decl.kind.0 == ParameterType::Integer && high.floor() < low.ceil() {
            return Err(bad("holds no whole number"));
        }
        match kind {
            "uniform" => Ok(Self::Uniform(low, high)),
            "log" if 0.0 < low => Ok(Self::Log(low, high)),
            "log" => Err(bad("needs bounds above 0")),
            _ => Err(bad("names an unknown distribution")),
        }
    }

    /// Integers are drawn evenly from both bounds and all between.
    fn draw(&self, decl: &ParameterDecl, dice: &mut Dice) -> Value {
        let is_integer = decl.kind.0 == ParameterType::Integer;
        match self {
            Self::Uniform(low, high) if is_integer => {
                let (low, high) = (low.ceil(), high.floor());
                axis::value(decl, (low + (dice.unit() * (high - low + 1.0)).floor()).min(high))
            }
            Self::Uniform(low, high) => axis::value(decl, low + dice.unit() * (high - low)),
            Self::Log(low, high) => {
                let drawn = (low.ln() + dice.unit() * (high.ln() - low.ln())).exp().clamp(*low, *high);
                axis::value(
                    decl,
                    if is_integer { drawn.round().clamp(low.ceil(), high.floor()) } else { drawn },
                )
            }
            Self::Choice(values) => {
                let at = (dice.unit() * values.len() as f64) as usize;
                values[at.min(values.len() - 1)].clone()
            }
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Dice(u64);

impl Dice {
    /// In [0, 1), 53 bits.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
