//! Baskets by hand, and no look-ahead.

use super::*;

/// Closes of A, B, … day after day, from day 1 on.
fn prices(days: &[&[f64]]) -> Prices {
    let rows = days
        .iter()
        .zip(1..)
        .flat_map(|(closes, day)| closes.iter().zip('A'..).map(move |(close, asset)| (day, asset, *close)));
    Prices {
        time_index: rows.clone().map(|row| row.0).collect::<Vec<_>>().into(),
        unique_identifier: rows.clone().map(|row| row.1.to_string()).collect::<Vec<_>>().into(),
        close: rows.map(|row| row.2).collect::<Vec<_>>().into(),
    }
}

fn legs(harness: Harness) -> Vec<(i64, f64)> {
    let leg: Leg = harness.run().unwrap().read("output").unwrap();
    leg.time_index.values().iter().copied().zip(leg.leg_return.values().iter().copied()).collect()
}

fn run(days: &[&[f64]], window: u32, count: u32, pick: &str) -> Vec<(i64, f64)> {
    let parameters = json!({ "window": window, "count": count, "pick": pick });
    legs(Harness::new(leg_task).parameters(parameters).input("prices", prices(days)))
}

/// A rises on day 2 and falls on day 3, B the other way round; then both rise by half.
const DAYS: [&[f64]; 4] = [&[4.0, 4.0], &[8.0, 2.0], &[4.0, 4.0], &[6.0, 6.0]];

#[test]
fn the_winner_of_a_day_earns_from_the_next_day_on() {
    assert_eq!(run(&DAYS, 1, 1, "winners"), [(3, -0.5), (4, 0.5)]);
    assert_eq!(run(&DAYS, 1, 1, "losers"), [(3, 1.0), (4, 0.5)]);
}

#[test]
fn assets_are_weighted_equally_and_equals_fall_to_the_name() {
    assert_eq!(run(&DAYS, 1, 2, "winners"), [(3, 0.25), (4, 0.5)]);
    // Over two days A and B have both come back to 4.
    assert_eq!(run(&DAYS, 2, 1, "winners"), [(4, 0.5)]);
}

#[test]
fn a_day_may_reach_across_batches() {
    let parameters = json!({ "window": 1, "count": 1 });
    for batch_rows_max in 1..8 {
        let harness = Harness::new(leg_task).parameters(parameters.clone()).input("prices", prices(&DAYS));
        assert_eq!(legs(harness.batch_rows_max(batch_rows_max)), [(3, -0.5), (4, 0.5)]);
    }
}

#[test]
fn what_comes_later_changes_nothing() {
    let all = run(&DAYS, 1, 1, "winners");
    assert_eq!(run(&DAYS[..3], 1, 1, "winners"), all[..1]);
    // A jump on the last day is earned only if its asset was held before; it is not chosen by it.
    let jump: [&[f64]; 4] = [DAYS[0], DAYS[1], DAYS[2], &[400.0, 4.0]];
    assert_eq!(run(&jump, 1, 1, "winners"), [(3, -0.5), (4, 0.0)]);
}

#[test]
fn more_assets_than_there_are_cannot_be_held() {
    let parameters = json!({ "window": 1, "count": 3 });
    let error =
        Harness::new(leg_task).parameters(parameters).input("prices", prices(&DAYS)).run().unwrap_err();
    assert!(error.message().starts_with("`count` is 3, but only 2 assets"), "{error}");
}

#[test]
fn an_asset_that_is_held_and_has_no_close_is_named() {
    let days: [&[f64]; 3] = [&[4.0, 4.0], &[4.0, 8.0], &[4.0]];
    let parameters = json!({ "window": 1, "count": 1 });
    let error =
        Harness::new(leg_task).parameters(parameters).input("prices", prices(&days)).run().unwrap_err();
    assert!(error.message().starts_with("`B` is held but has no close on the next day"), "{error}");
}
