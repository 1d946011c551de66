//! Simple returns of prices, for any set of identifiers.
//!
//! A return is over the identifier's own previous row, however long ago that was; its first row has none and is dropped.
//! Streams: no more is held than a batch and the last price of each identifier.

use std::collections::HashMap;

use tidemill_task::prelude::*;

/// Prices, one row per time and identifier.
#[derive(Columns)]
pub struct Prices {
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    close: Float64Array,
}

/// Returns, one row per time and identifier.
#[derive(Columns)]
pub struct Returns {
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    /// Close over the close before, minus 1.
    simple_return: Float64Array,
}

/// Simple return of each close over the one before.
#[task]
pub fn returns(prices: Input<Prices>, output: &mut Output<Returns>) -> Result<()> {
    let mut last: HashMap<String, f64> = HashMap::new();
    for batch in &prices {
        let batch = batch?;
        let rows = batch.close.len();
        let mut times = Vec::with_capacity(rows);
        let mut identifiers = StringBuilder::with_capacity(rows, 8 * rows);
        let mut values = Vec::with_capacity(rows);
        for row in 0..rows {
            let (time, identifier) = (batch.time_index.value(row), batch.unique_identifier.value(row));
            let close = batch.close.value(row);
            let Some(before) = last.get_mut(identifier) else {
                last.insert(identifier.to_owned(), close);
                continue;
            };
            let simple_return = close / *before - 1.0;
            ensure!(
                simple_return.is_finite(),
                "the return of `{identifier}` on {} is `{simple_return}`, from close `{before}` to `{close}`: \
                 closes must be finite and not 0",
                panel::day(time)
            );
            *before = close;
            times.push(time);
            identifiers.append_value(identifier);
            values.push(simple_return);
        }
        output.write(Returns {
            time_index: times.into(),
            unique_identifier: identifiers.finish(),
            simple_return: values.into(),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
