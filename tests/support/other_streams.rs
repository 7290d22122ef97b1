//! Literal event streams of loads and of a matrix, for the tests of what is made from them.

use std::collections::BTreeMap;
use std::time::Duration;

use chatspec::event::{
    Blame, ErrorCount, Event, Footer, Header, Health, Measured, PhaseMeasured, PhasePlanned, Planned, Recorded, Second, TargetShown,
    ThresholdVerdict, Trust,
};
use chatspec::ledger::{Account, Witness, Wrong};
use chatspec::matrix::{Judgement, Kind, Subject, Summary, Trial, Worth};
use chatspec::stats::{Clock, Histograms, Key, Metric, durations, record};

use super::streams::{HOSTILE, id};

fn header(command: &str) -> Header {
    Header {
        version: "0.0.0".into(),
        target: TargetShown { http: "http://127.0.0.1:7000/".into(), ws: "ws://127.0.0.1:7001/".into(), notes: Vec::new() },
        started: "2000-01-01T00:00:00Z".into(),
        nonce: "n0n".into(),
        reproduce: format!("chatspec {command} --seed 7"),
        ..Header::new(command, "chatroom", "0", 7)
    }
}

fn planned() -> Event {
    let phase = |name: &str, start_ms, end_ms, counts| PhasePlanned {
        name: name.into(),
        kind: name.into(),
        start_ms,
        end_ms,
        rate: Some((1000.0, 1000.0)),
        counts,
    };
    Event::Planned(Box::new(Planned {
        profile: "steady-chat".into(),
        hash: "0".into(),
        resolved: "title: Steady chat\n".into(),
        clients: 1000,
        rooms: 50,
        largest: 20,
        phases: vec![phase("arrive", 0.0, 2_000.0, false), phase("steady", 2_000.0, 32_000.0, true)],
        messages: Some(30_000),
        threads: 2,
        shard: None,
    }))
}

fn measured() -> Measured {
    let mut histograms = Histograms::default();
    for (metric, phase, longest) in [(Metric::Join, "arrive", 9_000), (Metric::Echo, "steady", 20_000), (Metric::Deliver, "steady", 84_000)]
    {
        let key = Key { metric, clock: Clock::Intended, phase: phase.into(), size: 20 };
        let histogram = histograms.0.entry(key).or_insert_with(durations);
        (1..=1000_u64).for_each(|step| record(histogram, Duration::from_micros(step * longest / 1000)));
    }
    let steady = PhaseMeasured {
        name: "steady".into(),
        seconds: 30.0,
        planned: 30_000,
        sent: 30_000,
        delivered: 600_000,
        ..PhaseMeasured::default()
    };
    Measured {
        histograms: Recorded::all(&histograms),
        phases: vec![PhaseMeasured { name: "arrive".into(), seconds: 2.0, ..PhaseMeasured::default() }, steady],
        ledger: Account { sent: 30_000, due: 600_000, delivered: 600_000, ..Account::default() },
        errors: Vec::new(),
        health: Health {
            sends: 30_000,
            loop_lag_p99_ms: vec![0.2],
            cpu: vec![0.4],
            cpu_seconds: 28.4,
            descriptor_limit: 20_000,
            ..Health::default()
        },
        thresholds: vec![threshold("deliver.p99 < 150ms", true, Some("83.2 ms")), threshold("lost == 0", true, Some("0"))],
    }
}

fn threshold(text: &str, holds: bool, measured: Option<&str>) -> ThresholdVerdict {
    ThresholdVerdict { threshold: text.into(), holds, measured: measured.map(str::to_owned), aborted: false }
}

fn load(measured: Option<Measured>, exit_code: u8) -> Vec<Event> {
    let second = Second {
        at_ms: 3_000.0,
        phase: "steady".into(),
        connected: 1000,
        joined: 1000,
        planned: 1000,
        sent: 1000,
        delivered: 20_000,
        p99_ms: 12.0,
        ..Second::default()
    };
    let mut events = vec![Event::Started(header("load")), planned(), Event::Second(Box::new(second))];
    events.extend(measured.map(|measured| Event::Measured(Box::new(measured))));
    events.push(Event::Finished(Footer { at_ms: 32_400.0, exit_code, interrupted: exit_code == 130, ..Footer::default() }));
    events
}

/// A load that holds.
pub fn holding() -> Vec<Event> {
    load(Some(measured()), 0)
}

/// A load that loses messages, on a target that sends dangerous texts.
pub fn lossy() -> Vec<Event> {
    let witness = Witness {
        wrong: Wrong::Lost,
        at_ms: 12_345.6,
        room: "r3-n0n".into(),
        sender: "u1-n0n".into(),
        number: 40,
        member: "u9-n0n".into(),
        note: HOSTILE.into(),
    };
    let error = ErrorCount { doing: "join".into(), blame: Blame::Server, what: HOSTILE.into(), count: 12, first_ms: 3_200.0, mend: None };
    let ledger = Account { sent: 30_000, due: 600_000, delivered: 599_999, lost: 1, witnesses: vec![witness], ..Account::default() };
    let thresholds = vec![
        threshold("deliver.p99 < 150ms", true, Some("83.2 ms")),
        threshold("lost == 0", false, Some("1")),
        threshold("leave.p99 < 1s", false, None),
    ];
    load(Some(Measured { ledger, errors: vec![error], thresholds, ..measured() }), 1)
}

/// A load whose generator couldn't keep up.
pub fn unbelievable() -> Vec<Event> {
    let health = Health { trust: Trust::Invalid, reasons: vec!["away for 48 ms (p99), more than 10 ms".into()], ..measured().health };
    let thresholds = vec![threshold("deliver.p99 < 150ms", false, Some("912 ms"))];
    load(Some(Measured { health, thresholds, ..measured() }), 3)
}

/// A load that was ended before it came to measurements.
pub fn cut_short() -> Vec<Event> {
    load(None, 130)
}

/// A matrix with a trial of each kind, and a needless scenario.
pub fn matrix() -> Vec<Event> {
    let fault = |name: &str, judgement, fired, violated: &[(&str, &[&str])]| Trial {
        subject: Subject {
            name: name.into(),
            summary: format!("does {name} | {HOSTILE}"),
            kind: Kind::Fault { requirement: id("JOIN-3"), implies: vec![id("JOIN-4")] },
        },
        judgement,
        fired,
        violated: violated.iter().map(|(name, scenarios)| (id(name), scenarios.iter().map(|name| (*name).to_owned()).collect())).collect(),
        untested: Vec::new(),
        troubles: Vec::new(),
        took_ms: 1500.0,
    };
    let plain = |judgement| Trial {
        subject: Subject { name: "plain".into(), summary: "the server as it is".into(), kind: Kind::Plain },
        ..fault("plain", judgement, None, &[])
    };
    let mut failed = fault("dies", Judgement::Failed, None, &[]);
    failed.troubles = vec![format!("the server's process ended: {HOSTILE}")];
    let trials = vec![
        plain(Judgement::Passed),
        fault("join-untold", Judgement::Killed, Some(3), &[("JOIN-3", &["join.told", "join.first/a"]), ("MSG-1", &["msg.sent"])]),
        fault("join-twice", Judgement::Unnoticed, Some(12), &[("MSG-1", &["msg.sent"])]),
        fault("join-late", Judgement::Unreached, Some(0), &[]),
        failed,
    ];
    let worth = vec![
        Worth { scenario: "join.told".into(), kills: 1, alone: vec!["join-untold".into()], stays: None },
        Worth { scenario: "msg.sent".into(), kills: 0, alone: Vec::new(), stays: None },
    ];
    let summary = Summary::new(&trials, worth);
    let mut events = vec![Event::Started(header("sensitivity")), Event::Suite(Box::default())];
    events.extend(trials.into_iter().map(|trial| Event::Tried(Box::new(trial))));
    events.push(Event::Finished(Footer {
        at_ms: 60_000.0,
        exit_code: 4,
        matrix: Some(summary),
        requirements: BTreeMap::new(),
        ..Footer::default()
    }));
    events
}
