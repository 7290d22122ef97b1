//! Figures as a person reads them, and tables of them.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::Style;
use indicatif::HumanCount;

/// What stands where there is no figure.
pub const NONE: &str = "–";

/// `1,234,567`.
pub fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A number with three significant digits or all before the point: `0.084`, `8.42`, `84.2`, `1,402`.
pub fn number(number: f64) -> String {
    match number.abs() {
        size if size >= 99.95 => count(number.round().max(0.0) as u64),
        size if size >= 9.995 => format!("{number:.1}"),
        size if size >= 0.9995 => format!("{number:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{number:.3}"),
    }
}

/// Milliseconds without their unit, for a table that names it.
pub fn millis(duration: Duration) -> String {
    number(duration.as_secs_f64() * 1000.0)
}

/// A time since a run's start, or a length: `3.2 s`, `2 min 5 s`.
pub fn seconds(ms: f64) -> String {
    let seconds = ms.max(0.0) / 1000.0;
    if seconds < 120.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    format!("{} min {} s", whole / 60, whole % 60)
}

/// A share of one as `1.23 %`. It is never rounded up to all, nor down to nothing.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        100.0 => "100 %".to_owned(),
        percent if percent > 99.0 && percent < 100.0 => format!("{:.4} %", (percent * 1e4).floor() / 1e4),
        percent if percent < 0.01 => "below 0.01 %".to_owned(),
        percent if percent < 10.0 => format!("{percent:.2} %"),
        percent => format!("{percent:.0} %"),
    }
}

/// `1 room`, `2 rooms`.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Rows of cells under a title row; the first column stands left, the others right.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<(Style, Vec<String>)>,
}

impl Table {
    pub fn new<const N: usize>(titles: [&str; N]) -> Self {
        Self { rows: vec![(Style::new().dimmed(), titles.map(str::to_owned).into())] }
    }

    pub fn row(&mut self, style: Style, cells: Vec<String>) {
        self.rows.push((style, cells));
    }

    pub fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    /// # Errors
    /// A writer that takes no more.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|(_, cells)| cells.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for (style, cells) in &self.rows {
            let aligned = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
            let line: String = aligned.collect();
            writeln!(out, "  {style}{}{style:#}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_as_many_digits_as_mean_something() {
        let shown: Vec<String> = [0.0, 0.0841, 0.9996, 8.421, 9.996, 84.25, 99.96, 1402.3].map(number).into();
        assert_eq!(shown, ["0", "0.084", "1.00", "8.42", "10.0", "84.2", "100", "1,402"]);
        assert_eq!([3_240.0, 125_000.0].map(seconds), ["3.2 s", "2 min 5 s"]);
    }

    #[test]
    fn almost_all_is_not_all_and_almost_nothing_is_not_nothing() {
        let shown: Vec<String> = [1.0, 0.999_999_9, 0.5, 0.0123, 0.000_01, 0.0].map(percent).into();
        assert_eq!(shown, ["100 %", "99.9999 %", "50 %", "1.23 %", "below 0.01 %", "0 %"]);
    }
}
