//! From what wasmtime returned to how the attempt ended: which limit or trap, and where in the task.

use tidemill_plan::{Code, size_text};
use wasmtime::{Trap, WasmBacktrace};

use crate::attempt::{Failure, Outcome};
use crate::engine::BACKTRACE_FRAMES_MAX;
use crate::host::FailureKind;
use crate::state::{State, Stop};
use crate::wire::ErrorRecord;

/// Longest message of a task or panic that is passed on (characters).
const MESSAGE_CHARS_MAX: usize = 4096;
/// A backtrace of so few different functions that fills all its frames is a recursion.
const RECURSION_FUNCTIONS_MAX: usize = 8;

/// What calling `run` gave.
pub(crate) type Returned = wasmtime::Result<Result<(), ErrorRecord>>;

pub(crate) fn outcome(state: &mut State, returned: Returned) -> Outcome {
    if let Some(stop) = state.stop.take() {
        return match stop {
            // A fault that came first is the reason for what the guest did next.
            Stop::Failed(failure) => Outcome::Failed(state.fault.take().map_or(failure, Failure::from)),
            Stop::Interrupted(cause) => Outcome::Interrupted(cause),
        };
    }
    if let Some(fault) = state.fault.take() {
        return Outcome::Failed(fault.into());
    }
    match returned {
        Ok(Ok(())) => match missing_output(state) {
            None => Outcome::Done,
            Some(port) => Outcome::Failed(permanent(
                Code("output-missing"),
                format!("the task ended without creating its output `{port}`"),
                "create every declared output, even when it stays without rows",
            )),
        },
        Ok(Err(error)) => Outcome::Failed(Failure {
            code: Code("task-failed"),
            what: bounded(&error.message),
            mend: String::new(),
            kind: error.kind.into(),
        }),
        Err(error) => Outcome::Failed(trapped(state, &error)),
    }
}

fn missing_output(state: &State) -> Option<String> {
    let surroundings = state.surroundings.as_ref()?;
    let mut ports = surroundings.description.outputs.iter();
    ports.find(|it| !state.created.contains_key(&it.name)).map(|it| it.name.clone())
}

fn permanent(code: Code, what: String, mend: &str) -> Failure {
    Failure { code, what, mend: mend.to_owned(), kind: FailureKind::Permanent }
}

/// Explains an error of instantiation or of a call.
pub(crate) fn trapped(state: &State, error: &wasmtime::Error) -> Failure {
    let trap = error.downcast_ref::<Trap>().copied();
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let place = backtrace.and_then(place).map(|it| format!(" in `{it}`")).unwrap_or_default();
    if trap == Some(Trap::OutOfFuel) {
        let limit = state.limits.fuel.unwrap_or_default();
        let what = format!("the task used more than its limit of {limit} instructions{place}");
        return permanent(Code("fuel-limit"), what, "compute less, or raise `limits.fuel` of the node");
    }
    if state.memory.refused {
        let limit = size_text(state.limits.memory_bytes);
        let what = format!("the task needed more than its limit of {limit} of memory{place}");
        return permanent(
            Code("memory-limit"),
            what,
            "stream in smaller batches, or raise `resources.memory` of the node",
        );
    }
    if trap == Some(Trap::StackOverflow)
        || (trap == Some(Trap::MemoryOutOfBounds) && backtrace.is_some_and(is_recursion))
    {
        let what = format!("the task's calls are nested too deeply{place}");
        return permanent(Code("stack-limit"), what, "turn the recursion into a loop, or bound its depth");
    }
    if let Some((location, message)) = panic_message(&state.stderr.tail()) {
        let what = format!("the task panicked at {location}: {}", bounded(&message));
        return permanent(Code("task-panicked"), what, "");
    }
    unexpected(state, error, trap, &place)
}

fn unexpected(state: &State, error: &wasmtime::Error, trap: Option<Trap>, place: &str) -> Failure {
    if let Some(trap) = trap {
        let last_words = state.stderr.tail();
        let last_line = last_words.lines().rfind(|it| !it.trim().is_empty());
        let last_line = last_line.map(|it| format!("; its last words: {}", bounded(it))).unwrap_or_default();
        let what = format!("the task trapped{place}: {}{last_line}", trap_text(trap));
        return permanent(Code("task-trapped"), what, "");
    }
    let root = error.root_cause().to_string();
    if root.contains("maximum concurrent") {
        return Failure {
            code: Code("sandbox-full"),
            what: format!("there is no free place in the sandbox: {root}"),
            mend: "run fewer attempts at once".into(),
            kind: FailureKind::Retryable,
        };
    }
    if root.contains("handle limit exceeded") {
        let what = format!("the task holds too many handles of batches, columns and tables at once{place}");
        return permanent(Code("handle-limit"), what, "drop batches and columns when they are done with");
    }
    if root.contains("fuel allocated for hostcalls") {
        let what =
            format!("the task hands over more in one call than its memory or output limit allows{place}");
        return permanent(Code("output-limit"), what, "write smaller batches");
    }
    let what = format!("the task broke the contract{place}: {}", bounded(&root));
    permanent(Code("contract-broken"), what, "rebuild the task with the SDK of this release")
}

fn trap_text(trap: Trap) -> String {
    let text = trap.to_string();
    text.strip_prefix("wasm trap: ").unwrap_or(&text).replace('`', "'")
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        None => text.trim_end().to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

fn is_recursion(backtrace: &WasmBacktrace) -> bool {
    let frames = backtrace.frames();
    let functions: std::collections::HashSet<u32> =
        frames.iter().map(wasmtime::FrameInfo::func_index).collect();
    frames.len() >= BACKTRACE_FRAMES_MAX && functions.len() <= RECURSION_FUNCTIONS_MAX
}

/// The innermost function that is the task's own, not the machinery of a panic or an allocation.
fn place(backtrace: &WasmBacktrace) -> Option<String> {
    let text = backtrace.to_string();
    let functions: Vec<&str> =
        text.lines().filter_map(|it| it.split_once('!').map(|(_, function)| function.trim())).collect();
    let own = functions.iter().find(|it| !is_machinery(it)).or(functions.first())?;
    Some(without_hashes(own))
}

fn is_machinery(function: &str) -> bool {
    const MACHINERY: [&str; 12] = [
        "core",
        "std",
        "alloc",
        "dlmalloc",
        "wit_bindgen",
        "abort",
        "exit",
        "rust_panic",
        "memcpy",
        "memset",
        "malloc",
        "realloc",
    ];
    let function = function.trim_start_matches('<');
    let end = function.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(function.len());
    let (root, _) = function.split_at(end);
    root.starts_with('_') || MACHINERY.contains(&root)
}

/// Rust's names end in, or are sprinkled with, hashes that say nothing to a reader.
fn without_hashes(function: &str) -> String {
    let is_hash = |it: &str| {
        it.len() == 17 && it.starts_with('h') && it.chars().skip(1).all(|it| it.is_ascii_hexdigit())
    };
    let name = match function.rsplit_once("::") {
        Some((name, last)) if is_hash(last) => name,
        _ => function,
    };
    let mut clean = String::new();
    for (position, piece) in name.split('[').enumerate() {
        match piece.split_once(']') {
            Some((hash, rest))
                if position > 0 && hash.len() == 16 && hash.chars().all(|it| it.is_ascii_hexdigit()) =>
            {
                clean.push_str(rest);
            }
            _ if position > 0 => {
                clean.push('[');
                clean.push_str(piece);
            }
            _ => clean.push_str(piece),
        }
    }
    clean
}

/// Reads Rust's words about a panic: where, and what.
fn panic_message(stderr: &str) -> Option<(String, String)> {
    let (_, panicked) = stderr.rsplit_once("panicked at ")?;
    let (location, rest) = panicked.split_once(":\n").unwrap_or((panicked.trim_end(), ""));
    let message = rest.split("\nnote: run with").next().unwrap_or_default().trim_end();
    Some((location.to_owned(), message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_read_from_stderr() {
        let stderr = "before\n\nthread '<unnamed>' (1) panicked at src/lib.rs:9:5:\na price\nfor every day\n\
                      note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        let (location, message) = panic_message(stderr).expect("a panic");
        assert_eq!((location.as_str(), message.as_str()), ("src/lib.rs:9:5", "a price\nfor every day"));
        assert_eq!(panic_message("nothing happened"), None);
    }

    #[test]
    fn functions_are_named_without_hashes() {
        for (function, expected) in [
            ("misbehave::limits::traps::hafcf2ec3e8978aba", "misbehave::limits::traps"),
            ("std[390ecf3ee8bcda14]::sys::abort", "std::sys::abort"),
            ("<a[390ecf3ee8bcda14]::B as c[390ecf3ee8bcda14]::D<[u8]>>::run", "<a::B as c::D<[u8]>>::run"),
        ] {
            assert_eq!(without_hashes(function), expected);
        }
        let machinery = ["<core[1]::x as y>::z", "std::sys", "__rust_alloc", "abort"].map(is_machinery);
        assert_eq!((machinery, is_machinery("coreless::x")), ([true; 4], false));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let cut = bounded(&"ä".repeat(MESSAGE_CHARS_MAX + 9));
        assert_eq!(cut.chars().count(), MESSAGE_CHARS_MAX + 1);
    }
}
