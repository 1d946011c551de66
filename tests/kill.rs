//! Interrupts and kills: what is committed stays whole, nothing else is there, and the next run goes on.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::limits::misbehaving;
use crate::program::{Bench, in_state};

/// Steps of a fixed pseudo-random sequence (splitmix64), so that a failure repeats.
pub(crate) fn random(seed: u64) -> u64 {
    let mut it = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

/// Starts the program and returns when it has printed so many lines, or has ended.
pub(crate) fn start_and_read(bench: &Bench, args: &[&str], lines: u64) -> Child {
    let mut child =
        bench.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("start tidemill");
    let mut reader = BufReader::new(child.stderr.take().expect("stderr is piped"));
    let mut line = String::new();
    for _ in 0..lines {
        line.clear();
        if reader.read_line(&mut line).expect("read stderr") == 0 {
            break;
        }
    }
    // Kept open: a closed pipe would end the program in another way than the one tested.
    child.stderr = Some(reader.into_inner());
    child
}

/// Busy waiting for a moment between events; the moment itself is what is random here, nothing waits for it.
fn spin(rounds: u64) {
    for round in 0..rounds {
        std::hint::black_box(round);
    }
}

#[test]
fn a_kill_at_any_moment_leaves_only_whole_tables() {
    use std::os::unix::process::ExitStatusExt as _;
    const KILLS: u64 = 25;
    let mut killed = 0;
    let whole = Bench::example("long-short");
    whole.run(&[]);
    let expected = rows_by_table(&whole);
    let bench = Bench::example("long-short");
    for seed in 0..KILLS {
        let mut child = start_and_read(&bench, &["run", ".", "--force", "--jobs", "2"], random(seed) % 8);
        spin(random(seed ^ 0xff) % 1_500_000);
        child.kill().expect("kill tidemill");
        let status = child.wait().expect("wait for tidemill");
        killed += u64::from(status.signal().is_some());
        if !bench.path("lake").is_dir() {
            continue;
        }
        for (table, rows) in rows_by_table(&bench) {
            assert_eq!(expected.get(&table), Some(&rows), "after kill {seed}, table {table}");
        }
    }
    assert!(killed > KILLS / 4, "only {killed} of {KILLS} kills met a process that was alive");
    let record = bench.run(&[]);
    assert_eq!(record["state"], "succeeded");
    assert_eq!(rows_by_table(&bench), expected);
    let strays: Vec<_> = bench.table_files().into_iter().filter(|it| !is_of_a_table(it)).collect();
    assert!(strays.is_empty(), "left over: {strays:?}");
}

/// A manifest, or a part.
fn is_of_a_table(path: &std::path::Path) -> bool {
    let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
    name == "manifest.json" || (name.starts_with("part-") && name.ends_with(".parquet"))
}

/// What each table holds, read in full: a digest of its rows as CSV.
fn rows_by_table(bench: &Bench) -> std::collections::BTreeMap<String, (usize, u64)> {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let tables = bench.json(&["tables"]);
    let mut found = std::collections::BTreeMap::new();
    for it in tables.as_array().expect("a list") {
        assert!(it["error"].is_null(), "every table is readable: {it}");
        let name = it["table"].as_str().expect("a name");
        let csv = bench.done(&["show", name, "--format", "csv"]).stdout;
        let mut hasher = DefaultHasher::new();
        csv.hash(&mut hasher);
        found.insert(name.to_owned(), (csv.lines().count(), hasher.finish()));
    }
    found
}

#[test]
fn an_interrupt_stops_attempts_promptly_and_a_second_run_goes_on() {
    let bench = Bench::empty();
    bench.write("pipeline.toml", &misbehaving("endless-loop", ""));
    // The line of node `good` tells that the endless loop has its core by now.
    let child = start_and_read(&bench, &["run", ".", "--jobs", "2"], 1);
    let began = std::time::Instant::now();
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("start kill").success());
    let output = child.wait_with_output().expect("wait for tidemill");
    assert!(began.elapsed().as_secs() < 20, "an endless loop is stopped");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("cancelled: 1 computed"), "{stderr}");
    bench.edit("pipeline.toml", "endless-loop", "talk");
    let called = bench.call(&["run", ".", "--json"]);
    let record: serde_json::Value = serde_json::from_str(&called.stdout).expect("JSON on stdout");
    assert_eq!(in_state(&record, "reused"), ["good"], "{}", called.stderr);
}

#[test]
fn a_second_writer_is_told_who_holds_the_lake() {
    let bench = Bench::empty();
    bench.write("pipeline.toml", &misbehaving("endless-loop", ""));
    let mut child = start_and_read(&bench, &["run", ".", "--jobs", "2"], 1);
    let pid = child.id().to_string();
    bench.refused(&["run", "."], &["error[lake-locked]", "lake", &pid, "to mend"]);
    assert!(bench.done(&["tables"]).stdout.contains("good"), "readers need no lock");
    child.kill().expect("kill tidemill");
    child.wait().expect("wait for tidemill");
    bench.edit("pipeline.toml", "endless-loop", "talk");
    bench.call(&["run", "."]);
    assert!(bench.done(&["logs"]).stdout.contains("bad"), "the lock dies with its holder");
}
