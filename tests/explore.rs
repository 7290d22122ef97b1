//! `chatspec explore`: against servers of which it is known what is wrong with them, and what its report says.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use chatspec::event::{
    Counterexample, Coverage, Direction, Event, Explored, Footer, Found, Frame, Header, Log, Reached, Record, SuiteShown, TargetShown,
};
use chatspec::reading::{Fact, Held};
use chatspec::report::explore::ExploreReport;
use chatspec::report::html;
use chatspec::report::terminal::Verbosity;
use chatspec::requirement::{Level, Requirement, RequirementId};
use reference_server::{Config, Fault};
use support::{Server, chatspec_off_the_runtime, reference};
use tempfile::TempDir;

const BIN: &str = env!("CARGO_BIN_EXE_chatspec");

async fn small(fault: Option<&str>) -> Server {
    let fault = fault.map(|name| Fault::named(name).expect("a fault"));
    reference(Config { capacity: 3, fault, ..Config::default() }).await
}

async fn explore(server: &Server, more: &[&str]) -> (i32, String, String) {
    let mut arguments = vec!["explore", "--http", &server.http, "--ws", &server.ws];
    arguments.extend(more);
    chatspec_off_the_runtime(&arguments).await
}

async fn check(server: &Server, dir: &Path) -> (i32, String, String) {
    let dir = dir.display().to_string();
    chatspec_off_the_runtime(&["check", "--http", &server.http, "--ws", &server.ws, "--scenarios", &dir, "--strict"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server_that_keeps_to_the_document_nothing_is_found() {
    let server = small(None).await;
    let (code, out, err) = explore(&server, &["--runs", "40", "--seed", "1"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("NOTHING FOUND") && out.contains("in 40 traces") && out.contains("a full room"), "{out}");
}

/// What is found is a scenario, which fails where it was found and passes elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_finding_becomes_a_scenario_that_fails_on_this_server_and_passes_on_a_sound_one() {
    for (fault, requirement) in [("user-not-exist-misspelt", "ROOM-5"), ("sender-gets-two-copies", "MSG-2")] {
        let (faulty, sound) = (small(Some(fault)).await, small(None).await);
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().display().to_string();
        let (code, out, err) = explore(&faulty, &["--runs", "20", "--seed", "1", "--out", &path]).await;
        assert_eq!(code, 1, "{fault}: {out}{err}");
        assert!(out.contains(&format!("✗ {requirement} ")), "{fault}: {out}");
        let files = std::fs::read_dir(dir.path()).expect("the folder").count();
        assert!(files > 0, "{fault}: {out}");
        let (code, out, err) = check(&faulty, dir.path()).await;
        assert_eq!(code, 1, "{fault}: {out}{err}");
        let (code, out, err) = check(&sound, dir.path()).await;
        assert_eq!(code, 0, "{fault}: {out}{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_answers_nothing_is_said_of_the_server() {
    let (http, ws) = {
        let (one, other) = (support::listener().await, support::listener().await);
        (support::address(&one, "http"), support::address(&other, "ws"))
    };
    let (code, out, _) = chatspec_off_the_runtime(&["explore", "--http", &http, "--ws", &ws, "--runs", "1", "--timeout", "1s"]).await;
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("nobody answers at") && out.contains("INCONCLUSIVE"), "{out}");
}

/// A run against a server of its own, once so many traces were played; its log, and where the server is.
struct Running {
    run: Child,
    log: PathBuf,
    pid: String,
    _dir: TempDir,
}

impl Running {
    fn start(fault: Option<&str>, more: &[&str], is_enough: impl Fn(&str) -> bool) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (log, pid) = (dir.path().join("run.jsonl"), dir.path().join("pid"));
        let fault = fault.map_or(String::new(), |fault| format!("--fault {fault}"));
        let command = format!(
            "echo $$ > '{}'; exec '{BIN}' serve --http 127.0.0.1:{{http}} --ws 127.0.0.1:{{ws}} --capacity 3 {fault}",
            pid.display()
        );
        let run = Command::new(BIN)
            .args(["explore", "--cmd", &command, "--seed", "1", "--time", "10m", "--timeout", "1s", "--json"])
            .arg(&log)
            .args(more)
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        while !std::fs::read_to_string(&log).is_ok_and(|text| is_enough(&text)) {
            std::thread::yield_now();
        }
        let pid = std::fs::read_to_string(&pid).expect("the command wrote it").trim().to_owned();
        Self { run, log, pid, _dir: dir }
    }

    fn signal(&self, signal: &str, server: bool) {
        let pid = if server { self.pid.clone() } else { self.run.id().to_string() };
        let status = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Its exit code and standard output, and whether its server is still there.
    fn end(self) -> (Option<i32>, String, bool) {
        let output = self.run.wait_with_output().expect("it ends");
        assert!(Log::read(BufReader::new(File::open(&self.log).expect("the log"))).is_ok(), "the log is whole");
        let alive = Command::new("kill").args(["-0", &self.pid]).stderr(Stdio::null()).status().expect("kill runs").success();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), alive)
    }
}

fn traces(text: &str) -> usize {
    text.matches("\"event\":\"explored\"").count()
}

#[test]
fn an_interrupted_run_ends_with_what_it_has_and_ends_its_server() {
    let playing = Running::start(None, &[], |log| traces(log) >= 3);
    playing.signal("-INT", false);
    let (code, out, is_alive) = playing.end();
    assert_eq!(code, Some(130), "{out}");
    assert!(out.contains("INTERRUPTED") && out.contains("States") && !is_alive, "{out}");
}

#[test]
fn what_is_being_made_small_when_the_run_is_interrupted_is_told_all_the_same() {
    let shrinking = Running::start(Some("user-not-exist-misspelt"), &[], |log| log.contains("\"found\""));
    shrinking.signal("-INT", false);
    let (code, out, is_alive) = shrinking.end();
    assert_eq!(code, Some(130), "{out}");
    assert!(out.contains("✗ ROOM-5 ") && out.contains("again: ") && !is_alive, "{out}");
}

#[test]
fn a_server_that_dies_or_hangs_in_the_middle_is_no_finding() {
    for signal in ["-KILL", "-STOP"] {
        let running = Running::start(None, &[], |log| traces(log) >= 3);
        running.signal(signal, true);
        let (code, out, is_alive) = running.end();
        assert_eq!(code, Some(3), "{signal}: {out}");
        assert!(out.contains("the target stopped answering") && !out.contains('✗') && !is_alive, "{signal}: {out}");
    }
}

#[test]
fn what_was_found_before_a_server_died_counts() {
    let running = Running::start(Some("user-not-exist-misspelt"), &["--shrink-tries", "1"], |log| log.contains("\"counterexample\""));
    running.signal("-KILL", true);
    let (code, out, _) = running.end();
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("✗ ROOM-5 ") && out.contains("the target stopped answering"), "{out}");
}

/// With one finding there is something to mend; the rest is for the next run.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_fast_ends_with_its_first_counterexample() {
    let server = small(Some("user-not-exist-misspelt")).await;
    let (code, out, err) = explore(&server, &["--fail-fast", "--seed", "1", "--time", "10m"]).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("✗ ROOM-5 ") && out.contains("as a scenario:"), "{out}");
}

/// A log can be shown later as the run has shown it.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_all_that_the_terminal_has_shown() {
    let server = small(None).await;
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("run.jsonl").display().to_string();
    let (code, shown, err) = explore(&server, &["--runs", "3", "--seed", "1", "--json", &log]).await;
    assert_eq!(code, 0, "{shown}{err}");
    let (code, later, err) = chatspec_off_the_runtime(&["report", &log]).await;
    assert_eq!((code, later), (0, shown), "{err}");
}

fn render(events: &[Event], verbosity: Verbosity) -> String {
    let mut report = ExploreReport::new(verbosity);
    events.iter().for_each(|event| report.event(event));
    let mut out = Vec::new();
    report.finish(&mut out).expect("a vector takes every write");
    anstream::adapter::strip_str(&String::from_utf8(out).expect("UTF-8")).to_string()
}

fn header() -> Event {
    Event::Started(Header {
        target: TargetShown { http: "http://127.0.0.1:5000/".into(), ws: "ws://127.0.0.1:2333/".into(), notes: Vec::new() },
        reproduce: "chatspec explore --http http://127.0.0.1:5000/ --ws ws://127.0.0.1:2333/ --seed 7".into(),
        ..Header::new("explore", "chatroom", "0", 7)
    })
}

fn readings() -> Event {
    let held = |value: &str| Held::Found { values: vec![value.to_owned()] };
    let open = Held::Unknown { why: "no probe showed a value".into(), blocked_by: Vec::new() };
    Event::Readings {
        at_ms: 100.0,
        readings: [("R-AUDIENCE".to_owned(), held("room")), ("R-REJOIN".to_owned(), open)].into(),
        facts: [("capacity".to_owned(), Fact::Number(3))].into(),
        fences: vec!["empty-message".into()],
    }
}

fn suite() -> Event {
    let requirement = |id: &str, text: &str| Requirement {
        id: RequirementId::new(id),
        level: Level::Should,
        text: text.into(),
        place: "flows".into(),
        readings: Vec::new(),
    };
    let requirements = vec![
        requirement("JOIN-3", "Members already in the room are told."),
        requirement("MSG-1", "The sender gets it back."),
        requirement("MSG-2", "All get it."),
    ];
    Event::Suite(Box::new(SuiteShown { requirements, ..SuiteShown::default() }))
}

fn explored(trace: u64, found: Option<Found>) -> Event {
    Event::Explored(Box::new(Explored {
        at_ms: 100.0 + 500.0 * trace as f64,
        trace,
        actions: 20,
        states: vec!["a full room".into(), "two members".into()],
        exercised: BTreeMap::from([(RequirementId::new("JOIN-3"), 3), (RequirementId::new("MSG-1"), 5)]),
        found,
        cut: None,
    }))
}

fn found(summary: &str, came: &str) -> Found {
    Found {
        requirement: RequirementId::new("JOIN-3"),
        round: 4,
        summary: summary.into(),
        allowed: vec!["ann gets `user` / `join` of bob in lobby".into()],
        came: came.into(),
        takes_others: false,
    }
}

fn coverage() -> Event {
    let reached = |state: &str, traces| Reached { state: state.into(), traces };
    Event::Coverage(Box::new(Coverage {
        at_ms: 1900.0,
        states: vec![reached("two members", 2), reached("a full room", 2), reached("a room made again", 0)],
    }))
}

fn finished(exit_code: u8, interrupted: bool, notes: &[&str]) -> Event {
    let notes = notes.iter().map(|note| (*note).to_owned()).collect();
    Event::Finished(Footer { at_ms: 2000.0, exit_code, interrupted, notes, ..Footer::default() })
}

fn counterexample(found: Found, failed: usize) -> Event {
    Event::Counterexample(Box::new(Counterexample {
        at_ms: 1500.0,
        scenario: "regressions.explore-JOIN-3-1a2b".into(),
        found,
        trace: 2,
        rounds: vec!["ann creates lobby".into(), "at once: bob connects; ann connects".into()],
        actions_before: 31,
        actions: 3,
        tried: 80,
        failed,
        played: 5,
        yaml: (failed == 5).then(|| "id: regressions.explore-JOIN-3-1a2b\n".to_owned()),
        why_none: (failed < 5).then(|| "the scenario made of it doesn't fail on this target: pass".to_owned()),
    }))
}

fn frame(payload: &str) -> Event {
    Event::Frame(Frame {
        at_ms: 1400.0,
        scenario: "regressions.explore-JOIN-3-1a2b".into(),
        run: 1,
        actor: "ann".into(),
        direction: Direction::Received,
        kind: "text".into(),
        payload: Some(Record::Whole(payload.into())),
        fence: false,
    })
}

#[test]
fn a_run_that_found_nothing() {
    let events = [header(), readings(), explored(1, None), explored(2, None), coverage(), suite(), finished(0, false, &[])];
    insta::assert_snapshot!(render(&events, Verbosity::Normal));
}

#[test]
fn a_run_that_found_something_each_time() {
    let what = || found("bob enters lobby, and ann does not get `user` / `join`", "nothing");
    let events = [
        header(),
        readings(),
        explored(1, None),
        explored(2, Some(what())),
        explored(3, Some(what())),
        frame("{\"type\":\"error\"}"),
        counterexample(what(), 5),
        coverage(),
        suite(),
        finished(1, false, &[]),
    ];
    insta::assert_snapshot!(render(&events, Verbosity::Normal));
    let quiet = render(&events, Verbosity::Quiet);
    assert!(quiet.contains("✗ JOIN-3") && !quiet.contains("States"), "{quiet}");
}

/// Whoever opens the page instead of scrolling back is to learn no less.
#[test]
fn the_page_says_what_the_terminal_says() {
    let what = || found("bob enters lobby, and ann does not get `user` / `join`", "nothing");
    let again = || Found { requirement: RequirementId::new("MSG-2"), takes_others: true, ..what() };
    let events = vec![
        header(),
        readings(),
        explored(1, None),
        explored(2, Some(what())),
        explored(3, Some(again())),
        frame("{\"type\":\"error\"}"),
        counterexample(what(), 5),
        coverage(),
        suite(),
        finished(1, false, &["a note of the run"]),
    ];
    let page = html::page(&[("run".to_owned(), Log::of(events).expect("a whole log"))]).expect("a page");
    for text in [
        "FOUND: 2 requirements violated",
        "a note of the run",
        "Members already in the room are told.",
        "bob enters lobby, and ann does not get",
        "at once: bob connects; ann connects",
        "made of 31 in 80 tries",
        "It shows in each of 5 replays.",
        "id: regressions.explore-JOIN-3-1a2b",
        "class=\"sequence\"",
        "--seed 7 --trace 2",
        "It was not made smaller: it takes another trace at the same time.",
        "a room made again <b>never</b>",
        "a full room <b>3</b>",
        "MSG-1 <b>15</b>",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
}

#[test]
fn what_shows_now_and_then_is_told_as_such_and_what_was_not_made_smaller_too() {
    let what = || found("bob enters lobby, and ann does not get `user` / `join`", "nothing");
    let unsure = render(
        &[header(), readings(), explored(2, Some(what())), counterexample(what(), 2), suite(), finished(1, false, &[])],
        Verbosity::Normal,
    );
    assert!(unsure.contains("it shows in 2 of 5 replays") && unsure.contains("no scenario file:"), "{unsure}");
    let cut = render(&[header(), readings(), explored(2, Some(what())), suite(), finished(130, true, &[])], Verbosity::Normal);
    assert!(
        cut.contains("it was not made smaller: the run ended before") && cut.contains("--trace 2") && cut.contains("INTERRUPTED"),
        "{cut}"
    );
}

#[test]
fn what_a_hostile_server_sent_does_not_act_on_the_terminal() {
    let bad = "\u{1b}[2J\u{202e}gone";
    let what = || found(bad, bad);
    let events =
        [header(), readings(), explored(2, Some(what())), frame(bad), counterexample(what(), 5), suite(), finished(1, false, &[bad])];
    let text = {
        let mut report = ExploreReport::new(Verbosity::Normal);
        events.iter().for_each(|event| report.event(event));
        let mut out = Vec::new();
        report.finish(&mut out).expect("a vector takes every write");
        String::from_utf8(out).expect("UTF-8")
    };
    assert!(!text.contains("\u{1b}[2J") && !text.contains('\u{202e}'), "{text:?}");
}

#[test]
fn a_run_that_nobody_answered() {
    let text = render(
        &[header(), suite(), finished(3, false, &["nobody answers at http://127.0.0.1:5000/chatroom/list: refused"])],
        Verbosity::Normal,
    );
    assert!(text.contains("nobody answers at") && text.contains("INCONCLUSIVE") && !text.contains("States"), "{text}");
}
