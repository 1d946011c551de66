//! Says that it has begun, and writes the Fibonacci number of its parameter `n`, computed the slow way.

wit_bindgen::generate!({ path: "../../../wit", world: "task" });

use exports::tidemill::task::handler::{Arity, Description, Error, Guest, Hints, InputPort, OutputPort};
use tidemill::task::arrow::{Array, Field, Node, Schema};
use tidemill::task::context;
use tidemill::task::data::{ColumnValue, create};

struct Fibonacci;

fn schema() -> Schema {
    let field = Field {
        name: "value".into(),
        format: "l".into(),
        nullable: false,
        metadata: vec![],
        children: 0,
        dictionary: false,
        flags: 0,
    };
    Schema { fields: vec![field], metadata: vec![] }
}

/// The number that a parameter has.
fn number(parameters: &str, name: &str) -> i64 {
    let after = parameters.split(&format!("\"{name}\":")).nth(1).unwrap_or_default();
    after.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

fn fibonacci(n: i64) -> i64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

impl Guest for Fibonacci {
    fn describe() -> Description {
        Description {
            name: "fibonacci".into(),
            summary: "writes one Fibonacci number".into(),
            parameters: r#"{"type": "object", "properties": {"n": {"type": "integer", "default": 10},
                "lines": {"type": "integer", "default": 0}}}"#
                .into(),
            inputs: vec![InputPort {
                name: "in".into(),
                summary: "any table; not read".into(),
                arity: Arity::Optional,
                columns: Schema { fields: vec![], metadata: vec![] },
            }],
            outputs: vec![OutputPort {
                name: "out".into(),
                summary: "one row".into(),
                columns: Some(schema()),
                time_index: None,
                identifiers: vec![],
            }],
            hints: Hints { memory_bytes: Some(16 << 20) },
        }
    }

    fn run() -> Result<(), Error> {
        context::log(context::Level::Info, "begun", &[]);
        let parameters = context::parameters();
        for line in 0..number(&parameters, "lines") {
            let message = format!("fit {line} of many: {:>150}", line * 7919 % 1_000_003);
            context::log(context::Level::Info, &message, &[]);
        }
        let value = fibonacci(number(&parameters, "n"));
        let node = Node { length: 1, null_count: 0, buffers: 2, children: 0, dictionary: false };
        let array = Array { nodes: vec![node], buffers: vec![vec![], value.to_le_bytes().to_vec()] };
        create("out", &schema())?.write(1, &[ColumnValue::Fresh(array)])
    }
}

export!(Fibonacci);
