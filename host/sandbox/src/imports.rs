//! What a guest may call.

use wasmtime::component::Linker;

use crate::state::State;

pub(crate) mod artefacts;
pub(crate) mod context;
pub(crate) mod data;
mod wasi;
mod wasi_io;

/// A linker with all that a task may import.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    data::link(&mut linker)?;
    artefacts::link(&mut linker)?;
    context::link(&mut linker)?;
    wasi_io::link(&mut linker)?;
    wasi::link(&mut linker)?;
    Ok(linker)
}
