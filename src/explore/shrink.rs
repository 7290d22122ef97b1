//! Makes a failing trace small: whatever can go without the failure going, goes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::action::Trace;
use super::ending::ending;
use super::smaller::{apart, borrows, by_http, compact, complexity, fewer_actors, simpler, subsets, without_rounds};
use super::trial::{Player, Trial, Unreadable};
use crate::requirement::RequirementId;

/// How often a failure is replayed to see whether it shows each time.
const REPLAYS: usize = 5;

/// How often at most a smaller trace is played where the failure shows only now and then.
const PATIENCE: usize = 8;

/// Of a trace of so many rounds every part is tried; of one that fails only now and then, fewer.
const PARTS: usize = 10;
const PARTS_NOW_AND_THEN: usize = 6;

/// How many smaller traces are tried at once.
const AT_ONCE: usize = 6;

/// How far shrinking may go.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub time: Duration,
    /// How many smaller traces may be tried.
    pub tries: usize,
}

/// The smallest trace that was found to fail.
#[derive(Clone, Debug)]
pub struct Shrunk {
    pub trace: Trace,
    /// A trial in which it failed.
    pub trial: Trial,
    pub tried: usize,
    /// In how many of how many replays it failed.
    pub failed: usize,
    pub played: usize,
}

/// Shrinks a trace that violated a requirement in a trial.
///
/// # Errors
/// A trace of which no scenario can be made.
pub async fn shrink(
    player: &Player,
    trace: &Trace,
    trial: &Trial,
    requirement: &RequirementId,
    bounds: &Bounds,
) -> Result<Shrunk, Unreadable> {
    let mut trace = trace.clone();
    trace.rounds.truncate(trial.history.rounds.len());
    if let Some(finding) = &trial.finding {
        trace.rounds.truncate(finding.round + 1);
    }
    let alone = player.alone();
    let (among_others, _) = replay(player, &trace, requirement).await?;
    // What others do at the same time may hide it, and may bring it about.
    let by_itself = if among_others < REPLAYS { replay(&alone, &trace, requirement).await?.0 } else { 0 };
    let players = if by_itself > among_others { vec![&alone] } else { vec![player, &alone] };
    let mut best = Shrunk { trace: trace.clone(), trial: trial.clone(), tried: 0, failed: 0, played: REPLAYS };
    for player in players {
        if best.failed == 0 && !player.is_halted() {
            best = shrink_with(player, &trace, trial, requirement, bounds).await?;
        }
    }
    Ok(best)
}

async fn shrink_with(
    player: &Player,
    trace: &Trace,
    trial: &Trial,
    requirement: &RequirementId,
    bounds: &Bounds,
) -> Result<Shrunk, Unreadable> {
    let (failed, again) = replay(player, trace, requirement).await?;
    if failed == 0 {
        return Ok(Shrunk { trace: trace.clone(), trial: trial.clone(), tried: 0, failed: 0, played: REPLAYS });
    }
    // What may pass for others each time isn't worth as much time.
    let deadline = Instant::now() + if failed == REPLAYS { bounds.time } else { bounds.time / 2 };
    // A failure that shows in every second replay needs a few to be missed with some certainty.
    let patience = if failed == REPLAYS { 1 } else { (3 * REPLAYS / failed).min(PATIENCE) };
    let mut shrinking = Shrinking {
        player,
        requirement,
        deadline,
        left: bounds.tries,
        patience,
        tried: 0,
        seen: HashSet::new(),
        telling: Telling::Unknown,
        best: (trace.clone(), again.unwrap_or_else(|| trial.clone())),
    };
    shrinking.telling = shrinking.telling(&shrinking.best.0, &shrinking.best.1);
    shrinking.exhaust().await?;
    let Shrinking { best: (trace, trial), tried, .. } = shrinking;
    // Whoever plays it again plays it by itself.
    let (failed, again) = replay(&player.alone(), &trace, requirement).await?;
    Ok(Shrunk { trace, trial: again.unwrap_or(trial), tried, failed, played: REPLAYS })
}

/// In how many replays it fails, and one of those.
async fn replay(player: &Player, trace: &Trace, requirement: &RequirementId) -> Result<(usize, Option<Trial>), Unreadable> {
    let trials = join_all((0..REPLAYS).map(|_| player.try_for(trace, requirement))).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut failing = trials.into_iter().flatten();
    let first = failing.next();
    Ok((usize::from(first.is_some()) + failing.count(), first))
}

/// How a failure can be told as a scenario, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Telling {
    Not,
    /// The trace is too long to say.
    Unknown,
    /// To servers of some reading only.
    Conditional,
    Whole,
}

struct Shrinking<'a> {
    player: &'a Player,
    requirement: &'a RequirementId,
    deadline: Instant,
    left: usize,
    /// How often each smaller trace is played before it is held to pass.
    patience: usize,
    tried: usize,
    seen: HashSet<String>,
    /// How the best can be told.
    telling: Telling,
    best: (Trace, Trial),
}

impl Shrinking<'_> {
    async fn exhaust(&mut self) -> Result<(), Unreadable> {
        loop {
            let before = complexity(&self.best.0);
            let passes: [fn(&Trace) -> Vec<Trace>; 5] = [without_rounds, fewer_actors, by_http, apart, simpler];
            for pass in passes {
                while self.step(pass).await? {}
            }
            // Parts are many, and worth their time only where little is left. The smallest come first, so one that fails is the best.
            let most = if self.patience == 1 { PARTS } else { PARTS_NOW_AND_THEN };
            if self.best.0.rounds.len() <= most {
                self.step(subsets).await?;
            }
            let compacted = compact(&self.best.0);
            if complexity(&compacted) < complexity(&self.best.0) {
                self.first_failing(vec![compacted]).await?;
            }
            if complexity(&self.best.0) >= before || self.is_over() {
                return Ok(());
            }
        }
    }

    fn is_over(&self) -> bool {
        self.left == 0 || Instant::now() >= self.deadline || self.player.is_halted()
    }

    /// Tries all that a pass offers, until one fails too; whether one did.
    async fn step(&mut self, pass: fn(&Trace) -> Vec<Trace>) -> Result<bool, Unreadable> {
        let candidates = pass(&self.best.0);
        self.first_failing(candidates).await
    }

    async fn first_failing(&mut self, candidates: Vec<Trace>) -> Result<bool, Unreadable> {
        let mut fresh: Vec<Trace> = Vec::new();
        for candidate in candidates {
            if !candidate.rounds.is_empty() && self.seen.insert(format!("{candidate:?}")) {
                fresh.push(candidate);
            }
        }
        let mut second_best = None;
        for batch in fresh.chunks(AT_ONCE) {
            if self.is_over() {
                break;
            }
            let batch = &batch[..batch.len().min(self.left)];
            self.left -= batch.len();
            self.tried += batch.len();
            let trials = join_all(batch.iter().map(|candidate| self.failing(candidate))).await;
            for (candidate, trial) in batch.iter().zip(trials) {
                if let Some(trial) = trial? {
                    let mut kept = candidate.clone();
                    if let Some(finding) = &trial.finding {
                        kept.rounds.truncate(finding.round + 1);
                    }
                    // What a scenario tells worse is worth less, however small it is.
                    let telling = self.telling(&kept, &trial);
                    if telling >= self.telling {
                        (self.telling, self.best) = (telling, (kept, trial));
                        return Ok(true);
                    }
                    second_best.get_or_insert((telling, kept, trial));
                }
            }
        }
        if let Some((telling, kept, trial)) = second_best.filter(|_| self.telling == Telling::Unknown) {
            (self.telling, self.best) = (telling, (kept, trial));
            return Ok(true);
        }
        Ok(false)
    }

    fn telling(&self, trace: &Trace, trial: &Trial) -> Telling {
        let ending = trial.finding.as_ref().and_then(|finding| ending(self.player.session.findings(), trace, &trial.history, finding));
        match ending {
            None => Telling::Unknown,
            Some(ending) if ending.is_empty() || borrows(trace) => Telling::Not,
            Some(ending) if ending.is_conditional() => Telling::Conditional,
            Some(_) => Telling::Whole,
        }
    }

    /// A trial in which the candidate fails.
    async fn failing(&self, candidate: &Trace) -> Result<Option<Trial>, Unreadable> {
        for _ in 0..self.patience {
            if self.is_over() {
                return Ok(None);
            }
            if let Some(trial) = self.player.try_for(candidate, self.requirement).await? {
                return Ok(Some(trial));
            }
        }
        Ok(None)
    }
}
