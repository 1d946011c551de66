//! One task, one way to misbehave for each value of its parameter `do`.

wit_bindgen::generate!({ path: "../../../wit", world: "task" });

mod arrays;
mod artefacts;
mod limits;
mod probes;

use exports::tidemill::task::handler::{Arity, Description, Error, Guest, Hints, InputPort, OutputPort};
use tidemill::task::arrow::{Field, Schema};
use tidemill::task::context;
use tidemill::task::errors::Kind;

struct Misbehave;

impl Guest for Misbehave {
    fn describe() -> Description {
        Description {
            name: "misbehave".into(),
            summary: "misbehaves as told".into(),
            parameters: r#"{"type": "object", "properties": {"do": {"type": "string"}}}"#.into(),
            inputs: vec![InputPort {
                name: "in".into(),
                summary: "any table".into(),
                arity: Arity::Optional,
                columns: Schema { fields: vec![], metadata: vec![] },
            }],
            outputs: vec![OutputPort {
                name: "out".into(),
                summary: "numbers and words".into(),
                columns: Some(out_schema()),
                time_index: None,
                identifiers: vec![],
            }],
            hints: Hints { memory_bytes: Some(64 << 20) },
        }
    }

    fn run() -> Result<(), Error> {
        let parameters = context::parameters();
        let what = parameters.split('"').nth(3).unwrap_or_default();
        match what {
            "endless-loop" => limits::endless_loop(),
            "memory-bomb" => limits::memory_bomb(),
            "deep-recursion" => limits::deep_recursion(),
            "log-flood" => limits::log_flood(),
            "stdout-flood" => limits::stdout_flood(),
            "endless-line" => limits::endless_line(),
            "metric-flood" => limits::metric_flood(),
            "output-flood" => limits::output_flood(),
            "large-checkpoint" => limits::large_checkpoint(),
            "checkpoint-once" => probes::checkpoint_once(),
            "panic" => limits::panics(),
            "trap" => limits::traps(),
            "read-beyond" => limits::reads_beyond(),
            "exit" => std::process::exit(7),
            "abort" => std::process::abort(),
            "retryable" => Err(Error { kind: Kind::Retryable, message: "the feed is not there yet".into() }),
            "permanent" => Err(Error { kind: Kind::Permanent, message: "the model does not fit".into() }),
            "clock" => probes::clock(),
            "sleep" => probes::sleep(),
            "random" => probes::random(),
            "environment" => probes::environment(),
            "files" => probes::files(),
            "context" => probes::context(),
            "talk" => probes::talk(),
            "nan" => probes::nan(),
            "artefacts" => artefacts::good(),
            "artefact-escape" => artefacts::escaping(),
            "artefact-long-name" => artefacts::unnameable(),
            "artefact-media-type" => artefacts::no_media_type(),
            "artefact-twice" => artefacts::twice(),
            "artefact-count" => artefacts::too_many(),
            "artefact-flood" => artefacts::flood(),
            other => arrays::misbehave(other),
        }
    }
}

fn field(name: &str, format: &str, nullable: bool) -> Field {
    Field {
        name: name.into(),
        format: format.into(),
        nullable,
        metadata: vec![],
        children: 0,
        dictionary: false,
        flags: 0,
    }
}

fn out_schema() -> Schema {
    Schema { fields: vec![field("value", "g", false), field("word", "u", true)], metadata: vec![] }
}

export!(Misbehave);
