//! The program: what it prints, how it ends.

use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatspec-reference-server"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Starts the program on free ports and returns it with the two lines that it prints.
async fn started(arguments: &[&str]) -> (Child, String, String) {
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    let mut child = program().args(["--http", "127.0.0.1:0", "--ws", "127.0.0.1:0"]).args(arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let http = lines.next_line().await.unwrap().unwrap();
    let ws = lines.next_line().await.unwrap().unwrap();
    (child, http, ws)
}

#[tokio::test]
async fn it_says_where_it_listens_and_ends_with_its_parent() {
    let (mut child, http, ws) = started(&["--exit-with-stdin", "--room", "lobby", "--reading", "R-LIST=rooms"]).await;
    let url = http.strip_prefix("http listening on ").unwrap();
    assert!(ws.strip_prefix("ws listening on ws://127.0.0.1:").unwrap().ends_with('/'), "{ws}");
    let list = reqwest::get(format!("{url}/chatroom/list")).await.unwrap().text().await.unwrap();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list, serde_json::json!({"rooms": [{"name": "lobby", "population": 0, "room_name": "lobby"}]}));
    drop(child.stdin.take());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn it_says_where_its_playground_is_unless_it_has_none() {
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    for (options, has_one) in [(&[][..], true), (&["--no-playground"][..], false)] {
        let free = ["--http", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--exit-with-stdin"];
        let mut child = program().args(free).args(options).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let http = lines.next_line().await.unwrap().unwrap().replace("http listening on ", "");
        let _ws = lines.next_line().await.unwrap().unwrap();
        let answer = reqwest::get(format!("{http}/playground")).await.unwrap();
        assert_eq!(answer.status().is_success(), has_one);
        drop(child.stdin.take());
        let line = lines.next_line().await.unwrap();
        assert_eq!(line, has_one.then(|| format!("playground at {http}/playground")));
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn it_ends_in_order_on_either_signal() {
    for signal in ["-TERM", "-INT"] {
        let (mut child, _, _) = started(&[]).await;
        let id = child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
        assert_eq!(child.wait().await.unwrap().code(), Some(0), "{signal}");
    }
}

async fn check_error(arguments: &[&str], expected: &[&str]) {
    let output = program().args(arguments).output().await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    for part in expected {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[tokio::test]
async fn what_the_user_can_mend_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check_error(&["--http", &address], &[&address, "--http 127.0.0.1:0"]).await;
    check_error(&["--http", "127.0.0.1:0", "--ws", &address], &[&address, "--ws 127.0.0.1:0"]).await;
    check_error(&["--reading", "R-LIST=room"], &["R-LIST", "room_list, rooms"]).await;
    check_error(&["--reading", "R-SHAPE=round"], &["R-SHAPE", "R-PARAMS"]).await;
    check_error(&["--reading", "rooms"], &["ID=VALUE"]).await;
    check_error(&["--fault", "create-sucess-misspelt"], &["create-success-misspelt"]).await;
    check_error(&["--capacity", "0"], &["0"]).await;
}

#[tokio::test]
async fn the_faults_are_listed() {
    let output = program().arg("--list-faults").output().await.unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let faults: Vec<_> = reference_server::fault::all().collect();
    let columns = |line: &str| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
    let mut lines = table.lines();
    for fault in faults {
        assert_eq!(columns(lines.next().unwrap()), [fault.name, fault.requirement]);
    }
    assert_eq!(lines.next(), Some(""), "those for load testers are set apart");
    let doses: Vec<_> = lines.skip(1).map(columns).collect();
    let load: Vec<_> = reference_server::fault::load::all().map(|spec| vec![spec.name.to_owned(), spec.dose.to_string()]).collect();
    assert_eq!(doses, load);
}
