//! `/api/v1/lake`: what keeps a lake small, when someone says so. This may take longer than other requests, and goes on
//! to its end when whoever asked has gone.

use std::path::PathBuf;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use tidemill_driver::{Compacted, Sweep, UnnamedArtefact, remove_artefacts};
use tidemill_plan::{Code, Problem, TableName};
use tidemill_store::{Expiry, TableFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::context::Context;
use crate::extract::JsonBody;
use crate::wire::{
    self, CollectLake, CollectedLake, CompactTables, CompactedTable, CompactedTables, ExpireSnapshots,
    ExpiredSnapshots, OrphanedFile, RefusedTable, SingleProblem,
};
use crate::{ApiProblem, clock, tables};

/// An attempt may have written a file long before it comes to its commit.
const GRACE: Duration = Duration::from_secs(86_400);
const LISTED_MAX: usize = 1000;
/// Tables that are fetched at one time.
const PAGE: u32 = 500;

pub(super) fn routes() -> Routes {
    Routes {
        upkeep: OpenApiRouter::new()
            .routes(routes!(collect_lake))
            .routes(routes!(expire_snapshots))
            .routes(routes!(compact_tables)),
        ..Routes::default()
    }
}

/// Remove files that no version of a table names and no run may still commit, and artefacts that no run names
#[utoipa::path(post, path = "/api/v1/lake/gc", tag = "lake", request_body = CollectLake,
    responses(
        (status = 200, description = "what went, or would go", body = CollectedLake),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn collect_lake(
    State(context): State<Context>,
    JsonBody(asked): JsonBody<CollectLake>,
) -> Result<Json<CollectedLake>, ApiProblem> {
    let grace = asked.grace_seconds.map_or(GRACE, Duration::from_secs);
    let what = if asked.dry_run { Sweep::Look } else { Sweep::Remove };
    let swept = to_its_end(async move {
        let swept = tidemill_driver::sweep(&context.tables, &context.lake, grace, what).await?;
        Ok((swept, collect_artefacts(&context, grace, what).await?))
    });
    let ((swept, orphans), artefacts) = swept.await?;
    let bytes = artefacts.iter().map(|it| it.bytes).sum::<u64>();
    let (files, bytes) = (swept.files + artefacts.len() as u64, swept.bytes + bytes);
    let file = |(path, bytes): (PathBuf, u64)| OrphanedFile { path: path.display().to_string(), bytes };
    let orphans = orphans.into_iter().map(|it| (it.path, it.bytes));
    let all = orphans.chain(artefacts.into_iter().map(|it| (it.path, it.bytes)));
    Ok(Json(CollectedLake { files, bytes, listed: all.take(LISTED_MAX).map(file).collect() }))
}

async fn collect_artefacts(
    context: &Context,
    grace: Duration,
    what: Sweep,
) -> Result<Vec<UnnamedArtefact>, Problem> {
    let unnamed = context.live.unnamed_artefacts(grace).await?;
    if what == Sweep::Remove {
        let gone = unnamed.clone();
        let removed = tokio::task::spawn_blocking(move || remove_artefacts(&gone)).await;
        removed.expect("removing files does not panic").map_err(|e| e.problem())?;
    }
    Ok(unnamed)
}

/// Forget old snapshots, and remove the files that only they named
#[utoipa::path(post, path = "/api/v1/lake/expire", tag = "lake", request_body = ExpireSnapshots,
    responses(
        (status = 200, description = "what went, or would go", body = ExpiredSnapshots),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn expire_snapshots(
    State(context): State<Context>,
    JsonBody(asked): JsonBody<ExpireSnapshots>,
) -> Result<Json<ExpiredSnapshots>, ApiProblem> {
    if asked.keep == 0 {
        let mend = "the newest version of a table always stays: use 1 or more";
        return Err(ApiProblem::new(Code("bad-request"), "`keep` is 0", mend));
    }
    let age = i64::try_from(Duration::from_secs(asked.older_than_seconds).as_nanos()).unwrap_or(i64::MAX);
    let expiry = Expiry { before: clock::now().saturating_sub(age), versions_kept_min: asked.keep };
    if asked.dry_run {
        let snapshots = context.store.expirable_snapshots(expiry).await?;
        return Ok(Json(ExpiredSnapshots { snapshots, files: None, bytes: None }));
    }
    let swept = to_its_end(async move {
        tidemill_driver::expire(&context.tables, &context.lake, expiry).await.map_err(ApiProblem::from)
    });
    let swept = swept.await?;
    Ok(Json(ExpiredSnapshots {
        snapshots: swept.snapshots,
        files: Some(swept.files),
        bytes: Some(swept.bytes),
    }))
}

/// Put the small files of a table together, or of all tables; what they hold stays the same
#[utoipa::path(post, path = "/api/v1/lake/compact", tag = "lake", request_body = CompactTables,
    responses(
        (status = 200, description = "what was done", body = CompactedTables),
        (status = "default", description = "refused", body = wire::ProblemBody, content_type = "application/problem+json")))]
async fn compact_tables(
    State(context): State<Context>,
    JsonBody(asked): JsonBody<CompactTables>,
) -> Result<Json<CompactedTables>, ApiProblem> {
    let mut done = CompactedTables { tables: 0, compacted: Vec::new(), refused: Vec::new() };
    let Some(typed) = asked.table else {
        return to_its_end(async move { compact_all(&context, done).await.map(Json) }).await;
    };
    let name = tables::find(&context, &typed).await?.name;
    to_its_end(async move {
        let compacted = compact(&context, &name).await?;
        note(&mut done, &name, Ok(compacted));
        Ok(Json(done))
    })
    .await
}

async fn compact_all(context: &Context, mut done: CompactedTables) -> Result<CompactedTables, ApiProblem> {
    let mut after = None;
    loop {
        let filter = TableFilter { after: after.take(), limit: PAGE, ..TableFilter::default() };
        let found = context.store.tables(&filter).await?;
        for it in &found {
            if context.is_stopping() {
                return Ok(done);
            }
            let compacted = compact(context, &it.name).await;
            note(&mut done, &it.name, compacted);
        }
        match found.last() {
            Some(last) if found.len() == PAGE as usize => after = Some(last.name.clone()),
            Some(_) | None => return Ok(done),
        }
    }
}

async fn compact(context: &Context, table: &TableName) -> Result<Option<Compacted>, Problem> {
    let attempt = format!("compact-{}", context.new_run_id());
    tidemill_driver::compact(&context.tables, &context.lake, table, attempt, clock::now()).await
}

fn note(done: &mut CompactedTables, table: &TableName, compacted: Result<Option<Compacted>, Problem>) {
    done.tables += 1;
    let table = table.0.clone();
    match compacted {
        Ok(Some(Compacted { version: Some(version), parts_before, parts_after })) => {
            done.compacted.push(CompactedTable {
                table,
                version,
                files_before: parts_before,
                files_after: parts_after,
            });
        }
        // There was nothing to do, or it is gone.
        Ok(Some(Compacted { version: None, .. }) | None) => {}
        Err(problem) => done.refused.push(RefusedTable { table, problem: SingleProblem::of(&problem) }),
    }
}

/// Files and catalogue belong together, so whoever asks cannot end this by going away.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiProblem>> + Send + 'static,
) -> Result<T, ApiProblem> {
    tokio::spawn(work).await.unwrap_or_else(|e| {
        let what = format!("the service met a defect of its own: {e}");
        let mend = "please report it with what the service logged";
        Err(ApiProblem::new(Code("internal"), what, mend))
    })
}
