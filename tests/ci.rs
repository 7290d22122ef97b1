//! What CI and schedulers are told, held against the command line: the action, the pages about both, the help and the manual pages.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::{chatspec, stderr, stdout};

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of this project")
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The words of a command as a shell would split it, up to where another command or a file begins.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '>' | '|' | '&' | ';' | '#') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Every command of chatspec in a text, with its continued lines.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    joined.lines().filter_map(|line| line.trim().strip_prefix("chatspec ").map(|rest| words(&format!("chatspec {rest}")))).collect()
}

fn parses(command: &[String]) {
    if let Err(error) = chatspec::cli::command().try_get_matches_from(command) {
        panic!("{command:?}: {error}");
    }
}

/// The strings in a YAML document.
fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, into)),
        _ => {}
    }
}

#[test]
fn every_command_on_the_pages_about_ci_and_scale_is_one_that_chatspec_takes() {
    for (page, least) in [("docs/ci.md", 7), ("docs/scale.md", 4)] {
        let mut found = Vec::new();
        for block in text(page).split("```").skip(1).step_by(2) {
            let (language, code) = block.split_once('\n').expect("a block has a first line");
            match language {
                "yaml" => {
                    let mut all = Vec::new();
                    strings(&yaml(code), &mut all);
                    found.extend(all.iter().flat_map(|text| commands(text)));
                }
                _ => found.extend(commands(code)),
            }
        }
        assert!(found.len() >= least, "{page}: {found:?}");
        found.iter().for_each(|command| parses(command));
    }
}

#[test]
fn every_command_shows_an_example_that_it_takes() {
    let main = chatspec::cli::command();
    for command in std::iter::once(&main).chain(main.get_subcommands()) {
        let name = command.get_name();
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.contains("Example"), "{name} shows no example");
        let examples = commands(after.split("\n\n").next().unwrap_or_default());
        assert!(!examples.is_empty(), "{name}: {after}");
        for example in &examples {
            assert!(name == "chatspec" || example.iter().any(|word| word == name) || name == "replay", "{name}: {example:?}");
            parses(example);
        }
    }
}

#[test]
fn every_shell_is_completed() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = chatspec(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}: {}", stderr(&output));
        assert!(stdout(&output).contains("update-expected"), "{shell}");
    }
    assert_eq!(chatspec(&["completions", "tcl"]).status.code(), Some(2));
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = chatspec(&["man", "--dir", dir.path().to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let main = chatspec::cli::command();
    for name in main.get_subcommands().map(|command| format!("chatspec-{}.1", command.get_name())).chain(["chatspec.1".to_owned()]) {
        let page = std::fs::read_to_string(dir.path().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH EXAMPLES") && page.contains(".SH NAME"), "{name}: {page}");
    }
    assert!(stdout(&chatspec(&["man"])).contains("chatspec\\-check(1)"));
    assert!(stdout(&chatspec(&["man", "check"])).contains(".SH \"EXIT STATUS\""));
    let output = chatspec(&["man", "chekc"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `check`?"), "{}", stderr(&output));
}

fn action() -> Value {
    yaml(&text("action.yml"))
}

fn steps(action: &Value) -> &[Value] {
    action["runs"]["steps"].as_array().expect("a composite action has steps")
}

fn script(action: &Value, id: &str) -> String {
    let step = steps(action).iter().find(|step| step["id"] == id || step["name"] == id).expect("the step");
    step["run"].as_str().expect("it runs a script").to_owned()
}

#[test]
fn the_action_is_whole_and_takes_no_input_for_a_script() {
    let action = action();
    assert_eq!(action["runs"]["using"], "composite");
    let inputs: BTreeSet<&str> = action["inputs"].as_object().expect("inputs").keys().map(String::as_str).collect();
    let mut used = BTreeSet::new();
    let mut all = Vec::new();
    strings(&action["runs"], &mut all);
    strings(&action["outputs"], &mut all);
    for text in &all {
        used.extend(text.split("inputs.").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(rest.len());
            &rest[..end]
        }));
    }
    assert_eq!(used, inputs, "each input is declared and used");
    for input in action["inputs"].as_object().expect("inputs").values() {
        assert!(input["description"].is_string() && input["default"].is_string(), "{input}");
    }
    for step in steps(&action).iter().filter(|step| step["run"].is_string()) {
        assert_eq!(step["shell"], "bash", "{step}");
        assert!(!step["run"].as_str().expect("a script").contains("${{"), "{step}");
    }
}

#[test]
fn the_action_gives_only_options_that_check_has() {
    let main = chatspec::cli::command();
    let check = main.find_subcommand("check").expect("the command");
    let known: BTreeSet<&str> = check.get_arguments().filter_map(|argument| argument.get_long()).collect();
    let script = script(&action(), "check");
    let options: BTreeSet<&str> = script
        .split("--")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default())
        .filter(|option| !option.is_empty())
        .collect();
    assert!(options.len() >= 10, "{options:?}");
    assert!(options.is_subset(&known), "{:?}", options.difference(&known).collect::<Vec<_>>());
}

/// Runs the step that checks as GitHub would, with a chatspec that writes down its arguments, one in each line, and a report.
#[cfg(unix)]
fn run_check(dir: &Path, code: i32, environment: &[(&str, &str)]) -> (Output, String, String) {
    use std::os::unix::fs::PermissionsExt;
    let program: PathBuf = dir.join("a chatspec");
    let body = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >arguments\n[ {code} = 2 ] || echo '# It is checked' >'my reports/chatspec.md'\nexit {code}\n"
    );
    std::fs::write(&program, body).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("made a program");
    let named = ["SERVER_COMMAND", "SERVER_HTTP", "SERVER_WS", "STRICT", "EXPECTED", "ARGUMENTS"].map(|name| (name, ""));
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", &script(&action(), "check")])
        .current_dir(dir)
        .envs(named)
        .envs([("SERVER_WAIT", "10s"), ("REPORTS", "my reports"), ("SOURCE", "/nowhere")])
        .env("CHATSPEC", &program)
        .env("GITHUB_OUTPUT", dir.join("output"))
        .env("GITHUB_STEP_SUMMARY", dir.join("summary"))
        .envs(environment.iter().copied())
        .output()
        .expect("bash runs");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    (output, read("arguments"), read("output"))
}

#[cfg(unix)]
#[test]
fn the_action_hands_its_inputs_over_as_they_are_and_keeps_the_exit_code_for_its_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let hostile = "python 'my server.py' --port {http}; $(touch hacked) `touch hacked` \"${HOME}\"";
    let given = [
        ("SERVER_COMMAND", hostile),
        ("STRICT", "true"),
        ("EXPECTED", "known failures.yaml"),
        ("ARGUMENTS", "--skip\nrobustness\n--reading\nR-LIST=a b*\n"),
    ];
    let (output, arguments, outputs) = run_check(dir.path(), 1, &given);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!dir.path().join("hacked").exists());
    assert_eq!(outputs, "exit-code=1\n");
    let arguments: Vec<&str> = arguments.lines().collect();
    let begin = ["check", "--cmd", hostile, "--wait", "10s", "--strict", "--expected", "known failures.yaml", "--skip", "robustness"];
    assert_eq!(arguments[..begin.len()], begin);
    assert_eq!(arguments[begin.len()..begin.len() + 3], ["--reading", "R-LIST=a b*", "--html"]);
    assert!(arguments.contains(&"my reports/chatspec.xml") && arguments.contains(&"--github"), "{arguments:?}");
    assert!(!dir.path().join("summary").exists(), "chatspec itself writes the summary");

    let conclude = Command::new("bash").args(["-e", "-c", &script(&action(), "Conclude")]).env("CODE", "3").status().expect("bash runs");
    assert_eq!(conclude.code(), Some(3));
}

#[cfg(unix)]
#[test]
fn the_action_says_so_where_there_is_nothing_to_check_or_to_report() {
    let dir = tempfile::tempdir().expect("a folder");
    let (output, arguments, outputs) = run_check(dir.path(), 0, &[]);
    assert!(output.status.success());
    assert_eq!((arguments.as_str(), outputs.as_str()), ("", "exit-code=2\n"));
    assert!(stdout(&output).starts_with("::error::chatspec has no server to check"), "{}", stdout(&output));

    let dir = tempfile::tempdir().expect("a folder");
    let (_, arguments, outputs) = run_check(dir.path(), 2, &[("SERVER_HTTP", "http://127.0.0.1:1"), ("STRICT", "false")]);
    assert!(arguments.starts_with("check\n--http\nhttp://127.0.0.1:1\n--html\n"), "{arguments}");
    assert_eq!(outputs, "exit-code=2\n");
    let summary = std::fs::read_to_string(dir.path().join("summary")).expect("a summary");
    assert!(summary.contains("ended with exit code 2 before it had anything to report"), "{summary}");
}
