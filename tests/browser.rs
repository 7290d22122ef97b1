//! The pages in a browser: what can be found and opened by mouse and keyboard, that they ask nobody for anything, and that whatever a hostile
//! server sent stays text. Without a browser on this machine the tests skip, and say so.

mod support;

use std::path::PathBuf;

use chatspec::event::{Direction, Event, Footer, Frame, Log, Record, ScenarioShown, SuiteShown};
use chatspec::report::html::page;
use chatspec::verdict::Outcome;
use serde_json::json;
use support::browser::{Browser, ENTER, ESCAPE};
use support::{hostile, loads, streams};

/// Pages of logs in a folder of their own.
struct Pages(tempfile::TempDir);

impl Pages {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, logs: &[(&str, Log)]) -> PathBuf {
        let logs: Vec<_> = logs.iter().map(|(name, log)| ((*name).to_owned(), log.clone())).collect();
        let path = self.0.path().join(name);
        std::fs::write(&path, page(&logs).expect("the logs fit")).expect("the folder is new");
        path
    }
}

fn log(events: Vec<Event>) -> Log {
    Log::of(events).expect("a whole log")
}

fn frame(scenario: &str, at_ms: f64, actor: &str, direction: Direction, payload: &str) -> Event {
    let payload = Some(Record::new(payload.as_bytes()));
    Event::Frame(Frame {
        at_ms,
        scenario: scenario.into(),
        run: 1,
        actor: actor.into(),
        direction,
        kind: "text".into(),
        payload,
        fence: false,
    })
}

/// The failing run, with what went over the wire in a scenario that passed.
fn failing() -> Log {
    let mut events = streams::failing();
    let short = "echo.comes-back/short";
    events.insert(3, frame(short, 50.0, "ann", Direction::Sent, "hello"));
    events.insert(4, frame(short, 52.0, "ann", Direction::Received, "hello"));
    log(events)
}

/// The IDs of the rows that can be seen.
const ROWS: &str =
    "return [...document.querySelectorAll('[data-row]')].filter((row) => row.checkVisibility()).map((row) => row.id).join(' ')";

const SEARCH: &str = "return document.activeElement === document.querySelector('.search')";

/// No error on the console, and nothing asked for but files of these names.
fn assert_quiet(browser: &Browser, pages: &[PathBuf]) {
    assert_eq!(browser.console(), Vec::<String>::new(), "the console is to be empty");
    for url in browser.requests() {
        let own = pages.iter().any(|page| url.split('#').next() == Some(&format!("file://{}", page.display())));
        assert!(own, "it asked for {url}");
    }
    let fetched = browser.eval("return performance.getEntriesByType('resource').map((entry) => entry.name)");
    assert_eq!(fetched, json!([]));
}

#[test]
fn filters_search_and_keys_find_and_open_what_is_looked_for() {
    let Some(browser) = Browser::start(1280, 900) else { return };
    let pages = Pages::new();
    let page = pages.write("check.html", &[("failing", failing())]);
    browser.open(&page);
    assert_eq!(browser.eval(ROWS), "ECHO-1 ECHO-2 PING-1", "all rows are there at first");

    browser.eval("document.querySelector('[data-show=warned]').click()");
    assert_eq!(browser.eval(ROWS), "ECHO-2", "what warns is shown alone");
    browser.eval("document.querySelector('[data-show=warned]').click()");

    browser.press("/");
    assert_eq!(browser.eval(SEARCH), true, "/ goes to the search");
    browser.press("ping");
    let found = browser.eval(ROWS);
    assert!(
        found.as_str().is_some_and(|rows| rows.contains("PING-1") && !rows.contains("ECHO-2")),
        "the search leaves what it finds: {found}"
    );
    assert!(browser.eval("return document.querySelector('.shown').textContent").as_str().is_some_and(|said| said.contains(" of 3 ")));
    browser.press(ESCAPE);
    assert_eq!((browser.eval(ROWS), browser.eval(SEARCH)), (json!("ECHO-1 ECHO-2 PING-1"), json!(false)), "Escape leaves and clears it");

    let focused = "return document.activeElement.closest('[data-row]')?.id";
    browser.press("j");
    let first = browser.eval(focused);
    browser.press("jj");
    browser.press("kk");
    assert_eq!(browser.eval(focused), first, "k goes back as far as j went on");
    assert_eq!(first, "ECHO-1");
    let is_open = "return document.getElementById('ECHO-1').open";
    let before = browser.eval(is_open) == true;
    browser.press(ENTER);
    assert_eq!(browser.eval(is_open), json!(!before), "Enter opens and closes the row in focus");
    browser.press("?");
    assert_eq!(browser.eval("return document.querySelector('.keys').checkVisibility()"), true, "? shows the keys");
    assert_quiet(&browser, &[page]);
}

#[test]
fn a_sequence_diagram_has_an_arrow_for_each_thing_on_the_wire() {
    let Some(browser) = Browser::start(1280, 900) else { return };
    let pages = Pages::new();
    let page = pages.write("check.html", &[("failing", failing())]);
    browser.open(&page);
    let arrows = |of: &str| browser.eval(&format!("return document.querySelectorAll('{of} .sequence line[marker-end]').length"));
    // A request and its answer, and three frames.
    assert_eq!(arrows("#ECHO-2"), 5, "what failed is drawn from the start");
    assert_eq!(arrows("#ECHO-1"), 0, "what passed is text until somebody opens it");
    browser.eval("document.querySelectorAll('#ECHO-1, #ECHO-1 details').forEach((details) => { details.open = true; })");
    let drawn =
        "return new Promise((done) => setTimeout(() => done(document.querySelectorAll('#ECHO-1 .sequence line[marker-end]').length)))";
    assert_eq!(browser.eval(drawn), 2, "and is drawn then");
    let heights = "return [...document.querySelectorAll('#ECHO-2 .sequence line[marker-end]')].every((line) => line.getBoundingClientRect().width > 20)";
    assert_eq!(browser.eval(heights), true, "each arrow goes from one column to another");
    assert_quiet(&browser, &[page]);
}

#[test]
fn the_matrix_is_filtered_too() {
    let Some(browser) = Browser::start(1280, 900) else { return };
    let pages = Pages::new();
    let page = pages.write("matrix.html", &[("matrix", loads::matrix(None))]);
    browser.open(&page);
    assert_eq!(browser.eval("return document.querySelectorAll('[data-row]').length"), 7);
    browser.press("/");
    browser.press("drops leave");
    let names = "return [...document.querySelectorAll('[data-row]')].filter((row) => row.checkVisibility()).map((row) => row.querySelector('th').textContent)";
    assert_eq!(browser.eval(names), json!(["drops-leaves"]));
    browser.press(ESCAPE);
    browser.eval("document.querySelector('[data-show=collateral]').click()");
    assert_eq!(browser.eval(names), json!(["drops-joins"]));
    assert_quiet(&browser, &[page]);
}

#[test]
fn colours_follow_the_switch_and_charts_follow_the_colours() {
    let Some(browser) = Browser::start(1280, 900) else { return };
    let pages = Pages::new();
    let page = pages.write("load.html", &[("load", loads::clean())]);
    browser.open(&page);
    let stroke = "return getComputedStyle(document.querySelector('svg.chart polyline[stroke*=series]')).stroke";
    let mut seen = Vec::new();
    for theme in ["light", "dark"] {
        browser.eval(&format!("document.documentElement.dataset.theme = '{theme}'"));
        seen.push(browser.eval(stroke));
    }
    assert_ne!(seen[0], seen[1], "the curves have another colour on a dark page");
    assert!(seen.iter().all(|colour| colour.as_str().is_some_and(|colour| colour.starts_with("rgb("))), "{seen:?}");
    let narrow = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.eval(narrow), true, "nothing is wider than the window");
    assert_quiet(&browser, &[page]);
}

/// Whatever the page holds, opened and drawn: what a script would have set, elements that no page of ours has, and how often the text stands.
const TAKEN_IN: &str = "
    document.querySelectorAll('details').forEach((details) => { details.open = true; });
    return new Promise((done) => setTimeout(() => done({
        hacked: window.hacked ?? null,
        foreign: document.querySelectorAll('img, iframe, object, main b#x, main script, [onerror]').length,
        scripts: document.scripts.length,
        inStyle: document.styleSheets.length,
        codes: /[\\u001b\\u202e]/.test(document.documentElement.textContent + document.title),
        shown: document.body.innerText.split('<script>window.hacked=1</script></style></title></svg>]]>--><img src=x onerror=\"window.hacked=1\">').length - 1,
    })))";

#[test]
fn whatever_a_hostile_server_sent_stays_text_on_every_page() {
    let Some(browser) = Browser::start(1280, 900) else { return };
    let pages = Pages::new();
    let check = || hostile::check(&streams::failing());
    let load = || loads::lossy(Some(loads::HOSTILE));
    let matrix = loads::matrix(Some(loads::HOSTILE));
    let each = [
        (pages.write("check.html", &[(loads::HOSTILE, check())]), 8),
        (pages.write("board.html", &[(loads::HOSTILE, check()), ("b", hostile::check(&streams::flaky()))]), 2),
        (pages.write("load.html", &[(loads::HOSTILE, load())]), 20),
        (pages.write("overlay.html", &[(loads::HOSTILE, load()), ("b", load()), ("c", loads::clean())]), 8),
        (pages.write("matrix.html", &[(loads::HOSTILE, matrix)]), 8),
    ];
    for (page, least) in &each {
        browser.open(page);
        let found = browser.eval(TAKEN_IN);
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        assert_eq!((&found["hacked"], &found["foreign"], &found["codes"]), (&json!(null), &json!(0), &json!(false)), "{name}: {found}");
        assert_eq!((&found["scripts"], &found["inStyle"]), (&json!(1), &json!(1)), "{name}: {found}");
        assert!(found["shown"].as_u64().is_some_and(|times| times >= *least), "{name}: the text itself is to be seen: {found}");
    }
    let pages: Vec<PathBuf> = each.into_iter().map(|(page, _)| page).collect();
    assert_quiet(&browser, &pages);
}

/// 2,000 scenarios with 25 frames each.
fn large() -> Log {
    let Event::Suite(echo) = streams::suite() else { panic!("a suite") };
    let id = |number: usize| format!("large.scenario-{number:04}");
    let shown = |number| ScenarioShown {
        id: id(number),
        title: format!("Scenario {number} of many"),
        area: "large".into(),
        place: "large/many.yaml:3:1".into(),
        actors: vec!["ann".into(), "bob".into()],
        proves: vec![streams::id("ECHO-2")],
    };
    let suite = SuiteShown { scenarios: (0..2000).map(shown).collect(), ..*echo };
    let mut events = vec![streams::header(), Event::Suite(Box::new(suite)), streams::readings()];
    let mut outcomes = Vec::new();
    for number in 0..2000 {
        for step in 0..25_u32 {
            let (actor, direction) = if step % 2 == 0 { ("ann", Direction::Sent) } else { ("bob", Direction::Received) };
            let payload = format!(
                "{{\"type\":\"message\",\"data\":{{\"user_name\":\"ann-n0n\",\"room_name\":\"lobby-n0n\",\"msg\":\"{number} {step}\"}}}}"
            );
            events.push(frame(&id(number), f64::from(step) * 1.5, actor, direction, &payload));
        }
        let outcome = if number % 50 == 0 { Outcome::Fail } else { Outcome::Pass };
        outcomes.push((id(number), outcome));
        events.push(Event::ScenarioFinished(Box::new(streams::verdict(&id(number), "ECHO-2", outcome))));
    }
    let Event::Finished(footer) = streams::finished(1, &[("ECHO-2", Outcome::Fail)], &[], false, &[]) else { panic!("a footer") };
    events.push(Event::Finished(Footer { scenarios: outcomes.into_iter().collect(), ..footer }));
    log(events)
}

#[test]
fn a_page_of_two_thousand_scenarios_opens() {
    let pages = Pages::new();
    let page = pages.write("large.html", &[("large", large())]);
    let size = std::fs::metadata(&page).expect("it was written").len();
    assert!(size < 10_000_000, "{size} bytes");
    let Some(browser) = Browser::start(1280, 900) else { return };
    browser.open(&page);
    let took = browser.eval("const [entry] = performance.getEntriesByType('navigation'); return Math.round(entry.loadEventEnd)");
    eprintln!("2,000 scenarios with 50,000 lines are {size} bytes and took {took} ms to open");
    assert!(took.as_u64().is_some_and(|took| took > 0), "its load event came: {took}");
    assert_eq!(browser.eval("return document.querySelectorAll('.case').length"), 2000);
    assert_quiet(&browser, &[page]);
}
