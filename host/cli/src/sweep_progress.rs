//! What is seen of a sweep while it goes on: a bar on a terminal, some lines elsewhere. On stderr.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemill_driver::{PointRow, PointState, SweepObserver};
use tidemill_plan::{Goal, Measure, Space};

use crate::quantity;

/// Off a terminal every point gets a line, until there were so many; then every tenth part of the sweep.
const QUIET_AFTER: u64 = 20;

pub(crate) struct SweepProgress {
    axes: Vec<String>,
    /// Position of the measure, its name, and whether least is best.
    goal: Option<(usize, String, bool)>,
    total: u64,
    began: Instant,
    shown: Mutex<Shown>,
}

struct Shown {
    /// `None` off a terminal.
    bar: Option<ProgressBar>,
    done: u64,
    cached: u64,
    failed: u64,
    best: Option<(f64, String)>,
}

impl SweepProgress {
    pub(crate) fn start(space: &Space, measures: &[Measure], goal: Option<&Goal>) -> Self {
        let goal = goal.and_then(|goal| {
            let at = measures.iter().position(|it| it.name == goal.measure())?;
            Some((at, goal.measure().to_owned(), matches!(goal, Goal::Minimize(_))))
        });
        let total = space.len() as u64;
        let bar = std::io::stderr().is_terminal().then(|| bar(total));
        Self {
            axes: space.axes.iter().map(|it| it.name.clone()).collect(),
            goal,
            total,
            began: Instant::now(),
            shown: Mutex::new(Shown { bar, done: 0, cached: 0, failed: 0, best: None }),
        }
    }

    /// Takes the bar away; what was printed stays.
    pub(crate) fn finish(&self) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = &shown.bar {
            bar.finish_and_clear();
        }
    }

    fn see_best(&self, shown: &mut Shown, row: &PointRow) {
        let Some((at, _, is_least)) = &self.goal else { return };
        let Some(value) = row.measures.get(*at).copied().flatten().filter(|it| !it.is_nan()) else { return };
        let is_better = |best: f64| if *is_least { value < best } else { best < value };
        if shown.best.as_ref().is_none_or(|(best, _)| is_better(*best)) {
            let pairs: Vec<String> =
                self.axes.iter().zip(&row.values).map(|(name, it)| format!("{name}={it}")).collect();
            shown.best = Some((value, pairs.join(", ")));
        }
    }

    fn rate(&self, shown: &Shown) -> f64 {
        (shown.done - shown.cached) as f64 / self.began.elapsed().as_secs_f64().max(1e-9)
    }

    /// `3 failed, 12 cached, 85/s, 2 s left, best 0.0496 (in_window=240)`.
    fn message(&self, shown: &Shown) -> String {
        let mut parts = Vec::new();
        if 0 < shown.cached {
            parts.push(format!("{} cached", quantity::count(shown.cached)));
        }
        if 0 < shown.failed {
            parts.push(format!("{} failed", quantity::count(shown.failed)));
        }
        let rate = self.rate(shown);
        if 0.0 < rate {
            let digits = usize::from(rate < 10.0);
            parts.push(format!("{rate:.digits$}/s"));
            let left = Duration::from_secs_f64((self.total - shown.done) as f64 / rate);
            parts.push(format!("{} left", quantity::duration(left)));
        }
        if let (Some((_, name, _)), Some((best, point))) = (&self.goal, &shown.best) {
            parts.push(format!("best {name} {best:.6} ({point})"));
        }
        parts.join(", ")
    }
}

fn bar(total: u64) -> ProgressBar {
    /// Often enough to look alive, seldom enough to cost nothing.
    const DRAWS_PER_SECOND: u8 = 12;
    let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let style = ProgressStyle::with_template("{bar:32.cyan/blue} {pos}/{len} points  {wide_msg}  {elapsed}");
    bar.set_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

impl SweepObserver for SweepProgress {
    fn on_point(&self, row: &PointRow) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = &mut *shown;
        shown.done += 1;
        match row.state {
            PointState::Computed => {}
            PointState::Cached => shown.cached += 1,
            PointState::Failed => shown.failed += 1,
        }
        self.see_best(shown, row);
        if let Some(bar) = &shown.bar {
            bar.inc(1);
            // Making the message costs more than most trivial points.
            if shown.done.is_multiple_of(self.total / 1000 + 1) {
                bar.set_message(self.message(shown));
            }
            return;
        }
        let is_milestone = shown.done == self.total || shown.done.is_multiple_of(self.total / 10 + 1);
        if row.state != PointState::Cached && (self.total <= QUIET_AFTER || is_milestone) {
            let seconds = format!("{:.2}s", self.began.elapsed().as_secs_f64());
            crate::complain::talk!("{seconds:>8} [{}/{}] {}", shown.done, self.total, self.message(shown));
        }
    }
}
