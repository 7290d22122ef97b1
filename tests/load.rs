//! The load tester as an instrument: it finds what was injected, as often as it was injected, and nothing else.

mod support;

use chatspec::event::{Blame, Log, Trust};
use chatspec::ledger::Wrong;
use chatspec::stats::{Clock, Metric};
use reference_server::Config;
use reference_server::fault::Fault;
use support::tls::secured;
use support::{Server, chatspec_off_the_runtime, reference};

/// The options of a load of some seconds, of clients who come and go too.
const CHAT: [&str; 10] = ["--clients", "40", "--rooms", "4", "--rate", "300/s", "--phase", "steady:2s", "--deadline", "3s"];

/// Loads a server: the exit code, the log, and what was printed.
async fn load(server: &Server, options: &[&str]) -> (i32, Log, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("load.jsonl");
    let path = path.to_str().expect("a path of text");
    let arguments = [&["load", "--http", &server.http, "--ws", &server.ws, "--json", path, "--no-abort"], options].concat();
    let (code, stdout, stderr) = chatspec_off_the_runtime(&arguments).await;
    let log = Log::read(std::io::BufReader::new(std::fs::File::open(path).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"))));
    (code, log.unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")), stdout + &stderr)
}

/// What the exit code has to be: 3, whatever else, where so much went on here that the generator doesn't believe itself.
fn expected(code: i32, log: &Log) -> i32 {
    let (_, measured) = log.load().expect("a load's log");
    if measured.health.trust == Trust::Invalid { 3 } else { code }
}

fn read(path: &str) -> Log {
    let file = std::fs::File::open(path).expect("a log");
    Log::read(std::io::BufReader::new(file)).expect("a whole log")
}

fn places(fault: Option<&Fault>) -> Config {
    Config { capacity: 40, fault: fault.cloned(), ..Config::default() }
}

/// What the log says went wrong.
fn wrongs(log: &Log) -> Vec<(&'static str, u64)> {
    let (_, measured) = log.load().expect("a load's log");
    Wrong::ALL.iter().map(|wrong| (wrong.name(), measured.ledger.count(*wrong))).filter(|(_, count)| *count > 0).collect()
}

async fn finds(dose: &str, wrong: &'static str) {
    let fault = Fault::named(dose).expect("a fault");
    let server = reference(places(Some(&fault))).await;
    let (code, log, shown) = load(&server, &CHAT).await;
    let injected = fault.firings();
    assert!(injected >= 5, "{dose}: the fault was hardly reached\n{shown}");
    assert_eq!(wrongs(&log), [(wrong, injected)], "{dose}\n{shown}");
    let (_, measured) = log.load().expect("a load's log");
    assert_eq!(measured.ledger.witnesses.len() as u64, injected.min(20), "{dose}");
    assert_eq!(code, expected(1, &log), "{dose}: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_percentile_that_cannot_be_met_any_more_ends_the_run() {
    let server = reference(places(None)).await;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("load.jsonl");
    let shape =
        ["--clients", "40", "--rooms", "4", "--rate", "300/s", "--phase", "steady:2m", "--threshold", "deliver.p99{phase=steady} < 1us"];
    let target = ["load", "--http", &server.http, "--ws", &server.ws, "--json", path.to_str().expect("a path of text")];
    let (code, stdout, stderr) = chatspec_off_the_runtime(&[&target[..], &shape].concat()).await;
    let log = read(path.to_str().expect("a path of text"));
    let (_, measured) = log.load().expect("a load's log");
    assert_eq!(code, expected(1, &log), "{stdout}{stderr}");
    let verdicts: Vec<_> = measured.thresholds.iter().filter(|verdict| verdict.aborted).map(|verdict| verdict.threshold.as_str()).collect();
    assert_eq!(verdicts, ["deliver.p99{phase=steady} < 1us"], "{stdout}{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_messages_are_counted() {
    finds("load-drop=1/101", "lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_messages_are_counted() {
    finds("load-duplicate=1/101", "duplicated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_messages_are_counted() {
    finds("load-swap=1/101", "reordered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaked_messages_are_counted() {
    finds("load-leak=1/29", "leaked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_messages_are_counted() {
    finds("load-alter=1/101", "corrupted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_are_the_servers_errors_and_no_lost_messages() {
    let fault = Fault::named("load-cut=1/8").expect("a fault");
    let server = reference(places(Some(&fault))).await;
    // Who says how the target is isn't probed, so all connections are the load's own.
    let said = ["--reading", "R-PARAMS=get-query", "--capacity", "40"];
    let (_, log, shown) = load(&server, &[&CHAT[..], &said].concat()).await;
    let (_, measured) = log.load().expect("a load's log");
    let broken: u64 =
        measured.errors.iter().filter(|error| error.blame == Blame::Server && error.doing == "deliver").map(|error| error.count).sum();
    assert_eq!((broken, fault.firings() >= 3), (fault.firings(), true), "{shown}");
    assert_eq!(wrongs(&log), [], "{shown}");
}

/// The latencies of a metric in microseconds, of all phases: how many, and the longest.
fn latencies(log: &Log, metric: Metric) -> (u64, u64) {
    let (_, measured) = log.load().expect("a load's log");
    let histogram = measured.histograms().expect("they can be read").select(metric, Clock::Intended, None, None);
    (histogram.len(), histogram.max())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_the_target_is_in_the_latencies_and_loses_nothing() {
    let fault = Fault::named("load-stop=300").expect("a fault");
    let server = reference(places(Some(&fault))).await;
    let (_, log, shown) = load(&server, &CHAT).await;
    assert_eq!((fault.firings(), wrongs(&log)), (1, Vec::new()), "{shown}");
    // What was due as it began waited for its end, 1.4 s later; the next message is due a three-hundredth of a second after it.
    let (_, longest) = latencies(&log, Metric::Deliver);
    assert!(longest >= 1_390_000, "{longest} us\n{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_accepts_slowly_is_seen_in_the_handshakes() {
    let fault = Fault::named("load-slow-accept=20ms").expect("a fault");
    let server = reference(places(Some(&fault))).await;
    // Who says how the target is isn't probed, so all connections are the load's own.
    let said = ["--reading", "R-PARAMS=get-query", "--capacity", "40", "--session-rate", "10000/s"];
    let (_, log, shown) = load(&server, &[&CHAT[..], &said].concat()).await;
    assert_eq!(wrongs(&log), [], "{shown}");
    // All come within a moment, and the last of them waits for the pauses after all others, but for that moment.
    let (upgrades, longest) = latencies(&log, Metric::Upgrade);
    assert_eq!(upgrades, 40, "{shown}");
    assert!(longest >= 39 * 20_000 / 2, "{longest} us\n{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_through_tls_too() {
    let server = secured(reference(places(None)).await).await;
    let (code, log, shown) = load(&server, &[&CHAT[..], &["--insecure"]].concat()).await;
    let (_, measured) = log.load().expect("a load's log");
    assert_eq!((code, wrongs(&log)), (expected(0, &log), Vec::new()), "{shown}");
    assert_eq!((measured.ledger.due, measured.ledger.delivered > 3_000), (measured.ledger.delivered, true), "{shown}");
    let (code, _, shown) = chatspec_off_the_runtime(&["load", "--http", &server.http, "--ws", &server.ws, "--quiet"]).await;
    assert_eq!(code, 3, "the certificate is nobody's: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_chat_of_people_who_come_and_go_shows_nothing_wrong() {
    let server = reference(places(None)).await;
    let dir = tempfile::tempdir().expect("a folder");
    let profile = dir.path().join("chat.yaml");
    let text = "title: People who come, go, vanish and read slowly\n\
                rooms: {count: 4, size: 10}\n\
                behaviours:\n  chatty: {weight: 4}\n  lurking: {weight: 1}\n\
                \x20 coming-and-going: {weight: 3, sends: 1, stay: 700ms, absence: 300ms}\n\
                \x20 reconnecting: {weight: 2, sends: 1, stay: 1s, absence: 500ms}\n\
                \x20 slow-reader: {weight: 1, pause: 300ms, every: 1s}\n\
                sessions: {rate: 200/s}\n\
                messages: {rate: 300/s, size: 64..2KiB}\n\
                phases:\n  - {phase: steady, duration: 3s}\n  - {phase: storm, duration: 2s, fraction: 0.3, spread: 500ms}\n  - {phase: drain, duration: 2s}\n\
                deadline: 4s\n";
    std::fs::write(&profile, text).expect("written");
    let (code, log, shown) = load(&server, &[profile.to_str().expect("text")]).await;
    assert_eq!(wrongs(&log), [], "{shown}");
    let (planned, measured) = log.load().expect("a load's log");
    assert_eq!(code, expected(0, &log), "{shown}");
    let ledger = &measured.ledger;
    assert_eq!((ledger.due, ledger.delivered > 5_000), (ledger.delivered, true), "{shown}");
    assert!(ledger.indeterminate < ledger.delivered / 10, "{shown}");
    // Each of the plan's messages is sent or accounted for.
    let accounted: u64 = measured.phases.iter().map(|phase| phase.sent + phase.unsent_target + phase.unsent_generator).sum();
    assert_eq!(Some(accounted), planned.messages, "{shown}");
    let histograms = measured.histograms().expect("they can be read");
    let count = |metric| histograms.select(metric, Clock::Intended, None, None).len();
    assert_eq!(count(Metric::Deliver), ledger.delivered, "{shown}");
    for metric in Metric::ALL {
        assert!(count(metric) > 0, "{}: {shown}", metric.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_load_keeps_its_number_in_flight_and_obeys_littles_law() {
    let server = reference(places(None)).await;
    let (code, log, shown) = load(&server, &["--clients", "40", "--rooms", "8", "--closed", "16", "--phase", "steady:2s"]).await;
    let (planned, measured) = log.load().expect("a load's log");
    assert_eq!((code, planned.messages, wrongs(&log)), (expected(0, &log), None, vec![]), "{shown}");
    let steady = measured.phases.iter().find(|phase| phase.name == "steady").expect("the phase");
    let in_flight = steady.in_flight.expect("a closed load says so");
    assert!((in_flight - 16.0).abs() < 0.5, "{in_flight}: {shown}");
    let echoes = measured.histograms().expect("they can be read").select(Metric::Echo, Clock::Service, Some("steady"), None);
    let by_law = echoes.len() as f64 / steady.seconds * echoes.mean() / 1e6;
    assert!((by_law / in_flight - 1.0).abs() < 0.05, "{by_law} for {in_flight}: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_larger_than_the_targets_is_said_before_the_run() {
    let server = reference(Config { capacity: 5, ..Config::default() }).await;
    let (code, _, stderr) = chatspec_off_the_runtime(&[
        "load",
        "--http",
        &server.http,
        "--ws",
        &server.ws,
        "--clients",
        "12",
        "--rooms",
        "2",
        "--rate",
        "10/s",
    ])
    .await;
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("rooms have 5 places") && stderr.contains("largest has 6 clients"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_inconclusive() {
    let (code, _, stderr) = chatspec_off_the_runtime(&["load", "--http", "http://127.0.0.1:9", "--ws", "ws://127.0.0.1:9"]).await;
    assert_eq!((code, stderr.contains("nobody answers")), (3, true), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_formats_are_written_and_a_wrong_path_is_told_before_the_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("run");
    let out_text = out.to_str().expect("text");
    let (code, stdout, stderr) =
        chatspec_off_the_runtime(&["load", "--clients", "6", "--rooms", "1", "--rate", "50/s", "--phase", "steady:1s", "--out", out_text])
            .await;
    let log = read(out.join("load.jsonl").to_str().expect("text"));
    assert_eq!(code, expected(0, &log), "{stdout}{stderr}");
    for name in ["load.jsonl", "load.hlog", "load.txt", "seconds.csv", "percentiles.csv", "deliver.hgrm", "deliver.steady.hgrm"] {
        let length = std::fs::metadata(out.join(name)).map_or(0, |file| file.len());
        assert!(length > 100, "{name}: {length} bytes");
    }
    let (code, _, stderr) = chatspec_off_the_runtime(&["load", "--hlog", "/nowhere/at/all.hlog"]).await;
    assert_eq!((code, stderr.contains("/nowhere/at/all.hlog can't be written")), (2, true), "{stderr}");
}

/// The address of the metrics is the first line that is told, and while it is read the load goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_load_has_served_metrics_and_leaves_a_whole_log() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let server = reference(places(None)).await;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("load.jsonl").to_str().expect("text").to_owned();
    let mut child = Command::new(env!("CARGO_BIN_EXE_chatspec"))
        .args(["load", "--http", &server.http, "--ws", &server.ws, "--clients", "10", "--rooms", "1", "--rate", "100/s"])
        .args(["--phase", "steady:100s", "--json", &path, "--prometheus", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    let mut first = String::new();
    lines.read_line(&mut first).expect("it says what it does");
    let address = first.trim().trim_end_matches("/metrics").rsplit('/').next().expect("an address").to_owned();
    let scrape = async || {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("it is served");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.expect("it takes requests");
        let mut page = String::new();
        stream.read_to_string(&mut page).await.expect("a page");
        page
    };
    let page = loop {
        let page = scrape().await;
        if page.lines().any(|line| line.strip_prefix("chatspec_load_deliveries_total ").is_some_and(|count| count != "0")) {
            break page;
        }
        assert!(child.try_wait().expect("it can be asked").is_none(), "it ended:\n{page}");
    };
    assert!(page.ends_with("# EOF\n") && page.contains("chatspec_load_wrong_deliveries_total{kind=\"lost\"} 0"), "{page}");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    let code = tokio::task::spawn_blocking(move || {
        lines.read_to_string(&mut String::new()).expect("text");
        child.wait().expect("it ends").code()
    });
    assert_eq!(code.await.expect("it ends"), Some(130));
    let log = read(&path);
    let (_, measured) = log.load().expect("a load's");
    assert!(log.footer.interrupted && measured.ledger.delivered > 0);
    assert_eq!((wrongs(&log), measured.ledger.due), (vec![], measured.ledger.delivered));
}
