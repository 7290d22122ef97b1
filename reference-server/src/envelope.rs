//! A packet as it comes: only what the document names is looked at, whatever else is in it and of whatever type.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The outer object. Of several fields of one name the last counts, and unknown ones are skipped, however deep they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub kind: Field<'a>,
    pub data: Data<'a>,
}

/// The field `data`.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Data<'a> {
    #[default]
    Missing,
    Null,
    Fields(Fields<'a>),
    /// Neither null nor an object.
    Other,
}

/// The object in `data`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Whether it has any field, known or not.
    pub has_any: bool,
    pub user_name: Field<'a>,
    pub room_name: Field<'a>,
    pub msg: Field<'a>,
}

/// A field that should be a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    #[default]
    Missing,
    Text(Cow<'a, str>),
    /// Not a text.
    Other,
}

impl<'a> Envelope<'a> {
    /// # Errors
    /// Text that isn't one JSON object.
    pub fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            Type,
            Data,
            #[serde(other)]
            Unknown,
        }

        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Envelope<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Type => envelope.kind = map.next_value()?,
                        Key::Data => envelope.data = map.next_value()?,
                        Key::Unknown => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(envelope)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Data<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            UserName,
            RoomName,
            Msg,
            #[serde(other)]
            Unknown,
        }

        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Data<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key()? {
                    fields.has_any = true;
                    match key {
                        Key::UserName => fields.user_name = map.next_value()?,
                        Key::RoomName => fields.room_name = map.next_value()?,
                        Key::Msg => fields.msg = map.next_value()?,
                        Key::Unknown => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Data::Fields(fields))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Data::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Data::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Data::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Data::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Data::Other)
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Data::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Data::Other)
            }
        }

        deserializer.deserialize_any(Object)
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Field<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Field::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Field::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Field::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Field::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Field::Other)
            }
        }

        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Field<'_> {
        Field::Text(text.into())
    }

    #[test]
    fn what_is_named_is_read_and_the_rest_is_skipped() {
        let read = Envelope::read(r#" {"x":[{}],"type":"msg","data":{"msg":"a\nb","more":{"y":[1]},"user_name":1}} "#).unwrap();
        let fields = Fields { has_any: true, msg: text("a\nb"), user_name: Field::Other, room_name: Field::Missing };
        assert_eq!(read, Envelope { kind: text("msg"), data: Data::Fields(fields) });
    }

    #[test]
    fn every_type_is_told_from_a_text_and_from_null() {
        for (json, data) in [("null", Data::Null), ("{}", Data::Fields(Fields::default()))] {
            assert_eq!(Envelope::read(&format!(r#"{{"data":{json}}}"#)).unwrap().data, data);
        }
        for json in ["true", "-1", "1", "1.5", r#""x""#, r#""\u0041""#, "[1,[2]]"] {
            assert_eq!(Envelope::read(&format!(r#"{{"data":{json}}}"#)).unwrap().data, Data::Other, "{json}");
        }
        for json in ["null", "true", "-1", "1", "1.5", r#"[1,{"x":2}]"#, r#"{"x":[1]}"#] {
            assert_eq!(Envelope::read(&format!(r#"{{"type":{json}}}"#)).unwrap().kind, Field::Other, "{json}");
        }
    }

    #[test]
    fn the_last_of_several_counts() {
        assert_eq!(
            Envelope::read(r#"{"type":1,"type":"join","data":[],"data":null}"#).unwrap(),
            Envelope { kind: text("join"), data: Data::Null }
        );
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        let deep = "[".repeat(100_000);
        for text in ["", "null", "[]", r#""{}""#, "{} {}", r#"{"type":}"#, &deep] {
            assert!(Envelope::read(text).is_err(), "{text:.20}");
        }
    }
}
