//! Files that a task leaves: what arrives, and what ends the attempt.

use tidemill_plan::Code;
use tidemill_sandbox::{ARTEFACTS_MAX, FailureKind, Fault, Outcome};

use crate::driver::{LIMITS, TestHost, fails, failure, misbehave};

#[test]
fn files_arrive_piece_by_piece_under_their_names() {
    let mut host = TestHost::default();
    let ended = misbehave("artefacts", &mut host);
    assert_eq!(ended.outcome, Outcome::Done);
    let artefacts = host.artefacts.lock().unwrap();
    let found: Vec<_> = artefacts
        .iter()
        .map(|(name, (kind, bytes))| (name.as_str(), kind.as_str(), bytes.as_slice()))
        .collect();
    assert_eq!(
        found,
        [
            ("chart.svg", "image/svg+xml", &b"<svg/>"[..]),
            ("empty", "text/plain", b""),
            ("report.txt", "text/plain", b"first, second"),
        ]
    );
    assert_eq!(ended.usage.bytes_out, 19, "they count as what the attempt wrote");
}

#[test]
fn a_name_that_leaves_its_folder_fails_the_attempt_and_reaches_nobody() {
    for what in ["artefact-escape", "artefact-long-name"] {
        let mut host = TestHost::default();
        fails(what, &mut host, "artefact-name", &["the task calls an artefact `"]);
        assert!(host.artefacts.lock().unwrap().is_empty());
        let failure = failure(misbehave(what, &mut host));
        assert!(failure.what.len() < 1000 && failure.mend.contains("120 bytes"), "{failure:?}");
    }
}

#[test]
fn a_media_type_that_is_none_fails_the_attempt() {
    fails("artefact-media-type", &mut TestHost::default(), "artefact-media-type", &[r"text/plain\r\nX-Evil"]);
}

#[test]
fn a_name_is_used_once() {
    fails("artefact-twice", &mut TestHost::default(), "artefact-twice", &["`report.txt`"]);
}

#[test]
fn too_many_files_end_at_the_limit() {
    let mut host = TestHost::default();
    fails("artefact-count", &mut host, "artefact-limit", &["1000 artefacts"]);
    assert_eq!(host.artefacts.lock().unwrap().len(), ARTEFACTS_MAX);
}

#[test]
fn a_flood_of_bytes_ends_at_the_output_limit() {
    let mut host = TestHost::default();
    fails("artefact-flood", &mut host, "output-limit", &["8MiB"]);
    let written = host.artefacts.lock().unwrap()["flood.bin"].1.len() as u64;
    assert_eq!(written, LIMITS.output_bytes, "all that fitted had arrived");
}

#[test]
fn what_cannot_be_kept_fails_the_attempt_with_its_reason() {
    let fault = Fault::retryable(Code("disk-full"), "the disk is full", "make room");
    let mut host = TestHost { artefact_fault: Some(fault), ..TestHost::default() };
    let failure = failure(misbehave("artefacts", &mut host));
    assert_eq!((failure.code, failure.kind), (Code("disk-full"), FailureKind::Retryable));
}
