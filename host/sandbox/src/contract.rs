//! The names that components use for the contract and for WASI, and which of them a task may import.

use crate::error::SandboxError;

/// The version of `tidemill:task` that this host supports; older minor versions are accepted.
pub const CONTRACT: &str = "1.1.0";
/// What of the contract enters the identity of a result. A minor version only adds, so what a component computes stays
/// the same under it, and with it what is cached; a major version raises this.
pub const CONTRACT_IDENTITY: &str = "1.0.0";

// A component that was built against an older minor version finds these, too: names match by major version.
pub(crate) const DATA: &str = "tidemill:task/data@1.1.0";
pub(crate) const ARTEFACTS: &str = "tidemill:task/artefacts@1.1.0";
pub(crate) const CONTEXT: &str = "tidemill:task/context@1.1.0";
const HANDLER: &str = "tidemill:task/handler";

/// WASI interfaces that stand-ins exist for; any 0.2 version of them.
const STAND_INS: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Packages that would be a capability, were it granted.
const CAPABILITIES: [&str; 2] = ["wasi:sockets/", "wasi:http/"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

/// The export that runs the task, and the contract's version that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandlerExport {
    pub(crate) name: String,
    pub(crate) contract: String,
}

/// Finds the handler among a component's exports and holds its version against ours.
pub(crate) fn handler<'a>(
    component: &str,
    exports: impl Iterator<Item = &'a str>,
) -> Result<HandlerExport, SandboxError> {
    for export in exports {
        let (interface, version) = split(export);
        if interface == HANDLER {
            check_contract(component, version)?;
            return Ok(HandlerExport { name: export.to_owned(), contract: version.to_owned() });
        }
    }
    Err(SandboxError::NotATask { component: component.to_owned() })
}

/// Refuses an import that a task may not have.
pub(crate) fn check_import(component: &str, import: &str) -> Result<(), SandboxError> {
    let (interface, version) = split(import);
    if interface.starts_with("tidemill:task/") {
        return check_contract(component, version);
    }
    let (component, import) = (component.to_owned(), import.to_owned());
    if CAPABILITIES.iter().any(|it| interface.starts_with(it)) {
        return Err(SandboxError::NotGranted { component, import });
    }
    let wasi_0_2 = parse(version).is_some_and(|it| (it.major, it.minor) == (0, 2));
    if STAND_INS.contains(&interface) && wasi_0_2 {
        return Ok(());
    }
    Err(SandboxError::UnknownImport { component, import })
}

fn check_contract(component: &str, version: &str) -> Result<(), SandboxError> {
    let ours = parse(CONTRACT).expect("the constant is a version");
    let (component, wanted) = (component.to_owned(), version.to_owned());
    match parse(version) {
        Some(it) if it.major == ours.major && it.minor <= ours.minor => Ok(()),
        Some(it) if it > ours => Err(SandboxError::NewerContract { component, wanted }),
        _ => Err(SandboxError::OtherContract { component, wanted }),
    }
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

/// A release version; pre-releases are nobody's promise and are refused as another contract.
fn parse(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(|it| it.parse::<u64>().ok());
    let version = Version { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(import: &str) -> &'static str {
        check_import("x", import).map_or_else(|error| error.code().0, |()| "granted")
    }

    #[test]
    fn a_minor_version_leaves_what_is_cached_valid() {
        let (ours, identity) = (parse(CONTRACT), parse(CONTRACT_IDENTITY));
        assert_eq!(identity, ours.map(|it| Version { minor: 0, patch: 0, ..it }));
    }

    #[test]
    fn imports_are_granted_or_refused_by_name_and_version() {
        for (import, expected) in [
            ("tidemill:task/data@1.0.0", "granted"),
            ("tidemill:task/data@1.0.9", "granted"),
            ("tidemill:task/data@1.1.0", "granted"),
            ("tidemill:task/data@1.2.0", "newer-contract"),
            ("tidemill:task/data@2.0.0", "newer-contract"),
            ("tidemill:task/data@0.9.0", "other-contract"),
            ("tidemill:task/data", "other-contract"),
            ("wasi:cli/stdout@0.2.0", "granted"),
            ("wasi:cli/stdout@0.2.11", "granted"),
            ("wasi:cli/stdout@0.3.0", "unknown-import"),
            ("wasi:cli/run@0.2.0", "unknown-import"),
            ("wasi:sockets/tcp@0.2.0", "capability-not-granted"),
            ("wasi:http/outgoing-handler@0.2.3", "capability-not-granted"),
            ("acme:thing/other@1.0.0", "unknown-import"),
            ("plain", "unknown-import"),
        ] {
            assert_eq!(refusal(import), expected, "{import}");
        }
    }
}
