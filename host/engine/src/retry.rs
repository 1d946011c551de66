//! Whether a failed attempt is followed by another and how long that one waits.

use crate::record::AttemptId;
use crate::spec::{Retry, RetryPolicy};

/// The wait after this attempt has failed, `None` when it was the last. Only the arguments decide it.
pub(crate) fn delay_ms_after(retry: &Retry, seed: u64, attempt: AttemptId) -> Option<u64> {
    if attempt.number > retry.max {
        return None;
    }
    let delay_ms = match retry.policy {
        RetryPolicy::None => return None,
        RetryPolicy::Fixed => retry.delay_ms,
        RetryPolicy::Linear => retry.delay_ms.saturating_mul(u64::from(attempt.number)),
        RetryPolicy::Exponential => {
            let factor = 1_u64.checked_shl(attempt.number - 1).unwrap_or(u64::MAX);
            retry.delay_ms.saturating_mul(factor)
        }
    };
    let delay_ms = delay_ms.min(retry.max_delay_ms);
    Some(jittered(delay_ms, retry.jitter, draw(seed, attempt)).min(retry.max_delay_ms))
}

/// `drawn` is uniform over all of u64.
fn jittered(delay_ms: u64, jitter: f64, drawn: u64) -> u64 {
    const PARTS: u128 = 1_000_000;
    // Whole millionths from here on: float arithmetic on large delays would round differently from what we say.
    let jitter_parts = (jitter * PARTS as f64) as u128;
    let offset = (u128::from(drawn) * (2 * jitter_parts + 1)) >> 64; // 0 ..= 2 × jitter
    let delay_ms = u128::from(delay_ms) * (PARTS - jitter_parts + offset) / PARTS;
    u64::try_from(delay_ms).unwrap_or(u64::MAX)
}

/// SplitMix64's finalizer over the three words: every bit of each reaches every bit of the result.
fn draw(seed: u64, attempt: AttemptId) -> u64 {
    let mut hash = seed;
    for word in [u64::from(attempt.node.0), u64::from(attempt.number)] {
        hash = (hash ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        hash ^= hash >> 31;
    }
    hash
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::record::NodeId;

    #[track_caller]
    fn check(policy: RetryPolicy, max: u32, max_delay_ms: u64, jitter: f64, expected: &Expect) {
        let retry = Retry { policy, max, delay_ms: 100, max_delay_ms, jitter };
        let delays = (1..=6).map(|number| delay_ms_after(&retry, 7, AttemptId { node: NodeId(3), number }));
        let delays: Vec<String> =
            delays.map(|delay| delay.map_or("-".to_owned(), |ms| ms.to_string())).collect();
        expected.assert_eq(&delays.join(" "));
    }

    #[test]
    fn each_policy_has_its_delays_and_its_last_retry() {
        check(RetryPolicy::None, 5, 1000, 0.0, &expect!["- - - - - -"]);
        check(RetryPolicy::Fixed, 5, 1000, 0.0, &expect!["100 100 100 100 100 -"]);
        check(RetryPolicy::Fixed, 0, 1000, 0.0, &expect!["- - - - - -"]);
        check(RetryPolicy::Linear, 4, 250, 0.0, &expect!["100 200 250 250 - -"]);
        check(RetryPolicy::Exponential, 5, 1000, 0.0, &expect!["100 200 400 800 1000 -"]);
        check(RetryPolicy::Exponential, 5, 1000, 0.5, &expect!["122 196 325 513 1000 -"]);
    }

    #[test]
    fn delays_of_any_size_neither_overflow_nor_leave_their_range() {
        for number in [1, 2, 63, 64, 65, 1000, u32::MAX] {
            for jitter in [0.0, 0.3, 1.0] {
                for max_delay_ms in [0, 1, 1 << 40, u64::MAX] {
                    let policy = RetryPolicy::Exponential;
                    let retry = Retry { policy, max: u32::MAX, delay_ms: u64::MAX / 3, max_delay_ms, jitter };
                    let delay = delay_ms_after(&retry, 1, AttemptId { node: NodeId(0), number });
                    assert!(delay.is_some_and(|ms| ms <= max_delay_ms), "attempt {number}, jitter {jitter}");
                }
            }
        }
    }

    #[test]
    fn jitter_fills_its_range_and_no_more() {
        let retry =
            Retry { policy: RetryPolicy::Fixed, max: 1, delay_ms: 1000, max_delay_ms: 9000, jitter: 0.2 };
        let delays = (0..10_000).map(|node| AttemptId { node: NodeId(node), number: 1 });
        let delays: Vec<u64> = delays.filter_map(|attempt| delay_ms_after(&retry, 42, attempt)).collect();
        assert_eq!(delays.iter().min(), Some(&800));
        assert_eq!(delays.iter().max(), Some(&1199));
        let mean = delays.iter().sum::<u64>() / delays.len() as u64;
        assert!((995..1005).contains(&mean), "mean {mean}");
    }
}
