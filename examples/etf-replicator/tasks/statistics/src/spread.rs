//! The standard deviation of numbers that come one by one (Welford): one pass, no cancellation.

#[derive(Debug, Default)]
pub(crate) struct Spread {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Spread {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        let from_mean = value - self.mean;
        self.mean += from_mean / self.count as f64;
        self.squares += from_mean * (value - self.mean);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// With ddof 1; `None` of fewer than two numbers.
    pub(crate) fn deviation(&self) -> Option<f64> {
        (2 <= self.count).then(|| (self.squares / (self.count - 1) as f64).sqrt())
    }
}
