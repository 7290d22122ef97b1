//! The matrix of the suite's sensitivity, for a terminal and as Markdown.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::figures::plural;
use super::markdown::text::cell as code;
use super::transcript::printable;
use crate::matrix::{Judgement, Kind, Summary, Trial, Worth, scenario_of};

/// How many killers a line names.
const NAMED: usize = 3;

/// One line of a trial, and what is wrong with it on lines of their own.
pub fn line(out: &mut dyn Write, trial: &Trial) -> io::Result<()> {
    let colour = if trial.judgement.is_good() { AnsiColor::Green } else { AnsiColor::Red };
    let style = Style::new().fg_color(Some(colour.into()));
    let requirement = match &trial.subject.kind {
        Kind::Fault { requirement, .. } => requirement.as_str(),
        Kind::Variant => "variant",
        Kind::Plain => "plain",
    };
    let killers = killers(trial);
    let by = match killers.len() {
        0 => String::new(),
        count => format!("  by {count}: {}", some(&killers)),
    };
    writeln!(out, "{style}{:11}{style:#}  {requirement:18}  {}{by}", trial.judgement.word(), printable(&trial.subject.name))?;
    if !trial.judgement.is_good() {
        writeln!(out, "    {}{}", printable(&trial.subject.summary), times(trial))?;
        trial.troubles.iter().try_for_each(|trouble| writeln!(out, "    {}", printable(trouble)))?;
        for (id, scenarios) in &trial.violated {
            writeln!(out, "    {} fails in {}", printable(id.as_str()), some(&distinct(scenarios)))?;
        }
        if !trial.untested.is_empty() {
            let ids: Vec<&str> = trial.untested.iter().map(|id| id.as_str()).collect();
            writeln!(out, "    not tested: {}", ids.join(", "))?;
        }
    } else if !trial.collateral().is_empty() {
        let ids: Vec<&str> = trial.collateral().into_iter().map(|id| id.as_str()).collect();
        writeln!(out, "    beside what it implies: {}", ids.join(", "))?;
    }
    Ok(())
}

/// The figures at the end.
pub fn summary(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    writeln!(out, "\nfaults      {}", faults(summary))?;
    writeln!(out, "conforming  {} of {} servers pass", summary.passed, summary.conforming)?;
    writeln!(out, "collateral  {}", collateral(summary))?;
    if summary.failed > 0 {
        writeln!(out, "failed      {} trials went wrong themselves", summary.failed)?;
    }
    if !summary.worth.is_empty() {
        let needless: Vec<&Worth> = summary.worth.iter().filter(|worth| worth.is_needless()).collect();
        writeln!(out, "scenarios   {}", scenarios(summary))?;
        needless.iter().try_for_each(|worth| {
            let scenario = printable(&worth.scenario);
            writeln!(out, "    needless: {scenario} (kills {}, all of which others kill too)", worth.kills)
        })?;
    }
    Ok(())
}

/// The figures in one sentence.
pub fn sentence(summary: &Summary) -> String {
    let mut parts = Vec::new();
    if summary.faults > 0 {
        parts.push(format!("faults: {}", faults(summary)));
    }
    if summary.conforming > 0 {
        parts.push(format!("{} of {} conforming servers pass", summary.passed, summary.conforming));
    }
    let needless = summary.worth.iter().filter(|worth| worth.is_needless()).count();
    if needless > 0 {
        parts.push(format!("{} needless", plural(needless as u64, "scenario is", "scenarios are")));
    }
    if summary.failed > 0 {
        parts.push(plural(summary.failed as u64, "trial went wrong itself", "trials went wrong themselves"));
    }
    if parts.is_empty() { "nothing was tried".to_owned() } else { parts.join("; ") }
}

/// The whole matrix as a page.
pub fn markdown(trials: &[&Trial], summary: &Summary) -> String {
    let mut page = String::from("# What the suite catches\n\n");
    page.push_str(
        "Written by `chatspec sensitivity --markdown FILE`, which plays the whole suite against the reference server with each\n",
    );
    page.push_str(
        "of its deliberate faults, and with each of its odd but conforming variants. A fault counts as killed where a scenario\n",
    );
    page.push_str("fails under the very requirement that the fault violates.\n\n");
    for (name, figure) in [
        ("Faults", faults(summary)),
        ("Conforming servers", format!("{} of {} pass", summary.passed, summary.conforming)),
        ("Collateral", collateral(summary)),
        ("Scenarios", scenarios(summary)),
    ] {
        let _ = writeln!(page, "- {name}: {figure}.");
    }
    page.push_str("\n## Faults\n\n| fault | what the server does | violates | | killed by | fails beside what it implies |\n|---|---|---|---|---|---|\n");
    for trial in trials {
        if let Kind::Fault { requirement, .. } = &trial.subject.kind {
            let also: Vec<&str> = trial.collateral().into_iter().map(|id| id.as_str()).collect();
            let (name, text, word) = (code(&trial.subject.name), cell(&trial.subject.summary), trial.judgement.word());
            let (by, also) = (cell(&killers(trial).join(", ")), cell(&also.join(", ")));
            let _ = writeln!(page, "| {name} | {text} | {requirement} | {word} | {by} | {also} |");
        }
    }
    page.push_str("\n## Servers that conform\n\n| server | what it does | |\n|---|---|---|\n");
    for trial in trials {
        if !matches!(trial.subject.kind, Kind::Fault { .. }) {
            let _ = writeln!(page, "| {} | {} | {} |", code(&trial.subject.name), cell(&trial.subject.summary), trial.judgement.word());
        }
    }
    page.push_str("\n## Scenarios\n\nWhat would be missed without each.\n\n| scenario | kills | alone, or why it stays |\n|---|---|---|\n");
    for worth in &summary.worth {
        let why = match &worth.stays {
            _ if !worth.alone.is_empty() => worth.alone.iter().map(|fault| code(fault)).collect::<Vec<_>>().join(", "),
            Some(stays) => cell(stays),
            None => "needless".to_owned(),
        };
        let _ = writeln!(page, "| {} | {} | {why} |", cell(&worth.scenario), worth.kills);
    }
    page
}

/// How many faults are killed, and what became of the others.
pub fn faults(summary: &Summary) -> String {
    let mut text = format!("{} of {} killed", summary.killed, summary.faults);
    for (count, what) in [(summary.unnoticed, "showed and were not noticed"), (summary.unreached, "were never reached")] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

fn collateral(summary: &Summary) -> String {
    let (median, most) = (summary.median_collateral, summary.most_collateral);
    format!("beyond what a fault implies, {median} requirements fail in the median, {most} at most")
}

/// How many scenarios are needed, and why the others stay.
pub fn scenarios(summary: &Summary) -> String {
    let needed = summary.worth.iter().filter(|worth| !worth.alone.is_empty()).count();
    let needless = summary.worth.iter().filter(|worth| worth.is_needless()).count();
    let stay = summary.worth.len() - needed - needless;
    format!("{needed} of {} alone kill some fault, {stay} stay for a reason of their own, {needless} are needless", summary.worth.len())
}

fn times(trial: &Trial) -> String {
    match (trial.fired, trial.judgement) {
        (Some(count), Judgement::Unnoticed) => format!("; it did so {count} times"),
        _ => String::new(),
    }
}

fn killers(trial: &Trial) -> Vec<&str> {
    distinct(trial.killers())
}

/// The scenarios of these cases, each once.
pub fn distinct(cases: &[String]) -> Vec<&str> {
    let mut scenarios: Vec<&str> = cases.iter().map(|case| scenario_of(case)).collect();
    scenarios.dedup();
    scenarios
}

fn some(scenarios: &[&str]) -> String {
    let text = match scenarios.len() {
        count if count > NAMED => format!("{} and {} more", scenarios[..NAMED].join(", "), count - NAMED),
        _ => scenarios.join(", "),
    };
    printable(&text)
}

/// The texts are Markdown themselves, but neither HTML nor links.
fn cell(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|").replace("](", "]\\(")
}
