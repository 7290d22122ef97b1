//! What was sent and what arrived: lost, duplicated, reordered, leaked, corrupted, late, and what nobody can know.

pub mod room;
pub mod text;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most witnesses that an account keeps of each kind.
pub const WITNESSES: usize = 20;

/// What can be wrong with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// It never came, though its member was in the room from before it was sent until the end.
    Lost,
    /// It came more than once.
    Duplicated,
    /// It came after a later one of the same sender.
    Reordered,
    /// It came to somebody who isn't in its room.
    Leaked,
    /// It came altered.
    Corrupted,
    /// It came, but only after it had been given up.
    Late,
}

impl Wrong {
    pub const ALL: [Wrong; 6] = [Wrong::Lost, Wrong::Duplicated, Wrong::Reordered, Wrong::Leaked, Wrong::Corrupted, Wrong::Late];

    /// Its name in thresholds, tables and logs.
    pub fn name(self) -> &'static str {
        match self {
            Wrong::Lost => "lost",
            Wrong::Duplicated => "duplicated",
            Wrong::Reordered => "reordered",
            Wrong::Leaked => "leaked",
            Wrong::Corrupted => "corrupted",
            Wrong::Late => "late",
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What came of all deliveries of a run or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case")]
pub struct Account {
    /// Messages that were sent.
    pub sent: u64,
    /// Deliveries that had to happen: for each message, the members who were in the room for certain.
    pub due: u64,
    /// Those of them that happened.
    pub delivered: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub leaked: u64,
    pub corrupted: u64,
    pub late: u64,
    /// Deliveries that might or might not happen, since the member was coming or going, or its connection broke.
    pub indeterminate: u64,
    /// The first of what went wrong.
    pub witnesses: Vec<Witness>,
}

impl Account {
    pub fn count(&self, wrong: Wrong) -> u64 {
        match wrong {
            Wrong::Lost => self.lost,
            Wrong::Duplicated => self.duplicated,
            Wrong::Reordered => self.reordered,
            Wrong::Leaked => self.leaked,
            Wrong::Corrupted => self.corrupted,
            Wrong::Late => self.late,
        }
    }

    /// Counts something wrong; the first of its kind become witnesses.
    pub fn add(&mut self, wrong: Wrong, witness: impl FnOnce() -> Witness) {
        let count = match wrong {
            Wrong::Lost => &mut self.lost,
            Wrong::Duplicated => &mut self.duplicated,
            Wrong::Reordered => &mut self.reordered,
            Wrong::Leaked => &mut self.leaked,
            Wrong::Corrupted => &mut self.corrupted,
            Wrong::Late => &mut self.late,
        };
        *count += 1;
        if *count <= WITNESSES as u64 {
            self.witnesses.push(witness());
        }
    }

    /// Whether every delivery that had to happen has happened, once, in order and unaltered.
    pub fn is_clean(&self) -> bool {
        Wrong::ALL.iter().all(|wrong| self.count(*wrong) == 0)
    }

    /// Adds another part's account; the earliest witnesses of each kind are kept.
    pub fn merge(&mut self, other: &Account) {
        self.sent += other.sent;
        self.due += other.due;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.leaked += other.leaked;
        self.corrupted += other.corrupted;
        self.late += other.late;
        self.indeterminate += other.indeterminate;
        self.witnesses.extend(other.witnesses.iter().cloned());
        self.witnesses.sort_by(|a, b| (a.wrong, a.at_ms).partial_cmp(&(b.wrong, b.at_ms)).unwrap_or(std::cmp::Ordering::Equal));
        let mut kept = std::collections::BTreeMap::<Wrong, usize>::new();
        self.witnesses.retain(|witness| {
            let kept = kept.entry(witness.wrong).or_default();
            *kept += 1;
            *kept <= WITNESSES
        });
    }
}

/// One delivery that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Witness {
    pub wrong: Wrong,
    /// When it was found, since the run's start.
    pub at_ms: f64,
    pub room: String,
    pub sender: String,
    /// The number of the message in its room.
    pub number: u64,
    /// Who got it, or didn't.
    pub member: String,
    /// What else is known: what came instead, after how long.
    pub note: String,
}
