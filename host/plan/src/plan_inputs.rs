//! Binds input ports to the tables of sources, nodes and families, and checks that these fit.

use std::sync::Arc;

use serde_json::Value;

use crate::expression::Scope;
use crate::fields::Named;
use crate::file::NodeDecl;
use crate::nearest::did_you_mean;
use crate::planner::{Group, GroupState, Planner};
use crate::reference::Reference;
use crate::text::{At, Offset};
use crate::{Arity, Code, Input, InputPort, Member, Problem, TaskDescription};

/// A port and what it reads, the same for all members of a family.
#[derive(Debug)]
pub(crate) struct Binding<'p> {
    port: &'p str,
    arity: Arity,
    at: Offset,
    /// References and the position of the output that each reads.
    reads: Vec<(&'p Reference, usize)>,
}

impl<'p> Planner<'p, '_> {
    /// `None` when something upstream is not planned: members cannot be bound then. Adds the problems that are the
    /// same for all members.
    pub(crate) fn bindings(
        &mut self,
        node: &'p Named<NodeDecl>,
        task: &TaskDescription,
    ) -> Option<Vec<Binding<'p>>> {
        let before = self.problems.len();
        let mut bindings = Vec::new();
        let mut is_upstream_planned = true;
        for input in node.value.inputs.iter() {
            let Some(port) = task.inputs.iter().find(|it| it.name == input.name) else {
                let what = format!(
                    "input `{}` of node `{}` is no input port of task `{}`",
                    input.name, node.name, task.name
                );
                let mend =
                    did_you_mean(&input.name, "input port", task.inputs.iter().map(|it| it.name.as_str()));
                self.problems.add(input.at, Code("surplus-input"), what, mend);
                continue;
            };
            let mut reads = Vec::new();
            for reference in &input.value.0 {
                match self.checked(node, port, reference) {
                    Checked::Reads(output) => reads.push((reference, output)),
                    Checked::Wrong => {}
                    Checked::NotPlanned => is_upstream_planned = false,
                }
            }
            bindings.push(Binding { port: &input.name, arity: port.arity, at: input.at, reads });
        }
        for port in &task.inputs {
            let bound = node.value.inputs.get(&port.name);
            let is_empty = bound.is_none_or(|it| it.value.0.is_empty());
            if port.arity != Arity::Optional && is_empty {
                let what = format!(
                    "node `{}` has nothing at input `{}` of task `{}`",
                    node.name, port.name, task.name
                );
                let mend = format!("add `{} = \"…\"` to its `inputs`", port.name);
                self.problems.add(bound.map_or(node.at, |it| it.at), Code("missing-input"), what, mend);
            }
        }
        // Ports in the order of the task, whatever the file's.
        bindings.sort_by_key(|it| task.inputs.iter().position(|port| port.name == it.port));
        bindings.retain(|it| !it.reads.is_empty());
        (is_upstream_planned && self.problems.len() == before).then_some(bindings)
    }

    fn checked(&mut self, node: &Named<NodeDecl>, port: &InputPort, reference: &Reference) -> Checked {
        let Some(group) = self.groups.get(reference.node.as_str()) else { return Checked::NotPlanned };
        let Some(outputs) = &group.outputs else { return Checked::NotPlanned };
        let input = format!("input `{}` of node `{}`", port.name, node.name);
        let ports = || outputs.iter().map(|it| it.port.as_str());
        let output = match &reference.port {
            Some(name) => outputs.iter().position(|it| it.port == *name),
            None => (outputs.len() == 1).then_some(0),
        };
        let Some(output) = output else {
            let (what, mend) = match &reference.port {
                Some(name) => (
                    format!(
                        "{input} reads `{}.{name}`, but `{}` has no such output port",
                        reference.node, reference.node
                    ),
                    did_you_mean(name, "output port", ports()),
                ),
                None => (
                    format!("{input} reads `{}`, which has {} output ports", reference.node, outputs.len()),
                    format!("name one, as `{}.{}`", reference.node, ports().next().unwrap_or("port")),
                ),
            };
            self.problems.add(reference.at, Code("unknown-port"), what, mend);
            return Checked::Wrong;
        };
        if let Some((key, _)) = reference.wanted.iter().find(|(key, _)| !group.keys.contains(key)) {
            let (what, mend) = if group.keys.is_empty() {
                let what = format!("{input} picks `{key}` of `{}`, which is no family", reference.node);
                (what, format!("write `{}` alone, or give it a `for_each`", reference.node))
            } else {
                let what =
                    format!("{input} picks by `{key}`, which family `{}` does not loop over", reference.node);
                (what, did_you_mean(key, "key", group.keys.iter().map(String::as_str)))
            };
            self.problems.add(reference.at, Code("unknown-family-key"), what, mend);
            return Checked::Wrong;
        }
        let is_planned = group.state == GroupState::Planned;
        let misfits = match &outputs[output].columns {
            Some(known) => known.misfits(&port.columns, &reference.node, &input),
            None => Vec::new(),
        };
        let fits = misfits.is_empty();
        for it in misfits {
            self.problems.add(reference.at, it.code, it.what, it.mend);
        }
        match (fits, is_planned) {
            (false, _) => Checked::Wrong,
            (true, false) => Checked::NotPlanned,
            (true, true) => Checked::Reads(output),
        }
    }

    /// The tables of one member.
    pub(crate) fn bind_inputs(
        &mut self,
        node: &Named<NodeDecl>,
        bindings: &[Binding<'p>],
        scope: &Scope,
    ) -> Result<Vec<Input>, Vec<At<Problem>>> {
        let mut inputs = Vec::with_capacity(bindings.len());
        for binding in bindings {
            // Mostly one table for each; a sweep may have a million of these.
            let mut members = Vec::with_capacity(binding.reads.len());
            for (reference, output) in &binding.reads {
                let indices = self.members(node, binding, reference, scope).map_err(|it| vec![it])?;
                let group = &self.groups[reference.node.as_str()];
                members.extend(indices.into_iter().map(|it| Member {
                    node: group.nodes[it],
                    output: *output,
                    seen_as: Arc::clone(&group.seen_as[it]),
                }));
            }
            let count = members.len();
            if binding.arity != Arity::Many && count > 1 {
                let what = format!(
                    "input `{}` of node `{}` takes one table, but is given {count}",
                    binding.port, node.name
                );
                let mend = match binding.reads.first() {
                    Some((it, _)) if binding.reads.len() == 1 => self.pick_one(it),
                    _ => "give it one of them".to_owned(),
                };
                return Err(vec![At::new(Problem::new(Code("input-arity"), what, mend), binding.at)]);
            }
            inputs.push(Input { port: binding.port.to_owned(), members, look_back: None });
        }
        Ok(inputs)
    }

    fn pick_one(&self, reference: &Reference) -> String {
        let group = &self.groups[reference.node.as_str()];
        format!("pick one member, as `{}`", self.nodes[group.nodes[0]].name)
    }

    /// Positions in the plan of the members that a reference means.
    /// Positions among the group's nodes.
    fn members(
        &mut self,
        node: &Named<NodeDecl>,
        binding: &Binding<'_>,
        reference: &Reference,
        scope: &Scope,
    ) -> Result<Vec<usize>, At<Problem>> {
        let group: &Group = &self.groups[reference.node.as_str()];
        if reference.wanted.is_empty() {
            return Ok((0..group.nodes.len()).collect());
        }
        let mut wanted: Vec<(&str, Value)> = Vec::new();
        for (key, cell) in &reference.wanted {
            wanted.push((key, self.expressions.render(cell, scope)?));
        }
        let none = |why: String, mend: String| {
            let what =
                format!("input `{}` of node `{}` reads `{}`: {why}", binding.port, node.name, reference.node);
            Err(At::new(Problem::new(Code("no-such-member"), what, mend), reference.at))
        };
        match group.members.find(&wanted) {
            Err(it) => none(it.what, it.mend),
            Ok(found) if found.is_empty() => none(
                "no member has all these values".to_owned(),
                "pick values that occur together".to_owned(),
            ),
            Ok(found) => Ok(found.into_iter().collect()),
        }
    }
}

enum Checked {
    /// The position of the output.
    Reads(usize),
    Wrong,
    /// Nothing wrong here, but it was not planned because of problems already told.
    NotPlanned,
}
