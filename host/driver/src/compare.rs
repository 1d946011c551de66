//! What two runs wrote, table by table: first by the digests that their records hold, then, where these differ and
//! both tables are still there, by rows and values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tidemill_lake::{Lake, LakeError, Manifest, TableDifference, WindowFolder};
use tidemill_plan::{Digest, TableName};

use crate::artefacts::{ArtefactRecord, artefact_path};
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
    Equal(EqualBy),
    Differs(Box<TableDifference>),
    /// They differ, and which rows do can no longer be told. Never empty.
    Gone(Vec<Gone>),
    /// What the lake holds as the table of the run before is not what that run wrote.
    Altered(Altered),
    OnlyBefore,
    OnlyAfter,
}

/// How it is known that two tables are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EqualBy {
    /// The digests that the two records hold.
    Digest,
    /// Also the rows that the lake holds of the run before.
    Content,
}

/// A table with the snapshot that the record names by its manifest, and not by its content.
#[derive(Clone, Debug)]
pub enum Altered {
    Unreadable(String),
    Content {
        digest: String,
        /// From what the lake holds to what the run after wrote.
        difference: Box<TableDifference>,
    },
}

/// A snapshot that a record names and the lake no longer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    pub run: RunId,
    pub table: String,
    pub recorded: String,
    pub now: Instead,
}

/// What the lake holds under the table's name instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    Nothing,
    Snapshot(String),
    Unreadable(String),
}

/// A file that a node's task left in a run and in its replay.
#[derive(Clone, Debug)]
pub struct ArtefactComparison {
    pub node: String,
    pub name: String,
    pub before: Option<ArtefactRecord>,
    pub after: Option<ArtefactRecord>,
    pub verdict: ArtefactVerdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtefactVerdict {
    Equal,
    Differs,
    /// What is kept of the run before is not what that run left.
    Altered,
    OnlyBefore,
    OnlyAfter,
}

/// The files that the nodes of these names left in both runs, by digest; what is still kept below `root` of the run before
/// is digested, too.
#[must_use]
pub fn compare_artefacts(
    before: &RunRecord,
    after: &RunRecord,
    nodes: &BTreeSet<&str>,
    root: &Path,
) -> Vec<ArtefactComparison> {
    let of = |record: &RunRecord| -> BTreeMap<(String, String), ArtefactRecord> {
        let results = record.artefacts().filter(|it| it.failed_attempt.is_none() && nodes.contains(it.node));
        results.map(|it| ((it.node.to_owned(), it.artefact.name.clone()), it.artefact.clone())).collect()
    };
    let (before, after) = (of(before), of(after));
    let all: BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
    let compared = |(node, name): (String, String)| {
        let key = (node.clone(), name.clone());
        let (before, after) = (before.get(&key).cloned(), after.get(&key).cloned());
        let verdict = match (&before, &after) {
            (Some(a), Some(b)) if a != b => ArtefactVerdict::Differs,
            (Some(a), Some(_)) if is_altered(root, a) => ArtefactVerdict::Altered,
            (Some(_), Some(_)) => ArtefactVerdict::Equal,
            (Some(_), None) => ArtefactVerdict::OnlyBefore,
            (None, _) => ArtefactVerdict::OnlyAfter,
        };
        ArtefactComparison { node, name, before, after, verdict }
    };
    all.into_iter().map(compared).collect()
}

/// Whether a file is there under a digest that it does not have.
fn is_altered(root: &Path, artefact: &ArtefactRecord) -> bool {
    let Ok(digest) = artefact.digest.parse() else { return true };
    match std::fs::read(artefact_path(root, &digest)) {
        Ok(bytes) => Digest::of(&bytes) != digest,
        Err(e) => e.kind() != std::io::ErrorKind::NotFound,
    }
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
/// after has. Tables with equal snapshots are not read.
///
/// # Errors
/// When a table that is there cannot be read.
pub fn compare_tables(before: RunIn<'_>, after: RunIn<'_>) -> Result<Vec<TableComparison>, LakeError> {
    matched(before, after, verdict)
}

/// The same, for a run and its replay: what the lake still holds of the run is read in any case, so that a table which
/// someone has changed behind the lake's back is not taken for what the run wrote.
///
/// # Errors
/// When a table of the replay cannot be read.
pub fn compare_replayed(before: RunIn<'_>, after: RunIn<'_>) -> Result<Vec<TableComparison>, LakeError> {
    matched(before, after, |before, after| {
        let stored = match find(before.0, before.1) {
            Ok(it) => it,
            Err(gone) => match gone.now {
                Instead::Unreadable(why) => return Ok(Verdict::Altered(Altered::Unreadable(why))),
                Instead::Nothing | Instead::Snapshot(_) => return verdict(before, after),
            },
        };
        match before.0.lake.content_digest(&stored) {
            Ok(it) if it == stored.snapshot && before.1.snapshot == after.1.snapshot => {
                Ok(Verdict::Equal(EqualBy::Content))
            }
            Ok(it) if it == stored.snapshot => verdict(before, after),
            Ok(it) => {
                let Ok(replayed) = find(after.0, after.1) else { return verdict(before, after) };
                let difference = tidemill_lake::compare((before.0.lake, &stored), (after.0.lake, &replayed))?;
                let difference = Box::new(difference);
                Ok(Verdict::Altered(Altered::Content { digest: it.to_string(), difference }))
            }
            Err(e) => Ok(Verdict::Altered(Altered::Unreadable(e.to_string()))),
        }
    })
}

/// A table of a run.
type Of<'a> = (RunIn<'a>, &'a TableRecord);

fn matched(
    before: RunIn<'_>,
    after: RunIn<'_>,
    verdict: impl Fn(Of<'_>, Of<'_>) -> Result<Verdict, LakeError>,
) -> Result<Vec<TableComparison>, LakeError> {
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

fn verdict(before: Of<'_>, after: Of<'_>) -> Result<Verdict, LakeError> {
    if before.1.snapshot == after.1.snapshot {
        return Ok(Verdict::Equal(EqualBy::Digest));
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
    let now = match run.lake.manifest(&folder, &TableName(table.table.clone())) {
        Ok(Some(it)) if it.snapshot.to_string() == table.snapshot => return Ok(it),
        Ok(Some(it)) => Instead::Snapshot(it.snapshot.to_string()),
        Ok(None) => Instead::Nothing,
        Err(e) => Instead::Unreadable(e.to_string()),
    };
    Err(Box::new(Gone {
        run: run.record.run.clone(),
        table: table.table.clone(),
        recorded: table.snapshot.clone(),
        now,
    }))
}
