//! What the built binary costs from outside: how soon it answers, how soon a small run ends, how much memory it takes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::measure::{Repeats, Times, measure};
use crate::row::{Quantity, Row, Target};

const HELLO: &str = "examples/hello/pipeline.toml";
const REPLICATOR: &str = "examples/etf-replicator/pipeline.toml";
const REPEATS: Repeats = Repeats { warm_up: 2, counted: 21 };
/// Between two looks at a process's peak, which never falls.
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let binary: PathBuf =
        std::env::var_os("TIDEMILL_BENCH_BINARY").context("start this through `cargo xtask bench`")?.into();
    let version = measure(REPEATS, || ended(Command::new(&binary).arg("--version")))?;
    let lake = std::env::temp_dir().join(format!("tidemill-bench-{}", std::process::id()));
    let measured = in_lake(&binary, &lake);
    if lake.exists() {
        std::fs::remove_dir_all(&lake).with_context(|| format!("remove {}", lake.display()))?;
    }
    let (hello, peak_bytes) = measured?;
    Ok(vec![
        Row {
            name: "start: run examples/hello".to_owned(),
            measured: ms(hello.median()),
            best: ms(hello.min()),
            reference: Some(ms(version.median())),
            target: Target::AtMost(60.0),
            spread: hello.spread(),
        },
        Row::once("peak memory: etf-replicator", megabytes(peak_bytes), Target::AtMost(300.0)),
    ])
}

fn in_lake(binary: &Path, lake: &Path) -> anyhow::Result<(Times, u64)> {
    let run = |pipeline: &str| {
        let mut command = Command::new(binary);
        command.args(["run", pipeline, "--force", "--lake"]).arg(lake);
        command
    };
    let hello = measure(REPEATS, || ended(&mut run(HELLO)))?;
    Ok((hello, peak_bytes(&mut run(REPLICATOR))?))
}

fn ended(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The most resident memory that the process had at a time.
fn peak_bytes(command: &mut Command) -> anyhow::Result<u64> {
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

fn ms(it: Duration) -> Quantity {
    Quantity { value: it.as_secs_f64() * 1e3, unit: "ms" }
}

#[expect(clippy::cast_precision_loss, reason = "memory of a process is far below 2^53")]
fn megabytes(bytes: u64) -> Quantity {
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
