//! The rows as a table for people and as JSON for programs.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::row::{Quantity, Row, Target};

const HEADER: [&str; 7] = ["name", "measured", "reference", "ratio", "target", "spread", "verdict"];

pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADER.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let mut widths = [0; HEADER.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        for (position, (cell, width)) in line.iter().zip(widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            // Words stand at the left, numbers at the right.
            let cell = if position == 0 { cell.clone() + &padding } else { padding + cell };
            text.push_str(if position == 0 { "" } else { "  " });
            text.push_str(&cell);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> [String; HEADER.len()] {
    [
        row.name.clone(),
        quantity(row.measured),
        row.reference.map_or_else(String::new, quantity),
        row.ratio().map_or_else(String::new, number),
        target(row),
        format!("{:.0} %", row.spread * 100.0),
        row.verdict().as_str().to_owned(),
    ]
}

fn target(row: &Row) -> String {
    let unit = row.measured.unit;
    match row.target {
        Target::AtMost(it) => format!("≤ {} {unit}", number(it)),
        Target::AtLeast(it) => format!("≥ {} {unit}", number(it)),
        Target::RatioAtMost(it) => format!("≤ {} ×", number(it)),
        Target::RatioAtLeast(it) => format!("≥ {} ×", number(it)),
        Target::None => String::new(),
    }
}

fn quantity(it: Quantity) -> String {
    format!("{} {}", number(it.value), it.unit)
}

/// Three digits that mean something.
fn number(it: f64) -> String {
    match it.abs() {
        size if size >= 100.0 => format!("{it:.0}"),
        size if size >= 10.0 => format!("{it:.1}"),
        _ => format!("{it:.2}"),
    }
}

pub(crate) fn write(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let rows: Vec<Value> = rows.iter().map(as_json).collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = serde_json::to_string_pretty(&json!({"cores": cores, "rows": rows})).context("write JSON")?;
    std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
}

fn as_json(row: &Row) -> Value {
    json!({
        "name": row.name,
        "unit": row.measured.unit,
        "measured": row.measured.value,
        "best": row.best.value,
        "reference": row.reference.map(|it| it.value),
        "ratio": row.ratio(),
        "target": target(row),
        "spread": row.spread,
        "verdict": row.verdict().as_str().to_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let quantity = |value, unit| Quantity { value, unit };
        vec![
            Row {
                spread: 0.031,
                ..Row::once("instantiate + call", quantity(17.25, "µs"), Target::AtMost(40.0))
            },
            Row {
                reference: Some(quantity(16.0, "GB/s")),
                ..Row::once("identity", quantity(4.0, "GB/s"), Target::RatioAtLeast(0.5))
            },
        ]
    }

    #[test]
    fn the_table_is_aligned_and_says_what_was_missed() {
        let expected = "\
name                measured   reference  ratio     target  spread  verdict
instantiate + call   17.2 µs                     ≤ 40.0 µs     3 %      met
identity           4.00 GB/s  16.0 GB/s    0.25   ≥ 0.50 ×     0 %   MISSED
";
        let squeezed = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ");
        let table = table(&rows());
        assert_eq!(squeezed(&table), squeezed(expected));
        let ends: Vec<usize> = table.lines().map(|it| it.chars().count()).collect();
        assert!(ends.windows(2).all(|it| it[0] == it[1]), "lines end at {ends:?}");
    }

    #[test]
    fn the_file_holds_numbers_and_a_missing_reference_is_null() {
        let value = as_json(&rows()[0]);
        assert_eq!(value["unit"], "µs");
        assert_eq!(value["reference"], Value::Null);
        assert_eq!(value["verdict"], "met");
    }
}
