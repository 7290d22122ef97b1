//! One load in several processes: what they do together is what one would have done, and what is lost is told.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use chatspec::event::{Log, Measured, Planned, Trust};
use chatspec::stats::{Clock, Metric};
use reference_server::Config;
use support::{Server, chatspec_off_the_runtime, reference};

/// A load of some seconds, of which nothing but the seed decides what is sent.
const SHAPE: [&str; 12] = ["--clients", "48", "--rooms", "12", "--rate", "240/s", "--phase", "steady:2s", "--seed", "5", "--threads", "1"];

async fn server() -> Server {
    reference(Config { capacity: 40, ..Config::default() }).await
}

fn read(path: &Path) -> Log {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Log::read(std::io::BufReader::new(file)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a load did, as far as the plan decides it: its size, and how many messages and deliveries of each size of room there were.
fn did(log: &Log) -> (Planned, u64, u64, u64, u64, Vec<(u32, u64)>) {
    let (planned, measured) = log.load().expect("a load's");
    let planned = Planned { threads: 0, ..planned.clone() };
    let histograms = measured.histograms().expect("sound histograms");
    let sizes: BTreeSet<u32> = histograms.0.keys().map(|key| key.size).collect();
    let delivered = |size: &u32| (*size, histograms.select(Metric::Deliver, Clock::Intended, None, Some(*size)).len());
    let ledger = &measured.ledger;
    (planned, ledger.sent, ledger.due, ledger.delivered, ledger.indeterminate, sizes.iter().map(delivered).collect())
}

/// 3 is what a generator says that doesn't believe itself on a machine with much other work; its counts hold all the same.
fn expected(log: &Log) -> i32 {
    if log.load().expect("a load's").1.health.trust == Trust::Invalid { 3 } else { 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_processes_do_together_what_one_does() {
    let server = server().await;
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let target = ["load", "--http", &server.http, "--ws", &server.ws];
    let (alone, together) = (at("alone.jsonl"), at("together.jsonl"));

    let (code, stdout, stderr) =
        chatspec_off_the_runtime(&[&target[..], &SHAPE, &["--json", alone.to_str().expect("text")]].concat()).await;
    let alone = read(&alone);
    assert_eq!(code, expected(&alone), "{stdout}{stderr}");

    let out = at("out");
    let options = ["--processes", "4", "--json", together.to_str().expect("text"), "--out", out.to_str().expect("text")];
    let (code, stdout, stderr) = chatspec_off_the_runtime(&[&target[..], &SHAPE, &options].concat()).await;
    let together = read(&together);
    assert_eq!(code, expected(&together), "{stdout}{stderr}");
    assert_eq!(did(&together), did(&alone), "{stdout}{stderr}");

    let (planned, measured) = together.load().expect("a load's");
    assert_eq!((measured.ledger.sent, measured.ledger.is_clean()), (planned.messages.expect("an open load"), true));
    let shards: Vec<&str> = measured.shards.iter().map(|shard| shard.shard.as_str()).collect();
    assert_eq!(shards, ["1/4", "2/4", "3/4", "4/4"]);
    assert!(measured.shards.iter().all(|shard| shard.within_ms.is_some() && shard.sent > 0), "{:?}", measured.shards);
    let counted: u64 = together.seconds().map(|second| second.sent).sum();
    assert_eq!(counted, measured.ledger.sent, "the seconds of all processes together");
    for shown in ["The shards", "they began within", "deviates most"] {
        assert!(stdout.contains(shown), "{shown}: {stdout}");
    }

    // The shards' own logs are kept with the results, and merged again they are the same.
    let again = at("again.jsonl");
    let (code, stdout, stderr) = chatspec_off_the_runtime(&[
        "merge",
        out.to_str().expect("text"),
        "--json",
        again.to_str().expect("text"),
        "--html",
        at("again.html").to_str().expect("text"),
    ])
    .await;
    assert_eq!(code, expected(&together), "{stdout}{stderr}");
    let again = read(&again);
    assert_eq!(again.load().expect("a load's"), together.load().expect("a load's"));
    assert!(std::fs::read_to_string(at("again.html")).expect("a page").contains("Its shards"));
}

/// A process that ends with its handle, so that no test leaves one behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatspec"));
    Running(command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
}

fn ended(mut running: Running) -> (Option<i32>, String) {
    use std::io::Read;
    let mut said = String::new();
    running.0.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    running.0.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    (running.0.wait().expect("it ends").code(), said)
}

/// Where the first shard says that its barrier is.
fn barrier(first: &mut Running) -> String {
    use std::io::{BufRead, BufReader};
    let stderr = first.0.stderr.as_mut().expect("piped");
    let mut line = String::new();
    BufReader::with_capacity(1, stderr).read_line(&mut line).expect("it says where");
    let at = line.strip_prefix("the barrier is at ").and_then(|rest| rest.split(',').next());
    at.unwrap_or_else(|| panic!("{line}")).to_owned()
}

/// Waits until a shard's log tells of a second: its load has begun, and goes on.
fn until_it_loads(log: &Path) {
    let begins = std::time::Instant::now();
    while !std::fs::read_to_string(log).is_ok_and(|text| text.contains("\"second\"")) {
        assert!(begins.elapsed().as_secs() < 60, "{} tells of no second", log.display());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_killed_is_named_and_the_others_are_merged() {
    let server = server().await;
    let dir = tempfile::tempdir().expect("a folder");
    let logs: Vec<_> = (1..=3).map(|shard| dir.path().join(format!("{shard}.jsonl"))).collect();
    let outcomes = tokio::task::spawn_blocking({
        let (http, ws, logs) = (server.http.clone(), server.ws.clone(), logs.clone());
        move || {
            let shape = ["--clients", "12", "--rooms", "6", "--rate", "60/s", "--phase", "steady:4s", "--threads", "1"];
            let shard = |shard: &str, log: &Path, barrier: [&str; 2]| {
                let own = ["load", "--http", &http, "--ws", &ws, "--shard", shard, "--json", log.to_str().expect("text")];
                start(&[&own[..], &shape, &barrier].concat())
            };
            let mut first = shard("1/3", &logs[0], ["--barrier-listen", "127.0.0.1:0"]);
            let at = barrier(&mut first);
            let second = shard("2/3", &logs[1], ["--barrier", &at]);
            let mut third = shard("3/3", &logs[2], ["--barrier", &at]);
            until_it_loads(&logs[2]);
            third.0.kill().expect("it is killed");
            let _ = third.0.wait();
            (ended(first), ended(second))
        }
    })
    .await
    .expect("no panic");
    let ((first, first_said), (second, second_said)) = outcomes;
    // The first shard has seen that one went; the others have done their part and know nothing of it.
    assert_eq!(first, Some(3), "{first_said}");
    assert!(first_said.contains("shard 3/3 was lost"), "{first_said}");
    assert!(matches!(second, Some(0 | 3)) && !second_said.contains("lost"), "{second_said}");

    let out = dir.path().join("whole");
    let arguments = ["merge", dir.path().to_str().expect("text"), "--out", out.to_str().expect("text")];
    let (code, stdout, stderr) = chatspec_off_the_runtime(&arguments).await;
    assert_eq!(code, 3, "{stdout}{stderr}");
    assert!(stdout.contains("shard 3/3 is lost: its log ") && stdout.contains("3.jsonl breaks off"), "{stdout}");
    let whole = read(&out.join("load.jsonl"));
    let sent = |log: &Log| log.load().expect("a load's").1.ledger.sent;
    assert_eq!(sent(&whole), sent(&read(&logs[0])) + sent(&read(&logs[1])));
    for name in ["load.html", "load.md", "load.xml", "load.tap", "load.hlog", "seconds.csv"] {
        assert!(std::fs::metadata(out.join(name)).is_ok_and(|file| file.len() > 100), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_play_on_where_the_first_shard_is_killed() {
    let server = server().await;
    let dir = tempfile::tempdir().expect("a folder");
    let logs: Vec<_> = (1..=2).map(|shard| dir.path().join(format!("{shard}.jsonl"))).collect();
    let (second, said) = tokio::task::spawn_blocking({
        let (http, ws, logs) = (server.http.clone(), server.ws.clone(), logs.clone());
        move || {
            let shape = ["--clients", "8", "--rooms", "4", "--rate", "40/s", "--phase", "steady:4s", "--threads", "1"];
            let shard = |shard: &str, log: &Path, barrier: [&str; 2]| {
                let own = ["load", "--http", &http, "--ws", &ws, "--shard", shard, "--json", log.to_str().expect("text")];
                start(&[&own[..], &shape, &barrier].concat())
            };
            let mut first = shard("1/2", &logs[0], ["--barrier-listen", "127.0.0.1:0"]);
            let at = barrier(&mut first);
            let second = shard("2/2", &logs[1], ["--barrier", &at]);
            until_it_loads(&logs[1]);
            first.0.kill().expect("it is killed");
            ended(second)
        }
    })
    .await
    .expect("no panic");
    assert!(matches!(second, Some(0 | 3)) && said.contains("the first shard was gone before the end; this one played on"), "{said}");
    let log = read(&logs[1]);
    let (planned, measured) = log.load().expect("a load's");
    let due: u64 = measured.phases.iter().map(|phase| phase.planned).sum();
    assert!(measured.ledger.sent == due && Some(due * 2) == planned.messages, "it has sent its half: {said}");
}

/// The processes that a process has started.
#[cfg(target_os = "linux")]
fn children(of: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{of}/task")).expect("it runs");
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_several_that_is_killed_is_named_and_none_is_left_behind() {
    let server = server().await;
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().to_path_buf();
    let (code, said, left) = tokio::task::spawn_blocking({
        let (http, ws, out) = (server.http.clone(), server.ws.clone(), out.clone());
        move || {
            let shape = ["--clients", "12", "--rooms", "6", "--rate", "60/s", "--phase", "steady:4s", "--threads", "1"];
            let own = ["load", "--http", &http, "--ws", &ws, "--processes", "3", "--out", out.to_str().expect("text")];
            let parent = start(&[&own[..], &shape].concat());
            until_it_loads(&out.join("shard-2-of-3.jsonl"));
            let processes = children(parent.0.id());
            let is_second = |id: &&u32| {
                let words = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
                words.split(|byte| *byte == 0).any(|word| word == b"2/3")
            };
            let second = processes.iter().find(is_second).expect("a process has the second shard");
            let second = rustix::process::Pid::from_raw(i32::try_from(*second).expect("an id")).expect("an id");
            rustix::process::kill_process(second, rustix::process::Signal::KILL).expect("it is killed");
            let (code, said) = ended(parent);
            let is_left = |id: &u32| Path::new(&format!("/proc/{id}")).exists();
            (code, said, processes.into_iter().filter(is_left).count())
        }
    })
    .await
    .expect("no panic");
    assert_eq!((code, left), (Some(3), 0), "{said}");
    assert!(said.contains("shard 2/3 is lost: its process was killed (signal: 9 (SIGKILL))"), "{said}");
    let measured = read(&out.join("load.jsonl"));
    let Measured { ledger, shards, .. } = measured.load().expect("a load's").1;
    assert!(ledger.sent > 0 && shards[1].lost.is_some() && shards[0].lost.is_none(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_of_different_loads_do_not_begin_and_say_what_differs() {
    let server = server().await;
    let outcome = tokio::task::spawn_blocking({
        let (http, ws) = (server.http.clone(), server.ws.clone());
        move || {
            let shard = |shard: &str, rate: &str, barrier: [&str; 2]| {
                let own = ["load", "--http", &http, "--ws", &ws, "--shard", shard, "--clients", "4", "--rooms", "2", "--rate", rate];
                start(&[&own[..], &barrier, &["--duration", "1s"]].concat())
            };
            let mut first = shard("1/2", "10/s", ["--barrier-listen", "127.0.0.1:0"]);
            let at = barrier(&mut first);
            let other = ended(shard("2/2", "20/s", ["--barrier", &at]));
            // The first waits still, and the right one may come.
            let right = shard("2/2", "10/s", ["--barrier", &at]);
            (other, ended(first), ended(right))
        }
    })
    .await
    .expect("no panic");
    let ((code, said), (first, first_said), (right, right_said)) = outcome;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("it has another profile than the first shard"), "{said}");
    assert!(first_said.contains("refused somebody") && matches!(first, Some(0 | 3)), "{first_said}");
    assert!(matches!(right, Some(0 | 3)) && right_said.contains("shard 2/2"), "{right_said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_that_begin_at_a_time_need_not_know_each_other() {
    let server = server().await;
    let dir = tempfile::tempdir().expect("a folder");
    let at = std::time::SystemTime::now() + std::time::Duration::from_secs(4);
    let at = humantime::format_rfc3339_millis(at).to_string();
    let logs: Vec<_> = (1..=2).map(|shard| dir.path().join(format!("{shard}.jsonl"))).collect();
    let ended = tokio::task::spawn_blocking({
        let (http, ws, logs) = (server.http.clone(), server.ws.clone(), logs.clone());
        move || {
            let shards = ["1/2", "2/2"].iter().zip(&logs).map(|(shard, log)| {
                let own = ["load", "--http", &http, "--ws", &ws, "--shard", shard, "--json", log.to_str().expect("text")];
                start(&[&own[..], &["--clients", "8", "--rooms", "2", "--rate", "40/s", "--duration", "1s", "--start-at", &at]].concat())
            });
            shards.collect::<Vec<_>>().into_iter().map(ended).collect::<Vec<_>>()
        }
    })
    .await
    .expect("no panic");
    assert!(ended.iter().all(|(code, _)| matches!(code, Some(0 | 3))), "{ended:?}");
    let (code, stdout, stderr) = chatspec_off_the_runtime(&["merge", dir.path().to_str().expect("text")]).await;
    assert!(matches!(code, 0 | 3), "{stdout}{stderr}");
    assert!(stdout.contains("by clocks that were not compared"), "{stdout}");
    let starts: BTreeSet<u64> =
        logs.iter().map(|log| read(log).load().expect("a load's").1.start.as_ref().expect("it began").at_unix_ms.round() as u64).collect();
    assert_eq!(starts.len(), 1, "both were told the same time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shared_is_wrong_usage_and_says_why() {
    let cases: [(&[&str], &str); 7] = [
        (&["--shard", "3/2"], "there is no shard 3 of 2"),
        (&["--shard", "1/50", "--clients", "40", "--rooms", "20"], "50 shards are too many for 20 rooms"),
        (&["--shard", "1/2"], "give --http and --ws"),
        (&["--shard", "1/2", "--http", "http://127.0.0.1:9", "--start-at", "2001-01-01T00:00:00Z"], "this time is over"),
        (&["--shard", "2/2", "--http", "http://127.0.0.1:9", "--barrier-listen", "127.0.0.1:0"], "only the first shard listens"),
        (&["--barrier", "127.0.0.1:7700"], "--shard"),
        (&["--processes", "2", "--shard", "1/2"], "cannot be used with"),
    ];
    for (arguments, says) in cases {
        let (code, stdout, stderr) = chatspec_off_the_runtime(&[&["load"], arguments].concat()).await;
        assert_eq!(code, 2, "{arguments:?}: {stdout}{stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
    }
    let nobody = ["--http", "http://127.0.0.1:9", "--barrier", "127.0.0.1:9", "--barrier-timeout", "300ms"];
    let (code, _, stderr) = chatspec_off_the_runtime(&[&["load", "--shard", "2/2"], &nobody[..]].concat()).await;
    assert_eq!((code, stderr.contains("the barrier at 127.0.0.1:9 was not reached within 300ms")), (3, true), "{stderr}");
}
