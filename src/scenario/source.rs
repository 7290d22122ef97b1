//! Where things stand in files: sources, spans, and the diagnostics that point at them.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A scenario file's text, with the name that messages show for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// A place in a source: a range of bytes. Cheap to clone.
#[derive(Clone)]
pub struct Span {
    pub source: Arc<Source>,
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn whole(source: &Arc<Source>) -> Self {
        Self { source: source.clone(), start: 0, end: 0 }
    }

    /// Line and column, both counted from 1, the column in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        (line, column)
    }

    /// The line that the span starts in, without its indentation.
    pub fn line_text(&self) -> &str {
        let text = &self.source.text;
        let start = text[..self.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[self.start..].find('\n').map_or(text.len(), |at| self.start + at);
        text[start..end].trim()
    }

    /// The lines of what stands here: its first, and those that are indented more, up to a handful.
    pub fn excerpt(&self) -> String {
        const LINES: usize = 8;
        let text = &self.source.text;
        let start = text[..self.start].rfind('\n').map_or(0, |at| at + 1);
        let column = |line: &str| line.len() - line.trim_start().len();
        let mut lines = text[start..].lines();
        let first = lines.next().unwrap_or_default();
        let indentation = column(first);
        let mut shown = vec![first];
        for line in lines {
            if !line.trim().is_empty() && column(line) <= indentation {
                break;
            }
            if shown.len() == LINES {
                shown.push("    …");
                break;
            }
            shown.push(line);
        }
        let shown: Vec<&str> = shown.iter().map(|line| line.get(indentation..).unwrap_or(line.trim_start()).trim_end()).collect();
        shown.join("\n").trim_end().to_owned()
    }
}

/// `file:line:column`, as editors and terminals understand it.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Span {
    fn eq(&self, other: &Self) -> bool {
        self.start == other.start && self.end == other.end && self.source == other.source
    }
}

/// One thing that is wrong in a file: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn new(span: &Span, message: impl Into<String>) -> Self {
        Self { span: span.clone(), message: message.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The message with the excerpt of the file that it speaks of.
    pub fn render(&self, colour: bool) -> String {
        let text = &self.span.source.text;
        let start = floor_boundary(text, self.span.start);
        // A span of a whole block would underline the block; its first line says enough.
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_boundary(text, self.span.end.clamp(start, line_end.max(start)));
        let (line, column) = self.span.line_column();
        let title = format!("{}:{line}:{column}: {}", self.span.source.name, self.message);
        let snippet =
            Snippet::source(text.as_str()).path(self.span.source.name.as_str()).annotation(AnnotationKind::Primary.span(start..end));
        let mut group = Level::ERROR.primary_title(title).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Collects diagnostics, each once, so that a file's errors are shown all together.
#[derive(Debug, Default)]
pub struct Diagnostics(RefCell<Vec<Diagnostic>>);

impl Diagnostics {
    /// Adds a diagnostic, unless one is known for its place: the first says what is wrong, the others follow from it.
    pub fn push(&self, diagnostic: Diagnostic) {
        let mut all = self.0.borrow_mut();
        let follows = |known: &Diagnostic| known.span == diagnostic.span && known.span.start != known.span.end;
        if !all.contains(&diagnostic) && !all.iter().any(follows) {
            all.push(diagnostic);
        }
    }

    pub fn error(&self, span: &Span, message: impl Into<String>) {
        self.push(Diagnostic::new(span, message));
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// In the order of the files' names and places.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| (&a.span.source.name, a.span.start).cmp(&(&b.span.source.name, b.span.start)));
        all
    }
}

/// The valid name nearest to a misspelt one, if one is near enough to be meant.
pub fn nearest<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = wrong.to_lowercase();
    valid
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&folded, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().max(folded.chars().count()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// "did you mean …", or the list of what is valid where nothing is near.
pub fn suggest<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(wrong, valid.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            let mut names: Vec<&str> = valid.into_iter().collect();
            names.sort_unstable();
            if names.is_empty() {
                return "none is declared".to_owned();
            }
            let more = names.len().saturating_sub(40);
            names.truncate(40);
            let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            if more > 0 { format!("valid here: {list} and {more} more") } else { format!("valid here: {list}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_knows_its_line_and_column_in_characters() {
        let source = Arc::new(Source { name: "x.yaml".into(), text: "a: 1\n聊天: [b]\n".into() });
        let start = source.text.find("[b]").expect("it is there");
        let span = Span { source, start, end: start + 3 };
        assert_eq!(span.to_string(), "x.yaml:2:5");
        assert_eq!(span.line_text(), "聊天: [b]");
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("recieve", ["receive", "send"]), Some("receive"));
        assert_eq!(nearest("JOIN-33", ["JOIN-3", "MSG-1"]), Some("JOIN-3"));
        assert_eq!(nearest("zzzzzz", ["receive", "send"]), None);
    }
}
