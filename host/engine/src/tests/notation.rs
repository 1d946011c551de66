//! Short writing for runs, events and records. Holds no expectations.
//!
//! A plan is nodes separated by `;`, each `name`, then optionally `: needs…`, then `key=value`s (`cpus` in cores, default 1;
//! `memory`; `prio`; `timeout`; `retry=policy/max/delay`). A first part that starts with `!` is the run's: `keep-going`,
//! `cpus`, `memory`, `attempts`. The grace is 1000 ms.
//!
//! A script is steps separated by `,`, each optionally with a time `@ms` (which stays), then an event: `start`, `tick`
//! (also when there is only a time), `cancel`, or `ok`, `reused`, `fail` (retryable), `die` (permanent), `stopped` with an attempt. A `~` at the end of a
//! step: a crash kept only the first of its records.

use std::fmt::Write;

use crate::{
    AttemptId, Capacity, Engine, Event, Fact, Failure, NodeId, NodeSpec, OnFailure, Origin, Outcome, Retry,
    RetryPolicy, RunSpec, Timestamp,
};

pub(super) struct Run {
    names: Vec<String>,
    pub(super) engine: Engine,
    now: Timestamp,
}

/// One line per step: what it was, and what was recorded.
pub(super) fn transcript(plan: &str, script: &str) -> String {
    let mut run = Run::new(plan);
    let mut lines = String::new();
    for step in script.split(',') {
        let facts = run.step(step);
        writeln!(lines, "{} -> {}", step.trim(), if facts.is_empty() { "nothing" } else { &facts }).unwrap();
    }
    lines
}

impl Run {
    fn new(plan: &str) -> Self {
        let capacity = Capacity { cpus_milli: 100_000, memory_bytes: 100_000, attempts_max: 100 };
        let mut spec = RunSpec { stop_grace_ms: 1000, ..RunSpec::new(Vec::new(), capacity) };
        let mut names: Vec<String> = Vec::new();
        for part in plan.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            match part.strip_prefix('!') {
                Some(options) => options.split_whitespace().for_each(|word| set_option(&mut spec, word)),
                None => {
                    let (name, node_spec) = read_node(part, &names);
                    names.push(name);
                    spec.nodes.push(node_spec);
                }
            }
        }
        Self { names, engine: Engine::new(spec).unwrap(), now: Timestamp(0) }
    }

    fn step(&mut self, step: &str) -> String {
        let (step, kept_max) = match step.split_once('~') {
            Some((step, _)) => (step, 1),
            None => (step, usize::MAX),
        };
        let mut event = Event::Tick;
        let mut words = step.split_whitespace();
        while let Some(word) = words.next() {
            if let Some(ms) = word.strip_prefix('@') {
                self.now = Timestamp(ms.parse().unwrap());
                continue;
            }
            let outcome = match word {
                "start" => return self.perform(Event::Start, kept_max),
                "cancel" => return self.perform(Event::Cancel, kept_max),
                "tick" => return self.perform(Event::Tick, kept_max),
                "ok" => Outcome::Succeeded(Origin::Computed),
                "reused" => Outcome::Succeeded(Origin::Reused),
                "fail" => Outcome::Failed(Failure::Retryable),
                "die" => Outcome::Failed(Failure::Permanent),
                "stopped" => Outcome::Stopped,
                other => panic!("no such event: {other}"),
            };
            let (name, number) = words.next().unwrap().split_once('#').unwrap();
            let index = self.names.iter().position(|it| it == name).unwrap_or(999);
            let attempt = AttemptId { node: NodeId(index as u32), number: number.parse().unwrap() };
            event = Event::Report { attempt, outcome };
        }
        self.perform(event, kept_max)
    }

    fn perform(&mut self, event: Event, kept_max: usize) -> String {
        let records = self.engine.decide(self.now, event);
        let mut facts = Vec::new();
        for record in records.iter().take(kept_max) {
            self.engine.apply(record);
            facts.push(self.fact(record.fact));
        }
        facts.join("; ")
    }

    fn name(&self, node: NodeId) -> &str {
        &self.names[node.index()]
    }

    fn attempt(&self, attempt: AttemptId) -> String {
        format!("{}#{}", self.name(attempt.node), attempt.number)
    }

    fn fact(&self, fact: Fact) -> String {
        match fact {
            Fact::RunBegan => "run began".to_owned(),
            Fact::RunCancelled => "run cancelled".to_owned(),
            Fact::RunEnded { state } => format!("run ended {state:?}"),
            Fact::AttemptBegan { attempt, deadline: None } => format!("{} began", self.attempt(attempt)),
            Fact::AttemptBegan { attempt, deadline: Some(deadline) } => {
                format!("{} began until {}", self.attempt(attempt), deadline.0)
            }
            Fact::AttemptToldToStop { attempt, cause, until } => {
                format!("{} told to stop by {} ({cause:?})", self.attempt(attempt), until.0)
            }
            Fact::AttemptEnded { attempt, ending } => format!("{} ended {ending:?}", self.attempt(attempt)),
            Fact::RetryScheduled { node, due } => format!("{} retries at {}", self.name(node), due.0),
            Fact::RetryDue { node } => format!("{} due", self.name(node)),
            Fact::NodeSucceeded { node, .. } => format!("{} succeeded", self.name(node)),
            Fact::NodeFailed { node } => format!("{} failed", self.name(node)),
            Fact::NodeSkipped { node, because } => {
                format!("{} skipped because of {}", self.name(node), self.name(because))
            }
            Fact::NodeCancelled { node } => format!("{} cancelled", self.name(node)),
        }
    }
}

fn set_option(spec: &mut RunSpec, word: &str) {
    match word.split_once('=') {
        None if word == "keep-going" => spec.on_failure = OnFailure::KeepGoing,
        Some(("cpus", cores)) => spec.capacity.cpus_milli = cores.parse::<u64>().unwrap() * 1000,
        Some(("memory", bytes)) => spec.capacity.memory_bytes = bytes.parse().unwrap(),
        Some(("attempts", attempts)) => spec.capacity.attempts_max = attempts.parse().unwrap(),
        None | Some(_) => panic!("no such option: {word}"),
    }
}

fn read_node(part: &str, names: &[String]) -> (String, NodeSpec) {
    let mut node_spec = NodeSpec::default();
    node_spec.resources.cpus_milli = 1000;
    let mut words = part.split_whitespace();
    let name = words.next().unwrap().trim_end_matches(':').to_owned();
    for word in words {
        match word.split_once('=') {
            None => {
                let need = names.iter().position(|it| it == word).unwrap();
                node_spec.needs.push(NodeId(need as u32));
            }
            Some(("cpus", cores)) => node_spec.resources.cpus_milli = cores.parse::<u32>().unwrap() * 1000,
            Some(("memory", bytes)) => node_spec.resources.memory_bytes = bytes.parse().unwrap(),
            Some(("prio", priority)) => node_spec.priority = priority.parse().unwrap(),
            Some(("timeout", ms)) => node_spec.timeout_ms = Some(ms.parse().unwrap()),
            Some(("retry", retry)) => node_spec.retry = read_retry(retry),
            Some(_) => panic!("no such key: {word}"),
        }
    }
    (name, node_spec)
}

fn read_retry(text: &str) -> Retry {
    let parts: Vec<&str> = text.split('/').collect();
    let policy = match parts[0] {
        "fixed" => RetryPolicy::Fixed,
        "linear" => RetryPolicy::Linear,
        "exponential" => RetryPolicy::Exponential,
        other => panic!("no such policy: {other}"),
    };
    Retry {
        policy,
        max: parts[1].parse().unwrap(),
        delay_ms: parts[2].parse().unwrap(),
        max_delay_ms: 100_000,
        jitter: 0.0,
    }
}
