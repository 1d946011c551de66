//! The compile cache is private, and nothing in it is believed that this user did not write.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tidemill_sandbox::{Options, Outcome, Sandbox, SandboxError};

use crate::driver::{LIMITS, TestHost, attempt};
use crate::guests;

fn open(dir: &Path) -> Result<Sandbox, SandboxError> {
    Sandbox::new(Options { cache_dir: Some(dir.to_owned()), instances_max: 2, ..Options::default() })
}

fn file(dir: &Path, extension: &str) -> PathBuf {
    let mut found = fs::read_dir(dir).unwrap().flatten().map(|it| it.path());
    found.find(|it| it.extension().is_some_and(|it| it == extension)).expect("the file is there")
}

#[track_caller]
fn works(dir: &Path) {
    let sandbox = open(dir).expect("the folder is fine");
    let component = sandbox.load(&guests::path("empty")).expect("a good component");
    let ended = sandbox.run(&component, &attempt("{}", LIMITS), &mut TestHost::default());
    assert_eq!(ended.outcome, Outcome::Done);
    assert_eq!(component.description().name, "empty");
}

#[test]
fn entries_and_key_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("a/b");
    works(&dir);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for path in [dir.join("key"), file(&dir, "cwasm"), file(&dir, "seal")] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_damaged_entry_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("cache");
    works(&dir);
    let good = fs::read(file(&dir, "cwasm")).unwrap();
    for extension in ["cwasm", "seal"] {
        let path = file(&dir, extension);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        works(&dir);
        fs::write(&path, b"").unwrap();
        works(&dir);
        assert_eq!(fs::read(file(&dir, "cwasm")).unwrap().len(), good.len(), "it was kept anew");
    }
}

#[test]
fn an_entry_sealed_with_another_key_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("cache");
    works(&dir);
    let sealed = fs::read(file(&dir, "seal")).unwrap();
    fs::write(dir.join("key"), [7; 32]).unwrap();
    works(&dir);
    assert_ne!(fs::read(file(&dir, "seal")).unwrap(), sealed, "it was sealed anew");
}

#[test]
fn a_folder_that_others_may_enter_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = open(dir.path()).expect_err("others may enter it");
    assert_eq!(error.code().0, "compile-cache-unusable");
    assert!(error.to_string().contains("755"), "{error}");
}
