//! What is held and what it earns, one close after another.

use std::collections::{BTreeMap, VecDeque};

use tidemill_task::prelude::*;

/// Which end of the ranking is held.
#[parameters]
#[derive(Copy)]
pub(crate) enum Pick {
    /// The assets that rose most.
    Winners,
    /// The assets that fell most.
    Losers,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Days over which the return decides; at least 1.
    pub(crate) window: usize,
    pub(crate) count: usize,
    pub(crate) pick: Pick,
}

/// The assets held and the closes that the next choice needs.
#[derive(Debug)]
pub(crate) struct Basket {
    rule: Rule,
    /// The closes of the last `window` days and, while a day is being closed, of that day.
    days: VecDeque<BTreeMap<String, f64>>,
    held: Vec<String>,
}

impl Basket {
    pub(crate) fn new(rule: Rule) -> Self {
        Self { rule, days: VecDeque::new(), held: Vec::new() }
    }

    /// Ends a day: what the assets held until now earned today, if any were held. Only then does today's close decide
    /// what is held from now on, so no choice earns the return that it was made by.
    pub(crate) fn close(&mut self, closes: BTreeMap<String, f64>) -> Result<Option<f64>> {
        let earned = match self.days.back() {
            Some(before) if !self.held.is_empty() => Some(mean_return(&self.held, before, &closes)?),
            _ => None,
        };
        self.days.push_back(closes);
        if self.rule.window < self.days.len() {
            self.held = self.choose()?;
            self.days.pop_front();
        }
        Ok(earned)
    }

    fn choose(&self) -> Result<Vec<String>> {
        let (Some(first), Some(last)) = (self.days.front(), self.days.back()) else { return Ok(Vec::new()) };
        let mut ranking = Vec::with_capacity(last.len());
        for asset in last.keys().filter(|&asset| first.contains_key(asset)) {
            ranking.push((simple_return(asset, first, last)?, asset));
        }
        ensure!(
            self.rule.count <= ranking.len(),
            "`count` is {}, but only {} assets have a close at both ends of a window",
            self.rule.count,
            ranking.len()
        );
        // Equal returns fall to the name, so that the choice never depends on how the rows came.
        ranking.sort_by(|a, b| match self.rule.pick {
            Pick::Winners => b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)),
            Pick::Losers => a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)),
        });
        Ok(ranking.into_iter().take(self.rule.count).map(|(_, asset)| asset.clone()).collect())
    }
}

fn mean_return(held: &[String], before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> Result<f64> {
    let mut sum = 0.0;
    for asset in held {
        sum += simple_return(asset, before, now)?;
    }
    Ok(sum / held.len() as f64)
}

fn simple_return(asset: &str, before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> Result<f64> {
    let (Some(before), Some(now)) = (before.get(asset), now.get(asset)) else {
        bail!("`{asset}` is held but has no close on the next day: fill the gap or leave the asset out");
    };
    let simple_return = now / before - 1.0;
    ensure!(
        simple_return.is_finite(),
        "`{asset}` has a return of `{simple_return}`, from close `{before}` to `{now}`: closes must be finite and not 0"
    );
    Ok(simple_return)
}
