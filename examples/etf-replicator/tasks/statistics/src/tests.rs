//! Statistics of a few rows, by hand.

use super::*;

fn replica(differences: &[f64]) -> Replica {
    Replica {
        time_index: (1..).take(differences.len()).collect::<Vec<_>>().into(),
        replicated_return: differences.iter().map(|it| it + 0.25).collect::<Vec<_>>().into(),
        benchmark_return: vec![0.25; differences.len()].into(),
    }
}

fn coefficients(refits: &[[f64; 2]]) -> Coefficients {
    Coefficients {
        time_index: (1..).take(refits.len()).flat_map(|refit| [refit; 2]).collect::<Vec<_>>().into(),
        unique_identifier: ["A", "B"].repeat(refits.len()).into(),
        coefficient: refits.as_flattened().to_vec().into(),
    }
}

fn run(differences: &[f64], refits: &[[f64; 2]], batch_rows_max: u32) -> Result<Statistics> {
    let outputs = Harness::new(statistics_task)
        .parameters(json!({ "days_per_year": 4.0 }))
        .input("replica", replica(differences))
        .input("coefficients", coefficients(refits))
        .batch_rows_max(batch_rows_max)
        .run()?;
    outputs.read("output")
}

#[test]
fn one_row_says_all_however_the_batches_fall() {
    for batch_rows_max in [1, 2, 100] {
        let row = run(&[1.0, 2.0, 3.0], &[[0.5, 0.0], [0.0, -0.5], [1.0, 1.0]], batch_rows_max).unwrap();
        assert_eq!(row.time_index.values(), &[3]);
        assert_eq!(row.tracking_error.values(), &[2.0]); // a standard deviation of 1, times the root of 4
        assert_eq!(row.nonzero_average.values(), &[4.0 / 3.0]);
        assert_eq!(row.fits.values(), &[3]);
    }
}

#[test]
fn a_replica_of_one_row_has_no_tracking_error() {
    let error = run(&[1.0], &[[0.5, 0.0]], 100).err().expect("it is refused");
    assert!(error.message().starts_with("`replica` has 1 rows"), "{error}");
}
