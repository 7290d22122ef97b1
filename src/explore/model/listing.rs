//! The form of a list, as its body shows it: the rooms as an array, each with a name and a number (LIST-1 to LIST-3).

use serde_json::Value;

use super::outcome::UNSEEN;
use crate::explore::action::Answer;
use crate::reading::Findings;

/// Which requirement the body of a list breaks, and how; none for one that was too long to be kept.
pub fn broken(answer: &Answer, findings: &Findings) -> Option<(&'static str, String)> {
    if answer.status == 0 || answer.status >= 500 || answer.body == UNSEEN {
        return None;
    }
    let Ok(body) = serde_json::from_str::<Value>(&answer.body) else {
        return answer.rooms.is_none().then(|| ("LIST-1", "the list is not JSON".to_owned()));
    };
    let keys = named(findings, "R-LIST", &["room_list", "rooms"]);
    let Some(entries) = keys.iter().find_map(|key| body.get(key)?.as_array()) else {
        return Some(("LIST-1", format!("the list is no array in the field {}", keys.join(" or "))));
    };
    let keys = named(findings, "R-ENTRY", &["room_name", "name"]);
    for entry in entries {
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

    fn check(body: &str, expected: Option<&str>) {
        let answer = Answer { status: 200, body: body.to_owned(), ..Answer::default() };
        assert_eq!(broken(&answer, &Findings::default()).map(|(proves, _)| proves), expected, "{body}");
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
}
