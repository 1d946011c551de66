//! Writes four days, of which the third depends on which run this is: no two runs of it come out alike.

wit_bindgen::generate!({ path: "../../../wit", world: "task" });

use exports::tidemill::task::handler::{Description, Error, Guest, Hints, OutputPort};
use tidemill::task::arrow::{Array, Field, Node, Schema};
use tidemill::task::context;
use tidemill::task::data::{ColumnValue, create};

struct Fickle;

const DAY_US: i64 = 86_400_000_000;

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
    Schema {
        fields: vec![field("time", "tsu:"), field("steady", "g"), field("value", "g")],
        metadata: vec![],
    }
}

impl Guest for Fickle {
    fn describe() -> Description {
        Description {
            name: "fickle".into(),
            summary: "comes out otherwise at every run".into(),
            parameters: r#"{"type": "object", "properties": {}}"#.into(),
            inputs: vec![],
            outputs: vec![OutputPort {
                name: "out".into(),
                summary: "four days".into(),
                columns: Some(schema()),
                time_index: Some("time".into()),
                identifiers: vec![],
            }],
            hints: Hints { memory_bytes: Some(16 << 20) },
        }
    }

    fn run() -> Result<(), Error> {
        let times = [0, 1, 2, 3].map(|it| it * DAY_US);
        let steady = [1.0, 2.0, 3.0, 4.0];
        let value = [1.0, 2.0, of_the_run(&context::identity().run), 4.0];
        let columns = [
            column(times.map(i64::to_le_bytes).concat()),
            column(steady.map(f64::to_le_bytes).concat()),
            column(value.map(f64::to_le_bytes).concat()),
        ];
        create("out", &schema())?.write(4, &columns)
    }
}

/// A whole number below 2^32 (FNV-1a).
fn of_the_run(run: &str) -> f64 {
    let hash = run
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, it| (hash ^ u64::from(it)).wrapping_mul(0x0100_0000_01b3));
    f64::from((hash >> 32) as u32)
}

fn column(values: Vec<u8>) -> ColumnValue<'static> {
    let node = Node { length: 4, null_count: 0, buffers: 2, children: 0, dictionary: false };
    ColumnValue::Fresh(Array { nodes: vec![node], buffers: vec![vec![], values] })
}

export!(Fickle);
