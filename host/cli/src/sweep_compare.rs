//! `tidemill sweep compare`: what two sweeps measured at the same points.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tidemill_driver::{PointRow, SweepRecord};
use tidemill_plan::{Code, Problem};

use crate::args::LakeArg;
use crate::complain::talk;
use crate::sweep_results::{load, measure_text, plain, value_of};
use crate::{Ending, table_view};

/// One measure of one point in both sweeps.
type Both = (Option<f64>, Option<f64>);

struct Compared<'a> {
    axes: Vec<&'a str>,
    measures: Vec<&'a str>,
    /// Points that both have, a value of each measure; the largest difference first.
    pairs: Vec<(&'a PointRow, Vec<Both>)>,
    equal: usize,
    only_a: usize,
    only_b: usize,
}

/// Points of two sweeps that have the same values on their axes.
pub(crate) fn compare(
    a: &str,
    b: &str,
    lake: &LakeArg,
    rows_max: usize,
    is_json: bool,
) -> anyhow::Result<Ending> {
    let ((record_a, rows_a), (record_b, rows_b)) = (load(lake, a)?, load(lake, b)?);
    let compared = compared((&record_a, &rows_a), (&record_b, &rows_b))?;
    if is_json {
        table_view::print_json(&as_json(&compared, &record_a, &record_b))?;
    } else {
        print(&compared, &record_a, rows_max)?;
    }
    Ok(Ending::Done)
}

fn compared<'a>(
    (record_a, rows_a): (&'a SweepRecord, &'a [PointRow]),
    (record_b, rows_b): (&'a SweepRecord, &'a [PointRow]),
) -> Result<Compared<'a>, Problem> {
    let axes = record_a.axes.iter().map(|it| it.name.as_str());
    let axes: Vec<&str> = axes.filter(|name| record_b.axes.iter().any(|it| it.name == *name)).collect();
    let measures = record_a.measures.iter().map(|it| it.name.as_str());
    let measures: Vec<&str> =
        measures.filter(|name| record_b.measures.iter().any(|it| it.name == *name)).collect();
    if axes.len() != record_a.axes.len() || axes.len() != record_b.axes.len() || measures.is_empty() {
        let what = "the two sweeps do not have the same axes and a measure in common";
        let mend = "compare sweeps over the same parameters that measure something by the same name";
        return Err(Problem::new(Code("sweeps-differ"), what, mend));
    }
    let key = |record: &SweepRecord, row: &PointRow| -> Vec<String> {
        axes.iter().map(|it| value_of(record, row, it).to_string()).collect()
    };
    let others: HashMap<Vec<String>, &PointRow> = rows_b.iter().map(|it| (key(record_b, it), it)).collect();
    let mut pairs: Vec<(&PointRow, Vec<Both>)> = Vec::new();
    for row in rows_a {
        if let Some(other) = others.get(&key(record_a, row)) {
            let both = measures.iter().map(|it| (number(record_a, row, it), number(record_b, other, it)));
            pairs.push((row, both.collect()));
        }
    }
    let size =
        |it: &[Both]| it.iter().map(|(a, b)| (a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs()).fold(0.0, f64::max);
    pairs.sort_by(|a, b| size(&b.1).total_cmp(&size(&a.1)));
    let is_equal = |it: &[Both]| it.iter().all(|(a, b)| a.map(f64::to_bits) == b.map(f64::to_bits));
    let equal = pairs.iter().filter(|(_, it)| is_equal(it)).count();
    let (only_a, only_b) = (rows_a.len() - pairs.len(), rows_b.len() - pairs.len());
    Ok(Compared { axes, measures, pairs, equal, only_a, only_b })
}

fn number(record: &SweepRecord, row: &PointRow, name: &str) -> Option<f64> {
    let at = record.measures.iter().position(|it| it.name == name)?;
    row.measures.get(at).copied().flatten()
}

fn difference((a, b): Both) -> Option<f64> {
    a.zip(b).map(|(a, b)| b - a)
}

fn as_json(compared: &Compared<'_>, a: &SweepRecord, b: &SweepRecord) -> Value {
    let point = |(row, both): &(&PointRow, Vec<Both>)| {
        let mut out = Map::new();
        for name in &compared.axes {
            out.insert((*name).to_owned(), value_of(a, row, name));
        }
        for (name, it) in compared.measures.iter().zip(both) {
            let told = json!({"a": it.0, "b": it.1, "difference": difference(*it)});
            out.insert((*name).to_owned(), told);
        }
        Value::Object(out)
    };
    json!({
        "a": a.sweep, "b": b.sweep, "both": compared.pairs.len(), "equal": compared.equal,
        "only_a": compared.only_a, "only_b": compared.only_b,
        "points": compared.pairs.iter().map(point).collect::<Vec<_>>(),
    })
}

fn print(compared: &Compared<'_>, a: &SweepRecord, rows_max: usize) -> anyhow::Result<()> {
    let mut header: Vec<String> = compared.axes.iter().map(|it| (*it).to_owned()).collect();
    for it in &compared.measures {
        header.extend([format!("{it} a"), format!("{it} b"), "b − a".to_owned()]);
    }
    let rows = compared.pairs.iter().take(rows_max).map(|(row, both)| {
        let mut cells: Vec<String> = compared.axes.iter().map(|it| plain(&value_of(a, row, it))).collect();
        for it in both {
            cells.extend([it.0, it.1, difference(*it)].map(measure_text));
        }
        cells
    });
    table_view::print(&header.iter().map(String::as_str).collect::<Vec<_>>(), rows.collect())?;
    talk!(
        "{} points in both, {} of them equal to the bit; {} only in a, {} only in b",
        compared.pairs.len(),
        compared.equal,
        compared.only_a,
        compared.only_b
    );
    Ok(())
}
