//! Medians over rounds, and tables of them in Markdown.

use std::collections::BTreeMap;

use crate::chat::Figures;
use crate::contender::{Contender, FAN_OUT, Shape};
use crate::target::Server;

/// Figures of which each is the median of that figure over the rounds.
pub fn median(rounds: &[Figures]) -> Figures {
    let float = |of: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        let middle = all.len() / 2;
        if all.len() % 2 == 1 { all[middle] } else { (all[middle - 1] + all[middle]) / 2.0 }
    };
    let whole = |of: fn(&Figures) -> f64| float(of).round() as u64;
    Figures {
        messages: whole(|figures| figures.messages as f64),
        deliveries: whole(|figures| figures.deliveries as f64),
        seconds: float(|figures| figures.seconds),
        cpu_seconds: float(|figures| figures.cpu_seconds),
        target_cpu_seconds: float(|figures| figures.target_cpu_seconds),
        p50_us: whole(|figures| figures.p50_us as f64),
        p99_us: whole(|figures| figures.p99_us as f64),
    }
}

/// Processor time for 100,000 deliveries, of which an echo has one for each message.
fn cost(figures: &Figures) -> f64 {
    figures.cpu_seconds * 100_000.0 / figures.deliveries.max(1) as f64
}

/// Deliveries a second of the target's processor: what its core would carry, also where it wasn't given all of it.
fn carried(figures: &Figures) -> f64 {
    figures.deliveries as f64 / figures.target_cpu_seconds.max(f64::MIN_POSITIVE)
}

fn rate(figures: &Figures) -> f64 {
    figures.deliveries as f64 / figures.seconds
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn what(shape: Shape) -> &'static str {
    if shape.name == FAN_OUT.name { "deliveries" } else { "echoes" }
}

pub fn clients(shape: Shape, figures: &BTreeMap<Contender, Figures>) {
    let (name, what) = (shape.name, what(shape));
    println!("### Generators, {name}: {} rooms of {}\n", shape.rooms, shape.members);
    println!("| | CPU s per 100,000 {what} | x floor | {what}/s | x floor | p50 ms | p99 ms | p99 x floor | target busy |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let floor = &figures[&Contender::Floor];
    for (contender, own) in figures {
        println!(
            "| {} | {:.3} | {:.2} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} % |",
            contender.name(),
            cost(own),
            cost(own) / cost(floor),
            rate(own),
            rate(own) / rate(floor),
            millis(own.p50_us),
            millis(own.p99_us),
            own.p99_us as f64 / floor.p99_us.max(1) as f64,
            100.0 * own.target_cpu_seconds / own.seconds,
        );
    }
    println!();
}

pub fn open(shape: Shape, figures: &BTreeMap<Contender, Figures>) {
    println!(
        "### Generators, open load, {} rooms of {}, {:.0} messages/s: half of what the target carries\n",
        shape.rooms,
        shape.members,
        shape.rate.unwrap_or_default()
    );
    println!("| | echoes/s | p50 ms | beyond the floor | p99 ms | beyond the floor |");
    println!("|---|---|---|---|---|---|");
    let floor = &figures[&Contender::Floor];
    for (contender, own) in figures {
        let beyond = |of: fn(&Figures) -> u64| millis(of(own)) - millis(of(floor));
        println!(
            "| {} | {:.0} | {:.3} | {:+.3} | {:.3} | {:+.3} |",
            contender.name(),
            rate(own),
            millis(own.p50_us),
            beyond(|figures| figures.p50_us),
            millis(own.p99_us),
            beyond(|figures| figures.p99_us),
        );
    }
    println!();
}

pub fn servers(shape: Shape, figures: &BTreeMap<Server, Figures>) {
    let (name, what) = (shape.name, what(shape));
    println!("### Servers under the floor, {name}: {} rooms of {}\n", shape.rooms, shape.members);
    println!("| | {what}/s | x minimal | {what} per CPU s | x minimal | p50 ms | p99 ms | busy | generator busy |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let minimal = &figures[&Server::Minimal];
    for (server, own) in figures {
        println!(
            "| {} | {:.0} | {:.2} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} % | {:.0} % |",
            server.name(),
            rate(own),
            rate(own) / rate(minimal),
            carried(own),
            carried(own) / carried(minimal),
            millis(own.p50_us),
            millis(own.p99_us),
            100.0 * own.target_cpu_seconds / own.seconds,
            100.0 * own.cpu_seconds / own.seconds,
        );
    }
    println!();
}
