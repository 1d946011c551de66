//! Tasks as people write them, run natively: what the macros make of functions and structs, and what the harness checks.
#![expect(clippy::float_cmp, reason = "the same operations give the same bits")]
#![expect(clippy::needless_pass_by_value, reason = "a task owns its arguments")]

#[path = "tasks/artefacts.rs"]
mod artefacts;
#[path = "tasks/binding.rs"]
mod binding;
#[path = "tasks/columns.rs"]
mod columns;
#[path = "tasks/description.rs"]
mod description;
#[path = "tasks/errors.rs"]
mod errors;
#[path = "tasks/streaming.rs"]
mod streaming;

use tidemill_task::prelude::*;

/// Prices of symbols by day.
#[derive(Clone, Columns, Debug, PartialEq)]
pub struct Prices {
    #[time]
    pub time_index: TimestampMicrosecondArray,
    #[identifier]
    pub symbol: StringArray,
    pub close: Float64Array,
}

pub fn prices(rows: &[(i64, &str, f64)]) -> Prices {
    Prices {
        time_index: TimestampMicrosecondArray::from_iter_values(rows.iter().map(|it| it.0))
            .with_timezone("UTC"),
        symbol: rows.iter().map(|it| Some(it.1)).collect(),
        close: rows.iter().map(|it| Some(it.2)).collect(),
    }
}

pub fn three() -> Prices {
    prices(&[(1, "A", 10.0), (1, "B", 20.0), (2, "A", 11.0)])
}
