//! Runs repeated from their records: bit for bit, or told where not, or refused.

use serde_json::{Value, json};

use super::{all_equal, change_component, digest, edit_record, fickle, id, list, named, replay, verdicts};
use crate::program::{Bench, Called, in_state, repository};

#[test]
fn every_example_comes_out_bit_for_bit_when_it_is_replayed() {
    let examples = repository().join("examples").read_dir().expect("read folder").flatten();
    let examples: Vec<_> = examples.filter(|it| it.path().join("pipeline.toml").is_file()).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let name = example.file_name().to_string_lossy().into_owned();
        let bench = Bench::example(&name);
        let record = bench.run(&[]);
        let replayed = replay(&bench, &["last"], 0);
        assert_eq!(replayed["equal"], true, "{name}: {replayed}");
        let written: usize = list(&record["nodes"]).iter().map(|it| list(&it["tables"]).len()).sum();
        assert_eq!(list(&replayed["tables"]).len(), written, "{name}");
        for it in list(&replayed["tables"]) {
            assert_eq!((&it["verdict"], &it["by"]), (&"equal".into(), &"content".into()), "{name}: {it}");
        }
        let told = bench.done(&["replay", "last"]).stderr;
        assert!(
            told.contains(&format!("equal: {written} of {written} tables of run {}", id(&record))),
            "{told}"
        );
        assert_eq!(list(&bench.json(&["runs"])).len(), 1, "a replay in memory leaves nothing");
    }
}

#[test]
fn a_replay_may_be_kept_in_another_lake() {
    let bench = Bench::example("etf-replicator");
    let record = bench.run(&["--set", "in_window=120"]);
    let replayed = replay(&bench, &["last", "--into", "other"], 0);
    assert!(all_equal(&replayed), "{replayed}");
    let there = bench.json(&["runs", "show", "--lake", "other"]);
    assert_eq!((&there["run"], &there["replay_of"]), (&replayed["replay"], &record["run"]));
    assert_eq!(there["parameters"], record["parameters"], "with where each came from");
    assert_eq!(in_state(&there, "reused"), Vec::<String>::new());
    let mut tables = [bench.json(&["tables"]), bench.json(&["tables", "--lake", "other"])];
    for it in tables.iter_mut().flat_map(|it| it.as_array_mut().expect("a list")) {
        for (key, _) in [("run", ()), ("written_at", ())] {
            it.as_object_mut().expect("an object").remove(key).expect("a table tells its run");
        }
    }
    assert_eq!(tables[0], tables[1]);
    assert!(all_equal(&replay(&bench, &["last", "--lake", "other"], 0)), "a replay can be replayed");
    for into in ["lake", "./other/../lake"] {
        bench.refused(&["replay", "last", "--into", into], &["error[replay-into-itself]", into, "to mend"]);
    }
}

#[test]
fn a_replay_does_not_depend_on_where_it_is_asked_for() {
    let bench = Bench::empty();
    let hello = Bench::example("hello");
    std::fs::create_dir(bench.path("work")).expect("create folder");
    std::fs::rename(hello.path(""), bench.path("work/hello")).expect("move the example");
    bench.done(&["run", "work/hello", "--lake", "lake"]);
    let from = |folder: &str, lake: &str| {
        let mut command = bench.command(&["replay", "last", "--lake", lake, "--json"]);
        let called = Called::new(&command.current_dir(bench.path(folder)).output().expect("start tidemill"));
        assert_eq!(called.code, Some(0), "{}{}", called.stdout, called.stderr);
        serde_json::from_str::<Value>(&called.stdout).expect("JSON on stdout")
    };
    assert!(all_equal(&from("work/hello/data", "../../../lake")), "from another folder");
    bench.edit("work/hello/pipeline.toml", "name = \"hello\"", "name = \"other\"");
    bench.edit("work/hello/pipeline.toml", "task = \"anomaly\"", "task = \"nothing\"");
    assert!(all_equal(&from(".", "lake")), "the record holds the pipeline as it was");
    std::fs::rename(bench.path("lake"), bench.path("work/moved")).expect("move the lake");
    assert!(all_equal(&from(".", "work/moved")), "the lake may move");
    std::fs::rename(bench.path("work/hello"), bench.path("work/bye")).expect("move the pipeline");
    let lake = ["--lake", "work/moved"];
    let refused = ["error[run-folder-gone]", "work/hello", "to mend", "--folder"];
    bench.refused(&[&["replay", "last"], &lake[..]].concat(), &refused);
    bench.refused(&[&["run", "--from", "last"], &lake[..]].concat(), &refused);
    let folder = ["--folder", "work/bye"];
    let replayed = replay(&bench, &[&["last"], &lake[..], &folder].concat(), 0);
    assert!(all_equal(&replayed), "{replayed}");
    let on = bench.json(&[&["run", "--from", "last"], &lake[..], &folder].concat());
    assert_eq!(in_state(&on, "reused"), ["temperatures", "anomaly"]);
}

#[test]
fn a_source_named_by_an_absolute_path_is_the_same_file_at_the_replay() {
    let bench = Bench::example("hello");
    let path = bench.path("data/temperatures.csv").display().to_string();
    bench.edit("pipeline.toml", "data/temperatures.csv", &path);
    let record = bench.run(&[]);
    let file = &named(&record["nodes"], "node", "temperatures")["files"][0];
    assert_eq!(file["path"], "data/temperatures.csv");
    assert!(all_equal(&replay(&bench, &["last"], 0)));
}

#[test]
fn a_replay_that_differs_shows_table_column_first_row_and_both_values() {
    let bench = fickle("");
    let record = bench.run(&[]);
    let rows = bench.done(&["show", "days", "--format", "json"]).stdout;
    let third: Value = serde_json::from_str(rows.lines().nth(2).expect("four rows")).expect("JSON");
    let before = format!("{:?}", third["value"].as_f64().expect("a number"));
    let replayed = replay(&bench, &["last", "--into", "other"], 1);
    assert_eq!((&replayed["equal"], &replayed["run"]), (&false.into(), &record["run"]));
    assert_eq!(replayed["state"], "succeeded");
    let rows = bench.done(&["show", "days", "--format", "json", "--lake", "other"]).stdout;
    let third: Value = serde_json::from_str(rows.lines().nth(2).expect("four rows")).expect("JSON");
    let after = format!("{:?}", third["value"].as_f64().expect("a number"));
    let days = named(&replayed["tables"], "node", "days");
    assert_eq!((&days["verdict"], &days["port"]), (&"differs".into(), &"out".into()));
    let first = json!({
        "column": "value", "row": {"before": 3, "after": 3, "index": "1970-01-03"}, "before": before, "after": after,
    });
    assert_eq!(days["difference"]["first"], first);
    let changed = list(&days["difference"]["columns_changed"]);
    assert_eq!(
        (changed.len(), &changed[0]["column"], &changed[0]["changed"]),
        (1, &"value".into(), &1.into())
    );
    let copy = named(&replayed["tables"], "node", "copy");
    assert_eq!(copy["verdict"], "differs", "what follows differs too");
    assert_eq!((&days["after_different"], &copy["after_different"]), (&json!([]), &json!(["days"])));
    let called = bench.call(&["replay", "last"]);
    assert_eq!(called.code, Some(1));
    assert!(called.stdout.contains("days.out: snapshot"), "{}", called.stdout);
    let line = format!("first: column `value`, row 3 (1970-01-03): `{before}` → `");
    assert!(called.stdout.contains(&line), "{}", called.stdout);
    assert!(called.stdout.contains("it read what differs already: days"), "{}", called.stdout);
    assert!(called.stderr.contains("different: 0 of 2 tables"), "{}", called.stderr);
}

/// The files of a table: its parts and its manifest.
fn files_of(bench: &Bench, lake: &str, table: &str) -> Vec<std::path::PathBuf> {
    let folders = bench.path(lake).join("open_open").read_dir().expect("read folder").flatten();
    let mut folders = folders.filter(|it| it.file_name().to_string_lossy().starts_with(table));
    let folder = folders.next().expect("the table has a folder").path();
    let mut files: Vec<_> = folder.read_dir().expect("read folder").flatten().map(|it| it.path()).collect();
    files.sort();
    files
}

#[test]
fn a_table_that_was_altered_in_the_lake_is_not_taken_for_the_runs() {
    let bench = Bench::example("hello");
    bench.run(&[]);
    // The part of a forger: another day's temperature, under the manifest that the run wrote.
    let forged = Bench::example("hello");
    forged.edit("data/temperatures.csv", "2024-03-04T00:00:00Z,5.5", "2024-03-04T00:00:00Z,8.5");
    forged.run(&[]);
    let [manifest, part] = &files_of(&bench, "lake", "temperatures_")[..] else { panic!("one part") };
    let forged_part = &files_of(&forged, "lake", "temperatures_")[1];
    std::fs::copy(forged_part, part).expect("copy file");
    let bytes = std::fs::metadata(part).expect("the part is there").len();
    let mut text: Value =
        serde_json::from_slice(&std::fs::read(manifest).expect("read manifest")).expect("a manifest is JSON");
    text["parts"][0]["bytes"] = bytes.into();
    std::fs::write(manifest, text.to_string()).expect("write manifest");
    let shown = bench.done(&["show", "temperatures", "--format", "csv"]).stdout;
    assert!(shown.contains("8.5"), "the lake shows what was forged: {shown}");
    let replayed = replay(&bench, &["last"], 1);
    let table = named(&replayed["tables"], "node", "temperatures");
    assert_eq!((&table["verdict"], &replayed["equal"]), (&"altered".into(), &false.into()));
    assert_eq!(table["before"], table["after"], "the run itself repeats");
    assert_ne!(table["stored"], table["before"]["snapshot"]);
    let first = json!({
        "column": "celsius", "row": {"before": 4, "after": 4, "index": "2024-03-04"}, "before": "8.5", "after": "5.5",
    });
    assert_eq!(table["difference"]["first"], first);
    assert_eq!(named(&replayed["tables"], "node", "anomaly")["verdict"], "equal");
    let called = bench.call(&["replay", "last"]);
    assert!(
        called.stdout.contains("column `celsius`, row 4 (2024-03-04): `8.5` → `5.5`"),
        "{}",
        called.stdout
    );
    assert!(called.stderr.contains("altered: 1 of 2 tables"), "{}", called.stderr);
    // And one that cannot even be read.
    std::fs::write(part, vec![0_u8; usize::try_from(bytes).expect("small")]).expect("write part");
    let replayed = replay(&bench, &["last"], 1);
    let table = named(&replayed["tables"], "node", "temperatures");
    assert_eq!((&table["verdict"], table["unreadable"].is_string()), (&"altered".into(), true), "{table}");
    std::fs::write(part, "short").expect("write part");
    let table = replay(&bench, &["last"], 1)["tables"][0].clone();
    assert!(table["unreadable"].as_str().is_some_and(|it| it.contains("5 bytes")), "{table}");
}

#[test]
fn of_a_table_that_a_later_run_replaced_the_digest_is_compared() {
    let bench = Bench::example("hello");
    let data = bench.read("data/temperatures.csv");
    let first = bench.run(&[]);
    bench.edit("data/temperatures.csv", "5.5", "6.5");
    bench.run(&[]);
    bench.write("data/temperatures.csv", &data);
    let replayed = replay(&bench, &[id(&first)], 0);
    for it in list(&replayed["tables"]) {
        assert_eq!((&it["verdict"], &it["by"]), (&"equal".into(), &"digest".into()), "{it}");
    }
    let told = bench.done(&["replay", id(&first)]).stderr;
    assert!(told.contains("(2 by digest alone: the lake holds another table in that place)"), "{told}");
    let fickle = fickle("");
    let first = fickle.run(&[]);
    fickle.run(&["--force"]);
    let replayed = replay(&fickle, &[id(&first)], 1);
    let days = named(&replayed["tables"], "node", "days");
    assert_eq!(days["verdict"], "gone", "that it differs is known, and where no longer");
    assert_eq!(
        (&days["gone"][0]["recorded"], &days["gone"][0]["run"]),
        (&days["before"]["snapshot"], &first["run"])
    );
}

#[test]
fn a_changed_or_missing_file_is_told_with_both_digests() {
    let bench = Bench::example("hello");
    bench.edit("pipeline.toml", "data/temperatures.csv", "data/*.csv");
    let record = bench.run(&[]);
    let then = named(&record["nodes"], "node", "temperatures")["files"][0]["digest"].clone();
    let then = then.as_str().expect("a digest");
    let data = bench.read("data/temperatures.csv");
    bench.edit("data/temperatures.csv", "5.5", "6.5");
    let now = Bench::example("hello");
    now.write("data/temperatures.csv", &bench.read("data/temperatures.csv"));
    let now = named(&now.run(&[])["nodes"], "node", "temperatures")["files"][0]["digest"].clone();
    let now = now.as_str().expect("a digest");
    let named = ["error[source-changed]", "`data/temperatures.csv`", "`temperatures`", then, now, "to mend"];
    bench.refused(&["replay", "last"], &named);
    bench
        .write("data/temperatures.csv", &data)
        .write("data/more.csv", "time_index,celsius\n2024-03-13T00:00:00Z,1.0\n");
    bench.refused(&["replay", "last"], &["error[source-changed]", "`data/more.csv`", "is new", "to mend"]);
    std::fs::remove_file(bench.path("data/more.csv")).expect("remove file");
    std::fs::remove_file(bench.path("data/temperatures.csv")).expect("remove file");
    bench.refused(
        &["replay", "last"],
        &["error[source-gone]", "`data/temperatures.csv`", then, "now there is none"],
    );
    assert_eq!(list(&bench.json(&["runs"])).len(), 1, "nothing ran");
    bench.write("data/temperatures.csv", &data);
    assert!(all_equal(&replay(&bench, &["last"], 0)), "as it was");
}

#[test]
fn a_changed_or_missing_component_is_told_with_both_digests() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    let then = digest(&bench, "components/lasso.wasm");
    let bytes = std::fs::read(bench.path("components/lasso.wasm")).expect("read component");
    change_component(&bench, "components/lasso.wasm");
    let now = digest(&bench, "components/lasso.wasm");
    bench.refused(
        &["replay", "last"],
        &["error[component-changed]", "`lasso`", &then, &now, "to mend", "lasso.wasm"],
    );
    bench.refused(&["replay", "last", "--node", "stats"], &["error[component-changed]", "`lasso`"]);
    let before_it = replay(&bench, &["last", "--node", "index_returns"], 0);
    assert_eq!(verdicts(&before_it).len(), 2, "what does not run it is replayed: {before_it}");
    std::fs::remove_file(bench.path("components/lasso.wasm")).expect("remove file");
    bench.refused(
        &["replay", "last"],
        &["error[component-gone]", "`lasso`", &then, "now there is none", "to mend"],
    );
    std::fs::write(bench.path("components/lasso.wasm"), bytes).expect("write component");
    assert!(all_equal(&replay(&bench, &["last"], 0)), "as it was");
}

#[test]
fn one_node_is_replayed_with_what_it_needs() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    let replayed = replay(&bench, &["last", "--node", "returns"], 0);
    let equal = |node: &str| (node.to_owned(), "equal".to_owned());
    assert_eq!(verdicts(&replayed), [equal("prices"), equal("returns")]);
    bench.refused(
        &["replay", "last", "--node", "retuns"],
        &["error[unknown-node]", "`retuns`", "did you mean"],
    );
    bench.run(&["--only", "stats"]);
    let replayed = replay(&bench, &["last"], 0);
    assert_eq!(
        verdicts(&replayed),
        [equal("lasso"), equal("replica"), equal("stats")],
        "what it read, and what it wrote"
    );
}

#[test]
fn what_a_run_added_to_cannot_be_put_back() {
    let bench = fickle("write_mode = \"upsert\"");
    bench.run(&["--deps-only", "copy"]);
    let replayed = replay(&bench, &["last", "--into", "other"], 1);
    assert_eq!(
        verdicts(&replayed),
        [("days".to_owned(), "differs".to_owned())],
        "the first run begins a table"
    );
    bench.refused(
        &["replay", "last", "--into", "other"],
        &["error[replay-table-there]", "`days`", "to mend", "--into"],
    );
    let before = bench.json(&["tables"])[0]["snapshot"].clone();
    bench.run(&["--deps-only", "copy", "--force"]);
    let before = before.as_str().expect("a snapshot");
    bench.refused(&["replay", "last"], &["error[replay-continued]", "`days`", before, "to mend", "--node"]);
    let writer = bench.json(&["runs", "show"]);
    bench.run(&["--deps-only", "copy"]);
    bench.refused(&["replay", "last"], &["error[replay-continued]", before]);
    bench.done(&["clean", "--run", id(&writer), "--yes"]);
    let gone = format!("run `{}`, which wrote it, is gone", id(&writer));
    bench.refused(&["replay", "last"], &["error[replay-continued]", &gone, "to mend"]);
}

#[test]
fn a_node_that_fails_when_it_is_replayed_is_no_equal_one() {
    let bench = Bench::example("hello");
    let record = bench.run(&[]);
    // A limit is no part of what a node is: the plan stays the same.
    edit_record(&bench, id(&record), |it| {
        let text = it["pipeline_text"].as_str().expect("a text");
        it["pipeline_text"] = format!("{text}limits = {{ fuel = 1 }}\n").into();
    });
    let replayed = replay(&bench, &["last"], 1);
    assert_eq!((&replayed["state"], &replayed["equal"]), (&"failed".into(), &false.into()));
    assert_eq!(
        (&replayed["errors"][0]["node"], &replayed["errors"][0]["error"]["code"]),
        (&"anomaly".into(), &"fuel-limit".into())
    );
    let verdict = |node: &str, it: &str| (node.to_owned(), it.to_owned());
    assert_eq!(verdicts(&replayed), [verdict("temperatures", "equal"), verdict("anomaly", "only-before")]);
    bench.fails(
        &["replay", "last"],
        &["error[fuel-limit]", "in: node `anomaly`, attempt 1", "to mend", "different: 1 of 2 tables"],
    );
}

#[test]
fn a_record_that_does_not_give_its_run_is_not_replayed() {
    let bench = Bench::example("etf-replicator");
    let record = bench.run(&[]);
    edit_record(&bench, id(&record), |it| it["parameters"]["in_window"]["value"] = 239.into());
    bench.refused(&["replay", "last"], &["error[replay-other-plan]", id(&record), "to mend"]);
    edit_record(&bench, id(&record), |it| {
        it["parameters"]["in_window"]["value"] = 240.into();
        it["nodes"].as_array_mut().expect("nodes").pop();
    });
    bench.refused(&["replay", "last"], &["error[replay-other-plan]", "to mend"]);
    edit_record(&bench, id(&record), |it| it["pipeline_text"] = "[pipeline".into());
    bench.refused(&["replay", "last"], &["error[malformed-file]", id(&record)]);
    edit_record(&bench, id(&record), |it| {
        it["format"] = 1.into();
        it.as_object_mut().expect("an object").remove("pipeline_text");
    });
    bench.refused(&["replay", "last"], &["error[run-not-repeatable]", id(&record), "to mend"]);
    bench.refused(&["run", "--from", "last"], &["error[run-not-repeatable]", "to mend"]);
    bench.run(&[]);
    let told = bench.done(&["diff", id(&record), "last"]).stdout;
    assert!(told.contains("not compared, an older version did not record them"), "{told}");
}

#[test]
fn a_sweep_is_marked_and_no_run_goes_on_from_it() {
    let bench = Bench::example("etf-replicator");
    let sweep = ["sweep", ".", "--grid", "in_window=60,120", "--measure", "te=stats.tracking_error"];
    bench.done(&sweep);
    let runs = bench.json(&["runs"]);
    assert_eq!(runs[0]["is_sweep"], true);
    assert!(bench.done(&["runs"]).stdout.contains("sweep"));
    bench.refused(
        &["run", "--from", "last"],
        &["error[run-is-sweep]", id(&runs[0]), "to mend", "tidemill replay", "--params"],
    );
}
