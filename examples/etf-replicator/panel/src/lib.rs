//! A table in long form (one row for each day and identifier) as a dense matrix of days × identifiers.
//!
//! Nothing is filled in and nothing is dropped: a hole or a number that is not finite is an error that names the
//! identifier and the day, because a matrix that slips by one row still yields plausible coefficients.

mod day;
mod panel;

pub use day::day;
pub use panel::{Panel, PanelError};
