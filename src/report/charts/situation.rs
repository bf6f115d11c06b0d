//! The situation: what was sent, what came of it and what the probes saw, on one axis of time, with
//! the acts and the findings on it.

use std::time::Duration;

use plotly::common::{Anchor, Font, Mode, Orientation};
use plotly::layout::{Annotation, Axis, Legend, Margin, Shape, ShapeLayer, ShapeLine, ShapeType};
use plotly::{Layout, Scatter, Trace};
use serde_json::Value;

use crate::report::charts::points::{Point, points_up_to, seconds_per};
use crate::report::charts::{
    Chart, axis, bars, base_layout, line, linear_axis, log_axis, millis, optional_millis, plain,
    plot_value, probes,
};
use crate::report::model::{Mark, Report};
use crate::report::text::{clean, nanos};
use crate::report::when::{When, when};
use crate::units::format_count;
use crate::verdict::{Finding, Outcome};

/// Points of each line: about one a pixel of a wide screen.
const MAX_POINTS: usize = 1_200;

/// Most probes that have a row here; each has a chart of its own, too.
const MAX_PROBES: usize = 12;

/// Most acts, findings and other times that are marked; all of them are in the tables.
const MAX_MARKED: usize = 40;

/// Longest name of a probe beside its row, or of a time above it.
const MAX_NAME: usize = 40;

/// Pixels of a row, and of what is above and below all of them.
const ROW: usize = 120;
const AROUND: usize = 150;

/// The share of a row's height that is left free for its title.
const GAP: f64 = 0.3;

/// The chart; none where nothing was sent.
pub(super) fn chart(report: &Report) -> Option<Chart> {
    let points = points_up_to(&report.series, MAX_POINTS);
    if points.is_empty() {
        return None;
    }
    let width = seconds_per(report.series.len(), MAX_POINTS);
    let connections: Vec<u64> = report
        .figures
        .connections
        .chunks(width)
        .map(|chunk| chunk.iter().copied().max().unwrap_or(0))
        .collect();
    let mut rows = of_the_load(report, &points);
    if !connections.is_empty() {
        rows.push(connections_row(&points, &connections));
    }
    let watched = probes::drawn(&report.probes, report.replay_started_ns.unwrap_or(0));
    let crowded = watched.len().saturating_sub(MAX_PROBES);
    rows.extend(watched.into_iter().take(MAX_PROBES).map(probe_row));
    let marked = marked(report);
    let mut told = told(report, &points, &marked, [rows.len(), width]);
    if crowded > 0 {
        told.push(format!("{crowded} more probes are in the table of probes alone."));
    }
    Some(Chart {
        id: "chart-situation",
        title: "The situation",
        summary: told.join(" "),
        plot: plot(rows, &marked),
        columns: vec!["second", "due", "sent", "p50 ms", "p99 ms", "errors", "connections"],
        rows: points
            .iter()
            .enumerate()
            .map(|(index, point)| {
                let held = connections.get(index).map_or_else(|| "–".into(), u64::to_string);
                vec![
                    point.second.to_string(),
                    point.due.to_string(),
                    point.sent.to_string(),
                    optional_millis(point.p50_ns),
                    optional_millis(point.p99_ns),
                    point.errors.to_string(),
                    held,
                ]
            })
            .collect(),
    })
}

/// A row of the chart.
struct Row {
    title: String,
    axis: Axis,
    traces: Vec<Box<dyn Trace>>,
}

fn of_the_load(report: &Report, points: &[Point]) -> Vec<Row> {
    let x: Vec<u64> = points.iter().map(|point| point.second).collect();
    let offered = points.iter().map(|point| point.due).collect();
    let achieved = points.iter().map(|point| point.sent).collect();
    let p50 = points.iter().map(|point| point.p50_ns.map(millis)).collect();
    let p99 = points.iter().map(|point| point.p99_ns.map(millis)).collect();
    let errors = points.iter().map(|point| point.errors).collect();
    let sent = Scatter::new(x.clone(), achieved).name("sent").line(line("--sent")).y_axis("y");
    let mut load: Vec<Box<dyn Trace>> = Vec::new();
    if !report.is_closed() {
        let due = Scatter::new(x.clone(), offered).name("due").y_axis("y");
        load.push(due.line(line("--planned").width(4.0)));
    }
    load.push(sent);
    vec![
        Row {
            title: "load: offered (due) and achieved (sent), requests/s".to_owned(),
            axis: linear_axis(""),
            traces: load,
        },
        Row {
            title: "latency p50 and p99, ms".to_owned(),
            axis: log_axis(""),
            traces: vec![
                Scatter::new(x.clone(), p50).name("p50").line(line("--typical")).y_axis("y2"),
                Scatter::new(x.clone(), p99).name("p99").line(line("--tail")).y_axis("y2"),
            ],
        },
        Row {
            title: "errors/s".to_owned(),
            axis: linear_axis(""),
            traces: vec![bars(x, errors, "errors", "--bad", "y3")],
        },
    ]
}

fn connections_row(points: &[Point], connections: &[u64]) -> Row {
    let x: Vec<u64> = points.iter().map(|point| point.second).collect();
    let trace = Scatter::new(x, connections.to_vec()).name("connections").line(line("--residual"));
    let trace = trace.show_legend(false);
    Row {
        title: "connections in use".to_owned(),
        axis: linear_axis(""),
        traces: vec![trace.y_axis("y4")],
    }
}

fn probe_row(drawn: probes::Drawn<'_>) -> Row {
    let name = plain(&clean(&drawn.name(), MAX_NAME));
    let (x, y): (Vec<f64>, Vec<f64>) = drawn.points.into_iter().unzip();
    let mut traces: Vec<Box<dyn Trace>> = Vec::new();
    if let Some(limit) = drawn.series.limit {
        let ends = x.first().zip(x.last()).map(|(first, last)| vec![*first, *last]);
        let ends = ends.unwrap_or_default();
        let y = vec![limit; ends.len()];
        let limit = Scatter::new(ends, y).name("limit").mode(Mode::Lines).line(line("--bad"));
        traces.push(limit.show_legend(false));
    }
    let seen = Scatter::new(x, y).name(name.as_str()).line(line("--typical"));
    traces.push(seen.show_legend(false));
    Row { title: name, axis: linear_axis(""), traces }
}

/// A time that is pointed out, in seconds since the start of the replay.
struct Marked {
    name: String,
    from: f64,
    to: f64,
    colour: &'static str,
}

/// Acts, then what was done to the run, then what was found.
fn marked(report: &Report) -> Vec<Marked> {
    let replay = report.replay_started_ns.unwrap_or(0);
    let since = |ns: u64| seconds(ns) - seconds(replay);
    let acts = report.acts.iter().map(|each| Marked {
        name: format!("act {}", each.act.name()),
        from: since(each.started_ns),
        to: since(each.ended_ns),
        colour: "--planned",
    });
    let marks = report.marks.iter().map(|mark| (mark, "--doubt"));
    let found = report.figures.moments.iter().map(|mark| (mark, "--bad"));
    let time = |(mark, colour): (&Mark, &'static str)| Marked {
        name: clean(&mark.name, MAX_NAME),
        from: seconds(mark.from_ns),
        to: seconds(mark.to_ns),
        colour,
    };
    // What failed must not be crowded out by what was done.
    let found: Vec<Marked> = found.map(time).take(MAX_MARKED).collect();
    let done = acts.chain(marks.map(time)).take(MAX_MARKED - found.len());
    done.chain(found).collect()
}

fn seconds(ns: u64) -> f64 {
    (Duration::from_nanos(ns).as_secs_f64() * 1_000.0).round() / 1_000.0
}

fn told(report: &Report, points: &[Point], marked: &[Marked], counts: [usize; 2]) -> Vec<String> {
    let [rows, width] = counts;
    let most = |figure: fn(&Point) -> u64| points.iter().map(figure).max().unwrap_or(0);
    let slowest = most(|point| point.p99_ns.unwrap_or(0));
    let mut told = vec![format!(
        "{rows} rows on one axis of time; second 0 is the start of the replay. At most {} due and \
         {} sent in a second, p99 up to {}, {} errors in a second.",
        format_count(most(|point| point.due)),
        format_count(most(|point| point.sent)),
        if slowest > 0 { nanos(slowest) } else { "nothing, as nothing was answered".to_owned() },
        format_count(most(|point| point.errors)),
    )];
    if let Some(most) = report.figures.connections.iter().max() {
        told.push(format!("At most {} connections in use.", format_count(*most)));
    }
    if width > 1 {
        told.push(format!("Each point is the worst of {width} seconds."));
    }
    let times = marked.iter();
    told.extend(
        times.map(|Marked { name, from, to, .. }| format!("{name}: second {from:.1} to {to:.1}.")),
    );
    told.extend(without_a_band(report));
    told
}

/// What failed and has no band of its own, since no part of the run shows it more than others, or
/// since that of its act is the nearest.
fn without_a_band(report: &Report) -> Option<String> {
    let failed = report.findings.iter().filter(|finding| finding.outcome == Outcome::Fail);
    let named = |finding: &Finding| match when(report, finding) {
        When::Time(..) => None,
        other => Some(format!("{} ({other})", clean(&finding.check, MAX_NAME))),
    };
    let mut told: Vec<String> = failed.filter_map(named).collect();
    told.dedup();
    let beyond = told.split_off(told.len().min(MAX_MARKED)).len();
    if told.is_empty() {
        return None;
    }
    let more = if beyond > 0 { format!(" and {beyond} more") } else { String::new() };
    Some(format!("What failed without a time of its own: {}{more}.", told.join(", ")))
}

/// All rows below each other. The library knows eight axes by name; further ones are added to what
/// it has written.
fn plot(rows: Vec<Row>, marked: &[Marked]) -> String {
    let count = rows.len();
    let mut axes: Vec<(String, Axis)> = Vec::new();
    let mut traces: Vec<Box<dyn Trace>> = Vec::new();
    let mut owners: Vec<usize> = Vec::new();
    let mut titles: Vec<Annotation> = Vec::new();
    for (index, row) in rows.into_iter().enumerate() {
        let (bottom, top) = domain(index, count);
        let key = if index == 0 { String::new() } else { (index + 1).to_string() };
        // All rows have one margin: the library would draw all of them again for each of them.
        let placed = row.axis.domain(&[bottom, top]).auto_margin(false);
        axes.push((format!("yaxis{key}"), placed));
        owners.extend(row.traces.iter().map(|_| index + 1));
        traces.extend(row.traces);
        titles.push(label(&row.title).x_ref("paper").x(0.0).y_ref("paper").y(top));
    }
    let last = if count == 1 { "y".to_owned() } else { format!("y{count}") };
    let layout = layout(count, titles, marked)
        .x_axis(axis("seconds since the start of the replay").anchor(&last));
    let mut plot = plot_value(traces, layout);
    for (key, axis) in axes {
        plot["layout"][key] = serde_json::to_value(axis).unwrap_or(Value::Null);
    }
    for (trace, owner) in plot["data"].as_array_mut().into_iter().flatten().zip(owners) {
        trace["yaxis"] = if owner == 1 { "y".into() } else { format!("y{owner}").into() };
    }
    plot["layout"]["hoversubplots"] = "axis".into();
    plot.to_string()
}

/// Where a row is, counted from above: the share of the height of its lower and its upper end.
fn domain(index: usize, count: usize) -> (f64, f64) {
    let position = |row: usize| {
        #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
        let share = row as f64 / count as f64;
        1.0 - share
    };
    let (top, bottom) = (position(index), position(index + 1));
    let rounded = |value: f64| (value * 10_000.0).round() / 10_000.0;
    (rounded(bottom), rounded(bottom + (top - bottom) * (1.0 - GAP)))
}

fn layout(rows: usize, titles: Vec<Annotation>, marked: &[Marked]) -> Layout {
    let names = marked.iter().enumerate().map(|(index, mark)| {
        // Names of times that are close to each other stand above each other, and all of them above
        // the legend.
        let level = f64::from(u32::try_from(index % 3).unwrap_or(0));
        let name = label(&plain(&mark.name)).x(mark.from).x_ref("x").y_ref("paper").y(1.0);
        let colour = if mark.colour == "--planned" { "--muted" } else { mark.colour };
        name.y_shift(28.0 + 15.0 * level).font(Font::new().size(11).color(colour))
    });
    let shapes = marked.iter().map(|mark| {
        Shape::new()
            .shape_type(ShapeType::Rect)
            .layer(ShapeLayer::Below)
            .x_ref("x")
            .y_ref("paper")
            .x0(mark.from)
            .x1(mark.to)
            .y0(0.0)
            .y1(1.0)
            .fill_color(mark.colour)
            .opacity(0.18)
            .line(ShapeLine::new().color(mark.colour).width(1.0))
    });
    let above = if marked.is_empty() { 40 } else { 100 };
    let legend = Legend::new()
        .orientation(Orientation::Horizontal)
        .x(1.0)
        .x_anchor(Anchor::Right)
        .y(1.0 - GAP / 3.0 / f64::from(u32::try_from(rows).unwrap_or(1)))
        .y_anchor(Anchor::Bottom);
    base_layout()
        .height(AROUND + ROW * rows)
        .legend(legend)
        .margin(Margin::new().left(64).right(16).top(above).bottom(48))
        .shapes(shapes.collect())
        .annotations(titles.into_iter().chain(names).collect())
}

fn label(text: &str) -> Annotation {
    Annotation::new()
        .text(text)
        .show_arrow(false)
        .x_anchor(Anchor::Left)
        .y_anchor(Anchor::Bottom)
        .font(Font::new().size(12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_below_each_other_and_leave_room_for_their_titles() {
        for count in 1..=16 {
            let domains: Vec<(f64, f64)> = (0..count).map(|row| domain(row, count)).collect();
            assert!(domains.iter().all(|(low, high)| low < high && *high < 1.0), "{domains:?}");
            assert!(domains.is_sorted_by(|above, below| above.0 > below.1), "{domains:?}");
            assert!(domains[count - 1].0.abs() < 1e-9);
        }
    }

    #[test]
    fn each_row_beyond_the_eighth_has_its_axis() {
        let row = |name: usize| Row {
            title: format!("row {name}"),
            axis: linear_axis(""),
            traces: vec![Scatter::new(vec![1], vec![name]).name("one")],
        };
        let marked = Marked { name: "stall".into(), from: 3.0, to: 4.5, colour: "--bad" };
        let plot: Value = serde_json::from_str(&plot((0..11).map(row).collect(), &[marked]))
            .expect("a plot is JSON");
        for index in 2..=11 {
            assert!(plot["layout"][format!("yaxis{index}")]["domain"].is_array(), "{index}");
            assert_eq!(plot["data"][index - 1]["yaxis"], format!("y{index}"));
        }
        assert_eq!(plot["layout"]["xaxis"]["anchor"], "y11");
        assert_eq!(plot["layout"]["shapes"][0]["x1"], 4.5);
        assert_eq!(plot["layout"]["annotations"].as_array().map(Vec::len), Some(12));
    }
}
