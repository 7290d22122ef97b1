//! A run of scenarios as its log tells it, put in order for the reports that show it from several sides.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::event::{Event, Footer, Header, Log, SuiteShown};
use crate::reading::{Fact, Held};
use crate::requirement::{Requirement, RequirementId};
use crate::verdict::{CountsAs, Outcome, ScenarioVerdict};

#[derive(Debug)]
pub struct Checked<'a> {
    pub header: &'a Header,
    pub suite: &'a SuiteShown,
    pub readings: &'a BTreeMap<String, Held>,
    pub facts: &'a BTreeMap<String, Fact>,
    pub fences: &'a [String],
    /// In the suite's order, repetitions after each other.
    pub verdicts: Vec<&'a ScenarioVerdict>,
    pub footer: &'a Footer,
    wires: HashMap<(&'a str, u32), Vec<&'a Event>>,
}

/// A requirement with what came of it.
#[derive(Clone, Copy, Debug)]
pub struct RequirementShown<'a> {
    pub id: &'a RequirementId,
    /// `None` where the suite doesn't have it.
    pub requirement: Option<&'a Requirement>,
    pub outcome: Outcome,
    pub counts: CountsAs,
}

/// What a requirement's ID begins with: the `JOIN` of `JOIN-3`.
pub fn area_of(id: &RequirementId) -> &str {
    id.as_str().split_once('-').map_or(id.as_str(), |(area, _)| area)
}

impl<'a> Checked<'a> {
    /// The run; `None` where the log is of no run of scenarios.
    pub fn of(log: &'a Log) -> Option<Self> {
        static NO_READINGS: BTreeMap<String, Held> = BTreeMap::new();
        static NO_FACTS: BTreeMap<String, Fact> = BTreeMap::new();
        let mut suite = None;
        let mut found = (&NO_READINGS, &NO_FACTS, [].as_slice());
        let mut verdicts = Vec::new();
        let mut wires: HashMap<(&str, u32), Vec<&Event>> = HashMap::new();
        for event in &log.events {
            match event {
                Event::Suite(shown) => suite = Some(&**shown),
                Event::Readings { readings, facts, fences, .. } => found = (readings, facts, fences),
                Event::Exchange(exchange) => wires.entry((&exchange.scenario, exchange.run)).or_default().push(event),
                Event::Frame(frame) => wires.entry((&frame.scenario, frame.run)).or_default().push(event),
                Event::ScenarioFinished(verdict) => verdicts.push(&**verdict),
                Event::Tried(_) | Event::Planned(_) => return None,
                Event::Started(_)
                | Event::ScenarioStarted { .. }
                | Event::Step { .. }
                | Event::Explored(_)
                | Event::Counterexample(_)
                | Event::Coverage(_)
                | Event::Second(_)
                | Event::Measured(_)
                | Event::Finished(_) => {}
            }
        }
        let suite = suite?;
        let order: HashMap<&str, usize> = suite.scenarios.iter().enumerate().map(|(at, scenario)| (scenario.id.as_str(), at)).collect();
        verdicts.sort_by_key(|verdict| (order.get(verdict.scenario.as_str()).copied().unwrap_or(usize::MAX), verdict.run));
        let (readings, facts, fences) = found;
        Some(Self { header: &log.header, suite, readings, facts, fences, verdicts, footer: &log.footer, wires })
    }

    /// What went over the wire in a scenario: exchanges and frames, in the order of the log.
    pub fn wire(&self, scenario: &'a str, run: u32) -> &[&'a Event] {
        self.wires.get(&(scenario, run)).map_or(&[], Vec::as_slice)
    }

    /// What of the wire belongs to no scenario: that of the probes by which the readings were found, in the order of their names.
    pub fn probes(&self) -> Vec<(&'a str, &[&'a Event])> {
        let scenarios: HashSet<&str> = self.suite.scenarios.iter().map(|scenario| scenario.id.as_str()).collect();
        let judged: HashSet<&str> = self.verdicts.iter().map(|verdict| verdict.scenario.as_str()).collect();
        let others = self.wires.iter().filter(|((name, _), _)| !judged.contains(name) && !scenarios.contains(name));
        let mut probes: Vec<_> = others.map(|((name, run), events)| (*name, *run, events.as_slice())).collect();
        probes.sort_by_key(|(name, run, _)| (*name, *run));
        probes.into_iter().map(|(name, _, events)| (name, events)).collect()
    }

    /// How many exchanges and frames there are in all.
    pub fn events(&self) -> usize {
        self.wires.values().map(Vec::len).sum()
    }

    /// The requirements that the run says something of, in the document's order and grouped by what their IDs begin with; those that
    /// the suite doesn't know stand at the end.
    pub fn areas(&self) -> Vec<(&'a str, Vec<RequirementShown<'a>>)> {
        let known = self.suite.requirements.iter();
        let known =
            known.filter_map(|requirement| Some((&requirement.id, Some(requirement), *self.footer.requirements.get(&requirement.id)?)));
        let others = self
            .footer
            .requirements
            .iter()
            .filter(|(id, _)| self.suite.requirement(id).is_none())
            .map(|(id, outcome)| (id, None, *outcome));
        let mut areas: Vec<(&str, Vec<RequirementShown<'_>>)> = Vec::new();
        for (id, requirement, outcome) in known.chain(others) {
            let shown = RequirementShown { id, requirement, outcome, counts: self.counts(id) };
            match areas.iter_mut().find(|(area, _)| *area == area_of(id)) {
                Some((_, members)) => members.push(shown),
                None => areas.push((area_of(id), vec![shown])),
            }
        }
        areas
    }

    /// What a requirement's outcome counts as.
    pub fn counts(&self, id: &RequirementId) -> CountsAs {
        self.footer.counts.get(id).copied().unwrap_or(CountsAs::Nothing)
    }

    /// The verdicts that say something of a requirement.
    pub fn verdicts_of<'b>(&'b self, id: &'b RequirementId) -> impl Iterator<Item = (&'a ScenarioVerdict, Outcome)> + 'b {
        self.verdicts.iter().filter_map(move |verdict| Some((*verdict, *verdict.requirements.get(id)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ScenarioShown;

    #[test]
    fn scenarios_stand_in_the_suites_order_whatever_ended_first() {
        let shown = |id: &str| ScenarioShown {
            id: id.into(),
            title: String::new(),
            area: String::new(),
            place: String::new(),
            actors: Vec::new(),
            proves: Vec::new(),
        };
        let verdict = |id: &str, run| {
            Event::ScenarioFinished(Box::new(ScenarioVerdict {
                scenario: id.into(),
                run,
                outcome: Outcome::Pass,
                requirements: [(RequirementId::new("A-1"), Outcome::Pass)].into(),
                why: None,
                blocked_by: Vec::new(),
                failure: None,
                notes: Vec::new(),
                unplayed: false,
                duration_ms: 1.0,
            }))
        };
        let suite = SuiteShown { scenarios: vec![shown("b"), shown("a")], ..SuiteShown::default() };
        let log = |events| Log { header: Header::new("check", "p", "0", 7), events, footer: Footer::default() };
        let checked = log(vec![Event::Suite(Box::new(suite)), verdict("a", 2), verdict("a", 1), verdict("b", 1)]);
        let checked = Checked::of(&checked).expect("it is of a run of scenarios");
        let order: Vec<_> = checked.verdicts.iter().map(|verdict| (verdict.scenario.as_str(), verdict.run)).collect();
        assert_eq!(order, [("b", 1), ("a", 1), ("a", 2)]);
        assert_eq!(checked.verdicts_of(&RequirementId::new("A-1")).count(), 3);
        assert!(Checked::of(&log(Vec::new())).is_none());
    }
}
