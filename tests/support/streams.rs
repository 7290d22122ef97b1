//! Literal event streams of runs of scenarios, for the tests of what is made from them.

use std::collections::BTreeMap;

use chatspec::event::{
    Direction, Event, Exchange, Footer, Frame, Given, Header, LOG_VERSION, Record, ScenarioShown, SuiteShown, TargetShown,
};
use chatspec::matcher::Difference;
use chatspec::reading::{Fact, Held};
use chatspec::requirement::{Level, Requirement, RequirementId};
use chatspec::verdict::{CountsAs, Failure, KnownState, KnownVerdict, NearMiss, Outcome, ScenarioVerdict, StepPlace, counts_as};

pub fn id(text: &str) -> RequirementId {
    RequirementId::new(text)
}

pub fn header() -> Event {
    Event::Started(Header {
        log_version: LOG_VERSION,
        version: "0.0.0".into(),
        command: "check".into(),
        target: TargetShown {
            http: "http://127.0.0.1:7000/".into(),
            ws: "ws://127.0.0.1:7001/".into(),
            notes: vec!["--ws was not given".into()],
        },
        protocol: "echo".into(),
        suite: "0".into(),
        seed: 7,
        started: "2000-01-01T00:00:00Z".into(),
        scenarios: 3,
        repeat: 1,
        strict: false,
        nonce: "n0n".into(),
        given: Given::default(),
        reproduce: "chatspec check --http http://127.0.0.1:7000/ --ws ws://127.0.0.1:7001/ --seed 7".into(),
    })
}

pub fn readings() -> Event {
    Event::Readings {
        at_ms: 10.0,
        readings: BTreeMap::from([
            ("E-WORD".to_owned(), Held::Found { values: vec!["query".into(), "form".into()] }),
            ("E-X".to_owned(), Held::Unknown { why: "no answer".into(), blocked_by: vec![id("PING-1")] }),
            ("E-Y".to_owned(), Held::NotApplicable { why: "it is for another".into() }),
            ("E-Z".to_owned(), Held::Pinned { values: vec!["z".into()] }),
        ]),
        facts: BTreeMap::from([("own-server".to_owned(), Fact::Truth(false))]),
        fences: vec!["own-echo".into()],
    }
}

pub fn verdict(scenario: &str, requirement: &str, outcome: Outcome) -> ScenarioVerdict {
    ScenarioVerdict {
        scenario: scenario.into(),
        run: 1,
        outcome,
        requirements: [(id(requirement), outcome)].into_iter().collect(),
        why: None,
        blocked_by: Vec::new(),
        failure: None,
        notes: Vec::new(),
        unplayed: false,
        duration_ms: 12.0,
    }
}

pub fn finished(
    exit_code: u8,
    requirements: &[(&str, Outcome)],
    scenarios: &[(&str, Outcome)],
    interrupted: bool,
    notes: &[&str],
) -> Event {
    let registry = &super::folder("tests/echo").declarations.registry;
    Event::Finished(Footer {
        at_ms: 1234.0,
        exit_code,
        interrupted,
        notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        requirements: requirements.iter().map(|(name, outcome)| (id(name), *outcome)).collect(),
        counts: requirements.iter().map(|(name, outcome)| (id(name), counts_as(*outcome, registry.level(&id(name)), false))).collect(),
        known: Vec::new(),
        scenarios: scenarios.iter().map(|(name, outcome)| ((*name).to_owned(), *outcome)).collect(),
        matrix: None,
    })
}

/// What the echo protocol's suite says of itself.
pub fn suite() -> Event {
    let protocol = super::folder("tests/echo");
    let selected: Vec<usize> = (0..protocol.scenarios.len()).collect();
    Event::Suite(Box::new(SuiteShown::new(&protocol, &selected)))
}

/// The failing run of a server that a command started, with what it wrote meanwhile.
pub fn started_by_a_command() -> Vec<Event> {
    let mut events = failing();
    for event in &mut events {
        if let Event::ScenarioFinished(verdict) = event
            && let Some(failure) = &mut verdict.failure
        {
            failure.server_output = vec!["Traceback (most recent call last):".into(), "\u{1b}[31mKeyError\u{1b}[0m: '<script>bob'".into()];
        }
    }
    events
}

/// A violation with all that a failure can hold, and something that could not be tested.
pub fn failing() -> Vec<Event> {
    let mut private = verdict("echo.is-private", "ECHO-2", Outcome::Fail);
    private.failure = Some(Failure {
        requirements: vec![id("ECHO-2")],
        step: StepPlace {
            place: "basic/private.yaml:8:5".into(),
            excerpt: "- nothing-more: {actors: [bob]}\n  proves: ECHO-2".into(),
            through: vec!["basic/private.yaml:3:5".into()],
        },
        at_ms: 120.0,
        summary: "bob received what must not come: for ann alone\u{1b}[2J".into(),
        expected: "no more message".into(),
        actual: "1 of them".into(),
        differences: vec![Difference { path: "data.msg".into(), expected: "\"pong\"".into(), actual: "\"pnog\"".into() }],
        hints: vec!["the document lists no text \"pnog\"; the nearest that it lists is \"pong\"".into()],
        near: vec![NearMiss { at_ms: 105.0, actor: "bob".into(), what: "for ann alone".into(), differences: Vec::new() }],
        late: vec![NearMiss { at_ms: 3500.0, actor: "bob".into(), what: "too late".into(), differences: Vec::new() }],
        ends: vec!["bob: close frame with code 1011 (oops)".into()],
        server_output: vec!["Traceback (most recent call last):".into()],
    });
    let mut ping = verdict("ping.pong", "PING-1", Outcome::CouldNotTest);
    ping.why = Some("no answer within 3s".into());
    ping.blocked_by = vec![id("ECHO-1")];
    let frame = |at_ms, actor: &str, direction, payload: &str, fence| {
        Event::Frame(Frame {
            at_ms,
            scenario: "echo.is-private".into(),
            run: 1,
            actor: actor.into(),
            direction,
            kind: "text".into(),
            payload: Some(Record::new(payload.as_bytes())),
            fence,
        })
    };
    vec![
        header(),
        suite(),
        readings(),
        Event::ScenarioStarted { at_ms: 99.0, scenario: "echo.is-private".into(), run: 1 },
        Event::Exchange(Exchange {
            at_ms: 100.0,
            took_ms: 2.0,
            scenario: "echo.is-private".into(),
            run: 1,
            actor: "ann".into(),
            method: "GET".into(),
            url: "http://127.0.0.1:7000/word?word=ping".into(),
            body: None,
            status: Some(200),
            headers: Vec::new(),
            answer: Some(Record::new(b"{\"answer\":\"pong\"}")),
            failure: None,
        }),
        frame(103.0, "ann", Direction::Sent, "for ann alone", false),
        frame(105.0, "bob", Direction::Received, "for ann alone\u{1b}[2J\n", false),
        frame(106.0, "bob", Direction::Sent, "fence-1", true),
        Event::ScenarioFinished(Box::new(private)),
        Event::ScenarioFinished(Box::new(ping)),
        Event::ScenarioFinished(Box::new(verdict("echo.comes-back/short", "ECHO-1", Outcome::Pass))),
        finished(
            3,
            &[("ECHO-1", Outcome::Pass), ("ECHO-2", Outcome::Fail), ("PING-1", Outcome::CouldNotTest)],
            &[("echo.comes-back/short", Outcome::Pass), ("echo.is-private", Outcome::Fail), ("ping.pong", Outcome::CouldNotTest)],
            false,
            &[],
        ),
    ]
}

/// Something skipped, and a pass with a note.
pub fn passing() -> Vec<Event> {
    let mut skipped = verdict("echo.is-private", "ECHO-2", Outcome::Skipped);
    skipped.why = Some("it needs a capacity of at least 3, this target has 2".into());
    let mut noted = verdict("ping.pong", "PING-1", Outcome::Pass);
    noted.notes = vec!["that nothing more came to bob is known from a quiet time of 300 ms only".into()];
    let requirements = [("ECHO-2", Outcome::Skipped), ("PING-1", Outcome::Pass)];
    let scenarios = [("echo.is-private", Outcome::Skipped), ("ping.pong", Outcome::Pass)];
    vec![
        header(),
        suite(),
        readings(),
        Event::ScenarioFinished(Box::new(skipped)),
        Event::ScenarioFinished(Box::new(noted)),
        finished(0, &requirements, &scenarios, false, &[]),
    ]
}

/// A scenario that passes and fails in turn.
pub fn flaky() -> Vec<Event> {
    let mut second = verdict("ping.pong", "PING-1", Outcome::Fail);
    second.run = 2;
    second.failure =
        Some(Failure { requirements: vec![id("PING-1")], summary: "answer: expected \"pong\", got \"pnog\"".into(), ..Failure::default() });
    vec![
        header(),
        suite(),
        readings(),
        Event::ScenarioFinished(Box::new(verdict("ping.pong", "PING-1", Outcome::Pass))),
        Event::ScenarioFinished(Box::new(second)),
        finished(1, &[("PING-1", Outcome::Flaky)], &[("ping.pong", Outcome::Flaky)], false, &[]),
    ]
}

/// What was found out before an interruption.
pub fn interrupted() -> Vec<Event> {
    vec![
        header(),
        suite(),
        readings(),
        Event::ScenarioFinished(Box::new(verdict("ping.pong", "PING-1", Outcome::Pass))),
        finished(130, &[("PING-1", Outcome::Pass)], &[("ping.pong", Outcome::Pass)], true, &[]),
    ]
}

/// A target that nobody answers for.
pub fn nobody() -> Vec<Event> {
    let mut ping = verdict("ping.pong", "PING-1", Outcome::CouldNotTest);
    ping.why = Some("nobody answers at http://127.0.0.1:7000/: connection refused".into());
    vec![
        header(),
        suite(),
        Event::Readings { at_ms: 1.0, readings: BTreeMap::new(), facts: BTreeMap::new(), fences: Vec::new() },
        Event::ScenarioFinished(Box::new(ping)),
        finished(
            3,
            &[("PING-1", Outcome::CouldNotTest)],
            &[("ping.pong", Outcome::CouldNotTest)],
            false,
            &["nobody answers at http://127.0.0.1:7000/: connection refused", "nobody answers at ws://127.0.0.1:7001/: connection refused"],
        ),
    ]
}

/// A list of known failures, with an entry of each kind.
pub fn known() -> Vec<Event> {
    let Event::Finished(mut footer) = finished(1, &[("PING-1", Outcome::Fail)], &[("ping.pong", Outcome::Fail)], false, &[]) else {
        panic!("a footer");
    };
    footer.counts.insert(id("PING-1"), CountsAs::Known);
    let known = |what: &str, state| KnownVerdict {
        what: what.into(),
        reason: "the pings are slow\u{1b}[2J".into(),
        link: Some("https://example.org/issues/12".into()),
        until: Some("2027-01-31".into()),
        place: "expected.yaml:3:11".into(),
        state,
    };
    footer.known = vec![
        known("PING-1", KnownState::Fails),
        known("PING-2", KnownState::Passes),
        known("ping.*", KnownState::Expired),
        known("pong", KnownState::Unmatched),
        known("PING-3", KnownState::NotPlayed),
    ];
    vec![
        header(),
        suite(),
        readings(),
        Event::ScenarioFinished(Box::new(verdict("ping.pong", "PING-1", Outcome::Fail))),
        Event::Finished(footer),
    ]
}

/// A run for which no scenario was chosen.
pub fn empty() -> Vec<Event> {
    vec![header(), Event::Suite(Box::default()), readings(), finished(3, &[], &[], false, &[])]
}

/// A scenario at which chatspec itself failed.
pub fn broken() -> Vec<Event> {
    let mut ping = verdict("ping.pong", "PING-1", Outcome::Error);
    ping.why = Some("chatspec itself failed here: no socket".into());
    vec![
        header(),
        suite(),
        readings(),
        Event::ScenarioFinished(Box::new(ping)),
        finished(4, &[("PING-1", Outcome::Error)], &[("ping.pong", Outcome::Error)], false, &[]),
    ]
}

/// What is dangerous in some format or other.
pub const HOSTILE: &str = "<script>alert(1)</script></style> ]]> \u{1b}[31m\n::error::x\r\n##[error]y %0A | ` ``` ~~~ </details> ![i](http://evil.invalid/i.png) [l](javascript:x) @you #1 \u{0}\u{fffe}\u{202e}&amp; \"'聊🙂\n  ---\nnot ok 1\nBail out!\n# TODO";

/// A failing run in which everything that can hold a text holds one that is dangerous.
pub fn hostile() -> Vec<Event> {
    let text = || HOSTILE.to_owned();
    let requirement = Requirement { id: id("H-1"), level: Level::Must, text: text(), place: text(), readings: Vec::new() };
    let shown = |name: &str| ScenarioShown {
        id: name.into(),
        title: text(),
        area: text(),
        place: format!("{HOSTILE}.yaml:3:1"),
        actors: vec![text()],
        proves: vec![id("H-1")],
    };
    let suite = SuiteShown {
        requirements: vec![requirement],
        readings: BTreeMap::from([(text(), text())]),
        facts: BTreeMap::from([("capacity".to_owned(), text())]),
        scenarios: vec![shown(HOSTILE), shown("skipped"), shown("blocked")],
    };
    let miss = || NearMiss { at_ms: 1.0, actor: text(), what: text(), differences: Vec::new() };
    let mut failed = verdict(HOSTILE, "H-1", Outcome::Fail);
    failed.notes = vec![text()];
    failed.failure = Some(Failure {
        requirements: vec![id("H-1")],
        step: StepPlace { place: format!("{HOSTILE}.yaml:8:5"), excerpt: text(), through: vec![text()] },
        at_ms: 120.0,
        summary: text(),
        expected: text(),
        actual: text(),
        differences: vec![Difference { path: text(), expected: text(), actual: text() }],
        hints: vec![text()],
        near: vec![miss()],
        late: vec![miss()],
        ends: vec![text()],
        server_output: vec![text()],
    });
    let mut skipped = verdict("skipped", "H-1", Outcome::Skipped);
    skipped.why = Some(text());
    let mut blocked = verdict("blocked", "H-1", Outcome::CouldNotTest);
    blocked.why = Some(text());
    let Event::Started(mut header) = header() else {
        panic!("a header");
    };
    header.target = TargetShown { http: text(), ws: text(), notes: vec![text()] };
    header.reproduce = text();
    let Event::Finished(mut footer) = finished(1, &[("H-1", Outcome::Fail)], &[(HOSTILE, Outcome::Fail)], false, &[HOSTILE]) else {
        panic!("a footer");
    };
    footer.counts.insert(id("H-1"), CountsAs::Failure);
    footer.known = vec![KnownVerdict {
        what: text(),
        reason: text(),
        link: Some(text()),
        until: Some(text()),
        place: text(),
        state: KnownState::Unmatched,
    }];
    let frame = Frame {
        at_ms: 103.0,
        scenario: text(),
        run: 1,
        actor: text(),
        direction: Direction::Received,
        kind: "text".into(),
        payload: Some(Record::new(HOSTILE.as_bytes())),
        fence: false,
    };
    let readings = Event::Readings {
        at_ms: 10.0,
        readings: BTreeMap::from([
            (text(), Held::Unknown { why: text(), blocked_by: Vec::new() }),
            ("H-R".to_owned(), Held::Found { values: vec![text()] }),
        ]),
        facts: BTreeMap::from([("capacity".to_owned(), Fact::Number(2))]),
        fences: vec![text()],
    };
    let mut events = vec![Event::Started(header), Event::Suite(Box::new(suite)), readings, Event::Frame(frame)];
    events.extend([failed, skipped, blocked].map(|verdict| Event::ScenarioFinished(Box::new(verdict))));
    events.push(Event::Finished(footer));
    events
}

/// A run in which as many scenarios as durations passed, each in that time.
pub fn timed(durations_ms: &[f64]) -> Vec<Event> {
    let names: Vec<String> = (0..durations_ms.len()).map(|number| format!("timed.case-{number}")).collect();
    let shown = |name: &String| ScenarioShown {
        id: name.clone(),
        title: "It takes its time".into(),
        area: "timed".into(),
        place: "timed.yaml:1:1".into(),
        actors: vec!["ann".into()],
        proves: vec![id("PING-1")],
    };
    let suite = SuiteShown { scenarios: names.iter().map(shown).collect(), ..SuiteShown::default() };
    let mut events = vec![header(), Event::Suite(Box::new(suite)), readings()];
    for (name, duration_ms) in names.iter().zip(durations_ms) {
        events.push(Event::ScenarioFinished(Box::new(ScenarioVerdict {
            duration_ms: *duration_ms,
            ..verdict(name, "PING-1", Outcome::Pass)
        })));
    }
    let scenarios: Vec<(&str, Outcome)> = names.iter().map(|name| (name.as_str(), Outcome::Pass)).collect();
    events.push(finished(0, &[("PING-1", Outcome::Pass)], &scenarios, false, &[]));
    events
}
