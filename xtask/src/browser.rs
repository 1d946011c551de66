//! The browser in which the tests open reports: Debian's `chromium`.

use std::path::Path;

use crate::apt;
use crate::program::is_installed;

const PACKAGE: &str = "chromium";

pub(crate) fn install(root: &Path) -> anyhow::Result<()> {
    if is_installed(PACKAGE) { Ok(()) } else { apt::install(root, "the tests of reports", &[PACKAGE]) }
}
