//! Components: their bytes by digest in a folder, held against the contract before they are kept, found by name and tag.

use std::path::PathBuf;
use std::sync::Arc;

use tidemill_plan::{Code, Digest, Problem, nearest};
use tidemill_sandbox::{Component, Sandbox};
use tidemill_store::{ComponentRow, Motion, NewComponent, NewTag, Pushed, Store, TagRow};
use tokio::sync::{Mutex, Semaphore};

use crate::lock::data_unusable;
use crate::upload::Received;
use crate::{ApiProblem, clock, task};

/// The tag that a name alone means.
pub(crate) const LATEST: &str = "latest";
const TAG_CHARS_MAX: usize = 100;
/// Names that are compared with one that is not known.
const NAMES_MAX: u32 = 1000;

/// What is kept of components besides what the store knows.
#[derive(Debug)]
pub struct Registry {
    store: Store,
    dir: PathBuf,
    sandbox: Arc<Sandbox>,
    /// Compiling takes a core; requests keep some.
    compiling: Semaphore,
    /// Held while bytes and rows change together, so that one that is pushed again while it is deleted keeps its bytes.
    changing: Mutex<()>,
}

/// How people name a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ComponentRef {
    Digest(Digest),
    Tagged { name: String, tag: String },
}

impl ComponentRef {
    /// `name`, `name:tag` or a digest.
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        if let Ok(digest) = text.parse() {
            return Ok(Self::Digest(digest));
        }
        let (name, tag) = text.split_once(':').unwrap_or((text, LATEST));
        let is_name = name.starts_with(|it: char| it.is_ascii_lowercase())
            && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_');
        if !is_name {
            let what = format!("`{}` names no component", text.escape_debug());
            let mend = "write `name`, `name:tag`, or a digest of 64 hex digits";
            return Err(Problem::new(Code("bad-component-name"), what, mend));
        }
        check_tag(tag)?;
        Ok(Self::Tagged { name: name.to_owned(), tag: tag.to_owned() })
    }
}

/// A tag as it may be set: a version (`1.2.0`, `v1.2.0-rc1`) never moves.
pub(crate) fn new_tag(tag: &str) -> Result<NewTag, Problem> {
    check_tag(tag)?;
    let motion = if is_version(tag) { Motion::Fixed } else { Motion::Free };
    Ok(NewTag { tag: tag.to_owned(), motion })
}

fn check_tag(tag: &str) -> Result<(), Problem> {
    let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-' | '+');
    let begins = tag.starts_with(|it: char| it.is_ascii_alphanumeric());
    if begins && tag.len() <= TAG_CHARS_MAX && tag.chars().all(fits) {
        return Ok(());
    }
    let what = format!("`{}` cannot be a tag", tag.escape_debug());
    let mend =
        format!("use up to {TAG_CHARS_MAX} letters, digits, `.`, `_`, `-` and `+`, a letter or digit first");
    Err(Problem::new(Code("bad-tag"), what, mend))
}

/// Three numbers, whatever follows them after `-` or `+`.
fn is_version(tag: &str) -> bool {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let numbers = tag.split(['-', '+']).next().unwrap_or(tag);
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    numbers.split('.').count() == 3 && numbers.split('.').all(is_number)
}

impl Registry {
    pub(crate) fn new(store: Store, dir: PathBuf, sandbox: Arc<Sandbox>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            store,
            dir,
            sandbox,
            compiling: Semaphore::new((cores / 2).max(1)),
            changing: Mutex::default(),
        }
    }

    #[must_use]
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// Where a component's bytes are.
    #[must_use]
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{digest}.wasm"))
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// Holds an upload against the contract: is it a component, may it import what it does, what does it say of itself.
    pub(crate) async fn check(&self, received: &Received) -> Result<Component, ApiProblem> {
        let path = received.path().to_owned();
        self.compile(move |sandbox| {
            let bytes = std::fs::read(&path).map_err(|e| data_unusable(&path, &e))?;
            sandbox.load_bytes("the upload", &bytes).map_err(|e| Problem::from(&e))
        })
        .await
    }

    /// Loads components that are kept.
    pub(crate) async fn load(&self, digest: Digest) -> Result<Component, ApiProblem> {
        let path = self.path(digest);
        self.compile(move |sandbox| sandbox.load(&path).map_err(|e| Problem::from(&e))).await
    }

    async fn compile(
        &self,
        load: impl FnOnce(&Sandbox) -> Result<Component, Problem> + Send + 'static,
    ) -> Result<Component, ApiProblem> {
        let _turn = self.compiling.acquire().await.expect("it is never closed");
        let sandbox = Arc::clone(&self.sandbox);
        Ok(task::blocking(move || load(&sandbox)).await??)
    }

    /// The component that is meant.
    pub(crate) async fn find(&self, reference: &ComponentRef) -> Result<ComponentRow, ApiProblem> {
        let digest = match reference {
            ComponentRef::Digest(digest) => *digest,
            ComponentRef::Tagged { name, tag } => self.tag(name, tag).await?.digest,
        };
        let row = self.store.component(digest).await?;
        row.ok_or_else(|| {
            let what = format!("there is no component `{digest}`");
            ApiProblem::new(Code("unknown-component"), what, "`tidemill components` lists them")
        })
    }

    /// Where a tag points; else the nearest name or tag.
    pub(crate) async fn tag(&self, name: &str, tag: &str) -> Result<TagRow, ApiProblem> {
        if let Some(row) = self.store.tag(name, tag).await? {
            return Ok(row);
        }
        let names = self.store.component_names(NAMES_MAX).await?;
        if !names.iter().any(|it| it == name) {
            let what = format!("there is no component `{name}`");
            let mend = match nearest(name, names.iter().map(String::as_str)) {
                Some(it) => format!("did you mean `{it}`? `tidemill components` lists them"),
                None => "push it first; `tidemill components` lists what is there".to_owned(),
            };
            return Err(ApiProblem::new(Code("unknown-component"), what, mend));
        }
        let tags = self.store.tags(name, None, NAMES_MAX).await?;
        let what = format!("component `{name}` has no tag `{tag}`");
        let mend = match nearest(tag, tags.iter().map(|it| it.tag.as_str())) {
            Some(it) => format!("did you mean `{name}:{it}`? `tidemill components tags {name}` lists them"),
            None => format!("`tidemill components tags {name}` lists them"),
        };
        Err(ApiProblem::new(Code("unknown-tag"), what, mend))
    }

    /// Keeps an upload that was checked, and points tags at it. What is refused leaves nothing.
    pub(crate) async fn push(
        &self,
        received: Received,
        new: NewComponent,
        tags: Vec<NewTag>,
    ) -> Result<(ComponentRow, Pushed), ApiProblem> {
        let _changing = self.changing.lock().await;
        let (digest, path) = (new.digest, self.path(new.digest));
        // First the bytes, then what says that they are there.
        task::blocking(move || received.keep(&path)).await??;
        let pushed = self.store.push_component(new, tags).await;
        if pushed.is_err() && matches!(self.store.component(digest).await, Ok(None)) {
            self.unlink(&[digest]);
        }
        Ok(pushed?)
    }

    pub(crate) async fn delete(&self, digest: Digest, who: String) -> Result<ComponentRow, ApiProblem> {
        let _changing = self.changing.lock().await;
        let row = self.store.delete_component(digest, clock::now(), who).await?;
        self.unlink(&[digest]);
        Ok(row)
    }

    /// Removes components that nothing refers to and that were pushed before a time.
    pub(crate) async fn collect(&self, pushed_before: i64) -> Result<Vec<Digest>, ApiProblem> {
        let _changing = self.changing.lock().await;
        let unused = self.store.collect_components(pushed_before).await?;
        self.unlink(&unused);
        Ok(unused)
    }

    fn unlink(&self, digests: &[Digest]) {
        for it in digests {
            let path = self.path(*it);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), error = %e, "a deleted component's file stays");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_are_a_version_and_all_else_moves() {
        for (tag, is_version) in [
            ("1.2.0", true),
            ("v1.2.0", true),
            ("1.2.0-rc.1", true),
            ("1.2.0+build", true),
            ("1.2", false),
            ("1.2.3.4", false),
            ("latest", false),
            ("candidate-lasso2", false),
            ("1..2", false),
        ] {
            assert_eq!(super::is_version(tag), is_version, "{tag}");
        }
    }

    #[test]
    fn a_component_is_named_by_name_tag_or_digest_and_nothing_that_leaves_a_folder() {
        let tagged = |name: &str, tag: &str| ComponentRef::Tagged { name: name.into(), tag: tag.into() };
        assert_eq!(ComponentRef::read("returns").expect("a name"), tagged("returns", "latest"));
        assert_eq!(ComponentRef::read("returns:1.2.0").expect("a tag"), tagged("returns", "1.2.0"));
        let digest = Digest::of(b"x");
        assert_eq!(ComponentRef::read(&digest.to_string()).expect("a digest"), ComponentRef::Digest(digest));
        for wrong in ["", "../x", "x:../y", "x:", "X", "x:y:z", ".x", "x/y", "x:.."] {
            assert!(ComponentRef::read(wrong).is_err(), "{wrong}");
        }
    }
}
