//! How a function becomes a task: what `#[task]` implements, and how each kind of argument and result is bound to a port.

use arrow_array::RecordBatch;

use crate::columns::Columns;
use crate::context::Context;
use crate::description::{Arity, Description, InputPort, OutputPort, PortSpec};
use crate::host::{Backend, Host};
use crate::{Error, Input, Member, Output, Result};

/// A task: made by `#[task]`, for the harness and for the component's export.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task]
/// fn keep(prices: RecordBatch) -> Result<RecordBatch> { Ok(prices) }
/// fn name<T: Task>(_: T) -> String { tidemill_task::describe::<T>().name }
/// assert_eq!(name(keep_task), "keep");
/// ```
pub trait Task {
    /// What the attribute and the signature say.
    #[doc(hidden)]
    fn describe(description: &mut Description);
    /// Takes the arguments, calls the function, writes what it returns.
    #[doc(hidden)]
    fn run() -> Result<()>;
}

/// What a task says of itself.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[task(memory = "1GiB")]
/// fn keep(prices: RecordBatch) -> Result<RecordBatch> { Ok(prices) }
/// assert_eq!(tidemill_task::describe::<keep_task>().memory_bytes, Some(1 << 30));
/// ```
pub fn describe<T: Task>() -> Description {
    let mut description = Description {
        name: String::new(),
        summary: String::new(),
        parameters: serde_json::json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {},
            "additionalProperties": false,
        }),
        inputs: Vec::new(),
        outputs: Vec::new(),
        memory_bytes: None,
    };
    T::describe(&mut description);
    description
}

/// The parameters of a task: a struct with `#[parameters]`.
///
/// ```
/// use tidemill_task::prelude::*;
/// #[parameters]
/// struct Params {
///     /// Days between the two prices.
///     #[default = 1]
///     #[range(1..=250)]
///     days: u32,
/// }
/// let params = Params::from_json("{}").expect("defaults for all");
/// assert_eq!(params.days, 1);
/// let error = Params::from_json(r#"{"days": 0}"#).expect_err("out of range");
/// assert_eq!(error.to_string(), "parameters: `days` is 0, must be within 1..=250");
/// ```
pub trait Parameters: serde::de::DeserializeOwned {
    /// The JSON Schema, with defaults, ranges and doc comments.
    fn json_schema() -> serde_json::Value;

    /// Ranges hold.
    ///
    /// # Errors
    /// Names the parameter, its value and the range.
    fn check(&self) -> Result<()>;

    /// Reads them from a JSON object; defaults are filled in.
    ///
    /// # Errors
    /// What is missing, unknown, of another type or out of range.
    fn from_json(json: &str) -> Result<Self> {
        let parameters: Self = serde_json::from_str(json)
            .map_err(|it| Error::permanent(it.to_string()).context("parameters"))?;
        parameters.check().map_err(|it| it.context("parameters"))?;
        Ok(parameters)
    }
}

/// An argument of a task: bound to parameters, an input port, an output port, or the context.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a task cannot take `{Self}`",
    note = "it takes: a `#[parameters]` struct, a `#[derive(Columns)]` struct, `RecordBatch`, `Option<…>` of these tables, \
            `Input<T>`, `Vec<Member<T>>`, `&mut Output<T>`, `&Context`"
)]
pub trait Argument: Sized {
    const IS_PARAMETERS: bool = false;
    const IS_OUTPUT: bool = false;
    fn describe(port: &PortSpec, description: &mut Description);
    fn take(port: &'static PortSpec) -> Result<Self>;
}

#[doc(hidden)]
pub fn describe_parameters<P: Parameters>(description: &mut Description) {
    description.parameters = P::json_schema();
}

#[doc(hidden)]
pub fn take_parameters<P: Parameters>() -> Result<P> {
    P::from_json(&Backend::parameters())
}

#[doc(hidden)]
pub fn describe_input<T: Columns>(port: &PortSpec, arity: Arity, description: &mut Description) {
    description.inputs.push(InputPort {
        name: port.name.into(),
        summary: summary::<T>(port),
        arity,
        columns: T::schema(),
    });
}

fn describe_output<T: Columns>(port: &PortSpec, description: &mut Description) {
    let index = if T::schema().is_some() { T::index() } else { port.index };
    description.outputs.push(OutputPort {
        name: port.name.into(),
        summary: summary::<T>(port),
        columns: T::schema(),
        time_index: index.time.map(Into::into),
        identifiers: index.identifiers.iter().map(|it| (*it).into()).collect(),
    });
}

fn summary<T: Columns>(port: &PortSpec) -> String {
    if port.summary.is_empty() { T::summary().into() } else { port.summary.into() }
}

#[doc(hidden)]
pub fn take_table<T: Columns>(port: &PortSpec) -> Result<T> {
    Input::new(port.name, 0).read()
}

impl Argument for RecordBatch {
    fn describe(port: &PortSpec, description: &mut Description) {
        describe_input::<Self>(port, Arity::One, description);
    }
    fn take(port: &'static PortSpec) -> Result<Self> {
        take_table(port)
    }
}

impl<T: Columns> Argument for Option<T> {
    fn describe(port: &PortSpec, description: &mut Description) {
        describe_input::<T>(port, Arity::Optional, description);
    }
    fn take(port: &'static PortSpec) -> Result<Self> {
        if Backend::members(port.name).is_empty() { Ok(None) } else { take_table(port).map(Some) }
    }
}

impl<T: Columns> Argument for Input<T> {
    fn describe(port: &PortSpec, description: &mut Description) {
        describe_input::<T>(port, Arity::One, description);
    }
    fn take(port: &'static PortSpec) -> Result<Self> {
        Ok(Self::new(port.name, 0))
    }
}

impl<T: Columns> Argument for Option<Input<T>> {
    fn describe(port: &PortSpec, description: &mut Description) {
        describe_input::<T>(port, Arity::Optional, description);
    }
    fn take(port: &'static PortSpec) -> Result<Self> {
        Ok((!Backend::members(port.name).is_empty()).then(|| Input::new(port.name, 0)))
    }
}

impl<T: Columns> Argument for Vec<Member<T>> {
    fn describe(port: &PortSpec, description: &mut Description) {
        describe_input::<T>(port, Arity::Many, description);
    }
    fn take(port: &'static PortSpec) -> Result<Self> {
        Member::all(port.name).map_err(|it| it.context(format_args!("input `{}`", port.name)))
    }
}

impl<T: Columns> Argument for Output<T> {
    const IS_OUTPUT: bool = true;
    fn describe(port: &PortSpec, description: &mut Description) {
        describe_output::<T>(port, description);
    }
    fn take(port: &'static PortSpec) -> Result<Self> {
        Self::new(port.name)
    }
}

impl Argument for Context {
    fn describe(_port: &PortSpec, _description: &mut Description) {}
    fn take(_port: &'static PortSpec) -> Result<Self> {
        Ok(Self::current())
    }
}

/// What a task returns: nothing, a table, or several.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a task cannot return `{Self}`",
    note = "it returns `Result<T>` or `T`, where `T` is `()`, a `#[derive(Columns)]` struct, a `RecordBatch`, or a tuple of tables"
)]
pub trait Returned {
    const TABLES: usize;
    fn describe(ports: &[PortSpec], description: &mut Description);
    fn write(self, ports: &'static [PortSpec]) -> Result<()>;
}

impl Returned for () {
    const TABLES: usize = 0;
    fn describe(_ports: &[PortSpec], _description: &mut Description) {}
    fn write(self, _ports: &'static [PortSpec]) -> Result<()> {
        Ok(())
    }
}

impl<T: Columns> Returned for T {
    const TABLES: usize = 1;
    fn describe(ports: &[PortSpec], description: &mut Description) {
        describe_output::<T>(&ports[0], description);
    }
    fn write(self, ports: &'static [PortSpec]) -> Result<()> {
        Output::new(ports[0].name)?.write(self)
    }
}

macro_rules! returned_tuple {
    ($count:literal: $($name:ident $position:tt),+) => {
        impl<$($name: Columns),+> Returned for ($($name,)+) {
            const TABLES: usize = $count;
            fn describe(ports: &[PortSpec], description: &mut Description) {
                $(describe_output::<$name>(&ports[$position], description);)+
            }
            fn write(self, ports: &'static [PortSpec]) -> Result<()> {
                $(Output::new(ports[$position].name)?.write(self.$position)?;)+
                Ok(())
            }
        }
    };
}
returned_tuple!(1: A 0);
returned_tuple!(2: A 0, B 1);
returned_tuple!(3: A 0, B 1, C 2);
returned_tuple!(4: A 0, B 1, C 2, D 3);
returned_tuple!(5: A 0, B 1, C 2, D 3, E 4);
returned_tuple!(6: A 0, B 1, C 2, D 3, E 4, F 5);
returned_tuple!(7: A 0, B 1, C 2, D 3, E 4, F 5, G 6);
returned_tuple!(8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
