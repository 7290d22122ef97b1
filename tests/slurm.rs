//! What `chatspec slurm` prints, and that it is carried out by a Slurm cluster. Where Slurm isn't installed the latter skips, and says so.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use chatspec::event::{Event, Log, Measured};
use reference_server::Config;
use support::slurm::{Cluster, wait_for};
use support::{Server, chatspec, reference, stderr, stdout};

const TARGET: [&str; 4] = ["--http", "http://chat.example:5000", "--ws", "ws://chat.example:2333"];

fn printed(more: &[&str]) -> String {
    let output = chatspec(&[&["slurm"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

/// The script, and what a shell would find wrong with it, where shellcheck is installed.
fn checked(script: &str) -> PathBuf {
    let path = tempfile::Builder::new().suffix(".sbatch").tempfile().expect("a file").into_temp_path().keep().expect("it stays");
    std::fs::write(&path, script).expect("it can be written");
    path
}

#[test]
fn a_script_reads_so() {
    let text = printed(&[&["steady-chat", "--shards", "4", "--seed", "7"], &TARGET[..]].concat());
    insta::with_settings!({filters => vec![(env!("CARGO_PKG_VERSION"), "VERSION")]}, { insta::assert_snapshot!(text) });
}
