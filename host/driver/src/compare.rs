//! What two runs wrote, table by table: first by the digests that their records hold, then, where these differ and
//! both tables are still there, by rows and values.

use std::collections::BTreeMap;

use tidemill_lake::{Lake, LakeError, Manifest, TableDifference, WindowFolder};
use tidemill_plan::TableName;

use crate::record::{RunId, RunRecord, TableRecord};

/// A table of a node's port in two runs.
#[derive(Clone, Debug)]
pub struct TableComparison {
    pub node: String,
    pub port: String,
    pub before: Option<TableRecord>,
    pub after: Option<TableRecord>,
    pub verdict: Verdict,
}

#[derive(Clone, Debug)]
pub enum Verdict {
    /// Their snapshots are one.
    Equal,
    Differs(Box<TableDifference>),
    /// They differ, and which rows do can no longer be told. Never empty.
    Gone(Vec<Gone>),
    OnlyBefore,
    OnlyAfter,
}

/// A snapshot that a record names and the lake no longer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    pub run: RunId,
    pub table: String,
    pub recorded: String,
    /// What the lake holds under the table's name instead.
    pub now: Option<String>,
}

/// A run, and the lake where its tables are.
#[derive(Clone, Copy, Debug)]
pub struct RunIn<'a> {
    pub record: &'a RunRecord,
    pub lake: &'a Lake,
}

type Outputs<'a> = BTreeMap<(&'a str, &'a str), &'a TableRecord>;

fn outputs(record: &RunRecord) -> Outputs<'_> {
    let nodes = record.nodes.iter();
    nodes.flat_map(|node| node.tables.iter().map(|it| ((node.node.as_str(), it.port.as_str()), it))).collect()
}

/// The tables of both runs, matched by node and port: in the order of the run before, then those that only the run
/// after has.
///
/// # Errors
/// When a table that is there cannot be read.
pub fn compare_tables(before: RunIn<'_>, after: RunIn<'_>) -> Result<Vec<TableComparison>, LakeError> {
    let (of_before, of_after) = (outputs(before.record), outputs(after.record));
    let mut found = Vec::new();
    for node in &before.record.nodes {
        for table in &node.tables {
            let other = of_after.get(&(node.node.as_str(), table.port.as_str())).copied();
            let verdict = match other {
                None => Verdict::OnlyBefore,
                Some(other) => verdict((before, table), (after, other))?,
            };
            found.push(comparison(&node.node, Some(table), other, verdict));
        }
    }
    for node in &after.record.nodes {
        for table in &node.tables {
            if !of_before.contains_key(&(node.node.as_str(), table.port.as_str())) {
                found.push(comparison(&node.node, None, Some(table), Verdict::OnlyAfter));
            }
        }
    }
    Ok(found)
}

fn comparison(
    node: &str,
    before: Option<&TableRecord>,
    after: Option<&TableRecord>,
    verdict: Verdict,
) -> TableComparison {
    let port = before.or(after).map(|it| it.port.clone()).unwrap_or_default();
    TableComparison { node: node.to_owned(), port, before: before.cloned(), after: after.cloned(), verdict }
}

fn verdict(
    before: (RunIn<'_>, &TableRecord),
    after: (RunIn<'_>, &TableRecord),
) -> Result<Verdict, LakeError> {
    if before.1.snapshot == after.1.snapshot {
        return Ok(Verdict::Equal);
    }
    match (find(before.0, before.1), find(after.0, after.1)) {
        (Ok(left), Ok(right)) => {
            let difference = tidemill_lake::compare((before.0.lake, &left), (after.0.lake, &right))?;
            Ok(Verdict::Differs(Box::new(difference)))
        }
        (left, right) => Ok(Verdict::Gone(left.err().into_iter().chain(right.err()).map(|it| *it).collect())),
    }
}

/// The table with the snapshot that the record names.
fn find(run: RunIn<'_>, table: &TableRecord) -> Result<Manifest, Box<Gone>> {
    let folder = WindowFolder::of(&run.record.window);
    // One that cannot be read is as good as gone.
    let manifest = run.lake.manifest(&folder, &TableName(table.table.clone())).ok().flatten();
    let now = manifest.as_ref().map(|it| it.snapshot.to_string());
    manifest.filter(|it| it.snapshot.to_string() == table.snapshot).ok_or_else(|| {
        Box::new(Gone {
            run: run.record.run.clone(),
            table: table.table.clone(),
            recorded: table.snapshot.clone(),
            now,
        })
    })
}
