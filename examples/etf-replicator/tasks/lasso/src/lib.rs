//! Rolling Lasso coefficients of a benchmark on stocks: the weights of a portfolio that is to move as the benchmark does.
//!
//! This file turns tables into a matrix and back. The numerics are in `rolling` (the refits), `moments` (of a window),
//! `fit` (coordinate descent) and `system` (the linear equations of a jump); they know nothing of tasks.

mod fit;
mod moments;
mod rolling;
mod system;

use panel::Panel;
pub use rolling::{Fits, NoFit, Settings, rolling_lasso};
use tidemill_task::prelude::*;

#[parameters]
pub struct Parameters {
    /// Days that a fit sees.
    #[default = 240]
    #[range(2..)]
    in_window: u32,
    /// Weight of the L1 penalty, for returns that are z-scored inside the window.
    #[default = 1e-3]
    #[above(0.0)]
    lasso_alpha: f64,
    /// Days from one fit to the next.
    #[default = 5]
    #[range(1..)]
    refit_every: u32,
    /// A fit is done when no z-scored coefficient moves by more than this.
    #[default = 1e-10]
    #[above(0.0)]
    tol: f64,
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

/// One row per refit and stock.
#[derive(Columns)]
pub struct Coefficients {
    /// The first day that the coefficients hold for; they come of the days before.
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    /// In units of the returns; 0 for a stock that is left out.
    coefficient: Float64Array,
}

/// Coefficients of a Lasso of the benchmark on the stocks, refitted on a rolling window.
#[task]
pub fn lasso(
    parameters: Parameters,
    /// Returns of the stocks.
    returns: Returns,
    /// Returns of the benchmark: one identifier, the same days.
    benchmark: Returns,
) -> Result<Coefficients> {
    let stocks = matrix("returns", &returns)?;
    let benchmark = matrix("benchmark", &benchmark)?;
    stocks.same_days("returns", &benchmark, "benchmark")?;
    ensure!(
        benchmark.identifiers.len() == 1,
        "`benchmark` has {} identifiers, the first are `{:?}`: there must be exactly one",
        benchmark.identifiers.len(),
        &benchmark.identifiers[..benchmark.identifiers.len().min(3)]
    );
    ensure!(
        (parameters.in_window as usize) < stocks.rows(),
        "`returns` has {} days, which is no more than `in_window` = {}: give more days or a shorter window",
        stocks.rows(),
        parameters.in_window
    );
    let settings = Settings {
        in_window: parameters.in_window as usize,
        lasso_alpha: parameters.lasso_alpha,
        refit_every: parameters.refit_every as usize,
        tol: parameters.tol,
    };
    let fits = rolling_lasso(&stocks.values, stocks.identifiers.len(), &benchmark.values, &settings);
    let fits = fits.map_err(|no_fit| explained(no_fit, &stocks.days))?;
    info!("{} fits of {} stocks, {} sweeps", fits.rows.len(), stocks.identifiers.len(), fits.sweeps);
    Ok(table(&stocks, fits))
}

fn explained(no_fit: NoFit, days: &[i64]) -> Error {
    Error::permanent(match no_fit {
        NoFit::NotConverged { row, sweeps } => format!(
            "the fit on {} has not come to rest after {sweeps} sweeps: raise `tol` or `lasso_alpha`",
            panel::day(days[row])
        ),
        NoFit::Overflow { row } => format!(
            "the window before {} has returns too large to be squared: look for wrong prices there",
            panel::day(days[row])
        ),
    })
}

fn matrix(port: &str, table: &Returns) -> Result<Panel> {
    let identifiers = (0..table.unique_identifier.len()).map(|row| table.unique_identifier.value(row));
    Ok(Panel::from_long(port, table.time_index.values(), identifiers, table.simple_return.values())?)
}

fn table(stocks: &Panel, fits: Fits) -> Coefficients {
    let columns = stocks.identifiers.len();
    let days = fits.rows.iter().flat_map(|&row| std::iter::repeat_n(stocks.days[row], columns));
    let identifiers = fits.rows.iter().flat_map(|_| stocks.identifiers.iter().map(String::as_str));
    Coefficients {
        time_index: days.collect::<Vec<_>>().into(),
        unique_identifier: identifiers.collect::<Vec<_>>().into(),
        coefficient: fits.coefficients.into(),
    }
}

#[cfg(test)]
mod tests;
