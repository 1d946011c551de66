//! How errors reach the user: what, where, how to mend, on stderr; never twice.

use std::process::ExitCode;

use tidemill_plan::Problem;

/// Prints a line on stderr. Nobody may be listening, which is no reason to stop what is being done.
macro_rules! talk {
    ($($it:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stderr(), $($it)*));
    }};
}
pub(crate) use talk;

/// Several problems at once, as the planner finds them.
#[derive(Debug)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Prints the error; exit code 2: could not try. A reader that went away (`| head`) is no error.
pub(crate) fn exit(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let is_told = error.is::<Problem>() || error.is::<Problems>() || error.is::<crate::client::Refusal>();
    if is_told {
        talk!("{error}");
    } else {
        talk!("error: {error:#}");
    }
    ExitCode::from(2)
}

pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|it| {
        it.downcast_ref::<std::io::Error>().is_some_and(|it| it.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
