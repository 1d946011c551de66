//! Writes what it reads, as the parameter `how` tells: as new arrays; `borrowed`, passed through; `rest`, a first batch
//! of at most 3 rows and then all that is left at once.

wit_bindgen::generate!({ path: "../../../wit", world: "task" });

use exports::tidemill::task::handler::{Arity, Description, Error, Guest, Hints, InputPort, OutputPort};
use tidemill::task::arrow::Schema;
use tidemill::task::context;
use tidemill::task::data::{ColumnValue, ReadOptions, create, open};

struct Identity;

impl Guest for Identity {
    fn describe() -> Description {
        Description {
            name: "identity".into(),
            summary: "writes what it reads".into(),
            parameters: r#"{"type": "object", "properties": {"how": {"type": "string"}}}"#.into(),
            inputs: vec![InputPort {
                name: "in".into(),
                summary: "any table".into(),
                arity: Arity::One,
                columns: Schema { fields: vec![], metadata: vec![] },
            }],
            outputs: vec![OutputPort {
                name: "out".into(),
                summary: "the same".into(),
                columns: None,
                time_index: None,
                identifiers: vec![],
            }],
            hints: Hints { memory_bytes: None },
        }
    }

    fn run() -> Result<(), Error> {
        let borrowed = context::parameters().contains("borrowed");
        let rest = context::parameters().contains("rest");
        let batch_rows_max = rest.then_some(3);
        let options = ReadOptions { columns: None, start: None, end: None, batch_rows_max };
        let input = open("in", 0, &options)?;
        let schema = input.schema();
        let columns = top_level(&schema);
        let output = create("out", &schema)?;
        let mut batches = 0;
        while let Some(batch) = if rest && 0 < batches { input.rest()? } else { input.next()? } {
            batches += 1;
            let columns: Vec<_> = (0..columns).map(|it| batch.column(it)).collect();
            let values: Vec<_> = if borrowed {
                columns.iter().map(ColumnValue::Borrowed).collect()
            } else {
                columns.iter().map(|it| ColumnValue::Fresh(it.read())).collect()
            };
            output.write(batch.rows(), &values)?;
        }
        Ok(())
    }
}

/// How many of the flattened fields are columns.
fn top_level(schema: &Schema) -> u32 {
    let mut columns = 0;
    let mut at = 0;
    while at < schema.fields.len() {
        columns += 1;
        at = after(schema, at);
    }
    columns
}

fn after(schema: &Schema, at: usize) -> usize {
    let field = &schema.fields[at];
    (0..field.children + u32::from(field.dictionary)).fold(at + 1, |next, _| after(schema, next))
}

export!(Identity);
