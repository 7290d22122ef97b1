//! The suite catches deviations, each under its own requirement.

mod support;

use std::collections::BTreeMap;

use chatspec::requirement::RequirementId;
use chatspec::verdict::Outcome;
use futures_util::StreamExt;
use reference_server::Config;
use reference_server::fault::{self, Fault};
use support::{plan, reference, run, suite};

/// How many faulty servers are checked at once.
const AT_ONCE: usize = 12;

/// Of each requirement's faults the first: is it reported under that requirement? (The whole matrix is another matter.)
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_each_requirement_is_reported_under_it() {
    let suite = suite();
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for spec in fault::all() {
        first.entry(spec.requirement).or_insert(spec.name);
    }
    assert!(first.len() > 60, "most requirements have a fault");
    let checks = first.into_iter().map(|(requirement, name)| {
        let suite = suite.clone();
        async move {
            let fault = Fault::named(name).expect("a fault of the registry");
            let server = reference(Config { fault: Some(fault.clone()), ..Config::default() }).await;
            let mut plan = plan(&suite, &server, &[requirement]);
            // A server that is never full shows no capacity of its own.
            plan.pins.facts = vec![("capacity".to_owned(), 10)];
            let (verdicts, _) = run(&plan).await;
            let outcome = verdicts.requirements.get(&RequirementId::new(requirement)).copied();
            (outcome != Some(Outcome::Fail)).then(|| format!("{name}: {requirement} is {outcome:?}, fired {} times", fault.firings()))
        }
    });
    let missed: Vec<String> = futures_util::stream::iter(checks).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// A server that is wrong in one thing must not make unrelated requirements fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_text_is_the_only_violation() {
    let suite = suite();
    for name in ["create-success-misspelt"] {
        let fault = Fault::named(name).unwrap_or_else(|_| panic!("no fault {name}"));
        let spec = fault.spec().expect("a fault for conformance tests");
        let allowed: Vec<&str> = std::iter::once(spec.requirement).chain(spec.implies.iter().copied()).collect();
        let server = reference(Config { fault: Some(fault.clone()), ..Config::default() }).await;
        let (verdicts, _) = run(&plan(&suite, &server, &[])).await;
        let unrelated: Vec<_> =
            verdicts.requirements.iter().filter(|(id, outcome)| **outcome == Outcome::Fail && !allowed.contains(&id.as_str())).collect();
        assert!(unrelated.is_empty(), "{name}: {unrelated:?}");
        let untested = verdicts.requirements.values().filter(|outcome| **outcome == Outcome::CouldNotTest).count();
        assert!(untested < 10, "{name}: {untested} requirements could not be tested");
    }
}

/// A target that answers `rooms` once and `room_list` the next time follows no reading.
#[tokio::test(flavor = "multi_thread")]
async fn a_reading_is_held() {
    let suite = suite();
    let fault = Fault::named("list-key-alternates").expect("it is registered");
    let server = reference(Config { fault: Some(fault), ..Config::default() }).await;
    let (verdicts, _) = run(&plan(&suite, &server, &["LIST-1"])).await;
    assert_eq!(verdicts.requirements[&RequirementId::new("LIST-1")], Outcome::Fail);
}
