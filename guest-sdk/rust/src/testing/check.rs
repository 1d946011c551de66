//! What a host checks of a task's tables and artefacts, so that a native test fails where a run would.

use arrow_array::RecordBatch;
use arrow_ord::ord::make_comparator;
use arrow_schema::{Schema, SortOptions};

use super::session::{Session, Table, Written};
use crate::description::{Description, InputPort, OutputPort};
use crate::{Error, Result, ensure};

/// The columns that the port declares are there, with exactly these types.
pub(super) fn input(port: &InputPort, table: &Table) -> Result<()> {
    let schema = table.batch.schema_ref();
    for field in port.columns.iter().flat_map(|it| it.fields()) {
        let found = schema.field_with_name(field.name()).ok();
        let found = found.ok_or_else(|| {
            Error::permanent(format!(
                "input `{}`: column `{}` is missing from `{}`",
                port.name,
                field.name(),
                table.node
            ))
        })?;
        ensure!(
            found.data_type() == field.data_type(),
            "input `{}`: column `{}` is {}, must be {}",
            port.name,
            field.name(),
            found.data_type(),
            field.data_type()
        );
    }
    Ok(())
}

fn port<'a>(description: &'a Description, name: &str) -> Result<&'a OutputPort> {
    let port = description.outputs.iter().find(|it| it.name == name);
    port.ok_or_else(|| Error::permanent(format!("task `{}` has no such output", description.name)))
}

/// The index names columns that are there.
pub(super) fn create(description: &Description, name: &str, schema: &Schema) -> Result<()> {
    let port = port(description, name)?;
    for column in port.time_index.iter().chain(&port.identifiers) {
        ensure!(schema.index_of(column).is_ok(), "column `{column}` of its index is missing");
    }
    Ok(())
}

/// Rows come in (time, identifiers) order, no index twice, within a batch and from one to the next.
pub(super) fn order(
    description: &Description,
    name: &str,
    table: &Written,
    batch: &RecordBatch,
) -> Result<()> {
    let port = port(description, name)?;
    if port.time_index.is_none() {
        return Ok(());
    }
    let index: Vec<usize> = port
        .time_index
        .iter()
        .chain(&port.identifiers)
        .map(|it| batch.schema_ref().index_of(it))
        .collect::<std::result::Result<_, _>>()?;
    let key = batch.project(&index)?;
    let before = table.batches.last().map(|it| it.project(&index)).transpose()?;
    let rows_before: usize = table.batches.iter().map(RecordBatch::num_rows).sum();
    if let Some(before) = before.filter(|it| it.num_rows() > 0) {
        let last = before.num_rows() - 1;
        ascending(&before, &key, [(last, 0)].into_iter(), rows_before)?;
    }
    ascending(&key, &key, (1..key.num_rows()).map(|it| (it - 1, it)), rows_before)
}

fn ascending(
    left: &RecordBatch,
    right: &RecordBatch,
    pairs: impl Iterator<Item = (usize, usize)>,
    rows_before: usize,
) -> Result<()> {
    let compare = left
        .columns()
        .iter()
        .zip(right.columns())
        .map(|(a, b)| make_comparator(a, b, SortOptions::default()))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    for (a, b) in pairs {
        let ordering =
            compare.iter().map(|it| it(a, b)).find(|it| it.is_ne()).unwrap_or(std::cmp::Ordering::Equal);
        let row = rows_before + b;
        ensure!(ordering.is_ne(), "row {row} has the index of the row before it");
        ensure!(
            ordering.is_lt(),
            "row {row} is out of order: its index is less than that of the row before it"
        );
    }
    Ok(())
}

/// As many files as the contract allows.
pub(super) const ARTEFACTS_MAX: usize = 1000;

/// A file's name without folders, and a media type.
pub(super) fn artefact(name: &str, media_type: &str) -> Result<()> {
    const BYTES_MAX: usize = 120;
    let fits = |it: char| it.is_alphanumeric() || "._-+=,()[]@".contains(it);
    let is_name = (1..=BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.chars().all(fits);
    ensure!(
        is_name,
        "`{}` cannot name an artefact: use up to 120 bytes of letters, digits and `._-+=,()[]@`",
        name.escape_debug()
    );
    let is_token = |it: &str| {
        !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || "!#$&^_.+-".contains(it))
    };
    let (essence, parameters) = media_type.split_once(';').unwrap_or((media_type, ""));
    let (kind, subtype) = essence.trim_end_matches(' ').split_once('/').unwrap_or_default();
    let is_media_type = media_type.len() <= BYTES_MAX
        && is_token(kind)
        && is_token(subtype)
        && parameters.chars().all(|it| matches!(it, ' '..='~'));
    ensure!(is_media_type, "artefact `{name}`: `{}` is no media type", media_type.escape_debug());
    Ok(())
}

/// Every output port has a table.
pub(super) fn complete(session: &Session) -> Result<()> {
    let written = session.written.borrow();
    let missing = session.description.outputs.iter().find(|it| !written.contains_key(&it.name));
    missing.map_or(Ok(()), |it| {
        Err(Error::permanent(format!(
            "output `{}` was never written, and only writing decides its columns",
            it.name
        )))
    })
}
