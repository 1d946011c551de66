//! The index that coefficients make: each day the stocks' returns weighted by the coefficients of the last refit.

use panel::Panel;
use tidemill_task::prelude::*;

/// One row per refit and stock.
#[derive(Columns)]
pub struct Coefficients {
    /// The first day that the coefficients hold for.
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    coefficient: Float64Array,
}

/// Simple returns, one row per day and identifier.
#[derive(Columns)]
pub struct Returns {
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    simple_return: Float64Array,
}

/// One row per day, from the first refit on.
#[derive(Columns)]
pub struct Replica {
    #[time]
    time_index: TimestampMicrosecondArray,
    replicated_return: Float64Array,
    benchmark_return: Float64Array,
    /// What 1, invested before the first day, has become.
    replicated_index: Float64Array,
    /// The same for the benchmark.
    benchmark_index: Float64Array,
}

/// Daily and cumulative return of a replica, beside those of its benchmark.
#[task]
pub fn replicate(coefficients: Coefficients, returns: Returns, benchmark: Returns) -> Result<Replica> {
    let Coefficients { time_index, unique_identifier, coefficient } = &coefficients;
    let coefficients = matrix("coefficients", time_index, unique_identifier, coefficient)?;
    let Returns { time_index, unique_identifier, simple_return } = &returns;
    let stocks = matrix("returns", time_index, unique_identifier, simple_return)?;
    let Returns { time_index, unique_identifier, simple_return } = &benchmark;
    let benchmark = matrix("benchmark", time_index, unique_identifier, simple_return)?;
    stocks.same_days("returns", &benchmark, "benchmark")?;
    ensure!(
        benchmark.identifiers.len() <= 1,
        "`benchmark` has more than one identifier: there must be exactly one"
    );
    let Some(&first_refit) = coefficients.days.first() else { return Replica::empty() };
    coefficients.same_identifiers("coefficients", &stocks, "returns")?;

    let first = stocks.days.partition_point(|&day| day < first_refit);
    let replicated = replicated(&coefficients, &stocks, first);
    let days = stocks.days[first..].to_vec();
    let benchmark = benchmark.values[first..].to_vec();
    Ok(Replica {
        time_index: days.into(),
        replicated_index: cumulative(&replicated).into(),
        benchmark_index: cumulative(&benchmark).into(),
        replicated_return: replicated.into(),
        benchmark_return: benchmark.into(),
    })
}

fn matrix(
    port: &str,
    days: &TimestampMicrosecondArray,
    identifiers: &StringArray,
    values: &Float64Array,
) -> Result<Panel> {
    let identifiers = (0..identifiers.len()).map(|row| identifiers.value(row));
    Ok(Panel::from_long(port, days.values(), identifiers, values.values())?)
}

/// One return for each row of `stocks` from `first` on, which is the day of the first refit.
fn replicated(coefficients: &Panel, stocks: &Panel, first: usize) -> Vec<f64> {
    let mut refit = 0;
    let returns = (first..stocks.rows()).map(|row| {
        while coefficients.days.get(refit + 1).is_some_and(|&next| next <= stocks.days[row]) {
            refit += 1;
        }
        coefficients.row(refit).iter().zip(stocks.row(row)).map(|(coefficient, x)| coefficient * x).sum()
    });
    returns.collect()
}

fn cumulative(returns: &[f64]) -> Vec<f64> {
    let grown = returns.iter().scan(1.0, |value, simple_return| {
        *value *= 1.0 + simple_return;
        Some(*value)
    });
    grown.collect()
}

#[cfg(test)]
mod tests;
