//! `tidemill build`: compiles task crates to components.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::{Value, json};
use tidemill_plan::{Code, Problem};
use tidemill_sandbox::Sandbox;

use crate::args::BuildArgs;
use crate::toolchain::{TARGET, Toolchain};
use crate::{Ending, quantity, table_view};

/// One crate that compiles to a component.
#[derive(Debug)]
struct TaskCrate {
    package: String,
    manifest: PathBuf,
    /// Where its component goes.
    output: PathBuf,
}

pub(crate) fn build(args: &BuildArgs) -> anyhow::Result<Ending> {
    let mut crates = Vec::new();
    for path in &args.paths {
        crates.extend(find_crates(path, args.output.as_deref())?);
    }
    let toolchain = Toolchain::find()?;
    let sandbox = crate::run::sandbox(1)?;
    let mut by_workspace: BTreeMap<PathBuf, Vec<TaskCrate>> = BTreeMap::new();
    for it in crates {
        by_workspace.entry(workspace_of(toolchain, &it.manifest)?).or_default().push(it);
    }
    let mut built = Vec::new();
    for (workspace, crates) in &by_workspace {
        let files = compile(toolchain, workspace, crates)?;
        for (it, file) in crates.iter().zip(files) {
            let made = install(&sandbox, it, &file)?;
            if let Some(other) = built.iter().find(|it: &&Built| it.path == made.path) {
                return Err(Problem::new(
                    Code("duplicate-task"),
                    format!(
                        "two crates make a task `{}`: both would be `{}`",
                        made.task,
                        other.path.display()
                    ),
                    "rename one of the tasks, or build them into different folders with `-o`",
                )
                .into());
            }
            built.push(made);
        }
    }
    print(args, &built)?;
    Ok(Ending::Done)
}

/// A component in its place.
struct Built {
    task: String,
    digest: tidemill_plan::Digest,
    bytes: u64,
    path: PathBuf,
}

fn print(args: &BuildArgs, built: &[Built]) -> anyhow::Result<()> {
    if args.json {
        let rows: Vec<Value> = built
            .iter()
            .map(|it| {
                json!({"task": it.task, "digest": it.digest.to_string(), "bytes": it.bytes, "path": it.path.to_string_lossy()})
            })
            .collect();
        return table_view::print_json(&Value::Array(rows));
    }
    let rows = built
        .iter()
        .map(|it| {
            vec![it.task.clone(), it.digest.short(), quantity::bytes(it.bytes), it.path.display().to_string()]
        })
        .collect();
    table_view::print(&["task", "digest", "size", "component"], rows)
}

/// The task crates at or below a path, in order of their folders.
fn find_crates(path: &Path, output: Option<&Path>) -> anyhow::Result<Vec<TaskCrate>> {
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = if path.ends_with("Cargo.toml") { parent } else { path };
    if !folder.is_dir() {
        return Err(Problem::new(
            Code("no-task-crate"),
            format!("`{}` is no folder", path.display()),
            "name a folder that holds a task crate; `tidemill new task NAME` makes one",
        )
        .into());
    }
    let mut found = Vec::new();
    walk(folder, folder, output, &mut found)?;
    if found.is_empty() {
        return Err(Problem::new(
            Code("no-task-crate"),
            format!("there is no task crate at or below `{}`", path.display()),
            "a task crate has `crate-type = [\"cdylib\"]` and depends on `tidemill-task`; `tidemill new task NAME` makes one",
        )
        .into());
    }
    Ok(found)
}

/// Deep enough for any sensible project; a bound against loops of links.
const DEPTH_MAX: usize = 8;

fn walk(root: &Path, folder: &Path, output: Option<&Path>, found: &mut Vec<TaskCrate>) -> anyhow::Result<()> {
    let manifest = folder.join("Cargo.toml");
    if let Some(package) = task_package(&manifest)? {
        let output = output.map_or_else(|| components_folder(root, folder), Path::to_path_buf);
        found.push(TaskCrate { package, manifest, output });
        return Ok(());
    }
    let depth = folder.components().count().saturating_sub(root.components().count());
    if depth >= DEPTH_MAX {
        return Ok(());
    }
    let mut folders: Vec<PathBuf> = folder
        .read_dir()
        .with_context(|| format!("read folder {}", folder.display()))?
        .flatten()
        .filter(|it| it.file_type().is_ok_and(|it| it.is_dir()))
        .filter(|it| !it.file_name().to_string_lossy().starts_with('.') && it.file_name() != "target")
        .map(|it| it.path())
        .collect();
    folders.sort();
    for it in folders {
        walk(root, &it, output, found)?;
    }
    Ok(())
}

/// The package's name, if the manifest is that of a task crate.
fn task_package(manifest: &Path) -> anyhow::Result<Option<String>> {
    let Ok(text) = std::fs::read_to_string(manifest) else { return Ok(None) };
    let parsed: toml::Table =
        toml::from_str(&text).with_context(|| format!("read manifest {}", manifest.display()))?;
    let is_library = parsed
        .get("lib")
        .and_then(|it| it.get("crate-type"))
        .and_then(toml::Value::as_array)
        .is_some_and(|it| it.iter().any(|it| it.as_str() == Some("cdylib")));
    let uses_sdk = parsed.get("dependencies").is_some_and(|it| it.get("tidemill-task").is_some());
    let name = parsed.get("package").and_then(|it| it.get("name")).and_then(toml::Value::as_str);
    Ok(name.filter(|_| is_library && uses_sdk).map(str::to_owned))
}

/// `components` beside the nearest pipeline.toml from the crate upwards, else in the folder that was named.
fn components_folder(root: &Path, crate_folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(crate_folder).unwrap_or_else(|_| crate_folder.to_path_buf());
    let mut at = Some(absolute.as_path());
    while let Some(folder) = at {
        if folder.join("pipeline.toml").is_file() {
            return folder.join("components");
        }
        if folder.join(".git").exists() {
            break;
        }
        at = folder.parent();
    }
    root.join("components")
}

fn workspace_of(toolchain: Toolchain, manifest: &Path) -> anyhow::Result<PathBuf> {
    let output = toolchain
        .cargo()
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    anyhow::ensure!(output.status.success(), "cargo could not read {}", manifest.display());
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let root = metadata["workspace_root"].as_str().context("cargo metadata names no workspace root")?;
    Ok(PathBuf::from(root))
}

/// Compiles the crates of one workspace in one call; the component file of each, in their order.
fn compile(toolchain: Toolchain, workspace: &Path, crates: &[TaskCrate]) -> anyhow::Result<Vec<PathBuf>> {
    let mut command = toolchain.cargo();
    command.args(["build", "--release", "--lib", "--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics", "--manifest-path"]);
    command.arg(workspace.join("Cargo.toml"));
    for it in crates {
        command.args(["--package", &it.package]);
    }
    // Vector instructions are part of every engine that the host uses; config files may say the same again.
    command.env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", "-C target-feature=+simd128");
    let mut child = command.current_dir(workspace).stdout(Stdio::piped()).spawn().context("start cargo")?;
    let stdout = child.stdout.take().context("read cargo's messages")?;
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for line in std::io::BufReader::new(stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line.context("read cargo's messages")?) else {
            continue;
        };
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let file = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let (Some(file), Some(manifest)) =
            (file.into_iter().find(|it| it.ends_with(".wasm")), message["manifest_path"].as_str())
        {
            files.insert(manifest.to_owned(), PathBuf::from(file));
        }
    }
    let status = child.wait().context("wait for cargo")?;
    if !status.success() {
        let names: Vec<&str> = crates.iter().map(|it| it.package.as_str()).collect();
        return Err(Problem::new(
            Code("build-failed"),
            format!("cargo could not compile {}", names.join(", ")),
            "mend what the compiler says above",
        )
        .into());
    }
    crates
        .iter()
        .map(|it| {
            let manifest = it.manifest.canonicalize().context("resolve manifest")?;
            files
                .get(&*manifest.to_string_lossy())
                .cloned()
                .with_context(|| format!("cargo built no component for {}", it.package))
        })
        .collect()
}

/// Checks the component, then puts it in its place under the task's name, whole or not at all.
fn install(sandbox: &Sandbox, it: &TaskCrate, file: &Path) -> anyhow::Result<Built> {
    let component = sandbox.load(file).map_err(|e| Problem::from(&e))?;
    let task = component.description().name.clone();
    std::fs::create_dir_all(&it.output).with_context(|| format!("create folder {}", it.output.display()))?;
    let path = it.output.join(format!("{task}.wasm"));
    let partial = it.output.join(format!(".{task}.wasm.{}", std::process::id()));
    std::fs::copy(file, &partial).with_context(|| format!("write {}", partial.display()))?;
    std::fs::rename(&partial, &path).with_context(|| format!("write {}", path.display()))?;
    let bytes = path.metadata().with_context(|| format!("read {}", path.display()))?.len();
    Ok(Built { task, digest: component.digest(), bytes, path: shorten(&path) })
}

/// Relative to the current folder where that is shorter to read.
fn shorten(path: &Path) -> PathBuf {
    let current = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&current).map_or_else(|_| path.to_path_buf(), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_crate_is_a_cdylib_that_uses_the_sdk() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(folder.path().join(name)).expect("create folder");
            std::fs::write(folder.path().join(name).join("Cargo.toml"), text).expect("write manifest");
        };
        write(
            "b/task",
            "[package]\nname='b'\n[lib]\ncrate-type=['cdylib']\n[dependencies]\ntidemill-task='1'",
        );
        write(
            "a",
            "[package]\nname='a'\n[lib]\ncrate-type=['cdylib', 'rlib']\n[dependencies.tidemill-task]\npath='x'",
        );
        write("plain", "[package]\nname='plain'\n[dependencies]\ntidemill-task='1'");
        write(
            "target/deep",
            "[package]\nname='no'\n[lib]\ncrate-type=['cdylib']\n[dependencies]\ntidemill-task='1'",
        );
        std::fs::write(folder.path().join("b/pipeline.toml"), "").expect("write pipeline");
        let found = find_crates(folder.path(), None).expect("two crates");
        let names: Vec<_> = found.iter().map(|it| it.package.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found[0].output, folder.path().join("components"));
        assert!(found[1].output.ends_with("b/components"), "{:?}", found[1].output);
    }

    #[test]
    fn a_folder_without_a_task_crate_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = find_crates(folder.path(), None).expect_err("nothing to build").to_string();
        assert!(error.contains("error[no-task-crate]: there is no task crate at or below"), "{error}");
    }
}
