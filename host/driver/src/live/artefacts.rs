//! Which artefacts of a service nothing names any more: not the record of a run that has ended, not the journal of one that
//! goes on. What tables hold of theirs, the record of the run that wrote them names, too.

use std::collections::BTreeSet;
use std::time::Duration;

use tidemill_plan::Problem;

use super::Live;
use crate::artefacts::{UnnamedArtefact, named_by, unnamed_artefacts};
use crate::log_file::now_ns;
use crate::record::{RunId, RunRecord};

/// Records that are read at one time.
const PAGE: u32 = 50;

impl Live {
    /// Files that have not been touched for `grace`, were not written since the oldest run that goes on was asked for, and
    /// that no run names.
    ///
    /// # Errors
    /// When the database is away, a folder or a record cannot be read: then what is named is not known.
    pub async fn unnamed_artefacts(&self, grace: Duration) -> Result<Vec<UnnamedArtefact>, Problem> {
        let store = &self.context.store;
        // Files first: what is recorded in between is known afterwards.
        let since = store.unended_since().await.map_err(|e| e.problem())?;
        let since = since.map_or(Duration::ZERO, |it| crate::record::since(it, now_ns()));
        let (root, grace) = (self.context.records_root.clone(), grace.max(since));
        let idle =
            tokio::task::spawn_blocking(move || unnamed_artefacts(&root, &BTreeSet::new(), grace)).await;
        let mut idle = idle.expect("reading folders does not panic").map_err(|e| e.problem())?;
        if idle.is_empty() {
            return Ok(idle);
        }
        let mut named = BTreeSet::new();
        for run in store.unended_runs().await.map_err(|e| e.problem())? {
            let view = self.view(&RunId(run)).await.map_err(|e| e.problem())?;
            named.extend(view.record.iter().flat_map(named_by));
        }
        // Then records: what goes on until here, and ends, is among them.
        let mut after = String::new();
        loop {
            let page = store.ended_records(&after, "\"artefacts\"", PAGE).await.map_err(|e| e.problem())?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (run, text) in &page {
                let record: RunRecord = serde_json::from_str(text)
                    .map_err(|e| super::views::unreadable(&RunId(run.clone()), &e).problem())?;
                named.extend(named_by(&record));
            }
        }
        let name = |it: &UnnamedArtefact| {
            it.path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
        };
        idle.retain(|it| !named.contains(&name(it)));
        Ok(idle)
    }
}
