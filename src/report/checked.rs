//! A run of scenarios as its log tells it, put in order for the reports that show it from several sides.

use std::collections::{BTreeMap, HashMap};

use crate::event::{Event, Footer, Header, Log, SuiteShown};
use crate::reading::{Fact, Held};
use crate::requirement::RequirementId;
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
