//! `tidemill new task`: a task crate from the template of the guest SDK.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tidemill_plan::{Code, Problem};

use crate::Ending;
use crate::args::{NewArgs, NewWhat};

/// The files of the template, and where each goes.
const TEMPLATE: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../../../guest-sdk/rust/template/Cargo.toml.template")),
    ("src/lib.rs", include_str!("../../../guest-sdk/rust/template/src/lib.rs.template")),
    ("README.md", include_str!("../../../guest-sdk/rust/template/README.md.template")),
    (".gitignore", include_str!("../../../guest-sdk/rust/template/gitignore.template")),
];

pub(crate) fn new(args: &NewArgs) -> anyhow::Result<Ending> {
    let NewWhat::Task { name, sdk } = &args.what;
    let folder = PathBuf::from(name);
    let task = folder.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    check_name(&task)?;
    if folder.exists() {
        return Err(Problem::new(
            Code("folder-exists"),
            format!("`{}` is already there", folder.display()),
            "choose another name, or move what is there away",
        )
        .into());
    }
    let sdk = find_sdk(sdk.as_deref())?;
    for (file, template) in TEMPLATE {
        let path = folder.join(file);
        let parent = path.parent().expect("every file of the template is in the folder");
        std::fs::create_dir_all(parent).with_context(|| format!("create folder {}", parent.display()))?;
        std::fs::write(&path, render(template, &task, &sdk))
            .with_context(|| format!("write {}", path.display()))?;
    }
    say(&folder);
    Ok(Ending::Done)
}

fn say(folder: &Path) {
    let folder = folder.display();
    crate::complain::talk!("made the task crate {folder}; next:");
    crate::complain::talk!("  cargo test --manifest-path {folder}/Cargo.toml    # runs it natively");
    crate::complain::talk!(
        "  tidemill build {folder}                           # compiles it to a component"
    );
}

fn render(template: &str, task: &str, sdk: &Path) -> String {
    // A path in a TOML string: backslashes and quotes are escaped.
    let sdk = sdk.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    let function = task.replace('-', "_");
    template.replace("{{name}}", task).replace("{{function}}", &function).replace("{{sdk}}", &sdk)
}

/// A name that is a crate's, a function's and a file's at once.
fn check_name(task: &str) -> Result<(), Problem> {
    let plain =
        task.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_' || it == '-');
    let starts = task.starts_with(|it: char| it.is_ascii_lowercase());
    // What Rust keeps for itself, and crates that every task needs.
    let reserved = syn_keyword(task) || ["test", "core", "std", "alloc", "run", "describe"].contains(&task);
    if plain && starts && !reserved && task.len() <= 64 {
        return Ok(());
    }
    let what = if reserved { "which Rust keeps for itself" } else { "which is no task name" };
    Err(Problem::new(
        Code("bad-task-name"),
        format!("the task would be called `{task}`, {what}"),
        "use lower-case letters, digits, `_` and `-`, starting with a letter, for example `moving_average`",
    ))
}

fn syn_keyword(word: &str) -> bool {
    const KEYWORDS: &str = "as async await box break const continue crate do dyn else enum extern false final fn for gen \
        if impl in let loop macro match mod move mut pub ref return self static struct super trait true try type unsafe \
        use virtual where while yield abstract become override priv typeof unsized";
    KEYWORDS.split_whitespace().any(|it| it == word)
}

/// The SDK that was named, else the one of the repository that this binary was built from.
fn find_sdk(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk/rust");
    let sdk = named.unwrap_or(&built_from);
    if !sdk.join("Cargo.toml").is_file() {
        return Err(Problem::new(
            Code("no-sdk"),
            format!("the guest SDK is not at `{}`", sdk.display()),
            "clone Tidemill's repository and name its `guest-sdk/rust` with `--sdk` or TIDEMILL_SDK",
        )
        .into());
    }
    sdk.canonicalize().context("resolve the SDK's folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_name_must_serve_as_crate_function_and_file() {
        for good in ["returns", "moving_average", "a-b2"] {
            check_name(good).expect(good);
        }
        for bad in ["", "2x", "Upper", "a b", "fn", "../x", "é"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
