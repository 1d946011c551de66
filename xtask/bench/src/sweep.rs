//! The sweep that native code and other programs are compared with: 165 points of the ETF replicator on its real prices,
//! by the built binary, from its start to its end and with its lake on disk.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::binary::{ended, tidemill};

pub(crate) const PIPELINE: &str = "examples/etf-replicator/pipeline.toml";
const POINTS: usize = 165;

/// One point, and what came out of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) in_window: u32,
    pub(crate) lasso_alpha: f64,
    pub(crate) tracking_error: f64,
}

/// Sweeps into a lake that must be new: nothing is there to be reused.
pub(crate) fn sweep(lake: &Path) -> anyhow::Result<Vec<Point>> {
    ensure!(!lake.exists(), "the lake {} is there already", lake.display());
    let mut command = tidemill()?;
    command
        .args(["sweep", PIPELINE])
        .args(["--grid", "in_window=60:720:20", "--grid", "lasso_alpha=1e-2,1e-3,1e-4,1e-5,1e-6"])
        .args(["--measure", "tracking_error=stats.tracking_error", "--minimize", "tracking_error"])
        .args(["--best", &POINTS.to_string(), "--json", "--lake"])
        .arg(lake);
    let printed: Value =
        serde_json::from_slice(&ended(&mut command)?).context("read what the sweep printed")?;
    let points = printed["points"].as_array().into_iter().flatten();
    let points: Vec<Point> = points.map(point).collect::<anyhow::Result<_>>()?;
    ensure!(points.len() == POINTS, "the sweep printed {} points, not {POINTS}", points.len());
    Ok(points)
}

fn point(printed: &Value) -> anyhow::Result<Point> {
    let read = || {
        Some(Point {
            in_window: u32::try_from(printed["parameters"]["in_window"].as_u64()?).ok()?,
            lasso_alpha: printed["parameters"]["lasso_alpha"].as_f64()?,
            tracking_error: printed["measures"]["tracking_error"].as_f64()?,
        })
    };
    read().with_context(|| format!("a point is `{printed}`"))
}

/// Two programs that differ by more have not computed the same thing, and their times say nothing.
pub(crate) fn agree(ours: &[Point], theirs: &[f64], relative_max: f64) -> anyhow::Result<()> {
    ensure!(ours.len() == theirs.len(), "{} points against {}", ours.len(), theirs.len());
    for (point, their) in ours.iter().zip(theirs) {
        let relative = (their / point.tracking_error - 1.0).abs();
        ensure!(relative <= relative_max, "{point:?}: the other has {their}, which is {relative:e} off");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_differ_are_not_compared() {
        let ours = [Point { in_window: 60, lasso_alpha: 1e-3, tracking_error: 0.05 }];
        assert!(agree(&ours, &[0.05 * (1.0 + 1e-9)], 1e-6).is_ok());
        assert!(agree(&ours, &[0.05 * (1.0 + 1e-5)], 1e-6).is_err());
        assert!(agree(&ours, &[f64::NAN], 1e-6).is_err(), "no number agrees with nothing");
        assert!(agree(&ours, &[], 1e-6).is_err());
    }
}
