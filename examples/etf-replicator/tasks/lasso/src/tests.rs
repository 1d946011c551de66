//! The real data against scikit-learn (`fixtures/make_fixture.py` says how its coefficients were made), and bad data.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidemill_task::arrow::select::concat::concat_batches;

use super::*;

/// Agreement asked of the coefficients; the largest difference seen is 3e-12.
const DIFFERENCE_MAX: f64 = 1e-9;

#[derive(Columns)]
struct Closes {
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    close: Float64Array,
}

/// Returns of the example's stocks and index, as the node before computes them.
pub(crate) struct Market {
    days: Vec<i64>,
    names: Vec<String>,
    pub(crate) columns: usize,
    pub(crate) stocks: Vec<f64>,
    pub(crate) benchmark: Vec<f64>,
}

fn parquet(path: &str) -> RecordBatch {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = builder.schema().clone();
    concat_batches(&schema, &builder.build().unwrap().collect::<Result<Vec<_>, _>>().unwrap()).unwrap()
}

fn simple_returns(path: &str) -> Panel {
    let closes = Closes::from_batch(&parquet(path)).unwrap();
    let names = closes.unique_identifier.iter().flatten();
    let closes =
        Panel::from_long("closes", closes.time_index.values(), names, closes.close.values()).unwrap();
    let columns = closes.identifiers.len();
    let values = closes.values[columns..].iter().zip(&closes.values).map(|(now, before)| now / before - 1.0);
    Panel { values: values.collect(), days: closes.days[1..].to_vec(), identifiers: closes.identifiers }
}

pub(crate) fn market() -> Market {
    let (stocks, index) =
        (simple_returns("data/sp500_prices.parquet"), simple_returns("data/sp500_index.parquet"));
    let columns = stocks.identifiers.len();
    Market {
        days: stocks.days,
        names: stocks.identifiers,
        columns,
        stocks: stocks.values,
        benchmark: index.values,
    }
}

fn long(days: &[i64], names: &[String], values: &[f64]) -> Returns {
    Returns {
        time_index: days.iter().flat_map(|&day| names.iter().map(move |_| day)).collect::<Vec<_>>().into(),
        unique_identifier: days.iter().flat_map(|_| names.iter().cloned()).collect::<Vec<_>>().into(),
        simple_return: values.to_vec().into(),
    }
}

/// By day and stock.
fn by_key(coefficients: &Coefficients) -> BTreeMap<(i64, &str), f64> {
    let keys =
        coefficients.time_index.values().iter().copied().zip(coefficients.unique_identifier.iter().flatten());
    keys.zip(coefficients.coefficient.values().iter().copied()).collect()
}

/// The largest difference to the fixture's coefficients; each of them must be there.
fn difference_to_fixture(coefficients: &Coefficients) -> f64 {
    let fixture = Coefficients::from_batch(&parquet("fixtures/lasso_w240_a1e-3.parquet")).unwrap();
    let (fixture, coefficients) = (by_key(&fixture), by_key(coefficients));
    assert_eq!(fixture.len(), 81 * 20, "every 20th of 1,615 fits of 20 stocks");
    fixture.iter().map(|(key, expected)| (coefficients[key] - expected).abs()).fold(0.0, f64::max)
}

#[test]
fn coefficients_agree_with_scikit_learn() {
    let Market { days, names, stocks, benchmark, .. } = market();
    let outputs = Harness::new(lasso_task)
        .parameters(json!({ "in_window": 240, "lasso_alpha": 1e-3, "refit_every": 5 }))
        .input("returns", long(&days, &names, &stocks))
        .input("benchmark", long(&days, &["SP500".to_owned()], &benchmark))
        .run()
        .unwrap();
    let coefficients: Coefficients = outputs.read("output").unwrap();
    let difference = difference_to_fixture(&coefficients);
    assert!(difference < DIFFERENCE_MAX, "off by {difference}");
    assert_eq!(coefficients.rows(), 1615 * 20);
}

#[test]
fn a_window_that_is_one_row_off_shows_in_the_comparison() {
    let Market { days, names, columns, stocks, benchmark } = market();
    let settings = Settings { in_window: 240, lasso_alpha: 1e-3, refit_every: 5, tol: 1e-10 };
    let difference = |skipped: usize| {
        let fits =
            rolling_lasso(&stocks[skipped * columns..], columns, &benchmark[skipped..], &settings).unwrap();
        // Row numbers are left as they are: with one row skipped each window has slipped into the day it is used on.
        let panel = Panel { days: days.clone(), identifiers: names.clone(), values: Vec::new() };
        difference_to_fixture(&table(&panel, fits))
    };
    assert!(difference(0) < DIFFERENCE_MAX, "in place: off by {}", difference(0));
    assert!(1e-3 < difference(1), "slipped: off by only {}", difference(1));
}

#[test]
fn the_tracking_error_is_that_of_the_reference() {
    let Market { columns, stocks, benchmark, .. } = market();
    let settings = Settings { in_window: 240, lasso_alpha: 1e-3, refit_every: 5, tol: 1e-10 };
    let fits = rolling_lasso(&stocks, columns, &benchmark, &settings).unwrap();
    let differences: Vec<f64> = (settings.in_window..benchmark.len())
        .map(|row| {
            let refit = (row - settings.in_window) / settings.refit_every;
            let coefficients = &fits.coefficients[refit * columns..(refit + 1) * columns];
            let xs = &stocks[row * columns..(row + 1) * columns];
            coefficients.iter().zip(xs).map(|(coefficient, x)| coefficient * x).sum::<f64>() - benchmark[row]
        })
        .collect();
    let mean = differences.iter().sum::<f64>() / differences.len() as f64;
    let squares: f64 = differences.iter().map(|it| (it - mean).powi(2)).sum();
    let tracking_error = (squares / (differences.len() - 1) as f64 * 252.0).sqrt();

    let fixture = parquet("fixtures/lasso_w240_a1e-3.parquet");
    let expected = |key: &str| fixture.schema_ref().metadata()[key].parse::<f64>().unwrap();
    assert!((tracking_error - expected("tracking_error")).abs() < 1e-9, "{tracking_error}");
    assert_eq!(format!("{tracking_error:.5}"), "0.04963");
    assert_eq!(fits.rows.len() as f64, expected("fits"));
    let nonzero = fits.coefficients.iter().filter(|&&it| it != 0.0).count();
    assert!((nonzero as f64 / fits.rows.len() as f64 - expected("nonzero_average")).abs() < 1e-9);
}

#[track_caller]
fn refused(returns: Returns, benchmark: Returns, expected: &str) {
    let harness = Harness::new(lasso_task).parameters(json!({ "in_window": 2 }));
    let error =
        harness.input("returns", returns).input("benchmark", benchmark).run().expect_err("it is refused");
    assert!(error.message().contains(expected), "{error}");
}

#[test]
fn bad_tables_are_refused_by_identifier_and_day() {
    const DAY: i64 = 86_400_000_000;
    let days: Vec<i64> = (0..5).map(|day| day * DAY).collect();
    let (ab, index) = (["A".to_owned(), "B".to_owned()], ["I".to_owned()]);
    let (x, y) = ([0.1, 0.2, 0.3, 0.1, 0.2, 0.0, 0.1, 0.3, 0.2, 0.1], [0.1, 0.2, 0.1, 0.2, 0.3]);
    let stocks = || long(&days, &ab, &x);
    let benchmark = || long(&days, &index, &y);

    let gap = Returns::from_batch(&{
        let whole = stocks().into_batch().unwrap();
        concat_batches(&whole.schema(), [&whole.slice(0, 5), &whole.slice(6, 4)]).unwrap()
    });
    refused(gap.unwrap(), benchmark(), "`returns` has no row of `B` on 1970-01-03");
    let mut infinite = x;
    infinite[7] = f64::INFINITY;
    refused(long(&days, &ab, &infinite), benchmark(), "`returns` of `B` on 1970-01-04 is `inf`");
    refused(
        stocks(),
        long(&days[1..], &index, &y[1..]),
        "`benchmark` has no row on 1970-01-01, but `returns` has",
    );
    refused(stocks(), stocks(), "`benchmark` has 2 identifiers");
    refused(long(&days[..2], &ab, &x[..4]), long(&days[..2], &index, &y[..2]), "`returns` has 2 days");
}
