//! Logs of loads, compared and merged as their users do it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use chatspec::event::{
    Blame, ErrorCount, Event, Footer, Given, Header, Health, LOG_VERSION, Log, Measured, PhaseMeasured, PhasePlanned, Planned, Recorded,
    Second, Start, TargetShown, ThresholdVerdict, Trust,
};
use chatspec::ledger::{Account, Witness, Wrong};
use chatspec::load::merge::{MergeError, Part};
use chatspec::report::jsonl::JsonLines;
use chatspec::stats::{Clock, Histograms, Key, Metric, durations, encoding, record};
use proptest::prelude::*;

/// A profile with the threshold that the loads here are held against.
const RESOLVED: &str = "title: p\nrooms: {count: 4, size: 10}\nmessages: {rate: 10/s}\nphases:\n  - {phase: steady, duration: 10s}\nthresholds:\n  - deliver.rate >= 100/s\n";

/// A load of ten seconds, of which a shard has some rooms.
struct Load {
    version: &'static str,
    /// When it began, in milliseconds.
    began: f64,
    hash: &'static str,
    seed: u64,
    shard: Option<String>,
    threads: u32,
    /// Each delivery: in which phase, in which second, after how many microseconds.
    deliveries: Vec<(bool, u32, u64)>,
    lost: u64,
    trust: Trust,
    interrupted: bool,
}

impl Default for Load {
    fn default() -> Self {
        let deliveries = (0..1000).map(|number| (true, number % 10, 20_000 + 100 * u64::from(number))).collect();
        Self {
            version: "0.1.0",
            began: 0.0,
            hash: "one",
            seed: 1,
            shard: None,
            threads: 1,
            deliveries,
            lost: 0,
            trust: Trust::Trusted,
            interrupted: false,
        }
    }
}

impl Load {
    /// The load of one run: its deliveries take so much longer than usual, give or take what the run's number decides.
    fn run(number: u64, percent: u64) -> Self {
        let mut load = Self::default();
        let luck = 1000 + (number * 7919) % 17;
        load.deliveries.iter_mut().for_each(|(_, _, micros)| *micros = *micros * percent * luck / 100_000);
        load
    }

    fn log(&self) -> Log {
        let phase = |name: &str, start_ms, end_ms, counts| PhasePlanned {
            name: name.into(),
            kind: name.into(),
            start_ms,
            end_ms,
            rate: Some((100.0, 100.0)),
            counts,
        };
        let planned = Planned {
            profile: "p".into(),
            hash: self.hash.into(),
            resolved: RESOLVED.into(),
            clients: 40,
            rooms: 4,
            largest: 10,
            phases: vec![phase("arrive", 0.0, 1000.0, false), phase("steady", 1000.0, 11_000.0, true)],
            messages: Some(1000),
            threads: self.threads,
            shard: self.shard.clone(),
        };
        let mut histograms = Histograms::default();
        let mut seconds = Vec::new();
        for second in 0..11 {
            let mut deliver = durations();
            let mut delivered = 0;
            for (steady, at, micros) in &self.deliveries {
                if at + 1 == second {
                    let (duration, phase) = (Duration::from_micros(*micros), if *steady { "steady" } else { "arrive" });
                    record(&mut deliver, duration);
                    let key = Key { metric: Metric::Deliver, clock: Clock::Intended, phase: phase.into(), size: 10 };
                    record(histograms.0.entry(key).or_insert_with(durations), duration);
                    delivered += 1;
                }
            }
            seconds.push(Event::Second(Box::new(Second {
                at_ms: f64::from(second) * 1000.0 + 3.5,
                phase: "steady".into(),
                connected: 20,
                joined: 19,
                sent: 5,
                delivered,
                ledger: Account { lost: self.lost, ..Account::default() },
                deliver: encoding::encode(&deliver),
                cpu: vec![0.5],
                ..Second::default()
            })));
        }
        let count = self.deliveries.len() as u64;
        let witness = |number| Witness {
            wrong: Wrong::Lost,
            at_ms: number as f64,
            room: "r".into(),
            sender: "s".into(),
            number,
            member: "m".into(),
            note: String::new(),
        };
        let ledger = Account {
            sent: count / 10,
            due: count + self.lost,
            delivered: count,
            lost: self.lost,
            witnesses: (0..self.lost).map(witness).collect(),
            ..Account::default()
        };
        let steady = PhaseMeasured {
            name: "steady".into(),
            seconds: 10.0,
            planned: count / 10,
            sent: count / 10,
            delivered: count,
            in_flight: Some(0.5),
            ..PhaseMeasured::default()
        };
        let error = ErrorCount {
            doing: "connect".into(),
            blame: Blame::Server,
            what: "refused".into(),
            count: 2,
            first_ms: 9.0 - self.lost as f64,
            mend: None,
        };
        let health = Health {
            trust: self.trust,
            reasons: if self.trust == Trust::Trusted { Vec::new() } else { vec!["late".into()] },
            sends: count / 10,
            cpu: vec![0.5],
            cpu_seconds: 0.004 * count as f64,
            descriptor_limit: 1024,
            ..Health::default()
        };
        let threshold = ThresholdVerdict { threshold: "deliver.rate >= 100/s".into(), holds: false, measured: None, aborted: false };
        let measured = Measured {
            histograms: Recorded::all(&histograms),
            phases: vec![steady],
            ledger,
            errors: vec![error],
            health,
            thresholds: vec![threshold],
            start: Some(Start { host: "node".into(), at_unix_ms: 1e12 + self.began, ..Start::default() }),
            shards: Vec::new(),
        };
        let header = Header {
            log_version: LOG_VERSION,
            version: self.version.into(),
            command: "load".into(),
            target: TargetShown::default(),
            protocol: "chatroom".into(),
            suite: "0".into(),
            seed: self.seed,
            started: "2027-01-31T00:00:00Z".into(),
            scenarios: 0,
            repeat: 1,
            strict: false,
            nonce: "n0n".into(),
            given: Given::default(),
            reproduce: String::new(),
        };
        let mut events = vec![Event::Planned(Box::new(planned))];
        events.extend(seconds);
        events.push(Event::Measured(Box::new(measured)));
        Log { header, events, footer: Footer { at_ms: 11_000.0, interrupted: self.interrupted, ..Footer::default() } }
    }
}

/// A folder with logs in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, load: &Load) -> PathBuf {
        let path = self.0.path().join(name);
        let log = load.log();
        let mut out = JsonLines::create(&path).expect("a file");
        out.event(&Event::Started(log.header));
        log.events.iter().for_each(|event| out.event(event));
        out.event(&Event::Finished(log.footer));
        out.finish().expect("it is written");
        path
    }

    /// Five runs that take so many percent of the usual time.
    fn side(&self, name: &str, percent: u64) -> Vec<PathBuf> {
        (0..5).map(|number| self.write(&format!("{name}-{number}.jsonl"), &Load::run(number + percent, percent))).collect()
    }
}

fn chatspec(command: &str, arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chatspec")).arg(command).args(arguments).output().expect("it runs")
}

/// The exit code, and all that was said.
fn compared(options: &[&str], base: &[PathBuf], new: &[PathBuf]) -> (Option<i32>, String) {
    let options = options.iter().map(Path::new);
    let all: Vec<&Path> =
        options.chain(base.iter().map(PathBuf::as_path)).chain([Path::new("--")]).chain(new.iter().map(PathBuf::as_path)).collect();
    let output = chatspec("compare", &all);
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_exit_code_says_what_ci_has_to_know() {
    let folder = Folder::new();
    let (base, like, slower, faster) =
        (folder.side("base", 100), folder.side("like", 101), folder.side("slower", 130), folder.side("faster", 70));
    let (code, said) = compared(&[], &base, &like);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\nsame  "), "{said}");
    let (code, said) = compared(&[], &base, &slower);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("deliver.p99") && said.contains("\nworse  "), "{said}");
    let (code, said) = compared(&[], &base, &faster);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\nbetter  "), "{said}");
    assert_eq!(compared(&[], &base, &slower[..4]).0, Some(3));
    assert_eq!(compared(&["--min-effect", "50%,1ms"], &base, &slower).0, Some(0));
    assert_eq!(compared(&["--only", "deliver.rate"], &base, &slower).0, Some(0));
    assert_eq!(compared(&["--only", "echo.p99"], &base, &slower).0, Some(3), "there is no echo in these runs");
    let (code, said) = compared(&["--only", "deliver.p999"], &base, &slower);
    assert_eq!(code, Some(2));
    assert!(said.contains("did you mean `deliver.p99`?"), "{said}");
    assert_eq!(compared(&["--min-effect", "much"], &base, &slower).0, Some(2));
}

#[test]
fn a_comparison_is_written_as_json_too() {
    let folder = Folder::new();
    let (base, slower) = (folder.side("base", 100), folder.side("slower", 130));
    let path = folder.0.path().join("comparison.json");
    compared(&["--json", path.to_str().expect("a path")], &base, &slower);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).expect("it was written")).expect("it is JSON");
    assert_eq!((json["verdict"].as_str(), json["runs"][0].as_u64()), (Some("worse"), Some(5)));
    let p99 =
        json["figures"].as_array().and_then(|figures| figures.iter().find(|figure| figure["name"] == "deliver.p99")).expect("it is there");
    assert!((p99["change"].as_f64().expect("a number") - 0.3).abs() < 0.02, "{p99}");
    assert_eq!(p99["new"]["runs"].as_array().map(Vec::len), Some(5));
}

#[test]
fn a_message_lost_for_the_first_time_is_worse_whatever_else() {
    let folder = Folder::new();
    let (base, mut new) = (folder.side("base", 100), folder.side("like", 101));
    new.push(folder.write("lossy.jsonl", &Load { lost: 1, ..Load::run(9, 100) }));
    let (code, said) = compared(&[], &base, &new);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("lost deliveries: 0 before, 1 now"), "{said}");
    assert_eq!(compared(&[], &base[..1], &new[5..]).0, Some(1));
}

#[test]
fn what_can_not_be_compared_is_refused() {
    let folder = Folder::new();
    let (base, like) = (folder.side("base", 100), folder.side("like", 101));
    let refused = |odd: &Path, why: &str| {
        let new = [&like[..], &[odd.to_owned()]].concat();
        let (code, said) = compared(&[], &base, &new);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
        compared(&["--force"], &base, &new).0
    };
    let other = |name: &str, load: Load| folder.write(name, &load);
    assert_eq!(refused(&other("plan.jsonl", Load { hash: "two", ..Load::run(1, 100) }), "of another plan than"), Some(0));
    assert_eq!(refused(&other("seed.jsonl", Load { seed: 2, ..Load::run(1, 100) }), "of another seed than"), Some(0));
    assert_eq!(refused(&other("stopped.jsonl", Load { interrupted: true, ..Load::run(1, 100) }), "was interrupted"), Some(0));
    assert_eq!(refused(&other("shard.jsonl", Load { shard: Some("1/2".into()), ..Load::run(1, 100) }), "chatspec merge"), Some(2));
    assert_eq!(refused(&folder.0.path().join("nothing.jsonl"), "can't be read"), Some(0));
    let cut = other("cut.jsonl", Load::run(1, 100));
    let whole = std::fs::read_to_string(&cut).expect("it was written");
    std::fs::write(&cut, &whole[..whole.len() - 50]).expect("it is written");
    assert_eq!(refused(&cut, "it has no footer"), Some(0));
}

#[test]
fn a_run_whose_generator_gave_out_is_no_evidence() {
    let folder = Folder::new();
    let (base, mut new) = (folder.side("base", 100), folder.side("like", 101));
    new[4] = folder.write("invalid.jsonl", &Load { trust: Trust::Invalid, lost: 3, ..Load::run(1, 500) });
    let (code, said) = compared(&[], &base, &new);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("its generator couldn't keep up") && !said.contains("lost deliveries"), "{said}");
}

fn shards(loads: &[Load]) -> Vec<Part> {
    let part = |(index, load): (usize, &Load)| {
        let mut events = Vec::new();
        load.log().replay(|event| events.push(event.clone()));
        Part { name: format!("{index}.jsonl"), events }
    };
    loads.iter().enumerate().map(part).collect()
}

fn merge(parts: &[Part]) -> Result<Log, MergeError> {
    chatspec::load::merge::merge(parts, &BTreeMap::new())
}

fn cut(deliveries: &[(bool, u32, u64)], of: usize, lost: u64) -> Vec<Load> {
    (0..of)
        .map(|index| Load {
            shard: Some(format!("{}/{of}", index + 1)),
            deliveries: deliveries.iter().skip(index).step_by(of).copied().collect(),
            lost: if index == 0 { lost } else { 0 },
            ..Load::default()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn shards_together_are_what_one_process_would_have_measured(
        deliveries in prop::collection::vec((any::<bool>(), 0..10_u32, 1..10_000_000_u64), 0..80),
        of in 1..5_usize,
        lost in 0..25_u64,
        turned in 0..5_usize,
    ) {
        let whole = Load { deliveries: deliveries.clone(), lost, ..Load::default() }.log();
        let mut shards = shards(&cut(&deliveries, of, lost));
        shards.rotate_left(turned % of);
        let merged = merge(&shards).expect("they are a whole");
        let (_, expected) = whole.load().expect("a load");
        let (planned, measured) = merged.load().expect("a load");
        prop_assert_eq!(&measured.histograms, &expected.histograms);
        prop_assert_eq!((planned.threads, planned.shard.as_ref()), (u32::try_from(of).expect("few"), None));
        let (sum, one) = (&measured.ledger, &expected.ledger);
        prop_assert_eq!((sum.due, sum.delivered, sum.lost, &sum.witnesses[..]), (one.due, one.delivered, one.lost, &one.witnesses[..one.witnesses.len().min(20)]));
        prop_assert_eq!(measured.phases[0].delivered, expected.phases[0].delivered);
        prop_assert_eq!(measured.phases[0].seconds, 10.0);
        prop_assert_eq!(measured.errors.iter().map(|error| error.count).collect::<Vec<_>>(), vec![2 * of as u64]);
        let seconds = merged.seconds().zip(whole.seconds());
        for (second, expected) in seconds {
            prop_assert_eq!((second.at_ms, second.delivered, &second.deliver, second.wrong()), (expected.at_ms, expected.delivered, &expected.deliver, expected.wrong()));
            prop_assert_eq!((second.connected, second.cpu.len()), (20 * u32::try_from(of).expect("few"), of));
        }
        prop_assert_eq!(merged.seconds().count(), whole.seconds().count());
    }
}

#[test]
fn the_whole_is_checked_again_and_is_as_healthy_as_its_sickest_shard() {
    let all = Load::default().deliveries;
    let mut loads = cut(&all, 2, 0);
    let merged = merge(&shards(&loads)).expect("they are a whole");
    let verdict = &merged.load().expect("a load").1.thresholds[0];
    assert_eq!((verdict.holds, verdict.measured.as_deref(), merged.footer.exit_code), (true, Some("100.0/s"), 0));
    loads[1].trust = Trust::Invalid;
    let merged = merge(&shards(&loads)).expect("they are a whole");
    let health = &merged.load().expect("a load").1.health;
    assert_eq!((health.trust, &health.reasons[..], merged.footer.exit_code), (Trust::Invalid, &["shard 2/2: late".to_owned()][..], 3));
    assert!((health.cpu_seconds - 4.0).abs() < 1e-9 && health.cpu.len() == 2 && health.descriptor_limit == 1024);
    loads = cut(&all[..900], 2, 0);
    assert_eq!(merge(&shards(&loads)).expect("they are a whole").footer.exit_code, 1);
}

#[test]
fn shards_that_are_no_whole_are_refused() {
    let all = Load::default().deliveries;
    let refused = |change: &dyn Fn(&mut Vec<Load>)| {
        let mut loads = cut(&all, 3, 0);
        change(&mut loads);
        merge(&shards(&loads)).expect_err("they are no whole").to_string()
    };
    let messages = [
        refused(&|loads| loads[1].shard = Some("3/3".into())),
        refused(&|loads| loads[2].hash = "two"),
        refused(&|loads| loads[2].seed = 2),
        refused(&|loads| loads[2].shard = Some("3/4".into())),
        refused(&|loads| loads[2].version = "0.2.0"),
        refused(&|loads| loads[2].began = 1_500.0),
        refused(&|loads| loads[0].shard = Some("0/3".into())),
        refused(&|loads| loads[0].shard = None),
        refused(&|loads| loads.clear()),
    ];
    insta::assert_snapshot!(messages.join("\n"), @r"
    2.jsonl: it is the shard 3 of 3, and so is 1.jsonl
    2.jsonl: it is of another plan than 1.jsonl; run all shards with the same chatspec, profile, seed and N
    2.jsonl: it is of another seed than 1.jsonl; run all shards with the same chatspec, profile, seed and N
    2.jsonl: it is of another number of shards than 1.jsonl; run all shards with the same chatspec, profile, seed and N
    2.jsonl: it is of another version of chatspec than 1.jsonl; run all shards with the same chatspec, profile, seed and N
    2.jsonl: it began 1.5 s after 1.jsonl, so that they did not load the target together; --barrier or --start-at let shards begin at once
    0.jsonl: its shard is `0/3`, which is not I/N with I from 1 to N
    0.jsonl: it is no shard, but a whole run; a shard's run had `--shard I/N`
    there is no log to merge
    ");
}

#[test]
fn a_merged_log_is_a_log_like_any_other() {
    let folder = Folder::new();
    let loads = cut(&Load::default().deliveries, 2, 0);
    let out = folder.0.path().join("whole.jsonl");
    let parts = [folder.write("1.jsonl", &loads[0]), folder.write("2.jsonl", &loads[1])];
    let output = chatspec("merge", &[&parts[1], &parts[0], Path::new("--json"), &out]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let base = folder.side("base", 100);
    let (code, said) = compared(&[], &base, &[out.clone(), out.clone(), out.clone(), out.clone(), out]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_shard_that_is_lost_makes_the_run_invalid_and_the_others_are_shown() {
    let folder = Folder::new();
    let loads = cut(&Load::default().deliveries, 3, 0);
    let inner = folder.0.path().join("shards/inner");
    std::fs::create_dir_all(&inner).expect("a folder");
    let place = |name: &str, load: &Load| std::fs::rename(folder.write(name, load), inner.join(name)).expect("it is moved");
    place("1.jsonl", &loads[0]);
    place("3.jsonl", &loads[2]);
    let merged = || {
        let output = chatspec("merge", &[&folder.0.path().join("shards")]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = merged();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.starts_with("NOT TO BE BELIEVED: ") && said.contains("shard 2/3 was lost"), "{said}");
    assert!(said.contains("shard 2/3 is lost: there is no log of it"), "{said}");
    assert!(said.contains("667"), "what arrived at the others: {said}");

    // A process that was killed leaves the first half of its log, and half a line.
    place("2.jsonl", &loads[1]);
    let whole = std::fs::read_to_string(inner.join("2.jsonl")).expect("a log");
    let cut_off = whole.lines().take(7).collect::<Vec<_>>().join("\n");
    std::fs::write(inner.join("2.jsonl"), &cut_off[..cut_off.len() - 20]).expect("it is written");
    let (code, said) = merged();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("shard 2/3 is lost: its log ") && said.contains("2.jsonl breaks off 3 s after the start"), "{said}");
    std::fs::write(inner.join("2.jsonl"), "").expect("it is written");
    assert!(merged().1.contains("2.jsonl: its log "), "{}", merged().1);
    std::fs::write(inner.join("2.jsonl"), &whole).expect("it is written");
    assert_eq!(merged().0, Some(0), "{}", merged().1);
}

#[test]
fn a_shard_that_was_interrupted_makes_the_whole_interrupted() {
    let mut loads = cut(&Load::default().deliveries, 2, 0);
    loads[1].interrupted = true;
    let footer = merge(&shards(&loads)).expect("they are of one load").footer;
    assert_eq!((footer.exit_code, footer.interrupted), (130, true));
}
