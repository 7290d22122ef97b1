//! Load profiles as their authors meet them: those that chatspec carries, and every text of every mistake, at its place.

use chatspec::load::lower::ProfileError;
use chatspec::load::plan::Plan;
use chatspec::load::profile::Profile;
use chatspec::load::profile_file;
use chatspec::scenario::source::Source;

fn mistakes(text: &str) -> String {
    match Profile::read(Source { name: "mine.yaml".into(), text: text.into() }, "mine") {
        Ok(profile) => format!("no mistakes:\n{}", profile.to_yaml()),
        Err(error @ ProfileError::Wrong { .. }) => {
            let ProfileError::Wrong { diagnostics, .. } = &error else { unreachable!("it is") };
            let all: Vec<String> = diagnostics.iter().map(|diagnostic| diagnostic.render(false)).collect();
            format!("{error}\n\n{}", all.join("\n\n"))
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_short_profile_is_completed() {
    insta::assert_snapshot!(mistakes(
        "title: Short\nrooms: {count: 3, size: 4}\nmessages: {rate: 30/m}\nphases: [{phase: steady, duration: 5s}]\n"
    ));
}

#[test]
fn misspelt_keys_and_wrong_figures_are_told_all_at_once() {
    insta::assert_snapshot!(mistakes(
        "titel: A load\n\
         title: A load\n\
         seed: -1\n\
         rooms: {count: many, size: 20}\n\
         behaviours:\n\
         \x20 chatty: {weight: 1}\n\
         \x20 lurkin: {weight: 1}\n\
         \x20 coming-and-going: {weight: 1, stay: long, absence: 1s, durations: exponentially}\n\
         sessions: {rate: 400, arrival: poison}\n\
         messages: {rate: quick, size: 4 KB}\n\
         phases:\n\
         \x20 - {phase: stedy, duration: 5s}\n\
         \x20 - {phase: steady, duration: 5}\n\
         \x20 - {phase: burst, duration: 5s, factor: -1}\n\
         \x20 - {phase: storm, duration: 5s, fraction: 150%, counts: yes}\n\
         \x20 - {phase: drain, duration:}\n\
         thresholds:\n\
         \x20 - delivr.p99 < 150ms\n\
         \x20 - deliver.p99{phase=burs} < 150ms\n\
         deadline: [10s]\n"
    ));
}

#[test]
fn what_is_missing_or_too_much_is_told() {
    insta::assert_snapshot!(mistakes(
        "title: A load\n\
         rooms: {count: 5, sizes: [{size: 2, count: 3}, {size: 3, weight: 1}, {count: 0}]}\n\
         behaviours:\n\
         \x20 chatty: {}\n\
         \x20 coming-and-going: {weight: 1, stay: 0s}\n\
         \x20 slow-reader: {weight: 1}\n\
         \x20 reconnecting: {weight: 1, stay: 1s, absence: 1s, sends: 1}\n\
         messages: {size: 200, sizes: [{size: 10, weight: 1}, {size: 1MiB, weight: 1}, {size: 64..100, weight: 1}]}\n\
         phases:\n\
         \x20 - {duration: 5s}\n\
         \x20 - {phase: steady}\n\
         \x20 - {phase: ramp, duration: 5s, rate: 5/s}\n\
         \x20 - {phase: burst, duration: 5s, from: 1/s}\n\
         \x20 - {phase: storm, duration: 5s, fraction: 10%, spread: 6s, name: a b}\n\
         \x20 - {phase: drain, rate: 5/s}\n\
         \x20 - {phase: steady, duration: 1s, name: burst}\n"
    ));
}

#[test]
fn a_closed_load_has_no_rates_and_somebody_must_send() {
    insta::assert_snapshot!(mistakes(
        "title: A load\n\
         rooms: {count: 5, size: 0}\n\
         messages: {in-flight: 5, rate: 5/s, arrival: poisson}\n\
         phases:\n\
         \x20 - {phase: ramp, duration: 5s, from: 1/s, to: 5/s}\n\
         \x20 - {phase: steady, duration: 5s, rate: 5/s}\n"
    ));
    insta::assert_snapshot!(mistakes(
        "title: A load\n\
         rooms: {count: 5, size: 2}\n\
         behaviours: {lurking: {weight: 1}, slow-reader: {weight: 1, pause: 5s, every: 2s}}\n\
         messages: {rate: 0/s, think: 1s}\n\
         phases: [{phase: warm-up, duration: 5s}]\n"
    ));
    insta::assert_snapshot!(mistakes(
        "title: A load\nrooms: {count: 5, size: 2}\nbehaviours: {lurking: {weight: 1}}\nmessages: {rate: 1/s}\nphases: []\n"
    ));
}

#[test]
fn a_file_of_anything_else_is_no_profile() {
    insta::assert_snapshot!([mistakes("title: [x\n"), mistakes("- x\n"), mistakes(""), mistakes("title: x\n")].join("\n---\n"));
}

#[test]
fn an_unknown_name_is_told_with_the_nearest() {
    let told = |name| Profile::named(name).expect_err("there is none").to_string();
    let expected = "there is no profile `steady-chad`: did you mean `steady-chat`? (a profile of your own is given by its path, as `./steady-chad.yaml`)";
    assert_eq!(told("steady-chad"), expected);
    assert!(told("zzzzzzzzzz").contains("valid here: `big-room`, `churn`, "), "{}", told("zzzzzzzzzz"));
    assert!(told("./nowhere.yaml").starts_with("the profile ./nowhere.yaml can't be read: "), "{}", told("./nowhere.yaml"));
}

#[test]
fn the_profiles_that_are_carried_are_sound() {
    assert_eq!(Profile::embedded(), ["big-room", "churn", "many-rooms", "slow-readers", "smoke", "soak", "steady-chat", "storm"]);
    let validator = jsonschema::validator_for(profile_file::schema().as_value()).expect("a schema");
    for name in Profile::embedded() {
        let profile = Profile::named(name).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(profile.name, name);
        assert!(!profile.thresholds.is_empty(), "{name} expects nothing");
        let again = Profile::read(Source { name: name.into(), text: profile.to_yaml() }, name).expect("a profile");
        assert_eq!(again, profile, "{name} is another profile once it has been written down");
        for text in [profile.to_yaml(), written(name)] {
            let value: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| format!("{error} at {}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}");
        }
        Plan::new(profile, 1).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn smoke_takes_some_seconds_with_a_few_clients() {
    let plan = Plan::new(Profile::named("smoke").expect("a profile"), 1).expect("a plan");
    // The target's time isn't in it, so that this is no measurement.
    assert!(plan.duration().as_secs() < 8, "{:?}", plan.duration());
    assert!(plan.clients() < 60, "{}", plan.clients());
}

fn written(name: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/load");
    std::fs::read_to_string(root.join(format!("{name}.yaml"))).expect("a file")
}
