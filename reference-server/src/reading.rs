//! The readings: where the document allows several interpretations, which one this server follows.

use thiserror::Error;

macro_rules! readings {
    ($(
        $(#[$doc:meta])*
        $field:ident: $name:ident = $id:literal {
            $( $(#[$variant_attribute:meta])* $variant:ident = $value:expr, )+
        }
    )+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub enum $name { $( $(#[$variant_attribute])* $variant, )+ }

            impl $name {
                const VALUES: &'static [(Self, Option<&'static str>)] = &[ $( (Self::$variant, $value), )+ ];

                fn named(value: &str) -> Option<Self> {
                    Self::VALUES.iter().find(|(_, name)| *name == Some(value)).map(|(reading, _)| *reading)
                }
            }
        )+

        /// One value for every reading; the default satisfies all values that can hold at once.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Readings { $( pub $field: $name, )+ }

        impl Readings {
            /// Pins the reading `id` (`R-LIST`) to `value` (`rooms`).
            ///
            /// # Errors
            /// [`ReadingError`] for an ID or a value that the table of readings doesn't have.
            pub fn pin(&mut self, id: &str, value: &str) -> Result<(), ReadingError> {
                match id {
                    $( $id => {
                        self.$field = $name::named(value).ok_or_else(|| ReadingError::UnknownValue {
                            id: $id,
                            value: value.to_owned(),
                            valid: Self::values($id).join(", "),
                        })?;
                        Ok(())
                    } )+
                    _ => Err(ReadingError::UnknownId {
                        id: id.to_owned(),
                        valid: Self::IDS.join(", "),
                    }),
                }
            }

            /// The IDs of all readings, in the order of the table.
            pub const IDS: &'static [&'static str] = &[ $( $id, )+ ];

            /// The values to which the reading `id` can be pinned; none for an unknown ID.
            #[must_use]
            pub fn values(id: &str) -> Vec<&'static str> {
                match id {
                    $( $id => $name::VALUES.iter().filter_map(|(_, value)| *value).collect(), )+
                    _ => Vec::new(),
                }
            }
        }
    };
}

readings! {
    /// R-PARAMS: how an HTTP request carries its parameters.
    params: Params = "R-PARAMS" {
        #[default] Any = None,
        GetQuery = Some("get-query"),
        PostQuery = Some("post-query"),
        PostForm = Some("post-form"),
        PostJson = Some("post-json"),
    }
    /// R-LIST: what the answer of `chatroom/list` calls the list.
    list: ListKey = "R-LIST" {
        #[default] Both = None,
        RoomList = Some("room_list"),
        Rooms = Some("rooms"),
    }
    /// R-ENTRY: what an entry of the list calls the room's name.
    entry: EntryKey = "R-ENTRY" {
        #[default] Both = None,
        RoomName = Some("room_name"),
        Name = Some("name"),
    }
    /// R-STATUS-TYPE: the JSON type of `status` in a JSON body.
    status_type: StatusType = "R-STATUS-TYPE" {
        #[default] Either = None,
        Number = Some("number"),
        String = Some("string"),
    }
    /// R-AUDIENCE: who is sent a `user` packet.
    audience: Audience = "R-AUDIENCE" {
        #[default] Room = Some("room"),
        Sender = Some("sender"),
    }
    /// R-FIRST: whose first WebSocket `join` of a created room is answered by `create`.
    first: First = "R-FIRST" {
        #[default] ByFlow = Some("by-flow"),
        ByOrder = Some("by-order"),
    }
    /// R-REENTRY: what entering a room that has emptied is called.
    reentry: Reentry = "R-REENTRY" {
        #[default] Join = Some("join"),
        Create = Some("create"),
    }
    /// R-ENTRY-ORDER: whether a WebSocket `join` needs an HTTP join before it.
    entry_order: EntryOrder = "R-ENTRY-ORDER" {
        #[default] Open = Some("open"),
        HttpFirst = Some("http-first"),
    }
    /// R-MISSING-ROOM: what a WebSocket `join` of an unknown room does.
    missing_room: MissingRoom = "R-MISSING-ROOM" {
        #[default] Refused = Some("refused"),
        Made = Some("made"),
    }
    /// R-MSG-FIELD: whether `join` and `leave` packets need the field `msg`.
    msg_field: MsgField = "R-MSG-FIELD" {
        #[default] Required = Some("required"),
        Optional = Some("optional"),
    }
    /// R-NULL-DATA: the error for `"data": null`.
    null_data: NullData = "R-NULL-DATA" {
        #[default] InvalidMessage = Some("invalid message"),
        InvalidData = Some("invalid data"),
    }
    /// R-BARE-DATA: the error for `"data": {}`.
    bare_data: BareData = "R-BARE-DATA" {
        InvalidMessage = Some("invalid message"),
        #[default] InvalidData = Some("invalid data"),
    }
    /// R-ERROR-FIELDS: whether an `error` packet has the two names.
    error_fields: ErrorFields = "R-ERROR-FIELDS" {
        #[default] Empty = Some("empty"),
        Absent = Some("absent"),
    }
    /// R-POPULATION: who counts as being in a room.
    population: Population = "R-POPULATION" {
        #[default] Either = Some("either"),
        Http = Some("http"),
        Ws = Some("ws"),
    }
    /// R-REJOIN: the answer to a second HTTP join of one user.
    rejoin: Rejoin = "R-REJOIN" {
        #[default] Once = Some("once"),
        Refused = Some("refused"),
        Again = Some("again"),
    }
    /// R-SAME-NAME: whether two connections can be in a room under one user name.
    same_name: SameName = "R-SAME-NAME" {
        Refused = Some("refused"),
        #[default] Both = Some("both"),
    }
    /// R-TWO-ROOMS: whether one connection can be in two rooms.
    two_rooms: TwoRooms = "R-TWO-ROOMS" {
        #[default] Allowed = Some("allowed"),
        Refused = Some("refused"),
        Moves = Some("moves"),
    }
    /// R-RELEASE: what is released when somebody leaves.
    release: Release = "R-RELEASE" {
        #[default] Place = Some("place"),
        RoomWhenEmpty = Some("room-when-empty"),
    }
}

/// A reading that can't be pinned as asked.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReadingError {
    #[error("there is no reading {id}; the readings are {valid}")]
    UnknownId { id: String, valid: String },
    #[error("the reading {id} has no value {value:?}; its values are {valid}")]
    UnknownValue { id: &'static str, value: String, valid: String },
    #[error("a reading is pinned as ID=VALUE, such as R-LIST=rooms, not as {0:?}")]
    NotAPair(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_every_reading_can_be_pinned() {
        for id in Readings::IDS {
            assert!(Readings::values(id).len() >= 2, "{id}");
            for value in Readings::values(id) {
                Readings::default().pin(id, value).unwrap();
            }
        }
    }

    #[test]
    fn an_unknown_reading_or_value_is_answered_by_the_valid_ones() {
        let mut readings = Readings::default();
        let id = readings.pin("R-LISTS", "rooms").unwrap_err().to_string();
        assert!(id.contains("R-LISTS") && id.contains("R-ENTRY-ORDER"), "{id}");
        let value = readings.pin("R-LIST", "room").unwrap_err().to_string();
        assert!(value.contains("room_list, rooms"), "{value}");
        assert_eq!(readings, Readings::default());
    }
}
