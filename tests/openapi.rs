//! The REST interface does what its OpenAPI says, whatever it is asked: Schemathesis makes up the requests.

use std::process::Command;

use crate::program::{Bench, repository};
use crate::service::Service;

/// Made up for each operation, besides those at the edges of what its schema allows.
const EXAMPLES: &str = "20";

#[test]
fn whatever_it_is_asked_the_service_answers_as_its_openapi_says() {
    let program = repository().join("target/schemathesis/bin/schemathesis");
    assert!(program.exists(), "there is no `{}`: run `cargo xtask setup`", program.display());
    let bench = Bench::example("hello");
    let service = Service::with_login(&bench);
    bench.done(&["push", "components/anomaly.wasm"]);
    bench.done(&["deploy", "."]);
    bench.done(&["run", "hello", "--wait"]);
    let folder = repository().join("tests/openapi");
    let mut asks = Command::new(program);
    // In the bench's folder, where it may leave what it likes.
    asks.current_dir(bench.path("")).env("PYTHONPATH", &folder).env("PYTHONDONTWRITEBYTECODE", "1");
    asks.arg("--config-file").arg(folder.join("schemathesis.toml"));
    asks.args(["run", &format!("{}/api/v1/openapi.json", service.url)]);
    let token = service.token.as_deref().expect("an empty store gives a first token");
    asks.args(["--header", &format!("Authorization: Bearer {token}")]);
    // One worker: several trip over a fault of CPython 3.11, whose parser is not safe from threads.
    asks.args(["--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "1", "--workers", "1"]);
    asks.args(["--generation-database", "none", "--no-color"]);
    let output = asks.output().expect("start Schemathesis");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for line in bench.read("serve.log").lines() {
        assert!(!line.contains("\"ERROR\""), "{line}");
    }
}
