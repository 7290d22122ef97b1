//! Charts as SVG inside the page: their colours are the page's variables, so that they follow it from light to dark, and their texts are
//! sized by its stylesheet, so that they stay legible on a phone.

use std::sync::LazyLock;

use maud::{Markup, PreEscaped, html};
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use regex::{Captures, Regex};

use super::axis::Axis;
use super::text::{plain, visible};

/// A chart's width in its own units; on a page it is as wide as there is room.
const WIDTH: u32 = 1440;

/// The height of most charts, in the same units.
pub const HEIGHT: u32 = 480;

/// Room for the names of values, which on a phone are nearly twice as large as the chart is drawn for.
const LEFT: u32 = 140;
const BELOW: u32 = 56;
const ABOVE: u32 = 46;
const RIGHT: u32 = 40;

/// How wide a letter is at most, in the chart's units.
const LETTER: usize = 25;

/// The colour of something drawn, and how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// One of the page's series, from 0; after the last it begins again.
    Series(usize),
    /// The same, as a dashed line.
    Dashed(usize),
    Dim,
    Line,
    Fail,
    Warn,
    /// A limit: a dashed line in the colour of a failure.
    Limit,
}

/// How many series have a colour of their own.
pub const SERIES: usize = 6;

impl Ink {
    /// What stands for it until the chart is drawn: a colour that nothing else has.
    fn mark(self) -> RGBColor {
        let (kind, number) = match self {
            Ink::Series(number) => (1, number % SERIES),
            Ink::Dashed(number) => (2, number % SERIES),
            Ink::Dim => (3, 0),
            Ink::Line => (3, 1),
            Ink::Fail => (3, 2),
            Ink::Warn => (3, 3),
            Ink::Limit => (4, 2),
        };
        RGBColor(1, kind, number as u8)
    }

    /// The page's variable of a mark.
    fn variable(kind: u8, number: u8) -> String {
        match (kind, number) {
            (1 | 2, number) => format!("var(--series-{})", number + 1),
            (_, 0) => "var(--dim)".to_owned(),
            (_, 1) => "var(--line)".to_owned(),
            (_, 3) => "var(--warn)".to_owned(),
            _ => "var(--fail)".to_owned(),
        }
    }

    fn is_dashed(self) -> bool {
        matches!(self, Ink::Dashed(_) | Ink::Limit)
    }
}

/// Something drawn; what comes later lies above.
#[derive(Clone, Debug)]
pub enum Layer {
    /// A stretch of the horizontal axis, named where there is room.
    Stretch { from: f64, to: f64, name: String, shaded: bool },
    /// Points joined by lines; a value that is no number is a gap.
    Line { points: Vec<(f64, f64)>, ink: Ink },
    /// What lies between two values at each point.
    Area { points: Vec<(f64, f64, f64)>, ink: Ink, opacity: f64 },
    /// Rectangles: from left to right, from bottom to top, and how strong each is, between 0 and 1.
    Cells { cells: Vec<Cell>, ink: Ink },
    /// A value that should not be passed.
    Limit(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    pub x: (f64, f64),
    pub y: (f64, f64),
    pub strength: f64,
}

/// What is known of a stretch of the horizontal axis, told when somebody points at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub from: f64,
    pub to: f64,
    pub text: String,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows, for those who can't see it.
    pub label: String,
    pub x: Axis,
    pub y: Axis,
    /// In units of which its width has 1,440.
    pub height: u32,
    pub layers: Vec<Layer>,
    pub told: Vec<Told>,
}

impl Chart {
    pub fn svg(&self) -> Markup {
        let mut drawn = String::new();
        let plot = self.draw(&mut drawn).expect("a text takes every stroke");
        // The page gives the element's own tag, without a fixed size.
        let inner = drawn.split_once('>').and_then(|(_, rest)| rest.rsplit_once("</svg>")).map_or("", |(inner, _)| inner);
        let column = |told: &Told| {
            let (from, to) = (self.x.map(&told.from, plot.across), self.x.map(&told.to, plot.across));
            html! {
                rect class="told" x=(from) y=(plot.down.0) width=((to - from).max(1)) height=(plot.down.1 - plot.down.0) { title { (plain(&told.text)) } }
            }
        };
        html! {
            svg class="chart" role="img" aria-label=(plain(&self.label)) viewBox=(format!("0 0 {WIDTH} {}", self.height)) {
                (PreEscaped(inked(inner)))
                @for told in &self.told { (column(told)) }
            }
        }
    }

    /// Draws all layers; where the plot itself lies.
    fn draw(&self, into: &mut String) -> Result<Plot, Failed> {
        let root = SVGBackend::with_string(into, (WIDTH, self.height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin_top(ABOVE)
            .margin_right(RIGHT)
            .x_label_area_size(BELOW)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let (across, down) = chart.plotting_area().get_pixel_range();
        let plot = Plot { across: (across.start, across.end), down: (down.start, down.end) };
        let text = ("sans-serif", 24).into_font().color(&Ink::Dim.mark());
        for layer in &self.layers {
            if let Layer::Stretch { from, to, name, shaded } = layer {
                let (left, right) = (self.x.map(from, plot.across), self.x.map(to, plot.across));
                let opacity = if *shaded { 0.35 } else { 0.0 };
                root.draw(&Rectangle::new([(left, plot.down.0), (right, plot.down.1)], Ink::Line.mark().mix(opacity).filled()))?;
                root.draw(&PathElement::new([(left, plot.down.0 - 34), (left, plot.down.1)], Ink::Line.mark().stroke_width(2)))?;
                let name = plain(name);
                if usize::try_from(right - left).unwrap_or(0) > (name.chars().count() + 1) * LETTER {
                    let style = text.clone().pos(Pos::new(HPos::Left, VPos::Bottom));
                    root.draw(&Text::new(name, (left + 8, plot.down.0 - 4), style))?;
                }
            }
        }
        chart
            .configure_mesh()
            .axis_style(Ink::Line.mark().stroke_width(2))
            .bold_line_style(Ink::Line.mark().stroke_width(1))
            .light_line_style(TRANSPARENT)
            .label_style(text)
            .draw()?;
        self.layers.iter().try_for_each(|layer| self.draw_layer(&mut chart, layer))?;
        drop(chart);
        root.present()?;
        Ok(plot)
    }

    fn draw_layer(&self, chart: &mut Drawn<'_, '_>, layer: &Layer) -> Result<(), Failed> {
        match layer {
            // It lies behind the names of the values, which are drawn by now.
            Layer::Stretch { .. } => {}
            Layer::Line { points, ink } => {
                for part in points.split(|(_, value)| !value.is_finite()).filter(|part| !part.is_empty()) {
                    match part {
                        [alone] => chart.draw_series([Circle::new(*alone, 5, ink.mark().filled())])?,
                        _ => chart.draw_series([PathElement::new(part, ink.mark().stroke_width(4))])?,
                    };
                }
            }
            Layer::Area { points, ink, opacity } => {
                for part in points.split(|(_, low, high)| !(low.is_finite() && high.is_finite())).filter(|part| part.len() > 1) {
                    let upper = part.iter().map(|(x, _, high)| (*x, *high));
                    let lower = part.iter().rev().map(|(x, low, _)| (*x, *low));
                    let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
                    chart.draw_series([Polygon::new(outline, ink.mark().mix(*opacity))])?;
                }
            }
            Layer::Cells { cells, ink } => {
                let cell = |cell: &Cell| {
                    let ((left, right), (bottom, top)) = (cell.x, cell.y);
                    Rectangle::new([(left, top), (right, bottom)], ink.mark().mix(cell.strength).filled())
                };
                chart.draw_series(cells.iter().map(cell))?;
            }
            Layer::Limit(at) => {
                let (from, to) = self.x.ends();
                chart.draw_series([PathElement::new([(from, *at), (to, *at)], Ink::Limit.mark().stroke_width(4))])?;
            }
        }
        Ok(())
    }
}

type Drawn<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

type Failed = DrawingAreaErrorKind<std::io::Error>;

/// Where a chart's plot lies in its picture: its left and right ends, its top and bottom.
#[derive(Clone, Copy, Debug)]
struct Plot {
    across: (i32, i32),
    down: (i32, i32),
}

/// Puts the page's colours in place of the marks, and drops what says nothing. Neither can touch a text: in it a quotation mark is escaped.
fn inked(drawn: &str) -> String {
    static MARK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r##"(fill|stroke)="#01(0[1-4])(0[0-9])""##).expect("a sound pattern"));
    let number = |text: &str| text.parse::<u8>().unwrap_or_default();
    let coloured = MARK.replace_all(drawn, |found: &Captures<'_>| {
        let (kind, at) = (number(&found[2]), number(&found[3]));
        let dashes = match (&found[1], kind) {
            ("stroke", 2) => " stroke-dasharray=\"6 4\"",
            ("stroke", 4) => " stroke-dasharray=\"10 5\"",
            _ => "",
        };
        format!("{}=\"{}\"{dashes}", &found[1], Ink::variable(kind, at))
    });
    [(" opacity=\"1\"", ""), (" stroke=\"none\"", ""), (" font-family=\"sans-serif\"", ""), (" \"/>", "\"/>")]
        .iter()
        .fold(coloured.into_owned(), |text, (from, to)| text.replace(from, to))
}

/// A chart with its title, what its colours mean, and what else is to be said of it.
pub fn figure(title: &str, legend: &[(Ink, String)], note: &str, chart: &Chart) -> Markup {
    html! {
        figure class="chart" {
            figcaption { (title) }
            @if !legend.is_empty() {
                ul class="inks" {
                    @for (ink, name) in legend { li { (swatch(*ink)) " " (visible(name)) } }
                }
            }
            (chart.svg())
            @if !note.is_empty() { p class="dim" { (note) } }
        }
    }
}

/// A short line of an ink.
pub fn swatch(ink: Ink) -> Markup {
    let mark = ink.mark();
    let style = format!("border-top-color: {}", Ink::variable(mark.1, mark.2));
    let class = if ink.is_dashed() { "swatch dashed" } else { "swatch" };
    html! { span class=(class) style=(style) {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(layers: Vec<Layer>) -> String {
        let told = vec![Told { from: 0.0, to: 500.0, text: "</title><script>".into() }];
        let (x, y) = (Axis::time(0.0, 10_000.0), Axis::linear(10.0));
        Chart { label: "a \"chart\"".into(), x, y, height: HEIGHT, layers, told }.svg().into_string()
    }

    #[test]
    fn colours_are_the_pages_own() {
        let svg = drawn(vec![
            Layer::Line { points: vec![(0.0, 1.0), (5000.0, 4.0)], ink: Ink::Series(6) },
            Layer::Line { points: vec![(0.0, 2.0), (5000.0, 5.0)], ink: Ink::Dashed(1) },
            Layer::Area { points: vec![(0.0, 1.0, 2.0), (5000.0, 2.0, 3.0)], ink: Ink::Warn, opacity: 0.25 },
            Layer::Cells { cells: vec![Cell { x: (0.0, 1000.0), y: (1.0, 2.0), strength: 0.5 }], ink: Ink::Series(2) },
            Layer::Limit(8.0),
        ]);
        assert!(!svg.contains('#'), "no colour is left that the page doesn't decide: {svg}");
        for expected in [
            "stroke=\"var(--series-1)\"",
            "stroke=\"var(--series-2)\" stroke-dasharray",
            "opacity=\"0.25\" fill=\"var(--warn)\"",
            "opacity=\"0.5\" fill=\"var(--series-3)\"",
            "stroke=\"var(--fail)\" stroke-dasharray",
        ] {
            assert!(svg.contains(expected), "{expected} in {svg}");
        }
    }

    #[test]
    fn names_are_text_and_take_no_colour() {
        let name = "<script>\u{1b} fill=\"#010100\" opacity=\"1\"";
        let svg = drawn(vec![Layer::Stretch { from: 0.0, to: 10_000.0, name: name.into(), shaded: true }]);
        assert!(svg.contains("&lt;script&gt;\\u{1b} fill=&quot;#010100&quot; opacity=&quot;1&quot;"), "{svg}");
        assert!(svg.contains("<title>&lt;/title&gt;&lt;script&gt;</title>"), "{svg}");
        assert!(!svg.contains("<script"), "{svg}");
    }

    #[test]
    fn a_gap_parts_a_line_and_a_point_alone_is_a_dot() {
        let points = vec![(0.0, 1.0), (1000.0, 1.0), (2000.0, f64::NAN), (3000.0, 1.0)];
        let svg = drawn(vec![Layer::Line { points, ink: Ink::Series(0) }]);
        assert_eq!(svg.matches("stroke=\"var(--series-1)\"").count(), 1, "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
    }
}
