//! Holes, slips and strangers are named.

use super::*;

const DAY: i64 = 86_400_000_000;

fn panel(rows: &[(i64, &str, f64)]) -> Result<Panel, PanelError> {
    let days: Vec<i64> = rows.iter().map(|row| row.0 * DAY).collect();
    let values: Vec<f64> = rows.iter().map(|row| row.2).collect();
    Panel::from_long("returns", &days, rows.iter().map(|row| row.1), &values)
}

#[track_caller]
fn refused(rows: &[(i64, &str, f64)], expected: &str) {
    let message = panel(rows).unwrap_err().to_string();
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn rows_become_a_matrix() {
    let panel = panel(&[(0, "A", 1.0), (0, "B", 2.0), (1, "A", 3.0), (1, "B", 4.0)]).unwrap();
    assert_eq!(panel.days, [0, DAY]);
    assert_eq!(panel.identifiers, ["A", "B"]);
    assert_eq!(panel.row(1), [3.0, 4.0]);
}

#[test]
fn an_empty_table_is_an_empty_matrix() {
    assert_eq!(panel(&[]).unwrap().rows(), 0);
}

#[test]
fn a_missing_row_is_named_wherever_it_is_missing() {
    let at = |identifier: &str, day: &str| format!("`returns` has no row of `{identifier}` on {day}");
    let (a0, b0, a1, b1) = ((0, "A", 1.0), (0, "B", 2.0), (1, "A", 3.0), (1, "B", 4.0));
    refused(&[b0, a1, b1], &at("A", "1970-01-01"));
    refused(&[a0, a1, b1], &at("B", "1970-01-01"));
    refused(&[a0, b0, b1], &at("A", "1970-01-02"));
    refused(&[a0, b0, a1], &at("B", "1970-01-02"));
}

#[test]
fn a_row_twice_or_out_of_order_is_named() {
    let (a0, b0, a1) = ((0, "A", 1.0), (0, "B", 2.0), (1, "A", 3.0));
    refused(&[a0, a0, b0], "`returns` has a row of `A` on 1970-01-01 twice or out of order");
    refused(&[a0, b0, b0], "`returns` has a row of `B` on 1970-01-01 twice or out of order");
    refused(&[a1, a0], "`returns` has a row of `A` on 1970-01-01 twice or out of order");
}

#[test]
fn a_number_that_is_not_finite_is_named() {
    refused(&[(0, "A", 1.0), (1, "A", f64::NAN)], "`returns` of `A` on 1970-01-02 is `NaN`");
    refused(&[(0, "A", f64::NEG_INFINITY)], "`returns` of `A` on 1970-01-01 is `-inf`");
}

#[test]
fn a_day_that_one_table_lacks_is_named() {
    let of = |days: &[i64]| panel(&days.iter().map(|day| (*day, "A", 1.0)).collect::<Vec<_>>()).unwrap();
    assert_eq!(of(&[0, 1]).same_days("returns", &of(&[0, 1]), "benchmark"), Ok(()));
    for (returns, benchmark, expected) in [
        (&[0, 1, 2][..], &[0, 2][..], "`benchmark` has no row on 1970-01-02, but `returns` has"),
        (&[0, 2], &[0, 1, 2], "`returns` has no row on 1970-01-02, but `benchmark` has"),
        (&[0, 1], &[0], "`benchmark` has no row on 1970-01-02, but `returns` has"),
        (&[0], &[0, 1], "`returns` has no row on 1970-01-02, but `benchmark` has"),
    ] {
        let message = of(returns).same_days("returns", &of(benchmark), "benchmark").unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn an_identifier_that_one_table_lacks_is_named() {
    let (one, two) = (panel(&[(0, "A", 1.0)]).unwrap(), panel(&[(0, "A", 1.0), (0, "B", 1.0)]).unwrap());
    for message in [
        one.same_identifiers("coefficients", &two, "returns").unwrap_err().to_string(),
        two.same_identifiers("returns", &one, "coefficients").unwrap_err().to_string(),
    ] {
        assert!(message.starts_with("`coefficients` has no `B`, but `returns` has"), "{message}");
    }
}
