//! The smallest task: each temperature as its difference from the average so far.

use tidemill_task::prelude::*;

#[derive(Columns)]
struct Temperatures {
    #[time]
    time_index: TimestampMicrosecondArray,
    celsius: Float64Array,
}

/// How much warmer each day is than the average of the days up to it.
#[task]
fn anomaly(temperatures: Temperatures) -> Temperatures {
    let mut sum = 0.0;
    let celsius = temperatures.celsius.values().iter().enumerate().map(|(day, celsius)| {
        sum += celsius;
        celsius - sum / (day + 1) as f64
    });
    info!("hello from a sandbox: {} days", celsius.len());
    Temperatures { celsius: celsius.collect::<Vec<_>>().into(), time_index: temperatures.time_index }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_compared_with_the_average_up_to_it() -> Result<()> {
        let temperatures = Temperatures { time_index: vec![0, 1].into(), celsius: vec![10.0, 20.0].into() };
        let outputs = Harness::new(anomaly_task).input("temperatures", temperatures).run()?;
        let anomalies: Temperatures = outputs.read("output")?;
        assert_eq!(anomalies.celsius.values(), &[0.0, 5.0]);
        Ok(())
    }
}
