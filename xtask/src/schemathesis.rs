//! Schemathesis, which asks a service whatever its OpenAPI allows, and more.

use std::path::Path;

use crate::python::Environment;

const VERSION: &str = "4.32.5";
/// In the repository; `tests/openapi.rs` looks for it there.
const FOLDER: &str = "target/schemathesis";

pub(crate) fn install(root: &Path) -> anyhow::Result<()> {
    Environment {
        name: &format!("Schemathesis {VERSION}"),
        reason: "the test of the REST interface",
        folder: FOLDER,
        packages: vec![format!("schemathesis=={VERSION}")],
    }
    .install(root)
}
