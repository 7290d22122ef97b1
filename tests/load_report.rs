//! The report of a load, from literal event streams.

use std::time::Duration;

use chatspec::event::{
    Blame, ErrorCount, Event, Footer, Given, Header, Health, LOG_VERSION, Measured, PhaseMeasured, PhasePlanned, Planned, Recorded, Second,
    TargetShown, ThresholdVerdict, Trust,
};
use chatspec::ledger::{Account, Witness, Wrong};
use chatspec::report::load::LoadReport;
use chatspec::report::terminal::Verbosity;
use chatspec::stats::{Clock, Histograms, Key, Metric, durations, record};

fn header() -> Event {
    Event::Started(Header {
        log_version: LOG_VERSION,
        version: "0.0.0".into(),
        command: "load".into(),
        target: TargetShown {
            http: "http://127.0.0.1:7000/".into(),
            ws: "ws://127.0.0.1:7001/".into(),
            notes: vec!["the reference server, started for this run".into()],
        },
        protocol: "chatroom".into(),
        suite: "0".into(),
        seed: 7,
        started: "2000-01-01T00:00:00Z".into(),
        scenarios: 0,
        repeat: 1,
        strict: false,
        nonce: "n0n".into(),
        given: Given::default(),
        reproduce: "chatspec load steady-chat --seed 7".into(),
    })
}

fn phase(name: &str, start: f64, end: f64, counts: bool) -> PhasePlanned {
    PhasePlanned { name: name.into(), kind: name.into(), start_ms: start, end_ms: end, rate: Some((1000.0, 1000.0)), counts }
}

fn planned() -> Planned {
    Planned {
        profile: "steady-chat".into(),
        hash: "0".into(),
        resolved: "title: Steady chat\n".into(),
        clients: 1000,
        rooms: 50,
        largest: 20,
        phases: vec![
            phase("arrive", 0.0, 2_000.0, false),
            phase("steady", 2_000.0, 32_000.0, true),
            phase("burst", 32_000.0, 37_000.0, true),
        ],
        messages: Some(35_000),
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
            spread(&mut histograms, Metric::Echo, clock, phase, 20, longest / 2);
            for size in [5, 20] {
                let slower = if clock == Clock::Intended { 5_000 } else { 0 };
                spread(&mut histograms, Metric::Deliver, clock, phase, size, longest + slower);
            }
        }
    }
    spread(&mut histograms, Metric::SendLag, Clock::Intended, "steady", 20, 800);
    histograms
}

fn phases() -> Vec<PhaseMeasured> {
    vec![
        PhaseMeasured { name: "arrive".into(), seconds: 2.0, ..PhaseMeasured::default() },
        PhaseMeasured {
            name: "steady".into(),
            seconds: 30.0,
            planned: 30_000,
            sent: 30_000,
            sent_late: 2,
            delivered: 600_000,
            ..PhaseMeasured::default()
        },
        PhaseMeasured {
            name: "burst".into(),
            seconds: 5.0,
            planned: 5_000,
            sent: 4_963,
            unsent_target: 37,
            delivered: 99_260,
            ..Default::default()
        },
    ]
}

fn health() -> Health {
    Health {
        sends: 34_963,
        sends_late: 2,
        loop_lag_p99_ms: vec![0.21, 0.35],
        cpu: vec![0.43, 0.41],
        cpu_seconds: 28.4,
        peak_memory_bytes: 47_185_920,
        peak_descriptors: 1064,
        descriptor_limit: 20_000,
        ..Health::default()
    }
}

fn threshold(text: &str, holds: bool, measured: &str) -> ThresholdVerdict {
    ThresholdVerdict { threshold: text.into(), holds, measured: Some(measured.into()), aborted: false }
}

fn clean() -> Measured {
    Measured {
        histograms: Recorded::all(&histograms()),
        phases: phases(),
        ledger: Account { sent: 34_963, due: 699_260, delivered: 699_260, indeterminate: 12, ..Account::default() },
        errors: Vec::new(),
        health: health(),
        thresholds: vec![threshold("deliver.p99 < 150ms", true, "84.2 ms"), threshold("lost == 0", true, "0")],
        ..Measured::default()
    }
}

fn seconds() -> Vec<Event> {
    let second = |number: u32, p99_ms: f64| {
        let phase = if number <= 2 { "arrive" } else { "steady" };
        Second {
            at_ms: f64::from(number) * 1000.0,
            phase: phase.into(),
            connected: 1000,
            joined: 998,
            planned: 1000,
            sent: 1000,
            delivered: 20_000,
            p99_ms,
            ..Second::default()
        }
    };
    [(1, 3.0), (2, 900.0), (3, 11.0), (4, 12.0), (5, 640.0), (6, 11.5)]
        .map(|(number, p99_ms)| Event::Second(Box::new(second(number, p99_ms))))
        .into()
}

fn finished(exit_code: u8) -> Footer {
    Footer { at_ms: 37_400.0, exit_code, ..Footer::default() }
}

fn render(planned: Planned, seconds: Vec<Event>, measured: Option<Measured>, footer: Footer, verbosity: Verbosity) -> String {
    let mut report = LoadReport::new(verbosity);
    report.event(&header());
    report.event(&Event::Planned(Box::new(planned)));
    seconds.iter().for_each(|second| report.event(second));
    if let Some(measured) = measured {
        report.event(&Event::Measured(Box::new(measured)));
    }
    report.event(&Event::Finished(footer));
    let mut out = Vec::new();
    report.finish(&mut out).expect("a vector takes every write");
    anstream::adapter::strip_str(&String::from_utf8(out).expect("UTF-8")).to_string()
}

fn witness(wrong: Wrong, number: u64, note: &str) -> Witness {
    let (room, sender) = ("r3-n0n".to_owned(), "u1-n0n".to_owned());
    Witness { wrong, at_ms: 12_345.6, room, sender, number, member: "u9-n0n".into(), note: note.into() }
}

fn lossy() -> Measured {
    let mut witnesses: Vec<Witness> = (40..48).map(|number| witness(Wrong::Lost, number, "")).collect();
    witnesses.push(witness(Wrong::Leaked, 7, "it came to room r4\u{1b}[2J"));
    let ledger = Account { sent: 34_963, due: 699_260, delivered: 699_252, lost: 8, leaked: 1, witnesses, ..Account::default() };
    let error = |doing: &str, blame, what: &str, count, mend: Option<&str>| ErrorCount {
        doing: doing.into(),
        blame,
        what: what.into(),
        count,
        first_ms: 3_200.0,
        mend: mend.map(str::to_owned),
    };
    Measured {
        ledger,
        errors: vec![
            error("connect", Blame::Local, "EMFILE", 3, Some("Raise the limit of descriptors: ulimit -n 20000.")),
            error("join", Blame::Server, "close 1001", 1234, None),
        ],
        thresholds: vec![
            threshold("deliver.p99 < 150ms", true, "84.2 ms"),
            ThresholdVerdict { aborted: true, ..threshold("lost == 0", false, "8") },
            ThresholdVerdict { measured: None, ..threshold("leave.p99 < 1s", false, "") },
        ],
        ..clean()
    }
}

#[test]
fn a_clean_run() {
    insta::assert_snapshot!(render(planned(), seconds(), Some(clean()), finished(0), Verbosity::Normal));
}

#[test]
fn a_clean_run_quiet_says_its_verdict_alone() {
    let said = render(planned(), seconds(), Some(clean()), finished(0), Verbosity::Quiet);
    assert_eq!(said, "HOLDS: all 699,260 deliveries arrived; both thresholds hold; the generator is trusted\n");
}

#[test]
fn a_lossy_run() {
    insta::assert_snapshot!(render(planned(), Vec::new(), Some(lossy()), finished(1), Verbosity::Normal));
}

#[test]
fn a_lossy_run_quiet() {
    insta::assert_snapshot!(render(planned(), Vec::new(), Some(lossy()), finished(1), Verbosity::Quiet));
}

#[test]
fn every_witness_is_shown_on_demand() {
    let said = render(planned(), Vec::new(), Some(lossy()), finished(1), Verbosity::Verbose);
    assert_eq!(said.matches("of u1-n0n, for u9-n0n").count(), 9, "{said}");
}

#[test]
fn a_run_whose_generator_was_the_bottleneck() {
    let health = Health {
        trust: Trust::Invalid,
        reasons: vec!["3,000 of 34,963 messages (8.58 %) were sent more than 50 ms late (limit 5.00 %): give it more --threads".into()],
        sends_late: 9_000,
        sends_very_late: 3_000,
        throttled_ms: 1_234.0,
        ..health()
    };
    let measured = Measured { health, thresholds: Vec::new(), ..clean() };
    insta::assert_snapshot!(render(planned(), Vec::new(), Some(measured), finished(3), Verbosity::Normal));
}

#[test]
fn a_closed_run() {
    let mut histograms = Histograms::default();
    for clock in [Clock::Intended, Clock::Service] {
        spread(&mut histograms, Metric::Echo, clock, "steady", 20, 12_000);
        spread(&mut histograms, Metric::Deliver, clock, "steady", 20, 13_000);
    }
    let mut phases = phases();
    phases.truncate(2);
    // A thousand messages a second, 6.006 ms each, are 6.006 in flight.
    phases[1].in_flight = Some(6.0);
    phases[1].planned = 0;
    let measured = Measured { histograms: Recorded::all(&histograms), phases, ..clean() };
    let planned = Planned { messages: None, profile: "flags".into(), ..planned() };
    insta::assert_snapshot!(render(planned, Vec::new(), Some(measured), finished(0), Verbosity::Normal));
}

#[test]
fn a_closed_run_whose_figures_contradict_each_other_says_so() {
    let mut measured = clean();
    measured.phases[1].in_flight = Some(9.0);
    let said = render(Planned { messages: None, ..planned() }, Vec::new(), Some(measured), finished(0), Verbosity::Normal);
    assert!(said.contains("-66.6 %"), "{said}");
    assert!(said.contains("some messages were not timed"), "{said}");
}

#[test]
fn an_interrupted_run() {
    let footer = Footer { interrupted: true, at_ms: 6_100.0, ..finished(130) };
    insta::assert_snapshot!(render(planned(), seconds(), None, footer, Verbosity::Normal));
}

#[test]
fn a_run_against_nobody_says_why() {
    let notes = vec!["nobody answers at http://127.0.0.1:7000/chatroom/list: connection refused".into()];
    let said = render(planned(), Vec::new(), None, Footer { notes, ..finished(3) }, Verbosity::Quiet);
    assert_eq!(
        said,
        "INCONCLUSIVE: nothing was measured to the end\nnobody answers at http://127.0.0.1:7000/chatroom/list: connection refused\n"
    );
}

#[test]
fn a_histogram_that_is_none_is_an_error_and_no_panic() {
    let mut measured = clean();
    measured.histograms[0].histogram = "nonsense".into();
    let mut report = LoadReport::new(Verbosity::Normal);
    [header(), Event::Measured(Box::new(measured)), Event::Finished(finished(0))].iter().for_each(|event| report.event(event));
    let error = report.finish(&mut Vec::new()).expect_err("it can't be read");
    assert!(error.to_string().contains("can't be read"), "{error}");
}
