//! Templates: values with references in them, such as `$lobby`, `"${ann} says hi"` or `{$repeat: {text: x, times: 65536}}`.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

use super::source::{Diagnostics, Span, suggest};
use super::yaml::{Kind, Node};

/// What a name in a template stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A name of the scenario or a capture.
    Variable,
    /// A reading: where several of its values hold, an expectation must hold for each.
    Reading,
    Fact,
}

/// A name in a template, with its place.
#[derive(Clone, Debug)]
pub struct Reference {
    pub name: String,
    pub meaning: Meaning,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Template {
    Value(Value),
    Reference(Reference),
    /// Texts and references, put together.
    Text(Vec<Template>),
    List(Vec<Template>),
    Map(Vec<(Template, Template)>),
    Repeat {
        text: Box<Template>,
        times: Box<Template>,
    },
    Add(Vec<Template>),
    /// The JSON text of a value, in one line.
    Json(Box<Template>),
}

/// A name that has no value when it is needed: a reading that could not be found out, a capture of a step left out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{0}` has no value here")]
pub struct Unbound(pub String);

/// Gives names their values.
pub trait Scope {
    fn value(&self, reference: &Reference) -> Option<Value>;
}

/// Which names a template may use; filled while steps are lowered in their order.
pub trait Symbols {
    fn meaning(&self, name: &str) -> Option<Meaning>;
    fn known(&self) -> Vec<String>;
}

/// The operators of templates: a map with exactly one of these keys.
pub const OPERATORS: [&str; 4] = ["$repeat", "$add", "$json", "$join"];

impl Template {
    /// Reads a template out of a file's value; what is wrong is reported, and reads as null.
    pub fn lower(node: &Node, symbols: &dyn Symbols, diagnostics: &Diagnostics) -> Template {
        let again = |node: &Node| Template::lower(node, symbols, diagnostics);
        match &node.kind {
            Kind::Null => Template::Value(Value::Null),
            Kind::Bool(value) => Template::Value(Value::Bool(*value)),
            Kind::Int(value) => Template::Value(Value::from(*value)),
            Kind::Float(value) => Template::Value(Number::from_f64(*value).map_or(Value::Null, Value::Number)),
            Kind::Text(text) => lower_text(text, &node.span, symbols, diagnostics),
            Kind::List(items) => Template::List(items.iter().map(again).collect()),
            Kind::Map(pairs) => {
                if let [(key, value)] = pairs.as_slice()
                    && key.value.starts_with('$')
                    && OPERATORS.contains(&key.value.as_str())
                {
                    return lower_operator(&key.value, value, symbols, diagnostics);
                }
                let pairs =
                    pairs.iter().map(|(key, value)| (lower_text(&key.value, &key.span, symbols, diagnostics), again(value))).collect();
                Template::Map(pairs)
            }
        }
    }

    /// The value, with every name replaced.
    ///
    /// # Errors
    /// The first name that has no value.
    pub fn render(&self, scope: &dyn Scope) -> Result<Value, Unbound> {
        Ok(match self {
            Template::Value(value) => value.clone(),
            Template::Reference(reference) => scope.value(reference).ok_or_else(|| Unbound(reference.name.clone()))?,
            Template::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    text.push_str(&as_text(&piece.render(scope)?));
                }
                Value::String(text)
            }
            Template::List(items) => Value::Array(items.iter().map(|item| item.render(scope)).collect::<Result<_, _>>()?),
            Template::Map(pairs) => {
                let mut map = Map::new();
                for (key, value) in pairs {
                    map.insert(as_text(&key.render(scope)?), value.render(scope)?);
                }
                Value::Object(map)
            }
            Template::Repeat { text, times } => {
                let times = times.render(scope)?.as_u64().unwrap_or(0);
                Value::String(as_text(&text.render(scope)?).repeat(usize::try_from(times).unwrap_or(0)))
            }
            Template::Add(items) => {
                let mut sum = 0;
                for item in items {
                    sum += item.render(scope)?.as_i64().unwrap_or(0);
                }
                Value::from(sum)
            }
            Template::Json(value) => Value::String(value.render(scope)?.to_string()),
        })
    }

    /// The text that the template renders to; other values read as their JSON.
    ///
    /// # Errors
    /// The first name that has no value.
    pub fn render_text(&self, scope: &dyn Scope) -> Result<String, Unbound> {
        self.render(scope).map(|value| as_text(&value))
    }

    /// Adds the readings that the template names.
    pub fn readings(&self, into: &mut BTreeSet<String>) {
        match self {
            Template::Value(_) => {}
            Template::Reference(reference) => {
                if reference.meaning == Meaning::Reading {
                    into.insert(reference.name.clone());
                }
            }
            Template::Text(items) | Template::List(items) | Template::Add(items) => {
                items.iter().for_each(|item| item.readings(into));
            }
            Template::Map(pairs) => pairs.iter().for_each(|(key, value)| {
                key.readings(into);
                value.readings(into);
            }),
            Template::Repeat { text, times } => {
                text.readings(into);
                times.readings(into);
            }
            Template::Json(value) => value.readings(into),
        }
    }
}

/// A value as it stands in a text: a string itself, anything else as its JSON.
pub fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn lower_operator(operator: &str, argument: &Node, symbols: &dyn Symbols, diagnostics: &Diagnostics) -> Template {
    let again = |node: &Node| Template::lower(node, symbols, diagnostics);
    let items = |argument: &Node| match &argument.kind {
        Kind::List(items) => items.iter().map(again).collect(),
        _ => {
            diagnostics.error(&argument.span, format!("`{operator}` takes a list"));
            Vec::new()
        }
    };
    match operator {
        "$repeat" => match (argument.get("text"), argument.get("times")) {
            (Some(text), Some(times)) => Template::Repeat { text: Box::new(again(text)), times: Box::new(again(times)) },
            _ => {
                diagnostics.error(&argument.span, "`$repeat` takes `{text: …, times: …}`");
                Template::Value(Value::Null)
            }
        },
        "$add" => Template::Add(items(argument)),
        "$join" => Template::Text(items(argument)),
        _ => Template::Json(Box::new(again(argument))),
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// `$name` alone is the value itself; `${name}` stands within a text; `$$` is a dollar sign.
fn lower_text(text: &str, span: &Span, symbols: &dyn Symbols, diagnostics: &Diagnostics) -> Template {
    if let Some(name) = text.strip_prefix('$')
        && !name.is_empty()
        && name.chars().all(is_name)
    {
        return reference(name, span, symbols, diagnostics);
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        literal.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            literal.push('$');
            rest = after;
        } else if let Some(end) = rest.starts_with('{').then(|| rest.find('}')).flatten() {
            if !literal.is_empty() {
                pieces.push(Template::Value(Value::String(std::mem::take(&mut literal))));
            }
            pieces.push(reference(&rest[1..end], span, symbols, diagnostics));
            rest = &rest[end + 1..];
        } else {
            diagnostics.error(span, "a lone `$` in a text: write `${name}` for a name, `$$` for a dollar sign");
        }
    }
    literal.push_str(rest);
    if pieces.is_empty() {
        return Template::Value(Value::String(literal));
    }
    if !literal.is_empty() {
        pieces.push(Template::Value(Value::String(literal)));
    }
    Template::Text(pieces)
}

fn reference(name: &str, span: &Span, symbols: &dyn Symbols, diagnostics: &Diagnostics) -> Template {
    let meaning = symbols.meaning(name).unwrap_or_else(|| {
        let known = symbols.known();
        diagnostics.push(
            super::source::Diagnostic::new(span, format!("nothing is called `{name}` here"))
                .help(suggest(name, known.iter().map(String::as_str))),
        );
        Meaning::Variable
    });
    Template::Reference(Reference { name: name.to_owned(), meaning, span: span.clone() })
}
