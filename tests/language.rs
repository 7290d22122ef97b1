//! What somebody sees who makes a mistake in a scenario file: every text of every error, at its place.

use std::path::Path;

use chatspec::scenario::protocol::{LoadError, Protocol};

/// Lints scenarios for the embedded protocol, given as (file, text): every diagnostic, rendered.
fn diagnostics(files: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }
    rendered(dir.path())
}

fn rendered(dir: &Path) -> String {
    let shown = match Protocol::from_dir(dir) {
        Ok(protocol) => format!("no mistakes: {} scenarios", protocol.scenarios.len()),
        Err(LoadError::Wrong(all)) => all.iter().map(|diagnostic| diagnostic.render(false)).collect::<Vec<_>>().join("\n\n"),
        Err(error) => error.to_string(),
    };
    shown.replace(&dir.display().to_string(), "DIR")
}

#[test]
fn misspelt_keys_and_wrong_types_are_told_all_at_once() {
    insta::assert_snapshot!(diagnostics(&[(
        "a.yaml",
        "id: a.b\n\
         titel: A scenario\n\
         title: 3\n\
         actors: [ann]\n\
         steps:\n\
         \x20 - connect: ann\n\
         \x20 - recieve: {actor: ann, packet: {type: user}}\n\
         \x20   proves: JOIN-3\n\
         \x20 - receive: {actor: ann, packet: {type: user}, within: soon}\n\
         \x20   proves: JOIN-33\n\
         \x20 - send: [ann]\n",
    )]));
}

#[test]
fn names_that_nothing_has_are_told_with_the_nearest_that_something_has() {
    insta::assert_snapshot!(diagnostics(&[(
        "a.yaml",
        "id: a.b\n\
         title: A scenario\n\
         actors: [ann, bob]\n\
         names: [lobby]\n\
         when: {R-AUDENCE: room, capacty: {at-least: 2}}\n\
         steps:\n\
         \x20 - use: create-flo\n\
         \x20   with: {user: $ann, room: $lobby}\n\
         \x20 - use: create-flow\n\
         \x20   with: {user: $ann, rom: $lobby}\n\
         \x20 - connect: [bob, carl]\n\
         \x20 - send: {actor: bob, packet: {type: join, data: {user_name: $bobb, room_name: \"${loby}\"}}}\n\
         \x20 - request: {actor: ann, call: crate, with: {room_name: $lobby}}\n\
         \x20 - request: {actor: ann, call: create, way: get-qery, with: {roomname: $lobby}, answer: {res: {$on-of: [a, b]}}}\n\
         \x20 - receive: {actor: ann, packet: {res: {$regex: '['}}}\n\
         \x20   proves: MSG-1\n\
         \x20 - nothing-more: {actors: [ann], packet: {type: user}}\n\
         \x20   when: {R-AUDIENCE: rooms}\n\
         \x20   proves: JOIN-4\n",
    )]));
}

#[test]
fn a_step_does_one_thing_and_makes_one_claim() {
    insta::assert_snapshot!(diagnostics(&[(
        "a.yaml",
        "id: a.b\n\
         title: A scenario\n\
         actors: [ann, ann, any]\n\
         steps:\n\
         \x20 - proves: MSG-1\n\
         \x20 - connect: ann\n\
         \x20   abort: ann\n\
         \x20 - connect: ann\n\
         \x20   proves: CONN-1\n\
         \x20   needs: CONN-1\n\
         \x20 - send: {actor: ann, packet: {}, text: x}\n\
         \x20 - receive: {actor: ann, packet: {}, end: {}}\n\
         \x20   proves: MSG-1\n\
         \x20 - frame: {actor: ann, opcode: txt, hex: 0g}\n",
    )]));
}

#[test]
fn cases_need_ids_of_their_own() {
    insta::assert_snapshot!(diagnostics(&[(
        "a.yaml",
        "id: a.b\n\
         title: A scenario\n\
         actors: [ann]\n\
         cases:\n\
         \x20 - {case: one, text: x}\n\
         \x20 - {case: one, text: y}\n\
         \x20 - {text: z}\n\
         steps:\n\
         \x20 - connect: ann\n\
         \x20 - send: {actor: ann, text: $text}\n",
    )]));
}

#[test]
fn broken_yaml_has_a_place_in_every_file_that_is_broken() {
    insta::assert_snapshot!(diagnostics(&[
        ("a.yaml", "id: [a\ntitle: x\n"),
        ("b/c.yaml", "id: a\nid: b\n"),
        ("d.yaml", "\t- x\n"),
        ("e.yaml", "")
    ]));
}

#[test]
fn a_scenario_that_proves_nothing_and_two_of_one_id_are_mistakes() {
    let good = "id: a.b\ntitle: A\nactors: [ann]\nsteps:\n  - connect: ann\n    proves: CONN-1\n";
    insta::assert_snapshot!(diagnostics(&[("a.yaml", good), ("b.yaml", good)]));
    let idle = "id: c.d\ntitle: C\nactors: [ann]\nsteps:\n  - connect: ann\n";
    insta::assert_snapshot!(diagnostics(&[("c.yaml", idle)]));
}

#[test]
fn a_fragment_that_uses_itself_is_a_mistake_and_no_crash() {
    let fragment = "id: round\ntitle: Round\narguments: [user]\nsteps:\n  - use: round\n    with: {user: $user}\n";
    let scenario = "id: a.b\ntitle: A\nactors: [ann]\nsteps:\n  - use: round\n    with: {user: $ann}\n    proves: CONN-1\n";
    insta::assert_snapshot!(diagnostics(&[("fragments/round.yaml", fragment), ("a.yaml", scenario)]));
}

#[test]
fn the_schema_accepts_every_scenario_of_the_suite() {
    let schema = chatspec::scenario::file::schema::<chatspec::scenario::file::ScenarioFile>();
    let validator = jsonschema::validator_for(schema.as_value()).expect("a schema");
    let mut seen = 0;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for area in ["http", "ws", "flows", "robustness"] {
        for entry in std::fs::read_dir(root.join(area)).expect("an area") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a file");
            let value: serde_json::Value =
                serde_saphyr::from_str_with_options(&text, serde_saphyr::options! { strict_booleans: true }).expect("YAML");
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "the suite has many files, not {seen}");
}
