//! Literal event streams of loads and of `sensitivity`, for the tests of what is made from them.

use std::time::Duration;

use chatspec::event::{
    Blame, ErrorCount, Event, Footer, Header, Health, LOG_VERSION, Log, Measured, PhaseMeasured, PhasePlanned, Planned, Recorded, Second,
    TargetShown, ThresholdVerdict, Trust,
};
use chatspec::ledger::{Account, Witness, Wrong};
use chatspec::matrix::{Judgement, Kind, Subject, Summary, Trial, Worth};
use chatspec::requirement::RequirementId;
use chatspec::stats::{Clock, Histograms, Key, Metric, durations, encoding, record};

/// What a hostile server, or a file that somebody else has written, may hold.
pub const HOSTILE: &str =
    "<script>window.hacked=1</script></style></title></svg>]]>--><img src=x onerror=\"window.hacked=1\"><b>\"'`&amp;\u{1b}[31m\u{202e}";

pub fn header(command: &str) -> Header {
    Header {
        log_version: LOG_VERSION,
        version: "0.0.0".into(),
        target: TargetShown {
            http: "http://127.0.0.1:7000/".into(),
            ws: "ws://127.0.0.1:7001/".into(),
            notes: vec!["the reference server, started for this run".into()],
        },
        started: "2000-01-01T00:00:00Z".into(),
        nonce: "n0n".into(),
        reproduce: format!("chatspec {command} steady-chat --seed 7"),
        ..Header::new(command, "chatroom", "0", 7)
    }
}

fn phase(name: &str, kind: &str, start_ms: f64, end_ms: f64) -> PhasePlanned {
    let counts = kind == "steady" || kind == "burst";
    PhasePlanned { name: name.into(), kind: kind.into(), start_ms, end_ms, rate: counts.then_some((1000.0, 1000.0)), counts }
}

pub fn planned() -> Planned {
    Planned {
        profile: "steady-chat".into(),
        hash: "0123456789abcdef".into(),
        resolved: "title: Steady chat\nclients: 1000\n".into(),
        clients: 1000,
        rooms: 50,
        largest: 20,
        phases: vec![
            phase("arrive", "arrive", 0.0, 2_000.0),
            phase("steady", "steady", 2_000.0, 8_000.0),
            phase("burst", "burst", 8_000.0, 10_000.0),
            phase("drain", "drain", 10_000.0, 20_000.0),
        ],
        messages: Some(10_000),
        threads: 2,
        shard: None,
    }
}

/// A thousand durations, evenly spread up to the longest.
fn spread(histograms: &mut Histograms, metric: Metric, clock: Clock, phase: &str, size: u32, longest_micros: u64) {
    let histogram = histograms.0.entry(Key { metric, clock, phase: phase.into(), size }).or_insert_with(durations);
    (1..=1000).for_each(|step| record(histogram, Duration::from_micros(step * longest_micros / 1000)));
}

fn histograms() -> Histograms {
    let mut histograms = Histograms::default();
    for clock in [Clock::Intended, Clock::Service] {
        spread(&mut histograms, Metric::Connect, clock, "arrive", 20, 900);
        for (phase, longest) in [("steady", 12_000), ("burst", 80_000)] {
            for size in [5, 20] {
                let slower = if clock == Clock::Intended { 5_000 } else { 0 };
                spread(&mut histograms, Metric::Deliver, clock, phase, size, longest + slower);
            }
            spread(&mut histograms, Metric::Echo, clock, phase, 20, longest / 2);
        }
    }
    spread(&mut histograms, Metric::SendLag, Clock::Intended, "steady", 20, 800);
    histograms
}

fn threshold(text: &str, holds: bool, measured: Option<&str>) -> ThresholdVerdict {
    ThresholdVerdict { threshold: text.into(), holds, measured: measured.map(str::to_owned), aborted: !holds && measured.is_some() }
}

pub fn measured() -> Measured {
    let phase = |name: &str, seconds, planned, sent| PhaseMeasured {
        name: name.into(),
        seconds,
        planned,
        sent,
        sent_late: planned / 3000,
        delivered: sent * 20,
        unsent_target: planned - sent,
        ..PhaseMeasured::default()
    };
    Measured {
        histograms: Recorded::all(&histograms()),
        phases: vec![phase("arrive", 2.0, 0, 0), phase("steady", 6.0, 6_000, 6_000), phase("burst", 2.0, 4_000, 4_000)],
        ledger: Account { sent: 10_000, due: 200_000, delivered: 200_000, indeterminate: 12, ..Account::default() },
        errors: Vec::new(),
        health: Health {
            sends: 10_000,
            sends_late: 3,
            loop_lag_p99_ms: vec![0.21, 0.35],
            cpu: vec![0.43, 0.41],
            cpu_seconds: 8.4,
            peak_memory_bytes: 47_185_920,
            peak_descriptors: 1064,
            descriptor_limit: 20_000,
            ..Health::default()
        },
        thresholds: vec![threshold("deliver.p99 < 150ms", true, Some("84.2 ms")), threshold("lost == 0", true, Some("0"))],
        ..Measured::default()
    }
}

/// Ten seconds, of which the sixth is slow.
pub fn seconds() -> Vec<Second> {
    let second = |number: u32| {
        let mut deliver = durations();
        let longest = if number == 6 { 640_000 } else { 12_000 };
        if number > 2 {
            (1..=200).for_each(|step| record(&mut deliver, Duration::from_micros(step * longest / 200)));
        }
        let sent = if number > 2 { 1000 } else { 0 };
        let arrived = u64::from(number.saturating_sub(2)) * 20_000;
        Second {
            at_ms: f64::from(number) * 1000.0,
            phase: if number <= 2 { "arrive" } else { "steady" }.into(),
            connected: (number * 400).min(1000),
            joined: (number * 399).min(998),
            planned: sent,
            sent,
            delivered: sent * 20,
            bytes_sent: sent * 120,
            bytes_received: sent * 2400,
            ledger: Account { due: arrived, delivered: arrived, ..Account::default() },
            deliver: encoding::encode(&deliver),
            p50_ms: 6.0,
            p99_ms: 11.9,
            send_lag_p99_ms: 0.5,
            loop_lag_p99_ms: 0.25,
            cpu: vec![0.43, 0.41],
            ..Second::default()
        }
    };
    (1..=10).map(second).collect()
}

pub fn log(planned: Planned, seconds: Vec<Second>, measured: Option<Measured>, footer: Footer) -> Log {
    let mut events = vec![Event::Planned(Box::new(planned))];
    events.extend(seconds.into_iter().map(|second| Event::Second(Box::new(second))));
    events.extend(measured.map(|measured| Event::Measured(Box::new(measured))));
    Log { header: header("load"), events, footer }
}

pub fn footer(exit_code: u8) -> Footer {
    Footer { at_ms: 10_400.0, exit_code, ..Footer::default() }
}

pub fn clean() -> Log {
    log(planned(), seconds(), Some(measured()), footer(0))
}

/// Losses, errors and broken thresholds, in which every text that others have written is `text`, where there is one.
pub fn lossy(text: Option<&str>) -> Log {
    let or = |own: &str| text.unwrap_or(own).to_owned();
    let witness = |wrong, number| Witness {
        wrong,
        at_ms: 3_345.6,
        room: or("r3-n0n"),
        sender: or("u1-n0n"),
        number,
        member: or("u9-n0n"),
        note: or("it came to room r4"),
    };
    let witnesses = (1..=8).map(|number| witness(Wrong::Lost, number)).chain([witness(Wrong::Leaked, 7)]).collect();
    let error = |doing: &str, blame, what: &str, count, mend: Option<&str>| ErrorCount {
        doing: doing.into(),
        blame,
        what: or(what),
        count,
        first_ms: 3_200.0,
        mend: mend.map(&or),
    };
    let measured = Measured {
        ledger: Account { sent: 10_000, due: 200_000, delivered: 199_992, lost: 8, leaked: 1, witnesses, ..Account::default() },
        errors: vec![
            error("connect", Blame::Local, "EMFILE", 3, Some("Raise the limit of descriptors: ulimit -n 20000.")),
            error("join", Blame::Server, "close 1001", 1234, None),
        ],
        thresholds: vec![
            threshold(&or("deliver.p99 < 150ms"), true, Some("84.2 ms")),
            threshold("lost == 0", false, Some(&or("8"))),
            threshold("leave.p99 < 1s", false, None),
        ],
        health: Health { trust: Trust::Degraded, reasons: vec![or("3 of 10,000 messages were late")], ..measured().health },
        ..measured()
    };
    let mut planned = planned();
    planned.profile = or(&planned.profile);
    planned.resolved = or(&planned.resolved);
    planned.hash = or(&planned.hash);
    planned.shard = text.map(str::to_owned);
    if let Some(steady) = planned.phases.get_mut(1) {
        // The name of a phase is drawn where it has room, so it is not the whole text.
        steady.name = text.map_or("steady", |_| "<b id=x>").to_owned();
    }
    let mut seconds = seconds();
    for second in &mut seconds {
        second.phase = or(&second.phase);
        second.errors = 7;
        second.ledger.lost = u64::from(second.at_ms > 3_000.0) * 8;
    }
    let mut log = log(planned, seconds, Some(measured), Footer { notes: text.map(str::to_owned).into_iter().collect(), ..footer(1) });
    log.header.target.http = or(&log.header.target.http);
    log.header.target.ws = or(&log.header.target.ws);
    log.header.target.notes = vec![or("a note")];
    log.header.reproduce = or(&log.header.reproduce);
    log.header.version = or(&log.header.version);
    log.header.started = or(&log.header.started);
    log
}

/// A run of which the generator was the bottleneck.
pub fn unbelievable() -> Log {
    let reason = "3,000 of 10,000 messages (30 %) were sent more than 50 ms late (limit 5.00 %): give it more --threads";
    let health = Health { trust: Trust::Invalid, reasons: vec![reason.into()], sends_very_late: 3_000, ..measured().health };
    log(planned(), seconds(), Some(Measured { health, ..measured() }), footer(3))
}

/// A run that was interrupted before its measurements, after so many seconds.
pub fn interrupted(after: usize) -> Log {
    log(planned(), seconds().into_iter().take(after).collect(), None, Footer { interrupted: true, at_ms: 6_100.0, ..footer(130) })
}

pub fn closed() -> Log {
    let mut closed = measured();
    let mut histograms = histograms();
    histograms.0.retain(|key, _| key.clock == Clock::Service);
    closed.histograms = Recorded::all(&histograms);
    closed.phases.iter_mut().for_each(|phase| (phase.planned, phase.unsent_target, phase.in_flight) = (0, 0, Some(6.0)));
    log(Planned { messages: None, profile: "flags".into(), ..planned() }, seconds(), Some(closed), footer(0))
}

/// A matrix with a trial of each judgement, in which every text that others have written is `text`, where there is one.
pub fn matrix(text: Option<&str>) -> Log {
    let or = |own: &str| text.unwrap_or(own).to_owned();
    let fault = |requirement: &str| Kind::Fault { requirement: RequirementId::new(requirement), implies: Vec::new() };
    let trial = |name: &str, kind, judgement, violated: &[(&str, &str)]| Trial {
        subject: Subject { name: or(name), summary: or("it does `something`"), kind },
        judgement,
        fired: Some(3),
        violated: violated.iter().map(|(id, case)| (RequirementId::new(id), vec![or(case)])).collect(),
        untested: if judgement == Judgement::Failed { vec![RequirementId::new("ROOM-3")] } else { Vec::new() },
        troubles: if judgement == Judgement::Failed { vec![or("its process ended with exit code 101")] } else { Vec::new() },
        took_ms: 10.0,
    };
    let trials = vec![
        trial("plain", Kind::Plain, Judgement::Passed, &[]),
        trial("capacity-2", Kind::Variant, Judgement::Passed, &[]),
        trial("capacity-3", Kind::Variant, Judgement::Accused, &[("ROOM-1", "room.is-full/two")]),
        trial("drops-joins", fault("JOIN-1"), Judgement::Killed, &[("JOIN-1", "join.is-told/one"), ("READ-1", "read.all")]),
        trial("drops-leaves", fault("LEAVE-1"), Judgement::Unnoticed, &[]),
        trial("odd-close", fault("CLOSE-1"), Judgement::Unreached, &[]),
        trial("crashes", fault("ROB-1"), Judgement::Failed, &[]),
    ];
    let worth = |scenario: &str, kills, alone: &[&str], stays: Option<&str>| Worth {
        scenario: or(scenario),
        kills,
        alone: alone.iter().map(|fault| or(fault)).collect(),
        stays: stays.map(&or),
    };
    let worth = vec![
        worth("join.is-told", 1, &["drops-joins"], None),
        worth("read.all", 1, &[], None),
        worth("room.is-full", 0, &[], Some("it shows the reading R-FULL")),
    ];
    let summary = Summary::new(&trials, worth);
    let events = trials.into_iter().map(|trial| Event::Tried(Box::new(trial))).collect();
    let mut log = Log { header: header("sensitivity"), events, footer: Footer { matrix: Some(summary), ..footer(4) } };
    log.footer.notes = text.map(str::to_owned).into_iter().collect();
    log.header.protocol = or("chatroom");
    log.header.started = or("2000-01-01T00:00:00Z");
    log
}
