//! Second moments of a window that slides over rows.
//!
//! Three schemes were weighed. Cumulative sums over the whole table, subtracted at both ends, lose digits as the sums
//! grow. Adding the rows that enter and subtracting those that leave is fast, but an outlier that has left stays behind
//! as rounding error for ever. This file never subtracts: a window is the sum of a suffix of the rows before an anchor
//! and a prefix of the rows after it. The suffixes are summed once, backwards, whenever the window has moved past the
//! anchor. So each row is added twice, and the moments are a plain sum of the window's own rows and of nothing else. The
//! price is memory: `window / step` matrices.

/// Columns are padded to a multiple of this, so that loops over a row have no remainder to treat, and few turns: in the
/// sandbox each turn of a loop also looks whether the task must stop.
pub(crate) const LANES: usize = 8;

/// `columns` rounded up to whole lanes.
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(LANES)
}

/// Rows `[x_1 … x_k, y, 1, 0 …]`: with the constant column, one matrix holds products, sums and the count.
#[derive(Debug)]
pub(crate) struct Rows {
    stride: usize,
    values: Vec<f64>,
}

impl Rows {
    /// From `stocks` (row after row, `columns` values each) and one value of `benchmark` for each row.
    pub(crate) fn new(stocks: &[f64], columns: usize, benchmark: &[f64]) -> Self {
        assert_eq!(
            stocks.len(),
            columns * benchmark.len(),
            "one row of stocks for each value of the benchmark"
        );
        let stride = padded(columns + 2);
        let mut values = vec![0.0; stride * benchmark.len()];
        for ((row, xs), y) in values.chunks_exact_mut(stride).zip(stocks.chunks_exact(columns)).zip(benchmark)
        {
            row[..columns].copy_from_slice(xs);
            row[columns] = *y;
            row[columns + 1] = 1.0;
        }
        Self { stride, values }
    }

    fn slice(&self, start: usize, end: usize) -> &[f64] {
        &self.values[start * self.stride..end * self.stride]
    }
}

/// `Σ z zᵀ` over rows `z`; only the upper triangle is kept (and what lanes reach left of it).
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    stride: usize,
    values: Vec<f64>,
}

impl Moments {
    fn zero(stride: usize) -> Self {
        Self { stride, values: vec![0.0; stride * stride] }
    }

    fn clear(&mut self) {
        self.values.fill(0.0);
    }

    /// The sum of products of columns `i` and `j`, for `i <= j`.
    pub(crate) fn get(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.stride + j]
    }

    /// The sums of products of column `i` with every column from `i` on; lower columns hold nothing of use.
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.stride..(i + 1) * self.stride]
    }

    /// Adds rows. The loop over rows is the inner one, so that the sums of a lane stay in registers.
    fn add(&mut self, rows: &[f64]) {
        let stride = self.stride;
        for (i, sums) in self.values.chunks_exact_mut(stride).enumerate() {
            let first = i / LANES;
            for (lane, sum) in sums.as_chunks_mut::<LANES>().0.iter_mut().enumerate().skip(first) {
                let mut total = *sum;
                for row in rows.chunks_exact(stride) {
                    let (left, right) = (row[i], &row.as_chunks::<LANES>().0[lane]);
                    for l in 0..LANES {
                        total[l] += left * right[l];
                    }
                }
                *sum = total;
            }
        }
    }

    fn set_sum(&mut self, a: &Self, b: &Self) {
        for ((sum, a), b) in self.values.iter_mut().zip(&a.values).zip(&b.values) {
            *sum = a + b;
        }
    }
}

/// The moments of `[end - window, end)` for ends that grow by `step`.
#[derive(Debug)]
pub(crate) struct RollingMoments<'a> {
    rows: &'a Rows,
    window: usize,
    step: usize,
    /// `suffixes[i]` sums the rows from `first + i * step` up to `anchor`.
    suffixes: Vec<Moments>,
    first: usize,
    anchor: usize,
    /// Sums the rows from `anchor` up to the window's end.
    prefix: Moments,
    current: Moments,
}

impl<'a> RollingMoments<'a> {
    pub(crate) fn new(rows: &'a Rows, window: usize, step: usize) -> Self {
        assert!(0 < window, "a window has rows");
        assert!(0 < step, "a window moves on");
        let zero = Moments::zero(rows.stride);
        let suffixes = vec![zero.clone(); window.div_ceil(step)];
        Self { rows, window, step, suffixes, first: 0, anchor: 0, prefix: zero.clone(), current: zero }
    }

    /// The moments of the window that ends before row `end`: `window` at the first call, then `step` more at each.
    pub(crate) fn at(&mut self, end: usize) -> &Moments {
        let start = end - self.window;
        if self.anchor <= start {
            self.move_anchor(start, end);
        } else {
            self.prefix.add(self.rows.slice(end - self.step, end));
        }
        let suffix = &self.suffixes[(start - self.first) / self.step];
        self.current.set_sum(suffix, &self.prefix);
        &self.current
    }

    fn move_anchor(&mut self, start: usize, end: usize) {
        self.first = start;
        self.anchor = end;
        self.prefix.clear();
        let mut sum = Moments::zero(self.rows.stride);
        let mut upper = end;
        for (i, suffix) in self.suffixes.iter_mut().enumerate().rev() {
            let lower = start + i * self.step;
            sum.add(self.rows.slice(lower, upper));
            suffix.clone_from(&sum);
            upper = lower;
        }
    }
}

#[cfg(test)]
mod tests;
