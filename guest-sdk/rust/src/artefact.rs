//! Files that a task leaves beside its tables.

use std::fmt;
use std::io::{self, Write};

use crate::Result;
use crate::host::{Backend, Host};

/// Small writes are gathered to about this before they cross to the host.
const GATHERED_BYTES: usize = 64 << 10;

/// Leaves a file beside the task's tables, for people and other programs: a report, a chart, the weights of a model.
/// `tidemill runs artefacts` lists and downloads them. Larger than memory, or written bit by bit: [`Artefact`].
///
/// `name` is a file's name without folders, once per attempt: at most 120 bytes of letters, digits and `._-+=,()[]@`, the
/// first of them no `.`. `media_type` says what it holds, as `text/html; charset=utf-8`.
///
/// # Errors
/// Permanent when name or media type are not of this form, the name was used before, or there are more than 1,000 files;
/// the attempt has then failed, whatever the task returns. Past the output limit, which tables and artefacts share, the
/// attempt ends.
///
/// ```
/// use tidemill_task::prelude::*;
/// /// Leaves the weights that it has found.
/// #[task]
/// fn fit() -> Result<()> {
///     artefact("weights.json", "application/json", br#"{"A": 0.7, "B": 0.3}"#)
/// }
/// let outputs = Harness::new(fit_task).run().expect("runs");
/// assert_eq!(outputs.artefacts(), ["weights.json"]);
/// ```
pub fn artefact(name: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
    Backend::append(&mut Backend::artefact(name, media_type)?, bytes)
}

/// A file being written, for [`std::io::Write`] and all that writes to one: `write!`, a CSV writer, `serde_json::to_writer`.
/// It is kept as it is when the task ends well; dropping it closes it.
///
/// ```
/// use std::io::Write as _;
/// use tidemill_task::prelude::*;
/// /// Writes a table for people.
/// #[task]
/// fn tearsheet() -> Result<()> {
///     let mut file = Artefact::create("tearsheet.html", "text/html; charset=utf-8")?;
///     writeln!(file, "<h1>Replica</h1>")?;
///     for year in 2020..2023 {
///         writeln!(file, "<p>{year}</p>")?;
///     }
///     Ok(())
/// }
/// let (kind, bytes) = Harness::new(tearsheet_task).run().expect("runs").artefact("tearsheet.html").expect("left");
/// assert_eq!(kind, "text/html; charset=utf-8");
/// assert!(bytes.starts_with(b"<h1>Replica</h1>\n<p>2020</p>\n"));
/// ```
pub struct Artefact {
    file: <Backend as Host>::Artefact,
    gathered: Vec<u8>,
}

impl Artefact {
    /// Begins a file; see [`artefact()`] for what name and media type may be.
    ///
    /// # Errors
    /// As [`artefact()`].
    ///
    /// ```
    /// use tidemill_task::Artefact;
    /// assert!(Artefact::create("../weights.json", "application/json").is_err());
    /// ```
    pub fn create(name: &str, media_type: &str) -> Result<Self> {
        Ok(Self { file: Backend::artefact(name, media_type)?, gathered: Vec::new() })
    }

    fn pass_on(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let passed = Backend::append(&mut self.file, &self.gathered);
        self.gathered.clear();
        passed.map_err(|it| io::Error::other(it.message().to_owned()))
    }
}

impl Write for Artefact {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.len() + bytes.len() > GATHERED_BYTES {
            self.pass_on()?;
        }
        if bytes.len() > GATHERED_BYTES {
            let passed = Backend::append(&mut self.file, bytes);
            passed.map_err(|it| io::Error::other(it.message().to_owned()))?;
        } else {
            self.gathered.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()
    }
}

impl Drop for Artefact {
    fn drop(&mut self) {
        // Where the host refuses the rest, it fails the attempt itself.
        drop(self.pass_on());
    }
}

impl fmt::Debug for Artefact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artefact").finish_non_exhaustive()
    }
}
