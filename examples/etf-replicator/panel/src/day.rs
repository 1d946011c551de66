//! A time as people write it.

const DAY_US: i64 = 86_400_000_000;

/// `2020-01-31`, and the time of day when it is not midnight. `time_us` is in microseconds since 1970-01-01 UTC.
pub fn day(time_us: i64) -> String {
    let (year, month, day) = civil(time_us.div_euclid(DAY_US));
    let seconds = time_us.rem_euclid(DAY_US) / 1_000_000;
    let date = format!("{year:04}-{month:02}-{day:02}");
    if time_us.rem_euclid(DAY_US) == 0 {
        return date;
    }
    format!("{date}T{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of a day counted from 1970-01-01: years that begin in March, in eras of 400 years
/// (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::day;

    #[test]
    fn times_read_as_dates() {
        for (time_us, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400_000_000, "2000-02-29"),
            (1_672_185_600_000_000, "2022-12-28"),
            (1_672_237_845_000_000, "2022-12-28T14:30:45Z"),
        ] {
            assert_eq!(day(time_us), expected);
        }
    }
}
