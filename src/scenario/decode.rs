//! Decodes a YAML tree into file shapes, and goes on after an error, so that all errors of a file are told at once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::source::{Diagnostic, Diagnostics, Span, nearest, suggest};
use super::yaml::{Kind, Node, Spanned};

const SPANNED: &str = "$chatspec::Spanned";
const NODE: &str = "$chatspec::Node";

thread_local! {
    // Serde's data model has no word for "this very node": the decoder lays it here, and `Node::deserialize`, called
    // back at once on the same thread, takes it.
    static HANDED: RefCell<Option<Node>> = const { RefCell::new(None) };
    static HANDED_SPAN: RefCell<Option<Span>> = const { RefCell::new(None) };
}

/// Decodes a tree into a file shape. What is wrong is reported, and stands as an empty value in what is returned, so that
/// the rest can be looked at too; `None` where nothing could be made of it.
pub fn decode<T: DeserializeOwned>(node: &Node, diagnostics: &Diagnostics) -> Option<T> {
    let pass = Pass { diagnostics, masked: RefCell::default(), missing: RefCell::default() };
    loop {
        let known = pass.progress();
        match T::deserialize(Decoder { node, pass: &pass, placeholder: pass.is_masked(node) }) {
            Ok(value) => return Some(value),
            Err(error) => pass.report(node, error),
        }
        if pass.progress() == known {
            return None;
        }
    }
}

/// What is known to be wrong. Each pass over the tree finds at least one thing more, or ends.
struct Pass<'a> {
    diagnostics: &'a Diagnostics,
    /// Nodes that are wrong in themselves.
    masked: RefCell<HashSet<*const Node>>,
    /// Maps that lack a key.
    missing: RefCell<HashSet<(*const Node, &'static str)>>,
}

impl Pass<'_> {
    fn is_masked(&self, node: &Node) -> bool {
        self.masked.borrow().contains(&std::ptr::from_ref(node))
    }

    fn mask(&self, node: &Node) {
        self.masked.borrow_mut().insert(std::ptr::from_ref(node));
    }

    fn progress(&self) -> usize {
        self.masked.borrow().len() + self.missing.borrow().len()
    }

    /// Tells of an error at the innermost node that has it, and remembers it for the next pass.
    fn report(&self, node: &Node, error: DecodeError) {
        let diagnostic = match error {
            DecodeError::Reported => return,
            DecodeError::MissingField(field) => {
                self.missing.borrow_mut().insert((std::ptr::from_ref(node), field));
                self.diagnostics.push(Diagnostic::new(&node.span, format!("the key `{field}` is missing")));
                return;
            }
            DecodeError::UnknownVariant(found, valid) => {
                Diagnostic::new(&node.span, format!("`{found}` isn't valid here")).help(suggest(&found, valid.iter().copied()))
            }
            DecodeError::Message(message) => Diagnostic::new(&node.span, message),
        };
        self.mask(node);
        self.diagnostics.push(diagnostic);
    }
}

#[derive(Debug)]
enum DecodeError {
    Reported,
    MissingField(&'static str),
    UnknownVariant(String, &'static [&'static str]),
    Message(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        DecodeError::Message(message.to_string())
    }
    fn missing_field(field: &'static str) -> Self {
        DecodeError::MissingField(field)
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        DecodeError::UnknownVariant(variant.to_owned(), expected)
    }
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        DecodeError::Message(format!("expected {expected}"))
    }
}

#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    pass: &'a Pass<'a>,
    /// An empty value of whatever type is asked for stands in for the node.
    placeholder: bool,
}

impl<'a> Decoder<'a> {
    fn child(self, node: &'a Node, placeholder: bool) -> Self {
        Self { node, placeholder: placeholder || self.placeholder, ..self }
    }

    fn empty(self) -> bool {
        self.placeholder
    }

    fn wrong<T>(self, expected: &str) -> Result<T, DecodeError> {
        Err(DecodeError::Message(format!("expected {expected}, found {}", self.node.kind.name())))
    }

    fn seed<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, DecodeError> {
        seed.deserialize(self).map_err(|error| {
            self.pass.report(self.node, error);
            DecodeError::Reported
        })
    }
}

/// The visitor's "expecting" text, without serde's "struct Foo" where we can say more.
fn expectation<'de, V: Visitor<'de>>(visitor: &V) -> String {
    struct Shown<'v, V>(&'v V);
    impl<'de, V: Visitor<'de>> fmt::Display for Shown<'_, V> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.expecting(f)
        }
    }
    Shown(visitor).to_string()
}

impl<'de> de::Deserializer<'de> for Decoder<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            _ if self.empty() => visitor.visit_unit(),
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Int(value) => visitor.visit_i64(*value),
            Kind::Float(value) => visitor.visit_f64(*value),
            Kind::Text(value) => visitor.visit_str(value),
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node.kind {
            _ if self.empty() => visitor.visit_bool(false),
            Kind::Bool(value) => visitor.visit_bool(value),
            _ => self.wrong("true or false"),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node.kind {
            _ if self.empty() => visitor.visit_i64(0),
            Kind::Int(value) if value >= 0 => visitor.visit_i64(value),
            _ => self.wrong("a whole number that isn't negative"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            _ if self.empty() => visitor.visit_str(""),
            Kind::Text(value) => visitor.visit_str(value),
            _ => self.wrong("a text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        match name {
            NODE => {
                let kind = if self.empty() { Kind::Null } else { self.node.kind.clone() };
                HANDED.set(Some(Node { span: self.node.span.clone(), kind }));
                visitor.visit_unit()
            }
            SPANNED => {
                HANDED_SPAN.set(Some(self.node.span.clone()));
                visitor.visit_newtype_struct(self)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            _ if self.empty() => visitor.visit_seq(Items { decoder: self, items: [].iter() }),
            Kind::List(items) => visitor.visit_seq(Items { decoder: self, items: items.iter() }),
            _ => self.wrong(&expectation(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            _ if self.empty() => visitor.visit_map(Entries::new(self, &[], None, &[])),
            Kind::Map(pairs) => visitor.visit_map(Entries::new(self, pairs, None, &[])),
            _ => self.wrong(&expectation(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if self.empty() {
            return visitor.visit_map(Entries::new(self, &[], Some(fields), fields));
        }
        let Kind::Map(pairs) = &self.node.kind else {
            return self.wrong(&format!("a map with the keys {}", list(fields)));
        };
        for (key, value) in pairs {
            if !fields.contains(&key.value.as_str()) && !self.pass.is_masked(value) {
                let help = match nearest(&key.value, fields.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("valid here: {}", list(fields)),
                };
                self.pass.mask(value);
                self.pass.diagnostics.push(Diagnostic::new(&key.span, format!("unknown key `{}`", key.value)).help(help));
            }
        }
        let this = std::ptr::from_ref(self.node);
        let missing: Vec<&'static str> =
            fields.iter().copied().filter(|field| self.pass.missing.borrow().contains(&(this, *field))).collect();
        visitor.visit_map(Entries::new(self, pairs, Some(fields), &missing))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            _ if self.empty() => visitor.visit_enum(variants[0].into_deserializer()),
            Kind::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => self.wrong(&format!("one of {}", list(variants))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_u64(visitor)
    }
    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_u64(visitor)
    }
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_u64(visitor)
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

struct Items<'a> {
    decoder: Decoder<'a>,
    items: std::slice::Iter<'a, Node>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        let next = self.items.by_ref().find(|item| !self.decoder.pass.is_masked(item));
        next.map(|item| self.decoder.child(item, false).seed(seed)).transpose()
    }
}

struct Entries<'a> {
    decoder: Decoder<'a>,
    pairs: std::slice::Iter<'a, (Spanned<String>, Node)>,
    /// The value of the key just given; for a missing key, the map itself stands in, as an empty value.
    value: Option<Decoder<'a>>,
    fields: Option<&'static [&'static str]>,
    missing: Vec<&'static str>,
}

impl<'a> Entries<'a> {
    fn new(
        decoder: Decoder<'a>,
        pairs: &'a [(Spanned<String>, Node)],
        fields: Option<&'static [&'static str]>,
        missing: &[&'static str],
    ) -> Self {
        Self { decoder, pairs: pairs.iter(), value: None, fields, missing: missing.to_vec() }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let pass = self.decoder.pass;
        let fields = self.fields;
        let next = self.pairs.by_ref().find(|(key, _)| fields.is_none_or(|fields| fields.contains(&key.value.as_str())));
        if let Some((key, value)) = next {
            self.value = Some(self.decoder.child(value, pass.is_masked(value)));
            return seed.deserialize(KeyDecoder(key)).map(Some);
        }
        let Some(field) = self.missing.pop() else {
            return Ok(None);
        };
        self.value = Some(Decoder { placeholder: true, ..self.decoder });
        seed.deserialize(field.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        self.value.take().expect("serde asks for a key before its value").seed(seed)
    }
}

struct KeyDecoder<'a>(&'a Spanned<String>);

impl<'de> de::Deserializer<'de> for KeyDecoder<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_str(&self.0.value)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        if name == SPANNED {
            HANDED_SPAN.set(Some(self.0.span.clone()));
        }
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
                HANDED.take().ok_or_else(|| E::custom("a node can only be decoded from a scenario file"))
            }
        }
        deserializer.deserialize_newtype_struct(NODE, Take)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Take<T> {
            type Value = Spanned<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_newtype_struct<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                let span = HANDED_SPAN.take().ok_or_else(|| de::Error::custom("a place can only be decoded from a scenario file"))?;
                T::deserialize(deserializer).map(|value| Spanned { span, value })
            }
        }
        deserializer.deserialize_newtype_struct(SPANNED, Take(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::super::yaml::{Lasting, parse};
    use super::*;
    use std::sync::Arc;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        name: Spanned<String>,
        #[serde(default)]
        count: Option<u32>,
        #[serde(default)]
        wait: Option<Lasting>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        title: String,
        steps: Vec<Inner>,
        #[serde(default)]
        value: Option<Node>,
    }

    fn errors(text: &str) -> Vec<String> {
        let source = Arc::new(Source { name: "t.yaml".into(), text: text.into() });
        let diagnostics = Diagnostics::default();
        match parse(&source) {
            Ok(node) => {
                let decoded: Option<Outer> = decode(&node, &diagnostics);
                assert!(decoded.is_some() || !diagnostics.is_empty());
            }
            Err(error) => diagnostics.push(*error),
        }
        let shown = |d: Diagnostic| format!("{}: {}{}", d.span, d.message, d.help.map(|h| format!(" ({h})")).unwrap_or_default());
        diagnostics.into_sorted().into_iter().map(shown).collect()
    }

    #[test]
    fn a_good_file_has_no_errors() {
        assert_eq!(errors("title: x\nsteps:\n  - name: a\n    count: 3\n    wait: 5s\nvalue: {any: [thing]}\n"), Vec::<String>::new());
    }

    #[test]
    fn all_errors_of_a_file_are_told_at_once_with_their_places() {
        let text = "titel: x\nsteps:\n  - name: 3\n    count: many\n    wait: soon\n  - nam: b\n  - name: c\n    count: -1\n";
        let found = errors(text);
        let places: Vec<&str> = found.iter().map(|e| e.split(": ").next().expect("a place")).collect();
        assert_eq!(
            places,
            ["t.yaml:1:1", "t.yaml:1:1", "t.yaml:3:11", "t.yaml:4:12", "t.yaml:5:11", "t.yaml:6:5", "t.yaml:6:5", "t.yaml:8:12"],
            "{found:#?}"
        );
        assert!(found.iter().any(|e| e.contains("unknown key `titel` (did you mean `title`?)")), "{found:#?}");
        assert!(found.iter().any(|e| e.contains("the key `title` is missing")), "{found:#?}");
    }

    #[test]
    fn a_syntax_error_has_a_place() {
        assert_eq!(errors("title: [a\nsteps: 3\n").len(), 1);
        assert!(errors("title: x\ntitle: y\n")[0].starts_with("t.yaml:2:1: not YAML: duplicate mapping key"));
    }
}
