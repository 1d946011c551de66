//! The tables at a port that takes many: the members of a family, or several nodes.

use arrow_array::RecordBatch;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::columns::Columns;
use crate::host::{Backend, Host};
use crate::{Input, Result, ensure};

/// All tables at a port: `legs: Family<Leg>`, the same as `Vec<Member<Leg>>`.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn count(legs: Family) -> Result<()> {
///     metric("legs", legs.len() as f64);
///     Ok(())
/// }
/// ```
pub type Family<T = RecordBatch> = Vec<Member<T>>;

/// One table at a port that takes many: which node wrote it, for which `for_each` values, and the table, not yet opened.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn portfolio(legs: Vec<Member<RecordBatch>>) -> Result<()> {
///     for leg in &legs {
///         let window: u32 = leg.get("window")?;
///         info!({ window = window, node = leg.node() }, "leg of {} rows", leg.read()?.num_rows());
///     }
///     Ok(())
/// }
/// let close: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0]));
/// let leg = RecordBatch::try_from_iter([("close", close)]).expect("a batch");
/// let outputs = Harness::new(portfolio_task)
///     .member("legs", "leg[window=60]", json!({ "window": 60 }), leg)
///     .run()
///     .expect("runs");
/// assert_eq!(outputs.logs()[0].fields, [("window".into(), "60".into()), ("node".into(), "leg[window=60]".into())]);
/// ```
#[derive(Clone, Debug)]
pub struct Member<T = RecordBatch> {
    node: String,
    key: Map<String, Value>,
    input: Input<T>,
}

impl<T: Columns> Member<T> {
    pub(crate) fn all(port: &str) -> Result<Vec<Self>> {
        let mut members = Vec::new();
        for (it, position) in Backend::members(port).into_iter().zip(0..) {
            let key = serde_json::from_str(&it.key)?;
            members.push(Self { node: it.node, key, input: Input::new(port, position) });
        }
        Ok(members)
    }

    /// The node that wrote the table.
    ///
    /// ```
    /// fn node(leg: &tidemill_task::Member) -> &str { leg.node() }
    /// ```
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The node's `for_each` values; empty for a node without `for_each`.
    ///
    /// ```
    /// fn windows(leg: &tidemill_task::Member) -> bool { leg.key().contains_key("window") }
    /// ```
    pub fn key(&self) -> &Map<String, Value> {
        &self.key
    }

    /// One of the `for_each` values, typed.
    ///
    /// # Errors
    /// There is no such value, or it is of another type.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn window(leg: &Member) -> Result<u32> { leg.get("window") }
    /// ```
    pub fn get<V: DeserializeOwned>(&self, name: &str) -> Result<V> {
        let value = self.key.get(name);
        ensure!(value.is_some(), "node `{}` has no `for_each` value `{name}`", self.node);
        let value = V::deserialize(value.unwrap_or(&Value::Null));
        value.map_err(|it| {
            crate::Error::from(it).context(format_args!("read `{name}` of node `{}`", self.node))
        })
    }

    /// The table, streaming.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn rows(leg: &Member) -> Result<usize> {
    ///     leg.input().iter().map(|it| it.map(|it| it.num_rows())).sum()
    /// }
    /// ```
    pub fn input(&self) -> Input<T> {
        self.input.clone()
    }

    /// The whole table at once.
    ///
    /// # Errors
    /// As [`Input::read`], naming the node.
    ///
    /// ```
    /// use tidemill_task::prelude::*;
    /// fn rows(leg: &Member) -> Result<usize> { Ok(leg.read()?.num_rows()) }
    /// ```
    pub fn read(&self) -> Result<T> {
        self.input.read().map_err(|it| it.context(format_args!("node `{}`", self.node)))
    }
}
