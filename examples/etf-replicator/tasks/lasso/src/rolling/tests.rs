//! Coefficients are a Lasso's minimum, whatever the settings.

use super::*;
use crate::tests::market;

/// How far the coefficients of one window are from the minimum: the largest breach of the conditions that hold there
/// (a gradient of α against the sign of each coefficient, of at most α where it is 0), by the window's own rows.
fn breach(stocks: &[f64], columns: usize, benchmark: &[f64], coefficients: &[f64], alpha: f64) -> f64 {
    let z = |values: Vec<f64>| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let sd = (values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        (values.iter().map(|it| if sd == 0.0 { 0.0 } else { (it - mean) / sd }).collect::<Vec<_>>(), sd)
    };
    let (y, y_sd) = z(benchmark.to_vec());
    let xs: Vec<_> =
        (0..columns).map(|j| z(stocks.iter().skip(j).step_by(columns).copied().collect())).collect();
    let mut residual = y;
    for ((x, x_sd), coefficient) in xs.iter().zip(coefficients) {
        for (residual, x) in residual.iter_mut().zip(x) {
            *residual -= coefficient * x_sd / y_sd * x;
        }
    }
    let breaches = xs.iter().zip(coefficients).map(|((x, x_sd), &coefficient)| {
        let gradient =
            x.iter().zip(&residual).map(|(x, residual)| x * residual).sum::<f64>() / residual.len() as f64;
        match coefficient {
            _ if *x_sd == 0.0 => coefficient.abs(),
            0.0 => (gradient.abs() - alpha).max(0.0),
            _ => (gradient - alpha * coefficient.signum()).abs(),
        }
    });
    breaches.fold(0.0, f64::max)
}

#[test]
fn every_fit_is_the_minimum_of_its_window() {
    let market = market();
    let columns = market.columns;
    // The third has fewer rows than stocks, and early windows have stocks that do not move.
    for (in_window, lasso_alpha, refit_every) in
        [(240, 1e-3, 20), (60, 1e-4, 21), (15, 1e-2, 50), (240, 0.3, 40), (240, 2.0, 500)]
    {
        let settings = Settings { in_window, lasso_alpha, refit_every, tol: 1e-10 };
        let fits = rolling_lasso(&market.stocks, columns, &market.benchmark, &settings).unwrap();
        for (&row, coefficients) in fits.rows.iter().zip(fits.coefficients.chunks_exact(columns)) {
            let stocks = &market.stocks[(row - in_window) * columns..row * columns];
            let breach =
                breach(stocks, columns, &market.benchmark[row - in_window..row], coefficients, lasso_alpha);
            assert!(breach < 1e-8, "{settings:?}, row {row}: the gradient is off by {breach}");
        }
    }
}

#[test]
fn numbers_too_large_to_be_squared_are_refused() {
    let settings = Settings { in_window: 3, lasso_alpha: 0.1, refit_every: 1, tol: 1e-10 };
    let refused = rolling_lasso(&[1e200, 0.0, 1.0, 2.0], 1, &[1.0, 2.0, 3.0, 4.0], &settings);
    assert_eq!(refused.unwrap_err(), NoFit::Overflow { row: 3 });
}

#[test]
fn fewer_rows_than_a_window_give_no_fits() {
    let settings = Settings { in_window: 3, lasso_alpha: 0.1, refit_every: 1, tol: 1e-10 };
    assert!(rolling_lasso(&[1.0, 2.0, 3.0], 1, &[1.0, 2.0, 3.0], &settings).unwrap().rows.is_empty());
}
