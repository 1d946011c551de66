//! A replica of two stocks, by hand.

use super::*;

type Row = (i64, &'static str, f64);

fn columns(rows: &[Row]) -> (TimestampMicrosecondArray, StringArray, Float64Array) {
    (
        rows.iter().map(|row| row.0).collect::<Vec<_>>().into(),
        StringArray::from_iter_values(rows.iter().map(|row| row.1)),
        rows.iter().map(|row| row.2).collect::<Vec<_>>().into(),
    )
}

fn returns(rows: &[Row]) -> Returns {
    let (time_index, unique_identifier, simple_return) = columns(rows);
    Returns { time_index, unique_identifier, simple_return }
}

fn run(coefficients: &[Row], stocks: &[Row], benchmark: &[Row]) -> Result<Replica> {
    let (time_index, unique_identifier, coefficient) = columns(coefficients);
    let outputs = Harness::new(replicate_task)
        .input("coefficients", Coefficients { time_index, unique_identifier, coefficient })
        .input("returns", returns(stocks))
        .input("benchmark", returns(benchmark))
        .run()?;
    outputs.read("output")
}

const STOCKS: [Row; 8] = [
    (1, "A", 9.0),
    (1, "B", 9.0),
    (2, "A", 0.5),
    (2, "B", 0.25),
    (3, "A", 1.0),
    (3, "B", 0.0),
    (4, "A", 0.0),
    (4, "B", 0.5),
];
const BENCHMARK: [Row; 4] = [(1, "I", 9.0), (2, "I", 0.5), (3, "I", 0.0), (4, "I", 1.0)];

#[test]
fn coefficients_hold_from_their_own_day_to_the_next_refit() {
    let coefficients = [(2, "A", 1.0), (2, "B", 2.0), (4, "A", 5.0), (4, "B", -1.0)];
    let replica = run(&coefficients, &STOCKS, &BENCHMARK).unwrap();
    assert_eq!(replica.time_index.values(), &[2, 3, 4]);
    assert_eq!(replica.replicated_return.values(), &[1.0, 1.0, -0.5]);
    assert_eq!(replica.benchmark_return.values(), &[0.5, 0.0, 1.0]);
    assert_eq!(replica.replicated_index.values(), &[2.0, 4.0, 2.0]);
    assert_eq!(replica.benchmark_index.values(), &[1.5, 1.5, 3.0]);
}

#[test]
fn no_coefficients_make_no_replica() {
    assert_eq!(run(&[], &STOCKS, &BENCHMARK).unwrap().rows(), 0);
}

#[test]
fn coefficients_of_other_stocks_are_refused() {
    let error = run(&[(2, "A", 1.0), (2, "C", 2.0)], &STOCKS, &BENCHMARK).err().expect("it is refused");
    assert!(error.message().starts_with("`returns` has no `C`, but `coefficients` has"), "{error}");
}

#[test]
fn a_benchmark_that_misses_a_day_is_refused() {
    let error = run(&[(2, "A", 1.0), (2, "B", 2.0)], &STOCKS, &BENCHMARK[..3]).err().expect("it is refused");
    assert!(
        error.message().starts_with("`benchmark` has no row on 1970-01-01T00:00:00Z, but `returns` has"),
        "{error}"
    );
}
