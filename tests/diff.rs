//! Two runs side by side, from literal event streams.

mod support;

use chatspec::event::{Event, Log};
use chatspec::reading::{Fact, Held};
use chatspec::report::diff::{Diff, Options, Unfit, diff, write};
use support::{loads, streams};

fn log(events: Vec<Event>) -> Log {
    Log::of(events).expect("a header and a footer")
}

fn compared(before: &Log, now: &Log, options: Options) -> Result<Diff, Unfit> {
    diff([("before.jsonl", before), ("now.jsonl", now)], options)
}

fn shown(before: Vec<Event>, now: Vec<Event>) -> String {
    let diff = compared(&log(before), &log(now), Options::default()).expect("they fit");
    let mut text = Vec::new();
    write(&mut text, &diff, false).expect("memory takes all");
    let text = anstream::adapter::strip_str(&String::from_utf8(text).expect("text")).to_string();
    format!("worse: {}\n{text}", diff.is_worse())
}

/// With other readings and facts than the streams have.
fn reading_otherwise(mut events: Vec<Event>) -> Vec<Event> {
    for event in &mut events {
        if let Event::Readings { readings, facts, .. } = event {
            readings.insert("E-WORD".into(), Held::Found { values: vec!["form".into()] });
            readings.remove("E-Z");
            facts.insert("capacity".into(), Fact::Number(10));
        }
    }
    events
}

#[test]
fn a_run_that_fails_where_another_passed() {
    insta::assert_snapshot!(shown(streams::passing(), streams::failing()));
}

#[test]
fn a_run_that_passes_where_another_failed() {
    insta::assert_snapshot!(shown(streams::failing(), reading_otherwise(streams::passing())));
}

#[test]
fn a_run_that_became_flaky_and_one_whose_failure_was_listed() {
    insta::assert_snapshot!(shown(streams::passing(), streams::flaky()));
    insta::assert_snapshot!(shown(streams::flaky(), streams::known()));
}

#[test]
fn a_hostile_run_stays_text() {
    let text = shown(streams::hostile(), streams::hostile());
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text}");
}

#[test]
fn a_run_is_no_worse_than_itself() {
    for events in [streams::failing(), streams::passing(), streams::flaky(), streams::known(), streams::empty(), streams::broken()] {
        let log = log(events);
        let diff = compared(&log, &log, Options { slower_is_worse: true, ..Options::default() }).expect("they fit");
        assert!(!diff.is_worse() && !diff.is_better() && diff.scenarios.is_empty() && diff.requirements.is_empty(), "{diff:?}");
    }
}

#[test]
fn what_a_strict_run_calls_a_failure_is_no_difference() {
    let mut strict = streams::failing();
    if let Some(Event::Started(header)) = strict.first_mut() {
        header.strict = true;
    }
    let diff = compared(&log(streams::failing()), &log(strict), Options::default()).expect("they fit");
    assert!(!diff.is_worse(), "{diff:?}");
}

fn of_another_suite(mut events: Vec<Event>) -> Log {
    if let Some(Event::Started(header)) = events.first_mut() {
        header.suite = "1".into();
    }
    log(events)
}

#[test]
fn logs_that_do_not_fit_are_refused_and_say_what_helps() {
    let fine = log(streams::passing());
    let refused = |now: &Log| compared(&fine, now, Options::default()).expect_err("they don't fit").to_string();
    assert!(refused(&log(streams::interrupted())).starts_with("now.jsonl: the run was interrupted"));
    assert!(refused(&loads::clean()).contains("chatspec compare BASE.jsonl"));
    assert!(refused(&loads::matrix(None)).contains("is of `sensitivity`"));
    assert!(refused(&of_another_suite(streams::passing())).contains("--common"));
    let mut other = streams::passing();
    if let Some(Event::Started(header)) = other.first_mut() {
        header.protocol = "chatroom".into();
    }
    assert!(refused(&log(other)).contains("`echo`"));
}

#[test]
fn of_two_suites_what_both_have_is_compared() {
    let common = Options { common: true, ..Options::default() };
    let now = of_another_suite(streams::failing());
    let diff = compared(&log(streams::passing()), &now, common).expect("they have something in common");
    assert!(diff.is_worse(), "{diff:?}");
    let apart = compared(&log(streams::passing()), &of_another_suite(streams::timed(&[1.0])), common);
    assert!(matches!(apart, Err(Unfit::NothingInCommon { .. })), "{apart:?}");
}

/// Times that scatter by a fifth.
fn times(factor: f64) -> Vec<f64> {
    (0..40).map(|number| 200.0 * factor * (1.0 + 0.2 * f64::from(number * 7 % 11) / 11.0)).collect()
}

fn slower(before: &[f64], now: &[f64]) -> Vec<String> {
    let diff = compared(&log(streams::timed(before)), &log(streams::timed(now)), Options::default()).expect("they fit");
    assert!(!diff.is_worse(), "slower is no failure unless somebody says so");
    diff.slower.into_iter().map(|slower| slower.scenario).collect()
}

#[test]
fn one_scenario_that_takes_far_longer_is_told_and_a_machine_that_is_slower_as_a_whole_is_not() {
    let before = times(1.0);
    let mut now = times(1.0);
    now[7] *= 5.0;
    assert_eq!(slower(&before, &now), ["timed.case-7"]);
    // Everything takes four times as long: the machine.
    assert!(slower(&before, &times(4.0)).is_empty());
    // And one of them beyond that.
    let mut now = times(4.0);
    now[7] *= 5.0;
    assert_eq!(slower(&before, &now), ["timed.case-7"]);
    // Ten times as long, and nobody would notice.
    assert!(slower(&[0.5, 0.5, 0.5, 0.5, 0.5, 0.5], &[0.5, 0.5, 5.0, 0.5, 0.5, 0.5]).is_empty());
    // Where all scatter as much, one is nothing special.
    let wild: Vec<f64> = (0..40).map(|number| 200.0 * f64::from(1 + number % 5)).collect();
    assert!(slower(&before, &wild).is_empty());
}

#[test]
fn slower_fails_where_it_is_asked_to() {
    let mut now = times(1.0);
    now[7] *= 5.0;
    let options = Options { slower_is_worse: true, ..Options::default() };
    assert!(compared(&log(streams::timed(&times(1.0))), &log(streams::timed(&now)), options).expect("they fit").is_worse());
}
