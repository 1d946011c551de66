//! A task without ports that does nothing: what is left is the cost of the sandbox.

wit_bindgen::generate!({ path: "../../../wit", world: "task" });

use exports::tidemill::task::handler::{Description, Error, Guest, Hints};

struct Empty;

impl Guest for Empty {
    fn describe() -> Description {
        Description {
            name: "empty".into(),
            summary: "does nothing".into(),
            parameters: r#"{"type": "object"}"#.into(),
            inputs: vec![],
            outputs: vec![],
            hints: Hints { memory_bytes: None },
        }
    }

    fn run() -> Result<(), Error> {
        Ok(())
    }
}

export!(Empty);
