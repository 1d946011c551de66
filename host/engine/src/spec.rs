//! What a run is made of, and the checks at the door: whoever holds a [`CheckedSpec`] need not check again.

use std::fmt;

use crate::graph::Graph;
use crate::record::NodeId;

/// A run before it has begun. Nodes that were not selected are not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSpec {
    pub nodes: Vec<NodeSpec>,
    pub capacity: Capacity,
    pub on_failure: OnFailure,
    /// How long an attempt that was told to stop may stay silent before it is given up and its room is lent again.
    pub stop_grace_ms: u64,
    /// Spreads the jitter of retries; equal seeds give equal delays.
    pub seed: u64,
}

impl RunSpec {
    pub const STOP_GRACE_MS_DEFAULT: u64 = 10_000;

    /// Fail-fast, with the default grace and seed 0.
    pub fn new(nodes: Vec<NodeSpec>, capacity: Capacity) -> Self {
        Self {
            nodes,
            capacity,
            on_failure: OnFailure::FailFast,
            stop_grace_ms: Self::STOP_GRACE_MS_DEFAULT,
            seed: 0,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeSpec {
    /// In any order; naming one twice is naming it once.
    pub needs: Vec<NodeId>,
    /// Held by each attempt while it lives.
    pub resources: Resources,
    /// Higher begins first.
    pub priority: i32,
    /// For each attempt, from its beginning. Time in which the host is down counts.
    pub timeout_ms: Option<u64>,
    pub retry: Retry,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpus_milli: u32,
    pub memory_bytes: u64,
}

/// What all attempts alive at one time may hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub cpus_milli: u64,
    pub memory_bytes: u64,
    pub attempts_max: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The first failed node stops the run.
    FailFast,
    /// Only what needs the failed node is skipped.
    KeepGoing,
}

/// Retry number k waits `delay` (fixed), `delay × k` (linear) or `delay × 2^(k − 1)` (exponential), but never more
/// than `max_delay`, with jitter or without.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retry {
    pub policy: RetryPolicy,
    /// Tries after the first.
    pub max: u32,
    pub delay_ms: u64,
    pub max_delay_ms: u64,
    /// Each delay is drawn from [delay × (1 − jitter), delay × (1 + jitter)]; between 0 and 1.
    pub jitter: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryPolicy {
    #[default]
    None,
    Fixed,
    Linear,
    Exponential,
}

/// Why a [`RunSpec`] is refused. A planned pipeline cannot be: the planner checks all of this with better words.
#[derive(Clone, Debug, PartialEq)]
pub enum SpecError {
    TooManyNodes {
        nodes: usize,
    },
    NoAttempts,
    UnknownNeed {
        node: NodeId,
        need: NodeId,
        nodes: usize,
    },
    /// Each node needs the next, the last needs the first.
    Cycle {
        nodes: Vec<NodeId>,
    },
    TooManyCpus {
        node: NodeId,
        cpus_milli: u32,
        capacity: u64,
    },
    TooMuchMemory {
        node: NodeId,
        memory_bytes: u64,
        capacity: u64,
    },
    JitterOutOfRange {
        node: NodeId,
        jitter: f64,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyNodes { nodes } => write!(f, "a run of `{nodes}` nodes, more than 2^31"),
            Self::NoAttempts => write!(f, "capacity allows no attempt at all: `attempts_max` is `0`"),
            Self::UnknownNeed { node, need, nodes } => {
                write!(f, "node `{}` needs node `{}` of a run with `{nodes}` nodes", node.0, need.0)
            }
            Self::Cycle { nodes } => {
                write!(f, "nodes need each other in a circle:")?;
                nodes.iter().try_for_each(|node| write!(f, " `{}`", node.0))
            }
            Self::TooManyCpus { node, cpus_milli, capacity } => {
                write!(f, "node `{}` needs `{cpus_milli}` thousandths of a core of `{capacity}`", node.0)
            }
            Self::TooMuchMemory { node, memory_bytes, capacity } => {
                write!(f, "node `{}` needs `{memory_bytes}` bytes of memory of `{capacity}`", node.0)
            }
            Self::JitterOutOfRange { node, jitter } => {
                write!(f, "node `{}` has jitter `{jitter}`, which is not between 0 and 1", node.0)
            }
        }
    }
}

impl std::error::Error for SpecError {}

/// A [`RunSpec`] in which every need exists, nothing needs itself, and every node fits into an empty machine.
#[derive(Clone, Debug)]
pub(crate) struct CheckedSpec {
    pub(crate) spec: RunSpec,
    pub(crate) graph: Graph,
}

impl CheckedSpec {
    pub(crate) fn new(spec: RunSpec) -> Result<Self, SpecError> {
        if i32::try_from(spec.nodes.len()).is_err() {
            return Err(SpecError::TooManyNodes { nodes: spec.nodes.len() });
        }
        if spec.capacity.attempts_max == 0 && !spec.nodes.is_empty() {
            return Err(SpecError::NoAttempts);
        }
        for (index, node_spec) in spec.nodes.iter().enumerate() {
            check_node(NodeId(index as u32), node_spec, spec.capacity)?;
        }
        let graph = Graph::new(&spec.nodes)?;
        Ok(Self { spec, graph })
    }

    pub(crate) fn node(&self, node: NodeId) -> &NodeSpec {
        &self.spec.nodes[node.index()]
    }
}

fn check_node(node: NodeId, node_spec: &NodeSpec, capacity: Capacity) -> Result<(), SpecError> {
    let Resources { cpus_milli, memory_bytes } = node_spec.resources;
    if u64::from(cpus_milli) > capacity.cpus_milli {
        return Err(SpecError::TooManyCpus { node, cpus_milli, capacity: capacity.cpus_milli });
    }
    if memory_bytes > capacity.memory_bytes {
        return Err(SpecError::TooMuchMemory { node, memory_bytes, capacity: capacity.memory_bytes });
    }
    let jitter = node_spec.retry.jitter;
    if !(0.0..=1.0).contains(&jitter) {
        return Err(SpecError::JitterOutOfRange { node, jitter });
    }
    Ok(())
}
