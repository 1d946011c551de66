//! Least and greatest values of a table's columns. DuckDB reads older snapshots with them too and computes wrongly where
//! a value lies outside, so they only ever grow wider.

use std::cmp::Ordering;

use super::{ColumnBounds, TableColumn};

/// How values of a type, written as texts, compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Integer,
    Float,
    /// As integers once the point is out: all have the same number of digits after it.
    Decimal,
    /// As texts, if years have four digits.
    Time,
    Text,
}

/// What holds for all that `known` and `more` hold for; `known` is what stood in the catalog.
pub(super) fn widened(known: &ColumnBounds, more: &ColumnBounds, column: &TableColumn) -> ColumnBounds {
    let order = Order::of(&column.data_type);
    let pick = |a: &Option<String>, b: &Option<String>, wanted: Ordering| match (a, b) {
        (Some(a), Some(b)) => {
            let found = order.compare(a, b)?;
            Some(if found == wanted { a.clone() } else { b.clone() })
        }
        // Not known, or known of nothing: either way not of all.
        _ => None,
    };
    ColumnBounds {
        id: more.id,
        has_null: known.has_null || more.has_null,
        has_nan: known.has_nan.max(more.has_nan),
        min: pick(&known.min, &more.min, Ordering::Less),
        max: pick(&known.max, &more.max, Ordering::Greater),
    }
}

impl Order {
    fn of(data_type: &str) -> Self {
        match data_type {
            "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64" | "boolean" => {
                Self::Integer
            }
            "float32" | "float64" => Self::Float,
            "date" | "timestamp" | "timestamp_s" | "timestamp_ms" | "timestamp_ns" | "timestamptz" => {
                Self::Time
            }
            it if it.starts_with("decimal") => Self::Decimal,
            _ => Self::Text,
        }
    }

    /// `None` where the two cannot be compared.
    fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        let integer = |it: &str| it.parse::<i128>().ok();
        let decimal = |it: &str| it.replace('.', "").parse::<i128>().ok();
        let float = |it: &str| it.parse::<f64>().ok();
        let is_plain =
            |it: &str| it.as_bytes().get(4) == Some(&b'-') && !it.starts_with('-') && !it.ends_with("BC");
        match self {
            Self::Integer => Some(integer(a)?.cmp(&integer(b)?)),
            Self::Decimal => Some(decimal(a)?.cmp(&decimal(b)?)),
            Self::Float => float(a)?.partial_cmp(&float(b)?),
            Self::Time => (is_plain(a) && is_plain(b)).then(|| a.cmp(b)),
            Self::Text => Some(a.cmp(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        data_type: &str,
        known: [Option<&str>; 2],
        more: [Option<&str>; 2],
        expected: [Option<&str>; 2],
    ) {
        let column = TableColumn {
            id: 1,
            parent: None,
            name: "a".into(),
            data_type: data_type.into(),
            is_nullable: true,
        };
        let bounds = |[min, max]: [Option<&str>; 2]| ColumnBounds {
            id: 1,
            has_null: false,
            has_nan: None,
            min: min.map(str::to_owned),
            max: max.map(str::to_owned),
        };
        assert_eq!(widened(&bounds(known), &bounds(more), &column), bounds(expected));
    }

    #[test]
    fn bounds_only_grow_wider_and_by_value() {
        check("int64", [Some("9"), Some("10")], [Some("-3"), Some("9")], [Some("-3"), Some("10")]);
        check(
            "float64",
            [Some("1e300"), Some("inf")],
            [Some("-0.5"), Some("2")],
            [Some("-0.5"), Some("inf")],
        );
        check(
            "decimal(9,2)",
            [Some("-1.50"), Some("9.00")],
            [Some("-1.05"), Some("10.00")],
            [Some("-1.50"), Some("10.00")],
        );
        check(
            "date",
            [Some("2020-01-01"), Some("2020-01-02")],
            [Some("1999-12-31"), Some("2000-01-01")],
            [Some("1999-12-31"), Some("2020-01-02")],
        );
    }

    #[test]
    fn what_is_not_known_of_all_is_not_known() {
        check("int64", [None, None], [Some("1"), Some("2")], [None, None]);
        check(
            "date",
            [Some("2020-01-01"), Some("12020-01-01")],
            [Some("2021-01-01"), Some("2021-01-01")],
            [Some("2020-01-01"), None],
        );
    }
}
