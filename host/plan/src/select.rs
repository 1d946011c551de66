//! Which nodes of a plan a run is about.

use std::collections::BTreeSet;

use crate::nearest::did_you_mean;
use crate::{Code, Plan, Problem};

/// What to run. A family's name stands for all its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    #[default]
    All,
    /// The node and all that it depends on.
    Node(String),
    /// The node alone.
    Only(String),
    /// What the node depends on, without itself.
    DepsOnly(String),
}

impl Plan {
    /// For each node whether it is selected. Errors: `unknown-node`.
    pub fn select(&self, selection: &Selection) -> Result<Vec<bool>, Problem> {
        let name = match selection {
            Selection::All => return Ok(vec![true; self.nodes.len()]),
            Selection::Node(name) | Selection::Only(name) | Selection::DepsOnly(name) => name,
        };
        let mut named: Vec<bool> =
            self.nodes.iter().map(|it| it.name == *name || it.family == *name).collect();
        if !named.contains(&true) {
            return Err(self.unknown_node(name));
        }
        if matches!(selection, Selection::Only(_)) {
            return Ok(named);
        }
        let asked = named.clone();
        // Members stand before their consumers.
        for index in (0..self.nodes.len()).rev().filter(|it| asked[*it] || named[*it]).collect::<Vec<_>>() {
            self.mark_needs(index, &mut named);
        }
        if matches!(selection, Selection::DepsOnly(_)) {
            for (mark, _) in named.iter_mut().zip(&asked).filter(|(_, asked)| **asked) {
                *mark = false;
            }
        }
        Ok(named)
    }

    /// Takes nodes out of a selection whose tables come from elsewhere, and with them what only they need. Which nodes
    /// these are, and what is still selected. Errors: `unknown-node`.
    pub fn cut_at(&self, names: &[String], selected: &[bool]) -> Result<(Vec<usize>, Vec<bool>), Problem> {
        let mut is_cut = vec![false; self.nodes.len()];
        for name in names {
            let mut is_known = false;
            for (mark, node) in is_cut.iter_mut().zip(&self.nodes) {
                if node.name == *name || node.family == *name {
                    (*mark, is_known) = (true, true);
                }
            }
            if !is_known {
                return Err(self.unknown_node(name));
            }
        }
        // Members stand before their consumers: what a node is needed for is known before the node is looked at.
        let mut is_read = vec![false; self.nodes.len()];
        let mut is_needed = vec![false; self.nodes.len()];
        let mut left = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            left[index] = selected[index] && !is_cut[index] && (!is_read[index] || is_needed[index]);
            for member in node.inputs.iter().flat_map(|it| &it.members) {
                is_read[member.node] |= selected[index];
                is_needed[member.node] |= left[index];
            }
        }
        let cut = is_cut.iter().enumerate().filter(|(_, is_cut)| **is_cut).map(|(index, _)| index);
        Ok((cut.collect(), left))
    }

    /// The names of a node, or all members of a family, and of every node that reads them at whatever distance.
    /// Errors: `unknown-node`.
    pub fn downstream(&self, name: &str) -> Result<BTreeSet<String>, Problem> {
        let mut marks: Vec<bool> =
            self.nodes.iter().map(|it| it.name == *name || it.family == *name).collect();
        if !marks.contains(&true) {
            return Err(self.unknown_node(name));
        }
        // Members stand before their consumers.
        for (index, node) in self.nodes.iter().enumerate() {
            let mut members = node.inputs.iter().flat_map(|it| &it.members);
            if members.any(|it| marks[it.node]) {
                marks[index] = true;
            }
        }
        let marked = self.nodes.iter().zip(&marks).filter(|(_, marked)| **marked);
        Ok(marked.map(|(node, _)| node.name.clone()).collect())
    }

    /// Marks all that a node depends on.
    fn mark_needs(&self, node: usize, marks: &mut [bool]) {
        let mut open = vec![node];
        while let Some(index) = open.pop() {
            for member in self.nodes[index].inputs.iter().flat_map(|it| &it.members) {
                if !marks[member.node] {
                    marks[member.node] = true;
                    open.push(member.node);
                }
            }
        }
    }

    fn unknown_node(&self, name: &str) -> Problem {
        let mut known: Vec<&str> = Vec::new();
        for node in &self.nodes {
            if known.last() != Some(&node.family.as_str()) {
                known.push(&node.family);
            }
        }
        let family = name.split('[').next().unwrap_or(name);
        if name.contains('[') && known.contains(&family) {
            known = self.nodes.iter().filter(|it| it.family == family).map(|it| it.name.as_str()).collect();
        }
        let what = format!("pipeline `{}` has no node `{name}`", self.pipeline);
        Problem::new(Code("unknown-node"), what, did_you_mean(name, "node", known))
    }
}
