//! YAML as a tree that remembers places, and the small types that file shapes are made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Visitor};

use super::source::{Diagnostic, Source, Span};

/// A YAML value and where it stands. Also the shape of "any value" in a file.
#[derive(Clone, Debug)]
pub struct Node {
    pub span: Span,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) | Kind::Float(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

impl Node {
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(pairs) => pairs.iter().find(|(k, _)| k.value == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

/// A value with its place in the file.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    pub span: Span,
    pub value: T,
}

/// Parses one YAML document.
///
/// # Errors
/// The first syntax error, with its place; a syntax error hides what comes after it.
pub fn parse(source: &Arc<Source>) -> Result<Node, Box<Diagnostic>> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options::<Raw>(&source.text, options).map(|raw| raw.into_node(source)).map_err(|error| {
        let start = error.location().map_or(0, |at| {
            let line_start: usize = source.text.split_inclusive('\n').take((at.line() as usize).saturating_sub(1)).map(str::len).sum();
            source.text[line_start..]
                .char_indices()
                .nth((at.column() as usize).saturating_sub(1))
                .map_or(source.text.len(), |(offset, _)| line_start + offset)
        });
        let span = Span { source: source.clone(), start, end: start + 1 };
        // The place is told apart, and an option of the library's is no advice for an author.
        let message = error.without_snippet().to_string();
        let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
        let message = message.split(" at line ").next().unwrap_or_default();
        Box::new(Diagnostic::new(&span, format!("not YAML: {message}")))
    })
}

struct Raw {
    start: usize,
    end: usize,
    kind: RawKind,
}

enum RawKind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl Raw {
    fn into_node(self, source: &Arc<Source>) -> Node {
        let span = Span { source: source.clone(), start: self.start, end: self.end };
        let kind = match self.kind {
            RawKind::Null => Kind::Null,
            RawKind::Bool(value) => Kind::Bool(value),
            RawKind::Int(value) => Kind::Int(value),
            RawKind::Float(value) => Kind::Float(value),
            RawKind::Text(value) => Kind::Text(value),
            RawKind::List(items) => Kind::List(items.into_iter().map(|item| item.into_node(source)).collect()),
            RawKind::Map(pairs) => Kind::Map(
                pairs
                    .into_iter()
                    .map(|(key, value)| {
                        let key = key.into_node(source);
                        let text = match key.kind {
                            Kind::Text(text) => text,
                            Kind::Int(number) => number.to_string(),
                            Kind::Float(number) => number.to_string(),
                            Kind::Bool(value) => value.to_string(),
                            Kind::Null | Kind::List(_) | Kind::Map(_) => String::from("null"),
                        };
                        (Spanned { span: key.span, value: text }, value.into_node(source))
                    })
                    .collect(),
            ),
        };
        Node { span, kind }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<RawKind>::deserialize(deserializer)?;
        let (start, end) = spanned.referenced.span().byte_offset().map_or((0, 0), |start| {
            let start = start as usize;
            let length = spanned.referenced.span().byte_len().unwrap_or(0) as usize;
            (start, start + length)
        });
        Ok(Raw { start, end, kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = RawKind;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }
            fn visit_unit<E>(self) -> Result<RawKind, E> {
                Ok(RawKind::Null)
            }
            fn visit_none<E>(self) -> Result<RawKind, E> {
                Ok(RawKind::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<RawKind, E> {
                Ok(RawKind::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<RawKind, E> {
                Ok(RawKind::Int(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<RawKind, E> {
                i64::try_from(value).map(RawKind::Int).map_err(|_| E::custom("this number is too large"))
            }
            fn visit_f64<E>(self, value: f64) -> Result<RawKind, E> {
                Ok(RawKind::Float(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<RawKind, E> {
                Ok(RawKind::Text(value.to_owned()))
            }
            fn visit_some<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<RawKind, D::Error> {
                deserializer.deserialize_any(Any)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<RawKind, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(RawKind::List(list))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<RawKind, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(RawKind::Map(map))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for Node {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
    fn inline_schema() -> bool {
        true
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
    fn inline_schema() -> bool {
        T::inline_schema()
    }
}

/// A map in the order of the file, its keys with their places.
#[derive(Clone, Debug)]
pub struct Pairs<V>(pub Vec<(Spanned<String>, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Take<V> {
            type Value = Pairs<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    pairs.push(entry);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Take(std::marker::PhantomData))
    }
}

impl<V: JsonSchema> JsonSchema for Pairs<V> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("MapOf{}", V::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": generator.subschema_for::<V>()})
    }
    fn inline_schema() -> bool {
        true
    }
}

/// One text or a list of texts, each with its place.
#[derive(Clone, Debug, Default)]
pub struct Names(pub Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        let one = |node: &Node| {
            node.text()
                .map(|text| Spanned { span: node.span.clone(), value: text.to_owned() })
                .ok_or_else(|| de::Error::custom(format!("expected a name or a list of names, found {}", node.kind.name())))
        };
        match &node.kind {
            Kind::List(items) => items.iter().map(one).collect::<Result<_, _>>().map(Names),
            _ => one(&node).map(|name| Names(vec![name])),
        }
    }
}

impl JsonSchema for Names {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Names".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
    }
}

/// A duration as people write it: `300ms`, `5s`, `2m`.
#[derive(Clone, Copy, Debug)]
pub struct Lasting(pub Duration);

impl<'de> Deserialize<'de> for Lasting {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map(Lasting)
            .map_err(|error| de::Error::custom(format!("`{text}` isn't a duration such as `300ms` or `5s`: {error}")))
    }
}

impl JsonSchema for Lasting {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "examples": ["300ms", "5s"]})
    }
}
