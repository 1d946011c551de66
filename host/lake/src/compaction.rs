//! Puts small parts of a catalogued table together, without changing what it holds.

use crate::manifest::{Manifest, Part};
use crate::output::Output;
use crate::reader::TableReader;
use crate::revise::is_foreign;
use crate::{Lake, LakeError, WriterOptions};

/// Parts from this share of a full part on are left alone.
const SMALL_SHARE: u64 = 4;

impl Lake {
    /// A version of the same content in fewer parts, and with the same snapshot; its files are written, and whoever keeps
    /// the manifests commits it. `None` when there is nothing to gain. What another program wrote is put in order.
    pub fn compacted(&self, manifest: &Manifest, attempt: &str) -> Result<Option<Manifest>, LakeError> {
        let Some(state) = manifest.catalog.clone() else { return Ok(None) };
        let small_bytes = self.inner.options.part_bytes_max / SMALL_SHARE;
        let runs = runs_of(manifest, small_bytes);
        if runs.iter().all(|it| it.len() == 1) && !is_foreign(manifest) {
            return Ok(None);
        }
        let options = WriterOptions {
            schema: manifest.schema.clone(),
            time_index: manifest.time_index.clone(),
            identifiers: manifest.identifiers.clone(),
            mode: manifest.mode,
            attempt: attempt.to_owned(),
        };
        let state = crate::CatalogState { base: state.version, version: None, ..state };
        let (schema, table) = (manifest.schema.clone(), manifest.table.clone());
        let mut output = Output::new(self.clone(), manifest.window, table, options, schema, Some(state))?;
        let written = write(self, manifest, &runs, &mut output);
        let closed =
            written.and_then(|()| output.close(manifest.provenance.clone(), Some(manifest.snapshot)));
        let committed = closed.and_then(|it| output.commit(&it, None).map(|()| it));
        match committed {
            Ok(mut compacted) => {
                compacted.written_at = manifest.written_at;
                Ok(Some(compacted))
            }
            Err(e) => {
                output.abort();
                Err(e)
            }
        }
    }
}

fn write(lake: &Lake, manifest: &Manifest, runs: &[&[Part]], output: &mut Output) -> Result<(), LakeError> {
    for run in runs {
        if let [only] = run
            && !is_foreign(manifest)
        {
            let share = u128::from(manifest.memory_bytes) * u128::from(only.rows());
            let memory_bytes = share / u128::from(manifest.rows.max(1));
            output.carry(only.clone(), u64::try_from(memory_bytes).unwrap_or(u64::MAX))?;
            continue;
        }
        let mut some = manifest.clone();
        some.parts = run.to_vec();
        for batch in TableReader::of_parts(lake, &some)? {
            output.push(&batch?)?;
        }
    }
    Ok(())
}

/// Parts in order: small neighbours together, others alone. What another program wrote is in no order, so it is one run.
fn runs_of(manifest: &Manifest, small_bytes: u64) -> Vec<&[Part]> {
    if is_foreign(manifest) {
        return vec![&manifest.parts[..]];
    }
    manifest.parts.chunk_by(|a, b| a.bytes < small_bytes && b.bytes < small_bytes).collect()
}
