//! Who needs whom, as two flat arrays, so that what a finished node unlocks costs what it unlocks. Decides only
//! whether the needs form a DAG.

use crate::record::NodeId;
use crate::spec::{NodeSpec, SpecError};

#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// The dependents of node `n` are `dependents[starts[n]..starts[n + 1]]`, ascending, each once.
    starts: Vec<u32>,
    dependents: Vec<NodeId>,
    /// How many different nodes each node needs.
    needs_count: Vec<u32>,
}

impl Graph {
    pub(crate) fn new(nodes: &[NodeSpec]) -> Result<Self, SpecError> {
        let mut edges: Vec<(NodeId, NodeId)> = Vec::new();
        for (index, node_spec) in nodes.iter().enumerate() {
            let node = NodeId(index as u32);
            for &need in &node_spec.needs {
                if need.index() >= nodes.len() {
                    return Err(SpecError::UnknownNeed { node, need, nodes: nodes.len() });
                }
                edges.push((need, node));
            }
        }
        edges.sort_unstable();
        edges.dedup();
        assert!(u32::try_from(edges.len()).is_ok(), "a run with {} needs, more than 2^32", edges.len());
        let mut starts = vec![0; nodes.len() + 1];
        let mut needs_count = vec![0; nodes.len()];
        for (need, node) in &edges {
            starts[need.index() + 1] += 1;
            needs_count[node.index()] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let dependents = edges.into_iter().map(|(_, node)| node).collect();
        let graph = Self { starts, dependents, needs_count };
        match graph.cycle(nodes) {
            Some(cycle) => Err(SpecError::Cycle { nodes: cycle }),
            None => Ok(graph),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.needs_count.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.needs_count.len() as u32).map(NodeId)
    }

    pub(crate) fn dependents(&self, node: NodeId) -> &[NodeId] {
        &self.dependents[self.starts[node.index()] as usize..self.starts[node.index() + 1] as usize]
    }

    pub(crate) fn needs_count(&self, node: NodeId) -> u32 {
        self.needs_count[node.index()]
    }

    /// Some circle of needs, if there is one.
    fn cycle(&self, nodes: &[NodeSpec]) -> Option<Vec<NodeId>> {
        let mut unmet = self.needs_count.clone();
        let mut free: Vec<NodeId> = self.ids().filter(|node| unmet[node.index()] == 0).collect();
        while let Some(node) = free.pop() {
            for dependent in self.dependents(node) {
                unmet[dependent.index()] -= 1;
                if unmet[dependent.index()] == 0 {
                    free.push(*dependent);
                }
            }
        }
        // Each node left over needs another one left over: following these must come back to where it was.
        let first = self.ids().find(|node| unmet[node.index()] > 0)?;
        let mut path = vec![first];
        let mut place: Vec<Option<usize>> = vec![None; nodes.len()];
        loop {
            let last = path[path.len() - 1];
            place[last.index()] = Some(path.len() - 1);
            let need = nodes[last.index()].needs.iter().copied().find(|need| unmet[need.index()] > 0);
            let need = need.expect("a node with unmet needs has an unmet need");
            if let Some(from) = place[need.index()] {
                return Some(path.split_off(from));
            }
            path.push(need);
        }
    }
}
