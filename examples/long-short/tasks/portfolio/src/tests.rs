//! Portfolios of two and three legs, by hand.

use super::*;

fn leg(days: std::ops::RangeInclusive<i64>, leg_return: f64) -> Leg {
    let days: Vec<i64> = days.collect();
    Leg { leg_return: vec![leg_return; days.len()].into(), time_index: days.into() }
}

#[test]
fn legs_weigh_the_same_and_their_contributions_add_up() {
    let outputs = Harness::new(portfolio_task)
        .member("long", "long[window=2]", json!({ "window": 2 }), leg(2..=4, 0.5))
        .member("long", "long[window=3]", json!({ "window": 3 }), leg(3..=4, 1.0))
        .member("short", "short[window=1]", json!({ "window": 1 }), leg(1..=4, 0.25))
        .run()
        .unwrap();
    let daily: Daily = outputs.read("daily").unwrap();
    assert_eq!(daily.time_index.values(), &[3, 4]);
    assert_eq!(daily.portfolio_return.values(), &[0.5, 0.5]);
    assert_eq!(daily.cumulative.values(), &[1.5, 2.25]);

    let contributions: Contributions = outputs.read("contributions").unwrap();
    assert_eq!(contributions.time_index.values(), &[3, 3, 3, 4, 4, 4]);
    let legs = ["long[window=2]", "long[window=3]", "short[window=1]"];
    assert_eq!(contributions.leg, StringArray::from([legs, legs].concat()));
    assert_eq!(contributions.contribution.values(), &[0.25, 0.5, -0.25, 0.25, 0.5, -0.25]);
}

#[test]
fn a_leg_with_a_hole_is_refused() {
    let holed = Leg { time_index: vec![1, 3].into(), leg_return: vec![0.5, 0.5].into() };
    let error = Harness::new(portfolio_task)
        .member("long", "long[window=2]", json!({ "window": 2 }), holed)
        .member("short", "short[window=1]", json!({ "window": 1 }), leg(1..=3, 0.25))
        .run()
        .unwrap_err();
    assert!(error.message().starts_with("a leg has no row on a day"), "{error}");
}
