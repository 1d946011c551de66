//! `tidemill:task/artefacts`: files that a task leaves beside its tables.

use tidemill_plan::Code;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType, WasmList, WasmStr};

use super::data::{drop_handle, push};
use crate::contract::ARTEFACTS;
use crate::host::Fault;
use crate::state::{HeldArtefact, State};
use crate::wire::ErrorRecord;

/// Most files of one attempt.
pub const ARTEFACTS_MAX: usize = 1000;
/// Of a name: a file system takes 255, and whoever downloads may want to add to it.
const NAME_BYTES_MAX: usize = 120;
/// Of a media type: it becomes a header.
const MEDIA_TYPE_BYTES_MAX: usize = 120;

type Store<'a> = StoreContextMut<'a, State>;

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut artefacts = linker.instance(ARTEFACTS)?;
    artefacts.resource("artefact", ResourceType::host::<HeldArtefact>(), drop_handle::<HeldArtefact>)?;
    artefacts.func_wrap(
        "[method]artefact.write",
        |store: Store<'_>, (artefact, bytes): (Resource<HeldArtefact>, WasmList<u8>)| {
            Ok((write(store, &artefact, &bytes)?,))
        },
    )?;
    artefacts.func_wrap("create", |store: Store<'_>, (name, media_type): (WasmStr, WasmStr)| {
        Ok((create(store, &name, &media_type)?,))
    })?;
    Ok(())
}

fn create(
    mut store: Store<'_>,
    name: &WasmStr,
    media_type: &WasmStr,
) -> wasmtime::Result<Result<Resource<HeldArtefact>, ErrorRecord>> {
    let (name, media_type) = (name.to_str(&store)?.into_owned(), media_type.to_str(&store)?.into_owned());
    let state = store.data_mut();
    state.surroundings("artefacts.create")?;
    if let Err(fault) = check(state, &name, &media_type) {
        return Ok(Err(state.doom(fault)));
    }
    match state.surroundings("artefacts.create")?.host.artefact(&name, &media_type) {
        Ok(writer) => {
            state.artefacts.insert(name);
            push(state, HeldArtefact(writer)).map(Ok)
        }
        Err(fault) => Ok(Err(state.doom(fault))),
    }
}

fn check(state: &State, name: &str, media_type: &str) -> Result<(), Fault> {
    if !is_name(name) {
        return Err(Fault::permanent(
            Code("artefact-name"),
            format!("the task calls an artefact `{}`", shown(name)),
            format!(
                "use a file's name without folders: up to {NAME_BYTES_MAX} bytes of letters, digits and \
                 `._-+=,()[]@`, the first of them no `.`"
            ),
        ));
    }
    if !is_media_type(media_type) {
        return Err(Fault::permanent(
            Code("artefact-media-type"),
            format!("the task gives artefact `{name}` the media type `{}`", shown(media_type)),
            format!(
                "write it as `application/json` or `text/html; charset=utf-8`, in up to {MEDIA_TYPE_BYTES_MAX} bytes"
            ),
        ));
    }
    if state.artefacts.contains(name) {
        return Err(Fault::permanent(
            Code("artefact-twice"),
            format!("the task creates artefact `{name}` twice"),
            "create each once and write to it piece by piece, or use another name",
        ));
    }
    if state.artefacts.len() >= ARTEFACTS_MAX {
        return Err(Fault::permanent(
            Code("artefact-limit"),
            format!("the task creates more than {ARTEFACTS_MAX} artefacts"),
            "put what belongs together into one file, or write a table",
        ));
    }
    Ok(())
}

/// What a message can hold of a guest's text.
fn shown(text: &str) -> String {
    text.chars().take(NAME_BYTES_MAX).flat_map(char::escape_debug).collect()
}

/// A name that is the same file in any folder, and in no other.
fn is_name(name: &str) -> bool {
    let fits = |it: char| it.is_alphanumeric() || "._-+=,()[]@".contains(it);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.chars().all(fits)
}

/// `type/subtype`, perhaps with parameters; nothing that could end a header.
fn is_media_type(text: &str) -> bool {
    let is_token = |it: &str| {
        !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || "!#$&^_.+-".contains(it))
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let Some((kind, subtype)) = essence.trim_end_matches(' ').split_once('/') else { return false };
    text.len() <= MEDIA_TYPE_BYTES_MAX
        && is_token(kind)
        && is_token(subtype)
        && parameters.chars().all(|it| matches!(it, ' '..='~'))
}

fn write(
    mut store: Store<'_>,
    artefact: &Resource<HeldArtefact>,
    bytes: &WasmList<u8>,
) -> wasmtime::Result<Result<(), ErrorRecord>> {
    store.data_mut().take_output(bytes.len() as u64)?;
    // Its writer lies in the store, whose memory the bytes are.
    let copy = bytes.as_le_slice(&store).to_vec();
    let state = store.data_mut();
    if let Some(fault) = &state.fault {
        let fault = fault.clone();
        return Ok(Err(state.doom(fault)));
    }
    let written = state.table.get_mut(artefact)?.0.write(&copy);
    Ok(written.map_err(|fault| state.doom(fault)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_one_file_in_one_folder() {
        for name in ["weights.json", "a", "größe-2.csv", "leg[window=60].png", "a..b", &"x".repeat(120)] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(121);
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "../a",
            "/etc/passwd",
            "a\\b",
            "a\nb",
            "a\0",
            "a b",
            "~",
            "C:a",
            "a\"b",
            "a\u{202e}b",
            &long,
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_media_type_can_be_a_header() {
        for text in ["application/json", "text/html; charset=utf-8", "image/svg+xml", "a/b ;c=\"d\""] {
            assert!(is_media_type(text), "{text}");
        }
        let long = format!("text/{}", "x".repeat(120));
        for text in ["", "json", "text/", "/html", "text/html\r\nX: y", "text/a b", "téxt/html", &long] {
            assert!(!is_media_type(text), "{text:?}");
        }
    }
}
