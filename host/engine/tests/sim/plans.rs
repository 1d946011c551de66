//! Random runs: small, so that collisions are frequent.

use tidemill_engine::{Capacity, NodeId, NodeSpec, OnFailure, Resources, Retry, RetryPolicy, RunSpec};

use crate::prng::Prng;

pub(crate) fn run_spec(prng: &mut Prng) -> RunSpec {
    let nodes_count = prng.below(9) as u32;
    let capacity = Capacity {
        cpus_milli: 1 + prng.below(8),
        memory_bytes: 1 + prng.below(12),
        attempts_max: 1 + prng.below(4) as u32,
    };
    let density = prng.pick(&[0, 10, 30, 60]);
    let mut nodes = Vec::new();
    for index in 0..nodes_count {
        let needs = (0..index).filter(|_| prng.percent(density)).map(NodeId).collect();
        nodes.push(NodeSpec {
            needs,
            resources: Resources {
                cpus_milli: prng.below(capacity.cpus_milli.min(4) + 1) as u32,
                memory_bytes: prng.below(capacity.memory_bytes.min(6) + 1),
            },
            priority: prng.below(3) as i32 - 1,
            timeout_ms: prng.percent(40).then(|| 5 + prng.below(60)),
            retry: retry(prng),
        });
    }
    // Half of the time needs point the other way: the order of numbers must not matter.
    if prng.percent(50) {
        nodes.reverse();
        let last = nodes_count.saturating_sub(1);
        for need in nodes.iter_mut().flat_map(|node| &mut node.needs) {
            need.0 = last - need.0;
        }
    }
    RunSpec {
        nodes,
        capacity,
        on_failure: prng.pick(&[OnFailure::FailFast, OnFailure::KeepGoing, OnFailure::KeepGoing]),
        stop_grace_ms: 10 + prng.below(30),
        seed: prng.next(),
    }
}

fn retry(prng: &mut Prng) -> Retry {
    Retry {
        policy: prng.pick(&[
            RetryPolicy::None,
            RetryPolicy::Fixed,
            RetryPolicy::Linear,
            RetryPolicy::Exponential,
        ]),
        max: prng.below(4) as u32,
        delay_ms: prng.pick(&[0, 1, 20, 50]),
        max_delay_ms: prng.pick(&[30, 60, 1_000]),
        jitter: prng.pick(&[0.0, 0.0, 0.25, 1.0]),
    }
}
