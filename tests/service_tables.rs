//! Tables of a service as its users read them: what local mode prints is what a service prints.

use crate::duckdb;
use crate::program::Bench;
use crate::service::{Service, assert_quiet};

/// The example `hello`, run on a service and in a lake beside it.
fn both() -> (Bench, Service) {
    let bench = Bench::example("hello");
    bench.done(&["run", "."]);
    let service = Service::with_login(&bench);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    (bench, service)
}

#[test]
fn a_table_of_a_service_prints_as_one_of_a_lake() {
    let (bench, _service) = both();
    for more in [
        &[][..],
        &["--rows", "3"],
        &["--rows", "3", "--tail"],
        &["--columns", "celsius,time_index", "--start", "2024-03-05", "--end", "2024-03-08"],
        &["--format", "csv"],
        &["--format", "json", "--tail", "--rows", "5"],
    ] {
        let local = bench.done(&[&["show", "anomaly", "--lake", "lake"], more].concat());
        let remote = bench.done(&[&["show", "anomaly"], more].concat());
        assert_eq!(local.stdout, remote.stdout, "{more:?}");
        let said =
            |it: &str| it.lines().filter(|it| !it.starts_with("on http")).collect::<Vec<_>>().join("\n");
        assert_eq!(said(&local.stderr), said(&remote.stderr), "{more:?}");
    }
    for ending in ["parquet", "arrow", "csv", "jsonl"] {
        let (local, remote) = (format!("local.{ending}"), format!("remote.{ending}"));
        bench.done(&["show", "anomaly", "--lake", "lake", "-o", &local]);
        bench.done(&["show", "anomaly", "-o", &remote]);
        let bytes = |name: &str| std::fs::read(bench.path(name)).expect("a file");
        assert!(bytes(&local) == bytes(&remote), "{ending}");
    }
    bench.refused(&["show", "anomly"], &["error[unknown-table]", "did you mean `anomaly`?"]);
    bench.refused(&["show", "anomaly", "--columns", "celcius"], &["error[column-unknown]", "celsius"]);
    bench.refused(&["show", "anomaly", "--start", "soon"], &["error[bad-time]", "`--start`"]);
    let at_a_lake = ["show", "anomaly", "--lake", "lake", "--at", "1"];
    bench.refused(&at_a_lake, &["error[service-only-flag]", "`--at`", "to mend"]);
    assert_quiet(&bench);
}

#[test]
fn tables_of_a_service_are_listed_with_their_history_and_lineage() {
    let (bench, _service) = both();
    let listed = bench.json(&["tables"]);
    let nodes: Vec<&str> =
        listed.as_array().expect("a list").iter().filter_map(|it| it["node"].as_str()).collect();
    assert_eq!(nodes, ["anomaly", "temperatures"]);
    let table = listed[0]["name"].as_str().expect("a name");
    let local = bench.json(&["tables", "--lake", "lake"]);
    assert_eq!(local[0]["table"], table, "a table has one name wherever it is");
    assert_eq!(local[0]["snapshot"], listed[0]["digest"]);
    for (more, count) in [
        (["--containing", "ANOM"], 1),
        (["--node", "temperatures"], 1),
        (["--pipeline", "hello"], 2),
        (["--pipeline", "other"], 0),
    ] {
        let found = bench.json(&[&["tables"][..], &more].concat());
        assert_eq!(found.as_array().map(Vec::len), Some(count), "{more:?}");
    }
    let local = bench.json(&["tables", "--lake", "lake", "--node", "temperatures"]);
    assert_eq!(local.as_array().map(Vec::len), Some(1));
    bench.refused(&["tables", "--lake", "lake", "--pipeline", "x"], &["error[service-only-flag]"]);

    let history = bench.json(&["tables", "history", "anomaly"]);
    assert_eq!((&history[0]["name"], &history[0]["reads"][0]["table"]), (&table.into(), &listed[1]["name"]));
    assert!(bench.done(&["tables", "history", "anomaly"]).stdout.contains("replace"));
    let up = bench.json(&["tables", "lineage", "anomaly"]);
    let down = bench.json(&["tables", "lineage", "temperatures", "--down"]);
    assert_eq!(up["steps"], down["steps"]);
    assert_eq!((&up["steps"][0]["table"], &up["steps"][0]["distance"]), (&table.into(), &1.into()));
    assert!(bench.done(&["tables", "lineage", "anomaly", "--up"]).stdout.contains(&format!("{table}@")));
    let nothing = bench.done(&["tables", "lineage", "anomaly", "--down"]);
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("nothing was made of"));
}

#[test]
fn an_older_version_is_shown_and_the_lake_is_kept_small() {
    let (bench, _service) = both();
    let version = || bench.json(&["tables", "--node", "anomaly"])[0]["version"].to_string();
    let first = version();
    let before = bench.done(&["show", "anomaly", "--rows", "1000"]).stdout;
    // Other data, the same table.
    let data = bench.read("data/temperatures.csv");
    let (shorter, _) = data.trim_end().rsplit_once('\n').expect("several lines");
    bench.write("data/temperatures.csv", shorter);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    assert_ne!(version(), first);
    let after = bench.done(&["show", "anomaly", "--rows", "1000"]).stdout;
    assert_ne!(after, before);
    assert_eq!(bench.done(&["show", "anomaly", "--rows", "1000", "--at", &first]).stdout, before);
    bench.refused(&["show", "anomaly", "--at", "9999"], &["error[unknown-snapshot]", "the newest is"]);
    assert_eq!(bench.json(&["tables", "history", "anomaly"]).as_array().map(Vec::len), Some(2));

    let looked = bench.done(&["lake", "expire", "--older-than", "0s"]);
    assert!(looked.stderr.contains("would forget") && looked.stderr.contains("--yes"), "{}", looked.stderr);
    bench.done(&["show", "anomaly", "--at", &first]);
    assert_eq!(bench.json(&["lake", "expire", "--older-than", "0s", "--keep", "2", "--yes"])["files"], 0);
    let done = bench.json(&["lake", "expire", "--older-than", "0s", "--yes"]);
    assert_eq!(done["files"], 2, "{done}");
    bench.refused(&["show", "anomaly", "--at", &first], &["error[snapshot-expired]", "to mend"]);
    assert_eq!(bench.done(&["show", "anomaly", "--rows", "1000"]).stdout, after);

    let table = bench.json(&["tables"])[0]["name"].as_str().expect("a name").to_owned();
    let orphan = format!("tidemill-data/lake/main/{table}/part-lost-00000.parquet");
    bench.write(&orphan, "torn");
    let looked = bench.done(&["lake", "gc", "--grace", "0s"]);
    assert!(looked.stdout.contains("part-lost") && looked.stderr.contains("would remove 1 files"));
    assert!(bench.path(&orphan).exists());
    assert!(bench.done(&["lake", "gc", "--yes"]).stderr.contains("removed 0 files"), "it is young");
    bench.done(&["lake", "gc", "--yes", "--grace", "0s"]);
    assert!(!bench.path(&orphan).exists());
    assert_eq!(bench.json(&["lake", "compact"])["tables"], 2);
    assert_eq!(bench.json(&["lake", "compact", "anomaly"])["tables"], 1);
    bench.refused(&["lake", "compact", "nope"], &["error[unknown-table]"]);
    bench.refused(&["lake", "gc", "--grace", "soon"], &["error[bad-age]"]);
    assert_eq!(bench.done(&["show", "anomaly", "--rows", "1000"]).stdout, after);
    assert_quiet(&bench);
}

/// A pipeline with one node, whose source reads a table of the service.
fn reads(name: &str, table: &str) -> String {
    format!(
        "[pipeline]\nname = \"{name}\"\n\n[sources.measured]\ntable = \"{table}\"\n\n[nodes.{name}]\n\
         task = \"anomaly\"\ninputs = {{ temperatures = \"measured\" }}\n"
    )
}

fn duckdb(bench: &Bench, sql: &[&str]) -> String {
    let address = duckdb::address(&format!("sqlite:{}", bench.path("tidemill-data/tidemill.db").display()));
    let lines = sql.iter().map(|it| format!("connection.execute({it:?})"));
    let lines: Vec<String> = lines.collect();
    duckdb::python(&format!("attach({address:?})\n{}", lines.join("\n")))
}

#[test]
fn a_pipeline_reads_a_table_that_duckdb_wrote() {
    let (bench, _service) = both();
    let csv = bench.path("data/temperatures.csv").display().to_string();
    // Another program keeps no order.
    let create = format!(
        "CREATE TABLE lake.measured AS SELECT CAST(time_index AS TIMESTAMPTZ) AS time_index, \
         CAST(celsius AS DOUBLE) AS celsius FROM read_csv('{csv}') ORDER BY random()"
    );
    duckdb(&bench, &[&create]);
    bench.write("of-table.toml", &reads("warmth", "measured"));
    bench.done(&["deploy", "of-table.toml"]);
    bench.done(&["run", "warmth", "--wait"]);
    let rows = |node: &str| bench.done(&["show", node, "--format", "csv"]).stdout;
    assert_eq!(rows("warmth"), rows("anomaly"), "the same rows give the same result");

    let up = bench.json(&["tables", "lineage", "warmth"]);
    let read: Vec<&str> = up["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["read"]["table"].as_str())
        .collect();
    assert!(read[0].starts_with("measured_") && read[1] == "measured", "{read:?}");
    let again = bench.json(&["run", "warmth", "--wait"]);
    let state = |run: &serde_json::Value, node: usize| run["record"]["nodes"][node]["state"].clone();
    assert_eq!((state(&again, 0), state(&again, 1)), ("reused".into(), "reused".into()));
    duckdb(&bench, &["INSERT INTO lake.measured VALUES ('2030-01-01 00:00:00+00', 99.5)"]);
    let after = bench.json(&["run", "warmth", "--wait"]);
    assert_eq!((state(&after, 0), state(&after, 1)), ("computed".into(), "computed".into()));
    assert_eq!(after["record"]["nodes"][0]["stored"][0]["table"], "measured");
    assert_ne!(after["record"]["nodes"][0]["stored"], again["record"]["nodes"][0]["stored"]);
    assert!(bench.done(&["show", "warmth", "--rows", "1", "--tail"]).stdout.contains("2030-01-01"));

    bench.fails(&["run", "of-table.toml", "--lake", "other"], &["error[source-of-service]", "--from-store"]);
    bench.write("wrong.toml", &reads("wrong", "mesured"));
    bench.done(&["deploy", "wrong.toml"]);
    bench.refused(&["run", "wrong"], &["error[source-table-missing]", "`mesured`", "to mend"]);
    assert_quiet(&bench);
}

#[test]
fn a_pipeline_reads_a_table_of_another_without_copying_it() {
    let (bench, _service) = both();
    let table = bench.json(&["tables", "--node", "anomaly"])[0]["name"].as_str().expect("a name").to_owned();
    bench.write("second.toml", &reads("second", &table));
    bench.done(&["deploy", "second.toml"]);
    let run = bench.json(&["run", "second", "--wait"]);
    let source = &run["record"]["nodes"][0];
    assert_eq!((&source["state"], &source["tables"][0]["table"]), (&"reused".into(), &table.clone().into()));
    assert_eq!(source["stored"][0]["table"], table);
    let names = bench.json(&["tables", "--containing", "measured"]);
    assert_eq!(names, serde_json::json!([]), "nothing was copied");
    let up = bench.json(&["tables", "lineage", "second"]);
    assert_eq!(up["steps"][0]["read"]["table"], table);
    assert_eq!(up["steps"].as_array().map(Vec::len), Some(2), "and what that was made of: {up}");
    // A run of the node alone reads the table as it is now.
    let only = bench.json(&["run", "second", "--only", "second", "--force", "--wait"]);
    assert_eq!(only["record"]["nodes"][1]["state"], "computed");
    // Within a window that begins later, rows before it are not read.
    bench.done(&["run", "second", "--start", "2024-03-05", "--wait"]);
    let rows = bench.done(&["show", "second", "--rows", "1", "--columns", "time_index"]).stdout;
    assert!(rows.contains("2024-03-05"), "{rows}");
    // What DuckDB has changed in it is copied.
    duckdb(&bench, &[&format!("DELETE FROM lake.\"{table}\" WHERE time_index < '2024-03-03'")]);
    let changed = bench.json(&["run", "second", "--wait"]);
    assert_eq!(changed["record"]["nodes"][0]["state"], "computed");
    let rows = bench.done(&["show", "second", "--rows", "1", "--columns", "time_index"]).stdout;
    assert!(rows.contains("2024-03-03"), "{rows}");
}

#[test]
fn tables_of_a_service_are_copied_once_instead_of_being_computed() {
    let (bench, _service) = both();
    // Without its file a source cannot be read; and what only it is needed for is not tried.
    std::fs::remove_file(bench.path("data/temperatures.csv")).expect("remove a file");
    let first = bench.json(&["run", ".", "--lake", "copies", "--from-store", "temperatures"]);
    let node = |run: &serde_json::Value, position: usize| run["nodes"][position].clone();
    assert_eq!((&node(&first, 0)["state"], &node(&first, 1)["state"]), (&"left".into(), &"computed".into()));
    let stored = node(&first, 0)["stored"][0].clone();
    let live = bench.json(&["tables", "--node", "temperatures"])[0].clone();
    assert_eq!(
        (&stored["table"], &stored["version"], &stored["snapshot"]),
        (&live["name"], &live["version"], &live["digest"])
    );
    let anomaly = bench.json(&["tables", "--node", "anomaly"])[0]["digest"].clone();
    assert_eq!(node(&first, 1)["tables"][0]["snapshot"], anomaly, "the service computed the same");

    let again = bench.done(&["run", ".", "--lake", "copies", "--from-store", "temperatures"]);
    assert!(!again.stderr.contains("copied"), "what is there is not copied again: {}", again.stderr);
    let both = bench.done(&["run", ".", "--lake", "other", "--from-store", "anomaly"]);
    assert!(both.stderr.contains("copied `anomaly`"), "{}", both.stderr);
    let shown = |lake: &str| bench.done(&["show", "anomaly", "--lake", lake, "--format", "csv"]).stdout;
    assert_eq!((shown("copies"), shown("other")), (shown("lake"), shown("lake")));

    bench.refused(
        &["run", ".", "--lake", "x", "--from-store", "anomly"],
        &["error[unknown-node]", "`anomaly`"],
    );
    bench
        .refused(&["run", "hello", "--from-store", "anomaly"], &["error[local-only-flag]", "`--from-store`"]);
    bench.edit("pipeline.toml", "time_index = \"time_index\"", "time_index = \"time_index\"\nsort = true");
    let unknown = ["run", ".", "--lake", "x", "--from-store", "temperatures"];
    bench.refused(&unknown, &["error[not-in-store]", "node `temperatures`", "to mend"]);
    bench.done(&["logout"]);
    bench.refused(&unknown, &["error[no-host]"]);
}

#[test]
fn a_source_that_reads_a_table_is_copied_for_local_mode() {
    let (bench, _service) = both();
    let table = bench.json(&["tables", "--node", "anomaly"])[0]["name"].as_str().expect("a name").to_owned();
    bench.write("second.toml", &reads("second", &table));
    let run = bench.json(&["run", "second.toml", "--lake", "x", "--from-store", "measured"]);
    assert_eq!(run["nodes"][0]["stored"][0]["table"], table);
    bench.done(&["deploy", "second.toml"]);
    bench.done(&["run", "second", "--wait"]);
    let live = bench.json(&["tables", "--node", "second"])[0]["digest"].clone();
    assert_eq!(run["nodes"][1]["tables"][0]["snapshot"], live);
    let part = ["run", "second.toml", "--lake", "x", "--from-store", "measured", "--start", "2024-03-10"];
    let part = bench.json(&part);
    assert!(part["nodes"][1]["tables"][0]["rows"].as_u64() < run["nodes"][1]["tables"][0]["rows"].as_u64());
}
