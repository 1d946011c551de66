//! Returns of hand-made prices.

use super::*;

fn prices(rows: &[(i64, &str, f64)]) -> Prices {
    Prices {
        time_index: rows.iter().map(|row| row.0).collect::<Vec<_>>().into(),
        unique_identifier: StringArray::from_iter_values(rows.iter().map(|row| row.1)),
        close: rows.iter().map(|row| row.2).collect::<Vec<_>>().into(),
    }
}

fn returned(outputs: &Outputs) -> Vec<(i64, String, f64)> {
    let Returns { time_index, unique_identifier, simple_return } = outputs.read("output").unwrap();
    let row =
        |row| (time_index.value(row), unique_identifier.value(row).to_owned(), simple_return.value(row));
    (0..time_index.len()).map(row).collect()
}

#[test]
fn each_identifier_follows_its_own_prices() {
    let rows = [(1, "A", 1.0), (1, "B", 10.0), (2, "A", 2.0), (2, "B", 5.0), (3, "A", 3.0), (3, "B", 5.0)];
    let expected = [(2, "A", 1.0), (2, "B", -0.5), (3, "A", 0.5), (3, "B", 0.0)];
    for batch_rows_max in [1, 3, 100] {
        let harness =
            Harness::new(returns_task).input("prices", prices(&rows)).batch_rows_max(batch_rows_max);
        assert_eq!(
            returned(&harness.run().unwrap()),
            expected.map(|(day, name, value)| (day, name.to_owned(), value))
        );
    }
}

#[test]
fn an_identifier_that_comes_late_or_pauses_starts_from_its_own_last_price() {
    let rows = [(1, "A", 1.0), (2, "A", 2.0), (2, "B", 4.0), (3, "B", 5.0), (4, "A", 3.0)];
    let expected = [(2, "A", 1.0), (3, "B", 0.25), (4, "A", 0.5)];
    let outputs = Harness::new(returns_task).input("prices", prices(&rows)).run().unwrap();
    assert_eq!(returned(&outputs), expected.map(|(day, name, value)| (day, name.to_owned(), value)));
}

#[test]
fn a_price_of_zero_is_named() {
    let rows = [(0, "A", 1.0), (86_400_000_000, "A", 0.0), (2 * 86_400_000_000, "A", 3.0)];
    let error = Harness::new(returns_task).input("prices", prices(&rows)).run().unwrap_err();
    assert!(error.message().starts_with("the return of `A` on 1970-01-03 is `inf`"), "{error}");
}
