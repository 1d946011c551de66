//! Tables of a service in a PostgreSQL beside it: equal to what the service has, whatever happens in between.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::duckdb;
use crate::postgres::Postgres;
use crate::program::{Bench, guest};
use crate::service::{Service, assert_quiet};

/// Longer than any step of these tests takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The example `hello`: its source is replaced by each run, its node adds to its table, a third has no index.
fn hello() -> Bench {
    let bench = Bench::example("hello");
    bench.edit(
        "pipeline.toml",
        "time_index = \"time_index\"\n",
        "time_index = \"time_index\"\nmirror = \"raw.temperatures\"\n",
    );
    bench.edit(
        "pipeline.toml",
        "task = \"anomaly\"\n",
        "task = \"anomaly\"\nwrite_mode = \"upsert\"\ncorrections = \"recompute\"\nmirror = \"anomaly\"\n",
    );
    let copy = format!(
        "\n[nodes.copy]\ntask = {:?}\ninputs = {{ in = \"temperatures\" }}\nmirror = {{ out = \"raw.copy\" }}\n",
        guest("identity")
    );
    bench.write("pipeline.toml", &(bench.read("pipeline.toml") + &copy));
    bench
}

/// The tables of `hello`, each with the node that writes it.
const OF_HELLO: [(&str, &str); 3] =
    [("raw.temperatures", "temperatures"), ("public.anomaly", "anomaly"), ("raw.copy", "copy")];

fn start(bench: &Bench, mirror: &str, more: &[&str]) -> Service {
    let service = Service::start(bench, &[&["--mirror-url", mirror], more].concat());
    if let Some(token) = &service.token {
        bench.done(&["login", &service.url, "--token", token]);
    }
    service
}

fn deploy_and_run(bench: &Bench) {
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
}

fn mirrors(bench: &Bench) -> BTreeMap<String, Value> {
    let list = bench.json(&["tables", "mirrors"]);
    let list = list.as_array().expect("a list").iter();
    list.map(|it| (it["target"].as_str().expect("a target").to_owned(), it.clone())).collect()
}

/// Asks until all mirrors are as they are to be.
#[track_caller]
fn until(bench: &Bench, what: &str, holds: impl Fn(&BTreeMap<String, Value>) -> bool) {
    let began = Instant::now();
    loop {
        let found = mirrors(bench);
        if holds(&found) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: {found:#?}\n{}", bench.read("serve.log"));
    }
}

#[track_caller]
fn until_current(bench: &Bench) {
    until(bench, "the mirror does not come up", |it| {
        !it.is_empty() && it.values().all(|it| it["is_behind"] == false)
    });
}

#[track_caller]
fn until_in_trouble(bench: &Bench, target: &str, code: &str) {
    until(bench, "nobody says what is wrong", |it| {
        it.get(target).is_some_and(|it| it["error"]["code"] == code)
    });
}

/// What PostgreSQL answers, a row a line, values between commas.
#[track_caller]
fn query(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "--csv", "-t", "-c", sql, url])
        .env("PGTZ", "UTC")
        .output()
        .expect("start psql");
    assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// Rows of numbers, times and texts as both sides print them.
fn cells(csv: &str) -> Vec<Vec<String>> {
    let cell = |it: &str| match it.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => it.replace('T', " ").trim_end_matches('Z').trim_end_matches("+00").to_owned(),
    };
    csv.lines().map(|line| line.split(',').map(cell).collect()).collect()
}

/// The rows of a table of the service and those of its mirror are the same.
#[track_caller]
fn assert_equal(bench: &Bench, url: &str, target: &str, node: &str) {
    let ours = bench.done(&["show", node, "--format", "csv"]).stdout;
    let (header, ours) = ours.split_once('\n').expect("a header");
    let theirs = query(url, &format!("SELECT {header} FROM {target} ORDER BY 1"));
    assert_eq!(cells(ours), cells(&theirs), "{target}");
}

#[track_caller]
fn assert_all_equal(bench: &Bench, url: &str) {
    until_current(bench);
    for (target, node) in OF_HELLO {
        assert_equal(bench, url, target, node);
    }
}

/// How many transactions wrote the rows that are there.
fn writers(url: &str, table: &str) -> String {
    query(url, &format!("SELECT count(DISTINCT xmin::text) FROM {table}"))
}

#[test]
fn a_mirror_is_what_the_table_is_through_every_change() {
    let (server, bench) = (Postgres::start(), hello());
    let url = server.database();
    let _service = start(&bench, &url, &[]);
    deploy_and_run(&bench);
    assert_all_equal(&bench, &url);
    assert_eq!(writers(&url, "anomaly"), "1");
    let state = &mirrors(&bench)["public.anomaly"];
    assert_eq!((&state["pipeline"], &state["node"]), (&"hello".into(), &"anomaly".into()));
    assert_eq!(state["mirrored"]["version"], state["version"]);

    let csv = bench.read("data/temperatures.csv");
    let next = format!("{csv}2030-01-01T00:00:00Z,9.5\n");
    bench.write("data/temperatures.csv", &next);
    deploy_and_run(&bench);
    assert_all_equal(&bench, &url);
    assert_eq!(writers(&url, "anomaly"), "2", "rows that stay as they are were written again");
    assert_eq!(writers(&url, "raw.temperatures"), "2", "rows that stay as they are were written again");

    let third = csv.lines().nth(3).expect("a third row");
    let (day, _) = third.split_once(',').expect("two columns");
    bench.write("data/temperatures.csv", &next.replace(third, &format!("{day},99.5")));
    deploy_and_run(&bench);
    assert_all_equal(&bench, &url);

    let last = csv.lines().last().expect("rows");
    let shorter = next.replace(&format!("{last}\n"), "");
    assert_ne!(shorter, next);
    bench.write("data/temperatures.csv", &shorter);
    deploy_and_run(&bench);
    assert_all_equal(&bench, &url);

    // Columns come, and what others have added to the table stays.
    query(&url, "ALTER TABLE raw.temperatures ADD COLUMN seen TEXT DEFAULT 'no'");
    let mut lines = shorter.lines();
    let header = format!("{},note", lines.next().expect("a header"));
    let wider = lines.enumerate().map(|(at, it)| format!("{it},n{at}"));
    let wider: Vec<String> = std::iter::once(header).chain(wider).collect();
    bench.write("data/temperatures.csv", &(wider.join("\n") + "\n"));
    deploy_and_run(&bench);
    assert_all_equal(&bench, &url);
    assert_eq!(query(&url, "SELECT DISTINCT note IS NULL, seen FROM raw.temperatures"), "f,no");
    // And they go.
    bench.write("data/temperatures.csv", &shorter);
    deploy_and_run(&bench);
    assert_all_equal(&bench, &url);
    assert_quiet(&bench);
}

const BOOKS: &str = r#"
[pipeline]
name = "books"

[parameters.day]
type = "integer"

[nodes.book]
task = "ledger"
parameters = { day = "{{ day }}", book = 1 }
identity_ignore = ["day"]
write_mode = "append"
mirror = "books.first"
"#;

/// A pipeline that adds the rows of a day to one table.
fn books() -> Bench {
    let bench = Bench::empty();
    bench.write("pipeline.toml", &BOOKS.replace("\"ledger\"", &format!("{:?}", guest("ledger"))));
    bench
}

fn run_day(bench: &Bench, day: u32) {
    bench.done(&["run", "books", "--set", &format!("day={day}"), "--wait"]);
}

/// A session of PostgreSQL that holds something until it is dropped.
struct Holding(Child);

impl Holding {
    fn new(url: &str, sql: &str) -> Self {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-t", "-v", "ON_ERROR_STOP=1", url]);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start psql");
        let stdin = child.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{sql};\nSELECT 'held';").expect("psql listens");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let is_held = lines.map_while(Result::ok).any(|it| it.trim() == "held");
        assert!(is_held, "psql ended");
        Self(child)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Kills the service as `kill -9` does.
fn kill(mut service: Service) -> String {
    service.process.kill().expect("kill the service");
    service.process.wait().expect("it was started here");
    service.token.take().unwrap_or_default()
}

fn start_again(bench: &Bench, url: &str, token: &str) -> Service {
    let service = start(bench, url, &[]);
    bench.done(&["login", &service.url, "--token", token]);
    service
}

/// Waits until a transaction of the mirror waits for a lock.
fn until_it_waits(url: &str) {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidemill mirror' \
                           AND wait_event_type = 'Lock' AND datname = current_database()";
    let began = Instant::now();
    while query(url, WAITING) == "0" {
        assert!(began.elapsed() < PATIENCE, "the mirror waits for nothing");
    }
}

/// What a host holds while it brings the table up.
const HOLD_BOOKS: &str = "SELECT pg_advisory_lock(hashtext('tidemill'), hashtext('mirror books.first'))";
const COUNTED: &str = "SELECT count(*), count(DISTINCT name) FROM books.first";

#[test]
fn a_killed_service_catches_up_and_each_row_is_there_once() {
    let (server, bench) = (Postgres::start(), books());
    let url = server.database();
    let service = start(&bench, &url, &[]);
    bench.done(&["deploy", "."]);
    run_day(&bench, 1);
    until_current(&bench);
    assert_eq!(query(&url, COUNTED), "5,5");
    // The run is over, and another host seems to be at work in the mirror.
    let held =
        Holding::new(&url, "SELECT pg_advisory_lock(hashtext('tidemill'), hashtext('mirror books.first'))");
    run_day(&bench, 2);
    assert_eq!(mirrors(&bench)["books.first"]["is_behind"], true);
    until_it_waits(&url);
    let token = kill(service);
    drop(held);
    assert_eq!(query(&url, COUNTED), "5,5");
    let service = start_again(&bench, &url, &token);
    until_current(&bench);
    assert_eq!(query(&url, COUNTED), "10,10");
    // All rows are on their way, and the last statement waits.
    let held = Holding::new(&url, "BEGIN; LOCK TABLE books.first IN SHARE MODE");
    run_day(&bench, 3);
    run_day(&bench, 4);
    until_it_waits(&url);
    kill(service);
    assert_eq!(query(&url, COUNTED), "10,10");
    drop(held);
    let _service = start_again(&bench, &url, &token);
    until_current(&bench);
    assert_eq!(query(&url, COUNTED), "20,20");
    let log = bench.read("serve.log");
    let told = log.lines().find(|it| it.contains("\"mirrored\"")).expect("it says what it did");
    assert!(
        told.contains("\"rows\":10,") && told.contains("\"deleted\":0"),
        "only what changed is sent: {told}"
    );
    assert_equal(&bench, &url, "books.first", "book");
    // Each day came with a transaction of its own, but for those that were skipped over.
    assert_eq!(writers(&url, "books.first"), "3");
}

#[test]
fn what_a_host_did_not_come_to_mirror_another_does() {
    let (server, one, two) = (Postgres::start(), books(), books());
    let (store, url) = (server.database(), server.database());
    let shared = ["--store", &store, "--data-dir"];
    let data = one.path("tidemill-data").display().to_string();
    let more = [&shared[..], &[&data, "--lease", "2s", "--store-heartbeat", "200ms"]].concat();
    let first = start(&one, &url, &more);
    one.done(&["deploy", "."]);
    run_day(&one, 1);
    until_current(&one);
    let held = Holding::new(&url, HOLD_BOOKS);
    run_day(&one, 2);
    until_it_waits(&url);
    // A folder of its own for what it prints; all else is shared.
    two.write("tidemill-data/components/is-not-first", "");
    let second = start(&two, &url, &more);
    let token = kill(first);
    drop(held);
    two.done(&["login", &second.url, "--token", &token]);
    until_current(&two);
    assert_eq!(query(&url, COUNTED), "10,10");
    run_day(&two, 3);
    until_current(&two);
    assert_eq!(query(&url, COUNTED), "15,15");
}

#[test]
fn a_mirror_that_is_away_holds_nothing_up_and_is_caught_up_with() {
    let (mut server, bench) = (Postgres::start(), books());
    let url = server.database();
    server.crash();
    let service = start(&bench, &url, &["--store-connect-timeout", "1s"]);
    bench.done(&["deploy", "."]);
    run_day(&bench, 1);
    until_in_trouble(&bench, "books.first", "mirror-unreachable");
    run_day(&bench, 2);
    let shown = bench.done(&["tables", "mirrors", "--behind"]);
    assert!(shown.stdout.contains("mirror-unreachable"), "{}", shown.stdout);
    assert!(shown.stderr.contains("cannot reach the mirror") && shown.stderr.contains("to mend"));
    server.restart(&["fsync=off"]);
    until_current(&bench);
    assert_eq!(query(&url, COUNTED), "10,10");
    assert!(mirrors(&bench)["books.first"]["error"].is_null());
    assert!(bench.done(&["tables", "mirrors", "--behind"]).stdout.is_empty());
    // It goes away while it has connections.
    server.crash();
    run_day(&bench, 3);
    until_in_trouble(&bench, "books.first", "mirror-unreachable");
    server.restart(&["fsync=off"]);
    until_current(&bench);
    assert_eq!(query(&url, COUNTED), "15,15");
    drop(service);
    let log = bench.read("serve.log");
    let told = log.lines().filter(|it| it.contains("\"WARN\"") && it.contains("mirror-unreachable"));
    assert_eq!(told.count(), 2, "each time it is told once: {log}");
}

#[test]
fn a_table_that_no_mirror_of_the_service_made_is_left_alone() {
    let (server, bench) = (Postgres::start(), books());
    let url = server.database();
    query(&url, "CREATE SCHEMA books; CREATE VIEW books.first AS SELECT 42 AS answer");
    let _service = start(&bench, &url, &[]);
    bench.done(&["deploy", "."]);
    run_day(&bench, 1);
    until_in_trouble(&bench, "books.first", "mirror-in-the-way");
    assert_eq!(query(&url, "SELECT * FROM books.first"), "42");
    query(&url, "DROP VIEW books.first");
    until_current(&bench);
    assert_eq!(query(&url, COUNTED), "5,5");
    // Another service wants the same place.
    let other = books();
    let other_service = start(&other, &url, &[]);
    other.done(&["deploy", "."]);
    run_day(&other, 8);
    until_in_trouble(&other, "books.first", "mirror-in-the-way");
    assert!(
        mirrors(&other)["books.first"]["error"]["title"].as_str().is_some_and(|it| it.contains("another"))
    );
    assert_eq!(query(&url, "SELECT DISTINCT version FROM books.tidemill_mirror"), "1");
    assert_eq!(query(&url, COUNTED), "5,5");
    // It would take the place as soon as it is free.
    drop(other_service);
    // What stands in the way of a statement is told as PostgreSQL says it.
    query(&url, "ALTER TABLE books.first ADD CONSTRAINT few CHECK (day < '1900-01-01') NOT VALID");
    run_day(&bench, 3);
    until_in_trouble(&bench, "books.first", "mirror-refused");
    assert!(
        mirrors(&bench)["books.first"]["error"]["title"].as_str().is_some_and(|it| it.contains("\"few\""))
    );
    assert_eq!(query(&url, COUNTED), "5,5");
    // Dropped by hand, it comes back whole.
    query(&url, "DROP TABLE books.first");
    run_day(&bench, 2);
    until_current(&bench);
    assert_eq!(query(&url, COUNTED), "15,15");
}

#[test]
fn what_was_there_before_is_mirrored_by_the_next_run() {
    let (server, bench) = (Postgres::start(), Bench::example("hello"));
    let url = server.database();
    let _service = start(&bench, &url, &[]);
    deploy_and_run(&bench);
    assert_eq!(mirrors(&bench).len(), 0);
    bench.write("pipeline.toml", &hello().read("pipeline.toml"));
    bench.edit("pipeline.toml", "write_mode = \"upsert\"\ncorrections = \"recompute\"\n", "");
    bench.done(&["deploy", "."]);
    let run = bench.json(&["run", "hello", "--wait"]);
    assert_eq!(run["record"]["nodes"][0]["state"], "reused");
    assert_all_equal(&bench, &url);
    // A source that reads a table of the service is mirrored as that table is.
    let table = bench.json(&["tables", "--node", "anomaly"])[0]["name"].as_str().expect("a name").to_owned();
    let second = format!(
        "[pipeline]\nname = \"second\"\n\n[sources.measured]\ntable = \"{table}\"\nmirror = \"measured\"\n\n\
         [nodes.second]\ntask = \"anomaly\"\ninputs = {{ temperatures = \"measured\" }}\n"
    );
    bench.write("second.toml", &second);
    bench.done(&["deploy", "second.toml"]);
    bench.done(&["run", "second", "--wait"]);
    until_current(&bench);
    assert_eq!(mirrors(&bench)["public.measured"]["table"], table);
    assert_equal(&bench, &url, "measured", "anomaly");
    assert_quiet(&bench);
}

#[test]
fn a_version_that_expires_before_it_is_mirrored_gives_way_to_the_newest() {
    let (server, bench) = (Postgres::start(), books());
    let url = server.database();
    let service = start(&bench, &url, &[]);
    bench.done(&["deploy", "."]);
    run_day(&bench, 1);
    run_day(&bench, 2);
    until_current(&bench);
    // Both days in one transaction, or each in its own: as it was quick enough.
    query(&url, "UPDATE books.first SET value = value");
    let held = Holding::new(&url, HOLD_BOOKS);
    run_day(&bench, 3);
    let token = kill(service);
    drop(held);
    let mut unmirrored = Service::start(&bench, &[]);
    bench.done(&["login", &unmirrored.url, "--token", &token]);
    let trouble = mirrors(&bench)["books.first"]["error"].clone();
    assert_eq!((&trouble["code"], &trouble["since"]), (&"no-mirror".into(), &Value::Null));
    assert_eq!(bench.json(&["lake", "compact"])["compacted"].as_array().map(Vec::len), Some(1));
    bench.done(&["lake", "expire", "--older-than", "0s", "--yes"]);
    let gone = mirrors(&bench)["books.first"]["version"].to_string();
    bench.refused(&["show", "book", "--at", &gone], &["error[snapshot-expired]"]);
    unmirrored.stop();
    let _service = start_again(&bench, &url, &token);
    until_current(&bench);
    assert_eq!(query(&url, COUNTED), "15,15");
    assert_equal(&bench, &url, "books.first", "book");
    assert_eq!(writers(&url, "books.first"), "2", "rows that stay as they are were written again");
}

#[test]
fn what_cannot_be_mirrored_is_refused_where_it_is_said() {
    let (server, bench) = (Postgres::start(), hello());
    let url = server.database();
    bench.refused(
        &["serve", "--mirror-url", "mysql://ann:tops3cret@db/x"],
        &["error[bad-setting]", "`mirror_url`"],
    );
    let shown = bench.done(&["config", "show", "--mirror-url", "postgres://ann:tops3cret@db/x"]).stdout;
    assert!(shown.contains("mirror_url") && !shown.contains("tops3cret"), "{shown}");
    let mut service = Service::with_login(&bench);
    bench.refused(&["deploy", "."], &["error[no-mirror]", "`temperatures`", "to mend", "`mirror_url`"]);
    assert_eq!(bench.json(&["pipelines"]), serde_json::json!([]));
    let token = service.token.clone().expect("a first token");
    service.stop();
    let _service = start_again(&bench, &url, &token);
    // Whether or not it has ever run.
    bench.done(&["deploy", "."]);
    let first = bench.read("pipeline.toml");
    let second = first.replace("name = \"hello\"", "name = \"second\"");
    bench.write("pipeline.toml", &second);
    bench.refused(
        &["deploy", "."],
        &["error[mirror-taken]", "`raw.temperatures`", "pipeline `hello`", "to mend"],
    );
    bench.write("pipeline.toml", &first);
    deploy_and_run(&bench);
    until_current(&bench);
    assert!(mirrors(&bench).contains_key("raw.temperatures"));
    bench.write("pipeline.toml", &first.replace("mirror = \"raw.temperatures\"\n", ""));
    bench.done(&["deploy", "."]);
    assert!(!mirrors(&bench).contains_key("raw.temperatures"), "nobody wants it any more");
    bench.write("pipeline.toml", &second);
    bench.refused(&["deploy", "."], &["error[mirror-taken]", "`public.anomaly`"]);
    // Local runs take no notice.
    bench.done(&["run", ".", "--lake", "lake"]);
}

/// A file with a column of each kind, as DuckDB writes them; the time is between microseconds where `shift` is 1.
fn write_types(bench: &Bench, shift: u32, more: &str) {
    let path = bench.path("types.parquet").display().to_string();
    let sql = format!(
        "COPY (SELECT make_timestamp_ns(1700000000000000000 + 86400000000000 * i + {shift}) AS t, \
         i % 2 = 0 AS yes, CAST(-i AS TINYINT) AS tiny, CAST(i AS SMALLINT) AS small, CAST(i AS INTEGER) AS whole, \
         CAST(i AS UTINYINT) AS u8, CAST(65535 - i AS USMALLINT) AS u16, CAST(4294967295 - i AS UINTEGER) AS u32, \
         CAST(18446744073709551615 - i AS UBIGINT) AS u64, CAST(i / 3 AS REAL) AS r, \
         CASE WHEN i = 2 THEN 'nan'::DOUBLE ELSE i / 3 END AS d, CAST(i / 8.0 AS DECIMAL(20, 4)) AS money, \
         DATE '2020-02-29' + CAST(i AS INTEGER) AS day, TIME '12:34:56.789' AS clock, \
         TIMESTAMPTZ '2020-01-01 00:00:00.000001+00' AS zoned, 'é\"' || i AS txt, 'ab'::BLOB AS raw, \
         [i, NULL, 2 * i] AS list, ['x', NULL] AS words, NULL::INTEGER AS nothing{more} \
         FROM range(3) r (i)) TO '{path}' (FORMAT parquet)"
    );
    duckdb::python(&format!("connection.execute({sql:?})"));
}

#[test]
fn values_of_every_type_arrive_as_they_are_or_their_column_is_named() {
    let (server, bench) = (Postgres::start(), Bench::empty());
    let url = server.database();
    let pipeline = "[pipeline]\nname = \"types\"\n[sources.types]\npath = \"types.parquet\"\ntime_index = \"t\"\n\
                    mirror = \"types\"\n[nodes.none]\ntask = \"TASK\"\ninputs = { in = \"types\" }\n";
    bench.write("pipeline.toml", &pipeline.replace("TASK", &guest("identity")));
    let _service = start(&bench, &url, &[]);
    let run = || {
        bench.done(&["deploy", "."]);
        bench.done(&["run", "types", "--only", "types", "--wait"]);
    };
    write_types(&bench, 0, "");
    run();
    until_current(&bench);
    let types = query(
        &url,
        "SELECT string_agg(format_type(atttypid, atttypmod), ' ' ORDER BY attnum) FROM pg_attribute \
         WHERE attrelid = 'types'::regclass AND attnum > 0",
    );
    assert_eq!(
        types.replace(" without time zone", "").replace(" with time zone", "tz"),
        "timestamp boolean smallint smallint integer smallint integer bigint numeric real double precision numeric date \
         time timestamptz text bytea bigint[] text[] integer"
    );
    assert_eq!(
        query(&url, "SELECT * FROM types WHERE whole = 2"),
        "2023-11-16 22:13:20,t,-2,2,2,2,65533,4294967293,18446744073709551613,0.6666667,NaN,0.2500,2020-03-02,\
         12:34:56.789,2020-01-01 00:00:00.000001+00,\"é\"\"2\",\\x6162,\"{2,NULL,4}\",\"{x,NULL}\","
    );
    for (shift, more, named) in [(1, "", "column `t`"), (0, ", {'a': i} AS inside", "column `inside`")] {
        write_types(&bench, shift, more);
        run();
        until_in_trouble(&bench, "public.types", "mirror-column");
        until(&bench, "it is another column", |it| {
            it["public.types"]["error"]["title"].as_str().is_some_and(|it| it.contains(named))
        });
        assert_eq!(query(&url, "SELECT count(*) FROM types WHERE d = 'NaN'"), "1", "it stays as it was");
    }
    // A column of another type: the table is made anew.
    write_types(&bench, 0, "");
    run();
    until_current(&bench);
    bench.edit(
        "pipeline.toml",
        "mirror = \"types\"\n",
        "mirror = \"types\"\ncolumns = { t = \"timestamp[ns]\", whole = \"float64\" }\n",
    );
    run();
    until_current(&bench);
    assert_eq!(query(&url, "SELECT sum(whole), pg_typeof(min(whole)) FROM types"), "3,double precision");
}
