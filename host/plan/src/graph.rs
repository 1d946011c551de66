//! The graph of a pipeline file: unknown nodes, cycles, and the order in which to plan.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::Code;
use crate::file::PipelineFile;
use crate::nearest::did_you_mean;
use crate::text::{Offset, Problems};

/// A source or a node, by position in the file's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decl {
    Source(usize),
    Node(usize),
}

struct Edge {
    to: usize,
    at: Offset,
}

struct Vertex<'f> {
    name: &'f str,
    decl: Decl,
    at: Offset,
    /// What it reads.
    needs: Vec<Edge>,
}

/// Sources and nodes, each after what it reads; those that do not depend on each other in the order of the file.
pub(crate) fn order(file: &PipelineFile, problems: &mut Problems<'_>) -> Vec<Decl> {
    let vertices = vertices(file, problems);
    let mut unmet: Vec<usize> = vertices.iter().map(|it| it.needs.len()).collect();
    let mut readers: Vec<Vec<usize>> = vertices.iter().map(|_| Vec::new()).collect();
    for (index, vertex) in vertices.iter().enumerate() {
        for edge in &vertex.needs {
            readers[edge.to].push(index);
        }
    }
    let none_unmet = |(index, _): (usize, &usize)| Reverse(index);
    let mut ready: BinaryHeap<Reverse<usize>> =
        unmet.iter().enumerate().filter(|(_, it)| **it == 0).map(none_unmet).collect();
    let mut order = Vec::with_capacity(vertices.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(vertices[index].decl);
        for reader in &readers[index] {
            unmet[*reader] -= 1;
            if unmet[*reader] == 0 {
                ready.push(Reverse(*reader));
            }
        }
    }
    if order.len() < vertices.len() {
        report_cycles(&vertices, &mut unmet, &readers, problems);
    }
    order
}

fn vertices<'f>(file: &'f PipelineFile, problems: &mut Problems<'_>) -> Vec<Vertex<'f>> {
    let sources =
        file.sources.iter().enumerate().map(|(index, it)| (it.name.as_str(), it.at, Decl::Source(index)));
    let nodes = file.nodes.iter().enumerate().map(|(index, it)| (it.name.as_str(), it.at, Decl::Node(index)));
    let mut vertices: Vec<Vertex<'f>> =
        sources.chain(nodes).map(|(name, at, decl)| Vertex { name, decl, at, needs: Vec::new() }).collect();
    vertices.sort_by_key(|it| it.at);
    let by_name: HashMap<&str, usize> =
        vertices.iter().enumerate().map(|(index, it)| (it.name, index)).collect();
    for vertex in &mut vertices {
        let Decl::Node(index) = vertex.decl else { continue };
        for input in file.nodes.list[index].value.inputs.iter() {
            for reference in &input.value.0 {
                if let Some(to) = by_name.get(reference.node.as_str()) {
                    vertex.needs.push(Edge { to: *to, at: reference.at });
                    continue;
                }
                if file.nodes.declares(&reference.node) || file.sources.declares(&reference.node) {
                    continue;
                }
                let what = format!(
                    "input `{}` of node `{}` reads `{}`, which is no node and no source",
                    input.name, vertex.name, reference.node
                );
                let known = file.nodes.names().chain(file.sources.names());
                let mend = did_you_mean(&reference.node, "node", known);
                problems.add(reference.at, Code("unknown-node"), what, mend);
            }
        }
    }
    vertices
}

/// One problem for each cycle found by walking back from what could not be ordered.
fn report_cycles(
    vertices: &[Vertex<'_>],
    unmet: &mut [usize],
    readers: &[Vec<usize>],
    problems: &mut Problems<'_>,
) {
    while let Some(start) = unmet.iter().position(|it| *it > 0) {
        // Every vertex with an unmet need has an unmet vertex behind it, so this walk must meet itself.
        let mut path = vec![start];
        let (cycle, at) = loop {
            let last = path[path.len() - 1];
            let edge = vertices[last].needs.iter().find(|it| unmet[it.to] > 0).expect("an unmet need");
            if let Some(begin) = path.iter().position(|it| *it == edge.to) {
                break (path.split_off(begin), edge.at);
            }
            path.push(edge.to);
        };
        // Walked against the flow of data; told along it, from the first in the file.
        let mut names: Vec<usize> = cycle.iter().rev().copied().collect();
        let first = names.iter().enumerate().min_by_key(|(_, it)| **it).map_or(0, |(index, _)| index);
        names.rotate_left(first);
        names.push(names[0]);
        let told: Vec<&str> = names.iter().map(|it| vertices[*it].name).collect();
        let what = format!("nodes need each other in a cycle: `{}`", told.join(" → "));
        problems.add(at, Code("cycle"), what, "remove one of these inputs");
        release(&cycle, unmet, readers);
    }
}

/// Forgets a reported cycle and all that waits for nothing else.
fn release(cycle: &[usize], unmet: &mut [usize], readers: &[Vec<usize>]) {
    let mut done: Vec<usize> = cycle.to_vec();
    for it in cycle {
        unmet[*it] = 0;
    }
    while let Some(index) = done.pop() {
        for reader in &readers[index] {
            if unmet[*reader] > 0 {
                unmet[*reader] -= 1;
                if unmet[*reader] == 0 {
                    done.push(*reader);
                }
            }
        }
    }
}
