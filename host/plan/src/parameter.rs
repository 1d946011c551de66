//! Typed values of pipeline parameters: whether a value fits its declaration, and its canonical form.

use serde_json::{Map, Number, Value};

use crate::Time;
use crate::field::{kind_of, whole};
use crate::units::{duration_ms, duration_text};

/// Type of a pipeline parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterType {
    Integer,
    Number,
    Boolean,
    String,
    /// `2020-01-02`.
    Date,
    /// RFC 3339; canonical in UTC.
    Timestamp,
    /// `1h30m`; canonical as `units::duration_text` writes it.
    Duration,
    List,
    Object,
}

impl ParameterType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::List => "list",
            Self::Object => "object",
        }
    }

    /// How a value is written, for `to mend`.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Integer => "a whole number, as `240`",
            Self::Number => "a number, as `0.5`",
            Self::Boolean => "`true` or `false`",
            Self::String => "text",
            Self::Date => "a date, as `2020-01-02`",
            Self::Timestamp => "a time, as `2020-01-02T09:30:00Z`",
            Self::Duration => "a duration, as `10m` or `1h30m`",
            Self::List => "a list, as `[1, 2]` or, after `--set`, `1,2`",
            Self::Object => "a table; after `--set`, JSON as `{\"a\": 1}`",
        }
    }

    /// The value in canonical form. Errors: why it does not fit, to follow the value's name.
    pub(crate) fn fit(self, items: Option<Self>, value: &Value) -> Result<Value, String> {
        let wrong = || format!("is {} `{value}`, not {}", kind_of(value), self.article());
        match self {
            Self::Integer => {
                let it = whole(value).ok_or_else(wrong)?;
                let it = i64::try_from(it)
                    .ok()
                    .ok_or_else(|| format!("is `{value}`, which 64 bits cannot hold"))?;
                Ok(it.into())
            }
            Self::Number => {
                let it = value.as_f64().and_then(Number::from_f64).ok_or_else(wrong)?;
                Ok(Value::Number(it))
            }
            Self::Boolean => value.as_bool().map(Value::Bool).ok_or_else(wrong),
            Self::String => value.as_str().map(Value::from).ok_or_else(wrong),
            Self::Date => {
                let text = value.as_str().ok_or_else(wrong)?;
                let it: jiff::civil::Date = text.parse().ok().ok_or_else(wrong)?;
                if text.len() != it.to_string().len() {
                    return Err(wrong());
                }
                Ok(it.to_string().into())
            }
            Self::Timestamp => {
                let it = Time::parse(value.as_str().ok_or_else(wrong)?).ok().ok_or_else(wrong)?;
                Ok(it.to_string().into())
            }
            Self::Duration => {
                let text = value.as_str().ok_or_else(wrong)?;
                duration_ms(text).map(|it| duration_text(it).into()).map_err(|why| format!("is wrong: {why}"))
            }
            Self::List => {
                let list = value.as_array().ok_or_else(wrong)?;
                let Some(items) = items else { return Ok(value.clone()) };
                let fit = |(index, it)| {
                    items.fit(None, it).map_err(|why| format!("has an item {index} that {why}"))
                };
                list.iter().enumerate().map(fit).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Self::Object => value.is_object().then(|| value.clone()).ok_or_else(wrong),
        }
    }

    fn article(self) -> String {
        let name = self.name();
        if name.starts_with(['a', 'e', 'i', 'o', 'u']) { format!("an {name}") } else { format!("a {name}") }
    }

    /// A value typed on a command line. Not canonical yet; text that does not parse stays text, for `fit` to refuse.
    pub(crate) fn value_of_text(self, items: Option<Self>, text: &str) -> Value {
        let json = || serde_json::from_str::<Value>(text.trim()).ok();
        let kept = || Value::String(text.to_owned());
        match self {
            Self::String => kept(),
            Self::Date | Self::Timestamp | Self::Duration => Value::String(text.trim().to_owned()),
            Self::Integer | Self::Number => {
                json().or_else(|| number_of_text(text)).filter(Value::is_number).unwrap_or_else(kept)
            }
            // `True` is how Python writes it.
            Self::Boolean => {
                text.trim().to_ascii_lowercase().parse().map_or_else(|_none| kept(), Value::Bool)
            }
            Self::Object => json().filter(Value::is_object).unwrap_or_else(kept),
            Self::List => list_of_text(items, text),
        }
    }

    /// Whether `a` comes before `b`; only for types that have an order.
    pub(crate) fn order(self, a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
        match self {
            Self::Integer | Self::Number => a.as_f64()?.partial_cmp(&b.as_f64()?),
            Self::Date => a.as_str().zip(b.as_str()).map(|(a, b)| a.cmp(b)),
            Self::Timestamp => Some(Time::parse(a.as_str()?).ok()?.cmp(&Time::parse(b.as_str()?).ok()?)),
            Self::Duration => Some(duration_ms(a.as_str()?).ok()?.cmp(&duration_ms(b.as_str()?).ok()?)),
            Self::Boolean | Self::String | Self::List | Self::Object => None,
        }
    }
}

/// Numbers that JSON does not know: `+1`, `.5`, `1_000`.
fn number_of_text(text: &str) -> Option<Value> {
    let text = text.trim().replace('_', "");
    text.parse::<i64>().map(Value::from).ok().or_else(|| {
        let float: f64 = text.parse().ok()?;
        Number::from_f64(float).map(Value::Number)
    })
}

fn list_of_text(items: Option<ParameterType>, text: &str) -> Value {
    let trimmed = text.trim();
    if let Ok(it @ Value::Array(_)) = serde_json::from_str(trimmed) {
        return it;
    }
    let inside = trimmed.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(trimmed).trim();
    if inside.is_empty() {
        return Value::Array(Vec::new());
    }
    let value = |it: &str| items.map_or_else(|| free_value(it), |items| items.value_of_text(None, it));
    Value::Array(inside.split(',').map(str::trim).map(value).collect())
}

/// A value of undeclared type: JSON if it is, else text.
pub(crate) fn free_value(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// A step of a `--set` path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// `a.b[0]` as `a` and its steps. Errors: what is wrong with it.
pub(crate) fn path(text: &str) -> Result<(String, Vec<Step>), String> {
    let wrong = || format!("path `{text}` is not understood");
    let mut steps = Vec::new();
    for part in text.split('.') {
        let (key, rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() {
            return Err(wrong());
        }
        steps.push(Step::Key(key.to_owned()));
        if rest.is_empty() {
            continue;
        }
        let inside = rest.strip_prefix('[').and_then(|it| it.strip_suffix(']')).ok_or_else(wrong)?;
        for index in inside.split("][") {
            steps.push(Step::Index(index.trim().parse().ok().ok_or_else(wrong)?));
        }
    }
    match steps.remove(0) {
        Step::Key(name) => Ok((name, steps)),
        Step::Index(_) => Err(wrong()),
    }
}

/// Puts a value into another along a path. Errors: where the path leads nowhere.
pub(crate) fn put(target: &mut Value, steps: &[Step], value: Value) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        *target = value;
        return Ok(());
    };
    match (step, target) {
        (Step::Key(key), Value::Object(table)) => {
            put(table.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())), rest, value)
        }
        (Step::Index(index), Value::Array(list)) => {
            let length = list.len();
            let item =
                list.get_mut(*index).ok_or_else(|| format!("`[{index}]` is past a list of {length}"))?;
            put(item, rest, value)
        }
        (Step::Key(key), other) => Err(format!("`{key}` is looked for in {}", kind_of(other))),
        (Step::Index(index), other) => Err(format!("`[{index}]` is looked for in {}", kind_of(other))),
    }
}
