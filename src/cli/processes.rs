//! `chatspec load --processes P`: a load that several processes of this machine share, each a shard, put together at the end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Ended;
use super::interrupt::interrupt;
use super::load::LoadArgs;
use super::load_files::Files;
use super::load_job::{Goal, Job, nonce};
use super::load_shard::{Shard, Watch};
use super::merge;
use crate::event::{Event, Log};
use crate::load::barrier::{Host, Tidings};
use crate::load::merge::{Part, merge};
use crate::report::load::LoadReport;
use crate::report::terminal::Verbosity;

/// How long a process may take to end after it has said goodbye to the others, or was told to end.
const END: Duration = Duration::from_secs(20);

/// Carries a load out in several processes.
pub async fn run(args: &LoadArgs, job: &Job, processes: u32, mut files: Files) -> Ended {
    let goal = match Goal::find(&args.target, job.largest_room()).await? {
        Ok(goal) => goal,
        Err(absence) => return Ok(files.never_began(&absence)),
    };
    let fingerprint = job.fingerprint();
    let planned = job.planned();
    let nonce = nonce();
    let temporary = tempfile::tempdir().context("there is no folder for the logs of the processes")?;
    let profile = temporary.path().join(format!("{}.yaml", planned.profile));
    std::fs::write(&profile, &planned.resolved).with_context(|| format!("{} can't be written", profile.display()))?;
    let host = Host::listen("127.0.0.1:0", fingerprint.clone(), nonce).await.context("there is no port for the barrier")?;
    let common = Common {
        profile,
        environment: goal.environment(),
        words: [goal.words(args.target.capacity.unwrap_or(job.largest_room())), args.generator.words()].concat(),
        seed: fingerprint.seed,
        threads: job.threads(),
        barrier: host.address()?.to_string(),
        // Whoever keeps all results of a run keeps the shards' too.
        logs: args.files.out.clone().unwrap_or_else(|| temporary.path().to_owned()),
    };

    let mut report = LoadReport::new(if args.quiet > 0 { Verbosity::Quiet } else { Verbosity::Normal });
    let mut watch = Watch::new(processes, planned.clone(), args.quiet > 0);
    let mut tell = |event: &Event| {
        report.event(event);
        files.event(event);
    };
    tell(&Event::Started(job.header(&goal, &planned.hash, &nonce)));
    goal.readings().into_iter().for_each(&mut tell);
    tell(&Event::Planned(Box::new(planned)));

    let interrupted = interrupt().await;
    let mut children = Children::start(&common, processes)?;
    let (started, mut starting) = mpsc::unbounded_channel();
    let calling_off = async {
        tokio::select! {
            () = interrupted => "it was interrupted".to_owned(),
            why = children.early_end(&mut starting) => why,
        }
    };
    host.serve(calling_off, |tidings| {
        if matches!(tidings, Tidings::Started) {
            let _ = started.send(());
        }
        // Each process says by itself that it has come, and its end is seen.
        if !matches!(tidings, Tidings::Came { .. }) {
            watch.told_with(tidings, &mut tell);
        }
    })
    .await;
    drop(watch);
    let known = children.ended().await;

    let parts: Vec<Part> = (0..processes).map(|index| common.log(index, processes)).filter_map(|path| merge::part(&path).ok()).collect();
    let merged = match merge(&parts, &known) {
        Ok(merged) => merged,
        Err(error) => return Ok(files.never_began(&error.to_string())),
    };
    let Log { events, footer, .. } = merged;
    events.iter().filter(|event| matches!(event, Event::Measured(_))).for_each(&mut tell);
    let code = footer.exit_code;
    tell(&Event::Finished(footer));
    files.show(|out| report.finish(out));
    Ok(files.finish(code))
}

/// What all processes are given.
struct Common {
    profile: PathBuf,
    /// Options for the target and the generator.
    words: Vec<String>,
    environment: Vec<(String, String)>,
    seed: u64,
    threads: u32,
    barrier: String,
    /// The folder for their logs.
    logs: PathBuf,
}

impl Common {
    fn log(&self, index: u32, of: u32) -> PathBuf {
        self.logs.join(format!("shard-{}-of-{of}.jsonl", index + 1))
    }

    fn start(&self, program: &Path, shard: Shard) -> std::io::Result<Child> {
        let options: [(&str, OsString); 5] = [
            ("--seed", self.seed.to_string().into()),
            ("--threads", self.threads.to_string().into()),
            ("--shard", shard.to_string().into()),
            ("--barrier", self.barrier.clone().into()),
            ("--json", self.log(shard.index, shard.of).into()),
        ];
        // Each ends with its standard input, so none outlives this process, however that ends.
        Command::new(program)
            .arg("load")
            .arg(&self.profile)
            .args(&self.words)
            .args(options.into_iter().flat_map(|(name, value)| [name.into(), value]))
            .args(["--quiet", "--end-with-stdin"])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env_remove("GITHUB_ACTIONS")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// The processes of a load.
struct Children {
    of: u32,
    /// Each gives its number, from 1, and how it ended.
    waiting: JoinSet<(u32, std::io::Result<ExitStatus>)>,
    ended: BTreeMap<u32, String>,
}

impl Children {
    fn start(common: &Common, of: u32) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let mut waiting = JoinSet::new();
        for index in 0..of {
            let mut child =
                common.start(&program, Shard { index, of }).with_context(|| format!("shard {}/{of} can't be started", index + 1))?;
            let errors = child.stderr.take();
            waiting.spawn(async move {
                let telling = async {
                    let Some(errors) = errors else { return };
                    let mut lines = BufReader::new(errors).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        anstream::eprintln!("shard {}/{of}: {line}", index + 1);
                    }
                };
                let stdin = child.stdin.take();
                let (status, ()) = tokio::join!(child.wait(), telling);
                drop(stdin);
                (index + 1, status)
            });
        }
        Ok(Self { of, waiting, ended: BTreeMap::new() })
    }

    /// Comes true if one ends before all have started; why the load is called off then.
    async fn early_end(&mut self, started: &mut mpsc::UnboundedReceiver<()>) -> String {
        tokio::select! {
            biased;
            _ = started.recv() => std::future::pending().await,
            Some(ended) = self.waiting.join_next() => match ended {
                Ok((index, status)) => {
                    let why = shown(&status);
                    self.ended.insert(index, why.clone());
                    format!("shard {index}/{} {why} before the start", self.of)
                }
                Err(error) => error.to_string(),
            },
        }
    }

    /// Waits until all have ended, and ends what doesn't. Gives those that ended otherwise than by themselves, with how.
    async fn ended(mut self) -> BTreeMap<u32, String> {
        let waiting = async {
            while let Some(ended) = self.waiting.join_next().await {
                if let Ok((index, status)) = ended
                    && status.as_ref().is_ok_and(|status| status.code().is_none())
                {
                    self.ended.insert(index, shown(&status));
                }
            }
        };
        let in_time = tokio::time::timeout(END, waiting).await.is_ok();
        if !in_time {
            // What still runs is killed with its task.
            self.waiting.shutdown().await;
        }
        self.ended.into_iter().map(|(index, why)| (index, format!("its process {why}"))).collect()
    }
}

fn shown(status: &std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match status.code() {
            Some(code) => format!("ended with exit code {code}"),
            None => format!("was killed ({status})"),
        },
        Err(error) => format!("was lost sight of ({error})"),
    }
}
