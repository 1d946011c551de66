//! How closely a replica tracks its benchmark: one row, and a drawing of both.
//!
//! Streams both tables and keeps a handful of numbers, and a point for each month.

mod chart;
mod spread;

use chart::Chart;
use spread::Spread;
use tidemill_task::prelude::*;

#[parameters]
pub struct Parameters {
    /// Days in a year, by which the tracking error is annualised.
    #[default = 252.0]
    #[above(0.0)]
    days_per_year: f64,
}

/// One row per day.
#[derive(Columns)]
pub struct Replica {
    #[time]
    time_index: TimestampMicrosecondArray,
    replicated_return: Float64Array,
    benchmark_return: Float64Array,
}

/// One row per refit and stock.
#[derive(Columns)]
pub struct Coefficients {
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    coefficient: Float64Array,
}

/// One row.
#[derive(Columns)]
pub struct Statistics {
    /// The replica's last day.
    #[time]
    time_index: TimestampMicrosecondArray,
    /// Standard deviation (ddof 1) of replicated minus benchmark return, a year.
    tracking_error: Float64Array,
    /// Stocks with a coefficient that is not 0, in the mean over all fits.
    nonzero_average: Float64Array,
    fits: Int64Array,
}

/// Tracking error, number of stocks used and number of fits of a replica; leaves `replica.svg`.
#[task]
pub fn statistics(
    parameters: Parameters,
    replica: Input<Replica>,
    coefficients: Input<Coefficients>,
) -> Result<Statistics> {
    let mut last_day = None;
    let (mut spread, mut chart) = (Spread::default(), Chart::default());
    for batch in &replica {
        let batch = batch?;
        for (replicated, benchmark) in
            batch.replicated_return.values().iter().zip(batch.benchmark_return.values())
        {
            spread.add(replicated - benchmark);
            chart.add([*replicated, *benchmark]);
        }
        last_day = batch.time_index.values().last().copied().or(last_day);
    }
    let (Some(last_day), Some(deviation)) = (last_day, spread.deviation()) else {
        bail!("`replica` has {} rows: a tracking error needs two or more", spread.count());
    };

    let (mut fits, mut nonzero, mut last_refit) = (0_i64, 0_i64, None);
    for batch in &coefficients {
        let batch = batch?;
        for (&refit, &coefficient) in batch.time_index.values().iter().zip(batch.coefficient.values()) {
            fits += i64::from(last_refit != Some(refit));
            nonzero += i64::from(coefficient != 0.0);
            last_refit = Some(refit);
        }
    }
    ensure!(0 < fits, "`coefficients` has no rows: a replica comes of one fit or more");

    let tracking_error = deviation * parameters.days_per_year.sqrt();
    metric("tracking_error", tracking_error);
    chart.draw(&mut Artefact::create("replica.svg", "image/svg+xml")?)?;
    Ok(Statistics {
        time_index: vec![last_day].into(),
        tracking_error: vec![tracking_error].into(),
        nonzero_average: vec![nonzero as f64 / fits as f64].into(),
        fits: vec![fits].into(),
    })
}

#[cfg(test)]
mod tests;
