//! Tries to see the future. As `do` tells: `future` writes rows before, at and after as-of; `peek` reads its input in
//! every way that there is and reports, for each way, how many rows it saw and the last time among them; `run` writes
//! a number made of the name of its run, which no task may.

wit_bindgen::generate!({ path: "../../../wit", world: "task" });

use exports::tidemill::task::handler::{Arity, Description, Error, Guest, Hints, InputPort, OutputPort};
use tidemill::task::arrow::{Array, Field, Node, Schema};
use tidemill::task::context;
use tidemill::task::data::{Batch, ColumnValue, ReadOptions, create, open};

const DAY_NS: i64 = 86_400_000_000_000;

struct Peek;

impl Guest for Peek {
    fn describe() -> Description {
        Description {
            name: "peek".into(),
            summary: "tries to see the future".into(),
            parameters: r#"{"type": "object", "properties": {"do": {"type": "string"}}}"#.into(),
            inputs: vec![InputPort {
                name: "in".into(),
                summary: "a table whose first column is a timestamp[us] or timestamp[ns]".into(),
                arity: Arity::Optional,
                columns: Schema { fields: vec![], metadata: vec![] },
            }],
            outputs: vec![OutputPort {
                name: "out".into(),
                summary: "times and numbers".into(),
                columns: Some(schema()),
                time_index: Some("time".into()),
                identifiers: vec![],
            }],
            hints: Hints { memory_bytes: None },
        }
    }

    fn run() -> Result<(), Error> {
        let parameters = context::parameters();
        let as_of = context::window().as_of.unwrap_or(0);
        if parameters.contains("future") {
            return write(&[as_of - DAY_NS, as_of, as_of + DAY_NS, as_of + 2 * DAY_NS], 1.0);
        }
        if parameters.contains("run") {
            // FNV-1a: names that differ in a digit give other numbers.
            let hash = context::identity()
                .run
                .bytes()
                .fold(0x811c_9dc5_u32, |it, byte| (it ^ u32::from(byte)).wrapping_mul(0x0100_0193));
            return write(&[0, DAY_NS], f64::from(hash));
        }
        let all = || ReadOptions { columns: None, start: None, end: None, batch_rows_max: None };
        look("whole", &all(), false)?;
        look("rest", &all(), true)?;
        look("one by one", &ReadOptions { batch_rows_max: Some(1), ..all() }, false)?;
        look("past as-of", &ReadOptions { start: Some(as_of + 1), ..all() }, false)?;
        look("to the end of time", &ReadOptions { end: Some(i64::MAX), ..all() }, false)?;
        look(
            "from the beginning",
            &ReadOptions { start: Some(i64::MIN), end: Some(i64::MAX), ..all() },
            true,
        )?;
        let first = open("in", 0, &all())?.schema().fields[0].name.clone();
        look("one column", &ReadOptions { columns: Some(vec![first]), ..all() }, false)?;
        write(&[], 0.0)
    }
}

/// Reports rows seen, and the last time among them in days since 1970.
fn look(way: &str, options: &ReadOptions, rest: bool) -> Result<(), Error> {
    let input = open("in", 0, options)?;
    let per_day = if input.schema().fields[0].format.starts_with("tsn") { 86_400e9 } else { 86_400e6 };
    let (mut rows, mut last) = (0, f64::NEG_INFINITY);
    while let Some(batch) = if rest { input.rest()? } else { input.next()? } {
        rows += batch.rows();
        last = times(&batch).map(|it| it as f64 / per_day).fold(last, f64::max);
    }
    context::metric(&format!("rows {way}"), f64::from(rows));
    context::metric(&format!("last {way}"), last);
    Ok(())
}

fn times(batch: &Batch) -> impl Iterator<Item = i64> {
    let values = batch.column(0).read().buffers.swap_remove(1);
    let eights = values.chunks_exact(8).map(|it| i64::from_le_bytes(it.try_into().expect("8 bytes")));
    eights.collect::<Vec<_>>().into_iter()
}

fn write(times: &[i64], number: f64) -> Result<(), Error> {
    let rows = times.len() as u32;
    let column = |bytes: Vec<u8>| {
        let node = Node { length: rows, null_count: 0, buffers: 2, children: 0, dictionary: false };
        ColumnValue::Fresh(Array { nodes: vec![node], buffers: vec![vec![], bytes] })
    };
    let numbers = times.iter().flat_map(|_| number.to_le_bytes()).collect();
    let times = times.iter().flat_map(|it| it.to_le_bytes()).collect();
    create("out", &schema())?.write(rows, &[column(times), column(numbers)])
}

fn schema() -> Schema {
    let field = |name: &str, format: &str| Field {
        name: name.into(),
        format: format.into(),
        nullable: false,
        metadata: vec![],
        children: 0,
        dictionary: false,
        flags: 0,
    };
    Schema { fields: vec![field("time", "tsn:UTC"), field("value", "g")], metadata: vec![] }
}

export!(Peek);
