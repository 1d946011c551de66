//! Why a task failed: a message and whether trying again may help.

use std::fmt;

/// What functions of a task return; `Result<()>` needs no second parameter.
///
/// ```
/// use tidemill_task::prelude::*;
/// fn parse(text: &str) -> Result<u32> {
///     Ok(text.trim().parse()?)
/// }
/// assert_eq!(parse(" 7 ").expect("a number"), 7);
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether trying again may help.
///
/// ```
/// use tidemill_task::{Error, Kind};
/// assert_eq!(Error::retryable("the feed is late").kind(), Kind::Retryable);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The same attempt may succeed later.
    Retryable,
    /// The same inputs will always fail.
    Permanent,
}

/// Why a task failed. `?` makes one (permanent) of every [`std::error::Error`], with its chain of causes.
///
/// ```
/// use tidemill_task::prelude::*;
/// let error = Error::permanent("window is empty").context("fit model");
/// assert_eq!(error.to_string(), "fit model: window is empty");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

impl Error {
    /// The same inputs will always fail.
    ///
    /// ```
    /// let error = tidemill_task::Error::permanent("no rows");
    /// assert_eq!(error.message(), "no rows");
    /// ```
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { kind: Kind::Permanent, message: message.into() }
    }

    /// The same attempt may succeed later; the node's retry policy decides when.
    ///
    /// ```
    /// let error = tidemill_task::Error::retryable("the feed is late");
    /// assert_eq!(error.message(), "the feed is late");
    /// ```
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { kind: Kind::Retryable, message: message.into() }
    }

    /// Whether trying again may help.
    ///
    /// ```
    /// use tidemill_task::{Error, Kind};
    /// assert_eq!(Error::permanent("no rows").kind(), Kind::Permanent);
    /// ```
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What failed, where, and how to mend it.
    ///
    /// ```
    /// assert_eq!(tidemill_task::Error::permanent("no rows").message(), "no rows");
    /// ```
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error with what was being done before it: verb and object, lower case.
    ///
    /// ```
    /// let error = tidemill_task::Error::permanent("no rows").context("fit model");
    /// assert_eq!(error.message(), "fit model: no rows");
    /// ```
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// As `Display`, so that a test that returns an error prints a sentence.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Permanent => f.write_str(&self.message),
            Kind::Retryable => write!(f, "{} (retryable)", self.message),
        }
    }
}

// `Error` itself is no `std::error::Error`: only so can this be said for all of them (anyhow does the same).
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::permanent(message)
    }
}

/// `.context("…")` on results and options.
///
/// ```
/// use tidemill_task::prelude::*;
/// let number: Result<u32> = "x".parse::<u32>().context("parse the window");
/// assert_eq!(number.unwrap_err().message(), "parse the window: invalid digit found in string");
/// let none: Result<u32> = None.context("the table has no rows");
/// assert_eq!(none.unwrap_err().message(), "the table has no rows");
/// ```
pub trait ErrorContext<T> {
    /// Says what was being done (of an option: what is missing).
    ///
    /// # Errors
    /// The error that was there, with `doing` before its message; of `None`, `doing`.
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> ErrorContext<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|it| it.into().context(doing))
    }
}

impl<T> ErrorContext<T> for Option<T> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error::permanent(doing.to_string()))
    }
}

/// Ends the function with a permanent error.
///
/// ```
/// use tidemill_task::prelude::*;
/// fn fit(rows: usize) -> Result<()> {
///     if rows == 0 {
///         bail!("no rows to fit on");
///     }
///     Ok(())
/// }
/// assert_eq!(fit(0).unwrap_err().message(), "no rows to fit on");
/// ```
#[macro_export]
macro_rules! bail {
    ($($message:tt)+) => { return ::core::result::Result::Err($crate::Error::permanent(::std::format!($($message)+))) };
}

/// Ends the function with a permanent error unless the condition holds.
///
/// ```
/// use tidemill_task::prelude::*;
/// fn fit(rows: usize) -> Result<()> {
///     ensure!(rows >= 2, "{rows} rows are too few to fit on");
///     Ok(())
/// }
/// assert_eq!(fit(1).unwrap_err().message(), "1 rows are too few to fit on");
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => { if !$condition { $crate::bail!($($message)+) } };
    ($condition:expr) => { $crate::ensure!($condition, "`{}` does not hold", ::core::stringify!($condition)) };
}
