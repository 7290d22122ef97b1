//! The suite as a whole: complete, passed by the reference server under every reading, and failed by its faults.

mod support;

use std::collections::BTreeSet;

use chatspec::reading::Held;
use chatspec::requirement::Requirement;
use chatspec::scenario::step::each_step;
use chatspec::verdict::Outcome;
use reference_server::Config;
use support::{plan, reference, run, suite, trouble};

#[test]
fn every_requirement_has_a_scenario() {
    let suite = suite();
    let uncovered: Vec<&str> = suite.uncovered().iter().map(|requirement| requirement.id.as_str()).collect();
    assert!(uncovered.is_empty(), "no scenario proves {uncovered:?}");
}

#[test]
fn every_documented_text_is_expected_somewhere() {
    let suite = suite();
    let sources: BTreeSet<&str> = suite.scenarios.iter().map(|scenario| scenario.span.source.text.as_str()).collect();
    for text in &suite.declarations.registry.texts {
        assert!(sources.iter().any(|source| source.contains(text.as_str())), "no scenario speaks of {text:?}");
    }
}

#[test]
fn every_fragment_is_used() {
    let suite = suite();
    let mut used = BTreeSet::new();
    let probes = suite.readings.iter().flat_map(|plan| &plan.probes).map(|probe| &probe.scenario);
    let facts = suite.facts.iter().map(|plan| &plan.probe);
    let fences = suite.fences.iter().map(|fence| &fence.probe);
    for scenario in suite.scenarios.iter().chain(probes).chain(facts).chain(fences) {
        each_step(&scenario.steps, &mut |step| {
            used.insert(step.span.source.name.clone());
            used.extend(step.through.iter().map(|span| span.source.name.clone()));
        });
    }
    for id in suite.declarations.fragments.keys() {
        let file = format!("scenarios/fragments/{id}.yaml");
        assert!(used.contains(&file), "nothing uses {file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_server_passes_everything() {
    let server = reference(Config::default()).await;
    let (verdicts, events) = run(&plan(&suite(), &server, &[])).await;
    let troubled: Vec<_> =
        verdicts.requirements.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Pass | Outcome::Skipped)).collect();
    assert!(troubled.is_empty(), "{troubled:?}\n{}", trouble(&events));
    assert_eq!(verdicts.conclusion.exit_code(), 0);
}

/// A server that follows another reading conforms as well, and the harness finds out which. Played is what the reading bears
/// on; the whole suite under every reading is the work of `chatspec sensitivity`.
#[tokio::test(flavor = "multi_thread")]
async fn every_reading_conforms() {
    let suite = suite();
    let mut wrong = Vec::new();
    for plan_of in &suite.readings {
        let id = &plan_of.reading.id;
        // The reference server pins one way for all endpoints.
        let pinned = id.split('.').next().unwrap_or(id);
        let bears = |requirement: &&Requirement| requirement.readings.contains(id) && requirement.id.as_str() != "READ-1";
        let only: Vec<&str> =
            suite.declarations.registry.requirements.values().filter(bears).map(|requirement| requirement.id.as_str()).collect();
        for value in plan_of.reading.values.keys() {
            let mut config = Config::default();
            config.readings.pin(pinned, value).unwrap_or_else(|error| panic!("{pinned}={value}: {error}"));
            let server = reference(config).await;
            let (verdicts, events) = run(&plan(&suite, &server, &only)).await;
            let found = events.iter().find_map(|event| match event {
                chatspec::event::Event::Readings { readings, .. } => readings.get(id).map(Held::values).map(<[String]>::to_vec),
                _ => None,
            });
            // A list that is asked for by POST has no parameters, so the three ways of passing them are one.
            let alike: &[&str] =
                if id == "R-PARAMS.list" && value != "get-query" { &["post-query", "post-form", "post-json"] } else { &[value] };
            if found.as_deref().is_none_or(|found| found != alike) {
                wrong.push(format!("{id}={value} was read as {found:?}"));
            }
            if verdicts.conclusion.exit_code() != 0 {
                wrong.push(format!("{id}={value}:\n{}", trouble(&events)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_capacity_conforms() {
    for capacity in [2, 5000] {
        let server = reference(Config { capacity, ..Config::default() }).await;
        let (verdicts, events) = run(&plan(&suite(), &server, &["http", "flows", "JOIN-*"])).await;
        assert_eq!(verdicts.conclusion.exit_code(), 0, "capacity {capacity}:\n{}", trouble(&events));
    }
}

/// Rooms of others are no business of a run's.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_holds_rooms_already_and_is_checked_twice_conforms() {
    let rooms = (0..1000).map(|number| format!("room {number}")).collect();
    let server = reference(Config { rooms, ..Config::default() }).await;
    for seed in [1, 2] {
        let mut plan = plan(&suite(), &server, &["LIST-*", "flows"]);
        plan.seed = seed;
        let (verdicts, events) = run(&plan).await;
        assert_eq!(verdicts.conclusion.exit_code(), 0, "{}", trouble(&events));
    }
}
