//! What `chatspec kubernetes` prints: held against Kubernetes' own types, against `chatspec load`, and against itself.

mod support;

use std::fs::File;
use std::io::BufReader;
use std::process::{Child, Command};

use chatspec::event::{Event, Log};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service};
use reference_server::Config;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::{chatspec, listener, reference, stderr, stdout};

const TARGET: [&str; 6] =
    ["--image", "registry.example/chatspec:1", "--http", "http://chat.example:5000", "--ws", "ws://chat.example:2333"];

/// What is printed for these arguments, behind a target and four shards.
fn printed(more: &[&str]) -> String {
    printed_for(&[&["--shards", "4"][..], more].concat())
}

fn printed_for(more: &[&str]) -> String {
    let output = chatspec(&[&["kubernetes"], &TARGET[..], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The document of a kind; the first, where there are several.
fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// With all that can be asked for.
const EVERYTHING: [&str; 27] = [
    "steady-chat",
    "--name",
    "evening",
    "--namespace",
    "load-tests",
    "--storage",
    "20Gi",
    "--storage-class",
    "shared",
    "--image-pull-secret",
    "registry",
    "--cpu",
    "2",
    "--memory",
    "1GiB",
    "--barrier-timeout",
    "20m",
    "--header",
    "Authorization: Bearer s3cret",
    "--header-env",
    "X-Token:TOKEN",
    "--reading",
    "R-PARAMS=get-query",
    "--capacity",
    "50",
    "--insecure",
    "--poisson",
];

/// Through the type that the API's published description gives, and back: a field that there is none of would be missing, one of another type
/// an error, and one that has to be there and isn't would be added.
fn through<T: DeserializeOwned + Serialize>(document: &Value) -> Value {
    let typed: T = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error}: {document:#}"));
    serde_json::to_value(typed).expect("what was read can be written")
}

#[test]
fn kubernetes_knows_every_field_of_the_manifests() {
    let claimed = ["steady-chat", "--volume-claim", "results"];
    let mut kinds = Vec::new();
    for arguments in [&["steady-chat"][..], &claimed, &EVERYTHING] {
        for document in documents(&printed(arguments)) {
            let kind = document["kind"].as_str().expect("a kind");
            let (known, version) = match kind {
                "ConfigMap" => (through::<ConfigMap>(&document), "v1"),
                "Service" => (through::<Service>(&document), "v1"),
                "PersistentVolumeClaim" => (through::<PersistentVolumeClaim>(&document), "v1"),
                "Job" => (through::<Job>(&document), "batch/v1"),
                other => panic!("there is a {other}"),
            };
            assert_eq!(known, document, "a {kind}");
            assert_eq!(document["apiVersion"], version);
            kinds.push(kind.to_owned());
        }
    }
    let expected = "ConfigMap Service Job ConfigMap Service Job Job ConfigMap Service PersistentVolumeClaim Job Job";
    assert_eq!(kinds.join(" "), expected);
}

#[test]
fn a_manifest_reads_so() {
    let text = printed(&["--clients", "400", "--rooms", "20", "--seed", "7"]);
    insta::with_settings!({filters => vec![(env!("CARGO_PKG_VERSION"), "VERSION")]}, { insta::assert_snapshot!(text) });
}

/// The words that the first container of a Job is started with in a pod of this index, as Kubernetes puts values into them.
fn started_with(job: &Value, index: &str) -> Vec<String> {
    let words = job["spec"]["template"]["spec"]["containers"][0]["args"].as_array().expect("arguments");
    let expanded = |word: &str| {
        let halves: Vec<String> = word.split("$$").map(|part| part.replace("$(JOB_COMPLETION_INDEX)", index)).collect();
        halves.join("$")
    };
    std::iter::once("chatspec".to_owned()).chain(words.iter().map(|word| expanded(word.as_str().expect("a word")))).collect()
}

#[test]
fn every_container_is_started_with_what_chatspec_takes() {
    for arguments in [&["big-room", "--rooms", "9", "--http", "http://chat.example/$(HOME)/$x"][..], &EVERYTHING] {
        let arguments: Vec<&str> = arguments.to_vec();
        let given: Vec<&str> = if arguments.contains(&"--http") {
            [&["kubernetes", "--shards", "4", "--image", "i"], &arguments[..]].concat()
        } else {
            [&["kubernetes", "--shards", "4"], &TARGET[..], &arguments].concat()
        };
        let output = chatspec(&given);
        for job in documents(&stdout(&output)).iter().filter(|document| document["kind"] == "Job") {
            let mut words = started_with(job, "3");
            // The variable is in the environment of the pod, not in this one's.
            words.iter_mut().filter(|word| *word == "@JOB_COMPLETION_INDEX/4").for_each(|word| *word = "4/4".to_owned());
            let matches = chatspec::cli::command().try_get_matches_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            let Some(("load", load)) = matches.subcommand() else { continue };
            if let Some(http) = arguments.iter().find(|word| word.contains("$x")) {
                assert_eq!(load.get_one::<String>("http").map(String::as_str), Some(*http), "no value is put into what a user wrote");
            }
        }
    }
}

#[test]
fn the_shards_play_the_plan_that_was_asked_for() {
    let shape = [
        "--clients",
        "9",
        "--rooms",
        "4",
        "--rate",
        "9/s",
        "--poisson",
        "--size",
        "64..2KiB",
        "--phase",
        "steady=evening:1s",
        "--seed",
        "7",
    ];
    let dir = tempfile::tempdir().expect("a folder");
    let planned = |arguments: &[&str], log: &str| {
        let log = dir.path().join(log);
        chatspec(&[&["load", "--quiet", "--json", log.to_str().expect("UTF-8")], arguments].concat());
        let lines = std::fs::read_to_string(log).expect("it was written");
        let events = lines.lines().map(|line| serde_json::from_str(line).expect("an event"));
        events.filter_map(|event| if let Event::Planned(planned) = event { Some(*planned) } else { None }).next().expect("a plan")
    };
    let asked = planned(&shape, "asked.jsonl");
    let all = documents(&printed(&shape));
    let (file, text) = of_kind(&all, "ConfigMap")["data"].as_object().and_then(|data| data.iter().next()).expect("a profile");
    let text = text.as_str().expect("a text");
    assert_eq!(text, asked.resolved, "it is the profile that the log of the load has");
    let path = dir.path().join(file);
    std::fs::write(&path, text).expect("the folder is new");
    let played = planned(&[path.to_str().expect("UTF-8")], "played.jsonl");
    assert_eq!(
        (played.hash, played.profile, played.resolved, played.messages),
        (asked.hash, asked.profile, asked.resolved, asked.messages),
        "a shard reads it as the same plan"
    );
}

#[test]
fn what_refers_to_something_refers_to_what_is_there() {
    let all = documents(&printed(&EVERYTHING));
    let job = of_kind(&all, "Job");
    let (spec, pod) = (&job["spec"], &job["spec"]["template"]["spec"]);
    let container = &pod["containers"][0];
    assert_eq!((&spec["completions"], &spec["parallelism"], &spec["completionMode"]), (&json!(4), &json!(4), &json!("Indexed")));

    let service = of_kind(&all, "Service");
    assert_eq!(service["metadata"]["name"], pod["subdomain"]);
    assert_eq!(service["spec"]["selector"]["batch.kubernetes.io/job-name"], job["metadata"]["name"]);
    let words = started_with(job, "0");
    let after = |option: &str| &words[words.iter().position(|word| word == option).unwrap_or_else(|| panic!("no {option}")) + 1];
    let port = &container["ports"][0]["containerPort"];
    assert_eq!(*after("--barrier"), format!("evening-0.evening:{port}"));
    assert_eq!(*after("--barrier-listen"), format!("0.0.0.0:{port}"));
    assert_eq!(service["spec"]["ports"][0]["port"], *port);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], container["ports"][0]["name"]);
    assert_eq!(*after("--shard"), "@JOB_COMPLETION_INDEX/4");
    assert_eq!(*after("--threads"), "2");
    assert_eq!(container["resources"], json!({"requests": {"cpu": "2", "memory": "1024Mi"}, "limits": {"cpu": "2", "memory": "1024Mi"}}));

    for document in &all {
        assert_eq!(document["metadata"]["namespace"], "load-tests", "{}", document["kind"]);
    }
    for job in all.iter().filter(|document| document["kind"] == "Job") {
        let pod = &job["spec"]["template"]["spec"];
        let volumes: Vec<&Value> = pod["volumes"].as_array().expect("volumes").iter().map(|volume| &volume["name"]).collect();
        let mounts: Vec<&Value> =
            pod["containers"][0]["volumeMounts"].as_array().expect("mounts").iter().map(|mount| &mount["name"]).collect();
        assert_eq!(volumes, mounts);
        for volume in pod["volumes"].as_array().expect("volumes") {
            let (kind, name) = match &volume["configMap"] {
                Value::Null => ("PersistentVolumeClaim", &volume["persistentVolumeClaim"]["claimName"]),
                config => ("ConfigMap", &config["name"]),
            };
            assert_eq!(of_kind(&all, kind)["metadata"]["name"], *name);
        }
    }
}

/// A namespace with the strictest of Kubernetes' Pod Security Standards takes the pods.
#[test]
fn the_pods_are_within_the_restricted_standard() {
    for job in documents(&printed(&EVERYTHING)).iter().filter(|document| document["kind"] == "Job") {
        let pod = &job["spec"]["template"]["spec"];
        let (whole, own) = (&pod["securityContext"], &pod["containers"][0]["securityContext"]);
        assert_eq!((&whole["runAsNonRoot"], &whole["seccompProfile"]), (&json!(true), &json!({"type": "RuntimeDefault"})));
        assert!(whole["runAsUser"].as_u64().is_some_and(|user| user > 0));
        assert_eq!((&own["allowPrivilegeEscalation"], &own["capabilities"]), (&json!(false), &json!({"drop": ["ALL"]})));
        assert_eq!((&pod["hostNetwork"], &pod["hostPID"], &pod["containers"][1]), (&Value::Null, &Value::Null, &Value::Null));
        let settings = whole["sysctls"].as_array().map_or(&[][..], Vec::as_slice);
        assert!(settings.iter().all(|setting| setting["name"] == "net.ipv4.ip_local_port_range"), "the others aren't safe: {settings:?}");
        for volume in pod["volumes"].as_array().expect("volumes") {
            assert!(volume.get("configMap").or(volume.get("persistentVolumeClaim")).is_some(), "{volume}");
        }
    }
}

#[test]
fn a_secret_is_in_no_manifest() {
    let text = printed(&EVERYTHING);
    assert!(!text.contains("s3cret"), "{text}");
    let all = documents(&text);
    let container = &of_kind(&all, "Job")["spec"]["template"]["spec"]["containers"][0];
    let from = |key: &str| json!({"name": key, "valueFrom": {"secretKeyRef": {"name": "evening-headers", "key": key}}});
    assert_eq!(container["env"], json!([from("HEADER_AUTHORIZATION"), from("TOKEN")]));
    let words = started_with(of_kind(&all, "Job"), "0");
    for header in ["Authorization:HEADER_AUTHORIZATION", "X-Token:TOKEN"] {
        assert!(words.windows(2).any(|pair| pair == ["--header-env", header]), "{words:?}");
    }
    let command = "create secret generic evening-headers --from-literal=HEADER_AUTHORIZATION=… --from-literal=TOKEN=…";
    assert!(text.contains(command), "{text}");
}

/// Pods in all but name: a process each, with a pod's environment, and one file for both of its outputs, as a cluster keeps them.
#[tokio::test(flavor = "multi_thread")]
async fn what_four_pods_log_is_one_load_once_merged() {
    let server = reference(Config { capacity: 5, ..Config::default() }).await;
    let shape = ["--clients", "40", "--rooms", "8", "--rate", "80/s", "--phase", "steady:2s", "--deadline", "3s", "--shards", "4"];
    // A pod wouldn't reach what is only on this machine, so that the addresses are put in afterwards.
    let text = printed_for(&shape).replace("http://chat.example:5000/", &server.http).replace("ws://chat.example:2333/", &server.ws);
    let dir = tempfile::tempdir().expect("a folder");
    let all = documents(&text);
    let (file, profile) = of_kind(&all, "ConfigMap")["data"].as_object().and_then(|data| data.iter().next()).expect("a profile");
    std::fs::write(dir.path().join(file), profile.as_str().expect("a text")).expect("the folder is new");
    let logs = dir.path().join("logs");
    std::fs::create_dir(&logs).expect("the folder is new");
    let port = listener().await.local_addr().expect("it is bound").port();
    let pods: Vec<Child> = (0..4)
        .map(|index: u32| {
            let words = started_with(of_kind(&all, "Job"), &index.to_string());
            let here = |word: &String| match word.as_str() {
                word if word.ends_with(":7700") => format!("127.0.0.1:{port}"),
                word => word.replace("/profile", &dir.path().display().to_string()),
            };
            let log = File::create(logs.join(format!("pod-{index}"))).expect("the folder is new");
            Command::new(env!("CARGO_BIN_EXE_chatspec"))
                .args(words[1..].iter().map(here))
                .env("JOB_COMPLETION_INDEX", index.to_string())
                .stdout(log.try_clone().expect("a second descriptor"))
                .stderr(log)
                .spawn()
                .expect("it can be started")
        })
        .collect();
    for mut pod in pods {
        tokio::task::spawn_blocking(move || pod.wait()).await.expect("it is waited for").expect("it ends");
    }
    // What the comments say to do.
    for index in 0..4 {
        let text = std::fs::read_to_string(logs.join(format!("pod-{index}"))).expect("a log");
        let lines: String = text.lines().filter(|line| line.starts_with('{')).map(|line| format!("{line}\n")).collect();
        std::fs::write(logs.join(format!("shard-{index}.jsonl")), lines).expect("it can be written");
    }
    let whole = dir.path().join("whole.jsonl");
    let (logs, whole) = (logs.to_str().expect("UTF-8"), whole.to_str().expect("UTF-8"));
    let merged = chatspec(&["merge", logs, "--json", whole]);
    // On a machine that has other work to do, a generator rightly says that its figures are none.
    assert!(matches!(merged.status.code(), Some(0 | 3)), "{}{}", stdout(&merged), stderr(&merged));
    let log = Log::read(BufReader::new(File::open(whole).expect("it was written"))).expect("a whole log");
    assert!(log.footer.notes.iter().any(|note| note == "merged from 4 of 4 shards"), "{:?}", log.footer.notes);
    let measured = log.events.iter().find_map(|event| if let Event::Measured(measured) = event { Some(measured) } else { None });
    let ledger = &measured.expect("measurements").ledger;
    assert_eq!((ledger.sent, ledger.lost, ledger.duplicated), (160, 0, 0), "{}", stdout(&merged));
}

#[test]
fn what_cannot_work_is_refused_and_what_is_doubtful_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = dir.path().join("wrong.yaml");
    std::fs::write(&wrong, "title: A load\nrooms: {count: 5}\n").expect("the folder is new");
    let wrong = wrong.to_str().expect("UTF-8");
    let mut told = String::new();
    let cases: [(&[&str], i32); 13] = [
        (&["--shards", "51", "steady-chat"], 2),
        (&["--shards", "2", "big-room"], 2),
        (&["--shards", "4", wrong], 2),
        (&["--shards", "4", "--name", "Upper_Case"], 2),
        (&["--shards", "4", "--volume-claim", "no claim"], 2),
        (&["--shards", "4", "--storage", "10GB"], 2),
        (&["--shards", "4", "--http", "http://127.0.0.1:5000"], 2),
        (&["--shards", "4", "--clients", "300000", "--rooms", "1000"], 2),
        (&["--shards", "4", "--clients", "100", "--rooms", "5", "--capacity", "10"], 2),
        (&["--shards", "4", "--header-env", "A:T", "--header-env", "B:T"], 2),
        (&["--shards", "4", "--header-env", "A:1x"], 2),
        (&["--shards", "4", "--clients", "100000", "--rooms", "1000", "--memory", "128MiB"], 0),
        (&["--shards", "4", "--clients", "4000", "--rooms", "200", "--rate", "40000/s", "--cpu", "1"], 0),
    ];
    for (arguments, code) in cases {
        let target: &[&str] = if arguments.contains(&"--http") { &["--image", "i"] } else { &TARGET };
        let output = chatspec(&[&["kubernetes"], target, arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        told.push_str(&stderr(&output).replace(wrong, "wrong.yaml"));
    }
    let output = chatspec(&["kubernetes", "--shards", "4", "--image", "i"]);
    told.push_str(&stderr(&output));
    insta::assert_snapshot!(told);
    // A mistake in a profile is told as `load` tells it.
    assert!(stderr(&chatspec(&["kubernetes", "--shards", "4", "--image", "i", wrong])) == stderr(&chatspec(&["load", wrong])));
}
