//! Files that tasks leave beside their tables: listed, downloaded, reused, replayed and collected, in a lake; `service` has
//! the same of a service.

mod service;

use serde_json::{Value, json};

use crate::program::{Bench, guest, in_state, repository};

/// What `papers` leaves in `report.html` for a text.
fn report(text: &str) -> Vec<u8> {
    text.repeat(2).into_bytes()
}

/// Two members that leave files, each of its own text.
const PAPERS: &str = "[pipeline]\nname = \"papers\"\n[nodes.desk]\ntask = \"papers\"\n\
                      for_each = { text = [\"rates\", \"credit/fx\"] }\nparameters = { text = \"{{ text }}\" }\n";

fn papers() -> Bench {
    let bench = Bench::empty();
    bench.write("pipeline.toml", PAPERS);
    std::fs::create_dir(bench.path("components")).expect("create folder");
    std::fs::copy(guest("papers"), bench.path("components/papers.wasm")).expect("copy component");
    bench
}

/// Node, name and size of each.
fn rows(listed: &Value) -> Vec<(&str, &str, u64)> {
    fn row(it: &Value) -> Option<(&str, &str, u64)> {
        Some((it["node"].as_str()?, it["name"].as_str()?, it["bytes"].as_u64()?))
    }
    listed.as_array().expect("a list").iter().map(|it| row(it).expect("a file of a node")).collect()
}

/// Files below a folder, by their paths in it.
fn files(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(it) = folders.pop() {
        for entry in it.read_dir().into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it lies in there").display().to_string();
                found.push((name, std::fs::read(&path).expect("read file")));
            }
        }
    }
    found.sort();
    found
}

/// How many contents a lake, or a service, keeps.
fn kept(bench: &Bench, folder: &str) -> usize {
    files(&bench.path(folder)).len()
}

const REPORT: &str = "report.html";

#[test]
fn files_of_tasks_without_tables_are_listed_and_downloaded() {
    let bench = papers();
    let record = bench.run(&[]);
    assert_eq!(in_state(&record, "computed"), ["desk[text=rates]", "desk[text=credit/fx]"]);
    let listed = bench.json(&["runs", "artefacts"]);
    assert_eq!(
        rows(&listed),
        [
            ("desk[text=rates]", "empty.bin", 0),
            ("desk[text=rates]", REPORT, 10),
            ("desk[text=credit/fx]", "empty.bin", 0),
            ("desk[text=credit/fx]", REPORT, 18),
        ]
    );
    assert_eq!(listed[1]["media_type"], "text/html; charset=utf-8");
    let shown = bench.done(&["runs", "show"]).stdout;
    let digest = listed[1]["digest"].as_str().expect("a digest").get(..12).expect("64 digits");
    for text in ["artefact", "desk[text=rates]", REPORT, "text/html; charset=utf-8", digest] {
        assert!(shown.contains(text), "{text} is not in\n{shown}");
    }
    bench.done(&["runs", "artefacts", "last", "--to", "out"]);
    assert_eq!(
        files(&bench.path("out")),
        [
            ("desk[text=credit%2ffx]/empty.bin".to_owned(), Vec::new()),
            ("desk[text=credit%2ffx]/report.html".to_owned(), report("credit/fx")),
            ("desk[text=rates]/empty.bin".to_owned(), Vec::new()),
            ("desk[text=rates]/report.html".to_owned(), report("rates")),
        ]
    );
    assert_eq!(kept(&bench, "lake/artefacts"), 3, "one content is kept once");
}

#[test]
fn what_a_killed_run_left_half_written_is_gone_with_the_next() {
    let bench = papers();
    bench.run(&[]);
    bench.write("lake/artefacts/.unfinished/20260101T000000000-000000-0-1-7-7-0", "half");
    bench.run(&[]);
    assert_eq!(kept(&bench, "lake/artefacts"), 3);
}

#[test]
fn one_file_is_written_where_it_is_asked_for() {
    let bench = papers();
    bench.run(&[]);
    let of_rates = ["runs", "artefacts", "last", "--node", "desk[text=rates]", "--name", REPORT, "-o"];
    assert_eq!(bench.done(&[&of_rates[..], &["-"]].concat()).stdout.into_bytes(), report("rates"));
    bench.done(&[&of_rates[..], &["rates.html"]].concat());
    assert_eq!(bench.read("rates.html").into_bytes(), report("rates"));
    let refused = |name: &str, texts: &[&str]| {
        bench.refused(&["runs", "artefacts", "last", "-o", "x", "--name", name], texts);
    };
    refused(REPORT, &["error[several-artefacts]", "2 files", "to mend", "--node"]);
    refused("report.htm", &["error[unknown-artefact]", "to mend", "runs artefacts"]);
    assert!(!bench.path("x").exists());
    let gone = files(&bench.path("lake/artefacts")).into_iter().find(|(_, it)| *it == report("rates"));
    let path = bench.path("lake/artefacts").join(gone.expect("it is kept").0);
    std::fs::write(&path, "ratesrater").expect("change what is kept");
    bench.ends(&[&of_rates[..], &["x"]].concat(), 2, &["came with the digest"]);
    std::fs::remove_file(&path).expect("remove what is kept");
    bench.refused(&[&of_rates[..], &["x"]].concat(), &["error[artefact-gone]", REPORT, "to mend"]);
    assert!(!bench.path("x").exists(), "nothing is left half written");
}

#[test]
fn what_a_failed_attempt_left_is_shown_as_that() {
    let bench = papers();
    bench.edit("pipeline.toml", "text = \"{{ text }}\"", "text = \"{{ text }}\", fails = true");
    bench.fails(&["run", ".", "--keep-going"], &["no paper is left"]);
    let listed = bench.json(&["runs", "artefacts", "--node", "desk[text=rates]"]);
    assert_eq!(rows(&listed).iter().map(|it| it.1).collect::<Vec<_>>(), ["empty.bin", REPORT]);
    assert_eq!(listed[0]["failed_attempt"], 1);
    let shown = bench.done(&["runs", "show"]).stdout;
    assert!(shown.contains("desk[text=rates]#1 (failed)"), "{shown}");
    bench.done(&["runs", "artefacts", "--node", "desk[text=rates]", "--to", "out"]);
    assert_eq!(
        files(&bench.path("out"))[1],
        ("desk[text=rates]%231/report.html".to_owned(), report("rates"))
    );
}

#[test]
fn a_reused_node_lists_what_its_table_came_with() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    let first = bench.json(&["runs", "artefacts"]);
    assert_eq!(rows(&first).iter().map(|it| (it.0, it.1)).collect::<Vec<_>>(), [("stats", "replica.svg")]);
    let drawn = bench.done(&["runs", "artefacts", "-o", "-"]).stdout;
    assert!(drawn.starts_with("<svg ") && drawn.contains("replica: 1 became "), "{drawn}");
    let again = bench.run(&[]);
    assert_eq!(in_state(&again, "reused").len(), 7);
    assert_eq!(bench.json(&["runs", "artefacts"]), first);
    std::fs::remove_dir_all(bench.path("lake/artefacts")).expect("remove what is kept");
    let anew = bench.run(&[]);
    assert_eq!(in_state(&anew, "computed"), ["stats"], "a result whose files are gone is no result");
    assert_eq!(bench.json(&["runs", "artefacts"]), first);
    assert_eq!(bench.done(&["runs", "artefacts", "-o", "-"]).stdout, drawn);
}

fn replayed(bench: &Bench, code: i32) -> Value {
    let called = bench.call(&["replay", "last", "--json"]);
    assert_eq!(called.code, Some(code), "{}{}", called.stdout, called.stderr);
    serde_json::from_str(&called.stdout).expect("JSON on stdout")
}

#[test]
fn a_replay_compares_files_as_it_compares_tables() {
    let bench = papers();
    let run = bench.run(&[]);
    let verdicts = |replayed: &Value| -> Vec<String> {
        let all = replayed["artefacts"].as_array().expect("a list").iter();
        all.map(|it| it["verdict"].as_str().expect("a word").to_owned()).collect()
    };
    assert_eq!(verdicts(&replayed(&bench, 0)), ["equal"; 4]);
    let told = bench.done(&["replay", "last"]);
    assert!(told.stderr.contains("came out bit for bit, and 4 of 4 artefacts, in "), "{}", told.stderr);
    let path = format!("lake/runs/{}/run.json", run["run"].as_str().expect("an id"));
    let mut record: Value = serde_json::from_str(&bench.read(&path)).expect("JSON");
    let before = record.to_string();
    let digest = record["nodes"][0]["artefacts"][1]["digest"].take();
    record["nodes"][0]["artefacts"][1]["digest"] = json!("0".repeat(64));
    bench.write(&path, &record.to_string());
    assert_eq!(verdicts(&replayed(&bench, 1)), ["equal", "equal", "equal", "differs"]);
    bench.write(&path, &before);
    let digits = digest.as_str().expect("a digest");
    let kept = bench.path("lake/artefacts").join(digits.split_at(2).0).join(digits);
    std::fs::write(kept, "ratesrater").expect("change what is kept");
    assert_eq!(verdicts(&replayed(&bench, 1)), ["equal", "equal", "equal", "altered"]);
}

#[test]
fn files_go_with_the_last_run_that_names_them() {
    let bench = papers();
    let first = bench.run(&[]);
    bench.edit("pipeline.toml", "\"rates\"", "\"equity\"");
    bench.run(&[]);
    assert_eq!(kept(&bench, "lake/artefacts"), 4);
    let id = first["run"].as_str().expect("an id");
    let would = bench.json(&["clean", "--run", id]);
    assert_eq!(would["artefacts"].as_array().map(Vec::len), Some(1), "{would}");
    assert_eq!(kept(&bench, "lake/artefacts"), 4, "without `--yes` nothing goes");
    bench.done(&["clean", "--run", id, "--yes"]);
    bench.done(&["runs", "artefacts", "last", "--to", "out"]);
    assert_eq!(kept(&bench, "lake/artefacts"), 3);
    bench.done(&["clean", "--all-runs", "--yes"]);
    assert_eq!(kept(&bench, "lake/artefacts"), 0);
}

#[test]
fn files_stay_while_a_table_names_them() {
    let bench = Bench::example("etf-replicator");
    bench.run(&[]);
    bench.done(&["clean", "--all-runs", "--yes"]);
    assert_eq!(kept(&bench, "lake/artefacts"), 1);
    let again = bench.run(&[]);
    assert_eq!(in_state(&again, "reused").len(), 7);
    bench.done(&["clean", "--all-runs", "--all-tables", "--yes"]);
    assert_eq!(kept(&bench, "lake/artefacts"), 0);
}

#[test]
fn a_task_of_the_first_contract_is_inspected_and_runs_beside_newer_ones() {
    let bench = Bench::example("hello");
    std::fs::copy(guest("elder"), bench.path("components/elder.wasm")).expect("copy component");
    let more = "\n[nodes.copy]\ntask = \"elder\"\ninputs = { in = \"anomaly\" }\n";
    let text = bench.read("pipeline.toml") + more;
    bench.write("pipeline.toml", &text);
    assert_eq!(bench.json(&["inspect", "components/elder.wasm"])["contract"], "1.0.0");
    assert_eq!(bench.json(&["inspect", "components/anomaly.wasm"])["contract"], "1.1.0");
    let record = bench.run(&[]);
    assert_eq!(in_state(&record, "computed"), ["temperatures", "anomaly", "copy"]);
    let rows = |node: &str| bench.done(&["show", node, "--format", "csv"]).stdout;
    assert_eq!(rows("copy"), rows("anomaly"));
    assert!(repository().join("tests/guests/elder/wit/task.wit").is_file());
}
