//! What `chatspec slurm` prints, and that it is carried out by a Slurm cluster. Where Slurm isn't installed the latter skips, and says so.
#![cfg(target_os = "linux")]

mod support;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use chatspec::event::{Event, Log, Measured, Trust};
use reference_server::Config;
use support::slurm::{Cluster, wait_for};
use support::{Server, chatspec, reference, stderr, stdout};
use tokio::task::JoinHandle;

const TARGET: [&str; 4] = ["--http", "http://chat.example:5000", "--ws", "ws://chat.example:2333"];

fn printed(more: &[&str]) -> String {
    let output = chatspec(&[&["slurm"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn a_script_reads_so() {
    let text = printed(&[&["steady-chat", "--shards", "4", "--seed", "7"], &TARGET[..]].concat());
    insta::with_settings!({filters => vec![(env!("CARGO_PKG_VERSION"), "VERSION")]}, { insta::assert_snapshot!(text) });
}

#[test]
fn a_shell_finds_nothing_wrong_with_a_script_whatever_is_asked_for() {
    let odd = ["--program", "/opt/it's $HOME/chatspec", "--header", "X-`id`: s3cret", "--header-env", "Authorization:TOKEN", "--insecure"];
    let more = ["--shards", "7", "--tasks-per-node", "4", "--partition", "big", "--account", "us", "--time", "90m", "--cpus-per-task", "2"];
    let http = ["--http", "http://chat.example/a'b;$(id)", "--ws", "ws://chat.example/*"];
    let text = printed(&[&["smoke", "--clients", "70", "--rooms", "7"], &odd[..], &more, &http].concat());
    assert!(!text.contains("s3cret"), "{text}");
    for line in ["--nodes=2", "--ntasks=7", "--ntasks-per-node=4", "--partition=big", "--account=us", "--time=90", "--cpus-per-task=2"] {
        assert!(text.contains(&format!("#SBATCH {line}\n")), "{line}: {text}");
    }
    // A name that a shell would read something into is refused.
    for option in ["--name", "--partition", "--account"] {
        let output = chatspec(&[&["slurm", "smoke", "--shards", "1", option, "a b"], &TARGET[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("load.sbatch");
    std::fs::write(&path, &text).expect("the folder is new");
    let bash = Command::new("bash").arg("-n").arg(&path).output().expect("bash runs");
    assert!(bash.status.success(), "{}", stderr(&bash));
    if support::browser::program(&["shellcheck"]).is_none() {
        assert!(!support::slurm::is_required(), "shellcheck is missing, and CHATSPEC_SLURM_TEST=required: install shellcheck");
        eprintln!("skipped: shellcheck is not installed");
        return;
    }
    let found = Command::new("shellcheck").arg(&path).output().expect("shellcheck runs");
    assert!(found.status.success(), "{}", stdout(&found));
}

/// A load of eight rooms on the reference server, as a job of four shards on a cluster: the script in a folder of its own, where the results
/// will be too.
struct Load {
    dir: tempfile::TempDir,
    _server: Server,
}

impl Load {
    async fn of(seconds: u32) -> Self {
        let server = reference(Config { capacity: 5, ..Config::default() }).await;
        let duration = format!("steady:{seconds}s");
        let shape = ["--clients", "40", "--rooms", "8", "--rate", "80/s", "--phase", &duration, "--deadline", "3s", "--seed", "7"];
        let target = ["--http", &server.http, "--ws", &server.ws, "--reading", "R-PARAMS=get-query", "--capacity", "5"];
        let shards = ["--shards", "4", "--name", "load", "--barrier-timeout", "60s", "--program", env!("CARGO_BIN_EXE_chatspec")];
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("load.sbatch"), printed(&[&shape[..], &target, &shards].concat())).expect("the folder is new");
        Self { dir, _server: server }
    }

    fn script(&self) -> PathBuf {
        self.dir.path().join("load.sbatch")
    }

    /// The folder with the results.
    fn results(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path()).expect("a folder").flatten();
        entries.map(|entry| entry.path()).find(|path| path.is_dir())
    }

    /// What the job has written, the report among it.
    fn told(&self) -> String {
        let entries = std::fs::read_dir(self.dir.path()).expect("a folder").flatten();
        let texts = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "txt"));
        texts.map(|entry| std::fs::read_to_string(entry.path()).expect("a text")).collect()
    }

    fn merged(&self) -> (Log, Measured) {
        let path = self.results().expect("results").join("merged/load.jsonl");
        let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}\n{}", path.display(), self.told()));
        let log = Log::read(std::io::BufReader::new(file)).expect("a whole log");
        let measured =
            log.events.iter().find_map(|event| if let Event::Measured(measured) = event { Some((**measured).clone()) } else { None });
        (log, measured.expect("measurements"))
    }
}

/// Submits a job off the runtime, which meanwhile serves what it loads.
async fn submitted(cluster: &Arc<Cluster>, load: &Load) -> JoinHandle<Output> {
    let (cluster, script, dir) = (cluster.clone(), load.script(), load.dir.path().to_owned());
    tokio::task::spawn_blocking(move || cluster.submit(&script, &dir))
}

#[tokio::test(flavor = "multi_thread")]
async fn four_tasks_on_four_nodes_are_one_load() {
    let Some(cluster) = Cluster::start(4).map(Arc::new) else { return };
    let load = Load::of(3).await;
    let output = submitted(&cluster, &load).await.await.expect("it is waited for");
    let (log, measured) = load.merged();
    let told = load.told();
    assert_eq!(output.status.code(), Some(log.footer.exit_code.into()), "the job ends as the load does: {}{told}", stderr(&output));
    // On a machine that has other work to do, a generator rightly says that its figures are none.
    assert!(matches!(log.footer.exit_code, 0 | 3), "{told}");
    assert!(log.footer.notes.iter().any(|note| note == "merged from 4 of 4 shards"), "{:?}", log.footer.notes);
    let ledger = &measured.ledger;
    assert_eq!((ledger.lost, ledger.duplicated, ledger.leaked), (0, 0, 0), "{told}");
    // Where a client came too late for its first message, that was the machine.
    assert!(ledger.sent == 240 || measured.health.trust != Trust::Trusted, "{told}");
    let shards: Vec<&str> = measured.shards.iter().filter(|shard| shard.sent > 0).map(|shard| shard.shard.as_str()).collect();
    assert_eq!(shards, ["1/4", "2/4", "3/4", "4/4"], "{told}");
    assert!(load.results().expect("results").join("merged/load.html").is_file());
    eprintln!("{told}");
    end(cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_task_is_named_and_the_others_are_merged() {
    let Some(cluster) = Cluster::start(4).map(Arc::new) else { return };
    let load = Load::of(20).await;
    let job = submitted(&cluster, &load).await;
    let (watched, within) = (cluster.clone(), load.dir.path().to_owned());
    let killed = tokio::task::spawn_blocking(move || {
        let task = watched.task(2, "chatspec");
        let plays = || {
            let entries = std::fs::read_dir(&within).ok()?.flatten();
            let mut logs = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("shards/shard-2.jsonl")).ok());
            logs.any(|log| log.contains(r#""event":"second""#)).then_some(())
        };
        let has_played = wait_for(Duration::from_secs(120), plays).is_some();
        task.kill();
        has_played
    });
    assert!(killed.await.expect("it is killed"), "the shard's log tells each second while it plays");
    let output = job.await.expect("it is waited for");
    let told = load.told();
    assert_eq!(output.status.code(), Some(3), "{}{told}", stderr(&output));
    let (log, measured) = load.merged();
    assert_eq!(log.footer.exit_code, 3);
    assert!(told.contains("shard 3/4"), "{told}");
    assert!(measured.ledger.sent > 0 && measured.ledger.lost == 0, "the others are there: {told}");
    end(cluster);
}

/// Ends a cluster, and sees that nothing of it is left.
fn end(cluster: Arc<Cluster>) {
    drop(Arc::into_inner(cluster).expect("nobody else has it"));
}
