//! A load's log for the tests of what is made from one.

use std::time::Duration;

use crate::event::{Event, Footer, Header, Log, Measured, PhaseMeasured, PhasePlanned, Planned, Recorded, Second, TargetShown};
use crate::ledger::Account;
use crate::stats::{Clock, Histograms, Key, Metric, durations, encoding, record};

/// Three phases, of which the last two count; deliveries of 1 to 1,000 ms in rooms of two sizes, three in four in the larger.
pub fn log() -> Log {
    let phase = |name: &str, kind: &str, start_ms, end_ms, rate, counts| PhasePlanned {
        name: name.into(),
        kind: kind.into(),
        start_ms,
        end_ms,
        rate,
        counts,
    };
    let planned = Planned {
        profile: "example".into(),
        hash: "0123".into(),
        resolved: String::new(),
        clients: 40,
        rooms: 3,
        largest: 20,
        phases: vec![
            phase("arrive", "arrive", 0.0, 2000.0, None, false),
            phase("steady", "steady", 2000.0, 12_000.0, Some((100.0, 100.0)), true),
            phase("burst 2", "burst", 12_000.0, 14_000.0, Some((500.0, 500.0)), true),
        ],
        messages: Some(2000),
        threads: 2,
        shard: None,
    };
    let mut histograms = Histograms::default();
    let mut add = |metric, clock, phase: &str, size, millis| {
        let key = Key { metric, clock, phase: phase.into(), size };
        record(histograms.0.entry(key).or_insert_with(durations), Duration::from_millis(millis));
    };
    for millis in 1..=1000 {
        let size = if millis % 4 == 0 { 10 } else { 20 };
        add(Metric::Deliver, Clock::Intended, "steady", size, millis);
        add(Metric::Deliver, Clock::Service, "steady", size, millis / 2);
        add(Metric::Deliver, Clock::Intended, "burst 2", 20, 2 * millis);
        if millis % 10 == 0 {
            add(Metric::Echo, Clock::Intended, "steady", size, millis);
            add(Metric::Connect, Clock::Intended, "arrive", size, 1);
            add(Metric::Join, Clock::Intended, "arrive", size, 4);
        }
    }
    let second = |at: u32, phase: &str, millis: u64| {
        let mut deliver = durations();
        (1..=100).for_each(|part| record(&mut deliver, Duration::from_millis(millis * part / 100)));
        Second {
            at_ms: f64::from(at) * 1000.0,
            phase: phase.into(),
            connected: 40,
            joined: 39,
            planned: 100,
            sent: 99,
            delivered: 1980,
            bytes_sent: 20_000,
            bytes_received: 400_000,
            errors: 1,
            ledger: Account { lost: u64::from(at), ..Account::default() },
            deliver: encoding::encode(&deliver),
            p50_ms: 4.5,
            p99_ms: 9.75,
            send_lag_p99_ms: 0.5,
            loop_lag_p99_ms: 0.25,
            cpu: vec![0.5, 0.25],
        }
    };
    let measured = Measured {
        histograms: Recorded::all(&histograms),
        phases: vec![
            PhaseMeasured { name: "arrive".into(), seconds: 2.0, ..PhaseMeasured::default() },
            PhaseMeasured {
                name: "steady".into(),
                seconds: 10.0,
                planned: 1000,
                sent: 1000,
                delivered: 20_000,
                ..PhaseMeasured::default()
            },
            PhaseMeasured { name: "burst 2".into(), seconds: 2.0, planned: 1000, sent: 990, delivered: 19_800, ..PhaseMeasured::default() },
        ],
        ledger: Account { sent: 1990, due: 39_802, delivered: 39_800, lost: 2, late: 1, ..Account::default() },
        ..Measured::default()
    };
    let mut late = second(14, "burst \"2\"", 2000);
    late.cpu.pop();
    let events = vec![
        Event::Planned(Box::new(planned)),
        Event::Second(Box::new(second(3, "steady", 10))),
        Event::Second(Box::new(late)),
        Event::Measured(Box::new(measured)),
    ];
    let header = Header {
        version: "0.1.0".into(),
        target: TargetShown { http: "http://127.0.0.1:5000".into(), ws: "ws://127.0.0.1:2333".into(), notes: Vec::new() },
        started: "2027-01-31T00:00:00Z".into(),
        nonce: "n0n".into(),
        ..Header::new("load", "chatroom", "0", 7)
    };
    Log { header, events, footer: Footer::default() }
}
