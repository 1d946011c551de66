//! Differences between tables, as lines and as JSON.

use serde_json::{Value, json};
use tidemill_driver::{Altered, EqualBy, Gone, Instead, TableComparison, Verdict};
use tidemill_lake::{ColumnDifference, FirstDifference, Largest, MatchedBy, RowPlace, TableDifference};

use crate::quantity;
use crate::runs::short;

/// `node.port`.
pub(crate) fn name(it: &TableComparison) -> String {
    format!("{}.{}", it.node, it.port)
}

fn gone_line(it: &Gone) -> String {
    let now = match &it.now {
        Instead::Snapshot(now) => format!("the lake now holds `{}`", short(now)),
        Instead::Nothing => "the lake holds no such table".to_owned(),
        Instead::Unreadable(why) => why.clone(),
    };
    format!("gone: run {} wrote snapshot `{}` of `{}`; {now}", it.run, short(&it.recorded), it.table)
}

fn digests(it: &TableComparison) -> String {
    let of = |table: &Option<tidemill_driver::TableRecord>| {
        table.as_ref().map_or_else(|| "none".to_owned(), |it| format!("`{}`", short(&it.snapshot)))
    };
    let (before, after) = (of(&it.before), of(&it.after));
    match &it.verdict {
        Verdict::Altered(Altered::Content { digest, .. }) => {
            format!("the run wrote {before}, its lake holds `{}`, the replay gave {after}", short(digest))
        }
        Verdict::Altered(Altered::Unreadable(_)) => {
            format!("the run wrote {before}, its lake's table cannot be read, the replay gave {after}")
        }
        Verdict::Equal(_)
        | Verdict::Differs(_)
        | Verdict::Gone(_)
        | Verdict::OnlyBefore
        | Verdict::OnlyAfter => format!("snapshot {before} → {after}"),
    }
}

/// `row 17 (2000-01-03, AAPL)`.
fn row_text(it: &RowPlace) -> String {
    let row = match (it.before, it.after) {
        (Some(before), Some(after)) if before != after => {
            format!("row {} → {}", quantity::count(before), quantity::count(after))
        }
        (Some(row), _) | (_, Some(row)) => format!("row {}", quantity::count(row)),
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
    let mut lines = vec![format!("{}: {}", name(it), digests(it))];
    match &it.verdict {
        Verdict::Equal(_) => {}
        Verdict::Differs(difference) => lines.extend(difference_lines(difference)),
        Verdict::Altered(Altered::Unreadable(why)) => lines.push(format!("  {why}")),
        Verdict::Altered(Altered::Content { difference, .. }) => lines.extend(difference_lines(difference)),
        Verdict::Gone(gone) => lines.extend(gone.iter().map(|it| format!("  {}", gone_line(it)))),
        Verdict::OnlyBefore => lines.push("  only the first run has it".to_owned()),
        Verdict::OnlyAfter => lines.push("  only the second run has it".to_owned()),
    }
    lines
}

fn difference_lines(it: &TableDifference) -> Vec<String> {
    let mut lines = shape_lines(it);
    lines.extend(it.first.iter().map(|it| format!("  first: {}", first_text(it))));
    lines
}

/// What became of the table, in one word.
pub(crate) fn word(it: &TableComparison) -> &'static str {
    match it.verdict {
        Verdict::Equal(_) => "equal",
        Verdict::Differs(_) => "differs",
        Verdict::Gone(_) => "gone",
        Verdict::Altered(_) => "altered",
        Verdict::OnlyBefore => "only-before",
        Verdict::OnlyAfter => "only-after",
    }
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
    value["verdict"] = word(it).into();
    match &it.verdict {
        Verdict::Equal(EqualBy::Digest) => value["by"] = "digest".into(),
        Verdict::Equal(EqualBy::Content) => value["by"] = "content".into(),
        Verdict::Differs(difference) => value["difference"] = difference_json(difference),
        Verdict::Gone(gone) => value["gone"] = gone.iter().map(gone_json).collect(),
        Verdict::Altered(Altered::Unreadable(why)) => value["unreadable"] = why.as_str().into(),
        Verdict::Altered(Altered::Content { digest, difference }) => {
            value["stored"] = digest.as_str().into();
            value["difference"] = difference_json(difference);
        }
        Verdict::OnlyBefore | Verdict::OnlyAfter => {}
    }
    value
}

fn gone_json(it: &Gone) -> Value {
    let (now, unreadable) = match &it.now {
        Instead::Nothing => (None, None),
        Instead::Snapshot(now) => (Some(now), None),
        Instead::Unreadable(why) => (None, Some(why)),
    };
    json!({"run": it.run, "table": it.table, "recorded": it.recorded, "now": now, "unreadable": unreadable})
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
