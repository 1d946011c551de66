//! A small symmetric, positive definite system of linear equations, solved by elimination.

use crate::moments::{LANES, padded};

/// A pivot below this (of a matrix whose diagonal is 1) means that one column is a combination of others.
const PIVOT_MIN: f64 = 1e-10;

/// Room for a system and its solution, reused from one to the next.
#[derive(Debug, Default)]
pub(crate) struct System {
    /// The upper triangle, row after row, each followed by its right-hand side.
    rows: Vec<f64>,
    solution: Vec<f64>,
}

impl System {
    /// Solves for `size` unknowns; each row has `size` values of the matrix and then the right-hand side. `None` when
    /// the matrix is singular or nearly so.
    pub(crate) fn solve<R: Iterator<Item = f64>>(
        &mut self,
        size: usize,
        rows: impl Iterator<Item = R>,
    ) -> Option<&[f64]> {
        let stride = padded(size + 1);
        self.rows.resize(size * stride, 0.0);
        for (to, from) in self.rows.chunks_exact_mut(stride).zip(rows) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = from;
            }
        }
        self.eliminate(size, stride)?;
        self.substitute(size, stride);
        Some(&self.solution)
    }

    pub(crate) fn solution(&self) -> &[f64] {
        &self.solution
    }

    fn eliminate(&mut self, size: usize, stride: usize) -> Option<()> {
        for j in 0..size {
            let (done, below) = self.rows.split_at_mut((j + 1) * stride);
            let pivot_row = &done[j * stride..];
            let pivot = pivot_row[j];
            if pivot.is_nan() || pivot < PIVOT_MIN {
                return None;
            }
            for (row, i) in below.chunks_exact_mut(stride).zip(j + 1..size) {
                // Whole lanes: what they reach left of the diagonal is never read.
                let factor = pivot_row[i] / pivot;
                subtract(&mut row[i - i % LANES..], factor, &pivot_row[i - i % LANES..]);
            }
        }
        Some(())
    }

    fn substitute(&mut self, size: usize, stride: usize) {
        self.solution.clear();
        self.solution.resize(size, 0.0);
        for j in (0..size).rev() {
            let row = &self.rows[j * stride..=j * stride + size];
            let known: f64 = row[j + 1..size].iter().zip(&self.solution[j + 1..]).map(|(a, x)| a * x).sum();
            self.solution[j] = (row[size] - known) / row[j];
        }
    }
}

/// `to −= factor · from`, both of whole lanes.
pub(crate) fn subtract(to: &mut [f64], factor: f64, from: &[f64]) {
    for (to, from) in to.as_chunks_mut::<LANES>().0.iter_mut().zip(from.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            to[lane] -= factor * from[lane];
        }
    }
}
