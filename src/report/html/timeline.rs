//! A load over time: its seconds as columns, its phases behind them, and the latencies of its deliveries as bands and as a map.

use maud::{Markup, html};

use super::axis::Axis;
use super::charts::{Cell, Chart, HEIGHT, Ink, Layer, Told, figure};
use super::columns::{Column, MOST, columns};
use crate::event::{PhasePlanned, Planned, Second};
use crate::report::figures::{number, seconds};
use crate::stats::counts;
use crate::stats::encoding::DecodeError;

/// Rows of the map.
const ROWS: usize = 26;

/// Shades of the map.
const SHADES: f64 = 7.0;

/// What charts over time have in common.
#[derive(Debug)]
pub struct Timeline<'a> {
    pub columns: Vec<Column>,
    phases: &'a [PhasePlanned],
}

impl<'a> Timeline<'a> {
    /// # Errors
    /// A second's histogram that can't be decoded.
    pub fn of(planned: Option<&'a Planned>, seconds: &[&Second]) -> Result<Self, DecodeError> {
        let phases = planned.map_or([].as_slice(), |planned| &planned.phases);
        Ok(Self { columns: columns(seconds, MOST)?, phases })
    }

    pub fn end_ms(&self) -> f64 {
        self.columns.last().map_or(0.0, |column| column.end_ms)
    }

    /// A chart over time with the phases behind it.
    pub fn chart(&self, label: &str, y: Axis, layers: Vec<Layer>, tell: impl Fn(&Column) -> String) -> Chart {
        let told = |column: &Column| Told {
            from: column.start_ms,
            to: column.end_ms,
            text: format!("{} to {}, {}: {}", seconds(column.start_ms), seconds(column.end_ms), column.phase, tell(column)),
        };
        let from = self.columns.first().map_or(0.0, |column| column.start_ms);
        let stretch = |phase: &PhasePlanned| Layer::Stretch {
            from: phase.start_ms,
            to: phase.end_ms,
            name: phase.name.clone(),
            shaded: !phase.counts,
        };
        // An interrupted run has no place for the phases that it didn't come to.
        let behind = self.phases.iter().filter(|phase| phase.start_ms < self.end_ms() && phase.end_ms > from).map(stretch);
        Chart {
            label: label.to_owned(),
            x: Axis::time(from, self.end_ms()),
            y,
            height: HEIGHT,
            layers: behind.chain(layers).collect(),
            told: self.columns.iter().map(told).collect(),
        }
    }

    /// A line through the middle of each column.
    pub fn line(&self, ink: Ink, value: impl Fn(&Column) -> f64) -> Layer {
        Layer::Line { points: self.columns.iter().map(|column| (column.middle_ms(), value(column))).collect(), ink }
    }

    fn area(&self, ink: Ink, opacity: f64, low: f64, high: f64) -> Layer {
        let points = self.columns.iter().map(|column| (column.middle_ms(), column.latency(low), column.latency(high))).collect();
        Layer::Area { points, ink, opacity }
    }

    /// The axis of the latencies of all columns, from the shortest that `least` chooses to the longest of all.
    fn latencies(&self, least: f64) -> Axis {
        let of = |quantile| self.columns.iter().map(move |column| column.latency(quantile)).filter(|value| value.is_finite());
        Axis::latency(of(least).fold(f64::INFINITY, f64::min), of(1.0).fold(0.0, f64::max))
    }

    fn tell_latency(column: &Column) -> String {
        if column.deliver.is_empty() {
            return "nothing arrived".to_owned();
        }
        let percentiles = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (1.0, "max")];
        percentiles.map(|(quantile, name)| format!("{name} {} ms", number(column.latency(quantile)))).join(", ")
    }

    /// The latencies of deliveries, as bands between percentiles.
    pub fn bands(&self) -> Markup {
        let layers = vec![
            self.area(Ink::Series(0), 0.12, 0.99, 1.0),
            self.area(Ink::Series(0), 0.25, 0.9, 0.99),
            self.area(Ink::Series(0), 0.4, 0.5, 0.9),
            self.line(Ink::Dim, |column| column.latency(1.0)),
            self.line(Ink::Series(1), |column| column.latency(0.99)),
            self.line(Ink::Dashed(0), |column| column.latency(0.9)),
            self.line(Ink::Series(0), |column| column.latency(0.5)),
        ];
        let legend = [(Ink::Series(0), "p50"), (Ink::Dashed(0), "p90"), (Ink::Series(1), "p99"), (Ink::Dim, "max")]
            .map(|(ink, name)| (ink, name.to_owned()));
        let chart = self.chart("Latency of deliveries over time, by percentiles", self.latencies(0.5), layers, Self::tell_latency);
        figure("Latency of deliveries over time, in ms from the intended instant", &legend, &self.width_said(), &chart)
    }

    /// How the latencies of deliveries are spread in each column: the darker, the larger the share of the column's deliveries.
    pub fn heat(&self) -> Markup {
        let axis = self.latencies(0.0);
        let layers = vec![Layer::Cells { cells: self.cells(&axis), ink: Ink::Series(0) }];
        let chart = self.chart("How the latencies of deliveries are spread over time", axis, layers, Self::tell_latency);
        let note = "The darker, the larger the share of that time's deliveries that took so long.";
        figure("How latencies are spread, in ms", &[], note, &chart)
    }

    /// The map's rectangles; neighbours of one shade in a row are one.
    fn cells(&self, axis: &Axis) -> Vec<Cell> {
        let bounds: Vec<f64> = (0..=ROWS).map(|row| axis.value(row as f64 / ROWS as f64)).collect();
        let mut rows: Vec<Vec<Cell>> = vec![Vec::new(); ROWS];
        for column in &self.columns {
            let mut shares = [0_u64; ROWS];
            for (micros, count) in counts(&column.deliver) {
                let row = (axis.fraction(micros as f64 / 1000.0) * ROWS as f64) as usize;
                shares[row.min(ROWS - 1)] += count;
            }
            for (row, count) in shares.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                // One in a thousand is to be seen too, so the shade follows the share's square root.
                let share = (count as f64 / column.deliver.len() as f64).sqrt();
                let strength = ((share * SHADES).ceil() / SHADES * 100.0).round() / 100.0;
                match rows[row].last_mut() {
                    Some(cell) if cell.x.1 == column.start_ms && cell.strength == strength => cell.x.1 = column.end_ms,
                    _ => rows[row].push(Cell { x: (column.start_ms, column.end_ms), y: (bounds[row], bounds[row + 1]), strength }),
                }
            }
        }
        rows.into_iter().flatten().collect()
    }

    /// What a reader should know of the columns.
    fn width_said(&self) -> String {
        match self.columns.first() {
            Some(column) if column.end_ms - column.start_ms > 1500.0 => {
                format!("Each point is made of {}.", seconds(column.end_ms - column.start_ms))
            }
            _ => String::new(),
        }
    }
}

/// What the charts over time have in common, said once above them.
pub fn explained(timeline: &Timeline<'_>) -> Markup {
    html! {
        p class="dim" {
            "The horizontal axis counts "
            @if timeline.end_ms() < 120_000.0 { "seconds" } @else { "the time" }
            " since the run's start. Shaded phases aren't looked at for the verdict."
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::{durations, encoding, record};

    fn second(at: u32, millis: &[u64]) -> Second {
        let mut deliver = durations();
        millis.iter().for_each(|millis| record(&mut deliver, Duration::from_millis(*millis)));
        Second { at_ms: f64::from(at) * 1000.0, phase: "steady".into(), deliver: encoding::encode(&deliver), ..Second::default() }
    }

    #[test]
    fn neighbours_of_one_shade_are_one_rectangle_and_a_second_that_stands_out_is_not() {
        let seconds = [second(1, &[5, 5]), second(2, &[5, 5]), second(3, &[5, 900]), second(4, &[5, 5])];
        let timeline = Timeline::of(None, &seconds.iter().collect::<Vec<_>>()).expect("sound");
        let cells = timeline.cells(&timeline.latencies(0.0));
        let spans: Vec<_> = cells.iter().map(|cell| (cell.x, cell.strength)).collect();
        assert_eq!(spans[..3], [((0.0, 2000.0), 1.0), ((2000.0, 3000.0), 0.71), ((3000.0, 4000.0), 1.0)]);
        assert_eq!(spans[3], ((2000.0, 3000.0), 0.71));
        assert!(cells[3].y.0 <= 900.0 && cells[3].y.1 >= 900.0, "{:?}", cells[3]);
    }

    #[test]
    fn phases_that_a_run_did_not_come_to_have_no_place() {
        let phase = |name: &str, start_ms, end_ms| PhasePlanned {
            name: name.into(),
            kind: "steady".into(),
            start_ms,
            end_ms,
            rate: None,
            counts: name != "arrive",
        };
        let phases = vec![phase("arrive", 0.0, 1000.0), phase("steady", 1000.0, 30_000.0), phase("burst", 30_000.0, 40_000.0)];
        let seconds = [second(1, &[5]), second(2, &[])];
        let timeline = Timeline { phases: &phases, ..Timeline::of(None, &seconds.iter().collect::<Vec<_>>()).expect("sound") };
        let chart = timeline.chart("", Axis::linear(1.0), Vec::new(), Timeline::tell_latency);
        let named = |layer: &Layer| if let Layer::Stretch { name, shaded, .. } = layer { Some((name.clone(), *shaded)) } else { None };
        assert_eq!(chart.layers.iter().filter_map(named).collect::<Vec<_>>(), [("arrive".into(), true), ("steady".into(), false)]);
        assert_eq!(chart.told[1].text, "1.0 s to 2.0 s, steady: nothing arrived");
    }
}
