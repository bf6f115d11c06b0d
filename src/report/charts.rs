//! The charts of the page: each one a plot, a sentence that says the same, and its numbers.

mod acts;
mod capacity;
pub(crate) mod comparison;
mod heat;
pub(crate) mod history;
pub(crate) mod likeness;
mod marks;
mod percentiles;
mod plot;
mod points;
mod probes;
mod situation;
mod stacked;

use std::cmp::Reverse;

use plotly::common::{Anchor, Fill, Line, LineShape, Marker, Mode, Orientation, Title};
use plotly::layout::{Axis, AxisType, HoverMode, Legend, Margin, RangeMode};
use plotly::{Bar, Layout, Scatter, Trace};

use crate::report::charts::plot::{plot_json, plot_value};
use crate::report::charts::points::{Point, points, points_up_to, seconds_per, seconds_per_point};
use crate::report::model::{Mark, Report};
use crate::report::text::{clean, nanos};
use crate::units::format_count;

/// A chart of the page.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// Identifier in the page.
    pub(crate) id: &'static str,
    /// Title for people.
    pub(crate) title: &'static str,
    /// What the chart shows, in words, with its extremes: the alternative to looking at it.
    pub(crate) summary: String,
    /// The plot as plotly.js takes it. Colours that begin with `--` are the page's own variables,
    /// so that one plot serves dark and light.
    pub(crate) plot: String,
    /// Column titles of its numbers.
    pub(crate) columns: Vec<&'static str>,
    /// Its numbers, a row a point.
    pub(crate) rows: Vec<Vec<String>>,
}

/// All charts that the report has numbers for.
pub(crate) fn charts(report: &Report) -> Vec<Chart> {
    let points = points(&report.series);
    let rows = points_up_to(&report.series, MAX_ROWS);
    let mut charts: Vec<Chart> = situation::chart(report).into_iter().collect();
    if !points.is_empty() {
        let span = span(report.series.len());
        // A closed load has no rate that it should have had, and is never late.
        if !report.is_closed() {
            let words = if report.load.is_none() { &RECORDED } else { &GENERATED };
            charts.push(rate([&points, &rows], &span, words, &report.marks));
        }
        charts.push(latency([&points, &rows], &span, &report.marks));
        if !report.is_closed() {
            charts.push(lateness([&points, &rows], &span));
        }
    }
    let figures = &report.figures;
    charts.extend(percentiles::latency(report));
    charts.extend(heat::chart(figures.heat.as_ref()));
    charts.extend(stacked::outcomes(&figures.outcomes));
    charts.extend(stacked::parts(&figures.parts));
    charts.extend(stacked::dispersion(&figures.dispersion));
    charts.extend(percentiles::sizes(report));
    charts.extend(acts::charts(&report.acts));
    charts.extend(capacity::charts(&report.acts));
    charts.extend(probes::charts(&report.probes, report.replay_started_ns.unwrap_or(0)));
    charts
}

/// What a point of the charts over time stands for.
struct Span {
    /// Seconds of a point.
    width: u64,
    /// The same in words, where it is not a second.
    told: String,
}

impl Span {
    /// When a point was, as near as it can tell.
    fn when(&self, second: u64) -> String {
        match self.width {
            0 | 1 => format!("in second {second}"),
            width => format!("within seconds {second} to {}", second.saturating_add(width)),
        }
    }
}

/// That of a run of so many seconds.
fn span(seconds: usize) -> Span {
    let width = seconds_per_point(seconds);
    let point = match width {
        1 => String::new(),
        width => format!(" Each point is the worst of {width} seconds."),
    };
    let told = match seconds_per(seconds, MAX_ROWS) {
        1 => point,
        width => format!("{point} Each row of its table is the worst of {width} seconds."),
    };
    Span { width: width as u64, told }
}

/// Most rows of a table of numbers: it is what makes a page of an hour large and slow to open, and
/// `run.json` has every second.
const MAX_ROWS: usize = 1_200;

/// What the chart of the rate calls its lines.
struct Words {
    title: &'static str,
    planned: &'static str,
    sent: &'static str,
    columns: [&'static str; 3],
}

const RECORDED: Words = Words {
    title: "Recorded and replayed rate",
    planned: "recorded (planned)",
    sent: "replayed (sent)",
    columns: ["recorded", "replayed", "replayed − recorded"],
};

const GENERATED: Words = Words {
    title: "Planned and sent rate",
    planned: "planned",
    sent: "sent",
    columns: ["planned", "sent", "sent − planned"],
};

fn rate([points, rows]: [&[Point]; 2], span: &Span, words: &Words, marked: &[Mark]) -> Chart {
    let x: Vec<u64> = points.iter().map(|point| point.second).collect();
    let due = points.iter().map(|point| point.due).collect();
    let sent = points.iter().map(|point| point.sent).collect();
    let residual = points.iter().map(|point| point.residual).collect();
    let mut traces: Vec<Box<dyn Trace>> = vec![
        Scatter::new(x.clone(), due).name(words.planned).line(line("--planned").width(4.0)),
        Scatter::new(x.clone(), sent).name(words.sent).line(line("--sent")),
        bars(x, residual, words.columns[2], "--residual", "y2"),
    ];
    traces.extend(marks::traces(marked, "y"));
    let worst = points.iter().min_by_key(|point| Reverse(point.residual.unsigned_abs()));
    let summary = format!(
        "Requests a second: at most {} {} and {} {}. Largest difference: {}.{}{}",
        format_count(points.iter().map(|point| point.due).max().unwrap_or(0)),
        words.planned,
        format_count(points.iter().map(|point| point.sent).max().unwrap_or(0)),
        words.sent,
        worst.filter(|p| p.residual != 0).map_or_else(
            || "none".to_owned(),
            |p| format!("{:+} {}", p.residual, span.when(p.second))
        ),
        span.told,
        marks::told(marked),
    );
    let layout = two_rows("requests/s", "difference");
    Chart {
        id: "chart-rate",
        title: words.title,
        summary,
        plot: plot_json(traces, layout),
        columns: std::iter::once("second").chain(words.columns).collect(),
        rows: rows
            .iter()
            .map(|p| {
                vec![
                    p.second.to_string(),
                    p.due.to_string(),
                    p.sent.to_string(),
                    format!("{:+}", p.residual),
                ]
            })
            .collect(),
    }
}

fn latency([points, rows]: [&[Point]; 2], span: &Span, marked: &[Mark]) -> Chart {
    let x: Vec<u64> = points.iter().map(|point| point.second).collect();
    let p50 = points.iter().map(|point| point.p50_ns.map(millis)).collect();
    let p99 = points.iter().map(|point| point.p99_ns.map(millis)).collect();
    let errors = points.iter().map(|point| point.errors).collect();
    let mut traces: Vec<Box<dyn Trace>> = vec![
        Scatter::new(x.clone(), p50).name("p50").line(line("--typical")),
        Scatter::new(x.clone(), p99).name("p99").line(line("--tail")),
        bars(x, errors, "errors", "--bad", "y2"),
    ];
    traces.extend(marks::traces(marked, "y2"));
    let slowest = points.iter().filter_map(|p| p.p99_ns.map(|p99| (p99, Reverse(p.second)))).max();
    let most_errors = points.iter().map(|point| point.errors).max().unwrap_or(0);
    let summary = format!(
        "Latency from due to done, by the second in which a request was due. Highest p99: {}. \
         Most errors in a second: {}.{}{}",
        slowest.map_or_else(
            || "none, as nothing was answered".to_owned(),
            |(p99, Reverse(second))| format!("{} {}", nanos(p99), span.when(second)),
        ),
        format_count(most_errors),
        span.told,
        marks::told(marked),
    );
    let mut layout = two_rows("ms", "errors/s");
    layout = layout.y_axis(log_axis("ms").domain(&UPPER));
    Chart {
        id: "chart-latency",
        title: "Latency and errors",
        summary,
        plot: plot_json(traces, layout),
        columns: vec!["second", "p50 ms", "p99 ms", "errors"],
        rows: rows
            .iter()
            .map(|p| {
                vec![
                    p.second.to_string(),
                    optional_millis(p.p50_ns),
                    optional_millis(p.p99_ns),
                    p.errors.to_string(),
                ]
            })
            .collect(),
    }
}

fn lateness([points, rows]: [&[Point]; 2], span: &Span) -> Chart {
    let x = points.iter().map(|point| point.second).collect();
    let y = points.iter().map(|point| millis(point.max_lateness_ns)).collect();
    let traces: Vec<Box<dyn Trace>> =
        vec![Scatter::new(x, y).name("largest lateness").line(line("--sent"))];
    let worst = points.iter().min_by_key(|point| Reverse(point.max_lateness_ns));
    let summary = format!(
        "The largest delay of this program itself in each second. Largest of all: {}.{}",
        worst.map_or_else(String::new, |p| format!(
            "{} {}",
            nanos(p.max_lateness_ns),
            span.when(p.second)
        )),
        span.told,
    );
    let layout = base_layout().y_axis(linear_axis("ms")).x_axis(axis("seconds since the start"));
    Chart {
        id: "chart-lateness",
        title: "Lateness of the generator",
        summary,
        plot: plot_json(traces, layout),
        columns: vec!["second", "largest lateness ms"],
        rows: rows
            .iter()
            .map(|p| vec![p.second.to_string(), format!("{}", millis(p.max_lateness_ns))])
            .collect(),
    }
}

/// Two plots with one time axis: the share of the height of each, from below.
const LOWER: [f64; 2] = [0.0, 0.24];
const UPPER: [f64; 2] = [0.32, 1.0];

fn two_rows(upper: &str, lower: &str) -> Layout {
    base_layout()
        .x_axis(axis("seconds since the start").anchor("y2"))
        .y_axis(linear_axis(upper).domain(&UPPER))
        .y_axis2(linear_axis(lower).domain(&LOWER))
}

fn base_layout() -> Layout {
    Layout::new()
        .hover_mode(HoverMode::XUnified)
        .legend(Legend::new().orientation(Orientation::Horizontal).y_anchor(Anchor::Bottom).y(1.0))
        .margin(Margin::new().left(64).right(16).top(40).bottom(48))
        .bar_gap(0.0)
}

fn axis(title: &str) -> Axis {
    Axis::new()
        .title(Title::with_text(title))
        .auto_margin(true)
        .grid_color("--grid")
        .zero_line_color("--axis")
        .line_color("--axis")
}

/// From zero up, or differences would look larger than they are.
fn linear_axis(title: &str) -> Axis {
    axis(title).range_mode(RangeMode::ToZero)
}

fn log_axis(title: &str) -> Axis {
    axis(title).type_(AxisType::Log)
}

/// More bars than this are drawn as one outline: each bar is an element of the page, and thousands
/// of them take seconds.
const MOST_BARS: usize = 400;

/// Bars from zero, of one colour.
fn bars<Y: Clone + serde::Serialize + 'static>(
    x: Vec<u64>,
    y: Vec<Y>,
    name: &str,
    colour: &'static str,
    axis: &str,
) -> Box<dyn Trace> {
    if x.len() <= MOST_BARS {
        return Bar::new(x, y).name(name).marker(Marker::new().color(colour)).y_axis(axis);
    }
    let outline = Line::new().color(colour).width(0.5).shape(LineShape::Hvh);
    let area = Scatter::new(x, y).name(name).mode(Mode::Lines).line(outline);
    area.fill(Fill::ToZeroY).fill_color(colour).y_axis(axis)
}

fn line(colour: &'static str) -> Line {
    Line::new().color(colour).width(1.5)
}

/// Longest name in a chart.
const MAX_NAME: usize = 80;

/// A foreign name.
fn cleaned(text: &str) -> String {
    clean(text, MAX_NAME)
}

/// Foreign text as a chart may show it: the library takes tags for formatting and links, and the
/// page a leading `--` for a colour.
fn plain(text: &str) -> String {
    let escaped = cleaned(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if escaped.starts_with("--") { format!(" {escaped}") } else { escaped }
}

/// Milliseconds with three decimals, which is what the page's size allows for.
fn millis(nanos: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of an hour are exact in a double")]
    let micros = nanos.div_ceil(1_000) as f64;
    micros / 1_000.0
}

fn optional_millis(nanos: Option<u64>) -> String {
    nanos.map_or_else(|| "–".to_owned(), |nanos| millis(nanos).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_bars_is_one_outline() {
        let drawn = |seconds: u64| {
            let x: Vec<u64> = (0..seconds).collect();
            bars(x.clone(), x, "errors", "--bad", "y2").to_json()
        };
        assert!(drawn(400).contains("\"type\":\"bar\""), "{}", drawn(2));
        assert!(drawn(401).contains("\"fill\":\"tozeroy\""), "{}", drawn(401));
    }

    /// Of a day a point is the worst of 24 seconds: which of them it was is not known any more.
    #[test]
    fn no_second_is_told_that_a_point_does_not_know() {
        assert_eq!(span(3_600).when(7), "in second 7");
        assert_eq!(span(86_400).when(48), "within seconds 48 to 72");
    }

    #[test]
    fn foreign_text_is_no_markup_and_no_colour() {
        assert_eq!(plain("<a href='x'>&b</a>"), "&lt;a href='x'&gt;&amp;b&lt;/a&gt;");
        assert_eq!(plain("--bad"), " --bad");
    }
}
