//! What is seen of a run while it goes on: bars on a terminal, one line per event elsewhere. On stderr.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemill_driver::{Event, NodeEnd, Observer};
use tidemill_plan::Plan;

use crate::quantity;

/// Running nodes that get a line of their own.
const LINES_MAX: usize = 8;

/// Off a terminal, at most so many lines of nodes that went well; a run of 10,000 nodes should not print them all.
const QUIET_AFTER: usize = 200;

pub(crate) struct Progress {
    names: Vec<String>,
    began: Instant,
    shown: Mutex<Shown>,
}

struct Shown {
    display: Display,
    total: usize,
    done: usize,
    rows: u64,
    printed: usize,
}

enum Display {
    Bars { all: MultiProgress, main: ProgressBar, running: BTreeMap<usize, ProgressBar> },
    Lines,
}

impl Progress {
    pub(crate) fn start(plan: &Plan, selected: &[bool]) -> Self {
        let names = plan.nodes.iter().map(|it| it.name.clone()).collect();
        Self::of(names, selected.iter().filter(|it| **it).count())
    }

    /// Of nodes by name, so many of which are to end.
    pub(crate) fn of(names: Vec<String>, total: usize) -> Self {
        let display = if std::io::stderr().is_terminal() { bars(total) } else { Display::Lines };
        Self {
            names,
            began: Instant::now(),
            shown: Mutex::new(Shown { display, total, done: 0, rows: 0, printed: 0 }),
        }
    }

    /// Takes the bars away; what was printed stays.
    pub(crate) fn finish(&self) {
        let mut shown = self.lock();
        if let Display::Bars { main, running, .. } = &mut shown.display {
            for bar in std::mem::take(running).into_values() {
                bar.finish_and_clear();
            }
            main.finish_and_clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, node: usize) -> &str {
        self.names.get(node).map_or("?", String::as_str)
    }

    fn node_ended(&self, shown: &mut Shown, node: usize, end: NodeEnd<'_>) {
        shown.done += 1;
        let name = self.name(node);
        let (line, is_good) = match end {
            NodeEnd::Computed { rows, bytes, wall_us } => {
                shown.rows += rows;
                let wall = quantity::duration(Duration::from_micros(wall_us));
                // A lake in memory has none.
                let bytes = if bytes == 0 { String::new() } else { format!(", {}", quantity::bytes(bytes)) };
                (format!("{name}: {}{bytes}, {wall}", quantity::rows(rows)), true)
            }
            NodeEnd::Reused { rows } => (format!("{name}: reused, {}", quantity::rows(rows)), true),
            NodeEnd::Failed { failure } => (format!("{name}: failed: {}", failure.what), false),
            NodeEnd::Skipped { because_of } => {
                (format!("{name}: skipped, it needs {}", self.name(because_of)), false)
            }
            NodeEnd::Cancelled => (format!("{name}: cancelled"), false),
        };
        let counted = format!("[{}/{}] {line}", shown.done, shown.total);
        let rows = quantity::rows(shown.rows);
        match &mut shown.display {
            Display::Bars { main, running, .. } => {
                if let Some(bar) = running.remove(&node) {
                    bar.finish_and_clear();
                }
                main.set_message(rows);
                main.inc(1);
                if !is_good {
                    main.println(line);
                }
            }
            Display::Lines => self.print(shown, &counted, is_good),
        }
    }

    fn print(&self, shown: &mut Shown, line: &str, is_good: bool) {
        if is_good {
            shown.printed += 1;
            let is_milestone = shown.total >= 10 && shown.done.is_multiple_of(shown.total / 10);
            if shown.printed > QUIET_AFTER && !is_milestone {
                return;
            }
        }
        crate::complain::talk!("{:>8} {line}", format!("{:.2}s", self.began.elapsed().as_secs_f64()));
    }
}

fn bars(total: usize) -> Display {
    /// Often enough to look alive, seldom enough to cost nothing.
    const DRAWS_PER_SECOND: u8 = 12;
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
    let main = all.add(ProgressBar::new(total as u64));
    let style = ProgressStyle::with_template("{bar:32.cyan/blue} {pos}/{len} nodes  {msg}  {elapsed}");
    main.set_style(style.expect("the template is well formed"));
    main.enable_steady_tick(Duration::from_millis(100));
    Display::Bars { all, main, running: BTreeMap::new() }
}

impl Observer for Progress {
    fn on(&self, event: Event<'_>) {
        let mut shown = self.lock();
        match event {
            Event::AttemptBegan { node, attempt } => {
                if let Display::Bars { all, main, running } = &mut shown.display
                    && running.len() < LINES_MAX
                {
                    let bar = all.insert_before(main, ProgressBar::new_spinner());
                    let style = ProgressStyle::with_template("  {spinner} {prefix}  {msg}  {elapsed}");
                    bar.set_style(style.expect("the template is well formed"));
                    let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                    bar.set_prefix(format!("{}{again}", self.name(node)));
                    bar.enable_steady_tick(Duration::from_millis(100));
                    running.insert(node, bar);
                }
            }
            Event::Progress { node, done, total } => {
                if let Display::Bars { running, .. } = &shown.display
                    && let Some(bar) = running.get(&node)
                {
                    let of = total.map_or_else(String::new, |it| format!("/{}", quantity::count(it)));
                    bar.set_message(format!("{}{of}", quantity::count(done)));
                }
            }
            Event::RetryScheduled { node, attempt, delay_ms, failure } => {
                let delay = quantity::duration(Duration::from_millis(delay_ms));
                let line = format!(
                    "{}: attempt {attempt} failed, again in {delay}: {}",
                    self.name(node),
                    failure.what
                );
                match &mut shown.display {
                    Display::Bars { main, running, .. } => {
                        if let Some(bar) = running.remove(&node) {
                            bar.finish_and_clear();
                        }
                        main.println(line);
                    }
                    Display::Lines => self.print(&mut shown, &line, false),
                }
            }
            Event::NodeEnded { node, end } => self.node_ended(&mut shown, node, end),
        }
    }
}
