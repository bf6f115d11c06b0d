//! The charts of the act `capacity`: latency and throughput over load.

use plotly::common::{DashType, Marker, MarkerSymbol, Mode};
use plotly::{Scatter, Trace};

use crate::act::capacity::seen::{Capacity, CurvePoint};
use crate::act::{Evidence, Performed};
use crate::report::charts::{
    Chart, axis, base_layout, line, linear_axis, log_axis, millis, plot_json,
};
use crate::report::text::{nanos, number};
use crate::stats::usl::{REACH, Usl};
use crate::units::format_rate;

/// The charts of the act; none where it was not performed, or tried too little for a curve.
pub(super) fn charts(acts: &[Performed]) -> Vec<Chart> {
    let seen = acts.iter().find_map(|performed| match &performed.evidence {
        Evidence::Capacity(seen) => Some(seen),
        _ => None,
    });
    let Some(seen) = seen else { return Vec::new() };
    let curve = seen.curve();
    if curve.len() < 2 {
        return Vec::new();
    }
    vec![latency(seen, &curve), throughput(seen, &curve)]
}

fn latency(seen: &Capacity, curve: &[CurvePoint]) -> Chart {
    let x: Vec<f64> = curve.iter().map(|point| point.planned).collect();
    let of = |at: usize| -> Vec<f64> {
        curve.iter().map(|point| millis(point.latency_ns[at])).collect()
    };
    let [p50, p99] = [of(0), of(1)];
    let (lowest, highest) = (
        p50.iter().copied().fold(f64::INFINITY, f64::min),
        p99.iter().copied().fold(0.0, f64::max),
    );
    let upright = |name: &'static str, load: f64, colour: &'static str| {
        Scatter::new(vec![load, load], vec![lowest, highest])
            .name(name)
            .mode(Mode::Lines)
            .line(line(colour).dash(DashType::Dash)) as Box<dyn Trace>
    };
    let marked = |name, y, colour| {
        let trace = Scatter::new(x.clone(), y).name(name).mode(Mode::LinesMarkers);
        trace.line(line(colour)) as Box<dyn Trace>
    };
    let mut traces = vec![marked("p50", p50, "--typical"), marked("p99", p99, "--tail")];
    traces.extend(longer(curve));
    let knee = seen.knee();
    traces.extend(knee.map(|knee| upright("knee", knee, "--axis")));
    traces.extend(seen.held.map(|held| upright("highest held", seen.multiple_at(held), "--sent")));
    let bends = knee.map_or("It has no knee.".to_owned(), |knee| {
        format!("It bends upwards from {} × on.", number(knee, 4))
    });
    let last = curve.last().map(|point| (point.latency_ns[1], point.at_least[1]));
    let (last, is_at_least) = last.unwrap_or_default();
    let word = if is_at_least { "at least " } else { "" };
    let layout = base_layout().x_axis(axis("multiple of the load")).y_axis(log_axis("ms"));
    Chart {
        id: "chart-capacity-latency",
        title: "Latency over load",
        summary: format!(
            "Latency (due to done) of {} loads, on a logarithmic scale. {bends} At the highest \
             load the p99 was {word}{}.",
            curve.len(),
            nanos(last)
        ),
        plot: plot_json(traces, layout),
        columns: vec!["load", "p50 ms", "p99 ms", "held"],
        rows: curve
            .iter()
            .map(|point| {
                let told = |at: usize| {
                    let sign = if point.at_least[at] { "≥ " } else { "" };
                    format!("{sign}{}", millis(point.latency_ns[at]))
                };
                let [p50, p99] = [0, 1].map(told);
                let held = if point.held { "yes" } else { "no" };
                vec![number(point.planned, 4), p50, p99, held.to_owned()]
            })
            .collect(),
    }
}

/// What took longer than is drawn, since it lies among requests without an answer.
fn longer(curve: &[CurvePoint]) -> Option<Box<dyn Trace>> {
    let of = |at: usize| {
        let longer = curve.iter().filter(move |point| point.at_least[at]);
        longer.map(move |point| (point.planned, millis(point.latency_ns[at])))
    };
    let (x, y): (Vec<f64>, Vec<f64>) = of(0).chain(of(1)).unzip();
    let marker = Marker::new().symbol(MarkerSymbol::TriangleUpOpen).color("--axis").size(13);
    let trace = Scatter::new(x, y).name("longer than that").mode(Mode::Markers).marker(marker);
    curve.iter().any(|point| point.at_least.contains(&true)).then_some(trace as Box<dyn Trace>)
}

/// Steps of a fitted curve.
const STEPS: u32 = 60;

fn throughput(seen: &Capacity, curve: &[CurvePoint]) -> Chart {
    let x: Vec<f64> = curve.iter().map(|point| point.planned).collect();
    let series = |name, y: Vec<f64>, colour| {
        let trace = Scatter::new(x.clone(), y).name(name).mode(Mode::LinesMarkers);
        trace.line(line(colour)) as Box<dyn Trace>
    };
    let sent = curve.iter().map(|point| point.sent_rate).collect();
    let answered = curve.iter().map(|point| point.answered_rate).collect();
    let mut traces =
        vec![series("sent", sent, "--planned"), series("answered", answered, "--sent")];
    let law = seen.usl().ok().filter(|law| law.doubt().is_none());
    traces.extend(law.as_ref().map(fitted));
    let most = curve.iter().map(|point| point.answered_rate).fold(0.0, f64::max);
    let told = if law.is_some() {
        format!("The law is drawn up to {REACH} times the highest load.")
    } else {
        "No law is drawn, since none is to be believed.".to_owned()
    };
    let layout =
        base_layout().x_axis(axis("multiple of the load")).y_axis(linear_axis("requests/s"));
    Chart {
        id: "chart-capacity-throughput",
        title: "Throughput over load",
        summary: format!(
            "Requests sent and answered by the second. At most {} were answered. {told}",
            format_rate(most)
        ),
        plot: plot_json(traces, layout),
        columns: vec!["load", "sent/s", "answered/s"],
        rows: curve
            .iter()
            .map(|point| {
                let rates = [point.sent_rate, point.answered_rate].map(|rate| number(rate, 5));
                std::iter::once(number(point.planned, 4)).chain(rates).collect()
            })
            .collect(),
    }
}

fn fitted(law: &Usl) -> Box<dyn Trace> {
    let end = REACH * law.measured;
    let loads: Vec<f64> =
        (1..=STEPS).map(|step| end * f64::from(step) / f64::from(STEPS)).collect();
    let rates: Vec<f64> = loads.iter().filter_map(|load| law.within_reach(*load)).collect();
    Scatter::new(loads, rates)
        .name("Universal Scalability Law")
        .mode(Mode::Lines)
        .line(line("--tail").dash(DashType::Dot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_whose_latency_is_not_known_are_drawn_as_at_least_that() {
        let point = |load: f64, lost: bool| CurvePoint {
            load,
            planned: load,
            sent_rate: load,
            answered_rate: load,
            latency_ns: [1_000_000, 3_000_000_000],
            at_least: [false, lost],
            held: !lost,
            is_mute: false,
        };
        for lost in [false, true] {
            let chart = latency(&Capacity::default(), &[point(1.0, false), point(2.0, lost)]);
            assert_eq!(chart.plot.contains("longer than that"), lost, "{}", chart.plot);
            assert_eq!(chart.rows[0][2], "3000");
            assert_eq!(chart.rows[1][2], if lost { "≥ 3000" } else { "3000" });
            assert_eq!(
                chart.summary.contains("the p99 was at least 3 s"),
                lost,
                "{}",
                chart.summary
            );
        }
    }
}
