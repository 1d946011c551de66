//! A window that slides has the moments of a window that is summed afresh.

use super::*;

const COLUMNS: usize = 3;

/// Numbers between -1 and 1 that look random (a linear congruential generator).
fn numbers(count: usize) -> Vec<f64> {
    let mut state = 1_u64;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    });
    next.take(count).collect()
}

fn naive(stocks: &[f64], benchmark: &[f64], start: usize, end: usize) -> Vec<f64> {
    let rows = (start..end).map(|row| {
        let xs = &stocks[row * COLUMNS..(row + 1) * COLUMNS];
        [xs, &[benchmark[row], 1.0]].concat()
    });
    let mut sums = vec![0.0; (COLUMNS + 2) * (COLUMNS + 2)];
    for row in rows {
        for (i, left) in row.iter().enumerate() {
            for (j, right) in row.iter().enumerate() {
                sums[i * (COLUMNS + 2) + j] += left * right;
            }
        }
    }
    sums
}

#[track_caller]
fn check(stocks: &[f64], benchmark: &[f64], window: usize, step: usize) {
    let rows = Rows::new(stocks, COLUMNS, benchmark);
    let mut rolling = RollingMoments::new(&rows, window, step);
    for end in (window..benchmark.len()).step_by(step) {
        let moments = rolling.at(end);
        let expected = naive(stocks, benchmark, end - window, end);
        for i in 0..COLUMNS + 2 {
            for j in i..COLUMNS + 2 {
                let difference = moments.get(i, j) - expected[i * (COLUMNS + 2) + j];
                assert!(
                    difference.abs() < 1e-12,
                    "window {window}, step {step}, end {end}: [{i}, {j}] is off by {difference}"
                );
            }
        }
    }
}

#[test]
fn a_sliding_window_has_the_moments_of_its_rows() {
    let (stocks, benchmark) = (numbers(100 * COLUMNS), numbers(100));
    for (window, step) in [(20, 5), (20, 1), (7, 3), (3, 7), (1, 1), (99, 1), (99, 200), (10, 10)] {
        check(&stocks, &benchmark, window, step);
    }
}

#[test]
fn an_outlier_that_has_left_leaves_nothing_behind() {
    let (mut stocks, benchmark) = (numbers(100 * COLUMNS), numbers(100));
    stocks[10 * COLUMNS] = 1e12;
    let after = |first: usize| {
        let (stocks, benchmark) = (&stocks[first * COLUMNS..], &benchmark[first..]);
        let rows = Rows::new(stocks, COLUMNS, benchmark);
        let mut rolling = RollingMoments::new(&rows, 20, 5);
        let ends = (20..benchmark.len()).step_by(5);
        let last = ends.map(|end| rolling.at(end).get(0, 0)).last();
        last.expect("there is a window")
    };
    // The window that ends before row 95, once after the outlier has passed through and once without it.
    let difference = after(0) - after(15);
    assert!(difference.abs() < 1e-12, "off by {difference}");
}
