//! The rolling Lasso itself: plain slices in, plain vectors out; knows nothing of Arrow or of tasks.

use crate::fit::{Fit, Stop, TooManySweeps};
use crate::moments::{RollingMoments, Rows};

/// Far beyond what market data needs (tens); only reached by numbers that do not converge.
const SWEEPS_MAX: u32 = 100_000;

/// What is fitted, on how many rows, how often and how closely.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Rows a fit sees; at least 2.
    pub in_window: usize,
    /// Weight of the L1 penalty in `(1/2n)‖y − Xβ‖² + α‖β‖₁`; positive.
    pub lasso_alpha: f64,
    /// Rows from one fit to the next; at least 1.
    pub refit_every: usize,
    /// A fit is done when no z-scored coefficient moves by more than this in a sweep; positive.
    pub tol: f64,
}

/// The coefficients of every refit.
#[derive(Clone, Debug, Default)]
pub struct Fits {
    /// The row of each refit: it was fitted on the `in_window` rows before and holds from here on.
    pub rows: Vec<usize>,
    /// In units of the returns; one row of `columns` values for each refit.
    pub coefficients: Vec<f64>,
    /// Sweeps of coordinate descent, all refits together.
    pub sweeps: u64,
}

/// Why there are no coefficients; `row` is that of the refit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFit {
    /// The coefficients did not come to rest.
    NotConverged { row: usize, sweeps: u32 },
    /// The numbers are too large to be squared.
    Overflow { row: usize },
}

/// Fits `benchmark` by `stocks` for each row t = w, w + refit_every, … on the rows [t − w, t).
///
/// `stocks` is row after row, `columns` values each. A column that is constant within a window gets the coefficient 0.
/// Fewer rows than a window give no fits.
pub fn rolling_lasso(
    stocks: &[f64],
    columns: usize,
    benchmark: &[f64],
    settings: &Settings,
) -> Result<Fits, NoFit> {
    let Settings { in_window, lasso_alpha, refit_every, tol } = *settings;
    let rows = Rows::new(stocks, columns, benchmark);
    let mut moments = RollingMoments::new(&rows, in_window, refit_every);
    let mut fit = Fit::new(columns);
    let mut fits = Fits::default();
    let stop = Stop { change_max: tol, sweeps_max: SWEEPS_MAX };
    for row in (in_window..benchmark.len()).step_by(refit_every) {
        fit.load(moments.at(row));
        let sweeps = fit.descend(lasso_alpha, stop);
        let sweeps = sweeps.map_err(|TooManySweeps| NoFit::NotConverged { row, sweeps: SWEEPS_MAX })?;
        let first = fits.coefficients.len();
        fits.coefficients.extend(fit.coefficients());
        if !fits.coefficients[first..].iter().all(|coefficient| coefficient.is_finite()) {
            return Err(NoFit::Overflow { row });
        }
        fits.sweeps += u64::from(sweeps);
        fits.rows.push(row);
    }
    Ok(fits)
}

#[cfg(test)]
mod tests;
