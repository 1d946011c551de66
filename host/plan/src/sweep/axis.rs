//! The values of one axis, from text or a list to canonical values of a parameter.

use serde_json::Value;

use super::Steps;
use crate::declaration::Unfit;
use crate::file::ParameterDecl;
use crate::parameter::ParameterType;
use crate::{Code, Problem};

/// Most values of one range.
const VALUES_MAX: f64 = 1e7;
/// Ranges of numbers are rounded to this many digits, so that `0:0.5:0.1` holds 0.3.
const DIGITS: usize = 12;

/// `origin` is what was typed, for messages. Errors: a range that is none, a value that does not fit, none at all.
pub(super) fn values(decl: &ParameterDecl, origin: &str, steps: &Steps) -> Result<Vec<Value>, Problem> {
    let raw = match steps {
        Steps::List(values) => values.clone(),
        Steps::Text(text) => of_text(decl, origin, text)?,
    };
    if raw.is_empty() {
        let mend = "give it at least one value, as `1,2,3` or `60:720:20`";
        return Err(Problem::new(Code("empty-axis"), format!("{origin} has no values"), mend));
    }
    raw.iter().map(|it| fit(decl, origin, it)).collect()
}

/// The canonical value of one point.
pub(super) fn fit(decl: &ParameterDecl, origin: &str, value: &Value) -> Result<Value, Problem> {
    decl.fit(value)
        .map_err(|Unfit { code, what, mend }| Problem::new(code, format!("{origin}: a value {what}"), mend))
}

fn is_numeric(decl: &ParameterDecl) -> bool {
    matches!(decl.kind.0, ParameterType::Integer | ParameterType::Number)
}

fn of_text(decl: &ParameterDecl, origin: &str, text: &str) -> Result<Vec<Value>, Problem> {
    let text = text.trim();
    if let Ok(Value::Array(values)) = serde_json::from_str(text)
        && (decl.kind.0 != ParameterType::List || values.iter().all(Value::is_array))
    {
        return Ok(values);
    }
    if is_numeric(decl) && text.contains(':') {
        return range(decl, origin, text);
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let parts = text.split(',').map(str::trim);
    Ok(parts.map(|it| decl.value_of_text(it)).collect())
}

fn range(decl: &ParameterDecl, origin: &str, text: &str) -> Result<Vec<Value>, Problem> {
    let bad = |why: &str| {
        let mend = "write `start:stop:step`, which leaves the stop out, or `start:stop:logN`, N values from start to stop";
        Problem::new(Code("bad-range"), format!("{origin}: range `{text}` {why}"), mend)
    };
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let [start, stop, step] = parts[..] else { return Err(bad("does not have three parts")) };
    let number = |text: &str| {
        let value = text.replace('_', "").parse::<f64>().ok().filter(|it| it.is_finite());
        value.ok_or_else(|| bad(&format!("has `{text}`, which is no finite number")))
    };
    if decl.kind.0 == ParameterType::Integer
        && let (Ok(start), Ok(stop), Ok(step)) =
            (start.parse::<i64>(), stop.parse::<i64>(), step.parse::<i64>())
    {
        return integers(start, stop, step).map_err(bad);
    }
    let (start, stop) = (number(start)?, number(stop)?);
    let steps = if let Some(count) = step.strip_prefix("log") {
        let count: u32 = count.parse().map_err(|_none| bad("lacks a count after `log`"))?;
        logarithmic(start, stop, count)
            .ok_or_else(|| bad("needs two numbers above 0 and at least 2 values"))?
    } else {
        linear(start, stop, number(step)?).map_err(bad)?
    };
    Ok(steps.into_iter().map(|it| value(decl, it)).collect())
}

/// Exact, however large.
fn integers(start: i64, stop: i64, step: i64) -> Result<Vec<Value>, &'static str> {
    if step == 0 {
        return Err("has a step of 0");
    }
    let (start, stop, step) = (i128::from(start), i128::from(stop), i128::from(step));
    let length = (stop - start) * step.signum();
    let count = (length + step.abs() - 1).div_euclid(step.abs());
    if count <= 0 {
        return Err(EMPTY);
    }
    if count > VALUES_MAX as i128 {
        return Err(TOO_LONG);
    }
    let values = (0..count).map(|it| i64::try_from(start + it * step).expect("between two 64-bit numbers"));
    Ok(values.map(Value::from).collect())
}

const EMPTY: &str = "holds nothing: its step leads away from its stop, or start and stop are one";
const TOO_LONG: &str = "has more than 10 million values";

fn linear(start: f64, stop: f64, step: f64) -> Result<Vec<f64>, &'static str> {
    let count = ((stop - start) / step - 1e-9).ceil();
    if step == 0.0 {
        return Err("has a step of 0");
    }
    if count <= 0.0 {
        return Err(EMPTY);
    }
    // Also where the difference is more than a number holds.
    if count.is_nan() || count > VALUES_MAX {
        return Err(TOO_LONG);
    }
    let value = |it: u64| if it == 0 { start } else { rounded(start + it as f64 * step) };
    Ok((0..count as u64).map(value).collect())
}

fn logarithmic(start: f64, stop: f64, count: u32) -> Option<Vec<f64>> {
    if start <= 0.0 || stop <= 0.0 || count < 2 || f64::from(count) > VALUES_MAX {
        return None;
    }
    let (from, to) = (start.log10(), stop.log10());
    let at = |it: u32| from + (to - from) * f64::from(it) / f64::from(count - 1);
    let value = |it: u32| match it {
        0 => start,
        it if it == count - 1 => stop,
        it => rounded(10_f64.powf(at(it))),
    };
    Some((0..count).map(value).collect())
}

fn rounded(value: f64) -> f64 {
    format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value)
}

/// As an integer where that is what the parameter takes; `fit` refuses what is none.
pub(super) fn value(decl: &ParameterDecl, number: f64) -> Value {
    let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
    if decl.kind.0 == ParameterType::Integer && is_whole {
        return Value::from(number as i64);
    }
    Value::from(number)
}
