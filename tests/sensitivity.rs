//! `chatspec sensitivity`: a small part of the matrix. The whole is a step of `.ci/run`.

mod support;

use serde_json::Value;
use support::chatspec_off_the_runtime;

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_killed_variants_pass_and_the_matrix_says_by_what() {
    let dir = tempfile::tempdir().expect("a folder");
    let (json, page) = (dir.path().join("matrix.jsonl").display().to_string(), dir.path().join("matrix.md").display().to_string());
    let (code, out, err) = chatspec_off_the_runtime(&[
        "sensitivity",
        "plain",
        "pretty-printed",
        "fragmented",
        "one-frame-in-three",
        "in-batches",
        "closes-instead",
        "R-AUDIENCE=sender",
        "create-success-misspelt",
        "pairs-swapped",
        "--json",
        &json,
        "--markdown",
        &page,
    ])
    .await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("2 of 2 killed") && out.contains("7 of 7 servers pass"), "{out}");
    let page = std::fs::read_to_string(page).expect("the page");
    assert!(page.contains("| `create-success-misspelt` |") && page.contains("create.new-name"), "{page}");
    let log = std::fs::read_to_string(json).expect("the log");
    let last: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("it is JSON");
    assert_eq!((&last["event"], &last["matrix"]["killed"]), (&"finished".into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_no_scenario_reports_is_told_and_fails() {
    let (code, out, err) = chatspec_off_the_runtime(&["sensitivity", "create-success-misspelt", "--only", "flow.leave"]).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("not noticed") && out.contains("1 showed and were not noticed"), "{out}");
    let (code, out, err) = chatspec_off_the_runtime(&["sensitivity", "empty-user-enters", "--only", "flow.create"]).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("not reached"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_fault_is_wrong_usage() {
    let (code, _, err) = chatspec_off_the_runtime(&["sensitivity", "create-sucess-misspelt"]).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("did you mean `create-success-misspelt`"), "{err}");
}
