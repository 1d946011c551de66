//! Opens the lake that was named.

use std::path::Path;

use tidemill_lake::{Access, Lake};
use tidemill_plan::{Code, Problem};

use crate::args::LakeArg;

pub(crate) const IN_MEMORY: &str = ":memory:";

/// For reading: the folder must be there.
pub(crate) fn open_to_read(lake: &LakeArg) -> Result<Lake, Problem> {
    require(lake.dir())?;
    Lake::open(lake.dir(), Access::Read).map_err(|e| problem(&e))
}

/// For writing: takes the lake's lock; the folder is made where it is not there.
pub(crate) fn open_to_write(lake: &LakeArg, command: &str) -> Result<Lake, Problem> {
    if lake.dir() == Path::new(IN_MEMORY) {
        return Ok(Lake::in_memory());
    }
    Lake::open(lake.dir(), Access::Write { command: command.to_owned() }).map_err(|e| problem(&e))
}

pub(crate) fn require(dir: &Path) -> Result<(), Problem> {
    if dir.is_dir() {
        return Ok(());
    }
    Err(Problem::new(
        Code("lake-missing"),
        format!("there is no lake at `{}`", dir.display()),
        "name the lake's folder with `--lake`, or run a pipeline first",
    ))
}

pub(crate) fn problem(error: &tidemill_lake::LakeError) -> Problem {
    error.into()
}
