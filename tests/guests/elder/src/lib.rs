//! Passes its input through, as a task that was built against the contract's first version: `wit/` here is a copy of that
//! one and never changes.

wit_bindgen::generate!({ path: "wit", world: "task" });

use exports::tidemill::task::handler::{Arity, Description, Error, Guest, Hints, InputPort, OutputPort};
use tidemill::task::arrow::Schema;
use tidemill::task::context;
use tidemill::task::data::{ColumnValue, ReadOptions, create, open};

struct Elder;

impl Guest for Elder {
    fn describe() -> Description {
        Description {
            name: "elder".into(),
            summary: "writes what it reads, by the first contract".into(),
            parameters: r#"{"type": "object"}"#.into(),
            inputs: vec![InputPort {
                name: "in".into(),
                summary: "a table of plain columns".into(),
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
        let options = ReadOptions { columns: None, start: None, end: None, batch_rows_max: None };
        let input = open("in", 0, &options)?;
        let schema = input.schema();
        let output = create("out", &schema)?;
        let mut rows = 0;
        while let Some(batch) = input.next()? {
            rows += batch.rows();
            let columns: Vec<_> = (0_u32..).zip(&schema.fields).map(|(it, _)| batch.column(it)).collect();
            let values: Vec<_> = columns.iter().map(ColumnValue::Borrowed).collect();
            output.write(batch.rows(), &values)?;
        }
        context::metric("rows", f64::from(rows));
        Ok(())
    }
}

export!(Elder);
