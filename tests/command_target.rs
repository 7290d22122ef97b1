//! `chatspec check --cmd`: the server is started, waited for, checked, and stopped, whatever becomes of it.
#![cfg(unix)]

mod support;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::{address, chatspec, chatspec_off_the_runtime, listener, stderr, stdout};

const BIN: &str = env!("CARGO_BIN_EXE_chatspec");

/// The reference server as a command, with these options.
fn serve(options: &str) -> String {
    format!("'{BIN}' serve --http 127.0.0.1:{{http}} --ws 127.0.0.1:{{ws}} {options}")
}

/// A command that starts the reference server behind itself, and writes its process ID to this file.
fn behind(pid: &Path) -> String {
    format!("{} & echo $! > '{}'; wait $!; echo it is gone; exit 9", serve(""), pid.display())
}

fn is_alive(pid: &str) -> bool {
    Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().expect("kill runs").success()
}

fn pid_in(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the command wrote it").trim().to_owned()
}

/// A long run, once it has begun to say what it does.
fn begun(command: &str) -> Child {
    let mut child = Command::new(BIN)
        .args(["check", "--cmd", command, "--only", "flows", "--repeat", "10000", "--jobs", "1", "--timeout", "1s", "--json", "/dev/null"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stderr.as_mut().expect("piped").read_exact(&mut [0; 8]).expect("it says what it does");
    child
}

#[test]
fn it_is_told_free_ports_in_the_command_and_in_its_environment() {
    let by_environment = format!("'{BIN}' serve --http 127.0.0.1:$CHATSPEC_HTTP_PORT --ws 127.0.0.1:$CHATSPEC_WS_PORT");
    for command in [serve(""), by_environment] {
        let output = chatspec(&["check", "--cmd", &command, "--only", "LIST-1"]);
        let out = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{out}{}", stderr(&output));
        assert!(out.contains("started by `") && out.contains(", at free ports"), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_listens_where_it_is_said_to() {
    let (http, ws) = (listener().await, listener().await);
    let addresses = (address(&http, "http"), address(&ws, "ws"));
    drop((http, ws));
    let (code, out, err) =
        chatspec_off_the_runtime(&["check", "--http", &addresses.0, "--ws", &addresses.1, "--cmd", &serve(""), "--only", "LIST-1"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains(&addresses.0), "{out}");
}

#[test]
fn all_that_the_command_started_ends_with_the_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let pid = dir.path().join("pid");
    let output = chatspec(&["check", "--cmd", &behind(&pid), "--only", "LIST-1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!is_alive(&pid_in(&pid)));
}

#[test]
fn an_interrupted_run_ends_its_server_too() {
    for signal in ["-INT", "-TERM"] {
        let dir = tempfile::tempdir().expect("a folder");
        let pid = dir.path().join("pid");
        let child = begun(&behind(&pid));
        Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{signal}: {}", stdout(&output));
        assert!(!is_alive(&pid_in(&pid)), "{signal}");
    }
}

#[test]
fn a_server_that_dies_in_the_middle_is_told_with_its_exit_status() {
    let dir = tempfile::tempdir().expect("a folder");
    let pid = dir.path().join("pid");
    let child = begun(&behind(&pid));
    Command::new("kill").args(["-KILL", &pid_in(&pid)]).status().expect("kill runs");
    // Without its server, the rest of the run would go on in vain for long.
    Command::new("sh").args(["-c", &format!("while kill -0 {} 2>/dev/null; do :; done", pid_in(&pid))]).status().expect("it runs");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    let output = child.wait_with_output().expect("it ends");
    let out = stdout(&output);
    assert!(out.contains("the server ended by itself during the run (exit status: 9)"), "{out}");
    assert!(out.contains("it wrote last: ") && out.contains("it is gone"), "{out}");
}

#[test]
fn a_command_that_ends_or_stays_silent_is_inconclusive_and_shows_its_output() {
    let cases = [
        (
            "echo 'no \u{1b}[31mdatabase' >&2; exit 7",
            "10s",
            ["ended (exit status: 7) before its server answered", "| no \\u{1b}[31mdatabase"],
        ),
        ("no-such-program-here", "10s", ["ended (exit status: 127)", "nobody answers at http://127.0.0.1:"]),
        ("true", "10s", ["ended (exit status: 0)", "it wrote nothing"]),
        ("echo waiting; sleep 600", "200ms", ["was started, and 200ms later nobody answers at http://127.0.0.1:", "| waiting"]),
    ];
    for (command, wait, expected) in cases {
        // A command that names its port is waited for nowhere else, whatever this machine serves besides.
        let output = chatspec(&["check", "--cmd", &format!(": {{http}}; {command}"), "--wait", wait, "--only", "LIST-1"]);
        let err = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{command}: {err}");
        for part in expected {
            assert!(err.contains(part), "{command}: {part} is not in: {err}");
        }
    }
}

#[test]
fn a_server_that_never_came_up_is_in_the_reports() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("a path").to_owned();
    let (log, junit) = (path("run.jsonl"), path("run.xml"));
    let command = ": {http}; echo no database; echo none >&2; exit 7";
    let output = chatspec(&["check", "--cmd", command, "--only", "LIST-1", "--json", &log, "--junit", &junit]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let out = stdout(&output);
    assert!(out.contains("INCONCLUSIVE") && out.contains("ended (exit status: 7) before its server answered"), "{out}");
    assert!(out.contains("it wrote: no database / none") || out.contains("it wrote: none / no database"), "{out}");
    let (log, junit) = (std::fs::read_to_string(log).expect("the log"), std::fs::read_to_string(junit).expect("JUnit"));
    assert!(log.contains("ended (exit status: 7)") && junit.contains("<testsuite"), "{junit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_before_is_wrong_usage() {
    let taken = listener().await;
    let (code, _, err) =
        chatspec_off_the_runtime(&["check", "--http", &address(&taken, "http"), "--cmd", "sleep 600", "--only", "LIST-1"]).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("answers already, before `sleep 600` is started"), "{err}");
    let (code, _, err) = chatspec_off_the_runtime(&["check", "--wait", "1s"]).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--cmd"), "{err}");
}

#[test]
fn a_failure_shows_what_the_server_wrote_meanwhile() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("run.jsonl");
    let command = format!("export RUST_LOG=trace; {}", serve("--fault third-member-not-told-of-leave"));
    let path = log.to_str().expect("a path");
    let output = chatspec(&["check", "--cmd", &command, "--only", "LEAVE-2", "--strict", "--jobs", "1", "--json", path]);
    let out = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{out}{}", stderr(&output));
    let meanwhile = out.split("the server wrote meanwhile:").nth(1).unwrap_or_else(|| panic!("nothing of the server's: {out}"));
    assert!(meanwhile.contains("TRACE"), "{out}");
    assert!(out.contains("again: chatspec check --cmd '"), "{out}");
    let text = std::fs::read_to_string(&log).expect("the log");
    assert!(text.contains("\"server_output\":["), "{text}");
    // What a log holds is never run.
    let output = chatspec(&["replay", path, "leave.members-are-told"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains("the run started its server by"), "{}", stderr(&output));
}
