//! The rules that hold the code together, as tests.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order in which they may use each other: each only those before it.
const ORDER: [&str; 18] = [
    "requirement",
    "reading",
    "scenario",
    "matcher",
    "known",
    "verdict",
    "matrix",
    "stats",
    "ledger",
    "event",
    "wire",
    "conformance",
    "sensitivity",
    "load",
    "explore",
    "report",
    "cluster",
    "cli",
];

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let within = path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
            (within, fs::read_to_string(&path).expect("a file"))
        })
        .collect()
}

#[test]
fn a_module_uses_only_what_stands_before_it() {
    for (file, text) in all_sources() {
        let module = file.split(['/', '.']).next().expect("a name");
        let Some(place) = ORDER.iter().position(|name| *name == module) else {
            assert!(matches!(module, "lib" | "main"), "{file} stands nowhere in the order");
            continue;
        };
        for used in text.split("crate::").skip(1) {
            let name: String = used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if let Some(other) = ORDER.iter().position(|known| *known == name) {
                assert!(other <= place, "{file} uses `{name}`, which stands after `{module}`");
                let engine = matches!(name.as_str(), "conformance" | "sensitivity" | "load" | "explore");
                assert!(module != "report" || !engine, "{file}: reporters know events, not engines");
            }
        }
    }
}

#[test]
fn only_the_edge_knows_the_reference_server_and_prints() {
    for (file, text) in all_sources() {
        let edge = file.starts_with("cli/");
        assert!(edge || !text.contains("reference_server::"), "{file} knows the reference server");
        let printing = ["println!(", "eprintln!(", "print!("].iter().any(|call| text.contains(call));
        assert!(edge || file.starts_with("report/") || !printing, "{file} prints");
        assert!(edge || !text.contains("anyhow::"), "{file} uses anyhow below the edge");
    }
}

/// The language and the engine know no word of the chatroom protocol.
#[test]
fn the_engine_knows_no_word_of_the_protocol() {
    let words = ["room_name", "user_name", "chatroom", "invalid message", "R-LIST", "JOIN-"];
    for (file, text) in all_sources() {
        if !file.starts_with("conformance/") && !file.starts_with("wire/") && file != "matcher.rs" {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().expect("a first part");
        for word in words {
            assert!(!code.contains(word), "{file} speaks of `{word}`");
        }
    }
}
