//! Patterns: what is expected of a value that a target sent. A plain value is expected as it stands, an object with at
//! least the keys given; `$`-words and `$`-operators say the rest.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use super::source::{Diagnostic, Diagnostics, nearest};
use super::template::{self, Symbols, Template};
use super::yaml::{Kind, Node};

#[derive(Clone, Debug)]
pub enum Pattern {
    /// Whatever is there, null included.
    Any,
    /// The key isn't there.
    Absent,
    Equals(Template),
    Is(Type),
    Regex(Regex),
    /// A text that holds this one.
    HasText(Template),
    OneOf(Vec<Pattern>),
    All(Vec<Pattern>),
    Not(Box<Pattern>),
    /// Binds the value to a name, for the steps that follow.
    Capture {
        name: String,
        pattern: Box<Pattern>,
    },
    /// An object with these keys; with others too, unless `exact`.
    Object {
        fields: Vec<(Template, Pattern)>,
        exact: bool,
    },
    /// A list of exactly these items in this order.
    List(Vec<Pattern>),
    /// A list of exactly these items, whatever their order.
    AnyOrder(Vec<Pattern>),
    /// A list in which so many items match; at least one unless told.
    Contains {
        pattern: Box<Pattern>,
        times: Option<Template>,
    },
    /// A list of which each item matches.
    Each(Box<Pattern>),
    /// The number of characters of a text, of items of a list.
    Length(Box<Pattern>),
    Compare {
        how: Comparison,
        with: Template,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Text,
    NonEmptyText,
    Integer,
    Number,
    Boolean,
    Object,
    List,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    AtLeast,
    AtMost,
    Below,
    Above,
}

/// The words that stand for a pattern: `$any`, `$string`, …
pub const WORDS: [(&str, Word); 10] = [
    ("any", Word::Any),
    ("absent", Word::Absent),
    ("string", Word::Is(Type::Text)),
    ("non-empty", Word::Is(Type::NonEmptyText)),
    ("integer", Word::Is(Type::Integer)),
    ("number", Word::Is(Type::Number)),
    ("boolean", Word::Is(Type::Boolean)),
    ("object", Word::Is(Type::Object)),
    ("list", Word::Is(Type::List)),
    ("null", Word::Is(Type::Null)),
];

#[derive(Clone, Copy, Debug)]
pub enum Word {
    Any,
    Absent,
    Is(Type),
}

const OPERATORS: [&str; 15] = [
    "$regex",
    "$has-text",
    "$one-of",
    "$all",
    "$not",
    "$capture",
    "$exact",
    "$any-order",
    "$contains",
    "$each",
    "$length",
    "$at-least",
    "$at-most",
    "$below",
    "$above",
];

/// Whether a name is one of the words, so that nobody declares it as a name of their own.
pub fn is_word(name: &str) -> bool {
    WORDS.iter().any(|(word, _)| *word == name)
}

impl Pattern {
    /// Reads a pattern out of a file's value; the names that it captures are added to `captures`.
    pub fn lower(node: &Node, symbols: &dyn Symbols, captures: &mut Vec<String>, diagnostics: &Diagnostics) -> Pattern {
        match &node.kind {
            Kind::Text(text) => {
                let word = text.strip_prefix('$').and_then(|name| WORDS.iter().find(|(word, _)| *word == name));
                match word {
                    Some((_, Word::Any)) => Pattern::Any,
                    Some((_, Word::Absent)) => Pattern::Absent,
                    Some((_, Word::Is(kind))) => Pattern::Is(*kind),
                    None => Pattern::Equals(Template::lower(node, symbols, diagnostics)),
                }
            }
            Kind::List(items) => Pattern::List(items.iter().map(|item| Pattern::lower(item, symbols, captures, diagnostics)).collect()),
            Kind::Map(pairs) => {
                let operator = pairs.first().map(|(key, _)| key).filter(|key| key.value.starts_with('$') && !key.value.starts_with("${"));
                if let Some(key) = operator {
                    if template::OPERATORS.contains(&key.value.as_str()) {
                        return Pattern::Equals(Template::lower(node, symbols, diagnostics));
                    }
                    if OPERATORS.contains(&key.value.as_str()) {
                        return operator_pattern(&key.value, node, symbols, captures, diagnostics);
                    }
                    if symbols.meaning(&key.value[1..]).is_none() {
                        let mut diagnostic = Diagnostic::new(&key.span, format!("there is no operator `{}`", key.value));
                        if let Some(name) = nearest(&key.value, OPERATORS.into_iter().chain(template::OPERATORS)) {
                            diagnostic = diagnostic.help(format!("did you mean `{name}`?"));
                        }
                        diagnostics.push(diagnostic);
                        return Pattern::Any;
                    }
                }
                object(pairs, false, symbols, captures, diagnostics)
            }
            _ => Pattern::Equals(Template::lower(node, symbols, diagnostics)),
        }
    }

    /// Adds the readings that the pattern names.
    pub fn readings(&self, into: &mut BTreeSet<String>) {
        match self {
            Pattern::Any | Pattern::Absent | Pattern::Is(_) | Pattern::Regex(_) => {}
            Pattern::Equals(template) | Pattern::HasText(template) | Pattern::Compare { with: template, .. } => template.readings(into),
            Pattern::OneOf(items) | Pattern::All(items) | Pattern::List(items) | Pattern::AnyOrder(items) => {
                items.iter().for_each(|item| item.readings(into));
            }
            Pattern::Not(inner) | Pattern::Capture { pattern: inner, .. } | Pattern::Each(inner) | Pattern::Length(inner) => {
                inner.readings(into)
            }
            Pattern::Object { fields, .. } => fields.iter().for_each(|(key, value)| {
                key.readings(into);
                value.readings(into);
            }),
            Pattern::Contains { pattern, times } => {
                pattern.readings(into);
                if let Some(times) = times {
                    times.readings(into);
                }
            }
        }
    }
}

fn object(
    pairs: &[(super::yaml::Spanned<String>, Node)],
    exact: bool,
    symbols: &dyn Symbols,
    captures: &mut Vec<String>,
    diagnostics: &Diagnostics,
) -> Pattern {
    let fields = pairs
        .iter()
        .map(|(key, value)| {
            let key = Node { span: key.span.clone(), kind: Kind::Text(key.value.clone()) };
            (Template::lower(&key, symbols, diagnostics), Pattern::lower(value, symbols, captures, diagnostics))
        })
        .collect();
    Pattern::Object { fields, exact }
}

fn operator_pattern(operator: &str, node: &Node, symbols: &dyn Symbols, captures: &mut Vec<String>, diagnostics: &Diagnostics) -> Pattern {
    let Kind::Map(pairs) = &node.kind else {
        return Pattern::Any;
    };
    let companions: &[&str] = match operator {
        "$capture" => &["as"],
        "$contains" => &["times"],
        _ => &[],
    };
    for (key, _) in &pairs[1..] {
        if !companions.contains(&key.value.as_str()) {
            diagnostics.error(&key.span, format!("`{}` can't stand beside `{operator}`", key.value));
        }
    }
    let argument = &pairs[0].1;
    let mut inner = |node: &Node| Box::new(Pattern::lower(node, symbols, captures, diagnostics));
    let template = |node: &Node| Template::lower(node, symbols, diagnostics);
    match operator {
        "$regex" => match Regex::new(argument.text().unwrap_or_default()) {
            Ok(regex) => Pattern::Regex(regex),
            Err(error) => {
                diagnostics.error(&argument.span, format!("not a regular expression: {error}"));
                Pattern::Any
            }
        },
        "$has-text" => Pattern::HasText(template(argument)),
        "$not" => Pattern::Not(inner(argument)),
        "$each" => Pattern::Each(inner(argument)),
        "$length" => Pattern::Length(inner(argument)),
        "$contains" => Pattern::Contains { pattern: inner(argument), times: node.get("times").map(template) },
        "$at-least" => Pattern::Compare { how: Comparison::AtLeast, with: template(argument) },
        "$at-most" => Pattern::Compare { how: Comparison::AtMost, with: template(argument) },
        "$below" => Pattern::Compare { how: Comparison::Below, with: template(argument) },
        "$above" => Pattern::Compare { how: Comparison::Above, with: template(argument) },
        "$capture" => {
            let pattern = node.get("as").map_or(Box::new(Pattern::Any), &mut inner);
            let name = argument.text().unwrap_or_default().to_owned();
            if name.is_empty() || is_word(&name) {
                diagnostics.error(&argument.span, "`$capture` takes the name that the value shall have, and no reserved word");
            }
            captures.push(name.clone());
            Pattern::Capture { name, pattern }
        }
        "$exact" => match &argument.kind {
            Kind::Map(pairs) => object(pairs, true, symbols, captures, diagnostics),
            _ => {
                diagnostics.error(&argument.span, "`$exact` takes a map");
                Pattern::Any
            }
        },
        _ => {
            let Kind::List(items) = &argument.kind else {
                diagnostics.error(&argument.span, format!("`{operator}` takes a list"));
                return Pattern::Any;
            };
            let items = items.iter().map(|item| Pattern::lower(item, symbols, captures, diagnostics)).collect();
            match operator {
                "$one-of" => Pattern::OneOf(items),
                "$all" => Pattern::All(items),
                _ => Pattern::AnyOrder(items),
            }
        }
    }
}

/// The pattern in words, for "expected …".
pub fn describe(pattern: &Pattern, scope: &dyn template::Scope) -> String {
    let shown = |template: &Template| match template.render(scope) {
        Ok(value) => shorten(&value.to_string()),
        Err(unbound) => format!("${}", unbound.0),
    };
    let list = |items: &[Pattern], between: &str| items.iter().map(|item| describe(item, scope)).collect::<Vec<_>>().join(between);
    match pattern {
        Pattern::Any => "anything".into(),
        Pattern::Absent => "no such key".into(),
        Pattern::Equals(template) => shown(template),
        Pattern::Is(kind) => match kind {
            Type::Text => "a string",
            Type::NonEmptyText => "a string that isn't empty",
            Type::Integer => "an integer",
            Type::Number => "a number",
            Type::Boolean => "a boolean",
            Type::Object => "an object",
            Type::List => "an array",
            Type::Null => "null",
        }
        .into(),
        Pattern::Regex(regex) => format!("a text that matches /{regex}/"),
        Pattern::HasText(template) => format!("a text that holds {}", shown(template)),
        Pattern::OneOf(items) => list(items, " or "),
        Pattern::All(items) => list(items, " and "),
        Pattern::Not(inner) => format!("not {}", describe(inner, scope)),
        Pattern::Capture { pattern, .. } => describe(pattern, scope),
        Pattern::Object { fields, exact } => {
            let fields =
                fields.iter().map(|(key, value)| format!("{}: {}", shown(key), describe(value, scope))).collect::<Vec<_>>().join(", ");
            format!("{{{fields}}}{}", if *exact { " and nothing else" } else { "" })
        }
        Pattern::List(items) => format!("[{}]", list(items, ", ")),
        Pattern::AnyOrder(items) => format!("[{}] in any order", list(items, ", ")),
        Pattern::Contains { pattern, times: None } => format!("an array holding {}", describe(pattern, scope)),
        Pattern::Contains { pattern, times: Some(times) } => {
            format!("an array holding {} time(s) {}", shown(times), describe(pattern, scope))
        }
        Pattern::Each(inner) => format!("an array of which each item is {}", describe(inner, scope)),
        Pattern::Length(inner) => format!("a length of {}", describe(inner, scope)),
        Pattern::Compare { how, with } => {
            let words = match how {
                Comparison::AtLeast => "at least",
                Comparison::AtMost => "at most",
                Comparison::Below => "below",
                Comparison::Above => "above",
            };
            format!("{words} {}", shown(with))
        }
    }
}

/// A long text by its ends, so that a 64 KiB payload doesn't fill the screen.
pub fn shorten(text: &str) -> String {
    const LIMIT: usize = 240;
    let count = text.chars().count();
    if count <= LIMIT {
        return text.to_owned();
    }
    let start: String = text.chars().take(160).collect();
    let end: String = text.chars().skip(count - 40).collect();
    format!("{start}… {} characters left out …{end}", count - 200)
}

/// The beginning of a text, on one line, for where it is only mentioned.
pub fn glimpse(text: &str) -> String {
    const LIMIT: usize = 72;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start: String = line.chars().take(LIMIT).collect();
    if start.len() < line.len() { format!("{start}…") } else { start }
}

/// A value's type in words.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
