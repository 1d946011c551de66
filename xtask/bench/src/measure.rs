//! Repeats something and says how long it took: the median, the least, and how far the repeats lie apart.

use std::time::{Duration, Instant};

/// How often something is repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeats {
    /// Not counted: caches and pages get warm.
    pub(crate) warm_up: u32,
    /// At least 1.
    pub(crate) counted: u32,
}

/// Times of one thing, in ascending order. Never empty.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    sorted: Vec<Duration>,
}

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "something that never ran has no time");
        times.sort_unstable();
        Self { sorted: times }
    }

    pub(crate) fn median(&self) -> Duration {
        let middle = self.sorted.len() / 2;
        if self.sorted.len() % 2 == 1 {
            self.sorted[middle]
        } else {
            (self.sorted[middle - 1] + self.sorted[middle]) / 2
        }
    }

    pub(crate) fn min(&self) -> Duration {
        self.sorted[0]
    }

    /// The middle half of the repeats, as a share of the median: 0.05 is a calm machine.
    pub(crate) fn spread(&self) -> f64 {
        let quarter = self.sorted.len() / 4;
        let width = self.sorted[self.sorted.len() - 1 - quarter] - self.sorted[quarter];
        width.as_secs_f64() / self.median().as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

pub(crate) fn measure(
    repeats: Repeats,
    mut once: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Times> {
    for _ in 0..repeats.warm_up {
        once()?;
    }
    let mut times = Vec::new();
    for _ in 0..repeats.counted.max(1) {
        let began = Instant::now();
        once()?;
        times.push(began.elapsed());
    }
    Ok(Times::new(times))
}

/// Measures two things in turn, so that whatever else the machine does meets both alike.
pub(crate) fn measure_pair(
    repeats: Repeats,
    mut first: impl FnMut() -> anyhow::Result<()>,
    mut second: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<(Times, Times)> {
    for _ in 0..repeats.warm_up {
        first()?;
        second()?;
    }
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    for _ in 0..repeats.counted.max(1) {
        let began = Instant::now();
        first()?;
        firsts.push(began.elapsed());
        let began = Instant::now();
        second()?;
        seconds.push(began.elapsed());
    }
    Ok((Times::new(firsts), Times::new(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(ms: &[u64]) -> Times {
        Times::new(ms.iter().map(|it| Duration::from_millis(*it)).collect())
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(times(&[40, 10, 30, 20]).median(), Duration::from_millis(25));
        assert_eq!(times(&[40, 10, 30]).median(), Duration::from_millis(30));
        assert_eq!(times(&[40, 10, 30]).min(), Duration::from_millis(10));
    }

    #[test]
    fn the_spread_leaves_out_the_outer_quarters() {
        let spread = times(&[1, 2, 95, 100, 100, 105, 800, 900]).spread();
        assert!((spread - 0.1).abs() < 1e-9, "{spread}");
        assert!(times(&[5]).spread().abs() < 1e-9);
    }

    #[test]
    fn the_warm_up_is_not_counted_and_a_failure_ends_it() {
        let mut calls = 0;
        let repeats = Repeats { warm_up: 2, counted: 3 };
        let times = measure(repeats, || {
            calls += 1;
            Ok(())
        });
        assert_eq!(times.expect("it ran").sorted.len(), 3);
        assert_eq!(calls, 5);
        assert!(measure(repeats, || anyhow::bail!("no")).is_err());
    }
}
