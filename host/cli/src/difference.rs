//! Differences between tables, as lines and as JSON.

use serde_json::{Value, json};
use tidemill_driver::{Gone, TableComparison, Verdict};
use tidemill_lake::{ColumnDifference, FirstDifference, Largest, MatchedBy, RowPlace, TableDifference};

use crate::quantity;
use crate::runs::short;

/// `node.port`.
pub(crate) fn name(it: &TableComparison) -> String {
    format!("{}.{}", it.node, it.port)
}

fn gone_line(it: &Gone) -> String {
    let now = match &it.now {
        Some(now) => format!("the lake now holds `{}`", short(now)),
        None => "the lake holds no such table".to_owned(),
    };
    format!("gone: run {} wrote snapshot `{}` of `{}`; {now}", it.run, short(&it.recorded), it.table)
}

fn snapshots(it: &TableComparison) -> String {
    let of = |table: &Option<tidemill_driver::TableRecord>| {
        table.as_ref().map_or_else(|| "none".to_owned(), |it| format!("`{}`", short(&it.snapshot)))
    };
    format!("snapshot {} → {}", of(&it.before), of(&it.after))
}

/// `row 17 (2000-01-03, AAPL)`.
fn row_text(it: &RowPlace) -> String {
    let row = match (it.before, it.after) {
        (Some(before), Some(after)) if before != after => format!("row {before} → {after}"),
        (Some(row), _) | (_, Some(row)) => format!("row {row}"),
        (None, None) => "no row".to_owned(),
    };
    match &it.index {
        Some(index) => format!("{row} ({index})"),
        None => row,
    }
}

fn first_text(it: &FirstDifference) -> String {
    let row = row_text(&it.row);
    match (&it.column, &it.before, &it.after) {
        (Some(column), Some(before), Some(after)) => {
            format!("column `{column}`, {row}: `{before}` → `{after}`")
        }
        (_, Some(before), _) => format!("{row} is no longer there: {before}"),
        (_, _, Some(after)) => format!("{row} is new: {after}"),
        (_, None, None) => row,
    }
}

/// A table that differs: its name and digests, and the first difference.
pub(crate) fn first_lines(it: &TableComparison) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", name(it), snapshots(it))];
    match &it.verdict {
        Verdict::Equal => {}
        Verdict::Differs(difference) => {
            lines.extend(shape_lines(difference));
            if let Some(first) = &difference.first {
                lines.push(format!("  first: {}", first_text(first)));
            }
        }
        Verdict::Gone(gone) => lines.extend(gone.iter().map(|it| format!("  {}", gone_line(it)))),
        Verdict::OnlyBefore => lines.push("  it was not written again".to_owned()),
        Verdict::OnlyAfter => lines.push("  it was not there before".to_owned()),
    }
    lines
}

/// A table that differs, with all that is known of how.
pub(crate) fn all_lines(it: &TableComparison) -> Vec<String> {
    let mut lines = first_lines(it);
    let Verdict::Differs(difference) = &it.verdict else { return lines };
    let by = match difference.matched_by {
        MatchedBy::Index => "time and identifiers",
        MatchedBy::Position => "position",
    };
    lines.push(format!(
        "  rows by {by}: {} → {}, {} added, {} removed",
        quantity::count(difference.rows_before),
        quantity::count(difference.rows_after),
        quantity::count(difference.rows_added),
        quantity::count(difference.rows_removed)
    ));
    lines.extend(difference.columns_changed.iter().flat_map(column_lines));
    lines
}

fn shape_lines(it: &TableDifference) -> Vec<String> {
    let mut lines = Vec::new();
    let mut names = |what: &str, names: &[String]| {
        if !names.is_empty() {
            lines.push(format!("  columns {what}: {}", names.join(", ")));
        }
    };
    names("added", &it.columns_added);
    names("removed", &it.columns_removed);
    for it in &it.columns_retyped {
        lines.push(format!("  column `{}`: {} → {}", it.column, it.before, it.after));
    }
    lines.extend(it.shape.iter().map(|it| format!("  {it}")));
    lines
}

fn column_lines(it: &ColumnDifference) -> Vec<String> {
    let values = if it.changed == 1 { "value" } else { "values" };
    let mut lines =
        vec![format!("  column `{}`: {} {values} changed", it.column, quantity::count(it.changed))];
    let mut add = |what: &str, largest: Option<&Largest>| {
        if let Some(it) = largest {
            lines.push(format!(
                "    largest {what} difference {}: {}, `{}` → `{}`",
                quantity::real(it.difference),
                row_text(&it.row),
                it.before,
                it.after
            ));
        }
    };
    add("absolute", it.largest_absolute.as_ref());
    add("relative", it.largest_relative.as_ref());
    lines
}

pub(crate) fn to_json(it: &TableComparison) -> Value {
    let side = |table: &Option<tidemill_driver::TableRecord>| {
        table.as_ref().map(|it| json!({"table": it.table, "snapshot": it.snapshot, "rows": it.rows}))
    };
    let mut value =
        json!({"node": it.node, "port": it.port, "before": side(&it.before), "after": side(&it.after)});
    let verdict = match &it.verdict {
        Verdict::Equal => "equal",
        Verdict::Differs(difference) => {
            value["difference"] = difference_json(difference);
            "differs"
        }
        Verdict::Gone(gone) => {
            let gone = gone
                .iter()
                .map(|it| json!({"run": it.run, "table": it.table, "recorded": it.recorded, "now": it.now}));
            value["gone"] = gone.collect();
            "gone"
        }
        Verdict::OnlyBefore => "only-before",
        Verdict::OnlyAfter => "only-after",
    };
    value["verdict"] = verdict.into();
    value
}

fn difference_json(it: &TableDifference) -> Value {
    let place = |it: &RowPlace| json!({"before": it.before, "after": it.after, "index": it.index});
    let largest = |it: &Option<Largest>| {
        it.as_ref().map(|it| {
            json!({"difference": it.difference, "row": place(&it.row), "before": it.before, "after": it.after})
        })
    };
    let retyped = it
        .columns_retyped
        .iter()
        .map(|it| json!({"column": it.column, "before": it.before, "after": it.after}));
    let changed = it.columns_changed.iter().map(|it| {
        json!({
            "column": it.column, "changed": it.changed, "largest_absolute": largest(&it.largest_absolute),
            "largest_relative": largest(&it.largest_relative),
        })
    });
    let first = it.first.as_ref().map(
        |it| json!({"row": place(&it.row), "column": it.column, "before": it.before, "after": it.after}),
    );
    json!({
        "columns_added": it.columns_added, "columns_removed": it.columns_removed,
        "columns_retyped": retyped.collect::<Vec<_>>(), "shape": it.shape,
        "matched_by": match it.matched_by { MatchedBy::Index => "index", MatchedBy::Position => "position" },
        "rows_before": it.rows_before, "rows_after": it.rows_after, "rows_added": it.rows_added,
        "rows_removed": it.rows_removed, "columns_changed": changed.collect::<Vec<_>>(), "first": first,
    })
}
