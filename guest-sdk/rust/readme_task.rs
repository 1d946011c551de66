use tidemill_task::prelude::*;

#[parameters]
struct Params {
    /// Days between the two prices.
    #[default = 1]
    days: usize,
}

#[derive(Columns)]
struct Series { #[time] time_index: TimestampMicrosecondArray, value: Float64Array }

/// Return of each price over the one `days` before.
#[task]
fn returns(params: Params, prices: Series) -> Result<Series> {
    ensure!(prices.rows() > params.days, "{} prices are too few", prices.rows());
    let pairs = prices.value.values().windows(params.days + 1);
    let value = pairs.map(|it| it[params.days] / it[0] - 1.0).collect::<Vec<_>>().into();
    Ok(Series { time_index: prices.time_index.slice(params.days, prices.rows() - params.days), value })
}
