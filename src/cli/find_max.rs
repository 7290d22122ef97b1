//! `chatspec load --find-max`: the highest rate that a target carries.

use super::load::{LoadArgs, inconclusive, words};
use super::load_files::Files;
use super::load_job::{Gate, Goal, Job, Part};
use super::{Ended, Usage};
use crate::event::{Event, Measured, Trust};
use crate::load::overrides::Overrides;
use crate::load::profile::{Pace, Profile};
use crate::load::search::{Answer, Found, Probe, Search};
use crate::report::figures::count;
use crate::verdict::Conclusion;

/// The last load is so many times as long as the others.
const CONFIRMING: u32 = 3;

pub async fn run(args: &LoadArgs, profile: Profile, threshold: &str) -> Ended {
    // Whatever else holds, every message must have arrived.
    let added = [threshold, "lost == 0", "duplicated == 0", "reordered == 0", "leaked == 0", "corrupted == 0", "errors == 0"];
    let missing = added.iter().filter(|text| !profile.thresholds.iter().any(|known| known == *text));
    let overrides = Overrides { thresholds: missing.map(|text| (*text).to_owned()).collect(), ..Overrides::default() };
    let profile = profile.with(&overrides).map_err(|error| Usage(error.to_string()))?;
    let (start, unit) = match profile.messages.pace {
        Pace::Open { rate, .. } => (rate, "messages/s"),
        Pace::Closed { in_flight, .. } => (f64::from(in_flight), "messages in flight"),
    };
    let mut files = Files::open(args.files.clone()).await?;
    let mut goal = None;
    let mut search = Search::new(start);
    let mut kept: Vec<Event> = Vec::new();
    let answer = loop {
        let probe = match search.next() {
            Ok(probe) => probe,
            Err(answer) => break answer,
        };
        let job = match Job::new(at(&profile, probe)?, words(args), &args.generator, &args.target, Part::Whole)? {
            Ok(job) => job,
            Err(short) => return Ok(inconclusive(&format!("{}this machine can't carry out this load", short.0))),
        };
        let to = match &goal {
            Some(goal) => goal,
            None => match Goal::find(&args.target, job.largest_room()).await? {
                Ok(found) => goal.insert(found),
                Err(absence) => return Ok(files.never_began(&absence)),
            },
        };
        let mut events = Vec::new();
        let (measured, conclusion) = job.play(to, Gate::Nothing, |event| events.push(event.clone())).await?;
        if conclusion == Conclusion::Interrupted {
            return Ok(conclusion.exit_code());
        }
        let found = found(&measured);
        files.say(|out| writeln!(out, "{}", line(probe, unit, found, &measured)));
        if found == Found::Carried {
            kept = events;
        }
        search.found(probe, found);
    };
    kept.iter().for_each(|event| files.event(event));
    let shown = |level: f64| count(level.round() as u64);
    let (text, conclusion) = match answer {
        Answer::Between(low, high) => (format!("carries {} {unit}, and no longer {}", shown(low), shown(high)), Conclusion::Conforms),
        Answer::AtLeast(low) => (
            format!("carries at least {} {unit}: beyond that the generator, not the target, was the limit", shown(low)),
            Conclusion::Conforms,
        ),
        Answer::Below(level) => (format!("doesn't carry {} {unit}, the least that was tried", shown(level)), Conclusion::Violated),
        Answer::Nothing => ("nothing is known: the generator was the limit at every rate".to_owned(), Conclusion::Inconclusive),
    };
    files.say(|out| writeln!(out, "the target {text}"));
    // Where no load was carried there is none to write of.
    Ok(if kept.is_empty() { files.forget(conclusion.exit_code()) } else { files.finish(conclusion.exit_code()) })
}

/// The profile at a level.
fn at(profile: &Profile, probe: Probe) -> anyhow::Result<Profile> {
    let counted = profile.phases.iter().filter(|phase| phase.counts).map(|phase| phase.duration).sum::<std::time::Duration>();
    let mut overrides = Overrides { duration: probe.confirms.then(|| counted * CONFIRMING), ..Overrides::default() };
    match profile.messages.pace {
        Pace::Open { .. } => overrides.rate = Some(probe.level),
        Pace::Closed { .. } => overrides.closed = Some(probe.level.round().max(1.0) as u32),
    }
    Ok(profile.clone().with(&overrides).map_err(|error| Usage(error.to_string()))?)
}

fn found(measured: &Measured) -> Found {
    if measured.health.trust != Trust::Trusted {
        Found::GeneratorGaveOut
    } else if measured.thresholds.iter().all(|threshold| threshold.holds) && measured.ledger.is_clean() {
        Found::Carried
    } else {
        Found::Broken
    }
}

fn line(probe: Probe, unit: &str, found: Found, measured: &Measured) -> String {
    let why = match found {
        Found::Carried => "carried".to_owned(),
        Found::GeneratorGaveOut => {
            format!("the generator: {}", measured.health.reasons.first().map_or("not to be believed", String::as_str))
        }
        Found::Broken => {
            let broken = measured.thresholds.iter().filter(|threshold| !threshold.holds);
            let shown =
                broken.map(|threshold| format!("{} ({})", threshold.threshold, threshold.measured.as_deref().unwrap_or("no sample")));
            format!("not carried: {}", shown.collect::<Vec<_>>().join(", "))
        }
    };
    let longer = if probe.confirms { ", for longer" } else { "" };
    format!("{:>10} {unit}{longer}: {why}", count(probe.level.round() as u64))
}
