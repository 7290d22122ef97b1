//! The parameters of an HTTP request, in any of the four ways in which R-PARAMS lets them come.

use crate::reading::{Params, Readings, StatusType};
use axum::http::Method;
use serde_json::Value;

/// The methods that the reading allows, as the header `Allow` lists them.
#[must_use]
pub fn allowed(params: Params) -> &'static str {
    match params {
        Params::Any => "GET, HEAD, POST",
        Params::GetQuery => "GET, HEAD",
        Params::PostQuery | Params::PostForm | Params::PostJson => "POST",
    }
}

/// Whether the reading allows the method at all.
#[must_use]
pub fn allows(params: Params, method: &Method) -> bool {
    allowed(params).split(", ").any(|allowed| allowed == method.as_str())
}

/// The parameters of one request. Those in the body come before those in the query.
#[derive(Debug)]
pub struct Parameters {
    texts: Vec<(String, String)>,
}

impl Parameters {
    /// Reads them where the reading says that they are; elsewhere they count as missing. Nothing in here fails: what
    /// can't be read is missing.
    #[must_use]
    pub fn read(readings: &Readings, method: &Method, query: &str, content_type: &str, body: &[u8]) -> Self {
        let params = readings.params;
        let posts = method == Method::POST;
        let mut texts = Vec::new();
        if posts && is_json(content_type) && matches!(params, Params::Any | Params::PostJson) {
            texts.extend(json_texts(body, readings.status_type));
        }
        if posts && is_form(content_type) && matches!(params, Params::Any | Params::PostForm) {
            texts.extend(form_urlencoded::parse(body).into_owned());
        }
        if !posts || matches!(params, Params::Any | Params::PostQuery) {
            texts.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
        }
        Self { texts }
    }

    /// The parameter's text, empty if it is missing. Of several the first counts.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.texts.iter().find(|(key, _)| key == name).map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

fn is_json(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    media_type == "application/json" || media_type.ends_with("+json")
}

fn is_form(content_type: &str) -> bool {
    media_type(content_type) == "application/x-www-form-urlencoded"
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn json_texts(body: &[u8], status_type: StatusType) -> Vec<(String, String)> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Vec::new();
    };
    let text = |name: &str, value| match value {
        Value::String(_) if name == "status" && status_type == StatusType::Number => Some("not a number".to_owned()),
        Value::Number(_) if name == "status" && status_type == StatusType::String => Some("not a string".to_owned()),
        Value::Number(number) if name == "status" => Some(number.to_string()),
        Value::String(text) => Some(text),
        _ => None,
    };
    fields.into_iter().filter_map(|(name, value)| text(&name, value).map(|text| (name, text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pinned: &[(&str, &str)], method: &Method, query: &str, body: (&str, &str), expected: &str) {
        let mut readings = Readings::default();
        for (id, value) in pinned {
            readings.pin(id, value).unwrap();
        }
        let parameters = Parameters::read(&readings, method, query, body.0, body.1.as_bytes());
        let room_and_status = format!("{}|{}", parameters.text("room_name"), parameters.text("status"));
        assert_eq!(room_and_status, expected, "{pinned:?} {method} {query} {body:?}");
    }

    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

    #[test]
    fn all_four_ways_are_read() {
        check(&[], &Method::GET, "room_name=a%26b+c&status=1", ("", ""), "a&b c|1");
        check(&[], &Method::POST, "room_name=%E8%81%8A&status=1", ("", ""), "聊|1");
        check(&[], &Method::POST, "", (FORM, "room_name=a%3D&status=0"), "a=|0");
        check(&[], &Method::POST, "", ("application/json", r#"{"room_name":"a","status":1}"#), "a|1");
        check(&[], &Method::POST, "room_name=query", (FORM, "room_name=form&status=0"), "form|0");
    }

    #[test]
    fn what_cannot_be_read_is_missing() {
        check(&[], &Method::GET, "room_name=%zz&status", ("", ""), "%zz|");
        check(&[], &Method::POST, "", ("application/json", "[1"), "|");
        check(&[], &Method::POST, "", ("application/json", r#"{"room_name":1,"status":true}"#), "|");
        check(&[], &Method::POST, "", ("text/plain", "room_name=a"), "|");
    }

    #[test]
    fn a_pinned_way_is_the_only_one() {
        let form = (FORM, "room_name=a");
        check(&[("R-PARAMS", "post-query")], &Method::POST, "", form, "|");
        check(&[("R-PARAMS", "post-form")], &Method::POST, "status=1", form, "a|");
        assert!(!allows(Params::PostForm, &Method::GET));
        assert!(!allows(Params::GetQuery, &Method::POST));
        assert!(!allows(Params::Any, &Method::PUT));
    }

    #[test]
    fn the_status_is_a_number_or_a_string_as_pinned() {
        let number = ("application/json", r#"{"status":0}"#);
        let string = ("application/json", r#"{"status":"0"}"#);
        check(&[], &Method::POST, "", number, "|0");
        check(&[], &Method::POST, "", string, "|0");
        check(&[("R-STATUS-TYPE", "number")], &Method::POST, "", string, "|not a number");
        check(&[("R-STATUS-TYPE", "string")], &Method::POST, "", number, "|not a string");
    }
}
