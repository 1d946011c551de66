//! `tidemill diff`: what differs between two runs, in what went in and in what came out.

use serde_json::{Value, json};
use similar::TextDiff;
use tidemill_driver::{Change, RunDifference, RunIn, RunRecord, Verdict, diff_runs};
use tidemill_plan::Time;

use crate::args::{DiffArgs, LakeArg};
use crate::{Ending, difference, lake_dir, quantity, runs, table_view};

pub(crate) fn diff(args: &DiffArgs) -> anyhow::Result<Ending> {
    let lake_b = LakeArg { named: args.lake_b.clone().or_else(|| args.lake.named.clone()) };
    let before = runs::load(args.lake.dir(), &args.before)?;
    let after = runs::load(lake_b.dir(), &args.after)?;
    let lakes = (lake_dir::open_to_read(&args.lake)?, lake_dir::open_to_read(&lake_b)?);
    let found =
        diff_runs(RunIn { record: &before, lake: &lakes.0 }, RunIn { record: &after, lake: &lakes.1 })
            .map_err(|e| lake_dir::problem(&e))?;
    if args.json {
        table_view::print_json(&to_json(&before, &after, &found))?;
    } else {
        table_view::print_lines(&lines(&before, &after, &found))?;
    }
    say_summary(&before, &after, &found);
    Ok(Ending::Done)
}

fn pipeline_diff(before: &RunRecord, after: &RunRecord) -> String {
    /// Lines around a change.
    const CONTEXT: usize = 3;
    let name = |it: &RunRecord| format!("{} of run {}", it.file, it.run);
    TextDiff::from_lines(&before.pipeline_text, &after.pipeline_text)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(&name(before), &name(after))
        .to_string()
}

/// A record of format 1 does not say what went in; that is no change.
fn is_comparable(before: &RunRecord, after: &RunRecord) -> bool {
    !before.pipeline_text.is_empty() && !after.pipeline_text.is_empty()
}

fn lines(before: &RunRecord, after: &RunRecord, found: &RunDifference) -> Vec<String> {
    let mut lines = Vec::new();
    if !is_comparable(before, after) {
        lines.push(
            "pipeline, components and sources: not compared, an older version did not record them".to_owned(),
        );
    } else if found.pipeline {
        lines.push("pipeline:".to_owned());
        lines.extend(pipeline_diff(before, after).lines().map(|it| format!("  {it}").trim_end().to_owned()));
    } else {
        lines.push("pipeline: same text".to_owned());
    }
    section(&mut lines, "parameters", &found.parameters, runs::shown);
    section(&mut lines, "window", &found.window, |it| quantity::time(Time(*it)));
    if is_comparable(before, after) {
        section(&mut lines, "components", &found.components, |it| runs::short(it));
        section(&mut lines, "sources", &found.files, |it| runs::short(it));
        section(&mut lines, "versions", &found.versions, Clone::clone);
    }
    section(&mut lines, "nodes", &found.outcomes, Clone::clone);
    let changed = found.tables.iter().filter(|it| !matches!(it.verdict, Verdict::Equal(_)));
    for it in changed {
        lines.push("".to_owned());
        lines.extend(difference::all_lines(it));
    }
    lines
}

fn section<T>(lines: &mut Vec<String>, name: &str, changes: &[Change<T>], text: impl Fn(&T) -> String) {
    if changes.is_empty() {
        lines.push(format!("{name}: same"));
        return;
    }
    lines.push(format!("{name}:"));
    let side = |it: &Option<T>| it.as_ref().map_or_else(|| "none".to_owned(), |it| format!("`{}`", text(it)));
    lines.extend(
        changes.iter().map(|it| format!("  {}: {} → {}", it.name, side(&it.before), side(&it.after))),
    );
}

fn say_summary(before: &RunRecord, after: &RunRecord, found: &RunDifference) {
    let number = |word: &str| found.tables.iter().filter(|it| difference::word(it) == word).count();
    let counted = [
        ("equal", "equal"),
        ("differs", "different"),
        ("gone", "different but gone"),
        ("only-before", "only in the first"),
        ("only-after", "only in the second"),
    ];
    let counted = counted.map(|(word, text)| (number(word), text));
    let counted =
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, text)| format!("{count} {text}"));
    let counted: Vec<String> = counted.collect();
    let tables = if counted.is_empty() { "none".to_owned() } else { counted.join(", ") };
    crate::complain::talk!("{} → {}: tables: {tables}", before.run, after.run);
    if number("gone") > 0 {
        crate::complain::talk!(
            "tables that are gone: `tidemill replay RUN --into DIR` computes a run's tables again, while its components and files are as they were; `tidemill diff` with `--lake DIR` or `--lake-b DIR` compares those"
        );
    }
}

fn to_json(before: &RunRecord, after: &RunRecord, found: &RunDifference) -> Value {
    json!({
        "before": before.run, "after": after.run,
        "inputs_recorded": is_comparable(before, after),
        "pipeline_changed": found.pipeline,
        "pipeline_diff": found.pipeline.then(|| pipeline_diff(before, after)),
        "parameters": changes_json(&found.parameters),
        "window": changes_json(&found.window),
        "components": changes_json(&found.components),
        "sources": changes_json(&found.files),
        "versions": changes_json(&found.versions),
        "nodes": changes_json(&found.outcomes),
        "tables": found.tables.iter().map(difference::to_json).collect::<Vec<_>>(),
    })
}

fn changes_json<T: serde::Serialize>(changes: &[Change<T>]) -> Value {
    let one = |it: &Change<T>| json!({"name": it.name, "before": it.before, "after": it.after});
    changes.iter().map(one).collect()
}
