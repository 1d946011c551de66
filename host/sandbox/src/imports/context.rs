//! `tidemill:task/context`: what a task knows of the run, and what it can say.

use tidemill_plan::Code;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use crate::contract::CONTEXT;
use crate::host::{Fault, LogLine, LogSource, MemberInfo};
use crate::state::State;
use crate::wire::{ErrorRecord, LevelEnum, LogFields, MemberRecord, ProgressRecord, WindowRecord};

/// Most bytes that one attempt can leave to the next.
pub const CHECKPOINT_BYTES_MAX: usize = 1 << 20;

type Store<'a> = StoreContextMut<'a, State>;

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_facts(linker)?;
    let mut context = linker.instance(CONTEXT)?;
    context.func_wrap(
        "log",
        |store: Store<'_>, (level, message, fields): (LevelEnum, WasmStr, LogFields)| {
            log(store, level, &message, &fields)
        },
    )?;
    context.func_wrap("progress", |mut store: Store<'_>, (done, total): (u64, Option<u64>)| {
        store.data_mut().surroundings("context.progress")?.host.progress(done, total);
        Ok(())
    })?;
    context.func_wrap("metric", |mut store: Store<'_>, (name, value): (String, f64)| {
        let state = store.data_mut();
        if !state.metrics.contains(&name) {
            // Names are what a flood would be made of.
            state.take_log(name.len() as u64 + 1)?;
            state.metrics.insert(name.clone());
        }
        state.surroundings("context.metric")?.host.metric(&name, value);
        Ok(())
    })?;
    context.func_wrap("checkpoint-save", |store: Store<'_>, (bytes,): (WasmList<u8>,)| {
        Ok((checkpoint_save(store, &bytes)?,))
    })?;
    context.func_wrap("checkpoint-load", |mut store: Store<'_>, (): ()| {
        let saved = store.data_mut().surroundings("context.checkpoint-load")?.host.checkpoint_load();
        Ok((saved.map(bytes::Bytes::from),))
    })?;
    Ok(())
}

fn link_facts(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut context = linker.instance(CONTEXT)?;
    context.func_wrap("parameters", |mut store: Store<'_>, (): ()| {
        Ok((store.data_mut().surroundings("context.parameters")?.parameters.clone(),))
    })?;
    context.func_wrap("identity", |mut store: Store<'_>, (): ()| {
        Ok((store.data_mut().surroundings("context.identity")?.identity.clone(),))
    })?;
    context.func_wrap("logical-time", |mut store: Store<'_>, (): ()| {
        Ok((store.data_mut().surroundings("context.logical-time")?.window.logical_time().0,))
    })?;
    context.func_wrap("window", |mut store: Store<'_>, (): ()| {
        let window = store.data_mut().surroundings("context.window")?.window;
        let record = WindowRecord {
            start: window.start.map(|it| it.0),
            end: window.end.map(|it| it.0),
            as_of: window.as_of.map(|it| it.0),
        };
        Ok((record,))
    })?;
    context.func_wrap("members", |mut store: Store<'_>, (port,): (String,)| {
        let members = store.data_mut().surroundings("context.members")?.members(&port);
        let record = |it: &MemberInfo| MemberRecord { node: it.node.clone(), key: it.key.clone() };
        let records: Vec<_> = members.iter().map(record).collect();
        Ok((records,))
    })?;
    context
        .func_wrap("progress-of", |store: Store<'_>, (port,): (String,)| Ok((progress_of(store, &port)?,)))?;
    Ok(())
}

fn progress_of(mut store: Store<'_>, port: &str) -> wasmtime::Result<Vec<ProgressRecord>> {
    let state = store.data_mut();
    let surroundings = state.surroundings("context.progress-of")?;
    if !surroundings.description.outputs.iter().any(|it| it.name == port) {
        return Ok(Vec::new());
    }
    match surroundings.host.progress_of(port) {
        Ok(entries) => {
            let records =
                entries.into_iter().map(|it| ProgressRecord { identifiers: it.identifiers, last: it.last.0 });
            Ok(records.collect())
        }
        // The contract has no error here: without its progress a task would compute something else.
        Err(fault) => Err(state.fail(fault).into()),
    }
}

fn log(
    mut store: Store<'_>,
    level: LevelEnum,
    message: &WasmStr,
    fields: &LogFields,
) -> wasmtime::Result<()> {
    // Many fields may lie over the same bytes of the guest, so room is taken before each is copied.
    let message = message.to_str(&store)?.into_owned();
    let left = |state: &State| state.limits.log_bytes.saturating_sub(state.log.used);
    let mut taken = message.len() as u64 + 1;
    let mut pairs = Vec::new();
    for index in 0..fields.len() {
        if taken > left(store.data()) {
            break;
        }
        let (name, value) = fields.get(&mut store, index).expect("the index is below the length")?;
        let (name, value) = (name.to_str(&store)?.into_owned(), value.to_str(&store)?.into_owned());
        taken = taken.saturating_add((name.len() + value.len() + 1) as u64);
        pairs.push((name, value));
    }
    if taken > left(store.data()) {
        // More than there is room for: ends the attempt.
        store.data_mut().take_log(taken)?;
    }
    let line = LogLine { level: level.into(), source: LogSource::Task, message, fields: pairs };
    store.data_mut().say(line)?;
    Ok(())
}

fn checkpoint_save(mut store: Store<'_>, bytes: &WasmList<u8>) -> wasmtime::Result<Result<(), ErrorRecord>> {
    if bytes.len() > CHECKPOINT_BYTES_MAX {
        let state = store.data_mut();
        state.surroundings("context.checkpoint-save")?;
        let fault = Fault::permanent(
            Code("checkpoint-too-large"),
            format!(
                "the task saves a checkpoint of {} bytes; at most {CHECKPOINT_BYTES_MAX} are kept",
                bytes.len()
            ),
            "keep less in the checkpoint, or write a table",
        );
        return Ok(Err(state.doom(fault)));
    }
    let copy = bytes.as_le_slice(&store).to_vec();
    let state = store.data_mut();
    let saved = state.surroundings("context.checkpoint-save")?.host.checkpoint_save(copy);
    Ok(saved.map_err(|fault| state.doom(fault)))
}
