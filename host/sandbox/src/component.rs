//! A component, checked, compiled and described: ready to run any number of attempts.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tidemill_plan::{Digest, TaskDescription};
use wasmtime::Engine;
use wasmtime::component::{ComponentExportIndex, InstancePre, Linker};

use crate::contract::{self, HandlerExport};
use crate::error::SandboxError;
use crate::state::State;

/// What every wasm file begins with.
const MAGIC: &[u8; 4] = b"\0asm";
/// Version and layer of a component; a core module has layer 0.
const COMPONENT: [u8; 2] = [1, 0];
const CORE_MODULE: [u8; 2] = [0, 0];

/// A task that was loaded. Clones share it.
#[derive(Clone)]
pub struct Component(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) interface: Interface,
    pub(crate) description: Arc<TaskDescription>,
    pub(crate) ready: Ready,
    /// The same for the engine that counts fuel, compiled when first needed.
    pub(crate) metered: OnceLock<Ready>,
    pub(crate) source: Source,
}

/// Where the bytes are found again.
pub(crate) enum Source {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

/// What a component asks for and offers.
pub(crate) struct Interface {
    pub(crate) handler: HandlerExport,
    pub(crate) imports: Vec<String>,
}

/// Linked: only instantiating is left.
pub(crate) struct Ready {
    pub(crate) instance: InstancePre<State>,
    pub(crate) describe: ComponentExportIndex,
    pub(crate) run: ComponentExportIndex,
}

impl Component {
    /// BLAKE3 of the file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    #[must_use]
    pub fn description(&self) -> &Arc<TaskDescription> {
        &self.0.description
    }

    /// Every interface that it imports, by full name, sorted.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.interface.imports
    }

    /// What it needs beyond its ports. Always empty: a component that needs a capability is refused, since none can
    /// be granted yet.
    #[must_use]
    pub fn capabilities(&self) -> &[String] {
        &[]
    }

    /// The version of the contract that it was built against.
    #[must_use]
    pub fn contract(&self) -> &str {
        &self.0.interface.handler.contract
    }

    /// Of the file.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("name", &self.0.name)
            .field("digest", &self.0.digest)
            .finish_non_exhaustive()
    }
}

/// Tells what is certainly not a component from the first bytes.
pub(crate) fn check_kind(name: &str, bytes: &[u8]) -> Result<(), SandboxError> {
    let component = name.to_owned();
    if bytes.get(..4) != Some(MAGIC) {
        return Err(SandboxError::NotWasm { component });
    }
    match bytes.get(6..8) {
        Some(layer) if layer == COMPONENT => Ok(()),
        Some(layer) if layer == CORE_MODULE => Err(SandboxError::CoreModule { component }),
        _ => Err(SandboxError::InvalidComponent {
            component,
            reason: "it ends within its header, or is of a layer that nobody knows".into(),
        }),
    }
}

/// Holds a component's imports and exports against the contract.
pub(crate) fn interface(
    name: &str,
    engine: &Engine,
    component: &wasmtime::component::Component,
) -> Result<Interface, SandboxError> {
    let ty = component.component_type();
    let mut imports: Vec<String> = ty.imports(engine).map(|(import, _)| import.to_owned()).collect();
    imports.sort();
    for import in &imports {
        contract::check_import(name, import)?;
    }
    let handler = contract::handler(name, ty.exports(engine).map(|(export, _)| export))?;
    Ok(Interface { handler, imports })
}

/// Links a component; what does not fit the contract's signatures is found here.
pub(crate) fn link(
    name: &str,
    linker: &Linker<State>,
    component: &wasmtime::component::Component,
    handler: &HandlerExport,
) -> Result<Ready, SandboxError> {
    let mismatch = |reason: String| SandboxError::ContractMismatch { component: name.to_owned(), reason };
    let instance = linker.instantiate_pre(component).map_err(|error| {
        let reason = format!("{error:#}");
        match unknown_function(&reason) {
            Some(import) => SandboxError::UnknownImport { component: name.to_owned(), import },
            None => mismatch(reason),
        }
    })?;
    let export = |function: &str| {
        let interface = component.get_export_index(None, &handler.name)?;
        component.get_export_index(Some(&interface), function)
    };
    let missing = |function: &str| mismatch(format!("`{}` lacks the function `{function}`", handler.name));
    let describe = export("describe").ok_or_else(|| missing("describe"))?;
    let run = export("run").ok_or_else(|| missing("run"))?;
    Ok(Ready { instance, describe, run })
}

/// A known interface of which the component wants a function that this host does not have; wasmtime says so in prose.
fn unknown_function(reason: &str) -> Option<String> {
    if !reason.contains("implementation is missing") {
        return None;
    }
    let names: Vec<&str> = reason.split('`').skip(1).step_by(2).take(2).collect();
    Some(names.join("#"))
}
