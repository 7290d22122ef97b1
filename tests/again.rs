//! What a run's log serves for: playing a scenario again, and writing it as a script.

mod support;

use std::path::PathBuf;
use std::process::Command;

use reference_server::{Config, Fault};
use support::{Server, chatspec_off_the_runtime, reference};

async fn faulty() -> Server {
    reference(Config { fault: Some(Fault::named("members-told-twice-of-leave").expect("a fault")), ..Config::default() }).await
}

const SCENARIO: &str = "leave.members-are-told";

async fn logged(server: &Server, dir: &tempfile::TempDir) -> PathBuf {
    let log = dir.path().join("run.jsonl");
    let path = log.display().to_string();
    let (code, out, _) =
        chatspec_off_the_runtime(&["check", "--http", &server.http, "--ws", &server.ws, "--only", SCENARIO, "--strict", "--json", &path])
            .await;
    assert_eq!(code, 1, "{out}");
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_replayed_until_it_is_fixed() {
    let (server, dir) = (faulty().await, tempfile::tempdir().expect("a folder"));
    let log = logged(&server, &dir).await.display().to_string();
    let (code, out, err) = chatspec_off_the_runtime(&["replay", &log, SCENARIO]).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains(&format!("{SCENARIO}/joiner-leaves: still failing")), "{out}");

    let mended = reference(Config::default()).await;
    let (code, out, err) = chatspec_off_the_runtime(&["replay", &log, SCENARIO, "--http", &mended.http, "--ws", &mended.ws]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains(&format!("{SCENARIO}/joiner-leaves: fixed")), "{out}");

    drop(server);
    let (code, out, err) = chatspec_off_the_runtime(&["replay", &log, SCENARIO]).await;
    assert_eq!(code, 3, "{out}{err}");
    assert!(out.contains("could not be tested"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_serve_is_wrong_usage() {
    let (server, dir) = (faulty().await, tempfile::tempdir().expect("a folder"));
    let log = logged(&server, &dir).await;
    let path = log.display().to_string();
    let (code, _, err) = chatspec_off_the_runtime(&["replay", &path, "leave.members-are-tolt"]).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("did you mean `leave.members-are-told"), "{err}");

    let text = std::fs::read_to_string(&log).expect("the log");
    let cut = text.trim_end().rfind('\n').expect("several lines");
    std::fs::write(&log, &text[..cut]).expect("it can be written");
    for command in ["replay", "repro"] {
        let (code, _, err) = chatspec_off_the_runtime(&[command, &path, SCENARIO]).await;
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("it has no footer"), "{err}");
    }
}

/// The script is run by a shell, with a stand-in for the WebSocket client that sends nothing anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_has_all_that_was_sent_under_new_names() {
    let (server, dir) = (faulty().await, tempfile::tempdir().expect("a folder"));
    let log = logged(&server, &dir).await.display().to_string();
    let (code, script, err) = chatspec_off_the_runtime(&["repro", &log, "leave.members-are-told/joiner-leaves"]).await;
    assert_eq!(code, 0, "{err}");
    for part in [
        "It failed under LEAVE-2",
        "connect ann",
        "send bob '{\"type\":\"leave\"",
        "\"$RUN\"",
        "# then: ann got text",
        "leave-members-are-told.yaml:",
    ] {
        assert!(script.contains(part), "no {part} in {script}");
    }
    let file = dir.path().join("repro.sh");
    std::fs::write(&file, &script).expect("it can be written");
    let syntax = Command::new("bash").arg("-n").arg(&file).output().expect("bash runs");
    assert!(syntax.status.success(), "{}", String::from_utf8_lossy(&syntax.stderr));
}
