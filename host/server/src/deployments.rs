//! Deployed versions of pipelines as folders: the files of a version at their places, linked from where they are kept
//! by digest. A folder is made of what the store says whenever it is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_driver::{Deployed, Soon};
use tidemill_plan::{Code, Digest, Machine, PlanNode, Problem, Work, nearest};
use tidemill_store::{
    DeployedAs, MirrorDatabase, MirrorFilter, NewVersion, PipelineFile, Store, Uses, Version, VersionRow,
};

use crate::files::Files;
use crate::lock::data_unusable;
use crate::planning::{self, Draft, Planned};
use crate::registry::ComponentRef;
use crate::upload::Temporary;
use crate::{ApiProblem, Registry, clock, task};

/// Names that are compared with one that is not known.
const NAMES_MAX: u32 = 1000;
/// Tables of the mirror that are looked through.
const MIRRORS_MAX: u32 = 100_000;
/// Files of one version.
const FILES_MAX: usize = 100_000;

/// Makes versions, and finds them again.
#[derive(Clone, Debug)]
pub struct Deployments {
    store: Store,
    registry: Arc<Registry>,
    files: Files,
    dir: PathBuf,
    mirror: Option<MirrorDatabase>,
}

impl tidemill_driver::Deployments for Deployments {
    fn materialise<'a>(
        &'a self,
        pipeline: &'a str,
        version: i64,
        pins: Option<&'a BTreeMap<String, Digest>>,
    ) -> Soon<'a, Result<Deployed, Problem>> {
        Box::pin(Self::materialise(self, pipeline, version, pins))
    }
}

impl Deployments {
    pub(crate) fn new(
        store: Store,
        registry: Arc<Registry>,
        files: Files,
        dir: PathBuf,
        mirror: Option<MirrorDatabase>,
    ) -> Self {
        Self { store, registry, files, dir, mirror }
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// A version with its files in place. Tags mean what they point at now, unless `pins` says otherwise: a run pins
    /// them when it begins ([`Store::pin_run`]).
    ///
    /// # Errors
    /// `unknown-pipeline`; what is missing of it.
    pub async fn materialise(
        &self,
        pipeline: &str,
        version: i64,
        pins: Option<&BTreeMap<String, Digest>>,
    ) -> Result<Deployed, Problem> {
        let found = self.version(pipeline, Some(version)).await.map_err(ApiProblem::into_first)?;
        let mut components = BTreeMap::new();
        for (reference, uses) in &found.components {
            let digest = match pins.and_then(|it| it.get(reference)) {
                Some(digest) => *digest,
                None => self.digest_of(uses).await.map_err(ApiProblem::into_first)?,
            };
            components.insert(reference.clone(), (digest, self.registry.path(digest)));
        }
        let base = self.folder(&found.row);
        let (this, files, place) = (self.clone(), found.files, base.clone());
        task::blocking(move || this.place(&files, &place)).await.map_err(ApiProblem::into_first)??;
        Ok(Deployed { text: found.text.into(), file_name: found.row.file_name, base, components })
    }

    /// A version; `None`: the newest. Else the nearest name.
    pub(crate) async fn version(&self, name: &str, version: Option<i64>) -> Result<Version, ApiProblem> {
        if let Some(found) = self.store.pipeline(name, version).await? {
            return Ok(found);
        }
        let shown = name.escape_debug();
        if let (Some(version), Some(newest)) = (version, self.store.pipeline(name, None).await?) {
            let what = format!("pipeline `{shown}` has no version {version}");
            let mend = format!("its newest is {}", newest.row.version);
            return Err(ApiProblem::new(Code("unknown-pipeline"), what, mend));
        }
        let names: Vec<String> =
            self.store.pipelines(None, NAMES_MAX).await?.into_iter().map(|it| it.name).collect();
        let mend = match nearest(name, names.iter().map(String::as_str)) {
            Some(it) => format!("did you mean `{it}`? `tidemill pipelines` lists them"),
            None => {
                "deploy it with `tidemill deploy PATH`; `tidemill pipelines` lists what is there".to_owned()
            }
        };
        Err(ApiProblem::new(Code("unknown-pipeline"), format!("there is no pipeline `{shown}`"), mend))
    }

    /// Removes a version and its folder; what nothing else refers to goes with the next collection.
    pub(crate) async fn remove(&self, name: &str, version: i64) -> Result<VersionRow, ApiProblem> {
        let Some(row) = self.store.remove_version(name, version, clock::now()).await? else {
            let found = self.version(name, Some(version)).await;
            return found.map(|it| it.row);
        };
        let folder = self.folder(&row);
        let removed =
            task::blocking(move || std::fs::remove_dir_all(&folder).map_err(|e| (folder, e))).await?;
        match removed {
            Err((folder, e)) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(folder = %folder.display(), error = %e, "the folder of a removed version stays");
            }
            Ok(()) | Err(_) => {}
        }
        Ok(row)
    }

    /// What a reference means now.
    pub(crate) async fn digest_of(&self, uses: &Uses) -> Result<Digest, ApiProblem> {
        match uses {
            Uses::Pinned(digest) => {
                self.registry.find(&ComponentRef::Digest(*digest)).await?;
                Ok(*digest)
            }
            Uses::Tagged { name, tag } => Ok(self.registry.tag(name, tag).await?.digest),
        }
    }

    /// Checks a pipeline as `tidemill plan` does, and keeps it as the next version unless the newest says the same.
    pub(crate) async fn deploy(
        &self,
        draft: Draft,
        files: Vec<PipelineFile>,
        machine: Machine,
        who: String,
    ) -> Result<(VersionRow, DeployedAs), ApiProblem> {
        check_files(&files)?;
        let (text, file_name) = (draft.text.clone(), draft.file_name.clone());
        let Planned { name, summary, plan, uses, mirrored, sources: _ } =
            planning::plan(&self.registry, draft, machine).await?;
        if let Some(mirrored) = &mirrored {
            self.check_mirrors(mirrored, &name, plan.as_ref()).await?;
        }
        let this = self.clone();
        let (placed, files) = task::blocking(move || {
            let placed = Temporary::within(&this.dir)?;
            this.link(&files, placed.path())?;
            if let Some(plan) = &plan {
                check_sources(plan, placed.path())?;
            }
            Ok::<_, ApiProblem>((placed, files))
        })
        .await??;
        let digest = digest(&text, &file_name, &uses, &files);
        let deployed_at = clock::now();
        let (said, called) = (text.clone(), file_name.clone());
        let new = NewVersion {
            name,
            digest,
            file_name,
            text,
            summary,
            components: uses,
            files,
            deployed_at,
            deployed_by: who,
        };
        let (row, deployed) = self.store.deploy(new).await?;
        if deployed == DeployedAs::NewVersion {
            put_in_place(&placed, &self.folder(&row))?;
            self.forget_mirrors(&row.name, &said, &called).await?;
        }
        Ok((row, deployed))
    }

    /// Whoever writes into a table of the mirror goes on with it until his pipeline says otherwise.
    async fn check_mirrors(
        &self,
        mirrored: &str,
        name: &str,
        plan: Option<&tidemill_plan::Plan>,
    ) -> Result<(), ApiProblem> {
        if self.mirror.is_none() {
            return Err(crate::api::no_mirror(mirrored).into());
        }
        let nodes = plan.iter().flat_map(|it| &it.nodes);
        let targets: Vec<_> = nodes.flat_map(|it| &it.outputs).filter_map(|it| it.mirror.as_ref()).collect();
        for other in self.store.pipelines(None, NAMES_MAX).await?.into_iter().filter(|it| it.name != name) {
            let Some(other) = self.store.pipeline(&other.name, Some(other.version)).await? else { continue };
            let Ok(pipeline) = tidemill_plan::parse(&other.text, &other.row.file_name) else { continue };
            if let Some(target) = targets.iter().find(|it| pipeline.may_mirror(it)) {
                let other = other.row.name;
                let what = format!("`{target}` is where pipeline `{other}` mirrors a table");
                let mend = format!("name another table in `mirror`, or deploy `{other}` without that one");
                return Err(ApiProblem::new(Code("mirror-taken"), what, mend));
            }
        }
        Ok(())
    }

    /// What the newest version no longer mirrors is not waited for; the tables there stay as they are.
    async fn forget_mirrors(&self, name: &str, text: &str, file_name: &str) -> Result<(), ApiProblem> {
        if self.mirror.is_none() {
            return Ok(());
        }
        let Ok(pipeline) = tidemill_plan::parse(text, file_name) else { return Ok(()) };
        let known =
            self.store.mirrors(&MirrorFilter { limit: MIRRORS_MAX, ..MirrorFilter::default() }).await?;
        let gone = known.into_iter().filter(|it| it.pipeline == name).map(|it| it.target).filter(|it| {
            tidemill_plan::MirrorTarget::parse(it).is_some_and(|target| !pipeline.may_mirror(&target))
        });
        for target in gone {
            self.store.forget_mirror(&target, name).await?;
        }
        Ok(())
    }

    fn folder(&self, row: &VersionRow) -> PathBuf {
        self.dir.join(&row.name).join(row.version.to_string())
    }

    /// Makes the folder where it is missing.
    fn place(&self, files: &[PipelineFile], folder: &Path) -> Result<(), Problem> {
        if folder.is_dir() {
            return Ok(());
        }
        let placed = Temporary::within(&self.dir)?;
        self.link(files, placed.path())?;
        put_in_place(&placed, folder)
    }

    fn link(&self, files: &[PipelineFile], folder: &Path) -> Result<(), Problem> {
        let unusable = |path: &Path, e: std::io::Error| data_unusable(path, &e);
        std::fs::create_dir_all(folder).map_err(|e| unusable(folder, e))?;
        for it in files {
            if self.files.touch(it.digest)? != Some(it.bytes) {
                let what =
                    format!("the file `{}` ({}) was not uploaded, or has another size", it.path, it.digest);
                let mend = "upload it with `PUT /api/v1/files/DIGEST` first; `tidemill deploy` does";
                return Err(Problem::new(Code("file-not-uploaded"), what, mend));
            }
            let path = folder.join(&it.path);
            let parent = path.parent().expect("a file has a folder");
            std::fs::create_dir_all(parent).map_err(|e| unusable(parent, e))?;
            std::fs::hard_link(self.files.path(it.digest), &path).map_err(|e| unusable(&path, e))?;
        }
        Ok(())
    }
}

/// Whoever was first made the same.
fn put_in_place(placed: &Temporary, folder: &Path) -> Result<(), Problem> {
    let parent = folder.parent().expect("a version's folder has one");
    std::fs::create_dir_all(parent).map_err(|e| data_unusable(parent, &e))?;
    match std::fs::rename(placed.path(), folder) {
        Err(_) if folder.is_dir() => Ok(()),
        renamed => renamed.map_err(|e| data_unusable(folder, &e)),
    }
}

/// Paths that stay inside, each once, none the folder of another.
fn check_files(files: &[PipelineFile]) -> Result<(), Problem> {
    let bad = |what: String| {
        Problem::new(
            Code("bad-file-path"),
            what,
            "name files relative to the pipeline file, with `/`, each once",
        )
    };
    if files.len() > FILES_MAX {
        return Err(bad(format!("there are {} files, more than {FILES_MAX}", files.len())));
    }
    let mut seen = BTreeSet::new();
    for it in files {
        let path = it.path.as_str();
        let is_plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !is_plain || !planning::stays_inside(path) {
            return Err(bad(format!("`{}` is no path inside of the pipeline's folder", path.escape_debug())));
        }
        if !seen.insert(path) {
            return Err(bad(format!("`{path}` is there twice")));
        }
    }
    let is_folder_of = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|it| it.starts_with('/'));
    let nested = seen.iter().zip(seen.iter().skip(1)).find(|(a, b)| is_folder_of(a, b));
    match nested {
        Some((a, b)) => Err(bad(format!("`{a}` is a file, and the folder of `{b}`"))),
        None => Ok(()),
    }
}

/// What `tidemill plan` finds wrong with the files of sources.
fn check_sources(plan: &tidemill_plan::Plan, folder: &Path) -> Result<(), ApiProblem> {
    let previews = tidemill_driver::preview(plan, None, folder);
    // A table of the service may be there by the time of a run.
    let is_of_files = |it: &PlanNode| !matches!(&it.work, Work::Source(spec) if spec.table().is_some());
    let checked = previews.into_iter().zip(&plan.nodes).filter(|(_, node)| is_of_files(node));
    let failures = checked.filter_map(|(it, _)| it.failure);
    let problems: Vec<Problem> = failures.map(|it| Problem::new(it.code, it.what, it.mend)).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
}

/// Of all that makes a version; equal versions have equal ones.
fn digest(text: &str, file_name: &str, uses: &BTreeMap<String, Uses>, files: &[PipelineFile]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let mut part = |it: &str| {
        hasher.update(&(it.len() as u64).to_le_bytes());
        hasher.update(it.as_bytes());
    };
    part(text);
    part(file_name);
    for (reference, of) in uses {
        part(reference);
        match of {
            Uses::Pinned(digest) => part(&digest.to_string()),
            Uses::Tagged { name, tag } => part(&format!("{name}:{tag}")),
        }
    }
    let files: BTreeMap<&str, &PipelineFile> = files.iter().map(|it| (it.path.as_str(), it)).collect();
    for (path, it) in files {
        part(path);
        part(&it.digest.to_string());
    }
    Digest(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(paths: &[&str]) -> Option<String> {
        let file = |it: &&str| PipelineFile { path: (*it).to_owned(), digest: Digest::of(b""), bytes: 0 };
        check_files(&paths.iter().map(file).collect::<Vec<_>>()).err().map(|it| it.what)
    }

    #[test]
    fn files_stay_in_the_folder_of_their_pipeline() {
        assert_eq!(refusal(&["a", "data/b.csv", "data.csv", "data-x/c"]), None);
        for path in ["../a", "/a", "a/../../b", "a//b", "./a", "a/", "", ".", "a\\b"] {
            assert!(refusal(&[path]).is_some(), "{path}");
        }
        assert!(refusal(&["a", "a"]).expect("refused").contains("twice"));
        assert!(refusal(&["a/b", "a"]).expect("refused").contains("folder of"));
    }
}
