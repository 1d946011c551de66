//! A task without tables that leaves two files: `report.html`, which holds its parameter `text` twice, piece by piece, and
//! `empty.bin`. Then it fails where its parameter `fails` says so.

wit_bindgen::generate!({ path: "../../../wit", world: "task" });

use exports::tidemill::task::handler::{Description, Error, Guest, Hints};
use tidemill::task::errors::Kind;
use tidemill::task::{artefacts, context};

struct Papers;

impl Guest for Papers {
    fn describe() -> Description {
        Description {
            name: "papers".into(),
            summary: "leaves two files and no table".into(),
            parameters: r#"{"type": "object", "properties": {
                "text": {"type": "string", "default": "a"}, "fails": {"type": "boolean", "default": false}
            }}"#
            .into(),
            inputs: vec![],
            outputs: vec![],
            hints: Hints { memory_bytes: Some(16 << 20) },
        }
    }

    fn run() -> Result<(), Error> {
        let parameters = context::parameters();
        let (_, rest) = parameters.split_once("\"text\":\"").unwrap_or_default();
        let (text, _) = rest.split_once('"').unwrap_or_default();
        let report = artefacts::create("report.html", "text/html; charset=utf-8")?;
        artefacts::create("empty.bin", "application/octet-stream")?;
        for _ in 0..2 {
            report.write(text.as_bytes())?;
        }
        if parameters.contains("\"fails\":true") {
            return Err(Error { kind: Kind::Permanent, message: "no paper is left".into() });
        }
        Ok(())
    }
}

export!(Papers);
