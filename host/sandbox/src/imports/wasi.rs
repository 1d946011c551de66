//! Stand-ins for what a language's runtime needs of WASI 0.2: no files, no environment, a clock and random numbers
//! that are the same at every replay. They are written here, not taken from a library that can do the real thing, so
//! that there is nothing in this process that a guest could be let at by mistake.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower, Resource, ResourceType};

use tidemill_plan::Code;

use super::data::push;
use super::wasi_io::{InputStream, OutputStream, Pollable};
use crate::host::{Fault, LogSource};
use crate::state::State;

type Store<'a> = StoreContextMut<'a, State>;

/// Most random bytes of one call.
const RANDOM_BYTES_MAX: u64 = 16 << 20;

/// Never made: there is no directory to make one of.
struct Descriptor;
struct DirectoryEntryStream;
/// Never made: nothing is a terminal.
struct Terminal<const INPUT: bool>;

/// Every function that needs a descriptor, and so can never be called.
const FILESYSTEM_FUNCTIONS: [&str; 28] = [
    "[method]descriptor.read-via-stream",
    "[method]descriptor.write-via-stream",
    "[method]descriptor.append-via-stream",
    "[method]descriptor.advise",
    "[method]descriptor.sync-data",
    "[method]descriptor.get-flags",
    "[method]descriptor.get-type",
    "[method]descriptor.set-size",
    "[method]descriptor.set-times",
    "[method]descriptor.read",
    "[method]descriptor.write",
    "[method]descriptor.read-directory",
    "[method]descriptor.sync",
    "[method]descriptor.create-directory-at",
    "[method]descriptor.stat",
    "[method]descriptor.stat-at",
    "[method]descriptor.set-times-at",
    "[method]descriptor.link-at",
    "[method]descriptor.open-at",
    "[method]descriptor.readlink-at",
    "[method]descriptor.remove-directory-at",
    "[method]descriptor.rename-at",
    "[method]descriptor.symlink-at",
    "[method]descriptor.unlink-file-at",
    "[method]descriptor.is-same-object",
    "[method]descriptor.metadata-hash",
    "[method]descriptor.metadata-hash-at",
    "[method]directory-entry-stream.read-directory-entry",
];

#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_cli(linker)?;
    link_terminals(linker)?;
    link_clocks(linker)?;
    link_random(linker)?;
    link_filesystem(linker)
}

fn link_cli(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut environment = linker.instance("wasi:cli/environment@0.2.0")?;
    environment.func_wrap("get-environment", |_: Store<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
    environment.func_wrap("get-arguments", |_: Store<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
    environment.func_wrap("initial-cwd", |_: Store<'_>, (): ()| Ok((None::<String>,)))?;
    let mut exit = linker.instance("wasi:cli/exit@0.2.0")?;
    exit.func_wrap("exit", |store: Store<'_>, (status,): (Result<(), ()>,)| {
        Err::<(), _>(exited(store, u32::from(status.is_err())))
    })?;
    exit.func_wrap("exit-with-code", |store: Store<'_>, (code,): (u8,)| {
        Err::<(), _>(exited(store, u32::from(code)))
    })?;
    linker
        .instance("wasi:cli/stdin@0.2.0")?
        .func_wrap("get-stdin", |mut store: Store<'_>, (): ()| Ok((push(store.data_mut(), InputStream)?,)))?;
    linker.instance("wasi:cli/stdout@0.2.0")?.func_wrap("get-stdout", |mut store: Store<'_>, (): ()| {
        Ok((push(store.data_mut(), OutputStream(LogSource::Stdout))?,))
    })?;
    linker.instance("wasi:cli/stderr@0.2.0")?.func_wrap("get-stderr", |mut store: Store<'_>, (): ()| {
        Ok((push(store.data_mut(), OutputStream(LogSource::Stderr))?,))
    })
}

fn exited(mut store: Store<'_>, code: u32) -> wasmtime::Error {
    let fault = Fault::permanent(
        Code("task-exited"),
        format!("the task ended its program with exit code {code} instead of returning"),
        "return a result from the task instead of calling `exit`",
    );
    store.data_mut().fail(fault).into()
}

fn link_terminals(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Input = Terminal<true>;
    type Output = Terminal<false>;
    linker.instance("wasi:cli/terminal-input@0.2.0")?.resource(
        "terminal-input",
        ResourceType::host::<Input>(),
        |_, _| Ok(()),
    )?;
    linker.instance("wasi:cli/terminal-output@0.2.0")?.resource(
        "terminal-output",
        ResourceType::host::<Output>(),
        |_, _| Ok(()),
    )?;
    linker
        .instance("wasi:cli/terminal-stdin@0.2.0")?
        .func_wrap("get-terminal-stdin", |_: Store<'_>, (): ()| Ok((None::<Resource<Input>>,)))?;
    linker
        .instance("wasi:cli/terminal-stdout@0.2.0")?
        .func_wrap("get-terminal-stdout", |_: Store<'_>, (): ()| Ok((None::<Resource<Output>>,)))?;
    linker
        .instance("wasi:cli/terminal-stderr@0.2.0")?
        .func_wrap("get-terminal-stderr", |_: Store<'_>, (): ()| Ok((None::<Resource<Output>>,)))
}

fn link_clocks(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut monotonic = linker.instance("wasi:clocks/monotonic-clock@0.2.0")?;
    monotonic
        .func_wrap("now", |mut store: Store<'_>, (): ()| Ok((store.data_mut().stand_ins.monotonic(),)))?;
    monotonic.func_wrap("resolution", |_: Store<'_>, (): ()| Ok((1_u64,)))?;
    monotonic.func_wrap("subscribe-instant", |mut store: Store<'_>, (when,): (u64,)| {
        Ok((push(store.data_mut(), Pollable::At(when))?,))
    })?;
    monotonic.func_wrap("subscribe-duration", |mut store: Store<'_>, (duration,): (u64,)| {
        let when = store.data().stand_ins.elapsed().saturating_add(duration);
        Ok((push(store.data_mut(), Pollable::At(when))?,))
    })?;
    let mut wall = linker.instance("wasi:clocks/wall-clock@0.2.0")?;
    wall.func_wrap("now", |mut store: Store<'_>, (): ()| {
        let ns = store.data_mut().stand_ins.wall();
        let nanoseconds = u32::try_from(ns % 1_000_000_000).expect("a remainder of a billion");
        Ok((Datetime { seconds: ns / 1_000_000_000, nanoseconds },))
    })?;
    wall.func_wrap("resolution", |_: Store<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))
}

fn link_random(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut random = linker.instance("wasi:random/random@0.2.0")?;
    random.func_wrap("get-random-bytes", |mut store: Store<'_>, (length,): (u64,)| {
        let length = random_length(&mut store, length)?;
        Ok((bytes::Bytes::from(store.data_mut().stand_ins.random(length)),))
    })?;
    random.func_wrap("get-random-u64", |mut store: Store<'_>, (): ()| {
        Ok((word(&store.data_mut().stand_ins.random(8)),))
    })?;
    let mut insecure = linker.instance("wasi:random/insecure@0.2.0")?;
    insecure.func_wrap("get-insecure-random-bytes", |mut store: Store<'_>, (length,): (u64,)| {
        let length = random_length(&mut store, length)?;
        Ok((bytes::Bytes::from(store.data_mut().stand_ins.insecure(length)),))
    })?;
    insecure.func_wrap("get-insecure-random-u64", |mut store: Store<'_>, (): ()| {
        Ok((word(&store.data_mut().stand_ins.insecure(8)),))
    })?;
    linker
        .instance("wasi:random/insecure-seed@0.2.0")?
        .func_wrap("insecure-seed", |store: Store<'_>, (): ()| Ok((store.data().stand_ins.hash_seed(),)))
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, it| sum << 8 | u64::from(*it))
}

fn random_length(store: &mut Store<'_>, length: u64) -> wasmtime::Result<usize> {
    if length > RANDOM_BYTES_MAX {
        let what =
            format!("the task asks for {length} random bytes at once; at most {RANDOM_BYTES_MAX} are given");
        return Err(store
            .data_mut()
            .fail(Fault::permanent(Code("random-limit"), what, "ask for less at once"))
            .into());
    }
    Ok(usize::try_from(length)?)
}

fn link_filesystem(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:filesystem/types@0.2.0")?;
    types.resource("descriptor", ResourceType::host::<Descriptor>(), |_, _| Ok(()))?;
    types.resource("directory-entry-stream", ResourceType::host::<DirectoryEntryStream>(), |_, _| Ok(()))?;
    for function in FILESYSTEM_FUNCTIONS {
        types.func_new(function, |_, _, _, _| Err(wasmtime::Error::msg("there are no files")))?;
    }
    types.func_new("filesystem-error-code", |_, _, _, results| {
        // No error of a stream is a file system's.
        results[0] = wasmtime::component::Val::Option(None);
        Ok(())
    })?;
    linker.instance("wasi:filesystem/preopens@0.2.0")?.func_wrap("get-directories", |_: Store<'_>, (): ()| {
        Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
    })
}
