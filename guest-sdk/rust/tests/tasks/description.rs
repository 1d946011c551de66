//! What a task says of itself.

use tidemill_task::{Arity, describe, prelude::*};

use crate::Prices;

/// Parameters of the fit.
#[parameters]
struct Params {
    /// Days that the model is
    /// fitted on.
    #[default = 240]
    #[range(2..=1000)]
    in_window: u32,
    /// Weight of the penalty.
    #[above(0.0)]
    #[below(1.0)]
    alpha: f64,
    #[range(0.5..)]
    factor: Option<f64>,
    #[rename = "type"]
    #[default = Kind::Lasso]
    kind: Kind,
}

#[parameters]
enum Kind {
    Lasso,
    LeastSquares,
}

/// Fits the index
/// from its members.
///
/// More of it.
#[task(outputs(coefficients, raw(time = "time_index", identifiers("symbol", "window"))), memory = "512MiB")]
fn fit(
    params: Params,
    /// Daily prices.
    prices: Prices,
    r#type: Option<Input<Prices>>,
    legs: Family,
    ctx: &Context,
    #[port(name = "log", time = "at")] lines: &mut Output,
) -> Result<(Prices, RecordBatch)> {
    let _ = (
        params.in_window,
        params.alpha,
        params.factor,
        params.kind,
        r#type.is_some(),
        legs.len(),
        ctx,
        lines,
    );
    Ok((prices.clone(), prices.into_batch()?))
}

#[test]
fn name_summary_ports_and_hints_come_from_the_function() {
    let it = describe::<fit_task>();
    assert_eq!((it.name.as_str(), it.summary.as_str()), ("fit", "Fits the index from its members."));
    assert_eq!(it.memory_bytes, Some(512 << 20));
    let inputs: Vec<_> =
        it.inputs.iter().map(|it| (it.name.as_str(), it.summary.as_str(), it.arity)).collect();
    assert_eq!(
        inputs,
        [
            ("prices", "Daily prices.", Arity::One),
            ("type", "Prices of symbols by day.", Arity::Optional),
            ("legs", "", Arity::Many),
        ]
    );
    assert_eq!(it.inputs[0].columns, Prices::schema());
    assert_eq!(it.inputs[2].columns, None);
    let outputs: Vec<_> = it
        .outputs
        .iter()
        .map(|it| {
            (it.name.as_str(), it.columns.is_some(), it.time_index.as_deref(), it.identifiers.join(" "))
        })
        .collect();
    assert_eq!(
        outputs,
        [
            ("coefficients", true, Some("time_index"), "symbol".to_owned()),
            ("raw", false, Some("time_index"), "symbol window".to_owned()),
            ("log", false, Some("at"), String::new()),
        ]
    );
}

#[test]
fn parameters_are_a_json_schema_with_docs_defaults_and_ranges() {
    let schema = describe::<fit_task>().parameters;
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
    assert_eq!(schema["description"], "Parameters of the fit.");
    assert_eq!(schema["required"], json!(["alpha"]));
    let in_window = &schema["properties"]["in_window"];
    assert_eq!(in_window["description"], "Days that the model is\nfitted on.");
    assert_eq!(
        (&in_window["type"], &in_window["default"], &in_window["minimum"], &in_window["maximum"]),
        (&json!("integer"), &json!(240), &json!(2), &json!(1000))
    );
    let alpha = &schema["properties"]["alpha"];
    assert_eq!((&alpha["exclusiveMinimum"], &alpha["exclusiveMaximum"]), (&json!(0.0), &json!(1.0)));
    assert_eq!(schema["properties"]["factor"]["minimum"], 0.5);
    assert_eq!(schema["properties"]["type"]["default"], "lasso");
    assert_eq!(schema["$defs"]["Kind"]["enum"], json!(["lasso", "least_squares"]));
}

#[task]
fn bare() {}

#[test]
fn a_task_without_parameters_takes_none() {
    let schema = describe::<bare_task>().parameters;
    assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
}

#[test]
fn a_description_is_the_same_every_time() {
    assert_eq!(describe::<fit_task>(), describe::<fit_task>());
    assert_eq!(describe::<fit_task>().parameters.to_string(), describe::<fit_task>().parameters.to_string());
}
