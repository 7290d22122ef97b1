//! The report on a terminal, from literal event streams.

mod support;

use chatspec::event::Event;
use chatspec::report::terminal::{Terminal, Verbosity};
use support::streams;

fn render(events: &[Event], verbosity: Verbosity) -> String {
    let mut terminal = Terminal::new(verbosity);
    events.iter().for_each(|event| terminal.event(event));
    let mut out = Vec::new();
    terminal.finish(&mut out).expect("a vector takes every write");
    anstream::adapter::strip_str(&String::from_utf8(out).expect("UTF-8")).to_string()
}

#[test]
fn a_failing_run() {
    insta::assert_snapshot!(render(&streams::failing(), Verbosity::Normal));
}

#[test]
fn a_failing_run_verbose() {
    insta::assert_snapshot!(render(&streams::failing(), Verbosity::Verbose));
}

#[test]
fn a_failing_run_quiet() {
    insta::assert_snapshot!(render(&streams::failing(), Verbosity::Quiet));
}

#[test]
fn a_passing_run_with_something_skipped() {
    insta::assert_snapshot!(render(&streams::passing(), Verbosity::Normal));
}

#[test]
fn a_failing_run_of_a_server_that_a_command_started() {
    let text = render(&streams::started_by_a_command(), Verbosity::Normal);
    let wrote = "      the server wrote meanwhile:\n        | Traceback (most recent call last):\n        | \\u{1b}[31mKeyError\\u{1b}[0m: '<script>bob'\n";
    assert!(text.contains(wrote), "{text}");
}

#[test]
fn a_flaky_run() {
    insta::assert_snapshot!(render(&streams::flaky(), Verbosity::Normal));
}

#[test]
fn an_interrupted_run() {
    insta::assert_snapshot!(render(&streams::interrupted(), Verbosity::Normal));
}

#[test]
fn a_run_against_nobody() {
    insta::assert_snapshot!(render(&streams::nobody(), Verbosity::Normal));
}

#[test]
fn a_run_with_known_failures() {
    insta::assert_snapshot!(render(&streams::known(), Verbosity::Normal));
}
