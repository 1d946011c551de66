//! What 1 has become, in the replica and in its benchmark: a drawing that any browser opens.

use std::io::{self, Write};

/// Days from one point to the next: about a month.
const STEP: usize = 21;
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 400.0;
const MARGIN: f64 = 20.0;

/// Follows both returns.
#[derive(Debug)]
pub(crate) struct Chart {
    days: usize,
    now: [f64; 2],
    points: Vec<[f64; 2]>,
}

impl Default for Chart {
    fn default() -> Self {
        Self { days: 0, now: [1.0; 2], points: vec![[1.0; 2]] }
    }
}

impl Chart {
    /// Takes a day's returns: the replica's, then the benchmark's.
    pub(crate) fn add(&mut self, returns: [f64; 2]) {
        self.days += 1;
        for (now, of_day) in self.now.iter_mut().zip(returns) {
            *now *= 1.0 + of_day;
        }
        if self.days.is_multiple_of(STEP) {
            self.points.push(self.now);
        }
    }

    /// Writes it as SVG, on a logarithmic scale.
    pub(crate) fn draw(&self, to: &mut impl Write) -> io::Result<()> {
        let logs = || self.points.iter().flatten().map(|it| it.ln());
        let (least, greatest) = logs().fold((0.0_f64, 0.0_f64), |(a, b), it| (a.min(it), b.max(it)));
        let across = (WIDTH - 2.0 * MARGIN) / (self.points.len().max(2) - 1) as f64;
        let up = (HEIGHT - 2.0 * MARGIN) / (greatest - least).max(f64::MIN_POSITIVE);
        writeln!(
            to,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">"#
        )?;
        for (series, name, colour) in [(1, "benchmark", "gray"), (0, "replica", "crimson")] {
            write!(to, r#"<polyline fill="none" stroke="{colour}" points=""#)?;
            for (position, it) in self.points.iter().enumerate() {
                let x = MARGIN + across * position as f64;
                let y = HEIGHT - MARGIN - up * (it[series].ln() - least);
                write!(to, "{x:.1},{y:.1} ")?;
            }
            writeln!(to, r#""/>"#)?;
            let (y, became) = (MARGIN * (3.0 - series as f64), self.now[series]);
            writeln!(
                to,
                r#"<text x="{MARGIN}" y="{y}" fill="{colour}">{name}: 1 became {became:.2}</text>"#
            )?;
        }
        writeln!(to, "</svg>")
    }
}
