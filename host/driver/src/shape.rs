//! The plan as the engine sees it: only the nodes of this run, numbered anew.

use tidemill_engine::{Capacity, NodeId, NodeSpec, OnFailure, Resources, Retry, RetryPolicy, RunSpec};
use tidemill_plan::{Machine, Plan, PlanNode};

/// Between positions in the plan and the engine's numbers.
pub(crate) struct Shape {
    spec: RunSpec,
    /// By the engine's number.
    positions: Vec<usize>,
    /// By the plan's order; `None` for nodes that are not part of the run.
    numbers: Vec<Option<NodeId>>,
}

impl Shape {
    pub(crate) fn new(plan: &Plan, selected: &[bool], on: Capacities) -> Self {
        let positions: Vec<usize> = (0..plan.nodes.len()).filter(|it| selected[*it]).collect();
        let mut numbers = vec![None; plan.nodes.len()];
        for (number, position) in positions.iter().enumerate() {
            numbers[*position] =
                Some(NodeId(u32::try_from(number).expect("a plan has fewer nodes than u32 has numbers")));
        }
        let nodes = positions.iter().map(|it| node_spec(&plan.nodes[*it], &numbers)).collect();
        let spec = RunSpec { on_failure: on.on_failure, ..RunSpec::new(nodes, on.capacity()) };
        Self { spec, positions, numbers }
    }

    /// Of so many nodes that need nothing of each other.
    #[cfg(test)]
    pub(crate) fn of_nodes(count: u32, on_failure: OnFailure) -> Self {
        let capacity = Capacity { cpus_milli: 1, memory_bytes: 1, attempts_max: 1 };
        let nodes = (0..count).map(|_| NodeSpec::default()).collect();
        let spec = RunSpec { on_failure, ..RunSpec::new(nodes, capacity) };
        let positions = (0..count).map(|it| it as usize).collect();
        Self { spec, positions, numbers: (0..count).map(|it| Some(NodeId(it))).collect() }
    }

    pub(crate) fn spec(&self) -> RunSpec {
        self.spec.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    pub(crate) fn position(&self, node: NodeId) -> usize {
        self.positions[usize::try_from(node.0).expect("usize has at least 32 bits")]
    }

    /// The engine's number of a node of the plan; `None` when it is not part of the run.
    pub(crate) fn node(&self, position: usize) -> Option<NodeId> {
        self.numbers.get(position).copied().flatten()
    }
}

/// What a run may hold, and how it takes a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacities {
    pub(crate) jobs: u32,
    pub(crate) machine: Machine,
    pub(crate) on_failure: OnFailure,
}

impl Capacities {
    pub(crate) fn capacity(self) -> Capacity {
        // More jobs than cores is a wish to share cores, so it raises what admission counts.
        let cpus_milli = u64::from(self.machine.cpus_milli).max(u64::from(self.jobs) * 1000);
        Capacity { cpus_milli, memory_bytes: self.machine.memory_bytes, attempts_max: self.jobs }
    }
}

fn node_spec(node: &PlanNode, numbers: &[Option<NodeId>]) -> NodeSpec {
    let members = node.inputs.iter().flat_map(|it| &it.members);
    let mut needs: Vec<NodeId> = members.filter_map(|it| numbers[it.node]).collect();
    needs.sort_unstable();
    needs.dedup();
    let policy = match node.retry.policy {
        tidemill_plan::RetryPolicy::None => RetryPolicy::None,
        tidemill_plan::RetryPolicy::Fixed => RetryPolicy::Fixed,
        tidemill_plan::RetryPolicy::Linear => RetryPolicy::Linear,
        tidemill_plan::RetryPolicy::Exponential => RetryPolicy::Exponential,
    };
    NodeSpec {
        needs,
        resources: Resources {
            cpus_milli: node.resources.cpus_milli,
            memory_bytes: node.resources.memory_bytes,
        },
        priority: node.priority,
        timeout_ms: node.timeout_ms,
        retry: Retry {
            policy,
            max: node.retry.max,
            delay_ms: node.retry.delay_ms,
            max_delay_ms: node.retry.max_delay_ms,
            jitter: node.retry.jitter,
        },
    }
}
