//! A leg of the portfolio: what a basket of assets, picked anew each day by their return over a window, has earned.
//!
//! Streams: no more is held than a batch and the prices of one window. The rule is in `basket`.

mod basket;

use std::collections::BTreeMap;

use basket::{Basket, Pick, Rule};
use tidemill_task::prelude::*;

#[parameters]
struct Parameters {
    /// Days over which the return decides.
    #[range(1..)]
    window: u32,
    /// How many assets are held, with equal weights.
    #[default = 2]
    #[range(1..)]
    count: u32,
    /// Which assets are held.
    #[default = Pick::Winners]
    pick: Pick,
}

/// Prices, one row per day and asset.
#[derive(Columns)]
struct Prices {
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    close: Float64Array,
}

/// One row per day, from the first on which something was held.
#[derive(Columns)]
struct Leg {
    #[time]
    time_index: TimestampMicrosecondArray,
    /// Return of the day of the assets that were picked at the close of the day before.
    leg_return: Float64Array,
}

/// Daily return of the assets that rose (or fell) most over a window before.
#[task]
fn leg(parameters: Parameters, prices: Input<Prices>, output: &mut Output<Leg>) -> Result<()> {
    let Parameters { window, count, pick } = parameters;
    let mut basket = Basket::new(Rule { window: window as usize, count: count as usize, pick });
    let mut today: Option<(i64, BTreeMap<String, f64>)> = None;
    for batch in &prices {
        let batch = batch?;
        let (mut days, mut returns) = (Vec::new(), Vec::new());
        for row in 0..batch.close.len() {
            let (day, asset) = (batch.time_index.value(row), batch.unique_identifier.value(row));
            // A day may reach from one batch into the next, so it ends where another begins.
            if let Some((ended, closes)) = today.take_if(|(time, _)| *time != day)
                && let Some(leg_return) = basket.close(closes)?
            {
                days.push(ended);
                returns.push(leg_return);
            }
            let (_, closes) = today.get_or_insert_with(|| (day, BTreeMap::new()));
            closes.insert(asset.to_owned(), batch.close.value(row));
        }
        output.write(Leg { time_index: days.into(), leg_return: returns.into() })?;
    }
    if let Some((day, closes)) = today
        && let Some(leg_return) = basket.close(closes)?
    {
        output.write(Leg { time_index: vec![day].into(), leg_return: vec![leg_return].into() })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
