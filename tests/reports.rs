//! The formats that machines and summaries read, from literal event streams.

mod support;

use std::collections::BTreeMap;
use std::process::Command;

use chatspec::event::{Event, Log};
use chatspec::report::{badge, cases, github, junit, markdown, matrix, tap};
use chatspec::verdict::Outcome;
use pulldown_cmark::{Options, Parser, Tag};
use support::{loads, streams};

/// The log of these events, in which no place begins with a folder of this machine.
fn log(mut events: Vec<Event>) -> Log {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    for event in &mut events {
        if let Event::Suite(suite) = event {
            suite.scenarios.iter_mut().for_each(|scenario| scenario.place = scenario.place.replace(root, ""));
        }
    }
    Log::of(events).expect("a header and a footer")
}

/// Runs of every kind that there is.
fn runs() -> Vec<(&'static str, Log)> {
    let runs: [(&str, Vec<Event>); 9] = [
        ("failing", streams::failing()),
        ("passing", streams::passing()),
        ("flaky", streams::flaky()),
        ("interrupted", streams::interrupted()),
        ("empty", streams::empty()),
        ("nobody", streams::nobody()),
        ("known", streams::known()),
        ("broken", streams::broken()),
        ("hostile", streams::hostile()),
    ];
    let others = [
        ("load_holding", loads::clean()),
        ("load_lossy", loads::lossy(Some(streams::HOSTILE))),
        ("load_unbelievable", loads::unbelievable()),
        ("load_cut_short", loads::interrupted(2)),
        ("matrix", loads::matrix(Some(streams::HOSTILE))),
    ];
    runs.map(|(name, events)| (name, log(events))).into_iter().chain(others).collect()
}

fn snapshots(format: &str, render: impl Fn(&Log) -> String) {
    for (name, log) in runs() {
        insta::assert_snapshot!(format!("{format}_{name}"), render(&log));
    }
}

#[test]
fn junit_of_every_run() {
    snapshots("junit", junit::junit);
}

#[test]
fn tap_of_every_run() {
    snapshots("tap", tap::tap);
}

#[test]
fn markdown_of_every_run() {
    snapshots("markdown", markdown::markdown);
}

#[test]
fn annotations_of_every_run() {
    snapshots("github", github::annotations);
}

#[test]
fn badges_of_every_run() {
    let title = |log: &Log| {
        let svg = badge::badge(log);
        svg.lines().find(|line| line.starts_with("<title>")).map(str::to_owned).expect("a title")
    };
    let titles: Vec<String> = runs().iter().map(|(name, log)| format!("{name}: {}", title(log))).collect();
    insta::assert_snapshot!(titles.join("\n"));
    insta::assert_snapshot!(badge::badge(&log(streams::passing())));
}

/// CI must be red exactly where the run's own exit code says so.
#[test]
fn a_file_for_ci_is_red_exactly_where_the_exit_code_is_not_0() {
    for (name, log) in runs() {
        let fails = log.footer.exit_code != 0;
        let junit = junit::junit(&log);
        assert_eq!(junit.contains("<failure") || junit.contains("<error"), fails, "{name}: {junit}");
        let tap = tap::tap(&log);
        let red = tap.lines().any(|line| line.starts_with("Bail out!") || (line.starts_with("not ok") && !line.contains(" # TODO ")));
        assert_eq!(red, fails, "{name}: {tap}");
        assert_eq!(github::annotations(&log).contains("::error "), fails, "{name}");
    }
}

/// Whether the tool is there; a test that needs one says that it can't be carried out without.
fn has(tool: &str) -> bool {
    let has = Command::new(tool).arg("--version").output().is_ok();
    if !has {
        eprintln!("skipped: {tool} isn't installed");
    }
    has
}

#[test]
fn junit_follows_the_schema_of_the_format() {
    if !has("xmllint") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/junit.xsd");
    for (name, log) in runs() {
        let path = dir.path().join(format!("{name}.xml"));
        std::fs::write(&path, junit::junit(&log)).expect("written");
        let output = Command::new("xmllint").args(["--noout", "--nonet", "--schema", schema]).arg(&path).output().expect("it runs");
        assert!(output.status.success(), "{name}: {}", support::stderr(&output));
    }
    let path = dir.path().join("wrong.xml");
    std::fs::write(&path, "<testsuites><testsuite name='x' tests='one'/></testsuites>").expect("written");
    let output = Command::new("xmllint").args(["--noout", "--nonet", "--schema", schema]).arg(&path).output().expect("it runs");
    assert!(!output.status.success(), "the schema lets anything pass");
}

#[test]
fn the_figures_of_junit_are_those_of_its_cases() {
    for (name, log) in runs() {
        let text = junit::junit(&log);
        let count = |tag: &str| text.matches(&format!("<{tag}")).count();
        let whole = text.lines().find(|line| line.contains("<testsuites")).expect("a root");
        for (attribute, expected) in
            [("tests", count("testcase")), ("failures", count("failure")), ("errors", count("error")), ("skipped", count("skipped"))]
        {
            assert!(whole.contains(&format!(" {attribute}=\"{expected}\"")), "{name}: {attribute} isn't {expected}: {whole}");
        }
    }
}

/// A stream of TAP as its readers take it apart: as many points as planned, numbered, and YAML that can be read.
#[test]
fn tap_can_be_taken_apart() {
    for (name, log) in runs() {
        let text = tap::tap(&log);
        let mut lines = text.lines().peekable();
        assert_eq!(lines.next(), Some("TAP version 14"), "{name}");
        let plan = lines.next().and_then(|line| line.strip_prefix("1..")).expect("a plan");
        let planned: usize = plan.split(' ').next().expect("a number").parse().expect("a number");
        let mut points = 0;
        while let Some(line) = lines.next() {
            if line == "  ---" {
                let yaml: Vec<&str> = lines.by_ref().take_while(|line| *line != "  ...").map(|line| &line[2..]).collect();
                let read: Result<BTreeMap<String, serde_json::Value>, _> = serde_saphyr::from_str(&yaml.join("\n"));
                let read = read.unwrap_or_else(|error| panic!("{name}: {error}\n{}", yaml.join("\n")));
                assert!(read.contains_key("severity"), "{name}: {read:?}");
            } else if line.starts_with("ok ") || line.starts_with("not ok ") {
                points += 1;
                assert!(line.contains(&format!("ok {points} - ")), "{name}: {line}");
                // All after a free `#` is a directive.
                let directive = line.replace("\\\\", "").replace("\\#", "");
                let directive = directive.split('#').nth(1).unwrap_or(" SKIP ");
                assert!(directive.starts_with(" SKIP ") || directive.starts_with(" TODO "), "{name}: {line}");
            } else {
                assert!(line.starts_with("# ") || line.starts_with("Bail out! "), "{name}: {line}");
            }
        }
        assert_eq!(points, planned, "{name}");
    }
}

/// What a server sent may not become a link, a picture or a tag; the only tags are those that fold.
#[test]
fn markdown_holds_no_markup_of_a_server() {
    let hostile = loads::matrix(Some(streams::HOSTILE));
    let trials = cases::sensitivity::trials(&hostile);
    let whole = matrix::markdown(&trials, &cases::sensitivity::summary(&hostile, &trials));
    let summaries = runs().into_iter().map(|(name, log)| (name, markdown::markdown(&log)));
    for (name, text) in summaries.chain([("the whole matrix", whole)]) {
        for event in Parser::new_ext(&text, Options::all()) {
            match event {
                pulldown_cmark::Event::Start(Tag::Link { .. } | Tag::Image { .. }) => panic!("{name}: {event:?}\n{text}"),
                pulldown_cmark::Event::Html(html) | pulldown_cmark::Event::InlineHtml(html) => {
                    let rest = ["<details>", "</details>", "<summary>", "</summary>"]
                        .iter()
                        .fold(html.to_string(), |rest, tag| rest.replace(tag, ""));
                    assert!(!rest.contains('<'), "{name}: {html}");
                }
                pulldown_cmark::Event::FootnoteReference(_) | pulldown_cmark::Event::TaskListMarker(_) => panic!("{name}: {event:?}"),
                _ => {}
            }
        }
        let opened = text.matches("<details>").count();
        let hostile = text.matches("` ``` ~~~ </details>").count();
        assert_eq!(opened, text.matches("</details>").count() - hostile, "{name}: {text}");
        assert!(!text.contains(['\u{1b}', '\u{0}', '\u{202e}']), "{name}");
    }
}

#[test]
fn a_run_in_which_all_is_well_has_a_short_summary() {
    let mut events = streams::passing();
    events.retain(|event| !matches!(event, Event::ScenarioFinished(verdict) if verdict.outcome == Outcome::Skipped));
    let Some(Event::Suite(suite)) = events.get_mut(1) else {
        panic!("a suite");
    };
    suite.scenarios.retain(|scenario| scenario.id == "ping.pong");
    let text = markdown::markdown(&log(events));
    assert!(text.lines().count() <= 12, "{text}");
}

/// So many scenarios that fail, each with a long transcript.
fn many(count: usize) -> Log {
    let failing = streams::failing();
    let mut events: Vec<Event> = failing[..3].to_vec();
    for number in 0..count {
        let name = format!("many.case-{number}");
        for event in &failing[4..] {
            match event.clone() {
                Event::Frame(frame) => {
                    events.extend((0..60).map(|_| Event::Frame(chatspec::event::Frame { scenario: name.clone(), ..frame.clone() })));
                }
                Event::ScenarioFinished(mut verdict) if verdict.outcome == Outcome::Fail => {
                    verdict.scenario.clone_from(&name);
                    let failure = verdict.failure.as_mut().expect("it failed");
                    failure.actual = "`x|y` ".repeat(20_000);
                    let id = streams::id(&format!("ECHO-{number}"));
                    verdict.requirements = [(id, Outcome::Fail)].into();
                    events.push(Event::ScenarioFinished(verdict));
                }
                _ => {}
            }
        }
    }
    let Some(Event::Finished(mut footer)) = failing.last().cloned() else {
        panic!("a footer");
    };
    let Some(Event::Suite(suite)) = events.get_mut(1) else {
        panic!("a suite");
    };
    for number in 0..count {
        let id = streams::id(&format!("ECHO-{number}"));
        footer.requirements.insert(id.clone(), Outcome::Fail);
        footer.counts.insert(id.clone(), chatspec::verdict::CountsAs::Failure);
        suite.scenarios.push(chatspec::event::ScenarioShown { id: format!("many.case-{number}"), ..suite.scenarios[0].clone() });
        if !suite.requirements.iter().any(|known| known.id == id) {
            let requirement = suite.requirements[0].clone();
            suite.requirements.push(chatspec::requirement::Requirement { id, ..requirement });
        }
    }
    footer.exit_code = 1;
    events.push(Event::Finished(footer));
    log(events)
}

#[test]
fn a_summary_of_very_many_failures_stays_below_what_github_takes() {
    let text = markdown::markdown(&many(600));
    assert!(text.len() < 1024 * 1024, "{}", text.len());
    assert!(text.contains("had no room here"), "it says what it leaves out");
}

#[test]
fn of_many_failures_github_is_told_as_many_as_it_shows_and_how_many_more_there_are() {
    let text = github::annotations(&many(40));
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!(errors.len(), 10, "{text}");
    // One of the forty is a SHOULD, and a warning.
    assert!(errors[9].starts_with("::error title=30 more failures::30 more failures: "), "{}", errors[9]);
    assert!(text.lines().all(|line| line.starts_with("::")), "{text}");
}
