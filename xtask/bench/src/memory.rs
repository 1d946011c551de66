//! What this machine's memory can do: the reference for everything that moves columns.

use std::hint::black_box;

use crate::measure::{Repeats, Times, measure_pair};
use crate::row::{Quantity, Row, Target};

/// The columns of the identity task: 64 MB of float64.
pub(crate) const COLUMN_BYTES: usize = 64 * 1_000_000;

const REPEATS: Repeats = Repeats { warm_up: 3, counted: 15 };

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let from = vec![1_u8; COLUMN_BYTES];
    let mut to = vec![0_u8; COLUMN_BYTES];
    let warm = || {
        to.copy_from_slice(black_box(&from));
        black_box(&to);
        Ok(())
    };
    let fresh = || {
        black_box(black_box(&from).clone());
        Ok(())
    };
    let (warm, fresh) = measure_pair(REPEATS, warm, fresh)?;
    Ok(vec![row("copy 64 MB, warm pages", &warm, None), row("copy 64 MB, fresh pages", &fresh, Some(&warm))])
}

fn row(name: &str, times: &Times, reference: Option<&Times>) -> Row {
    Row {
        name: name.to_owned(),
        measured: speed(times.median()),
        best: speed(times.min()),
        reference: reference.map(|it| speed(it.median())),
        target: Target::None,
        spread: times.spread(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "64 million is exact")]
fn speed(it: std::time::Duration) -> Quantity {
    Quantity { value: COLUMN_BYTES as f64 / it.as_secs_f64() / 1e9, unit: "GB/s" }
}
