//! Tables of a service as its users read them: what local mode prints is what a service prints.

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
        &["--columns", "celsius,time_index", "--start", "2024-01-05", "--end", "2024-01-08"],
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
