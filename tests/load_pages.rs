//! The pages of loads and of `sensitivity`, from literal event streams.

mod support;

use chatspec::event::Log;
use chatspec::report::html::{Unfit, page};
use support::loads;

fn named(logs: &[(&str, Log)]) -> Vec<(String, Log)> {
    logs.iter().map(|(name, log)| ((*name).to_owned(), log.clone())).collect()
}

/// What stands in the page's body, an element on each line, without the strokes of its charts.
fn shown(logs: &[(&str, Log)]) -> String {
    let page = page(&named(logs)).expect("the logs fit");
    let (_, main) = page.split_once("<main>").expect("a body");
    let (main, _) = main.split_once("</main>").expect("its end");
    let mut text = String::new();
    for (at, part) in main.split("<svg").enumerate() {
        let after = match part.split_once("</svg>") {
            Some((drawn, after)) if at > 0 => {
                let label = drawn.split("aria-label=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("no label");
                text.push_str(&format!("\n[chart: {label}]\n"));
                after
            }
            _ => part,
        };
        text.push_str(after);
    }
    for end in
        ["</li>", "</tr>", "</p>", "</h2>", "</h3>", "</dd>", "</summary>", "</figure>", "</figcaption>", "</ul>", "</thead>", "</div>"]
    {
        text = text.replace(end, &format!("{end}\n"));
    }
    text
}

#[test]
fn a_clean_load() {
    insta::assert_snapshot!(shown(&[("clean", loads::clean())]));
}

#[test]
fn a_lossy_load() {
    insta::assert_snapshot!(shown(&[("lossy", loads::lossy(None))]));
}

#[test]
fn a_load_that_is_not_to_be_believed_says_so_above_everything() {
    let shown = shown(&[("invalid", loads::unbelievable())]);
    assert!(shown.starts_with("<div class=\"load untrusted\">"), "{shown}");
    let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text} in {shown}"));
    assert!(place("Not to be believed:") < place("give it more --threads"));
    assert!(place("give it more --threads") < place("p50 of deliveries"), "the reasons stand above the first figure");
}

#[test]
fn an_interrupted_load_shows_what_its_seconds_tell() {
    insta::assert_snapshot!(shown(&[("interrupted", loads::interrupted(6))]));
}

#[test]
fn a_load_that_ended_before_its_first_second() {
    insta::assert_snapshot!(shown(&[("empty", loads::interrupted(0))]));
}

#[test]
fn a_closed_load_says_what_it_cannot_show() {
    let shown = shown(&[("closed", loads::closed())]);
    assert!(shown.contains("What a closed load can't show") && shown.contains("the target's own pace"), "{shown}");
    assert!(shown.contains("deliver, service time"), "{shown}");
    // A thousand messages a second, 3.003 ms each in the phase that is called steady, are 3.003 in flight, and 6 were.
    assert!(shown.contains("-49.9 %") && shown.contains("some messages were not timed"), "{shown}");
}

#[test]
fn loads_laid_over_each_other() {
    let mut slower = loads::lossy(None);
    slower.header.seed = 8;
    insta::assert_snapshot!(shown(&[("clean", loads::clean()), ("slower", slower), ("cut", loads::interrupted(4))]));
}

#[test]
fn the_matrix() {
    insta::assert_snapshot!(shown(&[("matrix", loads::matrix(None))]));
}

#[test]
fn an_interrupted_matrix_counts_what_it_has() {
    let mut log = loads::matrix(None);
    log.footer.matrix = None;
    log.footer.interrupted = true;
    log.footer.exit_code = 130;
    log.events.truncate(4);
    let shown = shown(&[("matrix", log)]);
    assert!(shown.contains("1 of 1 killed") && shown.contains("2 of 3 conforming servers pass"), "{shown}");
    assert!(shown.contains("The run was interrupted"), "{shown}");
}

#[test]
fn a_histogram_that_is_none_is_an_error_that_names_the_log() {
    let mut log = loads::clean();
    for event in &mut log.events {
        if let chatspec::event::Event::Second(second) = event {
            second.deliver = "nonsense".into();
        }
    }
    let error = page(&named(&[("runs/a.jsonl", log)])).expect_err("it can't be read");
    assert!(matches!(error, Unfit::Unreadable { .. }), "{error:?}");
    assert!(error.to_string().starts_with("runs/a.jsonl: the histogram of a second can't be read: "), "{error}");
}

#[test]
fn what_others_have_written_makes_no_element() {
    let hostile = || loads::lossy(Some(loads::HOSTILE));
    for logs in [
        vec![(loads::HOSTILE, hostile())],
        vec![(loads::HOSTILE, hostile()), ("b", hostile()), ("c", loads::interrupted(3))],
        vec![(loads::HOSTILE, loads::matrix(Some(loads::HOSTILE)))],
    ] {
        let page = page(&named(&logs)).expect("the logs fit");
        assert_eq!(page.matches("<script").count(), 1, "only the page's own script");
        for never in ["<img", "</style></title>", "<b>", "<b id", "\u{1b}", "\u{202e}"] {
            let own = if never == "<b>" { page.matches("<b>\"").count() } else { page.matches(never).count() };
            assert_eq!(own, 0, "{never} is in the page");
        }
    }
}

/// An hour of a load, a log of many megabytes, is a page that opens at once.
#[test]
fn an_hour_makes_a_small_page() {
    let few = loads::seconds();
    let hour = (1..=3600_u32).map(|number| {
        let mut second = few[3 + number as usize % 7].clone();
        second.at_ms = f64::from(number) * 1000.0;
        second
    });
    let mut planned = loads::planned();
    planned.phases[1].end_ms = 3_600_000.0;
    planned.phases.truncate(2);
    let log = loads::log(planned, hour.collect(), Some(loads::measured()), loads::footer(0));
    let page = page(&named(&[("hour", log)])).expect("the log fits");
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
    assert!(page.contains("Each point is made of 12.0 s."));
}
