//! What a node says besides its task: resources, limits, timeout, retry, write mode, priority.

use crate::defaults;
use crate::expression::{Expressions, Scope};
use crate::field::{Duration, Field, LookBack, Setting, Share, Size};
use crate::fields::Named;
use crate::file::{NodeDecl, RetryDecl};
use crate::mirror::Mirror;
use crate::nearest::did_you_mean;
use crate::planner::Machine;
use crate::text::{At, Offset};
use crate::units::{duration_text, size_text};
use crate::{
    Code, Corrections, Limits, Problem, Resources, Retry, RetryPolicy, TaskDescription, Time, WriteMode,
};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) look_back: Option<LookBack>,
    pub(crate) resources: Resources,
    pub(crate) limits: Limits,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) retry: Retry,
    pub(crate) write_mode: WriteMode,
    pub(crate) mirror: Option<Mirror>,
    pub(crate) first_time: Option<Time>,
    pub(crate) corrections: Corrections,
    pub(crate) priority: i32,
}

/// Evaluates fields in one scope.
struct Resolve<'a, 'env> {
    expressions: &'a mut Expressions<'env>,
    scope: &'a Scope,
}

impl Resolve<'_, '_> {
    fn get<T: Setting + Clone>(&mut self, field: Option<&Field<T>>) -> Result<Option<T>, At<Problem>> {
        field.map(|it| it.resolve(self.expressions, self.scope)).transpose()
    }
}

impl Settings {
    pub(crate) fn of(
        node: &Named<NodeDecl>,
        task: Option<&TaskDescription>,
        machine: &Machine,
        expressions: &mut Expressions<'_>,
        scope: &Scope,
    ) -> Result<Self, At<Problem>> {
        let mut resolve = Resolve { expressions, scope };
        let decl = &node.value;
        let asked = decl.resources.as_ref();
        let cpus = resolve.get(asked.and_then(|it| it.cpus.as_ref()))?;
        let memory = resolve.get(asked.and_then(|it| it.memory.as_ref()))?;
        let hint = task.and_then(|it| it.hints.memory_bytes);
        let resources = Resources {
            cpus_milli: cpus.map_or(defaults::CPUS_MILLI, |it| it.0),
            memory_bytes: memory.map(|it| it.0).or(hint).unwrap_or(defaults::MEMORY_BYTES),
        };
        let at = asked.map_or(node.at, |it| it.at);
        check_feasible(&format!("node `{}`", node.name), &resources, machine, at)?;
        let limits = decl.limits.as_ref();
        let or = |it: Option<Size>, default: u64| it.map_or(default, |it| it.0);
        let output = resolve.get(limits.and_then(|it| it.output.as_ref()))?;
        let log = resolve.get(limits.and_then(|it| it.log.as_ref()))?;
        let limits = Limits {
            output_bytes: or(output, defaults::LIMITS.output_bytes),
            log_bytes: or(log, defaults::LIMITS.log_bytes),
            fuel: resolve.get(limits.and_then(|it| it.fuel.as_ref()))?,
        };
        let retry = match &decl.retry {
            None => defaults::RETRY,
            Some(it) => retry(&node.name, it, &mut resolve)?,
        };
        let timeout = resolve.get(decl.timeout.as_ref())?;
        if timeout.is_some_and(|it| it.0 == 0) {
            let what = format!("`timeout` of node `{}` is zero, so that no attempt could succeed", node.name);
            return Err(At::new(
                Problem::new(Code("out-of-range"), what, "give it time, or remove `timeout`"),
                node.at,
            ));
        }
        let write_mode = resolve.get(decl.write_mode.as_ref())?.unwrap_or(defaults::WRITE_MODE);
        let first_time = resolve.get(decl.first_time.as_ref())?;
        let corrections = resolve.get(decl.corrections.as_ref())?.unwrap_or(defaults::CORRECTIONS);
        check_update(node, write_mode, first_time, corrections)?;
        Ok(Self {
            look_back: look_back(node, task, &mut resolve)?,
            resources,
            limits,
            timeout_ms: timeout.map(|it| it.0),
            retry,
            write_mode,
            mirror: resolve.get(decl.mirror.as_ref())?,
            first_time,
            corrections,
            priority: resolve.get(decl.priority.as_ref())?.unwrap_or(defaults::PRIORITY),
        })
    }

    /// Of a source: its own are not settable.
    pub(crate) fn of_source(machine: &Machine) -> Self {
        // A source streams, so it runs on whatever the machine has.
        let wanted = defaults::RESOURCES;
        Self {
            look_back: None,
            resources: Resources {
                cpus_milli: wanted.cpus_milli.min(machine.cpus_milli),
                memory_bytes: wanted.memory_bytes.min(machine.memory_bytes),
            },
            limits: defaults::LIMITS,
            timeout_ms: None,
            retry: defaults::RETRY,
            write_mode: defaults::WRITE_MODE,
            mirror: None,
            first_time: None,
            corrections: defaults::CORRECTIONS,
            priority: defaults::PRIORITY,
        }
    }
}

fn look_back(
    node: &Named<NodeDecl>,
    task: Option<&TaskDescription>,
    resolve: &mut Resolve<'_, '_>,
) -> Result<Option<LookBack>, At<Problem>> {
    let look_back = resolve.get(node.value.look_back.as_ref())?;
    if let (Some(LookBack::Ports(ports)), Some(task)) = (&look_back, task) {
        let known = || task.inputs.iter().map(|it| it.name.as_str());
        if let Some(port) = ports.keys().find(|port| !known().any(|it| it == *port)) {
            let what = format!(
                "`look_back` of node `{}` names `{port}`, which is no input port of task `{}`",
                node.name, task.name
            );
            let mend = did_you_mean(port, "input port", known());
            return Err(At::new(Problem::new(Code("surplus-input"), what, mend), node.at));
        }
    }
    Ok(look_back)
}

/// What only nodes have that add to their tables.
fn check_update(
    node: &Named<NodeDecl>,
    write_mode: WriteMode,
    first_time: Option<Time>,
    corrections: Corrections,
) -> Result<(), At<Problem>> {
    let refused = |key: &str, needs: &str| {
        let what = format!("node `{}` has `{key}`, which {needs}", node.name);
        let mend = format!("set `write_mode = \"upsert\"`, or remove `{key}`");
        Err(At::new(Problem::new(Code("update-settings"), what, mend), node.at))
    };
    if first_time.is_some() && write_mode == WriteMode::Replace {
        return refused("first_time", "means nothing where the whole table is written each time");
    }
    if corrections == Corrections::Recompute && write_mode != WriteMode::Upsert {
        return refused("corrections = \"recompute\"", "needs rows that may be replaced");
    }
    Ok(())
}

fn check_feasible(
    node: &str,
    resources: &Resources,
    machine: &Machine,
    at: Offset,
) -> Result<(), At<Problem>> {
    let infeasible = |what: String, most: String| {
        let problem = Problem::new(
            Code("infeasible-resources"),
            what,
            format!("ask for at most {most}, or use a larger machine"),
        );
        Err(At::new(problem, at))
    };
    let cores = |milli: u32| f64::from(milli) / 1000.0;
    if resources.cpus_milli > machine.cpus_milli {
        let (asked, has) = (cores(resources.cpus_milli), cores(machine.cpus_milli));
        return infeasible(
            format!("{node} needs {asked} cpus, but this machine has {has}"),
            format!("`cpus = {has}`"),
        );
    }
    if resources.memory_bytes > machine.memory_bytes {
        let (asked, has) = (size_text(resources.memory_bytes), size_text(machine.memory_bytes));
        let what = format!("{node} needs {asked} of memory, but this machine has {has}");
        return infeasible(what, format!("`memory = \"{has}\"`"));
    }
    Ok(())
}

fn retry(node: &str, decl: &RetryDecl, resolve: &mut Resolve<'_, '_>) -> Result<Retry, At<Problem>> {
    let wrong = |why: &str, mend: &str| {
        let what = format!("`retry` of node `{node}` {why}");
        Err(At::new(Problem::new(Code("retry-settings"), what, mend), decl.at))
    };
    let policy = resolve.get(decl.policy.as_ref())?;
    let max = resolve.get(decl.max.as_ref())?;
    let delay: Option<Duration> = resolve.get(decl.delay.as_ref())?;
    let max_delay: Option<Duration> = resolve.get(decl.max_delay.as_ref())?;
    let jitter: Option<Share> = resolve.get(decl.jitter.as_ref())?;
    let Some(policy) = policy else {
        return wrong("names no policy", "add `policy = \"exponential\"`, `\"linear\"` or `\"fixed\"`");
    };
    if policy == RetryPolicy::None {
        if max.is_some_and(|it| it > 0) || delay.is_some() || max_delay.is_some() || jitter.is_some() {
            return wrong(
                "has policy `none` and yet says how to retry",
                "name another policy, or remove the other keys",
            );
        }
        return Ok(defaults::RETRY);
    }
    let max = max.unwrap_or(defaults::RETRY_MAX);
    if max == 0 {
        return wrong(
            "has `max = 0`, so that nothing is retried",
            "give `max` 1 or more, or use policy `none`",
        );
    }
    let delay_ms = delay.map_or(defaults::RETRY_DELAY_MS, |it| it.0);
    let max_delay_ms = max_delay.map_or(defaults::RETRY_MAX_DELAY_MS.max(delay_ms), |it| it.0);
    if max_delay_ms < delay_ms {
        let why = format!(
            "has `max_delay` {} below `delay` {}",
            duration_text(max_delay_ms),
            duration_text(delay_ms)
        );
        return wrong(&why, "raise `max_delay`, or lower `delay`");
    }
    Ok(Retry {
        policy,
        max,
        delay_ms,
        max_delay_ms,
        jitter: jitter.map_or(defaults::RETRY_JITTER, |it| it.0),
    })
}
