//! The binary under test, and a folder of its own for each test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder with a pipeline, where `tidemill` is called.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// What a call printed, and how it ended.
pub(crate) struct Called {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A copy of an example with its components.
    pub(crate) fn example(name: &str) -> Self {
        let bench = Self::empty();
        let from = repository().join("examples").join(name);
        assert!(
            from.join("components").is_dir(),
            "the components of example `{name}` are not built: run `cargo xtask test`, or `tidemill build examples/{name}`"
        );
        for part in ["components", "data"] {
            if from.join(part).is_dir() {
                copy_folder(&from.join(part), &bench.path(part));
            }
        }
        std::fs::copy(from.join("pipeline.toml"), bench.path("pipeline.toml")).expect("copy pipeline");
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("create folder");
        std::fs::write(path, text).expect("write file");
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("read file")
    }

    /// Replaces text that must be there.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) -> &Self {
        let text = self.read(name);
        assert!(text.contains(from), "`{name}` does not contain `{from}`:\n{text}");
        self.write(name, &text.replace(from, to))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_tidemill"), args)
    }

    fn program(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.folder.path());
        for name in ["TIDEMILL_LAKE", "TIDEMILL_HOST", "TIDEMILL_TOKEN"] {
            command.env_remove(name);
        }
        command.env("XDG_CACHE_HOME", cache()).env("XDG_CONFIG_HOME", self.path("config"));
        command.env("TIDEMILL_COMPILE_CACHE_DIR", cache().join("service"));
        command
    }

    pub(crate) fn call(&self, args: &[&str]) -> Called {
        Called::new(&self.command(args).output().expect("start tidemill"))
    }

    /// Calls another program in this folder.
    pub(crate) fn call_program(&self, program: &str, args: &[&str]) -> Called {
        Called::new(&self.program(program, args).output().expect("start a program"))
    }

    /// Calls and expects exit code 0.
    #[track_caller]
    pub(crate) fn done(&self, args: &[&str]) -> Called {
        let called = self.call(args);
        assert_eq!(called.code, Some(0), "tidemill {args:?}\n{}{}", called.stdout, called.stderr);
        called
    }

    /// Calls with `--json` and reads what is printed.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let called = self.done(&[args, &["--json"]].concat());
        serde_json::from_str(&called.stdout).expect("JSON on stdout")
    }

    /// Runs the pipeline in this folder, expecting it to succeed; the run's record.
    #[track_caller]
    pub(crate) fn run(&self, more: &[&str]) -> Value {
        self.json(&[&["run", "."], more].concat())
    }

    /// Calls and expects exit code 2 (could not try) with all of these texts on stderr, in this order.
    #[track_caller]
    pub(crate) fn refused(&self, args: &[&str], texts: &[&str]) {
        self.ends(args, 2, texts);
    }

    /// Calls and expects exit code 1 (the run failed) with all of these texts on stderr, in this order.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str], texts: &[&str]) {
        self.ends(args, 1, texts);
    }

    /// Calls and expects this exit code with all of these texts on stderr, in this order.
    #[track_caller]
    pub(crate) fn ends(&self, args: &[&str], code: i32, texts: &[&str]) {
        let called = self.call(args);
        assert_eq!(called.code, Some(code), "tidemill {args:?}\n{}{}", called.stdout, called.stderr);
        let mut rest = called.stderr.as_str();
        for text in texts {
            let Some((_, after)) = rest.split_once(text) else {
                panic!("`{text}` is not on stderr (in this order):\n{}", called.stderr);
            };
            rest = after;
        }
    }

    /// The files of the lake's tables, manifests included.
    pub(crate) fn table_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.path("lake")];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() && path.file_name().is_some_and(|it| it != "runs" && it != "artefacts") {
                    folders.push(path);
                } else if path.is_file() && path.parent() != Some(&self.path("lake")) {
                    files.push(path);
                }
            }
        }
        files.sort();
        files
    }
}

impl Called {
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The state of each node of a run's record.
pub(crate) fn states(record: &Value) -> Vec<(String, String)> {
    let nodes = record["nodes"].as_array().expect("a record has nodes");
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    nodes.iter().map(|it| (text(&it["node"]), text(&it["state"]))).collect()
}

/// The nodes of a run's record that are in a state.
pub(crate) fn in_state(record: &Value, state: &str) -> Vec<String> {
    states(record).into_iter().filter(|(_, it)| it == state).map(|(node, _)| node).collect()
}

pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A misbehaving guest, built by `cargo xtask test`.
pub(crate) fn guest(name: &str) -> String {
    let path = repository().join("tests/guests/components").join(format!("{name}.wasm"));
    let path =
        path.canonicalize().unwrap_or_else(|_| panic!("guest `{name}` is not built: run `cargo xtask test`"));
    path.to_string_lossy().into_owned()
}

/// Compiled components are shared by all tests, so that each is compiled once.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("create folder");
    for entry in from.read_dir().expect("read folder") {
        let path = entry.expect("read folder").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copy file");
        }
    }
}
