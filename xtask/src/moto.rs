//! Moto, a server that answers as S3 does, for the tests of lakes in a bucket.

use std::path::Path;

use crate::python::Environment;

const VERSION: &str = "5.2.5";
/// In the repository; `tests/support/bucket.rs` looks for it there.
const FOLDER: &str = "target/moto";

pub(crate) fn install(root: &Path) -> anyhow::Result<()> {
    Environment {
        name: &format!("Moto {VERSION}"),
        reason: "the tests of lakes in a bucket",
        folder: FOLDER,
        packages: vec![
            format!("moto[s3]=={VERSION}"),
            // Of its server, which would bring much more.
            "flask==3.1.2".to_owned(),
            "flask-cors==6.0.1".to_owned(),
        ],
    }
    .install(root)
}
