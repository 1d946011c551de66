//! Evaluates `{{ }}` expressions: strict, without I/O, clock or randomness; each compiled once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use minijinja::value::Serde;
use minijinja::{Environment, Expression, UndefinedBehavior};
use serde_json::Value;

use crate::cell::Cell;
use crate::text::At;
use crate::{Code, Problem, Time, Window};

/// Names of `run` that an expression may read.
pub(crate) const RUN_NAMES: [&str; 3] = ["as_of", "end", "start"];

pub(crate) fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env
}

/// The names that an expression reads and does not make itself, as `window` or `run.start`. Errors: why it cannot
/// be understood.
pub(crate) fn names(env: &Environment<'static>, expression: &str) -> Result<BTreeSet<String>, String> {
    let compiled = env.compile_expression(expression).map_err(|it| said(&it))?;
    let globals: BTreeSet<&str> = env.globals().map(|(name, _)| name).collect();
    let names = compiled.undeclared_variables(true).into_iter();
    Ok(names.filter(|it| !globals.contains(it.split('.').next().unwrap_or(it))).collect())
}

/// What minijinja said, without its own file and line.
fn said(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), |it| format!("{}: {it}", error.kind()))
}

/// What names mean: pipeline parameters and `run`, and over them the keys of a family's member.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    names: BTreeMap<String, minijinja::Value>,
    /// `names` as minijinja takes them.
    context: minijinja::Value,
}

impl Scope {
    pub(crate) fn new<'a>(parameters: impl Iterator<Item = (&'a str, &'a Value)>, window: &Window) -> Self {
        let mut names: BTreeMap<String, minijinja::Value> =
            parameters.map(|(name, value)| (name.to_owned(), minijinja::Value::from(Serde(value)))).collect();
        let time = |it: Option<Time>| minijinja::Value::from(it.map(|it| it.to_string()));
        let run = BTreeMap::from([
            ("start", time(window.start)),
            ("end", time(window.end)),
            ("as_of", time(window.as_of)),
        ]);
        names.insert("run".to_owned(), minijinja::Value::from(run));
        Self::of(names)
    }

    pub(crate) fn with(&self, key: &[(String, Value)]) -> Self {
        let mut names = self.names.clone();
        names.extend(key.iter().map(|(name, value)| (name.clone(), minijinja::Value::from(Serde(value)))));
        Self::of(names)
    }

    fn of(names: BTreeMap<String, minijinja::Value>) -> Self {
        let context = minijinja::Value::from(names.clone());
        Self { names, context }
    }
}

/// Compiled expressions by their text.
#[derive(Debug)]
pub(crate) struct Expressions<'env> {
    env: &'env Environment<'static>,
    compiled: HashMap<String, Expression<'env, 'static>>,
}

impl<'env> Expressions<'env> {
    pub(crate) fn new(env: &'env Environment<'static>) -> Self {
        Self { env, compiled: HashMap::new() }
    }

    /// The cell's value. Errors: the expression that failed and why.
    pub(crate) fn render(&mut self, cell: &Cell, scope: &Scope) -> Result<Value, At<Problem>> {
        if let Cell::Literal(it) = cell {
            return Ok(it.clone());
        }
        cell.render(&mut |it| self.eval(it, &scope.context))
    }

    fn eval(&mut self, expression: &At<String>, context: &minijinja::Value) -> Result<Value, At<Problem>> {
        let text = &expression.value;
        let failed = |why: String| {
            let what = format!("expression `{text}` failed: {why}");
            At::new(Problem::new(Code("expression-failed"), what, "correct the expression"), expression.at)
        };
        if !self.compiled.contains_key(text) {
            let compiled = self.env.compile_expression_owned(text.clone()).map_err(|it| failed(said(&it)))?;
            self.compiled.insert(text.clone(), compiled);
        }
        let result = self.compiled[text].eval(context.clone()).map_err(|it| failed(said(&it)))?;
        if result.is_undefined() {
            return Err(failed("the result is undefined".to_owned()));
        }
        serde_json::to_value(&result).map_err(|it| failed(it.to_string()))
    }
}
