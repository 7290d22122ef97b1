//! The options for results, as whoever types them meets them.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use reference_server::Config;
use support::{Server, chatspec, reference, stderr, stdout};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// Runs the binary off the runtime: its exit code, standard output and standard error.
async fn run(environment: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let arguments = owned(arguments);
    let environment: Vec<(String, String)> = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatspec"));
        command.args(arguments).env("NO_COLOR", "1").env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY").envs(environment);
        let output = command.output().expect("the binary runs");
        (output.status.code().unwrap_or(-1), stdout(&output), stderr(&output))
    };
    tokio::task::spawn_blocking(run).await.expect("it runs")
}

/// The arguments that check one requirement of a server.
fn check<'a>(server: &'a Server, rest: &[&'a str]) -> Vec<&'a str> {
    [&["check", "--http", &server.http, "--ws", &server.ws, "--only", "JOIN-3"], rest].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_writes_every_format_and_report_makes_them_again() {
    let (server, folder) = (reference(Config::default()).await, Folder::new());
    let names = ["run.jsonl", "run.html", "run.xml", "run.md", "run.tap", "run.svg"];
    let paths = names.map(|name| folder.path(name));
    let options = ["--json", "--html", "--junit", "--markdown", "--tap", "--badge"];
    let wanted: Vec<&str> = options.iter().zip(&paths).flat_map(|(option, path)| [*option, path.as_str()]).collect();
    let (code, out, err) = run(&[], &check(&server, &wanted)).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("CONFORMS"), "{out}");
    for (name, begins) in [
        ("run.html", "<!"),
        ("run.xml", "<?xml"),
        ("run.md", "## chatspec check: CONFORMS"),
        ("run.tap", "TAP version 14"),
        ("run.svg", "<svg"),
    ] {
        assert!(folder.text(name).starts_with(begins), "{name}: {}", &folder.text(name)[..200.min(folder.text(name).len())]);
    }

    let again = names.map(|name| folder.path(&format!("again-{name}")));
    let wanted: Vec<&str> = options.iter().zip(&again).flat_map(|(option, path)| [*option, path.as_str()]).collect();
    let (code, out, err) = run(&[], &[&["report", &paths[0]], &wanted[..]].concat()).await;
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    for name in names.iter().filter(|name| **name != "run.html") {
        assert_eq!(folder.text(name), folder.text(&format!("again-{name}")), "{name}");
    }
    let (code, later, err) = run(&[], &["report", &paths[0]]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.is_empty() && later.contains("CONFORMS"), "{later}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dash_is_standard_output_and_the_report_makes_room() {
    let server = reference(Config::default()).await;
    let (code, out, err) = run(&[], &check(&server, &["--tap", "-"])).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("TAP version 14\n"), "{out}");
    assert!(out.lines().all(|line| !line.starts_with("chatspec check")) && err.contains("CONFORMS"), "{out}{err}");
    let (code, out, err) = run(&[], &check(&server, &["--json", "-", "--quiet"])).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.lines().all(|line| line.starts_with("{\"event\":")), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_cannot_be_written_or_holds_two_things_is_told_before_the_run() {
    let (server, folder) = (reference(Config::default()).await, Folder::new());
    let missing = folder.path("no/such/folder/x.xml");
    let (code, out, err) = run(&[], &check(&server, &["--junit", &missing])).await;
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("--junit: ") && err.contains("can't be written"), "{err}");

    let (one, other) = (folder.path("x"), format!("{}/./x", folder.0.path().display()));
    let (code, _, err) = run(&[], &check(&server, &["--junit", &one, "--tap", &other])).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--tap: --junit goes to ") && err.contains("already"), "{err}");
    let (code, _, err) = run(&[], &check(&server, &["--junit", "-", "--tap", "-"])).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("standard output already"), "{err}");
}

/// `/dev/full` takes an opening and no byte.
#[tokio::test(flavor = "multi_thread")]
async fn a_reporter_that_fails_ends_no_run_and_is_named_at_the_end() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: there is no /dev/full here");
        return;
    }
    let (server, folder) = (reference(Config::default()).await, Folder::new());
    let tap = folder.path("x.tap");
    let (code, out, err) = run(&[], &check(&server, &["--junit", "/dev/full", "--tap", &tap])).await;
    assert_eq!(code, 2, "what would have been 0 is not, where something is missing: {err}");
    assert!(out.contains("CONFORMS") && err.contains("error: --junit: /dev/full can't be written"), "{out}{err}");
    assert!(folder.text("x.tap").contains("# CONFORMS"));
    let (code, _, err) =
        run(&[], &["check", "--http", "http://127.0.0.1:1", "--ws", "ws://127.0.0.1:1", "--only", "JOIN-3", "--json", "/dev/full"]).await;
    assert_eq!(code, 3, "the run's own exit code stands where it isn't 0: {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_github_a_run_annotates_adds_to_the_summary_and_lets_no_server_give_commands() {
    let (server, folder) = (reference(Config::default()).await, Folder::new());
    let summary = folder.path("summary.md");
    std::fs::write(&summary, "of an earlier step\n").expect("written");
    let environment = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", summary.as_str())];
    let (code, out, err) = run(&environment, &check(&server, &["--quiet"])).await;
    assert_eq!(code, 0, "{err}");
    assert!(folder.text("summary.md").starts_with("of an earlier step\n## chatspec check: CONFORMS"), "{}", folder.text("summary.md"));
    let lines: Vec<&str> = out.lines().collect();
    let token = lines.first().and_then(|line| line.strip_prefix("::stop-commands::")).expect("no commands from here on");
    let resumed = lines.iter().position(|line| *line == format!("::{token}::")).expect("and from here on again");
    assert!(lines[resumed + 1..].iter().all(|line| line.starts_with("::")) && lines[resumed..].len() > 1, "{out}");
    let (_, later, _) = run(&environment, &check(&server, &["--quiet"])).await;
    assert!(!later.contains(token), "a token that can be guessed protects from nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_writes_every_format_into_its_folder_also_where_nobody_answers() {
    let (server, folder) = (reference(Config::default()).await, Folder::new());
    let out_dir = folder.path("out");
    let shape = ["--clients", "4", "--rooms", "2", "--rate", "20/s", "--duration", "1s", "--threshold", "lost == 0"];
    let arguments = ["load", "--http", &server.http, "--ws", &server.ws, "--out", &out_dir];
    let (code, out, err) = run(&[], &[&arguments[..], &shape[..]].concat()).await;
    assert!(matches!(code, 0 | 3), "{out}{err}");
    assert!(folder.text("out/load.xml").contains("classname=\"thresholds\" name=\"lost == 0"), "{}", folder.text("out/load.xml"));
    for name in ["load.jsonl", "load.tap", "load.md", "load.svg", "load.hlog", "deliver.hgrm", "percentiles.csv", "seconds.csv", "load.txt"]
    {
        assert!(!folder.text(&format!("out/{name}")).is_empty(), "{name} is empty");
    }
    let (code, shown, err) = run(&[], &["report", &folder.path("out/load.jsonl")]).await;
    assert_eq!(code, 0, "{err}");
    assert!(shown.contains("What was done"), "{shown}");

    let junit = folder.path("nobody.xml");
    let (code, _, err) = run(
        &[],
        &["load", "--http", "http://127.0.0.1:1", "--ws", "ws://127.0.0.1:1", "--clients", "2", "--rooms", "1", "--junit", &junit],
    )
    .await;
    assert_eq!(code, 3, "{err}");
    assert!(folder.text("nobody.xml").contains("<error message=\"INCONCLUSIVE: nobody answers"), "{}", folder.text("nobody.xml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn report_refuses_what_it_cannot_show_and_says_why() {
    let (server, folder) = (reference(Config::default()).await, Folder::new());
    let log = folder.path("run.jsonl");
    let (code, _, err) = run(&[], &check(&server, &["--json", &log])).await;
    assert_eq!(code, 0, "{err}");
    let whole = folder.text("run.jsonl");
    let cut = folder.path("cut.jsonl");
    std::fs::write(&cut, &whole[..whole.len() - 40]).expect("written");
    let refused = |arguments: &[&str]| {
        let output = chatspec(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    };
    assert!(refused(&["report", &cut]).contains("it has no footer"));
    assert!(refused(&["report", &log, &log]).contains("--html FILE"));
    assert!(refused(&["report", &log, &log, "--junit", &folder.path("x.xml")]).contains("--junit is of one run"));
    assert!(refused(&["report", &log, "--json", &log]).contains("is a log that is to be read"));
    assert_eq!(folder.text("run.jsonl"), whole, "and the log is as it was");

    let mut child = Command::new(env!("CARGO_BIN_EXE_chatspec"));
    let output = child.args(["report", "-", "--tap", "-"]).stdin(Stdio::from(std::fs::File::open(&log).expect("the log"))).output();
    let output = output.expect("it runs");
    assert!(stdout(&output).starts_with("TAP version 14"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_logs_make_a_page_and_two_can_be_compared() {
    let (server, folder) = (reference(Config::default()).await, Folder::new());
    let (one, other, page) = (folder.path("one.jsonl"), folder.path("other.jsonl"), folder.path("board.html"));
    for log in [&one, &other] {
        let (code, _, err) = run(&[], &check(&server, &["--json", log])).await;
        assert_eq!(code, 0, "{err}");
    }
    let (code, _, err) = run(&[], &["report", &one, &other, "--html", &page]).await;
    assert_eq!(code, 0, "{err}");
    assert!(folder.text("board.html").contains("other"), "the logs are named");
    let (code, out, err) = run(&[], &["diff", &one, &other]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("NO WORSE: "), "{out}");

    // The same log with one pass made a failure.
    let text = folder.text("other.jsonl");
    let broken = text.replace(
        "\"outcome\":\"pass\",\"requirements\":{\"JOIN-3\":\"pass\"",
        "\"outcome\":\"fail\",\"requirements\":{\"JOIN-3\":\"fail\"",
    );
    assert_ne!(broken, text);
    std::fs::write(&other, broken.replace("\"requirements\":{\"JOIN-3\":\"pass\"}", "\"requirements\":{\"JOIN-3\":\"fail\"}"))
        .expect("written");
    let (code, out, err) = run(&[], &["diff", &one, &other]).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("broken") && out.contains("WORSE: "), "{out}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_comes_up_is_an_error_in_the_files_too() {
    let folder = Folder::new();
    let (junit, log) = (folder.path("x.xml"), folder.path("x.jsonl"));
    let (code, _, err) = run(&[], &["check", "--cmd", "exit 7", "--only", "JOIN-3", "--junit", &junit, "--json", &log]).await;
    assert_eq!(code, 3, "{err}");
    assert!(
        folder.text("x.xml").contains("<error message=\"INCONCLUSIVE: `exit 7` ended (exit status: 7) before its server answered"),
        "{}",
        folder.text("x.xml")
    );
    let (code, shown, err) = run(&[], &["report", &log]).await;
    assert_eq!(code, 0, "{err}");
    assert!(shown.contains("INCONCLUSIVE"), "{shown}");
}

/// Many containers have no certificate authorities, and most targets under test no TLS.
#[tokio::test(flavor = "multi_thread")]
async fn without_certificate_authorities_only_tls_is_refused() {
    let server = reference(Config::default()).await;
    let folder = Folder::new();
    let without = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", &*folder.path("none"))];
    let load =
        ["load", "--clients", "4", "--rooms", "2", "--rate", "20/s", "--phase", "steady:1s", "--processes", "2", "--header", "X-A: b"];
    for arguments in [&["check", "--only", "JOIN-1"][..], &load] {
        let target = ["--http", &server.http, "--ws", &server.ws];
        let (code, out, err) = run(&without, &[arguments, &target].concat()).await;
        assert!(matches!(code, 0 | 3) && !err.contains("certificate"), "{arguments:?}: {code} {out}{err}");
        let secured = ["--http", "https://127.0.0.1:9", "--ws", "wss://127.0.0.1:9"];
        let (code, out, err) = run(&without, &[arguments, &secured].concat()).await;
        assert_eq!(
            (code, err.contains("has no certificate authorities by which https://127.0.0.1:9/ could be verified")),
            (2, true),
            "{out}{err}"
        );
    }
}
