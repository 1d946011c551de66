//! One number from a column.

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, Float64Type};
use tidemill_lake::{Lake, Manifest, ReadOptions};
use tidemill_plan::{Aggregate, Code};

use crate::failure::NodeFailure;

/// `None` where there is nothing to measure: a null, no rows.
///
/// # Errors
/// A column that is not there or holds no numbers; several rows without an aggregate.
pub(super) fn measure(
    lake: &Lake,
    table: &Manifest,
    column: &str,
    aggregate: Option<Aggregate>,
) -> Result<Option<f64>, NodeFailure> {
    let wrong = |code: Code, what: String, mend: &str| NodeFailure::permanent(code, what, mend);
    let Ok(field) = table.schema.field_with_name(column) else {
        let names: Vec<&str> = table.schema.fields().iter().map(|it| it.name().as_str()).collect();
        let what = format!("table `{}` has no column `{column}` to measure", table.table);
        return Err(wrong(Code("measure-column"), what, &format!("its columns are: {}", names.join(", "))));
    };
    let data_type = field.data_type();
    if !data_type.is_numeric() && *data_type != DataType::Boolean {
        let what = format!("column `{column}` of table `{}` is {data_type}, no number", table.table);
        return Err(wrong(Code("measure-column"), what, "measure a column of numbers"));
    }
    if aggregate.is_none() && table.rows != 1 {
        let what = format!("table `{}` has {} rows: which one is measured?", table.table, table.rows);
        let mend = format!("write `last(….{column})`, or min, max, mean, sum, std");
        return Err(wrong(Code("measure-rows"), what, &mend));
    }
    let options = ReadOptions { columns: Some(vec![column.to_owned()]), ..ReadOptions::default() };
    let mut reader = lake.reader(table, options)?;
    let mut sums = Sums::default();
    while let Some(batch) = reader.next_batch()? {
        let numbers = arrow::compute::cast(batch.column(0), &DataType::Float64)
            .map_err(|e| wrong(Code("measure-column"), format!("column `{column}` is no number: {e}"), ""))?;
        numbers.as_primitive::<Float64Type>().iter().flatten().for_each(|it| sums.add(it));
    }
    Ok(sums.result(aggregate.unwrap_or(Aggregate::Last)))
}

/// Count, mean and squares by Welford (Technometrics 4, 1962).
#[derive(Default)]
struct Sums {
    count: u64,
    sum: f64,
    mean: f64,
    squares: f64,
    min: Option<f64>,
    max: Option<f64>,
    last: Option<f64>,
}

impl Sums {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
        // NaN stays once it is there: a number that hides it would be wrong.
        let pick = |kept: Option<f64>, is_better: fn(f64, f64) -> bool| match kept {
            Some(kept) if kept.is_nan() || !(value.is_nan() || is_better(value, kept)) => Some(kept),
            _ => Some(value),
        };
        self.min = pick(self.min, |a, b| a < b);
        self.max = pick(self.max, |a, b| a > b);
        self.last = Some(value);
    }

    fn result(&self, aggregate: Aggregate) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        match aggregate {
            Aggregate::Last => self.last,
            Aggregate::Min => self.min,
            Aggregate::Max => self.max,
            Aggregate::Mean => Some(self.mean),
            Aggregate::Sum => Some(self.sum),
            Aggregate::Std => (1 < self.count).then(|| (self.squares / (self.count - 1) as f64).sqrt()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], aggregate: Aggregate) -> Option<f64> {
        let mut sums = Sums::default();
        values.iter().for_each(|it| sums.add(*it));
        sums.result(aggregate)
    }

    #[test]
    fn every_aggregate_is_what_its_name_says() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(of(&values, Aggregate::Last), Some(9.0));
        assert_eq!(of(&values, Aggregate::Min), Some(2.0));
        assert_eq!(of(&values, Aggregate::Max), Some(9.0));
        assert_eq!(of(&values, Aggregate::Mean), Some(5.0));
        assert_eq!(of(&values, Aggregate::Sum), Some(40.0));
        assert_eq!(of(&values, Aggregate::Std), Some((32.0_f64 / 7.0).sqrt()));
    }

    #[test]
    fn nothing_has_no_measure_and_one_value_no_deviation() {
        assert_eq!(of(&[], Aggregate::Sum), None);
        assert_eq!(of(&[1.0], Aggregate::Std), None);
    }

    #[test]
    fn nan_is_not_hidden() {
        for aggregate in [Aggregate::Min, Aggregate::Max, Aggregate::Mean, Aggregate::Sum] {
            assert!(of(&[1.0, f64::NAN, 2.0], aggregate).expect("a number").is_nan());
        }
    }
}
