//! Brings a table of the mirror to the version that is wanted of it: reads what changed from the lake, and writes it in
//! one transaction, in which the mirror itself says which version it has. So whatever dies in between leaves a version
//! that was committed, and doing it twice changes nothing. When it is tried is decided by `live/mirrors.rs`.

mod changes;
mod columns;
mod failed;
mod known;
mod rows;
mod sql;

use tidemill_lake::{Lake, Manifest};
use tidemill_plan::MirrorTarget;
use tidemill_store::{MirrorDatabase, MirrorRow, MirrorTx, Mirrored, Store, TableState};

use crate::live_table::LiveTables;
use crate::log_file::now_ns;

use self::changes::{Changed, changed, narrowed};
use self::columns::columns_of;
pub(crate) use self::failed::Failed;
use self::known::{Known, read_known, write_known};
use self::sql::Target;

/// Snapshots may be expired between being looked up and being read; each look then finds newer ones.
const LOOKS_MAX: u32 = 10;

/// Where tables come from and go to.
#[derive(Clone)]
pub(crate) struct Mirror {
    pub(crate) store: Store,
    pub(crate) tables: LiveTables,
    pub(crate) lake: Lake,
    pub(crate) database: MirrorDatabase,
    /// What the mirror knows the store by.
    pub(crate) identity: String,
}

/// What a table of the mirror has become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brought {
    /// Sent; those that were there already are among them.
    pub(crate) rows: u64,
    pub(crate) deleted: u64,
}

/// What is wanted, with the content of it.
struct Wanted {
    row: MirrorRow,
    manifest: Manifest,
}

impl Mirror {
    /// # Errors
    /// What is in the way, and whether it may go away by itself.
    pub(crate) async fn bring(&self, target: &MirrorTarget) -> Result<Brought, Failed> {
        self.prepare(target).await?;
        let mut tx = self.database.begin().await?;
        // Another host may be at it. What is wanted is read once it is done, so that nobody goes back.
        tx.lock(&format!("mirror {target}")).await?;
        let Some(Wanted { row, manifest }) = tx.while_busy(self.wanted(target)).await?? else {
            return Ok(Brought::default());
        };
        let known = read_known(&mut tx, target).await?;
        let target = Target::new(target, columns_of(&manifest.schema).map_err(Failed)?, &manifest);
        let next = Known::of(&self.identity, &row, &manifest, &target);
        let brought = self.replace(&mut tx, &target, known.as_ref(), &next, &manifest).await?;
        write_known(&mut tx, &target.name, &next).await?;
        tx.commit().await?;
        let mirrored = Mirrored { table: row.table, version: row.version, at: now_ns() };
        self.store.note_mirrored(&row.target, mirrored).await.map_err(|e| Failed::of_store(&e))?;
        Ok(brought)
    }

    /// What must be there before anything can be locked in it: the schema, and where the mirror keeps what it knows.
    async fn prepare(&self, target: &MirrorTarget) -> Result<(), Failed> {
        let mut tx = self.database.begin().await?;
        if sql::exists(&mut tx, &sql::known_table(&target.schema)).await? {
            return Ok(());
        }
        tx.lock(&format!("mirror schema {}", target.schema)).await?;
        // Asked first: who may write into a schema need not be allowed to make one.
        if !sql::has_schema(&mut tx, &target.schema).await? {
            tx.execute(&sql::create_schema(&target.schema), &[]).await?;
        }
        tx.execute(&sql::create_known(&target.schema), &[]).await?;
        Ok(tx.commit().await?)
    }

    /// `None`: nothing any more.
    async fn wanted(&self, target: &MirrorTarget) -> Result<Option<Wanted>, Failed> {
        let of_store = |e| Failed::of_store(&e);
        for _ in 0..LOOKS_MAX {
            let Some(row) = self.store.mirror(&target.to_string()).await.map_err(of_store)? else {
                return Ok(None);
            };
            let found = self.store.table_at(&row.table, row.version).await.map_err(of_store)?;
            let is_there = |it: &tidemill_store::TableVersion| match &it.state {
                TableState::Ours(own) => own.manifest.is_some(),
                TableState::Foreign(_) => true,
            };
            let newest = match found.filter(is_there) {
                Some(version) => {
                    let manifest = self.tables.manifest(version).await.map_err(|e| Failed::of_lake(&e))?;
                    return Ok(Some(Wanted { row, manifest }));
                }
                None => self.store.table_version(&row.table).await.map_err(of_store)?,
            };
            // Only the newest version never expires.
            let Some(newest) = newest else { return Err(Failed::table_gone(&row)) };
            self.store.want_instead(&row, newest.version).await.map_err(of_store)?;
        }
        Err(Failed::never_there(target))
    }

    /// Makes the table of the mirror what the manifest says.
    async fn replace(
        &self,
        tx: &mut MirrorTx,
        target: &Target,
        known: Option<&Known>,
        next: &Known,
        manifest: &Manifest,
    ) -> Result<Brought, Failed> {
        let is_there = sql::exists(tx, &target.table()).await?;
        let Some(known) = known.filter(|it| it.store == next.store) else {
            if is_there {
                return Err(Failed::in_the_way(&target.name, known.is_some()));
            }
            return self.fill_new(tx, target, manifest).await;
        };
        if !is_there {
            return self.fill_new(tx, target, manifest).await;
        }
        if known.digest == next.digest && known.shape == next.shape {
            return Ok(Brought::default());
        }
        let Some(altered) = known.shape.alter(&next.shape, target) else {
            // The same names mean something else now.
            tracing::info!(mirror = %target.name, "its columns have other types, or its index is another: it is made anew");
            tx.execute(&format!("DROP TABLE {}", target.table()), &[]).await?;
            return self.fill_new(tx, target, manifest).await;
        };
        for it in altered {
            tx.execute(&it, &[]).await?;
        }
        if target.key.is_empty() {
            let deleted = tx.execute(&format!("DELETE FROM {}", target.table()), &[]).await?;
            let rows = rows::copy(tx, &self.lake, manifest, Changed::All, target, &target.table()).await?;
            return Ok(Brought { rows, deleted });
        }
        let changed = match self.manifest_before(known, next).await? {
            Some(before) => tx.while_busy(self.changed(before, manifest)).await?,
            None => Changed::All,
        };
        self.merge(tx, target, manifest, changed).await
    }

    async fn fill_new(
        &self,
        tx: &mut MirrorTx,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<Brought, Failed> {
        tx.execute(&target.create(), &[]).await?;
        if let Some(time) = target.key.first()
            && let Some(schema) = sql::timescale_schema(tx).await?
        {
            tx.fetch(&target.hypertable(&schema, time), &[]).await?;
        }
        let rows = rows::copy(tx, &self.lake, manifest, Changed::All, target, &target.table()).await?;
        Ok(Brought { rows, deleted: 0 })
    }

    /// The manifest of what the mirror has, where that is the same table and still known.
    async fn manifest_before(&self, known: &Known, next: &Known) -> Result<Option<Manifest>, Failed> {
        if known.table != next.table {
            return Ok(None);
        }
        let found = self.store.table_at(&known.table, known.version).await;
        let found = found.map_err(|e| Failed::of_store(&e))?;
        let Some(version) = found.filter(|it| it.version == known.version) else { return Ok(None) };
        match &version.state {
            TableState::Ours(own)
                if own.manifest.is_some() && own.origin.digest.to_string() == known.digest =>
            {
                self.tables.manifest(version).await.map(Some).map_err(|e| Failed::of_lake(&e))
            }
            TableState::Ours(_) | TableState::Foreign(_) => Ok(None),
        }
    }

    async fn changed(&self, before: Manifest, now: &Manifest) -> Changed {
        let wide = changed(&before, now);
        let (lake, now, known) = (self.lake.clone(), now.clone(), wide.clone());
        let narrowing = tokio::task::spawn_blocking(move || narrowed(&lake, &before, &now, known));
        match narrowing.await.expect("the lake does not panic") {
            Ok(narrow) => narrow,
            // Files of the older version may be gone by now.
            Err(error) => {
                tracing::debug!(%error, "what a mirror has cannot be read any more; more of it is compared");
                wide
            }
        }
    }

    /// By way of a table that lives as long as the transaction: rows that stay as they are are not touched.
    async fn merge(
        &self,
        tx: &mut MirrorTx,
        target: &Target,
        manifest: &Manifest,
        changed: Changed,
    ) -> Result<Brought, Failed> {
        tx.execute(&target.create_staging(), &[]).await?;
        let rows = rows::copy(tx, &self.lake, manifest, changed.clone(), target, sql::STAGING).await?;
        tx.execute(&format!("ANALYZE {}", sql::STAGING), &[]).await?;
        let deleted = tx.execute(&target.delete_vanished(&changed), &[]).await?;
        tx.execute(&target.upsert(), &[]).await?;
        Ok(Brought { rows, deleted })
    }
}
