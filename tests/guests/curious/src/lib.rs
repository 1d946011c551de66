//! Asks for its parameters while it describes itself, which no task may.

wit_bindgen::generate!({ path: "../../../wit", world: "task" });

use exports::tidemill::task::handler::{Description, Error, Guest, Hints};
use tidemill::task::context;

struct Curious;

impl Guest for Curious {
    fn describe() -> Description {
        Description {
            name: "curious".into(),
            summary: String::new(),
            parameters: context::parameters(),
            inputs: vec![],
            outputs: vec![],
            hints: Hints { memory_bytes: None },
        }
    }

    fn run() -> Result<(), Error> {
        Ok(())
    }
}

export!(Curious);
