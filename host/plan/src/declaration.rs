//! Whether the declaration of a pipeline parameter makes sense, and whether a value keeps to it.

use serde_json::Value;

use crate::Code;
use crate::fields::Named;
use crate::file::ParameterDecl;
use crate::nearest::list;
use crate::parameter::ParameterType;
use crate::text::{At, Offset, Problems};

/// Why a value is not one of this parameter's, to follow the value's name.
pub(crate) struct Unfit {
    pub(crate) code: Code,
    pub(crate) what: String,
    pub(crate) mend: String,
}

impl ParameterDecl {
    fn items(&self) -> Option<ParameterType> {
        self.items.map(|it| it.0)
    }

    /// A value as typed on a command line.
    pub(crate) fn value_of_text(&self, text: &str) -> Value {
        self.kind.0.value_of_text(self.items(), text)
    }

    /// The canonical value, if it fits type, bounds and choices.
    pub(crate) fn fit(&self, value: &Value) -> Result<Value, Unfit> {
        let value = self.kind.0.fit(self.items(), value).map_err(|what| Unfit {
            code: Code("parameter-type"),
            what,
            mend: format!("give {}", self.kind.0.example()),
        })?;
        let judged: Vec<&Value> = match &value {
            Value::Array(items) => items.iter().collect(),
            one @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                vec![one]
            }
        };
        for it in judged {
            self.check_bounds(it)?;
            self.check_choices(it)?;
        }
        Ok(value)
    }

    /// Type of what bounds and choices are about.
    fn judged_kind(&self) -> ParameterType {
        if self.kind.0 == ParameterType::List {
            self.items().unwrap_or(ParameterType::Object)
        } else {
            self.kind.0
        }
    }

    fn check_bounds(&self, value: &Value) -> Result<(), Unfit> {
        let kind = self.judged_kind();
        let outside = |bound: &Value, side: &str, mend: &str| Unfit {
            code: Code("parameter-range"),
            what: format!("is `{}`, {side} `{}`", shown(value), shown(bound)),
            mend: format!("use {} {mend}", shown(bound)),
        };
        if let Some(minimum) = &self.minimum
            && kind.order(value, &minimum.value).is_some_and(std::cmp::Ordering::is_lt)
        {
            return Err(outside(&minimum.value, "below the minimum", "or more"));
        }
        if let Some(maximum) = &self.maximum
            && kind.order(value, &maximum.value).is_some_and(std::cmp::Ordering::is_gt)
        {
            return Err(outside(&maximum.value, "above the maximum", "or less"));
        }
        Ok(())
    }

    fn check_choices(&self, value: &Value) -> Result<(), Unfit> {
        let kind = self.judged_kind();
        let allowed = |it: &Value| match kind.fit(None, it) {
            Ok(it) => it == *value,
            Err(_) => it == value,
        };
        if self.choices.is_empty() || self.choices.iter().any(allowed) {
            return Ok(());
        }
        let choices: Vec<String> = self.choices.iter().map(shown).collect();
        let mend = list(choices.iter().map(String::as_str)).map(|it| format!("use one of {it}"));
        Err(Unfit {
            code: Code("parameter-range"),
            what: format!("is `{}`, which is not among its choices", shown(value)),
            mend: mend.unwrap_or_default(),
        })
    }
}

/// Strings bare, everything else as JSON.
pub(crate) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Checks that bounds, choices and default fit the type.
pub(crate) fn check(parameter: &Named<ParameterDecl>, problems: &mut Problems<'_>) {
    let (name, decl) = (&parameter.name, &parameter.value);
    let mut wrong = |at: Offset, what: String, mend: &str| {
        problems.add(at, Code("parameter-declaration"), format!("parameter `{name}`: {what}"), mend);
    };
    let kind = decl.judged_kind();
    if decl.items.is_some() && decl.kind.0 != ParameterType::List {
        wrong(
            parameter.at,
            format!("`items` does not go with type `{}`", decl.kind.0.name()),
            "use it with `list`",
        );
    }
    for (key, bound) in [("minimum", &decl.minimum), ("maximum", &decl.maximum)] {
        let Some(bound) = bound else { continue };
        if kind.order(&bound.value, &bound.value).is_none() {
            let what = format!("`{key}` `{}` is no bound for type `{}`", shown(&bound.value), kind.name());
            wrong(
                bound.at,
                what,
                "bounds go with numbers, dates, timestamps and durations, and are of their type",
            );
        }
    }
    if let (Some(At { value: minimum, at }), Some(maximum)) = (&decl.minimum, &decl.maximum)
        && kind.order(minimum, &maximum.value).is_some_and(std::cmp::Ordering::is_gt)
    {
        wrong(*at, format!("`minimum` `{minimum}` is above `maximum` `{}`", maximum.value), "swap the two");
    }
    for choice in &decl.choices {
        if decl.kind.0 != ParameterType::List && kind.fit(None, choice).is_err() {
            let what = format!("choice `{}` is not of type `{}`", shown(choice), kind.name());
            wrong(parameter.at, what, "give choices of the parameter's type");
        }
    }
    if let Some(default) = &decl.default
        && let Err(unfit) = decl.fit(&default.value)
    {
        let what = format!("default of parameter `{name}` {}", unfit.what);
        problems.add(default.at, unfit.code, what, unfit.mend);
    }
}
