//! The form of a list, as its body shows it: the rooms as an array, each with a name and a number (LIST-1 to LIST-3).

use serde_json::Value;

use super::outcome::UNSEEN;
use crate::explore::action::Answer;
use crate::reading::Findings;

/// The names under which a body holds an array of rooms.
pub fn names(body: &str) -> Vec<&'static str> {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    ["room_list", "rooms"].into_iter().filter(|name| body.get(name).is_some_and(Value::is_array)).collect()
}

/// Which requirement the body of a list breaks, and how; none for one that was too long to be kept.
pub fn broken(answer: &Answer, findings: &Findings) -> Option<(&'static str, String)> {
    if answer.status == 0 || answer.status >= 500 || answer.body == UNSEEN {
        return None;
    }
    if answer.rooms.is_some() && answer.body.is_empty() {
        return None;
    }
    let Ok(body) = serde_json::from_str::<Value>(&answer.body) else {
        return Some(("LIST-1", "the list is not JSON".to_owned()));
    };
    let keys = named(findings, "R-LIST", &["room_list", "rooms"]);
    let arrays = || keys.iter().filter_map(|key| body.get(key)?.as_array());
    // A target that was found to use both names must go on doing so.
    let expected = if findings.held("R-LIST").is_empty() { 1 } else { keys.len() };
    if arrays().count() < expected {
        return Some(("LIST-1", format!("the list is no array in the field {}", keys.join(if expected > 1 { " and " } else { " or " }))));
    }
    // The rooms could be read, so that there is nothing wrong with the trace's own.
    if answer.rooms.is_some() {
        return None;
    }
    let keys = named(findings, "R-ENTRY", &["room_name", "name"]);
    for entry in arrays().flatten() {
        if !keys.iter().any(|key| entry.get(key).is_some_and(Value::is_string)) {
            return Some(("LIST-2", format!("an entry of the list has no text in the field {}", keys.join(" or "))));
        }
        match entry.get("population") {
            Some(Value::Number(number)) if number.is_u64() => {}
            Some(other) => return Some(("LIST-3", format!("a population in the list is {other}"))),
            None => return Some(("LIST-3", "an entry of the list has no population".to_owned())),
        }
    }
    None
}

/// What a target was found to call a field; either name where that isn't known.
fn named(findings: &Findings, reading: &str, either: &[&str]) -> Vec<String> {
    match findings.held(reading) {
        [] => either.iter().map(|name| (*name).to_owned()).collect(),
        held => held.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Held;

    fn check(body: &str, expected: Option<&str>) {
        check_with(&Findings::default(), body, expected);
    }

    fn check_with(findings: &Findings, body: &str, expected: Option<&str>) {
        let answer = Answer { status: 200, body: body.to_owned(), ..Answer::default() };
        assert_eq!(broken(&answer, findings).map(|(proves, _)| proves), expected, "{body}");
    }

    #[test]
    fn a_list_is_an_array_in_an_object_and_each_entry_has_a_name_and_a_number() {
        check(r#"{"rooms":[{"name":"a","population":0}]}"#, None);
        check(r#"{"room_list":[],"x":1}"#, None);
        check(UNSEEN, None);
        for body in ["[]", "oops", r#"{"rooms":{"a":1}}"#, r#"{"room_list":null}"#] {
            check(body, Some("LIST-1"));
        }
        check(r#"{"rooms":[{"population":0}]}"#, Some("LIST-2"));
        check(r#"{"rooms":[{"name":5,"population":0}]}"#, Some("LIST-2"));
        for population in ["-1", "1.5", "\"1\"", "null"] {
            check(&format!(r#"{{"rooms":[{{"name":"a","population":{population}}}]}}"#), Some("LIST-3"));
        }
    }

    #[test]
    fn a_list_keeps_the_names_that_it_was_found_to_have() {
        let held = |values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            Findings { readings: [("R-LIST".to_owned(), Held::Found { values })].into(), ..Findings::default() }
        };
        check_with(&held(&["rooms"]), r#"{"rooms":[]}"#, None);
        check_with(&held(&["rooms"]), r#"{"room_list":[]}"#, Some("LIST-1"));
        check_with(&held(&["room_list", "rooms"]), r#"{"room_list":[]}"#, Some("LIST-1"));
    }
}
