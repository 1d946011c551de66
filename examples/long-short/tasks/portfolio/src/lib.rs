//! One portfolio of two families of legs: long the mean of the one, short the mean of the other.

use std::collections::BTreeMap;

use tidemill_task::prelude::*;

/// One row per day.
#[derive(Columns)]
struct Leg {
    #[time]
    time_index: TimestampMicrosecondArray,
    leg_return: Float64Array,
}

/// One row per day, from the first on which every leg has one.
#[derive(Columns)]
struct Daily {
    #[time]
    time_index: TimestampMicrosecondArray,
    portfolio_return: Float64Array,
    /// What 1, invested before the first day, has become.
    cumulative: Float64Array,
}

/// One row per day and leg; those of a day add up to the portfolio's return.
#[derive(Columns)]
struct Contributions {
    #[time]
    time_index: TimestampMicrosecondArray,
    /// The node that computed the leg.
    #[identifier]
    leg: StringArray,
    contribution: Float64Array,
}

/// Daily return of a long-short portfolio with equal weights, and what each leg contributes.
#[task(outputs(daily, contributions))]
fn portfolio(
    /// The legs held long.
    long: Family<Leg>,
    /// The legs held short.
    short: Family<Leg>,
) -> Result<(Daily, Contributions)> {
    let mut legs = BTreeMap::new();
    for (family, weight) in [(&long, 1.0 / long.len() as f64), (&short, -1.0 / short.len() as f64)] {
        for member in family {
            info!({ window = member.get::<u32>("window")?, weight = weight }, "leg `{}`", member.node());
            legs.insert(member.node().to_owned(), (weight, member.read()?));
        }
    }
    ensure!(
        legs.len() == long.len() + short.len(),
        "a leg is held both long and short: take it out of one side"
    );
    let days = contributions_by_day(&legs)?;

    let (mut value, mut returns, mut cumulative) = (1.0, Vec::new(), Vec::new());
    for contributions in days.values() {
        let portfolio_return: f64 = contributions.iter().sum();
        value *= 1.0 + portfolio_return;
        returns.push(portfolio_return);
        cumulative.push(value);
    }
    let each_leg = days.keys().flat_map(|&day| legs.keys().map(move |leg| (day, leg)));
    let contributions = Contributions {
        time_index: each_leg.clone().map(|(day, _)| day).collect::<Vec<_>>().into(),
        leg: each_leg.map(|(_, leg)| leg.as_str()).collect::<Vec<_>>().into(),
        contribution: days.values().flatten().copied().collect::<Vec<_>>().into(),
    };
    let daily = Daily {
        time_index: days.into_keys().collect::<Vec<_>>().into(),
        portfolio_return: returns.into(),
        cumulative: cumulative.into(),
    };
    Ok((daily, contributions))
}

/// For each day on which every leg has a return: what each leg contributes, in the order of `legs`.
fn contributions_by_day(legs: &BTreeMap<String, (f64, Leg)>) -> Result<BTreeMap<i64, Vec<f64>>> {
    let mut days: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (weight, leg) in legs.values() {
        for (&day, leg_return) in leg.time_index.values().iter().zip(leg.leg_return.values()) {
            days.entry(day).or_default().push(weight * leg_return);
        }
    }
    // Legs begin on different days, the one with the longest window last; from then on none may have a hole.
    let begun = days.values().take_while(|contributions| contributions.len() < legs.len()).count();
    let days: BTreeMap<i64, Vec<f64>> = days.into_iter().skip(begun).collect();
    ensure!(
        days.values().all(|contributions| contributions.len() == legs.len()),
        "a leg has no row on a day on which others have: all must come of the same prices"
    );
    Ok(days)
}

#[cfg(test)]
mod tests;
