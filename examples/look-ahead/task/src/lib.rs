//! Smooths prices by their mean over a window, which may end at the day of a row, or surround it.

use std::collections::BTreeMap;

use tidemill_task::prelude::*;

#[parameters]
struct Parameters {
    /// Prices in a window.
    #[default = 21]
    #[range(1..)]
    days: u32,
    /// Whether a window surrounds its day, and so holds prices that nobody knew on that day.
    #[default = false]
    centred: bool,
}

/// One row per day and asset.
#[derive(Columns)]
struct Prices {
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    close: Float64Array,
}

#[derive(Columns)]
struct Smooth {
    #[time]
    time_index: TimestampMicrosecondArray,
    #[identifier]
    unique_identifier: StringArray,
    mean: Float64Array,
}

/// Mean of each asset's prices over a window.
#[task]
fn smooth(parameters: Parameters, prices: Prices) -> Smooth {
    let days = parameters.days as usize;
    let ahead = if parameters.centred { days / 2 } else { 0 };
    let mut rows_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for row in 0..prices.rows() {
        rows_of.entry(prices.unique_identifier.value(row)).or_default().push(row);
    }
    // Rows stay in the order of time, whatever the assets.
    let mut means: BTreeMap<usize, f64> = BTreeMap::new();
    for rows in rows_of.values() {
        for window in rows.windows(days) {
            let sum: f64 = window.iter().map(|row| prices.close.value(*row)).sum();
            means.insert(window[days - 1 - ahead], sum / days as f64);
        }
    }
    let rows = means.keys().copied();
    Smooth {
        time_index: rows.clone().map(|row| prices.time_index.value(row)).collect::<Vec<_>>().into(),
        unique_identifier: rows.map(|row| Some(prices.unique_identifier.value(row))).collect(),
        mean: means.into_values().collect::<Vec<_>>().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smoothed(centred: bool) -> Result<Vec<(i64, f64)>> {
        let prices = Prices {
            time_index: vec![0, 1, 2, 3, 4].into(),
            unique_identifier: vec!["a"; 5].into(),
            close: vec![1.0, 2.0, 3.0, 4.0, 8.0].into(),
        };
        let parameters = json!({"days": 3, "centred": centred});
        let outputs = Harness::new(smooth_task).parameters(parameters).input("prices", prices).run()?;
        let smooth: Smooth = outputs.read("output")?;
        Ok((0..smooth.rows()).map(|row| (smooth.time_index.value(row), smooth.mean.value(row))).collect())
    }

    #[test]
    fn a_trailing_window_ends_at_its_day() -> Result<()> {
        assert_eq!(smoothed(false)?, [(2, 2.0), (3, 3.0), (4, 5.0)]);
        Ok(())
    }

    #[test]
    fn a_centred_window_knows_the_day_after() -> Result<()> {
        assert_eq!(smoothed(true)?, [(1, 2.0), (2, 3.0), (3, 5.0)]);
        Ok(())
    }
}
