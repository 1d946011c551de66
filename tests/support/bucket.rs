//! A throw-away bucket: Moto, which answers as S3 does, from where `cargo xtask setup` installed it. Gone with the test.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Serves until its input ends, on one port; what it keeps outlives the times when nobody answers there.
const SERVER: &str = r#"
import json, logging, sys
logging.disable(logging.CRITICAL)
import boto3
from moto.server import ThreadedMotoServer
def start(port):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    return server
server = start(0)
port = server.get_host_and_port()[1]
client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                      aws_access_key_id="someone", aws_secret_access_key="secret")
client.create_bucket(Bucket="desk")
print(port, flush=True)
for line in sys.stdin:
    answer = "done"
    if line == "down\n":
        server.stop()
    elif line == "up\n":
        server = start(port)
    else:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="desk")
        answer = json.dumps([it["Key"] for page in pages for it in page.get("Contents", [])])
    print(answer, flush=True)
"#;

#[derive(Debug)]
pub(crate) struct Bucket {
    server: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Bucket {
    /// # Panics
    /// When Moto is not there: `cargo xtask setup` installs it.
    pub(crate) fn start() -> Self {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/moto/bin/python");
        assert!(python.exists(), "there is no `{}`: run `cargo xtask setup`", python.display());
        let mut command = Command::new(python);
        command.arg("-c").arg(SERVER).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().expect("start Python");
        let input = server.stdin.take().expect("it is piped");
        let mut output = BufReader::new(server.stdout.take().expect("it is piped")).lines();
        let port =
            output.next().expect("it starts").expect("text").parse().expect("the first line is a port");
        Self { server, input, output, port }
    }

    pub(crate) const URL: &str = "s3://desk/tables";

    /// `HOST:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What a program needs to find it.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.endpoint())),
            ("AWS_ACCESS_KEY_ID", "someone".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "tops3cret".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// The keys of everything in it.
    pub(crate) fn keys(&mut self) -> Vec<String> {
        serde_json::from_str(&self.ask("keys")).expect("a list of keys")
    }

    /// Answers nobody any more.
    pub(crate) fn down(&mut self) {
        self.ask("down");
    }

    pub(crate) fn up(&mut self) {
        self.ask("up");
    }

    fn ask(&mut self, what: &str) -> String {
        writeln!(self.input, "{what}").expect("it listens");
        self.output.next().expect("it answers").expect("text")
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}
