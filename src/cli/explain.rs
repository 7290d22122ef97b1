//! `chatspec explain`.

use clap::Args;

use super::suite::SuiteArgs;
use super::{Ended, Usage};
use crate::requirement::{Requirement, RequirementId};
use crate::scenario::protocol::Protocol;
use crate::scenario::source::suggest;
use crate::scenario::step::Scenario;

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A requirement, a reading or a scenario
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    suite: SuiteArgs,
}

pub fn run(args: &ExplainArgs) -> Ended {
    let protocol = args.suite.load()?;
    let id = args.id.as_str();
    let registry = &protocol.declarations.registry;
    if let Some(requirement) = registry.requirements.values().find(|requirement| requirement.id.as_str().eq_ignore_ascii_case(id)) {
        explain_requirement(&protocol, requirement);
        return Ok(0);
    }
    let readings: Vec<_> = protocol
        .readings
        .iter()
        .map(|plan| &plan.reading)
        .filter(|reading| reading.id.eq_ignore_ascii_case(id) || reading.id.to_lowercase().starts_with(&format!("{}.", id.to_lowercase())))
        .collect();
    if !readings.is_empty() {
        for reading in readings {
            explain_reading(&protocol, &reading.id);
        }
        return Ok(0);
    }
    let scenarios: Vec<&Scenario> =
        protocol.scenarios.iter().filter(|scenario| scenario.id == id || scenario.id.split('/').next() == Some(id)).collect();
    if let Some(first) = scenarios.first() {
        explain_scenario(first, &scenarios);
        return Ok(0);
    }
    let known = registry.requirements.keys().map(RequirementId::as_str).chain(protocol.declarations.readings.keys().map(String::as_str));
    let known: Vec<&str> = known.chain(protocol.scenarios.iter().filter_map(|scenario| scenario.id.split('/').next())).collect();
    Err(Usage(format!("`{id}` is no requirement, reading or scenario; {}", suggest(id, known))).into())
}

fn explain_requirement(protocol: &Protocol, requirement: &Requirement) {
    anstream::println!("{} ({})\n\n  {}\n\n  In the document: {}", requirement.id, requirement.level, requirement.text, requirement.place);
    if !requirement.readings.is_empty() {
        anstream::println!("  Readings that bear on it: {}", requirement.readings.join(", "));
    }
    let proving: Vec<&Scenario> = protocol.scenarios.iter().filter(|scenario| scenario.proves().contains(&requirement.id)).collect();
    anstream::println!(
        "\n  Proved by {}:",
        if proving.len() == 1 { "one scenario".to_owned() } else { format!("{} scenarios", proving.len()) }
    );
    for scenario in proving {
        anstream::println!("    {:<48} {}", scenario.id, scenario.title);
    }
}

fn explain_reading(protocol: &Protocol, id: &str) {
    let Some(reading) = protocol.declarations.readings.get(id) else {
        return;
    };
    anstream::println!("{id}\n\n  {}\n", reading.question);
    for (value, meaning) in &reading.values {
        anstream::println!("    {value:<18} {meaning}");
    }
    let bearing =
        protocol.declarations.registry.requirements.values().filter(|requirement| requirement.readings.iter().any(|reading| reading == id));
    let ids: Vec<&str> = bearing.map(|requirement| requirement.id.as_str()).collect();
    anstream::println!(
        "\n  It bears on {}. `--reading {id}=VALUE` pins it.\n",
        if ids.is_empty() { "no requirement".to_owned() } else { ids.join(", ") }
    );
}

fn explain_scenario(first: &Scenario, cases: &[&Scenario]) {
    let base = first.id.split('/').next().unwrap_or_default();
    anstream::println!("{base}  ({})", first.span.source.name);
    for scenario in cases {
        let proves: Vec<String> = scenario.proves().iter().map(RequirementId::to_string).collect();
        anstream::println!("  {:<48} proves {:<20} {}", scenario.id, proves.join(" "), scenario.title);
    }
    anstream::println!("\n{}", first.span.source.text.trim_end());
}
