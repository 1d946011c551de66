//! Tables and JSON on stdout.

use std::io::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// Prints rows under a header. A reader that went away ends the program quietly.
pub(crate) fn print(header: &[&str], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    let mut table = plain(rows);
    table.set_header(header.iter().copied());
    write(&table)
}

/// The same, after something else: a line stays empty between the two.
pub(crate) fn print_after(header: &[&str], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    writeln!(std::io::stdout())?;
    print(header, rows)
}

/// Rows without a header.
pub(crate) fn print_plain(rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    write(&plain(rows))
}

fn plain(rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        table.add_row(row);
    }
    table
}

fn write(table: &Table) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for line in table.lines() {
        writeln!(stdout, "{}", line.trim_end())?;
    }
    Ok(())
}

pub(crate) fn print_lines(lines: &[String]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for line in lines {
        writeln!(stdout, "{line}")?;
    }
    Ok(())
}

pub(crate) fn print_json(value: &Value) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    // Through a text, since serde_json hides that a reader went away.
    let text = serde_json::to_string_pretty(value)?;
    writeln!(stdout, "{text}")?;
    Ok(())
}
