//! `wasi:io`: stdin is at its end, stdout and stderr go to the attempt's log, and waiting takes no time.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType, WasmList};

use super::data::push;
use crate::host::LogSource;
use crate::state::State;

type Store<'a> = StoreContextMut<'a, State>;

/// How much a stream takes at once: what wasi-libc asks for.
const WRITE_BYTES_MAX: u64 = 64 << 10;

/// stdin: always at its end.
pub(super) struct InputStream;
/// stdout or stderr.
pub(super) struct OutputStream(pub(super) LogSource);
/// Never made: no stream fails in a way that it would describe.
pub(super) struct IoError;

/// Something to wait for.
#[derive(Clone, Copy)]
pub(super) enum Pollable {
    Now,
    /// A time of the monotonic clock (ns).
    At(u64),
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

type Written = (Result<(), StreamError>,);

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_error(linker)?;
    link_poll(linker)?;
    let mut streams = linker.instance("wasi:io/streams@0.2.0")?;
    streams.resource("input-stream", ResourceType::host::<InputStream>(), drop_handle::<InputStream>)?;
    streams.resource("output-stream", ResourceType::host::<OutputStream>(), drop_handle::<OutputStream>)?;
    link_input(linker)?;
    link_output(linker)
}

fn drop_handle<T: 'static>(mut store: Store<'_>, rep: u32) -> wasmtime::Result<()> {
    store.data_mut().table.delete(Resource::<T>::new_own(rep))?;
    Ok(())
}

fn link_error(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut error = linker.instance("wasi:io/error@0.2.0")?;
    error.resource("error", ResourceType::host::<IoError>(), drop_handle::<IoError>)?;
    error.func_wrap("[method]error.to-debug-string", |_: Store<'_>, (_error,): (Resource<IoError>,)| {
        Ok((String::from("closed"),))
    })
}

fn link_poll(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut poll = linker.instance("wasi:io/poll@0.2.0")?;
    poll.resource("pollable", ResourceType::host::<Pollable>(), drop_handle::<Pollable>)?;
    poll.func_wrap("[method]pollable.ready", |store: Store<'_>, (pollable,): (Resource<Pollable>,)| {
        let state = store.data();
        Ok((match state.table.get(&pollable)? {
            Pollable::Now => true,
            Pollable::At(when) => *when <= state.stand_ins.elapsed(),
        },))
    })?;
    poll.func_wrap("[method]pollable.block", |mut store: Store<'_>, (pollable,): (Resource<Pollable>,)| {
        let state = store.data_mut();
        if let Pollable::At(when) = *state.table.get(&pollable)? {
            state.stand_ins.advance_to(when);
        }
        Ok(())
    })?;
    poll.func_wrap("poll", |mut store: Store<'_>, (pollables,): (Vec<Resource<Pollable>>,)| {
        Ok((wait(store.data_mut(), &pollables)?,))
    })
}

/// What is ready; when nothing is, time moves to the earliest of what is waited for.
fn wait(state: &mut State, pollables: &[Resource<Pollable>]) -> wasmtime::Result<Vec<u32>> {
    let mut times = Vec::with_capacity(pollables.len());
    for pollable in pollables {
        times.push(match *state.table.get(pollable)? {
            Pollable::Now => 0,
            Pollable::At(when) => when,
        });
    }
    let Some(earliest) = times.iter().min().copied() else {
        return Err(wasmtime::Error::msg("poll of an empty list"));
    };
    state.stand_ins.advance_to(earliest);
    let now = state.stand_ins.elapsed();
    Ok((0_u32..).zip(times).filter(|(_, when)| *when <= now).map(|(index, _)| index).collect())
}

fn link_input(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut streams = linker.instance("wasi:io/streams@0.2.0")?;
    for name in ["[method]input-stream.read", "[method]input-stream.blocking-read"] {
        streams.func_wrap(name, |_: Store<'_>, (_stream, _length): (Resource<InputStream>, u64)| {
            Ok((Err::<bytes::Bytes, _>(StreamError::Closed),))
        })?;
    }
    for name in ["[method]input-stream.skip", "[method]input-stream.blocking-skip"] {
        streams.func_wrap(name, |_: Store<'_>, (_stream, _length): (Resource<InputStream>, u64)| {
            Ok((Err::<u64, _>(StreamError::Closed),))
        })?;
    }
    streams.func_wrap(
        "[method]input-stream.subscribe",
        |store: Store<'_>, (_stream,): (Resource<InputStream>,)| subscribe(store),
    )
}

fn subscribe(mut store: Store<'_>) -> wasmtime::Result<(Resource<Pollable>,)> {
    Ok((push(store.data_mut(), Pollable::Now)?,))
}

fn link_output(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Stream = Resource<OutputStream>;
    let mut streams = linker.instance("wasi:io/streams@0.2.0")?;
    streams.func_wrap("[method]output-stream.check-write", |_: Store<'_>, (_stream,): (Stream,)| {
        Ok((Ok::<u64, StreamError>(WRITE_BYTES_MAX),))
    })?;
    for name in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        streams.func_wrap(name, |store: Store<'_>, (stream, bytes): (Stream, WasmList<u8>)| {
            print(store, &stream, &bytes)
        })?;
    }
    for name in
        ["[method]output-stream.write-zeroes", "[method]output-stream.blocking-write-zeroes-and-flush"]
    {
        streams.func_wrap(name, |mut store: Store<'_>, (stream, length): (Stream, u64)| {
            let source = store.data().table.get(&stream)?.0;
            let zeroes = vec![0; usize::try_from(length.min(WRITE_BYTES_MAX))?];
            store.data_mut().print(source, &zeroes)?;
            Ok::<Written, wasmtime::Error>((Ok(()),))
        })?;
    }
    for name in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        streams.func_wrap(name, |_: Store<'_>, (_stream,): (Stream,)| {
            Ok::<Written, wasmtime::Error>((Ok(()),))
        })?;
    }
    for name in ["[method]output-stream.splice", "[method]output-stream.blocking-splice"] {
        streams.func_wrap(
            name,
            |_: Store<'_>, (_to, _from, _length): (Stream, Resource<InputStream>, u64)| {
                Ok((Err::<u64, _>(StreamError::Closed),))
            },
        )?;
    }
    streams.func_wrap("[method]output-stream.subscribe", |store: Store<'_>, (_stream,): (Stream,)| {
        subscribe(store)
    })
}

fn print(
    mut store: Store<'_>,
    stream: &Resource<OutputStream>,
    bytes: &WasmList<u8>,
) -> wasmtime::Result<Written> {
    let source = store.data().table.get(stream)?.0;
    // The log limit is below what a guest could print at once, and nothing past it is worth a copy.
    let room = usize::try_from(store.data().limits.log_bytes.saturating_add(1)).unwrap_or(usize::MAX);
    let bytes = bytes.as_le_slice(&store);
    let bytes = bytes[..bytes.len().min(room)].to_vec();
    store.data_mut().print(source, &bytes)?;
    Ok((Ok(()),))
}
