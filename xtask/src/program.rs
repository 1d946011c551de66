//! Starts other programs, and says which command failed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// A program to start in the repository's root.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
}

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>, root: &Path) -> Self {
        let mut command = Command::new(name);
        command.current_dir(root).stdin(Stdio::null());
        // What `cargo run` told this program about itself is not meant for others.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        Self { command }
    }

    /// The cargo that started this program.
    pub(crate) fn cargo(root: &Path) -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), root)
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Lets the program read what is typed.
    pub(crate) fn with_stdin(mut self) -> Self {
        self.command.stdin(Stdio::inherit());
        self
    }

    /// Runs it to its end with this program's stdout and stderr.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        let shown = self.shown();
        let status = self.command.status().with_context(|| format!("start `{shown}`"))?;
        if !status.success() {
            bail!("`{shown}` failed ({status})");
        }
        Ok(())
    }

    /// Runs it to its end, or kills it after a time.
    pub(crate) fn run_within(mut self, limit: Duration) -> anyhow::Result<()> {
        let shown = self.shown();
        let mut child = self.command.spawn().with_context(|| format!("start `{shown}`"))?;
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = child.try_wait().with_context(|| format!("wait for `{shown}`"))? {
                if status.success() {
                    return Ok(());
                }
                bail!("`{shown}` failed ({status})");
            }
            if Instant::now() >= deadline {
                child.kill().with_context(|| format!("stop `{shown}`"))?;
                child.wait().with_context(|| format!("wait for `{shown}`"))?;
                bail!("`{shown}` was stopped after {} s", limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it prints to stdout; stderr stays this program's.
    pub(crate) fn read(mut self) -> anyhow::Result<String> {
        let shown = self.shown();
        self.command.stderr(Stdio::inherit());
        let output = self.command.output().with_context(|| format!("start `{shown}`"))?;
        if !output.status.success() {
            bail!("`{shown}` failed ({})", output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("read what `{shown}` printed"))
    }

    /// What it prints to stdout; nothing when it cannot be started or fails, whose words are dropped.
    pub(crate) fn ask(mut self) -> Option<String> {
        let output = self.command.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The command as one would type it.
    fn shown(&self) -> String {
        let program = Path::new(self.command.get_program());
        let is_cargo = program.file_name().is_some_and(|it| it == "cargo");
        let program = if is_cargo { "cargo".into() } else { program.to_string_lossy() };
        let words = std::iter::once(program).chain(self.command.get_args().map(OsStr::to_string_lossy));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Whether a program can be found by its name.
pub(crate) fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cargo_bin = cargo_home().map(|it| it.join("bin"));
    std::env::split_paths(&path).chain(cargo_bin).any(|it| it.join(name).is_file())
}

fn cargo_home() -> Option<std::path::PathBuf> {
    std::env::var_os("CARGO_HOME").map(Into::into).or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh", Path::new("/")).args(["-c", script])
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = shell("exit 3").run().expect_err("it fails").to_string();
        assert_eq!(error, "`sh -c exit 3` failed (exit status: 3)");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Program::new("no-such-program", Path::new("/")).run().expect_err("it cannot start");
        assert!(error.to_string().contains("start `no-such-program`"), "{error}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_stopped() {
        let error =
            shell("exec tail -f /dev/null").run_within(Duration::from_millis(60)).expect_err("stopped");
        assert!(error.to_string().contains("was stopped after 0 s"), "{error}");
    }

    #[test]
    fn an_answer_is_what_was_printed_and_a_failure_is_none() {
        assert_eq!(shell("echo yes").ask().as_deref(), Some("yes"));
        assert_eq!(shell("echo yes; exit 1").ask(), None);
    }
}
