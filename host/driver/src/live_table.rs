//! Stand-in until the catalog is merged.

use std::sync::Arc;

use tidemill_engine::AttemptId;
use tidemill_lake::{Lake, LakeError, Manifest, WindowFolder};
use tidemill_plan::{Digest, TableName, Window};
use tidemill_store::{StoreError, Tx};

use crate::attempt::Tables;
use crate::live::Parts;

#[derive(Debug)]
pub struct LiveTables {
    lake: Lake,
}

#[derive(Debug)]
pub(crate) struct CatalogCommit;

impl CatalogCommit {
    pub(crate) async fn carry_out(&self, _: &mut Tx) -> Result<i64, StoreError> {
        Ok(0)
    }
}

pub(crate) fn catalog_commit(_: &Arc<Parts>, _: &[(usize, AttemptId, Tables)]) -> Option<CatalogCommit> {
    None
}

impl LiveTables {
    #[must_use]
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    pub(crate) fn committed(&self, _: &CatalogCommit, _: i64) {}

    pub(crate) fn forget(&self) {}

    pub(crate) fn newest(&self, name: &TableName) -> Result<Option<Manifest>, LakeError> {
        self.lake.manifest(&WindowFolder::of(&Window::default()), name)
    }

    /// What the newest version of a table was made of.
    pub(crate) fn read_by(
        &self,
        _: &Manifest,
    ) -> Result<std::collections::BTreeMap<TableName, Digest>, LakeError> {
        Ok(std::collections::BTreeMap::new())
    }

    pub(crate) fn snapshot(&self, name: &TableName, digest: &Digest) -> Result<Option<Manifest>, LakeError> {
        Ok(self.newest(name)?.filter(|it| it.snapshot == *digest))
    }
}
