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
fn the_drawing_has_a_point_for_each_month_of_both() {
    let days = vec![0.001; 50];
    let outputs = Harness::new(statistics_task)
        .input("replica", replica(&days))
        .input("coefficients", coefficients(&[[0.5, 0.0]]))
        .run()
        .unwrap();
    let (kind, bytes) = outputs.artefact("replica.svg").expect("it is left");
    let drawing = String::from_utf8(bytes).unwrap();
    assert_eq!(kind, "image/svg+xml");
    assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"), "{drawing}");
    let lines: Vec<&str> = drawing.split("points=\"").skip(1).filter_map(|it| it.split('"').next()).collect();
    let points: Vec<usize> = lines.iter().map(|it| it.split_whitespace().count()).collect();
    assert_eq!(points, [3, 3], "the first day, and every 21st after it");
    assert!(lines.iter().all(|it| it.starts_with("20.0,380.0 ")), "both begin at 1: {drawing}");
}

#[test]
fn a_replica_of_one_row_has_no_tracking_error() {
    let error = run(&[1.0], &[[0.5, 0.0]], 100).err().expect("it is refused");
    assert!(error.message().starts_with("`replica` has 1 rows"), "{error}");
}
