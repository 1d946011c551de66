//! Settings of a node that may hold an expression: literals are judged when the file is read, expressions when the
//! plan is made, by the same conversion.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cell::Cell;
use crate::expression::{Expressions, Scope};
use crate::nearest::did_you_mean;
use crate::text::{At, Problems};
use crate::tree::Tree;
use crate::units::{byte_size, duration_ms};
use crate::{Code, Corrections, Problem, RetryPolicy, SourceFormat, Span, Time, WriteMode};

/// Why a value does not do.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) code: Code,
    /// Follows the setting's name.
    pub(crate) what: String,
    pub(crate) mend: String,
}

/// A type of settings.
pub(crate) trait Setting: Sized {
    /// Its JSON Schema, for editors; expressions come on top.
    fn schema() -> Value;
    fn from_value(value: &Value) -> Result<Self, Wrong>;
}

#[derive(Clone, Debug)]
pub(crate) enum Field<T> {
    Is(T),
    /// What it is called in messages, and the expression.
    Later(String, At<Cell>),
}

impl<T: Setting + Clone> Field<T> {
    /// `name` as in messages: `` `timeout` of node `x` ``.
    pub(crate) fn read(name: String, tree: &Tree, problems: &mut Problems<'_>) -> Option<Self> {
        match Cell::of(tree, problems) {
            Cell::Literal(value) => match T::from_value(&value) {
                Ok(it) => Some(Self::Is(it)),
                Err(wrong) => {
                    problems.add(tree.at, wrong.code, format!("{name} {}", wrong.what), wrong.mend);
                    None
                }
            },
            cell @ (Cell::Expression(_) | Cell::Text(_) | Cell::List(_) | Cell::Table(_)) => {
                Some(Self::Later(name, At::new(cell, tree.at)))
            }
        }
    }

    pub(crate) fn visit<'a>(&'a self, see: &mut impl FnMut(&'a At<String>)) {
        if let Self::Later(_, cell) = self {
            cell.value.visit(see);
        }
    }

    pub(crate) fn resolve(&self, expressions: &mut Expressions<'_>, scope: &Scope) -> Result<T, At<Problem>> {
        match self {
            Self::Is(it) => Ok(it.clone()),
            Self::Later(name, cell) => {
                let value = expressions.render(&cell.value, scope)?;
                T::from_value(&value).map_err(|wrong| {
                    At::new(Problem::new(wrong.code, format!("{name} {}", wrong.what), wrong.mend), cell.at)
                })
            }
        }
    }
}

/// Milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Duration(pub(crate) u64);

/// Bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) u64);

/// Thousandths of a core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus(pub(crate) u32);

/// Of every input port, or by port.
#[derive(Clone, Debug)]
pub(crate) enum LookBack {
    All(Span),
    Ports(BTreeMap<String, Span>),
}

/// Between 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share(pub(crate) f64);

/// What a value is, for people.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(it) if it.is_f64() => "a number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn wrong_type(value: &Value, wanted: &str, mend: &str) -> Wrong {
    Wrong {
        code: Code("wrong-type"),
        what: format!("is `{value}`: {}, not {wanted}", kind_of(value)),
        mend: mend.to_owned(),
    }
}

impl Setting for Duration {
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^\\s*([0-9]+(ms|s|m|h|d|w)\\s*)+$", "examples": ["500ms", "10m", "1h30m"]})
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let mend = "write counts and units (ms, s, m, h, d, w), as `\"10m\"` or `\"1h30m\"`";
        let text = value.as_str().ok_or_else(|| wrong_type(value, "a duration", mend))?;
        duration_ms(text).map(Self).map_err(|why| Wrong {
            code: Code("bad-duration"),
            what: format!("is wrong: {why}"),
            mend: mend.to_owned(),
        })
    }
}

impl Setting for Time {
    fn schema() -> Value {
        json!({"type": "string", "examples": ["2015-01-01", "2015-01-01T09:30:00Z"]})
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let mend = "write a date, as `\"2015-01-01\"`, or a time, as `\"2015-01-01T09:30:00Z\"`";
        let text = value.as_str().ok_or_else(|| wrong_type(value, "a time", mend))?;
        Self::parse(text).map_err(|why| Wrong {
            code: Code("bad-time"),
            what: format!("is wrong: {why}"),
            mend: mend.to_owned(),
        })
    }
}

impl Setting for Size {
    fn schema() -> Value {
        json!({"type": ["string", "integer"], "minimum": 0, "pattern": "^[0-9.]+ ?([KMGT]i?)?B$", "examples": ["512MiB", "4GiB"]})
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let mend =
            "write a count and a unit (B, KiB, MiB, GiB, KB, MB, GB), as `\"512MiB\"`, or a number of bytes";
        if let Some(bytes) = value.as_u64() {
            return Ok(Self(bytes));
        }
        let text = value.as_str().ok_or_else(|| wrong_type(value, "a size", mend))?;
        byte_size(text).map(Self).map_err(|why| Wrong {
            code: Code("bad-size"),
            what: format!("is wrong: {why}"),
            mend: mend.to_owned(),
        })
    }
}

impl Setting for Cpus {
    fn schema() -> Value {
        json!({"type": "number", "exclusiveMinimum": 0})
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let cpus =
            value.as_f64().ok_or_else(|| wrong_type(value, "a number of cores", "write `1` or `0.5`"))?;
        if !(0.001..=1_000_000.0).contains(&cpus) {
            return Err(out_of_range(value, "above 0 (at least 0.001)"));
        }
        Ok(Self((cpus * 1000.0).round() as u32))
    }
}

impl Setting for LookBack {
    fn schema() -> Value {
        let span = json!({"anyOf": [{"type": "integer", "minimum": 0}, Duration::schema()]});
        json!({"anyOf": [span, {"type": "object", "additionalProperties": span}], "examples": [240, "30d"]})
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let Some(ports) = value.as_object() else { return span(value).map(Self::All) };
        let spans = ports.iter().map(|(port, it)| {
            let span =
                span(it).map_err(|wrong| Wrong { what: format!("at `{port}` {}", wrong.what), ..wrong });
            Ok((port.clone(), span?))
        });
        spans.collect::<Result<_, _>>().map(Self::Ports)
    }
}

fn span(value: &Value) -> Result<Span, Wrong> {
    let mend = "write a number of times, as `240`, or a duration, as `\"30d\"`";
    if let Some(count) = whole(value) {
        return u64::try_from(count).map(Span::Times).map_err(|_none| out_of_range(value, "of 0 or more"));
    }
    if !value.is_string() {
        return Err(wrong_type(value, "a look-back", mend));
    }
    Duration::from_value(value)
        .map(|it| Span::Milliseconds(it.0))
        .map_err(|wrong| Wrong { mend: mend.to_owned(), ..wrong })
}

impl Setting for Share {
    fn schema() -> Value {
        json!({"type": "number", "minimum": 0, "maximum": 1})
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        let share =
            value.as_f64().ok_or_else(|| wrong_type(value, "a number", "write a number such as `0.1`"))?;
        if !(0.0..=1.0).contains(&share) {
            return Err(out_of_range(value, "between 0 and 1"));
        }
        Ok(Self(share))
    }
}

fn out_of_range(value: &Value, wanted: &str) -> Wrong {
    Wrong {
        code: Code("out-of-range"),
        what: format!("is `{value}`, which is out of range"),
        mend: format!("use a value {wanted}"),
    }
}

/// The whole number that a value is, `60.0` included.
pub(crate) fn whole(value: &Value) -> Option<i128> {
    let number = value.as_number()?;
    if let Some(it) = number.as_i128() {
        return Some(it);
    }
    let float = number.as_f64()?;
    (float.fract() == 0.0 && float.abs() < 1e37).then_some(float as i128)
}

macro_rules! whole_setting {
    ($($type:ty: $range:literal),*) => {$(
        impl Setting for $type {
            fn schema() -> Value {
        json!({"type": "integer", "minimum": Self::MIN, "maximum": Self::MAX})
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
                let it = whole(value).ok_or_else(|| wrong_type(value, "an integer", "write a whole number"))?;
                Self::try_from(it).ok().ok_or_else(|| out_of_range(value, $range))
            }
        }
    )*};
}
whole_setting!(u64: "of 0 or more", u32: "between 0 and 4294967295", i32: "between -2147483648 and 2147483647");

impl Setting for bool {
    fn schema() -> Value {
        json!({"type": "boolean"})
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        value.as_bool().ok_or_else(|| wrong_type(value, "a boolean", "write `true` or `false`"))
    }
}

impl Setting for String {
    fn schema() -> Value {
        json!({"type": "string"})
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        value.as_str().map(str::to_owned).ok_or_else(|| wrong_type(value, "a string", "put it in quotes"))
    }
}

macro_rules! choice_setting {
    ($type:ty, $what:literal, $($name:literal => $variant:expr),*) => {
        impl Setting for $type {
            fn schema() -> Value {
                json!({"type": "string", "enum": [$($name),*]})
            }

            fn from_value(value: &Value) -> Result<Self, Wrong> {
                let text = String::from_value(value)?;
                match text.as_str() {
                    $($name => Ok($variant),)*
                    _ => Err(Wrong {
                        code: Code("unknown-choice"),
                        what: format!("is `{text}`, which is no {}", $what),
                        mend: did_you_mean(&text, $what, [$($name),*]),
                    }),
                }
            }
        }
    };
}
choice_setting!(WriteMode, "write mode", "replace" => Self::Replace, "append" => Self::Append, "upsert" => Self::Upsert);
choice_setting!(Corrections, "way with corrections", "ignore" => Self::Ignore, "recompute" => Self::Recompute);
choice_setting!(RetryPolicy, "retry policy", "none" => Self::None, "fixed" => Self::Fixed, "linear" => Self::Linear,
    "exponential" => Self::Exponential);
choice_setting!(SourceFormat, "format", "parquet" => Self::Parquet, "csv" => Self::Csv, "arrow" => Self::Arrow,
    "json-lines" => Self::JsonLines);
choice_setting!(crate::Keep, "choice", "none" => Self::None, "measured" => Self::Measured, "all" => Self::All);
choice_setting!(crate::parameter::ParameterType, "parameter type", "integer" => Self::Integer, "number" => Self::Number,
    "boolean" => Self::Boolean, "string" => Self::String, "date" => Self::Date, "timestamp" => Self::Timestamp,
    "duration" => Self::Duration, "list" => Self::List, "object" => Self::Object);
