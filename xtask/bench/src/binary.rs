//! The built binary from outside: how long it takes, how much memory it needs, what it prints.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::row::Quantity;

/// Between two looks at a process's peak, which never falls.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A call of the binary that users get.
pub(crate) fn tidemill() -> anyhow::Result<Command> {
    let binary =
        std::env::var_os("TIDEMILL_BENCH_BINARY").context("start this through `cargo xtask bench`")?;
    Ok(Command::new(binary))
}

/// Where files of a measurement go: on a disk, where the temporary folder may be in memory. It must be removed only
/// after all measurements in it: ext4 is slow to make files for some seconds after many were removed.
pub(crate) fn scratch() -> anyhow::Result<TempDir> {
    Ok(tempfile::tempdir_in(beside_this_program())?)
}

/// The folder of cargo that this program stands in.
pub(crate) fn beside_this_program() -> PathBuf {
    let folder = std::env::current_exe().ok().and_then(|it| it.parent().map(Path::to_path_buf));
    folder.unwrap_or_else(std::env::temp_dir)
}

/// Runs to the end; gives what it printed to stdout.
pub(crate) fn ended(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// The most resident memory that the process had at a time.
pub(crate) fn peak_bytes(command: &mut Command) -> anyhow::Result<u64> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().with_context(|| format!("start {command:?}"))?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    let status = loop {
        if let Some(status) = child.try_wait().context("wait for a process")? {
            break status;
        }
        let text = std::fs::read_to_string(&status_file).unwrap_or_default();
        peak_kib = peak_kib.max(peak_kib_in(&text).unwrap_or(0));
        std::thread::sleep(LOOK_EVERY);
    };
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(peak_kib * 1024)
}

fn peak_kib_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

pub(crate) fn secs(it: Duration) -> Quantity {
    Quantity { value: it.as_secs_f64(), unit: "s" }
}

pub(crate) fn ms(it: Duration) -> Quantity {
    Quantity { value: it.as_secs_f64() * 1e3, unit: "ms" }
}

#[expect(clippy::cast_precision_loss, reason = "memory of a process is far below 2^53")]
pub(crate) fn megabytes(bytes: u64) -> Quantity {
    Quantity { value: bytes as f64 / 1e6, unit: "MB" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_line_of_its_name() {
        assert_eq!(peak_kib_in("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t  5120 kB\n"), Some(5120));
        assert_eq!(peak_kib_in("Name:\tx\n"), None);
    }

    #[test]
    fn a_process_that_fails_is_an_error() {
        assert!(ended(Command::new("sh").args(["-c", "exit 1"])).is_err());
        assert!(peak_bytes(Command::new("sh").args(["-c", "exit 1"])).is_err());
    }
}
