//! `chatspec check` as its users meet it: exit codes, messages, files.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Server, address, chatspec, chatspec_off_the_runtime, listener, reference, stderr, stdout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

async fn check(arguments: &[&str]) -> (i32, String, String) {
    chatspec_off_the_runtime(&[&["check"], arguments].concat()).await
}

/// Accepts connections, and for each calls back with what it is to answer.
fn accepting(listener: TcpListener, answer: Option<&'static str>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match answer {
                None => silent.push(stream),
                Some(answer) => {
                    tokio::spawn(async move {
                        let mut request = [0; 4096];
                        let _ = stream.read(&mut request).await;
                        let _ = stream.write_all(answer.as_bytes()).await;
                    });
                }
            }
        }
    })
}

const NOT_FOUND: &str =
    "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 22\r\nConnection: close\r\n\r\n<h1>Nothing here.</h1>";

#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nothing_listens_is_inconclusive_and_names_what_was_tried() {
    let (http, ws) = (listener().await, listener().await);
    let (http_address, ws_address) = (address(&http, "http"), address(&ws, "ws"));
    drop((http, ws));
    let (code, out, _) = check(&["--http", &http_address, "--ws", &ws_address]).await;
    assert_eq!(code, 3, "{out}");
    assert!(out.contains(&format!("nobody answers at {http_address}chatroom/list: connection refused")), "{out}");
    assert!(out.contains(&format!("nobody answers at {ws_address}: connection refused")), "{out}");
    assert!(out.contains("INCONCLUSIVE"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_that_stays_silent_is_inconclusive() {
    let (http, ws) = (listener().await, listener().await);
    let server = Server { http: address(&http, "http"), ws: address(&ws, "ws"), tasks: vec![accepting(http, None), accepting(ws, None)] };
    let (code, out, _) = check(&["--http", &server.http, "--ws", &server.ws, "--timeout", "300ms"]).await;
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("no answer within 300ms"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_server_that_knows_none_of_the_paths_is_a_violation() {
    let good = reference(Default::default()).await;
    let http = listener().await;
    let server = Server { http: address(&http, "http"), ws: good.ws.clone(), tasks: vec![accepting(http, Some(NOT_FOUND))] };
    let (code, out, _) = check(&["--http", &server.http, "--ws", &server.ws, "--only", "http", "--timeout", "1s"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("VIOLATED LIST-1 (MUST)"), "{out}");
    assert!(out.contains("VIOLATED CREATE-1 (MUST)"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_address_that_is_no_websocket_is_a_violation() {
    let good = reference(Default::default()).await;
    let ws = listener().await;
    let server = Server { http: good.http.clone(), ws: address(&ws, "ws"), tasks: vec![accepting(ws, Some(NOT_FOUND))] };
    let (code, out, _) = check(&["--http", &server.http, "--ws", &server.ws, "--timeout", "1s"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("VIOLATED CONN-1 (MUST)"), "{out}");
    assert!(out.contains("the server answered the WebSocket handshake with HTTP status 404, not 101"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_has_exit_code_2_and_says_how_to_mend_it() {
    let cases: [(&[&str], &str); 10] = [
        (&["--http", "127.0.0.1:5000"], "`127.0.0.1:5000` has no scheme such as `http://`"),
        (&["--http", "ws://127.0.0.1:5000"], "the scheme of `ws://127.0.0.1:5000` is `ws`, not `http` or `https`"),
        (&["--only", "JION-3"], "did you mean `JOIN-3`?"),
        (&["--only", "JOIN-3", "--skip", "MUTS"], "`MUTS` matches no scenario, requirement, area or level; did you mean `MUST`?"),
        (&["--only", "JOIN-3", "--skip", "JOIN-3"], "leaves nothing"),
        (&["--reading", "R-LST=rooms"], "did you mean `R-LIST`?"),
        (&["--reading", "R-LIST=room"], "its values are `room_list`, `rooms`"),
        (&["--timeout", "0s"], "it must be more than nothing"),
        (&["--json", "no/such/folder/run.jsonl"], "no/such/folder/run.jsonl can't be written"),
        (&["--scenarios", "no/such/folder"], "no/such/folder can't be read"),
    ];
    for (arguments, message) in cases {
        let (code, out, err) = check(arguments).await;
        assert_eq!(code, 2, "{arguments:?}: {out}{err}");
        assert!(err.contains(message), "{arguments:?}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_and_a_broken_one_are_wrong_usage() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().to_str().expect("a path");
    let (code, _, err) = check(&["--scenarios", path]).await;
    assert_eq!(code, 2);
    assert!(err.contains("holds no scenario"), "{err}");

    std::fs::write(dir.path().join("a.yaml"), "id: a\ntitle: A\nactors: [ann]\nsteps:\n  - recieve: {actor: ann}\n    proves: NO-1\n")
        .expect("written");
    std::fs::write(dir.path().join("b.yaml"), "id: b\ntitle: [").expect("written");
    let (code, _, err) = check(&["--scenarios", path]).await;
    assert_eq!(code, 2);
    assert!(err.contains("unknown key `recieve`") && err.contains("did you mean `receive`?"), "{err}");
    assert!(err.contains("b.yaml"), "every file's errors: {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_a_header_and_a_footer_and_no_header_values_of_the_user() {
    let server = reference(Default::default()).await;
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("run.jsonl");
    let path = file.to_str().expect("a path");
    let (code, out, err) = check(&[
        "--http",
        &server.http,
        "--ws",
        &server.ws,
        "--only",
        "list.*",
        "--header",
        "Authorization: Bearer geheim",
        "--json",
        path,
    ])
    .await;
    assert_eq!(code, 0, "{out}{err}");
    let text = std::fs::read_to_string(&file).expect("the log");
    assert!(!text.contains("geheim"), "what the user gives in a header is a secret");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (first, last) = (&lines[0], &lines[lines.len() - 1]);
    assert_eq!((&first["event"], &first["log_version"]), (&Value::from("started"), &Value::from(chatspec::event::LOG_VERSION)));
    assert_eq!((&last["event"], &last["exit_code"]), (&Value::from("finished"), &Value::from(0)));
    assert_eq!(last["requirements"]["LIST-1"], "pass");
    for event in ["suite", "readings", "scenario-started", "exchange", "frame", "step", "scenario-finished"] {
        assert!(lines.iter().any(|line| line["event"] == event), "no {event} in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_without_being_asked_to() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().to_owned();
    let status = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_chatspec")).args(["check", "--only", "LIST-1", "--quiet"]).current_dir(path).status()
    });
    assert!(status.await.expect("it runs").expect("it runs").success());
    assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_reports_what_it_has_and_says_so() {
    let good = reference(Default::default()).await;
    // The WebSocket listener lets the run begin and then stays silent, so that it is still at work when Ctrl-C comes.
    let ws = listener().await;
    let server = Server { http: good.http.clone(), ws: address(&ws, "ws"), tasks: vec![accepting(ws, None)] };
    let mut child = Command::new(env!("CARGO_BIN_EXE_chatspec"))
        .args(["check", "--http", &server.http, "--ws", &server.ws, "--timeout", "60s", "--max-time", "100s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let output = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let mut begun = [0; 8];
        child.stderr.as_mut().expect("piped").read_exact(&mut begun).expect("it says what it does");
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
        child.wait_with_output().expect("it ends")
    })
    .await
    .expect("it ends");
    let out = stdout(&output);
    assert_eq!(output.status.code(), Some(130), "{out}");
    assert!(out.contains("INTERRUPTED"), "{out}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = chatspec(&["serve", "--http", &address, "--ws", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
}

#[test]
fn help_and_the_listing_commands_work() {
    for (arguments, expected) in [
        (&["--help"][..], "check"),
        (&["check", "--help"], "Exit codes"),
        (&["list", "JOIN-3"], "JOIN-3"),
        (&["explain", "JOIN-3"], "SHOULD"),
        (&["explain", "R-POPULATION"], "either"),
        (&["lint"], "no mistakes"),
        (&["schema"], "\"$schema\""),
        (&["serve", "--list-faults"], "CREATE-1"),
    ] {
        let output = chatspec(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        assert!(stdout(&output).contains(expected), "{arguments:?}: {}", stdout(&output));
    }
    let output = chatspec(&["explain", "JOIN-33"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `JOIN-3`?"), "{}", stderr(&output));
    std::io::stdout().flush().expect("flushed");
}
