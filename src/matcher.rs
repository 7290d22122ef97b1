//! Holds what was observed against what is expected: bindings for the steps that follow, or what differs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::scenario::pattern::{Comparison, Pattern, Type, describe, shorten, type_name};
use crate::scenario::template::{Reference, Scope, Template, Unbound, as_text};

/// Names that a pattern has captured, with their values.
pub type Bindings = Vec<(String, Value)>;

/// Where and how a value differs from what is expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The place within the value: `data.msg`, `rooms[2].name`; empty for the value itself.
    pub path: String,
    pub expected: String,
    pub actual: String,
}

/// All differences, and how many parts did agree: of two values that don't match, the one that agrees more was nearer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mismatch {
    pub differences: Vec<Difference>,
    pub agreements: usize,
}

impl Mismatch {
    pub fn single(path: &str, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Self { differences: vec![Difference { path: path.to_owned(), expected: expected.into(), actual: actual.into() }], agreements: 0 }
    }
}

/// Matches a value; `None` stands for a key that isn't there.
///
/// # Errors
/// A name in the pattern that has no value.
pub fn matches(pattern: &Pattern, actual: Option<&Value>, scope: &dyn Scope) -> Result<Result<Bindings, Mismatch>, Unbound> {
    let mut matching = Matching { scope, bindings: Vec::new(), mismatch: Mismatch::default() };
    matching.judge(pattern, actual, "")?;
    Ok(if matching.mismatch.differences.is_empty() { Ok(matching.bindings) } else { Err(matching.mismatch) })
}

struct Matching<'a> {
    scope: &'a dyn Scope,
    bindings: Bindings,
    mismatch: Mismatch,
}

/// A name captured earlier in the same pattern is already known to its later parts.
impl Scope for Matching<'_> {
    fn value(&self, reference: &Reference) -> Option<Value> {
        let captured = self.bindings.iter().rev().find(|(name, _)| *name == reference.name);
        captured.map(|(_, value)| value.clone()).or_else(|| self.scope.value(reference))
    }
}

impl Matching<'_> {
    fn differ(&mut self, path: &str, expected: String, actual: Option<&Value>) {
        let actual = actual.map_or("nothing there".to_owned(), |value| shorten(&value.to_string()));
        self.mismatch.differences.push(Difference { path: path.to_owned(), expected, actual });
    }

    /// Whether the pattern would match, leaving no trace unless it does.
    fn attempt(&mut self, pattern: &Pattern, actual: Option<&Value>, path: &str) -> Result<bool, Unbound> {
        let mut trial = Matching { scope: self, bindings: Vec::new(), mismatch: Mismatch::default() };
        trial.judge(pattern, actual, path)?;
        let (bindings, matched) = (trial.bindings, trial.mismatch.differences.is_empty());
        if matched {
            self.bindings.extend(bindings);
        }
        Ok(matched)
    }

    fn judge(&mut self, pattern: &Pattern, actual: Option<&Value>, path: &str) -> Result<(), Unbound> {
        let before = self.mismatch.differences.len();
        self.dispatch(pattern, actual, path)?;
        if self.mismatch.differences.len() == before {
            self.mismatch.agreements += 1;
        }
        Ok(())
    }

    fn dispatch(&mut self, pattern: &Pattern, actual: Option<&Value>, path: &str) -> Result<(), Unbound> {
        match pattern {
            Pattern::Absent => {
                if actual.is_some() {
                    self.differ(path, describe(pattern, self.scope), actual);
                }
                return Ok(());
            }
            Pattern::OneOf(items) => {
                for item in items {
                    if self.attempt(item, actual, path)? {
                        return Ok(());
                    }
                }
                self.differ(path, describe(pattern, self.scope), actual);
                return Ok(());
            }
            Pattern::Not(inner) => {
                let mut trial = Matching { scope: self, bindings: Vec::new(), mismatch: Mismatch::default() };
                trial.judge(inner, actual, path)?;
                if trial.mismatch.differences.is_empty() {
                    self.differ(path, describe(pattern, self.scope), actual);
                }
                return Ok(());
            }
            Pattern::All(items) => {
                for item in items {
                    self.judge(item, actual, path)?;
                }
                return Ok(());
            }
            _ => {}
        }
        let Some(actual) = actual else {
            self.differ(path, describe(pattern, self.scope), None);
            return Ok(());
        };
        self.present(pattern, actual, path)
    }

    fn present(&mut self, pattern: &Pattern, actual: &Value, path: &str) -> Result<(), Unbound> {
        let fits = match pattern {
            Pattern::Equals(template) => {
                let expected = template.render(self)?;
                if same(&expected, actual) {
                    true
                } else {
                    self.differ(path, describe_text(&expected, actual), Some(actual));
                    return Ok(());
                }
            }
            Pattern::Is(kind) => match kind {
                Type::Text => actual.is_string(),
                Type::NonEmptyText => actual.as_str().is_some_and(|text| !text.is_empty()),
                Type::Integer => actual.is_i64() || actual.is_u64(),
                Type::Number => actual.is_number(),
                Type::Boolean => actual.is_boolean(),
                Type::Object => actual.is_object(),
                Type::List => actual.is_array(),
                Type::Null => actual.is_null(),
            },
            Pattern::Regex(regex) => actual.as_str().is_some_and(|text| regex.is_match(text)),
            Pattern::HasText(template) => {
                let part = template.render_text(self)?;
                actual.as_str().is_some_and(|text| text.contains(&part))
            }
            Pattern::Compare { how, with } => {
                let bound = with.render(self)?.as_f64();
                match (actual.as_f64(), bound) {
                    (Some(actual), Some(bound)) => match how {
                        Comparison::AtLeast => actual >= bound,
                        Comparison::AtMost => actual <= bound,
                        Comparison::Below => actual < bound,
                        Comparison::Above => actual > bound,
                    },
                    _ => false,
                }
            }
            Pattern::Capture { name, pattern } => {
                self.judge(pattern, Some(actual), path)?;
                self.bindings.push((name.clone(), actual.clone()));
                return Ok(());
            }
            Pattern::Object { fields, exact } => return self.object(fields, *exact, actual, path),
            Pattern::List(items) => return self.list(items, actual, path),
            Pattern::AnyOrder(items) => return self.any_order(pattern, items, actual, path),
            Pattern::Contains { pattern: inner, times } => return self.contains(pattern, inner, times.as_ref(), actual, path),
            Pattern::Each(inner) => {
                let Some(items) = actual.as_array() else {
                    self.differ(path, describe(pattern, self.scope), Some(actual));
                    return Ok(());
                };
                for (index, item) in items.iter().enumerate() {
                    self.judge(inner, Some(item), &format!("{path}[{index}]"))?;
                }
                return Ok(());
            }
            Pattern::Length(inner) => {
                let length = match actual {
                    Value::String(text) => text.chars().count(),
                    Value::Array(items) => items.len(),
                    _ => {
                        self.differ(path, describe(pattern, self.scope), Some(actual));
                        return Ok(());
                    }
                };
                return self.judge(inner, Some(&Value::from(length)), &format!("length of {path}"));
            }
            Pattern::Any => true,
            Pattern::Absent | Pattern::OneOf(_) | Pattern::Not(_) | Pattern::All(_) => true,
        };
        if !fits {
            let expected = describe(pattern, self.scope);
            self.differ(path, expected, Some(actual));
        }
        Ok(())
    }

    fn object(&mut self, fields: &[(Template, Pattern)], exact: bool, actual: &Value, path: &str) -> Result<(), Unbound> {
        let Some(map) = actual.as_object() else {
            let expected = if fields.is_empty() { "an object".to_owned() } else { format!("an object with {}", self.keys(fields)?) };
            let shown = format!("{}: {}", type_name(actual), shorten(&actual.to_string()));
            self.mismatch.differences.push(Difference { path: path.to_owned(), expected, actual: shown });
            return Ok(());
        };
        let mut keys = Vec::new();
        for (key, pattern) in fields {
            let key = key.render_text(self)?;
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.judge(pattern, map.get(&key), &inner)?;
            keys.push(key);
        }
        if exact {
            for (key, value) in map {
                if !keys.contains(key) {
                    let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.differ(&inner, "no such key".to_owned(), Some(value));
                }
            }
        }
        Ok(())
    }

    fn keys(&self, fields: &[(Template, Pattern)]) -> Result<String, Unbound> {
        let names = fields.iter().map(|(key, _)| key.render_text(self).map(|key| format!("`{key}`"))).collect::<Result<Vec<_>, _>>()?;
        Ok(names.join(", "))
    }

    fn list(&mut self, patterns: &[Pattern], actual: &Value, path: &str) -> Result<(), Unbound> {
        let items = actual.as_array().filter(|items| items.len() == patterns.len());
        let Some(items) = items else {
            let expected = format!("an array of {}", patterns.len());
            self.differ(path, expected, Some(actual));
            return Ok(());
        };
        for (index, (pattern, item)) in patterns.iter().zip(items).enumerate() {
            self.judge(pattern, Some(item), &format!("{path}[{index}]"))?;
        }
        Ok(())
    }

    fn any_order(&mut self, whole: &Pattern, patterns: &[Pattern], actual: &Value, path: &str) -> Result<(), Unbound> {
        let mut left: Vec<&Value> = actual.as_array().map(|items| items.iter().collect()).unwrap_or_default();
        let mut fits = actual.is_array() && left.len() == patterns.len();
        for pattern in patterns {
            let mut found = None;
            for (index, item) in left.iter().enumerate() {
                if self.attempt(pattern, Some(item), path)? {
                    found = Some(index);
                    break;
                }
            }
            match found {
                Some(index) => {
                    left.remove(index);
                }
                None => fits = false,
            }
        }
        if !fits {
            let expected = describe(whole, self.scope);
            self.differ(path, expected, Some(actual));
        }
        Ok(())
    }

    /// The fields of which a pattern knows the value beforehand.
    fn known_fields(&self, pattern: &Pattern) -> Result<Vec<(String, Value)>, Unbound> {
        let Pattern::Object { fields, .. } = pattern else {
            return Ok(Vec::new());
        };
        let known = fields.iter().filter_map(|(key, pattern)| match pattern {
            Pattern::Equals(template) => Some((key, template)),
            _ => None,
        });
        known.map(|(key, template)| Ok((key.render_text(self)?, template.render(self)?))).collect()
    }

    fn contains(&mut self, whole: &Pattern, inner: &Pattern, times: Option<&Template>, actual: &Value, path: &str) -> Result<(), Unbound> {
        let Some(items) = actual.as_array() else {
            let expected = describe(whole, self.scope);
            self.differ(path, expected, Some(actual));
            return Ok(());
        };
        let known = self.known_fields(inner)?;
        let mut count = 0;
        let mut closest: Option<Mismatch> = None;
        let mut most = 0;
        for (index, item) in items.iter().enumerate() {
            // A list may be long; only an item that agrees more than those before it is worth a closer look.
            let agreeing = known.iter().filter(|(key, value)| item.get(key).is_some_and(|actual| same(value, actual))).count();
            if agreeing < known.len() && agreeing <= most && closest.is_some() {
                continue;
            }
            most = most.max(agreeing);
            let mut trial = Matching { scope: self, bindings: Vec::new(), mismatch: Mismatch::default() };
            trial.judge(inner, Some(item), &format!("{path}[{index}]"))?;
            let (bindings, mismatch) = (trial.bindings, trial.mismatch);
            if mismatch.differences.is_empty() {
                count += 1;
                self.bindings.extend(bindings);
            } else if closest.as_ref().is_none_or(|best| mismatch.agreements > best.agreements) {
                closest = Some(mismatch);
            }
        }
        let wanted = match times {
            Some(times) => times.render(self)?.as_u64(),
            None => None,
        };
        let fits = wanted.map_or(count > 0, |wanted| count == wanted);
        if fits {
            return Ok(());
        }
        match closest {
            // One item agrees in part: what differs in it says more than the whole list.
            Some(mismatch) if count == 0 && mismatch.agreements > 0 => self.mismatch.differences.extend(mismatch.differences),
            _ => {
                let expected = describe(whole, self.scope);
                let found = format!("{count} such among {}", items.len());
                self.mismatch.differences.push(Difference { path: path.to_owned(), expected, actual: found });
            }
        }
        Ok(())
    }
}

/// Equal as JSON values; 1 and 1.0 are one number.
fn same(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => expected == actual,
    }
}

/// The expected value; for long texts, where the actual one first departs from it.
fn describe_text(expected: &Value, actual: &Value) -> String {
    let shown = shorten(&expected.to_string());
    let (Some(a), Some(b)) = (expected.as_str(), actual.as_str()) else {
        return shown;
    };
    if a.chars().count() < 60 {
        return shown;
    }
    let at = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    format!("{shown} ({} characters; they part at character {})", a.chars().count(), at + 1)
}

/// A value as a text, for messages.
pub fn show(value: &Value) -> String {
    shorten(&as_text(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::source::{Diagnostics, Source};
    use crate::scenario::template::{Meaning, Symbols};
    use crate::scenario::yaml;
    use serde_json::json;
    use std::sync::Arc;

    struct World;
    impl Scope for World {
        fn value(&self, reference: &Reference) -> Option<Value> {
            (reference.name == "ann").then(|| json!("ann-7"))
        }
    }
    impl Symbols for World {
        fn meaning(&self, name: &str) -> Option<Meaning> {
            (name == "ann" || name == "n").then_some(Meaning::Variable)
        }
        fn known(&self) -> Vec<String> {
            vec!["ann".into()]
        }
    }

    /// Matches `actual` against a pattern in YAML: the differences as `path: expected / actual`, or the bindings.
    fn check(pattern: &str, actual: Value) -> Vec<String> {
        let source = Arc::new(Source { name: "p".into(), text: pattern.into() });
        let node = yaml::parse(&source).expect("YAML");
        let diagnostics = Diagnostics::default();
        let pattern = Pattern::lower(&node, &World, &mut Vec::new(), &diagnostics);
        assert!(diagnostics.is_empty(), "{:?}", diagnostics.into_sorted());
        match matches(&pattern, Some(&actual), &World).expect("bound") {
            Ok(bindings) => bindings.into_iter().map(|(name, value)| format!("{name}={value}")).collect(),
            Err(mismatch) => mismatch.differences.into_iter().map(|d| format!("{}: {} / {}", d.path, d.expected, d.actual)).collect(),
        }
    }

    const MATCHED: [&str; 0] = [];

    #[test]
    fn an_object_matches_with_more_keys_unless_it_must_be_exact() {
        assert_eq!(check("{a: 1}", json!({"a": 1, "b": 2})), MATCHED);
        assert_eq!(check("{$exact: {a: 1}}", json!({"a": 1, "b": 2})), ["b: no such key / 2"]);
        assert_eq!(check("{a: {b: $absent}}", json!({"a": {}})), MATCHED);
        assert_eq!(check("{a: {b: $absent}}", json!({"a": {"b": null}})), ["a.b: no such key / null"]);
    }

    #[test]
    fn every_difference_is_told_with_its_path() {
        assert_eq!(
            check("{type: user, data: {user_name: $ann, msg: join}}", json!({"type": "user", "data": {"user_name": "bob", "msg": 3}})),
            [r#"data.user_name: "ann-7" / "bob""#, r#"data.msg: "join" / 3"#]
        );
        assert_eq!(check("{data: {a: 1}}", json!({"data": null})), ["data: an object with `a` / null: null"]);
    }

    #[test]
    fn types_texts_and_numbers() {
        assert_eq!(check("$integer", json!(1.5)), [": an integer / 1.5"]);
        assert_eq!(check("$integer", json!("1")), [r#": an integer / "1""#]);
        assert_eq!(check("1", json!(1.0)), MATCHED);
        assert_eq!(check("'1'", json!(1)), [r#": "1" / 1"#]);
        assert_eq!(check("$non-empty", json!("")), [r#": a string that isn't empty / """#]);
        assert_eq!(check("{$regex: '^a+$'}", json!("aab")), [r#": a text that matches /^a+$/ / "aab""#]);
        assert_eq!(check("{$all: [{$at-least: 2}, {$below: 4}]}", json!(3)), MATCHED);
        assert_eq!(check("{$length: 3}", json!("聊天室")), MATCHED);
    }

    #[test]
    fn lists_in_order_in_any_order_and_by_content() {
        assert_eq!(check("[1, 2]", json!([1, 2])), MATCHED);
        assert_eq!(check("[1, 2]", json!([2, 1])), ["[0]: 1 / 2", "[1]: 2 / 1"]);
        assert_eq!(check("{$any-order: [1, 2]}", json!([2, 1])), MATCHED);
        assert_eq!(check("{$any-order: [1, 2]}", json!([2, 2])), [": [1, 2] in any order / [2,2]"]);
        assert_eq!(check("{$contains: {n: a, p: {$capture: n}}, times: 1}", json!([{"n": "b"}, {"n": "a", "p": 4}])), ["n=4"]);
        assert_eq!(
            check("{$contains: {n: a}, times: 1}", json!([{"n": "a"}, {"n": "a"}])),
            [r#": an array holding 1 time(s) {"n": "a"} / 2 such among 2"#]
        );
        assert_eq!(check("{$contains: {n: a}, times: 0}", json!([{"n": "b"}])), MATCHED);
        assert_eq!(check("{$each: $string}", json!(["a", 1])), ["[1]: a string / 1"]);
    }

    #[test]
    fn of_the_items_that_do_not_match_the_nearest_one_is_explained() {
        assert_eq!(check("{$contains: {n: a, p: 1}}", json!([{"n": "b", "p": 0}, {"n": "a", "p": 2}])), ["[1].p: 1 / 2"]);
    }

    #[test]
    fn a_choice_binds_only_what_the_matching_branch_captured() {
        assert_eq!(check("{$one-of: [{a: {$capture: n}, b: 1}, {a: {$capture: n}, b: 2}]}", json!({"a": 7, "b": 2})), ["n=7"]);
        assert_eq!(check("{$not: {a: 1}}", json!({"a": 2})), MATCHED);
    }
}
