//! Tables larger than memory: batch by batch, lazily, with columns that pass through.

use tidemill_task::prelude::*;

use crate::{Prices, prices, three};

/// Dear prices to one output, cheap ones to another; the symbols of both from a third table, row by row.
#[task]
fn sorted(
    prices: Input<Prices>,
    names: Input,
    dear: &mut Output<Prices>,
    mut cheap: Output<Prices>,
) -> Result<()> {
    let mut names = names.columns(["name"]).iter();
    for batch in &prices {
        let batch = batch?;
        let name = names.next().context("as many names as prices")??;
        let name = name.column(0).as_string::<i32>().clone();
        let to = if batch.close.value(0) > 15.0 { &mut *dear } else { &mut cheap };
        to.write(Prices { symbol: name, ..batch })?;
    }
    Ok(())
}

fn names() -> RecordBatch {
    let numbers: ArrayRef = std::sync::Arc::new(Int32Array::from(vec![1, 2, 3]));
    let names: ArrayRef = std::sync::Arc::new(StringArray::from(vec!["Anna", "Bert", "Anna"]));
    RecordBatch::try_from_iter([("number", numbers), ("name", names)]).expect("a batch")
}

#[test]
fn many_tables_stream_in_and_many_out() {
    let harness =
        Harness::new(sorted_task).input("prices", three()).input("names", names()).batch_rows_max(1);
    let outputs = harness.run().expect("runs");
    assert_eq!(outputs.read::<Prices>("dear").expect("written"), prices(&[(1, "Bert", 20.0)]));
    assert_eq!(outputs.batch("cheap").expect("written").num_rows(), 2);
}

/// Reads one column; passes the others without reading them.
#[task]
fn doubled(
    prices: Input,
    #[port(time = "time_index", identifiers("stock"))] any: &mut Output,
    typed: &mut Output<Prices>,
    same: &mut Output<Prices>,
) -> Result<()> {
    for batch in prices.batches() {
        let batch = batch?;
        let close: Float64Array = batch.column("close")?.read()?;
        let close = close.unary::<_, Float64Type>(|it| it * 2.0);
        let any = any.compose().pass(batch.column("time_index")?).pass_as("stock", batch.column("symbol")?);
        any.set("twice", close.clone()).write()?;
        // In any order: the output knows its own.
        let typed = typed.compose().set("close", close).pass(batch.column("symbol")?);
        typed.pass(batch.column("time_index")?).write()?;
        same.pass(&batch)?;
    }
    Ok(())
}

#[test]
fn columns_of_an_input_pass_through() {
    let outputs = Harness::new(doubled_task).input("prices", three()).batch_rows_max(2).run().expect("runs");
    let any = outputs.batch("any").expect("written");
    let names: Vec<_> = any.schema().fields().iter().map(|it| it.name().clone()).collect();
    assert_eq!(names, ["time_index", "stock", "twice"]);
    assert_eq!(any.column(2).as_primitive::<Float64Type>().values(), &[20.0, 40.0, 22.0]);
    assert_eq!(outputs.read::<Prices>("typed").expect("written").close.values(), &[20.0, 40.0, 22.0]);
    assert_eq!(outputs.read::<Prices>("same").expect("written"), three());
}

#[task]
fn compose_badly(prices: Input, output: &mut Output<Prices>) -> Result<()> {
    for batch in prices.batches() {
        let batch = batch?;
        let close = || Float64Array::from(vec![1.0; 3]);
        let time = || batch.column("time_index");
        let symbol = || batch.column("symbol");
        let mut attempts = Vec::new();
        attempts.push(output.compose().set("close", close()).pass(time()?).write());
        attempts.push(
            output.compose().set("close", close()).pass(time()?).pass(symbol()?).set("more", close()).write(),
        );
        attempts
            .push(output.compose().set("close", close().slice(0, 1)).pass(time()?).pass(symbol()?).write());
        attempts.push(output.compose().set("close", close()).set("close", close()).write());
        attempts.push(
            output.compose().set("close", Int64Array::from(vec![1; 3])).pass(time()?).pass(symbol()?).write(),
        );
        attempts.push(output.compose().pass_as("close", symbol()?).pass(time()?).pass(symbol()?).write());
        attempts.push(batch.column("volume").map(drop));
        attempts.push(batch.column("close")?.read::<StringArray>().map(drop));
        for it in attempts {
            info!("{}", it.err().context("it was refused")?);
        }
    }
    Ok(())
}

#[test]
fn a_composition_that_does_not_fit_says_what_does_not() {
    let outputs = Harness::new(compose_badly_task).input("prices", three()).run().expect("runs");
    let said: Vec<_> = outputs.logs().into_iter().map(|it| it.message).collect();
    let columns = "`time_index` Timestamp(µs, \"UTC\"), `symbol` Utf8, `close` Float64";
    assert_eq!(
        said,
        [
            "output `output`: column `symbol` is missing".to_owned(),
            format!("output `output`: there is no column `more`; there are {columns}"),
            "output `output`: column `time_index` has 3 rows, `close` has 1".to_owned(),
            "output `output`: column `close` is given twice".to_owned(),
            "output `output`: column `close` is Int64, must be Float64".to_owned(),
            "output `output`: column `close` is Utf8, must be Float64".to_owned(),
            "input `prices`: column `volume` is missing; there are `time_index`, `symbol`, `close`"
                .to_owned(),
            "input `prices`: column `close` is Float64, which is no StringArray".to_owned(),
        ]
    );
}

/// Counts rows before, within and after a range, opening the table three times.
#[task]
fn counts(prices: Input<Prices>) -> Result<()> {
    let count = |input: Input<Prices>| input.iter().map(|it| it.map(|it| it.rows())).sum::<Result<usize>>();
    metric("before", count(prices.clone().between(None, 2_000))? as f64);
    metric("from", count(prices.clone().between(2_000, None))? as f64);
    metric("all", count(prices)? as f64);
    Ok(())
}

#[test]
fn an_input_opens_again_and_reads_a_range_of_times() {
    let outputs = Harness::new(counts_task).input("prices", three()).run().expect("runs");
    assert_eq!(
        (outputs.metric("before"), outputs.metric("from"), outputs.metric("all")),
        (Some(2.0), Some(1.0), Some(3.0))
    );
}

#[test]
fn nothing_past_the_window_can_be_read() {
    let outputs = Harness::new(counts_task).input("prices", three()).as_of(1_000).run().expect("runs");
    assert_eq!((outputs.metric("from"), outputs.metric("all")), (Some(0.0), Some(2.0)));
    let outputs = Harness::new(counts_task).input("prices", three()).window(None, 1_000).run().expect("runs");
    assert_eq!(outputs.metric("all"), Some(0.0));
}

#[task]
fn whole(prices: Input<Prices>) -> Result<Prices> {
    prices.read()
}

#[test]
fn a_table_without_rows_is_a_table() {
    let outputs =
        Harness::new(whole_task).input("prices", Prices::empty().expect("no rows")).run().expect("runs");
    let table = outputs.batch("output").expect("written");
    assert_eq!((table.num_rows(), table.schema()), (0, Prices::schema().expect("columns")));
}

#[task]
fn reversed(prices: Prices) -> Result<Prices> {
    let batch = prices.into_batch()?;
    let rows = batch.num_rows();
    let parts: Vec<RecordBatch> = (0..rows).rev().map(|it| batch.slice(it, 1)).collect();
    Prices::from_batch(&tidemill_task::arrow::select::concat::concat_batches(&batch.schema(), &parts)?)
}

#[test]
fn a_table_out_of_order_is_refused_as_a_host_would() {
    let error = Harness::new(reversed_task).input("prices", three()).run().expect_err("refused");
    assert_eq!(
        error.message(),
        "output `output`: row 1 is out of order: its index is less than that of the row before it"
    );
    let twice = prices(&[(1, "A", 1.0), (1, "A", 2.0)]);
    let error = Harness::new(whole_task).input("prices", twice.clone()).run().expect_err("refused");
    assert_eq!(error.message(), "output `output`: row 1 has the index of the row before it");
    // Also from one batch to the next.
    let error = Harness::new(sorted_task)
        .input("prices", twice)
        .input("names", names().slice(0, 2))
        .batch_rows_max(1);
    assert!(error.run().is_ok(), "the names differ");
}
