//! A comparison of runs as a table for a terminal.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::stats::compare::{Compared, Comparison, LEAST_RUNS, Spread, Unit, Verdict};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Writes the table: each figure's median with its range over the runs, the change, and the verdict.
///
/// # Errors
/// A writer that takes no more.
pub fn table(out: &mut dyn Write, comparison: &Comparison) -> io::Result<()> {
    let (base, new) = comparison.runs;
    writeln!(out, "{BOLD}chatspec compare{BOLD:#}  {base} runs against {new}, median (lowest to highest run)\n")?;
    let rows: Vec<[String; 5]> = comparison.figures.iter().map(row).collect();
    let heads = ["", "base", "new", "change", ""].map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(width);
    let line = |row: &[String; 5]| {
        let [name, base, new, change, _] = row;
        let [a, b, c, d] = widths;
        format!("{name:a$}  {base:>b$}  {new:>c$}  {change:>d$}")
    };
    writeln!(out, "{DIM}{}{DIM:#}", line(&heads).trim_end())?;
    for (figure, row) in comparison.figures.iter().zip(&rows) {
        let style = style(figure.verdict);
        writeln!(out, "{}  {style}{}{style:#}{DIM}{}{DIM:#}", line(row), figure.verdict.word(), row[4])?;
    }
    for loss in comparison.losses.iter().filter(|loss| loss.base + loss.new > 0) {
        let (style, word) =
            if loss.is_new() { (style(Verdict::Worse), "worse: there was none before") } else { (DIM, "there was some before") };
        writeln!(out, "{} deliveries: {} before, {} now  {style}{word}{style:#}", loss.wrong, loss.base, loss.new)?;
    }
    let style = style(comparison.verdict);
    writeln!(out, "\n{style}{}{style:#}  {}", comparison.verdict.word(), conclusion(comparison))
}

fn row(figure: &Compared) -> [String; 5] {
    let spread = |spread: &Option<Spread>| spread.as_ref().map_or("no sample".to_owned(), |spread| shown(figure.unit, spread));
    let change = figure.change.map_or(String::new(), |change| format!("{:+.1}%", change * 100.0));
    let why = match (&figure.why, figure.p) {
        (Some(why), _) => format!(": {why}"),
        (None, Some(p)) if matches!(figure.verdict, Verdict::Better | Verdict::Worse) => format!("  p = {p:.3}"),
        _ => String::new(),
    };
    [figure.name.clone(), spread(&figure.base), spread(&figure.new), change, why]
}

fn shown(unit: Unit, spread: &Spread) -> String {
    let (unit, digits) = match unit {
        Unit::Millis => (" ms", 2),
        Unit::PerSecond => ("/s", 1),
        Unit::CpuSeconds => (" CPU s per 100,000", 3),
        Unit::PerMillion => (" in a million", 1),
    };
    format!("{:.digits$}{unit} ({:.digits$} to {:.digits$})", spread.median, spread.low, spread.high)
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Better => AnsiColor::Green.on_default().bold(),
        Verdict::Same => AnsiColor::Green.on_default(),
        Verdict::Worse => AnsiColor::Red.on_default().bold(),
        Verdict::Inconclusive => AnsiColor::Yellow.on_default().bold(),
    }
}

fn conclusion(comparison: &Comparison) -> String {
    let effect = comparison.min_effect;
    let fewest = comparison.runs.0.min(comparison.runs.1);
    match comparison.verdict {
        Verdict::Better => format!("something is better by at least {effect}, and nothing is worse"),
        Verdict::Same => format!("no figure differs by {effect}"),
        Verdict::Worse if comparison.losses.iter().any(|loss| loss.is_new()) => "deliveries go wrong that went right before".to_owned(),
        Verdict::Worse => format!("something is worse by at least {effect}"),
        Verdict::Inconclusive if fewest < LEAST_RUNS => {
            format!("{LEAST_RUNS} runs a side are the fewest that say anything; the smaller side has {fewest}")
        }
        Verdict::Inconclusive => "nothing is known to be worse, but not everything is known to be the same".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::compare::{Figure, Loss, MinEffect, compare};

    fn rendered(figures: &[Figure], losses: &[Loss]) -> String {
        let mut text = Vec::new();
        table(&mut text, &compare(figures, losses, &MinEffect::default())).expect("memory takes all");
        anstream::adapter::strip_str(&String::from_utf8(text).expect("text")).to_string()
    }

    fn runs(value: f64, step: f64, count: u32) -> Vec<Option<f64>> {
        (0..count).map(|run| Some(value + step * f64::from(run))).collect()
    }

    #[test]
    fn a_table_shows_every_verdict_and_why() {
        let figure = |name: &str, unit, base, new| Figure { name: name.into(), unit, base, new };
        let figures = [
            figure("deliver.p50", Unit::Millis, runs(10.0, 0.1, 5), runs(10.1, 0.1, 5)),
            figure("deliver.p99", Unit::Millis, runs(40.0, 0.5, 5), runs(60.0, 0.5, 5)),
            figure("echo.p99", Unit::Millis, runs(40.0, 20.0, 5), runs(45.0, 20.0, 5)),
            figure("join.p99", Unit::Millis, runs(40.0, 0.5, 5), vec![Some(40.0), None, Some(41.0), Some(42.0), Some(40.0)]),
            figure("deliver.rate", Unit::PerSecond, runs(20_000.0, 10.0, 5), runs(26_000.0, 10.0, 5)),
            figure("generator.cpu", Unit::CpuSeconds, runs(0.4, 0.001, 5), runs(0.4, 0.001, 5)),
            figure("wrong", Unit::PerMillion, runs(0.0, 0.0, 5), runs(0.0, 0.0, 5)),
        ];
        insta::assert_snapshot!(rendered(&figures, &[Loss { wrong: "lost".into(), base: 4, new: 3 }]));
    }

    #[test]
    fn a_new_loss_is_worse_even_with_too_few_runs_for_anything_else() {
        let figure = Figure { name: "deliver.p50".into(), unit: Unit::Millis, base: runs(10.0, 0.1, 2), new: runs(30.1, 0.1, 2) };
        let losses = [Loss { wrong: "lost".into(), base: 0, new: 1 }, Loss { wrong: "leaked".into(), base: 0, new: 0 }];
        insta::assert_snapshot!(rendered(std::slice::from_ref(&figure), &losses));
        insta::assert_snapshot!(rendered(&[figure], &[]));
    }
}
