//! The readings of the document that a hypothesis still allows.

use crate::reading::Findings;

/// One value of one reading, by their places in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    reading: usize,
    bit: u8,
}

macro_rules! readings {
    ($( $place:literal $module:ident = $id:literal { $( $bit:literal $value:ident = $name:literal ),+ $(,)? } )+) => {
        $( pub mod $module {
            use super::Value;
            $( pub const $value: Value = Value { reading: $place, bit: 1 << $bit }; )+
        } )+

        const TABLE: &[(&str, &[&str])] = &[ $( ($id, &[ $( $name ),+ ]) ),+ ];
    };
}

readings! {
    0 audience = "R-AUDIENCE" { 0 ROOM = "room", 1 SENDER = "sender" }
    1 first = "R-FIRST" { 0 BY_FLOW = "by-flow", 1 BY_ORDER = "by-order" }
    2 reentry = "R-REENTRY" { 0 CREATE = "create", 1 JOIN = "join" }
    3 entry_order = "R-ENTRY-ORDER" { 0 OPEN = "open", 1 HTTP_FIRST = "http-first" }
    4 missing_room = "R-MISSING-ROOM" { 0 REFUSED = "refused", 1 MADE = "made" }
    5 msg_field = "R-MSG-FIELD" { 0 REQUIRED = "required", 1 OPTIONAL = "optional" }
    6 null_data = "R-NULL-DATA" { 0 INVALID_MESSAGE = "invalid message", 1 INVALID_DATA = "invalid data" }
    7 bare_data = "R-BARE-DATA" { 0 INVALID_MESSAGE = "invalid message", 1 INVALID_DATA = "invalid data" }
    8 population = "R-POPULATION" { 0 EITHER = "either", 1 HTTP = "http", 2 WS = "ws" }
    9 rejoin = "R-REJOIN" { 0 ONCE = "once", 1 REFUSED = "refused", 2 AGAIN = "again" }
    10 same_name = "R-SAME-NAME" { 0 REFUSED = "refused", 1 BOTH = "both" }
    11 two_rooms = "R-TWO-ROOMS" { 0 ALLOWED = "allowed", 1 REFUSED = "refused", 2 MOVES = "moves" }
    12 release = "R-RELEASE" { 0 PLACE = "place", 1 ROOM_WHEN_EMPTY = "room-when-empty" }
}

/// For each reading the values that are still possible, as a set of bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Readings(Vec<u8>);

impl Readings {
    /// What the probes found or the user pinned; of what nobody knows every value is possible.
    pub fn new(findings: &Findings) -> Self {
        let open = |(id, values): &(&str, &[&str])| {
            let held = findings.held(id);
            let bits = |possible: &dyn Fn(&str) -> bool| {
                values.iter().enumerate().filter(|(_, value)| possible(value)).fold(0, |bits, (at, _)| bits | 1 << at)
            };
            match bits(&|value| held.iter().any(|one| one == value)) {
                0 => bits(&|_| true),
                found => found,
            }
        };
        Self(TABLE.iter().map(open).collect())
    }

    pub fn allow(&self, value: Value) -> bool {
        self.0[value.reading] & value.bit != 0
    }

    /// These readings once a value has shown itself; none where it was ruled out before.
    pub fn with(&self, value: Value) -> Option<Self> {
        self.allow(value).then(|| {
            let mut narrowed = self.clone();
            narrowed.0[value.reading] = value.bit;
            narrowed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Held;

    #[test]
    fn what_nobody_knows_is_open_until_it_shows_itself() {
        let found = Held::Found { values: vec!["sender".into()] };
        let readings = Readings::new(&Findings { readings: [("R-AUDIENCE".to_owned(), found)].into(), ..Findings::default() });
        assert!(readings.allow(audience::SENDER) && !readings.allow(audience::ROOM));
        assert!(readings.allow(entry_order::OPEN) && readings.allow(entry_order::HTTP_FIRST));
        let narrowed = readings.with(entry_order::HTTP_FIRST).unwrap();
        assert_eq!(narrowed.with(entry_order::OPEN), None);
    }
}
