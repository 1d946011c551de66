//! The services that this user has logged in to: addresses and tokens, in a file that nobody else can read.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::{Deserialize, Serialize};
use tidemill_plan::{Code, Problem};

/// A service, and how to talk to it.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) url: Url,
    pub(crate) token: Option<String>,
    /// A certificate to trust besides the usual ones.
    pub(crate) ca: Option<PathBuf>,
}

/// All that is known of services.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    path: PathBuf,
    book: Book,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    /// The one that is meant where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    hosts: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
}

/// Reads an address.
pub(crate) fn read_url(text: &str) -> Result<Url, Problem> {
    let bad = |why: &str| {
        let what = format!("`{text}` is no address of a service: {why}");
        Problem::new(
            Code("bad-host"),
            what,
            "write it as `tidemill serve` prints it, such as `http://127.0.0.1:7433`",
        )
    };
    let url = Url::parse(text).map_err(|e| bad(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("it begins with neither `http://` nor `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(bad("it holds more than a place"));
    }
    Ok(url)
}

impl Hosts {
    /// # Errors
    /// When the file is there and cannot be read.
    pub(crate) fn read() -> Result<Self, Problem> {
        let Some(path) = path() else { return Ok(Self::default()) };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path, book: Book::default() });
            }
            Err(e) => return Err(unusable(&path, &e.to_string())),
        };
        let book = toml::from_str(&text).map_err(|e| unusable(&path, e.message()))?;
        Ok(Self { path, book })
    }

    pub(crate) fn get(&self, url: &Url) -> Option<Host> {
        let entry = self.book.hosts.get(url.as_str())?.clone();
        Some(Host { url: url.clone(), token: Some(entry.token), ca: entry.ca })
    }

    pub(crate) fn current(&self) -> Option<Host> {
        self.get(&Url::parse(self.book.current.as_ref()?).ok()?)
    }

    /// Keeps a service, and means it from here on.
    pub(crate) fn add(&mut self, url: &Url, token: String, ca: Option<PathBuf>) -> Result<(), Problem> {
        self.book.hosts.insert(url.to_string(), Entry { token, ca });
        self.book.current = Some(url.to_string());
        self.write()
    }

    /// Forgets a service; false when it was not known.
    pub(crate) fn remove(&mut self, url: &Url) -> Result<bool, Problem> {
        let is_known = self.book.hosts.remove(url.as_str()).is_some();
        if self.book.current.as_deref() == Some(url.as_str()) {
            self.book.current = None;
        }
        self.write()?;
        Ok(is_known)
    }

    fn write(&self) -> Result<(), Problem> {
        if self.path.as_os_str().is_empty() {
            let what = "there is no folder for this user's configuration";
            return Err(Problem::new(Code("hosts-unusable"), what, "set `XDG_CONFIG_HOME` or `HOME`"));
        }
        let text = toml::to_string(&self.book).expect("addresses and tokens are texts");
        write_private(&self.path, &text).map_err(|e| unusable(&self.path, &e.to_string()))
    }
}

/// By a rename, so that a token is never in a file that others can read, nor half of one in any.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().expect("the file has a folder");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| std::fs::rename(&temporary, path));
    if renamed.is_err() {
        // What went wrong before is what is told.
        std::fs::remove_file(&temporary).ok();
    }
    renamed
}

/// `tidemill/hosts.toml` in the user's configuration folder.
fn path() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|it| it.join(".config")))?;
    Some(folder.join("tidemill").join("hosts.toml"))
}

fn unusable(path: &Path, why: &str) -> Problem {
    let what = format!("`{}` cannot be used: {why}", path.display());
    Problem::new(Code("hosts-unusable"), what, "correct or remove the file, then `tidemill login URL` again")
}
