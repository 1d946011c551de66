//! Components on disk as the planner's catalog of tasks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_plan::{Catalog, CatalogEntry, Code, Digest, Pipeline, Problem};
use tidemill_sandbox::{Component, Sandbox};

/// The components that a pipeline names, loaded once each.
#[derive(Debug)]
pub struct Components {
    sandbox: Arc<Sandbox>,
    /// Folder of the pipeline file.
    base: PathBuf,
    paths: BTreeMap<String, PathBuf>,
    loaded: Mutex<BTreeMap<PathBuf, Result<Component, Problem>>>,
}

impl Components {
    #[must_use]
    pub fn new(sandbox: Arc<Sandbox>, base: PathBuf, pipeline: &Pipeline) -> Self {
        let paths = pipeline.task_references().into_iter();
        let paths = paths.map(|it| (it.to_owned(), base.join(pipeline.component_path(it)))).collect();
        Self { sandbox, base, paths, loaded: Mutex::default() }
    }

    /// Components whose places are known by the references that nodes use.
    #[must_use]
    pub fn at(sandbox: Arc<Sandbox>, base: PathBuf, paths: BTreeMap<String, PathBuf>) -> Self {
        Self { sandbox, base, paths, loaded: Mutex::default() }
    }

    #[must_use]
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// The loaded component of a digest.
    #[must_use]
    pub fn by_digest(&self, digest: &Digest) -> Option<Component> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.values().flatten().find(|it| it.digest() == *digest).cloned()
    }

    /// Where the component of a reference is.
    #[must_use]
    pub fn path_of(&self, reference: &str) -> PathBuf {
        self.paths.get(reference).cloned().unwrap_or_else(|| self.base.join(reference))
    }

    fn load(&self, reference: &str) -> Result<Component, Problem> {
        let path = self.path_of(reference);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(it) = loaded.get(&path) {
            return it.clone();
        }
        let result = if path.is_file() {
            self.sandbox.load(&path).map_err(|e| Problem::from(&e))
        } else {
            Err(no_component(reference, &path))
        };
        loaded.insert(path, result.clone());
        result
    }
}

impl Catalog for Components {
    fn find(&self, reference: &str) -> Result<CatalogEntry, Problem> {
        let component = self.load(reference)?;
        Ok(CatalogEntry { digest: component.digest(), description: Arc::clone(component.description()) })
    }
}

fn no_component(reference: &str, path: &Path) -> Problem {
    let folder = path.parent().unwrap_or(Path::new("."));
    let there: Vec<String> = folder
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|it| {
            let path = it.path();
            let is_component = path.extension().is_some_and(|it| it == "wasm");
            is_component.then(|| path.file_stem().map(|it| it.to_string_lossy().into_owned())).flatten()
        })
        .collect();
    let build = format!(
        "compile the task with `tidemill build CRATE --output {}`, or, where its crate lies below `{}`, with `tidemill build {}`",
        folder.display(),
        build_folder(folder).display(),
        build_folder(folder).display()
    );
    let mend = match tidemill_plan::nearest(reference, there.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean `{nearest}`? otherwise {build}"),
        None => build,
    };
    Problem::new(
        Code("unknown-task"),
        format!("task `{reference}` has no component at `{}`", path.display()),
        mend,
    )
}

/// Where the task crates of a `components` folder are.
fn build_folder(components: &Path) -> &Path {
    let parent = components.parent().unwrap_or(components);
    if parent.as_os_str().is_empty() { Path::new(".") } else { parent }
}
