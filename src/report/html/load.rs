//! The page of one load: whether it holds, what was done, how fast and how completely it arrived, and whether to believe it.

use maud::{Markup, html};

use super::generator;
use super::latencies;
use super::loaded::Loaded;
use super::table::{figures, tile};
use super::text::{plain, visible};
use super::timeline::explained;
use super::{deliveries, rates};
use crate::event::{Health, Measured, PhaseMeasured, Planned, ThresholdVerdict, Trust};
use crate::report::figures::{NONE, count, number, percent, plural, seconds};
use crate::report::little::{Little, TOLERANCE, little};
use crate::report::load::{said, trusted, word};
use crate::report::shards;
use crate::stats::{Clock, Metric};

/// The conclusion, and the profile that it is of.
pub fn title(loaded: &Loaded<'_>) -> String {
    let profile = loaded.planned.map_or("no profile", |planned| &planned.profile);
    format!("{}: {}", word(loaded.footer.exit_code, loaded.trust()), plain(profile))
}

/// What stands beside the title.
pub fn subtitle(loaded: &Loaded<'_>) -> Markup {
    html! { "chatspec load of " (visible(&loaded.header.target.http)) " · " (visible(&loaded.header.started)) }
}

/// The page's body.
pub fn body(loaded: &Loaded<'_>) -> Markup {
    let health = loaded.measured.map(|measured| &measured.health);
    // Figures that aren't the target's must not be taken for it, whoever scrolls past the verdict.
    let class = if loaded.trust() == Some(Trust::Invalid) { "load untrusted" } else { "load" };
    html! {
        div class=(class) {
            (verdict(loaded, health))
            (tiles(loaded))
            @if let Some(measured) = loaded.measured { (thresholds(&measured.thresholds)) }
            (done(loaded))
            (curves(loaded))
            @if let Some(measured) = loaded.measured {
                h2 id="generator" { "The generator" }
                (generator::health(measured, &loaded.counted(Metric::SendLag, Clock::Intended)))
                @if !measured.shards.is_empty() {
                    h3 { "Its shards" }
                    (figures(shards::TITLES, shards::rows(&measured.shards).map(|(_, row)| row)))
                    ul { @for remark in shards::remarks(&measured.shards) { li { (remark) } } }
                }
            }
            @if !loaded.seconds.is_empty() { (generator::charts(&loaded.timeline)) }
            @if let Some(account) = loaded.account() { (deliveries::account(account)) }
            @if let Some(measured) = loaded.measured { (deliveries::errors(&measured.errors)) }
            (latencies::tables(loaded))
            @if loaded.is_closed() { (closed(loaded)) }
        }
    }
}

fn verdict(loaded: &Loaded<'_>, health: Option<&Health>) -> Markup {
    let (footer, trust) = (loaded.footer, loaded.trust());
    let class = match footer.exit_code {
        0 => "pass",
        3 | 130 if trust != Some(Trust::Invalid) => "warn",
        _ => "fail",
    };
    let said = match loaded.measured {
        Some(measured) => said(measured).join("; "),
        None => "nothing was measured to the end".to_owned(),
    };
    html! {
        section class=(format!("panel conclusion {class}")) {
            p { strong class="word" { (word(footer.exit_code, trust)) ":" } " " (said) "." }
            @for note in &footer.notes { p { (visible(note)) } }
            @if footer.interrupted {
                p { "The run was interrupted after " (seconds(footer.at_ms)) "; this is what it had found out by then." }
            }
            @match trust {
                Some(Trust::Invalid) => {
                    p { strong { "Not to be believed: " (loaded.measured.map(trusted).unwrap_or_default()) "." } }
                }
                Some(Trust::Degraded) => {
                    p { "The generator is degraded: the figures hold some of its own delay. " a href="#generator" { "Why" } "." }
                }
                Some(Trust::Trusted) | None => {}
            }
            @if let Some(health) = health.filter(|health| health.trust == Trust::Invalid) { (generator::reasons(health)) }
        }
    }
}

/// The figures that most people look for.
fn tiles(loaded: &Loaded<'_>) -> Markup {
    let sum = |what: fn(&PhaseMeasured) -> u64| loaded.measured.map(|measured| measured.phases.iter().map(what).sum::<u64>());
    let so_far = || loaded.seconds.iter().map(|second| second.sent).sum::<u64>();
    let sent = sum(|phase| phase.sent).unwrap_or_else(so_far);
    let planned = loaded.planned.and_then(|planned| planned.messages);
    let complete = |done: u64, all: u64| if done >= all { "pass" } else { "warn" };
    let deliver = loaded.best(Metric::Deliver);
    // A drain is over as soon as everything has arrived, so its planned end is no measure.
    let phases = loaded.planned.map_or([].as_slice(), |planned| &planned.phases);
    let wanted = phases.iter().rev().find(|phase| phase.kind != "drain").map(|phase| phase.end_ms);
    html! {
        ul class="tiles" {
            @match planned {
                Some(planned) => (tile(complete(sent, planned), &format!("{} of {}", count(sent), count(planned)), "planned messages were sent")),
                None => (tile("", &count(sent), "messages were sent")),
            }
            @if let Some(account) = loaded.account() {
                @let class = if account.is_clean() { complete(account.delivered, account.due) } else { "fail" };
                (tile(class, &format!("{} of {}", count(account.delivered), count(account.due)), "due deliveries arrived"))
            }
            @if !deliver.is_empty() {
                @for (quantile, name) in [(0.5, "p50"), (0.99, "p99")] {
                    @let value = deliver.value_at_quantile(quantile) as f64 / 1000.0;
                    (tile("", &format!("{} ms", number(value)), &format!("{name} of deliveries")))
                }
            }
            @if let Some((sent, delivered)) = loaded.rates() {
                (tile("", &format!("{}/s", number(sent)), "messages, where it counts"))
                (tile("", &format!("{}/s", number(delivered)), "deliveries, where it counts"))
            }
            @if let Some(trust) = loaded.trust() {
                (tile(generator::class(trust), crate::report::load::trusted_word(trust), "the generator"))
            }
            @match wanted {
                Some(wanted) if loaded.footer.interrupted => {
                    (tile("warn", &format!("{} of {}", seconds(loaded.timeline.end_ms().min(wanted)), seconds(wanted)), "were played"))
                }
                _ if !loaded.seconds.is_empty() => (tile("", &seconds(loaded.timeline.end_ms()), "the run lasted")),
                _ => {}
            }
        }
    }
}

fn thresholds(thresholds: &[ThresholdVerdict]) -> Markup {
    html! {
        @if !thresholds.is_empty() {
            h2 { "Thresholds" }
            div class="scroll" tabindex="0" {
                table class="figures" {
                    thead { tr { th scope="col" { "threshold" } th scope="col" { "measured" } th scope="col" class="text" { "" } } }
                    tbody {
                        @for ThresholdVerdict { threshold, holds, measured, aborted } in thresholds {
                            tr class=(if *holds { "pass" } else { "fail" }) {
                                th scope="row" { code { (visible(threshold)) } }
                                td class="number" { (visible(measured.as_deref().unwrap_or("no sample"))) }
                                td {
                                    strong { (if *holds { "✓ holds" } else { "✗ doesn't hold" }) }
                                    @if *aborted { ", and ended the run before its time" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn done(loaded: &Loaded<'_>) -> Markup {
    let header = loaded.header;
    html! {
        h2 { "What was done" }
        dl class="about" {
            dt { "target" }
            dd {
                code { (visible(&header.target.http)) } " " code { (visible(&header.target.ws)) }
                @for note in &header.target.notes { br; span class="dim" { (visible(note)) } }
            }
            @if let Some(planned) = loaded.planned { (plan(planned)) }
            dt { "seed" }
            dd { (header.seed) }
            dt { "started" }
            dd { (visible(&header.started)) ", by chatspec " (visible(&header.version)) }
            @if !header.reproduce.is_empty() { dt { "again" } dd { code class="again" { (visible(&header.reproduce)) } } }
        }
        @if let (Some(planned), Some(measured)) = (loaded.planned, loaded.measured) { (phases(loaded, planned, measured)) }
        @if let Some(planned) = loaded.planned {
            @if !planned.resolved.is_empty() {
                details {
                    summary { "The resolved plan, as a profile that " code { "chatspec load" } " takes" }
                    pre class="panel" { (lines(&planned.resolved)) }
                    p class="dim" { "SHA-256 " code { (visible(&planned.hash)) } }
                }
            }
        }
    }
}

/// A text of several lines, in which nothing hidden acts.
fn lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

fn plan(planned: &Planned) -> Markup {
    html! {
        dt { "profile" }
        dd { (visible(&planned.profile)) @if let Some(shard) = &planned.shard { "; shard " (visible(shard)) " of the plan" } }
        dt { "clients" }
        dd {
            (plural(planned.clients.into(), "client", "clients")) " in " (plural(planned.rooms.into(), "room", "rooms")) ", the largest of "
            (planned.largest) ", by " (plural(planned.threads.into(), "thread", "threads"))
        }
        dt { "pace" }
        dd {
            @match planned.messages {
                Some(messages) => { "open load: " (plural(messages, "message", "messages")) " sent by the plan's clock, however the target does" }
                None => "closed load: a message is sent when one before it has come back, at the target's own pace",
            }
        }
    }
}

fn phases(loaded: &Loaded<'_>, planned: &Planned, measured: &Measured) -> Markup {
    let left_out = measured.phases.iter().any(|phase| !loaded.counts(&phase.name));
    let row = |phase: &PhaseMeasured| {
        let rate = |number_of: u64| number(number_of as f64 / phase.seconds.max(1e-9));
        let idle = phase.planned == 0 && phase.sent == 0;
        let unless = |idle: bool, shown: String| if idle { NONE.to_owned() } else { shown };
        let kind = planned.phases.iter().find(|known| known.name == phase.name).map_or(NONE, |known| &known.kind).to_owned();
        [
            if loaded.counts(&phase.name) { phase.name.clone() } else { format!("{} *", phase.name) },
            kind,
            seconds(phase.seconds * 1000.0),
            unless(idle || loaded.is_closed(), rate(phase.planned)),
            unless(idle, rate(phase.sent)),
            rate(phase.delivered),
            unless(idle, count(phase.sent_late)),
            unless(idle, count(phase.unsent_target)),
            unless(idle, count(phase.unsent_generator)),
        ]
    };
    let titles = [
        "phase",
        "kind",
        "lasted",
        "planned/s",
        "sent/s",
        "arrived/s",
        "sent late",
        "not sent: the target's doing",
        "not sent: the generator's",
    ];
    html! {
        (figures(titles, measured.phases.iter().map(row)))
        @if left_out { p class="dim" { "* is not looked at for the verdict." } }
    }
}

/// The charts of the target; those of the generator stand below with its verdict, on the same axis.
fn curves(loaded: &Loaded<'_>) -> Markup {
    html! {
        (latencies::spectrum(loaded))
        @if !loaded.seconds.is_empty() {
            h2 { "Over time" }
            (explained(&loaded.timeline))
            (loaded.timeline.bands())
            (loaded.timeline.heat())
            (rates::charts(&loaded.timeline, loaded.is_closed()))
        }
    }
}

/// What a closed load can't show, and whether its figures agree with each other.
fn closed(loaded: &Loaded<'_>) -> Markup {
    let laws = loaded.measured.map(|measured| little(measured, &loaded.histograms, |phase| loaded.counts(phase))).unwrap_or_default();
    let row = |law: &Little| {
        let deviation = format!("{:+.1} %", law.deviation() * 100.0);
        [law.phase.clone(), number(law.rate), number(law.mean_ms), number(law.implied), number(law.in_flight), deviation]
    };
    html! {
        h2 { "What a closed load can't show" }
        p {
            "It asks less of a target that is slow: nothing is sent while answers are waited for, so a pause of a second is one late answer "
            "for each message in flight, and not the wait of all who would have come in that second. Its percentiles are lower than what "
            "users meet; take them for how much the target carries, and " code { "--rate" } " for how long users wait."
        }
        @if !laws.is_empty() {
            p { "By Little's law the rate times the mean echo is what was in flight:" }
            (figures(["phase", "sent/s", "mean echo, ms", "so in flight", "were in flight", "apart"], laws.iter().map(row)))
        }
        @if laws.iter().any(Little::is_apart) {
            p {
                strong class="warn" {
                    "That is more than " (percent(TOLERANCE)) " apart: some messages were not timed, or waited where no clock ran."
                }
            }
        }
    }
}
