//! One Lasso fit by coordinate descent, from the moments of its window.

use std::iter;

use crate::moments::{Moments, padded};
use crate::system::{System, subtract};

/// A column whose variance is this small a part of its mean square is constant: what is left is rounding.
const VARIANCE_RELATIVE_MIN: f64 = 1e-12;

/// When a fit is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Largest change of a z-scored coefficient in the last sweep.
    pub(crate) change_max: f64,
    pub(crate) sweeps_max: u32,
}

/// Why a fit has no result: it took `Stop::sweeps_max` sweeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooManySweeps;

/// Minimises `½ βᵀGβ − cᵀβ + α‖β‖₁`, which is the Lasso's `(1/2n)‖y − Xβ‖² + α‖β‖₁` for z-scored `X` and `y`: `G` is
/// the correlation of the stocks, `c` that of the stocks with the benchmark.
#[derive(Debug)]
pub(crate) struct Fit {
    columns: usize,
    stride: usize,
    gram: Vec<f64>,
    /// `c − Gβ`, kept up to date as β moves.
    gradient: Vec<f64>,
    /// β, z-scored; where the next fit starts from.
    beta: Vec<f64>,
    /// `1 / sd` of each stock in the window; 0 for one that is constant there, which then stays out of the fit.
    sd_inverse: Vec<f64>,
    mean: Vec<f64>,
    benchmark_sd: f64,
    active: Vec<usize>,
    system: System,
}

impl Fit {
    pub(crate) fn new(columns: usize) -> Self {
        let stride = padded(columns);
        Self {
            columns,
            stride,
            gram: vec![0.0; columns * stride],
            gradient: vec![0.0; stride],
            beta: vec![0.0; stride],
            sd_inverse: vec![0.0; stride],
            mean: vec![0.0; stride],
            benchmark_sd: 0.0,
            active: Vec::with_capacity(columns),
            system: System::default(),
        }
    }

    /// Takes the moments of a new window, z-scored inside it (ddof 0). β stays, as a warm start.
    pub(crate) fn load(&mut self, moments: &Moments) {
        let (y, one) = (self.columns, self.columns + 1);
        let weight = 1.0 / moments.get(one, one);
        let mean_y = moments.get(y, one) * weight;
        self.benchmark_sd = sd(moments.get(y, y) * weight, mean_y);
        let benchmark_sd_inverse = inverse(self.benchmark_sd);
        for j in 0..self.columns {
            self.mean[j] = moments.get(j, one) * weight;
            self.sd_inverse[j] = inverse(sd(moments.get(j, j) * weight, self.mean[j]));
        }
        for i in 0..self.columns {
            let products = moments.row(i);
            let scale = self.sd_inverse[i];
            for (j, product) in products.iter().enumerate().take(self.columns).skip(i + 1) {
                let g = (product * weight - self.mean[i] * self.mean[j]) * scale * self.sd_inverse[j];
                self.gram[i * self.stride + j] = g;
                self.gram[j * self.stride + i] = g;
            }
            self.gram[i * self.stride + i] = 1.0;
            self.gradient[i] = (products[y] * weight - self.mean[i] * mean_y) * scale * benchmark_sd_inverse;
            if scale == 0.0 {
                self.beta[i] = 0.0;
            }
        }
        for j in 0..self.columns {
            self.subtract(j, self.beta[j]);
        }
    }

    /// Descends to the minimum; tells how many sweeps that took.
    ///
    /// Only a sweep in which no coefficient moved ends the descent. In between, a jump goes to where the coefficients
    /// that are not zero would rest: stocks are so alike that sweeps alone take a hundred to get there.
    pub(crate) fn descend(&mut self, alpha: f64, stop: Stop) -> Result<u32, TooManySweeps> {
        for sweep in 1..=stop.sweeps_max {
            let mut change = 0.0_f64;
            for j in 0..self.columns {
                let step = self.step(j, alpha);
                if change < step {
                    change = step;
                }
            }
            if change <= stop.change_max {
                return Ok(sweep);
            }
            self.jump(alpha);
        }
        Err(TooManySweeps)
    }

    /// The coefficients in units of the returns.
    pub(crate) fn coefficients(&self) -> impl Iterator<Item = f64> {
        self.beta[..self.columns]
            .iter()
            .zip(&self.sd_inverse)
            .map(|(beta, inverse)| beta * inverse * self.benchmark_sd)
    }

    /// Moves one coefficient to where it is best, the others held; tells by how much.
    fn step(&mut self, j: usize, alpha: f64) -> f64 {
        let old = self.beta[j];
        let pull = self.gradient[j] + old;
        let new = if alpha < pull {
            pull - alpha
        } else if pull < -alpha {
            pull + alpha
        } else {
            0.0
        };
        let change = new - old;
        if change != 0.0 {
            self.beta[j] = new;
            self.subtract(j, change);
        }
        change.abs()
    }

    /// Moves the active coefficients towards the minimum that has their signs, and at most until one of them is zero:
    /// on that way the objective is quadratic and falls. Does nothing when the active stocks are not independent.
    fn jump(&mut self, alpha: f64) {
        self.active.clear();
        self.active.extend((0..self.columns).filter(|&j| self.beta[j] != 0.0));
        let rows = self.active.iter().map(|&j| {
            let gram = &self.gram[j * self.stride..];
            let towards = self.gradient[j] - alpha * self.beta[j].signum();
            self.active.iter().map(|&i| gram[i]).chain(iter::once(towards))
        });
        let Some(steps) = self.system.solve(self.active.len(), rows) else { return };
        let mut length = 1.0_f64;
        let mut stops = None;
        for (&j, step) in self.active.iter().zip(steps) {
            let reach = -self.beta[j] / step;
            if 0.0 < reach && reach < length {
                (length, stops) = (reach, Some(j));
            }
        }
        for i in 0..self.active.len() {
            let j = self.active[i];
            let old = self.beta[j];
            self.beta[j] = if stops == Some(j) { 0.0 } else { old + length * self.system.solution()[i] };
            self.subtract(j, self.beta[j] - old);
        }
    }

    /// `gradient −= change · G[j]`
    fn subtract(&mut self, j: usize, change: f64) {
        subtract(&mut self.gradient, change, &self.gram[j * self.stride..(j + 1) * self.stride]);
    }
}

fn sd(mean_square: f64, mean: f64) -> f64 {
    let variance = mean_square - mean * mean;
    if variance <= VARIANCE_RELATIVE_MIN * mean_square { 0.0 } else { variance.sqrt() }
}

fn inverse(sd: f64) -> f64 {
    if sd == 0.0 { 0.0 } else { 1.0 / sd }
}
