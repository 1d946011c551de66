//! Writes what no writer should.

use crate::exports::tidemill::task::handler::Error;
use crate::tidemill::task::arrow::{Array, Node, Schema};
use crate::tidemill::task::data::{ColumnValue, Output, ReadOptions, create, open};
use crate::tidemill::task::errors::Kind;
use crate::{field, out_schema};

pub fn begin() -> Result<Output, Error> {
    create("out", &out_schema())
}

/// `rows` numbers and `rows` words without null.
pub fn good(rows: u32) -> Vec<ColumnValue<'static>> {
    vec![numbers(rows), words(rows)]
}

fn numbers(rows: u32) -> ColumnValue<'static> {
    let bytes = (0..rows).flat_map(|it| f64::from(it).to_le_bytes()).collect();
    fresh(rows, 0, vec![vec![], bytes])
}

fn words(rows: u32) -> ColumnValue<'static> {
    fresh(rows, 0, vec![vec![], offsets(0..=rows), vec![b'w'; rows as usize]])
}

fn offsets(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn fresh(length: u32, null_count: u32, buffers: Vec<Vec<u8>>) -> ColumnValue<'static> {
    let node = Node { length, null_count, buffers: buffers.len() as u32, children: 0, dictionary: false };
    ColumnValue::Fresh(Array { nodes: vec![node], buffers })
}

/// `number[3]`, but with a word column made of these buffers.
fn with_word(null_count: u32, buffers: Vec<Vec<u8>>) -> Result<(), Error> {
    begin()?.write(3, &[numbers(3), fresh(3, null_count, buffers)])
}

pub fn misbehave(what: &str) -> Result<(), Error> {
    match what {
        "good" => begin()?.write(3, &good(3)),
        "no-rows" => begin()?.write(0, &good(0)),
        "no-output" => Ok(()),
        "two-batches" => {
            let output = begin()?;
            output.write(3, &good(3))?;
            output.write(2, &good(2))
        }
        "swallowed-fault" => {
            let output = begin()?;
            let _swallowed = output.write(3, &good(3));
            let _swallowed = output.write(3, &[]);
            Ok(())
        }
        "unwrapped-fault" => {
            begin()?.write(3, &[]).unwrap();
            Ok(())
        }
        "create-twice" => begin().and(begin().map(drop)),
        "create-unknown" => create("elsewhere", &out_schema()).map(drop),
        "create-fewer" => create_with(|it| drop(it.fields.pop())),
        "create-more" => create_with(|it| it.fields.push(field("extra", "l", true))),
        "create-renamed" => create_with(|it| it.fields[1].name = "wort".into()),
        "create-retyped" => create_with(|it| it.fields[0].format = "f".into()),
        "create-unreadable" => create_with(|it| it.fields[0].format = "?".into()),
        "create-children" => create_with(|it| it.fields[1].children = 3),
        "open-unknown" => open("elsewhere", 0, &anything()).map(drop),
        "open-member" => open("in", 9, &anything()).map(drop),
        "column-out-of-range" => {
            let input = open("in", 0, &anything())?;
            let batch = input.next()?.expect("a batch");
            drop(batch.column(99));
            Ok(())
        }
        "borrow-mistyped" => {
            let input = open("in", 0, &anything())?;
            let batch = input.next()?.expect("a batch");
            let column = batch.column(0);
            begin()?.write(batch.rows(), &[ColumnValue::Borrowed(&column), words(batch.rows())])
        }
        "handles-held" => {
            let input = open("in", 0, &anything())?;
            let batch = input.next()?.expect("a batch");
            let columns: Vec<_> = (0..1_000_000).map(|_| batch.column(0)).collect();
            drop(columns);
            Ok(())
        }
        other => broken_batch(other),
    }
}

fn broken_batch(what: &str) -> Result<(), Error> {
    match what {
        "fewer-columns" => begin()?.write(3, &[numbers(3)]),
        "more-columns" => begin()?.write(3, &[numbers(3), words(3), words(3)]),
        "short-column" => begin()?.write(3, &[numbers(3), words(2)]),
        "short-buffer" => begin()?.write(3, &[fresh(3, 0, vec![vec![], vec![0; 23]]), words(3)]),
        "null-in-required" => {
            let values = vec![vec![0b101], vec![0; 24]];
            begin()?.write(3, &[fresh(3, 1, values), words(3)])
        }
        "offsets-decrease" => with_word(0, vec![vec![], offsets([0, 2, 1, 3]), b"abc".to_vec()]),
        "offsets-beyond" => with_word(0, vec![vec![], offsets([0, 1, 2, 9]), b"abc".to_vec()]),
        "offsets-short" => with_word(0, vec![vec![], offsets([0, 1]), b"abc".to_vec()]),
        "offsets-negative" => with_word(0, vec![vec![], offsets([u32::MAX, 1, 2, 3]), b"abc".to_vec()]),
        "not-utf8" => with_word(0, vec![vec![], offsets([0, 1, 2, 3]), vec![b'a', 0xff, b'c']]),
        "split-character" => with_word(0, vec![vec![], offsets([0, 1, 2, 2]), "ä".as_bytes().to_vec()]),
        "wrong-null-count" => with_word(2, vec![vec![0b101], offsets(0..=3), b"abc".to_vec()]),
        "too-many-nulls" => with_word(9, vec![vec![0b101], offsets(0..=3), b"abc".to_vec()]),
        "short-bitmap" => with_word(1, vec![vec![], offsets(0..=3), b"abc".to_vec()]),
        "missing-buffer" => with_word(0, vec![vec![], offsets(0..=3)]),
        "no-nodes" => {
            let nothing = ColumnValue::Fresh(Array { nodes: vec![], buffers: vec![] });
            begin()?.write(3, &[numbers(3), nothing])
        }
        "surplus-buffer" => {
            let node = Node { length: 3, null_count: 0, buffers: 3, children: 0, dictionary: false };
            let buffers = vec![vec![], offsets(0..=3), b"abc".to_vec(), vec![1]];
            begin()?.write(3, &[numbers(3), ColumnValue::Fresh(Array { nodes: vec![node], buffers })])
        }
        other => Err(Error { kind: Kind::Permanent, message: format!("cannot misbehave as `{other}`") }),
    }
}

fn create_with(change: impl FnOnce(&mut Schema)) -> Result<(), Error> {
    let mut schema = out_schema();
    change(&mut schema);
    create("out", &schema).map(drop)
}

pub fn anything() -> ReadOptions {
    ReadOptions { columns: None, start: None, end: None, batch_rows_max: None }
}
