//! `chatspec doctor` as its users meet it.

mod support;

use support::{chatspec, stderr, stdout};

#[test]
fn a_small_load_fits_and_the_needs_are_told() {
    let output = chatspec(&["doctor", "--clients", "10", "--rooms", "2", "--threads", "1"]);
    let out = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{out}");
    assert!(out.starts_with("10 clients in 2 rooms, by 1 thread, from 1 source address, the target on this machine\n"), "{out}");
    for resource in ["descriptors", "ports", "memory", "cores"] {
        assert!(out.contains(resource), "{resource} is missing:\n{out}");
    }
    assert!(!out.contains("SHORT"), "{out}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_load_that_no_machine_makes_is_short_and_the_ways_out_are_told() {
    let output = chatspec(&["doctor", "--clients", "4000000000"]);
    let out = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("SHORT    ports"), "{out}");
    assert!(out.contains("--source ADDR"), "{out}");
}

#[test]
#[cfg(target_os = "linux")]
fn source_addresses_share_the_clients() {
    let needed = |sources: &[&str]| {
        let out = stdout(&chatspec(&[&["doctor", "--clients", "20000"], sources].concat()));
        let line = out.lines().find(|line| line.contains(" ports ")).unwrap_or_else(|| panic!("no ports in:\n{out}")).to_owned();
        line.split_whitespace().nth(2).expect("a figure").to_owned()
    };
    assert_eq!(needed(&[]), "20,064");
    assert_eq!(needed(&["--source", "127.0.0.1", "--source", "127.0.0.2"]), "10,064");
    assert_eq!(needed(&["--source", "127.0.0.1-127.0.0.4,127.0.0.9"]), "4,064");
}

#[test]
fn what_cannot_be_is_wrong_usage_and_says_what_is_wrong() {
    // 192.0.2.0/24 is for documentation, and no machine's.
    let cases: [(&[&str], &str); 5] = [
        (&["--clients", "5", "--rooms", "6"], "6 rooms are too many for 5 clients"),
        (&["--source", "192.0.2.1"], "nothing can be sent from 192.0.2.1 here"),
        (&["--source", "127.0.0.1", "--source", "127.0.0.1"], "127.0.0.1 is given twice"),
        (&["--clients", "0"], "0 is not in 1.."),
        (&["--source", "home"], "`home` is no IP address"),
    ];
    for (arguments, says) in cases {
        let output = chatspec(&[&["doctor"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
}
