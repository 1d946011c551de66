//! Tables of a store as Tidemill writes them and DuckDB reads them, and the other way round; on both databases.

mod foreign;
mod mirrored;
mod types;
mod upkeep;
mod written;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::Value as Json;
use tidemill_lake::{
    Lake, LakeError, Manifest, Options, Provenance, ReadOptions, WindowFolder, WriterOptions,
};
use tidemill_plan::{Digest, TableName, WriteMode};
use tidemill_store::{
    CatalogCommit, HostId, NewRun, Patience, Store, StoreError, StoreOptions, commit_tables,
};

use super::{LiveTables, Making, table_write};

#[path = "../../../../tests/support/duckdb.rs"]
mod duckdb;
#[path = "../../../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "only whole-program tests crash it")]
mod postgres;

const SHORT: Patience = Patience::For(Duration::from_secs(5));

/// A store with its lake.
struct Service {
    store: Store,
    url: String,
    tables: LiveTables,
    lake: Lake,
    _folder: tempfile::TempDir,
}

/// A row: microseconds, name, value.
type Row = (i64, &'static str, Option<f64>);

impl Service {
    async fn open(url: String, folder: tempfile::TempDir) -> Self {
        Self::with(url, folder, Options { cache_bytes_max: 0, ..Options::default() }).await
    }

    async fn with(url: String, folder: tempfile::TempDir, options: Options) -> Self {
        let store = Store::open(StoreOptions {
            url: url.clone(),
            host: HostId("h1".into()),
            host_name: "test".into(),
            connect_timeout: Duration::from_secs(5),
            heartbeat: Duration::from_secs(60),
        });
        let store = store.await.unwrap();
        let root = folder.path().join("lake");
        store.init_catalog(root.to_str().unwrap(), 1_600_000_000_000_000_000).await.unwrap();
        let home = tidemill_lake::Home::folder(&root).unwrap();
        let tables = LiveTables::new(store.clone(), tokio::runtime::Handle::current(), home, &options);
        let lake = tables.lake(options);
        Self { store, url, tables, lake, _folder: folder }
    }

    /// Writes rows as an attempt does, up to the commit.
    async fn write(
        &self,
        table: &str,
        mode: WriteMode,
        batches: Vec<RecordBatch>,
    ) -> Result<(Manifest, Option<Vec<tidemill_lake::KeyProgress>>), LakeError> {
        let (lake, table) = (self.lake.clone(), table.to_owned());
        let schema = batches[0].schema();
        let writing = tokio::task::spawn_blocking(move || {
            let mut writer = lake.writer(&WindowFolder::default(), &name(&table), options(&schema, mode))?;
            for it in &batches {
                writer.write(it)?;
            }
            let progress = writer.progress();
            Ok((writer.finish(provenance(&table))?, progress))
        });
        writing.await.unwrap()
    }

    async fn commit(
        &self,
        written: &[(Manifest, Option<Vec<tidemill_lake::KeyProgress>>)],
    ) -> Result<Option<i64>, StoreError> {
        let making = Making::default();
        let writes = written.iter().filter_map(|it| table_write(&it.0, it.1.clone(), &making));
        let tables: Vec<_> = writes.collect();
        if tables.is_empty() {
            return Ok(None);
        }
        let commit = CatalogCommit {
            at: 1_700_000_000_000_000_000,
            author: "ada".into(),
            message: "run 7".into(),
            tables,
        };
        let snapshot = self.store.write(SHORT, move |tx| {
            let commit = commit.clone();
            Box::pin(async move { commit_tables(tx, &commit).await })
        });
        let snapshot = snapshot.await?;
        self.tables.committed(snapshot, written.iter().map(|it| &it.0));
        Ok(Some(snapshot))
    }

    /// Writes and commits; the number of the version.
    async fn put(&self, table: &str, mode: WriteMode, rows: &[Row]) -> i64 {
        let written = self.write(table, mode, vec![batch(rows)]).await.unwrap();
        self.commit(&[written]).await.unwrap().expect("something was written")
    }

    /// A run that nobody begins.
    async fn submit(&self, id: &str) {
        let run = NewRun {
            id: id.to_owned(),
            pipeline: "p".to_owned(),
            version: 1,
            priority: 0,
            created_at: 1,
            created_by: "test".to_owned(),
            description: String::new(),
            labels: BTreeMap::new(),
            links: Vec::new(),
            idempotency_key: None,
            request: Json::Null,
            pins: BTreeMap::new(),
            claim: tidemill_store::Claim::Anywhere,
        };
        self.store.submit(run).await.unwrap();
    }

    async fn newest(&self, table: &str) -> Manifest {
        self.tables.newest(&name(table)).await.unwrap().expect("the table is there")
    }

    async fn at(&self, table: &str, snapshot: i64) -> Manifest {
        let version = self.store.table_at(&name(table), snapshot).await.unwrap().expect("it was there");
        self.tables.manifest(version).await.unwrap()
    }

    /// What Tidemill reads, as DuckDB would answer.
    async fn read(&self, manifest: &Manifest) -> Json {
        let (lake, manifest) = (self.lake.clone(), manifest.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let reader = lake.reader(&manifest, ReadOptions::default()).unwrap();
            let rows: Vec<Json> = reader.flat_map(|it| rows_of(&it.unwrap())).collect();
            Json::Array(rows)
        });
        reading.await.unwrap()
    }

    /// Runs a program in DuckDB with the catalogue attached as `lake`; what it printed.
    async fn duckdb(&self, program: &str) -> String {
        let program = format!("attach({:?})\n{program}", duckdb::address(&self.url));
        tokio::task::spawn_blocking(move || duckdb::python(&program)).await.unwrap()
    }

    /// What DuckDB answers.
    async fn query(&self, sql: &str) -> Json {
        let answer = self.duckdb(&format!("query({sql:?})")).await;
        serde_json::from_str(&answer).unwrap()
    }

    /// What DuckDB reads of a table now, in order.
    async fn seen(&self, table: &str) -> Json {
        self.query(&format!("SELECT {SHOWN} FROM lake.{table} ORDER BY time, name")).await
    }

    async fn seen_at(&self, table: &str, version: i64) -> Json {
        self.query(&format!("SELECT {SHOWN} FROM lake.{table} AT (VERSION => {version}) ORDER BY time, name"))
            .await
    }
}

const SHOWN: &str = "epoch_us(time), name, value";

fn name(table: &str) -> TableName {
    TableName(table.to_owned())
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("name", DataType::Utf8, false),
        Field::new("value", DataType::Float64, true),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(|it| it.0)).with_timezone("UTC"),
        ),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|it| it.1))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|it| it.2))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn options(schema: &SchemaRef, mode: WriteMode) -> WriterOptions {
    WriterOptions {
        schema: schema.clone(),
        time_index: Some("time".into()),
        identifiers: vec!["name".into()],
        mode,
        attempt: "run-1".into(),
    }
}

fn provenance(table: &str) -> Provenance {
    Provenance {
        cache_key: Digest::of(table.as_bytes()),
        task: "returns".into(),
        component: Some(Digest::of(b"component")),
        run: "run".into(),
        node: "node".into(),
        metrics: BTreeMap::new(),
        artefacts: Vec::new(),
    }
}

/// As [`SHOWN`] shows them.
fn rows_of(batch: &RecordBatch) -> Vec<Json> {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
    let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    let (names, values) = (batch.column(1).as_string::<i32>(), batch.column(2).as_primitive::<Float64Type>());
    (0..batch.num_rows())
        .map(|row| {
            let value = (!values.is_null(row)).then(|| values.value(row));
            serde_json::json!([times.value(row), names.value(row), value])
        })
        .collect()
}

fn json(rows: &[Row]) -> Json {
    Json::Array(rows.iter().map(|it| serde_json::json!([it.0, it.1, it.2])).collect())
}

fn block_on(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime starts").block_on(case);
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("store.db").display())
}

/// Each case on an SQLite file, a test of its own; and all of them, one after the other, on one PostgreSQL.
macro_rules! on_both {
    ($($module:ident::$case:ident),* $(,)?) => {
        mod on_sqlite {
            $(
                #[test]
                fn $case() {
                    super::block_on(async {
                        let folder = super::folder();
                        let url = super::sqlite(folder.path());
                        super::$module::$case(super::Service::open(url, folder).await).await;
                    });
                }
            )*
        }

        /// One test: a server takes seconds to start.
        #[test]
        fn all_holds_on_postgres() {
            let server = postgres::Postgres::start();
            $(
                eprintln!("case {}", stringify!($case));
                block_on(async {
                    $module::$case(Service::open(server.database(), folder()).await).await;
                });
            )*
        }
    };
}

on_both! {
    written::duckdb_reads_what_was_replaced,
    written::additions_come_out_as_in_a_map,
    written::an_addition_at_the_end_leaves_older_files_alone,
    written::nothing_written_is_no_version,
    written::tables_written_together_are_one_snapshot,
    written::a_new_nullable_column_is_added,
    written::another_type_is_a_new_column_when_the_table_is_replaced,
    written::who_comes_second_starts_again,
    written::progress_follows_the_commits,
    foreign::a_table_of_duckdb_is_read,
    foreign::what_duckdb_changes_in_a_table_counts,
    foreign::snapshots_that_duckdb_puts_into_one_file_are_told_apart,
    foreign::columns_that_duckdb_adds_and_renames_are_followed,
    foreign::a_dropped_table_is_begun_anew,
    foreign::rows_that_break_the_index_are_refused,
    foreign::tables_of_both_are_written_at_one_time,
    types::every_type_is_read_by_both,
    types::bounds_are_those_that_duckdb_would_write,
    upkeep::expired_snapshots_take_their_files_along,
    upkeep::orphans_are_found_and_removed,
    upkeep::small_parts_are_put_together,
}
