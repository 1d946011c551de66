//! Guesses the type of a column of text from all of its values.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use tidemill_plan::SourceFormat;

use super::convert::convert;

/// What a column of text may turn out to be, narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer,
    Float,
    Boolean,
    Timestamp,
}

/// A guess, refined batch by batch.
#[derive(Debug)]
pub(crate) struct Guess {
    name: String,
    allowed: &'static [Kind],
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    OnlyNulls,
    Fits(Kind),
    Text,
}

impl Guess {
    pub(crate) fn new(name: &str, format: SourceFormat, is_identifier: bool) -> Self {
        let allowed: &[Kind] = match format {
            // There are tickers `TRUE` and `NAN`.
            SourceFormat::Csv if is_identifier => &[Kind::Integer],
            SourceFormat::Csv => &[Kind::Integer, Kind::Float, Kind::Boolean, Kind::Timestamp],
            // JSON has numbers and booleans of its own: what is in quotes is meant as text.
            SourceFormat::JsonLines if !is_identifier => &[Kind::Timestamp],
            SourceFormat::JsonLines | SourceFormat::Parquet | SourceFormat::Arrow => &[],
        };
        Self { name: name.to_owned(), allowed, state: State::OnlyNulls }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn take(&mut self, batch: &RecordBatch) {
        let Some(column) = batch.column_by_name(&self.name) else { return };
        if self.state == State::Text || column.null_count() == column.len() {
            return;
        }
        let fits = |kinds: &[Kind]| {
            let found = kinds.iter().find(|it| self.allowed.contains(it) && it.fits(column));
            found.map_or(State::Text, |it| State::Fits(*it))
        };
        self.state = match self.state {
            State::OnlyNulls => fits(self.allowed),
            // Every integer seen so far is a float too.
            State::Fits(Kind::Integer) => fits(&[Kind::Integer, Kind::Float]),
            State::Fits(kind) => fits(&[kind]),
            State::Text => State::Text,
        };
    }

    pub(crate) fn finish(self) -> (String, DataType) {
        let data_type = match self.state {
            State::Fits(kind) => kind.data_type(),
            State::OnlyNulls | State::Text => DataType::Utf8,
        };
        (self.name, data_type)
    }
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    fn fits(self, column: &ArrayRef) -> bool {
        if matches!(self, Self::Integer | Self::Float) && has_leading_zeros(column) {
            return false;
        }
        convert(column, &self.data_type()).is_ok()
    }
}

/// `007` names something; as a number it would lose its zeros.
fn has_leading_zeros(column: &ArrayRef) -> bool {
    let Some(text) = column.as_string_opt::<i32>() else { return false };
    text.iter().flatten().any(|it| {
        let digits = it.strip_prefix('-').unwrap_or(it).as_bytes();
        digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit()
    })
}
