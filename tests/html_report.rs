//! The HTML of checks, from literal event streams.

mod support;

use std::collections::{BTreeMap, HashSet};

use chatspec::event::{Direction, Event, Exchange, Footer, Frame, Log, Record, ScenarioShown, SuiteShown};
use chatspec::matcher::Difference;
use chatspec::report::html;
use chatspec::requirement::{Level, Requirement};
use chatspec::verdict::{CountsAs, Failure, KnownState, KnownVerdict, NearMiss, Outcome, ScenarioVerdict, StepPlace};
use support::streams::{self, id};

fn log(events: Vec<Event>) -> Log {
    Log::of(events).expect("a whole log")
}

fn page(events: Vec<Event>) -> String {
    html::page(&[("run".to_owned(), log(events))]).expect("a page")
}

/// What is in a page between the title bar and the foot, an element a line.
fn body(page: &str) -> String {
    let start = page.find("<header").expect("a title bar");
    let end = page.find("<footer").expect("a foot");
    page[start..end].replace(concat!(env!("CARGO_MANIFEST_DIR"), "/"), "").replace("><", ">\n<")
}

/// All values of an attribute.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    page.split(&format!(" {attribute}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

fn assert_that_links_lead_somewhere(page: &str) {
    let ids = values(page, "id");
    let known: HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), known.len(), "two elements of one ID");
    for target in values(page, "href").iter().filter_map(|href| href.strip_prefix('#')) {
        assert!(target.starts_with("show=") || known.contains(target), "nothing is called {target}");
    }
}

#[test]
fn a_failing_run() {
    let page = page(streams::failing());
    insta::assert_snapshot!(body(&page));
    assert_that_links_lead_somewhere(&page);
}

#[test]
fn a_passing_run_with_something_skipped() {
    insta::assert_snapshot!(body(&page(streams::passing())));
}

#[test]
fn a_flaky_run() {
    insta::assert_snapshot!(body(&page(streams::flaky())));
}

#[test]
fn an_interrupted_run() {
    insta::assert_snapshot!(body(&page(streams::interrupted())));
}

#[test]
fn a_run_against_nobody() {
    insta::assert_snapshot!(body(&page(streams::nobody())));
}

#[test]
fn a_run_with_known_failures() {
    let page = page(streams::known());
    insta::assert_snapshot!(body(&page));
    assert_that_links_lead_somewhere(&page);
}

#[test]
fn an_empty_run() {
    let events = vec![streams::header(), Event::Suite(Box::default()), streams::finished(3, &[], &[], true, &[])];
    insta::assert_snapshot!(body(&page(events)));
}

/// All that somebody could put into a page who wants it to do something else.
const HOSTILE: &str =
    "<script>alert(1)</script></style></textarea>]]>--><img src=x onerror=alert(1)>\"'`&lt;\u{1b}[2J\u{202e}\u{2066}\0聊天室👩‍💻";

fn hostile() -> Vec<Event> {
    let text = HOSTILE.to_owned();
    let Event::Started(mut header) = streams::header() else {
        panic!("a header");
    };
    header.target.http.clone_from(&text);
    header.target.ws.clone_from(&text);
    header.target.notes = vec![text.clone()];
    header.reproduce.clone_from(&text);
    header.protocol.clone_from(&text);
    let requirement =
        Requirement { id: id(HOSTILE), level: Level::Must, text: text.clone(), place: text.clone(), readings: vec![text.clone()] };
    let shown = ScenarioShown {
        id: text.clone(),
        title: text.clone(),
        area: text.clone(),
        place: text.clone(),
        actors: vec![text.clone()],
        proves: vec![id(HOSTILE)],
    };
    let suite = SuiteShown {
        requirements: vec![requirement],
        readings: BTreeMap::from([(text.clone(), text.clone())]),
        facts: BTreeMap::new(),
        scenarios: vec![shown],
    };
    let mut verdict = streams::verdict(HOSTILE, HOSTILE, Outcome::Fail);
    verdict.notes = vec![text.clone()];
    let difference = || Difference { path: text.clone(), expected: text.clone(), actual: "nothing".into() };
    let miss = || NearMiss { at_ms: 3.0, actor: text.clone(), what: text.clone(), differences: vec![difference()] };
    verdict.failure = Some(Failure {
        requirements: vec![id(HOSTILE)],
        step: StepPlace { place: text.clone(), excerpt: text.clone(), through: vec![text.clone()] },
        at_ms: 4.0,
        summary: text.clone(),
        expected: text.clone(),
        actual: text.clone(),
        differences: vec![difference()],
        hints: vec![text.clone()],
        near: vec![miss()],
        late: vec![miss()],
        ends: vec![text.clone()],
        server_output: vec![text.clone()],
    });
    let mut passed = streams::verdict("passes", HOSTILE, Outcome::Pass);
    passed.why = Some(text.clone());
    let frame = |scenario: &str| {
        Event::Frame(Frame {
            at_ms: 3.0,
            scenario: scenario.into(),
            run: 1,
            actor: text.clone(),
            direction: Direction::Received,
            kind: text.clone(),
            payload: Some(Record::new(HOSTILE.as_bytes())),
            fence: false,
        })
    };
    let exchange = Event::Exchange(Exchange {
        at_ms: 1.0,
        took_ms: 1.0,
        scenario: text.clone(),
        run: 1,
        actor: text.clone(),
        method: text.clone(),
        url: text.clone(),
        body: Some(Record::new("x".repeat(300).as_bytes())),
        status: None,
        headers: Vec::new(),
        answer: None,
        failure: Some(text.clone()),
    });
    let known = KnownVerdict {
        what: text.clone(),
        reason: text.clone(),
        link: Some("javascript:alert(1)".into()),
        until: Some(text.clone()),
        place: text.clone(),
        state: KnownState::Fails,
    };
    let footer = Footer {
        exit_code: 1,
        notes: vec![text.clone()],
        requirements: [(id(HOSTILE), Outcome::Fail)].into(),
        counts: [(id(HOSTILE), CountsAs::Failure)].into(),
        known: vec![known],
        ..Footer::default()
    };
    vec![
        Event::Started(header),
        Event::Suite(Box::new(suite)),
        exchange,
        frame(HOSTILE),
        frame("passes"),
        frame("probe"),
        Event::ScenarioFinished(Box::new(verdict)),
        Event::ScenarioFinished(Box::new(passed)),
        Event::Finished(footer),
    ]
}

fn assert_that_all_is_text(page: &str) {
    assert_eq!(page.matches("<script").count(), 1, "the page's own");
    assert_eq!(page.matches("</style").count(), 1);
    for markup in ["<img", "</textarea", "\"'`&lt;", "href=\"javascript"] {
        assert!(!page.contains(markup), "{markup}");
    }
    let acts = |c: char| {
        (c.is_control() && c != '\n' && c != '\t') || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    assert_eq!(page.chars().find(|c| acts(*c)), None);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("聊天室👩‍💻"));
}

#[test]
fn a_run_whose_every_text_is_hostile() {
    let page = page(hostile());
    assert_that_all_is_text(&page);
    insta::assert_snapshot!(body(&page));
}

#[test]
fn nothing_on_a_page_comes_from_a_network() {
    let page = page(streams::known());
    let policy = values(&page, "content").into_iter().find(|content| content.contains("default-src")).expect("a content policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("http") && !policy.contains("script-src 'unsafe"), "{policy}");
    assert!(values(&page, "src").is_empty() && !page.contains("@import") && !page.contains("url(http"));
}

#[test]
fn a_scoreboard() {
    let mut another = streams::passing();
    if let Some(Event::Started(header)) = another.first_mut() {
        header.suite = "1".into();
        header.strict = true;
    }
    let named = |name: &str, events| (name.to_owned(), log(events));
    let logs = [named("ours", streams::failing()), named("theirs", another), named("theirs", streams::interrupted())];
    let page = html::page(&logs).expect("a page");
    insta::assert_snapshot!(body(&page));
    assert_that_links_lead_somewhere(&page);
}

#[test]
fn a_scoreboard_of_hostile_servers() {
    let page = html::page(&[(HOSTILE.to_owned(), log(hostile())), ("ours".to_owned(), log(streams::passing()))]).expect("a page");
    assert_that_all_is_text(&page);
}

#[test]
fn logs_that_fit_on_no_page_are_told_apart() {
    let empty = log(vec![streams::header(), streams::finished(0, &[], &[], false, &[])]);
    let told = |logs: &[(String, Log)]| html::page(logs).expect_err("there is nothing to show").to_string();
    insta::assert_snapshot!(told(&[]), @"there is no log to show: name at least one");
    insta::assert_snapshot!(
        told(&[("a.jsonl".into(), empty)]),
        @"a.jsonl is of neither `check` nor `explore` nor `sensitivity` nor `load` (its command is `check`): leave it out"
    );
}

#[test]
fn of_a_scenario_that_is_played_often_a_few_runs_are_shown_and_the_others_counted() {
    let run = |run, outcome| Event::ScenarioFinished(Box::new(ScenarioVerdict { run, ..streams::verdict("ping.pong", "PING-1", outcome) }));
    let mut events = vec![streams::header(), streams::suite()];
    events.extend((1..=20).map(|at| run(at, if at % 4 == 0 { Outcome::Fail } else { Outcome::Pass })));
    events.push(streams::finished(1, &[("PING-1", Outcome::Flaky)], &[("ping.pong", Outcome::Flaky)], false, &[]));
    let page = page(events);
    assert_eq!(page.matches("<details class=\"case").count(), 4);
    assert!(page.contains("the first of 15 such runs"));
    assert!(page.contains("2 more runs of <code class=\"id\">ping.pong</code> came to the outcome fail; the log has them all"));
}

/// A log of so many scenarios, with so many lines of transcript each, of which every `one_in`th fails.
fn large(scenarios: usize, lines: usize, one_in: usize) -> Vec<Event> {
    let name = |at: usize| format!("area.what-somebody-does-number-{at}/case-{}", at % 7);
    let requirement = |at: usize| {
        let id = id(&format!("AREA{}-{}", at / 10, at % 10));
        let text =
            "A packet of the type `join` from a member is answered with one of the type `user` and told to every other member.".into();
        Requirement { id, level: Level::Must, text, place: "a heading, a table, a row".into(), readings: Vec::new() }
    };
    let requirements: Vec<Requirement> = (0..100).map(requirement).collect();
    let proved = |at: usize| requirements[at % 100].id.clone();
    let shown = |at: usize| ScenarioShown {
        id: name(at),
        title: "What one of the members says comes to each of the others once, and to nobody else".into(),
        area: "area".into(),
        place: format!("scenarios/area/what-somebody-does-number-{at}.yaml:1:5"),
        actors: ["ann", "bob", "cid"].map(String::from).into(),
        proves: vec![proved(at)],
    };
    let suite = SuiteShown { scenarios: (0..scenarios).map(shown).collect(), requirements: requirements.clone(), ..SuiteShown::default() };
    let mut events = vec![streams::header(), Event::Suite(Box::new(suite))];
    let mut footer = Footer { exit_code: 1, ..Footer::default() };
    for at in 0..scenarios {
        for line in 0..lines {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let at_ms = (at * 10 + line) as f64;
            let payload = format!(
                r#"{{"type":"msg","data":{{"user_name":"ann-il3b{at}","room_name":"lobby-il3b{at}","msg":"what is said, number {line}"}}}}"#
            );
            events.push(Event::Frame(Frame {
                at_ms,
                scenario: name(at),
                run: 1,
                actor: ["ann", "bob", "cid"][line % 3].into(),
                direction: if line % 2 == 0 { Direction::Sent } else { Direction::Received },
                kind: "text".into(),
                payload: Some(Record::new(payload.as_bytes())),
                fence: line % 10 == 9,
            }));
        }
        let outcome = if at % one_in == 0 { Outcome::Fail } else { Outcome::Pass };
        let failure = (outcome == Outcome::Fail).then(|| typical(proved(at).as_str()));
        let verdict = ScenarioVerdict { failure, ..streams::verdict(&name(at), proved(at).as_str(), outcome) };
        events.push(Event::ScenarioFinished(Box::new(verdict)));
        let worst = footer.requirements.entry(proved(at)).or_insert(Outcome::Pass);
        *worst = (*worst).max(outcome);
        footer.counts.insert(proved(at), if *worst == Outcome::Fail { CountsAs::Failure } else { CountsAs::Nothing });
    }
    events.push(Event::Finished(footer));
    events
}

/// A failure with as much to say as most.
fn typical(requirement: &str) -> Failure {
    let packet = r#"{"type":"msg","data":{"user_name":"cid-il3bfdg","room_name":"lobby-il3bfdg","msg":"from the third"}}"#.to_owned();
    let difference = || Difference { path: "data.msg".into(), expected: "\"from the first\"".into(), actual: "\"from the third\"".into() };
    Failure {
        requirements: vec![id(requirement)],
        step: StepPlace {
            place: "scenarios/area/what-somebody-does.yaml:18:5".into(),
            excerpt: format!(
                "- receive: {{actor: [bob, cid], packet: {{type: msg, data: {{room_name: $lobby, msg: from the first}}}}}}\n  proves: {requirement}"
            ),
            through: vec!["scenarios/area/what-somebody-does.yaml:12:5".into()],
        },
        at_ms: 20_000_000.0,
        summary: "cid did not receive it within 3s".into(),
        expected: packet.clone(),
        actual: packet.clone(),
        differences: vec![difference()],
        near: vec![NearMiss { at_ms: 3.0, actor: "cid".into(), what: packet, differences: vec![difference()] }],
        ..Failure::default()
    }
}

#[test]
fn a_large_run_makes_a_page_that_opens() {
    for one_in in [1, 3, 100] {
        let page = page(large(2_000, 25, one_in));
        assert!(page.contains("what is said, number 24"));
        assert!(page.len() < 10_000_000, "{} bytes where one in {one_in} fails", page.len());
    }
}
