//! Durations and sizes as people write them: `1h30m`, `512MiB`.

const DURATION_UNITS: [(&str, u64); 6] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1), ("w", 7 * 86_400_000)];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Milliseconds of a duration such as `500ms`, `10m`, `1h30m`, `2d`. Errors: a sentence saying what is wrong.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a duration");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (digits, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        let count: u64 = digits.parse().ok().ok_or_else(wrong)?;
        let Some((_, ms)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(if unit.is_empty() {
                format!("duration `{text}` lacks a unit after `{digits}`")
            } else {
                format!("duration `{text}` has an unknown unit `{unit}`")
            });
        };
        total = count
            .checked_mul(*ms)
            .and_then(|it| total.checked_add(it))
            .ok_or_else(|| format!("duration `{text}` is too long"))?;
        rest = after.trim_start();
    }
    Ok(total)
}

/// A duration in its one canonical writing: `90m` is `1h30m`.
#[must_use]
pub fn duration_text(ms: u64) -> String {
    let mut rest = ms;
    let mut text = String::new();
    for (unit, size) in &DURATION_UNITS[..5] {
        if rest >= *size {
            text += &format!("{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Bytes of a size such as `512MiB`, `1.5GB`, `4096B`. Errors: a sentence saying what is wrong.
pub fn byte_size(text: &str) -> Result<u64, String> {
    let (digits, after) = split(text.trim(), |c| c.is_ascii_digit() || c == '.');
    let unit = after.trim();
    let count: f64 = digits.parse().ok().ok_or_else(|| format!("`{text}` is not a size"))?;
    let Some((_, bytes)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(if unit.is_empty() {
            format!("size `{text}` lacks a unit")
        } else {
            format!("size `{text}` has an unknown unit `{unit}`")
        });
    };
    if let Ok(count) = digits.parse::<u64>() {
        return count.checked_mul(*bytes).ok_or_else(|| format!("size `{text}` is too large"));
    }
    let size = count * *bytes as f64;
    if size >= u64::MAX as f64 {
        return Err(format!("size `{text}` is too large"));
    }
    Ok(size as u64)
}

/// Bytes in the largest unit that loses nothing to speak of: `512MiB`, `1.5GiB`, `17B`.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    for (unit, size) in SIZE_UNITS[1..5].iter().rev() {
        if bytes >= *size {
            let count = bytes as f64 / *size as f64;
            return if bytes.is_multiple_of(*size) {
                format!("{}{unit}", bytes / size)
            } else {
                format!("{count:.1}{unit}")
            };
        }
    }
    format!("{bytes}B")
}

/// Splits where the characters stop fitting.
fn split(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !fits(c)).unwrap_or(text.len()))
}
