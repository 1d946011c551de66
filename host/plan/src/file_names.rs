//! Which names are allowed for what a pipeline file declares.

use crate::Code;
use crate::text::{Offset, Problems};

/// Whether a name can be part of a file name and of a reference.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(fits)
}

/// Names become file names and parts of references.
pub(crate) fn check_name(kind: &str, name: &str, at: Offset, problems: &mut Problems<'_>) {
    if !is_name(name) {
        let what = format!("{kind} name `{name}` is not allowed");
        let mend = format!(
            "use 1 to {NAME_BYTES_MAX} lower-case letters, digits, `_` and `-`, as `{}`",
            suggestion(name)
        );
        problems.add(at, Code("bad-name"), what, mend);
    }
}

/// A name with the digest behind it must fit into a file name of 255 bytes, with room for a port and for suffixes.
const NAME_BYTES_MAX: usize = 100;

fn suggestion(name: &str) -> String {
    let fitting = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().take(NAME_BYTES_MAX).map(fitting).collect();
    if name.is_empty() { "returns".to_owned() } else { name }
}

/// Names that expressions read.
pub(crate) fn check_identifier(kind: &str, name: &str, at: Offset, problems: &mut Problems<'_>) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !starts || name.len() > NAME_BYTES_MAX || !name.chars().all(fits) || RESERVED.contains(&name) {
        let mend = "use lower-case letters, digits and `_`, a letter first, and none of `run`, `true`, `false`, `none`, \
                    `and`, `or`, `not`, `in`, `is`, `if`, `else`";
        problems.add(at, Code("bad-name"), format!("{kind} name `{name}` is not allowed"), mend);
    }
}

const RESERVED: [&str; 11] = ["run", "true", "false", "none", "and", "or", "not", "in", "is", "if", "else"];
