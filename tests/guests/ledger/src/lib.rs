//! Writes rows of one day, each with a name of its own: whether every one of them is there once is easy to tell.

wit_bindgen::generate!({ path: "../../../wit", world: "task" });

use exports::tidemill::task::handler::{Arity, Description, Error, Guest, Hints, InputPort, OutputPort};
use tidemill::task::arrow::{Array, Field, Node, Schema};
use tidemill::task::context;
use tidemill::task::data::{ColumnValue, create};

struct Ledger;

const ROWS: u32 = 5;

fn field(name: &str, format: &str) -> Field {
    Field {
        name: name.into(),
        format: format.into(),
        nullable: false,
        metadata: vec![],
        children: 0,
        dictionary: false,
        flags: 0,
    }
}

fn schema() -> Schema {
    let fields = vec![field("day", "tdD"), field("name", "u"), field("value", "l")];
    Schema { fields, metadata: vec![] }
}

fn column(buffers: Vec<Vec<u8>>) -> ColumnValue<'static> {
    let count = buffers.len() as u32;
    let node = Node { length: ROWS, null_count: 0, buffers: count, children: 0, dictionary: false };
    ColumnValue::Fresh(Array { nodes: vec![node], buffers })
}

/// The number that a parameter has.
fn number(parameters: &str, name: &str) -> i32 {
    let after = parameters.split(&format!("\"{name}\":")).nth(1).unwrap_or_default();
    after.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

impl Guest for Ledger {
    fn describe() -> Description {
        Description {
            name: "ledger".into(),
            summary: "writes rows of one day".into(),
            parameters: r#"{"type": "object", "properties": {
                "day": {"type": "integer", "minimum": 0}, "book": {"type": "integer", "minimum": 0}
            }, "required": ["day", "book"]}"#
                .into(),
            inputs: vec![InputPort {
                name: "in".into(),
                summary: "any table; not read".into(),
                arity: Arity::Optional,
                columns: Schema { fields: vec![], metadata: vec![] },
            }],
            outputs: vec![OutputPort {
                name: "out".into(),
                summary: "the rows".into(),
                columns: Some(schema()),
                time_index: Some("day".into()),
                identifiers: vec!["name".into()],
            }],
            hints: Hints { memory_bytes: Some(16 << 20) },
        }
    }

    fn run() -> Result<(), Error> {
        let parameters = context::parameters();
        let (day, book) = (number(&parameters, "day"), number(&parameters, "book"));
        let (mut days, mut names, mut ends, mut values) = (vec![], vec![], vec![], vec![]);
        ends.extend_from_slice(&0_i32.to_le_bytes());
        for row in 0..ROWS {
            days.extend_from_slice(&day.to_le_bytes());
            names.extend_from_slice(format!("{day:06}-{row}").as_bytes());
            ends.extend_from_slice(&(names.len() as i32).to_le_bytes());
            let value = i64::from(book) * 1_000_000 + i64::from(day) * 10 + i64::from(row);
            values.extend_from_slice(&value.to_le_bytes());
        }
        let columns =
            [column(vec![vec![], days]), column(vec![vec![], ends, names]), column(vec![vec![], values])];
        create("out", &schema())?.write(ROWS, &columns)
    }
}

export!(Ledger);
