//! Where two values differ, marked character by character.

use maud::{Markup, PreEscaped, html};
use similar::{ChangeTag, TextDiff};

use super::text::{push_visible, visible};

/// Above this many characters only the ends that are alike are looked for, since a full comparison takes the square of it.
const LONGEST: usize = 2_000;

/// Below this share of what is alike, marks inside the values would be confetti: they differ as a whole.
const ALIKE: f32 = 0.5;

/// Fewer characters than this that are alike between two that aren't are so by chance.
const SPECK: usize = 3;

/// The two values, each with what the other doesn't have in a `mark` element.
pub fn apart(expected: &str, actual: &str) -> (Markup, Markup) {
    if expected.chars().count().max(actual.chars().count()) > LONGEST {
        return between_the_ends(expected, actual);
    }
    let diff = TextDiff::from_chars(expected, actual);
    if diff.ratio() < ALIKE {
        return between_the_ends(expected, actual);
    }
    let side = |left_out: ChangeTag| {
        let mut parts: Vec<(String, bool)> = Vec::new();
        for change in diff.iter_all_changes().filter(|change| change.tag() != left_out) {
            let is_mark = change.tag() != ChangeTag::Equal;
            match parts.last_mut() {
                Some((part, of)) if *of == is_mark => part.push_str(change.value()),
                _ => parts.push((change.value().to_owned(), is_mark)),
            }
        }
        let last = parts.len().saturating_sub(1);
        let mut marked = Marked::default();
        for (at, (part, is_mark)) in parts.iter().enumerate() {
            let speck = at > 0 && at < last && part.chars().count() < SPECK;
            marked.push(part, *is_mark || speck);
        }
        marked.finish()
    };
    (side(ChangeTag::Insert), side(ChangeTag::Delete))
}

/// A text with those parts marked that are named; a part that doesn't stand in it exactly once isn't.
pub fn marked(text: &str, parts: &[&str]) -> Markup {
    let mut places: Vec<(usize, usize)> = parts
        .iter()
        .filter(|part| !part.is_empty() && text.matches(**part).count() == 1)
        .filter_map(|part| text.find(part).map(|at| (at, at + part.len())))
        .collect();
    places.sort_unstable();
    let mut out = Marked::default();
    let mut done = 0;
    for (start, end) in places.into_iter().filter(|(start, end)| end > start) {
        if start >= done {
            out.push(&text[done..start], false);
            out.push(&text[start..end], true);
            done = end;
        }
    }
    out.push(&text[done..], false);
    out.finish()
}

fn between_the_ends(expected: &str, actual: &str) -> (Markup, Markup) {
    let start: usize = expected.chars().zip(actual.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    let (expected_rest, actual_rest) = (&expected[start..], &actual[start..]);
    let end: usize =
        expected_rest.chars().rev().zip(actual_rest.chars().rev()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    let side = |text: &str| {
        let (middle, end) = text[start..].split_at(text.len() - start - end);
        html! { (visible(&text[..start])) @if !middle.is_empty() { mark { (visible(middle)) } } (visible(end)) }
    };
    (side(expected), side(actual))
}

/// Markup that grows by parts, neighbours of one kind put together.
#[derive(Default)]
struct Marked {
    markup: String,
    part: String,
    is_mark: bool,
}

impl Marked {
    fn push(&mut self, part: &str, is_mark: bool) {
        if is_mark != self.is_mark {
            self.flush();
            self.is_mark = is_mark;
        }
        self.part.push_str(part);
    }

    fn flush(&mut self) {
        if self.part.is_empty() {
            return;
        }
        if self.is_mark {
            self.markup.push_str("<mark>");
        }
        push_visible(&self.part, &mut self.markup);
        if self.is_mark {
            self.markup.push_str("</mark>");
        }
        self.part.clear();
    }

    fn finish(mut self) -> Markup {
        self.flush();
        PreEscaped(self.markup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &str, actual: &str, shown: (&str, &str)) {
        let (left, right) = apart(expected, actual);
        assert_eq!((left.into_string().as_str(), right.into_string().as_str()), shown);
    }

    #[test]
    fn what_differs_is_marked_within_values_that_are_alike() {
        check("\"chat room\"", "\"chatroom\"", ("\"chat<mark> </mark>room\"", "\"chatroom\""));
        check("\"from the first\"", "\"from the third\"", ("\"from the <mark>first</mark>\"", "\"from the <mark>third</mark>\""));
        check("聊天室一", "聊天室二", ("聊天室<mark>一</mark>", "聊天室<mark>二</mark>"));
    }

    #[test]
    fn values_with_little_in_common_differ_as_a_whole() {
        check("\"create\"", "\"join\"", ("\"<mark>create</mark>\"", "\"<mark>join</mark>\""));
        check("<b>", "nothing", ("<mark>&lt;b&gt;</mark>", "<mark>nothing</mark>"));
    }

    #[test]
    fn a_very_long_value_is_compared_at_its_ends() {
        let (long, other) = (format!("a{}z", "x".repeat(70_000)), format!("a{}z", "y".repeat(70_000)));
        let (left, _) = apart(&long, &other);
        assert!(left.into_string().starts_with("a<mark>xxx"));
        check(&long, &long, (&long, &long));
    }

    #[test]
    fn a_part_is_marked_where_it_is_certain_which_is_meant() {
        assert_eq!(marked("{\"a\":1,\"b\":22}", &["22"]).into_string(), "{\"a\":1,\"b\":<mark>22</mark>}");
        assert_eq!(marked("22 and 22", &["22"]).into_string(), "22 and 22");
        assert_eq!(marked("ab", &["a", "ab", ""]).into_string(), "<mark>a</mark>b");
    }
}
