//! JUnit XML, in the form that Jenkins, GitLab and the readers for GitHub have in common.
//!
//! A case is a `failure` where it counts as one, and an `error` where chatspec or the run itself went wrong. What is skipped, could
//! not be tested or is a known failure is `skipped`, with the reason. Warnings and notes pass, and are told in `system-out`. So a
//! file holds a failure or an error exactly where the run's exit code isn't 0.

use std::collections::BTreeMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::cases::{Case, Cases, State};
use super::xml::legal;
use crate::event::Log;

type Xml = Writer<Vec<u8>>;

/// The whole file.
pub fn junit(log: &Log) -> String {
    let cases = Cases::of(log);
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Memory takes every write.
    let _ = document(&mut xml, &cases);
    let mut text = String::from_utf8_lossy(&xml.into_inner()).into_owned();
    text.push('\n');
    text
}

fn document(xml: &mut Xml, cases: &Cases) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut areas: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for case in &cases.cases {
        let members = areas.entry(&case.area).or_default();
        if members.is_empty() {
            order.push(&case.area);
        }
        members.push(case);
    }
    let name = format!("chatspec {}", cases.kind.word());
    let all: Vec<&Case> = cases.cases.iter().collect();
    let [tests, failures, errors, skipped] = counts(&all);
    let mut whole = vec![
        ("name", name.clone()),
        ("tests", tests),
        ("failures", failures),
        ("errors", errors),
        ("skipped", skipped),
        ("time", seconds(cases.took_ms)),
    ];
    whole.extend(timestamp(&cases.started));
    element(xml, "testsuites", &whole, |xml| {
        if order.is_empty() {
            suite(xml, cases, &name, &[])?;
        }
        order.iter().try_for_each(|area| suite(xml, cases, &format!("{name}: {area}"), &areas[area]))
    })
}

fn suite(xml: &mut Xml, cases: &Cases, name: &str, members: &[&Case]) -> io::Result<()> {
    let [tests, failures, errors, skipped] = counts(members);
    let took_ms: f64 = members.iter().map(|case| case.took_ms).sum();
    let mut attributes = vec![
        ("name", name.to_owned()),
        ("tests", tests),
        ("failures", failures),
        ("errors", errors),
        ("skipped", skipped),
        ("time", seconds(took_ms)),
        ("hostname", host(cases)),
    ];
    attributes.extend(timestamp(&cases.started));
    element(xml, "testsuite", &attributes, |xml| {
        element(xml, "properties", &[], |xml| {
            let mut properties = cases.properties.iter();
            properties.try_for_each(|(name, value)| empty(xml, "property", &[("name", name.clone()), ("value", value.clone())]))
        })?;
        members.iter().try_for_each(|case| testcase(xml, case))
    })
}

fn testcase(xml: &mut Xml, case: &Case) -> io::Result<()> {
    let mut attributes = vec![("classname", case.area.clone()), ("name", case.name()), ("time", seconds(case.took_ms))];
    if let Some(place) = &case.place {
        // The line of the step that failed says more than the scenario's first, where it stands in the same file.
        let step = case.step.as_ref().filter(|step| step.file == place.file);
        attributes.push(("file", place.file.clone()));
        attributes.push(("line", step.unwrap_or(place).line.to_string()));
    }
    let told = told(case);
    if told.is_empty() && matches!(case.state, State::Passed | State::Warned | State::Noted) {
        return empty(xml, "testcase", &attributes);
    }
    let message = |text: String| ("message", text);
    let kind = |text: &str| ("type", text.to_owned());
    element(xml, "testcase", &attributes, |xml| {
        match case.state {
            State::Failed => {
                let of = case.broken.as_ref().map_or_else(|| case.area.clone(), |(id, level)| format!("{level} {id}"));
                text(xml, "failure", &[message(case.why.clone()), kind(&of)], &case.details)?;
            }
            State::Error => text(xml, "error", &[message(case.why.clone()), kind("chatspec")], &case.details)?,
            State::Skipped | State::Untested => empty(xml, "skipped", &[message(case.why.clone())])?,
            State::Known => empty(xml, "skipped", &[message(format!("known failure: {}", case.why))])?,
            State::Passed | State::Warned | State::Noted => {}
        }
        if told.is_empty() { Ok(()) } else { text(xml, "system-out", &[], &told) }
    })
}

/// What is said of a case beside its outcome.
fn told(case: &Case) -> String {
    let word = match case.state {
        State::Warned => Some("WARNING"),
        State::Noted => Some("NOTE"),
        State::Known => Some("KNOWN FAILURE"),
        _ => None,
    };
    let mut lines: Vec<String> = word.map(|word| format!("{word}: {}", case.why)).into_iter().collect();
    lines.extend(case.notes.iter().cloned());
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if word.is_some() || case.state == State::Untested {
        text.push_str(&case.details);
    }
    text
}

/// Tests, failures, errors and skipped.
fn counts(cases: &[&Case]) -> [String; 4] {
    let count = |states: &[State]| cases.iter().filter(|case| states.contains(&case.state)).count().to_string();
    [cases.len().to_string(), count(&[State::Failed]), count(&[State::Error]), count(&[State::Skipped, State::Untested, State::Known])]
}

/// The format's times are seconds.
fn seconds(ms: f64) -> String {
    format!("{:.3}", ms.max(0.0) / 1000.0)
}

/// The format's instants have no zone; one that can't be read is better left out.
fn timestamp(started: &str) -> Option<(&'static str, String)> {
    let read = humantime::parse_rfc3339(started).ok()?;
    Some(("timestamp", humantime::format_rfc3339_seconds(read).to_string().trim_end_matches('Z').to_owned()))
}

/// The host that was tested: the reader's "where did this happen".
fn host(cases: &Cases) -> String {
    let value = |name: &str| cases.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let address = value("http").or(value("ws")).and_then(|address| url::Url::parse(address).ok());
    address.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "localhost".to_owned())
}

fn element(
    xml: &mut Xml,
    name: &'static str,
    attributes: &[(&'static str, String)],
    inner: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    let attributes: Vec<(&str, String)> = attributes.iter().map(|(name, value)| (*name, legal(value))).collect();
    let attributes = attributes.iter().map(|(name, value)| (*name, value.as_str()));
    xml.create_element(name).with_attributes(attributes).write_inner_content(inner)?;
    Ok(())
}

fn empty(xml: &mut Xml, name: &'static str, attributes: &[(&'static str, String)]) -> io::Result<()> {
    let attributes: Vec<(&str, String)> = attributes.iter().map(|(name, value)| (*name, legal(value))).collect();
    let attributes = attributes.iter().map(|(name, value)| (*name, value.as_str()));
    xml.create_element(name).with_attributes(attributes).write_empty()?;
    Ok(())
}

fn text(xml: &mut Xml, name: &'static str, attributes: &[(&'static str, String)], text: &str) -> io::Result<()> {
    let attributes: Vec<(&str, String)> = attributes.iter().map(|(name, value)| (*name, legal(value))).collect();
    let attributes = attributes.iter().map(|(name, value)| (*name, value.as_str()));
    xml.create_element(name).with_attributes(attributes).write_text_content(BytesText::new(&legal(text)))?;
    Ok(())
}
