//! Which table and which version of it is meant: by its name, the beginning of one, or the node that wrote it; now, or at
//! an earlier snapshot or time.

use tidemill_driver::{RunId, RunRecord};
use tidemill_lake::{LakeError, Manifest};
use tidemill_plan::{Code, Problem, TableName, Time, nearest};
use tidemill_store::{HistoryEntry, RunFilter, TableFilter, TableState, TableVersion};

use crate::ApiProblem;
use crate::context::Context;

/// How many tables one name may mean.
const MEANT_MAX: u32 = 1000;
/// How many of the newest runs are looked through for the one whose table is meant.
const RUNS_MAX: u32 = 20;
/// How many are named where several are meant.
const NAMED_MAX: usize = 5;
const NAME_BYTES_MAX: usize = 500;

/// A moment of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Newest,
    Snapshot(i64),
    Time(Time),
}

impl At {
    pub(crate) fn read(text: Option<&str>) -> Result<Self, ApiProblem> {
        let Some(text) = text else { return Ok(Self::Newest) };
        if let Ok(snapshot) = text.parse() {
            return Ok(Self::Snapshot(snapshot));
        }
        Time::parse(text).map(Self::Time).map_err(|why| {
            let what = format!("`at` is neither a snapshot nor a time: {why}");
            let mend = "write a snapshot's number, a date such as `2020-01-02`, or a time such as `2020-01-02T09:30:00Z`";
            ApiProblem::new(Code("bad-time"), what, mend)
        })
    }
}

/// A table that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Meant {
    pub(crate) name: TableName,
    /// How many more could have been meant.
    pub(crate) others: usize,
}

/// The one table that is meant.
///
/// # Errors
/// `unknown-table` with the nearest; `ambiguous-table` with those that are meant.
pub(crate) async fn find(context: &Context, typed: &str) -> Result<Meant, ApiProblem> {
    if typed.is_empty() || typed.len() > NAME_BYTES_MAX || typed.contains('\0') {
        return unknown(context, typed).await;
    }
    let mut meant = Vec::new();
    // A beginning must reach into the digits, so that `stats` does not mean `stats-of-legs_…`.
    let by_name = listed(context, |it| it.beginning = Some(typed.to_owned())).await?;
    if by_name.first().is_some_and(|it| it.name.0 == typed) {
        return Ok(Meant { name: TableName(typed.to_owned()), others: 0 });
    }
    if typed.contains('_') {
        meant.extend(by_name);
    }
    let by_node = of_node(context, typed).await?;
    let is_of_nodes = meant.is_empty();
    meant.extend(by_node);
    if meant.is_empty() {
        return unknown(context, typed).await;
    }
    if let [only] = &*meant {
        return Ok(Meant { name: only.name.clone(), others: 0 });
    }
    if !is_of_nodes {
        return Err(ambiguous(typed, &meant));
    }
    let name = newest(context, typed, &meant).await?;
    Ok(Meant { name, others: meant.len() - 1 })
}

async fn listed(
    context: &Context,
    narrow: impl FnOnce(&mut TableFilter),
) -> Result<Vec<HistoryEntry>, ApiProblem> {
    let mut filter = TableFilter { limit: MEANT_MAX, ..TableFilter::default() };
    narrow(&mut filter);
    Ok(context.store.tables(&filter).await?)
}

/// Tables of a node, of all members of a family, or one port of either as `node.port`.
async fn of_node(context: &Context, typed: &str) -> Result<Vec<HistoryEntry>, ApiProblem> {
    let found = listed(context, |it| it.node = Some(typed.to_owned())).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let Some((node, port)) = typed.rsplit_once('.') else { return Ok(found) };
    let mut found = listed(context, |it| it.node = Some(node.to_owned())).await?;
    found.retain(|it| {
        let task = it.origin.as_ref().map_or("", |it| it.task.as_str());
        it.name.0.starts_with(&format!("{task}-{port}_"))
    });
    Ok(found)
}

/// Of several tables of a node, the one that the newest run computed or reused; without such a run the one that was
/// written last.
async fn newest(context: &Context, typed: &str, meant: &[HistoryEntry]) -> Result<TableName, ApiProblem> {
    let newest = RunFilter { limit: RUNS_MAX, ..RunFilter::default() };
    for run in context.store.runs(&newest).await? {
        let Some(record) = context.live.view(&RunId(run.id)).await?.record else { continue };
        let of_run: Vec<HistoryEntry> = meant.iter().filter(|it| has(&record, it)).cloned().collect();
        match &*of_run {
            [] => {}
            [only] => return Ok(only.name.clone()),
            [_, ..] => return Err(ambiguous(typed, &of_run)),
        }
    }
    let last = meant.iter().max_by_key(|it| it.version);
    Ok(last.expect("several are meant").name.clone())
}

fn has(record: &RunRecord, table: &HistoryEntry) -> bool {
    record.nodes.iter().flat_map(|it| &it.tables).any(|it| it.table == table.name.0)
}

fn ambiguous(typed: &str, meant: &[HistoryEntry]) -> ApiProblem {
    let shown = meant.iter().take(NAMED_MAX).map(|it| match &it.origin {
        Some(from) => format!("`{}` (node `{}`)", it.name, from.node),
        None => format!("`{}`", it.name),
    });
    let mut shown = shown.collect::<Vec<_>>().join(", ");
    if meant.len() > NAMED_MAX {
        shown.push_str(&format!(" and {} more", meant.len() - NAMED_MAX));
    }
    let what = format!("`{}` means {} tables", typed.escape_debug(), meant.len());
    ApiProblem::new(Code("ambiguous-table"), what, format!("type more of the name of one: {shown}"))
}

async fn unknown<T>(context: &Context, typed: &str) -> Result<T, ApiProblem> {
    let tables = listed(context, |_| {}).await?;
    let nodes = tables.iter().filter_map(|it| Some(it.origin.as_ref()?.node.as_str()));
    let names = tables.iter().map(|it| it.name.0.as_str()).chain(nodes);
    let mend = match nearest(typed, names) {
        Some(it) => format!("did you mean `{it}`? `tidemill tables` lists them all"),
        None => "`tidemill tables` lists what is there".to_owned(),
    };
    let shown: String = typed.chars().take(NAME_BYTES_MAX).collect();
    let what = format!("there is no table `{}`", shown.escape_debug());
    Err(ApiProblem::new(Code("unknown-table"), what, mend))
}

/// The version of the table that is meant; also of one that is no longer there, by its full name.
///
/// # Errors
/// As [`find`]; `unknown-snapshot`; `snapshot-expired`.
pub(crate) async fn version(
    context: &Context,
    typed: &str,
    at: At,
) -> Result<(Meant, TableVersion), ApiProblem> {
    let meant = match find(context, typed).await {
        Err(problem) if at != At::Newest && problem.is("unknown-table") => {
            let name = TableName(typed.chars().filter(|it| *it != '\0').collect());
            match version_at(context, &name, at).await? {
                Some(found) => return Ok((Meant { name, others: 0 }, found)),
                None => return Err(problem),
            }
        }
        found => found?,
    };
    match version_at(context, &meant.name, at).await? {
        Some(found) => Ok((meant, found)),
        // Dropped since it was found.
        None if at == At::Newest => unknown(context, typed).await,
        None => {
            let what = format!("table `{}` was not there yet at that snapshot or time", meant.name);
            let mend = format!("`tidemill tables history {}` lists its versions", meant.name);
            Err(ApiProblem::new(Code("unknown-snapshot"), what, mend))
        }
    }
}

async fn version_at(context: &Context, name: &TableName, at: At) -> Result<Option<TableVersion>, ApiProblem> {
    let store = &context.store;
    let snapshot = match at {
        At::Newest => return Ok(store.table_version(name).await?),
        At::Time(time) => return Ok(store.table_at_time(name, time.0).await?),
        At::Snapshot(it) => it,
    };
    let newest = store.newest_snapshot().await?;
    if snapshot > newest || snapshot < 0 {
        let what = format!("there is no snapshot {snapshot}");
        let mend =
            format!("the newest is {newest}; `tidemill tables history {name}` lists those of the table");
        return Err(ApiProblem::new(Code("unknown-snapshot"), what, mend));
    }
    let found = store.table_at(name, snapshot).await?;
    // Of ours the files are known for each version; of others only for snapshots that are still there.
    if let Some(TableVersion { state: TableState::Foreign(_), .. }) = &found
        && !store.has_snapshot(snapshot).await?
    {
        return Err(Problem::from(&LakeError::Expired { table: name.clone(), version: snapshot }).into());
    }
    Ok(found)
}

/// The manifest of a version that was asked for.
///
/// # Errors
/// `snapshot-expired`; when another program has written the table in a way that is not understood.
pub(crate) async fn manifest_of(
    context: &Context,
    version: TableVersion,
    at: At,
) -> Result<Manifest, ApiProblem> {
    let found = match (&version.state, at) {
        // What another program wrote is read once, and remembered.
        (TableState::Foreign(_), At::Newest) => context.tables.newest(&version.name).await,
        (TableState::Ours(_), _) | (TableState::Foreign(_), At::Snapshot(_) | At::Time(_)) => {
            return Ok(context.tables.manifest(version).await.map_err(|e| Problem::from(&e))?);
        }
    };
    match found.map_err(|e| Problem::from(&e))? {
        Some(manifest) => Ok(manifest),
        None => unknown(context, &version.name.0).await,
    }
}
