//! The event log's schema, held against what is written.

mod support;

use chatspec::event::{Event, LOG_VERSION, schema};
use reference_server::Config;
use serde_json::Value;
use support::{chatspec_off_the_runtime, loads, streams};

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(schema().as_value()).expect("a schema")
}

fn assert_valid(validator: &jsonschema::Validator, line: &Value) {
    let wrong: Vec<String> = validator.iter_errors(line).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{line}\n{wrong:?}");
}

#[test]
fn every_line_of_the_literal_runs_follows_the_schema() {
    let validator = validator();
    let runs: [Vec<Event>; 9] = [
        streams::failing(),
        streams::passing(),
        streams::flaky(),
        streams::interrupted(),
        streams::nobody(),
        streams::known(),
        streams::empty(),
        streams::broken(),
        streams::hostile(),
    ];
    let valid = |event: &Event| assert_valid(&validator, &serde_json::to_value(event).expect("JSON"));
    runs.iter().flatten().for_each(valid);
    for log in [loads::clean(), loads::lossy(Some(streams::HOSTILE)), loads::closed(), loads::interrupted(2), loads::matrix(None)] {
        log.replay(valid);
    }
}

#[test]
fn what_is_no_line_of_this_version_does_not_follow_it() {
    let validator = validator();
    let header = serde_json::to_value(&streams::failing()[0]).expect("JSON");
    let without = |key: &str| {
        let mut line = header.clone();
        line.as_object_mut().expect("an object").remove(key);
        line
    };
    let with = |key: &str, value: Value| {
        let mut line = header.clone();
        line[key] = value;
        line
    };
    assert_valid(&validator, &header);
    for wrong in [
        without("event"),
        without("seed"),
        with("log_version", (LOG_VERSION + 1).into()),
        with("event", "begun".into()),
        with("seed", "seven".into()),
        Value::Null,
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_real_runs_follows_the_schema_that_the_command_prints() {
    let (code, printed, err) = chatspec_off_the_runtime(&["schema", "--events"]).await;
    assert_eq!(code, 0, "{err}");
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(printed, *schema().as_value());
    let validator = jsonschema::validator_for(&printed).expect("a schema");

    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let server = support::reference(Config::default()).await;
    let (check, load) = (path("check.jsonl"), path("load.jsonl"));
    let (code, out, err) =
        chatspec_off_the_runtime(&["check", "--http", &server.http, "--ws", &server.ws, "--only", "JOIN-3", "--json", &check]).await;
    assert_eq!(code, 0, "{out}{err}");
    let shape = ["--clients", "4", "--rooms", "2", "--rate", "20/s", "--duration", "1s"];
    let arguments = ["load", "--http", &server.http, "--ws", &server.ws, "--json", &load];
    let (code, out, err) = chatspec_off_the_runtime(&[&arguments[..], &shape[..]].concat()).await;
    assert!(matches!(code, 0 | 3), "{out}{err}");
    for path in [check, load] {
        let text = std::fs::read_to_string(path).expect("a log");
        assert!(text.lines().count() > 3);
        text.lines().for_each(|line| assert_valid(&validator, &serde_json::from_str(line).expect("JSON")));
    }
}
