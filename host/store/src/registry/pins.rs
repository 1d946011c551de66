//! Which components a run uses: fixed when it begins, whatever tags do later.

use std::collections::BTreeMap;

use tidemill_plan::Digest;

use super::components;
use crate::db::Tx;
use crate::runs::ANSWER;
use crate::writer::text;
use crate::{Store, StoreError};

impl Store {
    /// Pins a run's components, by the references of its pipeline. The first pins stay: a run that is taken over, or
    /// begun again after a crash, gets those back.
    ///
    /// # Errors
    /// `unknown-component` when one has been deleted meanwhile.
    pub async fn pin_run(
        &self,
        run: String,
        pins: BTreeMap<String, Digest>,
    ) -> Result<BTreeMap<String, Digest>, StoreError> {
        self.write(ANSWER, move |tx| {
            let (run, pins) = (run.clone(), pins.clone());
            Box::pin(async move { pin(tx, &run, &pins).await })
        })
        .await
    }

    /// Empty before the run has begun.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn run_pins(&self, run: &str) -> Result<BTreeMap<String, Digest>, StoreError> {
        pinned(&mut self.read().await?, run).await
    }
}

/// Within a transaction that may keep the run as well.
pub(crate) async fn pin(
    tx: &mut Tx,
    run: &str,
    pins: &BTreeMap<String, Digest>,
) -> Result<BTreeMap<String, Digest>, StoreError> {
    tx.lock("registry").await?;
    let known = pinned(tx, run).await?;
    if !known.is_empty() {
        return Ok(known);
    }
    for (reference, digest) in pins {
        components::known(tx, *digest).await?;
        let values = [text(run), text(reference.clone()), text(digest.to_string())];
        let sql = "INSERT INTO tidemill_run_components (run, reference, digest) VALUES ($1, $2, $3)";
        tx.execute(sql, &values).await?;
    }
    Ok(pins.clone())
}

async fn pinned(tx: &mut Tx, run: &str) -> Result<BTreeMap<String, Digest>, StoreError> {
    let sql = "SELECT reference, digest FROM tidemill_run_components WHERE run = $1";
    let rows = tx.fetch(sql, &[text(run)]).await?;
    rows.iter().map(|it| Ok((it.get(0)?, components::digest(it, 1)?))).collect()
}
