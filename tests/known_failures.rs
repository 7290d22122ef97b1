//! `check --expected`: failures that are known, as a server's author meets them.

mod support;

use std::path::Path;

use reference_server::{Config, Fault};
use support::{Server, chatspec_off_the_runtime, reference};

async fn with_fault(name: &str) -> Server {
    reference(Config { fault: Some(Fault::named(name).expect("a fault")), ..Config::default() }).await
}

async fn check(server: &Server, file: &Path, more: &[&str]) -> (i32, String, String) {
    let file = file.display().to_string();
    let mut arguments = vec!["check", "--http", &server.http, "--ws", &server.ws, "--expected", &file];
    arguments.extend(more);
    chatspec_off_the_runtime(&arguments).await
}

fn written(dir: &tempfile::TempDir, text: &str) -> std::path::PathBuf {
    let file = dir.path().join("expected.yaml");
    std::fs::write(&file, text).expect("it can be written");
    file
}

const ERR_10: &str = "known-failures:\n  - what: ERR-10\n    reason: empty texts are welcome here\n    link: https://example.org/12\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_known_failure_stays_visible_and_costs_nothing() {
    let (server, dir) = (with_fault("empty-msg-is-invalid-data").await, tempfile::tempdir().expect("a folder"));
    let file = written(&dir, ERR_10);
    let (code, out, _) = check(&server, &file, &["--only", "ERR-10"]).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("ERR-10 fails, as expected: empty texts are welcome here <https://example.org/12>"), "{out}");
    assert!(out.contains("1 known to fail"), "{out}");
    assert!(!out.contains("VIOLATED ERR-10"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_list_still_fails() {
    let (server, dir) = (with_fault("empty-msg-is-invalid-data").await, tempfile::tempdir().expect("a folder"));
    let file = written(&dir, "known-failures:\n  - what: ERR-1\n    reason: it is another\n");
    let (code, out, _) = check(&server, &file, &["--only", "ERR-10"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("VIOLATED ERR-10"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_passes_has_expired_or_means_nothing_fails() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = reference(Config::default()).await;
    let (code, out, _) = check(&good, &written(&dir, ERR_10), &["--only", "ERR-10"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("ERR-10 passes: take the entry out"), "{out}");

    let faulty = with_fault("empty-msg-is-invalid-data").await;
    let (code, out, _) = check(&faulty, &written(&dir, &format!("{ERR_10}    until: 2020-01-31\n")), &["--only", "ERR-10"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("was to be mended by now") && out.contains("VIOLATED ERR-10"), "{out}");

    let unknown = "known-failures:\n  - {what: 'no.such-*', reason: none}\n";
    let (code, out, _) = check(&good, &written(&dir, unknown), &["--only", "ERR-10"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("no.such-* is nothing that the suite has"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_not_played_says_nothing() {
    let (good, dir) = (reference(Config::default()).await, tempfile::tempdir().expect("a folder"));
    let (code, out, _) = check(&good, &written(&dir, ERR_10), &["--only", "ERR-1"]).await;
    assert_eq!(code, 0, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_known_failure_stands_in_the_way_of_is_known_too() {
    let (server, dir) = (with_fault("leaver-unanswered").await, tempfile::tempdir().expect("a folder"));
    let entries = ["LEAVE-1", "FLOW-*"].map(|what| format!("  - {{what: '{what}', reason: leaves are silent}}\n")).concat();
    let file = written(&dir, &format!("known-failures:\n{entries}"));
    let (code, out, _) = check(&server, &file, &[]).await;
    assert_eq!(code, 0, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_written_on_request_and_what_its_author_wrote_stays() {
    let (server, dir) = (with_fault("empty-msg-is-invalid-data").await, tempfile::tempdir().expect("a folder"));
    let file = dir.path().join("new.yaml");
    let (code, out, _) = check(&server, &file, &["--only", "ERR-10", "--update-expected"]).await;
    assert_eq!(code, 0, "{out}");
    let text = std::fs::read_to_string(&file).expect("it was written");
    assert!(text.contains("what: ERR-10") || text.contains("what: error."), "{text}");
    let (code, out, _) = check(&server, &file, &["--only", "ERR-10"]).await;
    assert_eq!(code, 0, "{out}");

    let own = "# mine\nknown-failures:\n  # the old one\n  - what: LIST-1\n    reason: once\n  - what: MSG-9*\n    reason: never\n";
    std::fs::write(&file, own).expect("it can be written");
    let (code, _, err) = check(&server, &file, &["--only", "ERR-10", "--only", "LIST-1", "--update-expected"]).await;
    assert_eq!(code, 0, "{err}");
    let text = std::fs::read_to_string(&file).expect("it was written");
    assert!(text.starts_with("# mine\nknown-failures:\n") && !text.contains("what: LIST-1") && !text.contains("MSG-9"), "{text}");
    let (code, out, _) = check(&server, &file, &["--only", "ERR-10"]).await;
    assert_eq!(code, 0, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_told_with_every_place() {
    let (good, dir) = (reference(Config::default()).await, tempfile::tempdir().expect("a folder"));
    let text = "known-failures:\n  - what: ERR-1\n    reason: ' '\n  - what: ERR-2\n    reason: x\n    until: soon\n  - wat: ERR-3\n";
    let (code, _, err) = check(&good, &written(&dir, text), &["--only", "ERR-10"]).await;
    assert_eq!(code, 2, "{err}");
    for part in ["a known failure needs its reason", "`soon` is no date", "expected.yaml:6:12", "`wat`"] {
        assert!(err.contains(part), "no {part} in {err}");
    }
    let (code, _, err) = check(&good, &dir.path().join("missing.yaml"), &["--only", "ERR-10"]).await;
    assert_eq!(code, 2, "{err}");
}
