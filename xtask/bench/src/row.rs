//! One line of the result: what was measured, against what, and what is good enough.

/// A number with its unit, such as 17.2 µs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantity {
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// What is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// The measured value, in its own unit.
    AtMost(f64),
    AtLeast(f64),
    /// The measured value divided by the reference.
    RatioAtMost(f64),
    RatioAtLeast(f64),
    /// Measured to know it.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// There is no target, or nothing to compare with.
    Open,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The median of the repeats.
    pub(crate) measured: Quantity,
    /// Of the repeats.
    pub(crate) best: Quantity,
    /// In the unit of `measured`.
    pub(crate) reference: Option<Quantity>,
    pub(crate) target: Target,
    /// Of the repeats, as a share of the median; 0 where there is one only.
    pub(crate) spread: f64,
}

impl Row {
    /// Measured once, compared with nothing.
    pub(crate) fn once(name: &str, measured: Quantity, target: Target) -> Self {
        Self { name: name.to_owned(), measured, best: measured, reference: None, target, spread: 0.0 }
    }

    pub(crate) fn ratio(&self) -> Option<f64> {
        let reference = self.reference?;
        assert_eq!(reference.unit, self.measured.unit, "row {}: a ratio needs one unit", self.name);
        (reference.value > 0.0).then(|| self.measured.value / reference.value)
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let met = match self.target {
            Target::AtMost(limit) => Some(self.measured.value <= limit),
            Target::AtLeast(limit) => Some(self.measured.value >= limit),
            Target::RatioAtMost(limit) => self.ratio().map(|it| it <= limit),
            Target::RatioAtLeast(limit) => self.ratio().map(|it| it >= limit),
            Target::None => None,
        };
        match met {
            Some(true) => Verdict::Met,
            Some(false) => Verdict::Missed,
            None => Verdict::Open,
        }
    }
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Open => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: Target) -> Row {
        let quantity = |value| Quantity { value, unit: "µs" };
        Row { reference: Some(quantity(20.0)), ..Row::once("call", quantity(30.0), target) }
    }

    #[test]
    fn a_target_is_met_at_its_limit_and_missed_beyond() {
        for (target, expected) in [
            (Target::AtMost(30.0), Verdict::Met),
            (Target::AtMost(29.9), Verdict::Missed),
            (Target::AtLeast(30.0), Verdict::Met),
            (Target::AtLeast(30.1), Verdict::Missed),
            (Target::RatioAtMost(1.5), Verdict::Met),
            (Target::RatioAtMost(1.4), Verdict::Missed),
            (Target::RatioAtLeast(1.5), Verdict::Met),
            (Target::RatioAtLeast(1.6), Verdict::Missed),
            (Target::None, Verdict::Open),
        ] {
            assert_eq!(row(target).verdict(), expected, "{target:?}");
        }
    }

    #[test]
    fn a_ratio_without_reference_is_open() {
        let row = Row { reference: None, ..row(Target::RatioAtMost(1.0)) };
        assert_eq!(row.verdict(), Verdict::Open);
    }
}
