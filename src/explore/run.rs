//! A run: traces one after the other and several at once, what they show shrunk as it comes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::task::{JoinError, JoinSet};

use super::action::Trace;
use super::compile::{Heading, counterexample};
use super::describe;
use super::ending::ending;
use super::fence::Fence;
use super::generate::{Shape, Ways, generate};
use super::model::{FEATURES, Finding};
use super::shrink::{Bounds, Shrunk, shrink};
use super::smaller::borrows;
use super::trial::{Player, Trial, Unreadable};
use crate::conformance::session::{Session, Setting};
use crate::conformance::target::TargetError;
use crate::event::{Counterexample, Coverage, Event, Explored, Footer, Found, Given, Header, Reached, Record, ScenarioShown, SuiteShown};
use crate::reading::Fact;
use crate::requirement::RequirementId;
use crate::verdict::{Conclusion, CountsAs, Outcome, ScenarioVerdict};

/// How many failing traces are shrunk at once.
const SHRINKING: usize = 2;

/// How many traces are shrunk for a requirement, until a scenario can be made of one.
const ATTEMPTS: usize = 3;

/// How long an interrupted run may take to tell what it has made small by then.
const GRACE: Duration = Duration::from_secs(2);

/// The name under which all traces together stand in the log.
pub const ALL_TRACES: &str = "explore.traces";

/// A run, ready to start.
#[derive(Clone, Debug)]
pub struct Plan {
    pub setting: Setting,
    pub seed: u64,
    pub limits: Limits,
    /// Only the trace of this number.
    pub only: Option<u64>,
    /// How many traces are played at once.
    pub at_once: usize,
    pub shrinking: Bounds,
    pub given: Given,
    /// The command that repeats this run, without `--trace`.
    pub reproduce: String,
}

/// When no further trace is begun; whichever comes first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub traces: Option<u64>,
    pub actions: Option<u64>,
    pub time: Option<Duration>,
    /// None while what was found is made small, nor once a counterexample is a scenario.
    pub fail_fast: bool,
}

/// Why a run could not be made, or not be ended.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("a trace failed in chatspec itself: {0}")]
    Task(#[from] JoinError),
}

/// Explores a target. Every event goes to `emit`, the header first and the footer last. When `interrupt` comes, the run ends
/// with what it has.
///
/// # Errors
/// A target that can't even be tried, or a fault of this program; what a target does wrong is a finding.
pub async fn run(plan: &Plan, interrupt: impl Future<Output = ()>, mut emit: impl FnMut(&Event)) -> Result<Conclusion, ExploreError> {
    let session = Session::open(&plan.setting).await?;
    let protocol = plan.setting.protocol.clone();
    emit(&Event::Started(Header {
        target: session.target().clone(),
        nonce: session.nonce().to_owned(),
        given: plan.given.clone(),
        reproduce: plan.reproduce.clone(),
        strict: true,
        ..Header::new("explore", &protocol.name, &protocol.hash, plan.seed)
    }));
    emit(&session.readings());
    let player = Player::new(session.clone(), protocol);
    let mut run = Run::new(plan, player.clone());
    let mut interrupted = false;
    if session.absences().is_empty() {
        let playing = run.play(&mut emit);
        tokio::pin!(playing, interrupt);
        tokio::select! {
            biased;
            played = &mut playing => played?,
            () = &mut interrupt => {
                interrupted = true;
                player.halt();
                // Where even this takes too long, what was found is told as it was found.
                if let Ok(played) = tokio::time::timeout(GRACE, playing).await {
                    played?;
                }
            }
        }
    } else {
        run.notes.extend(session.absences().into_iter().map(|absence| format!("nobody answers at {absence}")));
    }
    Ok(run.end(interrupted, &mut emit))
}

/// A trace that has shown something, waiting to be shrunk.
struct Suspect {
    number: u64,
    trace: Trace,
    trial: Trial,
    finding: Finding,
}

impl Suspect {
    fn actions(&self) -> usize {
        self.trace.rounds.iter().take(self.finding.round + 1).map(Vec::len).sum()
    }

    /// What it will probably take to shrink it: what happens at once may go another way each time, and that most in its last round.
    fn effort(&self) -> (bool, usize) {
        (self.trace.rounds.get(self.finding.round).is_some_and(|round| round.len() > 1), self.actions())
    }
}

/// The smallest trace that a suspect has led to, and what came of its scenario.
struct Attempt {
    told: Counterexample,
    events: Vec<Event>,
    shown: Option<(ScenarioShown, ScenarioVerdict)>,
    /// What seemed to be missing only came later.
    is_late: bool,
    worth: Worth,
}

/// What an attempt is worth to its readers, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// No scenario could be made of it.
    Unsaved,
    /// Its scenario shows it now and then, or on servers of a reading that this one was found to follow.
    Qualified,
    Whole,
}

/// How far the search for a requirement's counterexample has come.
#[derive(Default)]
struct Pursuit {
    /// How many traces were shrunk for it, or are to be.
    begun: usize,
    ended: usize,
    /// The best attempt so far, which is told where none does better.
    held_back: Option<Attempt>,
    is_told: bool,
}

impl Pursuit {
    fn wants_another(&self) -> bool {
        !self.is_told && self.begun == self.ended && self.begun < ATTEMPTS
    }

    /// Whether a scenario was made of an attempt.
    fn is_saved(&self) -> bool {
        self.is_told || self.held_back.as_ref().is_some_and(|attempt| attempt.worth > Worth::Unsaved)
    }
}

struct Run<'a> {
    plan: &'a Plan,
    player: Player,
    shape: Shape,
    began: Instant,
    begun: u64,
    actions: u64,
    traces: u64,
    exercised: BTreeMap<RequirementId, u64>,
    /// In how many traces each state was come to.
    reached: BTreeMap<&'static str, u64>,
    /// What was found, whether shrunk yet or not.
    found: BTreeMap<RequirementId, Pursuit>,
    suspects: Vec<Suspect>,
    /// The counterexamples that are scenarios, and others that were told.
    counterexamples: Vec<(ScenarioShown, ScenarioVerdict)>,
    notes: Vec<String>,
    is_gone: bool,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, player: Player) -> Self {
        let capacity = match player.session.findings().facts.get("capacity") {
            Some(Fact::Number(capacity)) => usize::try_from(*capacity).ok(),
            _ => None,
        };
        let works = |fence: &Fence| player.session.fences().iter().any(|id| id == fence.id());
        let fence = match Fence::ALL.into_iter().filter(works).collect::<Vec<_>>()[..] {
            [only] => Some(only),
            _ => None,
        };
        let ways = Ways::of(player.session.findings());
        Self {
            plan,
            player,
            shape: Shape { seed: plan.seed, capacity, fence, ways },
            began: Instant::now(),
            begun: 0,
            actions: 0,
            traces: 0,
            exercised: BTreeMap::new(),
            reached: BTreeMap::new(),
            found: BTreeMap::new(),
            suspects: Vec::new(),
            counterexamples: Vec::new(),
            notes: Vec::new(),
            is_gone: false,
        }
    }

    /// The number of the next trace to play, while there is one.
    fn next(&mut self, is_shrinking: bool) -> Option<u64> {
        if self.player.is_halted() {
            return None;
        }
        if let Some(only) = self.plan.only {
            self.begun += 1;
            return (self.begun == 1).then_some(only);
        }
        let limits = &self.plan.limits;
        let is_over = limits.traces.is_some_and(|traces| self.begun >= traces)
            || limits.actions.is_some_and(|actions| self.actions >= actions)
            || limits.time.is_some_and(|time| self.began.elapsed() >= time);
        let is_enough = limits.fail_fast && (is_shrinking || self.found.values().any(Pursuit::is_saved));
        if is_over || is_enough {
            return None;
        }
        self.begun += 1;
        Some(self.begun)
    }

    async fn play(&mut self, emit: &mut impl FnMut(&Event)) -> Result<(), ExploreError> {
        let mut trying: JoinSet<Result<(u64, Trace, Trial), Unreadable>> = JoinSet::new();
        let mut shrinking: JoinSet<Result<(Suspect, Shrunk), Unreadable>> = JoinSet::new();
        loop {
            while trying.len() < self.plan.at_once.max(1)
                && let Some(number) = self.next(!shrinking.is_empty() || !self.suspects.is_empty())
            {
                let (player, shape) = (self.player.clone(), self.shape);
                trying.spawn(async move {
                    let trace = generate(&shape, number);
                    let trial = player.try_out(&trace).await?;
                    Ok((number, trace, trial))
                });
            }
            while shrinking.len() < SHRINKING
                && let Some(suspect) = self.shortest_suspect()
            {
                let (player, bounds) = (self.player.clone(), self.plan.shrinking);
                shrinking.spawn(async move {
                    let requirement = suspect.finding.requirement.clone();
                    let shrunk = shrink(&player, &suspect.trace, &suspect.trial, &requirement, &bounds).await?;
                    Ok((suspect, shrunk))
                });
            }
            tokio::select! {
                Some(tried) = trying.join_next() => {
                    let (number, trace, trial) = tried??;
                    self.tried(number, trace, trial, emit);
                    // Those that are still being played wait in vain for each of their answers.
                    if self.is_gone {
                        trying = JoinSet::new();
                    }
                }
                Some(shrunk) = shrinking.join_next() => {
                    let (suspect, shrunk) = shrunk??;
                    self.shrunk(&suspect, shrunk, emit).await?;
                }
                () = tokio::time::sleep(GRACE), if self.is_gone => return Ok(()),
                else => return Ok(()),
            }
        }
    }

    /// The suspect that is the least to shrink; none once the run is to end.
    fn shortest_suspect(&mut self) -> Option<Suspect> {
        let (at, _) = self.suspects.iter().enumerate().filter(|_| !self.player.is_halted()).min_by_key(|(_, suspect)| suspect.effort())?;
        Some(self.suspects.swap_remove(at))
    }

    fn tried(&mut self, number: u64, trace: Trace, trial: Trial, emit: &mut impl FnMut(&Event)) {
        self.actions += trial.actions as u64;
        self.traces += 1;
        for (id, count) in &trial.exercised {
            *self.exercised.entry(id.clone()).or_default() += count;
        }
        for state in &trial.reached {
            *self.reached.entry(state).or_default() += 1;
        }
        emit(&Event::Explored(Box::new(Explored {
            at_ms: self.player.session.now_ms(),
            trace: number,
            actions: trial.actions,
            states: trial.reached.iter().map(|state| (*state).to_owned()).collect(),
            exercised: trial.exercised.clone(),
            found: trial.finding.as_ref().map(|finding| Found { takes_others: trial.takes_others, ..found(&trace, finding) }),
            cut: trial.history.cut.clone(),
        })));
        if trial.history.gone && !self.is_gone {
            self.is_gone = true;
            let why = trial.history.cut.clone().unwrap_or_default();
            self.notes.push(format!("the target stopped answering while trace {number} was played, so no further one was begun: {why}"));
        }
        if let Some(finding) = trial.finding.clone() {
            let takes_others = trial.takes_others;
            let pursuit = self.found.entry(finding.requirement.clone()).or_default();
            let waiting = self.suspects.iter_mut().find(|waiting| waiting.finding.requirement == finding.requirement);
            let suspect = Suspect { number, trace, trial, finding };
            match waiting {
                _ if takes_others => {}
                Some(waiting) if suspect.effort() < waiting.effort() => *waiting = suspect,
                Some(_) => {}
                None if pursuit.wants_another() => {
                    pursuit.begun += 1;
                    self.suspects.push(suspect);
                }
                None => {}
            }
        }
    }

    async fn shrunk(&mut self, suspect: &Suspect, shrunk: Shrunk, emit: &mut impl FnMut(&Event)) -> Result<(), ExploreError> {
        let attempt = self.attempt(suspect, &shrunk).await?;
        let pursuit = self.found.entry(suspect.finding.requirement.clone()).or_default();
        pursuit.ended += 1;
        if attempt.worth == Worth::Whole {
            pursuit.is_told = true;
            self.tell(attempt, emit);
        } else if pursuit.held_back.as_ref().is_none_or(|other| attempt.worth > other.worth) {
            pursuit.held_back = Some(attempt);
        }
        Ok(())
    }

    fn tell(&mut self, attempt: Attempt, emit: &mut impl FnMut(&Event)) {
        attempt.events.into_iter().for_each(|event| emit(&shortened(event)));
        if let Some((_, verdict)) = &attempt.shown {
            emit(&Event::ScenarioFinished(Box::new(verdict.clone())));
        }
        self.counterexamples.extend(attempt.shown);
        emit(&Event::Counterexample(Box::new(attempt.told)));
    }

    /// Makes a scenario of the smallest trace, and plays it: one that doesn't fail here proves nothing to anybody.
    async fn attempt(&self, suspect: &Suspect, shrunk: &Shrunk) -> Result<Attempt, ExploreError> {
        let requirement = &suspect.finding.requirement;
        let finding = shrunk.trial.finding.clone().unwrap_or_else(|| suspect.finding.clone());
        let digest = Sha256::digest(format!("{:?}", shrunk.trace).as_bytes());
        let id = format!("regressions.explore-{requirement}-{:02x}{:02x}", digest[0], digest[1]);
        let heading = Heading { id: id.clone(), title: title(&shrunk.trace, &finding), notes: self.notes_of(suspect, shrunk, &finding) };
        let ending = ending(self.player.session.findings(), &shrunk.trace, &shrunk.trial.history, &finding);
        let why_none = match &ending {
            None => "there is too much that a server may have done by then",
            Some(ending) if ending.is_empty() => "what came is wrong only after what this server did before, which no scenario can ask for",
            Some(_) if borrows(&shrunk.trace) => "it is about a name under which another trace may have entered",
            Some(_) => "",
        };
        let told = Counterexample {
            at_ms: self.player.session.now_ms(),
            scenario: id.clone(),
            found: found(&shrunk.trace, &finding),
            trace: suspect.number,
            rounds: shrunk.trace.rounds.iter().map(|round| describe::round(&shrunk.trace, round)).collect(),
            actions_before: suspect.actions(),
            actions: shrunk.trace.actions(),
            tried: shrunk.tried,
            failed: shrunk.failed,
            played: shrunk.played,
            yaml: None,
            why_none: (!why_none.is_empty()).then(|| why_none.to_owned()),
        };
        let mut attempt = Attempt { told, events: Vec::new(), shown: None, is_late: false, worth: Worth::Unsaved };
        let Some(ending) = ending.filter(|_| why_none.is_empty()) else {
            return Ok(attempt);
        };
        let is_qualified = shrunk.failed < shrunk.played || ending.is_conditional();
        let player = self.player.alone();
        let compiled = counterexample(&shrunk.trace, &heading, &ending);
        // What shows only now and then may need some plays to show.
        for _ in 0..if shrunk.failed == shrunk.played { 2 } else { 8 } {
            let (scenario, played) = player.play(&compiled, None).await?;
            let verdict = played.verdict;
            let fails = verdict.requirements.values().any(|outcome| *outcome == Outcome::Fail);
            attempt.told.yaml = fails.then(|| compiled.text.clone());
            attempt.told.why_none = (!fails).then(|| {
                let why = verdict.why.clone().unwrap_or_else(|| verdict.outcome.word().to_owned());
                format!("the scenario made of it doesn't fail on this target: {why}")
            });
            let shown = ScenarioShown {
                id: scenario.id.clone(),
                title: scenario.title.clone(),
                area: scenario.area.clone(),
                place: format!("{}.yaml:1:1", scenario.id),
                actors: scenario.actors.clone(),
                proves: scenario.proves(),
            };
            // A scenario waits for what must come as long as --timeout allows, and a trace no longer than its fence.
            attempt.is_late = verdict.outcome == Outcome::Pass && shrunk.failed == shrunk.played && !finding.missing.is_empty();
            attempt.events = played.events;
            attempt.shown = Some((shown, verdict));
            if fails {
                attempt.worth = if is_qualified { Worth::Qualified } else { Worth::Whole };
                break;
            }
        }
        Ok(attempt)
    }

    fn notes_of(&self, suspect: &Suspect, shrunk: &Shrunk, finding: &Finding) -> String {
        let found = found(&shrunk.trace, finding);
        let mut notes = vec![format!("Found by `chatspec explore --seed {} --trace {}`.", self.plan.seed, suspect.number), found.summary];
        notes.extend(found.allowed.iter().map(|allowed| format!("Allowed: {allowed}")));
        notes.push(format!("Came: {}", found.came));
        if shrunk.failed < shrunk.played {
            notes.push(format!("It showed in {} of {} replays.", shrunk.failed, shrunk.played));
        }
        notes.join("\n")
    }

    /// Draws the conclusion.
    fn end(mut self, interrupted: bool, emit: &mut impl FnMut(&Event)) -> Conclusion {
        if self.player.is_halted() && !interrupted && !self.is_gone {
            self.notes.push("the target stopped answering while what was found was made small".to_owned());
        }
        self.found.retain(|id, pursuit| {
            let late = pursuit.held_back.as_ref().filter(|attempt| attempt.is_late && !pursuit.is_told);
            if let Some(attempt) = late {
                let summary = &attempt.told.found.summary;
                self.notes
                    .push(format!("what seemed to break {id} only came later than a fence's answer, which the document allows: {summary}"));
            }
            late.is_none()
        });
        let held_back: Vec<Attempt> =
            self.found.values_mut().filter(|pursuit| !pursuit.is_told).filter_map(|pursuit| pursuit.held_back.take()).collect();
        held_back.into_iter().for_each(|attempt| self.tell(attempt, emit));
        let session = &self.player.session;
        let conclusion = match () {
            () if interrupted => Conclusion::Interrupted,
            () if !self.found.is_empty() => Conclusion::Violated,
            () if self.actions == 0 || self.is_gone => Conclusion::Inconclusive,
            () => Conclusion::Conforms,
        };
        let outcome = |id: &RequirementId| if self.found.contains_key(id) { Outcome::Fail } else { Outcome::Pass };
        let requirements: BTreeMap<RequirementId, Outcome> =
            self.exercised.keys().chain(self.found.keys()).map(|id| (id.clone(), outcome(id))).collect();
        let counts = requirements
            .iter()
            .map(|(id, outcome)| (id.clone(), if *outcome == Outcome::Fail { CountsAs::Failure } else { CountsAs::Nothing }))
            .collect();
        let explained = if self.actions == 0 { Outcome::CouldNotTest } else { Outcome::Pass };
        let all = ScenarioVerdict {
            scenario: ALL_TRACES.to_owned(),
            run: 1,
            outcome: explained,
            requirements: requirements
                .iter()
                .filter(|(_, outcome)| **outcome == Outcome::Pass)
                .map(|(id, _)| (id.clone(), explained))
                .collect(),
            why: (self.actions == 0).then(|| self.notes.join("; ")),
            blocked_by: Vec::new(),
            failure: None,
            notes: Vec::new(),
            unplayed: false,
            duration_ms: session.now_ms(),
        };
        let mut suite = SuiteShown::new(&self.player.protocol, &[]);
        suite.scenarios = self.counterexamples.iter().map(|(shown, _)| shown.clone()).collect();
        suite.scenarios.push(ScenarioShown {
            id: ALL_TRACES.to_owned(),
            title: format!("{} actions in {} traces, held against the model", self.actions, self.traces),
            area: "explore".to_owned(),
            place: String::new(),
            actors: Vec::new(),
            proves: all.requirements.keys().cloned().collect(),
        });
        let mut scenarios: BTreeMap<String, Outcome> =
            self.counterexamples.iter().map(|(shown, verdict)| (shown.id.clone(), verdict.outcome)).collect();
        scenarios.insert(ALL_TRACES.to_owned(), explained);
        let reached = |state: &&str| Reached { state: (*state).to_owned(), traces: self.reached.get(*state).copied().unwrap_or_default() };
        let states = FEATURES.iter().map(reached).collect();
        emit(&Event::ScenarioFinished(Box::new(all)));
        emit(&Event::Coverage(Box::new(Coverage { at_ms: session.now_ms(), states })));
        emit(&Event::Suite(Box::new(suite)));
        emit(&Event::Finished(Footer {
            at_ms: session.now_ms(),
            exit_code: conclusion.exit_code(),
            interrupted,
            notes: self.notes,
            requirements,
            counts,
            known: Vec::new(),
            scenarios,
            matrix: None,
        }));
        conclusion
    }
}

/// A finding in the words of the scenario that is made of the trace.
fn found(trace: &Trace, finding: &Finding) -> Found {
    let words = |text: &String| describe::in_words(trace, text);
    Found {
        requirement: finding.requirement.clone(),
        round: finding.round + 1,
        summary: words(&finding.summary),
        allowed: finding.allowed.iter().map(words).collect(),
        came: words(&finding.came),
        takes_others: false,
    }
}

/// A title of one line, as long as one can be.
fn title(trace: &Trace, finding: &Finding) -> String {
    let summary = describe::in_words(trace, &finding.summary);
    let line = summary.lines().next().unwrap_or_default();
    let short: String = line.chars().take(120).collect();
    if short.len() < line.len() { format!("{short}…") } else { short }
}

/// An event as a log keeps it.
fn shortened(mut event: Event) -> Event {
    let shorten = |record: &mut Option<Record>| {
        if let Some(Record::Whole(text)) = record {
            *record = Some(Record::new(text.as_bytes()));
        }
    };
    match &mut event {
        Event::Exchange(exchange) => {
            shorten(&mut exchange.body);
            shorten(&mut exchange.answer);
        }
        Event::Frame(frame) => shorten(&mut frame.payload),
        _ => {}
    }
    event
}
