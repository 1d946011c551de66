//! How arguments and results are bound to parameters, ports and the context.

use tidemill_task::prelude::*;

use crate::{Prices, prices, three};

#[parameters]
struct Params {
    /// What each price is multiplied by.
    #[default = 2.0]
    #[above(0.0)]
    factor: f64,
    #[default = "close"]
    column: String,
    #[range(1..=9)]
    limit: Option<u8>,
    #[default = vec![1, 2]]
    windows: Vec<u32>,
    #[default = Mode::Fast]
    mode: Mode,
}

/// How exact.
#[parameters]
enum Mode {
    Fast,
    VeryExact,
}

/// Each price times `factor`.
#[task]
fn scaled(params: Params, prices: Prices) -> Result<Prices> {
    info!({ mode = format!("{:?}", params.mode), windows = params.windows.len() }, "scaling {}", params.column);
    metric("limit", params.limit.map_or(-1.0, f64::from));
    Ok(Prices { close: prices.close.unary(|it| it * params.factor), ..prices })
}

#[test]
fn one_table_comes_in_and_one_goes_out() {
    let outputs = Harness::new(scaled_task)
        .parameters(json!({ "factor": 3.0, "mode": "very_exact", "limit": 9 }))
        .input("prices", three())
        .batch_rows_max(2)
        .run()
        .expect("runs");
    assert_eq!(outputs.read::<Prices>("output").expect("written").close.values(), &[30.0, 60.0, 33.0]);
    assert_eq!(outputs.logs()[0].message, "scaling close");
    assert_eq!(outputs.logs()[0].fields[0], ("mode".to_owned(), "VeryExact".to_owned()));
    assert_eq!(outputs.metric("limit"), Some(9.0));
}

#[test]
fn defaults_are_filled_in() {
    let outputs = Harness::new(scaled_task).input("prices", three()).run().expect("runs");
    assert_eq!(outputs.read::<Prices>("output").expect("written").close.value(0), 20.0);
    assert_eq!(outputs.metric("limit"), Some(-1.0));
}

#[track_caller]
fn refuses(parameters: serde_json::Value, message: &str) {
    let error =
        Harness::new(scaled_task).parameters(parameters).input("prices", three()).run().expect_err("refused");
    assert_eq!(error.message(), message);
}

#[test]
fn a_parameter_out_of_range_is_named_with_its_value() {
    refuses(json!({ "factor": 0.0 }), "parameters: `factor` is 0, must be above 0.0");
    refuses(json!({ "limit": 10 }), "parameters: `limit` is 10, must be within 1..=9");
}

#[test]
fn an_unknown_parameter_is_refused() {
    refuses(
        json!({ "faktor": 1.0 }),
        "parameters: unknown field `faktor`, expected one of `factor`, `column`, `limit`, `windows`, `mode` at line 1 column 9",
    );
}

#[task(outputs(high, low))]
fn split(
    prices: &Prices,
    #[port(name = "benchmark")] index: Option<RecordBatch>,
) -> Result<(RecordBatch, Prices)> {
    metric("has benchmark", f64::from(u8::from(index.is_some())));
    Ok((prices.clone().into_batch()?.slice(1, 1), prices.clone()))
}

#[test]
fn a_tuple_is_several_outputs_and_an_option_a_table_that_may_lack() {
    let outputs = Harness::new(split_task).input("prices", three()).run().expect("runs");
    assert_eq!(outputs.batch("high").expect("written").num_rows(), 1);
    assert_eq!(outputs.read::<Prices>("low").expect("written"), three());
    assert_eq!(outputs.metric("has benchmark"), Some(0.0));
    let outputs =
        Harness::new(split_task).input("prices", three()).input("benchmark", three()).run().expect("runs");
    assert_eq!(outputs.metric("has benchmark"), Some(1.0));
}

/// All legs under each other.
#[task]
fn portfolio(legs: &[Member<Prices>], ctx: &Context, output: &mut Output<Prices>) -> Result<()> {
    for leg in legs {
        let window: u32 = leg.get("window")?;
        ctx.metric(leg.node(), window.into());
        ensure!(leg.key().len() == 1, "one key");
        for table in leg.input().batch_rows_max(1) {
            output.write(table?)?;
        }
    }
    Ok(())
}

#[test]
fn a_family_comes_with_nodes_and_keys() {
    let outputs = Harness::new(portfolio_task)
        .member("legs", "leg[window=60]", json!({ "window": 60 }), prices(&[(1, "A", 1.0), (1, "B", 1.0)]))
        .member(
            "legs",
            "leg[window=120]",
            json!({ "window": 120 }),
            vec![prices(&[(2, "A", 1.0)]), prices(&[(3, "A", 1.0)])],
        )
        .run()
        .expect("runs");
    assert_eq!(outputs.batch("output").expect("written").num_rows(), 4);
    assert_eq!(outputs.metric("leg[window=120]"), Some(120.0));
}

#[test]
fn a_family_without_members_is_refused() {
    let error = Harness::new(portfolio_task).run().expect_err("refused");
    assert_eq!(error.message(), "input `legs` takes 1 table at least, got 0");
}

#[task]
fn knows(ctx: &Context) -> Result<()> {
    let identity = ctx.identity();
    assert_eq!((identity.attempt, identity.seed, identity.node.as_str()), (2, 7, "knows"));
    assert_eq!(ctx.window().start, Some(10));
    assert_eq!(ctx.logical_time(), 15);
    assert_eq!(ctx.progress_of("output")[0].identifiers, ["A"]);
    let before = ctx.checkpoint().unwrap_or_default();
    ctx.save_checkpoint(&[&before[..], &[9]].concat())?;
    progress(1, 2);
    if ctx.save_checkpoint(&vec![0; (1 << 20) + 1]).is_err() {
        warn!("too large");
    }
    Ok(())
}

#[test]
fn the_context_tells_of_the_run_and_takes_what_is_said() {
    let harness = Harness::new(knows_task).attempt(2).seed(7).window(10, 20).as_of(15).checkpoint([8]);
    let outputs = harness.progress_of("output", ["A"], 5).run().expect("runs");
    assert_eq!(outputs.checkpoint(), Some(vec![8, 9]));
    assert_eq!(outputs.progress(), Some((1, Some(2))));
    assert_eq!(outputs.logs()[0].message, "too large");
}

#[task(name = "other_name")]
fn plain(_prices: Input) {}

#[test]
fn a_task_may_return_nothing_and_have_another_name() {
    let description = tidemill_task::describe::<plain_task>();
    assert_eq!((description.name.as_str(), description.inputs[0].name.as_str()), ("other_name", "prices"));
    assert!(description.outputs.is_empty());
}
